//! Stretches that are not counted, since they would cost more than they may: what stands before them is counted to its
//! end, what lies in them is said to be left out, and whoever orders it reads it.

mod scene;

use map::input::Suspension;
use map::verdict::{HostState, Stage};
use scene::{S, START_NS, Scene};

const MONITOR: &str = "select count(), sum(x) parse logfmt group by k every 5s";

fn scene(mql: &str) -> Scene {
    Scene::new("app.log", mql, START_NS)
}

/// Writes a line of this second, and the time goes on to it.
fn write(scene: &mut Scene, seconds: i64) {
    scene.time.pass(START_NS + seconds * S - scene.time.now());
    line(scene, seconds);
}

fn text(seconds: i64) -> String {
    format!("{} x=1 k=a\n", scene::stamp(START_NS + seconds * S))
}

fn line(scene: &Scene, seconds: i64) {
    scene.append("app.log", &text(seconds));
}

/// A line a second up to this one, and a pull after each.
fn through(scene: &mut Scene, from: i64, to: i64) -> map::input::Usage {
    let mut used = map::input::Usage::default();
    for second in from..to {
        write(scene, second);
        scene.pull_all().usage.values().for_each(|one| used.add(*one));
    }
    used
}

fn suspension(number: u64, from: i64, to: Option<i64>) -> Suspension {
    Suspension {
        number,
        from_ns: START_NS + from * S,
        to_ns: to.map_or(i64::MAX, |to| START_NS + to * S),
        why: "too dear".into(),
    }
}

/// Records and verdict of a window.
fn window(scene: &Scene, seconds: i64) -> (u64, Option<(HostState, Stage)>) {
    let start = START_NS + seconds * S;
    let records = scene.kept.windows(&scene.plan).get(&start).map_or(0, |it| it.records);
    (records, scene.kept.verdict(start))
}

const LEFT_OUT: Option<(HostState, Stage)> = Some((HostState::OverBudget, Stage::Settled));
const SETTLED: Option<(HostState, Stage)> = Some((HostState::Ok, Stage::Settled));

#[test]
fn what_stands_before_is_counted_to_its_end_and_the_rest_is_left_out() {
    let mut scene = scene(MONITOR);
    through(&mut scene, 0, 62);
    let held_before = scene.held_bytes();
    scene.suspend(&[suspension(1, 60, None)]);
    assert!(scene.held_bytes() < held_before, "what was under way is let go at once");
    through(&mut scene, 62, 64);
    // A writer held this one back: its window was answered without it.
    line(&scene, 57);
    through(&mut scene, 64, 240);
    assert_eq!(window(&scene, 50), (5, SETTLED));
    assert_eq!(window(&scene, 55), (6, SETTLED));
    // It was under way: what it had counted counts for nothing.
    assert_eq!(window(&scene, 60).1, LEFT_OUT);
    assert_eq!(window(&scene, 65), (0, LEFT_OUT));
    assert_eq!(window(&scene, 200), (0, LEFT_OUT));
    let left_out = scene.kept.verdicts.iter().filter(|run| !run.state.is_ok());
    assert!(left_out.clone().all(|run| run.detail.as_deref() == Some("too dear")));
    assert!(left_out.count() > 0);
    // Whoever orders it has it read.
    let ordered = scene.reread(START_NS + 60 * S, START_NS + 70 * S);
    let records = ordered.windows(&scene.plan);
    assert_eq!(records[&(START_NS + 60 * S)].records, 5);
    assert_eq!(ordered.verdict(START_NS + 65 * S), SETTLED);
    // It is told what that cost: the log is small, and is read from its beginning.
    let size = std::fs::metadata(format!("{}/app.log", scene.base))
        .expect("a log")
        .len();
    assert!(
        (size / 2..=size).contains(&scene.spent_apart.bytes),
        "{:?} of {size}",
        scene.spent_apart
    );
}

#[test]
fn what_was_said_to_be_ok_stays_true() {
    let mut scene = scene(MONITOR);
    through(&mut scene, 0, 70);
    assert_eq!(window(&scene, 60).1, Some((HostState::Ok, Stage::Provisional)));
    // By a clock that is slower than the host's.
    scene.suspend(&[suspension(1, 40, None)]);
    line(&scene, 62);
    through(&mut scene, 70, 240);
    assert_eq!(window(&scene, 60), (6, SETTLED));
    assert_eq!(window(&scene, 65).1, LEFT_OUT);
}

#[test]
fn it_is_counted_again_from_a_window_on() {
    let mut scene = scene(MONITOR);
    through(&mut scene, 0, 60);
    scene.suspend(&[suspension(1, 60, None)]);
    through(&mut scene, 60, 250);
    // All before it is settled; a new reader begins.
    scene.suspend(&[suspension(1, 60, Some(255))]);
    scene.begin_again(START_NS + 255 * S);
    through(&mut scene, 250, 400);
    assert_eq!(window(&scene, 255), (5, SETTLED));
    assert_eq!(window(&scene, 395).0, 5);
    // A reader that began before passes over it.
    scene.begin_again(START_NS);
    through(&mut scene, 400, 402);
    assert_eq!(window(&scene, 55), (5, SETTLED));
    assert_eq!(window(&scene, 60).1, LEFT_OUT);
    assert_eq!(window(&scene, 250).1, LEFT_OUT);
    assert_eq!(window(&scene, 255), (5, SETTLED));
}

#[test]
fn a_log_by_arrival_is_left_out_as_well() {
    let mut scene = scene("select count() timestamp 'arrival' every 5s");
    through(&mut scene, 0, 61);
    scene.suspend(&[suspension(1, 60, None)]);
    through(&mut scene, 61, 100);
    assert_eq!(window(&scene, 50), (5, SETTLED));
    assert_eq!(window(&scene, 60).1, LEFT_OUT);
    assert_eq!(window(&scene, 80), (0, LEFT_OUT));
    scene.suspend(&[suspension(1, 60, Some(105))]);
    through(&mut scene, 100, 120);
    assert_eq!(window(&scene, 100), (0, LEFT_OUT));
    assert_eq!(window(&scene, 105), (5, SETTLED));
}

#[test]
fn what_a_monitor_costs_is_told_and_a_backlog_is_of_its_time() {
    let mut scene = scene(MONITOR);
    let bytes = |seconds: i64| (0..seconds).map(|at| text(at).len() as u64).sum::<u64>();
    let used = through(&mut scene, 0, 60);
    assert_eq!(used.bytes, bytes(60));
    assert!((50..60).contains(&(used.advanced_ns / S as u64)), "{used:?}");
    (60..600).for_each(|second| write(&mut scene, second));
    let used = through(&mut scene, 600, 601);
    assert_eq!(used.bytes, bytes(601) - bytes(60));
    assert!(used.advanced_ns / S as u64 > 500, "{used:?}");
    assert!(used.spread(S as u64).bytes <= used.bytes / 500, "{used:?}");
}
