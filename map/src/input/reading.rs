//! One generation being read for several monitors: its bytes are split and stamped once, and counted by each.

use super::account::Account;
use super::learn::Learned;
use super::received::Received;
use super::together::count_together;
use super::usage::{CpuClock, timed};
use crate::engine::Sheets;
use crate::protocol::TaskId;
use agent::protocol::{COPY_HEAD_BYTES, RangeEnd, TAIL_BYTES, TailHash};
use logline::boundary::{Boundary, RecordStamps};
use logline::order::Following;
use logline::records::{RecordReader, Start};
use logline::stamp::YearMark;
use std::collections::VecDeque;

/// Newest stamped records that say whether a writer holds back (P4).
const NEWEST_STAMPS: usize = 8;

/// A generation, from where reading began to where it got.
pub(super) struct Reading {
    pub(super) learned: Learned,
    pub(super) accounts: Vec<Account>,
    reader: RecordReader<RecordStamps>,
    /// What the accounts have in common of each record.
    sheets: Sheets,
    received: Received,
    /// Offset of the first byte that is split into lines; what is fetched before it only completes the tail.
    begin: u64,
    /// The file's first bytes, at most [`COPY_HEAD_BYTES`]; none if reading began elsewhere.
    head: Vec<u8>,
    grown: Grown,
    has_records: bool,
    /// Stamp of the first record, and the greatest of all, good or not.
    first_ns: Option<i64>,
    greatest_ns: Option<i64>,
    /// Stretches without stamps before this were searched for a new format.
    pub(super) searched_to: u64,
    /// The host's clock when all that stood there was read; before that was so, that of the last mark of days.
    pub(super) seen_ns: i64,
}

impl Clone for Reading {
    fn clone(&self) -> Self {
        Self {
            learned: self.learned.clone(),
            accounts: self.accounts.clone(),
            reader: self.reader.clone(),
            // The accounts find places there anew.
            sheets: Sheets::default(),
            received: self.received.clone(),
            head: self.head.clone(),
            grown: self.grown.clone(),
            ..*self
        }
    }
}

/// What came with the last growth.
#[derive(Debug, Clone, Default)]
pub(super) struct Grown {
    /// Stamps of the newest records, at most [`NEWEST_STAMPS`].
    pub(super) newest_ns: VecDeque<i64>,
    /// The least stamp.
    pub(super) least_ns: Option<i64>,
}

impl Reading {
    /// Begins at an offset: 0, or the beginning of a line whose place is proved (P3).
    pub(super) fn new(learned: Learned, offset: u64) -> Self {
        // From the line end before, so that the line at the offset is not taken for the rest of another.
        let (start, begin) = match offset.checked_sub(1) {
            None => (Start::FileStart, 0),
            Some(before) => (Start::Landing, before),
        };
        let marked = learned.last_day_mark().map_or(0, |mark| mark.anchor);
        Self {
            seen_ns: marked.saturating_mul(1_000_000_000),
            reader: RecordReader::new(learned.stamps(), start, begin),
            received: Received::from(begin.saturating_sub(TAIL_BYTES as u64)),
            begin,
            head: Vec::new(),
            accounts: Vec::new(),
            sheets: Sheets::default(),
            grown: Grown::default(),
            has_records: false,
            first_ns: None,
            greatest_ns: None,
            searched_to: 0,
            learned,
        }
    }

    /// Where the next byte is to come from.
    pub(super) fn read_to(&self) -> u64 {
        self.received.read_to()
    }

    /// Whether a file that begins with these bytes may be a copy of this one (F6).
    pub(super) fn begins_like(&self, bytes: &[u8]) -> bool {
        self.head.len() >= COPY_HEAD_BYTES && bytes.starts_with(&self.head)
    }

    /// Whether it began at the file's first byte.
    pub(super) fn reads_head(&self) -> bool {
        self.begin == 0
    }

    /// What stands before [`Reading::read_to`], if that is known whole.
    pub(super) fn tail_hash(&self) -> Option<TailHash> {
        self.received.tail_hash()
    }

    /// The same, once these bytes are taken in.
    pub(super) fn tail_hash_with(&self, bytes: &[u8]) -> Option<TailHash> {
        self.received.tail_hash_with(bytes)
    }

    /// Whether bytes that came are what the trailer says the file holds.
    pub(super) fn verifies(&self, bytes: &[u8], end: &RangeEnd) -> bool {
        self.received.verifies(bytes, end)
    }

    /// Says when the bytes from [`Reading::read_to`] on were written, for stamps that lack their year.
    pub(super) fn written_at(&mut self, seconds: i64) {
        if let Some(mark) = self.learned.go_on(self.read_to(), seconds) {
            self.reader.stamps_mut().add_mark(mark);
        }
    }

    /// Marks that what comes now was not there at this time; whether that could be done.
    pub(super) fn mark_day(&mut self, seconds: i64) -> bool {
        let (offset, tail) = (self.read_to(), self.tail_hash());
        let mark = YearMark {
            offset,
            anchor: seconds,
        };
        let is_marked = tail.is_some_and(|tail| self.learned.mark_day(mark, tail));
        if is_marked {
            self.reader.stamps_mut().add_mark(mark);
        }
        is_marked
    }

    /// Takes verified bytes in; how many records were committed, for all accounts together.
    pub(super) fn take(&mut self, bytes: &[u8], cpu: CpuClock) -> u64 {
        let ((), shared_ns) = timed(cpu, || self.split(bytes));
        let share_ns = shared_ns / (self.accounts.len() as u64).max(1);
        for account in &mut self.accounts {
            account.spent.cpu_ns += share_ns;
            account.spent.bytes += bytes.len() as u64;
        }
        let mut committed = 0;
        let (reader, accounts, sheets) = (&self.reader, &mut self.accounts, &mut self.sheets);
        count_together(
            reader,
            accounts,
            sheets,
            (Following::MayCome, cpu),
            |account, counted| {
                if let Some((tally, records)) = counted {
                    account.commit(reader, tally, records);
                    committed += records as u64;
                }
            },
        );
        self.release();
        committed
    }

    /// Splits bytes into records, for all accounts.
    fn split(&mut self, bytes: &[u8]) {
        if self.read_to() == self.head.len() as u64 && self.begin == 0 {
            let missing = COPY_HEAD_BYTES.saturating_sub(self.head.len());
            self.head.extend_from_slice(&bytes[..missing.min(bytes.len())]);
        }
        let skipped = self.begin.saturating_sub(self.read_to()).min(bytes.len() as u64);
        self.received.take(bytes);
        let known_to = self.next_record().unwrap_or(self.reader.scanned_to());
        self.reader.push(&bytes[skipped as usize..]);
        self.note_growth(known_to);
    }

    /// Offset behind the records that are known before more bytes come: an open record is known.
    fn next_record(&self) -> Option<u64> {
        self.reader.open().map(|record| record.offset + 1)
    }

    fn note_growth(&mut self, known_to: u64) {
        let closed = self.reader.closed();
        let first = closed.partition_point(|record| record.offset < known_to);
        let open = self.reader.open().filter(|record| record.offset >= known_to);
        for stamp in closed[first..].iter().chain(open).map(|record| record.stamp) {
            self.first_ns.get_or_insert(stamp);
            self.greatest_ns = self.greatest_ns.max(Some(stamp));
            self.grown.least_ns = Some(self.grown.least_ns.map_or(stamp, |least| least.min(stamp)));
            if self.grown.newest_ns.len() == NEWEST_STAMPS {
                self.grown.newest_ns.pop_front();
            }
            self.grown.newest_ns.push_back(stamp);
        }
        self.has_records |= self.grown.least_ns.is_some();
    }

    /// Whether its log went on here where another generation ended: all records of that one are older than the first of
    /// this one, which was read from its beginning. So a writer that had it open has moved on.
    pub(super) fn continues(&self, other: &Self) -> bool {
        self.reads_head()
            && self
                .first_ns
                .is_some_and(|first| other.greatest_ns.is_none_or(|last| last <= first))
    }

    /// The greatest stamp of all that was read, good or not.
    pub(super) fn greatest_ns(&self) -> Option<i64> {
        self.greatest_ns
    }

    /// Whether it began before the last record of another one, and after its first: a writer had that one open still.
    pub(super) fn began_within(&self, other: &Self) -> bool {
        self.reads_head() && self.first_ns > other.first_ns && self.first_ns < other.greatest_ns
    }

    /// Whether the store has all that was counted.
    pub(super) fn is_told(&self) -> bool {
        self.accounts.iter().all(Account::is_told)
    }

    /// Whether nothing was counted so far.
    pub(super) fn is_untouched(&self) -> bool {
        self.accounts.iter().all(Account::is_untouched)
    }

    /// What came since this was asked last.
    pub(super) fn take_grown(&mut self) -> Grown {
        std::mem::take(&mut self.grown)
    }

    fn release(&mut self) {
        let needed = self.accounts.iter().map(Account::next_offset).min().unwrap_or(u64::MAX);
        let count = self.reader.closed().partition_point(|record| record.offset < needed);
        self.reader.release(count);
    }

    /// Whether the accounts of a reading of the same file, apart from this one, can go on with it: it got as far, and
    /// nothing that they still need was released here.
    pub(super) fn can_adopt(&self, other: &Self) -> bool {
        let needed = |account: &Account| account.next_offset().max(other.first_record());
        self.read_to() == other.read_to()
            && (self.reads_head() || !other.accounts.iter().any(Account::head_waits))
            && other
                .accounts
                .iter()
                .all(|account| needed(account) >= self.first_record())
    }

    /// Offset of the first record that is not released, or of what will become one.
    fn first_record(&self) -> u64 {
        let first = self.reader.closed().first().or(self.reader.open());
        first.map_or(self.reader.scanned_to(), |record| record.offset)
    }

    /// Counts what is undecided as if nothing followed. `is_finished` makes a last line without end a line; with
    /// `unfinished`, one that has waited until that time is a loss in windows that end before it.
    pub(super) fn count_tail(&mut self, is_finished: bool, settled_before_ns: impl Fn(&Account) -> i64, cpu: CpuClock) {
        self.reader.shrink();
        let has_half_line = self.reader.has_half_line();
        let mut tail = self.reader.tail();
        if is_finished {
            tail.finish();
        } else {
            tail.close();
        }
        let (accounts, sheets) = (&mut self.accounts, &mut self.sheets);
        count_together(&tail, accounts, sheets, (Following::None, cpu), |account, counted| {
            let unfinished = (has_half_line && !is_finished).then(|| settled_before_ns(account));
            account.take_tail(counted.map(|(tally, _)| tally), unfinished);
        });
    }

    /// Stretches of time in which a repeated hour may have been read as its other pass (F9).
    pub(super) fn ambiguous_ns(&self) -> Vec<std::ops::Range<i64>> {
        self.reader.stamps().ambiguous_ns()
    }

    /// The bytes since the last stamped line, if they are at least so many.
    pub(super) fn barren(&self, at_least: u64) -> Option<std::ops::Range<u64>> {
        let range = self.reader.last_stamped_end()..self.reader.scanned_to();
        (range.end - range.start >= at_least).then_some(range)
    }

    /// The pattern by which no line of the file begins a record so far, though there are stamps; if it began at the
    /// file's beginning, since from a landing on nobody knows what lies before.
    pub(super) fn fruitless(&self) -> Option<&Boundary> {
        let has_head = self.reads_head() && self.reader.head().lines > 0;
        self.learned.records().filter(|_| has_head && !self.has_records)
    }

    /// Where it began: the beginning of a line.
    pub(super) fn begins_at(&self) -> u64 {
        if self.begin == 0 { 0 } else { self.begin + 1 }
    }

    /// A monitor's account.
    pub(super) fn account(&self, id: &TaskId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == *id)
    }

    /// A monitor's account, to go on with.
    pub(super) fn account_mut(&mut self, id: &TaskId) -> Option<&mut Account> {
        self.accounts.iter_mut().find(|account| account.id == *id)
    }

    /// Nothing is counted for a monitor any more, and nothing is cut for it.
    pub(super) fn remove(&mut self, id: &TaskId) {
        let before = self.accounts.len();
        self.accounts.retain(|account| account.id != *id);
        if self.accounts.len() < before {
            self.sheets = Sheets::default();
        }
    }

    /// The accounts, for a reading that begins anew.
    pub(super) fn into_accounts(self) -> Vec<Account> {
        self.accounts
    }
}
