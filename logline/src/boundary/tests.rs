//! Patterns by hand, and that one which all stamped lines match changes nothing.

use super::*;
use crate::records::{Record, RecordReader, Start};
use crate::stamp::{Format, Locator, Profile, ProfileEntry, Zone};
use proptest::prelude::*;

fn boundary(side: Side, pattern: &str) -> Boundary {
    Boundary::new(side, pattern).expect("a good pattern")
}

fn stamps(zone: &Zone, boundary: Option<&Boundary>) -> RecordStamps {
    let format = Format::parse("%Y-%m-%d %H:%M:%S").expect("a format");
    let locator = Locator::After(Box::new(*b"::"));
    let profile = Profile::from(ProfileEntry::new(format, locator));
    RecordStamps::new(FileStamps::new(&profile, zone), boundary)
}

fn reader(log: &[u8], limit: usize, boundary: Option<&Boundary>) -> RecordReader<RecordStamps> {
    let stamps = stamps(&Zone::utc(), boundary);
    let mut reader = RecordReader::with_limit(stamps, Start::FileStart, 0, limit);
    reader.push(log);
    reader
}

const LOG: &str = "Thread-1::2026-11-23 07:00:00 head\nMain::2026-11-23 07:00:01 a\n  at x\n\
                   Thread-2::2026-11-23 07:00:02 b\r\nMain::no stamp\nMain::2026-11-23 07:00:03 c\n";

/// Seconds, lines of each record, and lines of the head.
#[track_caller]
fn check(boundary: Option<&Boundary>, expected: &[(i64, u64)], head: u64) {
    let mut reader = reader(LOG.as_bytes(), 1 << 20, boundary);
    reader.finish();
    let seconds = |record: &Record| record.stamp / 1_000_000_000 % 60;
    let found: Vec<_> = (reader.closed().iter())
        .map(|record| (seconds(record), record.lines))
        .collect();
    assert_eq!(
        (found.as_slice(), reader.head().lines),
        (expected, head),
        "{boundary:?}"
    );
}

#[test]
fn a_boundary_says_which_stamped_lines_begin_records() {
    use Side::{Continue, Start};
    check(None, &[(0, 1), (1, 2), (2, 2), (3, 1)], 0);
    check(Some(&boundary(Start, "^Main::")), &[(1, 4), (3, 1)], 1);
    check(Some(&boundary(Start, "^(Main|Thread-2)")), &[(1, 2), (2, 2), (3, 1)], 1);
    check(Some(&boundary(Start, "b$")), &[(2, 3)], 3);
    check(Some(&boundary(Start, "nowhere")), &[], 6);
    check(Some(&boundary(Continue, "^Thread-")), &[(1, 4), (3, 1)], 1);
    check(Some(&boundary(Continue, "^Main::")), &[(0, 3), (2, 3)], 0);
    check(Some(&boundary(Continue, "$")), &[], 6);
}

#[test]
fn patterns_are_searched_in_bytes() {
    let may_begin = |pattern: &str, line: &[u8]| boundary(Side::Start, pattern).may_begin(line);
    assert!(may_begin("^.b", b"\xffb"));
    assert!(may_begin(r"^\w+$", b"abc") && !may_begin(r"^\w+$", "é".as_bytes()));
    assert!(
        may_begin(r"^\p{Lu}", "É".as_bytes()),
        "with Unicode where it is asked for"
    );
    assert!(!may_begin("(?m)^b", b"ab"));
}

#[test]
fn bad_patterns_are_refused() {
    let refused = |pattern: &str| Boundary::new(Side::Start, pattern).expect_err("refused");
    assert_eq!(refused(""), BoundaryError::Empty);
    assert_eq!(refused(&"x".repeat(1025)), BoundaryError::TooLong { bytes: 1025 });
    for bad in ["(", r"\w{1000}{1000}{1000}", r"(a)\1"] {
        assert!(matches!(refused(bad), BoundaryError::Pattern { .. }), "{bad}");
    }
    assert!(Boundary::new(Side::Continue, &"x".repeat(1024)).is_ok());
}

#[test]
fn a_boundary_is_its_side_and_pattern() {
    let a = boundary(Side::Start, "a");
    assert_eq!(a, boundary(Side::Start, "a"));
    assert!(a != boundary(Side::Continue, "a") && a < boundary(Side::Start, "b"));
    assert_eq!(boundary(Side::Continue, "it's").to_string(), "continue 'it''s'");
}

/// A stretch of stamped lines that begin no record is no stretch without stamps (F8): the format is still there.
#[test]
fn lines_that_are_passed_over_still_have_stamps() {
    let only_main = boundary(Side::Start, "^Main::");
    let dump = "Thread-1::2026-11-23 07:00:02 b\n".repeat(9);
    let log = format!("Main::2026-11-23 07:00:01 a\n{dump}");
    let reader = |log: &str, limit: usize| reader(log.as_bytes(), limit, Some(&only_main));
    let of = |reader: &RecordReader<RecordStamps>| (reader.last_stamped_end(), reader.scanned_to());
    let whole = log.len() as u64;
    assert_eq!(of(&reader(&log, 1 << 20)), (whole, whole));
    let more = "no stamp\nMain::none either\n";
    assert_eq!(
        of(&reader(&format!("{log}{more}"), 1 << 20)),
        (whole, whole + more.len() as u64)
    );
    let long = "Thread-1::2026-11-23 07:00:02 long, longer\n".repeat(2);
    let mut cut = reader(&log, 36);
    cut.push(&long.as_bytes()[..40]);
    cut.push(&long.as_bytes()[40..]);
    assert_eq!(
        of(&cut),
        (whole + long.len() as u64, whole + long.len() as u64),
        "over the limit"
    );
}

/// In a repeated hour a backward jump decides; the jump of a dump decides nothing (F9).
#[test]
fn lines_that_are_passed_over_do_not_decide_what_others_mean() {
    let zone = Zone::parse("Europe/Berlin").expect("a zone");
    let read = |boundary: Option<&Boundary>| {
        let mut stamps = stamps(&zone, boundary);
        let lines = [
            "Main::2026-10-25 02:40:00 a",
            "Thread::2026-10-25 02:00:00 old",
            "Main::2026-10-25 02:50:00 b",
        ];
        let mut offset = 0;
        let mut read = |line: &str| {
            offset += 28;
            stamps.read(line.as_bytes(), offset)
        };
        lines.map(|line| read(line).map(|ns| ns / 60_000_000_000))
    };
    let [first, _, jumped] = read(None);
    let [same, passed, last] = read(Some(&boundary(Side::Start, "^Main::")));
    let minutes = |from: Option<i64>, to: Option<i64>| to.zip(from).map(|(to, from)| to - from);
    assert_eq!((same, passed), (first, None));
    assert_eq!(minutes(first, jumped), Some(70), "without the pattern there was a jump");
    assert_eq!(minutes(same, last), Some(10));
}

fn log() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => (0u32..60).prop_map(|second| format!("Main::2026-11-23 07:00:{second:02} a")),
        2 => Just("  at x".to_owned()),
        1 => Just(String::new()),
        1 => Just("Main::2026-11-23 07:99:00".to_owned()),
        1 => Just("x".repeat(70)),
        1 => (0u32..60).prop_map(|second| format!("Main::2026-11-23 07:00:{second:02} {}", "y".repeat(60))),
    ];
    let end = prop_oneof![Just("\n"), Just("\r\n")];
    prop::collection::vec((line, end), 0..40)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
}

proptest! {
    /// Where all stamped lines match `start`, and none `continue`, records are those of the stamps alone; however the
    /// bytes come.
    #[test]
    fn a_pattern_that_fits_all_stamped_lines_changes_nothing(log in log(), cut in 1usize..100, limit in 40usize..100) {
        let split = |boundary: Option<&Boundary>| {
            let mut reader = reader(b"", limit, boundary);
            let mut seen = Vec::new();
            for piece in log.as_bytes().chunks(cut) {
                reader.push(piece);
                seen.push((reader.last_stamped_end(), reader.scanned_to()));
            }
            reader.finish();
            let texts: Vec<Vec<u8>> = reader.closed().iter().map(|record| reader.text(record).to_vec()).collect();
            (reader.closed().to_vec(), texts, reader.head(), seen)
        };
        let plain = split(None);
        prop_assert_eq!(&split(Some(&boundary(Side::Start, "^Main::2026-"))), &plain);
        prop_assert_eq!(&split(Some(&boundary(Side::Continue, "^( at|x|$)"))), &plain);
    }

    /// Records under any pattern are those of a log in which the stamps of the other lines are blotted out.
    #[test]
    fn other_lines_are_lines_without_stamps(log in log(), digit in 0u8..6, cut in 1usize..100) {
        let pattern = format!("07:00:{digit}");
        let blotted: String = log
            .split_inclusive('\n')
            .map(|line| if line.contains(&pattern) { line.to_owned() } else { line.replace("::", "__") })
            .collect();
        let split = |log: &str, boundary: Option<&Boundary>| {
            let mut reader = reader(b"", 1 << 20, boundary);
            log.as_bytes().chunks(cut).for_each(|piece| reader.push(piece));
            reader.finish();
            (reader.closed().to_vec(), reader.head())
        };
        prop_assert_eq!(split(&log, Some(&boundary(Side::Start, &pattern))), split(&blotted, None));
    }
}
