//! File systems that do not keep still: device numbers that change with a remount, sizes that a network file system
//! tells late or before the bytes are there. Nothing is lost, nothing counts twice, and what is not known is not
//! called complete.

mod scene;

use map::verdict::{HostState, Stage};
use scene::{S, START_NS, Scene, stamp};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// "Stale file handle".
const ESTALE: i32 = 116;
const MONITOR: &str = "select count() parse logfmt group by op every 5s lateness 10s";

fn scene(pattern: &str) -> Scene {
    let mut scene = Scene::new(pattern, MONITOR, START_NS - 60 * S);
    scene.port.renumbered = 1;
    scene
}

fn lines(seconds: std::ops::Range<i64>) -> String {
    let line = |at: i64| {
        format!(
            "{} op=a {}\n",
            stamp(START_NS + at * S),
            "some text behind it ".repeat(20)
        )
    };
    seconds.map(line).collect()
}

/// Pulls at this second; the bytes that it brought.
fn at(scene: &mut Scene, seconds: i64) -> u64 {
    scene.time.pass(START_NS + seconds * S - scene.time.now());
    scene.pull_all().bytes
}

/// Records of all windows, from all generations that anybody ever told of.
fn records(scene: &Scene) -> u64 {
    let windows = scene.kept.windows(&scene.plan);
    windows.values().map(|window| window.records).sum()
}

#[track_caller]
fn is_complete(scene: &Scene, seconds: std::ops::Range<i64>) {
    for at in seconds.step_by(5) {
        let verdict = scene.kept.verdict(START_NS + at * S).map(|(state, _)| state);
        let is_ok = matches!(verdict, Some(HostState::Ok | HostState::OkSilent));
        assert!(is_ok, "window {at}: {:?}", scene.kept.verdicts);
    }
}

#[test]
fn a_device_number_that_changes_costs_no_line_and_no_read() {
    let mut scene = scene("app.log");
    scene.append("app.log", &lines(0..100));
    at(&mut scene, 100);
    scene.append("app.log", &lines(100..110));
    scene.port.renumbered = 2;
    let brought = at(&mut scene, 110);
    assert!(brought <= lines(100..110).len() as u64 + 1, "{brought} bytes were read");
    scene.append("app.log", &lines(110..120));
    at(&mut scene, 125);
    assert_eq!(records(&scene), 120);
    is_complete(&scene, 0..115);
}

/// An unmounted folder is empty for a while, and the file that comes back has another number.
#[test]
fn a_file_that_was_away_and_is_back_under_another_number_was_not_lost() {
    let mut scene = scene("app.log");
    scene.append("app.log", &lines(0..20));
    at(&mut scene, 20);
    let away = scene.path("away");
    fs::create_dir(&away).expect("is made");
    let elsewhere = format!("{away}/app.log");
    fs::rename(scene.path("app.log"), &elsewhere).expect("renames");
    at(&mut scene, 30);
    assert_eq!(
        scene.kept.verdict(START_NS + 20 * S).map(|(state, _)| state),
        Some(HostState::NoFile)
    );
    scene.port.renumbered = 2;
    fs::rename(&elsewhere, scene.path("app.log")).expect("renames");
    scene.append("app.log", &lines(31..40));
    at(&mut scene, 55);
    assert_eq!(records(&scene), 29);
    is_complete(&scene, 0..40);
}

/// Two logs that begin alike are told apart by which files they are: by something that a remount does not change.
#[test]
fn another_map_after_a_remount_counts_the_same_generations() {
    let mut scene = scene("*.log");
    scene.append("one.log", &lines(0..20));
    scene.append("two.log", &(lines(0..15) + &lines(16..18)));
    at(&mut scene, 20);
    at(&mut scene, 400);
    assert_eq!(records(&scene), 37);
    scene.port.renumbered = 2;
    scene.take_over(START_NS);
    at(&mut scene, 405);
    at(&mut scene, 410);
    assert_eq!(records(&scene), 37);
}

#[test]
fn what_holds_other_bytes_under_another_number_is_a_loss() {
    let mut scene = scene("app.log");
    scene.append("app.log", &lines(0..20));
    at(&mut scene, 20);
    // As a disk that is set back to what it held before.
    let before = lines(0..10);
    fs::write(scene.path("app.log"), &before).expect("writes");
    scene.port.renumbered = 2;
    scene.append("app.log", &lines(25..45));
    at(&mut scene, 60);
    assert_eq!(
        scene.kept.verdict(START_NS + 20 * S).map(|(state, _)| state),
        Some(HostState::BytesLost)
    );
    // What was read before the loss, and what stands there now that was not.
    assert_eq!(records(&scene), 40);
}

#[test]
fn an_archive_under_another_number_is_the_same_archive() {
    let mut scene = scene("app.log");
    scene.append("app.log", &lines(0..20));
    at(&mut scene, 20);
    fs::rename(scene.path("app.log"), scene.path("app.log.1")).expect("renames");
    scene.append("app.log", &lines(20..30));
    at(&mut scene, 31);
    at(&mut scene, 400);
    let plain = fs::read(scene.path("app.log.1")).expect("reads");
    fs::write(scene.path("app.log.1.gz"), scene::gzip(&plain)).expect("writes");
    fs::remove_file(scene.path("app.log.1")).expect("removes");
    at(&mut scene, 600);
    at(&mut scene, 900);
    scene.port.renumbered = 2;
    at(&mut scene, 905);
    at(&mut scene, 910);
    assert_eq!(records(&scene), 30);
    is_complete(&scene, 0..30);
}

/// A client of a network file system keeps sizes for a while (`acregmax`, a minute): it sees lines late, and the window
/// that was answered without them is opened again.
#[test]
fn sizes_that_are_told_late_reopen_windows_and_teach_the_delay() {
    let mut scene = scene("app.log");
    let told = Arc::new(AtomicU64::new(0));
    let size = told.clone();
    scene.port.sizes = Some(Box::new(move |_| size.load(Ordering::Relaxed)));
    scene.append("app.log", &lines(0..30));
    told.store(lines(0..10).len() as u64, Ordering::Relaxed);
    at(&mut scene, 30);
    assert_eq!(records(&scene), 10);
    let verdict = scene.kept.verdict(START_NS + 15 * S);
    assert_eq!(
        verdict,
        Some((HostState::Ok, Stage::Provisional)),
        "more may come: {:?}",
        scene.kept.verdicts
    );
    told.store(u64::MAX, Ordering::Relaxed);
    scene.port.sizes = None;
    at(&mut scene, 60);
    assert_eq!(records(&scene), 30);
    is_complete(&scene, 0..30);
    // By now it is known how late this host tells: nothing is called settled sooner.
    scene.append("app.log", &lines(60..62));
    at(&mut scene, 90);
    let verdict = scene.kept.verdict(START_NS + 60 * S);
    assert_eq!(
        verdict,
        Some((HostState::Ok, Stage::Provisional)),
        "{:?}",
        scene.kept.verdicts
    );
}

/// A size that is greater than what can be read: the bytes are on the server, or nowhere yet.
#[test]
fn reads_that_are_shorter_than_the_size_prove_nothing_until_the_bytes_are_there() {
    let mut scene = scene("app.log");
    scene.append("app.log", &lines(0..10));
    let ahead = lines(10..20).len() as u64;
    scene.port.sizes = Some(Box::new(move |size| size + ahead));
    at(&mut scene, 20);
    let verdict = scene.kept.verdict(START_NS);
    assert_eq!(
        verdict.map(|(state, _)| state),
        Some(HostState::Timeout),
        "{:?}",
        scene.kept.verdicts
    );
    // It is said, and not asked for without end.
    let asked = scene.port.asked;
    assert!(!scene.pull().more);
    assert!(scene.port.asked - asked < 5);
    // The bytes come, and the size is right.
    scene.port.sizes = None;
    scene.append("app.log", &lines(10..20));
    at(&mut scene, 22);
    at(&mut scene, 35);
    assert_eq!(records(&scene), 20);
    is_complete(&scene, 0..20);
}

/// The server forgot the file's handle, as it does after a removal on another client, or a restart of its own.
#[test]
fn a_handle_that_went_stale_is_said_and_heals() {
    let mut scene = scene("app.log");
    scene.append("app.log", &lines(0..10));
    at(&mut scene, 10);
    scene.append("app.log", &lines(10..20));
    scene.port.reads_fail = Some(ESTALE);
    at(&mut scene, 30);
    let verdict = scene.kept.verdict(START_NS + 10 * S).map(|(state, _)| state);
    assert_eq!(verdict, Some(HostState::Denied), "{:?}", scene.kept.verdicts);
    let why = scene.kept.verdicts.iter().find_map(|run| run.detail.as_deref());
    assert!(
        why.is_some_and(|why| why.contains("app.log") && why.contains("116")),
        "{why:?}"
    );
    scene.port.reads_fail = None;
    at(&mut scene, 31);
    assert_eq!(records(&scene), 20);
    is_complete(&scene, 0..20);
}
