//! The vote over a sample: which candidate is the log's timestamp.
//!
//! 1. Dates with a time of day go before epoch numbers, unless they are much rarer. A time of day alone is taken if
//!    nothing else is found, or hardly anything while nearly every line begins with one.
//! 2. **Place.** A column at the line's beginning wins even if few lines have it, because the others are then
//!    continuations whose dates are text; unless nearly every line has its stamp elsewhere. Otherwise the place after a
//!    text that most lines have: a key for time first, then the leftmost. Otherwise anywhere.
//! 3. **Format.** At that place, the one that reads most of the stamp, else the one that reads most lines.
//! 4. **Order** of day, month and year: what is valid in all lines, then what jumps least, then a preference.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::learn::{Candidate, PlaceKind, Sample, Seen, precision, walls};
use super::locate::Locator;
use super::pattern::{FieldOrder, Precision};
use super::profile::OrderEvidence;
use super::token::Token;

/// A step back by more than this speaks against an order of the date's fields: one hour.
const JUMP_NS: i64 = 3_600_000_000_000;
/// Numbers that are instants of one log lie within ten years of each other.
const EPOCH_SPAN_NS_MAX: i64 = 10 * 366 * 86_400 * 1_000_000_000;
/// A stamp with less than this part of the different texts of another is fixed.
const FIXED_BELOW: usize = 4;
/// A stamp alone at a line's beginning is believed within so many first lines.
const FIRST_LINES: usize = 5;
/// Times of day at the beginning of so many times as many lines make a dated line a header.
const HEADER_BELOW: usize = 10;

/// The winner.
pub(super) struct Choice<'a> {
    pub candidate: &'a Candidate,
    pub order: OrderEvidence,
    /// The order that a preference passed over, if one decided.
    pub passed_over: Option<&'a Candidate>,
    /// Candidates at other places that about as many lines have.
    pub ruled_out: Vec<&'a Candidate>,
}

impl<'a> Choice<'a> {
    /// The choice where there is none.
    pub(super) fn only(candidate: &'a Candidate) -> Self {
        Choice {
            candidate,
            order: OrderEvidence::Unambiguous,
            passed_over: None,
            ruled_out: Vec::new(),
        }
    }
}

/// The log's timestamp, or `None` if nothing is consistent enough.
pub(super) fn choose<'a>(sample: &Sample<'_>, candidates: &'a [Candidate]) -> Option<Choice<'a>> {
    let daily = choose_daily(sample, candidates);
    match (choose_dated(sample, candidates), daily) {
        (Some(dated), Some(daily)) if is_header(sample, dated.candidate, daily.candidate) => Some(daily),
        (None, daily) => daily,
        (dated, _) => dated,
    }
}

/// Whether a date stands in hardly a line of a log whose lines begin with a time of day.
fn is_header(sample: &Sample<'_>, dated: &Candidate, daily: &Candidate) -> bool {
    let lines = daily.seen.len();
    daily.kind == PlaceKind::Column
        && lines >= dated.seen.len() * HEADER_BELOW
        && lines * 10 >= sample.filled * 8
        && dated.seen.iter().all(|seen| seen.line < FIRST_LINES)
}

fn of(candidates: &[Candidate], wanted: Precision) -> impl Iterator<Item = &Candidate> {
    let is_wanted = move |candidate: &&Candidate| precision(candidate) == wanted;
    candidates.iter().filter(is_wanted)
}

/// The time of day that a log without dates has.
fn choose_daily<'a>(sample: &Sample<'_>, candidates: &'a [Candidate]) -> Option<Choice<'a>> {
    let pool: Vec<&Candidate> = of(candidates, Precision::TimeOfDay).collect();
    let place = choose_place(sample, &pool)?;
    let members = pool.iter().copied();
    let winner = members
        .filter(|candidate| candidate.locator == place.locator)
        .reduce(better_format)?;
    is_enough(sample, winner).then(|| Choice {
        candidate: winner,
        order: OrderEvidence::Unambiguous,
        passed_over: None,
        ruled_out: ruled_out(winner, &pool),
    })
}

fn choose_dated<'a>(sample: &Sample<'_>, candidates: &'a [Candidate]) -> Option<Choice<'a>> {
    let of = |wanted: Precision| of(candidates, wanted);
    let dated: Vec<&Candidate> = of(Precision::DateAndTime).collect();
    let counted: Vec<&Candidate> = of(Precision::Epoch)
        .filter(|candidate| is_plausible_epoch(sample, candidate))
        .collect();
    let (dated_choice, epoch_choice) = (choose_place(sample, &dated), choose_place(sample, &counted));
    let locator = match (dated_choice, epoch_choice) {
        (Some(dated), Some(epoch)) if epoch_is_meant(dated, epoch) => Some((epoch, &counted)),
        (Some(date), _) => Some((date, &dated)),
        (None, epoch) => epoch.map(|epoch| (epoch, &counted)),
    };
    let (place, pool) = locator?;
    let members: Vec<&Candidate> = pool
        .iter()
        .copied()
        .filter(|candidate| candidate.locator == place.locator)
        .collect();
    let winner = members.iter().copied().reduce(better_format)?;
    let (candidate, order, passed_over) = settle_order(sample, winner, &members);
    if !is_enough(sample, candidate) {
        return None;
    }
    let ruled_out = ruled_out(candidate, &dated);
    Some(Choice {
        candidate,
        order,
        passed_over,
        ruled_out,
    })
}

/// Epoch numbers are meant where dates are less than half as common, or stand at no telling place while the number
/// follows a key for time, or lack their year while the number stands before them: it leaves nothing to guess.
fn epoch_is_meant(dated: &Candidate, epoch: &Candidate) -> bool {
    let rarer = dated.seen.len() * 2 < epoch.seen.len();
    let named = epoch.kind == PlaceKind::TimeKey && dated.kind > PlaceKind::TimeKey;
    let before = dated.format.lacks_year()
        && epoch.seen.len() * 10 >= dated.seen.len() * 9
        && mean_start(&epoch.seen) < mean_start(&dated.seen);
    rarer || before || named && dated.seen.len() <= epoch.seen.len()
}

/// The best place among candidates, as the candidate with most lines there.
fn choose_place<'a>(sample: &Sample<'_>, pool: &[&'a Candidate]) -> Option<&'a Candidate> {
    // An indented line continues another; a date in it is text, unless every line is indented.
    let indented = |seen: &&Seen| matches!(sample.lines[seen.line].first(), Some(b' ' | b'\t'));
    let flush = |candidate: &Candidate| candidate.seen.iter().filter(|seen| !indented(seen)).count();
    let all_indented = pool.iter().all(|candidate| flush(candidate) == 0);
    let lines = |candidate: &Candidate| {
        if all_indented {
            candidate.seen.len()
        } else {
            flush(candidate)
        }
    };
    let most = pool.iter().map(|candidate| lines(candidate)).max()?;
    let columns = pool
        .iter()
        .copied()
        .filter(|candidate| candidate.kind == PlaceKind::Column);
    if let Some(column) = columns.max_by_key(|candidate| (lines(candidate), Reverse(&candidate.locator))) {
        let here = lines(column);
        let elsewhere_on_nearly_all = most >= here * 2 && most * 10 >= sample.filled * 9;
        if here * 10 >= most && !elsewhere_on_nearly_all {
            return Some(column);
        }
    }
    let is_common = |candidate: &&Candidate| lines(candidate) * 10 >= most * 9 && candidate.kind != PlaceKind::Column;
    let common: Vec<&Candidate> = pool.iter().copied().filter(is_common).collect();
    let most_texts = common.iter().map(|candidate| texts(sample, candidate)).max()?;
    common.into_iter().min_by_key(|candidate| {
        // A stamp that hardly ever changes while another does is part of a name: `app.log.2017-05-16_13:53:08`.
        let is_fixed = texts(sample, candidate) * FIXED_BELOW < most_texts;
        let late = match candidate.kind {
            PlaceKind::Anywhere => 2,
            PlaceKind::TimeKey => 0,
            _ => 1,
        };
        let (start, lines) = (mean_start(&candidate.seen), lines(candidate));
        (is_fixed, late, start, candidate.kind, Reverse(lines), candidate.rank)
    })
}

/// How many different stamps a candidate has.
fn texts(sample: &Sample<'_>, candidate: &Candidate) -> usize {
    let text = |seen: &Seen| &sample.lines[seen.line][seen.start..seen.end];
    candidate.seen.iter().map(text).collect::<HashSet<_>>().len()
}

fn mean_start(seen: &[Seen]) -> usize {
    seen.iter().map(|seen| seen.start).sum::<usize>() / seen.len().max(1)
}

/// How two formats at one place compare on the lines that both read: how often either reads more.
fn longer(left: &Candidate, right: &Candidate) -> (usize, usize) {
    let (mut left_longer, mut right_longer) = (0, 0);
    let mut others = right.seen.iter().peekable();
    for seen in &left.seen {
        while others.next_if(|other| other.line < seen.line).is_some() {}
        let Some(other) = others
            .peek()
            .filter(|other| other.line == seen.line && other.start == seen.start)
        else {
            continue;
        };
        left_longer += usize::from(seen.end > other.end);
        right_longer += usize::from(seen.end < other.end);
    }
    (left_longer, right_longer)
}

/// The better of two formats at one place. One that reads more of the stamp is better even if a fifth of the lines
/// lack what it reads: the shorter one would drop the seconds, the year or the half of the day.
fn better_format<'a>(left: &'a Candidate, right: &'a Candidate) -> &'a Candidate {
    let enough = |one: &Candidate, other: &Candidate| one.seen.len() * 10 >= other.seen.len() * 8;
    match longer(left, right) {
        (more, less) if more > less && enough(left, right) => left,
        (more, less) if more < less && enough(right, left) => right,
        _ if right.seen.len() > left.seen.len() => right,
        _ => left,
    }
}

/// Settles the order of a date's fields among the members that read the winner's lines equally long.
fn settle_order<'a>(
    sample: &Sample<'_>,
    winner: &'a Candidate,
    members: &[&'a Candidate],
) -> (&'a Candidate, OrderEvidence, Option<&'a Candidate>) {
    let order = |candidate: &Candidate| candidate.format.field_order();
    if order(winner) == FieldOrder::Certain {
        return (winner, OrderEvidence::Unambiguous, None);
    }
    let mut rivals: Vec<&Candidate> = vec![winner];
    for &member in members {
        let known = rivals.iter().any(|rival| order(rival) == order(member));
        let equal = longer(winner, member) == (0, 0) && member.seen == winner.seen;
        if !known && equal && order(member) != FieldOrder::Certain {
            rivals.push(member);
        }
    }
    if rivals.len() == 1 {
        return (winner, OrderEvidence::OnlyValid, None);
    }
    if let Some(smoothest) = smoothest(sample, &rivals) {
        return (smoothest, OrderEvidence::Smoothest, None);
    }
    let preferences = preferences(sample, winner);
    let rank = |candidate: &&Candidate| preferences.iter().position(|wanted| *wanted == order(candidate));
    rivals.sort_by_key(|candidate| rank(candidate).unwrap_or(preferences.len()));
    (rivals[0], OrderEvidence::Preference, rivals.get(1).copied())
}

/// The order with the fewest jumps back; among equals, the one whose lines span less than half the time of any other.
fn smoothest<'a>(sample: &Sample<'_>, rivals: &[&'a Candidate]) -> Option<&'a Candidate> {
    let measured: Vec<(usize, i64, &Candidate)> = rivals
        .iter()
        .map(|candidate| {
            let walls = walls(sample, candidate);
            (
                walls.windows(2).filter(|pair| pair[1] < pair[0] - JUMP_NS).count(),
                span(&walls),
                *candidate,
            )
        })
        .collect();
    let least = measured.iter().map(|(jumps, ..)| *jumps).min()?;
    let calm: Vec<&(usize, i64, &Candidate)> = measured.iter().filter(|(jumps, ..)| *jumps == least).collect();
    if let [only] = calm.as_slice() {
        return Some(only.2);
    }
    let shortest = calm.iter().min_by_key(|(_, span, _)| *span)?;
    let clear = |other: &&&(usize, i64, &Candidate)| !std::ptr::eq(other.2, shortest.2) && other.1 < shortest.1 * 2;
    let tied = shortest.1 == 0 && calm.iter().filter(|(_, span, _)| *span == 0).count() > 1;
    (!tied && !calm.iter().any(|other| clear(&other))).then_some(shortest.2)
}

fn span(walls: &[i64]) -> i64 {
    let (least, greatest) = (
        walls.iter().min().copied().unwrap_or(0),
        walls.iter().max().copied().unwrap_or(0),
    );
    greatest.saturating_sub(least)
}

/// What is meant if the lines don't tell. Slashes and a padded two-digit year first are Java's short form as Hadoop and
/// Spark write it; other slashes are American; dots are European; dashes are ISO's, or European with the year last.
fn preferences(sample: &Sample<'_>, winner: &Candidate) -> [FieldOrder; 3] {
    use FieldOrder::{DayMonth, MonthDay, YearMonthDay};
    let format = &winner.format;
    let text = |seen: &Seen| &sample.lines[seen.line][seen.start..seen.end];
    let is_padded = |seen: &Seen| text(seen).get(2).is_some_and(|byte| !byte.is_ascii_digit());
    let padded = winner.seen.iter().all(is_padded) && !format.tokens().contains(&Token::HalfDay);
    let separator = text(&winner.seen[0]).iter().find(|byte| !byte.is_ascii_digit());
    match separator {
        Some(b'.') => [DayMonth, YearMonthDay, MonthDay],
        Some(b'-') => [YearMonthDay, DayMonth, MonthDay],
        _ if padded => [YearMonthDay, MonthDay, DayMonth],
        _ => [MonthDay, DayMonth, YearMonthDay],
    }
}

/// Whether so few lines at such a place can be the log's records. Text without stamps has dates in it too.
fn is_enough(sample: &Sample<'_>, candidate: &Candidate) -> bool {
    let lines = candidate.seen.len();
    let share = |percent: usize| lines * 100 >= sample.filled * percent;
    let first = candidate.seen.first().map_or(usize::MAX, |seen| seen.line);
    match (precision(candidate), candidate.kind) {
        (Precision::Epoch, PlaceKind::TimeKey) => share(10),
        (Precision::Epoch, PlaceKind::Column) => share(20),
        (Precision::Epoch, _) => share(80),
        (Precision::TimeOfDay, PlaceKind::Column | PlaceKind::TimeKey) => share(30),
        (Precision::TimeOfDay, PlaceKind::Anywhere) => false,
        (Precision::TimeOfDay, _) => share(80),
        (_, PlaceKind::Column) => lines >= 2 || share(5) || first < FIRST_LINES,
        (_, PlaceKind::TimeKey) => share(5) || lines >= 3,
        (_, PlaceKind::Key) => share(10),
        (_, PlaceKind::Punctuation) => share(10) || (lines >= 8 && share(3)),
        (_, PlaceKind::Anywhere) => share(50),
    }
}

/// A few wild numbers speak against nothing: the middle nine tenths must lie close enough.
fn is_plausible_epoch(sample: &Sample<'_>, candidate: &Candidate) -> bool {
    let mut walls = walls(sample, candidate);
    walls.sort_unstable();
    let wild = walls.len() / 20;
    span(&walls[wild..walls.len() - wild]) <= EPOCH_SPAN_NS_MAX
}

/// Other places of about as many lines, the most common first, at most two: what `why` names as ruled out.
fn ruled_out<'a>(winner: &Candidate, dated: &[&'a Candidate]) -> Vec<&'a Candidate> {
    let starts_elsewhere = |other: &Candidate| {
        other.seen.iter().any(|seen| {
            winner
                .seen
                .iter()
                .all(|own| own.line != seen.line || own.start != seen.start)
        })
    };
    let mut others: Vec<&Candidate> = dated
        .iter()
        .copied()
        .filter(|other| !matches!(other.locator, Locator::Scan(_)) && other.locator != winner.locator)
        .filter(|other| other.seen.len() * 20 >= winner.seen.len() && starts_elsewhere(other))
        .collect();
    others.sort_by_key(|other| (Reverse(other.seen.len()), other.kind, other.rank));
    let mut places: Vec<&Locator> = Vec::new();
    others.retain(|other| {
        let new = !places.contains(&&other.locator);
        places.push(&other.locator);
        new
    });
    others.truncate(2);
    others
}

/// The coarse stamp worth reporting: at a column or a telling place, on three lines of ten at least.
pub(super) fn choose_coarse<'a>(
    sample: &Sample<'_>,
    coarse: impl Iterator<Item = &'a Candidate>,
) -> Option<&'a Candidate> {
    let pool: Vec<&Candidate> = coarse.collect();
    let place = choose_place(sample, &pool)?;
    let members = pool
        .iter()
        .copied()
        .filter(|candidate| candidate.locator == place.locator);
    let winner = members.reduce(better_format)?;
    let telling = winner.kind != PlaceKind::Anywhere;
    (telling && winner.seen.len() * 10 >= sample.filled * 3).then_some(winner)
}
