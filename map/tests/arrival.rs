//! Logs without timestamps, counted by when their lines were seen to arrive: what counts where, and what is lost for
//! good because nobody saw it in time.

mod scene;

use map::verdict::{HostState, Stage};
use scene::{S, START_NS, Scene};
use std::fs;

const MONITOR: &str = "select count(), bytes(), sum(x) parse logfmt timestamp 'arrival' every 5s";

fn scene() -> Scene {
    within("app.log")
}

fn within(pattern: &str) -> Scene {
    Scene::new(pattern, MONITOR, START_NS - 60 * S)
}

/// Pulls at this second after the start.
fn at(scene: &mut Scene, seconds: i64) {
    scene.time.pass(START_NS + seconds * S - scene.time.now());
    scene.pull_all();
}

/// Pulls once a second, through to this one.
fn through(scene: &mut Scene, seconds: i64) {
    let next = (scene.time.now() - START_NS) / S + 1;
    (next..=seconds).for_each(|second| at(scene, second));
}

/// Records that a window lost, by reason.
fn lost(scene: &Scene, seconds: i64) -> Vec<(&'static str, u64)> {
    let windows = scene.kept.windows(&scene.plan);
    let lost = windows[&(START_NS + seconds * S)].lost.iter();
    lost.map(|(loss, count)| (loss.name(), count))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// Verdict and records of a window.
#[track_caller]
fn check(scene: &Scene, seconds: i64, expected: (HostState, u64)) {
    let start = START_NS + seconds * S;
    let records = scene.kept.windows(&scene.plan).get(&start).map_or(0, |it| it.records);
    let verdict = scene.kept.verdict(start).map(|(state, _)| state);
    assert_eq!(verdict, Some(expected.0), "window {seconds}: {:?}", scene.kept.verdicts);
    if expected.0 == HostState::Ok {
        assert_eq!(records, expected.1, "window {seconds}");
    }
}

#[test]
fn lines_count_where_they_were_seen_to_be_whole() {
    let mut scene = scene();
    scene.append("app.log", "x=1 before\n");
    at(&mut scene, 0);
    scene.append("app.log", "x=2\nx=3 with\n");
    through(&mut scene, 4);
    scene.append("app.log", "x=4\nx=5 half");
    through(&mut scene, 6);
    scene.append("app.log", " a line\n\n");
    through(&mut scene, 15);
    check(&scene, -5, (HostState::NotStarted, 0));
    // The window in which it was looked at first was not seen from its beginning.
    check(&scene, 0, (HostState::NotStarted, 0));
    check(&scene, 5, (HostState::Ok, 2));
    assert_eq!(lost(&scene, 5), [("unparsable", 1)], "the empty line is a record too");
    check(&scene, 10, (HostState::Ok, 0));
    assert_eq!(
        scene.kept.verdict(START_NS + 5 * S),
        Some((HostState::Ok, Stage::Settled))
    );
    assert_eq!(scene.kept.verdict(START_NS + 15 * S), None);
}

#[test]
fn what_nobody_saw_in_time_is_lost_and_what_did_not_grow_is_complete() {
    let mut scene = scene();
    scene.append("app.log", "x=1\n");
    through(&mut scene, 10);
    scene.append("app.log", "x=2\n");
    // A silence of the Map in which nothing is written tells all the same; one in which something is does not.
    at(&mut scene, 11);
    at(&mut scene, 42);
    scene.append("app.log", "x=3\n");
    at(&mut scene, 72);
    scene.append("app.log", "x=4\n");
    through(&mut scene, 85);
    check(&scene, 10, (HostState::Ok, 1));
    for quiet in [15, 20, 25, 30, 35] {
        check(&scene, quiet, (HostState::Ok, 0));
    }
    for lost in [40, 45, 50, 55, 60, 65, 70] {
        check(&scene, lost, (HostState::BytesLost, 0));
    }
    check(&scene, 75, (HostState::Ok, 0));
}

#[test]
fn an_unreachable_host_is_unreachable_until_it_is_known_what_came() {
    let mut scene = scene();
    scene.append("app.log", "x=1\n");
    through(&mut scene, 10);
    scene.port.away = Some(map::input::PortError {
        state: HostState::Unreachable,
        detail: "gone".to_owned(),
    });
    through(&mut scene, 30);
    check(&scene, 5, (HostState::Ok, 0));
    check(&scene, 20, (HostState::Unreachable, 0));
    scene.port.away = None;
    through(&mut scene, 40);
    check(&scene, 20, (HostState::Ok, 0));
}

#[test]
fn another_map_never_counts_what_it_did_not_see_come() {
    let mut scene = scene();
    scene.append("app.log", "x=1\n");
    through(&mut scene, 10);
    scene.append("app.log", "x=2\n");
    through(&mut scene, 16);
    check(&scene, 10, (HostState::Ok, 1));
    let before = scene.kept.cells.clone();
    scene.append("app.log", "x=3\n");
    scene.take_over(START_NS + 15 * S);
    at(&mut scene, 21);
    scene.append("app.log", "x=4\nx=5\n");
    through(&mut scene, 36);
    check(&scene, 15, (HostState::BytesLost, 0));
    check(&scene, 20, (HostState::BytesLost, 0));
    check(&scene, 25, (HostState::Ok, 0));
    check(&scene, 30, (HostState::Ok, 0));
    // It said nothing of the windows that were proved, and did not touch what was counted in them.
    assert!(scene.kept.verdicts.iter().all(|run| run.from_ns >= START_NS + 15 * S));
    for (place, cell) in before {
        assert_eq!(scene.kept.cells.get(&place), Some(&cell));
    }
}

#[test]
fn nothing_is_read_again() {
    let mut scene = scene();
    scene.append("app.log", "x=1\n");
    through(&mut scene, 10);
    scene.append("app.log", "x=2\n");
    through(&mut scene, 20);
    let again = scene.reread(START_NS - 60 * S, START_NS + 20 * S);
    assert!(again.cells.is_empty() && again.verdicts.is_empty());
}

#[test]
fn a_renamed_log_goes_on_and_its_successor_counts_from_its_first_byte() {
    let mut scene = scene();
    scene.append("app.log", "x=1\n");
    through(&mut scene, 6);
    scene.append("app.log", "x=2\n");
    fs::rename(scene.path("app.log"), scene.path("app.log.1")).expect("renames");
    // It begins as the old one did, and its birth is of the real clock, as is that of the test.
    scene.append("app.log", "x=1\n");
    through(&mut scene, 8);
    scene.append("app.log.1", "x=3 by a writer that still has it open\n");
    through(&mut scene, 20);
    let counted = scene
        .kept
        .windows(&scene.plan)
        .values()
        .map(|it| it.records)
        .sum::<u64>();
    let state = scene.kept.verdict(START_NS + 5 * S).map(|(state, _)| state);
    // A file system that tells no birth, or another one's clock, leaves it unknown when the new file was written.
    match state {
        Some(HostState::Ok) => assert_eq!(counted, 3),
        other => assert_eq!(other, Some(HostState::BytesLost)),
    }
    check(&scene, 10, (HostState::Ok, 0));
}

#[test]
fn a_log_truncated_in_place_and_its_copy_count_nothing_twice() {
    let mut scene = scene();
    scene.append("app.log", "x=1\n");
    through(&mut scene, 6);
    scene.append("app.log", "x=2\n");
    through(&mut scene, 11);
    fs::copy(scene.path("app.log"), scene.path("app.log.1")).expect("copies");
    fs::write(scene.path("app.log"), "").expect("truncates");
    scene.append("app.log", "x=3\n");
    through(&mut scene, 16);
    scene.append("app.log", "x=4\n");
    through(&mut scene, 30);
    check(&scene, 5, (HostState::Ok, 1));
    check(&scene, 10, (HostState::BytesLost, 0));
    check(&scene, 15, (HostState::Ok, 1));
    check(&scene, 20, (HostState::Ok, 0));
}

#[test]
fn a_copy_in_the_making_is_no_growth_of_a_log_that_its_name_matches() {
    let mut scene = within("*.log");
    let text: String = (0..2000).map(|x| format!("x={x} and some more\n")).collect();
    scene.append("app.log", &text);
    through(&mut scene, 10);
    fs::write(scene.path("copy.log"), &text[..5000]).expect("copies a part");
    through(&mut scene, 12);
    fs::write(scene.path("copy.log"), &text[..20_000]).expect("copies more");
    through(&mut scene, 17);
    scene.append("app.log", "x=1\n");
    scene.append("other.log", "y=1 a log of its own\n");
    through(&mut scene, 18);
    scene.append("other.log", "y=2\n");
    through(&mut scene, 30);
    check(&scene, 5, (HostState::Ok, 0));
    check(&scene, 10, (HostState::BytesLost, 0));
    let windows = scene.kept.windows(&scene.plan);
    let records: u64 = windows.values().map(|window| window.records).sum();
    assert!(records <= 3, "{records} of 3 lines that were written");
    check(&scene, 25, (HostState::Ok, 0));
}

#[test]
fn a_clock_that_is_set_back_or_forward_puts_nothing_into_a_wrong_window() {
    let mut scene = scene();
    scene.append("app.log", "x=1\n");
    through(&mut scene, 20);
    at(&mut scene, 12);
    scene.append("app.log", "x=2\n");
    through(&mut scene, 19);
    scene.append("app.log", "x=3\n");
    through(&mut scene, 40);
    // What was proved stays; what came while the clock was in the past is in no window of it.
    check(&scene, 10, (HostState::Ok, 0));
    check(&scene, 15, (HostState::Ok, 0));
    check(&scene, 20, (HostState::BytesLost, 0));
    check(&scene, 25, (HostState::Ok, 0));
    scene.append("app.log", "x=4\n");
    at(&mut scene, 100);
    through(&mut scene, 110);
    check(&scene, 60, (HostState::BytesLost, 0));
    check(&scene, 105, (HostState::Ok, 0));
    let records: u64 = scene.kept.windows(&scene.plan).values().map(|it| it.records).sum();
    assert_eq!(records, 0);
}

#[test]
fn a_line_of_many_pulls_counts_once_where_it_ends() {
    let mut scene = scene();
    scene.append("app.log", "x=1\n");
    through(&mut scene, 6);
    let part = "y".repeat(800_000);
    for second in 7..=14 {
        scene.append("app.log", &part);
        through(&mut scene, second);
    }
    scene.append("app.log", "\nx=7\n");
    through(&mut scene, 25);
    check(&scene, 5, (HostState::Ok, 0));
    check(&scene, 10, (HostState::Ok, 0));
    check(&scene, 15, (HostState::Ok, 1));
    assert_eq!(lost(&scene, 15), [("too_long", 1)]);
}

#[test]
fn fields_without_a_rule_are_refused_and_so_are_two_byte_units() {
    let unruled = "select sum(x) timestamp 'arrival' every 5s";
    let mut scene = Scene::new("app.log", unruled, START_NS - 60 * S);
    scene.append("app.log", "x=1\n");
    through(&mut scene, 10);
    check(&scene, 0, (HostState::Unstamped, 0));
    let mut scene = within("app.log");
    let text: Vec<u8> = "x=1 some text\n"
        .repeat(9)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(scene.path("app.log"), text).expect("writes");
    through(&mut scene, 10);
    check(&scene, 0, (HostState::Unstamped, 0));
}
