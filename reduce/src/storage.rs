//! What a Reduce asks of the store, whichever node that is on: the few calls of `store::Store` that it needs, async.

use lika::seam::BoxedFuture;
use std::ops::Range;
use store::{Document, StoreError, StoreHandle, StoredPiece, StoredWindow, WindowWrite, WriteOutcome};

/// The store of windows, as a Reduce uses it. A call that fails, or is dropped, may have been done all the same.
pub trait Storage: Send + Sync + 'static {
    /// As [`store::Store::write`].
    fn write(&self, windows: Vec<WindowWrite>) -> BoxedFuture<'_, Result<Vec<WriteOutcome>, StoreError>>;

    /// As [`store::Store::windows`].
    fn windows<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
        most: usize,
        bodies: bool,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>>;

    /// As [`store::Store::pieces`].
    fn pieces<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
    ) -> BoxedFuture<'a, Result<Vec<StoredPiece>, StoreError>>;

    /// As [`store::Store::put_document`].
    fn put_document(&self, document: Document) -> BoxedFuture<'_, Result<(), StoreError>>;

    /// As [`store::Store::documents`].
    fn documents<'a>(&'a self, kind: &'a str, name: &'a str) -> BoxedFuture<'a, Result<Vec<Document>, StoreError>>;
}

impl Storage for StoreHandle {
    fn write(&self, windows: Vec<WindowWrite>) -> BoxedFuture<'_, Result<Vec<WriteOutcome>, StoreError>> {
        Box::pin(StoreHandle::write(self, windows))
    }

    fn windows<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
        most: usize,
        bodies: bool,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        Box::pin(StoreHandle::windows(self, monitor, range, most, bodies))
    }

    fn pieces<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
    ) -> BoxedFuture<'a, Result<Vec<StoredPiece>, StoreError>> {
        Box::pin(StoreHandle::pieces(self, monitor, range))
    }

    fn put_document(&self, document: Document) -> BoxedFuture<'_, Result<(), StoreError>> {
        Box::pin(StoreHandle::put_document(self, document))
    }

    fn documents<'a>(&'a self, kind: &'a str, name: &'a str) -> BoxedFuture<'a, Result<Vec<Document>, StoreError>> {
        Box::pin(StoreHandle::documents(self, kind, name))
    }
}
