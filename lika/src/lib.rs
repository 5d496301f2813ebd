//! `lika`, the framework below all roles of Sunfire.
//!
//! It owns what every role needs and none should write twice:
//! - [`seam`]: clock, randomness and network as handles passed around, so that a whole cluster also runs in simulation;
//! - [`actor`]: actors with bounded mailboxes under real supervision (on `actix`, which no public type shows);
//! - [`tls`]: a network whose both ends show certificates, over another one;
//! - [`wire`]: frames and the handshake of every connection;
//! - [`node`]: typed requests and answers between nodes over TCP, multiplexed, with deadlines and backpressure;
//! - [`guard`]: whether a peer lives, by its connection, its silence, and how long it has answered since;
//! - [`bulk`]: ranges of files from a server's page cache to a caller's buffer;
//! - [`pool`]: CPU work on worker threads, inline in simulation.
//!
//! It refuses to know anything about logs, metrics, hosts or monitors, reads no config file, and starts no global
//! runtime: whoever calls it owns the tokio runtime and, for actors, the `LocalSet`.

pub mod actor;
pub mod bulk;
pub mod guard;
pub mod node;
mod panics;
pub mod pool;
pub mod seam;
pub mod tls;
pub mod wire;
