//! The agent's [`protocol`](crate::protocol) over `lika`: two lanes on one listener.
//!
//! Questions and answers go by messages ([`AgentProtocol`]); the bytes of a range go by the bulk lane
//! ([`RangeProtocol`]), from the page cache to the socket. Who may ask what is decided here, by the role that the
//! handshake proved: a Map may ask everything, nobody else anything. What people browse goes by a Map too.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use lika::bulk::{self, BulkProtocol, BulkSettings, BulkSource, FileRange, Pace, SentRange, Transfer};
use lika::node::{Call, Handler, Protocol, Refusal, Server, ServerBuilder, Settings};
use lika::seam::{Clock, Network, Randomness};
use lika::wire::{Identity, Peer};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;

use crate::protocol::{Answer, PROTOCOL_VERSION, PreviewAnswer, RangeEnd, RangeRequest, Request, RequestBody};
use crate::ranges::RangePlan;
use crate::service::{Agent, Served};
use crate::snapshot::HostClock;
use crate::work::{FileWork, PerPeer};

/// The role by which agents are known to their peers.
pub const ROLE: &str = "agent";
/// The role that pulls.
pub const ROLE_MAP: &str = "map";
/// What both ends take for the token where there is none: a loopback listener that anybody on its host may ask.
/// It is no secret, and a listener beyond loopback is refused it.
pub const OPEN_TOKEN: &str = "sunfire: open on loopback";

/// Folders listed and files previewed at a time for one peer: a folder that hangs must not hold all of the file work
/// that this peer's pulls need.
const BROWSING_PER_PEER_MAX: usize = 1;

/// Questions and answers. A question for [`RequestBody::Range`] is declined here: it goes by [`RangeProtocol`].
#[derive(Debug)]
pub struct AgentProtocol;

impl Protocol for AgentProtocol {
    type Request = Request;
    type Part = ();
    type Response = Answer;

    const NAME: &'static str = "agent";
    const VERSIONS: (u16, u16) = (PROTOCOL_VERSION, PROTOCOL_VERSION);
    const SERVER_ROLE: &'static str = ROLE;
    const CLIENT_ROLES: &'static [&'static str] = &[ROLE_MAP];
}

/// The bytes of ranges: one range a transfer, or none where the head says so; the tail is the trailer of the range.
#[derive(Debug)]
pub struct RangeProtocol;

impl BulkProtocol for RangeProtocol {
    type Request = RangeRequest;
    type Head = RangeHead;
    type Tail = RangeEnd;

    const NAME: &'static str = "agent";
    const VERSIONS: (u16, u16) = (PROTOCOL_VERSION, PROTOCOL_VERSION);
    const SERVER_ROLE: &'static str = ROLE;
    const CLIENT_ROLES: &'static [&'static str] = &[ROLE_MAP];
}

/// What is known before the first byte of a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RangeHead {
    /// The file is what was asked for, and its bytes follow.
    Sending {
        /// Where it stands now: another path than the asked one if it was renamed.
        path: String,
        /// Its size before the first byte.
        size: u64,
        /// Its last modification before the first byte.
        mtime_ns: i64,
    },
    /// Nothing follows but the trailer, which says why.
    NothingToSend,
}

/// The bounds of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, all peers and both lanes: each costs a descriptor and some KiB.
    pub connections_max: usize,
    /// Connections at a time of one peer, both lanes: of a Map that runs wild, others are still served.
    pub connections_per_peer_max: usize,
    /// Connections at a time that have not proved yet that they know the token: strangers cost no more than this.
    pub handshakes_max: usize,
    /// Questions in hand on one connection, those that wait for their turn included.
    pub requests_per_connection_max: u32,
    /// Ranges sent at a time to one peer; one more is refused as [`Refusal::Busy`].
    pub pulls_per_peer_max: usize,
    /// Pieces of file work at a time, all peers together: threads that a hanging disk can hold.
    pub file_work_max: usize,
    /// Pieces of file work at a time for one peer.
    pub file_work_per_peer_max: usize,
    /// The longest time for one question, whatever its asker would wait.
    pub request_deadline: Duration,
    /// The longest time for one range: it holds a file open, whose space a rotation could not free.
    pub transfer_deadline: Duration,
    /// Bytes of log per second that all peers together may take; `None` for as fast as it goes.
    pub bytes_per_second_max: Option<NonZeroU64>,
    /// Bytes of log per second that one peer may take, over all of its connections.
    pub bytes_per_second_per_peer_max: Option<NonZeroU64>,
}

impl Default for Limits {
    /// 256 connections, 64 of one peer, 64 handshakes, 64 questions each, 8 pulls a peer, 4 pieces of file work of
    /// which 2 for one peer, 5 minutes a question, an hour a range, any rate.
    fn default() -> Limits {
        Limits {
            connections_max: 256,
            connections_per_peer_max: 64,
            handshakes_max: 64,
            requests_per_connection_max: 64,
            pulls_per_peer_max: 8,
            file_work_max: 4,
            file_work_per_peer_max: 2,
            request_deadline: Duration::from_secs(300),
            transfer_deadline: Duration::from_secs(3600),
            bytes_per_second_max: None,
            bytes_per_second_per_peer_max: None,
        }
    }
}

impl HostClock for Clock {
    fn now_ns(&self) -> i64 {
        self.wall().0
    }
}

/// Serves `agent` at `address`, in tasks of the present tokio runtime, until the server is dropped or stopped.
///
/// # Errors
/// If the address cannot be listened at.
pub async fn listen(
    agent: Arc<Agent>,
    (identity, limits): (Identity, &Limits),
    (clock, randomness): (Clock, Randomness),
    (network, address): (&dyn Network, &str),
) -> io::Result<Server> {
    let settings = Settings {
        connections_max: limits.connections_max,
        connections_per_peer_max: limits.connections_per_peer_max,
        handshakes_max: limits.handshakes_max,
        request_deadline: limits.request_deadline,
        requests_max: limits.requests_per_connection_max,
        ..Settings::default()
    };
    let pace = Pace::new(limits.bytes_per_second_per_peer_max, limits.bytes_per_second_max);
    let bulk_settings = BulkSettings {
        transfer_deadline: limits.transfer_deadline,
        pace: pace.clone(),
        ..BulkSettings::default()
    };
    let work = Arc::new(FileWork::new(limits.file_work_max, limits.file_work_per_peer_max));
    let questions = Questions {
        agent: Arc::clone(&agent),
        work: Arc::clone(&work),
        browsing: PerPeer::new(BROWSING_PER_PEER_MAX),
        pace,
        clock: clock.clone(),
    };
    let ranges = Ranges {
        agent,
        work,
        pulls: PerPeer::new(limits.pulls_per_peer_max),
    };
    ServerBuilder::new(identity, settings, clock, randomness)
        .serve::<AgentProtocol>(questions)
        .serve_bulk::<RangeProtocol>(ranges, bulk_settings)
        .listen(network, address)
        .await
}

struct Questions {
    agent: Arc<Agent>,
    work: Arc<FileWork>,
    /// A turn for what people browse.
    browsing: PerPeer,
    pace: Pace,
    clock: Clock,
}

impl Handler<AgentProtocol> for Questions {
    async fn handle(&self, request: Request, call: &mut Call<AgentProtocol>) -> Result<Answer, Refusal> {
        let peer = call.peer().clone();
        if matches!(request.body, RequestBody::Range(_)) {
            return Err(Refusal::Declined(
                "a range goes by the bulk lane; fetch it there".to_owned(),
            ));
        }
        let agent = Arc::clone(&self.agent);
        let turn = match request.body {
            RequestBody::List(_) | RequestBody::Preview(_) => {
                let turn = self.browsing.of(&peer).acquire_owned().await;
                Some(turn.map_err(|_closed| Refusal::Stopping)?)
            }
            _ => None,
        };
        let serve = move || {
            let served = agent.serve(request);
            drop(turn);
            served
        };
        match self.work.run(&peer, serve).await? {
            Served::Answer(answer) => {
                if let Answer::Preview(PreviewAnswer::Bytes(preview)) = &answer {
                    let pace = self.pace.of(&peer, self.clock.monotonic());
                    pace.take(preview.bytes.len() as u64, &self.clock).await;
                }
                Ok(answer)
            }
            Served::Range(_) => Err(Refusal::Failed("a question was answered with bytes".to_owned())),
        }
    }
}

struct Ranges {
    agent: Arc<Agent>,
    work: Arc<FileWork>,
    pulls: PerPeer,
}

impl BulkSource<RangeProtocol> for Ranges {
    async fn open(&self, request: RangeRequest, peer: &Peer) -> Result<Transfer<RangeProtocol>, Refusal> {
        let pull = self.pulls.of(peer).try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let agent = Arc::clone(&self.agent);
        let request = Request {
            version: PROTOCOL_VERSION,
            body: RequestBody::Range(request),
        };
        match self.work.run(peer, move || agent.serve(request)).await? {
            Served::Range(plan) => sending(plan, pull),
            Served::Answer(Answer::Range(end)) => Ok(Transfer {
                head: RangeHead::NothingToSend,
                ranges: Box::new(std::iter::empty()),
                tail: Box::new(move |_| end),
            }),
            Served::Answer(Answer::Rejected(error)) => Err(Refusal::Declined(error.to_string())),
            Served::Answer(_) => Err(Refusal::Failed("a range was answered with something else".to_owned())),
        }
    }
}

/// A transfer of one range. The peer's turn ends with the trailer, or with the connection.
fn sending(plan: RangePlan, pull: OwnedSemaphorePermit) -> Result<Transfer<RangeProtocol>, Refusal> {
    let open = plan.file();
    let head = RangeHead::Sending {
        path: open.real_path.clone(),
        size: open.stat.size,
        mtime_ns: open.stat.mtime_ns,
    };
    let split = plan.split();
    let (file, check) = split.map_err(|error| Refusal::Failed(format!("no descriptor is left: {error}")))?;
    let range = FileRange {
        file: File::from(file.descriptor),
        start: file.offset,
        length: file.length,
    };
    let tail = move |sent: &[SentRange]| {
        let _until_here = pull;
        match sent.first() {
            Some(SentRange { sent, end, .. }) => match end {
                bulk::RangeEnd::Complete | bulk::RangeEnd::Shorter => check.end(*sent),
                bulk::RangeEnd::Failed(_) => check.failed(*sent),
            },
            None => check.end(0),
        }
    };
    Ok(Transfer {
        head,
        ranges: Box::new(std::iter::once(Ok(range))),
        tail: Box::new(tail),
    })
}
