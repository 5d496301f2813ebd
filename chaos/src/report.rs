//! What came of a run: for people as a table, for programs as JSON.

use crate::check::{Checker, Violation};
use crate::inject::{Done, Shared};
use crate::marks::{Mark, Marks};
use crate::run::Asked;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use sunfire_tests::cluster::Cluster;

/// Bytes of each process's stderr that are kept.
const STDERR_KEPT: usize = 4_000;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase", tag = "end", content = "why")]
pub enum End {
    /// Nothing was wrong, everything was met, all converged.
    Pass,
    /// A promise was broken.
    Safety(String),
    /// It did not converge.
    Liveness(String),
    /// What it was about was not met.
    Vacuous(String),
    /// The harness failed, or a process ended by itself.
    Harness(String),
}

impl End {
    /// The worst of what is known.
    pub fn of(report: &Report, stuck: Option<String>, wanted: &BTreeSet<Mark>) -> End {
        if let Some(first) = report.violations.first() {
            return End::Safety(first.id.to_owned());
        }
        if let Some(ended) = report.harness.first() {
            return End::Harness(ended.clone());
        }
        if let Some(stuck) = stuck {
            return End::Liveness(stuck);
        }
        match wanted.iter().find(|mark| !report.marks.has(**mark)) {
            Some(mark) => End::Vacuous(format!("{mark:?}")),
            None => End::Pass,
        }
    }
}

/// What came of a run.
#[derive(Debug, serde::Serialize)]
pub struct Report {
    /// How it ended.
    #[serde(flatten)]
    pub end: End,
    /// The seed.
    pub seed: u64,
    /// Minutes of faults.
    pub minutes: u32,
    /// The planted bug.
    pub mutant: Option<String>,
    /// Seconds that were checked, each of them by several windows.
    pub windows: i64,
    /// Records that were written.
    pub records: u64,
    /// Questions, and those without an answer.
    pub questions: (u64, u64),
    /// Points that were checked.
    pub points: u64,
    /// Faults by kind.
    pub faults: BTreeMap<String, u64>,
    /// What was met.
    pub marks: Marks,
    /// What was wrong.
    pub violations: Vec<Violation>,
    /// Seconds from the heal to 100 %: median, 99th percentile, greatest, over windows that were below then.
    pub healed_s: Option<(f64, f64, f64)>,
    /// What went wrong with the harness.
    pub harness: Vec<String>,
    /// What was done, in order.
    pub timeline: Vec<Done>,
    /// The end of what each process wrote to stderr.
    pub stderr: BTreeMap<String, String>,
}

impl Report {
    /// A report whose end is still to be told.
    pub fn new(asked: &Asked, shared: &Shared, checker: &Checker<'_>, questions: (u64, u64)) -> Self {
        let timeline = shared.done().clone();
        let mut faults = BTreeMap::new();
        for done in &timeline {
            *faults.entry(done.kind.clone()).or_default() += 1;
        }
        Self {
            end: End::Pass,
            seed: asked.seed,
            minutes: asked.minutes,
            mutant: asked.mutant.clone(),
            windows: 0,
            records: 0,
            questions,
            points: checker.points,
            faults,
            marks: checker.marks.clone(),
            violations: checker.violations.clone(),
            healed_s: None,
            harness: Vec::new(),
            timeline,
            stderr: BTreeMap::new(),
        }
    }

    /// Takes when windows that were below 100 % at the heal were first seen complete.
    pub fn healed(&mut self, healed_ns: i64, seen: impl Iterator<Item = Option<i64>>) {
        let mut took: Vec<f64> = seen.flatten().map(|at_ns| (at_ns - healed_ns) as f64 / 1e9).collect();
        took.sort_by(f64::total_cmp);
        let at = |share: usize| {
            took.get((took.len() * share / 100).min(took.len().saturating_sub(1)))
                .copied()
        };
        self.healed_s = at(50)
            .zip(at(99))
            .zip(took.last().copied())
            .map(|((half, most), last)| (half, most, last));
    }

    /// Keeps the end of what each process wrote to stderr.
    pub fn keep_stderr(&mut self, cluster: &Cluster) {
        for name in cluster.names() {
            let said = cluster.said(&name);
            let mut from = said.len().saturating_sub(STDERR_KEPT);
            while !said.is_char_boundary(from) {
                from += 1;
            }
            self.stderr.insert(name, said[from..].to_owned());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let planted = self
            .mutant
            .as_ref()
            .map_or(String::new(), |mutant| format!(", planted bug {mutant}"));
        writeln!(out, "seed {}, {} min of faults{planted}", self.seed, self.minutes)?;
        writeln!(
            out,
            "  checked   {} s of windows, {} points, {} records written",
            self.windows, self.points, self.records
        )?;
        writeln!(
            out,
            "  questions {} ({} unanswered)",
            self.questions.0, self.questions.1
        )?;
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        writeln!(out, "  faults    {}", faults.join(", "))?;
        let marks: Vec<String> = self.marks.all().keys().map(|mark| format!("{mark:?}")).collect();
        writeln!(out, "  met       {}", marks.join(", "))?;
        if let Some((half, most, last)) = self.healed_s {
            writeln!(out, "  healed    p50 {half:.1} s, p99 {most:.1} s, max {last:.1} s")?;
        }
        for violation in self.violations.iter().take(5) {
            let evidence: String = violation.evidence.chars().take(1_500).collect();
            writeln!(out, "  violated  {}: {evidence}", violation.id)?;
        }
        if self.violations.len() > 5 {
            writeln!(out, "  … {} violations in all", self.violations.len())?;
        }
        self.harness
            .iter()
            .try_for_each(|line| writeln!(out, "  harness   {line}"))?;
        match &self.end {
            End::Pass => write!(out, "PASS"),
            End::Safety(id) => write!(out, "SAFETY({id})"),
            End::Liveness(why) => write!(out, "LIVENESS({why})"),
            End::Vacuous(mark) => write!(out, "VACUOUS({mark})"),
            End::Harness(why) => write!(out, "HARNESS({why})"),
        }
    }
}
