//! Where records begin, beyond what stamps say (F1): a pattern that the user gives.
//!
//! A stamped line begins a record, which is right for nearly all logs. In some, lines of other writers or dumps carry
//! stamps of their own and belong to the record before. A [`Boundary`] says so: `start` names the only lines that may
//! begin a record, `continue` those that never do. A line still needs a stamp to begin one: a record without a time
//! could be counted nowhere.
//!
//! It is applied where stamps are read, by [`RecordStamps`], so that what is split, judged and counted behind it knows
//! nothing of it. A line that may not begin a record has no influence on the stamps of others: neither on which pass
//! of a repeated hour they are of, nor on their years.

use crate::fields::compile_pattern;
use crate::records::Stamps;
use crate::stamp::{FileStamps, YearMark};
use crate::text::{Encoding, Form, LineReader, LineRole};
use regex::bytes::Regex;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;

/// The longest pattern: what begins a record is told by a few words of a line; a longer one was made by a program.
pub const PATTERN_BYTES_MAX: usize = 1024;

/// Which lines a pattern is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Only a line that matches begins a record.
    Start,
    /// A line that matches never begins one.
    Continue,
}

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoundaryError {
    /// It has no text.
    #[error("the pattern is empty: say what a line begins with, as in '^\\d{{4}}-'")]
    Empty,
    /// It is longer than [`PATTERN_BYTES_MAX`].
    #[error(
        "the pattern has {bytes} bytes, at most {PATTERN_BYTES_MAX} are allowed: match only what a line begins with"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is no regular expression, or too large a one.
    #[error("{why}")]
    Pattern {
        /// The compiler's words, of several lines.
        why: String,
    },
}

/// Which lines may begin a record. The pattern is searched in the line's bytes without their end, in linear time; `^`
/// and `$` are the line's edges.
#[derive(Debug, Clone)]
pub struct Boundary {
    side: Side,
    regex: Regex,
}

impl Boundary {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// If it is empty, too long, or no regular expression of bounded size.
    pub fn new(side: Side, pattern: &str) -> Result<Self, BoundaryError> {
        match pattern.len() {
            0 => Err(BoundaryError::Empty),
            bytes if bytes > PATTERN_BYTES_MAX => Err(BoundaryError::TooLong { bytes }),
            _ => match compile_pattern(pattern) {
                Ok(regex) => Ok(Self { side, regex }),
                Err(why) => Err(BoundaryError::Pattern { why }),
            },
        }
    }

    /// Which lines the pattern is about.
    pub fn side(&self) -> Side {
        self.side
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        self.regex.as_str()
    }

    /// Whether a line without its end may begin a record, if it has a stamp.
    pub fn may_begin(&self, line: &[u8]) -> bool {
        self.regex.is_match(line) == (self.side == Side::Start)
    }

    fn identity(&self) -> (Side, &str) {
        (self.side, self.pattern())
    }
}

impl PartialEq for Boundary {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Boundary {}

impl PartialOrd for Boundary {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Boundary {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl Hash for Boundary {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

/// As it stands in a monitor: `start '^MainThread::'`.
impl fmt::Display for Boundary {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let side = match self.side {
            Side::Start => "start",
            Side::Continue => "continue",
        };
        write!(formatter, "{side} '{}'", self.pattern().replace('\'', "''"))
    }
}

/// The stamps of a file's records: those of its lines that may begin one.
#[derive(Debug, Clone)]
pub struct RecordStamps {
    stamps: FileStamps,
    bounded: Option<Box<Bounded>>,
    /// For logs whose lines are not what their bytes are.
    formed: Option<Box<LineReader>>,
    /// The line that was read last goes on with another, though it has a stamp.
    went_on: bool,
}

#[derive(Debug, Clone)]
struct Bounded {
    boundary: Boundary,
    /// Sees the lines that begin no record, only to tell whether they have stamps: apart, so that theirs do not decide
    /// what those of records mean.
    others: FileStamps,
    passed: bool,
}

impl RecordStamps {
    /// Of a file's stamps, those of lines that may begin a record; of all lines, if no boundary is given.
    pub fn new(stamps: FileStamps, boundary: Option<&Boundary>) -> Self {
        let bounded = boundary.map(|boundary| {
            Box::new(Bounded {
                boundary: boundary.clone(),
                others: stamps.clone(),
                passed: false,
            })
        });
        Self {
            stamps,
            bounded,
            formed: None,
            went_on: false,
        }
    }

    /// The same for lines of a form: they are decoded before they are looked at, parts of one line begin no record,
    /// and the boundary is held against what stands in a line's envelope.
    pub fn with_form(mut self, form: Form) -> Self {
        self.formed = (!form.is_plain()).then(|| Box::new(LineReader::new(form)));
        self
    }

    fn read_line(&mut self, line: &[u8], payload: Option<&[u8]>, offset: u64) -> Option<i64> {
        if let Some(bounded) = &mut self.bounded
            && !bounded.may_begin(line, payload.unwrap_or(line), offset)
        {
            return None;
        }
        self.stamps.read(line, offset)
    }

    #[cold]
    fn read_formed(&mut self, mut formed: Box<LineReader>, line: &[u8], offset: u64) -> Option<i64> {
        let role = formed.take(line);
        self.went_on = role == LineRole::GoesOn;
        let stamp = match role {
            LineRole::GoesOn => None,
            LineRole::MayBegin if self.bounded.is_none() => self.read_line(formed.line(), None, offset),
            LineRole::MayBegin => {
                let payload = formed.payload().to_vec();
                self.read_line(formed.line(), Some(&payload), offset)
            }
        };
        self.formed = Some(formed);
        stamp
    }

    /// Adds a year mark behind all others.
    pub fn add_mark(&mut self, mark: YearMark) {
        self.stamps.add_mark(mark);
        if let Some(bounded) = &mut self.bounded {
            bounded.others.add_mark(mark);
        }
    }

    /// Whether a stamp fell into a repeated hour, so that its meaning may hang on the stamps before it (F9).
    pub fn met_fold(&self) -> bool {
        self.stamps.met_fold()
    }

    /// The stretches of UTC that a stamp of a repeated hour may belong to, in nanoseconds.
    pub fn ambiguous_ns(&self) -> Vec<Range<i64>> {
        self.stamps.ambiguous_ns()
    }
}

impl Stamps for RecordStamps {
    #[inline]
    fn read(&mut self, line: &[u8], offset: u64) -> Option<i64> {
        match self.formed.take() {
            None => self.read_line(line, None, offset),
            Some(formed) => self.read_formed(formed, line, offset),
        }
    }

    #[inline]
    fn passed_stamp(&self) -> bool {
        self.went_on || self.bounded.as_ref().is_some_and(|bounded| bounded.passed)
    }

    #[inline]
    fn encoding(&self) -> Encoding {
        self.formed
            .as_ref()
            .map_or(Encoding::Bytes, |formed| formed.form().encoding)
    }
}

impl Bounded {
    fn may_begin(&mut self, line: &[u8], payload: &[u8], offset: u64) -> bool {
        let may_begin = self.boundary.may_begin(payload);
        self.passed = !may_begin && self.others.read(line, offset).is_some();
        may_begin
    }
}

#[cfg(test)]
mod tests;
