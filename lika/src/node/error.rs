//! Why a question has no answer: said by the server ([`Refusal`]), or found by the client ([`CallError`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::wire::FrameError;

/// A server's "no". What a protocol's users must tell apart belongs into its own `Response` type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// More requests at a time than the server takes.
    #[error("it has as many requests in hand as it takes; ask less at a time")]
    Busy,
    /// The deadline passed while it worked.
    #[error("it was not done by the deadline; allow more time or ask for less")]
    Expired,
    /// The request could not be decoded.
    #[error("it cannot read the request ({0}); run compatible versions on both nodes")]
    Unreadable(String),
    /// The answer is larger than a frame may be.
    #[error("its answer is too large ({0}); ask for less at a time")]
    TooLarge(String),
    /// It is stopping.
    #[error("it is stopping; ask another node or wait for its restart")]
    Stopping,
    /// Its handler panicked; a mistake in the program.
    #[error("it failed: {0}; see its log")]
    Failed(String),
    /// Its handler said no, with this reason.
    #[error("{0}")]
    Declined(String),
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// There was no connection until the deadline: the request was not sent.
    #[error("{address} was not reachable within {} ms: {why}", .patience.as_millis())]
    Unreachable {
        /// Where it is dialled.
        address: String,
        /// How long was waited.
        patience: Duration,
        /// What the last attempt to connect ended with.
        why: String,
    },
    /// The request may have been sent, and was cancelled; it may have had effects.
    #[error("{address} did not answer within {} ms; allow more time or ask for less", .patience.as_millis())]
    TimedOut {
        /// Where it is dialled.
        address: String,
        /// How long was waited.
        patience: Duration,
    },
    /// The connection broke with the request on its way; it may have had effects.
    #[error("the connection to {address} broke before the answer: {why}")]
    Disconnected {
        /// Where it is dialled.
        address: String,
        /// Why it broke.
        why: String,
    },
    /// The server said no.
    #[error("{address} refused")]
    Refused {
        /// Where it is dialled.
        address: String,
        /// Why.
        #[source]
        refusal: Refusal,
    },
    /// The request is too large or cannot be encoded: it was not sent.
    #[error("the request cannot be sent: {0}")]
    Unsendable(String),
    /// The answer cannot be decoded.
    #[error("the answer of {address} cannot be read ({why}); run compatible versions on both nodes")]
    Unreadable {
        /// Where it is dialled.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// The client was closed.
    #[error("the client of {0} is closed; make a new one")]
    Closed(String),
}

impl From<FrameError> for Refusal {
    fn from(error: FrameError) -> Refusal {
        Refusal::TooLarge(error.to_string())
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
