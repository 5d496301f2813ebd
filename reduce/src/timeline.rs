//! What a Map said of one host, over time: runs of verdicts, of which later reports replace what they speak of.
//!
//! One thing is not replaced lightly. That bytes are gone for good is known only to the Map that saw them go: one that
//! was restarted, or that reads a window apart from the stream, cannot know, and would call the host ok. So a loss is
//! lifted only by the memory that recorded it (C6).

use map::verdict::{HostState, Stage, VerdictRun};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Most runs kept of a host. The oldest go first: what they said stands in the windows that were published.
pub const RUNS_MAX: usize = 10_000;

/// Whose word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The stream of a shard on a Map, since the installation of this number: one memory of what went on.
    Stream(u64),
    /// A window read apart from the stream.
    Reread,
}

/// What was said of a host for a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// [`HostState::Ok`], or why it is not; never [`HostState::Open`].
    pub state: HostState,
    /// How far it is proved.
    pub stage: Stage,
    /// More for people.
    pub detail: Option<Arc<str>>,
    /// Whose word it is.
    pub source: Source,
    /// Whether the same memory had recorded a loss before, and so may lift it.
    pub lifts: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    range: Range<i64>,
    said: Said,
}

/// Runs of one host, in order, without overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    runs: Vec<Run>,
}

impl Timeline {
    /// What was said of the window that starts here.
    pub fn at(&self, start_ns: i64) -> Option<&Said> {
        let after = self.runs.partition_point(|run| run.range.start <= start_ns);
        let run = &self.runs[after.checked_sub(1)?];
        (start_ns < run.range.end).then_some(&run.said)
    }

    /// Takes in what is said now of the windows that start in `within`; gives back where that changed anything.
    pub fn take(&mut self, within: Range<i64>, runs: &[VerdictRun], source: Source) -> Vec<Range<i64>> {
        let mut edges = BTreeSet::from([within.start, within.end]);
        let old_edges = self.runs.iter().flat_map(|run| [run.range.start, run.range.end]);
        let new_edges = runs.iter().flat_map(|run| [run.from_ns, run.to_ns]);
        edges.extend(
            old_edges
                .chain(new_edges)
                .filter(|edge| within.start < *edge && *edge < within.end),
        );
        let edges: Vec<i64> = edges.into_iter().collect();
        let (mut changed, mut replaced) = (Vec::new(), Vec::new());
        for edge in edges.windows(2) {
            let (start, end) = (edge[0], edge[1]);
            let old = self.at(start);
            let new = runs.iter().find(|run| run.from_ns <= start && start < run.to_ns);
            let said = joined(old, new, source);
            if !is_same(old, said.as_ref()) {
                changed.push(start..end);
            }
            replaced.extend(said.map(|said| Run {
                range: start..end,
                said,
            }));
        }
        self.splice(&within, replaced);
        changed
    }

    /// Puts runs in the place of what stood in a range.
    fn splice(&mut self, within: &Range<i64>, middle: Vec<Run>) {
        let old = std::mem::take(&mut self.runs);
        let part = |run: &Run, range: Range<i64>| {
            let range = run.range.start.max(range.start)..run.range.end.min(range.end);
            (range.start < range.end).then(|| Run {
                range,
                said: run.said.clone(),
            })
        };
        let before = old.iter().filter_map(|run| part(run, i64::MIN..within.start));
        let after = old.iter().filter_map(|run| part(run, within.end..i64::MAX));
        for run in before.chain(middle).chain(after) {
            match self.runs.last_mut() {
                Some(last) if last.range.end == run.range.start && last.said == run.said => {
                    last.range.end = run.range.end;
                }
                _ => self.runs.push(run),
            }
        }
        let excess = self.runs.len().saturating_sub(RUNS_MAX);
        self.runs.drain(..excess);
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Forgets what was said of windows that start before this.
    pub fn forget_before(&mut self, start_ns: i64) {
        self.runs.retain(|run| start_ns < run.range.end);
    }
}

/// Whether two words mean the same to a window.
fn is_same(old: Option<&Said>, new: Option<&Said>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => {
            (old.state, old.stage, &old.detail, old.lifts) == (new.state, new.stage, &new.detail, new.lifts)
        }
        (old, new) => old.is_none() && new.is_none(),
    }
}

/// Whether a state says that bytes are gone, which only a Map can know.
pub fn is_loss(state: HostState) -> bool {
    matches!(state, HostState::BytesLost | HostState::NotStarted)
}

fn joined(old: Option<&Said>, new: Option<&VerdictRun>, source: Source) -> Option<Said> {
    let new = new.filter(|run| run.state != HostState::Open);
    let same_memory = source != Source::Reread && old.is_some_and(|old| old.source == source);
    match old {
        Some(old) if is_loss(old.state) && !same_memory => return Some(old.clone()),
        // What is read apart from the stream says nothing against what the stream has proved.
        Some(old) if source == Source::Reread && (old.state.is_ok() || new.is_none()) => return Some(old.clone()),
        _ => {}
    }
    let state = |state: HostState| if state.is_ok() { HostState::Ok } else { state };
    new.map(|run| Said {
        state: state(run.state),
        stage: run.stage,
        detail: run.detail.as_deref().map(Arc::from),
        source,
        lifts: same_memory && old.is_some_and(|old| is_loss(old.state) || old.lifts),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use HostState::{Behind, BytesLost, Ok, Unreachable};

    fn run(from_ns: i64, to_ns: i64, state: HostState, stage: Stage) -> VerdictRun {
        VerdictRun {
            from_ns,
            to_ns,
            state,
            stage,
            detail: None,
        }
    }

    fn provisional(from_ns: i64, to_ns: i64, state: HostState) -> VerdictRun {
        run(from_ns, to_ns, state, Stage::Provisional)
    }

    fn shown(timeline: &Timeline) -> Vec<(i64, i64, HostState)> {
        let runs = timeline.runs.iter();
        runs.map(|run| (run.range.start, run.range.end, run.said.state))
            .collect()
    }

    const STREAM: Source = Source::Stream(1);
    const RESTARTED: Source = Source::Stream(2);

    #[test]
    fn a_report_replaces_from_its_first_run_on() {
        let mut timeline = Timeline::default();
        let changed = timeline.take(
            0..i64::MAX,
            &[provisional(0, 50, Ok), provisional(50, 60, Behind)],
            STREAM,
        );
        assert_eq!(changed, [0..50, 50..60]);
        let changed = timeline.take(40..i64::MAX, &[provisional(40, 55, Ok)], STREAM);
        assert_eq!(changed, [50..55, 55..60]);
        assert_eq!(shown(&timeline), [(0, 55, Ok)]);
        assert_eq!(timeline.take(0..i64::MAX, &[provisional(0, 55, Ok)], STREAM), []);
        assert_eq!((timeline.at(54).is_some(), timeline.at(55).is_none()), (true, true));
    }

    #[test]
    fn a_growing_run_changes_only_what_grew() {
        let mut timeline = Timeline::default();
        timeline.take(0..i64::MAX, &[provisional(0, 1000, Ok)], STREAM);
        let changed = timeline.take(0..i64::MAX, &[provisional(0, 1001, Ok)], STREAM);
        assert_eq!(changed, std::iter::once(1000..1001).collect::<Vec<_>>());
    }

    #[test]
    fn a_loss_is_lifted_only_by_the_memory_that_recorded_it() {
        let mut timeline = Timeline::default();
        timeline.take(0..i64::MAX, &[provisional(0, 10, BytesLost)], STREAM);
        assert_eq!(timeline.take(0..i64::MAX, &[provisional(0, 10, Ok)], RESTARTED), []);
        assert_eq!(timeline.take(0..10, &[provisional(0, 10, Ok)], Source::Reread), []);
        assert_eq!(shown(&timeline), [(0, 10, BytesLost)]);
        timeline.take(0..i64::MAX, &[provisional(0, 10, Ok)], STREAM);
        timeline.take(0..i64::MAX, &[run(0, 10, Ok, Stage::Settled)], STREAM);
        assert!(timeline.at(5).is_some_and(|said| said.state == Ok && said.lifts));
    }

    #[test]
    fn reading_apart_fills_gaps_and_contradicts_no_proof() {
        let mut timeline = Timeline::default();
        timeline.take(
            0..i64::MAX,
            &[provisional(0, 10, Ok), provisional(10, 20, Unreachable)],
            STREAM,
        );
        let all = [provisional(0, 10, Unreachable), provisional(10, 15, Ok)];
        assert_eq!(
            timeline.take(0..20, &all, Source::Reread),
            std::iter::once(10..15).collect::<Vec<_>>()
        );
        assert_eq!(shown(&timeline), [(0, 10, Ok), (10, 15, Ok), (15, 20, Unreachable)]);
    }

    #[test]
    fn what_is_old_is_forgotten_and_runs_are_bounded() {
        let mut timeline = Timeline::default();
        let runs: Vec<_> = (0..RUNS_MAX as i64 + 7)
            .map(|at| provisional(at, at + 1, if at % 2 == 0 { Ok } else { Behind }))
            .collect();
        timeline.take(0..i64::MAX, &runs, STREAM);
        assert_eq!(timeline.runs.len(), RUNS_MAX);
        assert!(timeline.at(6).is_none() && timeline.at(7).is_some());
        timeline.forget_before(100);
        assert!(timeline.at(99).is_none() && timeline.at(100).is_some());
    }
}
