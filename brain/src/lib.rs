//! The planner: turns configuration, inventory and live nodes into who does what, and keeps what must last.
//!
//! Owns epochs (M4), the history of who is expected (M5), which version of a monitor answers for which windows,
//! placement (M2), and the ledger of windows that are to be read again (C6). It refuses to know what a record, a value
//! or a point is. It reads the ConfigDB and the headers of the store, installs on Reduces, answers the console, and
//! talks to nobody else: Maps and agents are a Reduce's and a Map's to reach.
//!
//! What is decided is a function of its arguments ([`topology`], [`inventory`], [`leases`], [`ledger`]); what must last
//! is written before it is acted upon (`keeper`, on a thread that may wait for the disk); one actor ([`process`])
//! does the rest.

mod epoch;
mod events;
mod hosts;
pub mod inventory;
mod journal;
mod keeper;
pub mod keeping;
mod lasting;
mod lasting_etcd;
pub mod leases;
pub mod ledger;
mod lines;
mod planner;
pub mod process;
mod profiles;
pub mod protocol;
mod questions;
pub mod topology;
mod urls;
pub mod windows;

pub use epoch::DataError;
pub use journal::JournalError;
