//! What the console needs of a store: reading, and nothing else.
//!
//! A trait of its own, so that the console runs over the store of its own process, over one on another node, and over
//! a table in a test alike.

use lika::seam::BoxedFuture;
use std::ops::Range;
use std::sync::Arc;
use store::{Document, Store, StoreError, StoreStatus, StoredWindow};

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

/// A store of the own process, read on threads that may block.
pub struct Local(Arc<dyn Store>);

impl Local {
    /// Reads this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxedFuture<'_, Result<T, StoreError>> {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || read(&*store)).await;
            done.unwrap_or_else(|error| {
                Err(StoreError::Failed {
                    operation,
                    why: error.to_string(),
                })
            })
        })
    }
}

impl Points for Local {
    fn windows<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
        most: usize,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        let monitor = monitor.to_owned();
        self.read("reading windows", move |store| {
            store.windows(&monitor, range, most, true)
        })
    }

    fn newest<'a>(&'a self, monitor: &'a str, most: usize) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        let monitor = monitor.to_owned();
        self.read("reading the newest windows", move |store| store.newest(&monitor, most))
    }

    fn monitors(&self) -> BoxedFuture<'_, Result<Vec<String>, StoreError>> {
        self.read("listing monitors", |store| store.monitors())
    }

    fn documents<'a>(&'a self, kind: &'a str, name: &'a str) -> BoxedFuture<'a, Result<Vec<Document>, StoreError>> {
        let (kind, name) = (kind.to_owned(), name.to_owned());
        self.read("reading documents", move |store| store.documents(&kind, &name))
    }

    fn status(&self) -> BoxedFuture<'_, Result<StoreStatus, StoreError>> {
        self.read("reading the status", |store| store.status())
    }
}
