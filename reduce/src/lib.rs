//! Partials to points: the last merge of a monitor's windows, their values and how complete they are.
//!
//! Owns the header and the point (M3), the final group limit (M6) and the arithmetic of outputs. It never sees a log
//! line: what a partial doesn't say, a point can't.

pub mod completeness;
pub mod point;
pub mod protocol;
pub mod publish;
pub mod stored;
pub mod value;
