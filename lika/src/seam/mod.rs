//! The seam between the program and the world: time, chance and the network are handles that are passed around.
//!
//! Nothing outside of this module asks the operating system for the time, for a random number, or for a socket. A
//! simulation hands in other handles and then owns all three; the same seed gives the same run.

mod backoff;
mod clock;
mod cpu;
mod memory;
mod network;
mod randomness;

pub use backoff::Backoff;
pub use clock::{Clock, Deadline, Elapsed, Monotonic, WallNs};
pub use cpu::thread_cpu_ns;
pub use memory::{LinkState, MemoryNetwork};
pub use network::{BoxedFuture, BoxedStream, Listener, Network, Stream, TcpNetwork};
pub use randomness::Randomness;
