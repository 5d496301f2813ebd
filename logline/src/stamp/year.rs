//! Years for stamps that have none, and days for those that have only a time of day.
//!
//! A profile carries year marks. From a mark's offset on, a stamp takes the year (or the day) that brings it nearest to
//! the mark's anchor, so reading needs no memory of the stamps before and may begin at any mark. Marks are made by
//! walking over a file once: where the months jump back by more than half a year, a year has ended, and where a clock
//! jumps back by more than two hours, a day has. Which one the last is, the time at which the file was last written
//! says (F8).
//!
//! A silence of a year (of a day) leaves no trace in the stamps: nothing in the file tells that one more has passed.

use super::civil::{Civil, SECONDS_PER_DAY, is_leap_year, month_days};
use super::reader::StampReader;
use super::zone::Zone;
use super::zone_names::Clocks;

/// A jump between two records by more than this is a change of the year: 183 days, half a leap year.
const TURN_DAYS: i64 = 183;
/// A mark serves stamps up to this far from its anchor. Half a year is the limit at which the nearest year is wrong;
/// the distance to that is what disorder may use up.
const MARK_REACH_SECONDS: i64 = 90 * SECONDS_PER_DAY;
/// How far the last stamp may lie behind the time of writing before the year before is meant.
const AHEAD_SECONDS_MAX: i64 = TURN_DAYS * SECONDS_PER_DAY;
/// How far the last stamp may run ahead of the time of writing into the next year: skewed clocks and zones.
const SKEW_SECONDS: i64 = SECONDS_PER_DAY;
/// The same for times of day: a step back that is a change of the day, the reach of a mark, and the skew. A log is
/// silent for most of a day more often than a line is hours late.
const DAY_TURN_SECONDS: i64 = 2 * 3600;
const DAY_REACH_SECONDS: i64 = 3 * 3600;
const DAY_SKEW_SECONDS: i64 = 3600;
/// Marks of one file. A file turns a few marks a year, or eight a day; only one of wild stamps comes near this, and
/// keeps the last.
pub const MARKS_MAX: usize = 10_000;
/// Years tried for one in which every 29 February of the file exists.
const LEAP_SEARCH_YEARS: i32 = 8;
/// The leap year that relative days are counted in.
const COUNTING_YEAR: i32 = 2000;

/// From `offset` on, a stamp takes the year, or a time of day the day, that brings it nearest to `anchor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct YearMark {
    /// Byte offset in the file from which it holds.
    pub offset: u64,
    /// Seconds since the epoch.
    pub anchor: i64,
}

/// A stamp and its year, or its day, relative to the first one's.
#[derive(Debug, Clone, Copy)]
struct Placed {
    offset: u64,
    civil: Civil,
    turns: i32,
}

impl Placed {
    /// Seconds on a line of time in which every year has 366 days; good for distances only.
    fn relative_seconds(&self) -> i64 {
        let turns = i64::from(self.turns);
        if self.civil.lacks_date() {
            turns * SECONDS_PER_DAY + self.civil.seconds_of_day()
        } else {
            turns * 366 * SECONDS_PER_DAY + self.civil.wall_seconds(COUNTING_YEAR)
        }
    }

    /// How many years, or days, lie between this stamp and one before it whose turns are known.
    fn turns_after(&self, last: &Placed) -> i32 {
        if self.civil.lacks_date() {
            let moved = self.civil.seconds_of_day() - last.civil.seconds_of_day();
            return last.turns + i32::from(day_turns(moved));
        }
        let days = |placed: &Placed| placed.civil.wall_seconds(COUNTING_YEAR).div_euclid(SECONDS_PER_DAY);
        let moved = days(self) - days(last);
        last.turns + i32::from(moved < -TURN_DAYS) - i32::from(moved > TURN_DAYS)
    }

    fn reach_seconds(&self) -> i64 {
        if self.civil.lacks_date() {
            DAY_REACH_SECONDS
        } else {
            MARK_REACH_SECONDS
        }
    }

    fn wall_seconds(&self, year: i32) -> i64 {
        let day = self.civil.day.min(month_days(year, self.civil.month));
        Civil { day, ..self.civil }.wall_seconds(year)
    }
}

/// The walk over a finished file that finds its year marks; call [`YearWalk::feed`] for each line in file order.
#[derive(Debug, Clone)]
pub struct YearWalk {
    reader: StampReader,
    marks: Vec<Placed>,
    last: Option<Placed>,
    /// Relative years that must be leap years, each once.
    leap_turns: Vec<i32>,
}

impl YearWalk {
    /// A walk that finds stamps with `reader`.
    pub fn new(reader: StampReader) -> Self {
        YearWalk {
            reader,
            marks: Vec::new(),
            last: None,
            leap_turns: Vec::new(),
        }
    }

    /// Takes a line, without its line end, that begins at `offset`.
    pub fn feed(&mut self, offset: u64, line: &[u8]) {
        let Some(civil) = self.reader.read_civil(line) else {
            return;
        };
        let mut placed = Placed {
            offset,
            civil,
            turns: 0,
        };
        placed.turns = self.last.map_or(0, |last| placed.turns_after(&last));
        if civil.month == 2 && civil.day == 29 && self.leap_turns.last() != Some(&placed.turns) {
            self.leap_turns.push(placed.turns);
            self.leap_turns.dedup();
            self.leap_turns.truncate(MARKS_MAX);
        }
        let distance = |mark: &Placed| (placed.relative_seconds() - mark.relative_seconds()).abs();
        let moved = |mark: &Placed| distance(mark) > placed.reach_seconds();
        if self.marks.last().is_none_or(moved) && self.marks.len() < MARKS_MAX {
            self.marks.push(placed);
        }
        self.last = Some(placed);
    }

    /// The marks, given when the file was last written (seconds since the epoch) and the zone of its stamps. Empty if
    /// no line had a stamp. The first mark holds from the file's beginning.
    pub fn finish(&self, written_seconds: i64, zone: &Zone) -> Vec<YearMark> {
        let Some(last) = self.last else { return Vec::new() };
        if last.civil.lacks_date() {
            return self.finish_days(&last, written_seconds, zone);
        }
        let year = self.leap_year_of(last.turns, last_year(&last, written_seconds, zone));
        let mark = |placed: &Placed| YearMark {
            offset: placed.offset,
            anchor: placed.wall_seconds(year + placed.turns - last.turns),
        };
        from_the_beginning(self.marks.iter().map(mark).collect())
    }

    /// Marks of a file without dates: the last stamp is on the last day on which it does not lie ahead of the time of
    /// writing.
    fn finish_days(&self, last: &Placed, written_seconds: i64, zone: &Zone) -> Vec<YearMark> {
        let mut clocks = Clocks::new(zone.clone());
        let written_wall = clocks.wall_at(last.civil.zone, written_seconds);
        let latest = written_wall.saturating_add(DAY_SKEW_SECONDS) - last.civil.seconds_of_day();
        let last_day = latest.div_euclid(SECONDS_PER_DAY);
        let mut anchor = |placed: &Placed| {
            let day = last_day + i64::from(placed.turns - last.turns);
            let wall = day * SECONDS_PER_DAY + placed.civil.seconds_of_day();
            clocks.utc_of(placed.civil.zone, wall).unwrap_or(wall)
        };
        let mark = |placed: &Placed| YearMark {
            offset: placed.offset,
            anchor: anchor(placed),
        };
        from_the_beginning(self.marks.iter().map(mark).collect())
    }

    /// The greatest year up to `year` in which every 29 February of the file exists; `year` if there is none.
    fn leap_year_of(&self, last_turns: i32, year: i32) -> i32 {
        let fits = |&year: &i32| {
            self.leap_turns
                .iter()
                .all(|turns| is_leap_year(year + turns - last_turns))
        };
        (year - LEAP_SEARCH_YEARS..=year).rev().find(fits).unwrap_or(year)
    }
}

/// Whether a day has passed, or a line is of the day before, if a time of day moved by so many seconds.
pub(super) fn day_turns(moved_seconds: i64) -> i8 {
    let (back, ahead) = (-DAY_TURN_SECONDS, SECONDS_PER_DAY - DAY_TURN_SECONDS);
    i8::from(moved_seconds < back) - i8::from(moved_seconds > ahead)
}

/// Marks whose first holds from the file's beginning.
fn from_the_beginning(mut marks: Vec<YearMark>) -> Vec<YearMark> {
    if let Some(first) = marks.first_mut() {
        first.offset = 0;
    }
    marks
}

/// The year of the last record of a file that was last written at `written_seconds`.
fn last_year(last: &Placed, written_seconds: i64, zone: &Zone) -> i32 {
    let year = zone.year_at(written_seconds);
    if last.wall_seconds(year) > written_seconds.saturating_add(AHEAD_SECONDS_MAX) {
        year - 1
    } else if last.wall_seconds(year + 1) <= written_seconds.saturating_add(SKEW_SECONDS) {
        year + 1
    } else {
        year
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::civil::days_from_civil;
    use crate::stamp::{Format, Locator, ProfileEntry};

    fn at(year: i32, month: u8, day: u8) -> i64 {
        days_from_civil(year, month, day) * SECONDS_PER_DAY + 12 * 3600
    }

    /// The years that lines get once their marks have been found.
    fn years(lines: &[&str], written: i64) -> Vec<i32> {
        let format = Format::parse("%b %e %H:%M:%S").expect("a good pattern");
        let mut entry = ProfileEntry::new(format, Locator::Column(0));
        let mut walk = YearWalk::new(StampReader::new(&entry, Zone::utc()));
        for (index, line) in lines.iter().enumerate() {
            walk.feed(index as u64 * 100, line.as_bytes());
        }
        entry.year_marks = walk.finish(written, &Zone::utc());
        let mut reader = crate::stamp::ProfileReader::new(&entry.into(), Zone::utc());
        let stamp = |(index, line): (usize, &&str)| reader.read_at(line.as_bytes(), index as u64 * 100);
        let year = |nanos: i64| crate::stamp::civil::civil_from_days(nanos.div_euclid(86_400_000_000_000)).0;
        lines.iter().enumerate().filter_map(stamp).map(year).collect()
    }

    #[track_caller]
    fn check(lines: &[&str], written: i64, expected: &[i32]) {
        assert_eq!(years(lines, written), expected, "{lines:?}");
    }

    #[test]
    fn year_of_the_last_record() {
        check(&["Jul  4 10:00:00 x"], at(2025, 7, 4), &[2025]);
        check(&["Dec 10 10:00:00 x"], at(2015, 7, 1), &[2015]);
        check(&["Dec 31 23:59:59 x"], at(2026, 1, 1), &[2025]);
        check(&["Jan  1 00:00:05 x"], at(2025, 12, 31), &[2026]);
        check(&["Jan  5 00:00:05 x"], at(2025, 12, 31), &[2025]);
        check(&["Feb 29 10:00:00 x"], at(2024, 3, 1), &[2024]);
        check(&["Feb 29 10:00:00 x"], at(2026, 3, 1), &[2024]);
    }

    #[track_caller]
    fn check_days(zone: &Zone, lines: &[&str], written: i64, expected: &[i64]) {
        let format = Format::parse("%H:%M:%S%?f%?z").expect("a good pattern");
        let mut entry = ProfileEntry::new(format, Locator::Column(0));
        let mut walk = YearWalk::new(StampReader::new(&entry, zone.clone()));
        for (index, line) in lines.iter().enumerate() {
            walk.feed(index as u64 * 100, line.as_bytes());
        }
        entry.year_marks = walk.finish(written, zone);
        let mut reader = crate::stamp::ProfileReader::new(&entry.into(), zone.clone());
        let stamp = |(index, line): (usize, &&str)| reader.read_at(line.as_bytes(), index as u64 * 100);
        let found: Vec<i64> = lines.iter().enumerate().filter_map(stamp).collect();
        let seconds: Vec<i64> = found.iter().map(|ns| ns.div_euclid(1_000_000_000)).collect();
        assert_eq!(seconds, expected, "{lines:?}");
    }

    #[test]
    fn days_of_times_of_day() {
        let noon = at(2025, 7, 4);
        let hour = 3600;
        check_days(
            &Zone::utc(),
            &["11:59:00 x", "11:59:01.5 x"],
            noon,
            &[noon - 60, noon - 59],
        );
        let over_midnight = ["23:59:59 x", "00:00:00 x", "23:59:58 late", "12:00:00 x"];
        let midnight = noon - 12 * hour;
        check_days(
            &Zone::utc(),
            &over_midnight,
            noon,
            &[midnight - 1, midnight, midnight - 2, noon],
        );
        let two_days = ["18:00:00", "03:00:00", "11:00:00", "19:00:00", "02:00:00", "11:00:00"];
        let expected = [-42, -33, -25, -17, -10, -1].map(|hours| noon + hours * hour);
        check_days(&Zone::utc(), &two_days, noon, &expected);
        // The clock on the wall is two hours ahead; a stamp may say so itself.
        check_days(&Zone::fixed(7200), &["13:59:00 x"], noon, &[noon - 60]);
        check_days(&Zone::utc(), &["13:59:00+02:00 x"], noon, &[noon - 60]);
        check_days(
            &Zone::fixed(-10 * 3600),
            &["22:30:00 x"],
            midnight,
            &[midnight - 15 * hour - 1800],
        );
    }

    #[test]
    fn roll_overs() {
        check(&["Dec 31 23:59:59", "Jan  1 00:00:00"], at(2026, 1, 1), &[2025, 2026]);
        let three = [
            "Jun  1 10:00:00",
            "Nov  1 10:00:00",
            "Feb  1 10:00:00",
            "Aug  1 10:00:00",
            "Jan  9 10:00:00",
        ];
        check(&three, at(2026, 1, 9), &[2024, 2024, 2025, 2025, 2026]);
    }

    #[test]
    fn a_late_line_after_new_year_belongs_to_the_old_one() {
        let lines = [
            "Dec 31 23:59:59",
            "Jan  1 00:00:00",
            "Dec 31 23:59:58",
            "Jan  1 00:00:02",
        ];
        check(&lines, at(2026, 1, 1), &[2025, 2026, 2025, 2026]);
    }

    #[test]
    fn a_wild_stamp_does_not_move_the_years_after_it() {
        let lines = [
            "Sep  5 10:00:00",
            "Jan  1 00:00:00",
            "Sep  5 10:00:01",
            "Sep  6 10:00:00",
        ];
        check(&lines, at(2025, 9, 6), &[2025, 2026, 2025, 2025]);
    }

    #[test]
    fn a_leap_day_in_the_file_corrects_a_copied_files_time() {
        let lines = ["Feb 29 10:00:00", "Jun  1 10:00:00"];
        check(&lines, at(2026, 7, 1), &[2024, 2024]);
    }

    #[test]
    fn any_time_of_writing_within_the_year_agrees_for_stamps_of_its_first_half() {
        for days in 0..365 {
            let written = at(2025, 1, 1) + days * SECONDS_PER_DAY;
            check(&["Mar 17 16:13:38"], written, &[2025]);
        }
    }
}
