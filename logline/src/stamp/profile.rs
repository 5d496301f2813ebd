//! What was learned of an input (F8): which format stands where, from which offset on.
//!
//! A profile is plain data, versioned by whoever keeps it; entries are only ever appended.

use super::locate::Locator;
use super::pattern::Format;
use super::year::YearMark;

/// Least lateness bound that is learned: ten seconds.
pub const LATENESS_NS_MIN: i64 = 10_000_000_000;
/// Greatest lateness bound that is learned: one hour. A longer one must be asked for.
pub const LATENESS_NS_MAX: i64 = 3_600_000_000_000;

/// How the order of day, month and year became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderEvidence {
    /// The format allows one reading only.
    Unambiguous,
    /// Other orders would be no date in some line.
    OnlyValid,
    /// Other orders would make the file jump about in time.
    Smoothest,
    /// Nothing in the lines tells; a fixed preference did.
    Preference,
    /// The monitor says so.
    Override,
}

/// One format and the offset from which it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileEntry {
    /// First byte of the file for which it holds.
    pub offset: u64,
    /// How the stamp is written.
    pub format: Format,
    /// Where it stands in its line.
    pub locator: Locator,
    /// How the order of a date's fields became known.
    pub order: OrderEvidence,
    /// For formats without a year, in the order of offsets.
    pub year_marks: Vec<YearMark>,
}

impl ProfileEntry {
    /// An entry for a whole file, of a format given rather than learned.
    pub fn new(format: Format, locator: Locator) -> Self {
        ProfileEntry {
            offset: 0,
            format,
            locator,
            order: OrderEvidence::Override,
            year_marks: Vec::new(),
        }
    }
}

/// The profile of one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// In the order of offsets; never empty.
    pub entries: Vec<ProfileEntry>,
    /// How far a stamp usually lies behind the greatest before it, doubled: nanoseconds, between
    /// [`LATENESS_NS_MIN`] and [`LATENESS_NS_MAX`].
    pub lateness_ns: i64,
}

impl Profile {
    /// Adds what was learned of the bytes from `offset` on; entries are only ever appended.
    pub fn append(&mut self, offset: u64, learned: Profile) {
        self.entries.extend(learned.entries.into_iter().map(|mut entry| {
            entry.offset += offset;
            entry
        }));
    }

    /// Adds a year mark behind all others, for the entries whose stamps lack their year. One at the offset of the last
    /// takes its place, since no bytes were dated by that; the first stays, which says from when on they are.
    pub fn add_mark(&mut self, mark: YearMark) {
        let entries = self.entries.iter_mut().filter(|entry| entry.format.lacks_year());
        for entry in entries {
            if entry.year_marks.len() > 1 {
                entry.year_marks.pop_if(|last| last.offset == mark.offset);
            }
            entry.year_marks.push(mark);
        }
    }

    /// Whether stamps lack their year, so that marks must be set before reading.
    pub fn lacks_year(&self) -> bool {
        self.entries.iter().any(|entry| entry.format.lacks_year())
    }
}

impl From<ProfileEntry> for Profile {
    fn from(entry: ProfileEntry) -> Self {
        Profile {
            entries: vec![entry],
            lateness_ns: LATENESS_NS_MIN,
        }
    }
}

/// Where a stamp's zone comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneSource {
    /// Every stamped line says it.
    InLine,
    /// No line says it: the input's zone decides.
    Naive,
    /// Some lines say it.
    Mixed,
    /// The stamp is a count since the epoch.
    Epoch,
}

/// What was found in a sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Detection {
    /// Stamps to count by.
    Stamped(Box<Detected>),
    /// Something like stamps, but less than a minute of a day.
    TooCoarse {
        /// What was found.
        finding: CoarseFinding,
        /// One sentence for people.
        why: String,
    },
    /// Nothing.
    Unstamped {
        /// One sentence for people.
        why: String,
    },
}

/// A format that is recognised and not counted by.
#[derive(Debug, Clone, PartialEq)]
pub struct CoarseFinding {
    /// As a strftime pattern.
    pub format: String,
    /// Lines of the sample that have it.
    pub lines: usize,
    /// The first of them, from its stamp on, at most 40 bytes.
    pub example: String,
}

/// What was learned, with what `detect` shows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Detected {
    /// What reading needs.
    pub profile: Profile,
    /// The format as the first stamped line shows it; [`Format::parse_override`] reads it back.
    pub format: String,
    /// The stamp's offset in the first stamped line, in bytes.
    pub column: usize,
    /// Where the zone comes from.
    pub zone: ZoneSource,
    /// Stamped lines of the sample.
    pub stamped_lines: usize,
    /// Lines of the sample that are not empty.
    pub sampled_lines: usize,
    /// How sure this is, 0 to 1.
    pub confidence: f64,
    /// One sentence: where, why, what was ruled out.
    pub why: String,
}

impl Detected {
    /// Stamped lines per line that is not empty, 0 to 1.
    pub fn share(&self) -> f64 {
        self.stamped_lines as f64 / self.sampled_lines.max(1) as f64
    }
}
