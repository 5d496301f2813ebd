//! The Map as a node: owns inputs, pulls them when their windows end, and holds what it counted until the store has it.
//!
//! One supervised actor reads one input, for all monitors on it; a keeper above them starts and stops them as the
//! registry says, which outlives them all. Reduces talk to the registry alone: they never wait for a pull. All actors
//! live on the `LocalSet` of the thread that called [`start`], and so does the counting: a pull's computing takes its
//! turn there.
//!
//! What is bounded, and how: pulls at a time, of the node and of each agent ([`Limits`]); what the store has not taken,
//! over which pulls wait (the logs keep the rest); inputs; answers and what is remembered of them.

mod actor;
mod browse;
mod budget;
mod keeper;
mod outbox;
mod pace;
mod port;
mod registry;
mod reread;
mod schedule;
mod service;
mod source;
mod tenant;
#[cfg(test)]
mod tests;
mod turns;
mod verdicts;

use crate::input::Pulled;
use crate::protocol::{MapProtocol, MapStatus};
use keeper::Keeper;
use lika::actor::{Mailbox, Observation, Options, RestartLimit, Root};
use lika::node::{Server, ServerBuilder, Settings};
use lika::pool::CpuPool;
use lika::seam::{Clock, Network, Randomness};
use lika::wire::{Identity, Token};
use pace::Paces;
use port::Links;
use registry::Registry;
pub(crate) use registry::labels;
use service::MapService;
use source::lock;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use turns::Turns;

/// Payload of a frame that this node sends or takes: a window of the most groups that are ever kept takes about as
/// much as `lika` allows by default, and more with several states. A Reduce's client needs the same limit to take the
/// largest answers.
pub const FRAME_BYTES_MAX: u32 = 64 << 20;
/// Messages to the keeper that wait: changes, of which one covers all, and re-reads, whose askers wait for room.
const KEEPER_CAPACITY: usize = 64;
/// The keeper does nothing that waits.
const KEEPER_PROGRESS_DEADLINE: Duration = Duration::from_secs(30);
/// The keeper stops all actors one after the other.
const KEEPER_STOP_DEADLINE: Duration = Duration::from_secs(20);
/// How long requests in hand may take to end when the node stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Memory of a Map if nobody says how much.
pub const MEMORY_BYTES: u64 = 1 << 30;
/// What a pull takes while it is under way: the range that came, and the reader's buffer with the same and what was not
/// decided yet; a record of the largest kind may take as much again.
const PULL_MEMORY_BYTES: u64 = 4 << 20;
/// Pulls at a time, however much memory there is: more would not be faster.
const PULLS_MAX: usize = 128;

/// The bounds of a Map. [`Limits::within`] makes those of memory from one figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that the windows under count may hold, of all monitors; over it the largest monitors are suspended.
    pub counting_bytes_max: usize,
    /// Pulls under way at a time, of agents that answered last time: each holds a buffer of what one pull brings.
    pub pulls_max: usize,
    /// Pulls under way at a time of agents that did not answer last time: they wait among themselves.
    pub suspect_pulls_max: usize,
    /// Pulls under way at a time of one agent, re-reads included; an agent serves eight ranges to a peer.
    pub pulls_per_agent_max: usize,
    /// Silence of an agent after which a pull has failed.
    pub pull_deadline: Duration,
    /// Bytes of cells that the store has not taken, of all shards; over it pulls wait.
    pub held_bytes_max: usize,
    /// The same for one shard: inputs wait that only shards over it want. So one Reduce that is gone leaves room to
    /// others.
    pub held_bytes_per_task_max: usize,
    /// Hosts that are read anew at a time.
    pub rereads_max: usize,
    /// Compressed generations that are inflated at a time for pulls, and as many for re-reads: each takes a core, up to
    /// [`inflate::WINDOW_BYTES_MAX`] of memory, and its turn behind everything else.
    pub inflations_max: usize,
    /// Inputs of this node; one more is declined.
    pub inputs_max: usize,
    /// Folders and files that people look at, at a time; one more is told to come again.
    pub browses_max: usize,
}

impl Default for Limits {
    /// Those of [`MEMORY_BYTES`].
    fn default() -> Self {
        Self::within(MEMORY_BYTES)
    }
}

impl Limits {
    /// The bounds of a Map with so much memory: half of it for windows under count, a quarter for what the store has
    /// not taken (of one shard a quarter of that), an eighth for pulls under way; the last eighth is for re-reads,
    /// what is inflated, and all else. 16 suspect pulls, 4 an agent, 5 s of silence, 4 re-reads, 100 000 inputs, 8
    /// folders or files looked at, whatever the memory.
    pub fn within(memory_bytes: u64) -> Self {
        let part = |of: u64| usize::try_from(memory_bytes / of).unwrap_or(usize::MAX);
        let pulls = usize::try_from(memory_bytes / 8 / PULL_MEMORY_BYTES).unwrap_or(PULLS_MAX);
        Self {
            counting_bytes_max: part(2),
            pulls_max: pulls.clamp(1, PULLS_MAX),
            suspect_pulls_max: 16,
            pulls_per_agent_max: 4,
            pull_deadline: Duration::from_secs(5),
            held_bytes_max: part(4),
            held_bytes_per_task_max: part(16),
            rereads_max: 4,
            inflations_max: 1,
            inputs_max: 100_000,
            browses_max: 8,
        }
    }
}

/// What a Map is made of.
#[derive(Clone)]
pub struct MapConfig {
    /// Its role (`map`), name, and the token that Reduces prove to it.
    pub identity: Identity,
    /// The token that it proves to agents; [`agent::binding::OPEN_TOKEN`] for those that listen without.
    pub agent_tokens: AgentTokens,
    /// Time.
    pub clock: Clock,
    /// Chance.
    pub randomness: Randomness,
    /// How agents are reached, and Reduces listened to.
    pub network: Arc<dyn Network>,
    /// Where definitions are compiled.
    pub cpu: CpuPool,
    /// Where it listens, `host:port`; port 0 for any.
    pub listen: String,
    /// Its bounds.
    pub limits: Limits,
}

/// A running Map.
pub struct MapNode {
    server: Server,
    root: Root,
    keeper: Mailbox<Keeper>,
    shared: Arc<Shared>,
}

/// Starts a Map, in tasks of the present `LocalSet` and tokio runtime.
///
/// # Errors
/// If the address cannot be listened at.
///
/// # Panics
/// Outside of a `LocalSet`.
pub async fn start(config: MapConfig) -> io::Result<MapNode> {
    let settings = Settings {
        frame_bytes_max: FRAME_BYTES_MAX,
        ..Settings::default()
    };
    let (clock, randomness) = (config.clock.clone(), config.randomness.fork());
    let (network, listen) = (Arc::clone(&config.network), config.listen.clone());
    let identity = config.identity.clone();
    let shared = Arc::new(Shared::new(config));
    let root = Root::new(clock.clone(), randomness.fork());
    let node = Arc::clone(&shared);
    let keeper = root.spawn(keeper_options(), move || Keeper::new(Arc::clone(&node)));
    let service = MapService {
        node: Arc::clone(&shared),
        keeper: keeper.clone(),
    };
    let server = ServerBuilder::new(identity, settings, clock, randomness).serve::<MapProtocol>(service);
    let server = server.listen(&*network, &listen).await;
    let server = match server {
        Ok(server) => server,
        Err(error) => {
            root.stop().await;
            return Err(error);
        }
    };
    Ok(MapNode {
        server,
        root,
        keeper,
        shared,
    })
}

fn keeper_options() -> Options {
    Options {
        mailbox_capacity: KEEPER_CAPACITY,
        progress_deadline: KEEPER_PROGRESS_DEADLINE,
        stop_deadline: KEEPER_STOP_DEADLINE,
        // It holds nothing that is not in the registry: begun anew, it is as good as before.
        restart_limit: RestartLimit {
            restarts: u32::MAX,
            within: Duration::from_secs(60),
        },
        ..Options::named("inputs")
    }
}

/// The secrets that agents ask for.
#[derive(Debug, Clone)]
pub struct AgentTokens {
    /// Of all agents that are not named.
    pub default: Token,
    /// Of agents that have one of their own, by the address they listen at.
    pub by_address: BTreeMap<String, Token>,
}

impl AgentTokens {
    /// One secret for all agents.
    pub fn common(token: Token) -> Self {
        Self {
            default: token,
            by_address: BTreeMap::new(),
        }
    }

    /// The secret of an agent.
    pub fn of(&self, address: &str) -> &Token {
        self.by_address.get(address).unwrap_or(&self.default)
    }
}

impl MapNode {
    /// Where it listens, with the true port.
    pub fn local_address(&self) -> &str {
        self.server.local_address()
    }

    /// What it does at the moment, as [`crate::protocol::MapRequest::Status`] says it.
    pub fn status(&self) -> MapStatus {
        self.shared.status()
    }

    /// What can be seen of its actors.
    pub fn observe(&self) -> Observation {
        self.keeper.observe()
    }

    /// Ends: no more requests, then no more pulls. What the store has not taken is read again by whoever is next.
    pub async fn stop(self) {
        self.server.stop(STOP_PATIENCE).await;
        self.shared.stopping.send_replace(true);
        self.root.stop().await;
    }
}

/// What all connections and actors of a Map share.
struct Shared {
    config: MapConfig,
    registry: Mutex<Registry>,
    links: Links,
    turns: Turns,
    suspects: Arc<Semaphore>,
    rereads: Semaphore,
    paces: Paces,
    browses: Semaphore,
    /// What they look at of compressed files is unpacked in turn.
    unpacks: Semaphore,
    /// Taken where one is free, and kept over pulls.
    inflations: Arc<Semaphore>,
    /// Waited for. Apart from the other, whose holders may wait for an agent that those who wait here have taken.
    reread_inflations: Arc<Semaphore>,
    counters: Counters,
    /// Becomes true when pulls under way are to end at once.
    stopping: watch::Sender<bool>,
}

impl Shared {
    fn new(config: MapConfig) -> Self {
        let limits = &config.limits;
        Self {
            turns: Turns::new(limits.pulls_max),
            suspects: Arc::new(Semaphore::new(limits.suspect_pulls_max)),
            rereads: Semaphore::new(limits.rereads_max),
            paces: Paces::default(),
            browses: Semaphore::new(limits.browses_max),
            unpacks: Semaphore::new(browse::UNPACKS_MAX),
            inflations: Arc::new(Semaphore::new(limits.inflations_max)),
            reread_inflations: Arc::new(Semaphore::new(limits.inflations_max)),
            registry: Mutex::new(Registry::new(config.network.proves_names())),
            config,
            links: Links::default(),
            counters: Counters::default(),
            stopping: watch::Sender::new(false),
        }
    }

    /// Held for moments, never across an `await`. A panic under it is caught with its actor and leaves at worst a sum
    /// that is off, hence no regard to poison.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }

    fn status(&self) -> MapStatus {
        let (totals, monitors, tenants) = {
            let registry = self.registry();
            (registry.totals(), registry.monitors_seen(), registry.tenants_seen())
        };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        MapStatus {
            tasks: totals.tasks,
            inputs: totals.inputs,
            inputs_unshared: totals.inputs_unshared,
            pulls: read(&self.counters.pulls),
            pulls_failed: read(&self.counters.pulls_failed),
            bytes: read(&self.counters.bytes),
            records: read(&self.counters.records),
            held_bytes: totals.held_bytes,
            counting_bytes: totals.counting_bytes,
            pulls_waiting: self.turns.waiting() as u64,
            inputs_paused: totals.paused,
            pull_us_sum: read(&self.counters.pull_us_sum),
            pull_us_max: read(&self.counters.pull_us_max),
            monitors,
            tenants,
        }
    }
}

/// What was done since the start.
#[derive(Default)]
struct Counters {
    pulls: AtomicU64,
    pulls_failed: AtomicU64,
    bytes: AtomicU64,
    records: AtomicU64,
    pull_us_sum: AtomicU64,
    pull_us_max: AtomicU64,
}

impl Counters {
    fn pulled(&self, pulled: &Pulled, took: Duration) {
        let add = |counter: &AtomicU64, more: u64| counter.fetch_add(more, Ordering::Relaxed);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        add(&self.pulls, 1);
        add(&self.pulls_failed, u64::from(pulled.trouble.is_some()));
        add(&self.bytes, pulled.bytes);
        add(&self.records, pulled.records);
        add(&self.pull_us_sum, took_us);
        self.pull_us_max.fetch_max(took_us, Ordering::Relaxed);
    }
}
