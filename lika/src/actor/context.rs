//! What a running generation of an actor may do: own children, watch others, start timers and futures, show progress.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::task::JoinSet;

use super::mailbox::Mailbox;
use super::shared::{ActorId, ActorShared, Order, Trouble, lock};
use super::shell::DownDelivery;
use super::supervisor::spawn_under;
use super::{Actor, Handler, Message, Options};
use crate::panics::{caught, panic_text};
use crate::seam::{Clock, Randomness};

/// The effect came from a generation that has been replaced and must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this generation of the actor has been replaced; drop the effect, its successor will do it")]
pub struct Fenced;

/// A generation's right to have effects, to be carried by everything it starts elsewhere. Usable from any thread.
#[derive(Clone)]
pub struct Fence {
    shared: Arc<ActorShared>,
    generation: u64,
}

impl fmt::Debug for Fence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fence({} generation {})", self.shared.path, self.generation)
    }
}

impl Fence {
    /// Which generation this is; 0 is the first.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the generation still runs. A refusal is counted; see [`Fence::admit`] for effects that must not race.
    pub fn check(&self) -> Result<(), Fenced> {
        self.admit(|| ())
    }

    /// Has the effect unless the generation has been replaced, and keeps it from being replaced meanwhile: `effect`
    /// must be short and must not wait for the actor.
    pub fn admit<T>(&self, effect: impl FnOnce() -> T) -> Result<T, Fenced> {
        let current = self.shared.generation.read().unwrap_or_else(PoisonError::into_inner);
        if *current == self.generation {
            Ok(effect())
        } else {
            self.shared.counters.fenced.fetch_add(1, Ordering::Relaxed);
            Err(Fenced)
        }
    }
}

/// Shows from elsewhere that the present handler gets on; of no effect once its generation is replaced.
#[derive(Debug, Clone)]
pub struct ProgressHandle(Fence);

impl ProgressHandle {
    /// See [`Context::progress`].
    pub fn progress(&self) -> Result<(), Fenced> {
        self.0.admit(|| self.0.shared.progressed())
    }
}

/// The means of one generation. All that was started through it ends with it.
pub struct Context<A: Actor> {
    mailbox: Mailbox<A>,
    fence: Fence,
    tasks: JoinSet<()>,
    watched: BTreeSet<ActorId>,
    pub(crate) finished: bool,
}

impl<A: Actor> Context<A> {
    pub(crate) fn new(mailbox: Mailbox<A>) -> Context<A> {
        let shared = Arc::clone(&mailbox.shared);
        let fence = Fence {
            generation: shared.generation(),
            shared,
        };
        Context {
            mailbox,
            fence,
            tasks: JoinSet::new(),
            watched: BTreeSet::new(),
            finished: false,
        }
    }

    fn shared(&self) -> &Arc<ActorShared> {
        &self.mailbox.shared
    }

    /// The actor's own address, to hand to others.
    pub fn mailbox(&self) -> Mailbox<A> {
        self.mailbox.clone()
    }

    /// The right of this generation to have effects, to hand to what it starts.
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.shared().environment.clock
    }

    /// The randomness.
    pub fn randomness(&self) -> &Randomness {
        &self.shared().environment.randomness
    }

    /// Says that the present handler gets on, which starts its progress deadline again.
    pub fn progress(&self) {
        self.shared().progressed();
    }

    /// The same, from elsewhere.
    pub fn progress_handle(&self) -> ProgressHandle {
        ProgressHandle(self.fence())
    }

    /// Ends the actor as [`super::Exit::Finished`] once the present handler is done; its children are stopped.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Starts a child that lives at most as long as this generation; `factory` builds each of its generations.
    pub fn spawn_child<B: Actor>(&mut self, options: Options, factory: impl FnMut() -> B + 'static) -> Mailbox<B> {
        let parent = self.shared();
        let mailbox = spawn_under(&parent.environment, &parent.path, &parent.trouble, options, factory);
        let mut children = lock(&parent.children);
        children.retain(|child| child.exit().is_none());
        children.push(Arc::clone(&mailbox.shared));
        mailbox
    }

    /// Tells an actor to stop without waiting for it; watch it to know when it is gone.
    pub fn order_stop<B: Actor>(&mut self, mailbox: &Mailbox<B>) {
        mailbox.shared.orders.send_replace(Order::Stop);
    }

    /// Has [`Actor::down`] called exactly once when that actor is gone for good, also if it is already. Watching it
    /// twice changes nothing.
    pub fn watch<B: Actor>(&mut self, other: &Mailbox<B>) {
        if !self.watched.insert(other.shared.id) {
            return;
        }
        let (down, mailbox, fence) = (other.watch(), self.mailbox(), self.fence());
        self.start_task(async move {
            let delivery = DownDelivery {
                down: down.await,
                fence,
            };
            // The queue is closed only when this actor is gone itself; then there is nobody to tell.
            let _gone = mailbox.address.try_send(delivery);
        });
    }

    /// Runs a future beside the handlers and sends what `into_message` makes of its output to this actor. It is
    /// dropped with the generation; a panic in it is the actor's.
    pub fn pipe<F, M>(&mut self, work: F, into_message: impl FnOnce(F::Output) -> M + 'static)
    where
        F: Future + 'static,
        M: Message,
        A: Handler<M>,
    {
        let (mailbox, fence) = (self.mailbox(), self.fence());
        self.start_task(async move {
            let message = into_message(work.await);
            // A rejection means that this generation is over: its late messages are to be dropped.
            let _over = mailbox.tell_fenced(message, &fence).await;
        });
    }

    /// Sends a message to this actor after `delay`; dropped with the generation.
    pub fn send_later<M: Message>(&mut self, delay: Duration, message: M)
    where
        A: Handler<M>,
    {
        let clock = self.clock().clone();
        self.pipe(async move { clock.sleep(delay).await }, move |()| message);
    }

    fn start_task(&mut self, work: impl Future<Output = ()> + 'static) {
        while self.tasks.try_join_next().is_some() {}
        let trouble = self.shared().trouble.clone();
        self.tasks.spawn_local(async move {
            if let Err(payload) = caught(work).await {
                // The receiver is gone only when the actor is.
                let _gone = trouble.send(Trouble::PipePanicked(panic_text(payload.as_ref())));
            }
        });
    }
}
