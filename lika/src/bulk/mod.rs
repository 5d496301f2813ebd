//! The bulk lane: ranges of files from a server's page cache to a caller's buffer, on a connection of its own.
//!
//! After the same handshake as for messages, one transfer at a time: a typed request; a typed head; for each range
//! its asked length, chunks, and its true length with the reason of its end; a typed tail, made after the last byte
//! was sent. The server sends chunks by `sendfile` where there is a kernel socket and by copying elsewhere.
//!
//! A chunk is a header that announces its length, the raw bytes, and eight bytes that say how many of them were real:
//! a file may shrink after its length was announced, then the rest is zeros that were never in the file. The client
//! hands out confirmed bytes only. Raw bytes have no checksum of ours, since they never pass through the server
//! program; headers and confirmations have.

mod client;
mod pace;
mod send;
mod server;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::future::Future;
use std::io;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use client::{BulkClient, BulkError, Fetch, Received};
pub use pace::{Pace, PeerPace};
pub use server::bulk_service;

use crate::node::Refusal;
use crate::wire::Peer;

/// What one role may fetch of another in bulk.
pub trait BulkProtocol: Send + Sync + 'static {
    /// What is asked for.
    type Request: Serialize + DeserializeOwned + Send + 'static;
    /// What is known before the first byte.
    type Head: Serialize + DeserializeOwned + Send + 'static;
    /// What is known after the last, as whether the files are still the same.
    type Tail: Serialize + DeserializeOwned + Send + 'static;

    /// Its name on the wire.
    const NAME: &'static str;
    /// The oldest and the newest version spoken by this build.
    const VERSIONS: (u16, u16);
    /// The role of the node that sends.
    const SERVER_ROLE: &'static str;
    /// The roles that may fetch.
    const CLIENT_ROLES: &'static [&'static str];
}

/// A range of an open file.
#[derive(Debug)]
pub struct FileRange {
    /// The file; closed once the range is sent.
    pub file: File,
    /// The offset of the first byte.
    pub start: u64,
    /// Bytes asked for.
    pub length: u64,
}

/// Why a range ended where it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RangeEnd {
    /// All that was asked for was sent.
    Complete,
    /// The file was shorter, or became so.
    Shorter,
    /// The file could not be opened or read on, for this reason.
    Failed(String),
}

/// What was sent of a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentRange {
    /// Bytes asked for.
    pub asked: u64,
    /// Bytes sent, from the range's start on.
    pub sent: u64,
    /// Why no more.
    pub end: RangeEnd,
}

/// What makes the tail of what was sent.
pub type MakeTail<T> = Box<dyn FnOnce(&[SentRange]) -> T + Send>;

/// The answer to a request: what comes first, the ranges, and what comes last.
pub struct Transfer<P: BulkProtocol> {
    /// Sent first.
    pub head: P::Head,
    /// The ranges, each opened only when its turn comes.
    pub ranges: Box<dyn Iterator<Item = io::Result<FileRange>> + Send>,
    /// Makes what is sent last, after the last byte.
    pub tail: MakeTail<P::Tail>,
}

/// Opens what is asked for.
pub trait BulkSource<P: BulkProtocol>: Send + Sync + 'static {
    /// Answers one request, or says no.
    fn open(&self, request: P::Request, peer: &Peer) -> impl Future<Output = Result<Transfer<P>, Refusal>> + Send;
}

/// The bounds of bulk transfers, for both ends.
#[derive(Debug, Clone)]
pub struct BulkSettings {
    /// Bytes of a chunk, at most 8 MiB; the smaller of both ends' counts. A client whose space is smaller copies
    /// once more. Each chunk costs the server three calls to the system and wakes the client for its end.
    pub chunk_bytes_max: u32,
    /// The longest time without a byte getting on.
    pub stall_deadline: Duration,
    /// Below this rate, counted over the time spent waiting for the other end, it is given up.
    pub bytes_per_second_min: u64,
    /// Waiting that the rate does not count.
    pub slow_grace: Duration,
    /// Server: the longest time for one transfer, whatever its client would wait: it holds a file open.
    pub transfer_deadline: Duration,
    /// Server: how long a connection may be idle between transfers.
    pub idle_deadline: Duration,
    /// Server: how fast transfers may send.
    pub pace: Pace,
}

impl BulkSettings {
    /// The chunk size within what a frame may announce.
    fn chunk_bytes(&self) -> u32 {
        self.chunk_bytes_max.clamp(1, MESSAGE_BYTES_MAX as u32)
    }
}

impl Default for BulkSettings {
    /// 1 MiB a chunk, 9 s of stall, at least 1 KiB/s after 10 s, an hour a transfer, idle for 60 s, as fast
    /// as it goes.
    fn default() -> BulkSettings {
        BulkSettings {
            chunk_bytes_max: 1 << 20,
            stall_deadline: Duration::from_secs(9),
            bytes_per_second_min: 1024,
            slow_grace: Duration::from_secs(10),
            transfer_deadline: Duration::from_secs(3600),
            idle_deadline: Duration::from_secs(60),
            pace: Pace::default(),
        }
    }
}

/// Bytes of the confirmation behind a chunk.
const CONFIRMATION_BYTES: usize = 8;
/// No head, tail, request or chunk is longer.
const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The confirmation of a chunk: how many of its bytes were real, and a CRC-32C over that and the chunk's place.
fn confirmation(offset: u64, announced: u32, real: u32) -> [u8; CONFIRMATION_BYTES] {
    let check = crc32c::crc32c(&offset.to_le_bytes());
    let check = crc32c::crc32c_append(check, &announced.to_le_bytes());
    let check = crc32c::crc32c_append(check, &real.to_le_bytes());
    let mut bytes = [0; CONFIRMATION_BYTES];
    bytes[..4].copy_from_slice(&real.to_le_bytes());
    bytes[4..].copy_from_slice(&check.to_le_bytes());
    bytes
}

/// How many bytes of the chunk were real, if the confirmation is undamaged and possible.
fn confirmed(offset: u64, announced: u32, bytes: [u8; CONFIRMATION_BYTES]) -> Option<u32> {
    let [r0, r1, r2, r3, ..] = bytes;
    let real = u32::from_le_bytes([r0, r1, r2, r3]);
    (real <= announced && confirmation(offset, announced, real) == bytes).then_some(real)
}
