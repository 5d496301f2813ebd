//! What is pulled: a log or the host's own figures, with those who want it. What is here outlives a failing reader.

use super::outbox::AckedCell;
use super::schedule::{Offset, Rhythm, next_pull_ns};
use crate::input::{Input, InputKey, Port, Pulled, Subscription};
use crate::protocol::TaskId;
use crate::system::SystemInput;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What makes two monitors share a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum SourceKey {
    /// A log.
    Log(InputKey),
    /// The `system` source of the agent at this address, and of which host it must prove to be, as for a log.
    System(String, Option<String>),
}

impl SourceKey {
    /// Where its agent listens.
    pub(super) fn address(&self) -> &str {
        match self {
            Self::Log(key) => &key.address,
            Self::System(address, _) => address,
        }
    }

    /// The host that its agent must prove to be.
    pub(super) fn host(&self) -> Option<&str> {
        match self {
            Self::Log(key) => key.host.as_deref(),
            Self::System(_, host) => host.as_deref(),
        }
    }

    /// For people, and for the spread of pulls.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Log(key) => format!("{} {}", key.address, key.pattern),
            Self::System(address, _) => format!("{address} system"),
        }
    }
}

/// A shard's interest in a source.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) subscription: Arc<Subscription>,
    /// Differs whenever what was reported before is lost to the shard: it was removed and installed again. Then the
    /// reader must begin anew for it, and what it found for the one before is nothing to this one.
    pub(super) incarnation: u64,
    /// Where a reader that begins anew may begin; never before the subscription's own first window.
    pub(super) resume_ns: i64,
}

impl Wanted {
    /// The subscription for a reader that begins now.
    pub(super) fn resumed(&self) -> Subscription {
        Subscription {
            from_ns: self.subscription.from_ns.max(self.resume_ns),
            proved_ns: self.subscription.proved_ns.max(self.resume_ns),
            ..(*self.subscription).clone()
        }
    }
}

/// A source and those who want it, kept outside of the actor that reads it.
#[derive(Debug)]
pub(super) struct SourceShared {
    pub(super) key: SourceKey,
    wanted: Mutex<BTreeMap<TaskId, Wanted>>,
    acks: Mutex<Vec<(TaskId, Vec<AckedCell>)>>,
    /// Bytes that its reader holds of each monitor's windows, as of its last pull.
    held: Mutex<BTreeMap<TaskId, usize>>,
    /// Whether its pulls are waiting for the store.
    pub(super) is_paused: AtomicBool,
}

/// Locks without regard to poison: all values are replaced whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SourceShared {
    pub(super) fn new(key: SourceKey) -> Self {
        Self {
            key,
            wanted: Mutex::default(),
            acks: Mutex::default(),
            held: Mutex::default(),
            is_paused: AtomicBool::new(false),
        }
    }

    pub(super) fn wanted(&self) -> MutexGuard<'_, BTreeMap<TaskId, Wanted>> {
        lock(&self.wanted)
    }

    /// Bytes that its reader holds of each monitor's windows, as of its last pull.
    pub(super) fn held(&self) -> MutexGuard<'_, BTreeMap<TaskId, usize>> {
        lock(&self.held)
    }

    /// Leaves word for the reader that the store has these cells. Bounded by what was handed out.
    pub(super) fn leave_acks(&self, id: &TaskId, cells: Vec<AckedCell>) {
        lock(&self.acks).push((id.clone(), cells));
    }

    pub(super) fn take_acks(&self) -> Vec<(TaskId, Vec<AckedCell>)> {
        std::mem::take(&mut lock(&self.acks))
    }
}

/// Reads a source.
pub(super) enum Source {
    /// A log.
    Log(Box<Input>),
    /// The host's own figures.
    System(Box<SystemInput>),
    /// One that does as a test says.
    #[cfg(test)]
    Scripted(super::tests::Script),
}

impl Source {
    pub(super) fn new(key: &SourceKey) -> Self {
        match key {
            #[cfg(test)]
            SourceKey::Log(key) if key.pattern.starts_with("/scripted/") => {
                Self::Scripted(super::tests::Script::new(key))
            }
            SourceKey::Log(key) => Self::Log(Box::new(Input::new(key.clone()))),
            SourceKey::System(address, _) => Self::System(Box::new(SystemInput::new(address))),
        }
    }

    pub(super) fn subscribe(&mut self, subscription: Subscription) {
        match self {
            Self::Log(input) => input.subscribe(subscription),
            Self::System(input) => input.subscribe(subscription),
            #[cfg(test)]
            Self::Scripted(script) => script.subscribe(subscription),
        }
    }

    pub(super) fn unsubscribe(&mut self, id: &TaskId) {
        match self {
            Self::Log(input) => input.unsubscribe(id),
            Self::System(input) => input.unsubscribe(id),
            #[cfg(test)]
            Self::Scripted(script) => script.unsubscribe(id),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Log(input) => input.is_idle(),
            Self::System(input) => input.is_idle(),
            #[cfg(test)]
            Self::Scripted(script) => script.is_idle(),
        }
    }

    pub(super) async fn pull<P: Port>(&mut self, port: &mut P, now_ns: i64) -> Pulled {
        match self {
            Self::Log(input) => input.pull(port, now_ns).await,
            Self::System(input) => input.pull(port, now_ns).await,
            #[cfg(test)]
            Self::Scripted(script) => script.pull(port, now_ns).await,
        }
    }

    pub(super) fn acked(&mut self, id: &TaskId, cells: &[AckedCell]) {
        match self {
            Self::Log(input) => input.acked(id, cells),
            // It keeps no window that can't change any more, acknowledged or not.
            Self::System(_) => {}
            #[cfg(test)]
            Self::Scripted(script) => script.acked(id, cells),
        }
    }

    /// Bytes held in windows, about, of each monitor.
    pub(super) fn held(&self) -> BTreeMap<TaskId, usize> {
        match self {
            Self::Log(input) => input.held(),
            Self::System(input) => input.held(),
            #[cfg(test)]
            Self::Scripted(script) => script.held(),
        }
    }

    /// When it is pulled next if the last pull was good.
    pub(super) fn next_ns(&self, now_ns: i64, rhythms: &[Rhythm], offset: Offset) -> i64 {
        match self {
            Self::System(input) => input.next_ns(now_ns, offset.jitter_ns),
            // However long its windows are: what came between two pulls that are far apart is lost.
            Self::Log(input) if input.key().is_by_arrival() => {
                next_pull_ns(now_ns, &[rhythms, &[Rhythm::EACH_SECOND]].concat(), offset)
            }
            _ => next_pull_ns(now_ns, rhythms, offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    /// Times of pulls behind 1000 s, in seconds, for windows of a minute.
    fn pulls(timestamp: Option<&str>) -> Vec<i64> {
        let key = InputKey {
            address: "h:1".to_owned(),
            host: None,
            pattern: "/logs/app.log".to_owned(),
            timestamp: timestamp.map(str::to_owned),
            timezone: None,
            encoding: None,
            records: None,
        };
        let source = Source::new(&SourceKey::Log(key));
        let minute = Rhythm {
            window_ns: 60 * SECOND_NS,
            grace_ns: SECOND_NS,
        };
        let mut now_ns = 1000 * SECOND_NS;
        let next = |_| {
            now_ns = source.next_ns(now_ns, &[minute], Offset::of(b"x"));
            now_ns / SECOND_NS - 1000
        };
        (0..4).map(next).collect()
    }

    #[test]
    fn a_log_by_arrival_is_pulled_each_second_however_long_its_windows_are() {
        assert_eq!(pulls(Some("arrival")), [0, 1, 2, 3]);
        assert_eq!(pulls(None), [1, 6, 11, 16]);
    }
}
