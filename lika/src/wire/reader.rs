//! Reading frames off a stream: with a bound on memory, and on how long the other end may be silent or slow.

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::frame::{Frame, FrameError, HEADER_BYTES, Header, Kind};
use crate::seam::{Clock, Deadline};

/// What a single read asks of the stream at most; also what a frame that has not come yet can make us allocate.
const READ_BYTES: usize = 64 * 1024;

/// Why no frame could be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The other end closed between two frames.
    #[error("the other end closed the connection")]
    Closed,
    /// The other end closed within a frame.
    #[error("the other end closed the connection within a frame; see its log for why")]
    Truncated,
    /// Nothing came for so long.
    #[error("nothing came for {} ms; the other end or the network is down", .0.as_millis())]
    Silent(Duration),
    /// A frame began to come and was not complete after so long.
    #[error("a frame was not complete after {} ms; the other end or the network is too slow", .0.as_millis())]
    Slow(Duration),
    /// It is not a frame.
    #[error("cannot read a frame")]
    Frame(#[from] FrameError),
    /// The stream failed.
    #[error("cannot read from the connection")]
    Io(#[from] io::Error),
}

/// How patient a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadPatience {
    /// The longest time without a single byte.
    pub silence: Duration,
    /// The longest time from a frame's first byte to its last, so that a trickle of bytes does not count as life.
    pub frame: Duration,
}

/// Reads frames. Memory: the frame at hand plus 64 KiB.
pub struct FrameReader<R> {
    stream: R,
    clock: Clock,
    patience: ReadPatience,
    payload_bytes_max: usize,
    read_ahead_bytes: usize,
    buffer: BytesMut,
    header: Option<Header>,
    /// Until when the frame that has begun must be complete; kept through a dropped [`FrameReader::next`].
    complete_by: Option<Deadline>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// A reader that reads ahead, for streams of small frames.
    pub fn new(stream: R, clock: Clock, patience: ReadPatience, payload_bytes_max: usize) -> FrameReader<R> {
        let (buffer, header, complete_by) = (BytesMut::new(), None, None);
        let read_ahead_bytes = READ_BYTES;
        FrameReader {
            stream,
            clock,
            patience,
            payload_bytes_max,
            read_ahead_bytes,
            buffer,
            header,
            complete_by,
        }
    }

    /// Reads no byte beyond the frame at hand, so that raw bytes behind it can go straight to where they belong.
    pub fn without_read_ahead(mut self) -> FrameReader<R> {
        self.read_ahead_bytes = 0;
        self
    }

    /// Changes the limit, as after a handshake.
    pub fn set_payload_bytes_max(&mut self, payload_bytes_max: usize) {
        self.payload_bytes_max = payload_bytes_max;
    }

    /// Changes the patience, as after a handshake.
    pub fn set_patience(&mut self, patience: ReadPatience) {
        self.patience = patience;
    }

    /// The stream; bytes that were read ahead are not in it any longer.
    pub fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The next frame. Dropping the future loses nothing: the next call goes on where it was.
    pub async fn next(&mut self) -> Result<Frame, ReadError> {
        loop {
            if let Some(header) = self.header()?
                && self.buffer.len() >= header.length
            {
                let payload = self.buffer.split_to(header.length).freeze();
                (self.header, self.complete_by) = (None, None);
                header.check(&payload)?;
                return Ok(Frame {
                    kind: header.kind,
                    id: header.id,
                    payload,
                });
            }
            self.fill().await?;
        }
    }

    /// The next header only; for [`Kind::BulkChunk`] the caller reads the raw bytes by [`FrameReader::read_raw`].
    pub async fn next_header(&mut self) -> Result<Header, ReadError> {
        loop {
            if let Some(header) = self.header()? {
                if header.kind == Kind::BulkChunk {
                    (self.header, self.complete_by) = (None, None);
                }
                return Ok(header);
            }
            self.fill().await?;
        }
    }

    /// Reads raw bytes that follow a header, at least one and at most `into.len()`, which must not be 0.
    pub async fn read_raw(&mut self, into: &mut [u8]) -> Result<usize, ReadError> {
        if !self.buffer.is_empty() {
            let count = into.len().min(self.buffer.len());
            self.buffer.copy_to_slice(&mut into[..count]);
            return Ok(count);
        }
        let read = self.clock.timeout(self.patience.silence, self.stream.read(into)).await;
        match read.map_err(|_| ReadError::Silent(self.patience.silence))?? {
            0 => Err(ReadError::Truncated),
            count => Ok(count),
        }
    }

    /// The header of the frame at hand, once its bytes are there.
    fn header(&mut self) -> Result<Option<Header>, FrameError> {
        if self.header.is_none()
            && let Some(bytes) = self.buffer.first_chunk::<HEADER_BYTES>()
        {
            self.header = Some(Header::decode(bytes, self.payload_bytes_max)?);
            self.buffer.advance(HEADER_BYTES);
        }
        Ok(self.header)
    }

    async fn fill(&mut self) -> Result<(), ReadError> {
        let wanted = self
            .header
            .map_or(HEADER_BYTES, |header| header.length)
            .saturating_sub(self.buffer.len());
        let ask = wanted.max(self.read_ahead_bytes).min(READ_BYTES);
        self.buffer.reserve(ask);
        let begun = self.header.is_some() || !self.buffer.is_empty();
        let mut space = (&mut self.buffer).limit(ask);
        let read = self.stream.read_buf(&mut space);
        let count = if begun {
            let complete_by = *self
                .complete_by
                .get_or_insert_with(|| self.clock.deadline_in(self.patience.frame));
            let wait = self.clock.remaining(complete_by).min(self.patience.silence);
            self.clock
                .timeout(wait, read)
                .await
                .map_err(|_| ReadError::Slow(self.patience.frame))??
        } else {
            let silence = self.patience.silence;
            self.clock
                .timeout(silence, read)
                .await
                .map_err(|_| ReadError::Silent(silence))??
        };
        match count {
            0 if begun => Err(ReadError::Truncated),
            0 => Err(ReadError::Closed),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::WallNs;
    use crate::wire::frame::encode;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    const PATIENCE: ReadPatience = ReadPatience {
        silence: Duration::from_secs(9),
        frame: Duration::from_secs(30),
    };

    fn reader<R: AsyncRead + Unpin>(stream: R) -> FrameReader<R> {
        FrameReader::new(stream, Clock::simulated(WallNs(0)), PATIENCE, 1 << 20)
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(work)
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..8),
            pipe in 1usize..200,
            ahead: bool,
        ) {
            block_on(async {
                let (mut near, far) = tokio::io::duplex(pipe);
                let mut reader = reader(far);
                if !ahead {
                    reader = reader.without_read_ahead();
                }
                let write = async {
                    for (id, payload) in payloads.iter().enumerate() {
                        near.write_all(&encode(Kind::Part, id as u64, &[payload], 400).unwrap()).await.unwrap();
                    }
                    drop(near);
                };
                let read = async {
                    for (id, payload) in payloads.iter().enumerate() {
                        let frame = reader.next().await.unwrap();
                        assert_eq!((frame.id, &frame.payload[..]), (id as u64, &payload[..]));
                    }
                    assert!(matches!(reader.next().await, Err(ReadError::Closed)));
                };
                tokio::join!(write, read);
            });
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            block_on(async {
                let mut reader = reader(&bytes[..]);
                while reader.next().await.is_ok() {}
            });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_trickles_and_early_ends_are_told_apart() {
        let bytes = encode(Kind::Part, 1, &[&[1; 100]], 100).unwrap();
        let (mut near, far) = tokio::io::duplex(1024);
        let mut reader = reader(far);
        assert!(matches!(reader.next().await, Err(ReadError::Silent(_))));
        near.write_all(&bytes[..50]).await.unwrap();
        assert!(matches!(reader.next().await, Err(ReadError::Slow(_))));
        drop(near);
        assert!(matches!(reader.next().await, Err(ReadError::Truncated)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_ends_at_the_frames_deadline() {
        let clock = Clock::simulated(WallNs(0));
        let bytes = encode(Kind::Part, 1, &[&[1; 100]], 100).unwrap();
        let (mut near, far) = tokio::io::duplex(1024);
        let mut reader = reader(far);
        let trickle = async {
            for byte in &bytes {
                clock.sleep(Duration::from_secs(5)).await;
                near.write_all(&[*byte]).await.unwrap();
            }
        };
        let began = clock.monotonic();
        tokio::select! {
            () = trickle => panic!("the reader must give up first"),
            read = reader.next() => assert!(matches!(read, Err(ReadError::Slow(_)))),
        }
        assert_eq!(clock.monotonic().since(began), Duration::from_secs(35));
    }

    #[tokio::test]
    async fn a_promised_length_allocates_nothing() {
        let header = Header::encode_unchecked(Kind::Part, 1, 1 << 20);
        let mut reader = reader(&header[..]);
        assert!(matches!(reader.next().await, Err(ReadError::Truncated)));
        assert!(
            reader.buffer.capacity() <= 2 * READ_BYTES,
            "{}",
            reader.buffer.capacity()
        );
    }
}
