//! What the tests of the whole product share: an independent oracle, and a generator of adversarial logs.
//!
//! Neither knows the engine: no code of `logline`, `map`, `reduce` or `configs` is used in them, so that a mistake
//! there can't hide here. The tests that run both beside each other live in `tests/`.

pub mod access_log;
pub mod agents;
pub mod binary;
pub mod cluster;
pub mod compare;
pub mod engine;
pub mod etcd;
pub mod forward;
pub mod generator;
pub mod live;
pub mod oracle;
pub mod ports;
pub mod shop;
pub mod skip;
