//! What is learned of a generation from its bytes (F8): how its lines are stamped, how its fields are cut, and the key
//! that its counts are kept by.

use crate::protocol::{KeptLife, KeptProfile};
use agent::profile::{StampProfile, StampZone, YEAR_MARKS_MAX};
use agent::protocol::{HostZone, ZoneName};
use logline::boundary::{Boundary, RecordStamps};
use logline::fields::Rule;
use logline::records::Stamps;
use logline::stamp::profile::{LATENESS_NS_MAX, LATENESS_NS_MIN, OrderEvidence};
use logline::stamp::{
    Detection, FileStamps, Format, Precision, Profile, ProfileEntry, SAMPLE_BYTES, StampReader, YearMark, YearWalk,
    Zone, learn,
};
use logline::text::{Encoding, Form, learn_text};
use xxhash_rust::xxh3::Xxh3;

/// Bytes of the first stamped line that go into a generation's key.
const KEY_LINE_BYTES: usize = 4096;
/// Lines of a stretch without stamps in which a new format must find stamps: less is a dump with dates in it.
const RELEARN_SHARE_MIN: f64 = 0.5;
/// Formats learned within one file; a file that changes more often keeps the last.
const FORMATS_MAX: usize = 64;
/// Years go on from a new anchor when the last is this old: half of what a stamp may lie away from its anchor.
const ANCHOR_SECONDS: i64 = 90 * 86_400;
/// Why a log without dates is not counted: a part of it does not tell on which day it was written, and a silence of a
/// day leaves no trace.
const DAYLESS: &str = "its stamps say a time of day and no date, so that no window can be proved: let the application \
    write dates; `sunfire eval` counts such a file as a whole";
/// A profile's version is that of its sample, and above these bits the number of formats that came later.
const APPENDED_SHIFT: u32 = 20;

/// What learning needs to know beside the bytes.
#[derive(Debug, Clone)]
pub(super) struct Circumstances {
    /// A format that the monitor gives.
    pub(super) format: Option<Format>,
    /// Zone of stamps without one.
    pub(super) zone: Zone,
    /// The same, as agents understand it.
    pub(super) stamp_zone: StampZone,
    /// When the file was last written, seconds since the epoch: the anchor of years.
    pub(super) written_seconds: i64,
    /// Which lines may begin a record.
    pub(super) records: Option<Boundary>,
    /// The encoding, if the monitor gives it.
    pub(super) encoding: Option<Encoding>,
}

/// The zone that a host says it has, for itself and for its agent; `None` if it says nothing that makes sense.
pub(crate) fn zone_of_host(zone: &HostZone) -> Option<(Zone, StampZone)> {
    let fixed = || {
        let (sign, seconds) = (
            if zone.offset_seconds < 0 { '-' } else { '+' },
            zone.offset_seconds.unsigned_abs(),
        );
        let name = format!("{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
        (Zone::fixed(zone.offset_seconds), StampZone::Named(name))
    };
    match &zone.name {
        ZoneName::Iana(name) => Some(Zone::parse(name).map_or_else(|_| fixed(), |zone| (zone, StampZone::Host))),
        ZoneName::Unnamed => Some(fixed()),
        ZoneName::Unknown => None,
    }
}

/// What was learned of a generation.
#[derive(Debug, Clone)]
pub(super) struct Learned {
    /// Hash of the first stamped line and its place: the same for a copy of the file, another for any other file. It
    /// tells files apart, not records, so it is also of a line that begins none.
    pub(super) key: u64,
    /// The same as it was before it was known that another file begins so too, and `key` had to become another.
    pub(super) content_key: u64,
    /// Stamp of that line.
    pub(super) first_ns: i64,
    profile: Profile,
    zone: Zone,
    stamp_zone: StampZone,
    records: Option<Boundary>,
    /// How bytes are text.
    form: Form,
    /// Bytes that were looked at.
    pub(super) sample_bytes: u64,
    /// Formats that were learned later in the file.
    appended: u32,
    /// How fields are cut, if that is recognised.
    pub(super) rule: Option<Rule>,
}

impl Learned {
    /// Learns from whole lines: the file's first bytes up to `SAMPLE_BYTES`, or, where those have no stamp, a later
    /// sample from the beginning of a line at `offset`.
    ///
    /// # Errors
    /// Why there are no stamps to count by, for people.
    pub(super) fn from_sample(sample: &[u8], offset: u64, known: &Circumstances) -> Result<Self, String> {
        let (form, detection) = learn_text(sample, known.encoding, known.format.as_ref());
        let mut profile = match detection {
            Detection::Stamped(detected) if is_dayless(&detected.profile) => return Err(DAYLESS.to_owned()),
            Detection::Stamped(detected) => detected.profile,
            Detection::TooCoarse { why, .. } | Detection::Unstamped { why } => return Err(why),
        };
        let lines = form.lines(sample, offset);
        set_years(&mut profile, &lines, offset + sample.len() as u64, known);
        let mut stamps = FileStamps::new(&profile, &known.zone);
        let mut stamped = lines.iter();
        let first = stamped.find_map(|(at, line)| Some((at, line, stamps.read(line, *at)?)));
        let (at, line, first_ns) = first.ok_or("no line has a whole stamp yet")?;
        let mut key = Xxh3::new();
        key.update(&at.to_le_bytes());
        key.update(&line[..line.len().min(KEY_LINE_BYTES)]);
        Ok(Self {
            key: key.digest(),
            content_key: key.digest(),
            first_ns,
            profile,
            zone: known.zone.clone(),
            stamp_zone: known.stamp_zone.clone(),
            records: known.records.clone(),
            form,
            sample_bytes: offset + sample.len() as u64,
            appended: 0,
            rule: rule_of(form, sample),
        })
    }

    /// What was kept of a generation, and the bytes that teach how its fields are cut: whole lines from `offset` on.
    /// `None` if it makes no sense here: it is of another monitor's overrides, breaks a bound, or no line has a stamp
    /// by it.
    pub(super) fn from_kept(kept: &KeptProfile, sample: &[u8], offset: u64, known: &Circumstances) -> Option<Self> {
        let entries = kept.stamps.entries().ok()?;
        let is_lateness = (LATENESS_NS_MIN..=LATENESS_NS_MAX).contains(&kept.lateness_ns);
        let given = entries.first().filter(|entry| entry.order == OrderEvidence::Override);
        let pattern = known.format.as_ref().map(Format::pattern);
        if !is_lateness || given.map(|entry| entry.format.pattern()) != pattern {
            return None;
        }
        let (zone, stamp_zone) = match &kept.stamps.zone {
            zone if *zone == known.stamp_zone => (known.zone.clone(), zone.clone()),
            StampZone::Named(name) => (Zone::parse(name).ok()?, kept.stamps.zone.clone()),
            StampZone::Host => return None,
        };
        let profile = Profile {
            entries,
            lateness_ns: kept.lateness_ns,
        };
        let form = Form::detect(sample, known.encoding);
        let mut stamps = FileStamps::new(&profile, &zone);
        let lines = form.lines(sample, offset);
        let first_ns = lines.iter().find_map(|(at, line)| stamps.read(line, *at))?;
        let taught = usize::try_from(kept.sample_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let learned = Self {
            key: kept.generation,
            content_key: kept.generation,
            first_ns,
            profile,
            zone,
            stamp_zone,
            sample_bytes: kept.sample_bytes,
            appended: kept.appended,
            records: known.records.clone(),
            form,
            rule: rule_of(form, &sample[..taught.min(sample.len())]),
        };
        (learned.version() == kept.version).then_some(learned)
    }

    /// As a Brain keeps it, of a generation of such a life.
    pub(super) fn to_kept(&self, life: KeptLife) -> KeptProfile {
        KeptProfile {
            generation: self.key,
            version: self.version(),
            sample_bytes: self.sample_bytes,
            appended: self.appended,
            stamps: self.for_agent(),
            lateness_ns: self.profile.lateness_ns,
            life: Some(life),
        }
    }

    /// Adds the format of a stretch without stamps that begins at `offset`, if there is one; whether there was.
    pub(super) fn append(&mut self, sample: &[u8], offset: u64, known: &Circumstances) -> bool {
        // A container runtime's stamps do not change.
        if self.profile.entries.len() >= FORMATS_MAX || !self.form.is_plain() {
            return false;
        }
        let Detection::Stamped(detected) = learn(sample) else {
            return false;
        };
        if detected.share() < RELEARN_SHARE_MIN || is_dayless(&detected.profile) {
            return false;
        }
        let mut profile = detected.profile;
        set_years(&mut profile, &self.form.lines(sample, 0), sample.len() as u64, known);
        self.profile.append(offset, profile);
        self.appended += 1;
        true
    }

    /// Goes on with the years of stamps without one: bytes from `offset` on were written at this time. The mark if one
    /// was needed.
    pub(super) fn go_on(&mut self, offset: u64, written_seconds: i64) -> Option<YearMark> {
        let last = |entry: &ProfileEntry| entry.year_marks.last().map(|mark| mark.anchor);
        let lacking = self.profile.entries.iter().filter(|entry| entry.format.lacks_year());
        let anchor = lacking.filter_map(last).max()?;
        let marks = self
            .profile
            .entries
            .iter()
            .map(|entry| entry.year_marks.len())
            .sum::<usize>();
        if written_seconds.saturating_sub(anchor) < ANCHOR_SECONDS || marks >= YEAR_MARKS_MAX {
            return None;
        }
        let mark = YearMark {
            offset,
            anchor: written_seconds,
        };
        self.profile.add_mark(mark);
        self.appended += 1;
        Some(mark)
    }

    /// Whether reading by either gives the same.
    pub(super) fn reads_like(&self, other: &Self) -> bool {
        let same_stamps = self
            .profile
            .entries
            .iter()
            .zip(&other.profile.entries)
            .all(|(ours, theirs)| {
                ours.format == theirs.format && ours.locator == theirs.locator && ours.offset == theirs.offset
            });
        let rule = |learned: &Self| learned.rule.as_ref().map(|rule| format!("{rule:?}"));
        same_stamps
            && self.profile.entries.len() == other.profile.entries.len()
            && self.profile.lateness_ns == other.profile.lateness_ns
            && rule(self) == rule(other)
    }

    /// Lateness as it was learned, in nanoseconds.
    pub(super) fn lateness_ns(&self) -> i64 {
        self.profile.lateness_ns
    }

    /// What finds the stamps of records.
    pub(super) fn stamps(&self) -> RecordStamps {
        let stamps = FileStamps::new(&self.profile, &self.zone);
        RecordStamps::new(stamps, self.records.as_ref()).with_form(self.form)
    }

    /// How bytes are text.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Which lines may begin a record, if the user says so.
    pub(super) fn records(&self) -> Option<&Boundary> {
        self.records.as_ref()
    }

    /// The profile for an agent's search. The search takes all stamped lines for records: if all stamps of a block lie
    /// before a window, those of records do too. As without a pattern, a block of nothing but late stamps misleads it.
    pub(super) fn for_agent(&self) -> StampProfile {
        StampProfile::new(&self.profile, self.stamp_zone.clone())
    }

    /// Rises whenever more of the file was looked at.
    pub(super) fn version(&self) -> u32 {
        let sample = u32::try_from(self.sample_bytes).unwrap_or(u32::MAX) & ((1 << APPENDED_SHIFT) - 1);
        self.appended << APPENDED_SHIFT | sample
    }

    /// Says how many bytes of the file were looked at. A full sample teaches no more, though its last line was cut off:
    /// its whole lines are nearly always a little less, and would be learned from anew at every pull.
    pub(super) fn looked_at(&mut self, bytes: u64) {
        if bytes >= SAMPLE_BYTES as u64 {
            self.sample_bytes = self.sample_bytes.max(bytes);
        }
    }

    /// Whether more bytes of a file of this size could teach more: it has doubled since, below the size of a sample.
    pub(super) fn wants_more(&self, size: u64) -> bool {
        let sample = SAMPLE_BYTES as u64;
        self.sample_bytes < sample && size >= (self.sample_bytes * 2).min(sample) && self.appended == 0
    }
}

/// Whether stamps are times of day.
fn is_dayless(profile: &Profile) -> bool {
    let mut formats = profile.entries.iter().map(|entry| entry.format.precision());
    formats.any(|precision| precision == Precision::TimeOfDay)
}

/// How fields are cut in a log of which this is a sample.
fn rule_of(form: Form, sample: &[u8]) -> Option<Rule> {
    let detected = match form.is_plain() {
        true => Rule::detect(sample, None),
        false => Rule::detect(&form.unwrapped(sample), None),
    };
    detected.map(|detected| detected.rule)
}

/// Gives year-less stamps of a sample their years, and those behind it too: the last were written just now.
fn set_years(profile: &mut Profile, lines: &[(u64, Vec<u8>)], end: u64, known: &Circumstances) {
    for entry in profile.entries.iter_mut().filter(|entry| entry.format.lacks_year()) {
        let mut walk = YearWalk::new(StampReader::new(entry, known.zone.clone()));
        let may_begin = |line: &[u8]| known.records.as_ref().is_none_or(|records| records.may_begin(line));
        let of_records = lines.iter().filter(|(_, line)| may_begin(line));
        of_records.for_each(|(at, line)| walk.feed(*at, line));
        entry.year_marks = walk.finish(known.written_seconds, &known.zone);
        entry.year_marks.push(YearMark {
            offset: end,
            anchor: known.written_seconds,
        });
    }
}

#[cfg(test)]
mod tests;
