//! The ledger with a store in memory, case by case.

use super::*;
use crate::protocol::{InventorySpan, NodeAddress, Place, ShardPlan};
use crate::stored::StoredHeader;
use crate::testing::{MONITOR, MemoryStore, SECOND_NS, cell, counts, report, run, shape, target};
use crate::window::{BODY_BYTES_MAX, PATIENCE_NS, PIECES_KEPT_NS};
use HostState::{Behind, BytesLost, Duplicate, Left, NoFile, Ok, OkSilent, Timeout, Unreachable};
use Stage::{Provisional, Settled};
use map::protocol::{Definition, HostReport};

const DAY_NS: i64 = 86_400 * SECOND_NS;

pub(super) fn task(spans: &[(i64, &[&str])]) -> MonitorTask {
    let span = |(at, (from_s, hosts)): (usize, &(i64, &[&str]))| InventorySpan {
        from_ns: from_s * SECOND_NS,
        version: at as u64 + 1,
        hosts: hosts.iter().map(|host| target(host)).collect(),
    };
    MonitorTask {
        monitor: "pay".to_owned(),
        version: 7,
        epoch: 1,
        definition: Definition::Yaml(MONITOR.to_owned()),
        from_ns: 0,
        until_ns: None,
        inventory: spans.iter().enumerate().map(span).collect(),
        place: Place {
            app: "shop".to_owned(),
            path: "/l".to_owned(),
            maps: Vec::new(),
        },
        horizon_ns: DAY_NS,
        tenant: None,
        profiles: Vec::new(),
    }
}

/// All hosts of the newest span on one Map.
pub(super) fn shards(task: &MonitorTask) -> Vec<ShardPlan> {
    let newest = task.inventory.last().map_or(&[][..], |span| &span.hosts);
    vec![ShardPlan {
        shard: 3,
        map: NodeAddress {
            node: "map-1".to_owned(),
            address: "map:1".to_owned(),
        },
        hosts: newest.iter().map(|target| target.host.clone()).collect(),
    }]
}

/// A ledger, driven as the node drives it.
pub(super) struct Desk {
    pub(super) store: MemoryStore,
    pub(super) ledger: Ledger,
    pub(super) now_ns: i64,
    /// So many of the next writes are done, and reported as failed.
    pub(super) unsure: u32,
    pub(super) is_deposed: bool,
}

impl Desk {
    pub(super) fn new(task: MonitorTask) -> Self {
        Self::on(MemoryStore::default(), task, 0)
    }

    pub(super) fn on(store: MemoryStore, task: MonitorTask, now_ns: i64) -> Self {
        Self::counting(shape(), store, task, now_ns)
    }

    fn counting(shape: Shape, store: MemoryStore, task: MonitorTask, now_ns: i64) -> Self {
        let terms = Terms {
            shape: Arc::new(shape),
            grace_ns: SECOND_NS,
        };
        let mut ledger = Ledger::new(terms, task);
        ledger.place(&shards(ledger.task()));
        for stored in store.windows_now("pay", &(i64::MIN..i64::MAX), usize::MAX) {
            ledger.restore(&stored).expect("reads");
        }
        ledger.asked(3, asked(0));
        Self {
            store,
            ledger,
            now_ns,
            unsure: 0,
            is_deposed: false,
        }
    }

    /// A new owner that knows what the store knows.
    pub(super) fn restart(&mut self) {
        let task = self.ledger.task().clone();
        *self = Self::on(self.store.clone(), task, self.now_ns);
    }

    pub(super) fn at_s(&mut self, now_s: i64) -> &mut Self {
        self.now_ns = self.now_ns.max(now_s * SECOND_NS);
        loop {
            let next_ns = self.ledger.tick(self.now_ns);
            self.flush();
            if next_ns > self.now_ns || self.is_deposed {
                break;
            }
        }
        self
    }

    fn flush(&mut self) {
        while self.ledger.has_work() && !self.is_deposed {
            let batch = self.ledger.next_batch();
            for range in &batch.loads {
                let windows = self.store.windows_now("pay", range, usize::MAX);
                let pieces = self.store.pieces_now("pay", range);
                self.ledger.load(range, windows, &pieces).expect("reads");
            }
            let shape = Arc::clone(self.ledger.shape());
            let drafts = self.ledger.drafts(&batch, self.now_ns);
            assert!(!drafts.is_empty(), "nothing can be done of {batch:?}");
            let finished = drafts.into_iter().map(|draft| draft.merge(&shape)).collect();
            for (write, change) in self.ledger.changes(finished) {
                self.write(&write, change);
            }
            self.ledger.trim();
        }
    }

    fn write(&mut self, write: &WindowWrite, change: Change) {
        if self.is_deposed {
            return;
        }
        let outcome = self.store.write_now(std::slice::from_ref(write)).expect("works")[0];
        if self.unsure > 0 {
            self.unsure -= 1;
            return self.ledger.outrun(write.window_ns);
        }
        match outcome {
            store::WriteOutcome::Written => self.ledger.written(write.window_ns, change),
            store::WriteOutcome::Already => self.ledger.outrun(write.window_ns),
            store::WriteOutcome::Refused { stored } => {
                self.ledger.outrun(write.window_ns);
                self.is_deposed = stored.epoch > self.ledger.task().epoch;
            }
        }
    }

    pub(super) fn hear(&mut self, memory: u64, report: HostReport) -> &mut Self {
        if self.is_deposed {
            return self;
        }
        self.ledger.take_stream(3, memory, vec![report]);
        self.flush();
        self
    }

    pub(super) fn hear_reread(&mut self, within_s: Range<i64>, report: HostReport) -> &mut Self {
        let within = within_s.start * SECOND_NS..within_s.end * SECOND_NS;
        self.ledger.take_reread(&within, vec![report]);
        self.flush();
        self
    }

    pub(super) fn header(&self, start_s: i64) -> StoredHeader {
        self.store.header(start_s * SECOND_NS).expect("it is stored")
    }

    #[track_caller]
    fn check(&self, start_s: i64, state: WindowState, hosts: &[HostState], records: u64) {
        let header = self.header(start_s);
        let states: Vec<HostState> = header.hosts.states().map(|(state, _)| state).collect();
        assert_eq!((header.state, &*states, header.records), (state, hosts, records));
        let groups: u64 = self.store.groups(start_s * SECOND_NS).values().sum();
        assert_eq!(groups, records, "the body is what the header says");
    }
}

fn asked(since_ns: i64) -> Asked {
    Asked {
        since_ns,
        unreachable: None,
    }
}

pub(super) fn ns(seconds: i64) -> i64 {
    seconds * SECOND_NS
}

/// `records` records of group `a` and half as many of `b` in one window, and a verdict on it.
fn say(host: &str, start_s: i64, records: u64, state: HostState, stage: Stage) -> HostReport {
    let cells = match records {
        0 => Vec::new(),
        records => vec![cell(&shape(), ns(start_s), 1, records, records)],
    };
    report(host, cells, vec![run(ns(start_s), ns(start_s + 1), state, stage)])
}

#[test]
fn a_window_goes_from_open_to_provisional_to_settled() {
    let mut desk = Desk::new(task(&[(0, &["a", "b"])]));
    desk.at_s(0)
        .hear(1, report("a", vec![cell(&shape(), 0, 1, 10, 4)], Vec::new()));
    desk.check(0, WindowState::Open, &[HostState::Open, HostState::Open], 6);
    desk.at_s(2).hear(1, say("a", 0, 4, Ok, Provisional));
    desk.check(0, WindowState::Open, &[Ok, HostState::Open], 6);
    desk.hear(1, say("b", 0, 0, Ok, Provisional));
    desk.check(0, WindowState::Provisional, &[Ok, OkSilent], 6);
    desk.hear(1, say("a", 0, 0, Ok, Settled))
        .hear(1, say("b", 0, 0, Ok, Settled));
    desk.check(0, WindowState::Settled, &[Ok, OkSilent], 6);
    assert_eq!(desk.ledger.newest_ns(), Some(0));
}

#[test]
fn below_100_only_hosts_that_are_ok_count_and_others_join_later() {
    let mut desk = Desk::new(task(&[(0, &["a", "b"])]));
    desk.at_s(2).hear(1, say("a", 0, 4, Ok, Provisional));
    desk.hear(1, say("b", 0, 100, NoFile, Provisional));
    desk.check(0, WindowState::Provisional, &[Ok, NoFile], 6);
    desk.restart();
    desk.hear_reread(0..1, say("b", 0, 0, Ok, Provisional));
    desk.check(0, WindowState::Provisional, &[Ok, Ok], 156);
}

#[test]
fn silence_is_open_for_a_while_and_then_has_a_name() {
    let mut desk = Desk::new(task(&[(0, &["a"])]));
    let patience_s = PATIENCE_NS / SECOND_NS;
    desk.at_s(1 + patience_s);
    desk.check(0, WindowState::Open, &[HostState::Open], 0);
    desk.at_s(2 + patience_s);
    desk.check(0, WindowState::Provisional, &[Timeout], 0);
    let unreachable = Some("map-1 cannot be asked".into());
    let since_ns = 0;
    desk.ledger.asked(3, Asked { since_ns, unreachable });
    desk.at_s(3 + patience_s);
    desk.check(1, WindowState::Provisional, &[Unreachable], 0);
    let details: Vec<String> = desk.header(1).hosts.details.into_values().collect();
    assert_eq!(details, ["map-1 cannot be asked"]);
    desk.check(0, WindowState::Provisional, &[Timeout], 0);
}

#[test]
fn a_published_host_stays_ok_whatever_is_said_but_a_withdrawal() {
    let mut desk = Desk::new(task(&[(0, &["a", "b"])]));
    desk.at_s(2).hear(1, say("a", 0, 4, Ok, Provisional));
    desk.hear(1, say("b", 0, 2, Ok, Provisional));
    let revision = |desk: &Desk| desk.store.kept().history.len();
    let before = revision(&desk);
    for state in [
        Unreachable,
        Timeout,
        NoFile,
        HostState::Denied,
        HostState::OverBudget,
        HostState::Unstamped,
    ] {
        desk.hear(2, say("a", 0, 0, state, Provisional));
    }
    desk.hear(2, report("a", vec![cell(&shape(), 0, 1, 1, 1)], Vec::new()));
    desk.restart();
    desk.hear(3, say("a", 0, 0, Unreachable, Provisional));
    assert_eq!(revision(&desk), before, "nothing changed, so nothing was written");
    desk.check(0, WindowState::Provisional, &[Ok, Ok], 9);

    desk.hear(3, say("a", 0, 0, Behind, Provisional));
    desk.check(0, WindowState::Provisional, &[Behind, Ok], 9);
    assert_eq!(desk.header(0).withdrawn, [("a".to_owned(), Behind)]);
    desk.restart();
    desk.hear(4, say("a", 0, 0, Unreachable, Provisional));
    desk.check(0, WindowState::Provisional, &[Behind, Ok], 9);
    desk.hear(4, say("a", 0, 0, Ok, Settled));
    desk.check(0, WindowState::Provisional, &[Ok, Ok], 9);
    assert_eq!(desk.header(0).withdrawn, []);
}

/// C6: a loss is for ever, unless the memory that recorded it says otherwise.
#[test]
fn lost_bytes_stay_lost_over_restarts_of_maps_and_owners() {
    let mut desk = Desk::new(task(&[(0, &["a"])]));
    desk.at_s(2).hear(1, say("a", 0, 4, Ok, Provisional));
    desk.hear(1, say("a", 0, 0, BytesLost, Settled));
    desk.check(0, WindowState::Settled, &[BytesLost], 6);
    desk.hear(2, say("a", 0, 9, Ok, Settled));
    desk.hear_reread(0..1, say("a", 0, 9, Ok, Settled));
    desk.restart();
    desk.hear(1, say("a", 0, 9, Ok, Settled))
        .hear_reread(0..1, say("a", 0, 0, Ok, Settled));
    let header = desk.header(0);
    assert_eq!(header.hosts.hosts().percent(), Some(0));
    let mut desk = Desk::new(task(&[(0, &["a"])]));
    desk.at_s(2).hear(1, say("a", 0, 4, BytesLost, Settled));
    desk.hear(1, say("a", 0, 6, Ok, Settled));
    desk.check(0, WindowState::Settled, &[Ok], 9);
}

#[test]
fn late_bytes_and_late_verdicts_reopen_a_settled_window() {
    let mut desk = Desk::new(task(&[(0, &["a"])]));
    desk.at_s(2).hear(1, say("a", 0, 4, Ok, Settled));
    desk.check(0, WindowState::Settled, &[Ok], 6);
    desk.at_s(300)
        .hear(1, report("a", vec![cell(&shape(), 0, 2, 5, 2)], Vec::new()));
    desk.check(0, WindowState::Settled, &[Ok], 9);
    desk.hear(1, say("a", 0, 0, Ok, Provisional));
    desk.hear(1, report("a", vec![cell(&shape(), 0, 2, 6, 4)], Vec::new()));
    desk.check(0, WindowState::Provisional, &[Ok], 12);
}

#[test]
fn what_comes_after_the_pieces_are_gone_is_never_silent() {
    let mut desk = Desk::new(task(&[(0, &["a"])]));
    desk.at_s(2).hear(1, say("a", 0, 4, Ok, Settled));
    let kept_s = PIECES_KEPT_NS / SECOND_NS;
    desk.hear(1, report("a", Vec::new(), vec![run(0, ns(kept_s + 99), Ok, Settled)]));
    desk.at_s(kept_s + 1);
    let stored = desk.store.windows_now("pay", &(0..1), 1);
    assert!(stored[0].done && desk.store.pieces_now("pay", &(0..1)).is_empty());
    desk.check(0, WindowState::Settled, &[Ok], 6);
    desk.restart();
    desk.hear(2, report("a", vec![cell(&shape(), 0, 1, 99, 9)], Vec::new()));
    desk.check(0, WindowState::Settled, &[Behind], 6);
    assert_eq!(desk.header(0).withdrawn, [("a".to_owned(), Behind)]);
    desk.hear(2, say("a", 0, 0, Ok, Settled)).restart();
    desk.hear_reread(0..1, say("a", 0, 12, Ok, Settled));
    desk.check(0, WindowState::Settled, &[Behind], 6);
}

#[test]
fn past_the_horizon_a_window_settles_at_whatever_percent() {
    let mut task = task(&[(0, &["a", "b"])]);
    (task.horizon_ns, task.until_ns) = (ns(60), Some(ns(1)));
    let mut desk = Desk::new(task);
    desk.at_s(2).hear(1, say("a", 0, 4, Ok, Settled));
    desk.hear(1, say("b", 0, 2, Unreachable, Provisional));
    desk.at_s(60);
    desk.check(0, WindowState::Provisional, &[Ok, Unreachable], 6);
    assert_eq!(desk.ledger.below().0, 1);
    desk.at_s(61);
    desk.check(0, WindowState::Settled, &[Ok, Unreachable], 6);
    assert!(desk.store.windows_now("pay", &(0..1), 1)[0].done);
    assert_eq!(desk.ledger.below().0, 0);
}

#[test]
fn the_inventory_decides_who_is_expected() {
    let spans: &[(i64, &[&str])] = &[(1, &["a@x", "b@x", "c"]), (3, &["a@x", "c"])];
    let mut desk = Desk::new(task(spans));
    desk.at_s(5);
    for host in ["a", "c"] {
        desk.hear(1, report(host, Vec::new(), vec![run(0, ns(5), Ok, Settled)]));
    }
    let header = desk.header(0);
    assert_eq!((header.inventory_version, header.hosts.hosts().percent()), (None, None));
    desk.check(1, WindowState::Settled, &[OkSilent, Duplicate, OkSilent], 0);
    desk.check(3, WindowState::Settled, &[OkSilent, OkSilent], 0);
}

/// A report of so many records in window 1, of a log of an agent.
fn of_origin(host: &str, origin: u64, records: u64) -> HostReport {
    HostReport {
        origin,
        ..say(host, 1, records, Ok, Settled)
    }
}

#[test]
fn an_agent_behind_two_addresses_is_counted_once() {
    let mut desk = Desk::new(task(&[(0, &["a", "b", "c"])]));
    desk.at_s(3).hear(1, of_origin("b", 77, 4));
    desk.hear(1, of_origin("c", 78, 2));
    desk.check(1, WindowState::Open, &[HostState::Open, Ok, Ok], 9);
    // Whoever came first in the roll or not: what was ok stays ok.
    desk.hear(1, of_origin("a", 77, 4)).at_s(20);
    desk.check(1, WindowState::Settled, &[Duplicate, Ok, Ok], 9);
    let details = desk.header(1).hosts.details;
    assert_eq!(
        details.values().collect::<Vec<_>>(),
        ["its agent is that of b, which counts the same log"]
    );
}

#[test]
fn what_two_names_counted_before_it_was_known_is_counted_once_from_then_on() {
    let mut desk = Desk::new(task(&[(0, &["a", "b"])]));
    desk.at_s(3).hear(1, of_origin("a", 0, 4)).hear(1, of_origin("b", 0, 4));
    desk.check(1, WindowState::Settled, &[Ok, Ok], 12);
    desk.hear(1, of_origin("a", 77, 4)).hear(1, of_origin("b", 77, 4));
    desk.check(1, WindowState::Settled, &[Ok, Duplicate], 6);
    assert_eq!(desk.header(1).withdrawn, []);
}

#[test]
fn a_host_that_is_renamed_is_not_counted_under_both_names() {
    // Its window was published before the new name was known, which is in force from one refresh earlier.
    for origin in [0, 77] {
        let (old, new) = match origin {
            0 => ("b@x", "c@x"),
            _ => ("b", "c"),
        };
        let mut desk = Desk::new(task(&[(0, &["a", old])]));
        desk.at_s(3)
            .hear(1, of_origin("a", 1, 4))
            .hear(1, of_origin("b", origin, 4));
        desk.check(1, WindowState::Settled, &[Ok, Ok], 12);
        let mut changed = task(&[(0, &["a", old]), (1, &["a", new])]);
        changed.epoch = 2;
        desk.ledger.place(&shards(&changed));
        desk.ledger.change_task(changed);
        desk.flush();
        assert_eq!(desk.header(1).withdrawn, [("b".to_owned(), Left)]);
        desk.hear(1, of_origin("c", origin, 4));
        desk.check(1, WindowState::Settled, &[Ok, Ok], 12);
        assert_eq!(desk.header(1).withdrawn, []);
    }
}

#[test]
fn a_changed_inventory_reopens_what_it_speaks_of() {
    let mut desk = Desk::new(task(&[(0, &["a", "b"])]));
    desk.at_s(3);
    for host in ["a", "b"] {
        let cells = vec![cell(&shape(), 0, 1, 9, 4), cell(&shape(), ns(1), 1, 9, 4)];
        desk.hear(1, report(host, cells, vec![run(0, ns(2), Ok, Settled)]));
    }
    desk.check(1, WindowState::Settled, &[Ok, Ok], 12);
    let mut changed = task(&[(0, &["a", "b"]), (1, &["a", "c"])]);
    changed.epoch = 2;
    desk.ledger.place(&shards(&changed));
    desk.ledger.change_task(changed);
    desk.flush();
    desk.check(0, WindowState::Settled, &[Ok, Ok], 12);
    desk.check(1, WindowState::Provisional, &[Ok, Timeout], 12);
    assert_eq!(desk.header(1).withdrawn, [("b".to_owned(), Left)]);
    desk.hear(1, say("c", 1, 2, Ok, Settled));
    desk.check(1, WindowState::Settled, &[Ok, Ok], 15);
}

#[test]
fn a_host_that_leaves_within_a_window_has_left() {
    let mut task = task(&[(0, &["a", "b"])]);
    task.inventory.push(InventorySpan {
        from_ns: 500_000_000,
        version: 2,
        hosts: vec![target("a")],
    });
    let mut desk = Desk::new(task);
    desk.at_s(2)
        .hear(1, say("a", 0, 4, Ok, Settled))
        .hear(1, say("b", 0, 4, Ok, Settled));
    desk.check(0, WindowState::Settled, &[Ok, Left], 6);
}

#[test]
fn a_map_that_forgot_all_begins_where_its_hosts_are_not_proved() {
    let mut desk = Desk::new(task(&[(0, &["a", "b"])]));
    desk.at_s(10);
    desk.hear(
        1,
        report(
            "a",
            Vec::new(),
            vec![run(0, ns(6), Ok, Settled), run(ns(6), ns(8), Ok, Provisional)],
        ),
    );
    desk.hear(
        1,
        report(
            "b",
            Vec::new(),
            vec![run(0, ns(3), Ok, Settled), run(ns(3), ns(8), NoFile, Provisional)],
        ),
    );
    let hosts = ["a".to_owned(), "b".to_owned()];
    let expected = BTreeMap::from([("a".to_owned(), ns(6)), ("b".to_owned(), ns(3))]);
    assert_eq!(desk.ledger.first_windows(&hosts, desk.now_ns), expected);
    desk.restart();
    desk.at_s(10);
    assert_eq!(desk.ledger.first_windows(&hosts, desk.now_ns), expected);
    let plans = desk.ledger.reread_plans(&[0, ns(3), ns(4), ns(6), ns(99)]);
    let ranges: Vec<_> = plans
        .iter()
        .map(|plan| (plan.within.clone(), plan.hosts[0].host.as_str()))
        .collect();
    assert_eq!(ranges, [(ns(6)..ns(7), "b"), (ns(3)..ns(5), "b")]);
}

/// Nobody can read such windows again: each says so in the store, and so does each of its points.
#[test]
fn every_window_by_arrival_is_flagged_with_counts_or_without() {
    let shape = Shape {
        is_by_arrival: true,
        ..shape()
    };
    let store = MemoryStore::default();
    let mut desk = Desk::counting(shape.clone(), store.clone(), task(&[(0, &["a", "b"])]), 0);
    desk.at_s(4).hear(1, say("a", 0, 4, Ok, Settled));
    desk.hear(1, say("b", 0, 0, Ok, Settled));
    desk.hear(1, say("a", 1, 0, Ok, Settled))
        .hear(1, say("b", 1, 0, Ok, Settled));
    desk.hear(1, say("a", 2, 0, BytesLost, Settled));
    for (start_s, records) in [(0, 6), (1, 0), (2, 0)] {
        assert_eq!(
            desk.header(start_s).flags,
            [crate::point::Flag::ArrivalTime],
            "window {start_s}"
        );
        assert_eq!(desk.header(start_s).records, records);
        let stored = store.windows_now("pay", &(ns(start_s)..ns(start_s + 1)), 1);
        let points = crate::stored::points(&shape, &stored[0]).expect("reads");
        assert!(!points.is_empty());
        for point in points {
            let json = serde_json::to_value(&point).expect("a point is JSON");
            assert_eq!(
                json["completeness"]["flags"],
                serde_json::json!(["arrival_time"]),
                "{json}"
            );
        }
    }
    // Nor is the flag one of other monitors.
    let mut desk = Desk::new(task(&[(0, &["a"])]));
    desk.at_s(2).hear(1, say("a", 0, 4, Ok, Settled));
    assert_eq!(desk.header(0).flags, []);
}

#[test]
fn another_owners_write_is_read_before_ours_is_repeated() {
    let mut desk = Desk::new(task(&[(0, &["a", "b"])]));
    desk.at_s(2);
    let mut other = Desk::on(desk.store.clone(), task(&[(0, &["a", "b"])]), desk.now_ns);
    other
        .at_s(2)
        .hear(1, say("a", 0, 4, Ok, Provisional))
        .hear(1, say("b", 0, 0, NoFile, Provisional));
    other.check(0, WindowState::Provisional, &[Ok, NoFile], 6);
    desk.hear(2, say("b", 0, 2, Ok, Provisional));
    desk.check(0, WindowState::Provisional, &[Ok, Ok], 9);
}

#[test]
fn memory_is_bounded_and_cold_windows_come_back() {
    let windows = HOT_WINDOWS_MAX as i64 + 500;
    let mut desk = Desk::new(task(&[(0, &["a", "b"])]));
    desk.at_s(windows + 20);
    assert!(desk.ledger.hot_windows() <= HOT_WINDOWS_MAX);
    let cells = (0..windows).map(|at| cell(&shape(), ns(at), 1, 2, 2)).collect();
    desk.hear(1, report("a", cells, vec![run(0, ns(windows), Ok, Settled)]));
    desk.hear(1, report("b", Vec::new(), vec![run(0, ns(windows), Ok, Settled)]));
    assert!(desk.ledger.hot_windows() < 100, "what is settled leaves memory");
    for start_s in [0, 700, windows - 1] {
        desk.check(start_s, WindowState::Settled, &[Ok, OkSilent], 3);
    }
}

/// A cell of one generation whose one group has a key of a MiB.
fn large_cell(generation: u64) -> map::protocol::Cell {
    let group = format!("{generation:04}{}", "x".repeat(1 << 20));
    map::protocol::Cell {
        partial: counts(&shape(), &[(&group, generation)]),
        ..cell(&shape(), 0, generation, 1, 0)
    }
}

/// C8: what is large goes into the store in parts, and is folded until it fits.
#[test]
fn a_large_window_is_written_in_parts_and_its_groups_are_folded() {
    let mut desk = Desk::new(task(&[(0, &["a", "b"])]));
    desk.hear(1, report("b", vec![cell(&shape(), 0, 1, 2, 2)], Vec::new()));
    let cells: Vec<_> = (1..=12).map(large_cell).collect();
    desk.at_s(2)
        .hear(1, report("a", cells.clone(), vec![run(0, ns(1), Ok, Settled)]));
    desk.hear(1, say("b", 0, 0, Ok, Settled));
    let header = desk.header(0);
    assert_eq!(
        (header.state, header.records),
        (WindowState::Settled, (1..=12).sum::<u64>() + 3)
    );
    assert_eq!(header.flags, [crate::point::Flag::GroupsFolded]);
    let overflow = header.overflow.expect("it says which columns");
    assert_eq!((&*overflow.columns, overflow.values), (&["g".to_owned()][..], 14));
    assert_eq!(desk.ledger.overflow(), Some(&overflow));
    let stored = desk.store.windows_now("pay", &(0..1), 1);
    assert!(stored[0].body.len() <= BODY_BYTES_MAX);
    let most: Vec<u64> = desk
        .store
        .groups(0)
        .into_values()
        .filter(|records| *records > 9)
        .collect();
    assert_eq!(most, [10, 11, 12], "the groups with most records are kept");
    let history = desk.store.kept().history.len();
    desk.restart();
    desk.hear(1, report("a", cells, vec![run(0, ns(1), Ok, Settled)]));
    assert_eq!(desk.store.kept().history.len(), history, "all of it was there");
    assert_eq!(desk.ledger.overflow(), Some(&overflow), "its header says it");
}

/// Who repairs must know which windows are settled without a host that was suspended.
#[test]
fn windows_below_100_say_whether_they_are_settled() {
    let mut desk = Desk::new(task(&[(0, &["a", "b"])]));
    desk.at_s(3).hear(1, say("a", 0, 4, Ok, Settled));
    let runs = [(0, Settled), (1, Provisional)];
    let runs = runs.map(|(start_s, stage)| run(ns(start_s), ns(start_s + 1), HostState::OverBudget, stage));
    desk.hear(1, report("b", Vec::new(), runs.to_vec()));
    desk.hear(1, report("a", Vec::new(), vec![run(0, ns(2), Ok, Settled)]));
    let (_, below) = desk.ledger.below();
    let below: Vec<_> = below.iter().map(|below| (below.window_ns, below.is_settled)).collect();
    assert_eq!(below, [(ns(1), false), (0, true)]);
}

#[test]
fn a_window_that_is_too_large_says_so_and_of_whom() {
    let mut desk = Desk::new(task(&[(0, &["a", "b"])]));
    let cells: Vec<_> = (1..=21).map(large_cell).collect();
    desk.at_s(2)
        .hear(1, report("a", cells, vec![run(0, ns(1), Ok, Settled)]));
    desk.hear(1, say("b", 0, 0, Ok, Settled));
    desk.check(0, WindowState::Provisional, &[HostState::OverBudget, OkSilent], 0);
    desk.restart();
    desk.hear(1, say("a", 0, 0, Ok, Settled));
    desk.check(0, WindowState::Provisional, &[HostState::OverBudget, OkSilent], 0);
}

/// The past does not change: a task that no longer tells it takes nothing from it.
#[test]
fn a_task_without_history_leaves_what_was_published() {
    let mut desk = Desk::new(task(&[(0, &["a", "b"])]));
    desk.at_s(2)
        .hear(1, say("a", 0, 4, Ok, Provisional))
        .hear(1, say("b", 0, 2, Ok, Provisional));
    let mut changed = task(&[(0, &["a", "b"]), (1, &["a", "b", "c"])]);
    changed.inventory.remove(0);
    desk.ledger.place(&shards(&changed));
    desk.ledger.change_task(changed);
    desk.flush();
    desk.check(0, WindowState::Provisional, &[Ok, Ok], 9);
}
