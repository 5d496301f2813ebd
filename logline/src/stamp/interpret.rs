//! The interpreter of formats: one token after the other, from left to right, never going back.

use super::civil::{Civil, HalfDay, NANOS_PER_SECOND, WrittenZone, Year, civil_from_days, days_from_civil, month_days};
use super::scan;
use super::token::{EpochUnit, Token};

/// TAI64 label of the epoch: 2⁶² plus the ten seconds that daemontools counts.
const TAI64_EPOCH: u64 = (1 << 62) + 10;

/// What has been read of a stamp so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Draft {
    pub year: Year,
    pub month: u8,
    pub day: u8,
    pub year_day: u16,
    pub iso_week: u8,
    pub iso_weekday: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub half: HalfDay,
    pub nanos: u32,
    pub zone: WrittenZone,
    pub unix_ns: i64,
}

impl Draft {
    /// The date and time, if there is such a day and hour.
    pub fn civil(&self) -> Option<Civil> {
        let (year, month, day) = match (self.year_day, self.iso_week) {
            (0, 0) => (self.year, self.month, self.day),
            (0, week) => self.day_of_week(week)?,
            (year_day, _) => {
                let (month, day) = self.month_and_day(year_day)?;
                (self.year, month, day)
            }
        };
        let longest = match year {
            Year::Written(year) => month_days(year, month),
            Year::Absent => month_days(2000, month),
        };
        let hour = match (self.half, self.hour) {
            (HalfDay::None, hour @ 0..=23) => hour,
            (HalfDay::Am, hour @ 0..=12) => hour % 12,
            (HalfDay::Pm, hour @ 0..=12) => hour % 12 + 12,
            _ => return None,
        };
        let exists = (1..=longest).contains(&day) && self.minute <= 59 && self.second <= 60;
        let (nanos, zone) = (self.nanos, self.zone);
        exists.then_some(Civil {
            year,
            month,
            day,
            hour,
            minute: self.minute,
            second: self.second,
            nanos,
            zone,
        })
    }

    /// The time of day, with a date of zeros: [`Civil::lacks_date`].
    pub fn time_of_day(&self) -> Option<Civil> {
        let any_day = Draft {
            year: Year::Absent,
            month: 1,
            day: 1,
            year_day: 0,
            iso_week: 0,
            ..*self
        };
        let civil = any_day.civil()?;
        Some(Civil {
            month: 0,
            day: 0,
            ..civil
        })
    }

    /// The date of a day of an ISO 8601 week: week 1 is that of 4 January, and weeks begin on Monday.
    fn day_of_week(&self, week: u8) -> Option<(Year, u8, u8)> {
        let Year::Written(year) = self.year else { return None };
        let fourth = days_from_civil(year, 1, 4);
        // 1970-01-01 was a Thursday, the third day after Monday.
        let monday = fourth - (fourth + 3).rem_euclid(7);
        let days = monday + 7 * (i64::from(week) - 1) + i64::from(self.iso_weekday) - 1;
        let next = days_from_civil(year + 1, 1, 4);
        let exists = (1..=7).contains(&self.iso_weekday) && days < next - (next + 3).rem_euclid(7);
        let (year, month, day) = civil_from_days(days);
        exists.then_some((Year::Written(year), month, day))
    }

    fn month_and_day(&self, year_day: u16) -> Option<(u8, u8)> {
        let Year::Written(year) = self.year else { return None };
        let mut left = year_day;
        for month in 1..=12 {
            let days = u16::from(month_days(year, month));
            if left <= days {
                return Some((month, left as u8));
            }
            left -= days;
        }
        None
    }
}

/// Reads tokens one after the other and answers where the last ends.
#[inline]
pub fn run(tokens: &[Token], line: &[u8], at: usize, draft: &mut Draft) -> Option<usize> {
    let mut position = at;
    for token in tokens {
        position = step(*token, line, position, draft)?;
    }
    Some(position)
}

/// Reads one token and answers where it ends.
#[inline]
pub fn step(token: Token, line: &[u8], at: usize, draft: &mut Draft) -> Option<usize> {
    match token {
        Token::Byte(byte) => (line.get(at) == Some(&byte)).then_some(at + 1),
        Token::Spaces => spaces(line, at),
        Token::Year4 => {
            draft.year = Year::Written(scan::fixed_digits(line, at, 4)? as i32);
            Some(at + 4)
        }
        Token::Year2 => {
            let short = scan::fixed_digits(line, at, 2)? as i32;
            draft.year = Year::Written(if short < 69 { 2000 + short } else { 1900 + short });
            Some(at + 2)
        }
        Token::Month2 => two_digits(line, at, &mut draft.month),
        Token::MonthLoose => loose(line, at, &mut draft.month),
        Token::MonthName => {
            let (month, end) = scan::month_name(line, at)?;
            draft.month = month;
            Some(end)
        }
        Token::Day2 => two_digits(line, at, &mut draft.day),
        Token::DayLoose => loose(line, at, &mut draft.day),
        Token::DayPadded => loose(line, at + usize::from(line.get(at) == Some(&b' ')), &mut draft.day),
        Token::YearDay => {
            draft.year_day = scan::fixed_digits(line, at, 3).filter(|&day| day > 0)? as u16;
            Some(at + 3)
        }
        Token::Hour2 => two_digits(line, at, &mut draft.hour),
        Token::HourLoose | Token::Hour12 => loose(line, at, &mut draft.hour),
        Token::Minute => two_digits(line, at, &mut draft.minute).filter(|_| draft.minute <= 59),
        Token::Second => two_digits(line, at, &mut draft.second).filter(|_| draft.second <= 60),
        Token::MinuteLoose => loose(line, at, &mut draft.minute).filter(|_| draft.minute <= 59),
        Token::SecondLoose => loose(line, at, &mut draft.second).filter(|_| draft.second <= 60),
        other => step_rare(other, line, at, draft),
    }
}

/// The tokens that most formats have at most once, or not at all.
fn step_rare(token: Token, line: &[u8], at: usize, draft: &mut Draft) -> Option<usize> {
    match token {
        Token::FractionOptional => {
            let (nanos, end) = scan::optional_fraction(line, at);
            // After an epoch number that took its fraction along, nothing is left to read.
            draft.nanos = if end > at { nanos } else { draft.nanos };
            Some(end)
        }
        Token::ZoneOptional => match scan::zone(line, at) {
            Some((zone, end)) => {
                draft.zone = zone;
                Some(end)
            }
            None => Some(at),
        },
        Token::Zone => {
            let (zone, end) = scan::zone(line, at)?;
            draft.zone = zone;
            Some(end)
        }
        Token::FractionDigits => {
            let (nanos, end) = scan::fraction_digits(line, at)?;
            draft.nanos = nanos;
            Some(end)
        }
        Token::IsoWeek => two_digits(line, at, &mut draft.iso_week).filter(|_| (1..=53).contains(&draft.iso_week)),
        Token::IsoWeekday => {
            draft.iso_weekday = scan::fixed_digits(line, at, 1)? as u8;
            Some(at + 1)
        }
        Token::HalfDay => {
            let (half, end) = scan::half_day(line, at)?;
            draft.half = half;
            Some(end)
        }
        Token::Weekday => scan::weekday_name(line, at),
        Token::WeekdayOptional => Some(optional_weekday(line, at)),
        Token::Epoch(unit) => epoch(unit, line, at, draft),
        Token::Tai64 => tai64(line, at, draft),
        Token::Fixed => Some(at),
        Token::Severity => matches!(line.get(at)?, b'D' | b'I' | b'W' | b'E' | b'F').then_some(at + 1),
        _ => None,
    }
}

#[inline]
fn two_digits(line: &[u8], at: usize, field: &mut u8) -> Option<usize> {
    *field = scan::fixed_digits(line, at, 2)? as u8;
    Some(at + 2)
}

#[inline]
fn loose(line: &[u8], at: usize, field: &mut u8) -> Option<usize> {
    let (value, end) = scan::loose_digits(line, at)?;
    *field = value as u8;
    Some(end)
}

#[inline]
fn spaces(line: &[u8], at: usize) -> Option<usize> {
    let count = line
        .iter()
        .skip(at)
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    (count > 0).then_some(at + count)
}

/// A weekday with its comma and spaces, or nothing.
fn optional_weekday(line: &[u8], at: usize) -> usize {
    let Some(name_end) = scan::weekday_name(line, at) else {
        return at;
    };
    let comma_end = name_end + usize::from(line.get(name_end) == Some(&b','));
    match spaces(line, comma_end) {
        Some(end) if is_month(line, at, end) => at,
        Some(end) => end,
        None => at,
    }
}

/// Whether a word that may be a weekday is a month: `Mar 27 10:00` is one, `mar 27 sept.` is a Tuesday in French.
fn is_month(line: &[u8], at: usize, after: usize) -> bool {
    if scan::month_name(line, at).is_none() {
        return false;
    }
    let rest = line.get(after..).unwrap_or_default();
    let is_between = |byte: &&u8| byte.is_ascii_digit() || b" /-.,".contains(byte);
    let next = rest.iter().find(|byte| !is_between(byte));
    // A month's name follows, be it of another alphabet.
    let then_letters = next.is_some_and(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80);
    !(then_letters
        && rest
            .iter()
            .take_while(is_between)
            .filter(|byte| byte.is_ascii_digit())
            .count()
            <= 2)
}

/// An epoch number: exactly the digits of its unit, beginning with 1 or 2 (2001 to 2065), perhaps a fraction.
fn epoch(unit: EpochUnit, line: &[u8], at: usize, draft: &mut Draft) -> Option<usize> {
    let digits = unit.digits();
    if !matches!(line.get(at)?, b'1' | b'2') {
        return None;
    }
    draft.unix_ns = scan::wide_digits(line, at, digits)?.checked_mul(unit.nanos())?;
    let end = at + digits;
    if unit != EpochUnit::Seconds || line.get(end) != Some(&b'.') {
        return Some(end);
    }
    let (nanos, end) = scan::optional_fraction(line, end);
    draft.nanos = nanos;
    Some(end)
}

/// `@` and 16 hexadecimal digits of seconds, perhaps 8 of nanoseconds. Source: D. J. Bernstein, "TAI64, TAI64N".
fn tai64(line: &[u8], at: usize, draft: &mut Draft) -> Option<usize> {
    if line.get(at) != Some(&b'@') {
        return None;
    }
    let label = hexadecimal(line, at + 1, 16)?;
    let seconds = i64::try_from(label.checked_sub(TAI64_EPOCH)?).ok()?;
    draft.unix_ns = seconds.checked_mul(NANOS_PER_SECOND)?;
    let mut end = at + 17;
    if let Some(nanos) = hexadecimal(line, end, 8).filter(|&nanos| nanos < NANOS_PER_SECOND as u64) {
        draft.nanos = nanos as u32;
        end += 8;
    }
    (!line.get(end).is_some_and(u8::is_ascii_hexdigit)).then_some(end)
}

fn hexadecimal(line: &[u8], at: usize, digits: usize) -> Option<u64> {
    line.get(at..at + digits)?.iter().try_fold(0_u64, |value, &byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some(value << 4 | u64::from(digit))
    })
}
