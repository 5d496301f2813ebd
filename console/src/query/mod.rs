//! Questions about stored points: from MQL to points that say how complete they are.
//!
//! `plan` compiles a question for one version of a monitor, `merge` joins stored windows into steps without losing
//! exactness, `answer` computes values and completeness, `shaping` and `fill` make something of the
//! values, and [`run`](run()) reads the store within bounds. What logs were asked once is windows like stored ones, and
//! answered by the same code (`logs`). All but `run` are functions of their arguments.
//!
//! Two rules decide everything here. What can be merged is merged as states, never as values (M7): a percentile of an
//! hour comes from the hour's histogram. And what cannot be known is null, never zero (C3).

mod answer;
mod condition;
mod error;
mod evaluate;
mod explain;
mod facts;
mod fill;
mod logs;
mod merge;
mod nature;
mod plan;
mod range;
mod records;
mod run;
mod shaping;
mod source;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_docs;
#[cfg(test)]
mod tests_folding;
#[cfg(test)]
mod tests_laws;
#[cfg(test)]
mod tests_shaping;
#[cfg(test)]
pub(crate) mod tests_world;

pub use answer::{AbsentValue, Answer, Completeness, QueryPoint};
pub use error::QueryError;
pub use explain::Explanation;
pub use logs::{LogsAnswer, LogsAsked};
pub(crate) use range::{instant, round_down};
pub use records::RecordsAnswer;
pub use run::{
    ANSWER_BYTES_MAX, POINTS_MAX, STORED_BYTES_MAX, WINDOWS_MAX, explain, explain_without_windows, run, without_windows,
};
