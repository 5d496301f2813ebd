//! The asking side: a handle that connects by itself, keeps the connection alive, and comes back after failures.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::error::{CallError, chain};
use super::link::{Answer, Answered, Link, Terms, send_request};
use super::writer::write_queued;
use super::{Protocol, Settings};
use crate::seam::{BoxedStream, Clock, Network, Randomness};
use crate::wire::frame::{FrameError, Kind, encode};
use crate::wire::handshake::{HandshakeError, Limits, Reached, Wanted, greet};
use crate::wire::{FrameReader, Identity, Lane, Peer, ReadError, pack};

/// What is needed to reach a node.
#[derive(Clone)]
pub struct Dialling {
    /// How.
    pub network: Arc<dyn Network>,
    /// Where, as `host:port`.
    pub address: String,
    /// The name that its node must have a certificate for, on a network of certificates; any of its role if none.
    pub server_node: Option<String>,
    /// As whom.
    pub identity: Identity,
    /// Within which bounds.
    pub settings: Settings,
    /// By which clock.
    pub clock: Clock,
    /// Whence nonces and jitter come.
    pub randomness: Randomness,
}

/// How a client stands with its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientState {
    /// The first attempt to connect is under way.
    Connecting,
    /// Connected to this node.
    Connected(Peer),
    /// Not connected; it is tried again.
    Disconnected {
        /// Failures in a row.
        failures: u32,
        /// What the last attempt or connection ended with.
        why: String,
    },
    /// Closed.
    Closed,
}

#[derive(Clone)]
enum Status {
    Connecting,
    Connected(Arc<Link>),
    Disconnected { failures: u32, why: String },
    Closed,
}

/// Asks one node in one protocol. Cheap to clone; the connection is closed with the last clone.
pub struct Client<P: Protocol> {
    shared: Arc<ClientShared>,
    protocol: PhantomData<fn() -> P>,
}

struct ClientShared {
    address: String,
    clock: Clock,
    status: watch::Receiver<Status>,
    status_sender: watch::Sender<Status>,
    task: AbortHandle,
}

impl Drop for ClientShared {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<P: Protocol> Clone for Client<P> {
    fn clone(&self) -> Client<P> {
        Client {
            shared: Arc::clone(&self.shared),
            protocol: PhantomData,
        }
    }
}

impl<P: Protocol> Client<P> {
    /// Starts to connect, in a task of the present tokio runtime.
    pub fn start(dialling: Dialling) -> Client<P> {
        let (status_sender, status) = watch::channel(Status::Connecting);
        let (address, clock) = (dialling.address.clone(), dialling.clock.clone());
        let keeper = Keeper {
            wanted: wanted::<P>(Lane::Messages, &dialling),
            dialling,
            status: status_sender.clone(),
        };
        let task = tokio::spawn(keeper.run()).abort_handle();
        let shared = ClientShared {
            address,
            clock,
            status,
            status_sender,
            task,
        };
        Client {
            shared: Arc::new(shared),
            protocol: PhantomData,
        }
    }

    /// Asks and awaits the answer, all within `patience`, the wait for a connection included.
    pub async fn call(&self, request: &P::Request, patience: Duration) -> Result<P::Response, CallError> {
        let mut answer = self.send(request, patience, 0).await?;
        match answer.next().await? {
            Answered::End(response) => Ok(response),
            // The server was given no credit for parts.
            Answered::Part(_) => {
                let why = FrameError::OutOfTurn(Kind::Part).to_string();
                Err(CallError::Unreadable {
                    address: self.shared.address.clone(),
                    why,
                })
            }
        }
    }

    /// Asks for an answer in parts, of which at most `parts_ahead` (at least 1) wait here to be taken.
    pub async fn stream(
        &self,
        request: &P::Request,
        patience: Duration,
        parts_ahead: u32,
    ) -> Result<Answer<P>, CallError> {
        self.send(request, patience, parts_ahead.clamp(1, super::serving::CREDIT_MAX))
            .await
    }

    /// How it stands with its server.
    pub fn state(&self) -> ClientState {
        match &*self.shared.status.borrow() {
            Status::Connecting => ClientState::Connecting,
            Status::Connected(link) => ClientState::Connected(link.peer.clone()),
            Status::Disconnected { failures, why } => ClientState::Disconnected {
                failures: *failures,
                why: why.clone(),
            },
            Status::Closed => ClientState::Closed,
        }
    }

    /// Resolves when the state is, or becomes, one that `wanted` accepts.
    pub async fn wait_for_state(&self, mut wanted: impl FnMut(&ClientState) -> bool) -> ClientState {
        let mut status = self.shared.status.clone();
        loop {
            status.mark_unchanged();
            let state = self.state();
            if wanted(&state) {
                return state;
            }
            // The sender is in `self`.
            let _changed = status.changed().await;
        }
    }

    /// Closes the connection for all clones; calls in flight end as disconnected.
    pub fn close(&self) {
        self.shared.task.abort();
        let before = self.shared.status_sender.send_replace(Status::Closed);
        if let Status::Connected(link) = before {
            link.break_off("the client was closed");
        }
    }

    async fn send(&self, request: &P::Request, patience: Duration, credit: u32) -> Result<Answer<P>, CallError> {
        let body = pack(request).map_err(|error| CallError::Unsendable(error.to_string()))?;
        let deadline = self.shared.clock.deadline_in(patience);
        let mut status = self.shared.status.clone();
        let link = async {
            let settled = |status: &Status| matches!(status, Status::Connected(_) | Status::Closed);
            match status.wait_for(settled).await.as_deref() {
                Ok(Status::Connected(link)) => Ok(Arc::clone(link)),
                _ => Err(CallError::Closed(self.shared.address.clone())),
            }
        };
        let link = match self.shared.clock.timeout_at(deadline, link).await {
            Ok(link) => link?,
            Err(_elapsed) => return Err(self.unreachable(patience)),
        };
        send_request(
            &link,
            &body,
            Terms {
                patience,
                deadline,
                credit,
            },
        )
        .await
    }

    fn unreachable(&self, patience: Duration) -> CallError {
        let why = match &*self.shared.status.borrow() {
            Status::Disconnected { why, .. } => why.clone(),
            _ => "the connection was not open yet".to_owned(),
        };
        CallError::Unreachable {
            address: self.shared.address.clone(),
            patience,
            why,
        }
    }
}

pub(crate) fn wanted<P: Protocol>(lane: Lane, dialling: &Dialling) -> Wanted {
    let server_role = P::SERVER_ROLE.to_owned();
    Wanted {
        lane,
        protocol: P::NAME.to_owned(),
        versions: P::VERSIONS,
        server_role,
        server_node: dialling.server_node.clone(),
    }
}

/// Dials and shakes hands, each within the handshake deadline.
pub(crate) async fn connect(
    dialling: &Dialling,
    wanted: &Wanted,
) -> Result<(BoxedStream, Peer, Limits), HandshakeError> {
    let Dialling {
        network,
        address,
        identity,
        settings,
        clock,
        randomness,
        ..
    } = dialling;
    let patience = settings.handshake_deadline;
    let dialled = clock.timeout(patience, network.dial(address)).await;
    let mut stream = dialled.map_err(|_| HandshakeError::TooSlow(patience))??;
    // One patience for what is below and for what is above.
    let shaken = clock.timeout(patience, async {
        let names = stream.establish().await.map_err(HandshakeError::Tls)?;
        let names = names.as_ref();
        let server = Reached { address, names };
        greet(&mut stream, identity, wanted, server, (clock, randomness, patience)).await
    });
    let (peer, limits) = shaken.await.map_err(|_| HandshakeError::TooSlow(patience))??;
    Ok((stream, peer, limits))
}

/// The task that keeps a client connected.
struct Keeper {
    dialling: Dialling,
    wanted: Wanted,
    status: watch::Sender<Status>,
}

impl Keeper {
    async fn run(self) {
        let mut failures = 0u32;
        loop {
            let why = match connect(&self.dialling, &self.wanted).await {
                Ok((stream, peer, limits)) => {
                    failures = 0;
                    self.keep(stream, peer, limits).await
                }
                Err(error) => chain(&error),
            };
            failures = failures.saturating_add(1);
            tracing::debug!(address = %self.dialling.address, %why, failures, "not connected");
            self.set(Status::Disconnected { failures, why });
            let wait = self.dialling.settings.backoff.wait(failures, &self.dialling.randomness);
            self.dialling.clock.sleep(wait).await;
        }
    }

    /// A closed client stays closed.
    fn set(&self, new: Status) {
        self.status.send_if_modified(|status| {
            let open = !matches!(status, Status::Closed);
            if open {
                *status = new;
            }
            open
        });
    }

    /// Serves one connection until it breaks; returns why.
    async fn keep(&self, stream: BoxedStream, peer: Peer, limits: Limits) -> String {
        let Dialling {
            address,
            settings,
            clock,
            ..
        } = &self.dialling;
        let (reading, writing) = tokio::io::split(stream);
        let frame_limit = settings
            .frame_limit()
            .min(usize::try_from(limits.frame_bytes_max).unwrap_or(usize::MAX));
        let turns = usize::try_from(limits.requests_max).unwrap_or(usize::MAX);
        let (queue, queued) = mpsc::channel(settings.queue_frames_max.max(1));
        let link = Link::new(
            (peer, address.clone()),
            clock.clone(),
            frame_limit,
            turns,
            queue.clone(),
        );
        let link = LinkGuard(Arc::new(link));
        let reader = FrameReader::new(reading, clock.clone(), settings.read_patience(), settings.frame_limit());
        self.set(Status::Connected(Arc::clone(&link.0)));
        let why = tokio::select! {
            biased;
            read = self.read(reader, &link.0) => read,
            written = write_queued(writing, queued, clock.clone(), settings.frame_deadline) => match written {
                Ok(()) => "it was closed on our side".to_owned(),
                Err(error) => chain(&error),
            },
            () = self.beat(&queue) => "heartbeats ended".to_owned(),
        };
        link.0.break_off(&why);
        why
    }

    async fn read<R: tokio::io::AsyncRead + Unpin>(&self, mut reader: FrameReader<R>, link: &Arc<Link>) -> String {
        let mut leaving = false;
        loop {
            if leaving && link.in_flight() == 0 {
                return "the server is stopping".to_owned();
            }
            let frame = match reader.next().await {
                Ok(frame) => frame,
                Err(ReadError::Closed) if leaving => return "the server stopped".to_owned(),
                Err(error) => return chain(&error),
            };
            match frame.kind {
                Kind::Pong => {}
                Kind::Goodbye => {
                    leaving = true;
                    let why = "the server is stopping".to_owned();
                    self.set(Status::Disconnected { failures: 0, why });
                }
                _ => {
                    if let Err(error) = link.dispatch(frame) {
                        return chain(&error);
                    }
                }
            }
        }
    }

    /// Says that we are there. A full queue says so as well.
    async fn beat(&self, queue: &mpsc::Sender<bytes::Bytes>) {
        loop {
            self.dialling
                .clock
                .sleep(self.dialling.settings.heartbeat_interval)
                .await;
            let Ok(ping) = encode(Kind::Ping, 0, &[], 0) else {
                continue;
            };
            let _full = queue.try_send(ping);
        }
    }
}

/// Breaks a link off also when its task is aborted.
struct LinkGuard(Arc<Link>);

impl Drop for LinkGuard {
    fn drop(&mut self) {
        self.0.break_off("the client was closed");
    }
}
