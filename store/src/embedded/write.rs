//! Writing: each function is one transaction, on the disk when it returns, all of it or nothing.

use std::collections::BTreeMap;

use mutant::Mutant;
use redb::{Database, Durability, Error, ReadableTable, ReadableTableMetadata, Table, WriteTransaction};

use super::row::{BodyPlace, WindowKey, WindowRow, sealed};
use super::tables::{
    DOCUMENTS, MONITORS, MonitorTables, PIECES, PieceKey, UNDONE, keyed, monitor_number, number_or_new, pieces_of,
};
use crate::traits::{Document, Fence, PieceChange, WindowWrite, WriteOutcome};

/// What is said of a window whose row is damaged: nobody knows what is there, so nobody may write over it.
const FENCE_UNKNOWN: Fence = Fence {
    epoch: u64::MAX,
    revision: u64::MAX,
};

/// What a write may do to a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Write,
    Leave(WriteOutcome),
}

/// The last fence (M4).
fn judge(stored: Fence, fence: Fence) -> Verdict {
    if fence == stored {
        Verdict::Leave(WriteOutcome::Already)
    } else if (fence.epoch >= stored.epoch && fence.revision > stored.revision)
        || (mutant::is(Mutant::StaleEpochAccepted) && fence.epoch < stored.epoch)
    {
        Verdict::Write
    } else {
        Verdict::Leave(WriteOutcome::Refused { stored })
    }
}

/// A transaction that is on the disk once it is committed.
fn begin(database: &Database) -> Result<WriteTransaction, Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    Ok(transaction)
}

/// Tables of all monitors.
struct Shared<'t> {
    undone: Table<'t, (u32, i64), ()>,
    pieces: Table<'t, PieceKey, &'static [u8]>,
}

impl<'t> Shared<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, Error> {
        Ok(Shared {
            undone: transaction.open_table(UNDONE)?,
            pieces: transaction.open_table(PIECES)?,
        })
    }

    /// Removes the pieces of a window; how many there were.
    fn drop_pieces(&mut self, number: u32, window_ns: i64) -> Result<usize, Error> {
        let mut dropped = 0;
        self.pieces.retain_in(pieces_of(number, window_ns), |_, _| {
            dropped += 1;
            false
        })?;
        Ok(dropped)
    }
}

/// Tables of one monitor. That of bodies is made when there is a body to put in.
struct Own<'t> {
    number: u32,
    names: &'t MonitorTables,
    transaction: &'t WriteTransaction,
    windows: Table<'t, i64, &'static [u8]>,
    bodies: Option<Table<'t, i64, &'static [u8]>>,
}

impl<'t> Own<'t> {
    fn open(transaction: &'t WriteTransaction, names: &'t MonitorTables, number: u32) -> Result<Self, Error> {
        Ok(Own {
            number,
            names,
            transaction,
            windows: transaction.open_table(names.windows())?,
            bodies: None,
        })
    }

    fn bodies(&mut self) -> Result<&mut Table<'t, i64, &'static [u8]>, Error> {
        let bodies = match self.bodies.take() {
            Some(bodies) => bodies,
            None => self.transaction.open_table(self.names.bodies())?,
        };
        Ok(self.bodies.insert(bodies))
    }

    /// Writes one window, if its fence lets it.
    fn write(&mut self, write: &WindowWrite, shared: &mut Shared<'_>) -> Result<WriteOutcome, Error> {
        let (number, window_ns) = (self.number, write.window_ns);
        let key = WindowKey::new(number, window_ns);
        let before = match self.windows.get(window_ns)? {
            None => None,
            Some(row) => match WindowRow::decode(&key, row.value()) {
                Ok(row) => Some((row.fence, row.body == BodyPlace::Apart)),
                Err(_) => Some((FENCE_UNKNOWN, false)),
            },
        };
        if let Some((stored, _)) = before
            && let Verdict::Leave(outcome) = judge(stored, write.fence)
        {
            return Ok(outcome);
        }
        let row = WindowRow::of(write);
        self.windows.insert(window_ns, row.encode(&key).as_slice())?;
        if row.body == BodyPlace::Apart {
            let revision = write.fence.revision.to_le_bytes();
            let body = sealed(&key.body(&revision), &write.body);
            self.bodies()?.insert(window_ns, body.as_slice())?;
        } else if let Some((_, true)) = before {
            self.bodies()?.remove(window_ns)?;
        }
        if write.done {
            shared.undone.remove((number, window_ns))?;
        } else {
            shared.undone.insert((number, window_ns), ())?;
        }
        self.change_pieces(write, &key, shared)?;
        Ok(WriteOutcome::Written)
    }

    fn change_pieces(&self, write: &WindowWrite, key: &WindowKey, shared: &mut Shared<'_>) -> Result<(), Error> {
        match &write.pieces {
            PieceChange::Drop => {
                shared.drop_pieces(self.number, write.window_ns)?;
            }
            PieceChange::Upsert(rows) => {
                for row in rows {
                    let value = sealed(&key.piece(&row.key), &row.value);
                    let place = (self.number, write.window_ns, row.key.as_slice());
                    shared.pieces.insert(place, value.as_slice())?;
                }
            }
        }
        Ok(())
    }

    /// Removes windows that start before a time until there are none or `budget`, counted in rows, is used up.
    fn remove_before(&mut self, before_ns: i64, budget: &mut Budget, shared: &mut Shared<'_>) -> Result<(), Error> {
        while budget.left > 0 {
            let (window_ns, apart) = match self.windows.first()? {
                Some((start, row)) if start.value() < before_ns => {
                    let (key, _) = keyed(self.number, start.value());
                    // Of a damaged row nobody knows whether it had a body apart.
                    let apart = WindowRow::decode(&key, row.value()).map_or(true, |row| row.body == BodyPlace::Apart);
                    (start.value(), apart)
                }
                _ => break,
            };
            self.windows.remove(window_ns)?;
            if apart {
                self.bodies()?.remove(window_ns)?;
            }
            shared.undone.remove((self.number, window_ns))?;
            let pieces = shared.drop_pieces(self.number, window_ns)?;
            budget.took(pieces);
        }
        Ok(())
    }
}

/// Work that one removal may still do.
struct Budget {
    left: usize,
    windows: u64,
}

impl Budget {
    fn took(&mut self, pieces: usize) {
        self.left = self.left.saturating_sub(pieces.saturating_add(1));
        self.windows += 1;
    }
}

/// As [`crate::Store::write`].
pub(super) fn windows(database: &Database, writes: &[WindowWrite]) -> Result<Vec<WriteOutcome>, Error> {
    let mut by_monitor: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, write) in writes.iter().enumerate() {
        by_monitor.entry(&write.monitor).or_default().push(index);
    }
    let mut outcomes = vec![WriteOutcome::Already; writes.len()];
    let transaction = begin(database)?;
    {
        let mut monitors = transaction.open_table(MONITORS)?;
        let mut shared = Shared::open(&transaction)?;
        for (monitor, indexes) in by_monitor {
            let number = number_or_new(&mut monitors, monitor)?;
            let names = MonitorTables::of(number);
            let mut own = Own::open(&transaction, &names, number)?;
            for index in indexes {
                outcomes[index] = own.write(&writes[index], &mut shared)?;
            }
        }
    }
    if outcomes.contains(&WriteOutcome::Written) {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(outcomes)
}

/// As [`crate::Store::put_document`], of a version that is probably new.
pub(super) fn document(database: &Database, document: &Document) -> Result<(), Error> {
    let transaction = begin(database)?;
    {
        let mut documents = transaction.open_table(DOCUMENTS)?;
        let place = (document.kind.as_str(), document.name.as_str(), document.version);
        // It may have come since it was looked for.
        if documents.get(place)?.is_some() {
            return Ok(());
        }
        let (kind, name) = (document.kind.as_bytes(), document.name.as_bytes());
        let row = sealed(&[kind, name, &document.version.to_le_bytes()], &document.content);
        documents.insert(place, row.as_slice())?;
    }
    transaction.commit()?;
    Ok(())
}

/// As [`crate::Store::remove_before`]. `most` is counted in windows and pieces; a window goes with all its pieces.
pub(super) fn remove_before(database: &Database, before_ns: i64, most: usize) -> Result<u64, Error> {
    let transaction = begin(database)?;
    let mut budget = Budget { left: most, windows: 0 };
    {
        let mut monitors = transaction.open_table(MONITORS)?;
        let mut shared = Shared::open(&transaction)?;
        let mut all = Vec::new();
        for row in monitors.iter()? {
            let (name, value) = row?;
            all.push((name.value().to_owned(), monitor_number(name.value(), value.value())?));
        }
        for (name, number) in all {
            if budget.left == 0 {
                break;
            }
            let names = MonitorTables::of(number);
            let mut own = Own::open(&transaction, &names, number)?;
            own.remove_before(before_ns, &mut budget, &mut shared)?;
            if own.windows.is_empty()? {
                drop(own);
                transaction.delete_table(names.windows())?;
                transaction.delete_table(names.bodies())?;
                monitors.remove(name.as_str())?;
            }
        }
    }
    if budget.windows == 0 {
        transaction.abort()?;
    } else {
        transaction.commit()?;
    }
    Ok(budget.windows)
}
