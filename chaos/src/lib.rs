//! Chaos: a cluster of real processes, faults drawn from a seed, and an oracle that stands outside.
//!
//! The harness writes the logs itself and notes what it wrote when, kills and stops processes, renames and empties
//! logs, changes the inventory, and asks the console all the while. Every answer is held against what was written
//! ([`check`]); in the end everything is healed and must converge. A run that has not met what it was about fails too
//! ([`marks`]).
//!
//! Nothing here knows how Sunfire works inside: it reads the files and asks the questions that users have.

pub mod check;
pub mod hosts;
pub mod inject;
pub mod marks;
pub mod members;
pub mod plan;
pub mod report;
pub mod run;
