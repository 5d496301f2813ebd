//! The roles as they are started together: who listens where, on which thread, and how they end.

use super::logs::LogMonitor;
use super::starter::{APP, Folders};
use crate::cli::UpArguments;
use crate::exit::Failure;
use agent::process::limits_of;
use anyhow::{Context, anyhow};
use brain::process::{Brain, BrainConfig, HORIZON_DEFAULT, POLL_EVERY_DEFAULT};
use configs::node::{AgentLimits, AgentNode, HardLinkPolicy, Secret, TokenSource};
use console::process::{ApiToken, Console, ConsoleConfig};
use lika::actor::Escalation;
use lika::node::{Dialling, Server, Settings};
use lika::pool::CpuPool;
use lika::seam::{Clock, Network, Randomness, TcpNetwork};
use lika::wire::{Identity, Token};
use map::node::{AgentTokens, MapConfig, MapNode};
use reduce::node::{ReduceConfig, ReduceNode};
use reduce::protocol::NodeAddress;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{EmbeddedStore, StoreHandle};
use tokio::sync::oneshot;

/// Where the console listens unless it is told otherwise.
const LISTEN: &str = "127.0.0.1:7800";
/// Any free port of loopback, for all that only this process asks.
const ANY: &str = "127.0.0.1:0";
/// How far back a monitor begins that was never seen before: logs that exist show a chart at once.
const FIRST_WINDOWS_BACK: Duration = Duration::from_secs(15 * 60);
/// Counting that waits for a thread.
const POOL_QUEUE: NonZeroUsize = NonZeroUsize::new(64).expect("64 cannot be zero");
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
        let token = arguments.token_file.as_deref().map(api_token).transpose()?;
        if token.is_none() && !listen.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "--listen {listen} can be reached from other hosts: name a file with a token by --token-file, or \
                 listen on {LISTEN}"
            )));
        }
        Ok(Self { listen, token })
    }
}

/// All roles, running.
pub struct Nodes {
    console: Console,
    brain: Brain,
    reduce: ReduceNode,
    store: Server,
    retention: tokio::task::JoinHandle<()>,
    map: Worker,
    agent: Worker,
}

/// What every role is made with.
struct Means {
    clock: Clock,
    randomness: Randomness,
    network: Arc<dyn Network>,
    token: Token,
    host: String,
}

impl Means {
    fn identity(&self, role: &str) -> Identity {
        Identity {
            role: role.to_owned(),
            node: format!("{role}-1"),
            token: self.token.clone(),
        }
    }
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
        let randomness = Randomness::system().context("randomness")?;
        let means = Means {
            clock: Clock::system(),
            token: Token::random(&randomness),
            randomness,
            network: Arc::new(TcpNetwork),
            host: hostname(),
        };
        let (agent, agent_address, agent_token) = start_agent(&means).await?;
        let agent_tokens = AgentTokens {
            default: agents_token(arguments)?,
            by_address: [(agent_address.clone(), agent_token)].into(),
        };
        let (map, map_address) = start_map(&means, agent_tokens).await?;
        let embedded = EmbeddedStore::open(&folders.data).map_err(anyhow::Error::from)?;
        let local_store = StoreHandle::local(Arc::new(embedded));
        let (store, store_address) = listen_store(&means, local_store.clone()).await?;
        let policy = store::retention::RetentionPolicy::default();
        let sweeping = store::retention::keep_by_age(local_store.clone(), means.clock.clone(), policy);
        let retention = tokio::task::spawn_local(sweeping);
        let reduce = start_reduce(&means, &store_address).await?;
        let reduce_address = reduce.local_address().to_owned();
        let nodes = [("reduce", reduce_address), ("map", map_address)].map(|(role, address)| NodeAddress {
            node: format!("{role}-1"),
            address,
        });
        let brain = start_brain(&means, folders, monitors, (nodes, &agent_address), &store_address).await?;
        let console = start_console(&means, door, folders, local_store, &brain).await?;
        Ok(Self {
            console,
            brain,
            reduce,
            store,
            retention,
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
        self.retention.abort();
        self.store.stop(Duration::from_secs(2)).await;
        self.map.stop().await;
        self.agent.stop().await;
    }
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

fn pool(name: &str) -> Result<CpuPool, Failure> {
    Ok(CpuPool::threads(name, NonZeroUsize::MIN, POOL_QUEUE).context("threads that count")?)
}

fn hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// The agent of this machine. It reads what the user who started it may read; only this process knows its token.
async fn start_agent(means: &Means) -> Result<(Worker, String, Token), Failure> {
    let secret: String = means
        .randomness
        .bytes32()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let token = Token::new(secret.clone()).context("a token")?;
    let node = AgentNode {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        host: means.host.clone(),
        roots: vec!["/".to_owned()],
        token: TokenSource::Given(Secret::new(secret)),
        hard_links: HardLinkPolicy::Allow,
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
    let cpu = pool("map")?;
    let config = MapConfig {
        identity: means.identity(map::protocol::ROLE),
        agent_tokens,
        clock: means.clock.clone(),
        randomness: means.randomness.fork(),
        network: Arc::clone(&means.network),
        cpu,
        listen: ANY.to_owned(),
        limits: map::node::Limits::default(),
    };
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

async fn listen_store(means: &Means, handle: StoreHandle) -> Result<(Server, String), Failure> {
    let identity = means.identity(store::protocol::ROLE);
    let seams = (means.clock.clone(), means.randomness.fork());
    let server = store::node::listen(handle, identity, seams, (&*means.network, ANY))
        .await
        .context("the store")?;
    let address = server.local_address().to_owned();
    Ok((server, address))
}

/// The store as another role reaches it.
fn store_of(means: &Means, role: &str, address: &str) -> StoreHandle {
    StoreHandle::dial(Dialling {
        network: Arc::clone(&means.network),
        address: address.to_owned(),
        identity: means.identity(role),
        settings: Settings::default(),
        clock: means.clock.clone(),
        randomness: means.randomness.fork(),
    })
}

async fn start_reduce(means: &Means, store: &str) -> Result<ReduceNode, Failure> {
    let role = reduce::protocol::ROLE;
    let config = ReduceConfig {
        identity: means.identity(role),
        network: Arc::clone(&means.network),
        settings: Settings::default(),
        clock: means.clock.clone(),
        randomness: means.randomness.fork(),
        listen: ANY.to_owned(),
        storage: Arc::new(store_of(means, role, store)),
        pool: pool("reduce")?,
        read_definition: map::definition::definition,
    };
    Ok(reduce::node::start(config).await.context("the reduce")?)
}

async fn start_brain(
    means: &Means,
    folders: &Folders,
    monitors: &[LogMonitor],
    ([reduce, map], agent): ([NodeAddress; 2], &str),
    store: &str,
) -> Result<Brain, Failure> {
    let app = format!(
        "kind: app\nname: {APP}\nhosts:\n  - {{ host: {}, address: \"{agent}\" }}\n",
        serde_json::Value::from(means.host.as_str()),
    );
    let logs = monitors
        .iter()
        .map(|monitor| (monitor.path.display().to_string(), monitor.yaml()));
    let config = BrainConfig {
        config_dir: folders.config.clone(),
        data_dir: folders.data.clone(),
        extra: std::iter::once(("this machine".to_owned(), app)).chain(logs).collect(),
        system: Some(map::system::monitor()),
        reduces: vec![reduce],
        maps: vec![brain::topology::MapNode {
            node: map,
            labels: std::collections::BTreeMap::new(),
        }],
        node: format!("{}-1", brain::protocol::ROLE),
        token: means.token.clone(),
        listen: ANY.to_owned(),
        network: Arc::clone(&means.network),
        clock: means.clock.clone(),
        randomness: means.randomness.fork(),
        store: Arc::new(store_of(means, brain::protocol::ROLE, store)),
        horizon: HORIZON_DEFAULT,
        first_windows_back: FIRST_WINDOWS_BACK,
        poll_every: POLL_EVERY_DEFAULT,
    };
    Ok(brain::process::start(config).await.map_err(anyhow::Error::from)?)
}

async fn start_console(
    means: &Means,
    door: Door,
    folders: &Folders,
    store: StoreHandle,
    brain: &Brain,
) -> Result<Console, Failure> {
    let config = ConsoleConfig {
        listen: door.listen,
        name: Some(means.host.clone()),
        token: door.token,
        store: Arc::new(store),
        brain: Some(brain.server.local_address().to_owned()),
        node: "console-1".to_owned(),
        cluster_token: means.token.clone(),
        network: Arc::clone(&means.network),
        clock: means.clock.clone(),
        randomness: means.randomness.fork(),
        access_log: Some(folders.access_log.clone()),
        limits: console::process::Limits::default(),
    };
    Ok(console::process::start(config).await.map_err(anyhow::Error::from)?)
}

/// What agents of the inventory ask for.
fn agents_token(arguments: &UpArguments) -> Result<Token, Failure> {
    let secret = match &arguments.agents_token_file {
        Some(file) => read_secret(file)?,
        None => agent::binding::OPEN_TOKEN.to_owned(),
    };
    Ok(Token::new(secret).context("the agents' token")?)
}

fn read_secret(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("the token file {} cannot be read: {error}", file.display())))?;
    Ok(text.trim().to_owned())
}

fn api_token(file: &Path) -> Result<ApiToken, Failure> {
    let text = read_secret(file)?;
    let short = || {
        Failure::usage(format!(
            "{} holds too short a token: write a longer one",
            file.display()
        ))
    };
    ApiToken::new(text).ok_or_else(short)
}
