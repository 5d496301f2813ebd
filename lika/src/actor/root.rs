//! The top of a tree of actors: what a process, or one node of a simulation, owns.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::exit::Exit;
use super::mailbox::Mailbox;
use super::shared::{ActorShared, Environment, Observation, Trouble, lock, stop_in_reverse};
use super::supervisor::spawn_under;
use super::{Actor, Options};
use crate::seam::{Clock, Randomness};

/// An actor right below the root failed more often than it may; the process should say so and end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// The actor's path.
    pub path: String,
    /// Its exit.
    pub exit: Exit,
}

/// Owns actors. Dropping it stops nothing by itself: call [`Root::stop`], or drop the `LocalSet`.
pub struct Root {
    environment: Environment,
    children: Mutex<Vec<Arc<ActorShared>>>,
    trouble_sender: mpsc::UnboundedSender<Trouble>,
    trouble: mpsc::UnboundedReceiver<Trouble>,
}

impl Root {
    /// An empty tree that lives by this clock and this randomness.
    pub fn new(clock: Clock, randomness: Randomness) -> Root {
        let (trouble_sender, trouble) = mpsc::unbounded_channel();
        let environment = Environment {
            clock,
            randomness,
            next_id: Arc::new(AtomicU64::new(1)),
        };
        Root {
            environment,
            children: Mutex::default(),
            trouble_sender,
            trouble,
        }
    }

    /// Starts an actor at the top; `factory` builds each of its generations. Panics outside of a `LocalSet`, as
    /// `tokio::task::spawn_local` does.
    pub fn spawn<A: Actor>(&self, options: Options, factory: impl FnMut() -> A + 'static) -> Mailbox<A> {
        let mailbox = spawn_under(&self.environment, "", &self.trouble_sender, options, factory);
        let mut children = lock(&self.children);
        children.retain(|child| child.exit().is_none());
        children.push(Arc::clone(&mailbox.shared));
        mailbox
    }

    /// Resolves when an actor at the top has escalated.
    pub async fn escalated(&mut self) -> Escalation {
        loop {
            match self.trouble.recv().await {
                Some(Trouble::ChildFailed { child, exit }) => return Escalation { path: child, exit },
                // Only children write here, and only this; the sender lives in `self`.
                Some(Trouble::PipePanicked(_)) | None => {}
            }
        }
    }

    /// Stops all actors in order, the last started first; each within its own stop deadline.
    pub async fn stop(&self) {
        stop_in_reverse(&self.children).await;
    }

    /// What can be seen of all actors, in the order of their start.
    pub fn observe(&self) -> Vec<Observation> {
        let children: Vec<Arc<ActorShared>> = lock(&self.children).clone();
        children.iter().map(|child| child.observe()).collect()
    }
}
