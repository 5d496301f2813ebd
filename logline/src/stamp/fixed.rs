//! Stamps inside longer runs of letters and digits: fields of records of fixed width, as in SAP's security audit logs.
//!
//! `2AUK20250227101500002316500018D1…` holds `20250227101500` from its fifth byte on. Order numbers and other ids look
//! the same, so this family is looked for where nothing better is found, and believed only if the whole sample bears it
//! out:
//!
//! - every line that is not empty has a date and time of this century at the very same offset;
//! - the offset is the line's beginning, or a letter stands before it in the same run of letters and digits;
//! - there are [`DISTINCT_MIN`] different stamps or more, in two different minutes at least: a counter behind a date
//!   passes 60 to 99 before it comes to the next minute, and then is no time;
//! - they behave like time: nearly all steps go forward, and all of them span a year at most.
//!
//! What no look at the bytes can tell is an id made of the time of its line; that is such a line's time.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::civil::{Civil, Stamp, Year};
use super::learn::{Candidate, PlaceKind, Sample, Seen};
use super::locate::Locator;
use super::pattern::Format;

/// Stamps further into a line than this are none of a record's first fields.
const COLUMN_MAX: usize = 64;
/// So many different stamps are evidence: of a dozen numbers below a million, all are times of day once in 200 000
/// times.
const DISTINCT_MIN: usize = 12;
/// The years of such stamps: this century. Of other numbers, few begin with 20.
const YEARS: std::ops::Range<i32> = 2000..2100;
/// The longest time that a sample of a few hundred records may span.
const SPAN_SECONDS_MAX: i64 = 366 * 86_400;
/// A step back over this is none of a log's usual disorder: ten minutes.
const BACK_STEP_SECONDS: i64 = 600;
/// One step back in so many is usual.
const BACK_STEP_SHARE: usize = 20;

/// The one format of this family that is found.
static FORMAT: LazyLock<Option<Format>> = LazyLock::new(|| Format::parse("%{fixed}%Y%m%d%H%M%S").ok());

/// The place of such a stamp that all lines have, if time goes by there.
pub(super) fn find(sample: &Sample<'_>) -> Option<Candidate> {
    let format = FORMAT.as_ref()?;
    let mut filled = sample.lines.iter().enumerate().filter(|(_, line)| !line.is_empty());
    let (_, first) = filled.clone().next()?;
    let column = (0..=COLUMN_MAX.min(first.len())).find(|&column| {
        let stamps: Option<Vec<Civil>> = filled.clone().map(|(_, line)| civil_at(format, line, column)).collect();
        stamps.is_some_and(|stamps| is_like_time(&stamps))
    })?;
    let seen = filled.by_ref().filter_map(|(line, text)| {
        let (_, end) = format.match_at(text, column)?;
        let start = column;
        Some(Seen { line, start, end })
    });
    Some(Candidate {
        rank: 0,
        format: format.clone(),
        locator: Locator::Column(column as u32),
        kind: PlaceKind::Column,
        seen: seen.collect(),
    })
}

/// The place of a stamp of such a format that a monitor names: its offset alone tells it.
pub(super) fn places_of(_line: &[u8], start: usize) -> Vec<(Locator, PlaceKind)> {
    match u32::try_from(start) {
        Ok(column) if start <= COLUMN_MAX => vec![(Locator::Column(column), PlaceKind::Column)],
        _ => Vec::new(),
    }
}

/// The stamp at an offset, if it is glued to a letter before it or begins the line, and is of this century.
fn civil_at(format: &Format, line: &[u8], column: usize) -> Option<Civil> {
    let Stamp::Civil(civil) = format.match_at(line, column)?.0 else {
        return None;
    };
    let of_our_time = matches!(civil.year, Year::Written(year) if YEARS.contains(&year));
    let run = line[..column]
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_alphanumeric());
    let glued = column == 0 || run.clone().any(u8::is_ascii_alphabetic);
    // Leap seconds are rarer than counters that pass 60.
    (of_our_time && glued && civil.second < 60).then_some(civil)
}

/// Whether stamps in the order of their lines go by as time does.
fn is_like_time(stamps: &[Civil]) -> bool {
    let seconds: Vec<i64> = stamps.iter().map(seconds_of).collect();
    let distinct: HashSet<i64> = seconds.iter().copied().collect();
    let minutes: HashSet<i64> = distinct.iter().map(|seconds| seconds.div_euclid(60)).collect();
    let (least, greatest) = (distinct.iter().min(), distinct.iter().max());
    let span = greatest.zip(least).map_or(0, |(greatest, least)| greatest - least);
    let is_back = |pair: &&[i64]| pair[1] < pair[0] - BACK_STEP_SECONDS;
    let back = seconds.windows(2).filter(is_back).count();
    distinct.len() >= DISTINCT_MIN
        && minutes.len() >= 2
        && span <= SPAN_SECONDS_MAX
        && back * BACK_STEP_SHARE <= seconds.len()
}

fn seconds_of(civil: &Civil) -> i64 {
    match civil.year {
        Year::Written(year) => civil.wall_seconds(year),
        Year::Absent => 0,
    }
}

#[cfg(test)]
mod tests;
