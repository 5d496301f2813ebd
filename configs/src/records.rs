//! Where records begin, as people write it: the one place where a pattern becomes a `logline` boundary.

use crate::mql::regex_fault;
use logline::boundary::{Boundary, BoundaryError, PATTERN_BYTES_MAX, Side};

/// How it is written in MQL, for somebody who wrote it otherwise.
pub(crate) const USAGE: &str = "write records start '^\\d{4}-', or records continue '^\\s'";

/// Compiles a pattern; else what is wrong with it and what to do.
pub(crate) fn boundary(side: Side, pattern: &str) -> Result<Boundary, (String, &'static str)> {
    Boundary::new(side, pattern).map_err(|error| match error {
        BoundaryError::Empty => (
            "the pattern of `records` is empty".to_owned(),
            "say what a line begins with, as in '^MainThread::'",
        ),
        BoundaryError::TooLong { bytes } => (
            format!("the pattern of `records` has {bytes} bytes, at most {PATTERN_BYTES_MAX} are allowed"),
            "match only what a line begins with, as in '^MainThread::'",
        ),
        BoundaryError::Pattern { why } => (
            regex_fault(&why),
            "a regular expression of linear time, without look-around and back references, as in '^MainThread::'",
        ),
        other => (
            other.to_string(),
            "match what a line begins with, as in '^MainThread::'",
        ),
    })
}
