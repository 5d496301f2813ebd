//! The Brain as a part of a process: started on a `LocalSet`, serving the console, until it is stopped.

use crate::epoch::DataError;
use crate::hosts;
use crate::keeper::{Keeper, KeeperSetup};
use crate::keeping::Keeping;
use crate::lasting::Leading;
use crate::planner::{AskState, Planner, PlannerSetup};
use crate::protocol::{BrainAnswer, BrainProtocol, BrainRequest, BrainState, ROLE};
use crate::questions;
use crate::windows::WindowStore;
use configs::monitor::Monitor;
use lika::actor::{AskError, Escalation, Mailbox, Options, Root};
use lika::node::{Call, Handler, Refusal, Server, ServerBuilder, Settings};
use lika::seam::{Clock, Network, Randomness};
use lika::wire::{Identity, Token};
use reduce::protocol::{MapNode, NodeAddress};
use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// How long a question for the state may take.
const STATE_PATIENCE: Duration = Duration::from_secs(5);
/// How long questions in hand may take to end at a stop.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// How long a window below 100 % is worth repairing, unless it is said.
pub const HORIZON_DEFAULT: Duration = Duration::from_secs(24 * 3600);
/// How often the configuration is looked at, unless it is said; a change takes effect after two looks.
pub const POLL_EVERY_DEFAULT: Duration = Duration::from_secs(1);

/// What a Brain is made of.
pub struct BrainConfig {
    /// Where the ConfigDB is, and where what must last is kept; one Brain at a time.
    pub keeping: Keeping,
    /// Further files of the ConfigDB that the process itself gives: a name and YAML text each. Where one claims a name
    /// that the directory has, the directory's counts. Relative `file_sd` globs begin at the directory.
    pub extra: Vec<(String, String)>,
    /// The built-in table of the hosts' own figures as a monitor; `None` to have none.
    pub system: Option<Monitor>,
    /// The Reduces, each name once.
    pub reduces: Vec<NodeAddress>,
    /// The Maps, each name once.
    pub maps: Vec<MapNode>,
    /// The Brain's own name, for people.
    pub node: String,
    /// The installation's secret.
    pub token: Token,
    /// Where the console is served, `host:port`.
    pub listen: String,
    /// The network.
    pub network: Arc<dyn Network>,
    /// The clock.
    pub clock: Clock,
    /// The randomness.
    pub randomness: Randomness,
    /// Where windows are.
    pub store: Arc<dyn WindowStore>,
    /// How long a window below 100 % is worth repairing.
    pub horizon: Duration,
    /// How far before it is first seen a monitor begins.
    pub first_windows_back: Duration,
    /// How often the configuration is looked at.
    pub poll_every: Duration,
}

/// Why a Brain does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory.
    #[error("the data directory cannot be used")]
    Data(#[from] DataError),
    /// A defect.
    #[error("reading what lasted failed; please report it")]
    Panicked(#[source] tokio::task::JoinError),
    /// The listener.
    #[error("cannot listen at {address}: choose another port, or stop what listens there")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A running Brain. Dropping it closes its server; call [`Brain::stop`] to end it in order.
pub struct Brain {
    /// What the console asks.
    pub server: Server,
    root: Root,
    planner: Mailbox<Planner>,
    leading: Leading,
}

/// Starts a Brain in tasks of the present `LocalSet`: takes the data directory's lock, if it has one, and the next
/// epoch (which waits for the disk or for etcd), and begins to look and to plan.
///
/// # Errors
/// If the data directory is another Brain's or can't be used, or the address can't be listened at.
///
/// # Panics
/// Outside of a `LocalSet`, as `tokio::task::spawn_local` does.
pub async fn start(config: BrainConfig) -> Result<Brain, StartError> {
    let keeper_setup = KeeperSetup {
        system: config.system,
        horizon_ns: ns(config.horizon),
        back_ns: ns(config.first_windows_back),
    };
    let (keeping, texts, now_ns) = (config.keeping, config.extra, config.clock.wall().0);
    let opening = tokio::task::spawn_blocking(move || Keeper::open(keeper_setup, keeping.open(&texts)?, now_ns));
    let keeper = opening.await.map_err(StartError::Panicked)??;
    let leading = keeper.leading();
    let identity = Identity {
        role: ROLE.to_owned(),
        node: config.node,
        token: config.token,
    };
    let address: Arc<OnceLock<String>> = Arc::default();
    let setup = PlannerSetup {
        profiles: keeper.profiles(),
        leading: leading.clone(),
        keeper: Arc::new(Mutex::new(keeper)),
        store: config.store,
        reduces: config.reduces,
        maps: config.maps,
        identity: identity.clone(),
        address: Arc::clone(&address),
        began_ns: config.clock.wall().0,
        network: Arc::clone(&config.network),
        horizon_ns: ns(config.horizon),
        poll_every: config.poll_every,
    };
    let root = Root::new(config.clock.clone(), config.randomness.fork());
    let planner = root.spawn(Options::named("planner"), move || Planner::new(setup.clone()));
    let console = Console(planner.clone());
    let listening = ServerBuilder::new(identity, Settings::default(), config.clock, config.randomness)
        .serve::<BrainProtocol>(console)
        .listen(&*config.network, &config.listen)
        .await;
    match listening {
        Ok(server) => {
            let _first = address.set(server.local_address().to_owned());
            Ok(Brain {
                server,
                root,
                planner,
                leading,
            })
        }
        Err(source) => {
            root.stop().await;
            let address = config.listen;
            Err(StartError::Listen { address, source })
        }
    }
}

impl Brain {
    /// How everything stands, without a detour by the network.
    ///
    /// # Errors
    /// If the planner does not answer in time.
    pub async fn state(&self) -> Result<BrainState, AskError> {
        self.planner.ask(AskState, STATE_PATIENCE).await
    }

    /// Resolves when this Brain will never lead again; the process should stop it, and may stand by for another term.
    pub async fn deposed(&self) {
        self.leading.lost().await;
    }

    /// Resolves when the planner has failed too often; the process should say so and end.
    pub async fn escalated(&mut self) -> Escalation {
        self.root.escalated().await
    }

    /// Ends it: the console is told, what is under way is dropped. Reduces go on with what they have.
    pub async fn stop(self) {
        self.server.stop(STOP_PATIENCE).await;
        self.root.stop().await;
    }
}

struct Console(Mailbox<Planner>);

impl Handler<BrainProtocol> for Console {
    async fn handle(&self, request: BrainRequest, call: &mut Call<BrainProtocol>) -> Result<BrainAnswer, Refusal> {
        match request {
            BrainRequest::Browse { app, host, question } => {
                hosts::browse(&self.0, (app, host, question), call.remaining()).await
            }
            BrainRequest::Agents => hosts::agents(&self.0, call.remaining()).await,
            BrainRequest::Ask(question) => questions::ask(&self.0, *question, call).await,
            BrainRequest::State => match self.0.ask(AskState, STATE_PATIENCE).await {
                Ok(state) => Ok(BrainAnswer::State(Box::new(state))),
                Err(error) => Err(Refusal::Failed(error.to_string())),
            },
        }
    }
}

fn ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
