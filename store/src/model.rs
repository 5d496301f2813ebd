//! A store in two maps: slow, obvious, and without a line in common with the embedded one, which must do the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

use crate::traits::{
    Document, PieceChange, PieceRow, Store, StoreError, StoreStatus, StoredPiece, StoredWindow, WindowWrite,
    WriteOutcome,
};

#[derive(Default)]
pub(crate) struct Model {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    windows: BTreeMap<(String, i64), StoredWindow>,
    pieces: BTreeMap<(String, i64, Vec<u8>), Vec<u8>>,
    documents: BTreeMap<(String, String, u64), Document>,
    refused: u64,
    transactions: u64,
}

impl Model {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How often [`Store::write`] was called.
    pub(crate) fn transactions(&self) -> u64 {
        self.state().transactions
    }

    /// Refusals are counted since a store's start.
    pub(crate) fn restart(&self) {
        self.state().refused = 0;
    }
}

impl State {
    fn write(&mut self, write: &WindowWrite) -> WriteOutcome {
        let key = (write.monitor.clone(), write.window_ns);
        if let Some(there) = self.windows.get(&key) {
            let stored = there.fence;
            if stored == write.fence {
                return WriteOutcome::Already;
            }
            if write.fence.epoch < stored.epoch || write.fence.revision <= stored.revision {
                self.refused += 1;
                return WriteOutcome::Refused { stored };
            }
        }
        let stored = StoredWindow {
            window_ns: write.window_ns,
            length_ns: write.length_ns,
            fence: write.fence,
            done: write.done,
            header: write.header.clone(),
            body: write.body.clone(),
        };
        self.windows.insert(key, stored);
        match &write.pieces {
            PieceChange::Drop => self
                .pieces
                .retain(|(monitor, start, _), _| (monitor, *start) != (&write.monitor, write.window_ns)),
            PieceChange::Upsert(rows) => {
                for row in rows {
                    let key = (write.monitor.clone(), write.window_ns, row.key.clone());
                    self.pieces.insert(key, row.value.clone());
                }
            }
        }
        WriteOutcome::Written
    }

    fn of(&self, monitor: &str) -> impl DoubleEndedIterator<Item = &StoredWindow> {
        let own = self.windows.iter().filter(move |((name, _), _)| name == monitor);
        own.map(|(_, window)| window)
    }
}

fn bare(window: &StoredWindow) -> StoredWindow {
    StoredWindow {
        body: Vec::new(),
        ..window.clone()
    }
}

impl Store for Model {
    fn write(&self, windows: &[WindowWrite]) -> Result<Vec<WriteOutcome>, StoreError> {
        let mut state = self.state();
        state.transactions += 1;
        Ok(windows.iter().map(|write| state.write(write)).collect())
    }

    fn windows(
        &self,
        monitor: &str,
        range: Range<i64>,
        most: usize,
        bodies: bool,
    ) -> Result<Vec<StoredWindow>, StoreError> {
        let state = self.state();
        let within = state
            .of(monitor)
            .filter(|window| range.contains(&window.window_ns))
            .take(most);
        Ok(within
            .map(|window| if bodies { window.clone() } else { bare(window) })
            .collect())
    }

    fn newest(&self, monitor: &str, most: usize) -> Result<Vec<StoredWindow>, StoreError> {
        Ok(self.state().of(monitor).rev().take(most).map(bare).collect())
    }

    fn undone(&self, monitor: &str, range: Range<i64>, most: usize) -> Result<Vec<StoredWindow>, StoreError> {
        let state = self.state();
        let undone = state
            .of(monitor)
            .filter(|window| !window.done && range.contains(&window.window_ns));
        Ok(undone.take(most).map(bare).collect())
    }

    fn pieces(&self, monitor: &str, range: Range<i64>) -> Result<Vec<StoredPiece>, StoreError> {
        let state = self.state();
        let own = state
            .pieces
            .iter()
            .filter(|((name, start, _), _)| name == monitor && range.contains(start));
        let pieces = own.map(|((_, start, key), value)| StoredPiece {
            window_ns: *start,
            row: PieceRow {
                key: key.clone(),
                value: value.clone(),
            },
        });
        Ok(pieces.collect())
    }

    fn monitors(&self) -> Result<Vec<String>, StoreError> {
        let names: BTreeSet<String> = self.state().windows.keys().map(|(name, _)| name.clone()).collect();
        Ok(names.into_iter().collect())
    }

    fn put_document(&self, document: &Document) -> Result<(), StoreError> {
        let key = (document.kind.clone(), document.name.clone(), document.version);
        self.state().documents.entry(key).or_insert_with(|| document.clone());
        Ok(())
    }

    fn documents(&self, kind: &str, name: &str) -> Result<Vec<Document>, StoreError> {
        let state = self.state();
        let own = state
            .documents
            .values()
            .filter(|document| document.kind == kind && document.name == name);
        Ok(own.cloned().collect())
    }

    fn remove_before(&self, before_ns: i64, most: usize) -> Result<u64, StoreError> {
        let mut state = self.state();
        let old: Vec<_> = state
            .windows
            .keys()
            .filter(|(_, start)| *start < before_ns)
            .cloned()
            .collect();
        let (mut rows, mut windows) = (0, 0);
        for (monitor, start) in old {
            if rows >= most {
                break;
            }
            let before = state.pieces.len();
            state.pieces.retain(|(name, at, _), _| (name, *at) != (&monitor, start));
            rows += 1 + before - state.pieces.len();
            state.windows.remove(&(monitor, start));
            windows += 1;
        }
        Ok(windows)
    }

    fn status(&self) -> Result<StoreStatus, StoreError> {
        let state = self.state();
        Ok(StoreStatus {
            disk_bytes: 0,
            windows: state.windows.len() as u64,
            pieces: state.pieces.len() as u64,
            refused: state.refused,
        })
    }
}
