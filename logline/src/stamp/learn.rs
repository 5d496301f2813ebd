//! Learning a log's stamps from its first bytes: which format, at which place.
//!
//! Every line of the sample votes: each stamp of any known format that it holds speaks for a (format, place) pair, for
//! each of the ways in which its place can be told. [`choose`](super::choose) counts the votes. A function of bytes
//! alone, so that whoever learns from the same file learns the same (F8).

use std::collections::BTreeMap;

use super::choose::{Choice, choose};
use crate::text::{NUL_ENDED, ends_in_nul};

use super::civil::{Stamp, WrittenZone, Year};
use super::fixed;
use super::locate::{Locator, is_name_byte, is_start, unmarked_start};
use super::pattern::{Format, Precision};
use super::profile::{
    CoarseFinding, Detected, Detection, LATENESS_NS_MAX, LATENESS_NS_MIN, OrderEvidence, Profile, ProfileEntry,
    ZoneSource,
};
use super::show;
use super::table::table;
use super::year::day_turns;

/// How much of a file is looked at: 64 KiB, a few hundred lines.
pub const SAMPLE_BYTES: usize = 64 * 1024;
/// Stamps of one line that are looked at; a line with more is a dump.
const STAMPS_PER_LINE_MAX: usize = 16;
/// A prefix without letters up to this long is part of the layout: `[`, `("`.
const PUNCTUATION_PREFIX_MAX: usize = 2;
/// Longest key with its quotes that is taken for a place.
const KEY_BYTES_MAX: usize = 40;
/// Longest run of punctuation that is taken for a place.
const RUN_BYTES_MAX: usize = 4;
/// Back-steps over this are no usual lateness but another clock: one hour.
const USUAL_BACK_STEP_NS: i64 = 3_600_000_000_000;
/// A day.
const DAY_NS: i64 = 86_400_000_000_000;
/// Names that programs give the time of an event.
const TIME_KEYS: [&str; 16] = [
    "time",
    "timestamp",
    "@timestamp",
    "ts",
    "t",
    "date",
    "datetime",
    "@t",
    "$date",
    "eventtime",
    "event_time",
    "log_time",
    "logtime",
    "asctime",
    "time_local",
    "time_iso8601",
];

/// Where one line has a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Index of the line in the sample.
    pub line: usize,
    /// First byte of the stamp.
    pub start: usize,
    /// The byte after it.
    pub end: usize,
}

/// How a place tells itself apart, the better first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PlaceKind {
    /// At the beginning of the line, or after its bracket.
    Column,
    /// After a key with a name for time.
    TimeKey,
    /// After another key.
    Key,
    /// After punctuation.
    Punctuation,
    /// Anywhere.
    Anywhere,
}

/// A format at a place, and the lines that have it there.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// The format's place in the table: the earlier is meant where two read alike.
    pub rank: u16,
    pub format: Format,
    pub locator: Locator,
    pub kind: PlaceKind,
    /// One a line, in their order.
    pub seen: Vec<Seen>,
}

/// The lines that are looked at.
pub(super) struct Sample<'a> {
    pub lines: Vec<&'a [u8]>,
    /// How many of them are not empty.
    pub filled: usize,
}

impl<'a> Sample<'a> {
    /// The complete lines of a file's first bytes; if there is none, all of them as one.
    fn new(bytes: &'a [u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(SAMPLE_BYTES)];
        let end = memchr::memrchr(b'\n', bytes).unwrap_or(bytes.len());
        let strip = |line: &'a [u8]| line.strip_suffix(b"\r").unwrap_or(line);
        let lines: Vec<&[u8]> = bytes[..end].split(|byte| *byte == b'\n').map(strip).collect();
        let filled = lines.iter().filter(|line| !line.is_empty()).count();
        Sample { lines, filled }
    }
}

/// Learns how the lines of a log are stamped from its first [`SAMPLE_BYTES`]; more is ignored. Costs some ten
/// milliseconds at the worst.
pub fn learn(sample: &[u8]) -> Detection {
    if ends_in_nul(sample) {
        return nul_ended();
    }
    let sample = Sample::new(sample);
    let candidates = collect(&sample, for_each_stamp, places_of, |rank| table().format(rank).clone());
    let choice = choose(&sample, &candidates);
    let weak = choice.as_ref().is_none_or(|choice| is_weak(&sample, choice.candidate));
    if let Some(candidate) = weak.then(|| fixed::find(&sample)).flatten() {
        return Detection::Stamped(Box::new(detected(&sample, Choice::only(&candidate))));
    }
    if let Some(choice) = choice {
        return Detection::Stamped(Box::new(detected(&sample, choice)));
    }
    let coarse = candidates
        .iter()
        .filter(|candidate| precision(candidate) == Precision::TooCoarse);
    match super::choose::choose_coarse(&sample, coarse) {
        Some(candidate) => too_coarse(&sample, candidate),
        None => Detection::Unstamped {
            why: unstamped(&sample, &candidates),
        },
    }
}

/// Learns where the stamps of a format stand that a monitor names ([`Format::parse_override`]). It is believed: no
/// other format is looked for.
pub fn learn_as(sample: &[u8], format: &Format) -> Detection {
    if ends_in_nul(sample) {
        return nul_ended();
    }
    let sample = Sample::new(sample);
    let visit_line = |line: &[u8], visit: &mut dyn FnMut(u16, usize, usize)| {
        let mut at = 0;
        while at < line.len() {
            let end = format.match_at(line, at).map(|(_, end)| end);
            if let Some(end) = end {
                visit(0, at, end);
            }
            // What lies inside a stamp is none of its own; where one begins in a longer number, all lines must tell.
            at = end.filter(|_| !format.is_fixed()).unwrap_or(at).max(at + 1);
        }
    };
    let places: Places = if format.is_fixed() { fixed::places_of } else { places_of };
    let candidates = collect(&sample, visit_line, places, |_| format.clone());
    let Some(choice) = choose(&sample, &candidates) else {
        let why = format!(
            "no consistent place of a stamp like `{format}` in {} lines",
            sample.filled
        );
        return Detection::Unstamped { why };
    };
    let order = OrderEvidence::Override;
    Detection::Stamped(Box::new(detected(&sample, Choice { order, ..choice })))
}

/// Whether a stamp is at no telling place of most lines: it could be text of records that are stamped otherwise.
fn is_weak(sample: &Sample<'_>, candidate: &Candidate) -> bool {
    let telling = matches!(candidate.kind, PlaceKind::Column | PlaceKind::TimeKey);
    !telling && candidate.seen.len() * 2 < sample.filled
}

fn nul_ended() -> Detection {
    Detection::Unstamped {
        why: NUL_ENDED.to_owned(),
    }
}

pub(super) fn precision(candidate: &Candidate) -> Precision {
    candidate.format.precision()
}

/// The ways in which the place of the stamp that begins at a byte of a line can be told.
type Places = fn(&[u8], usize) -> Vec<(Locator, PlaceKind)>;

/// All candidates, in an order that depends on the bytes alone.
fn collect(
    sample: &Sample<'_>,
    visit_line: impl Fn(&[u8], &mut dyn FnMut(u16, usize, usize)),
    places_of: Places,
    format_of: impl Fn(u16) -> Format,
) -> Vec<Candidate> {
    let mut found: BTreeMap<(u16, Locator), (PlaceKind, Vec<Seen>)> = BTreeMap::new();
    for (index, line) in sample.lines.iter().enumerate() {
        visit_line(line, &mut |rank, start, end| {
            let seen = Seen {
                line: index,
                start,
                end,
            };
            for (locator, kind) in places_of(line, start) {
                let (_, lines) = found.entry((rank, locator)).or_insert_with(|| (kind, Vec::new()));
                if lines.last().is_none_or(|last| last.line != index) {
                    lines.push(seen);
                }
            }
        });
    }
    let candidate = |((rank, locator), (kind, seen))| Candidate {
        rank,
        format: format_of(rank),
        locator,
        kind,
        seen,
    };
    found.into_iter().map(candidate).collect()
}

/// Calls `visit` with format, start and end of the stamps of a line from left to right; what lies inside a stamp is
/// none of its own.
fn for_each_stamp(line: &[u8], visit: &mut dyn FnMut(u16, usize, usize)) {
    let (mut at, mut stamps) = (0, 0);
    while at < line.len() && stamps < STAMPS_PER_LINE_MAX {
        let mut longest = at;
        if is_start(line, at) {
            table().for_each_candidate(line, at, |format| {
                if let Some(end) = table().format(format).match_end(line, at) {
                    visit(format, at, end);
                    longest = longest.max(end);
                }
            });
        }
        stamps += usize::from(longest > at);
        at = longest.max(at + 1);
    }
}

/// The ways in which the place of a stamp can be told.
fn places_of(line: &[u8], start: usize) -> Vec<(Locator, PlaceKind)> {
    let mut places = vec![(Locator::Scan(0), PlaceKind::Anywhere)];
    let prefix = &line[..start];
    if start == 0 || start == unmarked_start(line) {
        places.push((Locator::Column(0), PlaceKind::Column));
        return places;
    }
    let layout = prefix.iter().all(|byte| byte.is_ascii_punctuation());
    if start <= PUNCTUATION_PREFIX_MAX && layout {
        places.push((Locator::Column(start as u32), PlaceKind::Column));
    }
    if let Some((key, kind)) = key_before(prefix) {
        places.push((Locator::After(key.into()), kind));
    }
    places.push((
        Locator::After(punctuation_before(prefix).into()),
        PlaceKind::Punctuation,
    ));
    places
}

/// The key that a prefix ends with, from its name to the last byte: `"time":"`, `t=`, `time: `. A bare word before a
/// colon is a key only if it is a name for time; else it is more likely a level or a module.
fn key_before(prefix: &[u8]) -> Option<(&[u8], PlaceKind)> {
    let trim = |text: &[u8], bytes: &[u8]| text.iter().rev().take_while(|byte| bytes.contains(byte)).count();
    let mut end = prefix.len() - trim(prefix, b"\"'\\ ");
    let separator = *end
        .checked_sub(1)
        .and_then(|last| prefix.get(last))
        .filter(|byte| b":=".contains(byte))?;
    end -= 1;
    end -= trim(&prefix[..end], b" ");
    let quotes = trim(&prefix[..end], b"\"'\\");
    end -= quotes;
    let name_length = prefix[..end]
        .iter()
        .rev()
        .take_while(|byte| is_name_byte(**byte))
        .count();
    let name = &prefix[end - name_length..end];
    let start = end - name_length - quotes.min(end - name_length);
    if name.is_empty() || prefix.len() - start > KEY_BYTES_MAX {
        return None;
    }
    let for_time = std::str::from_utf8(name).is_ok_and(|name| TIME_KEYS.contains(&&*name.to_ascii_lowercase()));
    match (for_time, quotes, separator) {
        (true, _, _) => Some((&prefix[start..], PlaceKind::TimeKey)),
        (false, 0, b':') => None,
        (false, _, _) => Some((&prefix[start..], PlaceKind::Key)),
    }
}

/// The punctuation that a prefix ends with: `[`, `::`, or a single space.
fn punctuation_before(prefix: &[u8]) -> &[u8] {
    let run = prefix
        .iter()
        .rev()
        .take(RUN_BYTES_MAX)
        .take_while(|byte| !byte.is_ascii_alphanumeric())
        .count();
    let run = &prefix[prefix.len() - run.max(1)..];
    match run.split_last() {
        Some((b' ', _)) => &run[run.len() - 1..],
        _ => memchr::memrchr(b' ', run).map_or(run, |space| &run[space + 1..]),
    }
}

/// What the choice means for reading and for people.
fn detected(sample: &Sample<'_>, choice: Choice<'_>) -> Detected {
    let candidate = choice.candidate;
    let format = candidate.format.clone();
    let locator = match &candidate.locator {
        Locator::Scan(_) => Locator::Scan(scan_reach(&candidate.seen)),
        other => other.clone(),
    };
    let first = candidate.seen[0];
    let entry = ProfileEntry {
        order: choice.order,
        ..ProfileEntry::new(format.clone(), locator)
    };
    let lateness_ns = learned_lateness(&walls(sample, candidate));
    let mut detected = Detected {
        profile: Profile {
            entries: vec![entry],
            lateness_ns,
        },
        format: show::format_as_written(&format, sample.lines[first.line], first.start),
        column: first.start,
        zone: zone_source(sample, candidate),
        stamped_lines: candidate.seen.len(),
        sampled_lines: sample.filled,
        confidence: 0.0,
        why: String::new(),
    };
    detected.confidence = confidence(candidate, choice.order, detected.share());
    detected.why = show::why(&detected, &choice);
    detected
}

/// How many bytes to look through for stamps that stood where these do: twice as far, at least 256.
fn scan_reach(seen: &[Seen]) -> u32 {
    let farthest = seen.iter().map(|seen| seen.start).max().unwrap_or(0);
    (farthest * 2).max(256).next_power_of_two() as u32
}

/// A sample's stamps in nanoseconds, naive ones as if in UTC, year-less ones in one leap year, times of day on
/// days that go on at midnight. Good for differences.
pub(super) fn walls(sample: &Sample<'_>, candidate: &Candidate) -> Vec<i64> {
    let format = &candidate.format;
    let wall = |seen: &Seen| match format.match_at(sample.lines[seen.line], seen.start)?.0 {
        Stamp::Instant(unix_ns) => Some(unix_ns),
        Stamp::Civil(civil) => {
            let seconds = match civil.year {
                _ if civil.lacks_date() => civil.seconds_of_day(),
                Year::Written(year) => civil.wall_seconds(year),
                Year::Absent => civil.wall_seconds(2000),
            };
            let zone = match civil.zone {
                WrittenZone::Offset(offset) => i64::from(offset),
                WrittenZone::Absent | WrittenZone::Named(_) | WrittenZone::Unknown => 0,
            };
            (seconds - zone)
                .checked_mul(1_000_000_000)?
                .checked_add(i64::from(civil.nanos))
        }
    };
    let mut walls: Vec<i64> = candidate.seen.iter().filter_map(wall).collect();
    if format.precision() == Precision::TimeOfDay {
        go_on_at_midnight(&mut walls);
    }
    walls
}

/// Adds a day wherever times of day jump back.
fn go_on_at_midnight(walls: &mut [i64]) {
    let (mut days, mut last) = (0, None);
    for wall in walls {
        let moved = last.map_or(0, |last| *wall - last);
        days += i64::from(day_turns(moved / 1_000_000_000));
        last = Some(*wall);
        *wall += days * DAY_NS;
    }
}

/// Twice the largest usual back-step, within bounds. A stamp that most of its eight successors lie far below is wild
/// (F3) and sets no mark to be behind of.
fn learned_lateness(walls: &[i64]) -> i64 {
    let (mut greatest, mut largest) = (i64::MIN, 0);
    for (index, &wall) in walls.iter().enumerate() {
        let back = greatest.saturating_sub(wall);
        if (1..=USUAL_BACK_STEP_NS).contains(&back) {
            largest = largest.max(back);
        }
        let far_below = |next: &&i64| **next < wall.saturating_sub(USUAL_BACK_STEP_NS);
        if walls[index + 1..].iter().take(8).filter(far_below).count() < 5 {
            greatest = greatest.max(wall);
        }
    }
    (largest * 2).clamp(LATENESS_NS_MIN, LATENESS_NS_MAX)
}

fn zone_source(sample: &Sample<'_>, candidate: &Candidate) -> ZoneSource {
    let format = &candidate.format;
    if format.precision() == Precision::Epoch {
        return ZoneSource::Epoch;
    }
    let written = |seen: &&Seen| {
        let stamp = format.match_at(sample.lines[seen.line], seen.start);
        matches!(stamp, Some((Stamp::Civil(civil), _)) if civil.zone != WrittenZone::Absent)
    };
    match candidate.seen.iter().filter(written).count() {
        0 => ZoneSource::Naive,
        count if count == candidate.seen.len() => ZoneSource::InLine,
        _ => ZoneSource::Mixed,
    }
}

/// A rule of thumb, monotone in what it looks at: a better place, more lines, a larger share, a certain order.
fn confidence(candidate: &Candidate, order: OrderEvidence, share: f64) -> f64 {
    let place = match candidate.kind {
        PlaceKind::Column => 0.99,
        PlaceKind::TimeKey | PlaceKind::Key => 0.5 + 0.48 * share,
        PlaceKind::Punctuation => 0.45 + 0.5 * share,
        PlaceKind::Anywhere => 0.2 + 0.5 * share,
    };
    let lines = candidate.seen.len() as f64;
    let order = if order == OrderEvidence::Preference { 0.6 } else { 1.0 };
    let order = match precision(candidate) {
        // A silence of a day leaves no trace in it.
        Precision::TimeOfDay => 0.5,
        // An id made of the time looks the same.
        _ if candidate.format.is_fixed() => 0.6,
        _ => order,
    };
    (place * order * lines / (lines + 0.2) * 100.0).round() / 100.0
}

fn too_coarse(sample: &Sample<'_>, candidate: &Candidate) -> Detection {
    let first = candidate.seen[0];
    let text = &sample.lines[first.line][first.start..];
    let finding = CoarseFinding {
        format: show::format_as_written(&candidate.format, sample.lines[first.line], first.start),
        lines: candidate.seen.len(),
        example: String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned(),
    };
    let why = format!(
        "{} of {} lines have a stamp like `{}` {}, which does not say a minute of a day: nothing can be counted by it",
        finding.lines, sample.filled, finding.format, candidate.locator,
    );
    Detection::TooCoarse { finding, why }
}

fn unstamped(sample: &Sample<'_>, candidates: &[Candidate]) -> String {
    let best = candidates
        .iter()
        .filter(|candidate| precision(candidate) != Precision::TooCoarse);
    match best.max_by_key(|candidate| candidate.seen.len()) {
        None => format!("none of {} lines has a known timestamp", sample.filled),
        Some(best) => format!(
            "{} of {} lines hold something like `{}`, too few or at too different places to be their timestamp",
            best.seen.len(),
            sample.filled,
            best.format,
        ),
    }
}

#[cfg(test)]
mod families;
#[cfg(test)]
mod tests;
