//! What a stamp says, before zone and year are known, and the calendar arithmetic that turns it into an instant.
//!
//! Dates are proleptic Gregorian; the day count is that of Howard Hinnant's `days_from_civil`. Nothing here fails by
//! panic: a date that no calendar has is not a stamp.

use super::zone_names::ZoneId;

/// Nanoseconds of a second.
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// Seconds of a day.
pub const SECONDS_PER_DAY: i64 = 86_400;

/// The year of a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Year {
    /// It stands in the line; two digits are read as 1969 to 2068.
    Written(i32),
    /// The format has none: a [`YearMark`](super::YearMark) gives it.
    #[default]
    Absent,
}

/// The zone of a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WrittenZone {
    /// Seconds east of UTC, as the line says.
    Offset(i32),
    /// A zone of the tz database, by its full name.
    Named(ZoneId),
    /// What can only be the name of a zone, and is none that is known: the stamp means nothing.
    Unknown,
    /// None, or a name that means several zones: the input's zone decides.
    #[default]
    Absent,
}

/// Which half of the day a 12-hour clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HalfDay {
    /// A 24-hour clock.
    #[default]
    None,
    /// Before noon; 12 is 0.
    Am,
    /// After noon; 12 is 12.
    Pm,
}

/// A date and time as written, each field in its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// The year, if written.
    pub year: Year,
    /// 1 to 12; 0 if only the time of day is written.
    pub month: u8,
    /// 1 to the month's length; 29 February is accepted without a year; 0 without a date.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60; a leap second is the first of the next minute.
    pub second: u8,
    /// 0 to 999 999 999.
    pub nanos: u32,
    /// The zone, if written.
    pub zone: WrittenZone,
}

/// A stamp as read from a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// A date and time that still wants a zone, and perhaps a year.
    Civil(Civil),
    /// A count since the epoch, in nanoseconds.
    Instant(i64),
}

impl Civil {
    /// Whether only the time of day is written: a [`YearMark`](super::YearMark) gives the date.
    pub fn lacks_date(&self) -> bool {
        self.month == 0
    }

    /// Seconds since midnight.
    pub fn seconds_of_day(&self) -> i64 {
        i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second)
    }

    /// Seconds since the epoch as if the clock on the wall were UTC, in the year given. A day that the year lacks
    /// (29 February) is the day after.
    pub fn wall_seconds(&self, year: i32) -> i64 {
        days_from_civil(year, self.month, self.day) * SECONDS_PER_DAY + self.seconds_of_day()
    }
}

/// Days from 1970-01-01 to a date. Source: Hinnant, "chrono-compatible low-level date algorithms".
pub fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day count from 1970-01-01; the inverse of [`days_from_civil`].
pub fn civil_from_days(days: i64) -> (i32, u8, u8) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month as u8, day as u8)
}

/// Whether a year has a 29 February.
pub fn is_leap_year(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month; 0 for a month that there is not.
pub fn month_days(year: i32, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap_year(year) => 29,
        2 => 28,
        _ => 0,
    }
}

/// The year that brings a month and day nearest to an instant (seconds since the epoch), the earlier one of two as
/// near. A 29 February takes the nearest leap year. The time of day has no say, so that no day is cut in two.
pub fn nearest_year(month: u8, day: u8, anchor_seconds: i64) -> i32 {
    let anchor_days = anchor_seconds.div_euclid(SECONDS_PER_DAY);
    let (around, _, _) = civil_from_days(anchor_days);
    // Eight years lie between two leap years at most, when a century is skipped.
    let reach = if month == 2 && day == 29 { 8 } else { 1 };
    (around - reach..=around + reach)
        .filter(|&year| day <= month_days(year, month))
        .min_by_key(|&year| (days_from_civil(year, month, day) - anchor_days).abs())
        .unwrap_or(around)
}

/// The day (from 1970-01-01) that brings a time of day nearest to a time on the same wall. The seconds have no say, so
/// that no minute is cut in two.
pub fn nearest_day(seconds_of_day: i64, anchor_wall_seconds: i64) -> i64 {
    let minute = seconds_of_day - seconds_of_day.rem_euclid(60);
    (anchor_wall_seconds - minute + SECONDS_PER_DAY / 2).div_euclid(SECONDS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(year: i32, month: u8, day: u8, days: i64) {
        assert_eq!(days_from_civil(year, month, day), days);
        assert_eq!(civil_from_days(days), (year, month, day));
    }

    #[test]
    fn day_counts() {
        check(1970, 1, 1, 0);
        check(1969, 12, 31, -1);
        check(2000, 2, 29, 11_016);
        check(2000, 3, 1, 11_017);
        check(2026, 11, 23, 20_780);
        check(1900, 3, 1, -25_508);
    }

    #[test]
    fn every_day_of_four_centuries_goes_there_and_back() {
        for days in -80_000..120_000 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!(day >= 1 && day <= month_days(year, month), "{year}-{month}-{day}");
        }
    }

    #[test]
    fn nearest_years() {
        let at = |year, month, day| days_from_civil(year, month, day) * SECONDS_PER_DAY;
        assert_eq!(nearest_year(12, 31, at(2026, 1, 1)), 2025);
        assert_eq!(nearest_year(1, 1, at(2025, 12, 31)), 2026);
        assert_eq!(nearest_year(7, 1, at(2025, 12, 31)), 2026);
        assert_eq!(nearest_year(7, 4, at(2025, 7, 4)), 2025);
        assert_eq!(nearest_year(2, 29, at(2025, 3, 1)), 2024);
        assert_eq!(nearest_year(2, 29, at(2027, 3, 1)), 2028);
        assert_eq!(nearest_year(2, 29, at(2100, 2, 1)), 2096);
    }
}
