//! What was written, when, and in which window it belongs: the truth of a live run, kept by the writers themselves.
//!
//! A record counts if its stamp lies at most the lateness bound below the greatest stamp before it in its file, and is
//! whole. An answer at a moment must hold every record that was written before the moment it vouches for, and none that
//! was written after the answer.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// One record, written.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Which host wrote it.
    pub host: String,
    /// Its stamp, nanoseconds since the epoch.
    pub stamp_ns: i64,
    /// Its group.
    pub op: &'static str,
    /// Its value, in thousandths.
    pub value_milli: i64,
    /// Physical lines.
    pub lines: u64,
    /// Whether it lies within the lateness bound.
    pub fate: Fate,
    /// When the write of its last byte had returned.
    pub written_ns: i64,
    /// When the write of its last byte began.
    pub begun_ns: i64,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It counts.
    Counts,
    /// It is a loss `late`, charged to the window of the greatest stamp before it.
    Late {
        /// That stamp.
        carrier_ns: i64,
    },
}

/// All that was written.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Inner>);

/// Entries by the second of their stamp, and late ones by that of their carrier too.
#[derive(Debug, Default)]
struct Inner {
    counted: BTreeMap<i64, Vec<Entry>>,
    late: BTreeMap<i64, Vec<Entry>>,
    len: usize,
}

const SECOND_NS: i64 = 1_000_000_000;

fn seconds(start_ns: i64, length_ns: i64) -> std::ops::Range<i64> {
    start_ns.div_euclid(SECOND_NS)..(start_ns + length_ns).div_euclid(SECOND_NS) + 1
}

/// What a group of a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// Records.
    pub records: u64,
    /// Physical lines.
    pub lines: u64,
    /// Values, in thousandths.
    pub value_milli: i64,
}

impl Ledger {
    /// Notes a record.
    ///
    /// # Panics
    /// If a writer panicked while it noted one.
    pub fn note(&self, entry: Entry) {
        let mut inner = self.0.lock().expect("no writer panicked");
        inner.len += 1;
        let (place, entries) = match entry.fate {
            Fate::Counts => (entry.stamp_ns, &mut inner.counted),
            Fate::Late { carrier_ns } => (carrier_ns, &mut inner.late),
        };
        entries.entry(place.div_euclid(SECOND_NS)).or_default().push(entry);
    }

    /// Sums by group of one window, of the hosts and entries that `of` accepts.
    ///
    /// # Panics
    /// If a writer panicked while it noted a record.
    pub fn window(&self, start_ns: i64, length_ns: i64, of: impl Fn(&Entry) -> bool) -> BTreeMap<&'static str, Sum> {
        let mut sums: BTreeMap<&'static str, Sum> = BTreeMap::new();
        let inner = self.0.lock().expect("no writer panicked");
        for entry in inner
            .counted
            .range(seconds(start_ns, length_ns))
            .flat_map(|(_, entries)| entries)
        {
            let within = (start_ns..start_ns + length_ns).contains(&entry.stamp_ns);
            if within && of(entry) {
                let sum = sums.entry(entry.op).or_default();
                sum.records += 1;
                sum.lines += entry.lines;
                sum.value_milli += entry.value_milli;
            }
        }
        sums
    }

    /// Late records charged to one window.
    ///
    /// # Panics
    /// If a writer panicked while it noted a record.
    pub fn late(&self, start_ns: i64, length_ns: i64, of: impl Fn(&Entry) -> bool) -> u64 {
        let inner = self.0.lock().expect("no writer panicked");
        let entries = inner
            .late
            .range(seconds(start_ns, length_ns))
            .flat_map(|(_, entries)| entries);
        let charged = entries.filter(|entry| match entry.fate {
            Fate::Late { carrier_ns } => (start_ns..start_ns + length_ns).contains(&carrier_ns) && of(entry),
            Fate::Counts => false,
        });
        charged.count() as u64
    }

    /// Entries of a window as they are, for whoever must explain a difference.
    ///
    /// # Panics
    /// If a writer panicked while it noted a record.
    pub fn entries(&self, start_ns: i64, length_ns: i64) -> Vec<Entry> {
        let inner = self.0.lock().expect("no writer panicked");
        let entries = inner
            .counted
            .range(seconds(start_ns, length_ns))
            .flat_map(|(_, entries)| entries);
        let within = entries.filter(|entry| (start_ns..start_ns + length_ns).contains(&entry.stamp_ns));
        within.cloned().collect()
    }

    /// How many records there are.
    ///
    /// # Panics
    /// If a writer panicked while it noted a record.
    pub fn len(&self) -> usize {
        self.0.lock().expect("no writer panicked").len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
