//! The formats that are looked for, as data: dates crossed with the times that go with them.
//!
//! Order matters only between formats that read the same bytes equally long: the earlier, stricter one is meant.
//! A table indexed by how a stamp begins (so many digits and then which byte, or a letter) leaves a handful of formats
//! to try at a place.

use std::ops::Range;
use std::sync::LazyLock;

use super::pattern::Format;
use super::scan;
use super::token::Token;

/// A date, the separators that may follow it, and the times that may follow these.
struct Family {
    dates: &'static [&'static str],
    joins: &'static [&'static str],
    times: &'static [&'static str],
}

/// Times of day, longest first.
const TIMES: &[&str] = &[
    "%H:%M:%S%?f%?z",
    "%-H:%M:%S%?f%?z",
    "%I:%M:%S%?f %p%?z",
    "%H:%M%?z",
    "%I:%M %p%?z",
];
/// The same for dates that are written by hand-made layouts, where an hour of one digit is common.
const LOOSE_TIMES: &[&str] = &[
    "%-H:%M:%S%?f%?z",
    "%I:%M:%S%?f %p%?z",
    "%I:%M:%S%?f%p%?z",
    "%-H:%M%?z",
    "%I:%M %p%?z",
];

const FAMILIES: &[Family] = &[
    Family {
        dates: &["%Y-%m-%d"],
        joins: &["T", " ", "_", "-", ":", ", ", " - ", ",", ";", "|"],
        times: &[
            "%H:%M:%S%?f%?z",
            "%-H:%M:%S%?f%?z",
            "%I:%M:%S%?f %p%?z",
            "%H:%M%?z",
            "%I:%M %p%?z",
            "%H.%M.%S%?f%?z",
            "%H-%M-%S%?f%?z",
            "%H%M%S%?f%?z",
        ],
    },
    Family {
        dates: &["%a %Y-%m-%d"],
        joins: &[" "],
        times: &["%H:%M:%S%?f%?z"],
    },
    Family {
        dates: &["%Y/%m/%d", "%Y.%m.%d", "%Y:%m:%d"],
        joins: &["T", " ", "_", "-", ":", ", ", ",", ";", "|"],
        times: TIMES,
    },
    Family {
        dates: &["%Y-%-m-%-d", "%Y/%-m/%-d", "%Y.%-m.%-d"],
        joins: &["T", " "],
        times: LOOSE_TIMES,
    },
    Family {
        dates: &["%Y-%b-%d", "%Y/%b/%d", "%Y %b %e", "%Y %b %e %a"],
        joins: &[" "],
        times: LOOSE_TIMES,
    },
    Family {
        dates: &["%Y-%j", "%Y/%j"],
        joins: &["T", " ", ":"],
        times: &["%H:%M:%S%?f%?z", "%H:%M%?z"],
    },
    Family {
        dates: &["%G-W%V-%u", "%GW%V%u"],
        joins: &["T", " "],
        times: &["%H:%M:%S%?f%?z", "%H:%M%?z", "%H%M%S%?f%?z"],
    },
    // Chinese, Japanese, Korean.
    Family {
        dates: &["%Y年%-m月%-d日", "%Y年%-m月%-d日 %a", "%Y년 %-m월 %-d일"],
        joins: &["", " "],
        times: &["%-H时%M分%S秒", "%-H時%M分%S秒", "%-H:%M:%S%?f%?z", "%-H시 %M분 %S초"],
    },
    Family {
        dates: &["%-m月 %e", "%-m月%-d日", "%-m월 %e"],
        joins: &[" "],
        times: &["%-H:%M:%S%?f%?z"],
    },
    // Compact forms.
    Family {
        dates: &["%Y%m%d"],
        joins: &["T"],
        times: &["%H%M%S%?f%?z", "%H:%M:%S%?f%?z", "%H%M%?z"],
    },
    Family {
        dates: &["%Y%m%d"],
        joins: &[" ", "-", "_"],
        times: &["%H:%M:%S%?f%?z", "%H%M%S%?f%?z", "%H:%M%?z"],
    },
    // Android's health logs pad nothing: `20171224-0:7:20:444`.
    Family {
        dates: &["%Y%m%d"],
        joins: &[" ", "-"],
        times: &["%-H:%-M:%-S%?f%?z"],
    },
    Family {
        dates: &["%Y%m%d"],
        joins: &[".", ""],
        times: &["%H%M%S%?f%?z"],
    },
    Family {
        dates: &["%y%m%d"],
        joins: &[" ", "_", "-"],
        times: &["%H%M%S%?f", "%-H:%M:%S%?f%?z"],
    },
    Family {
        dates: &["%{severity}%m%d", "%{severity}%Y%m%d"],
        joins: &[" "],
        times: &["%H:%M:%S%?f"],
    },
    // Months by name.
    Family {
        dates: &["%d/%b/%Y"],
        joins: &[":"],
        times: &["%H:%M:%S%?f%?z", "%H:%M%?z"],
    },
    Family {
        dates: &[
            "%?a%-d/%b/%Y",
            "%?a%-d/%b/%y",
            "%?a%-d-%b-%Y",
            "%?a%-d-%b-%y",
            "%?a%-d %b %Y",
            "%?a%-d %b, %Y",
            "%?a%-d.%b.%Y",
        ],
        joins: &[" ", ":", ", ", "::"],
        times: LOOSE_TIMES,
    },
    Family {
        dates: &["%?a%b %e"],
        joins: &[" "],
        times: &[
            "%-H:%M:%S%?f%?z %Y",
            "%I:%M:%S%?f %p%?z %Y",
            "%-H:%M:%S%?f%?z",
            "%I:%M:%S%?f %p%?z",
            "%-H:%M%?z",
        ],
    },
    Family {
        dates: &["%?a%b %e %Y", "%?a%b %e, %Y", "%?a%b %e %y", "%?a%b-%d-%Y"],
        joins: &[" ", ", ", " @ ", " at "],
        times: LOOSE_TIMES,
    },
    Family {
        dates: &["%-d %b", "%b-%d"],
        joins: &[" "],
        times: &["%-H:%M:%S%?f%?z", "%-H:%M%?z"],
    },
    // Digits whose order the lines must tell.
    Family {
        dates: &["%y-%m-%d", "%y/%m/%d", "%y.%m.%d"],
        joins: &["T", " ", ", ", "-", ":"],
        times: TIMES,
    },
    Family {
        dates: &[
            "%-m/%-d/%Y",
            "%-d/%-m/%Y",
            "%-m/%-d/%y",
            "%-d/%-m/%y",
            "%-d.%-m.%Y",
            "%-m.%-d.%Y",
            "%-d.%-m.%y",
            "%-m.%-d.%y",
            "%-d-%-m-%Y",
            "%-m-%-d-%Y",
            "%-d-%-m-%y",
            "%-m-%-d-%y",
        ],
        joins: &["T", " ", ", ", "-", ":", " - ", ",", ";", "|"],
        times: LOOSE_TIMES,
    },
    Family {
        dates: &["%m-%d", "%-m/%-d", "%-d/%-m", "%m.%d", "%d.%m"],
        joins: &[" "],
        times: &["%-H:%M:%S%?f%?z", "%I:%M:%S%?f %p%?z"],
    },
];

/// Formats that are no date and time.
const EPOCHS: &[&str] = &["%s", "%s%3N", "%s%6N", "%s%9N", "%{tai64n}"];

/// Times of day without a date: looked for where nothing better is found.
const DAYLESS: &[&str] = &["%H:%M:%S%?f%?z", "%I:%M:%S%?f %p", "%-H:%M:%S%?f"];

/// Stamps that are reported and not counted, the longest first.
const COARSE: &[&str] = &[
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%-d.%-m.%Y",
    "%-m/%-d/%Y",
    "%-d/%-m/%Y",
    "%-d-%-m-%Y",
    "%-d %b %Y",
    "%-d-%b-%Y",
    "%-d/%b/%Y",
    "%b %e, %Y",
    "%Y-%b-%d",
    "%Y-%m",
    "%Y/%m",
    "%M:%S.%f",
    "%b %e",
];

/// Formats that begin with the same date.
struct Group {
    /// The date alone, tried before the rest.
    date: Format,
    formats: Range<u16>,
}

/// All formats, in groups with an index by first bytes.
pub struct Table {
    formats: Vec<Format>,
    groups: Vec<Group>,
    /// Groups that begin with so many digits and the byte after them; 0 means that any byte may follow.
    by_digits: Vec<Vec<(u8, usize)>>,
    by_month: Vec<usize>,
    by_weekday: Vec<usize>,
    by_severity: Vec<usize>,
    by_at_sign: Vec<usize>,
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::build);

/// The table; built once.
pub fn table() -> &'static Table {
    &TABLE
}

impl Table {
    fn build() -> Self {
        let mut table = Table {
            formats: Vec::new(),
            groups: Vec::new(),
            by_digits: vec![Vec::new(); 21],
            by_month: Vec::new(),
            by_weekday: Vec::new(),
            by_severity: Vec::new(),
            by_at_sign: Vec::new(),
        };
        for family in FAMILIES {
            for date in family.dates {
                let rests = family
                    .joins
                    .iter()
                    .flat_map(|join| family.times.iter().map(move |time| (*join, *time)));
                table.add(date, rests);
            }
        }
        for pattern in EPOCHS.iter().chain(DAYLESS).chain(COARSE) {
            table.add(pattern, std::iter::once(("", "")));
        }
        table
    }

    /// Adds a group. A row that does not compile is a mistake in the data above; `every_row_compiles` finds it.
    fn add<'a>(&mut self, date: &str, rests: impl Iterator<Item = (&'a str, &'a str)>) {
        let start = self.formats.len() as u16;
        for (join, time) in rests {
            self.formats.extend(Format::parse(&format!("{date}{join}{time}")));
        }
        let formats = start..self.formats.len() as u16;
        let Ok(date) = Format::parse(date) else { return };
        let Some(first) = self.formats.get(usize::from(start)) else {
            return;
        };
        // A date of digits alone may run on into the time, so the digits are those of a whole format.
        let compact = date.tokens().iter().all(|token| digits_of(*token).is_some());
        let patterns = if compact { formats.clone() } else { start..start + 1 };
        let leads: Vec<Vec<Token>> = match first.tokens().first() {
            Some(_) => patterns
                .map(|index| self.formats[usize::from(index)].tokens().to_vec())
                .collect(),
            None => Vec::new(),
        };
        let group = self.groups.len();
        leads.iter().for_each(|tokens| self.index(tokens, group));
        self.groups.push(Group { date, formats });
    }

    fn index(&mut self, tokens: &[Token], group: usize) {
        match tokens.first() {
            Some(Token::WeekdayOptional) => {
                self.by_weekday.push(group);
                self.index(&tokens[1..], group);
            }
            Some(Token::Weekday) => self.by_weekday.push(group),
            Some(Token::MonthName) => self.by_month.push(group),
            Some(Token::Severity) => self.by_severity.push(group),
            Some(Token::Tai64) => self.by_at_sign.push(group),
            Some(_) => self.index_digits(tokens, group),
            None => {}
        }
    }

    fn index_digits(&mut self, tokens: &[Token], group: usize) {
        let (mut least, mut most, mut next) = (0, 0, 0);
        for token in tokens {
            match (digits_of(*token), *token) {
                (Some((low, high)), _) => (least, most) = (least + low, most + high),
                (None, Token::Byte(byte)) => {
                    next = byte;
                    break;
                }
                (None, _) => break,
            }
        }
        for digits in least..=most {
            if !self.by_digits[digits].contains(&(next, group)) {
                self.by_digits[digits].push((next, group));
            }
        }
    }

    /// The format of an index.
    pub fn format(&self, index: u16) -> &Format {
        &self.formats[usize::from(index)]
    }

    /// How many formats there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.formats.len()
    }

    /// Calls `visit` with the formats whose date stands at `at`.
    pub fn for_each_candidate(&self, line: &[u8], at: usize, mut visit: impl FnMut(u16)) {
        let mut last = None;
        let mut try_group = |index: usize| {
            let group = &self.groups[index];
            if last != Some(index) && group.date.is_prefix_at(line, at) {
                last = Some(index);
                group.formats.clone().for_each(&mut visit);
            }
        };
        let Some(&first) = line.get(at) else { return };
        if first.is_ascii_digit() {
            let digits = scan::digit_run(line, at);
            let after = line.get(at + digits).copied().unwrap_or(0);
            let fits = |next: u8| next == 0 || next == after;
            let groups = self.by_digits[digits].iter().filter(|(next, _)| fits(*next));
            groups.for_each(|(_, group)| try_group(*group));
        } else if first == b'@' {
            self.by_at_sign.iter().for_each(|group| try_group(*group));
        } else if scan::is_digit_at(line, at + 1) {
            self.by_severity.iter().for_each(|group| try_group(*group));
        } else {
            // `mar` is a month here and a day there: what follows decides.
            if scan::month_name(line, at).is_some() {
                self.by_month.iter().for_each(|group| try_group(*group));
            }
            if scan::weekday_name(line, at).is_some() {
                self.by_weekday.iter().for_each(|group| try_group(*group));
            }
        }
    }
}

/// Least and most digits of a token that is all digits.
fn digits_of(token: Token) -> Option<(usize, usize)> {
    Some(match token {
        Token::Year4 => (4, 4),
        Token::Year2 | Token::Month2 | Token::Day2 | Token::Hour2 | Token::Minute | Token::Second => (2, 2),
        Token::MonthLoose | Token::DayLoose | Token::DayPadded | Token::HourLoose | Token::Hour12 => (1, 2),
        Token::MinuteLoose | Token::SecondLoose => (1, 2),
        Token::YearDay => (3, 3),
        Token::IsoWeekday => (1, 1),
        Token::Epoch(unit) => (unit.digits(), unit.digits()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::pattern::Precision;

    #[test]
    fn every_row_compiles() {
        let products: usize = FAMILIES
            .iter()
            .map(|row| row.dates.len() * row.joins.len() * row.times.len())
            .sum();
        assert_eq!(table().len(), products + EPOCHS.len() + DAYLESS.len() + COARSE.len());
    }

    #[test]
    fn rows_are_as_precise_as_their_place_says() {
        let all = table();
        let coarse_from = all.len() - COARSE.len();
        for index in 0..all.len() {
            let format = all.format(index as u16);
            let coarse = format.precision() == Precision::TooCoarse;
            assert_eq!(coarse, index >= coarse_from, "{format}");
        }
    }
}
