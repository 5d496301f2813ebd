//! `timestamp: arrival` over real processes: a log without any timestamp, an agent, `sunfire up`. Its lines count
//! when they were seen to come, each once; what came while nobody could look is a loss that stays; and every point
//! says so.

use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use sunfire_tests::agents::AgentProcess;
use sunfire_tests::binary;
use sunfire_tests::live::api::{get, until_stored};
use sunfire_tests::live::up::Up;

const S: i64 = 1_000_000_000;
const WINDOW_NS: i64 = 5 * S;
/// How long a test waits for what must come; only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long a line may take to be seen: pulls are a second apart, and the machine may be busy.
const SEEN_WITHIN_NS: i64 = 5 * S;
/// Lines that one burst has.
const BURST: usize = 7;

fn now_ns() -> i64 {
    lika::seam::Clock::system().wall().0
}

fn time(ns: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).expect("this century")
}

/// A point of the monitor, as far as it matters here.
#[derive(Debug)]
struct Seen {
    window_ns: i64,
    percent: Option<u64>,
    state: String,
    records: u64,
    sum: u64,
    missing: Value,
    flags: Value,
}

fn seen(server: &str, (from_ns, to_ns): (i64, i64)) -> Vec<Seen> {
    let mql = format!("select records, x from plain from {} to {}", time(from_ns), time(to_ns));
    let answer = get(server, "/api/v1/query", &[("q", &mql)]);
    let points = answer["data"]["points"].as_array().expect("points");
    let of = |point: &Value| {
        let window: jiff::Timestamp = point["window"].as_str().expect("a time").parse().expect("RFC 3339");
        Seen {
            window_ns: i64::try_from(window.as_nanosecond()).expect("this century"),
            percent: point["completeness"]["percent"].as_u64(),
            state: point["state"].as_str().expect("a state").to_owned(),
            records: point["values"]["records"].as_u64().unwrap_or(0),
            sum: point["values"]["x"].as_u64().unwrap_or(0),
            missing: point["completeness"]["missing"].clone(),
            flags: point["completeness"]["flags"].clone(),
        }
    };
    points.iter().map(of).collect()
}

/// A log, and when each of its lines was written.
struct Log {
    path: PathBuf,
    /// Before and after the write, by line.
    written_ns: Vec<(i64, i64)>,
}

impl Log {
    fn burst(&mut self) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .expect("opens");
        let begun_ns = now_ns();
        let text: String = (0..BURST)
            .map(|at| format!("x={at} a line that says no time\n"))
            .collect();
        file.write_all(text.as_bytes()).expect("is written");
        self.written_ns.extend([(begun_ns, now_ns()); BURST]);
    }

    /// Writes now and then until a time comes.
    fn write_until(&mut self, until_ns: i64) {
        while now_ns() < until_ns {
            self.burst();
            std::thread::park_timeout(Duration::from_millis(130));
        }
    }

    /// Waits for something, and writes meanwhile.
    #[track_caller]
    fn write_while_waiting<T>(&mut self, mut look: impl FnMut() -> Result<T, Vec<Seen>>) -> T {
        let clock = lika::seam::Clock::system();
        let deadline = clock.deadline_in(PATIENCE);
        loop {
            match look() {
                Ok(found) => return found,
                Err(seen) => assert!(!clock.has_passed(deadline), "in vain: {seen:#?}"),
            }
            self.burst();
            std::thread::park_timeout(LOOK_AGAIN);
        }
    }

    /// Lines that were certainly written by a time, and those that may have been.
    fn lines_by(&self, at_ns: i64) -> (u64, u64) {
        let certain = self.written_ns.iter().filter(|(_, after)| *after <= at_ns).count();
        let possible = self.written_ns.iter().filter(|(before, _)| *before <= at_ns).count();
        (certain as u64, possible as u64)
    }
}

fn is_complete(seen: &Seen) -> bool {
    seen.percent == Some(100) && seen.state == "settled"
}

/// The next window that is complete, from a time on.
fn complete_after(log: &mut Log, server: &str, from_ns: i64) -> i64 {
    log.write_while_waiting(|| {
        let found = seen(server, (from_ns, now_ns() + S));
        let complete = found.iter().find(|seen| is_complete(seen)).map(|seen| seen.window_ns);
        complete.ok_or(found)
    })
}

fn agent(folder: &Path, listen: &str) -> AgentProcess {
    let logs = folder.join("logs");
    let yaml = format!("role: agent\nlisten: {listen}\nhost: h1\nroots: [{}]\n", logs.display());
    AgentProcess::start(folder, &yaml)
}

/// All windows of a stretch, each of them complete; what each counts lies between what was seen to come before and what
/// may have been seen.
fn check_stretch(log: &mut Log, server: &str, (from_ns, to_ns): (i64, i64)) {
    let windows = log.write_while_waiting(|| {
        let found = seen(server, (from_ns, to_ns));
        let is_whole = found.len() as i64 == (to_ns - from_ns) / WINDOW_NS;
        match is_whole && found.iter().all(is_complete) {
            true => Ok(found),
            false => Err(found),
        }
    });
    let mut counted = 0;
    for window in &windows {
        assert_eq!(window.flags, serde_json::json!(["arrival_time"]), "{window:?}");
        assert_eq!(window.records % BURST as u64, 0, "a burst is seen whole: {window:?}");
        assert_eq!(window.sum, window.records * (BURST as u64 - 1) / 2, "{window:?}");
        counted += window.records;
        let end_ns = window.window_ns + WINDOW_NS;
        // What was written before the stretch, and was not seen by then, counts in it.
        let (_, most) = log.lines_by(end_ns);
        let least_before = log.lines_by(from_ns - SEEN_WITHIN_NS).0;
        let least = log
            .lines_by(end_ns - SEEN_WITHIN_NS)
            .0
            .saturating_sub(log.lines_by(from_ns).1);
        assert!(
            counted <= most - least_before,
            "{counted} are counted before they were written: {windows:?}"
        );
        assert!(counted >= least, "only {counted} of {least} are counted: {windows:?}");
    }
    assert!(counted > 0, "{windows:?}");
}

#[test]
fn lines_count_when_they_come_and_what_nobody_saw_is_lost_for_good() {
    let kept = tempfile::tempdir().expect("a folder");
    let folder = kept.path().canonicalize().expect("it is there");
    let (config, logs) = (folder.join("config"), folder.join("logs"));
    fs::create_dir_all(&config).expect("a folder");
    fs::create_dir_all(&logs).expect("a folder");
    let mut log = Log {
        path: logs.join("plain.log"),
        written_ns: Vec::new(),
    };
    log.burst();
    let first = agent(&folder, "127.0.0.1:0");
    let address = first.address.clone();
    let text = format!(
        "kind: app\nname: fleet\nhosts:\n  - {{ host: h1, address: \"{address}\" }}\n---\nkind: monitor\nname: plain\n\
         app: fleet\nlog: {}\ntimestamp: arrival\nparse: logfmt\nselect: {{ records: count(), x: sum(x) }}\n\
         window: 5s\n",
        log.path.display()
    );
    fs::write(config.join("plain.yaml"), text).expect("is written");
    let up = Up::start(&binary::dev(), &folder, &["--config", "config", "--data", "data"]);
    until_stored(&up.server, "plain");
    let from_ns = complete_after(&mut log, &up.server, now_ns() - 60 * S);
    let to_ns = (now_ns() / WINDOW_NS + 2) * WINDOW_NS;
    log.write_until(to_ns);
    check_stretch(&mut log, &up.server, (from_ns, to_ns));
    // Nobody can look, and lines come.
    let gone_ns = now_ns();
    drop(first);
    log.write_until(gone_ns + 2 * WINDOW_NS + S);
    let again = agent(&folder, &address);
    let back_ns = now_ns();
    let from_ns = complete_after(&mut log, &up.server, back_ns);
    let to_ns = (now_ns() / WINDOW_NS + 2) * WINDOW_NS;
    log.write_until(to_ns);
    check_stretch(&mut log, &up.server, (from_ns, to_ns));
    // The window that lies in the gap whole: a loss, and none of its lines was counted later (so the check above says).
    let lost_ns = (gone_ns / WINDOW_NS + 1) * WINDOW_NS;
    let lost = log.write_while_waiting(|| {
        let mut found = seen(&up.server, (lost_ns, lost_ns + WINDOW_NS));
        match found.last() {
            Some(seen) if seen.missing == serde_json::json!({ "bytes_lost": 1 }) => Ok(found.remove(0)),
            _ => Err(found),
        }
    });
    assert_eq!(lost.percent, Some(0), "{lost:?}");
    assert_eq!(lost.flags, serde_json::json!(["arrival_time"]), "{lost:?}");
    drop(again);
}

/// A file does not tell when its lines came.
#[test]
fn eval_refuses_what_only_a_running_cluster_can_see() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("plain.log");
    fs::write(&log, "x=1\nx=2\n").expect("is written");
    let monitor = folder.path().join("plain.yaml");
    let text = "kind: monitor\nname: plain\napp: a\nlog: /var/log/plain.log\ntimestamp: arrival\nparse: logfmt\n\
                select: { records: count() }\nwindow: 5s\n";
    fs::write(&monitor, text).expect("is written");
    let question = "select count() parse logfmt timestamp 'arrival' every 5s".to_owned();
    for monitor in [monitor.display().to_string(), question] {
        let mut command = Command::new(binary::dev());
        let said = command.arg("eval").arg(&monitor).arg(&log).output().expect("it runs");
        let why = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(78), "{monitor}: {why}");
        assert!(said.stdout.is_empty(), "{monitor}: no value is better than a wrong one");
        assert!(why.contains("does not say when its lines arrived"), "{monitor}: {why}");
    }
}
