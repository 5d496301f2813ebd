//! Why a question has no answer.

use configs::Diagnostic;
use store::StoreError;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// It is not MQL.
    #[error("{}", .0.message)]
    Text(Box<Diagnostic>),
    /// It asks of the monitor what that does not have, or what cannot be computed of stored points.
    #[error("{}", .0.message)]
    Unfit(Box<Diagnostic>),
    /// There is no such monitor.
    #[error("{}", .0.message)]
    UnknownMonitor(Box<Diagnostic>),
    /// A named bound would be passed.
    #[error("{what} would be over {most}: ask for a shorter range, a longer `every`, or fewer groups")]
    TooMuch {
        /// What.
        what: &'static str,
        /// The bound.
        most: u64,
    },
    /// The store cannot be read.
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
    /// What is stored cannot be understood.
    #[error("{0}")]
    Unreadable(String),
}

impl QueryError {
    /// The place of the mistake in the question and what to write instead, if that is known.
    pub fn diagnostic(&self) -> Option<&Diagnostic> {
        match self {
            Self::Text(diagnostic) | Self::Unfit(diagnostic) | Self::UnknownMonitor(diagnostic) => Some(diagnostic),
            _ => None,
        }
    }
}
