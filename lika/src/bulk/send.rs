//! Sending a range: chunk by chunk, from the page cache to the socket, never past the end of a file that shrinks.

use std::io;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;
use rustix::net::SendFlags;
use thiserror::Error;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use super::pace::{Patience, PeerPace, TooSlow};
use super::{CONFIRMATION_BYTES, FileRange, RangeEnd, SentRange, confirmation};
use crate::seam::{BoxedStream, Clock};
use crate::wire::Kind;
use crate::wire::frame::{HEADER_BYTES, Header};

/// Bytes copied at a time where `sendfile` cannot be used.
const COPY_BYTES: usize = 64 * 1024;
/// Bytes sent without a wait after which others have their turn: a client as fast as the disk must not keep the thread
/// that serves all of them, and a turn costs a look at all sockets.
const TURN_BYTES: u64 = 4 << 20;

/// The transfer cannot go on.
#[derive(Debug, Error)]
pub(crate) enum SendError {
    #[error("cannot write to the connection")]
    Io(#[from] io::Error),
    #[error("the fetching end is too slow")]
    TooSlow(#[from] TooSlow),
}

/// How bytes get from a file to the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Sendfile,
    Copy,
}

/// The sending end of a connection within one transfer.
pub(crate) struct Sender<'a> {
    pub(crate) stream: &'a mut BoxedStream,
    pub(crate) clock: &'a Clock,
    pub(crate) pace: PeerPace,
    pub(crate) chunk_bytes: u32,
    pub(crate) patience: Patience,
    /// Confirmation of a chunk and header of the next, written together.
    pending: Vec<u8>,
    copy: Vec<u8>,
    /// Bytes sent since others had their turn.
    in_turn: u64,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(
        stream: &'a mut BoxedStream,
        clock: &'a Clock,
        (pace, patience): (PeerPace, Patience),
        chunk_bytes: u32,
    ) -> Sender<'a> {
        let pending = Vec::with_capacity(HEADER_BYTES + CONFIRMATION_BYTES);
        Sender {
            stream,
            clock,
            pace,
            chunk_bytes,
            patience,
            pending,
            copy: Vec::new(),
            in_turn: 0,
        }
    }

    /// Adds bytes to be written before any others.
    pub(crate) fn queue(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Writes what is queued.
    pub(crate) async fn flush(&mut self) -> Result<(), SendError> {
        self.write_pending(Behind::Nothing).await?;
        Ok(self.patience.wait(self.clock, self.stream.flush()).await??)
    }

    async fn write_pending(&mut self, behind: Behind) -> Result<(), SendError> {
        let mut at = 0;
        while at < self.pending.len() {
            let bytes = &self.pending[at..];
            let count = match (behind, self.stream.tcp()) {
                (Behind::Chunk, Some(socket)) => {
                    self.patience.wait(self.clock, send_with_more(socket, bytes)).await??
                }
                _ => self.patience.wait(self.clock, self.stream.write(bytes)).await??,
            };
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            at += count;
            self.patience.moved(count as u64);
        }
        self.pending.clear();
        Ok(())
    }

    /// Sends a range's chunks; the last confirmation stays queued.
    pub(crate) async fn send_range(&mut self, range: &FileRange) -> Result<SentRange, SendError> {
        let mut sent = 0;
        let mut way = if self.stream.tcp().is_some() {
            Way::Sendfile
        } else {
            Way::Copy
        };
        let end = loop {
            if sent == range.length {
                break RangeEnd::Complete;
            }
            // The length now, so that a file that has shrunk already is not announced longer than it is.
            let there = match range.file.metadata() {
                Ok(metadata) => metadata.len().saturating_sub(range.start).saturating_sub(sent),
                Err(error) => break RangeEnd::Failed(error.to_string()),
            };
            if there == 0 {
                break RangeEnd::Shorter;
            }
            let announced = (range.length - sent).min(there).min(self.chunk_bytes.into());
            let announced = u32::try_from(announced).unwrap_or(self.chunk_bytes);
            self.pace.take(announced.into(), self.clock).await;
            self.queue(&Header::encode_unchecked(Kind::BulkChunk, sent, announced));
            self.write_pending(Behind::Chunk).await?;
            let (real, failed) = self.send_chunk(range, sent, announced, &mut way).await?;
            self.send_padding(announced - real).await?;
            self.queue(&confirmation(sent, announced, real));
            sent += u64::from(real);
            self.give_way(real.into()).await;
            match failed {
                Some(why) => break RangeEnd::Failed(why),
                None if real < announced => break RangeEnd::Shorter,
                None => {}
            }
        };
        Ok(SentRange {
            asked: range.length,
            sent,
            end,
        })
    }

    async fn give_way(&mut self, sent: u64) {
        self.in_turn += sent;
        if self.in_turn >= TURN_BYTES {
            self.in_turn = 0;
            tokio::task::yield_now().await;
        }
    }

    /// Sends up to `announced` bytes; fewer only if the file ends or cannot be read, and then why it cannot.
    async fn send_chunk(
        &mut self,
        range: &FileRange,
        sent: u64,
        announced: u32,
        way: &mut Way,
    ) -> Result<(u32, Option<String>), SendError> {
        let mut real = 0u32;
        while real < announced {
            let (offset, left) = (range.start + sent + u64::from(real), announced - real);
            let step = match (*way, self.stream.tcp()) {
                (Way::Sendfile, Some(socket)) => {
                    let step = sendfile_some(socket, range, offset, left);
                    self.patience.wait(self.clock, step).await?
                }
                _ => self.copy_some(range, offset, left).await?,
            };
            match step {
                Step::Moved(0) => break,
                Step::Moved(count) => {
                    real += count;
                    self.patience.moved(count.into());
                }
                Step::NotPossible => *way = Way::Copy,
                Step::FileFailed(error) => return Ok((real, Some(error.to_string()))),
                Step::StreamFailed(error) => return Err(error.into()),
            }
        }
        Ok((real, None))
    }

    /// The way for streams without a kernel socket, and for files that `sendfile` does not take.
    async fn copy_some(&mut self, range: &FileRange, offset: u64, left: u32) -> Result<Step, SendError> {
        let want = COPY_BYTES.min(left as usize);
        self.copy.resize(want, 0);
        let read = loop {
            match range.file.read_at(&mut self.copy, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let count = match read {
            Ok(count) => count,
            Err(error) => return Ok(Step::FileFailed(error)),
        };
        let mut at = 0;
        while at < count {
            let written = self.stream.write(&self.copy[at..count]);
            let written = self.patience.wait(self.clock, written).await??;
            if written == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            at += written;
        }
        Ok(Step::Moved(u32::try_from(count).unwrap_or(left)))
    }

    /// Fills up a chunk whose file ended within it.
    async fn send_padding(&mut self, bytes: u32) -> Result<(), SendError> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let mut left = bytes as usize;
        while left > 0 {
            self.queue(&ZEROS[..left.min(ZEROS.len())]);
            left -= left.min(ZEROS.len());
            self.flush().await?;
        }
        Ok(())
    }
}

/// What follows queued bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// They are to leave now.
    Nothing,
    /// Bytes of a chunk, at once: those queued may wait for them, and leave in one packet with them.
    Chunk,
}

/// Writes bytes that others follow at once, as many as the socket takes now. A packet of their own would wake the
/// fetching end for 32 bytes.
async fn send_with_more(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
    let send = || Ok(rustix::net::send(socket, bytes, flags)?);
    socket.async_io(Interest::WRITABLE, send).await
}

/// What one step did.
enum Step {
    /// So many bytes; none means the end of the file.
    Moved(u32),
    /// `sendfile` does not take this file.
    NotPossible,
    FileFailed(io::Error),
    StreamFailed(io::Error),
}

/// Sends some bytes by `sendfile`, as many as the socket takes now. It may block the thread on the disk, when the file
/// is not in the page cache.
async fn sendfile_some(socket: &TcpStream, range: &FileRange, offset: u64, left: u32) -> Step {
    loop {
        if let Err(error) = socket.writable().await {
            return Step::StreamFailed(error);
        }
        let sent = socket.try_io(Interest::WRITABLE, || {
            let mut offset = offset;
            Ok(rustix::fs::sendfile(
                socket,
                &range.file,
                Some(&mut offset),
                left as usize,
            )?)
        });
        match sent {
            Ok(count) => return Step::Moved(u32::try_from(count).unwrap_or(left)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::INTR) => {}
                Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => return Step::NotPossible,
                // What the file can fail with; all else is the socket's.
                Some(Errno::IO | Errno::OVERFLOW | Errno::STALE) => return Step::FileFailed(error),
                _ => return Step::StreamFailed(error),
            },
        }
    }
}
