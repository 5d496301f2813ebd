//! A Reduce as a node: it answers for monitors, by a supervised actor for each version of one.
//!
//! ```text
//! Brain ──ReduceProtocol──► front ──► registry ──► owner of a monitor ──MapProtocol──► Maps ◄── watch
//!                                                       └──► storage
//! ```
//! The registry knows what is installed and refuses deposed Brains; an owner that fails is built anew from its task and
//! the store alone, and hurts no other. All runs on the `LocalSet` of the thread that called [`start`].

mod asking;
mod hosts;
mod link;
mod owner;
mod questions;
mod registry;
mod repairs;
mod shard;
#[cfg(test)]
mod tests;
mod watch;

use crate::profiles::News;
use crate::protocol::{ReduceAnswer, ReduceProtocol, ReduceRequest};
use crate::storage::Storage;
pub use crate::terms::ReadDefinition;
use lika::actor::{Escalation, Mailbox, Options, RestartLimit, Root};
use lika::node::{Call, Handler, Refusal, Server, ServerBuilder, Settings};
use lika::pool::CpuPool;
use lika::seam::{Clock, Network, Randomness};
use lika::wire::Identity;
use registry::{Ask, Registry};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// How long a Brain's request may take here: nothing is waited for but a place in a mailbox.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// How long requests in hand may take to end when the node stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// The watch over Maps is begun again for ever; how often is counted within this.
const WATCH_WITHIN: Duration = Duration::from_secs(60);

/// What a Reduce needs.
#[derive(Clone)]
pub struct ReduceConfig {
    /// Who it is, to Brains and Maps; its role is [`crate::protocol::ROLE`].
    pub identity: Identity,
    /// How others are reached.
    pub network: Arc<dyn Network>,
    /// The bounds of connections.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// Chance, for nonces and jitter.
    pub randomness: Randomness,
    /// Where it listens, `host:port`.
    pub listen: String,
    /// Where windows are written.
    pub storage: Arc<dyn Storage>,
    /// Where groups are merged.
    pub pool: CpuPool,
    /// How definitions are read.
    pub read_definition: ReadDefinition,
}

/// What all actors of a node share.
struct Shared {
    config: ReduceConfig,
    maps: link::Maps,
    /// Revisions written since the start.
    written: AtomicU64,
    /// Writes that the store refused.
    refused: AtomicU64,
    /// What no Brain has heard of. Borrowed for moments, never across an `await`.
    news: RefCell<News>,
    /// Which Maps live. Borrowed likewise.
    guards: RefCell<watch::Guards>,
}

/// A Reduce that runs.
pub struct ReduceNode {
    /// Its listener.
    pub server: Server,
    root: Root,
}

/// Starts a Reduce. Must be called on a tokio `LocalSet`, on which it then runs.
///
/// # Errors
/// If the address cannot be listened at.
pub async fn start(config: ReduceConfig) -> io::Result<ReduceNode> {
    let root = Root::new(config.clock.clone(), config.randomness.fork());
    let shared = Rc::new(Shared {
        maps: link::Maps::new(&config),
        written: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        // Microseconds rise faster than tickets of an earlier life ever did.
        news: RefCell::new(News::new(u64::try_from(config.clock.wall().0 / 1000).unwrap_or(0))),
        guards: RefCell::default(),
        config: config.clone(),
    });
    let watched = Rc::clone(&shared);
    let tireless = Options {
        restart_limit: RestartLimit {
            restarts: u32::MAX,
            within: WATCH_WITHIN,
        },
        ..Options::named("watch")
    };
    root.spawn(tireless, move || watch::Watch(Rc::clone(&watched)));
    let registry = root.spawn(Options::named("reduce"), move || Registry::new(Rc::clone(&shared)));
    let questions = questions::Questions::new(&config);
    let ReduceConfig {
        identity,
        settings,
        clock,
        randomness,
        network,
        listen,
        ..
    } = config;
    let server = ServerBuilder::new(identity, settings, clock, randomness)
        .serve::<ReduceProtocol>(Front { registry, questions })
        .listen(&*network, &listen)
        .await?;
    Ok(ReduceNode { server, root })
}

impl ReduceNode {
    /// Where it listens, with the true port.
    pub fn local_address(&self) -> &str {
        self.server.local_address()
    }

    /// Resolves if the node failed more often than it may: the process should say so and end.
    pub async fn escalated(&mut self) -> Escalation {
        self.root.escalated().await
    }

    /// What can be seen of its actors.
    pub fn observe(&self) -> Vec<lika::actor::Observation> {
        self.root.observe()
    }

    /// Stops it in order. What is not acknowledged to Maps is handed out again to whoever comes next.
    pub async fn stop(self) {
        self.server.stop(STOP_PATIENCE).await;
        self.root.stop().await;
    }
}

/// Hands what Brains ask to the registry, and what they ask about hosts and logs to Maps.
struct Front {
    registry: Mailbox<Registry>,
    questions: questions::Questions,
}

impl Handler<ReduceProtocol> for Front {
    async fn handle(&self, request: ReduceRequest, call: &mut Call<ReduceProtocol>) -> Result<ReduceAnswer, Refusal> {
        match request {
            ReduceRequest::Browse(question) => {
                let browsed = hosts::browse(&self.registry, *question).await?;
                Ok(ReduceAnswer::Browsed(Box::new(browsed)))
            }
            ReduceRequest::Agents { maps } => Ok(ReduceAnswer::Agents(hosts::agents(&self.registry, maps).await?)),
            ReduceRequest::Ask(question) => {
                let end = self.questions.answer(&self.registry, *question, call).await?;
                Ok(ReduceAnswer::Asked(end))
            }
            request => {
                let answer = self.registry.ask(Ask(request), ANSWER_PATIENCE).await;
                answer.map_err(|error| Refusal::Failed(error.to_string()))
            }
        }
    }
}
