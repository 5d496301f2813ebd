//! Stretches of time that are not counted for a monitor, since it costs more than it may.
//!
//! The log is read on, and every window before such a stretch is counted and proved as if nothing had happened; records
//! of the windows in it are only passed over. These windows are `over_budget`, for good unless somebody orders them to
//! be read: to repair them by itself would cost what was to be saved.

use crate::verdict::{HostState, Stage, VerdictRun};
use std::ops::Range;
use std::sync::Arc;

/// A stretch of time that is not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// Which one, of the monitor's on this node.
    pub number: u64,
    /// Start of its first window.
    pub from_ns: i64,
    /// Windows that start at or behind this are counted again; `i64::MAX` while that is not known.
    pub to_ns: i64,
    /// Why, for people.
    pub why: Arc<str>,
}

/// The starts of windows that are left out.
pub(super) fn starts_of(suspended: &[Suspension]) -> Arc<[Range<i64>]> {
    suspended.iter().map(|it| it.from_ns..it.to_ns).collect()
}

/// Suspensions as they can be for a reader that has proved windows up to `proved_ns`: what was said to be ok goes on
/// being counted, so that it stays true. Those that are `known` stay as they were begun.
pub(super) fn begun(asked: &[Suspension], known: &[Suspension], proved_ns: i64) -> Arc<[Suspension]> {
    let begin = |one: &Suspension| {
        let known = known.iter().find(|known| known.number == one.number);
        let from_ns = known.map_or(one.from_ns.max(proved_ns), |known| known.from_ns);
        Suspension { from_ns, ..one.clone() }
    };
    let is_any = |one: &Suspension| one.from_ns < one.to_ns;
    asked.iter().map(begin).filter(is_any).collect()
}

/// Verdicts with the windows of suspensions as what they are. What is in the way of reading stays what it is.
pub(super) fn lay_over(runs: Vec<VerdictRun>, suspended: &[Suspension]) -> Vec<VerdictRun> {
    let lay = |runs: Vec<VerdictRun>, over: &Suspension| {
        runs.into_iter().flat_map(|run| lay_one(run, over)).collect::<Vec<_>>()
    };
    suspended.iter().fold(runs, lay)
}

fn lay_one(run: VerdictRun, over: &Suspension) -> Vec<VerdictRun> {
    let (from_ns, to_ns) = (over.from_ns.max(run.from_ns), over.to_ns.min(run.to_ns));
    if run.state != HostState::Ok || from_ns >= to_ns {
        return vec![run];
    }
    let part = |from_ns, to_ns| VerdictRun {
        from_ns,
        to_ns,
        ..run.clone()
    };
    let covered = VerdictRun {
        from_ns,
        to_ns,
        state: HostState::OverBudget,
        stage: Stage::Settled,
        detail: Some(over.why.to_string()),
    };
    let mut parts = vec![part(run.from_ns, from_ns), covered, part(to_ns, run.to_ns)];
    parts.retain(|run| run.from_ns < run.to_ns);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspension(number: u64, from_ns: i64, to_ns: i64) -> Suspension {
        Suspension {
            number,
            from_ns,
            to_ns,
            why: "dear".into(),
        }
    }

    #[test]
    fn what_was_said_to_be_ok_goes_on_being_counted() {
        let begin = |asked: &[Suspension], known: &[Suspension], proved| begun(asked, known, proved).to_vec();
        let first = suspension(1, 10, i64::MAX);
        assert_eq!(
            begin(std::slice::from_ref(&first), &[], 15),
            [suspension(1, 15, i64::MAX)]
        );
        assert_eq!(
            *begin(std::slice::from_ref(&first), &[], 5),
            *std::slice::from_ref(&first)
        );
        // Proved windows move on with the log; where it began does not.
        let known = [suspension(1, 15, i64::MAX)];
        assert_eq!(begin(&[first], &known, 40), known);
        assert_eq!(begin(&[suspension(1, 10, 60)], &known, 70), [suspension(1, 15, 60)]);
        let second = [suspension(1, 10, 60), suspension(2, 80, i64::MAX)];
        let begun = begin(&second, &[suspension(1, 15, 60)], 85);
        assert_eq!(begun, [suspension(1, 15, 60), suspension(2, 85, i64::MAX)]);
        assert_eq!(begin(&[suspension(1, 10, 60)], &[], 70), []);
    }

    #[test]
    fn only_windows_that_are_ok_are_covered() {
        let run = |from_ns, to_ns, state| VerdictRun {
            from_ns,
            to_ns,
            state,
            stage: Stage::Provisional,
            detail: None,
        };
        let runs = vec![run(0, 30, HostState::Ok), run(30, 50, HostState::Denied)];
        let laid = lay_over(runs, &[suspension(1, 10, 20), suspension(2, 25, 40)]);
        let shown: Vec<_> = laid
            .iter()
            .map(|run| (run.from_ns, run.to_ns, run.state.name(), run.stage == Stage::Settled))
            .collect();
        assert_eq!(
            shown,
            [
                (0, 10, "ok", false),
                (10, 20, "over_budget", true),
                (20, 25, "ok", false),
                (25, 30, "over_budget", true),
                (30, 50, "denied", false),
            ]
        );
    }
}
