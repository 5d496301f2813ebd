//! One file of a log without timestamps: which of its bytes were seen at which snapshot first, and the lines in them.

use super::super::received::Received;
use agent::content::{fingerprint_of, tail_hash_of};
use agent::protocol::{
    Compression, Content, Fingerprint, Generation as Listed, KnownGeneration, KnownVerdict, RangeRequest, Role,
    TAIL_BYTES,
};
use logline::records::{RecordReader, Stamps, Start};
use logline::text::Encoding;
use std::collections::VecDeque;
use std::ops::Range;

/// Growths of a file that may wait to be read; more are taken together, and then nobody knows when they came.
const MARKS_MAX: usize = 1024;
/// First bytes of a file by which a copy of another one is told.
pub(super) const HEAD_BYTES: u64 = 4096;
/// How long a renamed file must have rested before its end is its end, or its going is no loss.
const REST_NS: i64 = 60_000_000_000;

/// What happened between two snapshots: seen at the later, and not there at the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// The host's clock at the snapshot before.
    pub(super) since_ns: i64,
    /// The host's clock at the snapshot that showed it.
    pub(super) t_ns: i64,
    /// Whether the clock went on between them, so that they say when.
    pub(super) is_steady: bool,
}

/// A file's size at a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    to: u64,
    seen: Seen,
}

/// Whether a file's growth is the log's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is written to, as the log.
    Counted,
    /// It may be a copy in the making, or was found renamed already: when its bytes were written is not known.
    Aside,
}

/// Every line is a record of the time at which it was seen to be whole.
#[derive(Debug, Clone)]
pub(super) struct At {
    t_ns: i64,
    encoding: Encoding,
}

impl Stamps for At {
    #[inline]
    fn read(&mut self, _line: &[u8], _offset: u64) -> Option<i64> {
        Some(self.t_ns)
    }

    #[inline]
    fn encoding(&self) -> Encoding {
        self.encoding
    }
}

/// A file of the log's life.
pub(super) struct File {
    pub(super) listed: Listed,
    pub(super) standing: Standing,
    /// Its first bytes, at most [`HEAD_BYTES`].
    pub(super) head: Vec<u8>,
    fingerprint: Fingerprint,
    received: Received,
    /// Bytes before this were there when it was first looked at: they are fetched only for what their last line lacks.
    base: u64,
    reader: RecordReader<At>,
    marks: VecDeque<Mark>,
    /// The first line to end began in bytes that are not known.
    is_broken: bool,
    /// Its half line was taken for its last.
    is_ended: bool,
    grown_at_ns: i64,
}

impl File {
    /// A file of which nothing that stands there now counts.
    pub(super) fn based(listed: Listed, t_ns: i64, standing: Standing, encoding: Encoding) -> Self {
        let base = listed.size;
        Self::beginning(listed, base, t_ns, standing, encoding)
    }

    /// A file that was not there at the snapshot before.
    pub(super) fn newborn(listed: Listed, seen: Seen, standing: Standing, encoding: Encoding) -> Self {
        let size = listed.size;
        let mut file = Self::beginning(listed, 0, seen.t_ns, standing, encoding);
        file.mark(size, seen);
        file
    }

    fn beginning(listed: Listed, base: u64, t_ns: i64, standing: Standing, encoding: Encoding) -> Self {
        let from = base.saturating_sub(TAIL_BYTES as u64);
        let fingerprint = match &listed.content {
            Content::Readable { fingerprint, .. } => *fingerprint,
            Content::NotLookedAt | Content::Unreadable(_) => fingerprint_of(&[]),
        };
        Self {
            listed,
            standing,
            head: Vec::new(),
            fingerprint,
            received: Received::from(from),
            base,
            reader: reader(from, encoding),
            marks: VecDeque::new(),
            is_broken: from > 0,
            is_ended: false,
            grown_at_ns: t_ns,
        }
    }

    /// Takes a new listing of the same file, which holds what it held.
    pub(super) fn update(&mut self, listed: Listed, seen: Seen) {
        if let Content::Readable { fingerprint, .. } = &listed.content {
            self.fingerprint = *fingerprint;
        }
        if listed.size > self.listed.size {
            self.grown_at_ns = seen.t_ns;
            let is_steady = seen.is_steady && !self.is_ended;
            self.mark(listed.size, Seen { is_steady, ..seen });
        }
        self.listed = listed;
    }

    fn mark(&mut self, to: u64, seen: Seen) {
        let begins = self
            .marks
            .back()
            .map_or(self.base.max(self.received.read_to()), |mark| mark.to);
        if to <= begins {
            return;
        }
        let mut mark = Mark { to, seen };
        if self.marks.len() >= MARKS_MAX
            && let Some(last) = self.marks.pop_back()
        {
            (mark.seen.since_ns, mark.seen.is_steady) = (last.seen.since_ns, false);
        }
        self.marks.push_back(mark);
    }

    /// Whether a snapshot shows that it does not hold any more what it held.
    pub(super) fn is_replaced(&self, listed: &Listed) -> bool {
        let is_other = match &listed.content {
            Content::Readable { verdict, .. } => match verdict {
                KnownVerdict::Shrunk | KnownVerdict::HeadDiffers | KnownVerdict::TailDiffers => true,
                KnownVerdict::New | KnownVerdict::Same => false,
            },
            Content::NotLookedAt | Content::Unreadable(_) => false,
        };
        is_other || (self.is_plain() && listed.size < self.listed.size)
    }

    pub(super) fn is_plain(&self) -> bool {
        self.listed.compression == Compression::Plain
    }

    /// What the next snapshot is to compare it with.
    pub(super) fn known(&self) -> Option<KnownGeneration> {
        if !self.is_plain() || (self.fingerprint.length == 0 && self.listed.size > 0) {
            return None;
        }
        Some(KnownGeneration {
            path: self.listed.path.clone(),
            identity: self.listed.identity,
            fingerprint: self.fingerprint,
            tail: self.received.tail_hash().unwrap_or_else(|| tail_hash_of(0, &[])),
        })
    }

    /// Whether its going loses nothing: it was renamed, and rested, and all of it was read.
    pub(super) fn is_over(&self, t_ns: i64) -> bool {
        !self.is_plain() || (self.marks.is_empty() && self.has_rested(t_ns) && !self.reader.has_half_line())
    }

    fn has_rested(&self, t_ns: i64) -> bool {
        self.listed.role != Role::Live && t_ns.saturating_sub(self.grown_at_ns) >= REST_NS
    }

    /// Since when nobody knows what was written to it, if it is gone now.
    pub(super) fn unread_since(&self, seen: Seen) -> i64 {
        self.marks
            .front()
            .map_or(seen.since_ns, |mark| mark.seen.since_ns.min(seen.since_ns))
    }

    /// From when on it is not known what came, because it is not read yet.
    pub(super) fn unread_from(&self) -> Option<i64> {
        self.marks.front().map(|mark| mark.seen.since_ns)
    }

    /// Passes over what is not read yet, as if it had stood there at the beginning; when that was seen.
    pub(super) fn pass_over(&mut self) -> Vec<Seen> {
        if self.marks.is_empty() {
            return Vec::new();
        }
        let passed = self.marks.drain(..).map(|mark| mark.seen).collect();
        let from = self.listed.size.saturating_sub(TAIL_BYTES as u64);
        self.base = self.listed.size;
        self.received = Received::from(from);
        self.reader = reader(from, self.reader.stamps().encoding);
        (self.is_broken, self.is_ended) = (from > 0, false);
        passed
    }

    /// The next bytes to fetch, at most so many: what stood there before, then up to the first mark.
    pub(super) fn wanted(&self, most: u64) -> Option<Range<u64>> {
        let from = self.received.read_to();
        let to = if from < self.base {
            self.base
        } else {
            self.marks.front()?.to
        };
        (from < to).then(|| from..to.min(from + most))
    }

    pub(super) fn request(&self, range: Range<u64>, with_tail: bool) -> RangeRequest {
        RangeRequest {
            path: self.listed.path.clone(),
            identity: self.listed.identity,
            fingerprint: self.fingerprint,
            tail: self.received.tail_hash().filter(|_| with_tail),
            offset: range.start,
            length: range.end - range.start,
        }
    }

    pub(super) fn verifies(&self, bytes: &[u8], end: &agent::protocol::RangeEnd) -> bool {
        self.received.verifies(bytes, end)
    }

    /// Takes verified bytes that were wanted. Lines in them are of the mark that they belong to; what is returned is
    /// when they were seen and whether the first of them lacks its beginning, or nothing if they stood there before.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<(Seen, FirstLine)> {
        let is_before = self.received.read_to() < self.base;
        self.received.take(bytes);
        if is_before {
            return self.take_before(bytes);
        }
        let mark = *self.marks.front()?;
        if self.received.read_to() >= mark.to {
            self.marks.pop_front();
        }
        let mut first = FirstLine::Whole;
        let mut bytes = bytes;
        if self.is_broken {
            let end = memchr::memchr(b'\n', bytes)?;
            self.is_broken = false;
            first = FirstLine::Broken;
            bytes = &bytes[end + 1..];
            self.reader = reader(
                self.received.read_to() - bytes.len() as u64,
                self.reader.stamps().encoding,
            );
        }
        self.reader.stamps_mut().t_ns = mark.seen.t_ns;
        self.reader.restamp_open(mark.seen.t_ns);
        self.reader.push(bytes);
        self.reader.close_ended();
        Some((mark.seen, first))
    }

    /// Of what stood there when it was first looked at, only a last line without end is of use.
    fn take_before(&mut self, bytes: &[u8]) -> Option<(Seen, FirstLine)> {
        let at = memchr::memrchr(b'\n', bytes).map(|end| end + 1);
        let at = at.or((!self.is_broken).then_some(0))?;
        self.is_broken = false;
        let half = &bytes[at..];
        self.reader = reader(
            self.received.read_to() - half.len() as u64,
            self.reader.stamps().encoding,
        );
        self.reader.push(half);
        None
    }

    /// A last line without end is one when its file has rested under another name: it is seen to be whole now.
    pub(super) fn end(&mut self, t_ns: i64) -> bool {
        let is_due = self.has_rested(t_ns) && self.marks.is_empty() && self.wanted(1).is_none();
        if !is_due || self.is_ended || self.standing != Standing::Counted || !self.reader.has_half_line() {
            return false;
        }
        self.is_ended = true;
        self.reader.stamps_mut().t_ns = t_ns;
        self.reader.restamp_open(t_ns);
        self.reader.finish();
        true
    }

    pub(super) fn reader(&self) -> &RecordReader<At> {
        &self.reader
    }

    /// What was counted of its lines is forgotten.
    pub(super) fn release(&mut self) {
        let closed = self.reader.closed().len();
        self.reader.release(closed);
        self.reader.shrink();
    }

    pub(super) fn read_to(&self) -> u64 {
        self.received.read_to()
    }

    /// Whether it begins as another file does, as far as both go.
    pub(super) fn begins_like(&self, other: &Self) -> bool {
        let common = self.head.len().min(other.head.len());
        common > 0 && self.head[..common] == other.head[..common]
    }
}

/// Whether all of the first line that came is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstLine {
    Whole,
    /// It began too far before the place from which on the file was read.
    Broken,
}

fn reader(offset: u64, encoding: Encoding) -> RecordReader<At> {
    RecordReader::new(
        At {
            t_ns: i64::MIN,
            encoding,
        },
        Start::FileStart,
        offset,
    )
}
