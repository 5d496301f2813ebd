//! What happens to logs in the field, case by case: truncation, copies, removal, half lines, wrong clocks, files in the
//! way, files too large to read whole. Each says what is counted and what is claimed.

mod scene;

use map::verdict::{HostState, Stage};
use scene::{S, START_NS, Scene, stamp};
use std::fs;

const MONITOR: &str = "select count(), sum(x) parse logfmt every 5s lateness 10s";

fn scene() -> Scene {
    Scene::new("app.log", MONITOR, START_NS - 60 * S)
}

/// A record at so many seconds after the start.
fn record(seconds: i64, x: i64) -> String {
    format!("{} x={x} and some more text\n", stamp(START_NS + seconds * S))
}

fn write(scene: &Scene, name: &str, seconds: std::ops::Range<i64>) {
    let text: String = seconds.map(|at| record(at, 1)).collect();
    scene.append(name, &text);
}

/// Records counted in all windows together.
#[track_caller]
fn records(scene: &Scene) -> u64 {
    scene
        .kept
        .windows(&scene.plan)
        .values()
        .map(|window| window.records)
        .sum()
}

fn lost(scene: &Scene, name: &str) -> u64 {
    let windows = scene.kept.windows(&scene.plan);
    let losses = windows
        .values()
        .flat_map(|window| window.lost.iter().collect::<Vec<_>>());
    losses
        .filter(|(loss, _)| loss.name() == name)
        .map(|(_, count)| count)
        .sum()
}

/// State of the window that starts so many seconds after the start.
fn state(scene: &Scene, seconds: i64) -> Option<HostState> {
    scene.kept.verdict(START_NS + seconds * S).map(|(state, _)| state)
}

fn at(scene: &mut Scene, seconds: i64) {
    scene.time.pass(START_NS + seconds * S - scene.time.now());
    scene.pull_all();
}

#[test]
fn a_copytruncated_log_is_counted_once_and_the_seam_is_reported() {
    let mut scene = scene();
    write(&scene, "app.log", 0..30);
    at(&mut scene, 30);
    write(&scene, "app.log", 30..40);
    fs::copy(scene.path("app.log"), scene.path("app.log.1")).expect("copies");
    // The copy is seen while its original is still whole: nothing counts twice.
    at(&mut scene, 40);
    assert_eq!(records(&scene), 40);
    fs::write(scene.path("app.log"), "").expect("truncates");
    write(&scene, "app.log", 41..50);
    at(&mut scene, 50);
    at(&mut scene, 60);
    assert_eq!(records(&scene), 49);
    assert_eq!(
        state(&scene, 45),
        Some(HostState::BytesLost),
        "lines may be lost at the seam"
    );
    at(&mut scene, 400);
    assert_eq!(state(&scene, 100), Some(HostState::Ok));
    assert_eq!(state(&scene, 45), Some(HostState::BytesLost), "for ever");
    assert_eq!(records(&scene), 49);
}

#[test]
fn lines_written_between_the_last_pull_and_the_copy_are_read_from_the_copy() {
    let mut scene = scene();
    write(&scene, "app.log", 0..30);
    at(&mut scene, 30);
    write(&scene, "app.log", 30..40);
    fs::copy(scene.path("app.log"), scene.path("app.log.1")).expect("copies");
    fs::write(scene.path("app.log"), "").expect("truncates");
    write(&scene, "app.log", 40..50);
    at(&mut scene, 50);
    at(&mut scene, 60);
    assert_eq!(records(&scene), 50);
}

#[test]
fn a_log_that_regrew_beyond_its_old_size_is_seen_to_be_another() {
    let mut scene = scene();
    write(&scene, "app.log", 0..10);
    at(&mut scene, 10);
    let file = fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(scene.path("app.log"))
        .expect("truncates");
    drop(file);
    write(&scene, "app.log", 10..40);
    at(&mut scene, 40);
    assert_eq!(records(&scene), 40, "what was counted stays, what is there is counted");
    assert_eq!(state(&scene, 5), Some(HostState::BytesLost));
}

#[test]
fn a_removed_log_leaves_a_loss_and_a_rotated_one_that_rested_does_not() {
    let mut scene = scene();
    write(&scene, "app.log", 0..10);
    at(&mut scene, 10);
    fs::rename(scene.path("app.log"), scene.path("app.log.1")).expect("renames");
    write(&scene, "app.log", 10..20);
    at(&mut scene, 20);
    at(&mut scene, 300);
    fs::remove_file(scene.path("app.log.1")).expect("removes");
    at(&mut scene, 310);
    assert_eq!(state(&scene, 0), Some(HostState::Ok));
    assert_eq!(records(&scene), 20);
    fs::remove_file(scene.path("app.log")).expect("removes");
    at(&mut scene, 320);
    at(&mut scene, 330);
    assert_eq!(
        state(&scene, 300),
        Some(HostState::BytesLost),
        "it may have grown before it was removed"
    );
    assert_eq!(state(&scene, 320), Some(HostState::NoFile));
    write(&scene, "app.log", 331..335);
    at(&mut scene, 340);
    assert_eq!(
        state(&scene, 325),
        Some(HostState::Ok),
        "snapshots showed that there was nothing"
    );
    assert_eq!(records(&scene), 24);
}

#[test]
fn a_half_line_waits_is_reported_and_counts_when_it_is_whole_or_its_file_is_finished() {
    let mut scene = scene();
    write(&scene, "app.log", 0..3);
    scene.append("app.log", record(3, 1).trim_end());
    at(&mut scene, 10);
    assert_eq!((records(&scene), lost(&scene, "unfinished")), (3, 0));
    at(&mut scene, 200);
    assert_eq!(
        (records(&scene), lost(&scene, "unfinished")),
        (3, 1),
        "it has waited for too long"
    );
    scene.append("app.log", " y=2\n");
    at(&mut scene, 210);
    assert_eq!((records(&scene), lost(&scene, "unfinished")), (4, 0));
    scene.append("app.log", record(205, 1).trim_end());
    at(&mut scene, 220);
    fs::rename(scene.path("app.log"), scene.path("app.log.1")).expect("renames");
    write(&scene, "app.log", 221..225);
    at(&mut scene, 230);
    assert_eq!(records(&scene), 8);
    at(&mut scene, 600);
    assert_eq!(
        (records(&scene), lost(&scene, "unfinished")),
        (9, 0),
        "no more will come of it"
    );
}

#[test]
fn growth_of_a_finished_file_counts_too() {
    let mut scene = scene();
    write(&scene, "app.log", 0..5);
    scene.append("app.log", record(5, 1).trim_end());
    at(&mut scene, 10);
    fs::rename(scene.path("app.log"), scene.path("app.log.1")).expect("renames");
    write(&scene, "app.log", 10..15);
    at(&mut scene, 300);
    assert_eq!(records(&scene), 11);
    // A writer that had kept the old file open.
    scene.append("app.log.1", &format!(" z=1\n{}", record(299, 1)));
    at(&mut scene, 310);
    assert_eq!(records(&scene), 12);
}

#[test]
fn what_is_in_the_way_is_said_and_heals() {
    let mut scene = scene();
    at(&mut scene, 10);
    assert_eq!(state(&scene, 0), Some(HostState::NoFile));
    write(&scene, "app.log", 10..20);
    // As root the kernel denies nothing: a name that may not be served stands for a file that may not be read.
    fs::hard_link(scene.path("app.log"), scene.path("other.log")).expect("links");
    at(&mut scene, 20);
    assert_eq!(state(&scene, 10), Some(HostState::Denied));
    fs::remove_file(scene.path("other.log")).expect("removes");
    scene.port.away = Some(map::input::PortError {
        state: HostState::Timeout,
        detail: "slow".into(),
    });
    at(&mut scene, 30);
    assert_eq!(state(&scene, 20), Some(HostState::Timeout));
    scene.port.away = None;
    at(&mut scene, 40);
    assert_eq!([state(&scene, 0), state(&scene, 30)], [Some(HostState::Ok); 2]);
    assert_eq!(records(&scene), 10);
}

#[test]
fn a_writer_of_old_stamps_is_behind_and_one_of_early_stamps_ahead() {
    let mut scene = scene();
    write(&scene, "app.log", 0..10);
    at(&mut scene, 10);
    // Its zone is wrong by an hour from now on.
    scene.append("app.log", &record(12 - 3600, 1));
    at(&mut scene, 20);
    assert_eq!(state(&scene, 10), Some(HostState::Behind));
    write(&scene, "app.log", 21..25);
    at(&mut scene, 30);
    assert_eq!(state(&scene, 10), Some(HostState::Ok));
    write(&scene, "app.log", 3600..3620);
    at(&mut scene, 40);
    assert_eq!(state(&scene, 30), Some(HostState::Ahead));
}

#[test]
fn a_log_without_stamps_is_unstamped_until_there_are_some() {
    let mut scene = scene();
    scene.append("app.log", "starting\nup\n");
    at(&mut scene, 10);
    assert_eq!(state(&scene, 0), Some(HostState::Unstamped));
    write(&scene, "app.log", 10..20);
    at(&mut scene, 20);
    assert_eq!(state(&scene, 0), Some(HostState::Ok));
    let windows = scene.kept.windows(&scene.plan);
    assert_eq!(windows.values().map(|window| window.head_lines).sum::<u64>(), 2);
    // 64 KiB without a stamp: perhaps records that can't be seen.
    scene.append("app.log", &"a line that has none\n".repeat(4000));
    at(&mut scene, 30);
    assert_eq!(state(&scene, 20), Some(HostState::Unstamped));
    write(&scene, "app.log", 30..40);
    at(&mut scene, 40);
    assert_eq!(state(&scene, 20), Some(HostState::Ok));
    assert_eq!(records(&scene), 20);
}

#[test]
fn a_format_that_changes_is_learned_and_counted_from_where_it_changed() {
    let mut scene = scene();
    write(&scene, "app.log", 0..2000);
    at(&mut scene, 2000);
    assert_eq!(records(&scene), 2000);
    let seconds = (START_NS / S) + 2000;
    let other: String = (0..4000)
        .map(|at| format!("[{}] x=1 in another layout\n", seconds + at))
        .collect();
    scene.append("app.log", &other);
    at(&mut scene, 6000);
    at(&mut scene, 6010);
    assert_eq!(records(&scene), 6000);
    assert_eq!(state(&scene, 5000), Some(HostState::Ok));
}

#[test]
fn of_a_large_log_only_the_end_is_fetched() {
    let mut scene = Scene::new("app.log", MONITOR, START_NS + 200_000 * S);
    write(&scene, "app.log", 0..200_100);
    let size = fs::metadata(scene.path("app.log")).expect("is there").len();
    scene.time.pass(200_101 * S);
    let pulled = scene.pull();
    assert!(
        size > 9_000_000 && pulled.bytes < 3_000_000,
        "{} of {size} bytes",
        pulled.bytes
    );
    at(&mut scene, 200_110);
    assert_eq!(records(&scene), 100);
    assert_eq!(state(&scene, 200_000), Some(HostState::Ok));
}

#[test]
fn settled_is_what_nothing_more_is_expected_of() {
    let mut scene = scene();
    write(&scene, "app.log", 0..10);
    at(&mut scene, 10);
    assert_eq!(scene.kept.verdict(START_NS + 5 * S), None, "its grace is not over");
    at(&mut scene, 12);
    assert_eq!(
        scene.kept.verdict(START_NS + 5 * S),
        Some((HostState::Ok, Stage::Provisional))
    );
    write(&scene, "app.log", 20..26);
    at(&mut scene, 26);
    assert_eq!(
        scene.kept.verdict(START_NS + 5 * S),
        Some((HostState::Ok, Stage::Settled)),
        "by a later stamp"
    );
    at(&mut scene, 140);
    assert_eq!(
        scene.kept.verdict(START_NS + 15 * S),
        Some((HostState::Ok, Stage::Settled)),
        "by the delay"
    );
}

/// Lines that begin no record by the monitor's word: hosts, streams and re-reads see the records that one pass sees.
#[test]
fn where_records_begin_is_the_monitors_word_in_streaming_too() {
    let only_main = "select count(), lines(), sum(x) parse logfmt records start ' x=' every 5s lateness 10s";
    let mut scene = Scene::new("app.log", only_main, START_NS - 60 * S);
    let other = |seconds: i64| format!("{} of another thread\n", stamp(START_NS + seconds * S));
    scene.append("app.log", &other(0));
    at(&mut scene, 1);
    let verdict = |scene: &Scene| state(scene, -10);
    assert_eq!(
        verdict(&scene),
        Some(HostState::Unstamped),
        "a pattern that nothing matches is no zero"
    );
    for seconds in 2..60 {
        scene.append("app.log", &(record(seconds, 1) + "  at x\n" + &other(seconds - 40)));
        at(&mut scene, seconds);
    }
    assert_eq!(verdict(&scene), Some(HostState::Ok));
    // A stretch of such lines is no stretch without stamps (F8).
    let more: String = (0..3000).map(|line| other(60 + line / 100)).collect();
    scene.append("app.log", &more);
    at(&mut scene, 120);
    assert_eq!(state(&scene, 80), Some(HostState::Ok));
    scene.append("app.log", &record(121, 1));
    at(&mut scene, 180);
    assert_eq!((records(&scene), state(&scene, 100)), (59, Some(HostState::Ok)));
    let names = scene.names();
    assert_eq!(scene.kept.windows(&scene.plan), scene.whole(&names, |_| true));
    let again = scene.reread(START_NS - 60 * S, START_NS + 170 * S);
    assert_eq!(again.windows(&scene.plan), scene.kept.windows(&scene.plan));
}

/// A rotated file in which no line begins a record is one with nothing in it, since others show that the pattern fits.
#[test]
fn a_generation_without_a_line_that_begins_a_record_is_empty() {
    let mut scene = Scene::new(
        "app.log",
        "select count() parse logfmt records continue 'thread' every 5s lateness 10s",
        START_NS - 60 * S,
    );
    write(&scene, "app.log", 0..10);
    at(&mut scene, 10);
    fs::rename(scene.path("app.log"), scene.path("app.log.1")).expect("renames");
    let other = |seconds: i64| format!("{} of another thread\n", stamp(START_NS + seconds * S));
    scene.append("app.log", &(10..20).map(other).collect::<String>());
    at(&mut scene, 20);
    at(&mut scene, 300);
    assert_eq!((records(&scene), state(&scene, 15)), (10, Some(HostState::Ok)));
}

#[test]
fn a_file_longer_than_a_sample_is_learned_from_once() {
    let mut scene = scene();
    write(&scene, "app.log", 0..3000);
    at(&mut scene, 3000);
    for seconds in 3001..3004 {
        write(&scene, "app.log", seconds - 1..seconds);
        let before = scene.port.asked;
        at(&mut scene, seconds);
        // What is there, and the new bytes; not its first lines once more, which are a little less than a sample.
        assert_eq!(scene.port.asked - before, 2, "at {seconds} s");
    }
    assert_eq!(records(&scene), 3003);
}

#[test]
fn captures_of_a_path_are_columns_and_other_files_are_none_of_the_log() {
    let pattern = "(?<pod>[^_]+)_(?<unit>[a-z]+)-*.log";
    let mql = format!("select count() from log '{{base}}/{pattern}' group by pod, unit every 10s");
    let mut scene = Scene::new(pattern, &mql, START_NS - 60 * S);
    write(&scene, "web-1_shop-0a.log", 0..10);
    write(&scene, "web-2_shop-0b.log", 0..5);
    write(&scene, "web-3-0b.log", 0..5);
    at(&mut scene, 20);
    let windows = scene.kept.windows(&scene.plan);
    let groups = windows.values().flat_map(|window| window.groups.iter());
    let mut found: Vec<(Vec<u8>, u64)> = groups.map(|(group, _)| (group.key().to_vec(), group.records)).collect();
    found.sort();
    let key = |pod: &str| {
        let mut key = Vec::new();
        for column in [pod, "shop"] {
            map::groups::encode_column(&mut key, Some(column.as_bytes()));
        }
        key
    };
    assert_eq!(found, [(key("web-1"), 10), (key("web-2"), 5)]);
}
