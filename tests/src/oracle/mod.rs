//! The oracle: what the right answer is, found the slow and obvious way.
//!
//! It shares no code with the engine: its own stamps, records, fields and numbers, whole files in memory, plain vectors
//! and ordered maps, big integers. Each rule of the contract is quoted by its name beside the code that does it. Where
//! the engine and the oracle differ, one of them misreads the contract: read the rule, not the other's code.

pub mod answer;
pub mod condition;
pub mod json;
pub mod numbers;
pub mod parse;
pub mod question;
pub mod records;
pub mod rules;
pub mod stamps;

#[cfg(test)]
mod answer_tests;

pub use answer::{Answer, Folding, Lost, Unplaced, Value, Window, answer};
pub use question::{
    Aggregate, Beginning, Col, Comparison, Condition, Function, HostFile, Literal, ParseForm, Question,
    RECORD_LIMIT_BYTES,
};
pub use stamps::StampForm;
