//! The answering side of one message connection: requests side by side, each cancellable and with its own deadline.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncRead;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use super::error::{Refusal, chain};
use super::server::ServeEnvironment;
use super::writer::write_queued;
use super::{Handler, Protocol};
use crate::panics::{caught, panic_text};
use crate::seam::{BoxedStream, Clock, Deadline};
use crate::wire::frame::{FrameError, Kind, encode};
use crate::wire::{Frame, FrameReader, Peer, ReadError, pack, unpack};

/// Parts that an asker may want ahead.
pub(crate) const CREDIT_MAX: u32 = 1 << 16;
/// Time left and credit, before the body of a request.
const REQUEST_HEAD_BYTES: usize = 8;
/// Requests beyond the limit that are taken all the same: a client may have the answer of one, and send the next,
/// before the first is off the books here.
const REQUESTS_SLACK: usize = 64;

/// A question being answered.
pub struct Call<P: Protocol> {
    peer: Arc<Peer>,
    clock: Clock,
    deadline: Deadline,
    id: u64,
    queue: mpsc::Sender<Bytes>,
    frame_limit: usize,
    credit: Credit,
    protocol: PhantomData<fn() -> P>,
}

/// Whether the asker takes parts, and how many more.
#[derive(Clone)]
enum Credit {
    NoParts,
    Parts(Arc<Semaphore>),
}

impl<P: Protocol> Call<P> {
    /// Who asks.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Until when the asker waits; the handler is dropped then.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The time left for the answer.
    pub fn remaining(&self) -> Duration {
        self.clock.remaining(self.deadline)
    }

    /// Sends a part of the answer, waiting until the asker has room for it. Refuses if it wants no parts, or if the
    /// part is too large for a frame.
    pub async fn send_part(&mut self, part: &P::Part) -> Result<(), Refusal> {
        let Credit::Parts(credit) = &self.credit else {
            return Err(Refusal::Declined(
                "the answer comes in parts; ask for it as a stream".to_owned(),
            ));
        };
        let payload = pack(part).map_err(|error| Refusal::Failed(error.to_string()))?;
        let frame = encode(Kind::Part, self.id, &[&payload], self.frame_limit)?;
        match credit.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_closed) => return Err(Refusal::Stopping),
        }
        self.queue.send(frame).await.map_err(|_broken| Refusal::Stopping)
    }
}

/// Serves a connection until it ends; returns why.
pub(crate) async fn serve_messages<P: Protocol, H: Handler<P>>(
    handler: Arc<H>,
    stream: BoxedStream,
    peer: Peer,
    environment: ServeEnvironment,
) -> String {
    let ServeEnvironment {
        clock,
        settings,
        mut stopping,
        ..
    } = environment;
    let (reading, writing) = tokio::io::split(stream);
    let (queue, queued) = mpsc::channel(settings.queue_frames_max.max(1));
    let reader = FrameReader::new(reading, clock.clone(), settings.read_patience(), settings.frame_limit());
    let requests_max = usize::try_from(settings.requests_max).unwrap_or(usize::MAX);
    let (peer, frame_limit) = (Arc::new(peer), settings.frame_limit());
    let shared = Shared {
        handler,
        peer,
        clock: clock.clone(),
        frame_limit,
        requests_max,
        request_deadline: settings.request_deadline,
    };
    let mut serving = Serving {
        shared,
        queue,
        in_flight: BTreeMap::new(),
        tasks: JoinSet::new(),
        protocol: PhantomData,
    };
    let writing = write_queued(writing, queued, clock, settings.frame_deadline);
    tokio::pin!(writing);
    let ended = tokio::select! {
        biased;
        read = serving.read(reader, &mut stopping) => read,
        written = &mut writing => return match written {
            Ok(()) => "it was closed on our side".to_owned(),
            Err(error) => chain(&error),
        },
    };
    match ended {
        Ended::Broken(why) => why,
        Ended::InOrder => {
            // The last answers and the goodbye are still written.
            drop(serving);
            let _broken = writing.await;
            "this server is stopping".to_owned()
        }
    }
}

/// How reading ended.
enum Ended {
    InOrder,
    Broken(String),
}

struct Shared<H> {
    handler: Arc<H>,
    peer: Arc<Peer>,
    clock: Clock,
    frame_limit: usize,
    requests_max: usize,
    request_deadline: Duration,
}

struct InFlight {
    abort: AbortHandle,
    credit: Credit,
}

/// One connection's requests.
struct Serving<P: Protocol, H> {
    shared: Shared<H>,
    queue: mpsc::Sender<Bytes>,
    in_flight: BTreeMap<u64, InFlight>,
    /// Each gives back the id of its request. Dropped with the connection, which ends all handlers.
    tasks: JoinSet<u64>,
    protocol: PhantomData<fn() -> P>,
}

impl<P: Protocol, H: Handler<P>> Serving<P, H> {
    async fn read<R: AsyncRead + Unpin>(
        &mut self,
        mut reader: FrameReader<R>,
        stopping: &mut tokio::sync::watch::Receiver<bool>,
    ) -> Ended {
        let mut leaving = false;
        loop {
            if leaving && self.in_flight.is_empty() {
                return Ended::InOrder;
            }
            tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next() => {
                    // A cancelled one is an error here, and out of the map already.
                    if let Ok(id) = ended {
                        self.in_flight.remove(&id);
                    }
                }
                _ = stopping.wait_for(|stopping| *stopping), if !leaving => {
                    leaving = true;
                    self.reply(Kind::Goodbye, 0, &[]);
                }
                frame = reader.next() => {
                    let taken = match frame {
                        Err(ReadError::Closed) => return Ended::Broken("the client closed it".to_owned()),
                        Err(error) => return Ended::Broken(chain(&error)),
                        Ok(frame) => self.take(frame, leaving),
                    };
                    if let Err(error) = taken {
                        return Ended::Broken(chain(&error));
                    }
                }
            }
        }
    }

    /// Queues a small frame without waiting: reading must go on, or cancellations would not be heard.
    fn reply(&self, kind: Kind, id: u64, payload: &[u8]) -> bool {
        match encode(kind, id, &[payload], self.shared.frame_limit) {
            Ok(frame) => self.queue.try_send(frame).is_ok(),
            Err(_) => false,
        }
    }

    fn refuse(&self, id: u64, refusal: &Refusal) -> Result<(), FrameError> {
        let payload = pack(refusal).unwrap_or_default();
        // A client that keeps to the limits it was told never gets here with a full queue.
        if self.reply(Kind::Refusal, id, &payload) {
            Ok(())
        } else {
            Err(FrameError::OutOfTurn(Kind::Request))
        }
    }

    fn take(&mut self, frame: Frame, leaving: bool) -> Result<(), FrameError> {
        match frame.kind {
            Kind::Request => self.begin(frame, leaving),
            Kind::Cancel => {
                if let Some(cancelled) = self.in_flight.remove(&frame.id) {
                    cancelled.abort.abort();
                }
                Ok(())
            }
            Kind::Credit => self.add_credit(&frame),
            Kind::Ping => {
                // If the queue is full, what is in it tells the client that we are here.
                let _full = self.reply(Kind::Pong, 0, &[]);
                Ok(())
            }
            kind => Err(FrameError::OutOfTurn(kind)),
        }
    }

    fn add_credit(&mut self, frame: &Frame) -> Result<(), FrameError> {
        let out_of_turn = FrameError::OutOfTurn(frame.kind);
        let more = frame
            .payload
            .first_chunk()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .ok_or(out_of_turn.clone())?;
        // An answer that has ended meanwhile needs none.
        let Some(InFlight {
            credit: Credit::Parts(credit),
            ..
        }) = self.in_flight.get(&frame.id)
        else {
            return Ok(());
        };
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        if credit.available_permits().saturating_add(more) > CREDIT_MAX as usize {
            return Err(out_of_turn);
        }
        credit.add_permits(more);
        Ok(())
    }

    fn begin(&mut self, frame: Frame, leaving: bool) -> Result<(), FrameError> {
        let Frame {
            id,
            payload: mut body,
            kind,
        } = frame;
        if body.len() < REQUEST_HEAD_BYTES || self.in_flight.contains_key(&id) {
            return Err(FrameError::OutOfTurn(kind));
        }
        if leaving {
            return self.refuse(id, &Refusal::Stopping);
        }
        if self.in_flight.len() >= self.shared.requests_max.saturating_add(REQUESTS_SLACK) {
            return self.refuse(id, &Refusal::Busy);
        }
        let left = Duration::from_millis(body.get_u32_le().into()).min(self.shared.request_deadline);
        let credit = match body.get_u32_le().min(CREDIT_MAX) {
            0 => Credit::NoParts,
            credit => Credit::Parts(Arc::new(Semaphore::new(credit as usize))),
        };
        let call = Call {
            peer: Arc::clone(&self.shared.peer),
            clock: self.shared.clock.clone(),
            deadline: self.shared.clock.deadline_in(left),
            id,
            queue: self.queue.clone(),
            frame_limit: self.shared.frame_limit,
            credit: credit.clone(),
            protocol: PhantomData,
        };
        let abort = self.tasks.spawn(answer(Arc::clone(&self.shared.handler), body, call));
        self.in_flight.insert(id, InFlight { abort, credit });
        Ok(())
    }
}

/// Answers one request; gives back its id.
async fn answer<P: Protocol, H: Handler<P>>(handler: Arc<H>, body: Bytes, mut call: Call<P>) -> u64 {
    let (id, clock, deadline) = (call.id, call.clock.clone(), call.deadline);
    let (queue, frame_limit) = (call.queue.clone(), call.frame_limit);
    let work = async {
        let request = unpack(&body).map_err(|error| Refusal::Unreadable(chain(&error)))?;
        drop(body);
        match caught(handler.handle(request, &mut call)).await {
            Ok(answered) => answered,
            Err(payload) => Err(Refusal::Failed(format!(
                "its handler panicked: {}",
                panic_text(payload.as_ref())
            ))),
        }
    };
    let answered = clock.timeout_at(deadline, work).await.unwrap_or(Err(Refusal::Expired));
    let frame = answered.and_then(|response| {
        let payload = pack(&response).map_err(|error| Refusal::Failed(error.to_string()))?;
        Ok(encode(Kind::Response, id, &[&payload], frame_limit)?)
    });
    let frame = frame.or_else(|refusal| {
        let payload = pack(&refusal).unwrap_or_default();
        encode(Kind::Refusal, id, &[&payload], frame_limit)
    });
    if let Ok(frame) = frame {
        // A broken connection has nobody to tell.
        let _broken = queue.send(frame).await;
    }
    id
}
