//! The small language that timestamp formats are written in, close to strftime, and its compilation to tokens.
//!
//! | written | means |
//! |---|---|
//! | `%Y` `%y` | year, four or two digits |
//! | `%m` `%d` `%H` `%M` `%S` | two digits |
//! | `%-m` `%-d` `%-H` `%-M` `%-S` | one or two digits |
//! | `%e` | day, one or two digits, perhaps after a space |
//! | `%j` | day of the year, three digits |
//! | `%G` `%V` `%u` | year of the ISO week, its number, and the day of the week, 1 to 7 |
//! | `%b` `%a` | month or weekday, short or long, any case, English or of some thirty other languages |
//! | `%I` `%p` | 12-hour clock, one or two digits, and AM or PM |
//! | `%?f` | perhaps a fraction, with its `.`, `,` or `:` |
//! | `%f` `%L` `%N` | digits of a fraction; after a separator the fraction as a whole may be missing |
//! | `%?z` `%z` | perhaps a zone, perhaps after a space; a zone |
//! | `%?a` | perhaps a weekday and what separates it |
//! | `%s` `%s%3N` `%s%6N` `%s%9N` | seconds, ms, µs, ns since the epoch: 10, 13, 16, 19 digits |
//! | `%{tai64n}` `%{severity}` | a TAI64 label; the letter glued before a glog date |
//! | `%{fixed}` | first of all: in records of fixed width, where letters and digits stand right around it |
//! | `%T` `%F` `%R` `%D` | as in strftime |
//! | a space | one or more spaces or tabs |

/// Longest pattern that is accepted: 200 bytes is many times the longest known format.
pub const PATTERN_BYTES_MAX: usize = 200;

/// The unit of an epoch number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EpochUnit {
    /// 10 digits, perhaps with a fraction.
    Seconds,
    /// 13 digits.
    Milliseconds,
    /// 16 digits.
    Microseconds,
    /// 19 digits.
    Nanoseconds,
}

impl EpochUnit {
    /// How many digits such a number has between 2001 and 2065.
    pub fn digits(self) -> usize {
        match self {
            EpochUnit::Seconds => 10,
            EpochUnit::Milliseconds => 13,
            EpochUnit::Microseconds => 16,
            EpochUnit::Nanoseconds => 19,
        }
    }

    /// Nanoseconds of one unit.
    pub fn nanos(self) -> i64 {
        match self {
            EpochUnit::Seconds => 1_000_000_000,
            EpochUnit::Milliseconds => 1_000_000,
            EpochUnit::Microseconds => 1_000,
            EpochUnit::Nanoseconds => 1,
        }
    }
}

/// One step of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is a line of the table above")]
pub enum Token {
    Byte(u8),
    Spaces,
    Year4,
    Year2,
    Month2,
    MonthLoose,
    MonthName,
    Day2,
    DayLoose,
    DayPadded,
    YearDay,
    IsoWeek,
    IsoWeekday,
    Hour2,
    HourLoose,
    Hour12,
    Minute,
    MinuteLoose,
    Second,
    SecondLoose,
    HalfDay,
    Weekday,
    WeekdayOptional,
    FractionOptional,
    FractionDigits,
    ZoneOptional,
    Zone,
    Epoch(EpochUnit),
    Tai64,
    Severity,
    Fixed,
}

impl Token {
    /// Whether it says something of a date, or an instant.
    pub fn is_of_date(self) -> bool {
        use Token::*;
        match self {
            Year4 | Year2 | Month2 | MonthLoose | MonthName | Day2 | DayLoose | DayPadded | YearDay | IsoWeek => true,
            IsoWeekday | Weekday | Epoch(_) | Tai64 => true,
            Byte(_) | Spaces | Hour2 | HourLoose | Hour12 | Minute | MinuteLoose | Second | SecondLoose => false,
            HalfDay | WeekdayOptional | FractionOptional | FractionDigits | ZoneOptional | Zone | Severity | Fixed => {
                false
            }
        }
    }
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A letter after `%` that the language does not have.
    #[error(
        "unknown directive `{directive}` at byte {at} of the timestamp pattern; known are %Y %y %m %d %e %j %G %V %u \
             %b %a %H %I %M %S %p %f %L %N %z %s %T %F"
    )]
    UnknownDirective {
        /// The directive as written.
        directive: String,
        /// Its offset in the pattern, in bytes.
        at: usize,
    },
    /// The pattern ends inside a directive.
    #[error("the timestamp pattern ends after `%`; write `%%` for a percent sign")]
    EndsInPercent,
    /// It names no date or no time of day to the minute.
    #[error("the timestamp pattern has no {missing}; a stamp must say at least month, day, hour and minute")]
    TooCoarse {
        /// What is missing.
        missing: &'static str,
    },
    /// `%I` without `%p`, or `%p` without `%I`.
    #[error("the timestamp pattern has {found} without {missing}; write %H for a 24-hour clock or both %I and %p")]
    HalfDay {
        /// The directive that is there.
        found: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// Longer than [`PATTERN_BYTES_MAX`].
    #[error("the timestamp pattern has {bytes} bytes; at most {PATTERN_BYTES_MAX} are possible")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// Compiles a pattern; cost linear in its length.
pub fn compile(pattern: &str) -> Result<Vec<Token>, PatternError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(PatternError::TooLong { bytes: pattern.len() });
    }
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut at = 0;
    while at < pattern.len() {
        at = compile_one(pattern, at, &mut tokens)?;
    }
    Ok(tokens)
}

/// Compiles what stands at `at` and answers where it ends.
fn compile_one(pattern: &str, at: usize, tokens: &mut Vec<Token>) -> Result<usize, PatternError> {
    let bytes = pattern.as_bytes();
    if bytes[at] == b'%' {
        return compile_directive(pattern, at, tokens);
    }
    if matches!(bytes[at], b' ' | b'\t') {
        if tokens.last() != Some(&Token::Spaces) {
            tokens.push(Token::Spaces);
        }
    } else {
        tokens.push(Token::Byte(bytes[at]));
    }
    Ok(at + 1)
}

/// Directives longer than one letter, the longest of a common beginning first.
const LONG_DIRECTIVES: [(&str, &[Token]); 27] = [
    ("%s%3N", &[Token::Epoch(EpochUnit::Milliseconds)]),
    ("%s%6N", &[Token::Epoch(EpochUnit::Microseconds)]),
    ("%s%9N", &[Token::Epoch(EpochUnit::Nanoseconds)]),
    ("%{tai64n}", &[Token::Tai64]),
    ("%{severity}", &[Token::Severity]),
    ("%{fixed}", &[Token::Fixed]),
    ("%-m", &[Token::MonthLoose]),
    ("%-d", &[Token::DayLoose]),
    ("%-H", &[Token::HourLoose]),
    ("%-I", &[Token::Hour12]),
    ("%-M", &[Token::MinuteLoose]),
    ("%-S", &[Token::SecondLoose]),
    ("%?a", &[Token::WeekdayOptional]),
    ("%?f", &[Token::FractionOptional]),
    ("%?z", &[Token::ZoneOptional]),
    ("%.3f", &[Token::FractionOptional]),
    ("%.6f", &[Token::FractionOptional]),
    ("%.9f", &[Token::FractionOptional]),
    ("%.f", &[Token::FractionOptional]),
    ("%3f", &[Token::FractionDigits]),
    ("%6f", &[Token::FractionDigits]),
    ("%9f", &[Token::FractionDigits]),
    ("%3N", &[Token::FractionDigits]),
    ("%6N", &[Token::FractionDigits]),
    ("%9N", &[Token::FractionDigits]),
    ("%:z", &[Token::Zone]),
    ("%#z", &[Token::Zone]),
];

fn compile_directive(pattern: &str, at: usize, tokens: &mut Vec<Token>) -> Result<usize, PatternError> {
    let rest = &pattern[at..];
    if let Some((text, meaning)) = LONG_DIRECTIVES.iter().find(|(text, _)| rest.starts_with(text)) {
        append(tokens, meaning);
        return Ok(at + text.len());
    }
    let letter = rest.chars().nth(1).ok_or(PatternError::EndsInPercent)?;
    let Some(meaning) = short_directive(letter) else {
        return Err(PatternError::UnknownDirective {
            directive: format!("%{letter}"),
            at,
        });
    };
    append(tokens, meaning);
    Ok(at + 1 + letter.len_utf8())
}

/// Appends tokens; a fraction's separator that stands before its digits becomes part of it, because writers drop both
/// together when the fraction is zero.
fn append(tokens: &mut Vec<Token>, meaning: &[Token]) {
    let after_separator = matches!(tokens.last(), Some(Token::Byte(b'.' | b',' | b':')));
    if meaning == [Token::FractionDigits] && after_separator {
        tokens.pop();
        tokens.push(Token::FractionOptional);
    } else {
        tokens.extend_from_slice(meaning);
    }
}

fn short_directive(letter: char) -> Option<&'static [Token]> {
    use Token::*;
    Some(match letter {
        'Y' | 'G' => &[Year4],
        'V' => &[IsoWeek],
        'u' => &[IsoWeekday],
        'y' => &[Year2],
        'm' => &[Month2],
        'd' => &[Day2],
        'e' => &[DayPadded],
        'j' => &[YearDay],
        'b' | 'B' | 'h' => &[MonthName],
        'a' | 'A' => &[Weekday],
        'H' => &[Hour2],
        'k' => &[HourLoose],
        'I' | 'l' => &[Hour12],
        'M' => &[Minute],
        'S' => &[Second],
        'p' | 'P' => &[HalfDay],
        'f' | 'L' | 'N' => &[FractionDigits],
        'z' | 'Z' => &[Zone],
        's' => &[Epoch(EpochUnit::Seconds)],
        'n' | 't' => &[Spaces],
        '%' => &[Byte(b'%')],
        'T' => &[Hour2, Byte(b':'), Minute, Byte(b':'), Second],
        'R' => &[Hour2, Byte(b':'), Minute],
        'F' => &[Year4, Byte(b'-'), Month2, Byte(b'-'), Day2],
        'D' => &[Month2, Byte(b'/'), Day2, Byte(b'/'), Year2],
        _ => return None,
    })
}

/// Lets two-digit fields be one digit where a separator ends them, as strptime does: whoever writes `%d/%m` by hand
/// means `5/1` too.
pub fn loosen(tokens: &mut [Token]) {
    for index in 0..tokens.len() {
        let separated = matches!(tokens.get(index + 1), Some(Token::Byte(next)) if !next.is_ascii_digit())
            || matches!(tokens.get(index + 1), Some(Token::Spaces));
        if separated {
            tokens[index] = match tokens[index] {
                Token::Month2 => Token::MonthLoose,
                Token::Day2 => Token::DayLoose,
                Token::Hour2 => Token::HourLoose,
                other => other,
            };
        }
    }
}

/// Checks that a pattern says enough to be counted by: a date without its year at least and a time to the minute, or a
/// time of day to the second.
pub fn check_complete(tokens: &[Token]) -> Result<(), PatternError> {
    use Token::*;
    let has = |wanted: &[Token]| tokens.iter().any(|token| wanted.contains(token));
    if tokens.iter().any(|token| matches!(token, Epoch(_) | Tai64)) {
        return Ok(());
    }
    let missing = |missing| Err(PatternError::TooCoarse { missing });
    let counted = has(&[YearDay, IsoWeek]);
    if !tokens.iter().any(|token| token.is_of_date()) && has(&[Second]) && has(&[Hour2, HourLoose, Hour12]) {
        return check_half_day(&has);
    }
    if !counted && !has(&[Month2, MonthLoose, MonthName]) {
        return missing("month (%m or %b)");
    }
    if !counted && !has(&[Day2, DayLoose, DayPadded]) {
        return missing("day (%d)");
    }
    if counted && !has(&[Year4, Year2]) {
        return missing("year (%Y), which %j and %V need");
    }
    if has(&[IsoWeek]) && !has(&[IsoWeekday]) {
        return missing("day of the week (%u), which %V needs");
    }
    if !has(&[Hour2, HourLoose, Hour12]) {
        return missing("hour (%H)");
    }
    if !has(&[Minute, MinuteLoose]) {
        return missing("minute (%M)");
    }
    check_half_day(&has)
}

fn check_half_day(has: &impl Fn(&[Token]) -> bool) -> Result<(), PatternError> {
    use Token::{HalfDay, Hour12};
    match (has(&[Hour12]), has(&[HalfDay])) {
        (true, false) => Err(PatternError::HalfDay {
            found: "%I",
            missing: "%p",
        }),
        (false, true) => Err(PatternError::HalfDay {
            found: "%p",
            missing: "%I",
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: &[Token]) {
        assert_eq!(compile(pattern).as_deref(), Ok(expected), "{pattern}");
    }

    #[test]
    fn compiled() {
        use Token::*;
        check("%Y-%m", &[Year4, Byte(b'-'), Month2]);
        check("%S,%f", &[Second, FractionOptional]);
        check("%S.%3N%z", &[Second, FractionOptional, Zone]);
        check("%S%f", &[Second, FractionDigits]);
        check("%s%3N", &[Epoch(EpochUnit::Milliseconds)]);
        check("%s.%f", &[Epoch(EpochUnit::Seconds), FractionOptional]);
        check("%b  %e", &[MonthName, Spaces, DayPadded]);
        check("100%%", &[Byte(b'1'), Byte(b'0'), Byte(b'0'), Byte(b'%')]);
        check("%{severity}%m", &[Severity, Month2]);
    }

    #[track_caller]
    fn check_error(pattern: &str, expected: &str) {
        let error = compile(pattern).and_then(|tokens| check_complete(&tokens)).unwrap_err();
        assert!(error.to_string().contains(expected), "{pattern}: {error}");
    }

    #[test]
    fn errors() {
        check_error("%Y-%m-%d %Q", "unknown directive `%Q` at byte 9");
        check_error("%Y-%é", "unknown directive `%é`");
        check_error("%Y-%", "ends after `%`");
        check_error("%Y-%m-%d", "no hour");
        check_error("%H:%M", "no month");
        check_error("%I:%M:%S", "%I without %p");
        check_error("%Y-%m %H:%M", "no day");
        check_error("%j %H:%M", "no year");
        check_error("%Y-%m-%d %H", "no minute");
        check_error("%Y-%m-%d %I:%M", "%I without %p");
        check_error("%Y-%m-%d %H:%M %p", "%p without %I");
        check_error(&"x".repeat(300), "at most 200");
    }
}
