//! The fetching end: raw bytes into a caller's buffer, only those that were confirmed to be the file's.

use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use thiserror::Error;
use tokio::io::AsyncWriteExt;

use super::pace::{Patience, TooSlow};
use super::{BulkProtocol, BulkSettings, CONFIRMATION_BYTES, MESSAGE_BYTES_MAX, SentRange, confirmed};
use crate::node::{Dialling, Refusal, connect};
use crate::seam::{BoxedStream, Clock, Deadline};
use crate::wire::frame::{FrameError, Header, Kind, encode};
use crate::wire::handshake::{HandshakeError, Wanted};
use crate::wire::reader::ReadPatience;
use crate::wire::{Frame, FrameReader, Lane, Peer, ReadError, pack, unpack};

/// Why a fetch failed. Bytes handed out before are the file's all the same.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BulkError {
    /// No connection.
    #[error("cannot connect")]
    Connect(#[from] HandshakeError),
    /// The server said no.
    #[error("the server refused")]
    Refused(#[source] Refusal),
    /// It took too long as a whole.
    #[error("the transfer was not done in {} ms; allow more time or ask for less", .0.as_millis())]
    TimedOut(Duration),
    /// The server or the network is too slow.
    #[error("the sending end is too slow")]
    TooSlow(#[from] TooSlow),
    /// The connection broke.
    #[error("the connection broke")]
    Read(#[from] ReadError),
    /// The connection broke.
    #[error("the connection broke")]
    Write(#[from] io::Error),
    /// What came makes no sense.
    #[error("the transfer cannot be understood: {0}; run compatible versions on both nodes")]
    Unreadable(String),
    /// The request cannot be encoded.
    #[error("the request cannot be sent: {0}")]
    Unsendable(String),
    /// The transfer has given its tail or an error already, or a step of it was not awaited to its end.
    #[error("the transfer is over; fetch again")]
    Over,
}

impl From<FrameError> for BulkError {
    fn from(error: FrameError) -> BulkError {
        BulkError::Read(ReadError::Frame(error))
    }
}

/// What a step of a transfer gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received<T> {
    /// A range begins.
    Range {
        /// Its number, from 0.
        index: u64,
        /// Bytes asked for.
        asked: u64,
    },
    /// So many bytes were put at the start of the space, right behind those before.
    Bytes(usize),
    /// The range has ended, with as many bytes as were handed out.
    RangeEnd(SentRange),
    /// The transfer has ended.
    Tail(T),
}

/// Fetches from one node, one transfer at a time, over a connection that is opened when needed and kept between
/// transfers. Several clients fetch side by side.
pub struct BulkClient<P: BulkProtocol> {
    dialling: Dialling,
    settings: BulkSettings,
    idle: Option<Connection>,
    protocol: PhantomData<fn() -> P>,
}

struct Connection {
    reader: FrameReader<BoxedStream>,
    peer: Peer,
}

impl<P: BulkProtocol> BulkClient<P> {
    /// A client that is not connected yet.
    pub fn new(dialling: Dialling, settings: BulkSettings) -> BulkClient<P> {
        BulkClient {
            dialling,
            settings,
            idle: None,
            protocol: PhantomData,
        }
    }

    /// Asks for a transfer that is to be done within `patience`, connecting included. If the connection that was kept
    /// turns out to be closed, the request goes over a new one: fetching twice changes nothing.
    pub async fn fetch(&mut self, request: &P::Request, patience: Duration) -> Result<Fetch<'_, P>, BulkError> {
        let body = pack(request).map_err(|error| BulkError::Unsendable(error.to_string()))?;
        let clock = self.dialling.clock.clone();
        let deadline = clock.deadline_in(patience);
        let asked = clock.timeout_at(deadline, self.ask(&body, patience, deadline)).await;
        let (connection, head) = asked.map_err(|_| BulkError::TimedOut(patience))??;
        let head = unpack(&head.payload).map_err(|error| BulkError::Unreadable(crate::node::chain(&error)))?;
        let limits = Patience::new(&self.settings);
        let progress = Progress {
            clock,
            patience,
            deadline,
            limits,
        };
        let step = Step::BetweenRanges { next: 0 };
        let (peer, connection) = (connection.peer.clone(), Some(connection));
        Ok(Fetch {
            client: self,
            connection,
            peer,
            head,
            progress,
            step,
            staged: Vec::new(),
            staged_at: 0,
        })
    }

    async fn ask(
        &mut self,
        body: &[u8],
        patience: Duration,
        deadline: Deadline,
    ) -> Result<(Connection, Frame), BulkError> {
        if let Some(mut kept) = self.idle.take() {
            match self.ask_over(&mut kept, body, patience, deadline).await {
                Ok(head) => return Ok((kept, head)),
                Err(BulkError::Read(ReadError::Closed | ReadError::Io(_)) | BulkError::Write(_)) => {}
                Err(BulkError::Refused(refusal)) => {
                    self.idle = Some(kept);
                    return Err(BulkError::Refused(refusal));
                }
                Err(error) => return Err(error),
            }
        }
        let server_role = P::SERVER_ROLE.to_owned();
        let wanted = Wanted {
            lane: Lane::Bulk,
            protocol: P::NAME.to_owned(),
            versions: P::VERSIONS,
            server_role,
            server_node: self.dialling.server_node.clone(),
        };
        let (stream, peer, _limits) = connect(&self.dialling, &wanted).await?;
        let never = ReadPatience {
            silence: Duration::MAX,
            frame: Duration::MAX,
        };
        let reader = FrameReader::new(stream, self.dialling.clock.clone(), never, MESSAGE_BYTES_MAX);
        let mut connection = Connection {
            reader: reader.without_read_ahead(),
            peer,
        };
        match self.ask_over(&mut connection, body, patience, deadline).await {
            Ok(head) => Ok((connection, head)),
            Err(BulkError::Refused(refusal)) => {
                self.idle = Some(connection);
                Err(BulkError::Refused(refusal))
            }
            Err(error) => Err(error),
        }
    }

    /// The deadline of the transfer alone bounds the wait for the head: opening may take its time.
    async fn ask_over(
        &self,
        connection: &mut Connection,
        body: &[u8],
        patience: Duration,
        deadline: Deadline,
    ) -> Result<Frame, BulkError> {
        let left = self.dialling.clock.remaining(deadline).min(patience);
        let left_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        let head = [left_ms.to_le_bytes(), self.settings.chunk_bytes().to_le_bytes()].concat();
        let request = encode(Kind::Request, 0, &[&head, body], MESSAGE_BYTES_MAX);
        let request = request.map_err(|error| BulkError::Unsendable(error.to_string()))?;
        connection.reader.stream().write_all(&request).await?;
        connection.reader.stream().flush().await?;
        let frame = connection.reader.next().await?;
        match frame.kind {
            Kind::BulkHead => Ok(frame),
            Kind::Refusal => match unpack(&frame.payload) {
                Ok(refusal) => Err(BulkError::Refused(refusal)),
                Err(error) => Err(BulkError::Unreadable(crate::node::chain(&error))),
            },
            kind => Err(FrameError::OutOfTurn(kind).into()),
        }
    }
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy)]
enum Step {
    BetweenRanges { next: u64 },
    InRange { index: u64, asked: u64, got: u64 },
}

struct Progress {
    clock: Clock,
    patience: Duration,
    deadline: Deadline,
    limits: Patience,
}

impl Progress {
    /// Awaits the server for as long as it may take.
    async fn wait<T>(&mut self, work: impl Future<Output = Result<T, ReadError>>) -> Result<T, BulkError> {
        let waited = self
            .clock
            .timeout_at(self.deadline, self.limits.wait(&self.clock, work))
            .await;
        Ok(waited.map_err(|_| BulkError::TimedOut(self.patience))???)
    }
}

/// A transfer under way. Dropping it before its tail closes the connection.
pub struct Fetch<'a, P: BulkProtocol> {
    client: &'a mut BulkClient<P>,
    /// Absent once the transfer is over, and while a step of it is under way: a step that is dropped half way takes
    /// the connection with it.
    connection: Option<Connection>,
    peer: Peer,
    head: P::Head,
    progress: Progress,
    step: Step,
    /// Confirmed bytes of a chunk that was larger than the space it was to go to.
    staged: Vec<u8>,
    staged_at: usize,
}

impl<P: BulkProtocol> Fetch<'_, P> {
    /// What the server said first.
    pub fn head(&self) -> &P::Head {
        &self.head
    }

    /// Who sends.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The next step. Bytes go to the start of `space`; with room for a whole chunk there, they are not copied. After
    /// the tail or an error nothing more comes, nor after a future of this was dropped.
    pub async fn next(&mut self, space: &mut [u8]) -> Result<Received<P::Tail>, BulkError> {
        if self.staged_at < self.staged.len() {
            return Ok(Received::Bytes(self.unstage(space)));
        }
        let mut connection = self.connection.take().ok_or(BulkError::Over)?;
        let received = loop {
            let header = self.progress.wait(connection.reader.next_header()).await?;
            if header.kind == Kind::BulkChunk {
                match self.chunk(&mut connection, header, space).await? {
                    0 => {}
                    count => break Received::Bytes(count),
                }
            } else {
                let frame = self.progress.wait(connection.reader.next()).await?;
                break self.message(&frame)?;
            }
        };
        match received {
            Received::Tail(_) => self.client.idle = Some(connection),
            _ => self.connection = Some(connection),
        }
        Ok(received)
    }

    fn unstage(&mut self, space: &mut [u8]) -> usize {
        let rest = &self.staged[self.staged_at..];
        let count = rest.len().min(space.len());
        space[..count].copy_from_slice(&rest[..count]);
        self.staged_at += count;
        count
    }

    fn message(&mut self, frame: &Frame) -> Result<Received<P::Tail>, BulkError> {
        let unreadable = |error: crate::wire::UnpackError| BulkError::Unreadable(crate::node::chain(&error));
        match (frame.kind, self.step) {
            (Kind::BulkItem, Step::BetweenRanges { next }) if frame.id == next => {
                let asked = unpack(&frame.payload).map_err(unreadable)?;
                self.step = Step::InRange {
                    index: next,
                    asked,
                    got: 0,
                };
                Ok(Received::Range { index: next, asked })
            }
            (Kind::BulkItemEnd, Step::InRange { index, asked, got }) if frame.id == index => {
                let sent: SentRange = unpack(&frame.payload).map_err(unreadable)?;
                if (sent.asked, sent.sent) != (asked, got) {
                    let why = format!("{got} of {asked} bytes came, {} of {} were sent", sent.sent, sent.asked);
                    return Err(BulkError::Unreadable(why));
                }
                self.step = Step::BetweenRanges { next: index + 1 };
                Ok(Received::RangeEnd(sent))
            }
            (Kind::BulkTail, Step::BetweenRanges { .. }) => {
                Ok(Received::Tail(unpack(&frame.payload).map_err(unreadable)?))
            }
            (kind, _) => Err(FrameError::OutOfTurn(kind).into()),
        }
    }

    /// Reads a chunk, to the space if there is room for all of it, and counts what was confirmed.
    async fn chunk(
        &mut self,
        connection: &mut Connection,
        header: Header,
        space: &mut [u8],
    ) -> Result<usize, BulkError> {
        let Step::InRange { index, asked, got } = self.step else {
            return Err(FrameError::OutOfTurn(header.kind).into());
        };
        let chunk_bytes_max = usize::try_from(self.client.settings.chunk_bytes()).unwrap_or(usize::MAX);
        if header.id != got || header.length > chunk_bytes_max || asked - got < header.length as u64 {
            return Err(BulkError::Unreadable(
                "a chunk is not where or as large as it may be".to_owned(),
            ));
        }
        let direct = header.length <= space.len();
        if !direct {
            self.staged.resize(header.length, 0);
        }
        let into = if direct {
            &mut space[..header.length]
        } else {
            &mut self.staged[..]
        };
        read_exact(&mut self.progress, &mut connection.reader, into).await?;
        let mut confirmation = [0; CONFIRMATION_BYTES];
        read_exact(&mut self.progress, &mut connection.reader, &mut confirmation).await?;
        let announced = u32::try_from(header.length).unwrap_or(u32::MAX);
        let real = confirmed(got, announced, confirmation);
        let real = real.ok_or_else(|| BulkError::Unreadable("a chunk's confirmation is damaged".to_owned()))?;
        self.step = Step::InRange {
            index,
            asked,
            got: got + u64::from(real),
        };
        let real = real as usize;
        if direct {
            return Ok(real);
        }
        self.staged.truncate(real);
        self.staged_at = 0;
        Ok(self.unstage(space))
    }
}

async fn read_exact(
    progress: &mut Progress,
    reader: &mut FrameReader<BoxedStream>,
    into: &mut [u8],
) -> Result<(), BulkError> {
    let mut at = 0;
    while at < into.len() {
        let count = progress.wait(reader.read_raw(&mut into[at..])).await?;
        progress.limits.moved(count as u64);
        at += count;
    }
    Ok(())
}
