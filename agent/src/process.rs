//! The agent as a process: from its configuration to a listener, until a signal ends it.
//!
//! `sunfire agent` and `sunfire-agent` are both this. One thread serves all connections; file work has a few more,
//! made when needed. Time and chance are those of the machine.

use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use configs::Diagnostic;
use configs::node::{AgentNode, HardLinkPolicy, Node, TokenSource};
use lika::node::Server;
use lika::seam::{Clock, Randomness, TcpNetwork};
use lika::wire::{Identity, Token, TokenError};
use tokio::signal::unix::{SignalKind, signal};

use crate::binding::{self, Limits, OPEN_TOKEN, ROLE};
use crate::profile::LoglineStamps;
use crate::roots::{HardLinks, Roots, RootsError};
use crate::service::Agent;

/// How long requests in hand may take to end after a signal.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// How long file work in hand may take to end after that; a hanging disk must not keep the process.
const FILE_WORK_PATIENCE: Duration = Duration::from_secs(1);
/// Stack of a thread for file work: a search keeps its buffers on the heap, and links are not followed by recursion.
const FILE_WORK_STACK_BYTES: usize = 512 << 10;

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
    /// A listener that others can reach, without a token.
    #[error(
        "{address} can be reached from other hosts, and there is no token: add `token_file`, or listen on 127.0.0.1"
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
pub fn run_file(path: &Path, ready: impl FnOnce(&str)) -> Result<(), ProcessError> {
    match configs::load_node(path).map_err(ProcessError::Configuration)? {
        Node::Agent(node) => run(&node, ready),
        other => Err(ProcessError::Role(other.role())),
    }
}

/// Runs an agent until SIGTERM or SIGINT; `ready` is told the address once it listens.
///
/// # Errors
/// If it cannot start.
pub fn run(node: &AgentNode, ready: impl FnOnce(&str)) -> Result<(), ProcessError> {
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
        let server = start(node, &limits, clock).await?;
        ready(server.local_address());
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        server.stop(STOP_PATIENCE).await;
        Ok(())
    });
    runtime.shutdown_timeout(FILE_WORK_PATIENCE);
    ended
}

/// An agent that listens, in the present tokio runtime.
///
/// # Errors
/// If its token, its roots or its address cannot be used.
pub async fn start(node: &AgentNode, limits: &Limits, clock: Clock) -> Result<Server, ProcessError> {
    let token = token_of(node)?;
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
    let agent = agent.with_instance(randomness.below(u64::MAX) + 1);
    let identity = Identity {
        role: ROLE.to_owned(),
        node: node.host.clone(),
        token,
    };
    let address = node.listen.to_string();
    let listening = binding::listen(
        Arc::new(agent),
        (identity, limits),
        (clock, randomness),
        (&TcpNetwork, &address),
    );
    listening
        .await
        .map_err(|source| ProcessError::Listen { address, source })
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
        ..default
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
        TokenSource::OpenOnLoopback if node.listen.ip().is_loopback() => OPEN_TOKEN.to_owned(),
        TokenSource::OpenOnLoopback => {
            let address = node.listen.to_string();
            return Err(ProcessError::OpenBeyondLoopback { address });
        }
    };
    if secret == OPEN_TOKEN && !node.listen.ip().is_loopback() {
        let address = node.listen.to_string();
        return Err(ProcessError::OpenBeyondLoopback { address });
    }
    Token::new(secret).map_err(ProcessError::Token)
}
