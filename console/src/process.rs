//! The console as a part of a process: from its configuration to a listener, until it is stopped.
//!
//! HTTP is served by actix-web on a few threads of its own; whoever starts the console needs a tokio runtime, which
//! keeps the connection to the Brain.

use crate::access_log::AccessLog;
use crate::http::{Doors, Metrics, Site, guarded, logged, routes};
use crate::points::Points;
use actix_web::dev::ServerHandle;
use actix_web::middleware::{Compress, from_fn};
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use lika::node::{Client, Dialling, Settings};
use lika::seam::{Clock, Network, Randomness};
use lika::wire::{Identity, Token};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

pub use crate::http::ApiToken;

/// The role by which the console is known to its peers.
pub const ROLE: &str = "console";
/// Threads that serve HTTP: they wait for the store most of the time, and decode on threads of their own.
const WORKERS: usize = 2;
/// How long a client may take to send the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long requests in hand may take to end when the console stops.
const STOP_PATIENCE_S: u64 = 5;

/// The bounds of a console (C8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, of all clients together.
    pub connections_max: usize,
    /// Questions in hand at a time; more wait for their turn.
    pub questions_max: usize,
    /// Folders and files looked at at a time; one more is told to come again.
    pub browses_max: usize,
    /// The longest time for a question, the wait for its turn included.
    pub query_patience: Duration,
    /// Questions to logs in hand at a time; one more is told to come again.
    pub log_questions_max: usize,
    /// The longest time for a question to logs.
    pub log_question_patience: Duration,
    /// Size at which the access log is renamed; one predecessor is kept.
    pub access_log_bytes_max: u64,
}

impl Default for Limits {
    /// 1024 connections, 8 questions and 8 looks at files at a time, 10 s for each (less than the page waits), 4
    /// questions to logs of ten minutes, an access log of 64 MiB.
    fn default() -> Self {
        Self {
            connections_max: 1024,
            questions_max: 8,
            browses_max: 8,
            query_patience: Duration::from_secs(10),
            log_questions_max: 4,
            log_question_patience: Duration::from_secs(600),
            access_log_bytes_max: 64 << 20,
        }
    }
}

/// What a console is made of.
pub struct ConsoleConfig {
    /// Where it listens; port 0 takes any.
    pub listen: SocketAddr,
    /// A name besides `localhost` by which it may be called on loopback.
    pub name: Option<String>,
    /// What requests must bear; needed beyond loopback.
    pub token: Option<ApiToken>,
    /// Where points are read.
    pub store: Arc<dyn Points>,
    /// Where the Brains are, `host:port`: one that leads, and those that stand by. Without one it answers from the
    /// store alone.
    pub brains: Vec<String>,
    /// Name of the node, for its peers.
    pub node: String,
    /// The installation's secret, for its peers.
    pub cluster_token: Token,
    /// How the Brain is reached.
    pub network: Arc<dyn Network>,
    /// The time.
    pub clock: Clock,
    /// Chance, for nonces and jitter.
    pub randomness: Randomness,
    /// Where every request is written.
    pub access_log: Option<PathBuf>,
    /// Bounds.
    pub limits: Limits,
}

/// Why a console did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener that others can reach, without a token.
    #[error("{0} can be reached from other hosts, and there is no token: set one, or listen on 127.0.0.1")]
    OpenBeyondLoopback(SocketAddr),
    /// The listener.
    #[error("cannot listen at {address}: choose another port, or stop what listens there")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The access log.
    #[error("the access log {} cannot be opened: let the console's user write it", path.display())]
    AccessLog {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A console that listens.
pub struct Console {
    local_address: SocketAddr,
    handle: ServerHandle,
    server: JoinHandle<io::Result<()>>,
    log: Option<AccessLog>,
}

/// Starts a console, in the present tokio runtime.
///
/// # Errors
/// If it must not or cannot listen, or its access log cannot be opened.
pub async fn start(config: ConsoleConfig) -> Result<Console, StartError> {
    if !config.listen.ip().is_loopback() && config.token.is_none() {
        return Err(StartError::OpenBeyondLoopback(config.listen));
    }
    let log = open_log(&config)?;
    let (listen, limits) = (config.listen, config.limits.clone());
    let site = Data::new(site(config, log.clone()));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(site.clone())
            .wrap(from_fn(guarded))
            .wrap(Compress::default())
            .wrap(from_fn(logged))
            .configure(routes)
    })
    .workers(WORKERS)
    .max_connections(limits.connections_max.div_ceil(WORKERS))
    .client_request_timeout(HEAD_PATIENCE)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(STOP_PATIENCE_S)
    .disable_signals()
    .bind(listen)
    .map_err(|source| StartError::Listen {
        address: listen,
        source,
    })?;
    let local_address = server.addrs().first().copied().unwrap_or(listen);
    let running = server.run();
    let handle = running.handle();
    Ok(Console {
        local_address,
        handle,
        server: tokio::spawn(running),
        log,
    })
}

fn open_log(config: &ConsoleConfig) -> Result<Option<AccessLog>, StartError> {
    let Some(path) = config.access_log.clone() else {
        return Ok(None);
    };
    let opened = AccessLog::open(&path, config.limits.access_log_bytes_max);
    opened
        .map(Some)
        .map_err(|source| StartError::AccessLog { path, source })
}

fn site(config: ConsoleConfig, log: Option<AccessLog>) -> Site {
    let doors = Doors::new(config.listen, config.name.as_deref(), config.token);
    let dialling = |address: String| Dialling {
        network: Arc::clone(&config.network),
        address,
        server_node: None,
        identity: Identity {
            role: ROLE.to_owned(),
            node: config.node.clone(),
            token: config.cluster_token.clone(),
        },
        settings: Settings::default(),
        clock: config.clock.clone(),
        randomness: config.randomness.fork(),
    };
    Site {
        store: config.store,
        brains: config
            .brains
            .into_iter()
            .map(|address| Client::start(dialling(address)))
            .collect(),
        clock: config.clock.clone(),
        doors,
        questions: Semaphore::new(config.limits.questions_max.clamp(1, Semaphore::MAX_PERMITS)),
        log_questions: Semaphore::new(config.limits.log_questions_max),
        browses: Semaphore::new(config.limits.browses_max.clamp(1, Semaphore::MAX_PERMITS)),
        limits: config.limits,
        metrics: Metrics::default(),
        log,
    }
}

impl Console {
    /// Where it listens, with the true port.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Ends what is in hand within a few seconds, then returns; every request that was answered is in the access log.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        // A server that failed or panicked has stopped as well.
        let _ended = self.server.await;
        if let Some(log) = self.log {
            log.flush().await;
        }
    }
}
