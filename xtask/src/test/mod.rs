//! Every step that a change must pass, in one table, and one honest count at the end.
//!
//! A failing step does not hide the later ones, except the build, without which they would all fail. The last line is
//! `N passed, N failed, N skipped`: *passed* are tests that ran and proved something, *failed* are failed tests plus
//! failed steps that run no tests, *skipped* are tests that said why they could not run. A runner whose own summary
//! cannot be read is a failure: a count that might be wrong is not reported as right.

mod browser;
mod process;
mod report;
mod skips;
mod summary;

use std::path::Path;

use clap::builder::PossibleValuesParser;

use crate::{Outcome, tidy};
use process::{Ending, Invocation};
use report::{Report, Verdict};
use skips::SkipFile;
use summary::{Counts, Runner};

/// One step of the test run.
struct Step {
    name: &'static str,
    work: Work,
    on_failure: OnFailure,
}

/// What a step does.
#[derive(Clone, Copy)]
enum Work {
    /// A command that passes or fails as a whole. Where `probe` fails, the tool is not installed, and the step is
    /// skipped with that reason.
    Command {
        command: Command,
        probe: &'static [&'static str],
    },
    /// The checks of `cargo xtask tidy`, in this process.
    Tidy,
    /// A command that runs tests and says how many.
    Tests { command: Command, runner: Runner },
    /// The tests of all crates, by cargo-nextest where it is installed and by `cargo test` elsewhere.
    CrateTests,
    /// The console's page in a browser, where there is one.
    Browser,
}

/// A call of cargo: its arguments, and what is added to the environment.
type Command = (&'static [&'static str], &'static [(&'static str, &'static str)]);

/// What a failed step means for those after it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnFailure {
    /// They say something all the same.
    GoOn,
    /// They would all fail for the same reason.
    Stop,
}

/// The steps, in order. A further one (the simulation, a chaos smoke run) is one more row.
#[rustfmt::skip]
const STEPS: &[Step] = &[
    Step { name: "format", on_failure: OnFailure::GoOn, work: Work::Command {
        command: (&["fmt", "--all", "--check"], &[]), probe: &["fmt", "--version"] } },
    Step { name: "clippy", on_failure: OnFailure::GoOn, work: Work::Command {
        command: (&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[]),
        probe: &["clippy", "--version"] } },
    Step { name: "tidy", on_failure: OnFailure::GoOn, work: Work::Tidy },
    Step { name: "build", on_failure: OnFailure::Stop, work: Work::Command {
        command: (&["build", "--workspace", "--lib", "--bins", "--tests"], &[]), probe: &["--version"] } },
    Step { name: "tests", on_failure: OnFailure::GoOn, work: Work::CrateTests },
    Step { name: "browser", on_failure: OnFailure::GoOn, work: Work::Browser },
    Step { name: "doctests", on_failure: OnFailure::GoOn, work: Work::Tests {
        command: (&["test", "--workspace", "--doc", "--no-fail-fast"], &[]), runner: Runner::Libtest } },
    Step { name: "docs", on_failure: OnFailure::GoOn, work: Work::Command {
        command: (&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")]), probe: &["--version"] } },
];

/// Property tests draw the same cases in every run, so that a change is judged by what it changed; other cases are
/// tried by setting the variable.
const SEED: &[(&str, &str)] = &[("PROPTEST_RNG_SEED", "20261123")];
const NEXTEST: Command = (&["nextest", "run", "--workspace", "--no-fail-fast"], SEED);
const CARGO_TEST: Command = (
    &["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"],
    SEED,
);

/// The names of the steps, for `--only`.
pub fn step_names() -> PossibleValuesParser {
    PossibleValuesParser::new(STEPS.iter().map(|step| step.name))
}

/// Runs the steps named in `only`, all where it is empty, and prints the report; its last line is the count.
pub fn run(root: &Path, only: &[String]) -> anyhow::Result<Outcome> {
    let skip_file = SkipFile::create()?;
    let mut report = Report::default();
    let mut broken_by = None;
    for step in STEPS
        .iter()
        .filter(|step| only.is_empty() || only.iter().any(|name| name == step.name))
    {
        if let Some(cause) = broken_by {
            report.add(
                step.name,
                0.0,
                Verdict::NotRun {
                    why: format!("the step `{cause}` failed"),
                },
            );
            continue;
        }
        println!("\n── {}", step.name);
        let (verdict, seconds) = process::timed(|| run_step(step, root, &skip_file));
        println!("── {}: {verdict} ({seconds:.1} s)", step.name);
        if verdict.failed() && step.on_failure == OnFailure::Stop {
            broken_by = Some(step.name);
        }
        report.add(step.name, seconds, verdict);
    }
    report.add_skips(skip_file.read()?);
    print!("\n{report}");
    Ok(report.outcome())
}

fn run_step(step: &Step, root: &Path, skip_file: &SkipFile) -> Verdict {
    let environment = skip_file.environment();
    let invocation = |(arguments, variables): Command| {
        Invocation::cargo(root, arguments)
            .with(variables.iter().map(|&(name, value)| (name.into(), value.into())))
            .with([environment.clone()])
    };
    match step.work {
        Work::Command { command, probe } => {
            if !Invocation::cargo(root, probe).succeeds_silently() {
                return Verdict::Skipped {
                    why: format!("`cargo {}` is not installed", probe[0]),
                };
            }
            Verdict::of_command(invocation(command).run())
        }
        Work::Tidy => match tidy::run(root) {
            Ok(Outcome::Clean) => Verdict::Passed(Counts::default()),
            Ok(Outcome::Failed) => Verdict::failed_step("there are findings"),
            Err(error) => Verdict::failed_step(format!("{error:#}")),
        },
        Work::Tests { command, runner } => run_tests(&invocation(command), runner),
        Work::Browser => browser::run(root, environment),
        Work::CrateTests => {
            if Invocation::cargo(root, &["nextest", "--version"]).succeeds_silently() {
                run_tests(&invocation(NEXTEST), Runner::Nextest)
            } else {
                run_tests(&invocation(CARGO_TEST), Runner::Libtest)
            }
        }
    }
}

fn run_tests(invocation: &Invocation, runner: Runner) -> Verdict {
    match invocation.run_and_capture() {
        Ok((ending, output)) => Verdict::of_tests(ending, summary::read(runner, &output)),
        Err(error) => Verdict::failed_step(format!("{error:#}")),
    }
}

impl Verdict {
    fn of_command(ending: anyhow::Result<Ending>) -> Self {
        match ending {
            Ok(Ending::Success) => Self::Passed(Counts::default()),
            Ok(Ending::Failure) => Self::failed_step("the command failed"),
            Err(error) => Self::failed_step(format!("{error:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_different_and_the_build_comes_before_the_tests() {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
        let position = |name| names.iter().position(|&other| other == name);
        assert!(position("build") < position("tests"), "{names:?}");
    }

    #[test]
    fn only_the_build_stops_the_run() {
        let stopping: Vec<&str> = STEPS
            .iter()
            .filter(|step| step.on_failure == OnFailure::Stop)
            .map(|step| step.name)
            .collect();
        assert_eq!(stopping, ["build"]);
    }
}
