//! The subcommands of the one binary, as a library so that tests can run them without a process.
//!
//! Owns the command line, reading of local files, and how answers are written. What is counted, and how, it leaves to
//! `map` and `reduce`; what a log means to `logline`.

pub mod check;
pub mod cli;
pub mod client;
pub mod clock;
pub mod demo;
pub mod detect;
pub mod documents;
pub mod eval;
pub mod exit;
pub mod nodes;
pub mod output;
pub mod progress;
pub mod query;
pub mod records;
pub mod role;
pub mod status;
pub mod times;
pub mod up;
