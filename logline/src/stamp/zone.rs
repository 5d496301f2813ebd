//! Zones: from the clock on the wall to UTC.
//!
//! Rules come from the tz database that is compiled in, never from the machine's, so that a value depends on bytes and
//! versions alone (C1). The hot path never asks it: the stretch of wall time around the last stamp is kept with its
//! offset, and within it a conversion is two compares and a subtraction.
//!
//! - **Gap** (clocks go forward): a time that never was is shifted forward by the length of the gap.
//! - **Fold** (clocks go back, rule F9): an hour comes twice. The first pass is assumed until, inside the fold, a stamp
//!   lies more than ten minutes below the greatest before it; from there on it is the second pass.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use strsim::osa_distance;

/// A backward jump inside a fold longer than this is the clock's, not a writer's disorder: ten minutes.
pub const FOLD_JUMP_SECONDS: i64 = 600;
/// Offsets from UTC are less than this: 26 hours, two more than the widest ever in force.
const OFFSET_REACH_SECONDS: i64 = 26 * 3600;
/// Repeated hours of one file that are remembered as ambiguous; a file of more years than this has wild stamps.
const AMBIGUOUS_MAX: usize = 128;
/// Zones of the database change at most this often within the few days around a stamp.
const TRANSITIONS_MAX: usize = 8;

/// What is wrong with a zone's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZoneError {
    /// Neither an offset nor a zone of the tz database.
    #[error(
        "unknown time zone `{name}`{}; write an IANA name such as Europe/Rome, an offset such as +02:00, or UTC",
        suggestion(nearest)
    )]
    Unknown {
        /// As written.
        name: String,
        /// The most similar name of the database, if one is similar.
        nearest: Option<String>,
    },
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map(|name| format!(", did you mean `{name}`?"))
        .unwrap_or_default()
}

/// The zone of stamps that have none of their own. Cheap to clone; equal by rule.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    rule: Rule,
}

#[derive(Clone, PartialEq, Eq)]
enum Rule {
    Fixed(i32),
    Named(TimeZone),
}

impl fmt::Debug for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Zone({self})")
    }
}

impl fmt::Display for Zone {
    /// As [`Zone::parse`] reads it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Rule::Fixed(0) => formatter.write_str("UTC"),
            Rule::Fixed(seconds) => {
                let (sign, size) = if *seconds < 0 { ('-', -seconds) } else { ('+', *seconds) };
                write!(formatter, "{sign}{:02}:{:02}", size / 3600, size / 60 % 60)
            }
            Rule::Named(zone) => formatter.write_str(zone.iana_name().unwrap_or("unnamed")),
        }
    }
}

/// How the wall time of a stretch relates to UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// One offset, in seconds east of UTC.
    Plain(i32),
    /// Twice: with the first offset, then with the second.
    Fold { first: i32, second: i32 },
}

/// A stretch of wall time with one meaning, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    start: i64,
    end: i64,
    meaning: Meaning,
}

/// How the pass through a fold was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldEvidence {
    /// No backward jump was seen: the first pass is assumed, and the windows are flagged `ambiguous_time`.
    Assumed,
    /// A backward jump was seen.
    Jump,
}

/// The last repeated hour that stamps fell into: the only thing that a stamp's value owes to the stamps before it, and
/// so a part of what must agree where two chunks of a file meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldState {
    /// First wall second of the fold.
    start: i64,
    /// Its length in seconds, which is how far its passes are apart; 0 if there was none.
    length: i64,
    /// Offset of the first pass.
    first_offset: i32,
    /// Greatest wall second of the pass.
    greatest: i64,
    evidence: FoldEvidence,
}

impl Default for FoldState {
    fn default() -> Self {
        FoldState {
            start: 0,
            length: 0,
            first_offset: 0,
            greatest: 0,
            evidence: FoldEvidence::Assumed,
        }
    }
}

impl FoldState {
    /// The UTC seconds `[start, end)` of both passes of the last repeated hour that was read without a backward jump:
    /// windows that touch it are `ambiguous_time`.
    pub fn ambiguous_time(&self) -> Option<(i64, i64)> {
        let assumed = self.length > 0 && self.evidence == FoldEvidence::Assumed;
        let start = self.start - i64::from(self.first_offset);
        assumed.then_some((start, start + 2 * self.length))
    }

    /// When the last repeated hour began, in UTC seconds; `None` if no stamp fell into one.
    pub fn starts_at(&self) -> Option<i64> {
        (self.length > 0).then_some(self.start - i64::from(self.first_offset))
    }

    /// Takes note of a stamp inside a fold and answers its offset.
    fn offset(&mut self, wall: i64, stretch: &Stretch, first: i32, second: i32) -> i32 {
        if self.length == 0 || self.start != stretch.start {
            let length = i64::from(first - second);
            let (start, evidence) = (stretch.start, FoldEvidence::Assumed);
            *self = FoldState {
                start,
                length,
                first_offset: first,
                greatest: wall,
                evidence,
            };
        }
        if self.evidence == FoldEvidence::Assumed && wall < self.greatest - FOLD_JUMP_SECONDS {
            self.evidence = FoldEvidence::Jump;
        }
        self.greatest = self.greatest.max(wall);
        if self.evidence == FoldEvidence::Jump {
            second
        } else {
            first
        }
    }
}

/// Converts wall times of one file in their order.
#[derive(Debug, Clone)]
pub struct WallClock {
    zone: Zone,
    stretch: Stretch,
    fold: FoldState,
    /// Ambiguous times of the folds before the last one.
    ambiguous: Vec<(i64, i64)>,
}

impl WallClock {
    /// A clock that has seen no stamp.
    pub fn new(zone: Zone) -> Self {
        let stretch = match zone.rule {
            Rule::Fixed(offset) => Stretch {
                start: i64::MIN,
                end: i64::MAX,
                meaning: Meaning::Plain(offset),
            },
            Rule::Named(_) => Stretch {
                start: 0,
                end: 0,
                meaning: Meaning::Plain(0),
            },
        };
        WallClock {
            zone,
            stretch,
            fold: FoldState::default(),
            ambiguous: Vec::new(),
        }
    }

    /// UTC seconds of a wall time, both since the epoch. Two compares if it lies near the last one.
    #[inline]
    pub fn to_utc(&mut self, wall: i64) -> i64 {
        if wall < self.stretch.start || wall >= self.stretch.end {
            self.stretch = self.zone.stretch_at(wall);
        }
        let offset = match self.stretch.meaning {
            Meaning::Plain(offset) => offset,
            Meaning::Fold { first, second } => {
                if self.fold.start != self.stretch.start {
                    self.ambiguous = self.ambiguous_times();
                }
                self.fold.offset(wall, &self.stretch, first, second)
            }
        };
        wall - i64::from(offset)
    }

    /// The wall time of an instant.
    pub(super) fn wall_at(&self, utc: i64) -> i64 {
        self.zone.wall_at(utc)
    }

    /// The UTC seconds `[start, end)` of the repeated hours that were read without a backward jump.
    pub fn ambiguous_times(&self) -> Vec<(i64, i64)> {
        let mut all = self.ambiguous.clone();
        let last = self.fold.ambiguous_time();
        all.extend(last.filter(|last| !all.contains(last) && all.len() < AMBIGUOUS_MAX));
        all
    }

    /// What has been learned of the last repeated hour.
    pub fn fold(&self) -> FoldState {
        self.fold
    }

    /// Goes on from what another reader of the bytes before had learned.
    pub fn set_fold(&mut self, fold: FoldState) {
        self.fold = fold;
    }
}

/// A stretch of UTC with one offset.
#[derive(Debug, Clone, Copy)]
struct Segment {
    start: i64,
    end: i64,
    offset: i32,
}

impl Segment {
    fn wall_start(&self) -> i64 {
        self.start.saturating_add(i64::from(self.offset))
    }

    fn wall_end(&self) -> i64 {
        self.end.saturating_add(i64::from(self.offset))
    }
}

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Zone { rule: Rule::Fixed(0) }
    }

    /// A fixed offset in seconds east of UTC.
    pub fn fixed(seconds_east: i32) -> Self {
        Zone {
            rule: Rule::Fixed(seconds_east),
        }
    }

    /// Reads `Europe/Rome`, `+02:00`, `+0200`, `+02` or `UTC`.
    pub fn parse(name: &str) -> Result<Self, ZoneError> {
        if matches!(name, "UTC" | "utc" | "Z" | "GMT") {
            return Ok(Zone::utc());
        }
        if let Some(seconds) = parse_offset(name.as_bytes()) {
            return Ok(Zone::fixed(seconds));
        }
        let database = TimeZoneDatabase::bundled();
        match database.get(name) {
            Ok(zone) => Ok(Zone {
                rule: Rule::Named(zone),
            }),
            Err(_) => Err(ZoneError::Unknown {
                name: name.to_owned(),
                nearest: nearest_name(&database, name),
            }),
        }
    }

    /// The year of an instant (seconds since the epoch) on this zone's calendar.
    pub fn year_at(&self, utc: i64) -> i32 {
        super::civil::civil_from_days(self.wall_at(utc).div_euclid(86_400)).0
    }

    /// The wall time of an instant, both in seconds since the epoch.
    pub fn wall_at(&self, utc: i64) -> i64 {
        let offset = match &self.rule {
            Rule::Fixed(offset) => *offset,
            Rule::Named(zone) => offset_at(zone, utc),
        };
        utc.saturating_add(i64::from(offset))
    }

    /// The stretch of wall time around a wall second.
    fn stretch_at(&self, wall: i64) -> Stretch {
        let zone = match &self.rule {
            Rule::Fixed(offset) => {
                return Stretch {
                    start: i64::MIN,
                    end: i64::MAX,
                    meaning: Meaning::Plain(*offset),
                };
            }
            Rule::Named(zone) => zone,
        };
        let segments = segments_around(zone, wall);
        let holds = |segment: &Segment| segment.wall_start() <= wall && wall < segment.wall_end();
        match segments.iter().position(holds) {
            Some(index) => plain_or_fold(&segments, index, wall),
            None => gap(&segments, wall),
        }
    }
}

/// The meaning of a wall second that the segment `index` is the first to hold.
fn plain_or_fold(segments: &[Segment], index: usize, wall: i64) -> Stretch {
    let here = segments[index];
    let before_end = index
        .checked_sub(1)
        .map_or(i64::MIN, |before| segments[before].wall_end());
    let Some(after) = segments.get(index + 1) else {
        let start = here.wall_start().max(before_end);
        return Stretch {
            start,
            end: here.wall_end(),
            meaning: Meaning::Plain(here.offset),
        };
    };
    if wall >= after.wall_start() {
        let meaning = Meaning::Fold {
            first: here.offset,
            second: after.offset,
        };
        return Stretch {
            start: after.wall_start(),
            end: here.wall_end(),
            meaning,
        };
    }
    let start = here.wall_start().max(before_end);
    Stretch {
        start,
        end: here.wall_end().min(after.wall_start()),
        meaning: Meaning::Plain(here.offset),
    }
}

/// A wall second that no segment holds is shifted forward by the gap: read with the offset before it.
fn gap(segments: &[Segment], wall: i64) -> Stretch {
    let before = segments.iter().rev().find(|segment| segment.wall_end() <= wall);
    let after = segments.iter().find(|segment| segment.wall_start() > wall);
    let start = before.map_or(i64::MIN, Segment::wall_end);
    let end = after.map_or(i64::MAX, Segment::wall_start);
    let offset = before.or(after).map_or(0, |segment| segment.offset);
    Stretch {
        start,
        end,
        meaning: Meaning::Plain(offset),
    }
}

/// The segments of UTC around a wall second, with one more on either side.
fn segments_around(zone: &TimeZone, wall: i64) -> Vec<Segment> {
    let earliest = clamp(wall.saturating_sub(OFFSET_REACH_SECONDS));
    let latest = wall.saturating_add(OFFSET_REACH_SECONDS);
    let mut starts: Vec<i64> = zone
        .preceding(earliest)
        .take(2)
        .map(|change| change.timestamp().as_second())
        .collect();
    starts.reverse();
    let mut end = i64::MAX;
    for change in zone
        .following(clamp(earliest.as_second().saturating_sub(1)))
        .take(TRANSITIONS_MAX)
    {
        let at = change.timestamp().as_second();
        if at > latest && starts.last().is_some_and(|last| *last > latest) {
            end = at;
            break;
        }
        if starts.last() != Some(&at) {
            starts.push(at);
        }
    }
    let mut segments = Vec::with_capacity(starts.len() + 1);
    if starts
        .first()
        .is_none_or(|first| zone.preceding(clamp(*first)).next().is_none())
    {
        let first_end = starts.first().copied().unwrap_or(i64::MAX);
        segments.push(Segment {
            start: i64::MIN,
            end: first_end,
            offset: offset_at(zone, first_end.saturating_sub(1)),
        });
    }
    for (index, &start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(end);
        segments.push(Segment {
            start,
            end,
            offset: offset_at(zone, start),
        });
    }
    segments
}

fn offset_at(zone: &TimeZone, utc: i64) -> i32 {
    zone.to_offset(clamp(utc)).seconds()
}

/// The nearest instant that the tz library can name (years −9999 to 9999).
fn clamp(utc: i64) -> Timestamp {
    let within = utc.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(within).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `±hh:mm`, `±hhmm`, `±hh` as seconds.
fn parse_offset(text: &[u8]) -> Option<i32> {
    let sign = match text.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let number = |at: usize| super::scan::fixed_digits(text, at, 2).map(|value| value as i32);
    let (hours, minutes) = match text.len() {
        3 => (number(1)?, 0),
        5 => (number(1)?, number(3)?),
        6 if text[3] == b':' => (number(1)?, number(4)?),
        _ => return None,
    };
    (hours <= 18 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

/// The most similar name of the database, by edits of the whole name or of its city; none if nothing is similar.
fn nearest_name(database: &TimeZoneDatabase, name: &str) -> Option<String> {
    let wanted = name.to_ascii_lowercase();
    let distance = |known: &str| {
        let known = known.to_ascii_lowercase();
        let city = known.rsplit('/').next().unwrap_or(&known);
        osa_distance(&wanted, &known).min(osa_distance(&wanted, city) + 1)
    };
    let nearest = database
        .available()
        .map(|known| (distance(known.as_str()), known.as_str().to_owned()))
        .min()?;
    (nearest.0 <= wanted.len() / 3 + 1).then_some(nearest.1)
}

#[cfg(test)]
mod tests;
