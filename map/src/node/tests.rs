//! The node as a Reduce sees it, in simulated time: what a test waits for comes at once, and in the same order always.

mod agents;
mod scripted;

use super::outbox::AckedCell;
use super::{AgentTokens, Limits, MapConfig, MapNode, start};
use crate::input::{InputKey, Port, Pulled, Subscription, Usage};
use crate::partial::Losses;
use crate::protocol::{
    Cell, CellVersion, CollectRequest, Collected, Definition, HostReport, HostTarget, InputTarget, KeptProfile,
    MapAnswer, MapProtocol, MapRequest, PatternOrigin, ROLE, ROLE_REDUCE, ShardTask, StampEntry, StampPlace,
    StampProfile, StampZone, TaskId,
};
use crate::verdict::{HostState, Stage, VerdictRun};
use crate::wire::WirePartial;
use agent::binding::OPEN_TOKEN;
use lika::node::{CallError, Client, Dialling, Settings};
use lika::pool::CpuPool;
use lika::seam::{BoxedFuture, BoxedStream, Clock, Listener, MemoryNetwork, Network, Randomness, WallNs};
use lika::wire::{Identity, Token};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::LocalSet;

/// 2026-11-23T12:00:00Z
const START_NS: i64 = 1_795_435_200_000_000_000;
const SECOND: i64 = 1_000_000_000;
/// Simulated, so it is long and costs nothing.
const PATIENCE: Duration = Duration::from_secs(120);
const TOKEN: &str = "a token of the tests";

/// Runs a test on a `LocalSet` in paused time.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, test);
}

/// Listens to Reduces on one network and dials agents on another, so that a test can cut one of them.
struct TwoSided {
    reduces: MemoryNetwork,
    agents: MemoryNetwork,
    dials: Dials,
    clock: Clock,
}

/// When each agent was dialled.
type Dials = Arc<Mutex<BTreeMap<String, Vec<i64>>>>;

impl Network for TwoSided {
    fn listen<'a>(&'a self, address: &'a str) -> BoxedFuture<'a, io::Result<Box<dyn Listener>>> {
        self.reduces.listen(address)
    }

    fn dial<'a>(&'a self, address: &'a str) -> BoxedFuture<'a, io::Result<BoxedStream>> {
        let mut dials = self.dials.lock().expect("no test panics with it in hand");
        let of_agent = dials.entry(address.to_owned()).or_default();
        of_agent.push(self.clock.wall().0);
        self.agents.dial(address)
    }
}

/// A node, and a Reduce that talks to it.
struct Scene {
    clock: Clock,
    agents: MemoryNetwork,
    dials: Dials,
    node: MapNode,
    reduce: Client<MapProtocol>,
}

impl Scene {
    async fn new(limits: Limits) -> Self {
        let clock = Clock::simulated(WallNs(START_NS));
        let (reduces, agents) = (MemoryNetwork::default(), MemoryNetwork::default());
        let dials = Dials::default();
        let identity = |role: &str| Identity {
            role: role.to_owned(),
            node: format!("{role}-1"),
            token: Token::new(TOKEN).expect("long enough"),
        };
        let config = MapConfig {
            identity: identity(ROLE),
            agent_tokens: AgentTokens::common(Token::new(OPEN_TOKEN).expect("long enough")),
            clock: clock.clone(),
            randomness: Randomness::seeded(7),
            network: Arc::new(TwoSided {
                reduces: reduces.clone(),
                agents: agents.clone(),
                dials: Arc::clone(&dials),
                clock: clock.clone(),
            }),
            cpu: CpuPool::inline(),
            listen: "map:1".to_owned(),
            limits,
        };
        let node = start(config).await.expect("a free address");
        assert_eq!(node.local_address(), "map:1");
        let reduce = Client::start(Dialling {
            network: Arc::new(reduces),
            address: "map:1".to_owned(),
            server_node: None,
            identity: identity(ROLE_REDUCE),
            settings: Settings::default(),
            clock: clock.clone(),
            randomness: Randomness::seeded(8),
        });
        Self {
            clock,
            agents,
            dials,
            node,
            reduce,
        }
    }

    async fn ask(&self, request: MapRequest) -> MapAnswer {
        self.try_ask(request).await.expect("an answer")
    }

    async fn try_ask(&self, request: MapRequest) -> Result<MapAnswer, CallError> {
        self.reduce.call(&request, PATIENCE).await
    }

    async fn install(&self, task: ShardTask) {
        assert_eq!(self.ask(MapRequest::Install(Box::new(task))).await, MapAnswer::Done);
    }

    async fn collect(&self, id: &TaskId, acked: u64) -> Collected {
        let request = CollectRequest {
            id: id.clone(),
            epoch: 1,
            acked,
            wait_ms: 10_000,
            bytes_max: 1 << 20,
        };
        match self.ask(MapRequest::Collect(request)).await {
            MapAnswer::Collected(collected) => collected,
            other => panic!("not collected: {other:?}"),
        }
    }

    /// Collects and acknowledges until `seen` says that a host is as wanted, and gives what was heard of it until then.
    ///
    /// # Panics
    /// If it does not come to that in [`PATIENCE`].
    async fn until(&self, id: &TaskId, seen: impl Fn(&Heard) -> bool) -> Heard {
        let deadline = self.clock.deadline_in(PATIENCE);
        let mut heard = Heard::default();
        while !seen(&heard) {
            assert!(!self.clock.has_passed(deadline), "it did not come to that: {heard:?}");
            let collected = self.collect(id, heard.ticket).await;
            heard.take(collected);
        }
        heard
    }

    fn now_ns(&self) -> i64 {
        self.clock.wall().0
    }

    async fn stop(self) {
        self.node.stop().await;
    }
}

/// What a Reduce knows of one shard.
#[derive(Debug, Default)]
struct Heard {
    ticket: u64,
    /// By host, window and generation.
    cells: BTreeMap<(String, i64, u64), Cell>,
    verdicts: BTreeMap<String, Vec<VerdictRun>>,
}

impl Heard {
    fn take(&mut self, collected: Collected) {
        self.ticket = collected.ticket;
        for report in collected.reports {
            for cell in report.cells {
                let key = (report.host.clone(), cell.window_ns, cell.generation);
                if self.cells.get(&key).is_none_or(|before| before.version < cell.version) {
                    self.cells.insert(key, cell);
                }
            }
            let before = self.verdicts.remove(&report.host).unwrap_or_default();
            self.verdicts
                .insert(report.host, super::verdicts::replace(&before, report.verdicts));
        }
    }

    /// What was said of a host's window.
    fn state(&self, host: &str, window_ns: i64) -> Option<HostState> {
        let runs = self.verdicts.get(host)?;
        let run = runs.iter().find(|run| (run.from_ns..run.to_ns).contains(&window_ns));
        run.map(|run| run.state)
    }

    /// Why, for people.
    fn detail(&self, state: HostState) -> Option<&str> {
        let runs = self.verdicts.values().flatten();
        runs.filter(|run| run.state == state)
            .find_map(|run| run.detail.as_deref())
    }

    fn records(&self, host: &str, window_ns: i64) -> u64 {
        let cells = self.cells.iter();
        let cells = cells.filter(|((of, window, _), _)| of == host && *window == window_ns);
        cells.map(|(_, cell)| cell.partial.records).sum()
    }
}

fn id(monitor: &str) -> TaskId {
    TaskId {
        monitor: monitor.to_owned(),
        version: 1,
        shard: 0,
    }
}

fn yaml(monitor: &str, log: &str) -> Definition {
    Definition::Yaml(format!(
        "kind: monitor\nname: {monitor}\napp: shop\nlog: {log}\nparse: logfmt\nwindow: 1s\n\
         select: {{ total: count() }}\n"
    ))
}

fn input(host: &str, address: &str) -> InputTarget {
    InputTarget {
        target: HostTarget {
            host: host.to_owned(),
            address: address.to_owned(),
            labels: BTreeMap::new(),
        },
        from_ns: START_NS,
        proved_ns: START_NS,
        profiles: Vec::new(),
    }
}

fn task(monitor: &str, log: &str, hosts: &[(&str, &str)]) -> ShardTask {
    ShardTask {
        id: id(monitor),
        epoch: 1,
        definition: yaml(monitor, log),
        inputs: hosts.iter().map(|(host, address)| input(host, address)).collect(),
        until_ns: None,
        tenant: None,
    }
}

type Subscriptions = BTreeMap<TaskId, Subscription>;
type Play = Box<dyn FnMut(&Subscriptions, i64) -> Pulled>;

thread_local! {
    /// Bytes that scripted sources hold, by monitor.
    static HELD: RefCell<BTreeMap<String, usize>> = const { RefCell::new(BTreeMap::new()) };
    /// What scripted sources do at each pull, by pattern; the node lives on the test's thread.
    static PLAYS: RefCell<BTreeMap<String, Rc<RefCell<Play>>>> = const { RefCell::new(BTreeMap::new()) };
    /// What scripted sources were told to be stored.
    static ACKS: RefCell<Vec<(TaskId, AckedCell)>> = const { RefCell::new(Vec::new()) };
}

/// Sets what a scripted source does.
fn play(pattern: &str, play: impl FnMut(&Subscriptions, i64) -> Pulled + 'static) {
    let play: Play = Box::new(play);
    PLAYS.with_borrow_mut(|plays| plays.insert(pattern.to_owned(), Rc::new(RefCell::new(play))));
}

/// From now on the scripted sources hold so much of a monitor.
fn hold(monitor: &str, bytes: usize) {
    HELD.with_borrow_mut(|held| held.insert(monitor.to_owned(), bytes));
}

/// A source that does as a test says.
pub(super) struct Script {
    pattern: String,
    subscriptions: Subscriptions,
}

impl Script {
    pub(super) fn new(key: &InputKey) -> Self {
        Self {
            pattern: key.pattern.clone(),
            subscriptions: BTreeMap::new(),
        }
    }

    pub(super) fn subscribe(&mut self, subscription: Subscription) {
        self.subscriptions.insert(subscription.id.clone(), subscription);
    }

    pub(super) fn unsubscribe(&mut self, id: &TaskId) {
        self.subscriptions.remove(id);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.subscriptions.is_empty()
    }

    pub(super) async fn pull<P: Port>(&mut self, _port: &mut P, now_ns: i64) -> Pulled {
        let play = PLAYS.with_borrow(|plays| Rc::clone(&plays[&self.pattern]));
        let mut play = play.borrow_mut();
        play(&self.subscriptions, now_ns)
    }

    pub(super) fn held(&self) -> BTreeMap<TaskId, usize> {
        let held = |id: &TaskId| HELD.with_borrow(|held| held.get(&id.monitor).copied().unwrap_or(0));
        self.subscriptions.keys().map(|id| (id.clone(), held(id))).collect()
    }

    pub(super) fn acked(&mut self, id: &TaskId, cells: &[AckedCell]) {
        ACKS.with_borrow_mut(|acks| acks.extend(cells.iter().map(|cell| (id.clone(), *cell))));
    }
}

/// A re-read of a scripted source: one record a window, or a panic.
/// What reading one host apart costs.
pub(super) const REREAD_COST: Usage = Usage {
    cpu_ns: 500_000_000,
    bytes: 1 << 20,
    advanced_ns: 0,
};

pub(super) fn reread(key: &InputKey, subscription: &Subscription) -> HostReport {
    assert!(!key.address.starts_with("broken"), "this one is broken");
    let to_ns = subscription.until_ns.expect("a re-read has an end");
    let windows = (subscription.from_ns..to_ns).step_by(SECOND as usize);
    let cells = windows.map(|window_ns| cell(window_ns, 1, 1)).collect();
    report(&subscription.host, cells, ok(subscription.from_ns, to_ns))
}

fn cell(window_ns: i64, records: u64, read_to: u64) -> Cell {
    Cell {
        window_ns,
        generation: 9,
        version: CellVersion {
            profile: 1,
            read_to,
            epoch: 1,
            attempt: 0,
        },
        partial: WirePartial {
            records,
            lost: Losses::default(),
            bad_values: vec![0],
            ..WirePartial::default()
        },
        ambiguous: false,
    }
}

fn ok(from_ns: i64, to_ns: i64) -> VerdictRun {
    VerdictRun {
        from_ns,
        to_ns,
        state: HostState::Ok,
        stage: Stage::Settled,
        detail: None,
    }
}

/// What was learned of a generation, with so many year marks.
pub(super) fn profile(generation: u64, version: u32, marks: usize) -> KeptProfile {
    KeptProfile {
        tail: None,
        generation,
        version,
        sample_bytes: version.into(),
        appended: 0,
        stamps: StampProfile {
            entries: vec![StampEntry {
                offset: 0,
                pattern: "%b %e %H:%M:%S".to_owned(),
                origin: PatternOrigin::Learned,
                place: StampPlace::Column(0),
                year_marks: vec![(0, 0); marks],
            }],
            zone: StampZone::Host,
        },
        lateness_ns: 10 * SECOND,
        life: None,
    }
}

fn report(host: &str, cells: Vec<Cell>, run: VerdictRun) -> HostReport {
    HostReport {
        host: host.to_owned(),
        origin: 0,
        t_ns: run.to_ns,
        delay_ns: 0,
        profile_version: 1,
        cells,
        verdicts: vec![run],
        profiles: Vec::new(),
    }
}

/// A pull that finds one record in the last window that has ended, and proves all until then.
fn steady(subscriptions: &Subscriptions, now_ns: i64) -> Pulled {
    let due_ns = super::verdicts::due_ns(now_ns, SECOND, SECOND);
    let mut pulled = Pulled {
        bytes: 10,
        ..Pulled::default()
    };
    for (id, subscription) in subscriptions {
        let window_ns = due_ns - SECOND;
        if window_ns >= subscription.from_ns {
            let cells = vec![cell(window_ns, 1, 1)];
            let report = report(&subscription.host, cells, ok(subscription.from_ns, due_ns));
            pulled.reports.push((id.clone(), report));
            pulled.records += 1;
        }
    }
    pulled
}
