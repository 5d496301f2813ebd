//! Actors: state that one task owns, reached by typed messages through a bounded mailbox, under supervision.
//!
//! `actix` 0.13 gives the mailbox queue and the polling of an actor (`ContextFut`); no type of it is public here. What
//! is lika's own, since actix lacks it (see `docs/decisions` of the project):
//! - the bound of a mailbox is exact and a rejection is returned and counted (actix adds a slot per sender, `do_send`
//!   ignores the bound, and its `send` on a full mailbox may never be woken);
//! - handlers are `async` and run one at a time, so an actor awaits without locks;
//! - a panic, a returned [`Failure`], or no progress for too long ends a *generation*: it is fenced off, its children
//!   are stopped in reverse order, and after a backoff a new one is built by the factory behind the same mailbox;
//! - more restarts than the [`RestartLimit`] end the actor and escalate to its parent, which fails in turn;
//! - [`Mailbox::watch`] resolves exactly once, when no generation will follow, also if that was long ago.
//!
//! Everything runs on the `LocalSet` of the thread that called [`Root::spawn`]; mailboxes may be used from any thread.
//! A handler that blocks its thread cannot be replaced by anybody on that thread: CPU work belongs to
//! [`crate::pool`]; [`Observation::busy_for`] shows it from other threads.

mod context;
mod exit;
mod mailbox;
mod restart;
mod root;
mod shared;
mod shell;
mod supervisor;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::time::Duration;

pub use context::{Context, Fence, Fenced, ProgressHandle};
pub use exit::{Down, Exit, Failure};
pub use mailbox::{AskError, Mailbox, RejectReason, Rejected};
pub use restart::RestartLimit;
pub use root::{Escalation, Root};
pub use shared::{ActorId, LifeState, Observation};

use crate::seam::Backoff;

/// What can be sent to an actor.
pub trait Message: Send + 'static {
    /// What the handler answers; `()` for a mere notice, a `Result` where the sender is to know of a refusal.
    type Reply: Send + 'static;
}

/// State with handlers. Its methods run one at a time on one thread.
pub trait Actor: Sized + 'static {
    /// What tests and the admin page see of the actor; taken after every handled message, so keep it small.
    type State: fmt::Debug + Clone + Send + Sync + 'static;

    /// The observable state now.
    fn observe(&self) -> Self::State;

    /// Runs before the first message of each generation: spawn children and start timers here.
    fn started(&mut self, _context: &mut Context<Self>) -> impl Future<Output = Result<(), Failure>> {
        async { Ok(()) }
    }

    /// Runs last of all on an orderly stop, after the children are gone. Not run after a failure.
    fn stopping(&mut self, _context: &mut Context<Self>) -> impl Future<Output = ()> {
        async {}
    }

    /// An actor that was watched through [`Context::watch`] is gone for good.
    fn down(&mut self, _down: Down, _context: &mut Context<Self>) -> impl Future<Output = Result<(), Failure>> {
        async { Ok(()) }
    }
}

/// An actor's way to take one type of message.
pub trait Handler<M: Message>: Actor {
    /// Handles one message. An error is the *actor's* failure (it is rebuilt and the sender gets [`AskError::Lost`]);
    /// an answer that merely says no belongs to `M::Reply`.
    fn handle(&mut self, message: M, context: &mut Context<Self>) -> impl Future<Output = Result<M::Reply, Failure>>;
}

/// How an actor is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The last part of its path; a short noun, unique among its siblings for readers' sake.
    pub name: String,
    /// Messages that wait at most; the next one is rejected or waits, as its sender chose.
    pub mailbox_capacity: usize,
    /// The longest time from a message's start, or the last [`Context::progress`], until the actor counts as hung.
    pub progress_deadline: Duration,
    /// The longest time for an orderly stop, children included; then the actor is dropped as it is.
    pub stop_deadline: Duration,
    /// How often it may be rebuilt before its parent is to know.
    pub restart_limit: RestartLimit,
    /// How long to wait before each rebuild.
    pub backoff: Backoff,
}

impl Options {
    /// The defaults: 256 messages, 30 s without progress, 10 s to stop, 5 restarts in 30 s, backoff 100 ms to 10 s.
    pub fn named(name: impl Into<String>) -> Options {
        Options {
            name: name.into(),
            mailbox_capacity: 256,
            progress_deadline: Duration::from_secs(30),
            stop_deadline: Duration::from_secs(10),
            restart_limit: RestartLimit::default(),
            backoff: Backoff::default(),
        }
    }
}
