//! One format and the interpreter that reads stamps by it.
//!
//! Reading is deterministic and never goes back: each token looks at what stands at the cursor and moves it. So what
//! was read up to the seconds depends on those bytes alone, which is what lets the reader keep it for the next line.

use std::fmt;
use std::sync::Arc;

use super::civil::{Stamp, WrittenZone, Year};
use super::interpret::{Draft, run};
use super::scan;
use super::token::{PatternError, Token, check_complete, compile, loosen};

/// Digits of an epoch number in seconds; the last ten bytes of one without a fraction are digits.
const EPOCH_DIGITS: usize = 10;

/// How much a format says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// A date and a time of day.
    DateAndTime,
    /// A count since the epoch.
    Epoch,
    /// A time of day to the second, without its date: which day it is, only a walk over the whole file can tell.
    TimeOfDay,
    /// Less than a minute of a day: recognised and reported, never counted by.
    TooCoarse,
}

/// The order of the fields in a date written with digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldOrder {
    /// The format allows no other reading.
    Certain,
    /// Two-digit year, month, day.
    YearMonthDay,
    /// Day before month.
    DayMonth,
    /// Month before day.
    MonthDay,
}

/// What rules a stamp out by standing right before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A letter or digit.
    Word,
    /// That, or a digit and a date separator: `05-20 10:22:33` inside `2015-05-20 10:22:33` is no stamp.
    Date,
    /// That, or a digit with a space or another separator: the end of something that is no date.
    Digit,
    /// That, or what joins the parts of an id or a number.
    Number,
    /// Nothing does: it is a field of a record of fixed width.
    Nothing,
}

/// What rules a stamp out by standing right after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// A digit.
    Digit,
    /// A digit, or a colon and a digit: the seconds would be lost.
    Seconds,
    /// A letter, a digit, or what joins the parts of an id or a number.
    Number,
    /// Nothing does: it is a field of a record of fixed width.
    Nothing,
}

/// The optional parts at the end of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// A zone may follow.
    Zone,
    /// Nothing that begins with a space may follow.
    Closed,
}

/// What follows the minutes, when it is no more than this: then a line of the same minute needs nothing else read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Seconds, perhaps a fraction, perhaps a zone; the flags say which may be there.
    Seconds {
        /// A fraction may follow.
        fraction: bool,
        /// A zone may follow.
        zone: bool,
    },
    /// Something else.
    Other,
}

/// What shows that a stamp ends where the one before ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// So many bytes behind it, whatever comes after them.
    By(usize),
    /// Something that is looked at in each line anew.
    Somehow,
    /// Nothing: it must be read again.
    Unknown,
}

/// The seconds of a stamp and what follows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seconds {
    pub second: u32,
    pub nanos: u32,
    pub zone: WrittenZone,
    pub end: usize,
}

#[derive(Debug)]
struct Compiled {
    pattern: String,
    tokens: Vec<Token>,
    precision: Precision,
    order: FieldOrder,
    year: Year,
    before: Before,
    after: After,
    tail: Tail,
    /// Index of the token up to which the previous line's reading can be kept.
    resume: usize,
    rest: Rest,
    first_bytes: FirstBytes,
}

/// The bytes that a stamp can begin with, as a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FirstBytes([u64; 4]);

impl FirstBytes {
    fn of(token: Option<&Token>) -> Self {
        let admits: fn(u8) -> bool = match token {
            Some(Token::MonthName | Token::Weekday) => |byte| byte.is_ascii_alphabetic() || byte >= 0x80,
            Some(Token::Severity) => |byte| byte.is_ascii_alphabetic(),
            Some(Token::WeekdayOptional) => |byte| byte.is_ascii_alphanumeric() || byte == b' ' || byte >= 0x80,
            Some(Token::DayPadded) => |byte| byte.is_ascii_digit() || byte == b' ',
            Some(Token::Tai64) => |byte| byte == b'@',
            Some(Token::Byte(_) | Token::Spaces | Token::FractionOptional | Token::ZoneOptional | Token::Zone)
            | Some(Token::HalfDay)
            | None => |_| true,
            Some(_) => |byte| byte.is_ascii_digit(),
        };
        let mut set = FirstBytes([0; 4]);
        for byte in (0..=u8::MAX).filter(|byte| admits(*byte)) {
            set.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
        set
    }

    #[inline]
    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }
}

/// A timestamp format. Cheap to clone; two are equal if their patterns are.
#[derive(Clone)]
pub struct Format(Arc<Compiled>);

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.0.pattern == other.0.pattern
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Format({})", self.0.pattern)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.pattern)
    }
}

impl Format {
    /// Compiles a pattern of the language of [`token`](super::token) exactly as written.
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        let tokens = compile(pattern)?;
        Ok(Self::from_tokens(pattern.to_owned(), tokens))
    }

    /// Compiles the pattern a user wrote in a monitor's `timestamp:` field. Fields before a separator may be of one
    /// digit, as in strptime; it must say enough to be counted by.
    pub fn parse_override(pattern: &str) -> Result<Self, PatternError> {
        let mut tokens = compile(pattern)?;
        check_complete(&tokens)?;
        loosen(&mut tokens);
        Ok(Self::from_tokens(pattern.to_owned(), tokens))
    }

    fn from_tokens(pattern: String, tokens: Vec<Token>) -> Self {
        let epoch = tokens
            .iter()
            .any(|token| matches!(token, Token::Epoch(_) | Token::Tai64));
        let precision = match check_complete(&tokens) {
            Ok(()) if epoch => Precision::Epoch,
            Ok(()) if is_time_of_day(&tokens) => Precision::TimeOfDay,
            Ok(()) => Precision::DateAndTime,
            Err(_) => Precision::TooCoarse,
        };
        let resume = resume_index(&tokens);
        let seconds = tokens.contains(&Token::Second) || tokens.contains(&Token::SecondLoose);
        let number = tokens.iter().any(|token| matches!(token, Token::Epoch(_)));
        let fixed = tokens.contains(&Token::Fixed);
        let first = tokens.iter().find(|token| **token != Token::Fixed);
        let year_first = matches!(first, Some(Token::Year4 | Token::WeekdayOptional | Token::Weekday));
        let compiled = Compiled {
            precision,
            order: field_order(&tokens),
            year: if has_year(&tokens) {
                Year::Written(0)
            } else {
                Year::Absent
            },
            before: match (number, year_first) {
                _ if fixed => Before::Nothing,
                _ if precision == Precision::TimeOfDay => Before::Digit,
                (true, _) => Before::Number,
                (false, true) => Before::Word,
                (false, false) => Before::Date,
            },
            after: match (number, seconds) {
                _ if fixed => After::Nothing,
                (true, _) => After::Number,
                (false, true) => After::Digit,
                (false, false) => After::Seconds,
            },
            tail: if tokens.last() == Some(&Token::ZoneOptional) {
                Tail::Zone
            } else {
                Tail::Closed
            },
            resume,
            // On which day a time of day is hangs on the zone that may follow it.
            rest: match precision {
                Precision::TimeOfDay => Rest::Other,
                _ => rest_of(&tokens[resume..]),
            },
            first_bytes: FirstBytes::of(first),
            pattern,
            tokens,
        };
        Self(Arc::new(compiled))
    }

    /// The pattern it was made of.
    pub fn pattern(&self) -> &str {
        &self.0.pattern
    }

    /// How much it says.
    pub fn precision(&self) -> Precision {
        self.0.precision
    }

    /// In which order day, month and year stand.
    pub fn field_order(&self) -> FieldOrder {
        self.0.order
    }

    /// Whether a [`YearMark`](super::YearMark) must give the year, or the whole date.
    pub fn lacks_year(&self) -> bool {
        match self.0.precision {
            Precision::DateAndTime => self.0.year == Year::Absent,
            Precision::TimeOfDay => true,
            Precision::Epoch | Precision::TooCoarse => false,
        }
    }

    /// Whether it is a field of records of fixed width: what stands right before and behind it has no say.
    pub fn is_fixed(&self) -> bool {
        self.0.before == Before::Nothing
    }

    pub(super) fn tokens(&self) -> &[Token] {
        &self.0.tokens
    }

    /// The stamp that begins at `at`, and where it ends: the longest valid prefix of what stands there. `None` if
    /// there is none, if it is too coarse to be counted by, or if what stands around it makes it part of another word.
    pub fn match_at(&self, line: &[u8], at: usize) -> Option<(Stamp, usize)> {
        let mut draft = Draft::default();
        let middle = self.read_head(line, at, &mut draft)?;
        self.read_rest(line, middle, &mut draft)
    }

    /// Where a stamp that begins at `at` ends, however coarse.
    pub(super) fn match_end(&self, line: &[u8], at: usize) -> Option<usize> {
        let mut draft = Draft::default();
        let middle = self.read_head(line, at, &mut draft)?;
        let end = run(&self.0.tokens[self.0.resume..], line, middle, &mut draft)?;
        (self.ends_well(line, end) && self.plausible(&draft)).then_some(end)
    }

    /// Reads up to the seconds and answers where they stand.
    pub(super) fn read_head(&self, line: &[u8], at: usize, draft: &mut Draft) -> Option<usize> {
        let first = *line.get(at)?;
        if !self.0.first_bytes.has(first) || !self.begins_well(line, at) {
            return None;
        }
        run(&self.0.tokens[..self.0.resume], line, at, draft)
    }

    /// Reads from the seconds on, given what [`Format::read_head`] read and answered.
    pub(super) fn read_rest(&self, line: &[u8], middle: usize, draft: &mut Draft) -> Option<(Stamp, usize)> {
        let end = run(&self.0.tokens[self.0.resume..], line, middle, draft)?;
        if !self.ends_well(line, end) {
            return None;
        }
        Some((self.finish(draft)?, end))
    }

    /// Whether a stamp can begin with a byte; most bytes of most lines are ruled out by this.
    #[inline]
    pub(super) fn may_begin_with(&self, byte: u8) -> bool {
        self.0.first_bytes.has(byte)
    }

    /// Whether the seconds, a fraction and a zone are all that [`Format::read_rest`] reads.
    pub(super) fn rest(&self) -> Rest {
        self.0.rest
    }

    /// What [`Format::read_rest`] reads if the rest is [`Rest::Seconds`], without the draft around it.
    #[inline]
    pub(super) fn read_seconds(&self, line: &[u8], middle: usize, fraction: bool, zone: bool) -> Option<Seconds> {
        let second = scan::fixed_digits(line, middle, 2).filter(|&second| second <= 60)?;
        let mut read = Seconds {
            second,
            nanos: 0,
            zone: WrittenZone::Absent,
            end: middle + 2,
        };
        if fraction {
            (read.nanos, read.end) = scan::optional_fraction(line, read.end);
        }
        if let Some((zone, end)) = zone.then(|| scan::zone(line, read.end)).flatten() {
            (read.zone, read.end) = (zone, end);
        }
        self.ends_well(line, read.end).then_some(read)
    }

    /// Whether all of this format's tokens stand at `at`, and the month, if any, is one: a cheap look at a date before
    /// all the times that may follow it are tried.
    pub(super) fn is_prefix_at(&self, line: &[u8], at: usize) -> bool {
        let mut draft = Draft::default();
        run(&self.0.tokens, line, at, &mut draft).is_some() && draft.month <= 12 && draft.day <= 31
    }

    /// What shows that nothing after `end` can change what was read up to there, given that the same bytes were a
    /// stamp before and whether they held a zone.
    pub(super) fn closing(&self, line: &[u8], end: usize, zone: WrittenZone) -> Closing {
        match line.get(end) {
            None => Closing::Somehow,
            Some(b']' | b')' | b'}' | b'"' | b'\'' | b'|' | b';' | b'\t' | b'<' | b'>' | b'=') => Closing::By(1),
            Some(b' ') if self.0.tail == Tail::Closed || zone != WrittenZone::Absent => Closing::By(1),
            Some(b' ') => scan::no_zone(line, end).map_or(Closing::Unknown, |bytes| match bytes {
                0 => Closing::Somehow,
                bytes => Closing::By(bytes),
            }),
            Some(_) => Closing::Unknown,
        }
    }

    #[inline]
    pub(super) fn begins_well(&self, line: &[u8], at: usize) -> bool {
        let Some(&before) = at.checked_sub(1).and_then(|index| line.get(index)) else {
            return at == 0;
        };
        if before.is_ascii_alphanumeric() {
            return self.is_fixed() || ends_colour(&line[..at]);
        }
        match self.0.before {
            Before::Word | Before::Nothing => true,
            Before::Date => !(matches!(before, b'-' | b'/' | b'.') && at >= 2 && scan::is_digit_at(line, at - 2)),
            Before::Digit => !(before != b'[' && before != b'(' && at >= 2 && scan::is_digit_at(line, at - 2)),
            Before::Number => !matches!(before, b'_' | b'-' | b'.' | b'/'),
        }
    }

    #[inline]
    fn ends_well(&self, line: &[u8], end: usize) -> bool {
        let Some(&after) = line.get(end) else { return true };
        match self.0.after {
            After::Nothing => true,
            After::Digit => !after.is_ascii_digit(),
            After::Seconds => !(after.is_ascii_digit() || after == b':' && scan::is_digit_at(line, end + 1)),
            After::Number => {
                // `audit(1772359200.123:456)`: behind a fraction, a colon begins something else.
                let has_fraction = line[end.saturating_sub(EPOCH_DIGITS)..end].contains(&b'.');
                let joins = after == b'.' || after == b':' && !has_fraction;
                let joined = joins && scan::is_digit_at(line, end + 1);
                !after.is_ascii_alphanumeric() && !matches!(after, b'_' | b'-') && !joined
            }
        }
    }

    /// Whether the fields of a draft, coarse ones included, are in range and of our time.
    fn plausible(&self, draft: &Draft) -> bool {
        let of_our_time = match draft.year {
            Year::Written(year) => (1970..2200).contains(&year),
            Year::Absent => true,
        };
        of_our_time && (self.0.precision == Precision::TooCoarse || self.finish(draft).is_some())
    }

    #[inline]
    fn finish(&self, draft: &Draft) -> Option<Stamp> {
        match self.0.precision {
            Precision::DateAndTime => draft.civil().map(Stamp::Civil),
            Precision::TimeOfDay => draft.time_of_day().map(Stamp::Civil),
            Precision::Epoch => Some(Stamp::Instant(draft.unix_ns.checked_add(i64::from(draft.nanos))?)),
            Precision::TooCoarse => None,
        }
    }
}

/// A format that no line has.
pub(super) fn nothing() -> Format {
    Format::from_tokens(String::new(), vec![Token::Byte(b'\n')])
}

/// Whether text ends with an ANSI colour sequence, whose `m` is no letter of a word.
fn ends_colour(text: &[u8]) -> bool {
    let Some((b'm', parameters)) = text.split_last() else {
        return false;
    };
    let digits = parameters
        .iter()
        .rev()
        .take(16)
        .take_while(|byte| byte.is_ascii_digit() || **byte == b';')
        .count();
    parameters[..parameters.len() - digits].ends_with(b"\x1b[")
}

/// Whether tokens name no part of a date.
fn is_time_of_day(tokens: &[Token]) -> bool {
    !tokens.iter().any(|token| token.is_of_date())
}

fn has_year(tokens: &[Token]) -> bool {
    tokens
        .iter()
        .any(|token| matches!(token, Token::Year4 | Token::Year2 | Token::Epoch(_) | Token::Tai64))
}

fn field_order(tokens: &[Token]) -> FieldOrder {
    let place = |wanted: &[Token]| tokens.iter().position(|token| wanted.contains(token));
    let month = place(&[Token::Month2, Token::MonthLoose]);
    let day = place(&[Token::Day2, Token::DayLoose, Token::DayPadded]);
    let (Some(month), Some(day)) = (month, day) else {
        return FieldOrder::Certain;
    };
    let separated = matches!(tokens.get(month + 1), Some(Token::Byte(b'/' | b'-' | b'.' | b':')))
        || matches!(tokens.get(day + 1), Some(Token::Byte(b'/' | b'-' | b'.' | b':')));
    // A month and day with a dash and no year are logcat's; nobody is known to write them the other way round.
    let logcat = !has_year(tokens) && tokens.get(month + 1) == Some(&Token::Byte(b'-'));
    match (separated && !logcat, place(&[Token::Year4]), place(&[Token::Year2])) {
        (false, _, _) | (_, Some(0), _) => FieldOrder::Certain,
        (true, _, Some(0)) => FieldOrder::YearMonthDay,
        _ if day < month => FieldOrder::DayMonth,
        _ => FieldOrder::MonthDay,
    }
}

fn rest_of(tokens: &[Token]) -> Rest {
    match tokens {
        [Token::Second] => Rest::Seconds {
            fraction: false,
            zone: false,
        },
        [Token::Second, Token::FractionOptional] => Rest::Seconds {
            fraction: true,
            zone: false,
        },
        [Token::Second, Token::ZoneOptional] => Rest::Seconds {
            fraction: false,
            zone: true,
        },
        [Token::Second, Token::FractionOptional, Token::ZoneOptional] => Rest::Seconds {
            fraction: true,
            zone: true,
        },
        _ => Rest::Other,
    }
}

/// The index of the first token of the part that is read anew on each line: the seconds, if all before them is read
/// from those bytes alone (nothing optional, and no field of open width right before); else the first.
fn resume_index(tokens: &[Token]) -> usize {
    let Some(second) = tokens.iter().position(|token| *token == Token::Second) else {
        return 0;
    };
    let optional = |token: &Token| {
        matches!(
            token,
            Token::FractionOptional | Token::FractionDigits | Token::ZoneOptional | Token::Zone
        )
    };
    let bounded = matches!(
        second.checked_sub(1).map(|last| tokens[last]),
        Some(Token::Byte(_) | Token::Minute)
    );
    if bounded && !tokens[..second].iter().any(optional) {
        second
    } else {
        0
    }
}

#[cfg(test)]
mod tests;
