//! Bytes to records (rules F1 and F4): a record is a stamped line and the unstamped lines after it. Which stamps count
//! is [`Stamps`]' business: a line that may not begin a record by the user's word gets none from it.
//!
//! The reader owns the one buffer that log bytes pass through: whoever reads a file writes straight into
//! [`RecordReader::space`], and records come out as positions in it, so nothing is copied or allocated for a
//! record. Memory is bounded: by the read size plus [`RECORD_LIMIT_BYTES`], for each of the few undecided records.
//!
//! Zeros before a line are no part of it: a writer that goes on at its old offset after its file was truncated leaves a
//! hole of them, of gigabytes perhaps, and so does a power cut.
//!
//! A result never depends on where the reads were cut: that is a property test of this crate.

use crate::text::Encoding;
use bytefind::BLOCK_BYTES;
use mutant::Mutant;
use std::ops::Range;

/// Bytes of a record's text that are kept for fields; the rest is counted, not kept. A record cut here still counts
/// its bytes and lines exactly; only a monitor that looks at its fields loses it, as `too_long`.
pub const RECORD_LIMIT_BYTES: usize = 1 << 20;

/// What finds the timestamp of a line.
pub trait Stamps {
    /// UTC nanoseconds since the epoch, or `None` for a line that continues its record. `line` has no line end,
    /// `offset` is that of its first byte in the file and never falls.
    fn read(&mut self, line: &[u8], offset: u64) -> Option<i64>;

    /// Whether the line that was read last has a stamp although it continues its record, by the user's word
    /// ([`Boundary`](crate::boundary::Boundary)): no sign, then, that the format has changed (F8).
    #[inline]
    fn passed_stamp(&self) -> bool {
        false
    }

    /// The encoding, which says how a line ends.
    #[inline]
    fn encoding(&self) -> Encoding {
        Encoding::Bytes
    }
}

/// Where in its file a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the file's first byte: unstamped lines there are the file's head.
    FileStart,
    /// Somewhere inside: what is left of a line, and unstamped lines after it, belong to a record before.
    Landing,
}

/// One record, as positions in the reader's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// UTC nanoseconds since the epoch.
    pub stamp: i64,
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Bytes of all its lines, line ends included.
    pub bytes: u64,
    /// Physical lines.
    pub lines: u64,
    /// Position of its text in the stream of kept bytes.
    position: u64,
    /// Bytes of text kept, without the last line end.
    text_len: u32,
    /// Whether the text is whole.
    pub extent: Extent,
}

/// Whether a record's text is whole or was cut at the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Its first [`RECORD_LIMIT_BYTES`] only.
    Cut,
}

/// The texts of a reader's records, for whoever looks at many of them at once.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'r> {
    buffer: &'r [u8],
    base_position: u64,
}

impl<'r> Texts<'r> {
    /// Where a record's text stands among the bytes that [`Texts::bytes`] gives.
    #[inline]
    pub fn place(&self, record: &Record) -> Range<usize> {
        let begin = (record.position - self.base_position) as usize;
        begin..begin + record.text_len as usize
    }

    /// The text of a record that was not released, without its last line end, at most the limit long.
    #[inline]
    pub fn of(&self, record: &Record) -> &'r [u8] {
        &self.buffer[self.place(record)]
    }

    /// All bytes that are kept: records one behind the other, with what stands between them.
    pub fn bytes(&self) -> &'r [u8] {
        self.buffer
    }
}

/// Unstamped lines at the beginning of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Physical lines.
    pub lines: u64,
    /// Bytes, line ends included.
    pub bytes: u64,
}

/// What the line at hand continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    /// Skipping to the first line end after a landing.
    BrokenLine,
    /// Before the first stamped line.
    BeforeFirst,
    /// Inside the open record.
    InRecord,
}

/// Splits a stream of bytes into records.
#[derive(Clone)]
pub struct RecordReader<S> {
    stamps: S,
    limit: usize,
    start: Start,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that hold data.
    filled: usize,
    /// Stream position of `buffer[0]`; differs from the file offset by what was cut out of long records.
    base_position: u64,
    /// File offset of the first byte that has not been made part of a line, at index `scan`.
    scan_offset: u64,
    /// Index of the first byte that has not been made part of a line.
    scan: usize,
    /// Index from which the next line end is searched; what lies before it, from `scan` on, has none.
    probe: usize,
    /// Set while the rest of a line over the limit is passed over.
    inside_long_line: bool,
    context: Context,
    /// What was not released, oldest first; the last one is open if `has_open` says so.
    records: Vec<Record>,
    has_open: bool,
    head: Head,
    last_stamped_end: u64,
    /// The long line that is passed over has a stamp.
    long_line_is_stamped: bool,
    /// Bytes before `scan` that are no part of the open record: zeros between its lines, closed up by the line that
    /// comes next, and at the end of each read.
    gap: usize,
    worked_bytes: u64,
}

impl<S: Stamps> RecordReader<S> {
    /// A reader of a file from `offset` on. After [`Start::Landing`], `offset` should be one byte before the place
    /// meant, so that a line that begins exactly there is not taken for the rest of another.
    pub fn new(stamps: S, start: Start, offset: u64) -> Self {
        Self::with_limit(stamps, start, offset, RECORD_LIMIT_BYTES)
    }

    /// Like [`RecordReader::new`] with another limit for a record's text.
    pub fn with_limit(stamps: S, start: Start, offset: u64, limit: usize) -> Self {
        Self {
            stamps,
            limit,
            start,
            buffer: Vec::new(),
            filled: 0,
            base_position: 0,
            scan_offset: offset,
            scan: 0,
            probe: 0,
            inside_long_line: false,
            context: match start {
                Start::FileStart => Context::BeforeFirst,
                Start::Landing => Context::BrokenLine,
            },
            records: Vec::new(),
            has_open: false,
            head: Head::default(),
            last_stamped_end: offset,
            long_line_is_stamped: false,
            gap: 0,
            worked_bytes: 0,
        }
    }

    /// Room for at least `len` more bytes, to be read into; then say how many came with [`RecordReader::advance`].
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        let needed = self.filled + len;
        if self.buffer.len() < needed {
            self.compact();
        }
        if self.buffer.len() < self.filled + len {
            self.buffer.resize(self.filled + len, 0);
        }
        &mut self.buffer[self.filled..]
    }

    /// Takes the first `len` bytes of the last [`RecordReader::space`] as read, and splits them into lines.
    pub fn advance(&mut self, len: usize) {
        self.filled += len;
        assert!(
            self.filled <= self.buffer.len(),
            "more bytes were claimed than there was space for"
        );
        self.split();
    }

    /// Copies `bytes` in and splits them; for callers that have the bytes already.
    pub fn push(&mut self, bytes: &[u8]) {
        self.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    /// The file ends here and will not grow: a last line without line end is a line (F4), the last record is closed.
    pub fn finish(&mut self) {
        if self.inside_long_line {
            self.end_long_line();
        } else if self.has_half_line() {
            self.take_line(self.filled, 0);
        }
        self.has_open = false;
    }

    /// No line that is still to come continues the open record: for a copy ([`RecordReader::tail`]) whose records are
    /// to be judged as they are now. A line without end still waits.
    pub fn close(&mut self) {
        self.has_open = false;
    }

    /// For a log of which every line is a record: the last one whose line has ended is whole.
    pub fn close_ended(&mut self) {
        if !self.inside_long_line {
            self.has_open = false;
        }
    }

    /// Gives the open record another stamp, for a line over the limit of which more has come.
    pub fn restamp_open(&mut self, stamp: i64) {
        if let Some(open) = self.open_mut() {
            open.stamp = stamp;
        }
    }

    /// Whether there are bytes behind the last line end: a half line (F4).
    pub fn has_half_line(&self) -> bool {
        let has_bytes = self.zeros(self.filled) < self.filled - self.scan;
        self.inside_long_line || (has_bytes && self.context != Context::BrokenLine)
    }

    /// A reader that holds what this one has not released, to be closed or finished while this one goes on. Cost: a
    /// copy of the bytes of these records.
    pub fn tail(&self) -> Self
    where
        S: Clone,
    {
        let keep = self.needed_from();
        Self {
            stamps: self.stamps.clone(),
            buffer: self.buffer[keep..self.filled].to_vec(),
            filled: self.filled - keep,
            scan: self.scan - keep,
            probe: self.probe - keep,
            base_position: self.base_position + keep as u64,
            records: self.records.clone(),
            ..*self
        }
    }

    /// Gives back memory that is not needed while no bytes come.
    pub fn shrink(&mut self) {
        self.compact();
        self.buffer.truncate(self.filled);
        self.buffer.shrink_to_fit();
    }

    /// Records that are closed and not yet released, oldest first.
    pub fn closed(&self) -> &[Record] {
        &self.records[..self.records.len() - usize::from(self.has_open)]
    }

    /// The record that may still grow: its stamp is known, its end is not.
    pub fn open(&self) -> Option<&Record> {
        self.records.last().filter(|_| self.has_open)
    }

    #[inline]
    fn open_mut(&mut self) -> Option<&mut Record> {
        self.records.last_mut().filter(|_| self.has_open)
    }

    /// Text of a record that was not released, without its last line end, at most the limit long.
    pub fn text(&self, record: &Record) -> &[u8] {
        self.texts().of(record)
    }

    /// The texts of all records that were not released.
    #[inline]
    pub fn texts(&self) -> Texts<'_> {
        Texts {
            buffer: &self.buffer[..self.filled],
            base_position: self.base_position,
        }
    }

    /// Unstamped lines found at the file's start so far.
    pub fn head(&self) -> Head {
        self.head
    }

    /// File offset behind the last whole line that was looked at.
    pub fn scanned_to(&self) -> u64 {
        self.scan_offset
    }

    /// File offset behind the last stamped line: what lies between it and [`RecordReader::scanned_to`] had no stamp.
    pub fn last_stamped_end(&self) -> u64 {
        self.last_stamped_end
    }

    /// Bytes that were searched for line ends or moved in the buffer, each as often as it was: reading is linear as
    /// long as this is a small multiple of the bytes that came, however they came.
    pub fn worked_bytes(&self) -> u64 {
        self.worked_bytes
    }

    /// What finds the stamps, with what it has learned on the way.
    pub fn stamps(&self) -> &S {
        &self.stamps
    }

    /// Mutable access to what finds the stamps, for a format that changes in mid-file.
    pub fn stamps_mut(&mut self) -> &mut S {
        &mut self.stamps
    }

    /// Gives back what finds the stamps.
    pub fn into_stamps(self) -> S {
        self.stamps
    }

    /// Forgets the `count` oldest closed records; their bytes may be overwritten.
    pub fn release(&mut self, count: usize) {
        assert!(count <= self.closed().len(), "a record was released that is not closed");
        self.records.drain(..count);
    }

    /// Index of the first byte that is still needed.
    fn needed_from(&self) -> usize {
        self.records
            .first()
            .map_or(self.scan, |record| (record.position - self.base_position) as usize)
    }

    fn compact(&mut self) {
        let keep = self.needed_from();
        if keep == 0 {
            return;
        }
        self.buffer.copy_within(keep..self.filled, 0);
        self.worked_bytes += (self.filled - keep) as u64;
        self.filled -= keep;
        self.scan -= keep;
        self.probe -= keep;
        self.base_position += keep as u64;
    }

    fn split(&mut self) {
        if self.inside_long_line && !self.pass_over_long_line() {
            return;
        }
        match self.stamps.encoding().unit() {
            1 => self.split_bytes(),
            unit => self.split_units(unit),
        }
        if mutant::is(Mutant::HalfLine) && self.scan < self.filled {
            self.take_line(self.filled, 0);
        }
        // Once a read, and not with each line: what lies behind moves as a whole.
        self.cut_long_record();
        self.close_gap();
        if self.filled - self.scan > self.limit {
            let zeros = self.zeros(self.filled);
            self.drop_zeros(zeros);
            self.probe = self.probe.min(self.filled);
        }
        if self.filled - self.scan > self.limit {
            self.begin_long_line();
        }
    }

    /// Takes every whole line: its ends are marked a block at a time, and then taken one by one. Nothing moves
    /// meanwhile.
    fn split_bytes(&mut self) {
        let mut marks = [0; _];
        let mut at = self.probe;
        self.worked_bytes += (self.filled - at) as u64;
        while at < self.filled {
            let block = at..self.filled.min(at + BLOCK_BYTES);
            let words = bytefind::marks(b'\n', &self.buffer[block.clone()], &mut marks);
            for (word, mut bits) in (at..).step_by(u64::BITS as usize).zip(marks[..words].iter().copied()) {
                while bits != 0 {
                    self.take_line(word + bits.trailing_zeros() as usize, 1);
                    bits &= bits - 1;
                }
            }
            at = block.end;
        }
        self.probe = self.filled;
    }

    /// The same for encodings whose line ends are units of several bytes.
    fn split_units(&mut self, unit: usize) {
        while let Some((end, terminator)) = self.line_end(self.probe) {
            self.take_line(end, terminator);
        }
        // The last bytes may be the first of a line end.
        self.probe = self.filled.saturating_sub(unit - 1).max(self.scan);
    }

    /// Index behind the last whole unit: what follows may be the first byte of a line end, and waits.
    fn whole_units_end(&self) -> usize {
        let unit = self.stamps.encoding().unit() as u64;
        let offset = self.scan_offset + (self.filled - self.scan) as u64;
        self.filled - (offset % unit) as usize
    }

    /// The first line end behind an index: where it begins, and its length.
    fn line_end(&mut self, from: usize) -> Option<(usize, usize)> {
        let bytes = &self.buffer[from..self.filled];
        let offset = self.scan_offset + (from - self.scan) as u64;
        let found = self.stamps.encoding().line_end(bytes, offset);
        self.worked_bytes += found.map_or(bytes.len(), |(end, _)| end) as u64;
        let (end, terminator) = found?;
        Some((from + end, terminator))
    }

    /// Takes `buffer[scan..end]` as a line that is followed by `terminator` bytes of line end.
    #[inline]
    fn take_line(&mut self, end: usize, terminator: usize) {
        let zeros = self.zeros(end);
        if zeros > 0 {
            self.pass_over_zeros(zeros);
        }
        let begin = self.scan;
        let line = &self.buffer[begin..end];
        let line_end = match line {
            _ if line.len() > self.limit => begin + self.limit,
            [rest @ .., b'\r'] if terminator <= 1 => begin + rest.len(),
            _ => end,
        };
        let (stamp, is_stamped) = self.read_stamp(begin..line_end);
        let bytes = (end - begin + terminator) as u64;
        let placed = match self.gap {
            0 => begin,
            _ => self.close_up(stamp, begin..end + terminator),
        };
        self.place_line(stamp, placed, bytes, end - begin);
        self.scan = end + terminator;
        self.probe = self.scan;
        self.scan_offset += bytes;
        if is_stamped {
            self.last_stamped_end = self.scan_offset;
        }
    }

    /// Zeros at the beginning of the line at hand, which has bytes up to `end`.
    #[inline]
    fn zeros(&self, end: usize) -> usize {
        match self.buffer[self.scan..end].first() {
            Some(0) if self.stamps.encoding().unit() == 1 => {
                let line = &self.buffer[self.scan..end];
                line.iter().take_while(|byte| **byte == 0).count()
            }
            _ => 0,
        }
    }

    /// Takes zeros before the line at hand out of the buffer, so that an open record goes on behind them, and as if
    /// they were not in the file.
    fn drop_zeros(&mut self, zeros: usize) {
        self.buffer.copy_within(self.scan + zeros..self.filled, self.scan);
        self.filled -= zeros;
        self.worked_bytes += (self.filled - self.scan) as u64;
        self.scan_offset += zeros as u64;
    }

    /// Goes on behind zeros, as if they were not in the file.
    #[cold]
    fn pass_over_zeros(&mut self, zeros: usize) {
        self.scan += zeros;
        self.scan_offset += zeros as u64;
        if self.has_open {
            self.gap += zeros;
        }
    }

    /// Where a line behind a gap stands in the text: a record of its own leaves the gap to nobody, a line that goes on
    /// with the open one is moved to its end.
    #[cold]
    fn close_up(&mut self, stamp: Option<i64>, line: Range<usize>) -> usize {
        let begin = line.start;
        if stamp.is_some() {
            self.gap = 0;
            return begin;
        }
        self.worked_bytes += line.len() as u64;
        self.buffer.copy_within(line, begin - self.gap);
        begin - self.gap
    }

    /// Takes what is no part of the open record out of the buffer.
    fn close_gap(&mut self) {
        if self.gap == 0 {
            return;
        }
        self.buffer.copy_within(self.scan..self.filled, self.scan - self.gap);
        self.worked_bytes += (self.filled - self.scan) as u64;
        self.filled -= self.gap;
        self.scan -= self.gap;
        self.probe -= self.gap;
        self.gap = 0;
    }

    /// The stamp of a line that begins a record, and whether the line has a stamp at all.
    #[inline]
    fn read_stamp(&mut self, line: Range<usize>) -> (Option<i64>, bool) {
        if self.context == Context::BrokenLine {
            return (None, false);
        }
        let stamp = self.stamps.read(&self.buffer[line], self.scan_offset);
        (stamp, stamp.is_some() || self.stamps.passed_stamp())
    }

    /// Adds a line to the record, head or remains it belongs to.
    #[inline]
    fn place_line(&mut self, stamp: Option<i64>, begin: usize, bytes: u64, text_len: usize) {
        if let Some(stamp) = stamp {
            self.context = Context::InRecord;
            let position = self.base_position + begin as u64;
            self.has_open = true;
            self.records.push(Record {
                stamp,
                offset: self.scan_offset,
                bytes,
                lines: 1,
                position,
                text_len: text_len.min(self.limit) as u32,
                extent: if text_len > self.limit {
                    Extent::Cut
                } else {
                    Extent::Whole
                },
            });
            return;
        }
        let (limit, position) = (self.limit, self.base_position + begin as u64);
        let may_be_head = self.start == Start::FileStart;
        match (self.context, self.open_mut()) {
            (Context::InRecord, Some(record)) => {
                let text = (position - record.position) as usize + text_len;
                record.lines += 1;
                record.bytes += bytes;
                if record.extent == Extent::Whole {
                    record.text_len = text.min(limit) as u32;
                    record.extent = if text > limit { Extent::Cut } else { Extent::Whole };
                }
            }
            (Context::BrokenLine, _) => self.context = Context::BeforeFirst,
            _ if may_be_head => {
                self.head.lines += 1;
                self.head.bytes += bytes;
            }
            _ => {}
        }
    }

    /// A line without end has grown over the limit: its stamp is read from what is there, the rest is passed over.
    fn begin_long_line(&mut self) {
        let begin = self.scan;
        let (stamp, is_stamped) = self.read_stamp(begin..begin + self.limit);
        self.long_line_is_stamped = is_stamped;
        let end = self.whole_units_end();
        let len = end - begin;
        let broken = self.context == Context::BrokenLine;
        self.place_line(stamp, begin, len as u64, len);
        if broken {
            self.context = Context::BrokenLine;
        }
        self.scan_offset += len as u64;
        self.scan = end;
        self.probe = end;
        self.inside_long_line = true;
        self.cut_long_record();
    }

    /// Passes over the rest of a long line; `true` when its end was found.
    fn pass_over_long_line(&mut self) -> bool {
        let end = self.line_end(self.scan).map(|(end, terminator)| end + terminator);
        let passed = end.unwrap_or(self.whole_units_end()) - self.scan;
        let may_be_head = self.start == Start::FileStart;
        match (self.context, self.open_mut()) {
            (Context::InRecord, Some(record)) => record.bytes += passed as u64,
            (Context::BeforeFirst, _) if may_be_head => self.head.bytes += passed as u64,
            _ => {}
        }
        self.scan += passed;
        self.scan_offset += passed as u64;
        self.probe = self.scan;
        match end {
            Some(_) => self.end_long_line(),
            None => self.cut_long_record(),
        }
        end.is_some()
    }

    fn end_long_line(&mut self) {
        self.inside_long_line = false;
        if self.context == Context::BrokenLine {
            self.context = Context::BeforeFirst;
        }
        if self.long_line_is_stamped {
            self.last_stamped_end = self.scan_offset;
        }
        self.cut_long_record();
    }

    /// Takes the bytes behind the limit out of the buffer, so that a record of any length needs bounded memory.
    fn cut_long_record(&mut self) {
        let Some(record) = self.open() else { return };
        if record.extent == Extent::Whole {
            return;
        }
        let keep = (record.position - self.base_position) as usize + record.text_len as usize;
        let cut = self.scan - keep;
        if cut == 0 {
            return;
        }
        self.buffer.copy_within(self.scan..self.filled, keep);
        self.worked_bytes += (self.filled - self.scan) as u64;
        self.filled -= cut;
        self.scan -= cut;
        self.probe -= cut;
        self.gap = 0;
    }
}
