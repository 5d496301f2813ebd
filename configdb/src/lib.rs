//! The ConfigDB in etcd: documents that are watched, written with compare-and-swap, and kept with their history.
//!
//! Owns which key means what ([`keys`]), how documents are followed ([`EtcdDocuments`]) and how they are written
//! ([`apply`]), how one process leads ([`Term`]), and what it keeps beside them ([`ChunkLog`]). What a document means,
//! and whether it is right, it leaves to `configs`; how etcd is spoken to, to `etcd`. The Brain and the command line
//! stand on it; agents, Maps and Reduces never see it.
//!
//! Everybody who reads or writes documents does so as text, exactly as a person wrote it: `etcdctl get --prefix
//! /sunfire/config/` shows what `sunfire get --all` does.

#![warn(missing_docs)]

pub mod apply;
mod chunks;
mod connection;
mod documents;
pub mod keys;
mod leadership;

pub use chunks::ChunkLog;
pub use connection::{Connection, OpenError, Place};
pub use documents::EtcdDocuments;
pub use etcd::Error;
pub use leadership::{LEASE_S, Leader, Term, WriteError};
