//! Reading: each function is one snapshot of the file, cut at so many rows and bytes.

use std::ops::Range;

use redb::{Database, Error, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::row::{BodyPlace, Damaged, WindowRow, opened};
use super::tables::{DOCUMENTS, MONITORS, MonitorTables, PIECES, UNDONE, damaged, if_there, keyed, monitor_number};
use crate::traits::{Document, Page, PieceRow, StoreStatus, StoredPiece, StoredWindow, WindowSelection};

/// How much an answer may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) most: usize,
    pub(super) bytes_max: usize,
}

/// What to do after an item was offered to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Go,
    Stop,
}

/// A page as it is filled.
struct Filling<T> {
    page: Page<T>,
    bytes: usize,
    limits: Limits,
}

impl<T> Filling<T> {
    fn new(limits: Limits) -> Self {
        Filling {
            page: Page {
                items: Vec::new(),
                more: false,
            },
            bytes: 0,
            limits,
        }
    }

    fn is_full(&self) -> bool {
        self.page.items.len() >= self.limits.most
    }

    /// Adds an item, or says that it does not fit.
    fn offer(&mut self, item: T, bytes: usize) -> Next {
        let sum = self.bytes.saturating_add(bytes);
        if sum > self.limits.bytes_max && !self.page.items.is_empty() {
            self.page.more = true;
            return Next::Stop;
        }
        self.page.items.push(item);
        self.bytes = sum;
        if self.is_full() { Next::Stop } else { Next::Go }
    }
}

/// A monitor's tables within one snapshot.
struct Snapshot {
    number: u32,
    windows: redb::ReadOnlyTable<i64, &'static [u8]>,
    bodies: Option<redb::ReadOnlyTable<i64, &'static [u8]>>,
    transaction: ReadTransaction,
}

impl Snapshot {
    /// `None` if the monitor has no windows.
    fn of(database: &Database, monitor: &str) -> Result<Option<Self>, Error> {
        let transaction = database.begin_read()?;
        let monitors = transaction.open_table(MONITORS)?;
        let Some(value) = ReadableTable::get(&monitors, monitor)? else {
            return Ok(None);
        };
        let number = monitor_number(monitor, value.value())?;
        let tables = MonitorTables::of(number);
        let Some(windows) = if_there(transaction.open_table(tables.windows()))? else {
            return Ok(None);
        };
        Ok(Some(Snapshot {
            number,
            windows,
            bodies: if_there(transaction.open_table(tables.bodies()))?,
            transaction,
        }))
    }

    fn window(&self, window_ns: i64, row: &[u8], bodies: bool) -> Result<StoredWindow, Error> {
        let (key, damaged) = keyed(self.number, window_ns);
        let row = WindowRow::decode(&key, row).map_err(&damaged)?;
        let body = match row.body {
            _ if !bodies => Vec::new(),
            BodyPlace::Here(body) => body.to_vec(),
            BodyPlace::Apart => {
                let apart = match &self.bodies {
                    Some(table) => ReadableTable::get(table, window_ns)?,
                    None => None,
                };
                let apart = apart.ok_or_else(|| damaged(Damaged))?;
                let revision = row.fence.revision.to_le_bytes();
                opened(&key.body(&revision), apart.value()).map_err(damaged)?.to_vec()
            }
        };
        Ok(row.stored(window_ns, body))
    }
}

/// As [`crate::Store::windows_page`].
pub(super) fn windows(
    database: &Database,
    monitor: &str,
    selection: WindowSelection,
    limits: Limits,
) -> Result<Page<StoredWindow>, Error> {
    let mut filling = Filling::new(limits);
    let Some(snapshot) = Snapshot::of(database, monitor)? else {
        return Ok(filling.page);
    };
    match selection {
        WindowSelection::Between { from_ns, to_ns, bodies } => {
            between(&snapshot, from_ns..to_ns, bodies, &mut filling)?;
        }
        WindowSelection::Undone { from_ns, to_ns } => undone(&snapshot, from_ns..to_ns, &mut filling)?,
        WindowSelection::Newest { before_ns } => newest(&snapshot, before_ns, &mut filling)?,
    }
    Ok(filling.page)
}

fn between(
    snapshot: &Snapshot,
    range: Range<i64>,
    bodies: bool,
    filling: &mut Filling<StoredWindow>,
) -> Result<(), Error> {
    if range.is_empty() || filling.is_full() {
        return Ok(());
    }
    for row in ReadableTable::range(&snapshot.windows, range)? {
        let (start, row) = row?;
        let window = snapshot.window(start.value(), row.value(), bodies)?;
        let bytes = window.bytes();
        if filling.offer(window, bytes) == Next::Stop {
            break;
        }
    }
    Ok(())
}

fn newest(snapshot: &Snapshot, before_ns: Option<i64>, filling: &mut Filling<StoredWindow>) -> Result<(), Error> {
    if filling.is_full() {
        return Ok(());
    }
    let rows = match before_ns {
        Some(before_ns) => ReadableTable::range(&snapshot.windows, ..before_ns)?,
        None => ReadableTable::range::<i64>(&snapshot.windows, ..)?,
    };
    for row in rows.rev() {
        let (start, row) = row?;
        let window = snapshot.window(start.value(), row.value(), false)?;
        let bytes = window.bytes();
        if filling.offer(window, bytes) == Next::Stop {
            break;
        }
    }
    Ok(())
}

fn undone(snapshot: &Snapshot, range: Range<i64>, filling: &mut Filling<StoredWindow>) -> Result<(), Error> {
    if range.is_empty() || filling.is_full() {
        return Ok(());
    }
    let index = snapshot.transaction.open_table(UNDONE)?;
    let number = snapshot.number;
    for entry in ReadableTable::range(&index, (number, range.start)..(number, range.end))? {
        let (_, window_ns) = entry?.0.value();
        let row = ReadableTable::get(&snapshot.windows, window_ns)?;
        let row = row.ok_or_else(|| damaged(&format!("the list of windows that monitor number {number} has to do")))?;
        let window = snapshot.window(window_ns, row.value(), false)?;
        let bytes = window.bytes();
        if filling.offer(window, bytes) == Next::Stop {
            break;
        }
    }
    Ok(())
}

/// As [`crate::Store::pieces_page`].
pub(super) fn pieces(
    database: &Database,
    monitor: &str,
    range: Range<i64>,
    bytes_max: usize,
) -> Result<Page<StoredPiece>, Error> {
    let mut page = Page {
        items: Vec::new(),
        more: false,
    };
    let Some(snapshot) = Snapshot::of(database, monitor)? else {
        return Ok(page);
    };
    if range.is_empty() {
        return Ok(page);
    }
    let number = snapshot.number;
    let table = snapshot.transaction.open_table(PIECES)?;
    let bounds = (number, range.start, [].as_slice())..(number, range.end, [].as_slice());
    let mut sum = 0usize;
    // How many pieces are of whole windows: where to cut if the next window does not fit.
    let (mut whole, mut window_now) = (0, None);
    for row in ReadableTable::range(&table, bounds)? {
        let (key, value) = row?;
        let (_, window_ns, key) = key.value();
        if window_now != Some(window_ns) {
            whole = page.items.len();
            window_now = Some(window_ns);
        }
        let piece = read_piece(number, window_ns, key, value.value())?;
        sum = sum.saturating_add(piece.row.bytes());
        if sum > bytes_max && whole > 0 {
            page.items.truncate(whole);
            page.more = true;
            break;
        }
        page.items.push(piece);
    }
    Ok(page)
}

fn read_piece(number: u32, window_ns: i64, key: &[u8], value: &[u8]) -> Result<StoredPiece, Error> {
    let (window, damaged) = keyed(number, window_ns);
    let content = opened(&window.piece(key), value).map_err(damaged)?;
    Ok(StoredPiece {
        window_ns,
        row: PieceRow {
            key: key.to_vec(),
            value: content.to_vec(),
        },
    })
}

/// As [`crate::Store::monitors`].
pub(super) fn monitors(database: &Database) -> Result<Vec<String>, Error> {
    let transaction = database.begin_read()?;
    let mut names = Vec::new();
    for row in ReadableTable::iter(&transaction.open_table(MONITORS)?)? {
        names.push(row?.0.value().to_owned());
    }
    Ok(names)
}

/// As [`crate::Store::documents_page`].
pub(super) fn documents(
    database: &Database,
    (kind, name): (&str, &str),
    from_version: u64,
    bytes_max: usize,
) -> Result<Page<Document>, Error> {
    let transaction = database.begin_read()?;
    let table = transaction.open_table(DOCUMENTS)?;
    let mut filling = Filling::new(Limits {
        most: usize::MAX,
        bytes_max,
    });
    for row in ReadableTable::range(&table, (kind, name, from_version)..=(kind, name, u64::MAX))? {
        let (key, value) = row?;
        let (_, _, version) = key.value();
        let document = read_document(kind, name, version, value.value())?;
        let bytes = document.bytes();
        if filling.offer(document, bytes) == Next::Stop {
            break;
        }
    }
    Ok(filling.page)
}

fn read_document(kind: &str, name: &str, version: u64, row: &[u8]) -> Result<Document, Error> {
    let key = [kind.as_bytes(), name.as_bytes(), &version.to_le_bytes()];
    let content = opened(&key, row).map_err(|_| damaged(&format!("the document {kind} {name} {version}")))?;
    Ok(Document {
        kind: kind.to_owned(),
        name: name.to_owned(),
        version,
        content: content.to_vec(),
    })
}

/// Windows and pieces kept; what else is in a status is not in the tables.
pub(super) fn count(database: &Database) -> Result<StoreStatus, Error> {
    let transaction = database.begin_read()?;
    let mut status = StoreStatus {
        pieces: transaction.open_table(PIECES)?.len()?,
        ..StoreStatus::default()
    };
    for row in ReadableTable::iter(&transaction.open_table(MONITORS)?)? {
        let (name, value) = row?;
        let tables = MonitorTables::of(monitor_number(name.value(), value.value())?);
        if let Some(windows) = if_there(transaction.open_table(tables.windows()))? {
            status.windows += windows.len()?;
        }
    }
    Ok(status)
}

/// Whether a document's version is there already.
pub(super) fn has_document(database: &Database, document: &Document) -> Result<bool, Error> {
    let transaction = database.begin_read()?;
    let table = transaction.open_table(DOCUMENTS)?;
    let key = (document.kind.as_str(), document.name.as_str(), document.version);
    Ok(ReadableTable::get(&table, key)?.is_some())
}
