//! Partials to points: the last merge of a monitor's windows, their values and how complete they are.
//!
//! Owns the header and the point (M3), the final group limit (M6), the arithmetic of outputs, and the node that answers
//! for monitors: it installs their shards on Maps, keeps what they counted, and writes windows to the store. It never
//! sees a log line: what a partial doesn't say, a point can't.
//!
//! The core ([`window`], [`timeline`], [`inventory`], [`ledger`], [`question`]) does no I/O and knows no clock;
//! [`node`] is what runs it. It talks to a Brain, which installs monitors ([`protocol`]), to Maps (`map::protocol`) and
//! to a store ([`storage`]).

mod candidates;
pub mod completeness;
pub mod inventory;
pub mod ledger;
pub mod node;
pub mod origins;
pub mod overflow;
pub mod pieces;
pub mod placement;
pub mod point;
pub mod profiles;
pub mod protocol;
pub mod publish;
pub mod question;
pub mod storage;
pub mod stored;
pub mod terms;
#[cfg(test)]
mod testing;
pub mod timeline;
pub mod value;
pub mod window;
