//! Runs of verdicts: putting newer ones over older ones, and saying why windows lack one.

use crate::verdict::{HostState, Stage, VerdictRun};

/// Runs kept of one host. Old ones are forgotten once they are acknowledged, so only a Reduce that never does, of a
/// host that changes its state every few windows, meets this; then the oldest windows are reported as open again.
pub(super) const RUNS_MAX: usize = 1024;

/// Adds a run at the end, lengthening the last one where it says the same.
pub(super) fn push(runs: &mut Vec<VerdictRun>, run: VerdictRun) {
    if run.from_ns >= run.to_ns {
        return;
    }
    match runs.last_mut() {
        Some(last) if last.to_ns == run.from_ns && says_the_same(last, &run) => last.to_ns = run.to_ns,
        _ => runs.push(run),
    }
}

fn says_the_same(one: &VerdictRun, other: &VerdictRun) -> bool {
    (one.state, one.stage, &one.detail) == (other.state, other.stage, &other.detail)
}

/// What holds after a report: its runs replace what was said of windows from its first run on.
pub(super) fn replace(before: &[VerdictRun], newer: Vec<VerdictRun>) -> Vec<VerdictRun> {
    let Some(first) = newer.first().map(|run| run.from_ns) else {
        return before.to_vec();
    };
    let mut runs = Vec::with_capacity(before.len() + newer.len());
    for run in before {
        let to_ns = run.to_ns.min(first);
        push(&mut runs, VerdictRun { to_ns, ..run.clone() });
    }
    for run in newer {
        push(&mut runs, run);
    }
    let surplus = runs.len().saturating_sub(RUNS_MAX);
    runs.drain(..surplus);
    runs
}

/// Says why windows have no verdict: those in `[from, to)` behind the last run. Returns whether there were any.
pub(super) fn fill(runs: &mut Vec<VerdictRun>, (from_ns, to_ns): (i64, i64), why: &Missing) -> bool {
    let from_ns = runs.last().map_or(from_ns, |last| last.to_ns.max(from_ns));
    if from_ns >= to_ns {
        return false;
    }
    push(
        runs,
        VerdictRun {
            from_ns,
            to_ns,
            state: why.state,
            stage: why.stage,
            detail: Some(why.detail.clone()),
        },
    );
    true
}

/// Why windows have no verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) state: HostState,
    pub(super) stage: Stage,
    pub(super) detail: String,
}

/// Lays one window's verdict over what was said of it; windows without a verdict stay without.
pub(super) fn overlay(runs: &[VerdictRun], over: &VerdictRun) -> Vec<VerdictRun> {
    let mut laid = Vec::with_capacity(runs.len() + 2);
    for run in runs {
        let part = |from_ns: i64, to_ns: i64, of: &VerdictRun| VerdictRun {
            from_ns,
            to_ns,
            ..of.clone()
        };
        push(&mut laid, part(run.from_ns, run.to_ns.min(over.from_ns), run));
        push(
            &mut laid,
            part(run.from_ns.max(over.from_ns), run.to_ns.min(over.to_ns), over),
        );
        push(&mut laid, part(run.from_ns.max(over.to_ns), run.to_ns, run));
    }
    laid
}

/// The end of the windows, from the first run on and without a gap, of which nothing more is expected.
pub(super) fn settled_to(runs: &[VerdictRun]) -> Option<i64> {
    let mut end = runs.first()?.from_ns;
    for run in runs {
        if run.from_ns != end || run.stage != Stage::Settled || !run.state.settles() {
            break;
        }
        end = run.to_ns;
    }
    Some(end)
}

/// Windows that start before this have ended, and their grace is past.
pub(super) fn due_ns(now_ns: i64, window_ns: i64, grace_ns: i64) -> i64 {
    let window_ns = window_ns.max(1);
    now_ns
        .saturating_sub(grace_ns)
        .div_euclid(window_ns)
        .saturating_mul(window_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from_ns: i64, to_ns: i64, state: HostState) -> VerdictRun {
        VerdictRun {
            from_ns,
            to_ns,
            state,
            stage: Stage::Settled,
            detail: None,
        }
    }

    /// Runs as text: `ok 0-10`.
    fn show(runs: &[VerdictRun]) -> String {
        let run = |run: &VerdictRun| format!("{} {}-{}", run.state.name(), run.from_ns, run.to_ns);
        runs.iter().map(run).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_report_replaces_what_was_said_from_its_first_run_on() {
        use HostState::{Ok, Timeout};
        let before = [run(0, 10, Ok), run(10, 20, Timeout)];
        let check = |newer: Vec<VerdictRun>, expected: &str| assert_eq!(show(&replace(&before, newer)), expected);
        check(vec![], "ok 0-10, timeout 10-20");
        check(vec![run(5, 30, Timeout)], "ok 0-5, timeout 5-30");
        check(vec![run(0, 30, Ok)], "ok 0-30");
        check(vec![run(10, 30, Ok)], "ok 0-30");
        check(vec![run(15, 16, Ok)], "ok 0-10, timeout 10-15, ok 15-16");
        check(vec![run(25, 30, Ok)], "ok 0-10, timeout 10-20, ok 25-30");
        let many: Vec<VerdictRun> = (0..3000).map(|n| run(n * 2, n * 2 + 1, Ok)).collect();
        let kept = replace(&before, many);
        assert_eq!((kept.len(), kept.last().map(|run| run.to_ns)), (RUNS_MAX, Some(5999)));
    }

    #[test]
    fn windows_without_a_verdict_are_told_why_and_others_are_left() {
        let why = Missing {
            state: HostState::OverBudget,
            stage: Stage::Provisional,
            detail: "full".to_owned(),
        };
        let mut runs = vec![run(0, 10, HostState::Ok)];
        assert!(!fill(&mut runs, (0, 10), &why));
        assert!(fill(&mut runs, (0, 20), &why));
        assert!(fill(&mut runs, (0, 30), &why));
        assert_eq!(show(&runs), "ok 0-10, over_budget 10-30");
        let mut runs = Vec::new();
        assert!(fill(&mut runs, (5, 10), &why));
        assert_eq!(show(&runs), "over_budget 5-10");
    }

    #[test]
    fn one_window_is_laid_over_the_others() {
        let runs = [run(0, 10, HostState::Ok), run(20, 30, HostState::Behind)];
        let check = |from: i64, to: i64, expected: &str| {
            assert_eq!(show(&overlay(&runs, &run(from, to, HostState::OverBudget))), expected);
        };
        check(2, 4, "ok 0-2, over_budget 2-4, ok 4-10, behind 20-30");
        check(0, 10, "over_budget 0-10, behind 20-30");
        check(8, 22, "ok 0-8, over_budget 8-10, over_budget 20-22, behind 22-30");
        check(12, 14, "ok 0-10, behind 20-30");
    }

    #[test]
    fn what_is_settled_ends_at_the_first_doubt() {
        use HostState::{BytesLost, Ok, Timeout};
        let check = |runs: &[VerdictRun], expected: Option<i64>| assert_eq!(settled_to(runs), expected);
        check(&[], None);
        check(&[run(0, 5, Ok), run(5, 9, BytesLost), run(9, 12, Timeout)], Some(9));
        check(&[run(0, 5, Ok), run(6, 9, Ok)], Some(5));
        check(&[run(3, 5, Timeout)], Some(3));
        let provisional = VerdictRun {
            stage: Stage::Provisional,
            ..run(0, 5, Ok)
        };
        check(&[provisional], Some(0));
    }

    #[test]
    fn a_window_is_due_when_its_grace_is_past() {
        assert_eq!(due_ns(109, 10, 0), 100);
        assert_eq!(due_ns(110, 10, 0), 110);
        assert_eq!(due_ns(110, 10, 1), 100);
        assert_eq!(due_ns(-1, 10, 0), -10);
    }
}
