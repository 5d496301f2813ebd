//! What is learned of a generation from its bytes (F8): how its lines are stamped, how its fields are cut, and the key
//! that its counts are kept by.

use crate::protocol::{KeptLife, KeptProfile};
use agent::content::tail_hash_of;
use agent::profile::{StampProfile, StampZone, YEAR_MARKS_MAX};
use agent::protocol::{HostZone, TailHash, ZoneName};
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
/// Why a file without dates is not counted that nobody saw being written.
const DAYLESS: &str = "its stamps say a time of day and no date, and it was not seen to be written, so that no window \
    can be proved: let the application write dates; `sunfire eval` counts such a file as a whole";
/// A profile's version is that of its sample, and above these bits the number of formats that came later.
const APPENDED_SHIFT: u32 = 20;
/// As many as a version has room for; what comes later makes it no newer.
const APPENDED_MAX: u32 = (1 << (32 - APPENDED_SHIFT)) - 1;

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
    /// From where on its bytes were seen to come, and since when: what dates times of day. `None` if nobody saw it.
    pub(super) seen_from: Option<YearMark>,
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
    /// Stamp of that line; the least there is if it has no date.
    pub(super) first_ns: i64,
    profile: Profile,
    zone: Zone,
    stamp_zone: StampZone,
    records: Option<Boundary>,
    /// How bytes are text.
    form: Form,
    /// Bytes that were looked at.
    pub(super) sample_bytes: u64,
    /// Formats and marks that were learned later in the file.
    appended: u32,
    /// What stands before the last mark, of stamps without a date.
    tail: Option<TailHash>,
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
            Detection::Stamped(detected) => detected.profile,
            Detection::TooCoarse { why, .. } | Detection::Unstamped { why } => return Err(why),
        };
        let lines = form.lines(sample, offset);
        let is_dayless = is_dayless(&profile);
        if is_dayless {
            // From the middle of a file, not every form can be read.
            let seen_from = known
                .seen_from
                .filter(|mark| mark.offset == 0 || !form.is_read_from_the_beginning());
            set_days(&mut profile, seen_from.ok_or(DAYLESS)?);
        } else {
            set_years(&mut profile, &lines, offset + sample.len() as u64, known);
        }
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
            first_ns: first_dated_ns(&profile, first_ns),
            profile,
            zone: known.zone.clone(),
            stamp_zone: known.stamp_zone.clone(),
            records: known.records.clone(),
            form,
            sample_bytes: offset + sample.len() as u64,
            appended: 0,
            // Before a file's first byte stands nothing.
            tail: known.seen_from.filter(|_| is_dayless).and_then(tail_at_beginning),
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
            first_ns: first_dated_ns(&profile, first_ns),
            profile,
            zone,
            stamp_zone,
            sample_bytes: kept.sample_bytes,
            appended: kept.appended,
            tail: kept.tail,
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
            tail: self.tail,
            life: Some(life),
        }
    }

    /// The first mark of stamps without a date, if they have none.
    pub(super) fn first_day_mark(&self) -> Option<YearMark> {
        self.day_marks().first().copied()
    }

    /// The last one.
    pub(super) fn last_day_mark(&self) -> Option<YearMark> {
        self.day_marks().last().copied()
    }

    fn day_marks(&self) -> &[YearMark] {
        let mut entries = self.profile.entries.iter();
        let dayless = entries.find(|entry| entry.format.precision() == Precision::TimeOfDay);
        dayless.map_or(&[], |entry| &entry.year_marks)
    }

    /// Dates stamps from a mark on, which takes the place of all others.
    pub(super) fn date_from(&mut self, mark: YearMark) {
        set_days(&mut self.profile, mark);
        self.first_ns = first_dated_ns(&self.profile, self.first_ns);
        self.tail = tail_at_beginning(mark);
    }

    /// Goes on with the days from a mark on, before which these bytes stand; whether there was room for one more.
    pub(super) fn mark_day(&mut self, mark: YearMark, tail: TailHash) -> bool {
        if self.day_marks().len() >= YEAR_MARKS_MAX || self.appended >= APPENDED_MAX || tail.offset != mark.offset {
            return false;
        }
        self.profile.add_mark(mark);
        self.appended += 1;
        self.tail = Some(tail);
        true
    }

    /// What stands before a place that may be that of the last mark.
    pub(super) fn note_tail(&mut self, tail: Option<TailHash>) {
        if self.tail.is_none() {
            let of_last = |tail: &TailHash| self.last_day_mark().is_some_and(|mark| mark.offset == tail.offset);
            self.tail = tail.filter(of_last);
        }
    }

    /// How many formats and marks were learned later in the file.
    pub(super) fn appended(&self) -> u32 {
        self.appended
    }

    /// Takes the place of what was learned before, to which so much was appended.
    pub(super) fn teach(&mut self, appended: u32) {
        self.appended = self.appended.max(appended).min(APPENDED_MAX);
    }

    /// Takes over the days of what was learned before of the same file.
    pub(super) fn take_days(&mut self, before: &Self) {
        if let (Some(first), Some(_)) = (before.first_day_mark(), self.first_day_mark()) {
            self.date_from(first);
            let later = before.day_marks().iter().skip(1);
            later.for_each(|mark| self.profile.add_mark(*mark));
            (self.appended, self.tail) = (before.appended, before.tail);
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
        let is_guess = is_dayless(&self.profile) && detected.profile.lacks_year();
        if detected.share() < RELEARN_SHARE_MIN || is_dayless(&detected.profile) || is_guess {
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
        if is_dayless(&self.profile) {
            return None;
        }
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
        let marks_alone = self.profile.entries.len() == 1 && is_dayless(&self.profile);
        self.sample_bytes < sample && size >= (self.sample_bytes * 2).min(sample) && (self.appended == 0 || marks_alone)
    }
}

/// Whether stamps are times of day.
fn is_dayless(profile: &Profile) -> bool {
    let mut formats = profile.entries.iter().map(|entry| entry.format.precision());
    formats.any(|precision| precision == Precision::TimeOfDay)
}

/// Dates times of day from a mark on.
fn set_days(profile: &mut Profile, mark: YearMark) {
    for entry in profile.entries.iter_mut().filter(|entry| entry.format.lacks_year()) {
        entry.year_marks = vec![mark];
    }
}

/// What stands before a mark at a file's beginning: nothing.
fn tail_at_beginning(mark: YearMark) -> Option<TailHash> {
    (mark.offset == 0).then(|| tail_hash_of(0, &[]))
}

/// The stamp of the first line; where that has no date, the earliest that there is: it may be of any time.
fn first_dated_ns(profile: &Profile, first_ns: i64) -> i64 {
    let entry = profile.entries.first().filter(|_| is_dayless(profile));
    let mark = entry
        .and_then(|entry| entry.year_marks.first())
        .filter(|mark| mark.offset > 0);
    mark.map_or(first_ns, |_| i64::MIN)
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
