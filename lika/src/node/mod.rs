//! Nodes: typed questions and answers over one connection per pair of nodes.
//!
//! A [`Protocol`] is what one role may ask of another. A [`Server`] serves several, each to the roles it names, on one
//! address; a [`Client`] speaks one, connects by itself and again after every failure. Many requests share a
//! connection; each has a deadline that the server knows too, is cancelled when its caller goes away, and may be
//! answered by a bounded sequence of parts before the final response, as fast as the asker takes them.
//!
//! What is never done here: to send a request twice. [`CallError`] says whether it can have had an effect.

mod client;
mod error;
mod link;
mod seats;
mod server;
mod serving;
#[cfg(test)]
mod tests;
mod writer;

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use client::connect;
pub use client::{Client, ClientState, Dialling};
pub(crate) use error::chain;
pub use error::{CallError, Refusal};
pub use link::{Answer, Answered};
pub use server::{ServeEnvironment, Server, ServerBuilder, ServerState, Service};
pub use serving::Call;

/// What one role may ask of another.
pub trait Protocol: Send + Sync + 'static {
    /// A question.
    type Request: Serialize + DeserializeOwned + Send + 'static;
    /// A part of an answer, before its end; `()` where answers have none.
    type Part: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// An answer, or the end of one.
    type Response: Serialize + DeserializeOwned + Send + 'static;

    /// Its name on the wire.
    const NAME: &'static str;
    /// The oldest and the newest version spoken by this build.
    const VERSIONS: (u16, u16);
    /// The role of the node that answers.
    const SERVER_ROLE: &'static str;
    /// The roles that may ask.
    const CLIENT_ROLES: &'static [&'static str];
}

/// Answers the questions of a protocol. Requests of one connection are handled side by side.
pub trait Handler<P: Protocol>: Send + Sync + 'static {
    /// Answers one question. The future is dropped when the asker cancels, disconnects, or its deadline passes; a
    /// panic is answered by [`Refusal::Failed`].
    fn handle(
        &self,
        request: P::Request,
        call: &mut Call<P>,
    ) -> impl Future<Output = Result<P::Response, Refusal>> + Send;
}

/// The bounds of connections, for servers and clients alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Connections a server holds at a time, all lanes, once their handshake is done.
    pub connections_max: usize,
    /// Connections a server holds at a time for one peer (role and name), all lanes. The name is the peer's own claim.
    pub connections_per_peer_max: usize,
    /// Connections at a time whose handshake is not done: one more, and the oldest of them is closed.
    pub handshakes_max: usize,
    /// The longest time for a handshake, and for a client's dial.
    pub handshake_deadline: Duration,
    /// Requests at a time on one connection; clients wait for their turn.
    pub requests_max: u32,
    /// Server: the longest time for one request, whatever its client would wait.
    pub request_deadline: Duration,
    /// Payload bytes of a frame, either way.
    pub frame_bytes_max: u32,
    /// How often a client says that it is there; a server answers.
    pub heartbeat_interval: Duration,
    /// Silence after which the other end counts as dead.
    pub dead_after: Duration,
    /// The longest time from a frame's first byte to its last, either way.
    pub frame_deadline: Duration,
    /// Frames that wait to be written on one connection; who adds one waits.
    pub queue_frames_max: usize,
    /// How a client waits between attempts to connect.
    pub backoff: crate::seam::Backoff,
}

impl Default for Settings {
    /// 1024 connections, of one peer if it wants, 128 handshakes of 5 s, 1024 requests at a time of an hour each, 8
    /// MiB a frame, heartbeats every 3 s, dead after 9 s of silence (so that a dead peer is noticed within 10 s),
    /// 30 s a frame, 64 frames queued.
    fn default() -> Settings {
        Settings {
            connections_max: 1024,
            connections_per_peer_max: 1024,
            handshakes_max: 128,
            handshake_deadline: Duration::from_secs(5),
            requests_max: 1024,
            request_deadline: Duration::from_secs(3600),
            frame_bytes_max: 8 * 1024 * 1024,
            heartbeat_interval: Duration::from_secs(3),
            dead_after: Duration::from_secs(9),
            frame_deadline: Duration::from_secs(30),
            queue_frames_max: 64,
            backoff: crate::seam::Backoff::default(),
        }
    }
}

impl Settings {
    pub(crate) fn read_patience(&self) -> crate::wire::reader::ReadPatience {
        crate::wire::reader::ReadPatience {
            silence: self.dead_after,
            frame: self.frame_deadline,
        }
    }

    pub(crate) fn frame_limit(&self) -> usize {
        usize::try_from(self.frame_bytes_max).unwrap_or(usize::MAX)
    }
}
