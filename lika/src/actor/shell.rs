//! The binding to `actix`: a shell that `actix` knows as the actor, around the slot where the real one is while idle.
//!
//! While a handler runs, the actor is inside of its future (handed to `actix`'s `wait`, which keeps the mailbox shut
//! meanwhile); afterwards it is put back. So handlers are `async` with `&mut self`, without locks and without `unsafe`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use actix::fut::ActorFutureExt as _;
use actix::prelude::AsyncContext as _;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::context::{Context, Fence};
use super::exit::{Down, Exit, Failure};
use super::mailbox::Mailbox;
use super::{Actor, Handler, Message};

/// A generation of an actor with its means.
pub(crate) struct Running<A: Actor> {
    pub(crate) actor: A,
    pub(crate) context: Context<A>,
}

/// What shell and supervisor share.
pub(crate) struct Slot<A: Actor> {
    /// The actor while no handler runs.
    pub(crate) running: Option<Running<A>>,
    /// Set by the handler that ended the generation.
    pub(crate) ending: Option<Exit>,
    /// Messages are dropped, no longer handled.
    pub(crate) closing: bool,
}

pub(crate) type SharedSlot<A> = Rc<RefCell<Slot<A>>>;

/// The actor as `actix` sees it.
pub(crate) struct Shell<A: Actor> {
    pub(crate) slot: SharedSlot<A>,
    pub(crate) mailbox: Option<Mailbox<A>>,
}

impl<A: Actor> actix::Actor for Shell<A> {
    type Context = actix::Context<Shell<A>>;
}

impl<A: Actor> actix::Supervised for Shell<A> {}

/// A message on its way, with its place in the mailbox.
pub(crate) struct Delivery<M: Message> {
    pub(crate) message: M,
    pub(crate) room: OwnedSemaphorePermit,
    pub(crate) reply: Option<oneshot::Sender<M::Reply>>,
    pub(crate) fence: Option<Fence>,
}

impl<M: Message> actix::Message for Delivery<M> {
    type Result = ();
}

/// The news of a watched actor on its way; it takes no place, since there is one per watched actor.
pub(crate) struct DownDelivery {
    pub(crate) down: Down,
    pub(crate) fence: Fence,
}

impl actix::Message for DownDelivery {
    type Result = ();
}

impl<A: Handler<M>, M: Message> actix::Handler<Delivery<M>> for Shell<A> {
    type Result = ();

    fn handle(&mut self, delivery: Delivery<M>, outer: &mut Self::Context) {
        let Delivery {
            message,
            room,
            reply,
            fence,
        } = delivery;
        drop(room);
        let withdrawn = reply.as_ref().is_some_and(oneshot::Sender::is_closed);
        if withdrawn || fence.is_some_and(|fence| fence.check().is_err()) {
            return;
        }
        self.run(outer, async move |running: &mut Running<A>| {
            let answer = running.actor.handle(message, &mut running.context).await?;
            // Whoever asked may have stopped waiting; that is its own affair.
            let _unread = reply.map(|reply| reply.send(answer));
            Ok(())
        });
    }
}

impl<A: Actor> actix::Handler<DownDelivery> for Shell<A> {
    type Result = ();

    fn handle(&mut self, delivery: DownDelivery, outer: &mut Self::Context) {
        if delivery.fence.check().is_ok() {
            let down = delivery.down;
            self.run(outer, async move |running: &mut Running<A>| {
                running.actor.down(down, &mut running.context).await
            });
        }
    }
}

impl<A: Actor> Shell<A> {
    /// Runs one handler to its end with the mailbox shut.
    fn run<W>(&mut self, outer: &mut actix::Context<Shell<A>>, work: W)
    where
        W: AsyncFnOnce(&mut Running<A>) -> Result<(), Failure> + 'static,
    {
        let Some(mailbox) = self.mailbox.clone() else { return };
        let taken = {
            let mut slot = self.slot.borrow_mut();
            if slot.closing { None } else { slot.running.take() }
        };
        let Some(mut running) = taken else { return };
        let slot = Rc::clone(&self.slot);
        let handled = async move {
            // Lets other tasks of the thread run when messages never cease.
            tokio::task::coop::consume_budget().await;
            mailbox.shared.set_busy();
            let outcome = work(&mut running).await;
            mailbox.state.set(running.actor.observe());
            mailbox.shared.counters.handled.fetch_add(1, Ordering::Relaxed);
            mailbox.shared.set_idle();
            let ending = match outcome {
                Err(Failure(reason)) => Some(Exit::Failed(reason)),
                Ok(()) if running.context.finished => Some(Exit::Finished),
                Ok(()) => None,
            };
            let ended = ending.is_some();
            {
                let mut slot = slot.borrow_mut();
                slot.ending = ending;
                slot.running = Some(running);
            }
            if ended {
                // Keeps the mailbox shut until the supervisor replaces this generation: what waits is for the next.
                std::future::pending::<()>().await;
            }
        };
        outer.wait(actix::fut::wrap_future::<_, Self>(handled).map(|(), _, _| ()));
    }
}

/// The shell's future, made once per actor: it survives all generations and so keeps the address valid.
pub(crate) type Body<A> = actix::dev::ContextFut<Shell<A>, actix::Context<Shell<A>>>;

/// Makes the shell, its future and its address.
pub(crate) fn new_shell<A: Actor>() -> (SharedSlot<A>, actix::Context<Shell<A>>, Shell<A>) {
    let slot = Rc::new(RefCell::new(Slot {
        running: None,
        ending: None,
        closing: false,
    }));
    let mut outer = actix::Context::new();
    outer.set_mailbox_capacity(0);
    let shell = Shell {
        slot: Rc::clone(&slot),
        mailbox: None,
    };
    (slot, outer, shell)
}
