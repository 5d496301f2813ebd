//! The hot path: from a line to an instant.
//!
//! Neighbouring lines have nearly equal stamps. So the bytes of the last stamp are kept: the same bytes mean the same
//! instant, and the same bytes up to the seconds leave only the seconds to read. Whatever path is taken, the answer is
//! that of reading the stamp anew; a property test holds them against each other.

use std::ops::Range;

use super::civil::{Civil, NANOS_PER_SECOND, SECONDS_PER_DAY, Stamp, WrittenZone, Year, nearest_day, nearest_year};
use super::interpret::Draft;
use super::locate::Places;
use super::pattern::{Closing, Format, Rest};
use super::profile::{Profile, ProfileEntry};
use super::year::YearMark;
use super::zone::{FoldState, Zone};
use super::zone_names::Clocks;

/// Words of eight bytes that are kept of the last stamp: 48 bytes are longer than any usual one.
const KEPT_WORDS: usize = 6;
/// Stamps up to this length are kept for comparison; longer ones are read anew each time.
const KEPT_BYTES_MAX: usize = KEPT_WORDS * 8;

/// A stamp's bytes as words, so that a comparison is a few instructions without a call.
type Words = [u64; KEPT_WORDS];

/// The last stamp that was read.
#[derive(Debug, Clone)]
struct Kept {
    words: Words,
    /// Ones where `words` holds the stamp.
    mask: Words,
    /// Ones where it holds the part up to the seconds.
    head_mask: Words,
    /// Length of the stamp; 0 if none is kept.
    length: usize,
    /// Length of the stamp and of what stands behind it and proves that it ends there; 0 if that is not known.
    closed_length: usize,
    /// Ones where `words` holds these.
    closed_mask: Words,
    /// Length of the part up to the seconds.
    head_length: usize,
    head: Draft,
    /// Seconds since the epoch on the wall at the stamp's full minute.
    minute_wall: i64,
    zone: WrittenZone,
    unix_ns: i64,
}

/// How a line compares with the stamp that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// The same bytes, with the same behind them that ends it.
    Closed,
    /// The same bytes.
    Same,
    /// The same up to the seconds.
    SameHead,
    /// Another.
    Other,
}

impl Kept {
    fn nothing() -> Self {
        Kept {
            words: [0; KEPT_WORDS],
            mask: [0; KEPT_WORDS],
            head_mask: [0; KEPT_WORDS],
            length: 0,
            closed_length: 0,
            closed_mask: [0; KEPT_WORDS],
            head_length: 0,
            head: Draft::default(),
            minute_wall: 0,
            zone: WrittenZone::Absent,
            unix_ns: 0,
        }
    }

    /// Compares the text at a stamp's place: first with all of the stamp, since neighbouring lines are mostly of the
    /// same instant; only then with the part up to the seconds.
    #[inline]
    fn likeness(&self, text: &[u8]) -> Likeness {
        let words = words(text);
        let differs = |mask: &Words, length: usize| {
            let count = length.div_ceil(8).min(KEPT_WORDS);
            let each = words[..count].iter().zip(&self.words[..count]).zip(&mask[..count]);
            each.fold(0, |unlike, ((word, kept), mask)| unlike | (word ^ kept) & mask) != 0
        };
        // Text shorter than the stamp was filled up with zeros, which a hand-written pattern could hold.
        if self.closed_length > 0 && text.len() >= self.closed_length && !differs(&self.closed_mask, self.closed_length)
        {
            Likeness::Closed
        } else if text.len() >= self.length && !differs(&self.mask, self.length) {
            Likeness::Same
        } else if text.len() >= self.head_length && !differs(&self.head_mask, self.head_length) {
            Likeness::SameHead
        } else {
            Likeness::Other
        }
    }

    /// Keeps a stamp of at most [`KEPT_BYTES_MAX`] bytes, with which a text begins.
    #[inline]
    fn keep(&mut self, text: &[u8], length: usize, zone: WrittenZone, unix_ns: i64) {
        self.words = words(text);
        self.closed_length = 0;
        if self.length != length {
            self.length = length;
            self.mask = mask(length);
        }
        self.zone = zone;
        self.unix_ns = unix_ns;
    }

    /// A text that begins with the stamp has so many bytes behind it that prove its end.
    fn close(&mut self, text: &[u8], behind: usize) {
        let length = self.length + behind;
        if length <= KEPT_BYTES_MAX && length <= text.len() {
            self.words = words(text);
            self.closed_length = length;
            self.closed_mask = mask(length);
        }
    }
}

/// The first bytes of a text as words, zeros after its end.
#[inline]
fn words(text: &[u8]) -> Words {
    let mut padded = [0; KEPT_BYTES_MAX];
    let bytes = match text.first_chunk() {
        Some(bytes) => bytes,
        None => {
            padded[..text.len()].copy_from_slice(text);
            &padded
        }
    };
    let mut words = [0; KEPT_WORDS];
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*chunk);
    }
    words
}

/// Ones over the first `length` bytes.
fn mask(length: usize) -> Words {
    words(&[0xff; KEPT_BYTES_MAX][..length.min(KEPT_BYTES_MAX)])
}

/// The year that the last year-less stamp got.
#[derive(Debug, Clone, Copy)]
struct KeptYear {
    month: u8,
    day: u8,
    year: i32,
}

/// Reads the stamps of lines by one entry of a profile.
#[derive(Debug, Clone)]
pub struct StampReader {
    format: Format,
    places: Places,
    clocks: Clocks,
    anchor_seconds: i64,
    kept_year: KeptYear,
    kept: Kept,
}

impl StampReader {
    /// A reader of lines for which `entry` holds; `zone` is that of stamps without one. Until
    /// [`StampReader::set_year_anchor`] is called, year-less stamps lie near the entry's first mark, or near 1970.
    pub fn new(entry: &ProfileEntry, zone: Zone) -> Self {
        StampReader {
            format: entry.format.clone(),
            places: Places::new(&entry.locator),
            clocks: Clocks::new(zone),
            anchor_seconds: entry.year_marks.first().map_or(0, |mark| mark.anchor),
            kept_year: KeptYear {
                month: 0,
                day: 0,
                year: 0,
            },
            kept: Kept::nothing(),
        }
    }

    /// From now on, year-less stamps take the year nearest to this instant (seconds since the epoch), and times of day
    /// the day nearest to it.
    pub fn set_year_anchor(&mut self, anchor_seconds: i64) {
        self.anchor_seconds = anchor_seconds;
        self.kept_year.month = 0;
        self.kept.length = 0;
        self.kept.closed_length = 0;
    }

    /// The UTC seconds `[start, end)` of repeated hours that were read without a backward jump: windows that touch one
    /// are `ambiguous_time` (F9).
    pub fn ambiguous_times(&self) -> Vec<(i64, i64)> {
        self.clocks.ambiguous_times()
    }

    /// Whether a stamp fell into a repeated hour: then values owe something to the lines before (F9).
    pub fn met_fold(&self) -> bool {
        self.clocks.met_fold()
    }

    /// What has been learned of the last repeated hour, of the zone of the last stamp (F9).
    pub fn fold(&self) -> FoldState {
        self.clocks.fold()
    }

    /// Goes on from what another reader of the bytes before had learned.
    pub fn set_fold(&mut self, fold: FoldState) {
        self.clocks.set_fold(fold);
        self.kept.length = 0;
        self.kept.closed_length = 0;
    }

    /// The line's instant, in UTC nanoseconds since the epoch. `None` if the line has no stamp at its place, or one
    /// outside the years 1678 to 2261. `line` has no line end. A few nanoseconds where stamps repeat.
    #[inline]
    pub fn read(&mut self, line: &[u8]) -> Option<i64> {
        let Self {
            format,
            places,
            clocks,
            anchor_seconds,
            kept_year,
            kept,
        } = self;
        let mut reading = Reading {
            format,
            clocks,
            anchor_seconds: *anchor_seconds,
            kept_year,
            kept,
        };
        places.find(line, |at| reading.at(line, at))
    }

    /// The instant and the bytes of its stamp. Slower than [`StampReader::read`]: it keeps nothing between lines.
    pub fn read_with_span(&mut self, line: &[u8]) -> Option<(i64, Range<usize>)> {
        let Self {
            format,
            places,
            clocks,
            anchor_seconds,
            kept_year,
            ..
        } = self;
        places.find(line, |at| {
            let (stamp, end) = format.match_at(line, at)?;
            Some((instant(&stamp, clocks, *anchor_seconds, kept_year)?, at..end))
        })
    }

    /// The date and time as written; `None` for epoch numbers too.
    pub(super) fn read_civil(&self, line: &[u8]) -> Option<Civil> {
        match self.places.find(line, |at| self.format.match_at(line, at))?.0 {
            Stamp::Civil(civil) => Some(civil),
            Stamp::Instant(_) => None,
        }
    }
}

/// The parts of a reader that reading at one place needs.
struct Reading<'a> {
    format: &'a Format,
    clocks: &'a mut Clocks,
    anchor_seconds: i64,
    kept_year: &'a mut KeptYear,
    kept: &'a mut Kept,
}

impl Reading<'_> {
    #[inline]
    fn at(&mut self, line: &[u8], at: usize) -> Option<i64> {
        let text = line.get(at..)?;
        if !self.format.may_begin_with(*text.first()?) {
            return None;
        }
        let likeness = if self.kept.length == 0 {
            Likeness::Other
        } else {
            self.kept.likeness(text)
        };
        if likeness == Likeness::Closed && self.format.begins_well(line, at) {
            return Some(self.kept.unix_ns);
        }
        self.unlike(line, at, likeness)
    }

    /// Reads a stamp that is not the one before, or not known to end where that ended.
    #[inline(never)]
    fn unlike(&mut self, line: &[u8], at: usize, likeness: Likeness) -> Option<i64> {
        if likeness == Likeness::Same && self.format.begins_well(line, at) {
            match self.format.closing(line, at + self.kept.length, self.kept.zone) {
                Closing::By(behind) => {
                    self.kept.close(&line[at..], behind);
                    return Some(self.kept.unix_ns);
                }
                Closing::Somehow => return Some(self.kept.unix_ns),
                Closing::Unknown => {}
            }
        }
        if likeness == Likeness::Other {
            let mut head = Draft::default();
            let middle = self.format.read_head(line, at, &mut head)?;
            return self.rest(line, at, head, middle);
        }
        if !self.format.begins_well(line, at) {
            return None;
        }
        let middle = at + self.kept.head_length;
        match self.format.rest() {
            Rest::Seconds { fraction, zone } => self.seconds(line, at, middle, fraction, zone),
            Rest::Other => self.rest(line, at, self.kept.head, middle),
        }
    }

    /// Reads the seconds of a stamp in the minute of the one before.
    #[inline]
    fn seconds(&mut self, line: &[u8], at: usize, middle: usize, fraction: bool, zone: bool) -> Option<i64> {
        let read = self.format.read_seconds(line, middle, fraction, zone)?;
        let wall = self.kept.minute_wall + i64::from(read.second);
        let utc = self.clocks.utc_of(read.zone, wall)?;
        let unix_ns = utc.checked_mul(NANOS_PER_SECOND)?.checked_add(i64::from(read.nanos))?;
        self.keep(&line[at..], read.end - at, read.zone, unix_ns);
        Some(unix_ns)
    }

    /// Reads from the seconds on.
    fn rest(&mut self, line: &[u8], at: usize, head: Draft, middle: usize) -> Option<i64> {
        let mut draft = head;
        let (stamp, end) = self.format.read_rest(line, middle, &mut draft)?;
        let unix_ns = instant(&stamp, self.clocks, self.anchor_seconds, self.kept_year)?;
        if self.kept.head_length != middle - at {
            self.kept.head_length = middle - at;
            self.kept.head_mask = mask(middle - at);
        }
        self.kept.head = head;
        if let Stamp::Civil(civil) = stamp {
            let wall = wall_seconds(&civil, self.clocks, self.anchor_seconds, self.kept_year);
            self.kept.minute_wall = wall - i64::from(civil.second);
        }
        self.keep(&line[at..], end - at, draft.zone, unix_ns);
        Some(unix_ns)
    }

    #[inline]
    fn keep(&mut self, text: &[u8], length: usize, zone: WrittenZone, unix_ns: i64) {
        if length > KEPT_BYTES_MAX {
            self.kept.length = 0;
            self.kept.closed_length = 0;
        } else {
            self.kept.keep(text, length, zone, unix_ns);
        }
    }
}

/// UTC nanoseconds of a stamp; `None` if they do not fit.
fn instant(stamp: &Stamp, clocks: &mut Clocks, anchor_seconds: i64, kept_year: &mut KeptYear) -> Option<i64> {
    let civil = match stamp {
        Stamp::Instant(unix_ns) => return Some(*unix_ns),
        Stamp::Civil(civil) => civil,
    };
    let wall = wall_seconds(civil, clocks, anchor_seconds, kept_year);
    let utc = clocks.utc_of(civil.zone, wall)?;
    utc.checked_mul(NANOS_PER_SECOND)?.checked_add(i64::from(civil.nanos))
}

/// Seconds since the epoch on the wall, in the year written or nearest to the anchor, or on the day nearest to it.
fn wall_seconds(civil: &Civil, clocks: &Clocks, anchor_seconds: i64, kept_year: &mut KeptYear) -> i64 {
    if civil.lacks_date() {
        let anchor = clocks.wall_at(civil.zone, anchor_seconds);
        let seconds = civil.seconds_of_day();
        return nearest_day(seconds, anchor) * SECONDS_PER_DAY + seconds;
    }
    let year = match civil.year {
        Year::Written(year) => year,
        Year::Absent => {
            if (kept_year.month, kept_year.day) != (civil.month, civil.day) {
                let year = nearest_year(civil.month, civil.day, anchor_seconds);
                *kept_year = KeptYear {
                    month: civil.month,
                    day: civil.day,
                    year,
                };
            }
            kept_year.year
        }
    };
    civil.wall_seconds(year)
}

/// Where the reader of a profile must change what it goes by.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Entry(usize),
    Year(YearMark),
}

/// Reads the stamps of a file by its profile: the entry and the year mark that hold at each line's offset.
#[derive(Debug, Clone)]
pub struct ProfileReader {
    profile: Profile,
    zone: Zone,
    reader: StampReader,
    /// What changes at which offset, in their order.
    turns: Vec<(u64, Turn)>,
    /// Index of the next turn.
    next_turn: usize,
    /// Offset of the next turn; lines before it are read without a look at the turns.
    next_offset: u64,
}

impl ProfileReader {
    /// A reader of a file; `zone` is that of stamps without one.
    pub fn new(profile: &Profile, zone: Zone) -> Self {
        let mut turns = Vec::new();
        for (index, entry) in profile.entries.iter().enumerate() {
            turns.push((entry.offset, Turn::Entry(index)));
            turns.extend(
                entry
                    .year_marks
                    .iter()
                    .map(|mark| (mark.offset.max(entry.offset), Turn::Year(*mark))),
            );
        }
        // Stable: an entry comes before its own marks.
        turns.sort_by_key(|(offset, _)| *offset);
        let nothing = ProfileEntry::new(super::pattern::nothing(), super::Locator::Column(0));
        let first = profile.entries.first().unwrap_or(&nothing);
        let reader = StampReader::new(first, zone.clone());
        ProfileReader {
            profile: profile.clone(),
            zone,
            reader,
            turns,
            next_turn: 0,
            next_offset: 0,
        }
    }

    /// The instant of the line that begins at `offset`, as [`StampReader::read`]. Offsets may not fall.
    #[inline]
    pub fn read_at(&mut self, line: &[u8], offset: u64) -> Option<i64> {
        if offset >= self.next_offset {
            self.turn(offset);
        }
        self.reader.read(line)
    }

    pub(super) fn lacks_year(&self) -> bool {
        self.profile.lacks_year()
    }

    /// Adds a year mark behind all others: what the file's growth has shown.
    pub fn add_mark(&mut self, mark: YearMark) {
        self.turns.push((mark.offset, Turn::Year(mark)));
        self.next_offset = self.turns[self.next_turn].0;
    }

    /// As [`StampReader::ambiguous_times`].
    pub fn ambiguous_times(&self) -> Vec<(i64, i64)> {
        self.reader.ambiguous_times()
    }

    /// As [`StampReader::met_fold`].
    pub fn met_fold(&self) -> bool {
        self.reader.met_fold()
    }

    /// As [`StampReader::fold`].
    pub fn fold(&self) -> FoldState {
        self.reader.fold()
    }

    /// As [`StampReader::set_fold`].
    pub fn set_fold(&mut self, fold: FoldState) {
        self.reader.set_fold(fold);
    }

    #[cold]
    fn turn(&mut self, offset: u64) {
        while let Some(&(at, turn)) = self.turns.get(self.next_turn).filter(|(at, _)| *at <= offset) {
            debug_assert!(at <= offset, "turns come in the order of offsets");
            match turn {
                Turn::Entry(index) => {
                    let clocks = self.reader.clocks.clone();
                    self.reader = StampReader::new(&self.profile.entries[index], self.zone.clone());
                    self.reader.clocks = clocks;
                }
                Turn::Year(mark) => self.reader.set_year_anchor(mark.anchor),
            }
            self.next_turn += 1;
        }
        self.next_offset = self.turns.get(self.next_turn).map_or(u64::MAX, |(at, _)| *at);
    }
}

impl crate::records::Stamps for ProfileReader {
    #[inline]
    fn read(&mut self, line: &[u8], offset: u64) -> Option<i64> {
        self.read_at(line, offset)
    }
}

#[cfg(test)]
mod tests;
