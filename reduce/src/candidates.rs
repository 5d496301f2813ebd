//! Of a question for records: up to where a record may still be among those that are wanted.
//!
//! Each host sends as many records as are wanted of all. So that a large fleet costs no more memory than a few hosts,
//! what can no longer be among them is dropped while hosts answer. Counted on are records of hosts that are ok, once
//! for hosts of one origin; should less be counted in the end, the answer ends where something may be missing
//! ([`map::kept`]).

use crate::window::Window;
use map::kept::{End, Keep, drop_beyond};
use map::protocol::HostReport;
use std::collections::BTreeSet;

/// Bytes of what was kept after which windows are looked through again: a part of what a window's cells may have.
const LOOK_BYTES: usize = 2 << 20;

/// The best stamps so far.
#[derive(Debug)]
pub(crate) struct Candidates {
    keep: Keep,
    /// At most as many as are wanted, ordered from the end that is kept.
    stamps: Vec<i64>,
    /// Whose stamps were counted on.
    origins: BTreeSet<u64>,
    /// Bytes that came since windows were looked through.
    came_bytes: usize,
}

impl Candidates {
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            keep,
            stamps: Vec::new(),
            origins: BTreeSet::new(),
            came_bytes: 0,
        }
    }

    /// Drops of a report, and now and then of windows, what is not wanted; so many bytes less are held of windows.
    pub(crate) fn narrow(&mut self, report: &mut HostReport, windows: &mut [Window]) -> usize {
        self.count_on(report);
        if self.stamps.len() < usize::from(self.keep.limit) {
            return 0;
        }
        let Some(&horizon) = self.stamps.last() else { return 0 };
        drop_beyond(
            report.cells.iter_mut().flat_map(|cell| cell.partial.kept_mut()),
            horizon,
        );
        let kept = report.cells.iter().flat_map(|cell| cell.partial.kept());
        self.came_bytes += kept.map(|kept| kept.memory_bytes()).sum::<usize>();
        if self.came_bytes < LOOK_BYTES {
            return 0;
        }
        self.came_bytes = 0;
        windows.iter_mut().map(|window| window.drop_beyond(horizon)).sum()
    }

    fn count_on(&mut self, report: &HostReport) {
        if report.origin != 0 && !self.origins.insert(report.origin) {
            return;
        }
        let is_ok = |window_ns: i64| {
            let mut runs = report.verdicts.iter();
            runs.any(|run| run.state.is_ok() && run.from_ns <= window_ns && window_ns < run.to_ns)
        };
        let cells = report.cells.iter().filter(|cell| is_ok(cell.window_ns));
        let records = cells
            .flat_map(|cell| cell.partial.kept())
            .flat_map(|kept| kept.records());
        self.stamps.extend(records.map(|record| record.timestamp_nanos));
        match self.keep.end {
            End::First => self.stamps.sort_unstable(),
            End::Last => self.stamps.sort_unstable_by(|a, b| b.cmp(a)),
        }
        self.stamps.truncate(self.keep.limit.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::InventorySpan;
    use crate::question::Tally;
    use crate::stored::{StoredBody, StoredHeader, decode};
    use crate::terms::Terms;
    use map::extreme::Position;
    use map::kept::{Kept, cut};
    use map::plan::Plan;
    use map::protocol::{Cell, CellVersion, HostTarget};
    use map::state::State;
    use map::verdict::{HostState, Stage, VerdictRun};
    use map::wire::{WireGroup, WirePartial};
    use std::sync::Arc;

    const WINDOW_NS: i64 = 60_000_000_000;
    const KEEP: Keep = Keep {
        limit: 3,
        end: End::First,
    };

    fn target(host: &str) -> HostTarget {
        HostTarget {
            host: host.to_owned(),
            address: format!("{host}:1"),
            labels: std::collections::BTreeMap::new(),
        }
    }

    fn tally(hosts: &[&str], keep: Keep) -> Tally {
        let monitor = configs::parse_mql("select count() every 1m").expect("a good question");
        let plan = Plan::new(&monitor)
            .expect("it can be counted")
            .keeping(keep, 0..i64::MAX);
        let terms = Terms {
            shape: Arc::new(plan.shape()),
            grace_ns: 0,
        };
        let span = InventorySpan {
            from_ns: i64::MIN,
            version: 1,
            hosts: hosts.iter().map(|host| target(host)).collect(),
        };
        Tally::new(terms, 0..WINDOW_NS, &[span], 10 * WINDOW_NS).expect("a good question")
    }

    fn report(host: &str, origin: u64, keep: Keep, stamps: &[i64], state: HostState) -> HostReport {
        let mut kept = Kept::new(keep);
        for (offset, stamp) in stamps.iter().enumerate() {
            let position = Position {
                timestamp_nanos: *stamp,
                host: host.as_bytes(),
                path: b"/a.log",
                generation: 1,
                offset: offset as u64,
            };
            kept.add(position, 1, || cut(b"text"));
        }
        let records = stamps.len() as u64;
        let partial = WirePartial {
            records,
            bad_values: vec![0, 0],
            groups: vec![WireGroup {
                key: Vec::new(),
                records,
                states: vec![State::Count(records), State::Records(Box::new(kept))],
            }],
            ..WirePartial::default()
        };
        let version = CellVersion {
            profile: 1,
            read_to: 1,
            epoch: 0,
            attempt: 1,
        };
        HostReport {
            origin,
            cells: vec![Cell {
                window_ns: 0,
                generation: 1,
                version,
                partial,
                ambiguous: false,
            }],
            verdicts: vec![VerdictRun {
                from_ns: 0,
                to_ns: WINDOW_NS,
                state,
                stage: Stage::Settled,
                detail: None,
            }],
            ..HostReport::silent(host.to_owned())
        }
    }

    /// What would be shown, and how many records there are.
    fn shown(tally: &Tally) -> (Vec<(i64, String)>, u64) {
        let shape = Arc::clone(tally.shape());
        let merged = tally.drafts().into_iter().map(|draft| draft.merge(&shape)).collect();
        let windows = tally.windows(merged, 1);
        let header: StoredHeader = decode("header", &windows[0].header).expect("reads");
        let body: StoredBody = decode("body", &windows[0].body).expect("reads");
        let partial = body.into_partial(&shape).expect("of this shape");
        let kept = partial.groups.kept().next().expect("records").clone();
        let shown = kept.shown().into_iter();
        (
            shown.map(|it| (it.timestamp_nanos, it.host.clone())).collect(),
            header.records,
        )
    }

    #[track_caller]
    fn check(tally: &Tally, expected: &[(i64, &str)], records: u64) {
        let expected: Vec<(i64, String)> = expected
            .iter()
            .map(|(stamp, host)| (*stamp, (*host).to_owned()))
            .collect();
        assert_eq!(shown(tally), (expected, records));
    }

    #[test]
    fn the_first_of_all_hosts_are_shown_in_whatever_order_they_answer() {
        for order in [["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"]] {
            let mut tally = tally(&["a", "b", "c"], KEEP);
            for host in order {
                let stamps: &[i64] = match host {
                    "a" => &[50, 60, 70],
                    "b" => &[10, 60, 90],
                    _ => &[50, 80, 95],
                };
                tally.take(report(host, 0, KEEP, stamps, HostState::Ok));
            }
            check(&tally, &[(10, "b"), (50, "a"), (50, "c")], 9);
        }
    }

    /// A host that is not ok holds no place, and neither does the same agent under another name.
    #[test]
    fn only_what_counts_is_counted_on() {
        let mut tally = tally(&["a", "b", "c", "d"], KEEP);
        tally.take(report("a", 0, KEEP, &[1, 2, 3], HostState::BytesLost));
        tally.take(report("b", 7, KEEP, &[10, 20, 30], HostState::Ok));
        tally.take(report("c", 7, KEEP, &[10, 20, 30], HostState::Ok));
        tally.take(report("d", 0, KEEP, &[25, 40], HostState::Ok));
        let (shown, records) = shown(&tally);
        let stamps: Vec<i64> = shown.iter().map(|(stamp, _)| *stamp).collect();
        assert_eq!((stamps, records), (vec![10, 20, 25], 5));
    }

    /// Thousands of hosts send as many records as are wanted of all; no more than some MiB of them are held.
    #[test]
    fn a_large_fleet_is_held_to_a_few_mebibytes() {
        let keep = Keep { limit: 100, ..KEEP };
        let names: Vec<String> = (0..2_000).map(|n| format!("h{n:04}")).collect();
        let hosts: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut tally = tally(&hosts, keep);
        for (n, host) in hosts.iter().enumerate() {
            // Each host's records are before those of the one before.
            let stamps: Vec<i64> = (0..100).map(|stamp| 1_000_000 - 200 * n as i64 + stamp).collect();
            tally.take(report(host, 0, keep, &stamps, HostState::Ok));
            assert!(tally.cells_bytes() < 8 << 20, "{}", tally.cells_bytes());
        }
        let (shown, records) = shown(&tally);
        assert!(shown.len() == 100 && shown.iter().all(|(_, host)| host == "h1999"));
        assert_eq!(records, 200_000);
    }
}
