//! Points in and out: windows of monitors with their headers and bodies, kept by age, safe under kill -9.
//!
//! Owns durability, order and the last fence: which of two writers of a window wins (M4). It refuses to know what a
//! header or a body says; they are bytes that `reduce` wrote and `reduce` reads. It talks to nobody: Reduces, Brains
//! and consoles ask it, by a [`StoreHandle`], in the same process or over [`protocol`].
//!
//! [`Store`] is what is promised, [`EmbeddedStore`] keeps it in one file, [`StoreHandle`] is how to ask it from async
//! code, [`node`] serves it to others, [`retention`] lets go what is old.

mod answer;
mod embedded;
mod group;
mod handle;
#[cfg(test)]
mod model;
pub mod node;
pub mod protocol;
pub mod retention;
#[cfg(test)]
mod tests;
mod traits;

pub use embedded::{EmbeddedStore, FILE_NAME, OpenError};
pub use handle::{StoreHandle, settings};
pub use traits::{
    Document, Fence, Page, PieceChange, PieceRow, Store, StoreError, StoreStatus, StoredPiece, StoredWindow,
    WindowSelection, WindowWrite, WriteOutcome,
};
