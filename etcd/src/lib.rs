//! A client of etcd, as much of it as is needed to keep documents, to watch them, and to lead by a lease.
//!
//! Owns the messages of etcd's v3 API that are used ([`proto`]) and how its members are reached: one after the other,
//! each call with a deadline. It refuses to know what is kept. It repeats nothing by itself: a transaction whose answer
//! was lost may or may not have happened, and only who asked can tell by reading. It talks to etcd's members, and leans
//! on `lika` for the clock.
//!
//! The messages are written out here, field by field, instead of being made of etcd's protocol files at each build:
//! that takes `protoc`, which a machine with nothing but a Rust toolchain doesn't have (`docs/decisions/0009`).

#![warn(missing_docs)]

mod client;
mod error;
mod operations;
pub mod proto;
mod watch;

pub use client::{Client, Listing, Outcome};
pub use error::Error;
pub use operations::{Compared, Transaction, prefix_end};
pub use proto::KeyValue;
pub use watch::{Change, Changes, Watcher};

/// Most operations in one transaction, unless etcd was started with another `--max-txn-ops`.
pub const TRANSACTION_OPERATIONS_MAX: usize = 128;

/// Most bytes in one request, unless etcd was started with another `--max-request-bytes` (1.5 MiB): keys, values and
/// what is around them. Less, since a transaction in etcd's log is a little larger than on the wire.
pub const TRANSACTION_BYTES_MAX: usize = 1_400_000;
