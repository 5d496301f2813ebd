//! Logs that begin with the same stamped line, as those of two workers that were started in one second: each is counted
//! once, also by whoever comes later and finds only some of them, or finds them compressed.

mod scene;

use scene::{S, START_NS, Scene};
use std::fs;

const MONITOR: &str = "select count() parse logfmt group by worker every 10s";

/// A line of this second.
fn line(second: i64, worker: &str) -> String {
    let stamp = scene::stamp(START_NS + second * S);
    format!("{stamp} worker={worker} msg=\"something that was done by worker {worker}, at length\"\n")
}

/// Two logs, `a.log` and `b.log`, whose first lines are the same, and that were read for a minute.
fn two() -> Scene {
    let mut scene = Scene::new("*.log*", MONITOR, START_NS - 60 * S);
    let banner = format!("{} starting up\n", scene::stamp(START_NS));
    for name in ["a.log", "b.log"] {
        scene.append(name, &banner);
        (0..20).for_each(|second| scene.append(name, &line(second, &name[..1])));
    }
    scene.time.pass(20 * S);
    scene.pull_all();
    scene.time.pass(START_NS + 60 * S - scene.time.now());
    scene.pull_all();
    scene
}

/// Records of each window of ten seconds.
fn records(scene: &Scene) -> Vec<(i64, u64)> {
    let windows = scene.kept.windows(&scene.plan);
    let seconds = |start: i64| (start - START_NS) / S;
    windows
        .iter()
        .map(|(start, window)| (seconds(*start), window.records))
        .collect()
}

/// Twenty lines of each worker. What they began with has no fields, and is lost.
const ALL: [(i64, u64); 2] = [(0, 20), (10, 20)];

/// Somebody else reads on, who knows what was learned.
fn take_over(scene: &mut Scene) {
    let profiles = scene.kept.profiles.clone();
    assert_eq!(profiles.len(), 2, "{profiles:?}");
    scene.know(&profiles);
    scene.take_over(START_NS + 40 * S);
    scene.pull_all();
}

#[test]
fn each_is_counted_once() {
    let scene = two();
    assert_eq!(records(&scene), ALL);
    let generations: std::collections::BTreeSet<u64> = scene.kept.cells.keys().map(|(_, key)| *key).collect();
    assert_eq!(generations.len(), 2);
}

#[test]
fn one_that_is_left_alone_is_still_itself() {
    for gone in ["a.log", "b.log"] {
        let mut scene = two();
        fs::remove_file(scene.path(gone)).expect("removes");
        take_over(&mut scene);
        assert_eq!(records(&scene), ALL, "without {gone}");
        // A repair of what both had proved.
        let again = scene.reread(START_NS, START_NS + 20 * S);
        let known = |place: &(i64, u64)| scene.kept.cells.contains_key(place);
        assert!(again.cells.keys().all(known), "without {gone}");
    }
}

#[test]
fn what_they_were_compressed_to_is_still_them() {
    for packed in [["a.log", "b.log"], ["b.log", "a.log"]] {
        let mut scene = two();
        for name in packed {
            scene.pack(name, &format!("{name}.1.gz"));
            fs::remove_file(scene.path(name)).expect("removes");
        }
        take_over(&mut scene);
        assert_eq!(records(&scene), ALL, "{packed:?}");
    }
}

#[test]
fn one_that_was_compressed_stands_beside_the_other() {
    for packed in ["a.log", "b.log"] {
        let mut scene = two();
        scene.pack(packed, &format!("{packed}.1.gz"));
        fs::remove_file(scene.path(packed)).expect("removes");
        take_over(&mut scene);
        assert_eq!(records(&scene), ALL, "{packed}");
    }
}

#[test]
fn a_third_that_begins_so_is_none_of_them() {
    let mut scene = two();
    for name in ["a.log", "b.log"] {
        fs::remove_file(scene.path(name)).expect("removes");
    }
    let banner = format!("{} starting up\n", scene::stamp(START_NS));
    scene.append("c.log", &banner);
    (0..15).for_each(|second| scene.append("c.log", &line(second, "c")));
    take_over(&mut scene);
    assert_eq!(records(&scene), [(0, 30), (10, 25)]);
}
