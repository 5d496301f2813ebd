//! Tests of learning: what must not match, where stamps stand, what decides between readings.

use super::*;
use crate::stamp::civil::civil_from_days;
use crate::stamp::{ProfileReader, Zone};

fn iso(unix_ns: i64) -> String {
    let (seconds, nanos) = (unix_ns.div_euclid(1_000_000_000), unix_ns.rem_euclid(1_000_000_000));
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let whole = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if nanos == 0 {
        whole
    } else {
        format!("{whole}.{nanos:09}").trim_end_matches('0').to_owned()
    }
}

pub fn stamped(text: &[u8]) -> Box<Detected> {
    match learn(text) {
        Detection::Stamped(detected) => detected,
        other => panic!("{} is {other:?}", text.escape_ascii()),
    }
}

/// The instants of all stamped lines, year-less ones near 2017.
pub fn instants(text: &str) -> Vec<String> {
    let mut profile = stamped(text.as_bytes()).profile;
    if profile.lacks_year() {
        let anchor = 1_497_000_000;
        profile.entries[0].year_marks = vec![crate::stamp::YearMark { offset: 0, anchor }];
    }
    let mut reader = ProfileReader::new(&profile, Zone::utc());
    text.lines()
        .filter_map(|line| reader.read_at(line.as_bytes(), 0))
        .map(iso)
        .collect()
}

#[track_caller]
fn check_none(text: &str) {
    let detection = learn(text.as_bytes());
    assert!(!matches!(detection, Detection::Stamped(_)), "{text}: {detection:?}");
}

#[test]
fn must_not_match() {
    for line in [
        "1-2-3 1:2:3",
        "2013-22-01 12:01:22",
        "2013-00-01 12:01:22",
        "@4000000043",
    ] {
        check_none(line);
        check_none(&format!("{line} x\n{line} y\n{line} z"));
    }
    check_none("2023-02-29 10:00:00");
    check_none("2023-06-31 10:00:00");
    check_none("2023-06-01 24:00:00");
    check_none("2023-06-01 10:60:00");
    check_none("2023-366T10:00:00");
    check_none("x2023-06-01 10:00:00");
}

#[test]
fn text_without_stamps() {
    check_none("");
    check_none("\n\n\n");
    check_none("Hello, World!\nHow are you?\nGoodbye, World!\n");
    check_none("connect 10.29.42.162:56982 v1.2.3\nconnect 10.29.42.163:56983 v1.2.4\n");
    check_none("call 1976543210 now\nanswer\nanswer\n");
    check_none("id=1745532517537 bytes=1445144423722 ok\nid=7 bytes=3 ok\nid=8 bytes=3 ok\n");
    check_none("application_1445144423722_0020 started\napplication_1445144423722_0021 started\n");
    let mut prose = "nothing here that is a time\n".repeat(200);
    prose.push_str("but once somebody wrote 2015-01-01 10:00:00 in it\n");
    prose.push_str(&"and nothing after\n".repeat(200));
    check_none(&prose);
}

#[track_caller]
fn check_coarse(text: &str, format: &str) {
    let detection = learn(text.as_bytes());
    let found = matches!(&detection, Detection::TooCoarse { finding, .. } if finding.format == format);
    assert!(found, "{text}: {detection:?}");
}

#[test]
fn too_coarse_is_said() {
    check_coarse("29:47.191 x\n29:48.191 y", "%M:%S.%L");
    check_coarse("2015-05-20 x\n2015-05-20 y", "%Y-%m-%d");
    check_coarse("2015-05 x", "%Y-%m");
    check_coarse("2015/05 x", "%Y/%m");
    check_coarse("Feb 26 x", "%b %e");
}

#[track_caller]
fn check_place(text: &str, locator: Locator, stamped_lines: usize) {
    let detected = stamped(text.as_bytes());
    assert_eq!(detected.profile.entries[0].locator, locator, "{text}: {}", detected.why);
    assert_eq!(detected.stamped_lines, stamped_lines, "{text}");
}

fn after(text: &str) -> Locator {
    Locator::After(text.as_bytes().into())
}

#[test]
fn places() {
    let clf = |ip: &str| format!("{ip} - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 7\n");
    let many: String = (0..95)
        .map(|_| clf("83.149.9.216"))
        .chain((0..5).map(|_| clf("8.8.8.8")))
        .collect();
    check_place(&many, after("["), 100);
    let dashes: String = (0..80)
        .map(|_| clf("83.149.9.216"))
        .chain((0..20).map(|_| clf("-")))
        .collect();
    check_place(&dashes, after("["), 100);
    check_place(
        "[2015-01-01 10:00:00] a\n[2015-01-01 10:00:01] b\n",
        Locator::Column(1),
        2,
    );
    check_place(
        "INFO 2015-01-01 10:00:00 a\nINFO 2015-01-01 10:00:01 b\n",
        after(" "),
        2,
    );
    check_place(
        "A::INFO::2015-01-01 10:00:00::a\nB::ERROR::2015-01-01 10:00:01::b\n",
        after("::"),
        2,
    );
    check_place(
        "level=info ts=2015-01-01T10:00:00Z caller=a\nlevel=warn ts=2015-01-01T10:00:01Z x=1\n",
        after("ts="),
        2,
    );
    check_place("time=\"2015-01-01T10:00:00Z\" level=info\n", after("time=\""), 1);
    let json = "{\"user\":{\"since\":\"2011-01-01T00:00:00Z\"},\"n\":1,\"time\":\"2015-01-01T10:00:00Z\"}\n";
    check_place(&json.repeat(3), after("\"time\":\""), 3);
}

/// Lines of real layouts in which the leftmost date is not the stamp, or not the best one.
#[test]
fn better_stamps_than_the_leftmost() {
    let named: String = (0..20)
        .map(|second| format!("nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:{second:02}.008 25746 INFO nova\n"))
        .collect();
    check_place(&named, after(" "), 20);
    let epoch_first = "- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond: x\n\
                       - 1131566462 2005.11.09 an7 Nov 9 12:01:02 an7/an7 crond: y\n";
    check_place(epoch_first, after(" "), 2);
    let audit = "type=SYSCALL msg=audit(1772359200.123:456): arch=1\ntype=CWD msg=audit(1772359201.123:457): x\n";
    check_place(audit, after("("), 2);
    let unpadded = "20171223-22:15:29:606|Step|x\n20171224-0:7:20:444|Step|x\n20171224-0:12:1:45|Step|x\n";
    check_place(unpadded, Locator::Column(0), 3);
}

#[test]
fn dates_inside_continuations_do_not_make_records() {
    let record = "2015-01-01 10:00:00 ERROR x\n";
    let dump = "  insert into t values ('2011-01-01 00:00:00')\n".repeat(4);
    check_place(&format!("{record}{dump}").repeat(10), Locator::Column(0), 10);
    let long_dump = "\tvalues ('2011-01-01 00:00:00')\n".repeat(40);
    check_place(&format!("{record}{long_dump}").repeat(10), Locator::Column(0), 10);
    let trace = format!("{record}{}", "\tat com.example.Main(Main.java:12)\n".repeat(1000));
    check_place(&trace, Locator::Column(0), 1);
}

#[test]
fn a_banner_at_the_beginning_is_no_record_of_a_json_log() {
    let mut text = "2015-01-01T10:00:00Z started\n".to_owned();
    for second in 10..40 {
        text.push_str(&format!(
            "{{\"level\":\"info\",\"time\":\"2015-01-01T10:00:{second}Z\"}}\n"
        ));
    }
    check_place(&text, after("\"time\":\""), 30);
}

#[test]
fn a_stamp_far_into_the_line() {
    let body = "x".repeat(3000);
    let line = |second: u32| format!("{{\"msg\":\"{body}\",\"time\":\"2015-01-01T10:00:{second}Z\"}}\n");
    check_place(&(10..20).map(line).collect::<String>(), after("\"time\":\""), 10);
}

#[track_caller]
fn check_order(lines: &[&str], expected: &str, evidence: OrderEvidence) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let detected = stamped(text.as_bytes());
    let first = instants(&text);
    assert_eq!(
        (first[0].as_str(), detected.profile.entries[0].order),
        (expected, evidence),
        "{}",
        detected.why
    );
    let unsure = detected.confidence < 0.7 && detected.why.contains("possible too");
    assert_eq!(unsure, evidence == OrderEvidence::Preference, "{}", detected.why);
}

#[test]
fn order_of_day_and_month() {
    use OrderEvidence::{OnlyValid, Preference, Smoothest};
    check_order(
        &["17/06/09 20:10:40 a", "17/06/09 20:10:41 b"],
        "2017-06-09T20:10:40",
        Preference,
    );
    check_order(
        &["17/06/09 20:10:40 a", "17/06/10 20:10:41 b"],
        "2017-06-09T20:10:40",
        Smoothest,
    );
    check_order(
        &["05/04/2018 10:00:00 a", "05/13/2018 10:00:00 b"],
        "2018-05-04T10:00:00",
        OnlyValid,
    );
    check_order(
        &["05/04/2018 10:00:00 a", "13/04/2018 10:00:00 b"],
        "2018-04-05T10:00:00",
        OnlyValid,
    );
    check_order(
        &["05/04/2018 10:00:00 a", "05/04/2018 10:00:09 b"],
        "2018-05-04T10:00:00",
        Preference,
    );
    check_order(
        &["30/11/2018 23:59:59 a", "01/12/2018 00:00:01 b"],
        "2018-11-30T23:59:59",
        OnlyValid,
    );
    check_order(
        &["09/04/2018 23:59:59 a", "10/04/2018 00:00:01 b"],
        "2018-04-09T23:59:59",
        Smoothest,
    );
    check_order(&["05.04.2018 10:00:00 a"], "2018-04-05T10:00:00", Preference);
    check_order(&["05-04-2018 10:00:00 a"], "2018-04-05T10:00:00", Preference);
    check_order(&["05/04/18 10:00:00 AM a"], "2018-05-04T10:00:00", Preference);
    check_order(&["5/4/18 10:00:00 a"], "2018-05-04T10:00:00", Preference);
}

#[track_caller]
fn check_lateness(seconds: &[i64], expected_seconds: i64) {
    let line = |second: &i64| format!("{} x\n", 1_500_000_000 + second);
    let text: String = seconds.iter().map(line).collect();
    assert_eq!(
        stamped(text.as_bytes()).profile.lateness_ns,
        expected_seconds * 1_000_000_000
    );
}

#[test]
fn learned_lateness_bounds() {
    check_lateness(&[0, 1, 2, 3], 10);
    check_lateness(&[0, 9, 5, 10], 10);
    check_lateness(&[0, 40, 10, 41], 60);
    check_lateness(&[0, 40, 30, 41, 11], 60);
    check_lateness(&[0, 3000, 10, 3001], 3600);
    check_lateness(&[0, 9000, 1000, 9001], 10);
    check_lateness(&[0, 900_000, 1, 2, 3, 4, 5, 6, 7, 8], 10);
}

#[test]
fn halves_of_the_day_are_never_dropped() {
    let text = "01/13/2018 11:59:59 AM a\n01/13/2018 12:00:00 PM b\n01/13/2018 01:00:00 PM c\n";
    let expected = ["2018-01-13T11:59:59", "2018-01-13T12:00:00", "2018-01-13T13:00:00"];
    assert_eq!(instants(text), expected);
    let host = "Nov  3 09:23:38 am kernel: x\nNov  3 13:23:38 am kernel: y\nNov  3 14:00:00 am kernel: z\n";
    assert_eq!(
        instants(host),
        ["2017-11-03T09:23:38", "2017-11-03T13:23:38", "2017-11-03T14:00:00"]
    );
}

#[track_caller]
fn check_override(pattern: &str, text: &str, locator: Locator, expected: &[&str]) {
    let format = Format::parse_override(pattern).expect("a good pattern");
    let Detection::Stamped(detected) = learn_as(text.as_bytes(), &format) else {
        panic!("{text}")
    };
    let entry = &detected.profile.entries[0];
    assert_eq!(
        (&entry.locator, entry.order),
        (&locator, OrderEvidence::Override),
        "{text}"
    );
    let mut reader = ProfileReader::new(&detected.profile, Zone::utc());
    let read: Vec<String> = text
        .lines()
        .filter_map(|line| reader.read_at(line.as_bytes(), 0))
        .map(iso)
        .collect();
    assert_eq!(read, expected, "{text}");
}

#[test]
fn a_format_that_is_named_finds_its_place() {
    let clf = "a [x] 5/4/2018 10:00 b\n  at 6/4/2018 11:00\nab [x] 5/4/2018 10:01 b\n";
    check_override(
        "%d/%m/%Y %H:%M",
        "5/4/2018 10:00 b\n at 6/4/2018 11:00\n",
        Locator::Column(0),
        &["2018-04-05T10:00:00"],
    );
    check_override(
        "%d/%m/%Y %H:%M",
        &clf.replace("  at", ""),
        after(" "),
        &["2018-04-05T10:00:00", "2018-04-06T11:00:00", "2018-04-05T10:01:00"],
    );
    let format = Format::parse_override("%s").expect("good");
    assert!(matches!(
        learn_as(b"2018-01-01 10:00:00 x\n", &format),
        Detection::Unstamped { .. }
    ));
}

#[test]
fn a_half_line_at_the_end_has_no_vote() {
    let detected = stamped(b"2015-01-01 10:00:00 a\n2015-01-01 10:00:01 b\n2015-01-01 10:0");
    assert_eq!((detected.stamped_lines, detected.sampled_lines), (2, 2));
}

#[test]
fn zones_in_the_line() {
    let source = |text: &str| stamped(text.as_bytes()).zone;
    assert_eq!(
        source("2015-01-01T10:00:00Z a\n2015-01-01T10:00:00+03:00 b\n"),
        ZoneSource::InLine
    );
    assert_eq!(
        source("2015-01-01T10:00:00Z a\n2015-01-01T10:00:00 b\n"),
        ZoneSource::Mixed
    );
    assert_eq!(source("2015-01-01T10:00:00 a\n"), ZoneSource::Naive);
    assert_eq!(source("1558541946 a\n"), ZoneSource::Epoch);
}

#[test]
fn colours_and_marks_before_the_stamp() {
    let coloured = "\u{1b}[32m2015-01-01 10:00:00\u{1b}[0m a\n\u{1b}[1;31m2015-01-01 10:00:01\u{1b}[0m b\n";
    check_place(coloured, Locator::Column(0), 2);
    check_place(
        "\u{feff}2015-01-01 10:00:00 a\r\n2015-01-01 10:00:01 b\r\n",
        Locator::Column(0),
        2,
    );
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_learned_without_a_panic(bytes in proptest::collection::vec(0_u8.., 0..2000)) {
        let _ = learn(&bytes);
    }

    #[test]
    fn anything_like_stamps_is_learned_without_a_panic(
        text in "([0-9]{1,4}[-/:. ,T+Z\\[\"=]{0,2}|[A-Z][a-z]{2} ?|\n){0,200}",
    ) {
        let _ = learn(text.as_bytes());
    }
}
