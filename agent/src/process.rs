//! The agent as a process: from its configuration to a listener, until a signal ends it.
//!
//! `sunfire agent` and `sunfire-agent` are both this. One thread serves all connections; file work has a few more,
//! made when needed. Time and chance are those of the machine.

use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use configs::Diagnostic;
use configs::node::{AgentNode, HardLinkPolicy, Node, SandboxPolicy, TokenSource};
use lika::node::Server;
use lika::seam::{Clock, Network, Randomness, TcpNetwork};
use lika::tls::{TlsError, TlsFiles, TlsNetwork};
use lika::wire::{Identity, Token, TokenError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::binding::{self, Limits, OPEN_TOKEN, ROLE};
use crate::confinement::{Confinement, Landlock};
use crate::guard::{self, GuardError, Wanted};
use crate::profile::LoglineStamps;
use crate::protocol::StatusLimits;
use crate::roots::{HardLinks, Roots, RootsError};
use crate::service::Agent;

/// How long requests in hand may take to end after a signal.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// How long file work in hand may take to end after that; a hanging disk must not keep the process.
const FILE_WORK_PATIENCE: Duration = Duration::from_secs(1);
/// Stack of a thread for file work: a search keeps its buffers on the heap, and links are not followed by recursion.
const FILE_WORK_STACK_BYTES: usize = 512 << 10;

/// What the kernel can put between TCP and a program, by name.
const KERNEL_PROTOCOLS: &str = "/proc/sys/net/ipv4/tcp_available_ulp";

/// The environment variable by which whoever starts an agent says that he starts it again when it ends.
pub const SUPERVISED: &str = "SUNFIRE_SUPERVISED";

/// An agent that has started.
#[derive(Debug, Clone, Copy)]
pub struct Started<'a> {
    /// Where it listens.
    pub address: &'a str,
    /// What keeps it within its bounds.
    pub confinement: &'a Confinement,
    /// How what it says is encrypted, if it is.
    pub tls: Option<KernelTls>,
}

/// Whether the kernel could encrypt what is sent from files (kTLS). It is not used yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelTls {
    /// It has it, and loaded.
    Loaded,
    /// It has it not, or not loaded.
    NotLoaded,
    /// It does not say.
    Unknown,
}

impl KernelTls {
    fn read() -> KernelTls {
        match std::fs::read_to_string(KERNEL_PROTOCOLS) {
            Ok(names) if names.split_ascii_whitespace().any(|name| name == "tls") => KernelTls::Loaded,
            Ok(_) => KernelTls::NotLoaded,
            Err(_) => KernelTls::Unknown,
        }
    }
}

impl fmt::Display for KernelTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            KernelTls::Loaded => "by this process; the kernel's own is loaded, and not used",
            KernelTls::NotLoaded => "by this process; the kernel's own is not loaded",
            KernelTls::Unknown => "by this process; the kernel does not say whether it has its own",
        })
    }
}

/// Why an agent did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// Mistakes in its file; show them all.
    #[error("{} mistakes in the configuration", .0.len())]
    Configuration(Vec<Diagnostic>),
    /// The token's file.
    #[error("the token file {} cannot be read: let the agent's user read it", path.display())]
    TokenFile {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The token itself.
    #[error("the token cannot be used")]
    Token(#[source] TokenError),
    /// Its certificate.
    #[error("the agent's certificate cannot be used")]
    Tls(#[source] TlsError),
    /// A listener that others can reach, without a token.
    #[error(
        "{address} can be reached from other hosts, and there is neither a token nor a certificate: add `tls` or \
         `token_file`, or listen on 127.0.0.1"
    )]
    OpenBeyondLoopback {
        /// Where it would have listened.
        address: String,
    },
    /// The roots.
    #[error("the roots cannot be opened")]
    Roots(#[source] RootsError),
    /// The file is another role's.
    #[error("the file is of the role `{0}`, not of an agent")]
    Role(&'static str),
    /// The listener.
    #[error("cannot listen at {address}: choose another port, or stop what listens there")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The sandbox.
    #[error("it cannot be confined")]
    Guard(#[source] GuardError),
    /// A root that the sandbox does not cover.
    #[error("the root {0} is another folder than at the start, which its sandbox shuts out: start it again")]
    RootReplaced(String),
    /// Something every process needs.
    #[error("the system has no {what} to give")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Runs the agent of a configuration file until SIGTERM or SIGINT; `ready` is told the address once it listens.
///
/// # Errors
/// If it cannot start.
pub fn run_file(path: &Path, ready: impl FnOnce(Started<'_>)) -> Result<(), ProcessError> {
    match configs::load_node(path).map_err(ProcessError::Configuration)? {
        Node::Agent(node) => run(&node, ready),
        other => Err(ProcessError::Role(other.role())),
    }
}

/// Runs an agent until SIGTERM or SIGINT; `ready` is told the address once it listens.
///
/// # Errors
/// If it cannot start.
pub fn run(node: &AgentNode, ready: impl FnOnce(Started<'_>)) -> Result<(), ProcessError> {
    guard::mind(node.manners);
    let limits = limits_of(node);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(limits.file_work_max)
        .thread_stack_size(FILE_WORK_STACK_BYTES)
        .build()
        .map_err(|source| ProcessError::System {
            what: "runtime",
            source,
        })?;
    let clock = Clock::system();
    let ended = runtime.block_on(async {
        let no_signal = |source| ProcessError::System {
            what: "signals",
            source,
        };
        let mut terminate = signal(SignalKind::terminate()).map_err(no_signal)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signal)?;
        // Nothing is awaited between here and the sandbox, so nobody is answered and no thread made before it.
        let (agent, server) = listen(node, &limits, clock).await?;
        let tls = node.tls.as_ref().map(|_| KernelTls::read());
        // Nobody may read the list of users once it is confined.
        let user = node.user.clone().or_else(guard::user_name);
        let confinement = confine(node, &agent)?;
        let replaced = watch_roots(&agent, &confinement);
        ready(Started {
            address: server.local_address(),
            confinement: &confinement,
            tls,
        });
        agent.confined(confinement, user);
        let ended = tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            root = replaced.told(), if std::env::var_os(SUPERVISED).is_some() => Err(ProcessError::RootReplaced(root)),
        };
        server.stop(STOP_PATIENCE).await;
        ended
    });
    runtime.shutdown_timeout(FILE_WORK_PATIENCE);
    ended
}

/// The folders of the certificate files, and of what is linked there: they are read again when they change, and a
/// renewal may replace them.
fn certificate_folders(node: &AgentNode) -> Vec<PathBuf> {
    let files = node.tls.iter().flat_map(|tls| [&tls.ca, &tls.cert, &tls.key]);
    let with_targets = files.flat_map(|file| [Some(file.clone()), file.canonicalize().ok()]);
    let folders = with_targets
        .flatten()
        .filter_map(|file| file.parent().map(Path::to_owned));
    folders.collect()
}

fn confine(node: &AgentNode, agent: &Agent) -> Result<Confinement, ProcessError> {
    if node.sandbox != SandboxPolicy::Off || node.user.is_some() {
        guard::check_alone().map_err(ProcessError::Guard)?;
    }
    let wanted = Wanted {
        sandbox: node.sandbox,
        user: node.user.as_deref(),
    };
    guard::confine(agent.roots(), &certificate_folders(node), wanted).map_err(ProcessError::Guard)
}

/// The root that was found to be another folder than the sandbox was made for.
#[derive(Default)]
struct Replaced {
    root: OnceLock<String>,
    notify: Notify,
}

impl Replaced {
    async fn told(&self) -> String {
        loop {
            if let Some(root) = self.root.get() {
                return root.clone();
            }
            self.notify.notified().await;
        }
    }
}

/// Has the first replaced root told, and said once: an agent that nobody starts again goes on with its other roots.
fn watch_roots(agent: &Agent, confinement: &Confinement) -> Arc<Replaced> {
    let replaced = Arc::new(Replaced::default());
    if !matches!(confinement.landlock, Landlock::InForce { .. }) {
        return replaced;
    }
    let watched = Arc::clone(&replaced);
    agent.roots().seal(move |root| {
        if watched.root.set(root.to_owned()).is_ok() {
            eprintln!("{}", ProcessError::RootReplaced(root.to_owned()));
            watched.notify.notify_one();
        }
    });
    replaced
}

/// An agent that listens, in the present tokio runtime, as free as the process around it.
///
/// # Errors
/// If its token, its roots or its address cannot be used.
pub async fn start(node: &AgentNode, limits: &Limits, clock: Clock) -> Result<Server, ProcessError> {
    Ok(listen(node, limits, clock).await?.1)
}

async fn listen(node: &AgentNode, limits: &Limits, clock: Clock) -> Result<(Arc<Agent>, Server), ProcessError> {
    let token = token_of(node)?;
    let network = network(node, &clock)?;
    let hard_links = match node.hard_links {
        HardLinkPolicy::Refuse => HardLinks::Refuse,
        HardLinkPolicy::Allow => HardLinks::Allow,
    };
    let roots = Roots::open(&node.roots, hard_links).map_err(ProcessError::Roots)?;
    let randomness = Randomness::system().map_err(|source| ProcessError::System {
        what: "randomness",
        source,
    })?;
    let agent = Agent::new(roots, Arc::new(clock.clone()), Arc::new(LoglineStamps));
    // 0 would say that there is none.
    let agent = match node.browse.as_slice() {
        [] => agent,
        // Whatever pulls may do, nobody is shown a foreign file that is linked to here.
        folders => agent.with_browsing(Roots::open(folders, HardLinks::Refuse).map_err(ProcessError::Roots)?),
    };
    let agent = agent.with_instance(randomness.below(u64::MAX) + 1);
    let agent = Arc::new(agent.with_limits(status_limits(limits)));
    let identity = Identity {
        role: ROLE.to_owned(),
        node: node.host.clone(),
        token,
    };
    let address = node.listen.to_string();
    let listening = binding::listen(
        Arc::clone(&agent),
        (identity, limits),
        (clock, randomness),
        (&*network, &address),
    );
    match listening.await {
        Ok(server) => Ok((agent, server)),
        Err(source) => Err(ProcessError::Listen { address, source }),
    }
}

/// TCP, or TLS over it with the certificate of this host.
fn network(node: &AgentNode, clock: &Clock) -> Result<Arc<dyn Network>, ProcessError> {
    let Some(place) = &node.tls else {
        return Ok(Arc::new(TcpNetwork));
    };
    let files = TlsFiles {
        ca: place.ca.clone(),
        cert: place.cert.clone(),
        key: place.key.clone(),
    };
    let network = TlsNetwork::over(Arc::new(TcpNetwork), files, clock.clone()).map_err(ProcessError::Tls)?;
    // Maps ask for this very host.
    network.check_own_node(ROLE, &node.host).map_err(ProcessError::Tls)?;
    Ok(Arc::new(network))
}

/// The bounds of a configuration.
pub fn limits_of(node: &AgentNode) -> Limits {
    let default = Limits::default();
    let count = |given: Option<u64>, default: usize| {
        given.map_or(default, |given| usize::try_from(given).unwrap_or(usize::MAX))
    };
    Limits {
        connections_max: count(node.limits.connections, default.connections_max),
        pulls_per_peer_max: count(node.limits.pulls_per_peer, default.pulls_per_peer_max),
        bytes_per_second_max: node.limits.bytes_per_second.and_then(NonZeroU64::new),
        bytes_per_second_per_peer_max: node.limits.bytes_per_second_per_peer.and_then(NonZeroU64::new),
        ..default
    }
}

/// The bounds that a status tells.
fn status_limits(limits: &Limits) -> StatusLimits {
    StatusLimits {
        connections: limits.connections_max as u64,
        pulls_per_peer: limits.pulls_per_peer_max as u64,
        bytes_per_second: limits.bytes_per_second_max.map(NonZeroU64::get),
        bytes_per_second_per_peer: limits.bytes_per_second_per_peer_max.map(NonZeroU64::get),
    }
}

/// The token. That an open listener stays on loopback is checked here once more: a node need not come from a file.
fn token_of(node: &AgentNode) -> Result<Token, ProcessError> {
    let secret = match &node.token {
        TokenSource::Given(secret) => secret.reveal().to_owned(),
        TokenSource::File(path) => {
            let read = std::fs::read_to_string(path);
            let text = read.map_err(|source| ProcessError::TokenFile {
                path: path.clone(),
                source,
            })?;
            text.trim().to_owned()
        }
        TokenSource::OpenOnLoopback if node.listen.ip().is_loopback() || node.tls.is_some() => OPEN_TOKEN.to_owned(),
        TokenSource::OpenOnLoopback => {
            let address = node.listen.to_string();
            return Err(ProcessError::OpenBeyondLoopback { address });
        }
    };
    if secret == OPEN_TOKEN && node.tls.is_none() && !node.listen.ip().is_loopback() {
        let address = node.listen.to_string();
        return Err(ProcessError::OpenBeyondLoopback { address });
    }
    Token::new(secret).map_err(ProcessError::Token)
}
