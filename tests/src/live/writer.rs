//! A program that writes a log: out of order, late, in halves, over several lines, with odd line ends, and rotated
//! under its feet. Deterministic in what it writes by its seed; when, the machine decides.

use super::ledger::{Entry, Fate, Ledger};
use crate::generator::scramble;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

/// The lateness bound that the monitors of a live run set.
pub const LATENESS_NS: i64 = 10_000_000_000;
const MS: i64 = 1_000_000;
/// Groups, the first more often than the last.
const OPS: [&str; 4] = ["pay", "refund", "query", "login"];

/// One log of one host, being written.
pub struct Writer {
    host: String,
    path: PathBuf,
    file: File,
    random: Random,
    /// Greatest stamp in the present file.
    greatest_ns: Option<i64>,
    rotations: u32,
    manner: Manner,
    /// What a buffered writer has not written, and when it wrote last.
    buffer: (Vec<u8>, Vec<Entry>, i64),
}

/// How a program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Every record at once; its log is renamed now and then.
    Ordinary,
    /// Every record at once; its log is renamed only when that is ordered.
    Steady,
    /// Only now and then a record.
    Quiet,
    /// Into a buffer that goes to the file when so many nanoseconds have passed.
    Buffered(i64),
}

impl Writer {
    /// Begins a log.
    ///
    /// # Panics
    /// If it can't be made.
    pub fn new(host: &str, path: PathBuf, seed: u64) -> Self {
        Self {
            host: host.to_owned(),
            file: open(&path),
            path,
            random: Random::new(seed),
            greatest_ns: None,
            rotations: 0,
            manner: Manner::Ordinary,
            buffer: (Vec::new(), Vec::new(), 0),
        }
    }

    /// The same with another manner.
    pub fn in_manner(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }

    /// Writes a record or a few, and notes them once they are whole.
    ///
    /// # Panics
    /// If the log can't be written.
    pub fn write(&mut self, ledger: &Ledger, now_ns: impl Fn() -> i64) {
        if self.manner == Manner::Quiet && self.random.below(40) > 0 {
            return;
        }
        for _ in 0..self.random.below(4) + 1 {
            self.record(ledger, &now_ns);
        }
        match self.manner {
            Manner::Buffered(every_ns) if now_ns() - self.buffer.2 >= every_ns => self.flush(ledger, &now_ns),
            Manner::Ordinary if self.random.below(400) == 0 => self.rotate(),
            _ => {}
        }
    }

    /// Writes what is in the buffer.
    ///
    /// # Panics
    /// If the log can't be written.
    pub fn flush(&mut self, ledger: &Ledger, now_ns: &impl Fn() -> i64) {
        let (bytes, entries, _) = std::mem::take(&mut self.buffer);
        let begun_ns = now_ns();
        self.file.write_all(&bytes).expect("the log can be written");
        let written_ns = now_ns();
        for entry in entries {
            ledger.note(Entry {
                begun_ns,
                written_ns,
                ..entry
            });
        }
        self.buffer.2 = written_ns;
    }

    fn record(&mut self, ledger: &Ledger, now_ns: &impl Fn() -> i64) {
        let back_ms = match self.random.below(100) {
            0 => 10_050 + self.random.below(20_000) as i64,
            1..=9 => self.random.below(9_000) as i64,
            10..=40 => self.random.below(500) as i64,
            _ => 0,
        };
        // Stamps have milliseconds.
        let stamp_ns = (now_ns() - back_ms * MS).div_euclid(MS) * MS;
        let op = OPS[(self.random.below(16) as usize).leading_zeros() as usize % OPS.len()];
        let value_milli = self.random.below(1_000_000) as i64;
        let more = if self.random.below(12) == 0 {
            "\n  at line one\n\tat line two"
        } else {
            ""
        };
        let end = if self.random.below(20) == 0 { "\r\n" } else { "\n" };
        let (units, thousandths) = (value_milli / 1000, value_milli % 1000);
        let text = format!(
            "{} op={op} value={units}.{thousandths:03} text=\"x|y\"{more}{end}",
            stamp(stamp_ns)
        );
        if let Manner::Buffered(_) = self.manner {
            let entry = Entry {
                host: self.host.clone(),
                stamp_ns,
                op,
                value_milli,
                lines: if more.is_empty() { 1 } else { 3 },
                fate: self.fate(stamp_ns),
                written_ns: 0,
                begun_ns: 0,
            };
            self.buffer.0.extend_from_slice(text.as_bytes());
            self.buffer.1.push(entry);
            return;
        }
        let cut = if self.random.below(25) == 0 {
            self.random.below(text.len() as u64) as usize
        } else {
            0
        };
        if cut > 0 {
            self.file
                .write_all(&text.as_bytes()[..cut])
                .expect("the log can be written");
            // Long enough for a pull to see it now and then.
            std::thread::yield_now();
        }
        let begun_ns = now_ns();
        self.file
            .write_all(&text.as_bytes()[cut..])
            .expect("the log can be written");
        let entry = Entry {
            host: self.host.clone(),
            stamp_ns,
            op,
            value_milli,
            lines: if more.is_empty() { 1 } else { 3 },
            fate: self.fate(stamp_ns),
            written_ns: now_ns(),
            begun_ns,
        };
        ledger.note(entry);
    }

    fn fate(&mut self, stamp_ns: i64) -> Fate {
        match self.greatest_ns {
            Some(greatest) if greatest - stamp_ns > LATENESS_NS => Fate::Late { carrier_ns: greatest },
            greatest => {
                self.greatest_ns = Some(greatest.map_or(stamp_ns, |greatest| greatest.max(stamp_ns)));
                Fate::Counts
            }
        }
    }

    fn rotated(&self, number: u32) -> PathBuf {
        PathBuf::from(format!("{}.{number}", self.path.display()))
    }

    fn make_room(&mut self) {
        for number in (1..=self.rotations).rev() {
            fs::rename(self.rotated(number), self.rotated(number + 1)).expect("a rotated log can be renamed");
        }
        self.rotations += 1;
    }

    /// Renames the log as logrotate does, and begins a new one. Nothing is removed.
    ///
    /// # Panics
    /// If it can't.
    pub fn rotate(&mut self) {
        self.make_room();
        fs::rename(&self.path, self.rotated(1)).expect("the log can be renamed");
        self.file = open(&self.path);
        self.greatest_ns = None;
    }

    /// Copies the log and empties it in place, as `copytruncate` does. Nothing is written in between, so nothing is
    /// lost.
    ///
    /// # Panics
    /// If it can't.
    pub fn copy_and_truncate(&mut self) {
        self.make_room();
        fs::copy(&self.path, self.rotated(1)).expect("the log can be copied");
        self.file.set_len(0).expect("the log can be truncated");
        self.greatest_ns = None;
    }

    /// Empties the log in place: what was in it is gone.
    ///
    /// # Panics
    /// If it can't.
    pub fn truncate(&mut self) {
        self.file.set_len(0).expect("the log can be truncated");
        self.greatest_ns = None;
    }

    /// Renames the log and removes what was renamed: what was in it is gone.
    ///
    /// # Panics
    /// If it can't.
    pub fn rotate_and_remove(&mut self) {
        self.rotate();
        fs::remove_file(self.rotated(1)).expect("a rotated log can be removed");
        for number in 2..=self.rotations {
            fs::rename(self.rotated(number), self.rotated(number - 1)).expect("a rotated log can be renamed");
        }
        self.rotations -= 1;
    }
}

fn open(path: &PathBuf) -> File {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .append(true)
        .open(path)
        .expect("the log can be made")
}

/// A time as these logs write it.
fn stamp(at_ns: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(at_ns)).expect("a time of this century");
    time.strftime("%Y-%m-%d %H:%M:%S.%3f+00:00").to_string()
}

/// Chance by a seed.
struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        scramble(self.seed ^ scramble(self.drawn)) % bound
    }
}
