//! The sending end of a bulk connection: one transfer after the other, until the client hangs up or is idle too long.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::pace::Patience;
use super::send::{SendError, Sender};
use super::{BulkProtocol, BulkSettings, BulkSource, FileRange, MESSAGE_BYTES_MAX, RangeEnd, SentRange, Transfer};
use crate::node::{Refusal, ServeEnvironment, ServerBuilder, Service};
use crate::panics::{caught, panic_text};
use crate::seam::{BoxedFuture, BoxedStream, Clock};
use crate::wire::frame::{FrameError, Kind, encode};
use crate::wire::reader::ReadPatience;
use crate::wire::{FrameReader, Lane, Peer, ReadError, pack, unpack};

/// Time left and chunk size, before the body of a request.
pub(crate) const REQUEST_HEAD_BYTES: usize = 8;

/// A service for [`ServerBuilder::serve_lane`] that sends what `source` opens.
pub fn bulk_service<P: BulkProtocol>(source: impl BulkSource<P>, settings: BulkSettings) -> Arc<dyn Service> {
    Arc::new(BulkService::<P, _> {
        source: Arc::new(source),
        settings,
        protocol: PhantomData,
    })
}

impl ServerBuilder {
    /// Serves a protocol's bulk lane.
    pub fn serve_bulk<P: BulkProtocol>(self, source: impl BulkSource<P>, settings: BulkSettings) -> ServerBuilder {
        self.serve_lane(Lane::Bulk, P::NAME, bulk_service::<P>(source, settings))
    }
}

struct BulkService<P, S> {
    source: Arc<S>,
    settings: BulkSettings,
    protocol: PhantomData<fn() -> P>,
}

impl<P: BulkProtocol, S: BulkSource<P>> Service for BulkService<P, S> {
    fn versions(&self) -> (u16, u16) {
        P::VERSIONS
    }

    fn client_roles(&self) -> &'static [&'static str] {
        P::CLIENT_ROLES
    }

    fn serve(&self, stream: BoxedStream, peer: Peer, environment: ServeEnvironment) -> BoxedFuture<'static, String> {
        let (source, settings) = (Arc::clone(&self.source), self.settings.clone());
        Box::pin(async move {
            let ServeEnvironment { clock, stopping, .. } = environment;
            let patience = ReadPatience {
                silence: settings.idle_deadline,
                frame: settings.stall_deadline,
            };
            let reader = FrameReader::new(stream, clock.clone(), patience, MESSAGE_BYTES_MAX).without_read_ahead();
            let mut connection = Connection {
                source,
                settings,
                clock,
                peer,
                reader,
                stopping,
                protocol: PhantomData,
            };
            connection.run().await
        })
    }
}

struct Connection<P, S> {
    source: Arc<S>,
    settings: BulkSettings,
    clock: Clock,
    peer: Peer,
    reader: FrameReader<BoxedStream>,
    stopping: tokio::sync::watch::Receiver<bool>,
    protocol: PhantomData<fn() -> P>,
}

/// A request as it came.
struct Request {
    left: Duration,
    chunk_bytes: u32,
    body: Bytes,
}

impl<P: BulkProtocol, S: BulkSource<P>> Connection<P, S> {
    async fn run(&mut self) -> String {
        loop {
            let request = tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stopping| *stopping) => return "this server is stopping".to_owned(),
                request = read_request(&mut self.reader) => request,
            };
            let request = match request {
                Ok(request) => request,
                Err(ReadError::Closed) => return "the client closed it".to_owned(),
                Err(error) => return crate::node::chain(&error),
            };
            let left = request.left.min(self.settings.transfer_deadline);
            let clock = self.clock.clone();
            match clock.timeout(left, self.answer(request)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return crate::node::chain(&error),
                Err(_elapsed) => return "a transfer was not done by its deadline".to_owned(),
            }
        }
    }

    async fn answer(&mut self, request: Request) -> Result<(), SendError> {
        let opened = match unpack(&request.body) {
            Ok(body) => match caught(self.source.open(body, &self.peer)).await {
                Ok(opened) => opened,
                Err(payload) => Err(Refusal::Failed(format!(
                    "its source panicked: {}",
                    panic_text(payload.as_ref())
                ))),
            },
            Err(error) => Err(Refusal::Unreadable(crate::node::chain(&error))),
        };
        let pace = self.settings.pace.of(&self.peer, self.clock.monotonic());
        let chunk_bytes = self.settings.chunk_bytes().min(request.chunk_bytes);
        let chunk_bytes = chunk_bytes.min(pace.chunk_bytes()).max(1);
        let patience = Patience::new(&self.settings);
        let mut sender = Sender::new(self.reader.stream(), &self.clock, (pace, patience), chunk_bytes);
        let transfer = match opened {
            Ok(transfer) => transfer,
            Err(refusal) => {
                sender.queue(&message(Kind::Refusal, 0, &refusal)?);
                return sender.flush().await;
            }
        };
        let Transfer { head, ranges, tail } = transfer;
        sender.queue(&message(Kind::BulkHead, 0, &head)?);
        let mut all_sent = Vec::new();
        for (index, range) in ranges.enumerate() {
            let sent = send_item(&mut sender, index as u64, range).await?;
            all_sent.push(sent);
        }
        // What was sent must be out before the tail is made: it says what was true after the last byte was read.
        sender.flush().await?;
        sender.queue(&message(Kind::BulkTail, 0, &tail(&all_sent))?);
        sender.flush().await
    }
}

async fn read_request(reader: &mut FrameReader<BoxedStream>) -> Result<Request, ReadError> {
    let frame = reader.next().await?;
    let mut body = frame.payload;
    if frame.kind != Kind::Request || body.len() < REQUEST_HEAD_BYTES {
        return Err(FrameError::OutOfTurn(frame.kind).into());
    }
    let left = Duration::from_millis(body.get_u32_le().into());
    let chunk_bytes = body.get_u32_le();
    Ok(Request {
        left,
        chunk_bytes,
        body,
    })
}

async fn send_item(
    sender: &mut Sender<'_>,
    index: u64,
    range: std::io::Result<FileRange>,
) -> Result<SentRange, SendError> {
    let sent = match range {
        Ok(range) => {
            sender.queue(&message(Kind::BulkItem, index, &range.length)?);
            sender.send_range(&range).await?
        }
        Err(error) => {
            sender.queue(&message(Kind::BulkItem, index, &0u64)?);
            SentRange {
                asked: 0,
                sent: 0,
                end: RangeEnd::Failed(error.to_string()),
            }
        }
    };
    sender.queue(&message(Kind::BulkItemEnd, index, &sent)?);
    Ok(sent)
}

/// Encodes a message of ours. One that is too large is a mistake of the source, and ends the connection.
fn message<T: serde::Serialize>(kind: Kind, id: u64, value: &T) -> Result<Bytes, SendError> {
    let payload = pack(value).map_err(std::io::Error::other)?;
    Ok(encode(kind, id, &[&payload], MESSAGE_BYTES_MAX).map_err(std::io::Error::other)?)
}
