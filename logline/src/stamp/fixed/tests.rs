//! Tests of stamps inside longer numbers: what is one, and that ids, counters and other numbers are none.

use proptest::prelude::*;

use crate::stamp::civil::{NANOS_PER_SECOND, SECONDS_PER_DAY, civil_from_days, days_from_civil};
use crate::stamp::{Detected, Detection, Format, Locator, OrderEvidence, ProfileReader, Zone, learn, learn_as};

/// Fourteen digits of an instant.
fn digits(unix_seconds: i64) -> String {
    let (year, month, day) = civil_from_days(unix_seconds.div_euclid(SECONDS_PER_DAY));
    let of_day = unix_seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

/// A time of 2025 from which logs here go on.
fn base() -> i64 {
    days_from_civil(2025, 2, 27) * SECONDS_PER_DAY + 10 * 3600 + 47 * 60
}

/// Record types of an audit log: some end with a digit, so that the stamp stands in the middle of a number.
const EVENTS: [&str; 6] = ["2AUK", "2AU1", "2AU2", "3BUZ", "2AUW", "2AU5"];

/// A record of fixed width as an application server writes them: version and event, time, process, work process, kind,
/// terminal, user, program, client, what happened, and the host.
fn record(index: usize, unix_seconds: i64) -> String {
    let event = EVENTS[index % EVENTS.len()];
    let (process, kind) = (23_165 + index * 7 % 400, ["D1", "B2", "R3"][index % 3]);
    let user = ["JOBUSER", "ALICE", "DDIC", "RFC_01"][index * 5 % 4];
    let what = format!("F&{}&DOC1994{:04}", index * 31 % 97, index % 9000);
    format!(
        "{event}{}00{process:05}{:05}{kind}{:<8}{user:<12}{:<20}{:<40}{:03}{:<64}{:<20}",
        digits(unix_seconds),
        index % 40,
        "10.1.2.3",
        "SE38",
        "SAPMSSY1",
        100 + index % 5,
        what,
        "10.1.22.181",
    )
}

/// A log of such records, the gaps between them in seconds.
fn audit_log(gaps: &[i64]) -> (String, Vec<i64>) {
    let mut now = base();
    let mut text = String::new();
    let mut times = Vec::new();
    for (index, gap) in gaps.iter().enumerate() {
        now += gap;
        times.push(now * NANOS_PER_SECOND);
        text.push_str(&record(index, now));
        text.push('\n');
    }
    (text, times)
}

fn found(text: &str) -> Option<Box<Detected>> {
    match learn(text.as_bytes()) {
        Detection::Stamped(detected) => Some(detected),
        _ => None,
    }
}

fn instants(detected: &Detected, text: &str) -> Vec<i64> {
    let mut reader = ProfileReader::new(&detected.profile, Zone::utc());
    text.lines()
        .filter_map(|line| reader.read_at(line.as_bytes(), 0))
        .collect()
}

#[test]
fn records_of_fixed_width() {
    let gaps: Vec<i64> = (0..60).map(|index| [0, 3, 11, 0, 1][index % 5]).collect();
    let (text, times) = audit_log(&gaps);
    let detected = found(&text).expect("it is found");
    assert_eq!(detected.format, "%{fixed}%Y%m%d%H%M%S");
    assert_eq!(detected.profile.entries[0].locator, Locator::Column(4));
    assert_eq!((detected.column, detected.stamped_lines), (4, 60));
    assert!(detected.confidence < 0.7, "{}", detected.confidence);
    assert!(
        detected.why.contains("longer run of letters and digits"),
        "{}",
        detected.why
    );
    assert_eq!(instants(&detected, &text), times);
    // Whoever takes what is shown for an override gets the same.
    let format = Format::parse_override(&detected.format).expect("a good pattern");
    let Detection::Stamped(named) = learn_as(text.as_bytes(), &format) else {
        panic!("a format that is named is found")
    };
    assert_eq!(named.profile.entries[0].locator, Locator::Column(4));
    assert_eq!(named.profile.entries[0].order, OrderEvidence::Override);
    assert_eq!(instants(&named, &text), times);
}

#[test]
fn a_line_that_has_none_at_that_place_goes_on_with_the_record_before() {
    let (text, times) = audit_log(&[7; 40]);
    let detected = found(&text).expect("it is found");
    let broken = text.replace("\n3BUZ", "\n stack of 20250227104700 or so\n3BUZ");
    assert!(broken.len() > text.len());
    assert_eq!(instants(&detected, &broken), times);
}

#[test]
fn dates_in_the_text_of_some_records_do_not_hide_it() {
    let (text, _) = audit_log(&[7; 60]);
    let dated = text.replace("F&31&", "at 2019-05-06 07:08:09 ");
    let detected = found(&dated.replace("F&62&", "at 2019-05-06 07:08:09 ")).expect("it is found");
    assert_eq!(detected.profile.entries[0].locator, Locator::Column(4));
}

#[test]
fn better_stamps_in_the_same_lines_go_before() {
    let line = |index: usize| {
        let order = digits(base() + index as i64 * 9);
        format!("ORD{order}{index:04} paid at 2025-02-28T08:00:{:02}Z\n", index % 60)
    };
    let detected = found(&(0..50).map(line).collect::<String>()).expect("the date is found");
    assert_eq!(detected.format, "%Y-%m-%dT%H:%M:%S%z");
    let daily = |index: usize| {
        format!(
            "08:{:02}:00 ORD{}001 paid\n",
            index % 60,
            digits(base() + index as i64 * 9)
        )
    };
    assert_eq!(
        found(&(0..50).map(daily).collect::<String>()).map(|found| found.format),
        Some("%H:%M:%S".to_owned())
    );
}

#[track_caller]
fn check_none(text: &str) {
    assert_eq!(found(text).map(|found| found.why), None, "{text}");
}

#[test]
fn too_little_is_no_evidence() {
    check_none(&audit_log(&[7; 11]).0);
    assert!(found(&audit_log(&[7; 12]).0).is_some());
    // The same instant over and over, as a batch names its parts; within one minute, as counters are.
    check_none(&audit_log(&[0; 200]).0);
    check_none(&audit_log(&[1; 13]).0);
    // Records without line ends are one line.
    check_none(&audit_log(&[7; 40]).0.replace('\n', ""));
    // One line without it, or one at another place.
    check_none(&format!("header\n{}", audit_log(&[7; 40]).0));
    check_none(&audit_log(&[7; 40]).0.replacen("2AU", "2A", 1));
    // Nothing to be glued to: a number of its own.
    check_none(&audit_log(&[7; 40]).0.replace("2AU", "2-4").replace("3BU", "3-5"));
}

#[test]
fn other_centuries_years_long_spans_and_disorder_are_none() {
    check_none(&audit_log(&[7; 40]).0.replace("2025", "1925"));
    check_none(&audit_log(&[20 * 86_400; 40]).0);
    let orders = |index: usize| {
        format!(
            "paid ORD{}0001 twice\n",
            digits(base() + (index as i64 * 7919) % 50_000)
        )
    };
    check_none(&(0..100).map(orders).collect::<String>());
}

/// The lines of a sample with a number behind letters, as ids are written.
fn lines_with(numbers: &[String]) -> String {
    let line = |number: &String| format!("INV{number} booked by clerk\n");
    numbers.iter().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_audit_log_is_read_as_it_was_written(
        gaps in proptest::collection::vec(0_i64..90, 60..300),
        prefix in "[A-Z]{1,6}[0-9]?",
    ) {
        let (text, times) = audit_log(&gaps);
        let lines = text.lines().map(|line| format!("{prefix}{}\n", &line[4..])).collect::<String>();
        for (text, column) in [(&text, 4), (&lines, prefix.len())] {
            let detected = found(text).expect("it is found");
            prop_assert_eq!(&detected.profile.entries[0].locator, &Locator::Column(column as u32));
            // A sample is the first 64 KiB of a log; all of it is read alike.
            prop_assert_eq!(&instants(&detected, text), &times);
        }
    }

    #[test]
    fn numbers_of_chance_are_none(
        numbers in proptest::collection::vec("20[0-9]{12,20}", 12..200),
    ) {
        prop_assert!(found(&lines_with(&numbers)).is_none());
    }

    #[test]
    fn counters_behind_a_date_are_none(
        start in 0_u32..400_000, steps in proptest::collection::vec(1_u32..40, 12..300), width in 6_usize..10,
    ) {
        let count = |sum: &mut u32, step: &u32| { *sum += step; Some(*sum) };
        let numbers: Vec<String> = steps
            .iter()
            .scan(start, count)
            .map(|number| format!("20250227{number:0width$}"))
            .collect();
        prop_assert!(found(&lines_with(&numbers)).is_none());
    }

    #[test]
    fn plain_counters_are_none(
        start in 20_000_000_000_000_u64..20_999_999_999_999, steps in proptest::collection::vec(1_u64..5000, 12..300),
        tail in "[0-9]{0,6}",
    ) {
        let count = |sum: &mut u64, step: &u64| { *sum += step; Some(*sum) };
        let numbers: Vec<String> = steps.iter().scan(start, count).map(|number| format!("{number}{tail}")).collect();
        prop_assert!(found(&lines_with(&numbers)).is_none());
    }

    #[test]
    fn counts_since_the_epoch_are_none(
        start in 1_000_000_000_u64..4_000_000_000, steps in proptest::collection::vec(0_u64..5_000_000_000, 12..200),
        unit in prop_oneof![Just(1000_u64), Just(1_000_000), Just(1_000_000_000)], tail in "[0-9]{0,3}",
    ) {
        let count = |sum: &mut u64, step: &u64| { *sum += step; Some(*sum) };
        let numbers: Vec<String> = steps
            .iter()
            .scan(start * 1_000_000_000, count)
            .map(|nanos| format!("{}{tail}", nanos / (1_000_000_000 / unit)))
            .collect();
        prop_assert!(found(&lines_with(&numbers)).is_none());
    }
}
