//! The whole path, live: ten agents whose logs are written as badly as real programs write them, `sunfire up` reading
//! them, and every answer checked against what was written when.
//!
//! While it runs: a window that vouches for its hosts holds every record of theirs that was written before it could
//! vouch, and none that was written after the answer; below 100 % it counts exactly the hosts that `/hosts` names ok.
//! In the end: every window is settled, at 100 %, and exactly what was written.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use sunfire_tests::binary;
use sunfire_tests::live::api::{Point, get, hosts_ok, query, until_stored};
use sunfire_tests::live::fleet::{Fleet, LocalAgent};
use sunfire_tests::live::ledger::{Entry, Sum};
use sunfire_tests::live::up::Up;

const S: i64 = 1_000_000_000;
/// How long the writers write.
const WRITING: Duration = Duration::from_secs(60);
/// An agent is away for this part of it.
const AWAY: std::ops::Range<u64> = 15..27;
/// The process is killed and started again after so many seconds.
const KILLED_AT: u64 = 38;
/// How long after the last line everything must be settled: the delay that the monitors set, and some patience.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);
const HOSTS: usize = 10;
const GRACE_NS: i64 = S;

/// The monitor of 5 s windows as a question to files.
const EVAL: &str = "select count() as records, lines() as lines, sum(value) as value parse logfmt group by op every 5s \
                    lateness 10s";

const MONITORS: [(&str, i64); 2] = [("by_second", S), ("by_five", 5 * S)];

fn configuration(fleet: &Fleet, base: &Path) -> String {
    // Each host has its own folder, as it would have its own disk.
    let log = format!("{}/${{host}}/app.log", base.display());
    let mut text = fleet.app("fleet");
    for (name, length_ns) in MONITORS {
        text.push_str(&format!(
            "---\nkind: monitor\nname: {name}\napp: fleet\nlog: {log}\nparse: logfmt\ngroup_by: [op]\nselect:\n  \
             records: count()\n  lines: lines()\n  value: sum(value)\nwindow: {}s\nlateness: 10s\ndelay: 15s\n",
            length_ns / S
        ));
    }
    // Nothing is ever written for it: proven zeros.
    text.push_str(&format!(
        "---\nkind: monitor\nname: nothing\napp: fleet\nlog: {log}\nparse: logfmt\nwhere: op = 'never'\nselect:\n  \
         records: count()\nwindow: 5s\nlateness: 10s\ndelay: 15s\n"
    ));
    text
}

fn now_ns() -> i64 {
    lika::seam::Clock::system().wall().0
}

/// What a live run has seen.
#[derive(Default)]
struct Seen {
    points: usize,
    below: usize,
    open: usize,
    revised: usize,
    /// Revision and content of settled windows.
    settled: BTreeMap<(String, i64), (u64, Vec<String>)>,
    latest: BTreeMap<(String, i64), u64>,
}

/// Values of one window by group.
fn sums(points: &[Point]) -> BTreeMap<String, Sum> {
    let number = |point: &Point, name: &str| -> Option<String> {
        match &point.values[name] {
            Value::Null => None,
            value => Some(value.to_string()),
        }
    };
    let of = |point: &Point| {
        let records = number(point, "records")?;
        let value = number(point, "value")?;
        Some(Sum {
            records: records.parse().expect("a count"),
            lines: number(point, "lines")?.parse().expect("a count"),
            value_milli: milli(&value),
        })
    };
    let group = |point: &Point| point.group["op"].as_str().map(str::to_owned);
    points
        .iter()
        .filter_map(|point| Some((group(point)?, of(point)?)))
        .collect()
}

/// A decimal with at most three fraction digits, in thousandths.
fn milli(text: &str) -> i64 {
    let (units, fraction) = text.split_once('.').unwrap_or((text, ""));
    let units: i64 = units.parse().expect("a number");
    let fraction: i64 = format!("{fraction:0<3}").parse().expect("three digits");
    units * 1000 + fraction
}

/// Checks all windows of a monitor that are answered now.
fn check_now(up: &Up, fleet: &Fleet, (monitor, length_ns): (&str, i64), seen: &mut Seen) {
    let asked_ns = now_ns();
    let points = query(&up.server, &format!("select * from {monitor} since 40s"));
    let answered_ns = now_ns();
    let mut windows: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
    for point in points {
        windows.entry(point.window_ns).or_default().push(point);
    }
    for (start_ns, points) in windows {
        seen.points += points.len();
        let first = points[0].clone();
        let key = (monitor.to_owned(), start_ns);
        let before = seen.latest.insert(key.clone(), first.revision);
        assert!(
            before.is_none_or(|before| before <= first.revision),
            "{key:?}: a revision fell"
        );
        seen.revised += usize::from(before.is_some_and(|before| before < first.revision));
        if first.state == "open" {
            seen.open += 1;
            continue;
        }
        let end_ns = start_ns + length_ns;
        let ok = if first.percent == Some(100) {
            fleet
                .hosts
                .iter()
                .map(|(host, _)| host.clone())
                .collect::<BTreeSet<String>>()
        } else {
            seen.below += 1;
            let named = hosts_ok(&up.server, monitor, start_ns)
                .into_iter()
                .collect::<BTreeSet<String>>();
            // The window may have changed since it was read: then the next round checks it.
            if named.len() as u64 != first.hosts.0 {
                continue;
            }
            named
        };
        assert_eq!(first.hosts.1, HOSTS as u64, "{key:?}");
        let vouched = |entry: &Entry| ok.contains(&entry.host) && entry.written_ns <= end_ns + GRACE_NS;
        let possible = |entry: &Entry| ok.contains(&entry.host) && entry.begun_ns <= answered_ns;
        let least = fleet.ledger.window(start_ns, length_ns, vouched);
        let most = fleet.ledger.window(start_ns, length_ns, possible);
        for (op, sum) in sums(&points) {
            let within = |sum: &BTreeMap<&str, Sum>| sum.get(op.as_str()).copied().unwrap_or_default();
            let (least, most) = (within(&least), within(&most));
            assert!(
                least.records <= sum.records && sum.records <= most.records,
                "{key:?} {op} {} (asked at {asked_ns}): {least:?} ≤ {sum:?} ≤ {most:?}",
                first.state
            );
        }
        let content: Vec<String> = points
            .iter()
            .map(|point| format!("{} {}", point.group, point.values))
            .collect();
        if first.state == "settled" {
            let kept = seen.settled.insert(key.clone(), (first.revision, content.clone()));
            if let Some((revision, kept)) = kept {
                assert!(
                    revision < first.revision || kept == content,
                    "{key:?}: settled values changed silently"
                );
            }
        }
    }
}

/// Waits until a monitor's windows in a range are all settled at 100 %.
fn settle(up: &Up, (monitor, length_ns): (&str, i64), range: &std::ops::Range<i64>) -> BTreeMap<i64, Vec<Point>> {
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(SETTLED_WITHIN);
    loop {
        let text = |ns: i64| {
            jiff::Timestamp::from_nanosecond(i128::from(ns))
                .expect("in range")
                .to_string()
        };
        let mql = format!(
            "select * from {monitor} from {} to {}",
            text(range.start),
            text(range.end)
        );
        let mut windows: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
        for point in query(&up.server, &mql) {
            windows.entry(point.window_ns).or_default().push(point);
        }
        let is_done = |points: &Vec<Point>| points[0].state == "settled" && points[0].percent == Some(100);
        let all = usize::try_from((range.end - range.start) / length_ns).expect("a count");
        if windows.len() == all && windows.values().all(is_done) {
            return windows;
        }
        let left: Vec<String> = windows
            .values()
            .filter(|points| !is_done(points))
            .map(|points| format!("{:?}", points[0]))
            .collect();
        assert!(
            !clock.has_passed(deadline),
            "{monitor}: {} of {all} windows, not done: {left:#?} {}",
            windows.len(),
            get(&up.server, "/api/v1/monitors", &[])
        );
        std::thread::park_timeout(Duration::from_millis(500));
    }
}

/// Every window is exactly what was written.
fn check_settled(up: &Up, fleet: &Fleet, (monitor, length_ns): (&str, i64), range: &std::ops::Range<i64>) {
    for (start_ns, points) in settle(up, (monitor, length_ns), range) {
        let truth = fleet.ledger.window(start_ns, length_ns, |_| true);
        let truth: BTreeMap<String, Sum> = truth.into_iter().map(|(op, sum)| (op.to_owned(), sum)).collect();
        assert_eq!(sums(&points), truth, "{monitor} at {start_ns}");
        let late = fleet.ledger.late(start_ns, length_ns, |_| true);
        assert_eq!(
            (points[0].late, points[0].lost),
            (late, late),
            "{monitor} at {start_ns}"
        );
    }
}

/// The log of a host and its rotated generations, oldest first.
fn chain(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let number = |path: &PathBuf| -> u32 {
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        extension.parse().unwrap_or(0)
    };
    files.sort_by_key(|path| std::cmp::Reverse(number(path)));
    files
}

/// `sunfire eval` over the files that are left says the same, host by host.
fn check_eval(fleet: &Fleet, length_ns: i64, range: &std::ops::Range<i64>) {
    let mut windows: BTreeMap<i64, BTreeMap<String, Sum>> = BTreeMap::new();
    for (_, folder) in &fleet.hosts {
        let mut command = std::process::Command::new(binary::dev());
        command
            .args(["eval", EVAL, "--chain", "--threads", "1", "--format", "json"])
            .args(chain(folder));
        let output = command.output().expect("the built binary runs");
        for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
            let point = Point::of(&serde_json::from_str(line).expect("a point"));
            let window = windows.entry(point.window_ns).or_default();
            for (op, sum) in sums(std::slice::from_ref(&point)) {
                let all = window.entry(op).or_default();
                all.records += sum.records;
                all.lines += sum.lines;
                all.value_milli += sum.value_milli;
            }
        }
    }
    let length = usize::try_from(length_ns).expect("a length");
    for start_ns in range.clone().step_by(length) {
        let truth = fleet.ledger.window(start_ns, length_ns, |_| true);
        let truth: BTreeMap<String, Sum> = truth.into_iter().map(|(op, sum)| (op.to_owned(), sum)).collect();
        let counted = windows.remove(&start_ns).unwrap_or_default();
        assert_eq!(counted, truth, "eval at {start_ns}");
    }
}

#[test]
fn every_answer_of_a_live_fleet_is_what_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().canonicalize().expect("it is there");
    let logs = base.join("logs");
    std::fs::create_dir_all(base.join("config")).expect("a folder");
    let mut fleet = Fleet::start(&logs, HOSTS, 20_261_125);
    std::fs::write(base.join("config/fleet.yaml"), configuration(&fleet, &logs)).expect("it can be written");
    let began_ns = now_ns();
    let mut up = Up::start(&binary::dev(), &base, &["--config", "config", "--data", "data"]);
    let clock = lika::seam::Clock::system();
    let writing = clock.deadline_in(WRITING);
    let mut seen = Seen::default();
    for (monitor, _) in MONITORS {
        until_stored(&up.server, monitor);
    }
    let mut is_killed = false;
    while !clock.has_passed(writing) {
        let second = (WRITING - clock.remaining(writing)).as_secs();
        if AWAY.contains(&second) {
            fleet.agents[3] = None;
        } else if fleet.agents[3].is_none() {
            fleet.agents[3] = Some(LocalAgent::start("h3", &logs, Some(fleet.addresses[3])));
        }
        if second >= KILLED_AT && !is_killed {
            up.kill_and_restart();
            is_killed = true;
        }
        for monitor in MONITORS {
            check_now(&up, &fleet, monitor, &mut seen);
        }
        std::thread::park_timeout(Duration::from_millis(300));
    }
    fleet.stop_writing();
    let length_ns = 5 * S;
    let from_ns = (began_ns / length_ns + 1) * length_ns;
    let to_ns = now_ns() / length_ns * length_ns + length_ns;
    for monitor in MONITORS {
        check_settled(&up, &fleet, monitor, &(from_ns..to_ns));
    }
    for (start_ns, points) in settle(&up, ("nothing", length_ns), &(from_ns..to_ns)) {
        assert_eq!(points[0].values["records"], 0, "a proven zero at {start_ns}");
    }
    check_eval(&fleet, length_ns, &(from_ns..to_ns));
    // What was settled before the end stays what it was, or has a new revision.
    for monitor in MONITORS {
        check_now(&up, &fleet, monitor, &mut seen);
    }
    // A run that met none of it proves nothing.
    assert!(fleet.ledger.len() > 5000, "{} records", fleet.ledger.len());
    assert!(
        seen.points > 1000 && seen.below > 5 && seen.open > 10 && seen.revised > 10,
        "{seen:?}"
    );
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Seen {
            points,
            below,
            open,
            revised,
            settled,
            ..
        } = self;
        let settled = settled.len();
        write!(
            formatter,
            "{points} points, {below} below, {open} open, {revised} revised, {settled} settled"
        )
    }
}
