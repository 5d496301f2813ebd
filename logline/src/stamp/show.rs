//! What was learned, in words for people: the format as a strftime pattern, and why it was chosen.

use super::choose::Choice;
use super::interpret::{Draft, step};
use super::locate::Locator;
use super::pattern::{Format, Precision};
use super::profile::{Detected, OrderEvidence};
use super::token::{EpochUnit, Token};

/// The pattern of `format` as the stamp at `start` is written: optional parts as they stand there.
pub(super) fn format_as_written(format: &Format, line: &[u8], start: usize) -> String {
    let mut shown = Vec::new();
    let mut draft = Draft::default();
    let mut at = start;
    for token in format.tokens() {
        let Some(end) = step(*token, line, at, &mut draft) else {
            return format.pattern().to_owned();
        };
        show_token(*token, &line[at..end], &mut shown);
        at = end;
    }
    String::from_utf8_lossy(&shown).into_owned()
}

fn show_token(token: Token, text: &[u8], shown: &mut Vec<u8>) {
    let one_digit = text.len() == 1;
    let pattern = match token {
        Token::Byte(byte) => return shown.push(byte),
        Token::Spaces => " ",
        Token::Year4 => "%Y",
        Token::Year2 => "%y",
        Token::Month2 => "%m",
        Token::MonthLoose => {
            if one_digit {
                "%-m"
            } else {
                "%m"
            }
        }
        Token::MonthName => "%b",
        Token::Day2 => "%d",
        Token::DayLoose => {
            if one_digit {
                "%-d"
            } else {
                "%d"
            }
        }
        Token::DayPadded => "%e",
        Token::YearDay => "%j",
        Token::IsoWeek => "%V",
        Token::IsoWeekday => "%u",
        Token::Hour2 => "%H",
        Token::HourLoose => {
            if one_digit {
                "%-H"
            } else {
                "%H"
            }
        }
        Token::Hour12 => "%I",
        Token::Minute => "%M",
        Token::MinuteLoose => "%-M",
        Token::Second => "%S",
        Token::SecondLoose => "%-S",
        Token::HalfDay => "%p",
        Token::Weekday => "%a",
        Token::WeekdayOptional => return show_weekday(text, shown),
        Token::FractionOptional => return show_fraction(text, shown),
        Token::FractionDigits => fraction(text.len()),
        Token::ZoneOptional | Token::Zone => return show_zone(text, shown),
        Token::Epoch(EpochUnit::Seconds) if text.len() > 10 => return show_epoch(text, shown),
        Token::Epoch(EpochUnit::Seconds) => "%s",
        Token::Epoch(EpochUnit::Milliseconds) => "%s%3N",
        Token::Epoch(EpochUnit::Microseconds) => "%s%6N",
        Token::Epoch(EpochUnit::Nanoseconds) => "%s%9N",
        Token::Tai64 => "%{tai64n}",
        Token::Severity => "%{severity}",
        Token::Fixed => "%{fixed}",
    };
    shown.extend_from_slice(pattern.as_bytes());
}

fn fraction(digits: usize) -> &'static str {
    match digits {
        3 => "%L",
        9 => "%N",
        _ => "%f",
    }
}

fn show_weekday(text: &[u8], shown: &mut Vec<u8>) {
    if !text.is_empty() {
        shown.extend_from_slice(if text.contains(&b',') { b"%a, " } else { b"%a " });
    }
}

fn show_fraction(text: &[u8], shown: &mut Vec<u8>) {
    if let Some((separator, digits)) = text.split_first() {
        shown.push(*separator);
        shown.extend_from_slice(fraction(digits.len()).as_bytes());
    }
}

fn show_epoch(text: &[u8], shown: &mut Vec<u8>) {
    shown.extend_from_slice(b"%s");
    show_fraction(&text[10..], shown);
}

fn show_zone(text: &[u8], shown: &mut Vec<u8>) {
    if text.first() == Some(&b' ') {
        shown.push(b' ');
    }
    if !text.is_empty() {
        shown.extend_from_slice(b"%z");
    }
}

/// One sentence: how many lines, where, what decided, what was ruled out.
pub(super) fn why(detected: &Detected, choice: &Choice<'_>) -> String {
    let entry = &detected.profile.entries[0];
    let (stamped, all) = (detected.stamped_lines, detected.sampled_lines);
    let mut why = format!(
        "{stamped} of {all} lines have a stamp like `{}` {}",
        detected.format, entry.locator
    );
    if stamped < all && matches!(entry.locator, Locator::Column(_)) {
        why.push_str(", the others continue the line before");
    }
    if entry.format.precision() == Precision::TimeOfDay {
        why.push_str("; no date: days are counted back from the time at which the file was last written");
    }
    if entry.format.is_fixed() && entry.order != OrderEvidence::Override {
        why.push_str(
            "; it stands inside a longer run of letters and digits and could be an id: set `timestamp` to be sure",
        );
    }
    match entry.order {
        OrderEvidence::OnlyValid => why.push_str("; other orders of day, month and year are no date in some line"),
        OrderEvidence::Smoothest => why.push_str("; other orders of day, month and year would make it jump in time"),
        OrderEvidence::Preference => {
            let other = choice
                .passed_over
                .map(|other| other.format.pattern())
                .unwrap_or_default();
            why.push_str(&format!(
                "; `{other}` is possible too and only less common: set `timestamp` to be sure"
            ));
        }
        OrderEvidence::Unambiguous | OrderEvidence::Override => {}
    }
    for other in &choice.ruled_out {
        let lines = other.seen.len();
        why.push_str(&format!(
            "; ruled out `{}` {} ({lines} lines)",
            other.format.pattern(),
            other.locator
        ));
    }
    why
}
