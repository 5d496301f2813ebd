//! The listening side: accepts, shakes hands, and hands connections to what is served, within bounds.

use std::collections::BTreeMap;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::error::chain;
use super::seats::{Door, Seats, Standing};
use super::serving::serve_messages;
use super::{Handler, Protocol, Settings};
use crate::seam::{BoxedFuture, BoxedStream, Clock, Listener, Network, Randomness};
use crate::tls::name_of_role;
use crate::wire::handshake::{Admitted, Asked, HandshakeError, Host, Limits, Reached, welcome};
use crate::wire::{Identity, Lane, Peer, Refused};

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
        let seats = Arc::new(Seats::new(settings.connections_max, settings.connections_per_peer_max));
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
            seats,
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
    /// Connections open now whose handshake is done.
    pub connections: usize,
    /// Connections open now whose handshake is not done.
    pub handshakes: usize,
    /// Connections served since the start.
    pub served: u64,
    /// Connections refused, or failed in their handshake, since the start.
    pub refused: u64,
}

#[derive(Default)]
struct Counters {
    served: AtomicU64,
    refused: AtomicU64,
    handshakes: Arc<AtomicUsize>,
}

struct ServerShared {
    identity: Identity,
    randomness: Randomness,
    services: Services,
    environment: ServeEnvironment,
    seats: Arc<Seats>,
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
        let ServerShared { seats, counters, .. } = &*self.shared;
        ServerState {
            connections: seats.taken(),
            handshakes: counters.handshakes.load(Ordering::Relaxed),
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
    let settings = &shared.environment.settings;
    let mut door = Door::new(settings.handshakes_max, Arc::clone(&shared.counters.handshakes));
    // Bounded by the door itself: each that stands there says once that it has left.
    let (leave, mut left) = mpsc::unbounded_channel();
    loop {
        let accepted = tokio::select! {
            biased;
            Some(number) = left.recv() => {
                door.left(number);
                continue;
            }
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
        connections.spawn(serve(
            Arc::clone(&shared),
            (stream, address),
            door.enter(),
            leave.clone(),
        ));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve(
    shared: Arc<ServerShared>,
    (mut stream, address): (BoxedStream, String),
    Standing { number, go }: Standing,
    leave: mpsc::UnboundedSender<u64>,
) {
    let admitted = tokio::select! {
        admitted = shake(&shared, &mut stream, &address) => Some(admitted),
        () = go.notified() => None,
    };
    let _server_is_gone = leave.send(number);
    let admitted = match admitted {
        Some(Ok(admitted)) => admitted,
        Some(Err(error)) => {
            shared.counters.refused.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%address, error = %chain(&error), "a connection did not open");
            return;
        }
        None => {
            shared.counters.refused.fetch_add(1, Ordering::Relaxed);
            // Not louder: whoever can do this would else fill the log of the host.
            tracing::debug!(%address, "a connection was given up for another: too many do not finish their handshake");
            return;
        }
    };
    let Some(service) = find(&shared.services, admitted.lane, &admitted.protocol) else {
        return;
    };
    // Others may have sat down since it was asked whether there is a seat.
    let Some(_seat) = shared.seats.take(&admitted.peer.role, &admitted.peer.node) else {
        shared.counters.refused.fetch_add(1, Ordering::Relaxed);
        return;
    };
    shared.counters.served.fetch_add(1, Ordering::Relaxed);
    let node = admitted.peer.node.clone();
    let why = service.serve(stream, admitted.peer, shared.environment.clone()).await;
    tracing::debug!(%address, %node, %why, "a connection ended");
}

async fn shake(shared: &ServerShared, stream: &mut BoxedStream, address: &str) -> Result<Admitted, HandshakeError> {
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
    let admission = |asked: &Asked<'_>| admit(shared, asked);
    let patience = settings.handshake_deadline;
    // One patience for what is below and for what is above.
    let shaken = clock.timeout(patience, async {
        let names = stream.establish().await.map_err(HandshakeError::Tls)?;
        let names = names.as_ref();
        let client = Reached { address, names };
        welcome(stream, host, &admission, client, (clock, &shared.randomness)).await
    });
    shaken.await.map_err(|_| HandshakeError::TooSlow(patience))?
}

fn find<'a>(services: &'a Services, lane: Lane, protocol: &str) -> Option<&'a Arc<dyn Service>> {
    services
        .iter()
        .find(|((known, name), _)| *known == lane && *name == protocol)
        .map(|(_, service)| service)
}

fn admit(shared: &ServerShared, asked: &Asked<'_>) -> Result<(u16, u16), Refused> {
    let service = find(&shared.services, asked.lane, asked.protocol);
    let service = service.ok_or_else(|| Refused::UnknownProtocol(asked.protocol.to_owned()))?;
    let may_ask = service.client_roles().contains(&asked.role);
    if let Some(names) = asked.names
        && !(may_ask && names.cover(asked.role, asked.node))
    {
        let needed: Vec<String> = service.client_roles().iter().map(|role| name_of_role(role)).collect();
        return Err(Refused::Certificate {
            needed: needed.join(" or "),
            shown: names.to_string(),
        });
    }
    if !may_ask {
        return Err(Refused::Role(asked.role.to_owned()));
    }
    if !shared.seats.free_for(asked.role, asked.node) {
        return Err(Refused::TooManyConnections);
    }
    Ok(service.versions())
}
