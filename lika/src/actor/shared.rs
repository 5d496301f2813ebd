//! What the mailbox, the supervisor and observers of one actor share. Everything here may be used from any thread.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};

use super::exit::{Down, Exit};
use crate::seam::{Clock, Monotonic, Randomness};

/// Identifies an actor within its root; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(pub u64);

/// What an actor is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LifeState {
    /// Being built, or in `started`.
    Starting,
    /// Waiting for messages.
    Idle,
    /// In a handler.
    Busy,
    /// Waiting to be rebuilt after this exit.
    BackingOff(Exit),
    /// Being stopped.
    Stopping,
    /// Gone for good.
    Ended(Exit),
}

/// What can be seen of an actor from outside.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Which one.
    pub id: ActorId,
    /// Names from the root down, joined by `/`.
    pub path: String,
    /// What it is doing.
    pub life: LifeState,
    /// How often it was rebuilt; messages and effects of earlier generations are refused.
    pub generation: u64,
    /// Messages handled to their end, over all generations.
    pub handled: u64,
    /// Messages rejected since the mailbox was full.
    pub rejected: u64,
    /// Messages and effects refused since their generation had been replaced.
    pub fenced: u64,
    /// Messages in the mailbox.
    pub waiting: usize,
    /// How long the present handler has made no progress; zero when idle.
    pub busy_for: Duration,
    /// The actor's own state after its last message (`Debug` of [`super::Actor::State`]); empty before.
    pub state: String,
    /// Its children, in the order of their start.
    pub children: Vec<Observation>,
}

/// What all actors of a root share.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    pub(crate) clock: Clock,
    pub(crate) randomness: Randomness,
    pub(crate) next_id: Arc<AtomicU64>,
}

/// What an actor is told by its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Run,
    Stop,
}

/// What befell an actor outside of its handlers.
#[derive(Debug)]
pub(crate) enum Trouble {
    ChildFailed { child: String, exit: Exit },
    PipePanicked(String),
}

/// The last observed state of an actor, typed.
pub(crate) struct StateCell<S>(Mutex<Option<S>>);

impl<S: Clone> StateCell<S> {
    pub(crate) fn new() -> StateCell<S> {
        StateCell(Mutex::new(None))
    }

    pub(crate) fn get(&self) -> Option<S> {
        lock(&self.0).clone()
    }

    pub(crate) fn set(&self, state: S) {
        *lock(&self.0) = Some(state);
    }
}

trait Describe: Send + Sync {
    fn describe(&self) -> String;
}

impl<S: fmt::Debug + Send> Describe for StateCell<S> {
    fn describe(&self) -> String {
        lock(&self.0)
            .as_ref()
            .map_or_else(String::new, |state| format!("{state:?}"))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) handled: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) fenced: AtomicU64,
}

/// The untyped part of an actor that outlives its generations.
pub(crate) struct ActorShared {
    pub(crate) id: ActorId,
    pub(crate) path: String,
    pub(crate) environment: Environment,
    pub(crate) capacity: usize,
    pub(crate) counters: Counters,
    /// A permit is a place in the mailbox; closed when the actor stops for good.
    pub(crate) room: Arc<Semaphore>,
    /// Holding it for reading keeps the generation from being replaced.
    pub(crate) generation: RwLock<u64>,
    pub(crate) children: Mutex<Vec<Arc<ActorShared>>>,
    pub(crate) orders: watch::Sender<Order>,
    pub(crate) trouble: mpsc::UnboundedSender<Trouble>,
    ended: watch::Sender<Option<Exit>>,
    life: Mutex<LifeState>,
    /// Since when the present handler has made no progress.
    busy_since: Mutex<Option<Monotonic>>,
    became_busy: Notify,
    state: Arc<dyn Describe>,
}

/// Locks without regard to poison: all values here are replaced whole, so a panic leaves none half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ActorShared {
    /// `trouble` is unbounded but finite: each child writes to it once, and so does each piped future.
    pub(crate) fn new<S: fmt::Debug + Clone + Send + Sync + 'static>(
        environment: &Environment,
        path: String,
        capacity: usize,
        trouble: mpsc::UnboundedSender<Trouble>,
        state: Arc<StateCell<S>>,
    ) -> ActorShared {
        let capacity = capacity.clamp(1, Semaphore::MAX_PERMITS);
        ActorShared {
            id: ActorId(environment.next_id.fetch_add(1, Ordering::Relaxed)),
            path,
            environment: environment.clone(),
            capacity,
            counters: Counters::default(),
            room: Arc::new(Semaphore::new(capacity)),
            generation: RwLock::new(0),
            children: Mutex::default(),
            orders: watch::Sender::new(Order::Run),
            trouble,
            ended: watch::Sender::new(None),
            life: Mutex::new(LifeState::Starting),
            busy_since: Mutex::new(None),
            became_busy: Notify::new(),
            state,
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        *self.generation.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the generation; waits for effects of the present one that were admitted and are not done.
    pub(crate) fn next_generation(&self) {
        *self.generation.write().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    pub(crate) fn set_life(&self, life: LifeState) {
        *lock(&self.life) = life;
    }

    pub(crate) fn set_busy(&self) {
        *lock(&self.busy_since) = Some(self.environment.clock.monotonic());
        self.set_life(LifeState::Busy);
        self.became_busy.notify_one();
    }

    pub(crate) fn set_idle(&self) {
        *lock(&self.busy_since) = None;
        self.set_life(LifeState::Idle);
    }

    pub(crate) fn clear_busy(&self) {
        *lock(&self.busy_since) = None;
    }

    pub(crate) fn progressed(&self) {
        let mut busy_since = lock(&self.busy_since);
        if busy_since.is_some() {
            *busy_since = Some(self.environment.clock.monotonic());
        }
    }

    fn busy_for(&self) -> Option<Duration> {
        let since = (*lock(&self.busy_since))?;
        Some(self.environment.clock.monotonic().since(since))
    }

    /// Resolves once a handler has made no progress for `deadline`; never when the actor is idle.
    pub(crate) async fn hung(&self, deadline: Duration) -> Duration {
        loop {
            match self.busy_for() {
                Some(stalled) if stalled >= deadline => return stalled,
                Some(stalled) => self.environment.clock.sleep(deadline - stalled).await,
                None => self.became_busy.notified().await,
            }
        }
    }

    pub(crate) fn end(&self, exit: Exit) {
        self.room.close();
        self.set_life(LifeState::Ended(exit.clone()));
        self.ended.send_replace(Some(exit));
    }

    pub(crate) fn exit(&self) -> Option<Exit> {
        self.ended.borrow().clone()
    }

    /// Resolves when no generation will follow, at once if that is so already.
    pub(crate) async fn wait_ended(&self) -> Down {
        let mut ended = self.ended.subscribe();
        // The sender lives in `self`, so waiting cannot fail; if it could, the actor would be gone all the same.
        let exit = match ended.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone().unwrap_or(Exit::Killed),
            Err(_) => Exit::Killed,
        };
        Down {
            id: self.id,
            path: self.path.clone(),
            exit,
        }
    }

    pub(crate) fn observe(&self) -> Observation {
        let children: Vec<Arc<ActorShared>> = lock(&self.children).clone();
        Observation {
            id: self.id,
            path: self.path.clone(),
            life: lock(&self.life).clone(),
            generation: self.generation(),
            handled: self.counters.handled.load(Ordering::Relaxed),
            rejected: self.counters.rejected.load(Ordering::Relaxed),
            fenced: self.counters.fenced.load(Ordering::Relaxed),
            waiting: self.capacity.saturating_sub(self.room.available_permits()),
            busy_for: self.busy_for().unwrap_or_default(),
            state: self.state.describe(),
            children: children.iter().map(|child| child.observe()).collect(),
        }
    }
}

/// Stops actors one by one, the last started first, and waits for each.
pub(crate) async fn stop_in_reverse(children: &Mutex<Vec<Arc<ActorShared>>>) {
    loop {
        let Some(last) = lock(children).last().cloned() else {
            return;
        };
        last.orders.send_replace(Order::Stop);
        last.wait_ended().await;
        lock(children).retain(|child| child.id != last.id);
    }
}
