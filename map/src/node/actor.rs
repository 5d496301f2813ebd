//! The actor of one source: pulls it when its time has come, and puts what it found where the Reduces collect it.
//!
//! All it knows is made from the registry when it begins, and is thrown away when it fails. A pull is never dropped
//! half way: the connection's deadlines end it, and so the reader's state is whole at any time.

use super::Shared;
use super::port::{AgentLink, AgentPort, Inflations, Reach};
use super::registry::{Found, grace_ns};
use super::schedule::{Offset, Rhythm};
use super::source::{Source, SourceKey, SourceShared, Wanted};
use super::turns::Turn;
use super::verdicts::Missing;
use crate::input::{Pulled, Subscription};
use crate::protocol::{HostReport, TaskId};
use crate::verdict::{HostState, Stage};
use lika::actor::{Actor, Context, Failure, Handler, Message, Options, ProgressHandle, RestartLimit};
use lika::seam::{Backoff, Monotonic};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Messages that wait at most: news of subscriptions and the next pull, each of which covers all before it.
const MAILBOX_CAPACITY: usize = 16;
/// A pull that shows no answer, no byte and no end for so long hangs in its own computing.
const PROGRESS_DEADLINE: Duration = Duration::from_secs(60);
/// How long a pull in hand may take to end when its source is given up.
const STOP_DEADLINE: Duration = Duration::from_secs(6);
/// A reader that fails again and again is begun anew for ever, ever more slowly, and never taken for its neighbours'
/// failure: the limit is out of reach, and the period only decides how long failures are remembered for the backoff.
const RESTARTS: RestartLimit = RestartLimit {
    restarts: u32::MAX,
    within: Duration::from_secs(600),
};
const RESTART_BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(10),
};
/// A first pull is taken to have come so long after the one before: what it costs is spread over the time that it is
/// of.
const FIRST_PULL: Duration = Duration::from_secs(1);
/// How an agent that was connected to and gave no answer is asked again.
const RETRY: Backoff = Backoff {
    first: Duration::from_millis(500),
    longest: Duration::from_secs(5),
};

/// The options of a source's actor.
pub(super) fn options(key: &SourceKey) -> Options {
    Options {
        mailbox_capacity: MAILBOX_CAPACITY,
        progress_deadline: PROGRESS_DEADLINE,
        stop_deadline: STOP_DEADLINE,
        restart_limit: RESTARTS,
        backoff: RESTART_BACKOFF,
        ..Options::named(key.name())
    }
}

/// Somebody wants the source in another way than before.
pub(super) struct Changed;

impl Message for Changed {
    type Reply = ();
}

/// It is time to pull, and there is room.
pub(super) struct Pull {
    /// Only the turn that was scheduled last counts.
    turn: u64,
    permits: Permits,
}

impl Message for Pull {
    type Reply = ();
}

/// The right to pull now.
#[derive(Default)]
struct Permits {
    node: NodePlace,
    _agent: Option<OwnedSemaphorePermit>,
}

/// A place among the pulls of the node.
#[derive(Default)]
enum NodePlace {
    /// None is needed: it only finds out that an agent cannot be reached.
    #[default]
    None,
    /// Among those whose agents answer.
    Turn(Turn),
    /// Among the suspects.
    Suspect(#[allow(dead_code, reason = "given back as it is dropped")] Option<OwnedSemaphorePermit>),
}

/// What a pull of this source must expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Good,
    /// The last one got no answer in time: it pulls among the suspects, so that it never keeps a healthy one waiting.
    Suspect,
}

/// What can be seen of a source.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceState {
    /// Pulls of this generation of the reader.
    #[allow(dead_code, reason = "read through `Debug`, by people who look at the actor")]
    pub(super) pulls: u64,
    /// Why the last one proved nothing, if so.
    #[allow(dead_code, reason = "read through `Debug`, by people who look at the actor")]
    pub(super) trouble: Option<(HostState, String)>,
}

/// Reads one source.
pub(super) struct SourceActor {
    node: Arc<Shared>,
    shared: Arc<SourceShared>,
    source: Source,
    link: Arc<AgentLink>,
    port: AgentPort,
    /// What the reader was told of who wants it.
    told: BTreeMap<TaskId, Wanted>,
    rhythms: Vec<Rhythm>,
    offset: Offset,
    turn: u64,
    failures: u32,
    health: Health,
    /// When the pull before ended.
    pulled: Option<Monotonic>,
    state: SourceState,
}

impl SourceActor {
    pub(super) fn new(node: Arc<Shared>, shared: Arc<SourceShared>) -> Self {
        let link = node.links.link(&node, shared.key.address(), shared.key.host());
        Self {
            source: Source::new(&shared.key),
            port: port(&node, &link, None),
            link,
            told: BTreeMap::new(),
            rhythms: Vec::new(),
            offset: Offset::of(shared.key.name().as_bytes()),
            turn: 0,
            failures: 0,
            health: Health::Good,
            pulled: None,
            state: SourceState::default(),
            node,
            shared,
        }
    }

    fn now_ns(&self) -> i64 {
        self.node.config.clock.wall().0
    }

    /// Tells the reader who wants it now; returns whether somebody wants more than before.
    fn follow(&mut self) -> bool {
        let wanted: BTreeMap<TaskId, Wanted> = self.shared.wanted().clone();
        let gone: Vec<TaskId> = (self.told.keys().filter(|id| !wanted.contains_key(id)))
            .cloned()
            .collect();
        for id in gone {
            self.source.unsubscribe(&id);
            self.told.remove(&id);
        }
        let mut more = false;
        for (id, wanted) in wanted {
            let mut wants_more = true;
            if let Some(told) = self.told.get(&id) {
                let is_same = is_same(&told.subscription, &wanted.subscription);
                if told.incarnation != wanted.incarnation {
                    self.source.unsubscribe(&id);
                } else if is_same && told.subscription.profiles == wanted.subscription.profiles {
                    continue;
                } else {
                    // Other profiles are no reason to pull at once.
                    wants_more = !is_same;
                }
            }
            self.source.subscribe(wanted.resumed());
            self.told.insert(id, wanted);
            more |= wants_more;
        }
        let rhythm = |told: &Wanted| Rhythm {
            window_ns: told.subscription.plan.window_ns,
            grace_ns: grace_ns(&told.subscription.monitor),
        };
        self.rhythms = self.told.values().map(rhythm).collect();
        self.rhythms.sort_unstable();
        self.rhythms.dedup();
        more
    }

    /// Sends itself the next pull, after a wait and once there is room for it.
    fn schedule(&mut self, wait: Duration, context: &mut Context<Self>) {
        self.turn += 1;
        let turn = self.turn;
        let (node, link, health) = (Arc::clone(&self.node), Arc::clone(&self.link), self.health);
        let tenant = self.node.registry().tenant_of(&self.shared);
        let due = async move {
            if !wait.is_zero() {
                node.config.clock.sleep(wait).await;
            }
            permits(&node, &link, health, &tenant).await
        };
        context.pipe(due, move |permits| Pull { turn, permits });
    }

    /// How long to wait after a pull.
    fn wait_after(&self, pulled: &Pulled) -> Duration {
        let now_ns = self.now_ns();
        let regular_ns = self
            .source
            .next_ns(now_ns, &self.rhythms, self.offset)
            .saturating_sub(now_ns);
        let regular = Duration::from_nanos(u64::try_from(regular_ns).unwrap_or(0));
        match &pulled.trouble {
            Some((HostState::Timeout, _)) if matches!(self.shared.key, SourceKey::Log(_)) => {
                RETRY.wait(self.failures, &self.node.config.randomness).max(regular)
            }
            None if pulled.more => Duration::ZERO,
            _ => regular,
        }
    }

    async fn pull(&mut self, place: &mut NodePlace, context: &mut Context<Self>) -> Pulled {
        for (id, cells) in self.shared.take_acks() {
            self.source.acked(&id, &cells);
        }
        let (clock, now_ns) = (self.node.config.clock.clone(), self.now_ns());
        let began = clock.monotonic();
        self.port.begin(match place {
            NodePlace::Turn(turn) => Some(turn.bytes_max()),
            NodePlace::None | NodePlace::Suspect(_) => None,
        });
        let mut pulled = self.source.pull(&mut self.port, now_ns).await;
        if let NodePlace::Turn(turn) = place {
            turn.brought(pulled.bytes);
        }
        let ended = clock.monotonic();
        self.node.counters.pulled(&pulled, ended.since(began));
        let since = self
            .pulled
            .replace(ended)
            .map_or(FIRST_PULL, |before| ended.since(before));
        let elapsed_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let mut registry = self.node.registry();
        registry.charge(&pulled.usage, elapsed_ns, ended.as_nanos());
        registry.note_held(&self.shared, self.source.held());
        let counting_bytes_max = self.node.config.limits.counting_bytes_max;
        registry.judge_memory(counting_bytes_max, ended.as_nanos(), now_ns);
        drop(registry);
        if let Some(t_ns) = pulled.reports.iter().map(|(_, report)| report.t_ns).max()
            && t_ns > 0
            && pulled.trouble.is_none()
        {
            self.offset.lag_ns = now_ns.saturating_sub(t_ns);
        }
        let found = |(id, report): (TaskId, HostReport)| {
            let incarnation = self.told.get(&id)?.incarnation;
            Some(Found {
                id,
                incarnation,
                report,
            })
        };
        let reports = std::mem::take(&mut pulled.reports);
        let found: Vec<Found> = reports.into_iter().filter_map(found).collect();
        // What a replaced generation found is its successor's to find again.
        let _replaced = context
            .fence()
            .admit(|| self.node.registry().absorb(&self.shared, found));
        pulled
    }

    /// Says why windows get no verdict while pulls wait; returns whether they do.
    fn pauses(&self) -> bool {
        let limits = &self.node.config.limits;
        let mut registry = self.node.registry();
        let why = registry.must_wait(&self.shared, limits.held_bytes_max, limits.held_bytes_per_task_max);
        self.shared.is_paused.store(why.is_some(), Ordering::Relaxed);
        let Some(detail) = why else { return false };
        let why = Missing {
            state: HostState::OverBudget,
            stage: Stage::Provisional,
            detail,
        };
        registry.fill(&self.shared, self.now_ns(), &why);
        true
    }
}

fn port(node: &Shared, link: &Arc<AgentLink>, progress: Option<ProgressHandle>) -> AgentPort {
    let inflations = Inflations::IfFree(Arc::clone(&node.inflations));
    AgentPort::new(Arc::clone(link), inflations, progress)
}

/// Whether a reader need not be told of a subscription.
fn is_same(told: &Arc<Subscription>, wanted: &Arc<Subscription>) -> bool {
    let fixed = |subscription: &Subscription| {
        let Subscription {
            epoch,
            from_ns,
            until_ns,
            suspended,
            ..
        } = subscription;
        (*epoch, *from_ns, *until_ns, Arc::clone(suspended))
    };
    Arc::ptr_eq(told, wanted) || (fixed(told) == fixed(wanted) && told.labels == wanted.labels)
}

/// Waits for room for a pull. An agent that is not connected costs nothing to ask, and needs none.
async fn permits(node: &Shared, link: &AgentLink, health: Health, tenant: &str) -> Permits {
    if link.known().await == Reach::Disconnected {
        return Permits::default();
    }
    // The agent's turn first: who waits for a busy agent must not keep a place of the node meanwhile.
    let agent = link.turn().await;
    let place = match health {
        Health::Good => NodePlace::Turn(node.turns.take(tenant).await),
        Health::Suspect => NodePlace::Suspect(Arc::clone(&node.suspects).acquire_owned().await.ok()),
    };
    Permits {
        node: place,
        _agent: agent,
    }
}

impl Actor for SourceActor {
    type State = SourceState;

    fn observe(&self) -> SourceState {
        self.state.clone()
    }

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), Failure> {
        self.port = port(&self.node, &self.link, Some(context.progress_handle()));
        if context.fence().generation() > 0 {
            let why = Missing {
                state: HostState::Timeout,
                stage: Stage::Provisional,
                detail: "the map's reader failed and was begun anew; see the map's log".to_owned(),
            };
            let mut registry = self.node.registry();
            registry.fill(&self.shared, self.now_ns(), &why);
            if matches!(self.shared.key, SourceKey::System(..)) {
                registry.resume_behind_said(&self.shared);
            }
        }
        self.follow();
        // Not all at once when a Map starts with ten thousand inputs.
        let spread = Duration::from_nanos(u64::try_from(self.offset.jitter_ns).unwrap_or(0));
        self.schedule(spread, context);
        Ok(())
    }
}

impl Handler<Changed> for SourceActor {
    async fn handle(&mut self, _changed: Changed, context: &mut Context<Self>) -> Result<(), Failure> {
        if self.follow() {
            self.schedule(Duration::ZERO, context);
        }
        Ok(())
    }
}

impl Handler<Pull> for SourceActor {
    async fn handle(&mut self, pull: Pull, context: &mut Context<Self>) -> Result<(), Failure> {
        let mut permits = pull.permits;
        self.follow();
        if pull.turn != self.turn {
            return Ok(());
        }
        if self.source.is_idle() {
            return Ok(());
        }
        if self.pauses() {
            let wait = self.wait_after(&Pulled::default());
            self.schedule(wait, context);
            return Ok(());
        }
        let pulled = self.pull(&mut permits.node, context).await;
        let is_timeout = matches!(pulled.trouble, Some((HostState::Timeout, _)));
        self.health = if is_timeout { Health::Suspect } else { Health::Good };
        self.failures = if pulled.trouble.is_some() { self.failures + 1 } else { 0 };
        self.state.pulls += 1;
        let wait = self.wait_after(&pulled);
        self.state.trouble = pulled.trouble;
        self.schedule(wait, context);
        Ok(())
    }
}
