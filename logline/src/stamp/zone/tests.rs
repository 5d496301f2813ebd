//! Tests of zones: offsets, both changes of the clock, names.

use proptest::prelude::*;

use super::*;
use crate::stamp::civil::days_from_civil;

fn zone(name: &str) -> Zone {
    Zone::parse(name).expect("a known zone")
}

fn at(year: i32, month: u8, day: u8, hour: i64, minute: i64) -> i64 {
    days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60
}

/// Hours that wall times, read in order, lie ahead of UTC.
#[track_caller]
fn check(name: &str, walls: &[i64], expected_hours: &[i64]) -> WallClock {
    let mut clock = WallClock::new(zone(name));
    let hours: Vec<i64> = walls.iter().map(|wall| (wall - clock.to_utc(*wall)) / 3600).collect();
    assert_eq!(hours, expected_hours, "{name}");
    clock
}

#[test]
fn offsets_by_season() {
    check("UTC", &[0, at(2026, 7, 1, 0, 0)], &[0, 0]);
    check("+02:00", &[0], &[2]);
    check("-0730", &[0], &[-7]);
    check(
        "Europe/Rome",
        &[at(2026, 1, 1, 0, 0), at(2026, 7, 1, 0, 0), at(2026, 1, 1, 0, 0)],
        &[1, 2, 1],
    );
    check(
        "America/New_York",
        &[at(2026, 1, 1, 0, 0), at(2026, 7, 1, 0, 0)],
        &[-5, -4],
    );
    check("Asia/Shanghai", &[at(2026, 1, 1, 0, 0), at(1700, 1, 1, 0, 0)], &[8, 8]);
    check(
        "Australia/Sydney",
        &[at(2026, 1, 1, 0, 0), at(2026, 7, 1, 0, 0)],
        &[11, 10],
    );
    check("Europe/Rome", &[at(2200, 7, 1, 0, 0), at(2260, 1, 1, 0, 0)], &[2, 1]);
}

#[test]
fn a_time_in_the_gap_is_shifted_forward() {
    let walls = [
        at(2026, 3, 29, 1, 59),
        at(2026, 3, 29, 2, 0),
        at(2026, 3, 29, 2, 59),
        at(2026, 3, 29, 3, 0),
    ];
    let clock = check("Europe/Rome", &walls, &[1, 1, 1, 2]);
    let mut clock = WallClock::new(clock.zone);
    assert_eq!(clock.to_utc(walls[2]), at(2026, 3, 29, 1, 59));
    assert_eq!(clock.to_utc(walls[3]), at(2026, 3, 29, 1, 0));
}

#[test]
fn a_day_that_never_was() {
    // Samoa went over the date line: 30 December 2011 is missing.
    let walls = [at(2011, 12, 29, 23, 0), at(2011, 12, 30, 12, 0), at(2011, 12, 31, 1, 0)];
    check("Pacific/Apia", &walls, &[-10, -10, 14]);
}

#[test]
fn the_backward_jump_tells_the_pass_through_a_fold() {
    let fold = |minute| at(2026, 10, 25, 2, minute);
    let (before, after) = (at(2026, 10, 25, 1, 59), at(2026, 10, 25, 3, 0));
    let told = check(
        "Europe/Rome",
        &[before, fold(0), fold(59), fold(24), fold(59), after],
        &[2, 2, 2, 1, 1, 1],
    );
    assert_eq!(told.fold().ambiguous_time(), None);
    let assumed = check("Europe/Rome", &[before, fold(10), fold(59), after], &[2, 2, 2, 1]);
    let start = at(2026, 10, 25, 0, 0);
    assert_eq!(assumed.fold().ambiguous_time(), Some((start, start + 7200)));
    // Ten minutes back is disorder, more is the clock.
    check("Europe/Rome", &[fold(20), fold(10), fold(21)], &[2, 2, 2]);
    check("Europe/Rome", &[fold(21), fold(10), fold(21)], &[2, 1, 1]);
    // Each year's fold is its own.
    let two = check(
        "Europe/Rome",
        &[fold(10), at(2027, 10, 31, 2, 30), fold(11)],
        &[2, 2, 2],
    );
    assert_eq!(two.ambiguous_times().len(), 2);
    check("Europe/Rome", &[fold(59), fold(0), at(2027, 10, 31, 2, 30)], &[2, 1, 2]);
    let passed_over = check("Europe/Rome", &[before, after], &[2, 1]);
    assert_eq!(passed_over.fold().ambiguous_time(), None);
}

#[test]
fn half_an_hour_repeats_on_lord_howe() {
    let mut clock = WallClock::new(zone("Australia/Lord_Howe"));
    let mut minutes_ahead = |minute| {
        let wall = at(2026, 4, 5, 1, minute);
        (wall - clock.to_utc(wall)) / 60
    };
    assert_eq!([29, 30, 59, 45, 59].map(&mut minutes_ahead), [660, 660, 660, 630, 630]);
}

#[track_caller]
fn check_error(name: &str, expected: &str) {
    let error = Zone::parse(name).expect_err("no zone");
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn names() {
    for name in ["UTC", "Europe/Rome", "+02:00", "-07:30"] {
        assert_eq!(zone(name).to_string(), name);
    }
    assert_eq!(zone("+0200"), zone("+02"));
    assert_ne!(zone("Europe/Rome"), zone("Europe/Paris"));
    check_error("Europe/Rom", "did you mean `Europe/Rome`?");
    check_error("Shanghia", "did you mean `Asia/Shanghai`?");
    check_error(
        "Middle-earth/Mordor/Barad-dur",
        "`Middle-earth/Mordor/Barad-dur`; write an IANA name",
    );
    check_error("+2", "unknown time zone");
    check_error("+99:00", "unknown time zone");
    check_error("", "unknown time zone");
}

#[test]
fn years() {
    assert_eq!(zone("Asia/Tokyo").year_at(at(2025, 12, 31, 16, 0)), 2026);
    assert_eq!(Zone::utc().year_at(at(2025, 12, 31, 16, 0)), 2025);
    assert_eq!(zone("-05:00").year_at(at(2026, 1, 1, 4, 59)), 2025);
}

proptest! {
    /// The kept stretch against the tz library, outside folds, where it resolves alike ("compatible").
    #[test]
    fn agrees_with_the_library(
        name in proptest::sample::select(vec![
            "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca",
            "Asia/Kathmandu", "America/Sao_Paulo", "Antarctica/Troll", "Europe/Dublin",
        ]),
        start in -2_000_000_000_i64..6_000_000_000,
        steps in proptest::collection::vec(-20_000_i64..4_000_000, 1..40),
    ) {
        let library = TimeZoneDatabase::bundled().get(name).expect("a known zone");
        let mut clock = WallClock::new(zone(name));
        let mut wall = start;
        for step in steps {
            wall += step;
            let (days, second) = (wall.div_euclid(86_400), wall.rem_euclid(86_400));
            let (year, month, day) = crate::stamp::civil::civil_from_days(days);
            let date = jiff::civil::date(year as i16, month as i8, day as i8);
            let time = date.at((second / 3600) as i8, (second / 60 % 60) as i8, (second % 60) as i8, 0);
            let expected = library.to_ambiguous_timestamp(time);
            let found = clock.to_utc(wall);
            if matches!(expected.offset(), jiff::tz::AmbiguousOffset::Fold { .. }) {
                let either = [expected.earlier(), expected.later()].map(|stamp| Some(stamp.ok()?.as_second()));
                prop_assert!(either.contains(&Some(found)), "{wall}");
            } else {
                prop_assert_eq!(Some(found), expected.compatible().map(|stamp| stamp.as_second()).ok(), "{}", wall);
            }
        }
    }
}
