//! The counting engine: records of one input to partials that merge in any order.
//!
//! Owns what a window's value is: windows, lateness and losses (F2, F3, C5), conditions, groups and their limit
//! (M6), aggregates and their exact arithmetic (M7). It does no I/O and knows no clock, no host and no file: bytes
//! come in through [`logline::records::RecordReader`], partials go out. The last merge, and how a value is shown,
//! are `reduce`'s.

pub mod arithmetic;
pub mod condition;
pub mod definition;
pub mod detect;
pub mod distinct;
pub mod engine;
pub mod extreme;
pub mod groups;
pub mod hosts;
pub mod input;
pub mod invariant;
pub mod kept;
pub mod node;
pub mod number;
pub mod partial;
pub mod plan;
pub mod protocol;
pub mod quantile;
pub mod squares;
pub mod state;
pub mod system;
pub mod verdict;
pub mod wire;

pub use definition::definition;
