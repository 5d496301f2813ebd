//! How each role is made, in a process of its own (`role`) or beside the others (`up`): one way for both.

pub mod leading;
pub mod log;
pub mod tokens;

use crate::exit::Failure;
use anyhow::Context;
use brain::keeping::Keeping;
use brain::process::BrainConfig;
use configs::node::TlsPlace;
use console::process::{ApiToken, ConsoleConfig};
use lika::node::{Dialling, Server, Settings};
use lika::pool::CpuPool;
use lika::seam::{Clock, Network, Randomness, TcpNetwork};
use lika::tls::{TlsError, TlsFiles, TlsNetwork};
use lika::wire::{Identity, Token};
use map::node::{AgentTokens, MapConfig};
use reduce::node::ReduceConfig;
use reduce::protocol::{MapNode, NodeAddress};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{EmbeddedStore, StoreHandle};
use tokio::signal::unix::{SignalKind, signal};

/// Counting that waits for a thread.
const POOL_QUEUE: NonZeroUsize = NonZeroUsize::new(64).expect("64 cannot be zero");
/// How long the store's answers in hand may take at a stop.
const STORE_STOP_PATIENCE: Duration = Duration::from_secs(2);

/// What every role of a process is made with.
pub struct Means {
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub randomness: Randomness,
    /// How others are reached.
    pub network: Arc<dyn Network>,
    /// The secret of the cluster; `None` to draw one that only this process knows.
    pub token: Token,
}

impl Means {
    /// Those of this machine.
    ///
    /// # Errors
    /// If it has no randomness to give.
    pub fn new(token: Option<Token>) -> Result<Self, Failure> {
        let randomness = Randomness::system().context("randomness")?;
        Ok(Self {
            clock: Clock::system(),
            token: token.unwrap_or_else(|| Token::random(&randomness)),
            randomness,
            network: Arc::new(TcpNetwork),
        })
    }

    /// The same over TLS, if the node of these roles has a certificate.
    ///
    /// # Errors
    /// If its certificate cannot be used, or does not let it be what it is.
    pub fn over_tls(mut self, tls: Option<&TlsPlace>, roles: &[&str], node: &str) -> Result<Self, Failure> {
        let Some(place) = tls else { return Ok(self) };
        let files = TlsFiles {
            ca: place.ca.clone(),
            cert: place.cert.clone(),
            key: place.key.clone(),
        };
        let told = |error: TlsError| Failure::configuration(format!("{:#}", anyhow::Error::from(error)));
        let network = TlsNetwork::over(self.network, files, self.clock.clone()).map_err(told)?;
        for role in roles {
            network.check_own(role, node).map_err(told)?;
        }
        self.network = Arc::new(network);
        Ok(self)
    }

    fn identity(&self, role: &str, node: &str) -> Identity {
        Identity {
            role: role.to_owned(),
            node: node.to_owned(),
            token: self.token.clone(),
        }
    }

    /// A Map that listens here.
    ///
    /// # Errors
    /// If there is no thread to count on.
    pub fn map(&self, node: &str, listen: String, agent_tokens: AgentTokens) -> Result<MapConfig, Failure> {
        Ok(MapConfig {
            identity: self.identity(map::protocol::ROLE, node),
            agent_tokens,
            clock: self.clock.clone(),
            randomness: self.randomness.fork(),
            network: Arc::clone(&self.network),
            cpu: pool("map")?,
            listen,
            limits: map::node::Limits::default(),
        })
    }

    /// A Reduce that listens here and writes to a store there.
    ///
    /// # Errors
    /// If there is no thread to merge on.
    pub fn reduce(&self, node: &str, listen: String, store: &str) -> Result<ReduceConfig, Failure> {
        let role = reduce::protocol::ROLE;
        Ok(ReduceConfig {
            identity: self.identity(role, node),
            network: Arc::clone(&self.network),
            settings: Settings::default(),
            clock: self.clock.clone(),
            randomness: self.randomness.fork(),
            listen,
            storage: Arc::new(self.store(role, node, store)),
            pool: pool("reduce")?,
            read_definition: map::definition::definition,
        })
    }

    /// A Brain.
    pub fn brain(&self, plan: BrainPlan) -> BrainConfig {
        let role = brain::protocol::ROLE;
        BrainConfig {
            store: Arc::new(self.store(role, &plan.node, &plan.store)),
            keeping: plan.keeping,
            extra: plan.texts,
            system: Some(map::system::monitor()),
            reduces: plan.reduces,
            maps: plan.maps,
            node: plan.node,
            token: self.token.clone(),
            listen: plan.listen,
            network: Arc::clone(&self.network),
            clock: self.clock.clone(),
            randomness: self.randomness.fork(),
            horizon: plan.horizon,
            first_windows_back: plan.first_windows_back,
            poll_every: brain::process::POLL_EVERY_DEFAULT,
        }
    }

    /// A console over a store.
    pub fn console(&self, node: &str, site: Site, store: StoreHandle) -> ConsoleConfig {
        ConsoleConfig {
            listen: site.listen,
            name: Some(hostname()),
            token: site.token,
            store: Arc::new(store),
            brains: site.brains,
            node: node.to_owned(),
            cluster_token: self.token.clone(),
            network: Arc::clone(&self.network),
            clock: self.clock.clone(),
            randomness: self.randomness.fork(),
            access_log: site.access_log,
            limits: console::process::Limits::default(),
        }
    }

    /// A store elsewhere, as a role reaches it.
    pub fn store(&self, role: &str, node: &str, address: &str) -> StoreHandle {
        StoreHandle::dial(Dialling {
            network: Arc::clone(&self.network),
            address: address.to_owned(),
            server_node: None,
            identity: self.identity(role, node),
            settings: Settings::default(),
            clock: self.clock.clone(),
            randomness: self.randomness.fork(),
        })
    }

    /// Opens the store of a folder, listens for those who ask it, and forgets what is old. Must be called on a
    /// `LocalSet`.
    ///
    /// # Errors
    /// If the folder or the address cannot be used.
    pub async fn open_store(&self, node: &str, data: &Path, listen: &str) -> Result<OpenStore, Failure> {
        let embedded = EmbeddedStore::open(data).map_err(anyhow::Error::from)?;
        let handle = StoreHandle::local(Arc::new(embedded));
        let identity = self.identity(store::protocol::ROLE, node);
        let seams = (self.clock.clone(), self.randomness.fork());
        let server = store::node::listen(handle.clone(), identity, seams, (&*self.network, listen)).await;
        let server = server.map_err(|error| cannot_listen(listen, error))?;
        let policy = store::retention::RetentionPolicy::default();
        let sweeping = store::retention::keep_by_age(handle.clone(), self.clock.clone(), policy);
        Ok(OpenStore {
            handle,
            server,
            retention: tokio::task::spawn_local(sweeping),
        })
    }
}

/// What a Brain is told beside its means.
pub struct BrainPlan {
    /// Its name.
    pub node: String,
    /// Where it listens.
    pub listen: String,
    /// Where the ConfigDB is, and where it keeps what must last.
    pub keeping: Keeping,
    /// Further files of the ConfigDB, a name and YAML text each.
    pub texts: Vec<(String, String)>,
    /// Where the store is.
    pub store: String,
    /// The Reduces.
    pub reduces: Vec<NodeAddress>,
    /// The Maps.
    pub maps: Vec<MapNode>,
    /// How long a window below 100 % is worth repairing.
    pub horizon: Duration,
    /// How far before it is first seen a monitor begins.
    pub first_windows_back: Duration,
}

/// What a console is told beside its means.
pub struct Site {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What requests must bear.
    pub token: Option<ApiToken>,
    /// Where the Brains are.
    pub brains: Vec<String>,
    /// Where every request is written.
    pub access_log: Option<PathBuf>,
}

/// A store that is kept by this process.
pub struct OpenStore {
    /// The store.
    pub handle: StoreHandle,
    server: Server,
    retention: tokio::task::JoinHandle<()>,
}

impl OpenStore {
    /// Where it listens.
    pub fn local_address(&self) -> &str {
        self.server.local_address()
    }

    /// Ends it in order.
    pub async fn stop(self) {
        self.retention.abort();
        self.server.stop(STORE_STOP_PATIENCE).await;
    }
}

fn pool(name: &str) -> Result<CpuPool, Failure> {
    Ok(CpuPool::threads(name, NonZeroUsize::MIN, POOL_QUEUE).context("threads that count")?)
}

/// What this machine is called.
pub fn hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// Says that an address is taken, or not this machine's.
pub fn cannot_listen(address: &str, error: std::io::Error) -> Failure {
    let error = anyhow::Error::from(error);
    error
        .context(format!(
            "cannot listen at {address}: choose another port, or stop what listens there"
        ))
        .into()
}

/// Signals that end a process in order.
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen for them.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn new() -> Result<Self, Failure> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("signals")?,
            interrupt: signal(SignalKind::interrupt()).context("signals")?,
        })
    }

    /// Waits for one.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Runs what needs a `LocalSet`, on this thread.
///
/// # Errors
/// What it gives back, or that there is no runtime.
pub fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("a runtime")?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
