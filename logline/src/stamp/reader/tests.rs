//! Tests of reading: the fast path against the slow one, and what changes along a file.

use proptest::prelude::*;

use super::*;
use crate::stamp::Locator;
use crate::stamp::civil::days_from_civil;
use crate::stamp::table::table;

/// A reader that keeps nothing between lines.
fn slow(entry: &ProfileEntry, zone: &Zone, lines: &[Vec<u8>]) -> Vec<Option<i64>> {
    let mut reader = StampReader::new(entry, zone.clone());
    lines
        .iter()
        .map(|line| reader.read_with_span(line).map(|(unix_ns, _)| unix_ns))
        .collect()
}

fn fast(entry: &ProfileEntry, zone: &Zone, lines: &[Vec<u8>]) -> Vec<Option<i64>> {
    let mut reader = StampReader::new(entry, zone.clone());
    lines.iter().map(|line| reader.read(line)).collect()
}

/// Text that follows stamps: whatever may continue one by accident.
const TAILS: [&str; 34] = [
    "",
    " INFO x",
    "] x",
    "Z",
    "Z x",
    " UTC",
    " UTCX",
    " CST",
    " CST 2013",
    " +0100",
    "+01:00",
    "-05",
    " -05",
    ".5",
    ".57 x",
    ",672",
    ":672",
    ":DEBUG",
    "5",
    " AM",
    " PM x",
    " 2015",
    " 2016 x",
    ":10",
    "-1",
    "_x",
    "\"}",
    "\t",
    " - x",
    " -1234",
    " (x)",
    "\u{e9}",
    ".1234567890",
    " GMT+0200",
];

/// A stamp of a format, as some writer would put it, from numbers.
fn write(format: &Format, numbers: &[u32; 8], line: &mut Vec<u8>) {
    use crate::stamp::token::Token::*;
    let months = ["Jan", "feb", "March", "août"];
    let [year, month, day, hour, minute, second, fraction, zone] = *numbers;
    for token in format.tokens() {
        let text = match token {
            Byte(byte) => {
                line.push(*byte);
                continue;
            }
            Spaces => " ".to_owned(),
            Year4 => format!("{:04}", 2014 + year % 3),
            Year2 => format!("{:02}", 14 + year % 3),
            Month2 => format!("{:02}", 1 + month % 13),
            MonthLoose => format!("{}", 1 + month % 13),
            MonthName => months[month as usize % 4].to_owned(),
            Day2 => format!("{:02}", day % 33),
            DayLoose => format!("{}", 1 + day % 31),
            DayPadded => format!("{:2}", 1 + day % 31),
            YearDay => format!("{:03}", day * 13 % 370),
            IsoWeek => format!("{:02}", 1 + day % 54),
            IsoWeekday => format!("{}", day % 9),
            Hour2 => format!("{:02}", hour % 25),
            HourLoose | Hour12 => format!("{}", hour % 14),
            Minute => format!("{:02}", minute % 3),
            MinuteLoose => format!("{}", minute % 3 + 8),
            Second => format!("{:02}", second % 4 + 57),
            SecondLoose => format!("{}", second % 12),
            HalfDay => ["AM", "pm"][hour as usize % 2].to_owned(),
            Weekday => "Sun".to_owned(),
            WeekdayOptional => ["", "Mon ", "Tue, "][day as usize % 3].to_owned(),
            FractionOptional => ["", ".5", ",672", ":12"][fraction as usize % 4].to_owned(),
            FractionDigits => format!("{fraction}"),
            ZoneOptional => ["", "Z", " UTC", "+0100", " CST"][zone as usize % 5].to_owned(),
            Zone => "+0100".to_owned(),
            Epoch(unit) => format!("{:01$}", 1_500_000_000_u64 + u64::from(second), unit.digits()),
            Tai64 => format!("@4000000059{:06x}", second),
            Severity => "I".to_owned(),
            Fixed => continue,
        };
        line.extend_from_slice(text.as_bytes());
    }
}

/// A format of the table, or one that is glued to what stands around it.
fn any_format() -> impl Strategy<Value = Format> {
    let of_table = (0_u16..table().len() as u16).prop_map(|index| table().format(index).clone());
    let fixed =
        ["%{fixed}%Y%m%d%H%M%S", "%{fixed}%d.%m.%y %T%?f%?z"].map(|pattern| Format::parse(pattern).expect("good"));
    prop_oneof![20 => of_table, 1 => proptest::sample::select(fixed.to_vec())]
}

fn any_numbers() -> impl Strategy<Value = [u32; 8]> {
    // Few values each, so that neighbours agree in much.
    (
        0_u32..2,
        0_u32..2,
        0_u32..3,
        0_u32..2,
        0_u32..2,
        0_u32..4,
        0_u32..3,
        0_u32..2,
    )
        .prop_map(|(a, b, c, d, e, f, g, h)| [a, b, c * 10, d * 13, e, f, g, h])
}

fn any_locator() -> impl Strategy<Value = (Locator, &'static str)> {
    prop_oneof![
        Just((Locator::Column(0), "")),
        Just((Locator::Column(1), "[")),
        Just((Locator::Column(3), "AU1")),
        Just((Locator::Column(4), "\u{1b}[1m")),
        Just((Locator::After(b"t="[..].into()), "x=1 t=")),
        Just((Locator::After(b" "[..].into()), "a bc ")),
        Just((Locator::Scan(40), "a-b [")),
        Just((Locator::Scan(40), "1/")),
    ]
}

/// What ends a stamp, and what only seems to: words that begin as levels do, some of them names of zones.
const ENDS: &str = " ?(I|INFO|IST|WARN|WET|ERRO|EET|CRIT|CET|UTC|GMT|Z|\\+|-|\\]|x|0)?[TC01: x\\]]{0,5}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn fast_path_reads_what_the_slow_one_reads(
        format in any_format(),
        (locator, prefix) in any_locator(),
        numbers in proptest::collection::vec((any_numbers(), 0..TAILS.len(), 0_u8..12), 2..12),
        rome in any::<bool>(),
    ) {
        let entry = ProfileEntry::new(format, locator);
        let zone = if rome { Zone::parse("Europe/Rome").expect("a known zone") } else { Zone::utc() };
        let lines: Vec<Vec<u8>> = numbers
            .iter()
            .map(|(numbers, tail, cut)| {
                let mut line = prefix.as_bytes().to_vec();
                write(&entry.format, numbers, &mut line);
                if *cut == 0 {
                    line.pop();
                }
                line.extend_from_slice(TAILS[*tail].as_bytes());
                line
            })
            .collect();
        let shown: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        prop_assert_eq!(fast(&entry, &zone, &lines), slow(&entry, &zone, &lines), "{} {:?}", entry.format, shown);
    }

    /// One stamp again and again, with what decides where it ends behind it.
    #[test]
    fn what_ends_a_stamp_is_looked_at_in_each_line(
        format in any_format(),
        numbers in any_numbers(),
        tails in proptest::collection::vec(ENDS, 3..8),
    ) {
        let entry = ProfileEntry::new(format, Locator::Column(0));
        let zone = Zone::parse("Europe/Rome").expect("a known zone");
        let line = |tail: &String| {
            let mut line = Vec::new();
            write(&entry.format, &numbers, &mut line);
            line.extend_from_slice(tail.as_bytes());
            line
        };
        // Each twice: the first is read, the second may be remembered.
        let lines: Vec<Vec<u8>> = tails.iter().flat_map(|tail| [line(tail), line(tail)]).collect();
        prop_assert_eq!(fast(&entry, &zone, &lines), slow(&entry, &zone, &lines), "{} {:?}", entry.format, tails);
    }

    #[test]
    fn any_line_is_read_alike_and_without_a_panic(
        format in 0_u16..table().len() as u16,
        lines in proptest::collection::vec("[0-9]{4}[-/.][01][0-9][-/.][0-3][0-9][T ][0-9:,.Z +-]{5,20}", 1..8),
    ) {
        let entry = ProfileEntry::new(table().format(format).clone(), Locator::Scan(64));
        let lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
        prop_assert_eq!(fast(&entry, &Zone::utc(), &lines), slow(&entry, &Zone::utc(), &lines));
    }
}

#[test]
fn the_property_sees_stamps() {
    // The property above would hold of a reader that finds nothing.
    let mut found = 0;
    for index in 0..table().len() {
        let entry = ProfileEntry::new(table().format(index as u16).clone(), Locator::Column(0));
        let mut line = Vec::new();
        write(&entry.format, &[1, 0, 10, 1, 1, 1, 1, 0], &mut line);
        found += fast(&entry, &Zone::utc(), &[line]).iter().flatten().count();
    }
    assert!(found * 10 > table().len() * 9, "{found} of {} formats", table().len());
}

#[track_caller]
fn check_instant(pattern: &str, line: &str, expected: Option<i64>) {
    let entry = ProfileEntry::new(Format::parse(pattern).expect("a good pattern"), Locator::Column(0));
    assert_eq!(
        StampReader::new(&entry, Zone::utc()).read(line.as_bytes()),
        expected,
        "{line}"
    );
}

#[test]
fn instants_at_the_ends_of_what_fits() {
    let ns = |seconds: i64| Some(seconds * NANOS_PER_SECOND);
    let day = |year, month, day| days_from_civil(year, month, day) * 86_400;
    check_instant("%F %T", "1970-01-01 00:00:00", Some(0));
    check_instant("%F %T", "2261-12-31 00:00:00", ns(day(2261, 12, 31)));
    check_instant("%F %T", "9999-12-31 23:59:59", None);
    check_instant("%F %T", "0000-01-01 00:00:00", None);
    check_instant("%F %T", "1678-01-01 00:00:00", ns(day(1678, 1, 1)));
    check_instant("%F %T", "2016-12-31 23:59:60", ns(day(2017, 1, 1)));
    check_instant("%F %T", "2016-12-31 23:59:61", None);
}

#[test]
fn spans_of_stamps() {
    let entry = ProfileEntry::new(
        Format::parse("%F %T%?f%?z").expect("good"),
        Locator::After(b"["[..].into()),
    );
    let mut reader = StampReader::new(&entry, Zone::utc());
    let span = |reader: &mut StampReader, line: &[u8]| reader.read_with_span(line).map(|(_, span)| span);
    assert_eq!(span(&mut reader, b"a [2015-01-01 10:00:00,5 UTC] x"), Some(3..28));
    assert_eq!(span(&mut reader, b"a [b] x"), None);
}

#[test]
fn entries_and_year_marks_change_at_their_offsets() {
    let entry = |offset, pattern, year_marks| ProfileEntry {
        offset,
        year_marks,
        ..ProfileEntry::new(Format::parse(pattern).expect("good"), Locator::Column(0))
    };
    let mark = |offset, year| YearMark {
        offset,
        anchor: days_from_civil(year, 7, 1) * 86_400,
    };
    let profile = Profile {
        entries: vec![
            entry(0, "%b %e %T", vec![mark(0, 2014), mark(100, 2015)]),
            entry(200, "%F %T", vec![]),
            entry(300, "%b %e %T", vec![mark(0, 2017)]),
        ],
        lateness_ns: 0,
    };
    let mut reader = ProfileReader::new(&profile, Zone::utc());
    let mut year = |line: &[u8], offset| {
        let days = reader.read_at(line, offset)?.div_euclid(86_400 * NANOS_PER_SECOND);
        Some(crate::stamp::civil::civil_from_days(days).0)
    };
    assert_eq!(year(b"Jul  4 10:00:00", 0), Some(2014));
    assert_eq!(year(b"Jul  4 10:00:00", 99), Some(2014));
    assert_eq!(year(b"Jul  4 10:00:00", 100), Some(2015));
    assert_eq!(year(b"2011-01-01 10:00:00", 150), None);
    assert_eq!(year(b"2011-01-01 10:00:00", 200), Some(2011));
    assert_eq!(year(b"Jul  4 10:00:00", 250), None);
    assert_eq!(year(b"Jul  4 10:00:00", 999), Some(2017));
}

#[test]
fn a_fold_is_carried_over_a_seam() {
    let entry = ProfileEntry::new(Format::parse("%F %T").expect("good"), Locator::Column(0));
    let zone = Zone::parse("Europe/Rome").expect("known");
    let lines = [
        "2026-10-25 02:30:00",
        "2026-10-25 02:10:00",
        "2026-10-25 02:10:00",
        "2026-10-25 02:20:00",
    ];
    let mut whole = StampReader::new(&entry, zone.clone());
    let expected: Vec<_> = lines.iter().map(|line| whole.read(line.as_bytes())).collect();
    for seam in 0..lines.len() {
        let mut first = StampReader::new(&entry, zone.clone());
        let mut second = StampReader::new(&entry, zone.clone());
        let mut read: Vec<_> = lines[..seam].iter().map(|line| first.read(line.as_bytes())).collect();
        second.set_fold(first.fold());
        read.extend(lines[seam..].iter().map(|line| second.read(line.as_bytes())));
        assert_eq!(read, expected, "seam at {seam}");
        assert_eq!(second.fold(), whole.fold());
    }
}
