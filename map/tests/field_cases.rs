//! More of what happens to logs in the field (docs/failures.md names each): heads that are alike, holes, names that
//! match twice, links that lead nowhere, bytes that are no text.

mod scene;

use map::verdict::HostState;
use scene::{S, START_NS, Scene, stamp};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, symlink};

const MONITOR: &str = "select count() parse logfmt group by op every 5s lateness 10s";

fn scene(pattern: &str) -> Scene {
    Scene::new(pattern, MONITOR, START_NS - 60 * S)
}

fn lines(seconds: std::ops::Range<i64>) -> String {
    let line = |at: i64| format!("{} op=a some text behind it\n", stamp(START_NS + at * S));
    seconds.map(line).collect()
}

fn at(scene: &mut Scene, seconds: i64) {
    scene.time.pass(START_NS + seconds * S - scene.time.now());
    scene.pull_all();
}

#[track_caller]
fn records(scene: &Scene) -> u64 {
    let windows = scene.kept.windows(&scene.plan);
    windows.values().map(|window| window.records).sum()
}

fn state(scene: &Scene, seconds: i64) -> Option<HostState> {
    scene.kept.verdict(START_NS + seconds * S).map(|(state, _)| state)
}

/// Groups of all windows, with their records.
fn groups(scene: &Scene) -> Vec<(Vec<u8>, u64)> {
    let windows = scene.kept.windows(&scene.plan);
    let of = |group: &map::groups::Group| (group.columns()[0].expect("has one").to_vec(), group.records);
    let mut groups: Vec<_> = windows
        .values()
        .flat_map(|window| window.groups.iter().map(|(group, _)| of(group)).collect::<Vec<_>>())
        .collect();
    groups.sort();
    groups
}

#[test]
fn two_logs_that_begin_alike_are_both_counted() {
    let mut scene = scene("*.log");
    scene.append("one.log", &lines(0..20));
    scene.append("two.log", &(lines(0..15) + &lines(16..18)));
    at(&mut scene, 20);
    at(&mut scene, 400);
    at(&mut scene, 410);
    assert_eq!(records(&scene), 37);
}

#[test]
fn a_log_of_one_line_is_counted_from_its_first_byte() {
    let mut scene = scene("app.log");
    scene.append("app.log", "");
    at(&mut scene, 0);
    scene.append("app.log", &lines(1..2));
    at(&mut scene, 3);
    assert_eq!(records(&scene), 1);
}

#[test]
fn of_two_rotations_between_pulls_the_middle_file_is_read() {
    let mut scene = scene("app.log");
    scene.append("app.log", &lines(0..5));
    at(&mut scene, 5);
    scene.append("app.log", &lines(5..7));
    fs::rename(scene.path("app.log"), scene.path("app.log.2")).expect("renames");
    scene.append("app.log.1", &lines(7..9));
    scene.append("app.log", &lines(9..10));
    at(&mut scene, 12);
    assert_eq!((records(&scene), state(&scene, 0)), (10, Some(HostState::Ok)));
}

#[test]
fn a_pattern_that_matches_rotated_names_too_counts_once() {
    let mut scene = scene("app.log*");
    scene.append("app.log", &lines(0..9));
    at(&mut scene, 9);
    fs::rename(scene.path("app.log"), scene.path("app.log.1")).expect("renames");
    scene.append("app.log", &lines(9..20));
    at(&mut scene, 21);
    assert_eq!((records(&scene), state(&scene, 0)), (20, Some(HostState::Ok)));
}

#[test]
fn a_link_that_leads_nowhere_is_a_missing_file_and_one_that_is_switched_is_followed() {
    let mut scene = scene("app.log");
    symlink("pay-20261123.log", scene.path("app.log")).expect("links");
    at(&mut scene, 7);
    assert_eq!(state(&scene, 0), Some(HostState::NoFile));
    scene.append("pay-20261123.log", &lines(7..10));
    at(&mut scene, 12);
    fs::remove_file(scene.path("app.log")).expect("removes");
    symlink("pay-20261124.log", scene.path("app.log")).expect("links");
    scene.append("pay-20261123.log", &lines(12..13));
    scene.append("pay-20261124.log", &lines(13..15));
    at(&mut scene, 17);
    assert_eq!((records(&scene), state(&scene, 5)), (6, Some(HostState::Ok)));
}

/// A writer without `O_APPEND` goes on at its old offset after a truncation: a hole, which reads as NULs.
#[test]
fn a_hole_before_the_first_line_is_reported_and_passed_over() {
    let mut scene = scene("app.log");
    scene.append("app.log", &lines(0..10));
    at(&mut scene, 10);
    let file = OpenOptions::new()
        .write(true)
        .open(scene.path("app.log"))
        .expect("opens");
    file.set_len(0).expect("truncates");
    file.write_all_at(lines(11..15).as_bytes(), 3 << 20).expect("writes");
    scene.date(&file);
    at(&mut scene, 16);
    assert_eq!(state(&scene, 10), Some(HostState::BytesLost));
    file.write_all_at(lines(200..210).as_bytes(), (3 << 20) + lines(11..15).len() as u64)
        .expect("writes");
    scene.date(&file);
    at(&mut scene, 220);
    // The line that begins behind the hole too.
    assert_eq!(state(&scene, 200), Some(HostState::Ok));
    assert_eq!(records(&scene), 24);
}

/// As a shared file system does that shows an old size for a while.
#[test]
fn a_size_that_falls_and_rises_again_counts_nothing_twice() {
    let mut scene = scene("app.log");
    scene.append("app.log", &lines(0..10));
    at(&mut scene, 10);
    let whole = fs::read(scene.path("app.log")).expect("reads");
    fs::write(scene.path("app.log"), &whole[..whole.len() / 2]).expect("writes");
    at(&mut scene, 12);
    fs::write(scene.path("app.log"), &whole).expect("writes");
    at(&mut scene, 14);
    assert_eq!(records(&scene), 10);
    assert_eq!(
        state(&scene, 5),
        Some(HostState::BytesLost),
        "it looks like a truncation"
    );
}

#[test]
fn carriage_returns_nuls_and_bytes_that_are_no_text_are_values_like_others() {
    let mut scene = scene("app.log");
    let path = scene.path("app.log");
    let mut log = Vec::new();
    for op in [b"crlf\r".as_slice(), b"\xff\xfe", b"n\0l"] {
        log.extend_from_slice(format!("{} op=", stamp(START_NS + S)).as_bytes());
        log.extend_from_slice(op);
        log.push(b'\n');
    }
    fs::write(&path, log).expect("writes");
    scene.append("app.log", "");
    at(&mut scene, 3);
    assert_eq!(records(&scene), 3);
    let seen: Vec<Vec<u8>> = groups(&scene).into_iter().map(|(key, _)| key).collect();
    assert!(seen.contains(&b"crlf".to_vec()), "{seen:?}");
    assert!(seen.contains(&b"\xff\xfe".to_vec()), "{seen:?}");
}

#[test]
fn records_that_end_in_nul_are_refused_and_never_waited_for() {
    let mut scene = scene("app.log");
    let records: Vec<String> = (0..9)
        .map(|at| format!("{} op=a\0", stamp(START_NS + at * S)))
        .collect();
    scene.append("app.log", &records.concat());
    at(&mut scene, 30);
    assert_eq!(
        state(&scene, 0),
        Some(HostState::Unstamped),
        "{:?}",
        scene.kept.verdicts
    );
    let why = scene.kept.verdicts.iter().find_map(|run| run.detail.as_deref());
    assert!(why.is_some_and(|why| why.contains("NUL")), "{why:?}");
}

#[test]
fn a_time_of_modification_that_stands_still_hides_no_growth() {
    let mut scene = scene("app.log");
    for seconds in 0..4 {
        scene.append("app.log", &lines(seconds..seconds + 1));
        let file = OpenOptions::new()
            .append(true)
            .open(scene.path("app.log"))
            .expect("opens");
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(START_NS as u64);
        file.set_modified(long_ago).expect("sets the time");
        at(&mut scene, seconds + 1);
        assert_eq!(records(&scene), seconds as u64 + 1);
    }
}
