//! A running `sunfire up` with a fleet of agents beside it, writers that write as badly as real programs do, and a
//! ledger of what was written when: what every answer is checked against.

pub mod api;
pub mod fleet;
pub mod ledger;
pub mod steady;
pub mod up;
pub mod writer;
