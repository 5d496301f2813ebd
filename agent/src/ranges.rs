//! Byte ranges of one generation, with the proof that it was the same file before and after (F6, F7).
//!
//! The head and the bytes before the range are hashed before anything is sent, and again afterwards; behind the bytes
//! goes their true length and a hash of their end, which the receiver compares with what it received. No length is
//! announced that a shrinking file could break: a file that ends early is a normal, reported end.
//!
//! How the bytes travel is the business of a [`RangeSink`]; [`SocketSink`] is the plain one, over `sendfile`.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::content;
use crate::generations::{Located, open_generation};
use crate::protocol::{KnownVerdict, PathProblem, RangeEnd, RangeOutcome, RangeRequest};
use crate::roots::{OpenFile, Roots, refusal_of, stat_of};

/// Bytes given to a sink at once: large enough for one system call to fill a socket buffer, small enough to share a
/// thread with others.
pub const CHUNK_BYTES: u64 = 256 << 10;

/// Where the bytes of a range go.
pub trait RangeSink {
    /// Sends up to `length` bytes of `file` from `offset`, straight from the page cache. Answers how many bytes *of the
    /// file* were sent: fewer than asked only if the file ends there, 0 at its end. Errors are the peer's: the range is
    /// over, and nobody is left to tell.
    fn send(&mut self, file: &OwnedFd, offset: u64, length: u64) -> impl Future<Output = io::Result<u64>>;
}

/// A range that was checked and can be sent.
#[derive(Debug)]
pub struct RangePlan {
    file: OpenFile,
    request: RangeRequest,
}

/// The half of a plan that says how a range ended, for a sender that took the other half, the file.
#[derive(Debug)]
pub struct RangeCheck(RangePlan);

/// The half of a plan that is sent.
#[derive(Debug)]
pub struct RangeFile {
    /// The file, by a descriptor of its own.
    pub descriptor: OwnedFd,
    /// First byte.
    pub offset: u64,
    /// Bytes wanted.
    pub length: u64,
}

/// Opens and checks what a range asks for. `Err` is the trailer of a range of which nothing is sent.
/// Cost: an open and two reads of at most 4 KiB.
pub fn plan(roots: &Roots, request: RangeRequest) -> Result<RangePlan, Box<RangeEnd>> {
    let ended = |outcome, size_after| {
        Box::new(RangeEnd {
            sent: 0,
            size_after,
            tail_after: None,
            outcome,
        })
    };
    let refused = |refusal| {
        let path = request.path.clone();
        ended(RangeOutcome::Refused(PathProblem { path, refusal }), 0)
    };
    let file = match open_generation(roots, &request.path, request.identity) {
        Ok(Located::Found(file)) => file,
        Ok(Located::Gone) => return Err(ended(RangeOutcome::Gone, 0)),
        Err(refusal) => return Err(refused(refusal)),
    };
    let size = file.stat.size;
    match content::compare(&file.descriptor, size, request.fingerprint, request.tail) {
        Ok(KnownVerdict::Same) if request.offset <= size => Ok(RangePlan { file, request }),
        Ok(KnownVerdict::Same) => Err(ended(RangeOutcome::ChangedBefore(KnownVerdict::Shrunk), size)),
        Ok(verdict) => Err(ended(RangeOutcome::ChangedBefore(verdict), size)),
        Err(errno) => Err(refused(refusal_of(errno))),
    }
}

impl RangePlan {
    /// Sends the range and says how it ended. The descriptor is closed with the plan.
    pub async fn send(self, sink: &mut impl RangeSink) -> io::Result<RangeEnd> {
        let mut sent = 0;
        while sent < self.request.length {
            let length = (self.request.length - sent).min(CHUNK_BYTES);
            let more = sink
                .send(&self.file.descriptor, self.request.offset + sent, length)
                .await?;
            sent += more.min(length);
            if more < length {
                break;
            }
        }
        Ok(self.end(sent))
    }

    /// What is going to be sent, and what is to be asked afterwards. Costs a second descriptor of the file.
    pub fn split(self) -> io::Result<(RangeFile, RangeCheck)> {
        let file = RangeFile {
            descriptor: self.file.descriptor.try_clone()?,
            offset: self.request.offset,
            length: self.request.length,
        };
        Ok((file, RangeCheck(self)))
    }

    /// The file as it was when the plan was made.
    pub fn file(&self) -> &OpenFile {
        &self.file
    }

    /// The trailer: what stands there now must be what stood there before, and reach as far as was sent.
    fn end(&self, sent: u64) -> RangeEnd {
        let size_after = match stat_of(&self.file.descriptor) {
            Ok(stat) => stat.size,
            Err(errno) => return self.failed(sent, errno),
        };
        let end = self.request.offset + sent;
        let ended = |outcome, tail_after| RangeEnd {
            sent,
            size_after,
            tail_after,
            outcome,
        };
        let verdict = content::compare(
            &self.file.descriptor,
            size_after,
            self.request.fingerprint,
            self.request.tail,
        );
        match (verdict, content::tail_hash(&self.file.descriptor, end)) {
            (Ok(KnownVerdict::Same), Ok(Some(tail))) => ended(RangeOutcome::Unchanged, Some(tail)),
            (Ok(KnownVerdict::Same), Ok(None)) => ended(RangeOutcome::ChangedDuring(KnownVerdict::Shrunk), None),
            (Ok(verdict), Ok(_)) => ended(RangeOutcome::ChangedDuring(verdict), None),
            (Err(errno), _) | (_, Err(errno)) => self.failed(sent, errno),
        }
    }

    fn failed(&self, sent: u64, errno: Errno) -> RangeEnd {
        let problem = PathProblem {
            path: self.request.path.clone(),
            refusal: refusal_of(errno),
        };
        RangeEnd {
            sent,
            size_after: 0,
            tail_after: None,
            outcome: RangeOutcome::Refused(problem),
        }
    }
}

impl RangeCheck {
    /// The trailer, after `sent` bytes went out. Cost: a stat and two reads of at most 4 KiB.
    pub fn end(&self, sent: u64) -> RangeEnd {
        self.0.end(sent)
    }

    /// The trailer of a range whose file could not be read on after `sent` bytes.
    pub fn failed(&self, sent: u64) -> RangeEnd {
        self.0.failed(sent, Errno::IO)
    }
}

/// The plain way: raw bytes by `sendfile` on a non-blocking socket, without any framing.
///
/// Whoever uses it must say the true length by another way, as the receiver can't tell where the range ends.
#[derive(Debug)]
pub struct SocketSink<'s> {
    socket: &'s TcpStream,
}

impl<'s> SocketSink<'s> {
    /// A sink that writes to `socket`.
    pub fn new(socket: &'s TcpStream) -> Self {
        Self { socket }
    }
}

impl RangeSink for SocketSink<'_> {
    async fn send(&mut self, file: &OwnedFd, offset: u64, length: u64) -> io::Result<u64> {
        let mut sent = 0;
        while sent < length {
            let mut at = offset + sent;
            let rest = usize::try_from(length - sent).unwrap_or(usize::MAX);
            let attempt = || Ok(rustix::fs::sendfile(self.socket, file, Some(&mut at), rest)?);
            match self.socket.try_io(Interest::WRITABLE, attempt) {
                Ok(0) => break,
                Ok(more) => sent += more as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.socket.writable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}
