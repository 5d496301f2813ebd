//! Timestamps of lines, in the few forms that the generator writes; the form is told, never detected.

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: i128 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub const NANOS_PER_MILLISECOND: i128 = 1_000_000;

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Where the stamp stands in a line and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StampForm {
    /// `2026-11-23 07:31:00`, perhaps with `.` or `,` and up to nine digits, UTC, at the line's first byte.
    Iso,
    /// `23/Nov/2026:07:31:00 +0100` behind the first `[` where it fits.
    Clf,
    /// `Nov 23 07:31:00` in the given year, UTC, at the line's first byte.
    Syslog {
        /// The year of all lines.
        year: i64,
    },
    /// Thirteen digits, milliseconds since the epoch, at the line's first byte.
    EpochMillis,
}

/// The stamp of a line (which has no line end), in UTC nanoseconds since the epoch; `None` for an unstamped line.
pub fn of_line(line: &[u8], form: StampForm) -> Option<i128> {
    match form {
        StampForm::Iso | StampForm::Syslog { .. } | StampForm::EpochMillis => at(line, form),
        StampForm::Clf => {
            let behind_brackets = (0..line.len())
                .filter(|&index| line[index] == b'[')
                .map(|index| index + 1);
            behind_brackets.into_iter().find_map(|begin| at(&line[begin..], form))
        }
    }
}

/// The stamp that begins at the first byte of `text`. The byte behind a stamp must not be a digit.
pub fn at(text: &[u8], form: StampForm) -> Option<i128> {
    let mut cursor = Cursor { rest: text };
    let nanos = match form {
        StampForm::Iso => cursor.iso()?,
        StampForm::Clf => cursor.clf()?,
        StampForm::Syslog { year } => cursor.syslog(year)?,
        // An instant between 2001 and 2065; `0000000000001` is some other number.
        StampForm::EpochMillis if !matches!(text.first(), Some(b'1' | b'2')) => return None,
        StampForm::EpochMillis => i128::from(cursor.number(13)?) * NANOS_PER_MILLISECOND,
    };
    match cursor.rest.first() {
        Some(byte) if byte.is_ascii_digit() => None,
        _ => Some(nanos),
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn iso(&mut self) -> Option<i128> {
        let year = self.number(4)?;
        self.literal(b"-")?;
        let month = self.number(2)?;
        self.literal(b"-")?;
        let day = self.number(2)?;
        self.literal(b" ")?;
        let second = self.clock()?;
        Some((days(year, month, day)? * 86_400 + second) * NANOS_PER_SECOND + self.fraction())
    }

    fn clf(&mut self) -> Option<i128> {
        let day = self.number(2)?;
        self.literal(b"/")?;
        let month = self.month()?;
        self.literal(b"/")?;
        let year = self.number(4)?;
        self.literal(b":")?;
        let second = self.clock()?;
        self.literal(b" ")?;
        let east = match self.literal(b"+") {
            Some(()) => 1,
            None => self.literal(b"-").map(|()| -1)?,
        };
        let (hours, minutes) = (self.number(2)?, self.number(2)?);
        let offset = i128::from(hours * 3600 + minutes * 60) * east;
        Some((days(year, month, day)? * 86_400 + second - offset) * NANOS_PER_SECOND)
    }

    fn syslog(&mut self, year: i64) -> Option<i128> {
        let month = self.month()?;
        self.literal(b" ")?;
        let day = match self.literal(b" ") {
            Some(()) => self.number(1)?,
            None => self.number(2)?,
        };
        self.literal(b" ")?;
        let second = self.clock()?;
        Some((days(year, month, day)? * 86_400 + second) * NANOS_PER_SECOND)
    }

    /// `HH:MM:SS` as seconds of the day; a leap second `:60` is the next minute's first.
    fn clock(&mut self) -> Option<i128> {
        let hour = self.number(2)?;
        self.literal(b":")?;
        let minute = self.number(2)?;
        self.literal(b":")?;
        let second = self.number(2)?;
        (hour <= 23 && minute <= 59 && second <= 60).then(|| i128::from(hour * 3600 + minute * 60 + second))
    }

    /// `.` or `,` and one to nine digits, as nanoseconds; zero where there is none.
    fn fraction(&mut self) -> i128 {
        let digits = match self.rest {
            [b'.' | b',', digits @ ..] => digits.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count(),
            _ => 0,
        };
        if digits == 0 {
            return 0;
        }
        let mut nanos = 0;
        for place in 1..=9 {
            nanos = nanos * 10
                + if place <= digits {
                    i128::from(self.rest[place] - b'0')
                } else {
                    0
                };
        }
        self.rest = &self.rest[1 + digits..];
        nanos
    }

    fn number(&mut self, width: usize) -> Option<i64> {
        let digits = self.rest.get(..width)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.rest = &self.rest[width..];
        Some(
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + i64::from(digit - b'0')),
        )
    }

    fn month(&mut self) -> Option<i64> {
        let name = self.rest.get(..3)?;
        let index = MONTHS.iter().position(|month| *month == name)?;
        self.rest = &self.rest[3..];
        i64::try_from(index + 1).ok()
    }

    fn literal(&mut self, literal: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }
}

/// Days from 1970-01-01 to a date; `None` where the calendar has no such day. Counts year by year: slow and obvious.
pub fn days(year: i64, month: i64, day: i64) -> Option<i128> {
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let mut days = 0;
    for past in 1970..year {
        days += days_in_year(past);
    }
    for later in year..1970 {
        days -= days_in_year(later);
    }
    for past in 1..month {
        days += days_in_month(year, past);
    }
    Some(i128::from(days + day - 1))
}

/// Days of a year.
pub fn days_in_year(year: i64) -> i64 {
    337 + days_in_month(year, 2)
}

/// Days of a month.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSLOG: StampForm = StampForm::Syslog { year: 2026 };

    #[track_caller]
    fn check(form: StampForm, line: &str, expected_ms: Option<i128>) {
        assert_eq!(
            of_line(line.as_bytes(), form),
            expected_ms.map(|ms| ms * NANOS_PER_MILLISECOND),
            "{line}"
        );
    }

    #[test]
    fn stamps_by_form() {
        // `date -u -d '2026-11-23 07:31:00' +%s` says 1795419060.
        let at = 1_795_419_060_000;
        check(StampForm::Iso, "2026-11-23 07:31:00.000|op=pay", Some(at));
        check(StampForm::Iso, "2026-11-23 07:31:00,120 x", Some(at + 120));
        check(StampForm::Iso, "2026-11-23 07:31:00", Some(at));
        check(StampForm::Iso, "2026-11-23 07:31:00.5FOO", Some(at + 500));
        check(StampForm::Iso, "2026-11-23 07:30:60", Some(at));
        check(StampForm::Iso, "1969-12-31 23:59:59.999", Some(-1));
        check(StampForm::Iso, "2024-02-29 00:00:00", Some(1_709_164_800_000));
        check(
            StampForm::Clf,
            "10.0.0.1 - - [23/Nov/2026:08:31:00 +0100] \"GET",
            Some(at),
        );
        check(
            StampForm::Clf,
            "10.0.0.1 - [x] [23/Nov/2026:02:01:00 -0530] \"GET",
            Some(at),
        );
        check(SYSLOG, "Nov 23 07:31:00 web1 app: x", Some(at));
        check(SYSLOG, "Jan  1 00:00:00 x", Some(1_767_225_600_000));
        check(StampForm::EpochMillis, "1795419060123 x", Some(at + 123));
    }

    #[test]
    fn what_is_no_stamp() {
        for line in [
            "",
            "2026-11-23",
            "2026-11-23 07:31",
            "2026-13-23 07:31:00.000",
            "2026-02-29 07:31:00.000",
            "2026-11-23 24:00:00",
            "2026-11-23 07:60:00",
            "2026-11-23 07:31:61",
            "2026-11-23 07:31:002",
            " 2026-11-23 07:31:00",
            "at 2026-11-23 07:31:00",
        ] {
            check(StampForm::Iso, line, None);
        }
        check(StampForm::Clf, "23/Nov/2026:08:31:00 +0100", None);
        check(StampForm::Clf, "[23/Nox/2026:08:31:00 +0100]", None);
        check(StampForm::Clf, "[23/Nov/2026:08:31:00]", None);
        check(SYSLOG, "Nov 31 07:31:00", None);
        check(SYSLOG, "Feb 29 07:31:00", None);
        check(StampForm::EpochMillis, "179541906012 x", None);
        check(StampForm::EpochMillis, "17954190601234 x", None);
    }
}
