//! The address of an actor: the same through all its generations, bounded, and never silent about what it refuses.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::SendError;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError, oneshot};

use super::context::Fence;
use super::exit::{Down, Exit};
use super::shared::{ActorShared, Observation, Order, StateCell};
use super::shell::{Delivery, Shell};
use super::{Actor, Handler, Message};

/// An actor's address; cheap to clone, usable from any thread. It does not keep the actor alive: its owner does.
pub struct Mailbox<A: Actor> {
    pub(crate) address: actix::Addr<Shell<A>>,
    pub(crate) shared: Arc<ActorShared>,
    pub(crate) state: Arc<StateCell<A::State>>,
}

impl<A: Actor> Clone for Mailbox<A> {
    fn clone(&self) -> Mailbox<A> {
        let (shared, state) = (Arc::clone(&self.shared), Arc::clone(&self.state));
        Mailbox {
            address: self.address.clone(),
            shared,
            state,
        }
    }
}

impl<A: Actor> fmt::Debug for Mailbox<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Mailbox({} #{})", self.shared.path, self.shared.id.0)
    }
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// As many messages wait as may.
    Full,
    /// The actor is being stopped or is gone.
    Down,
    /// The sender's generation has been replaced.
    Fenced,
}

/// A message that was not taken, given back.
#[derive(Error)]
#[error("{path} did not take the message ({reason:?}); slow down, or find out why it is gone")]
pub struct Rejected<M> {
    /// The message.
    pub message: M,
    /// The actor's path.
    pub path: String,
    /// Why.
    pub reason: RejectReason,
}

impl<M> fmt::Debug for Rejected<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Rejected({}, {:?})", self.path, self.reason)
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AskError {
    /// The time ran out, before or during the handling.
    #[error("{path} did not answer in {} ms; allow more time or see what it is busy with", .patience.as_millis())]
    TimedOut {
        /// The actor's path.
        path: String,
        /// How long was waited.
        patience: Duration,
    },
    /// The actor failed, or was stopped, with the question in hand or in its mailbox; what it did of it is unknown.
    #[error("{path} lost the question; see its state for why, and ask again if the question may be asked twice")]
    Lost {
        /// The actor's path.
        path: String,
    },
    /// The actor is being stopped (no exit yet) or is gone.
    #[error("{path} is gone; ask its owner for a new one")]
    Down {
        /// The actor's path.
        path: String,
        /// Why, once it is known.
        exit: Option<Exit>,
    },
}

impl<A: Actor> Mailbox<A> {
    /// The actor's path: names from the root down, joined by `/`.
    pub fn path(&self) -> &str {
        &self.shared.path
    }

    /// Leaves a message if there is room; never waits.
    pub fn tell<M>(&self, message: M) -> Result<(), Rejected<M>>
    where
        M: Message,
        A: Handler<M>,
    {
        match Arc::clone(&self.shared.room).try_acquire_owned() {
            Ok(room) => self.deliver(message, room, None, None),
            Err(TryAcquireError::NoPermits) => {
                self.shared.counters.rejected.fetch_add(1, Ordering::Relaxed);
                Err(self.rejected(message, RejectReason::Full))
            }
            Err(TryAcquireError::Closed) => Err(self.rejected(message, RejectReason::Down)),
        }
    }

    /// Leaves a message, waiting for room as long as it takes or the actor lives; senders are served in order.
    pub async fn tell_when_room<M>(&self, message: M) -> Result<(), Rejected<M>>
    where
        M: Message,
        A: Handler<M>,
    {
        match Arc::clone(&self.shared.room).acquire_owned().await {
            Ok(room) => self.deliver(message, room, None, None),
            Err(_closed) => Err(self.rejected(message, RejectReason::Down)),
        }
    }

    /// Leaves a message that is refused, now or when its turn comes, once the generation of `fence` is replaced.
    pub async fn tell_fenced<M>(&self, message: M, fence: &Fence) -> Result<(), Rejected<M>>
    where
        M: Message,
        A: Handler<M>,
    {
        if fence.check().is_err() {
            return Err(self.rejected(message, RejectReason::Fenced));
        }
        match Arc::clone(&self.shared.room).acquire_owned().await {
            Ok(room) => self.deliver(message, room, None, Some(fence.clone())),
            Err(_closed) => Err(self.rejected(message, RejectReason::Down)),
        }
    }

    /// Asks and awaits the answer, `patience` in all: for room, for the turn and for the handling. Whoever stops
    /// waiting before the turn comes withdraws the question.
    pub async fn ask<M>(&self, message: M, patience: Duration) -> Result<M::Reply, AskError>
    where
        M: Message,
        A: Handler<M>,
    {
        let path = || self.shared.path.clone();
        let down = || AskError::Down {
            path: path(),
            exit: self.shared.exit(),
        };
        let question = async {
            let room = Arc::clone(&self.shared.room)
                .acquire_owned()
                .await
                .map_err(|_closed| down())?;
            let (reply, answer) = oneshot::channel();
            self.deliver(message, room, Some(reply), None)
                .map_err(|_rejected| down())?;
            answer.await.map_err(|_dropped| AskError::Lost { path: path() })
        };
        match self.shared.environment.clock.timeout(patience, question).await {
            Ok(answered) => answered,
            Err(_elapsed) => Err(AskError::TimedOut { path: path(), patience }),
        }
    }

    /// Resolves exactly once, when the actor is gone for good; at once if it is already.
    pub fn watch(&self) -> impl Future<Output = Down> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move { shared.wait_ended().await }
    }

    /// Tells the actor to stop in order (its children first, the last started first) and waits until it is gone.
    pub async fn stop(&self) -> Down {
        self.shared.orders.send_replace(Order::Stop);
        self.shared.wait_ended().await
    }

    /// The actor's state after its last handled message, `None` before it has started.
    pub fn state(&self) -> Option<A::State> {
        self.state.get()
    }

    /// What can be seen of the actor and its children.
    pub fn observe(&self) -> Observation {
        self.shared.observe()
    }

    fn rejected<M>(&self, message: M, reason: RejectReason) -> Rejected<M> {
        Rejected {
            message,
            path: self.shared.path.clone(),
            reason,
        }
    }

    fn deliver<M>(
        &self,
        message: M,
        room: OwnedSemaphorePermit,
        reply: Option<oneshot::Sender<M::Reply>>,
        fence: Option<Fence>,
    ) -> Result<(), Rejected<M>>
    where
        M: Message,
        A: Handler<M>,
    {
        // The queue of actix is unbounded here (capacity 0): the permit is the bound. `try_send` says when it is
        // closed.
        match self.address.try_send(Delivery {
            message,
            room,
            reply,
            fence,
        }) {
            Ok(()) => Ok(()),
            Err(SendError::Full(delivery)) => Err(self.rejected(delivery.message, RejectReason::Full)),
            Err(SendError::Closed(delivery)) => Err(self.rejected(delivery.message, RejectReason::Down)),
        }
    }
}
