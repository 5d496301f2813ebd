//! The planner: turns configuration, inventory and live nodes into who does what, and keeps what must last.

pub mod protocol;
