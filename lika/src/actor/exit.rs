//! Why an actor, or one generation of it, ended: a closed enum, so that every place that decides on it decides on all.

use std::fmt;
use std::time::Duration;

use super::shared::ActorId;

/// Why a generation ended and, in a [`Down`], why none follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It said itself that its work is done.
    Finished,
    /// Its owner stopped it and it stopped in order.
    Stopped,
    /// Its owner stopped it and it was not done by its stop deadline, so it was dropped.
    Killed,
    /// A handler, or `started`, returned this failure.
    Failed(String),
    /// A handler, the factory, or a piped future panicked with this message.
    Panicked(String),
    /// A handler made no progress for this long.
    Hung(Duration),
    /// A child was restarted too often.
    ChildFailed {
        /// The child's path.
        child: String,
        /// The child's own exit.
        exit: Box<Exit>,
    },
    /// It was restarted too often itself; the last reason.
    TooManyRestarts(Box<Exit>),
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Finished => formatter.write_str("finished"),
            Exit::Stopped => formatter.write_str("stopped"),
            Exit::Killed => formatter.write_str("killed after its stop deadline"),
            Exit::Failed(reason) => write!(formatter, "failed: {reason}"),
            Exit::Panicked(message) => write!(formatter, "panicked: {message}"),
            Exit::Hung(stalled) => write!(formatter, "hung: no progress for {} ms", stalled.as_millis()),
            Exit::ChildFailed { child, exit } => write!(formatter, "child {child} {exit}"),
            Exit::TooManyRestarts(last) => write!(formatter, "restarted too often, at last it {last}"),
        }
    }
}

/// The news that an actor is gone for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// Which one.
    pub id: ActorId,
    /// Its path.
    pub path: String,
    /// Why.
    pub exit: Exit,
}

/// The failure of an actor, with its reason as text; any error turns into one by `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Failure(reason)
    }
}
