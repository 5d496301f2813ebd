//! The listening side: accepts, shakes hands, and hands connections to what is served, within bounds.

use std::collections::BTreeMap;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::error::chain;
use super::serving::serve_messages;
use super::{Handler, Protocol, Settings};
use crate::seam::{BoxedFuture, BoxedStream, Clock, Listener, Network, Randomness};
use crate::wire::handshake::{Asked, Host, Limits, send_refused, welcome};
use crate::wire::{Identity, Lane, Peer, Refused};

/// Connections that are told that there are too many, at a time; more are closed without a word.
const TURNED_AWAY_MAX: usize = 16;
/// How long to wait after the system could not accept a connection, as when it is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a service is given besides the connection.
#[derive(Clone)]
pub struct ServeEnvironment {
    /// The clock.
    pub clock: Clock,
    /// The bounds.
    pub settings: Settings,
    /// Becomes true when the server is stopping: finish what is in hand and end.
    pub stopping: watch::Receiver<bool>,
}

/// Serves connections of one protocol on one lane, after the handshake.
pub trait Service: Send + Sync + 'static {
    /// The oldest and newest version it speaks.
    fn versions(&self) -> (u16, u16);
    /// The roles it serves.
    fn client_roles(&self) -> &'static [&'static str];
    /// Serves one connection until its end; returns why it ended, for the log. Dropping the future ends it at once.
    fn serve(&self, stream: BoxedStream, peer: Peer, environment: ServeEnvironment) -> BoxedFuture<'static, String>;
}

struct MessageService<P, H> {
    handler: Arc<H>,
    protocol: PhantomData<fn() -> P>,
}

impl<P: Protocol, H: Handler<P>> Service for MessageService<P, H> {
    fn versions(&self) -> (u16, u16) {
        P::VERSIONS
    }

    fn client_roles(&self) -> &'static [&'static str] {
        P::CLIENT_ROLES
    }

    fn serve(&self, stream: BoxedStream, peer: Peer, environment: ServeEnvironment) -> BoxedFuture<'static, String> {
        Box::pin(serve_messages::<P, H>(
            Arc::clone(&self.handler),
            stream,
            peer,
            environment,
        ))
    }
}

type Services = BTreeMap<(Lane, &'static str), Arc<dyn Service>>;

/// What a server is made of.
pub struct ServerBuilder {
    identity: Identity,
    settings: Settings,
    clock: Clock,
    randomness: Randomness,
    services: Services,
}

impl ServerBuilder {
    /// A server that serves nothing yet.
    pub fn new(identity: Identity, settings: Settings, clock: Clock, randomness: Randomness) -> ServerBuilder {
        ServerBuilder {
            identity,
            settings,
            clock,
            randomness,
            services: Services::new(),
        }
    }

    /// Serves a protocol.
    pub fn serve<P: Protocol>(self, handler: impl Handler<P>) -> ServerBuilder {
        let service = MessageService::<P, _> {
            handler: Arc::new(handler),
            protocol: PhantomData,
        };
        self.serve_lane(Lane::Messages, P::NAME, Arc::new(service))
    }

    /// Serves a protocol's lane by any means; the last one for a lane and name counts.
    pub fn serve_lane(mut self, lane: Lane, protocol: &'static str, service: Arc<dyn Service>) -> ServerBuilder {
        self.services.insert((lane, protocol), service);
        self
    }

    /// Listens, in tasks of the present tokio runtime.
    pub async fn listen(self, network: &dyn Network, address: &str) -> io::Result<Server> {
        let listener = network.listen(address).await?;
        let local_address = listener.local_address().to_owned();
        let (stop, stopping) = watch::channel(false);
        let ServerBuilder {
            identity,
            settings,
            clock,
            randomness,
            services,
        } = self;
        let slots = Arc::new(Semaphore::new(settings.connections_max.min(Semaphore::MAX_PERMITS)));
        let environment = ServeEnvironment {
            clock,
            settings,
            stopping,
        };
        let counters = Counters::default();
        let shared = Arc::new(ServerShared {
            identity,
            randomness,
            services,
            environment,
            slots,
            counters,
        });
        let task = tokio::spawn(accept(Arc::clone(&shared), listener));
        Ok(Server {
            local_address,
            shared,
            stop,
            task,
        })
    }
}

/// What can be seen of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerState {
    /// Connections open now, handshakes included.
    pub connections: usize,
    /// Connections served since the start.
    pub served: u64,
    /// Connections refused, or failed in their handshake, since the start.
    pub refused: u64,
}

#[derive(Default)]
struct Counters {
    served: AtomicU64,
    refused: AtomicU64,
}

struct ServerShared {
    identity: Identity,
    randomness: Randomness,
    services: Services,
    environment: ServeEnvironment,
    slots: Arc<Semaphore>,
    counters: Counters,
}

/// A listening server; dropping it closes all its connections at once.
pub struct Server {
    local_address: String,
    shared: Arc<ServerShared>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// The address it listens at, with the true port.
    pub fn local_address(&self) -> &str {
        &self.local_address
    }

    /// What can be seen of it.
    pub fn state(&self) -> ServerState {
        let ServerShared {
            environment,
            slots,
            counters,
            ..
        } = &*self.shared;
        let slots_max = environment.settings.connections_max.min(Semaphore::MAX_PERMITS);
        ServerState {
            connections: slots_max.saturating_sub(slots.available_permits()),
            served: counters.served.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
        }
    }

    /// Accepts no more, tells clients so, and lets requests in hand end for at most `patience`.
    pub async fn stop(mut self, patience: Duration) {
        self.stop.send_replace(true);
        let clock = self.shared.environment.clock.clone();
        // What is left then is dropped with `self`.
        let _elapsed = clock.timeout(patience, &mut self.task).await;
    }
}

async fn accept(shared: Arc<ServerShared>, mut listener: Box<dyn Listener>) {
    let mut connections = JoinSet::new();
    let mut stopping = shared.environment.stopping.clone();
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    loop {
        let accepted = tokio::select! {
            biased;
            Some(_ended) = connections.join_next() => continue,
            _ = stopping.wait_for(|stopping| *stopping) => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; raise the limit of open files if that is why");
                shared.environment.clock.sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match Arc::clone(&shared.slots).try_acquire_owned() {
            Ok(slot) => {
                connections.spawn(serve(Arc::clone(&shared), stream, address, slot));
            }
            Err(_none_free) => {
                shared.counters.refused.fetch_add(1, Ordering::Relaxed);
                if let Ok(permit) = Arc::clone(&turned_away).try_acquire_owned() {
                    connections.spawn(turn_away(shared.environment.clone(), stream, permit));
                }
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn turn_away(environment: ServeEnvironment, mut stream: BoxedStream, _permit: OwnedSemaphorePermit) {
    let patience = environment.settings.handshake_deadline;
    let told = async {
        let _broken = send_refused(&mut stream, &Refused::TooManyConnections).await;
        // Closing with unread bytes would reset the connection and could lose what was said: read until it hangs up.
        let mut rest = [0; 256];
        while tokio::io::AsyncReadExt::read(&mut stream, &mut rest)
            .await
            .is_ok_and(|count| count > 0)
        {}
    };
    let _elapsed = environment.clock.timeout(patience, told).await;
}

async fn serve(shared: Arc<ServerShared>, mut stream: BoxedStream, address: String, _slot: OwnedSemaphorePermit) {
    let ServeEnvironment { clock, settings, .. } = &shared.environment;
    let limits = Limits {
        requests_max: settings.requests_max,
        frame_bytes_max: settings.frame_bytes_max,
    };
    let host = Host {
        identity: &shared.identity,
        limits,
        patience: settings.handshake_deadline,
    };
    let admission = |asked: &Asked<'_>| admit(&shared.services, asked);
    let admitted = match welcome(&mut stream, host, &admission, &address, (clock, &shared.randomness)).await {
        Ok(admitted) => admitted,
        Err(error) => {
            shared.counters.refused.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%address, error = %chain(&error), "a connection did not open");
            return;
        }
    };
    let Some(service) = find(&shared.services, admitted.lane, &admitted.protocol) else {
        return;
    };
    shared.counters.served.fetch_add(1, Ordering::Relaxed);
    let node = admitted.peer.node.clone();
    let why = service.serve(stream, admitted.peer, shared.environment.clone()).await;
    tracing::debug!(%address, %node, %why, "a connection ended");
}

fn find<'a>(services: &'a Services, lane: Lane, protocol: &str) -> Option<&'a Arc<dyn Service>> {
    services
        .iter()
        .find(|((known, name), _)| *known == lane && *name == protocol)
        .map(|(_, service)| service)
}

fn admit(services: &Services, asked: &Asked<'_>) -> Result<(u16, u16), Refused> {
    let service = find(services, asked.lane, asked.protocol);
    let service = service.ok_or_else(|| Refused::UnknownProtocol(asked.protocol.to_owned()))?;
    if service.client_roles().contains(&asked.role) {
        Ok(service.versions())
    } else {
        Err(Refused::Role(asked.role.to_owned()))
    }
}
