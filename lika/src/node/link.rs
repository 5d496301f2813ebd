//! One open connection as its callers see it: a place for each request in flight, and the answer's parts with credit.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Protocol;
use super::error::{CallError, Refusal};
use crate::seam::{Clock, Deadline};
use crate::wire::frame::{FrameError, Kind, encode};
use crate::wire::{Frame, Peer, unpack};

/// What comes for a request.
#[derive(Debug)]
pub(crate) enum Event {
    Part(Bytes),
    Response(Bytes),
    Refusal(Bytes),
}

/// An open connection; the client makes a new one after each failure.
pub(crate) struct Link {
    pub(crate) peer: Peer,
    pub(crate) address: String,
    pub(crate) clock: Clock,
    pub(crate) frame_limit: usize,
    pub(crate) queue: mpsc::Sender<Bytes>,
    /// A permit is a request that the server takes at a time.
    pub(crate) turns: Arc<Semaphore>,
    next_id: AtomicU64,
    state: Mutex<LinkState>,
}

#[derive(Default)]
struct LinkState {
    waiting: BTreeMap<u64, mpsc::Sender<Event>>,
    broken: Option<String>,
}

impl Link {
    pub(crate) fn new(
        (peer, address): (Peer, String),
        clock: Clock,
        frame_limit: usize,
        turns: usize,
        queue: mpsc::Sender<Bytes>,
    ) -> Link {
        let turns = Arc::new(Semaphore::new(turns.clamp(1, Semaphore::MAX_PERMITS)));
        let (next_id, state) = (AtomicU64::new(1), Mutex::default());
        Link {
            peer,
            address,
            clock,
            frame_limit,
            queue,
            turns,
            next_id,
            state,
        }
    }

    fn lock(&self) -> MutexGuard<'_, LinkState> {
        // Entries are added and removed whole, so a panic elsewhere leaves none half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests wait for their answers.
    pub(crate) fn in_flight(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Ends all requests in flight, and refuses new ones.
    pub(crate) fn break_off(&self, why: &str) {
        let waiting = {
            let mut state = self.lock();
            state.broken.get_or_insert_with(|| why.to_owned());
            std::mem::take(&mut state.waiting)
        };
        self.turns.close();
        // Dropping the senders tells the callers.
        drop(waiting);
    }

    /// Hands a frame to the request it belongs to. One that has been cancelled meanwhile is no mistake.
    pub(crate) fn dispatch(&self, frame: Frame) -> Result<(), FrameError> {
        let out_of_turn = FrameError::OutOfTurn(frame.kind);
        let (event, last) = match frame.kind {
            Kind::Part => (Event::Part(frame.payload), false),
            Kind::Response => (Event::Response(frame.payload), true),
            Kind::Refusal => (Event::Refusal(frame.payload), true),
            _ => return Err(out_of_turn),
        };
        let mut state = self.lock();
        let Some(sender) = state.waiting.get(&frame.id) else {
            return Ok(());
        };
        // The channel holds all that was given credit for, and the end: more is the server's mistake.
        let sent = sender.try_send(event);
        if last || sent.is_err() {
            state.waiting.remove(&frame.id);
        }
        match sent {
            Err(mpsc::error::TrySendError::Full(_)) => Err(out_of_turn),
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }

    fn disconnected(&self) -> CallError {
        let why = self.lock().broken.clone().unwrap_or_else(|| "it is closing".to_owned());
        CallError::Disconnected {
            address: self.address.clone(),
            why,
        }
    }
}

/// How long a call may take, and how many parts may come before the first is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) patience: Duration,
    pub(crate) deadline: Deadline,
    pub(crate) credit: u32,
}

/// A request in flight; dropping it cancels.
struct InFlight {
    link: Arc<Link>,
    id: u64,
    turn: Option<OwnedSemaphorePermit>,
    ended: bool,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.link.lock().waiting.remove(&self.id);
        if self.ended {
            return;
        }
        let Ok(cancel) = encode(Kind::Cancel, self.id, &[], 0) else {
            return;
        };
        if let Err(mpsc::error::TrySendError::Full(cancel)) = self.link.queue.try_send(cancel)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // The turn is kept until the cancellation is on its way, so there are at most as many as turns.
            let (queue, turn) = (self.link.queue.clone(), self.turn.take());
            runtime.spawn(async move {
                let _broken = queue.send(cancel).await;
                drop(turn);
            });
        }
    }
}

/// What a step of an answer gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered<P, R> {
    /// A part; more follows.
    Part(P),
    /// The end.
    End(R),
}

/// An answer under way. Dropping it before its end cancels the request.
pub struct Answer<P: Protocol> {
    in_flight: InFlight,
    events: mpsc::Receiver<Event>,
    terms: Terms,
    /// Parts taken since the server was last given credit.
    taken: u32,
    protocol: PhantomData<fn() -> P>,
}

/// Sends an encoded request over a link.
pub(crate) async fn send_request<P: Protocol>(
    link: &Arc<Link>,
    body: &[u8],
    terms: Terms,
) -> Result<Answer<P>, CallError> {
    let timed_out = || CallError::TimedOut {
        address: link.address.clone(),
        patience: terms.patience,
    };
    let turn = Arc::clone(&link.turns).acquire_owned();
    let turn = link
        .clock
        .timeout_at(terms.deadline, turn)
        .await
        .map_err(|_| timed_out())?;
    let turn = Some(turn.map_err(|_closed| link.disconnected())?);
    let capacity = usize::try_from(terms.credit)
        .unwrap_or(usize::MAX)
        .min(Semaphore::MAX_PERMITS - 1)
        + 1;
    let (sender, events) = mpsc::channel(capacity);
    let id = link.next_id.fetch_add(1, Ordering::Relaxed);
    {
        let mut state = link.lock();
        if state.broken.is_some() {
            drop(state);
            return Err(link.disconnected());
        }
        state.waiting.insert(id, sender);
    }
    let in_flight = InFlight {
        link: Arc::clone(link),
        id,
        turn,
        ended: false,
    };
    let left_ms = u32::try_from(link.clock.remaining(terms.deadline).as_millis()).unwrap_or(u32::MAX);
    let head = [left_ms.to_le_bytes(), terms.credit.to_le_bytes()].concat();
    let frame = encode(Kind::Request, id, &[&head, body], link.frame_limit);
    let frame = frame.map_err(|error| CallError::Unsendable(error.to_string()))?;
    let sent = link.clock.timeout_at(terms.deadline, link.queue.send(frame)).await;
    sent.map_err(|_| timed_out())?.map_err(|_closed| link.disconnected())?;
    Ok(Answer {
        in_flight,
        events,
        terms,
        taken: 0,
        protocol: PhantomData,
    })
}

impl<P: Protocol> Answer<P> {
    /// Who answers.
    pub fn peer(&self) -> &Peer {
        &self.in_flight.link.peer
    }

    /// The next part, or the end. After the end, or an error, there is nothing more to come.
    pub async fn next(&mut self) -> Result<Answered<P::Part, P::Response>, CallError> {
        let link = Arc::clone(&self.in_flight.link);
        let address = || link.address.clone();
        let event = link.clock.timeout_at(self.terms.deadline, self.events.recv()).await;
        let event = event.map_err(|_| CallError::TimedOut {
            address: address(),
            patience: self.terms.patience,
        })?;
        let unreadable = |error: crate::wire::UnpackError| {
            let why = super::error::chain(&error);
            CallError::Unreadable {
                address: address(),
                why,
            }
        };
        match event {
            Some(Event::Part(payload)) => {
                self.give_credit().await?;
                Ok(Answered::Part(unpack(&payload).map_err(unreadable)?))
            }
            Some(Event::Response(payload)) => {
                self.in_flight.ended = true;
                Ok(Answered::End(unpack(&payload).map_err(unreadable)?))
            }
            Some(Event::Refusal(payload)) => {
                self.in_flight.ended = true;
                let refusal: Refusal = unpack(&payload).map_err(unreadable)?;
                Err(CallError::Refused {
                    address: address(),
                    refusal,
                })
            }
            None => Err(link.disconnected()),
        }
    }

    /// Gives the server new credit once half of the old has been used up.
    async fn give_credit(&mut self) -> Result<(), CallError> {
        self.taken += 1;
        if self.taken < self.terms.credit.div_ceil(2) {
            return Ok(());
        }
        let link = &self.in_flight.link;
        let credit = encode(Kind::Credit, self.in_flight.id, &[&self.taken.to_le_bytes()], 4);
        let credit = credit.map_err(|error| CallError::Unsendable(error.to_string()))?;
        self.taken = 0;
        let sent = link
            .clock
            .timeout_at(self.terms.deadline, link.queue.send(credit))
            .await;
        let timed_out = || CallError::TimedOut {
            address: link.address.clone(),
            patience: self.terms.patience,
        };
        // A broken connection shows at the next part, after those that have come already.
        let _broken = sent.map_err(|_| timed_out())?;
        Ok(())
    }
}
