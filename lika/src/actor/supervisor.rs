//! The supervising task of one actor: builds generations, polls them with panics caught, fences and replaces them.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use actix::prelude::AsyncContext as _;
use tokio::sync::{mpsc, watch};

use super::context::Context;
use super::exit::{Exit, Failure};
use super::mailbox::Mailbox;
use super::restart::{RestartHistory, Verdict};
use super::shared::{ActorShared, Environment, LifeState, Order, StateCell, Trouble, stop_in_reverse};
use super::shell::{Body, Running, SharedSlot, new_shell};
use super::{Actor, Options};
use crate::panics::{caught, panic_text};

/// Starts an actor and its supervising task on the present `LocalSet`.
pub(crate) fn spawn_under<A: Actor>(
    environment: &Environment,
    parent_path: &str,
    parent: &mpsc::UnboundedSender<Trouble>,
    options: Options,
    factory: impl FnMut() -> A + 'static,
) -> Mailbox<A> {
    let (slot, outer, mut shell) = new_shell();
    let separator = if parent_path.is_empty() { "" } else { "/" };
    let path = format!("{parent_path}{separator}{}", options.name);
    let (trouble_sender, trouble) = mpsc::unbounded_channel();
    let state = Arc::new(StateCell::new());
    let capacity = options.mailbox_capacity;
    let shared = ActorShared::new(environment, path, capacity, trouble_sender, Arc::clone(&state));
    let mailbox = Mailbox {
        address: outer.address(),
        shared: Arc::new(shared),
        state,
    };
    shell.mailbox = Some(mailbox.clone());
    let supervisor = Supervisor {
        body: outer.into_future(shell),
        slot,
        orders: mailbox.shared.orders.subscribe(),
        mailbox: mailbox.clone(),
        history: RestartHistory::new(options.restart_limit),
        options,
        factory,
        trouble,
        parent: parent.clone(),
    };
    tokio::task::spawn_local(supervisor.run());
    mailbox
}

struct Supervisor<A: Actor, F> {
    /// Dropped first: closes the queue and drops what waits in it.
    body: Body<A>,
    slot: SharedSlot<A>,
    orders: watch::Receiver<Order>,
    mailbox: Mailbox<A>,
    history: RestartHistory,
    options: Options,
    factory: F,
    trouble: mpsc::UnboundedReceiver<Trouble>,
    parent: mpsc::UnboundedSender<Trouble>,
}

/// Ends the actor for its watchers also when the supervising task is dropped with its `LocalSet`.
struct EndGuard(Arc<ActorShared>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        if self.0.exit().is_none() {
            self.0.end(Exit::Killed);
        }
    }
}

/// What follows a generation.
enum Ending {
    /// Nothing: the actor is gone.
    Last(Exit),
    /// Another one, if the restart limit allows.
    Failure(Exit),
}

impl<A: Actor, F: FnMut() -> A + 'static> Supervisor<A, F> {
    async fn run(mut self) {
        let end = EndGuard(Arc::clone(&self.mailbox.shared));
        let exit = self.supervise().await;
        // The queue closes, and what waits in it is dropped, before watchers hear of the end.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(self))) {
            tracing::error!(actor = %end.0.path, panic = panic_text(payload.as_ref()), "dropping a mailbox panicked");
        }
        tracing::debug!(actor = %end.0.path, %exit, "an actor is gone");
        end.0.end(exit);
    }

    /// Generation after generation, until none follows.
    async fn supervise(&mut self) -> Exit {
        loop {
            let ending = self.run_generation().await;
            let shared = Arc::clone(&self.mailbox.shared);
            // Fenced before anything else: from here on the old generation has no effects, whatever still runs of it.
            shared.next_generation();
            shared.clear_busy();
            self.clear();
            stop_in_reverse(&shared.children).await;
            while self.trouble.try_recv().is_ok() {}
            let failure = match ending {
                Ending::Last(exit) => return exit,
                Ending::Failure(exit) => exit,
            };
            tracing::warn!(actor = %shared.path, exit = %failure, "an actor failed");
            match self.history.failed(shared.environment.clock.monotonic()) {
                Verdict::Escalate => return self.escalate(failure),
                Verdict::Restart { failures } => {
                    if let Some(exit) = self.back_off(failures, failure).await {
                        return exit;
                    }
                }
            }
        }
    }

    fn escalate(&self, failure: Exit) -> Exit {
        let exit = Exit::TooManyRestarts(Box::new(failure));
        let child = self.mailbox.shared.path.clone();
        // A parent that is gone already has stopped this actor, or is about to.
        let _gone = self.parent.send(Trouble::ChildFailed {
            child,
            exit: exit.clone(),
        });
        exit
    }

    /// Waits before the next generation; an exit if the actor was stopped meanwhile.
    async fn back_off(&mut self, failures: u32, failure: Exit) -> Option<Exit> {
        let shared = &self.mailbox.shared;
        shared.set_life(LifeState::BackingOff(failure));
        let wait = self.options.backoff.wait(failures, &shared.environment.randomness);
        tokio::select! {
            biased;
            () = stop_ordered(&mut self.orders) => Some(Exit::Stopped),
            () = shared.environment.clock.sleep(wait) => None,
        }
    }

    /// Drops what is left of a generation: the actor, its tasks, and the handler in progress.
    fn clear(&mut self) {
        // A destructor that panics must not take the supervisor with it; what it guarded is gone all the same.
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            self.body.restart();
            let mut slot = self.slot.borrow_mut();
            let left = slot.running.take();
            slot.ending = None;
            drop(slot);
            drop(left);
        }));
        if let Err(payload) = dropped {
            let path = &self.mailbox.shared.path;
            tracing::error!(actor = %path, panic = panic_text(payload.as_ref()), "dropping an actor panicked");
        }
    }

    async fn run_generation(&mut self) -> Ending {
        let shared = Arc::clone(&self.mailbox.shared);
        shared.set_life(LifeState::Starting);
        if let Err(ending) = self.start().await {
            return ending;
        }
        shared.set_idle();
        tokio::select! {
            biased;
            () = stop_ordered(&mut self.orders) => {}
            Some(trouble) = self.trouble.recv() => return Ending::Failure(trouble_exit(trouble)),
            stalled = shared.hung(self.options.progress_deadline) => return Ending::Failure(Exit::Hung(stalled)),
            ending = poll_body(&mut self.body, &self.slot, When::Ended) => return ending,
        }
        self.stop_in_order().await
    }

    /// Builds the actor and runs its `started`, under the same progress deadline as a handler.
    async fn start(&mut self) -> Result<(), Ending> {
        let shared = Arc::clone(&self.mailbox.shared);
        let (factory, mailbox) = (&mut self.factory, self.mailbox.clone());
        let build = caught(async move {
            let mut running = Running {
                actor: factory(),
                context: Context::new(mailbox),
            };
            let started = running.actor.started(&mut running.context).await;
            (running, started)
        });
        shared.set_busy();
        shared.set_life(LifeState::Starting);
        let built = tokio::select! {
            biased;
            () = stop_ordered(&mut self.orders) => return Err(Ending::Last(Exit::Stopped)),
            stalled = shared.hung(self.options.progress_deadline) => return Err(Ending::Failure(Exit::Hung(stalled))),
            built = build => built,
        };
        match built {
            Err(payload) => Err(Ending::Failure(Exit::Panicked(panic_text(payload.as_ref())))),
            Ok((_, Err(Failure(reason)))) => Err(Ending::Failure(Exit::Failed(reason))),
            Ok((running, Ok(()))) if running.context.finished => Err(Ending::Last(Exit::Finished)),
            Ok((running, Ok(()))) => {
                self.mailbox.state.set(running.actor.observe());
                self.slot.borrow_mut().running = Some(running);
                Ok(())
            }
        }
    }

    /// The handler in progress ends, then the children are stopped in reverse, then `stopping` runs.
    async fn stop_in_order(&mut self) -> Ending {
        let shared = Arc::clone(&self.mailbox.shared);
        shared.set_life(LifeState::Stopping);
        shared.room.close();
        self.slot.borrow_mut().closing = true;
        let (body, slot) = (&mut self.body, &self.slot);
        let stop = async {
            if let Ending::Failure(exit) = poll_body(body, slot, When::Idle).await {
                return exit;
            }
            shared.set_life(LifeState::Stopping);
            stop_in_reverse(&shared.children).await;
            let running = slot.borrow_mut().running.take();
            let Some(mut running) = running else {
                return Exit::Stopped;
            };
            match caught(running.actor.stopping(&mut running.context)).await {
                Ok(()) => Exit::Stopped,
                Err(payload) => Exit::Panicked(panic_text(payload.as_ref())),
            }
        };
        let stopped = shared.environment.clock.timeout(self.options.stop_deadline, stop).await;
        Ending::Last(stopped.unwrap_or(Exit::Killed))
    }
}

async fn stop_ordered(orders: &mut watch::Receiver<Order>) {
    // The sender lives as long as the actor's mailbox, which the supervisor holds: an error cannot come, and would
    // mean that nobody can want the actor any longer.
    let _gone = orders.wait_for(|order| *order == Order::Stop).await;
}

fn trouble_exit(trouble: Trouble) -> Exit {
    match trouble {
        Trouble::ChildFailed { child, exit } => Exit::ChildFailed {
            child,
            exit: Box::new(exit),
        },
        Trouble::PipePanicked(message) => Exit::Panicked(message),
    }
}

/// Until when the body is polled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// A handler ended the generation.
    Ended,
    /// No handler runs.
    Idle,
}

/// Polls the shell with panics caught. With [`When::Idle`], `Ending::Last` means idle.
async fn poll_body<A: Actor>(body: &mut Body<A>, slot: &SharedSlot<A>, when: When) -> Ending {
    std::future::poll_fn(|context| {
        if when == When::Idle && slot.borrow().running.is_some() {
            return Poll::Ready(Ending::Last(Exit::Stopped));
        }
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *body).poll(context)));
        if let Err(payload) = polled {
            return Poll::Ready(Ending::Failure(Exit::Panicked(panic_text(payload.as_ref()))));
        }
        let slot = slot.borrow();
        match &slot.ending {
            Some(Exit::Finished) => return Poll::Ready(Ending::Last(Exit::Finished)),
            Some(exit) => return Poll::Ready(Ending::Failure(exit.clone())),
            None => {}
        }
        match polled {
            _ if when == When::Idle && slot.running.is_some() => Poll::Ready(Ending::Last(Exit::Stopped)),
            // The supervisor holds an address, so `actix` has no reason to end this; if it did, a restart mends it.
            Ok(Poll::Ready(())) => Poll::Ready(Ending::Failure(Exit::Failed("its mailbox closed".to_owned()))),
            Ok(Poll::Pending) | Err(_) => Poll::Pending,
        }
    })
    .await
}
