//! How stamps are to be read for a [`Find`](crate::protocol::RequestBody::Find): a profile as it goes over the wire,
//! and the reader made of it.
//!
//! The twin of `logline`'s profile, as plain data: `logline` knows no encoding, and what other versions send is checked
//! here before it is believed. Nothing is learned here; the upstream says how, and the agent only finds the place.

use logline::stamp::{
    Format, Locator, OrderEvidence, PatternError, Profile, ProfileEntry, ProfileReader, YearMark, Zone, ZoneError, year,
};
use serde::{Deserialize, Serialize};

use crate::service::{StampReader, StampReaders};
use crate::snapshot::HostFacts;

/// Most entries of a profile: a log that changes its format more often has none.
pub const ENTRIES_MAX: usize = 256;
/// Longest pattern, zone name or text before a stamp, in bytes; real ones have a few dozen.
pub const TEXT_BYTES_MAX: usize = 512;
/// Most year marks of all entries together: as many as are ever made of one file.
pub const YEAR_MARKS_MAX: usize = year::MARKS_MAX;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Which format stands where, from which offset on, and in which zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StampProfile {
    /// In the order of offsets, at least one.
    pub entries: Vec<StampEntry>,
    /// The zone of stamps that have none of their own.
    pub zone: StampZone,
}

/// One format and the offset from which it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StampEntry {
    /// First byte of the file for which it holds.
    pub offset: u64,
    /// The format as `logline` writes it.
    pub pattern: String,
    /// Who wrote the pattern: it decides how strictly it is read.
    pub origin: PatternOrigin,
    /// Where the stamp stands in its line.
    pub place: StampPlace,
    /// For formats without a year: from an offset on, the year that is nearest to an anchor (seconds since the epoch).
    pub year_marks: Vec<(u64, i64)>,
}

/// Who wrote a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PatternOrigin {
    /// It was found in the log and stands for exactly what was found.
    Learned,
    /// A user wrote it: a field before a separator may have one digit, as in strptime.
    Override,
}

/// Where in a line a stamp stands; see [`Locator`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StampPlace {
    /// So many bytes after the line's beginning.
    Column(u32),
    /// Right behind this text.
    After(Vec<u8>),
    /// The leftmost in so many first bytes.
    Scan(u32),
}

/// The zone of stamps that have none of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StampZone {
    /// The host's, by its IANA name.
    Host,
    /// An IANA name or an offset such as `+02:00`.
    Named(String),
}

/// Why no reader could be made of a profile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No entry.
    #[error("it has no entries: send the format that was learned")]
    Empty,
    /// More than a bound allows.
    #[error("it has {count} {what}, at most {most} are allowed: send those that hold for the file")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: usize,
        /// The bound.
        most: usize,
    },
    /// A pattern that cannot be read.
    #[error("its pattern `{pattern}` cannot be read: {source}")]
    Pattern {
        /// As sent.
        pattern: String,
        /// Why.
        #[source]
        source: PatternError,
    },
    /// A zone that is not known here.
    #[error("its zone is not known here: {0}")]
    Zone(#[source] ZoneError),
    /// The host's zone is asked for, and has no name.
    #[error("the zone of this host has no name: send the offset of the snapshot, such as +02:00")]
    UnnamedHostZone,
    /// Any other reader's own reason.
    #[error("{0}")]
    Other(String),
}

impl StampProfile {
    /// The wire form of a profile.
    pub fn new(profile: &Profile, zone: StampZone) -> StampProfile {
        let entries = profile.entries.iter().map(StampEntry::from).collect();
        StampProfile { entries, zone }
    }

    fn check_bounds(&self) -> Result<(), ProfileError> {
        let bound = |what, count, most| match count > most {
            true => Err(ProfileError::TooMany { what, count, most }),
            false => Ok(()),
        };
        if self.entries.is_empty() {
            return Err(ProfileError::Empty);
        }
        bound("entries", self.entries.len(), ENTRIES_MAX)?;
        let marks = self.entries.iter().map(|entry| entry.year_marks.len()).sum();
        bound("year marks", marks, YEAR_MARKS_MAX)?;
        for entry in &self.entries {
            bound("bytes in a pattern", entry.pattern.len(), TEXT_BYTES_MAX)?;
            if let StampPlace::After(text) = &entry.place {
                bound("bytes before a stamp", text.len(), TEXT_BYTES_MAX)?;
            }
        }
        match &self.zone {
            StampZone::Named(name) => bound("bytes in a zone", name.len(), TEXT_BYTES_MAX),
            StampZone::Host => Ok(()),
        }
    }

    /// The profile and the zone that it stands for on this host.
    pub fn interpret(&self, facts: &HostFacts) -> Result<(Profile, Zone), ProfileError> {
        self.check_bounds()?;
        let zone = match &self.zone {
            StampZone::Named(name) => name.as_str(),
            StampZone::Host => facts.zone.iana_name().ok_or(ProfileError::UnnamedHostZone)?,
        };
        let zone = Zone::parse(zone).map_err(ProfileError::Zone)?;
        let lateness_ns = logline::stamp::profile::LATENESS_NS_MIN;
        let entries = self.entries()?;
        Ok((Profile { entries, lateness_ns }, zone))
    }

    /// The entries as `logline` reads them, in the order of offsets.
    ///
    /// # Errors
    /// If a bound is not kept, or a pattern can't be read.
    pub fn entries(&self) -> Result<Vec<ProfileEntry>, ProfileError> {
        self.check_bounds()?;
        let entries = self.entries.iter().map(ProfileEntry::try_from);
        let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(|entry| entry.offset);
        Ok(entries)
    }
}

impl From<&ProfileEntry> for StampEntry {
    fn from(entry: &ProfileEntry) -> StampEntry {
        StampEntry {
            offset: entry.offset,
            pattern: entry.format.pattern().to_owned(),
            origin: match entry.order {
                OrderEvidence::Override => PatternOrigin::Override,
                _ => PatternOrigin::Learned,
            },
            place: match &entry.locator {
                Locator::Column(column) => StampPlace::Column(*column),
                Locator::After(text) => StampPlace::After(text.to_vec()),
                Locator::Scan(bytes) => StampPlace::Scan(*bytes),
            },
            year_marks: entry.year_marks.iter().map(|mark| (mark.offset, mark.anchor)).collect(),
        }
    }
}

impl TryFrom<&StampEntry> for ProfileEntry {
    type Error = ProfileError;

    fn try_from(entry: &StampEntry) -> Result<ProfileEntry, ProfileError> {
        let (format, order) = match entry.origin {
            PatternOrigin::Learned => (Format::parse(&entry.pattern), OrderEvidence::Unambiguous),
            PatternOrigin::Override => (Format::parse_override(&entry.pattern), OrderEvidence::Override),
        };
        let format = format.map_err(|source| ProfileError::Pattern {
            pattern: entry.pattern.clone(),
            source,
        })?;
        Ok(ProfileEntry {
            offset: entry.offset,
            format,
            locator: match &entry.place {
                StampPlace::Column(column) => Locator::Column(*column),
                StampPlace::After(text) => Locator::After(text.as_slice().into()),
                StampPlace::Scan(bytes) => Locator::Scan(*bytes),
            },
            order,
            year_marks: entry
                .year_marks
                .iter()
                .map(|&(offset, anchor)| YearMark { offset, anchor })
                .collect(),
        })
    }
}

/// Reads stamps as `logline` does.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoglineStamps;

impl StampReaders for LoglineStamps {
    fn reader(&self, profile: &StampProfile, facts: &HostFacts) -> Result<StampReader, ProfileError> {
        let (profile, zone) = profile.interpret(facts)?;
        let fresh = ProfileReader::new(&profile, zone);
        let mut search = SearchReader {
            reader: fresh.clone(),
            fresh,
            next_offset: 0,
        };
        Ok(Box::new(move |offset, line| search.read(offset, line)))
    }
}

/// Reads lines in the order of a search, which jumps about.
///
/// Inside a repeated hour (F9) the second pass is assumed where the lines in hand don't tell: taken too late, a stamp
/// makes reading begin earlier than need be; taken too early, it could make it begin behind the window.
struct SearchReader {
    reader: ProfileReader,
    /// A reader that has seen nothing, for each jump back.
    fresh: ProfileReader,
    next_offset: u64,
}

impl SearchReader {
    fn read(&mut self, offset: u64, line: &[u8]) -> Option<i64> {
        if offset < self.next_offset {
            self.reader = self.fresh.clone();
        }
        self.next_offset = offset;
        let stamp_ns = self.reader.read_at(line, offset)?;
        let Some((start, end)) = self.reader.fold().ambiguous_time() else {
            return Some(stamp_ns);
        };
        // Both passes together: the first is the first half.
        let length = (end - start) / 2;
        let in_first_pass = (start..start + length).contains(&stamp_ns.div_euclid(NANOS_PER_SECOND));
        let shift_ns = if in_first_pass { length * NANOS_PER_SECOND } else { 0 };
        Some(stamp_ns.saturating_add(shift_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn facts() -> HostFacts {
        HostFacts {
            zone: TimeZone::get("Europe/Rome").expect("a zone"),
            machine_id: String::new(),
            instance: 0,
        }
    }

    fn entry(pattern: &str, place: StampPlace) -> StampEntry {
        StampEntry {
            offset: 0,
            pattern: pattern.to_owned(),
            origin: PatternOrigin::Learned,
            place,
            year_marks: Vec::new(),
        }
    }

    fn reader(entries: Vec<StampEntry>, zone: StampZone) -> Result<StampReader, ProfileError> {
        LoglineStamps.reader(&StampProfile { entries, zone }, &facts())
    }

    /// Lines with their offsets, and the instants they are read as, in seconds.
    #[track_caller]
    fn check(entries: Vec<StampEntry>, zone: StampZone, lines: &[(u64, &str, Option<i64>)]) {
        let mut read = reader(entries, zone).expect("a good profile");
        for (offset, line, expected) in lines {
            let seconds = read(*offset, line.as_bytes()).map(|ns| ns / NANOS_PER_SECOND);
            assert_eq!(seconds, *expected, "{offset} {line}");
        }
    }

    const ISO: &str = "%Y-%m-%d %H:%M:%S";

    #[test]
    fn stamps_are_read_in_the_zone_that_is_sent() {
        let lines = |seconds| [(0, "2026-11-23 07:31:00 x", Some(seconds)), (22, "no stamp", None)];
        let iso = || vec![entry(ISO, StampPlace::Column(0))];
        let utc = 1_795_419_060;
        check(iso(), StampZone::Named("UTC".into()), &lines(utc));
        check(iso(), StampZone::Named("+02:00".into()), &lines(utc - 7200));
        check(iso(), StampZone::Host, &lines(utc - 3600));
        let clf = entry("%d/%b/%Y:%H:%M:%S%?z", StampPlace::After(b"[".to_vec()));
        let line = "::1 - - [23/Nov/2026:07:31:00 +0000] \"GET /\"";
        check(vec![clf], StampZone::Host, &[(0, line, Some(utc))]);
    }

    #[test]
    fn years_and_formats_go_by_offset_also_when_the_search_jumps_back() {
        let mut syslog = entry("%b %e %H:%M:%S", StampPlace::Column(0));
        syslog.year_marks = vec![(0, 1_767_139_200), (1000, 1_798_675_200)];
        let later = StampEntry {
            offset: 5000,
            ..entry(ISO, StampPlace::Column(0))
        };
        let lines = [
            (2000, "Dec 31 00:00:00 x", Some(1_798_675_200)),
            (10, "Dec 31 00:00:00 x", Some(1_767_139_200)),
            (6000, "2026-12-31 00:00:00", Some(1_798_675_200)),
            (6100, "Dec 31 00:00:00 x", None),
            (10, "2026-12-31 00:00:00", None),
        ];
        check(vec![syslog, later], StampZone::Named("UTC".into()), &lines);
    }

    #[test]
    fn in_a_repeated_hour_the_later_instant_is_taken() {
        // In Rome 02:00 to 03:00 comes twice on 2026-10-25: at 00:00 and at 01:00 UTC.
        let midnight = 1_792_886_400;
        let lines = [
            (0, "2026-10-25 01:59:00", Some(midnight - 60)),
            (20, "2026-10-25 02:30:00", Some(midnight + 5400)),
            (40, "2026-10-25 02:10:00", Some(midnight + 4200)),
            (60, "2026-10-25 03:00:00", Some(midnight + 7200)),
            (0, "2026-10-25 02:59:59", Some(midnight + 7199)),
        ];
        check(vec![entry(ISO, StampPlace::Column(0))], StampZone::Host, &lines);
    }

    #[test]
    fn the_wire_form_stands_for_the_same_profile() {
        let learned = ProfileEntry {
            offset: 77,
            format: Format::parse("%d/%b/%Y:%H:%M:%S%?z").expect("a format"),
            locator: Locator::After(Box::new(*b"[")),
            order: OrderEvidence::Unambiguous,
            year_marks: vec![YearMark { offset: 9, anchor: -3 }],
        };
        let given = ProfileEntry {
            offset: 99,
            ..ProfileEntry::new(
                Format::parse_override("%d.%m.%Y %H:%M:%S").expect("a format"),
                Locator::Scan(80),
            )
        };
        let profile = Profile {
            entries: vec![learned, given],
            lateness_ns: logline::stamp::profile::LATENESS_NS_MIN,
        };
        let wire = StampProfile::new(&profile, StampZone::Host);
        let bytes = rmp_serde::to_vec_named(&wire).expect("encodes");
        let wire: StampProfile = rmp_serde::from_slice(&bytes).expect("decodes");
        let (back, zone) = wire.interpret(&facts()).expect("is good");
        assert_eq!((back, zone.to_string().as_str()), (profile, "Europe/Rome"));
        // Loosened again, not just the same text.
        let loose = ProfileReader::new(
            &Profile::from(ProfileEntry::try_from(&wire.entries[1]).expect("good")),
            zone,
        )
        .read_at(b"3.1.2026 07:00:00", 99);
        assert!(loose.is_some());
    }

    #[test]
    fn a_profile_that_makes_no_sense_says_why() {
        let why = |entries, zone| match reader(entries, zone) {
            Ok(_) => "it is good".to_owned(),
            Err(error) => error.to_string(),
        };
        let iso = || entry(ISO, StampPlace::Column(0));
        assert!(why(vec![], StampZone::Host).contains("no entries"));
        assert!(why(vec![iso(); ENTRIES_MAX + 1], StampZone::Host).contains("257 entries"));
        assert!(why(vec![entry("%Q", StampPlace::Column(0))], StampZone::Host).contains("`%Q`"));
        assert!(why(vec![entry(&"x".repeat(600), StampPlace::Column(0))], StampZone::Host).contains("600 bytes"));
        assert!(why(vec![iso()], StampZone::Named("Mars/Olympus".into())).contains("Mars/Olympus"));
        let unnamed = HostFacts {
            zone: TimeZone::fixed(jiff::tz::offset(3)),
            machine_id: String::new(),
            instance: 0,
        };
        let profile = StampProfile {
            entries: vec![iso()],
            zone: StampZone::Host,
        };
        let refused = LoglineStamps
            .reader(&profile, &unnamed)
            .err()
            .map(|error| error.to_string());
        assert!(refused.expect("refused").contains("+02:00"));
    }
}
