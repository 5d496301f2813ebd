//! The roles as they are started together: who listens where, on which thread, and how they end.

use super::logs::LogMonitor;
use super::starter::{APP, Folders};
use crate::cli::UpArguments;
use crate::exit::Failure;
use crate::nodes::tokens::{api_token, token};
use crate::nodes::{BrainPlan, Means, OpenStore, Site, cannot_listen, hostname};
use crate::role::FIRST_WINDOWS_BACK;
use agent::process::limits_of;
use anyhow::{Context, anyhow};
use brain::keeping::Keeping;
use brain::process::{Brain, HORIZON_DEFAULT};
use configs::node::{AgentLimits, AgentNode, HardLinkPolicy, Manners, SandboxPolicy, Secret, TokenSource};
use console::process::{ApiToken, Console};
use lika::actor::Escalation;
use lika::seam::Clock;
use lika::wire::Token;
use map::node::{AgentTokens, MapNode};
use reduce::node::ReduceNode;
use reduce::protocol::NodeAddress;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::oneshot;

/// Where the console listens unless it is told otherwise.
const LISTEN: &str = "127.0.0.1:7800";
/// Any free port of loopback, for all that only this process asks.
const ANY: &str = "127.0.0.1:0";
/// The names of roles of which there is one.
const MAP: &str = "map-1";
const REDUCE: &str = "reduce-1";
const BRAIN: &str = "brain-1";
const STORE: &str = "store-1";
const CONSOLE: &str = "console-1";
/// How long a thread may take to end its role.
const STOP_PATIENCE: Duration = Duration::from_secs(8);

/// Where the console listens, and who may come in.
pub struct Door {
    listen: SocketAddr,
    token: Option<ApiToken>,
}

impl Door {
    /// As the command line says.
    ///
    /// # Errors
    /// If it says what cannot be, or would let everybody in from other hosts.
    pub fn of(arguments: &UpArguments) -> Result<Self, Failure> {
        let listen = arguments.listen.as_deref().unwrap_or(LISTEN);
        let listen: SocketAddr = listen
            .parse()
            .map_err(|_| Failure::usage(format!("--listen {listen}: write an address and a port, as {LISTEN}")))?;
        let token = api_token(&source(arguments.token_file.as_ref()))?;
        if token.is_none() && !listen.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "--listen {listen} can be reached from other hosts: name a file with a token by --token-file, or \
                 listen on {LISTEN}"
            )));
        }
        Ok(Self { listen, token })
    }
}

fn source(file: Option<&PathBuf>) -> TokenSource {
    file.cloned().map_or(TokenSource::OpenOnLoopback, TokenSource::File)
}

/// All roles, running.
pub struct Nodes {
    console: Console,
    brain: Brain,
    reduce: ReduceNode,
    store: OpenStore,
    map: Worker,
    agent: Worker,
}

impl Nodes {
    /// Starts the roles from the bottom up: each finds those below it.
    ///
    /// # Errors
    /// If one can't start; those before it end with the process.
    pub async fn start(
        arguments: &UpArguments,
        door: Door,
        folders: &Folders,
        monitors: &[LogMonitor],
    ) -> Result<Self, Failure> {
        let means = Means::new(None)?;
        let (agent, agent_address, agent_token) = start_agent(&means, log_folders(folders, monitors)).await?;
        let agent_tokens = AgentTokens {
            default: token(&source(arguments.agents_token_file.as_ref()))?,
            by_address: [(agent_address.clone(), agent_token)].into(),
        };
        let (map, map_address) = start_map(&means, agent_tokens).await?;
        let store = means.open_store(STORE, &folders.data, ANY).await?;
        let reduce = reduce::node::start(means.reduce(REDUCE, ANY.to_owned(), store.local_address())?).await;
        let reduce = reduce.map_err(|error| cannot_listen(ANY, error))?;
        let plan = BrainPlan {
            node: BRAIN.to_owned(),
            listen: ANY.to_owned(),
            keeping: Keeping::Folders {
                config: folders.config.clone(),
                data: folders.data.clone(),
            },
            texts: texts(&agent_address, monitors),
            store: store.local_address().to_owned(),
            reduces: vec![node(REDUCE, reduce.local_address())],
            maps: vec![reduce::protocol::MapNode {
                node: node(MAP, &map_address),
                labels: std::collections::BTreeMap::new(),
                is_drained: false,
            }],
            horizon: HORIZON_DEFAULT,
            first_windows_back: FIRST_WINDOWS_BACK,
        };
        let brain = brain::process::start(means.brain(plan))
            .await
            .map_err(anyhow::Error::from)?;
        let site = Site {
            listen: door.listen,
            token: door.token,
            brains: vec![brain.server.local_address().to_owned()],
            access_log: Some(folders.access_log.clone()),
        };
        let console = means.console(CONSOLE, site, store.handle.clone());
        let console = console::process::start(console).await.map_err(anyhow::Error::from)?;
        Ok(Self {
            console,
            brain,
            reduce,
            store,
            map,
            agent,
        })
    }

    /// Where people look.
    pub fn console_address(&self) -> SocketAddr {
        self.console.local_address()
    }

    /// Resolves if a role failed more often than it may.
    pub async fn escalated(&mut self) -> anyhow::Error {
        let Escalation { path, exit } = tokio::select! {
            escalation = self.brain.escalated() => escalation,
            escalation = self.reduce.escalated() => escalation,
        };
        anyhow!("`{path}` failed again and again ({exit:?}); see the messages above")
    }

    /// Ends the roles from the top down, each in order.
    pub async fn stop(self) {
        self.console.stop().await;
        self.brain.stop().await;
        self.reduce.stop().await;
        self.store.stop().await;
        self.map.stop().await;
        self.agent.stop().await;
    }
}

fn node(name: &str, address: &str) -> NodeAddress {
    NodeAddress {
        node: name.to_owned(),
        address: address.to_owned(),
    }
}

/// What the process adds to the ConfigDB: this machine as an application, and the named logs as monitors.
fn texts(agent: &str, monitors: &[LogMonitor]) -> Vec<(String, String)> {
    let app = format!(
        "kind: app\nname: {APP}\nhosts:\n  - {{ host: {}, address: \"{agent}\" }}\n",
        serde_json::Value::from(hostname()),
    );
    let logs = monitors
        .iter()
        .map(|monitor| (monitor.path.display().to_string(), monitor.yaml()));
    std::iter::once(("this machine".to_owned(), app)).chain(logs).collect()
}

/// A role on a thread of its own.
struct Worker {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Worker {
    /// Runs `role` on a new thread with a runtime; it says where it listens, and ends when it is told to.
    async fn spawn<F>(
        name: &str,
        role: impl FnOnce(oneshot::Sender<anyhow::Result<String>>, oneshot::Receiver<()>) -> F + Send + 'static,
    ) -> Result<(Self, String), Failure>
    where
        F: Future<Output = ()> + 'static,
    {
        let (said, hear) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let work = move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => tokio::task::LocalSet::new().block_on(&runtime, role(said, stopped)),
                // Whoever waits hears that nobody speaks.
                Err(_) => drop(said),
            }
            let _nobody_waits = end.send(());
        };
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .with_context(|| format!("no thread for the {name}"))?;
        let address = hear.await.with_context(|| format!("the {name} did not start"))??;
        Ok((Self { stop, ended }, address))
    }

    async fn stop(self) {
        let _gone = self.stop.send(());
        let clock = Clock::system();
        let deadline = clock.deadline_in(STOP_PATIENCE);
        let _late = clock.timeout_at(deadline, self.ended).await;
    }
}

/// The folders with logs that this process was told of: all that its console shows people, who need not be the user
/// that started it.
fn log_folders(folders: &Folders, monitors: &[LogMonitor]) -> Vec<String> {
    let logs = monitors.iter().map(|monitor| monitor.path.as_path());
    let logs = logs.chain(std::iter::once(folders.access_log.as_path()));
    let parents = logs.filter_map(|log| Some(log.parent()?.to_str()?.to_owned()));
    let named: std::collections::BTreeSet<String> = parents.collect();
    named.into_iter().collect()
}

/// The agent of this machine. It reads what the user who started it may read; only this process knows its token.
async fn start_agent(means: &Means, browse: Vec<String>) -> Result<(Worker, String, Token), Failure> {
    let secret: String = means
        .randomness
        .bytes32()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let token = Token::new(secret.clone()).context("a token")?;
    let node = AgentNode {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        host: hostname(),
        roots: vec!["/".to_owned()],
        browse,
        token: TokenSource::Given(Secret::new(secret)),
        tls: None,
        hard_links: HardLinkPolicy::Allow,
        sandbox: SandboxPolicy::Off,
        user: None,
        manners: Manners::Normal,
        limits: AgentLimits::default(),
    };
    let clock = means.clock.clone();
    let role = move |said: oneshot::Sender<anyhow::Result<String>>, stopped| async move {
        match agent::process::start(&node, &limits_of(&node), clock).await {
            Ok(server) => {
                let _gone = said.send(Ok(server.local_address().to_owned()));
                let _either = stopped.await;
                server.stop(Duration::from_secs(2)).await;
            }
            Err(error) => {
                let _gone = said.send(Err(error.into()));
            }
        }
    };
    let (worker, address) = Worker::spawn("agent", role).await?;
    Ok((worker, address, token))
}

async fn start_map(means: &Means, agent_tokens: AgentTokens) -> Result<(Worker, String), Failure> {
    let config = means.map(MAP, ANY.to_owned(), agent_tokens)?;
    let role = move |said: oneshot::Sender<anyhow::Result<String>>, stopped| async move {
        match map::node::start(config).await {
            Ok(node) => {
                let _gone = said.send(Ok(node.local_address().to_owned()));
                let _either = stopped.await;
                MapNode::stop(node).await;
            }
            Err(error) => {
                let _gone = said.send(Err(error.into()));
            }
        }
    };
    Worker::spawn("map", role).await
}
