//! What a test run comes to: a verdict for each step, the tests that skipped, and the line that says it all.

use std::fmt;

use super::process::Ending;
use super::skips::Skips;
use super::summary::Counts;
use crate::Outcome;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeded; the counts are zero where it ran no tests.
    Passed(Counts),
    /// It failed.
    Failed {
        /// What its tests came to, with at least one failed.
        counts: Counts,
        /// Why.
        why: String,
    },
    /// It could not be done here.
    Skipped {
        /// Why.
        why: String,
    },
    /// It was not tried, because an earlier step failed.
    NotRun {
        /// Why.
        why: String,
    },
}

impl Verdict {
    /// The failure of a step that counts as one.
    pub fn failed_step(why: impl Into<String>) -> Self {
        Self::Failed {
            counts: Counts {
                failed: 1,
                ..Counts::default()
            },
            why: why.into(),
        }
    }

    /// What a test runner's exit and summary say together. They must agree to be believed.
    pub fn of_tests(ending: Ending, counts: Option<Counts>) -> Self {
        match (ending, counts) {
            (Ending::Success, Some(counts)) if counts.failed == 0 => Self::Passed(counts),
            (Ending::Failure, Some(counts)) if counts.failed > 0 => Self::Failed {
                counts,
                why: format!("{} failed, {} passed", counts.failed, counts.passed),
            },
            (Ending::Success, Some(counts)) => Self::Failed {
                counts,
                why: "the runner succeeded although tests failed".to_owned(),
            },
            (Ending::Failure, Some(counts)) => {
                let counts = Counts { failed: 1, ..counts };
                Self::Failed {
                    counts,
                    why: "the runner failed although no test did".to_owned(),
                }
            }
            (_, None) => Self::failed_step("the runner gave no summary that can be read"),
        }
    }

    /// Whether the run as a whole fails by it.
    pub fn failed(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    fn counts(&self) -> Counts {
        match self {
            Self::Passed(counts) | Self::Failed { counts, .. } => *counts,
            Self::Skipped { .. } => Counts {
                skipped: 1,
                ..Counts::default()
            },
            Self::NotRun { .. } => Counts::default(),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(counts) if *counts == Counts::default() => write!(formatter, "ok"),
            Self::Passed(counts) => write!(formatter, "ok, {} passed", counts.passed),
            Self::Failed { why, .. } => write!(formatter, "FAILED: {why}"),
            Self::Skipped { why } => write!(formatter, "skipped: {why}"),
            Self::NotRun { why } => write!(formatter, "not run: {why}"),
        }
    }
}

/// The run's report; its text ends with the line `N passed, N failed, N skipped`.
#[derive(Debug, Default)]
pub struct Report {
    steps: Vec<(&'static str, f64, Verdict)>,
    skips: Skips,
}

impl Report {
    /// Adds the verdict of a step that took `seconds`.
    pub fn add(&mut self, step: &'static str, seconds: f64, verdict: Verdict) {
        self.steps.push((step, seconds, verdict));
    }

    /// Adds what the tests themselves said that they could not do.
    pub fn add_skips(&mut self, skips: Skips) {
        self.skips = skips;
    }

    /// Whether all is well.
    pub fn outcome(&self) -> Outcome {
        if self.counts().failed == 0 {
            Outcome::Clean
        } else {
            Outcome::Failed
        }
    }

    /// The sum of all steps. A test that said it could not run has passed only in its runner's eyes: it is moved from
    /// the passed to the skipped ones.
    fn counts(&self) -> Counts {
        let mut total = Counts::default();
        for (_, _, verdict) in &self.steps {
            total += verdict.counts();
        }
        total.passed = total.passed.saturating_sub(self.skips.tests);
        total.skipped += self.skips.lines.len();
        total
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (step, seconds, verdict) in &self.steps {
            writeln!(formatter, "{step:<10} {seconds:>7.1} s  {verdict}")?;
        }
        for line in &self.skips.lines {
            writeln!(formatter, "{line}")?;
        }
        let Counts {
            passed,
            failed,
            skipped,
        } = self.counts();
        writeln!(formatter, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: usize, failed: usize, skipped: usize) -> Counts {
        Counts {
            passed,
            failed,
            skipped,
        }
    }

    #[track_caller]
    fn check(verdicts: &[Verdict], skips: &[&str], last_line: &str, outcome: Outcome) {
        let mut report = Report::default();
        for verdict in verdicts {
            report.add("step", 1.0, verdict.clone());
        }
        let lines: Vec<String> = skips.iter().map(|why| format!("SKIPPED: a: {why}")).collect();
        report.add_skips(Skips {
            tests: lines.len().min(1),
            lines,
        });
        let text = report.to_string();
        assert_eq!(text.lines().last(), Some(last_line), "{text}");
        assert!(text.ends_with('\n'));
        assert_eq!(report.outcome(), outcome);
    }

    #[test]
    fn last_line() {
        let passed = Verdict::Passed(counts(5, 0, 0));
        let step = Verdict::Passed(Counts::default());
        let failed = Verdict::of_tests(Ending::Failure, Some(counts(3, 2, 1)));
        let skipped = Verdict::Skipped {
            why: "no rustfmt".to_owned(),
        };
        let not_run = Verdict::NotRun {
            why: "the build failed".to_owned(),
        };
        check(&[], &[], "0 passed, 0 failed, 0 skipped", Outcome::Clean);
        check(
            &[step.clone(), passed.clone()],
            &[],
            "5 passed, 0 failed, 0 skipped",
            Outcome::Clean,
        );
        check(
            &[passed.clone(), passed.clone()],
            &["x"],
            "9 passed, 0 failed, 1 skipped",
            Outcome::Clean,
        );
        check(
            std::slice::from_ref(&passed),
            &["x", "y"],
            "4 passed, 0 failed, 2 skipped",
            Outcome::Clean,
        );
        check(
            &[passed.clone(), failed],
            &[],
            "8 passed, 2 failed, 1 skipped",
            Outcome::Failed,
        );
        check(
            &[passed.clone(), skipped],
            &[],
            "5 passed, 0 failed, 1 skipped",
            Outcome::Clean,
        );
        check(
            &[Verdict::failed_step("x"), passed],
            &[],
            "5 passed, 1 failed, 0 skipped",
            Outcome::Failed,
        );
        check(
            &[Verdict::failed_step("x"), not_run],
            &[],
            "0 passed, 1 failed, 0 skipped",
            Outcome::Failed,
        );
    }

    #[test]
    fn exit_and_summary_must_agree() {
        #[track_caller]
        fn check(ending: Ending, summary: Option<Counts>, expected: Result<Counts, Counts>) {
            let verdict = Verdict::of_tests(ending, summary);
            assert_eq!(verdict.failed(), expected.is_err(), "{verdict}");
            assert_eq!(Ok(verdict.counts()), expected.or_else(Ok::<Counts, Counts>));
        }
        check(Ending::Success, Some(counts(2, 0, 1)), Ok(counts(2, 0, 1)));
        check(Ending::Failure, Some(counts(2, 1, 0)), Err(counts(2, 1, 0)));
        check(Ending::Success, Some(counts(2, 1, 0)), Err(counts(2, 1, 0)));
        check(Ending::Failure, Some(counts(2, 0, 0)), Err(counts(2, 1, 0)));
        check(Ending::Success, None, Err(counts(0, 1, 0)));
        check(Ending::Failure, None, Err(counts(0, 1, 0)));
    }
}
