//! The ledger with a store in memory: case by case, and random histories against one clean pass.

use super::*;
use crate::protocol::{InventorySpan, NodeAddress, ShardPlan};
use crate::stored::StoredHeader;
use crate::testing::{MONITOR, MemoryStore, SECOND_NS, cell, report, run, shape, target};
use crate::window::{PATIENCE_NS, PIECES_KEPT_NS};
use HostState::{Behind, BytesLost, Duplicate, Left, NoFile, Ok, OkSilent, Timeout, Unreachable};
use Stage::{Provisional, Settled};
use map::protocol::{Definition, HostReport};
use map::verdict::VerdictRun;
use proptest::prelude::*;

const DAY_NS: i64 = 86_400 * SECOND_NS;

fn task(spans: &[(i64, &[&str])]) -> MonitorTask {
    let span = |(at, (from_s, hosts)): (usize, &(i64, &[&str]))| InventorySpan {
        from_ns: from_s * SECOND_NS,
        version: at as u64 + 1,
        hosts: hosts.iter().map(|host| target(host)).collect(),
    };
    let newest = spans.last().map_or(&[][..], |(_, hosts)| hosts);
    MonitorTask {
        monitor: "pay".to_owned(),
        version: 7,
        epoch: 1,
        definition: Definition::Yaml(MONITOR.to_owned()),
        from_ns: 0,
        until_ns: None,
        inventory: spans.iter().enumerate().map(span).collect(),
        shards: vec![ShardPlan {
            shard: 3,
            map: NodeAddress {
                node: "map-1".to_owned(),
                address: "map:1".to_owned(),
            },
            hosts: newest.iter().map(|host| target(host).host).collect(),
        }],
        horizon_ns: DAY_NS,
    }
}

/// A ledger, driven as the node drives it.
struct Desk {
    store: MemoryStore,
    ledger: Ledger,
    now_ns: i64,
    /// So many of the next writes are done, and reported as failed.
    unsure: u32,
    is_deposed: bool,
}

impl Desk {
    fn new(task: MonitorTask) -> Self {
        Self::on(MemoryStore::default(), task, 0)
    }

    fn on(store: MemoryStore, task: MonitorTask, now_ns: i64) -> Self {
        let terms = Terms {
            shape: Arc::new(shape()),
            grace_ns: SECOND_NS,
        };
        let mut ledger = Ledger::new(terms, task);
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
    fn restart(&mut self) {
        let task = self.ledger.task().clone();
        *self = Self::on(self.store.clone(), task, self.now_ns);
    }

    fn at_s(&mut self, now_s: i64) -> &mut Self {
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

    fn hear(&mut self, memory: u64, report: HostReport) -> &mut Self {
        if self.is_deposed {
            return self;
        }
        self.ledger.take_stream(3, memory, vec![report]);
        self.flush();
        self
    }

    fn hear_reread(&mut self, within_s: Range<i64>, report: HostReport) -> &mut Self {
        let within = within_s.start * SECOND_NS..within_s.end * SECOND_NS;
        self.ledger.take_reread(&within, vec![report]);
        self.flush();
        self
    }

    fn header(&self, start_s: i64) -> StoredHeader {
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

fn ns(seconds: i64) -> i64 {
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

const HOSTS: [&str; 3] = ["a", "b", "c"];
const WINDOWS: i64 = 4;
const LEVELS: u64 = 4;

/// What happens in a history.
#[derive(Debug, Clone)]
enum Step {
    /// A host's Map, in one of its lives, reports how far it has read.
    Hear {
        host: usize,
        level: u64,
        memory: u64,
        state: HostState,
    },
    /// The same, to the owner before, which does not know yet that there is another.
    HearOld { host: usize, level: u64, state: HostState },
    /// The same, read apart from the stream.
    Reread { host: usize, level: u64, window: i64 },
    /// Time goes on.
    Pass { seconds: i64 },
    /// The owner is replaced on its node.
    Restart,
    /// The owner takes a report in, and is gone before it has written it.
    Crash { host: usize, level: u64 },
    /// Another node becomes the owner, of a greater epoch.
    Succeed,
    /// The next writes are done, but nobody hears so.
    Unsure { writes: u32 },
}

fn steps(states: &'static [HostState]) -> impl Strategy<Value = Vec<Step>> {
    let (host, level) = (|| 0..HOSTS.len(), || 0..=LEVELS);
    let state = || prop::sample::select(states);
    let step = prop_oneof![
        8 => (host(), level(), 1..4_u64, state())
            .prop_map(|(host, level, memory, state)| Step::Hear { host, level, memory, state }),
        2 => (host(), level(), state()).prop_map(|(host, level, state)| Step::HearOld { host, level, state }),
        2 => (host(), level(), 0..WINDOWS)
            .prop_map(|(host, level, window)| Step::Reread { host, level, window }),
        3 => (1..7_i64).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Restart),
        1 => (host(), level()).prop_map(|(host, level)| Step::Crash { host, level }),
        1 => Just(Step::Succeed),
        1 => (1..5_u32).prop_map(|writes| Step::Unsure { writes }),
    ];
    prop::collection::vec(step, 1..40)
}

/// How much a host's log holds of a window at a level: two generations, the second from half way on. Every third is
/// silent.
fn cells_at(host: usize, window: i64, level: u64) -> Vec<map::protocol::Cell> {
    let weight = (host as u64 * 7 + window as u64) % 3;
    let first = (level > 0 && weight > 0).then(|| cell(&shape(), ns(window), 10 + host as u64, level, level * weight));
    let second = (level > LEVELS / 2 && weight > 1)
        .then(|| cell(&shape(), ns(window), 20 + host as u64, level, level - LEVELS / 2));
    first.into_iter().chain(second).collect()
}

fn history_report(host: usize, level: u64, state: HostState) -> HostReport {
    let cells = (0..WINDOWS).flat_map(|window| cells_at(host, window, level)).collect();
    let (state, stage) = match level {
        LEVELS => (Ok, Settled),
        level if level > LEVELS / 2 && state == Ok => (Ok, Provisional),
        _ if state == Ok => (Unreachable, Provisional),
        _ => (state, Provisional),
    };
    let runs = vec![run(0, ns(WINDOWS), state, stage)];
    report(
        HOSTS[host],
        cells,
        if level == 0 { Vec::<VerdictRun>::new() } else { runs },
    )
}

/// What was published of each window must only ever grow, and be exact.
#[derive(Default)]
struct Watcher {
    seen: usize,
    before: BTreeMap<i64, StoredHeader>,
    /// Up to which level each (window, host) was acknowledged.
    acknowledged: BTreeMap<(i64, usize), u64>,
}

fn ok_hosts(header: &StoredHeader) -> BTreeSet<&'static str> {
    let states = HOSTS.into_iter().zip(header.hosts.states());
    states
        .filter(|(_, (state, _))| state.is_ok())
        .map(|(host, _)| host)
        .collect()
}

fn is_withdrawn(header: &StoredHeader, host: &str) -> bool {
    header.withdrawn.iter().any(|(name, _)| name == host)
}

/// Records of a window by host, as the pieces in the store have them.
fn stored_records(store: &MemoryStore, window: i64) -> BTreeMap<String, u64> {
    let mut records = BTreeMap::new();
    for piece in store.pieces_now("pay", &(ns(window)..ns(window + 1))) {
        if let Some(crate::pieces::Piece::Cell { host, cell, .. }) = crate::pieces::read(&piece.row, 7).expect("reads")
        {
            *records.entry(host).or_default() += cell.partial.records;
        }
    }
    records
}

impl Watcher {
    fn acknowledge(&mut self, host: usize, windows: Range<i64>, level: u64) {
        for window in windows {
            let known = self.acknowledged.entry((window, host)).or_default();
            *known = level.max(*known);
        }
    }

    fn watch(&mut self, store: &MemoryStore) {
        self.only_grows(store);
        for window in 0..WINDOWS {
            let Some(header) = store.header(ns(window)) else {
                continue;
            };
            let records = stored_records(store, window);
            let of = |host: &str| records.get(host).copied().unwrap_or(0);
            for (at, host) in HOSTS.iter().enumerate() {
                let level = self.acknowledged.get(&(window, at)).copied().unwrap_or(0);
                let heard: u64 = cells_at(at, window, level)
                    .iter()
                    .map(|cell| cell.partial.records)
                    .sum();
                assert!(
                    of(host) >= heard,
                    "{host} of {window} was acknowledged with {heard}: {records:?}"
                );
            }
            let counted = |host: &&str| ok_hosts(&header).contains(*host) || is_withdrawn(&header, host);
            let counted: u64 = HOSTS.iter().filter(|host| counted(host)).map(|host| of(host)).sum();
            if header.state != WindowState::Open {
                assert_eq!(header.records, counted, "{window}: {header:?}, {records:?}");
                assert_eq!(store.groups(ns(window)).values().sum::<u64>(), counted);
            }
        }
    }

    /// Of every revision that was ever written.
    fn only_grows(&mut self, store: &MemoryStore) {
        let history: Vec<_> = store.kept().history[self.seen..].to_vec();
        self.seen += history.len();
        for (start_ns, _, header) in history {
            if let Some(before) = self
                .before
                .get(&start_ns)
                .filter(|before| before.state != WindowState::Open)
            {
                let mut lost = ok_hosts(before);
                lost.retain(|host| !ok_hosts(&header).contains(host) && !is_withdrawn(&header, host));
                assert!(
                    lost.is_empty(),
                    "{lost:?} are no longer ok: {before:?}, then {header:?}"
                );
                assert_ne!(header.state, WindowState::Open, "a closed window never opens");
            }
            self.before.insert(start_ns, header);
        }
    }
}

fn play(steps: &[Step], finish: bool) -> Desk {
    let mut desk = Desk::new(task(&[(0, &HOSTS)]));
    let mut old: Option<Desk> = None;
    let mut watcher = Watcher::default();
    for step in steps {
        play_step(step, &mut desk, &mut old, &mut watcher);
        watcher.watch(&desk.store);
    }
    if finish {
        // The protocol hands out again what was not acknowledged: in the end the last word of each is heard.
        desk.at_s(desk.now_ns / SECOND_NS + 20);
        for host in 0..HOSTS.len() {
            desk.hear(9, history_report(host, LEVELS, Ok));
        }
    }
    desk
}

fn play_step(step: &Step, desk: &mut Desk, old: &mut Option<Desk>, watcher: &mut Watcher) {
    match *step {
        Step::Hear {
            host,
            level,
            memory,
            state,
        } => {
            desk.hear(memory, history_report(host, level, state));
            watcher.acknowledge(host, 0..WINDOWS, level);
        }
        Step::HearOld { host, level, state } => {
            let Some(old) = old.as_mut().filter(|old| !old.is_deposed) else {
                return;
            };
            old.now_ns = desk.now_ns;
            old.hear(1, history_report(host, level, state));
            if !old.is_deposed {
                watcher.acknowledge(host, 0..WINDOWS, level);
            }
        }
        Step::Reread { host, level, window } => {
            let state = if level == LEVELS { Ok } else { NoFile };
            let verdicts = vec![run(ns(window), ns(window + 1), state, Settled)];
            desk.hear_reread(
                window..window + 1,
                report(HOSTS[host], cells_at(host, window, level), verdicts),
            );
            watcher.acknowledge(host, window..window + 1, level);
        }
        Step::Pass { seconds } => {
            let now_s = desk.now_ns / SECOND_NS + seconds;
            desk.at_s(now_s);
        }
        Step::Restart => desk.restart(),
        Step::Crash { host, level } => {
            desk.ledger.take_stream(3, 1, vec![history_report(host, level, Ok)]);
            desk.restart();
        }
        Step::Succeed => {
            let mut task = desk.ledger.task().clone();
            task.epoch += 1;
            let successor = Desk::on(desk.store.clone(), task, desk.now_ns);
            *old = Some(std::mem::replace(desk, successor));
        }
        Step::Unsure { writes } => desk.unsure = writes,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However reports come, are repeated, and owners are replaced: the end is that of one clean pass.
    #[test]
    fn every_history_ends_like_one_clean_pass(
        steps in steps(&[Ok, Unreachable, Timeout, NoFile, Behind, HostState::Ahead])
    ) {
        let (desk, clean) = (play(&steps, true), play(&[], true));
        for window in 0..WINDOWS {
            let stored = |desk: &Desk| (desk.header(window), desk.store.groups(ns(window)));
            prop_assert_eq!(stored(&desk), stored(&clean));
            prop_assert_eq!(desk.header(window).state, WindowState::Settled);
        }
    }

    /// With losses in it as well, nothing that was published is taken back but with a reason, and no value is of
    /// anything but the hosts that are ok or were.
    #[test]
    fn what_is_published_only_grows(
        steps in steps(&[Ok, Unreachable, NoFile, Behind, BytesLost, Duplicate, HostState::NotStarted])
    ) {
        play(&steps, false);
    }
}
