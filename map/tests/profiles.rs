//! What was learned of a file (F8) is told once, and whoever is given it reads the file as it was read before.

mod scene;

use map::protocol::{KeptProfile, PatternOrigin, StampZone};
use scene::{S, START_NS, Scene, stamp};

const DAY: i64 = 86_400 * S;

fn scene(mql: &str) -> Scene {
    Scene::new("app.log", mql, START_NS - 60 * DAY)
}

fn counting() -> Scene {
    scene("select count() every 60s")
}

/// Records and late ones, by window in seconds from the start.
fn counts(scene: &Scene) -> Vec<(i64, u64, u64)> {
    let windows = scene.kept.windows(&scene.plan);
    let count = |(start, window): (&i64, &map::partial::WindowPartial)| {
        let late = window.lost.iter().filter(|(loss, _)| loss.name() == "late");
        let late = late.map(|(_, count)| count).sum();
        ((start - START_NS) / S, window.records, late)
    };
    windows.iter().map(count).collect()
}

/// The versions of what was told.
fn versions(scene: &Scene) -> Vec<u32> {
    scene.kept.profiles.iter().map(|profile| profile.version).collect()
}

/// What another Map counts that is given these profiles, as a stream and in a reading apart, and what it tells.
fn another(scene: &mut Scene, profiles: &[KeptProfile]) -> (Vec<(i64, u64, u64)>, Vec<KeptProfile>) {
    scene.restart(profiles);
    scene.pull_all();
    let apart = scene.reread(START_NS - 60 * DAY, START_NS);
    let streamed = scene.kept.windows(&scene.plan);
    assert_eq!(apart.windows(&scene.plan), streamed, "a reading apart reads alike");
    (counts(scene), scene.kept.profiles.clone())
}

/// The day first or the month first: ten lines don't tell, and the eleventh speaks against what was taken for granted.
#[test]
fn a_file_is_read_as_it_was_read_before_until_more_of_it_teaches_otherwise() {
    let mut scene = counting();
    let lines = |dates: &str, minutes: std::ops::Range<i64>| -> String {
        minutes
            .map(|minute| format!("{dates} 12:{minute:02}:00 some text\n"))
            .collect()
    };
    scene.append("app.log", &lines("10/11/2026", 0..10));
    scene.pull_all();
    let profiles = scene.kept.profiles.clone();
    assert_eq!(profiles.len(), 1);
    let is_day_first = profiles[0].stamps.entries[0].pattern.starts_with("%d/");
    let against = if is_day_first { "11/14/2026" } else { "14/11/2026" };
    scene.append("app.log", &lines(against, 10..14));
    scene.pull_all();
    let (first, kept) = (counts(&scene), scene.kept.profiles.clone());
    assert_eq!(kept, profiles, "the file has not doubled: it teaches nothing yet");

    let (by_bytes, other) = another(&mut scene, &[]);
    assert_ne!(by_bytes, first, "the bytes alone now teach otherwise");
    assert!(other[0].version > profiles[0].version);
    let (as_before, told) = another(&mut scene, &profiles);
    assert_eq!((as_before, told), (first, Vec::new()));

    // It doubles: whoever reads it learns the same, and says so.
    scene.append("app.log", &lines(against, 14..30));
    scene.pull_all();
    let (grown, version) = (counts(&scene), versions(&scene));
    assert!(version.len() == 1 && version[0] > other[0].version);
    assert_eq!(another(&mut scene, &profiles).0, grown);
    assert_eq!(versions(&scene), version);
    assert_eq!(another(&mut scene, &[]).0, grown);
}

fn record(seconds: i64) -> String {
    format!("{} some text\n", stamp(START_NS + seconds * S))
}

/// A file of twenty lines, and what is learned of it.
fn learned() -> (Scene, KeptProfile) {
    let mut scene = counting();
    scene.append("app.log", &(-1200..-1000).step_by(10).map(record).collect::<String>());
    scene.pull_all();
    let profile = scene.kept.profiles[0].clone();
    (scene, profile)
}

#[test]
fn lateness_is_kept_too() {
    let (mut scene, profile) = learned();
    scene.append("app.log", &[-1009, -1130, -1008].map(record).concat());
    let late = |counts: &[(i64, u64, u64)]| counts.iter().map(|(_, _, late)| late).sum::<u64>();
    scene.pull_all();
    assert_eq!(late(&counts(&scene)), 1);
    assert_eq!(late(&another(&mut scene, std::slice::from_ref(&profile)).0), 1);
    let patient = KeptProfile {
        lateness_ns: 600 * S,
        ..profile
    };
    assert_eq!(late(&another(&mut scene, &[patient]).0), 0);
}

#[test]
fn a_profile_that_makes_no_sense_is_not_believed() {
    let (mut scene, profile) = learned();
    let expected = counts(&scene);
    let mut check = |change: &dyn Fn(&mut KeptProfile)| {
        let mut bad = profile.clone();
        change(&mut bad);
        assert_ne!(bad, profile);
        let (counted, mut told) = another(&mut scene, std::slice::from_ref(&bad));
        // One that nobody ever saw is missed.
        told.retain(|told| told.generation == profile.generation);
        assert_eq!((counted, told), (expected.clone(), vec![profile.clone()]), "{bad:?}");
    };
    check(&|bad| bad.stamps.entries.clear());
    check(&|bad| bad.stamps.entries = vec![bad.stamps.entries[0].clone(); 300]);
    check(&|bad| bad.stamps.entries[0].pattern = "%Q".to_owned());
    check(&|bad| bad.stamps.entries[0].pattern = "%d/%m/%Y %H:%M".to_owned());
    check(&|bad| bad.stamps.entries[0].origin = PatternOrigin::Override);
    check(&|bad| bad.stamps.zone = StampZone::Named("Mars/Olympus".to_owned()));
    check(&|bad| bad.lateness_ns = 0);
    check(&|bad| bad.lateness_ns = i64::MAX);
    check(&|bad| bad.version += 1);
    check(&|bad| bad.sample_bytes += 1);
    check(&|bad| (bad.version, bad.sample_bytes) = (bad.version + 9, bad.sample_bytes + 9));
    check(&|bad| bad.generation += 1);
}

#[test]
fn what_was_learned_is_told_once_and_again_to_somebody_who_does_not_know() {
    let (mut scene, profile) = learned();
    let told = |scene: &mut Scene, seconds: i64| {
        scene.kept.profiles.clear();
        scene.append("app.log", &record(seconds));
        scene.pull_all();
        scene.kept.profiles.clone()
    };
    assert_eq!(told(&mut scene, -900), []);
    scene.install_again(std::slice::from_ref(&profile));
    assert_eq!(told(&mut scene, -890), []);
    scene.install_again(&[]);
    assert_eq!(told(&mut scene, -880), std::slice::from_ref(&profile));
    assert_eq!(told(&mut scene, -870), []);
    // Another file is another generation.
    std::fs::rename(scene.path("app.log"), scene.path("app.log.1")).expect("renames");
    let of_next = told(&mut scene, -860);
    assert_eq!(of_next.len(), 1);
    assert_ne!(of_next[0].generation, profile.generation);
    let both = [profile, of_next[0].clone()];
    scene.kept.profiles.clear();
    assert_eq!(another(&mut scene, &both).1, []);
}

/// Half a year is the farthest at which the nearest year is the right one; a file may live longer.
#[test]
fn a_log_without_years_that_lives_for_two_is_stamped_by_the_year_of_its_writing() {
    let mut scene = counting();
    let syslog = |ns: i64| {
        let time = jiff::Timestamp::from_nanosecond(i128::from(ns)).expect("a time");
        format!("{} host app: x\n", time.strftime("%b %d %H:%M:%S"))
    };
    let mut expected = Vec::new();
    for month in 0..24 {
        let line = syslog(scene.time.now());
        expected.push((scene.time.now() - START_NS).div_euclid(60 * S) * 60);
        scene.append("app.log", &line);
        scene.pull_all();
        assert!(scene.kept.profiles.len() <= 1 + month / 3, "a mark is told once");
        scene.time.pass(31 * DAY);
    }
    let windows = |counts: Vec<(i64, u64, u64)>| counts.iter().map(|(start, ..)| *start).collect::<Vec<_>>();
    assert_eq!(windows(counts(&scene)), expected);
    let kept = scene.kept.profiles.clone();
    scene.restart(&kept);
    scene.pull_all();
    assert_eq!(windows(counts(&scene)), expected, "another Map goes by the same marks");
}
