//! Random histories of a ledger: reports that come in any order and again, owners that crash, are replaced or do not
//! know that they are, writes of which nobody hears. What is published must only grow, and end like one clean pass.

use super::tests::{Desk, ns, task};
use super::*;
use crate::stored::StoredHeader;
use crate::testing::{MemoryStore, SECOND_NS, cell, report, run, shape};
use crate::window::is_withdrawal;
use HostState::{Behind, BytesLost, Duplicate, NoFile, Ok, Timeout, Unreachable};
use Stage::{Provisional, Settled};
use map::protocol::HostReport;
use map::verdict::VerdictRun;
use proptest::prelude::*;

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
    before: BTreeMap<i64, (u64, StoredHeader)>,
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
    header
        .withdrawn
        .iter()
        .any(|(name, reason)| name == host && is_withdrawal(*reason))
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
        for (start_ns, fence, header) in history {
            let before = self.before.get(&start_ns);
            let next = before.map_or(1, |(revision, _)| revision + 1);
            assert_eq!(fence.revision, next, "what is written follows on what was read");
            if let Some((_, before)) = before.filter(|(_, before)| before.state != WindowState::Open) {
                let mut lost = ok_hosts(before);
                lost.retain(|host| !ok_hosts(&header).contains(host) && !is_withdrawn(&header, host));
                assert!(
                    lost.is_empty(),
                    "{lost:?} are no longer ok: {before:?}, then {header:?}"
                );
                assert_ne!(header.state, WindowState::Open, "a closed window never opens");
            }
            self.before.insert(start_ns, (fence.revision, header));
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
