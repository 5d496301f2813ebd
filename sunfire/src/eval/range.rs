//! Counting the records that begin in a range of one file's bytes.
//!
//! A whole file is one range. For several threads it is cut into many: each begins at the first stamped line behind
//! its cut, with the greatest stamp *assumed* to be that of the bytes just before, and reads on behind its end as
//! far as its last record goes and its verdict needs. Whether the assumption was right is known when the range
//! before has ended, and a wrong one is counted again ([`Outcome::follows`]): the result is always that of one pass
//! from the start.

use super::source::Source;
use crate::progress::Progress;
use anyhow::{Context, Result, bail};
use logline::order::Following;
use logline::records::{RecordReader, Stamps, Start};
use map::engine::{Counter, Input, Progress as Counted};
use map::partial::Partial;
use map::plan::Plan;
use std::ops::Range;
use std::path::Path;

/// Bytes of one read: large enough that the call costs nothing, small enough for the second-level cache.
const READ_BYTES: usize = 256 << 10;
/// Bytes before a cut that are searched for the greatest stamp.
const LOOK_BACK_BYTES: u64 = 64 << 10;
/// Bytes read at a time to find the end of the line that crosses a cut.
const LINE_BYTES: usize = 4 << 10;

/// An open log file and the size it had when it was opened; what is appended later is not read.
pub struct LogFile<'a> {
    /// Its name, for messages.
    pub path: &'a Path,
    /// The open file.
    pub source: &'a Source,
    /// Its size when it was opened, that of its content if it is compressed.
    pub size: u64,
}

impl LogFile<'_> {
    /// Reads into `buffer` at `offset`, not beyond the size; 0 bytes only at the end.
    ///
    /// # Errors
    /// If the file can't be read, or has become smaller.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let left = usize::try_from(self.size - offset.min(self.size)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.source.read_at(&mut buffer[..wanted], offset);
        match read.with_context(|| format!("{}: reading at {offset}", self.path.display()))? {
            0 => bail!(
                "{}: truncated while it was read, at {offset} of {} bytes",
                self.path.display(),
                self.size
            ),
            read => Ok(read),
        }
    }
}

/// What a range gave, and how it joins its neighbours.
pub struct Outcome<S> {
    /// What was counted.
    pub partial: Partial,
    /// The greatest stamp it began with.
    pub began_with: Option<i64>,
    /// Offset of the first record that begins in it or behind it; the file's size if there is none.
    pub first_record: u64,
    /// The greatest good stamp after it.
    pub greatest: Option<i64>,
    /// Offset of the first record behind it; the file's size if there is none.
    pub next_record: u64,
    /// The longest stretch of bytes without a stamp: its start and length.
    pub barren: Option<Range<u64>>,
    /// What found the stamps, with what it knows of repeated hours.
    pub stamps: S,
}

impl<S> Outcome<S> {
    /// Whether this range was counted as it would have been in one pass, the range before having ended so.
    pub fn follows(&self, greatest: Option<i64>, next_record: u64) -> bool {
        self.began_with == greatest && self.first_record == next_record
    }
}

/// Where and with what a range begins.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// Records that begin in here are counted.
    pub range: Range<u64>,
    /// The greatest good stamp before.
    pub greatest: Option<i64>,
    /// Stop as soon as this many bytes had no stamp.
    pub barren_limit: u64,
}

/// Counts the records of a range.
///
/// # Errors
/// If the file can't be read, or the rule lacks a field.
pub fn count<S: Stamps>(
    log: &LogFile<'_>,
    stamps: S,
    plan: &Plan,
    input: &Input,
    beginning: &Beginning,
    progress: &Progress,
) -> Result<Outcome<S>> {
    let range = &beginning.range;
    let mut counter = Counter::new(plan, input.clone(), beginning.greatest)
        .with_context(|| format!("{}: fields", log.path.display()))?;
    let mut reader = open_reader(stamps, range.start);
    let mut offset = reader.scanned_to();
    let mut first_record = None;
    let mut barren = None;
    loop {
        let read = log.read_at(&mut reader.space(READ_BYTES)[..READ_BYTES], offset)?;
        offset += read as u64;
        progress.add(read as u64);
        let following = if read == 0 { Following::None } else { Following::MayCome };
        match following {
            Following::None => reader.finish(),
            Following::MayCome => reader.advance(read),
        }
        first_record = first_record.or_else(|| next_record(&reader));
        let counted = counter.take(&mut reader, following, range.end);
        if reader.scanned_to() - reader.last_stamped_end() >= beginning.barren_limit {
            barren = Some(reader.last_stamped_end()..reader.scanned_to());
            break;
        }
        if counted == Counted::Done {
            break;
        }
    }
    if range.start == 0 && barren.is_none() {
        counter.count_head(reader.head().lines);
    }
    Ok(Outcome {
        began_with: beginning.greatest,
        first_record: first_record.unwrap_or(log.size),
        greatest: counter.greatest(),
        next_record: next_record(&reader).unwrap_or(log.size),
        barren,
        partial: counter.finish(),
        stamps: reader.into_stamps(),
    })
}

/// The greatest stamp in the bytes just before a cut: what the range behind it will assume.
///
/// # Errors
/// If the file can't be read.
pub fn look_back<S: Stamps>(log: &LogFile<'_>, stamps: S, cut: u64) -> Result<Option<i64>> {
    let from = cut.saturating_sub(LOOK_BACK_BYTES);
    let mut reader = open_reader(stamps, from);
    let mut offset = reader.scanned_to();
    // On behind the cut, to the end of the line that crosses it: its record begins before.
    while reader.scanned_to() < cut {
        let wanted = LINE_BYTES.max(cut.saturating_sub(offset) as usize);
        let read = log.read_at(&mut reader.space(wanted)[..wanted], offset)?;
        reader.advance(read);
        offset += read as u64;
        if read == 0 {
            reader.finish();
            break;
        }
    }
    let before = reader
        .closed()
        .iter()
        .chain(reader.open())
        .filter(|record| record.offset < cut);
    Ok(before.map(|record| record.stamp).max())
}

fn open_reader<S: Stamps>(stamps: S, start: u64) -> RecordReader<S> {
    match start.checked_sub(1) {
        None => RecordReader::new(stamps, Start::FileStart, 0),
        Some(before) => RecordReader::new(stamps, Start::Landing, before),
    }
}

fn next_record<S: Stamps>(reader: &RecordReader<S>) -> Option<u64> {
    reader.closed().first().or(reader.open()).map(|record| record.offset)
}
