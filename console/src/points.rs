//! What the console needs of a store: reading, and nothing else.
//!
//! A trait of its own, so that the console runs over a [`StoreHandle`] (a store of its own process, or one on another
//! node) and over a table in a test alike.

use lika::seam::BoxedFuture;
use std::ops::Range;
use store::{Document, StoreError, StoreHandle, StoreStatus, StoredWindow};

/// Reads stored points. Methods as of [`store::Store`].
pub trait Points: Send + Sync + 'static {
    /// Windows of a monitor with their bodies, in order; `most` bounds the answer.
    fn windows<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
        most: usize,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>>;

    /// The newest windows of a monitor, newest first, without bodies.
    fn newest<'a>(&'a self, monitor: &'a str, most: usize) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>>;

    /// Names of all monitors that have windows, sorted.
    fn monitors(&self) -> BoxedFuture<'_, Result<Vec<String>, StoreError>>;

    /// All versions of a document, oldest first.
    fn documents<'a>(&'a self, kind: &'a str, name: &'a str) -> BoxedFuture<'a, Result<Vec<Document>, StoreError>>;

    /// How full the store is.
    fn status(&self) -> BoxedFuture<'_, Result<StoreStatus, StoreError>>;
}

impl Points for StoreHandle {
    fn windows<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
        most: usize,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        Box::pin(StoreHandle::windows(self, monitor, range, most, true))
    }

    fn newest<'a>(&'a self, monitor: &'a str, most: usize) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        Box::pin(StoreHandle::newest(self, monitor, most))
    }

    fn monitors(&self) -> BoxedFuture<'_, Result<Vec<String>, StoreError>> {
        Box::pin(StoreHandle::monitors(self))
    }

    fn documents<'a>(&'a self, kind: &'a str, name: &'a str) -> BoxedFuture<'a, Result<Vec<Document>, StoreError>> {
        Box::pin(StoreHandle::documents(self, kind, name))
    }

    fn status(&self) -> BoxedFuture<'_, Result<StoreStatus, StoreError>> {
        Box::pin(StoreHandle::status(self))
    }
}
