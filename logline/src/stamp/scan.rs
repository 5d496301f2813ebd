//! The pieces a stamp is made of, read from bytes: digits, month names, fractions, zones.
//!
//! Every function takes the line and a position and answers what stands there and where it ends. None looks at text
//! as UTF-8, none allocates.

use super::civil::{HalfDay, WrittenZone};
use super::names;
use super::zone_names::zone_name;

/// Greatest offset from UTC that is believed, in hours. Real ones end at 14.
const OFFSET_HOURS_MAX: i32 = 15;
/// Real offsets are whole quarters of an hour; anything else after a stamp is some other number.
const OFFSET_STEP_MINUTES: i32 = 15;

const MONTHS: [&[u8]; 12] = [
    b"january",
    b"february",
    b"march",
    b"april",
    b"may",
    b"june",
    b"july",
    b"august",
    b"september",
    b"october",
    b"november",
    b"december",
];
const WEEKDAYS: [&[u8]; 7] = [
    b"monday",
    b"tuesday",
    b"wednesday",
    b"thursday",
    b"friday",
    b"saturday",
    b"sunday",
];

/// Exactly `count` digits.
#[inline]
pub fn fixed_digits(line: &[u8], at: usize, count: usize) -> Option<u32> {
    let digits = line.get(at..at + count)?;
    let mut value = 0_u32;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    Some(value)
}

/// One or two digits, as many as there are.
#[inline]
pub fn loose_digits(line: &[u8], at: usize) -> Option<(u32, usize)> {
    match fixed_digits(line, at, 2) {
        Some(value) => Some((value, at + 2)),
        None => fixed_digits(line, at, 1).map(|value| (value, at + 1)),
    }
}

/// How many digits stand there, at most 20.
#[inline]
pub fn digit_run(line: &[u8], at: usize) -> usize {
    line.iter()
        .skip(at)
        .take(20)
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

/// Exactly `count` digits as a wide number; up to 19, `None` if it does not fit.
#[inline]
pub fn wide_digits(line: &[u8], at: usize, count: usize) -> Option<i64> {
    let mut value = 0_u64;
    for &byte in line.get(at..at + count)? {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits fit into 64 bits without a sign; more are never asked for.
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    i64::try_from(value).ok()
}

/// One to nine digits of a fraction, as nanoseconds.
#[inline]
pub fn fraction_digits(line: &[u8], at: usize) -> Option<(u32, usize)> {
    let mut nanos = 0_u32;
    let mut end = at;
    while end < at + 9 {
        let Some(digit) = line
            .get(end)
            .map(|byte| byte.wrapping_sub(b'0'))
            .filter(|&digit| digit <= 9)
        else {
            break;
        };
        nanos = nanos * 10 + u32::from(digit);
        end += 1;
    }
    if end == at {
        return None;
    }
    for _ in end - at..9 {
        nanos *= 10;
    }
    Some((nanos, end))
}

/// A fraction with its separator; nothing there is a fraction of 0. More than nine digits after a dot are cut, after a
/// comma or colon they are another number and no fraction.
#[inline]
pub fn optional_fraction(line: &[u8], at: usize) -> (u32, usize) {
    let Some(&separator) = line.get(at) else { return (0, at) };
    if !matches!(separator, b'.' | b',' | b':') {
        return (0, at);
    }
    let Some((nanos, end)) = fraction_digits(line, at + 1) else {
        return (0, at);
    };
    if !is_digit_at(line, end) {
        return (nanos, end);
    }
    if separator == b'.' {
        (nanos, end + digit_run(line, end))
    } else {
        (0, at)
    }
}

/// Whether a digit stands there.
#[inline]
pub fn is_digit_at(line: &[u8], at: usize) -> bool {
    line.get(at).is_some_and(u8::is_ascii_digit)
}

/// Whether a letter or digit stands there.
#[inline]
pub fn is_word_at(line: &[u8], at: usize) -> bool {
    line.get(at).is_some_and(u8::is_ascii_alphanumeric)
}

/// The run of ASCII letters that stands there, at most 12.
fn letters(line: &[u8], at: usize) -> &[u8] {
    let rest = line.get(at..).unwrap_or(&[]);
    let length = rest
        .iter()
        .take(12)
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    &rest[..length]
}

/// The first three letters in lower case as one number; no two months and no two weekdays share them.
const fn initials(word: &[u8]) -> u32 {
    (word[0] as u32 | 32) << 16 | (word[1] as u32 | 32) << 8 | (word[2] as u32 | 32)
}

const MONTH_INITIALS: [u32; 12] = {
    let mut all = [0; 12];
    let mut index = 0;
    while index < 12 {
        all[index] = initials(MONTHS[index]);
        index += 1;
    }
    all
};
const WEEKDAY_INITIALS: [u32; 7] = {
    let mut all = [0; 7];
    let mut index = 0;
    while index < 7 {
        all[index] = initials(WEEKDAYS[index]);
        index += 1;
    }
    all
};

/// The index in `names` of a whole word that is a name or its first three letters, in any case.
fn name_index(names: &[&[u8]], all_initials: &[u32], word: &[u8]) -> Option<usize> {
    if word.len() < 3 {
        return None;
    }
    let wanted = initials(word);
    let index = all_initials.iter().position(|known| *known == wanted)?;
    (word.len() == 3 || word.eq_ignore_ascii_case(names[index])).then_some(index)
}

/// A month name, short or long, in any case, English or of another language: 1 to 12.
pub fn month_name(line: &[u8], at: usize) -> Option<(u8, usize)> {
    let word = letters(line, at);
    match name_index(&MONTHS, &MONTH_INITIALS, word) {
        Some(index) if !goes_on(line, at + word.len()) => Some((index as u8 + 1, at + word.len())),
        _ => names::month(line, at),
    }
}

/// A weekday, short or long, in any case, English or of another language; answers where it ends.
pub fn weekday_name(line: &[u8], at: usize) -> Option<usize> {
    let word = letters(line, at);
    match name_index(&WEEKDAYS, &WEEKDAY_INITIALS, word) {
        Some(_) if !goes_on(line, at + word.len()) => Some(at + word.len()),
        _ => names::weekday(line, at),
    }
}

/// Whether a word goes on with a letter beyond ASCII, or with the dot of an abbreviation before a space.
fn goes_on(line: &[u8], at: usize) -> bool {
    match line.get(at) {
        Some(b'.') => matches!(line.get(at + 1), Some(b' ' | b',')),
        Some(byte) => *byte >= 0x80,
        None => false,
    }
}

/// `AM`, `pm`, `a.m.`: a whole word.
pub fn half_day(line: &[u8], at: usize) -> Option<(HalfDay, usize)> {
    let half = match line.get(at)? {
        b'a' | b'A' => HalfDay::Am,
        b'p' | b'P' => HalfDay::Pm,
        _ => return None,
    };
    let mut end = at + 1;
    let dotted = line.get(end) == Some(&b'.');
    end += usize::from(dotted);
    if !matches!(line.get(end)?, b'm' | b'M') {
        return None;
    }
    end += 1;
    if dotted && line.get(end) == Some(&b'.') {
        end += 1;
    }
    (!is_word_at(line, end)).then_some((half, end))
}

/// The zone that stands there, perhaps after one space. `None` if there is none: then nothing is consumed.
#[inline]
pub fn zone(line: &[u8], at: usize) -> Option<(WrittenZone, usize)> {
    let &first = line.get(at)?;
    let spaced = first == b' ';
    let start = at + usize::from(spaced);
    match line.get(start)? {
        b'+' | b'-' => zone_offset(line, start, spaced),
        b'A'..=b'Z' => zone_word(line, start),
        _ => None,
    }
}

/// Whether no zone stands where a space does, and how many bytes from it on show that, whatever comes after them: 0 if
/// they are not counted. `None` if there is one.
pub fn no_zone(line: &[u8], space: usize) -> Option<usize> {
    if zone(line, space).is_some() {
        return None;
    }
    Some(match line.get(space + 1) {
        Some(b'+' | b'-') | None => 0,
        Some(b'A'..=b'Z') if is_level(line, space + 1) => 1 + LEVEL_BYTES,
        Some(b'A'..=b'Z') => 0,
        Some(_) => 2,
    })
}

/// `±hh:mm`, `±hhmm`, and `±hh` if no space stands before it (a lone ` -12` is more likely a number).
fn zone_offset(line: &[u8], start: usize, spaced: bool) -> Option<(WrittenZone, usize)> {
    let sign = if line[start] == b'-' { -1 } else { 1 };
    let hours = fixed_digits(line, start + 1, 2)? as i32;
    if hours > OFFSET_HOURS_MAX {
        return None;
    }
    let colon = usize::from(line.get(start + 3) == Some(&b':'));
    let minutes_at = start + 3 + colon;
    let minutes = fixed_digits(line, minutes_at, 2).map(|minutes| minutes as i32);
    let minutes = minutes.filter(|minutes| minutes % OFFSET_STEP_MINUTES == 0 && *minutes < 60);
    if let Some(minutes) = minutes.filter(|_| !is_digit_at(line, minutes_at + 2)) {
        return Some((
            WrittenZone::Offset(sign * (hours * 3600 + minutes * 60)),
            minutes_at + 2,
        ));
    }
    let goes_on = is_digit_at(line, start + 3 + colon);
    (!goes_on && !spaced).then_some((WrittenZone::Offset(sign * hours * 3600), start + 3))
}

/// How the words begin that mostly follow a stamp: no zone begins so, which saves looking for one in each line.
const LEVELS: [[u8; LEVEL_BYTES]; 8] = [
    *b"INFO", *b"WARN", *b"ERRO", *b"DEBU", *b"TRAC", *b"FATA", *b"CRIT", *b"NOTI",
];

/// Bytes of these beginnings.
const LEVEL_BYTES: usize = 4;

fn is_level(line: &[u8], at: usize) -> bool {
    line[at..].first_chunk().is_some_and(|first| LEVELS.contains(first))
}

/// A zone's full name; or `Z` and the common abbreviations, as a whole word. A name that means several zones is
/// consumed and left to the input's zone.
fn zone_word(line: &[u8], start: usize) -> Option<(WrittenZone, usize)> {
    let rest = &line[start..];
    if is_level(line, start) {
        return None;
    }
    if let Some(named) = zone_name(line, start) {
        return Some(named);
    }
    let length = rest.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
    let end = start + length;
    if is_word_at(line, end) {
        return None;
    }
    let word = &rest[..length];
    if word == b"GMT" || word == b"UTC" {
        let explicit = matches!(line.get(end), Some(b'+' | b'-'))
            .then(|| zone_offset(line, end, false))
            .flatten();
        return Some(explicit.unwrap_or((WrittenZone::Offset(0), end)));
    }
    Some((named_zone(word)?, end))
}

/// The fixed meaning of an abbreviation. `CST`, `IST`, `BST` and the like have several, so they have none here.
fn named_zone(word: &[u8]) -> Option<WrittenZone> {
    let hours = match word {
        b"Z" | b"UT" | b"WET" => 0,
        b"CET" | b"WEST" | b"MET" => 1,
        b"CEST" | b"EET" | b"MEST" | b"SAST" | b"CAT" => 2,
        b"EEST" | b"MSK" | b"EAT" | b"TRT" => 3,
        b"PKT" => 5,
        b"HKT" | b"AWST" | b"SGT" => 8,
        b"JST" | b"KST" => 9,
        b"AEST" => 10,
        b"AEDT" => 11,
        b"NZST" => 12,
        b"NZDT" => 13,
        b"ADT" => -3,
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" | b"AKDT" => -8,
        b"AKST" => -9,
        b"HST" => -10,
        b"CST" | b"IST" | b"BST" | b"AST" => return Some(WrittenZone::Absent),
        _ => return None,
    };
    Some(WrittenZone::Offset(hours * 3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_zone(text: &str, expected: Option<(WrittenZone, usize)>) {
        assert_eq!(zone(text.as_bytes(), 0), expected, "{text}");
    }

    #[test]
    fn zones() {
        let offset = |seconds, end| Some((WrittenZone::Offset(seconds), end));
        check_zone("Z", offset(0, 1));
        check_zone("Zebra", None);
        check_zone("+03:00", offset(10_800, 6));
        check_zone("+0330 x", offset(12_600, 5));
        check_zone("-05", offset(-18_000, 3));
        check_zone(" -05", None);
        check_zone(" -05:00", offset(-18_000, 7));
        check_zone(" +0000 UTC", offset(0, 6));
        check_zone(" - INFO", None);
        check_zone("-1234", None);
        check_zone("-12345", None);
        check_zone("-10:22:50", None);
        check_zone(" UTC", offset(0, 4));
        check_zone(" GMT+0100 (GMT Daylight Time)", offset(3600, 9));
        check_zone(" UTC+01:00", offset(3600, 10));
        check_zone(" CEST", offset(7200, 5));
        check_zone(" Europe/Atlantis]", Some((WrittenZone::Unknown, 16)));
        check_zone(" CST 2013", Some((WrittenZone::Absent, 4)));
        check_zone(" INFO", None);
        check_zone(" PSTX", None);
        check_zone(" utc", None);
        check_zone("", None);
        check_zone(" ", None);
    }

    #[track_caller]
    fn check_fraction(text: &str, expected: (u32, usize)) {
        assert_eq!(optional_fraction(text.as_bytes(), 0), expected, "{text}");
    }

    #[test]
    fn fractions() {
        check_fraction("", (0, 0));
        check_fraction(".", (0, 0));
        check_fraction(".5", (500_000_000, 2));
        check_fraction(",672", (672_000_000, 4));
        check_fraction(":672 ", (672_000_000, 4));
        check_fraction(".123456789", (123_456_789, 10));
        check_fraction(".1234567891234", (123_456_789, 14));
        check_fraction(",1234567891234", (0, 0));
        check_fraction(":DEBUG", (0, 0));
        check_fraction(";5", (0, 0));
    }

    #[test]
    fn names() {
        assert_eq!(month_name(b"Sept 1", 0), Some((9, 4)));
        assert_eq!(month_name(b"december", 0), Some((12, 8)));
        assert_eq!(month_name(b"DEC", 0), Some((12, 3)));
        assert_eq!(month_name(b"Deck", 0), None);
        assert_eq!(month_name(b"Ma", 0), None);
        assert_eq!(weekday_name(b"Sun ", 0), Some(3));
        assert_eq!(weekday_name(b"Sunny", 0), None);
        assert_eq!(half_day(b"pm.", 0), Some((HalfDay::Pm, 2)));
        assert_eq!(half_day(b"a.m. x", 0), Some((HalfDay::Am, 4)));
        assert_eq!(half_day(b"pm2", 0), None);
    }
}
