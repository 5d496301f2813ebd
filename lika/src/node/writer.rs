//! The writing side of a connection: a bounded queue of encoded frames and the one task that writes them.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::seam::Clock;

/// Small frames are joined up to this size, to save system calls; a larger one is written from where it is.
const JOIN_BYTES: usize = 16 * 1024;
/// Frames taken from the queue at a time.
const TAKE_FRAMES: usize = 64;

/// Why no more can be written.
#[derive(Debug, Error)]
pub(crate) enum WriteError {
    #[error("the other end took nothing for {} ms", .0.as_millis())]
    Stalled(Duration),
    #[error("cannot write to the connection")]
    Io(#[from] io::Error),
}

/// Writes what is queued until all senders are gone, then closes the stream's writing side. Each piece must be taken
/// within `patience`: a peer that reads nothing must not hold our memory.
pub(crate) async fn write_queued<W: AsyncWrite + Unpin>(
    mut stream: W,
    mut queue: mpsc::Receiver<Bytes>,
    clock: Clock,
    patience: Duration,
) -> Result<(), WriteError> {
    let mut taken = Vec::with_capacity(TAKE_FRAMES);
    let mut joined = BytesMut::with_capacity(JOIN_BYTES);
    while queue.recv_many(&mut taken, TAKE_FRAMES).await > 0 {
        for frame in taken.drain(..) {
            if joined.len() + frame.len() > JOIN_BYTES {
                write(&mut stream, &joined, &clock, patience).await?;
                joined.clear();
            }
            if frame.len() > JOIN_BYTES {
                write(&mut stream, &frame, &clock, patience).await?;
            } else {
                joined.extend_from_slice(&frame);
            }
        }
        write(&mut stream, &joined, &clock, patience).await?;
        joined.clear();
        stream.flush().await?;
    }
    Ok(stream.shutdown().await?)
}

async fn write<W: AsyncWrite + Unpin>(
    stream: &mut W,
    bytes: &[u8],
    clock: &Clock,
    patience: Duration,
) -> Result<(), WriteError> {
    let written = clock.timeout(patience, stream.write_all(bytes)).await;
    Ok(written.map_err(|_| WriteError::Stalled(patience))??)
}
