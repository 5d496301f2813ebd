//! A reader that begins where others died: what was destroyed before its first look is not silence, for it is given the
//! lives of the generations that others read.

mod scene;

use map::protocol::KeptProfile;
use map::verdict::HostState;
use scene::{S, START_NS, Scene, stamp};
use std::fs;

const WINDOW_NS: i64 = 60 * S;

/// A log of which ten minutes were read, up to the start of the scene's clock.
fn read(pattern: &str, name: &str) -> Scene {
    let mut scene = Scene::new(pattern, "select count() every 60s", START_NS - 3600 * S);
    scene.append(name, &(-600..0).step_by(10).map(record).collect::<String>());
    scene.pull_all();
    assert_eq!(scene.kept.profiles.len(), 1);
    scene
}

fn record(seconds: i64) -> String {
    format!("{} some text\n", stamp(START_NS + seconds * S))
}

/// Two minutes pass in which nobody looks, and this happens in the middle of them; then another Map takes over, which
/// is given the profiles, and looks. States of the windows that nobody had proved, and those before.
fn after(scene: &mut Scene, happens: impl FnOnce(&mut Scene)) -> (Vec<HostState>, Vec<HostState>) {
    for second in (0..60).step_by(10) {
        scene.append_now(second);
    }
    happens(scene);
    for second in (60..180).step_by(10) {
        scene.append_now(second);
    }
    take_over(scene)
}

trait Writes {
    fn append_now(&mut self, second: i64);
}

impl Writes for Scene {
    /// The application writes a record, if its log is there.
    fn append_now(&mut self, second: i64) {
        self.time.pass(10 * S);
        if fs::exists(self.path("app.log")).expect("asks") {
            self.append("app.log", &record(second));
        }
    }
}

fn take_over(scene: &mut Scene) -> (Vec<HostState>, Vec<HostState>) {
    let profiles = scene.kept.profiles.clone();
    scene.know(&profiles);
    scene.take_over(START_NS);
    scene.pull_all();
    states(scene)
}

fn states(scene: &Scene) -> (Vec<HostState>, Vec<HostState>) {
    let of = |windows: std::ops::Range<i64>| -> Vec<HostState> {
        let starts = windows.map(|number| START_NS + number * WINDOW_NS);
        starts.filter_map(|start| Some(scene.kept.verdict(start)?.0)).collect()
    };
    (of(0..2), of(-10..0))
}

const LOST: [HostState; 2] = [HostState::BytesLost; 2];
const FINE: [HostState; 2] = [HostState::Ok; 2];
const BEFORE: [HostState; 10] = [HostState::Ok; 10];

fn until(profiles: &[KeptProfile]) -> Vec<Option<i64>> {
    let until = |profile: &KeptProfile| profile.life.expect("is told").until_ns;
    profiles
        .iter()
        .map(|profile| until(profile).map(|until_ns| (until_ns - START_NS) / S))
        .collect()
}

#[test]
fn a_log_that_went_while_nobody_looked_is_lost_from_the_first_unproved_window_on() {
    for is_written_again in [false, true] {
        let mut scene = read("app.log", "app.log");
        let (unproved, proved) = after(&mut scene, |scene| {
            fs::remove_file(scene.path("app.log")).expect("removes");
            if is_written_again {
                scene.append("app.log", "");
            }
        });
        if is_written_again {
            assert_eq!((&unproved[..], &proved[..]), (&LOST[..], &BEFORE[..]));
        } else {
            assert_eq!(unproved, [HostState::NoFile; 2], "as long as there is none");
            scene.append("app.log", &record(175));
            scene.pull_all();
            assert_eq!(states(&scene).0, LOST);
        }
        // Whoever begins next is told that this was said, and the next windows are fine.
        assert_eq!(until(&scene.kept.profiles)[0], Some(180), "the life is over");
        scene.append("app.log", &record(175));
        for second in (180..400).step_by(10) {
            scene.append_now(second);
        }
        let profiles = scene.kept.profiles.clone();
        scene.know(&profiles);
        scene.take_over(START_NS + 180 * S);
        scene.pull_all();
        let verdict = scene.kept.verdict(START_NS + 240 * S).map(|(state, _)| state);
        assert_eq!(verdict, Some(HostState::Ok));
    }
}

#[test]
fn a_log_that_was_emptied_while_nobody_looked_is_lost() {
    let mut scene = read("app.log", "app.log");
    let (unproved, proved) = after(&mut scene, |scene| {
        fs::File::options()
            .write(true)
            .truncate(true)
            .open(scene.path("app.log"))
            .expect("truncates");
    });
    assert_eq!((&unproved[..], &proved[..]), (&LOST[..], &BEFORE[..]));
    let copied = "as logrotate's copytruncate does";
    let mut scene = read("app.log", "app.log");
    let (unproved, _) = after(&mut scene, |scene| {
        fs::copy(scene.path("app.log"), scene.path("app.log.1")).expect("copies");
        scene.append("app.log", &record(55));
        fs::File::options()
            .write(true)
            .truncate(true)
            .open(scene.path("app.log"))
            .expect("truncates");
    });
    assert_eq!(unproved, LOST, "{copied}");
}

#[test]
fn a_rotation_that_nobody_saw_loses_nothing() {
    let rename = |scene: &mut Scene| {
        fs::rename(scene.path("app.log"), scene.path("app.log.1")).expect("renames");
        scene.append("app.log", "");
    };
    let mut scene = read("app.log", "app.log");
    let (unproved, proved) = after(&mut scene, rename);
    assert_eq!((&unproved[..], &proved[..]), (&FINE[..], &BEFORE[..]));
    let counted = scene.kept.windows(&scene.plan);
    assert_eq!(counted[&START_NS].records, 6);
    assert_eq!(counted[&(START_NS + WINDOW_NS)].records, 6);
}

#[test]
fn one_that_was_compressed_meanwhile_is_read_and_nothing_is_lost() {
    let mut scene = read("app.log", "app.log");
    let (unproved, _) = after(&mut scene, |scene| {
        scene.pack("app.log", "app.log.1.gz");
        fs::remove_file(scene.path("app.log")).expect("removes");
        scene.append("app.log", "");
    });
    assert_eq!(unproved, FINE);
    assert_eq!(scene.kept.windows(&scene.plan)[&START_NS].records, 6);
}

#[test]
fn a_generation_that_was_over_is_not_missed() {
    let mut scene = read("app.log", "app.log");
    fs::rename(scene.path("app.log"), scene.path("app.log.1")).expect("renames");
    scene.append("app.log", &record(-1));
    scene.pull_all();
    assert_eq!(
        until(&scene.kept.profiles),
        [None, None],
        "it may be written to for a while"
    );
    scene.time.pass(600 * S);
    scene.append("app.log", &record(600));
    scene.pull_all();
    assert_eq!(until(&scene.kept.profiles), [Some(-9), None]);
    // Retention removes it: nobody misses it, at whatever time.
    fs::remove_file(scene.path("app.log.1")).expect("removes");
    let profiles = scene.kept.profiles.clone();
    scene.know(&profiles);
    scene.take_over(START_NS);
    scene.pull_all();
    assert_eq!(states(&scene).0, FINE);
    // Somebody who has not its last windows needs it.
    scene.take_over(START_NS - 120 * S);
    scene.pull_all();
    let (unproved, before) = states(&scene);
    assert_eq!(unproved, FINE);
    assert_eq!(before[7..], [HostState::Ok, HostState::BytesLost, HostState::BytesLost]);
}

#[test]
fn names_of_past_dates_are_not_missed() {
    let mut scene = read("app-%Y%m%d.log", "app-20261123.log");
    let is_there = |scene: &mut Scene, proved_ns: i64| {
        let profiles = scene.kept.profiles.clone();
        scene.know(&profiles);
        scene.begin_from(proved_ns - 900 * S);
        scene.take_over(proved_ns);
        scene.pull_all();
        scene.kept.verdict(proved_ns).map(|(state, _)| state)
    };
    fs::remove_file(scene.path("app-20261123.log")).expect("removes");
    let two_days = 2 * 86_400 * S;
    scene.time.pass(two_days);
    scene.append("app-20261125.log", &format!("{} some text\n", stamp(scene.time.now())));
    scene.time.pass(120 * S);
    assert_eq!(is_there(&mut scene, START_NS + two_days), Some(HostState::Ok));
    // That of today is.
    fs::remove_file(scene.path("app-20261125.log")).expect("removes");
    scene.append("app-20261125.log", "");
    let today = is_there(&mut scene, START_NS + two_days);
    assert_eq!(today, Some(HostState::BytesLost));
}

#[test]
fn a_reading_apart_misses_what_is_gone_too() {
    let mut scene = read("app.log", "app.log");
    let profiles = scene.kept.profiles.clone();
    scene.know(&profiles);
    fs::remove_file(scene.path("app.log")).expect("removes");
    scene.append("app.log", &record(5));
    scene.time.pass(120 * S);
    let kept = scene.reread(START_NS - 1200 * S, START_NS + 60 * S);
    let state = |second: i64| kept.verdict(START_NS + second * S).map(|(state, _)| state);
    assert_eq!(state(-720), Some(HostState::Ok), "before its first record");
    assert_eq!(state(-600), Some(HostState::BytesLost));
    assert_eq!(state(0), Some(HostState::BytesLost));
}

#[test]
fn a_question_about_the_past_is_told_where_the_log_begins() {
    let mut scene = read("app.log", "app.log");
    let (from, to) = (START_NS - 1200 * S, START_NS - 60 * S);
    let state = |kept: &scene::Kept, second: i64| kept.verdict(START_NS + second * S).map(|(state, _)| state);
    let of = |kept: &scene::Kept| [-1200, -660, -600, -120].map(|second| state(kept, second));
    let (none, ok) = (Some(HostState::NoFile), Some(HostState::Ok));
    assert_eq!(of(&scene.ask(from, to)), [none, none, ok, ok]);
    assert_eq!(of(&scene.reread(from, to)), [ok; 4], "a monitor was there");
    // An older generation begins earlier, compressed or not.
    scene.append("app.log.1", &record(-900));
    assert_eq!(of(&scene.ask(from, to)), [none, ok, ok, ok]);
    scene.pack("app.log.1", "app.log.1.gz");
    fs::remove_file(scene.path("app.log.1")).expect("removes");
    assert_eq!(of(&scene.ask(from, to)), [none, ok, ok, ok]);
    scene.append("app.log.2", &record(-1300));
    assert_eq!(of(&scene.ask(from, to)), [ok; 4]);
}

/// Only the end of a large log is read for its last windows: what is before them is there.
#[test]
fn a_question_about_the_end_of_a_large_log_is_not_told_where_it_begins() {
    let mut scene = Scene::new("app.log", "select count() every 60s", START_NS - 3600 * S);
    let long = "x".repeat(2000);
    let line = |second: i64| format!("{} {long}\n", stamp(START_NS + second * S));
    scene.append("app.log", &(-3000..0).map(line).collect::<String>());
    scene.time.pass(60 * S);
    let kept = scene.ask(START_NS - 300 * S, START_NS);
    let states = (-5..0).map(|minute| kept.verdict(START_NS + minute * 60 * S).map(|(state, _)| state));
    assert_eq!(states.collect::<Vec<_>>(), [Some(HostState::Ok); 5]);
}
