//! How the program ends: one closed set of exit codes, the same for every subcommand.

use std::process::ExitCode;

/// Why the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, and the answer is complete.
    Complete,
    /// Something failed: a file that can't be read, a result that can't be written.
    Failed,
    /// The command line is wrong.
    Usage,
    /// There is an answer, but it is incomplete.
    Incomplete,
    /// The server can't be reached.
    Unreachable,
    /// A configuration is wrong.
    Configuration,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Complete => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Incomplete => 3,
            Exit::Unreachable => 4,
            Exit::Configuration => 78,
        })
    }
}

/// An error and the exit code it ends the program with.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is said on stderr, over several lines if it helps.
    pub message: String,
}

impl Failure {
    /// A mistake in the command line.
    pub fn usage(message: impl std::fmt::Display) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.to_string(),
        }
    }

    /// A mistake in a configuration.
    pub fn configuration(message: impl std::fmt::Display) -> Self {
        Self {
            exit: Exit::Configuration,
            message: message.to_string(),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            exit: Exit::Failed,
            message: format!("{error:#}"),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self {
            exit: Exit::Failed,
            message: error.to_string(),
        }
    }
}
