//! The tables of the file, and what their keys and rows mean.
//!
//! Windows, and bodies too large to stand beside their header, have a table for each monitor: its newest window is then
//! at the very end of a tree, where redb packs leaves full; in one table for all, each leaf would be left half empty.
//! Keys are typed, so that times before 1970 order before those after it.

use redb::{Error, ReadableTable, Table, TableDefinition, TableError, WriteTransaction};
use std::ops::Bound;

use super::row::{Damaged, WindowKey, checksum};

/// Facts about the file itself, by name.
pub(super) const FACTS: TableDefinition<'static, &str, u64> = TableDefinition::new("sunfire_store");
/// The fact that names the version of all of this.
pub(super) const FACT_FORMAT: &str = "format";
/// A monitor's number by its name; the upper half of the value is a checksum of both.
pub(super) const MONITORS: TableDefinition<'static, &str, u64> = TableDefinition::new("monitors");
/// Windows that are not done, by monitor and start.
pub(super) const UNDONE: TableDefinition<'static, (u32, i64), ()> = TableDefinition::new("undone");
/// Pieces by monitor, window and key.
pub(super) const PIECES: TableDefinition<'static, PieceKey, &[u8]> = TableDefinition::new("pieces");
/// Documents by kind, name and version.
pub(super) const DOCUMENTS: TableDefinition<'static, (&str, &str, u64), &[u8]> = TableDefinition::new("documents");

/// Monitor, window, key.
pub(super) type PieceKey = (u32, i64, &'static [u8]);

/// Names of the two tables that a monitor has of its own.
#[derive(Debug)]
pub(super) struct MonitorTables {
    windows: String,
    bodies: String,
}

impl MonitorTables {
    pub(super) fn of(monitor: u32) -> Self {
        MonitorTables {
            windows: format!("windows/{monitor}"),
            bodies: format!("bodies/{monitor}"),
        }
    }

    /// Windows by start.
    pub(super) fn windows(&self) -> TableDefinition<'_, i64, &'static [u8]> {
        TableDefinition::new(&self.windows)
    }

    /// Bodies by start of their window; the table may be missing.
    pub(super) fn bodies(&self) -> TableDefinition<'_, i64, &'static [u8]> {
        TableDefinition::new(&self.bodies)
    }
}

/// Where a query for the pieces of a window begins and ends.
pub(super) fn pieces_of(monitor: u32, window_ns: i64) -> (Bound<PieceKey>, Bound<PieceKey>) {
    let begin: PieceKey = (monitor, window_ns, &[]);
    let end: Bound<PieceKey> = match (window_ns.checked_add(1), monitor.checked_add(1)) {
        (Some(next), _) => Bound::Excluded((monitor, next, &[])),
        (None, Some(next)) => Bound::Excluded((next, i64::MIN, &[])),
        (None, None) => Bound::Unbounded,
    };
    (Bound::Included(begin), end)
}

/// The number in a monitor's row.
pub(super) fn monitor_number(name: &str, value: u64) -> Result<u32, Error> {
    let number = value as u32;
    if monitor_row(name, number) == value {
        Ok(number)
    } else {
        Err(damaged(&format!("the number of monitor {name}")))
    }
}

/// The row of a monitor with this number.
pub(super) fn monitor_row(name: &str, number: u32) -> u64 {
    let sum = checksum(&[name.as_bytes()], &number.to_le_bytes());
    u64::from(sum) << 32 | u64::from(number)
}

/// The number of a monitor, a new one if it has none.
pub(super) fn number_or_new(monitors: &mut Table<'_, &'static str, u64>, name: &str) -> Result<u32, Error> {
    if let Some(value) = monitors.get(name)? {
        return monitor_number(name, value.value());
    }
    // New monitors are rare: so a look at all is better than a counter, which might lie and give two the same number.
    let mut next = 0u32;
    for row in monitors.iter()? {
        let (name, value) = row?;
        let after = monitor_number(name.value(), value.value())?.checked_add(1);
        next = next.max(after.ok_or_else(|| damaged("the numbers of monitors"))?);
    }
    monitors.insert(name, monitor_row(name, next))?;
    Ok(next)
}

/// A table that may not be there yet.
pub(super) fn if_there<T>(opened: Result<T, TableError>) -> Result<Option<T>, Error> {
    match opened {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes all tables that are not a monitor's own, so that readers find them.
pub(super) fn make_all(transaction: &WriteTransaction) -> Result<(), Error> {
    transaction.open_table(MONITORS)?;
    transaction.open_table(UNDONE)?;
    transaction.open_table(PIECES)?;
    transaction.open_table(DOCUMENTS)?;
    Ok(())
}

/// The error for a row that cannot be believed.
pub(super) fn damaged(what: &str) -> Error {
    Error::Corrupted(format!(
        "{what} is damaged on the disk: its checksum does not fit; restore the file, or wait until its age removes it"
    ))
}

/// As [`damaged`], of a window's rows.
pub(super) fn damaged_window(monitor: u32, window_ns: i64) -> impl Fn(Damaged) -> Error {
    move |Damaged| damaged(&format!("the window {window_ns} of monitor number {monitor}"))
}

/// A window's key for its checksums, and the error if one does not fit.
pub(super) fn keyed(monitor: u32, window_ns: i64) -> (WindowKey, impl Fn(Damaged) -> Error) {
    (WindowKey::new(monitor, window_ns), damaged_window(monitor, window_ns))
}
