//! Tests of one format at one place: what ends a stamp, and patterns written by hand.

use super::*;

/// Where a stamp at the beginning of a line ends.
#[track_caller]
fn check_end(pattern: &str, line: &str, expected: Option<usize>) {
    let format = Format::parse(pattern).expect("a good pattern");
    assert_eq!(
        format.match_at(line.as_bytes(), 0).map(|(_, end)| end),
        expected,
        "{pattern} on {line}"
    );
}

#[test]
fn ends_of_stamps() {
    check_end("%F %T", "2015-01-01 10:00:00", Some(19));
    check_end("%F %T", "2015-01-01 10:00:00FOO", Some(19));
    check_end("%F %T", "2015-01-01 10:00:005", None);
    check_end("%F %T", "2015-01-01\t  10:00:00", Some(21));
    check_end("%F %R", "2015-01-01 10:00", Some(16));
    check_end("%F %R", "2015-01-01 10:00:05", None);
    check_end("%F %R", "2015-01-01 10:00: x", Some(16));
    check_end("%F %T%?f%?z", "2015-01-01 10:00:00.12+0100x", Some(27));
    check_end("%F %T%?f%?z", "2015-01-01 10:00:00.x", Some(19));
    check_end("%F %T %z", "2015-01-01 10:00:00 x", None);
    check_end("%F", "2015-01-01", None);
    check_end("%s", "1558541946", Some(10));
    check_end("%s", "1558541946.431", Some(14));
    check_end("%s", "1558541946.431.5", None);
    check_end("%s", "1558541946-5", None);
    check_end("%s", "15585419461", None);
    check_end("%s", "3558541946", None);
    check_end("%{tai64n}", "@4000000037c219bf2ef02e94", Some(25));
    check_end("%{tai64n}", "@4000000037c219bf2ef02e94f", None);
    check_end("%b %e %T", "Nov 31 10:00:00", None);
    check_end("%b %e %T", "Feb 29 10:00:00", Some(15));
    check_end("%I:%M %p %F", "13:00 PM 2015-01-01", None);
    check_end("%I:%M %p %F", "12:00 PM 2015-01-01", Some(19));
}

/// Whether a stamp may begin after a prefix.
#[track_caller]
fn check_before(pattern: &str, prefix: &str, stamp: &str, expected: bool) {
    let format = Format::parse(pattern).expect("a good pattern");
    let line = format!("{prefix}{stamp}");
    assert_eq!(
        format.match_at(line.as_bytes(), prefix.len()).is_some(),
        expected,
        "{pattern} in {line}"
    );
}

#[test]
fn beginnings_of_stamps() {
    check_before("%F %T", "x ", "2015-01-01 10:00:00", true);
    check_before("%F %T", "x", "2015-01-01 10:00:00", false);
    check_before("%F %T", "1", "2015-01-01 10:00:00", false);
    check_before("%F %T", "app-1-", "2015-01-01 10:00:00", true);
    check_before("%F %T", "\u{1b}[0;32m", "2015-01-01 10:00:00", true);
    check_before("%F %T", "[0;32m", "2015-01-01 10:00:00", false);
    check_before("%m-%d %T", "2015-", "01-01 10:00:00", false);
    check_before("%m-%d %T", "x-", "01-01 10:00:00", true);
    check_before("%s", "\"ts\":", "1558541946", true);
    check_before("%s", "+", "1558541946", true);
    check_before("%s", "id_", "1558541946", false);
    check_before("%s", "1.", "1558541946", false);
}

/// A hand-written pattern, a line, and the stamp's text.
#[track_caller]
fn check_override(pattern: &str, line: &str, expected: Option<&str>) {
    let format = Format::parse_override(pattern).expect("a good pattern");
    let found = format.match_at(line.as_bytes(), 0).map(|(_, end)| &line[..end]);
    assert_eq!(found, expected, "{pattern}");
}

#[test]
fn overrides() {
    check_override(
        "%Y-%m-%d %H:%M:%S,%f",
        "2015-01-01 10:00:00,672 x",
        Some("2015-01-01 10:00:00,672"),
    );
    check_override(
        "%Y-%m-%d %H:%M:%S,%f",
        "2015-01-01 10:00:00 x",
        Some("2015-01-01 10:00:00"),
    );
    check_override(
        "%Y-%m-%d %H:%M:%S.%L%z",
        "2015-01-01 10:00:00.672Z x",
        Some("2015-01-01 10:00:00.672Z"),
    );
    check_override("%Y-%m-%d %H:%M:%S %Z", "2015-01-01 10:00:00 x", None);
    check_override("%d/%m/%Y %H:%M", "5/1/2015 9:30", Some("5/1/2015 9:30"));
    check_override("%Y%m%d%H%M%S", "20150101100000", Some("20150101100000"));
    check_override("%d.%m.%y %I:%M %p", "05.01.15 9:30 pm", Some("05.01.15 9:30 pm"));
    check_override("%s.%f", "1558541946.431 x", Some("1558541946.431"));
    assert!(Format::parse_override("%H:%M").is_err());
}

#[test]
fn an_epochs_fraction_is_not_lost_by_a_hand_written_one() {
    let format = Format::parse_override("%s.%f").expect("good");
    assert_eq!(
        format.match_at(b"1558541946.431", 0),
        Some((Stamp::Instant(1_558_541_946_431_000_000), 14))
    );
}
