//! Logs whose lines say a time of day and no date: a Map that sees them being written knows the day. Whatever happens,
//! no window that is called complete has a record of another day, or lacks one of its own.

mod scene;

use jiff::tz::TimeZone;
use map::protocol::KeptProfile;
use map::verdict::{HostState, Stage};
use proptest::prelude::*;
use scene::{Births, Kept, S, START_NS, Scene};
use std::collections::BTreeMap;

const MINUTE: i64 = 60 * S;
const HOUR: i64 = 3600 * S;
const DAY: i64 = 24 * HOUR;
/// What stood there at the first look may be of a window up to this long after it.
const UNDATED: i64 = 62 * S;

/// A log that is written, and when each of its records truly was.
struct Log {
    scene: Scene,
    zone: TimeZone,
    truth: BTreeMap<i64, u64>,
    /// What a Reduce holds of windows: an ok is taken back only by a loss.
    held: BTreeMap<i64, (HostState, Stage)>,
    /// Whether the reader that is there has seen bytes in the log, and whether bytes were destroyed.
    has_looked: bool,
    is_emptied: bool,
    begun_ns: i64,
    written: u64,
}

impl Log {
    /// One that begins so long after noon of 2026-11-23, UTC.
    fn beginning(after_noon_ns: i64, zone: &str) -> Log {
        let from_ns = START_NS + after_noon_ns - 30 * DAY;
        let mql = format!("select count() timezone '{zone}' every 60s");
        let scene = Scene::new("app.log", &mql, from_ns);
        scene.time.pass(after_noon_ns);
        Log {
            scene,
            zone: TimeZone::get(zone).expect("a zone"),
            truth: BTreeMap::new(),
            held: BTreeMap::new(),
            has_looked: false,
            is_emptied: false,
            begun_ns: from_ns,
            written: 0,
        }
    }

    fn now(&self) -> i64 {
        self.scene.time.now()
    }

    /// Writes a record of so long ago.
    fn write_late(&mut self, name: &str, ago_ns: i64) {
        let at_ns = self.now() - ago_ns;
        let time = jiff::Timestamp::from_nanosecond(i128::from(at_ns)).expect("a time");
        let stamp = time
            .to_zoned_datetime(self.zone.clone())
            .strftime("%H:%M:%S.%3f")
            .to_string();
        self.scene
            .append(name, &format!("{stamp} INFO some text {}\n", self.written));
        self.written += 1;
        *self.truth.entry(at_ns.div_euclid(MINUTE) * MINUTE).or_default() += 1;
    }

    fn write(&mut self) {
        self.write_late("app.log", 0);
    }

    /// Goes on for a while: a record each `every_ns`, and a pull after each `pull_ns`.
    fn run(&mut self, for_ns: i64, every_ns: i64, pull_ns: i64) {
        let (mut written_ns, mut pulled_ns) = (0, 0);
        for passed_ns in (0..for_ns).step_by(S as usize) {
            if passed_ns - written_ns >= every_ns {
                self.write();
                written_ns = passed_ns;
            }
            if passed_ns - pulled_ns >= pull_ns {
                self.scene.pull_all();
                pulled_ns = passed_ns;
            }
            self.scene.time.pass(S);
        }
        self.scene.pull_all();
    }

    /// Windows that are wrong although they are called complete, of all that were ever said.
    fn check(&self) {
        self.check_kept(&self.scene.kept);
    }

    fn check_kept(&self, kept: &Kept) {
        for run in kept.verdicts.iter().filter(|run| run.state.is_ok()) {
            self.check_windows(kept, |start| (run.from_ns..run.to_ns).contains(&start));
        }
    }

    fn check_windows(&self, kept: &Kept, is_complete: impl Fn(i64) -> bool) {
        let counted = kept.windows(&self.scene.plan);
        let counted = counted.iter().filter(|(start, _)| is_complete(**start));
        let records: BTreeMap<i64, u64> = counted.map(|(start, window)| (*start, window.records)).collect();
        let truth = self.truth.iter().filter(|(start, _)| is_complete(**start));
        let truth: BTreeMap<i64, u64> = truth.map(|(start, count)| (*start, *count)).collect();
        assert_eq!(records, truth, "{:?}", kept.verdicts);
    }

    /// Takes what was said as a Reduce does.
    fn hold(&mut self) {
        for run in &self.scene.kept.verdicts {
            for start in (run.from_ns.max(self.scene.time.now() - 2 * DAY)..run.to_ns).step_by(MINUTE as usize) {
                let held = self.held.entry(start).or_insert((run.state, run.stage));
                let stays = held.0.is_for_good() || held.0.is_ok() && !run.state.is_ok() && !run.state.is_for_good();
                if !stays {
                    let stage = if held.0 == run.state {
                        held.1.max(run.stage)
                    } else {
                        run.stage
                    };
                    *held = (run.state, stage);
                }
            }
        }
    }

    /// The first window of a day of which more is to be read, as a Reduce asks for it.
    fn proved_ns(&self) -> i64 {
        let first = (self.now() - DAY).div_euclid(MINUTE) * MINUTE;
        let is_proved = |start: &i64| {
            let held = self.held.get(start);
            held.is_some_and(|(state, stage)| state.is_for_good() || state.is_ok() && *stage == Stage::Settled)
        };
        let mut windows = (first..self.now()).step_by(MINUTE as usize);
        windows.find(|start| !is_proved(start)).unwrap_or(first)
    }

    /// That, and that windows between these times are (or are not) complete.
    fn check_state(&self, from_ns: i64, to_ns: i64, expected: Option<HostState>) {
        self.check();
        let first = (from_ns + MINUTE - 1).div_euclid(MINUTE) * MINUTE;
        assert!(first + MINUTE <= to_ns, "no window between");
        for start in (first..=to_ns - MINUTE).step_by(MINUTE as usize) {
            let state = self.scene.kept.verdict(start).map(|(state, _)| state);
            let is_it = match expected {
                Some(expected) => state == Some(expected),
                None => state.is_some_and(HostState::is_ok),
            };
            let minutes = (start - from_ns).div_euclid(MINUTE);
            assert!(
                is_it,
                "{minutes} min after: {state:?}, not {expected:?}; {:?}",
                self.scene.kept.verdicts
            );
        }
    }

    fn restart(&mut self) {
        let profiles: Vec<KeptProfile> = self.scene.kept.profiles.clone();
        self.scene.restart(&profiles);
        self.scene.pull_all();
        // A Brain keeps what it is not told anew.
        for kept in profiles {
            kept.join(&mut self.scene.kept.profiles);
        }
    }
}

#[test]
fn what_is_seen_to_be_written_is_counted_and_what_was_there_is_not() {
    let mut log = Log::beginning(0, "UTC");
    log.run(10 * MINUTE, 7 * S, DAY);
    let first = log.now();
    log.run(10 * MINUTE, 7 * S, 5 * S);
    let end = log.now() - 2 * MINUTE;
    log.check_state(first + UNDATED, end, None);
    log.check_state(first - 5 * MINUTE, first, Some(HostState::Unstamped));
    let details = log.scene.kept.verdicts.iter().filter_map(|run| run.detail.as_deref());
    assert!(
        details
            .into_iter()
            .any(|detail| detail.contains("was not seen to be written"))
    );
}

#[test]
fn an_empty_log_is_counted_from_its_first_record_on() {
    let mut log = Log::beginning(0, "UTC");
    log.scene.append("app.log", "");
    log.run(2 * DAY, 3 * DAY, HOUR);
    let first = log.now();
    log.run(10 * MINUTE, 7 * S, 5 * S);
    log.check_state(first, log.now() - 2 * MINUTE, None);
}

/// Midnight between two pulls, within one, and while a line is late by a few seconds; in zones far from UTC too.
#[test]
fn midnight_passes() {
    for (zone, after_noon_ns) in [("UTC", 0), ("Asia/Tokyo", -9 * HOUR), ("America/Los_Angeles", 8 * HOUR)] {
        for pull_ns in [S, 11 * S, 4 * MINUTE] {
            let mut log = Log::beginning(after_noon_ns + 11 * HOUR + 50 * MINUTE, zone);
            log.write();
            log.scene.pull_all();
            let first = log.now();
            log.run(10 * MINUTE - 2 * S, 3 * S, pull_ns);
            log.scene.time.pass(3 * S);
            log.write();
            log.write_late("app.log", 3 * S);
            log.run(15 * MINUTE, 3 * S, pull_ns);
            log.check_state(first + UNDATED, log.now() - 2 * MINUTE, None);
        }
    }
}

#[test]
fn an_idle_log_that_goes_on_two_days_later_is_of_that_day() {
    let mut log = Log::beginning(0, "UTC");
    log.write();
    log.scene.pull_all();
    let first = log.now();
    log.run(5 * MINUTE, 7 * S, 5 * S);
    log.run(2 * DAY + 3 * HOUR, 3 * DAY, 20 * MINUTE);
    log.run(5 * MINUTE, 7 * S, 5 * S);
    // Verdicts are told of a day.
    log.check_state(log.now() - 20 * HOUR, log.now() - 2 * MINUTE, None);
    log.restart();
    log.check_state(log.now() - 20 * HOUR, log.now() - 2 * MINUTE, None);
    // A second time, and nobody looks until it goes on: a mark of the idle time dates it.
    log.run(2 * DAY, 3 * DAY, 20 * MINUTE);
    log.run(5 * MINUTE, 7 * S, 5 * S);
    log.restart();
    log.check_state(log.now() - 20 * HOUR, log.now() - 2 * MINUTE, None);
    // Of all days, as they are read apart.
    let profiles = log.scene.kept.profiles.clone();
    log.scene.know(&profiles);
    let to = log.now().div_euclid(MINUTE) * MINUTE - 3 * MINUTE;
    let apart = log.scene.reread(first.div_euclid(MINUTE) * MINUTE, to);
    let is_ok = |run: &map::verdict::VerdictRun| run.state.is_ok() || run.from_ns <= first;
    assert!(apart.verdicts.iter().all(is_ok), "{:?}", apart.verdicts);
    let records = apart.windows(&log.scene.plan);
    let records = records.values().map(|window| window.records).sum::<u64>();
    assert!(records > 80, "{records}");
    for (start, window) in apart.windows(&log.scene.plan) {
        assert_eq!(Some(&window.records), log.truth.get(&start));
    }
}

/// Whoever reads the log next knows the days from the marks: a restart over midnight, a repair, both to the same end.
#[test]
fn a_restart_over_midnight_and_a_repair_date_records_alike() {
    let mut log = Log::beginning(11 * HOUR + 50 * MINUTE, "UTC");
    log.write();
    log.scene.pull_all();
    let first = log.now();
    log.run(9 * MINUTE, 7 * S, 5 * S);
    let profiles = log.scene.kept.profiles.clone();
    assert_eq!(profiles.len(), 1);
    // Over midnight nobody looks.
    log.run(2 * MINUTE, 7 * S, DAY);
    log.run(2 * MINUTE, 7 * S, 5 * S);
    let before = log.scene.kept.windows(&log.scene.plan);
    log.scene.restart(&profiles);
    log.run(2 * MINUTE, 7 * S, 5 * S);
    log.check_state(first + UNDATED, log.now() - 2 * MINUTE, None);
    let after = log.scene.kept.windows(&log.scene.plan);
    assert!(
        before
            .iter()
            .rev()
            .skip(1)
            .all(|(start, window)| after.get(start) == Some(window))
    );
    // A day later the same windows are read apart.
    log.run(DAY, 10 * MINUTE, 30 * S);
    let profiles = log.scene.kept.profiles.clone();
    log.scene.know(&profiles);
    let (from, to) = (
        (first + UNDATED).div_euclid(MINUTE) * MINUTE + MINUTE,
        first + 12 * MINUTE,
    );
    let repaired = log.scene.reread(from, to.div_euclid(MINUTE) * MINUTE);
    assert!(
        repaired.verdicts.iter().all(|run| run.state.is_ok()),
        "{:?}",
        repaired.verdicts
    );
    for (start, window) in repaired.windows(&log.scene.plan) {
        assert_eq!(Some(&window.records), log.truth.get(&start));
    }
    // Whoever knows nothing of it says so.
    log.scene.know(&[]);
    let guessed = log.scene.reread(from, to.div_euclid(MINUTE) * MINUTE);
    assert!(
        guessed.verdicts.iter().all(|run| run.state == HostState::Unstamped),
        "{:?}",
        guessed.verdicts
    );
    assert!(guessed.windows(&log.scene.plan).is_empty());
}

/// For so long nobody looked that what came may be of two days: it is lost, and what comes then is not.
#[test]
fn what_came_while_nobody_looked_for_half_a_day_is_not_dated() {
    for is_restarted in [false, true] {
        let mut log = Log::beginning(0, "UTC");
        log.write();
        log.scene.pull_all();
        let first = log.now();
        log.run(5 * MINUTE, 7 * S, 5 * S);
        let left = log.now();
        log.scene.take_over(left);
        let profiles = log.scene.kept.profiles.clone();
        log.scene.know(&profiles);
        if !is_restarted {
            log.scene.pull_all();
        }
        log.run(14 * HOUR, 10 * MINUTE, DAY);
        if is_restarted {
            log.scene.take_over(left);
        }
        log.scene.pull_all();
        let back = log.now();
        log.run(10 * MINUTE, 7 * S, 5 * S);
        log.check_state(back + UNDATED, log.now() - 2 * MINUTE, None);
        log.check_state(left, back, Some(HostState::BytesLost));
        assert!(first < left);
    }
}

/// A rotation by renaming: where the file system tells when the new file was born, nothing is lost.
#[test]
fn a_rotation_by_renaming() {
    for tells_births in [true, false] {
        let mut log = Log::beginning(11 * HOUR + 50 * MINUTE, "UTC");
        log.scene.port.births = match tells_births {
            true => Births::By(log.scene.time.clone()),
            false => Births::Untold,
        };
        log.write();
        log.scene.pull_all();
        let first = log.now();
        log.run(10 * MINUTE, 7 * S, 5 * S);
        std::fs::rename(log.scene.path("app.log"), log.scene.path("app.log.1")).expect("renames");
        let rotated = log.now();
        log.write();
        log.write_late("app.log.1", 2 * S);
        log.run(10 * MINUTE, 7 * S, 5 * S);
        match tells_births {
            true => log.check_state(first + UNDATED, log.now() - 2 * MINUTE, None),
            false => log.check_state(rotated, rotated + MINUTE + MINUTE, Some(HostState::BytesLost)),
        }
        log.check_state(rotated + 2 * MINUTE, log.now() - 2 * MINUTE, None);
        log.restart();
        log.check_state(rotated + 2 * MINUTE, log.now() - 2 * MINUTE, None);
    }
}

/// A rotated file that is compressed later was read to its end: nothing of it is missed.
#[test]
fn a_rotated_file_that_is_compressed_later() {
    let mut log = Log::beginning(11 * HOUR + 50 * MINUTE, "UTC");
    log.scene.port.births = Births::By(log.scene.time.clone());
    log.write();
    log.scene.pull_all();
    let first = log.now();
    log.run(10 * MINUTE, 7 * S, 5 * S);
    std::fs::rename(log.scene.path("app.log"), log.scene.path("app.log.1")).expect("renames");
    log.write();
    log.run(2 * HOUR, 7 * S, 20 * S);
    log.scene.pack("app.log.1", "app.log.1.gz");
    let packed = std::fs::File::open(log.scene.path("app.log.1.gz")).expect("opens");
    let source = std::fs::metadata(log.scene.path("app.log.1")).expect("is there");
    packed
        .set_modified(source.modified().expect("a time"))
        .expect("sets the time");
    std::fs::remove_file(log.scene.path("app.log.1")).expect("removes");
    log.run(10 * MINUTE, 7 * S, 5 * S);
    log.check_state(first + UNDATED, log.now() - 2 * MINUTE, None);
}

/// The file of the day before is put in the log's place: it was born just now, and was not written just now.
#[test]
fn an_old_file_in_a_new_place_is_not_of_today() {
    let mut log = Log::beginning(6 * HOUR, "UTC");
    log.scene.port.births = Births::By(log.scene.time.clone());
    log.write();
    log.scene.pull_all();
    log.run(5 * MINUTE, 7 * S, 5 * S);
    std::fs::rename(log.scene.path("app.log"), log.scene.path("app.log.1")).expect("renames");
    log.scene.append(
        "app.log",
        "03:04:05.006 INFO of another day\n03:04:07.006 INFO of another day\n",
    );
    log.scene.pull_all();
    log.run(5 * MINUTE, 7 * S, 5 * S);
    log.check_state(log.now() - 3 * MINUTE, log.now() - 2 * MINUTE, None);
}

/// A log that begins with the same line each day is emptied in place while nobody looks, and grows beyond what it was:
/// the marks of before are of other bytes.
#[test]
fn marks_of_other_bytes_are_not_believed() {
    let banner = "00:00:00.000 INFO started, with everything as always\n";
    // From 2 to 23 o'clock, with a mark each three hours.
    let mut log = Log::beginning(14 * HOUR, "UTC");
    log.scene.append("app.log", banner);
    log.scene.pull_all();
    log.run(21 * HOUR, 5 * MINUTE, 30 * S);
    let profiles = log.scene.kept.profiles.clone();
    log.scene.time.pass(70 * MINUTE);
    std::fs::File::create(log.scene.path("app.log")).expect("empties it");
    log.scene.append("app.log", banner);
    log.truth.clear();
    log.run(15 * MINUTE, 2 * S, DAY);
    log.scene.restart(&profiles);
    log.scene.pull_all();
    log.check_state(
        log.now() - 12 * MINUTE,
        log.now() - 2 * MINUTE,
        Some(HostState::BytesLost),
    );
    let back = log.now();
    log.run(10 * MINUTE, 7 * S, 5 * S);
    log.check_state(back + UNDATED, log.now() - 2 * MINUTE, None);
}

/// Days of 23 and of 25 hours; the hour that comes twice is told by the step back.
#[test]
fn daylight_saving_comes_and_goes() {
    // 2026-10-25T01:00Z and 2027-03-28T01:00Z.
    for after_noon_ns in [-29 * DAY + HOUR, 125 * DAY - 11 * HOUR] {
        let mut log = Log::beginning(after_noon_ns - 14 * HOUR, "Europe/Berlin");
        log.write();
        log.scene.pull_all();
        let first = log.now();
        log.run(17 * HOUR, 50 * S, 40 * S);
        log.check_state(first + UNDATED, log.now() - 2 * MINUTE, None);
        log.restart();
        log.check_state(first + UNDATED, log.now() - 2 * MINUTE, None);
    }
}

/// What may happen to a log and to who reads it.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// A record of so many seconds ago.
    Write(i64),
    Pass(i64),
    Pull,
    /// Another reader, which nothing is told but what was learned, or not even that.
    Restart(bool),
    /// Another reader, and what was counted before is kept.
    TakeOver,
    Rotate,
    Empty,
    /// Windows of so many hours ago are read apart.
    Repair(i64),
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0_i64..8).prop_map(Act::Write),
        6 => prop_oneof![Just(1), Just(20), Just(200), Just(3000)].prop_map(Act::Pass),
        2 => prop_oneof![Just(4 * 3600), Just(8 * 3600), Just(10 * 3600), Just(25 * 3600)].prop_map(Act::Pass),
        8 => Just(Act::Pull),
        1 => any::<bool>().prop_map(Act::Restart),
        1 => Just(Act::TakeOver),
        1 => Just(Act::Rotate),
        1 => Just(Act::Empty),
        1 => (0_i64..30).prop_map(Act::Repair),
    ]
}

impl Log {
    fn act(&mut self, act: Act) {
        match act {
            Act::Write(seconds) => self.write_late("app.log", seconds * S),
            Act::Pass(seconds) => self.scene.time.pass(seconds * S),
            Act::Pull => {
                self.scene.pull_all();
                self.hold();
                // Of older windows nothing is said any more.
                let told_ns = self.now() - DAY;
                self.check_windows(&self.scene.kept, |start| {
                    start >= told_ns && self.held.get(&start).is_some_and(|(state, _)| state.is_ok())
                });
                let log = std::fs::metadata(self.scene.path("app.log"));
                self.has_looked = log.is_ok_and(|log| log.len() > 0);
            }
            // What was lost is known to whoever kept it.
            Act::Restart(is_known) if !self.is_emptied => {
                let profiles = self.scene.kept.profiles.clone();
                self.scene.restart(if is_known { &profiles } else { &[] });
                self.scene.kept.profiles = profiles;
                self.held.clear();
                self.has_looked = false;
            }
            Act::TakeOver | Act::Restart(_) => {
                let profiles = self.scene.kept.profiles.clone();
                let proved_ns = self.proved_ns();
                self.scene.know(&profiles);
                self.scene
                    .begin_from((proved_ns - 15 * MINUTE).max(self.begun_ns).min(proved_ns));
                self.scene.take_over(proved_ns);
                self.scene.kept.verdicts.clear();
                self.has_looked = false;
            }
            Act::Rotate => {
                let next = self.scene.names().len();
                let (from, to) = (self.scene.path("app.log"), self.scene.path(&format!("app.log.{next}")));
                let _none_is_there = std::fs::rename(from, to);
                self.has_looked = false;
            }
            // A log that was emptied before the first look reads as silence.
            Act::Empty if !self.has_looked => {}
            Act::Empty => {
                std::fs::File::create(self.scene.path("app.log")).expect("empties it");
                self.is_emptied = true;
            }
            Act::Repair(hours) => {
                let profiles = self.scene.kept.profiles.clone();
                self.scene.know(&profiles);
                let from = (self.now() - hours * HOUR).div_euclid(MINUTE) * MINUTE;
                let apart = self.scene.reread(from, from + 90 * MINUTE);
                self.check_kept(&apart);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_complete_window_has_a_record_of_another_day(
        acts in proptest::collection::vec(any_act(), 1..80),
        tells_births in any::<bool>(),
        after_noon_minutes in 0_i64..1440,
    ) {
        let mut log = Log::beginning(after_noon_minutes * MINUTE, "UTC");
        log.scene.port.births = match tells_births {
            true => Births::By(log.scene.time.clone()),
            false => Births::Untold,
        };
        for act in acts {
            log.act(act);
        }
        log.act(Act::Pull);
    }
}
