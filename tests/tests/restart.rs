//! What `sunfire up` learned of a log lasts (F8): killed and started again, it reads the log by the profile that its
//! data directory has, and does not learn it anew from the bytes that came since.

use reduce::stored::{StoredHeader, decode};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use store::{EmbeddedStore, Store};
use sunfire_tests::binary;
use sunfire_tests::live::api::query;
use sunfire_tests::live::up::Up;

const S: i64 = 1_000_000_000;
/// How long a test waits for what must come; only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Complete windows after which all that was learned before them has long been told and written down.
const WINDOWS: i64 = 5;

fn now_ns() -> i64 {
    lika::seam::Clock::system().wall().0
}

fn time(ns: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).expect("this century")
}

#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(PATIENCE);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(!clock.has_passed(deadline), "in vain: {what}");
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

fn append(path: &Path, ages_s: impl IntoIterator<Item = i64>) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opens");
    for age_s in ages_s {
        writeln!(file, "{:.3} INFO worker: did a thing", time(now_ns() - age_s * S)).expect("is written");
    }
}

/// Waits until all windows of some seconds from now on are complete; records in them.
fn complete(server: &str) -> u64 {
    let from_ns = now_ns() / S * S;
    let (from, to) = (time(from_ns), time(from_ns + WINDOWS * S));
    let mql = format!("select records from pay from {from} to {to}");
    until(&mql, || {
        let points = query(server, &mql);
        let is_complete = points
            .iter()
            .all(|point| point.percent == Some(100) && point.state != "open");
        let records = points
            .iter()
            .map(|point| point.values["records"].as_u64().unwrap_or(0))
            .sum();
        (points.len() as i64 == WINDOWS && is_complete).then_some(records)
    })
}

#[test]
fn what_was_learned_of_a_log_outlives_the_process() {
    let kept = tempfile::tempdir().expect("a folder");
    let folder = kept.path().canonicalize().expect("it is there");
    let (config, data, log) = (folder.join("config"), folder.join("data"), folder.join("pay.log"));
    fs::create_dir_all(&config).expect("a folder");
    let monitor = format!(
        "kind: monitor\nname: pay\napp: local\nlog: {}\nselect: {{ records: count() }}\nwindow: 1s\n",
        log.display()
    );
    fs::write(config.join("pay.yaml"), monitor).expect("is written");
    append(&log, (5..45).rev());
    let mut up = Up::start(&binary::dev(), &folder, &["--config", "config", "--data", "data"]);
    let profiles = || -> Vec<serde_json::Value> {
        let text = fs::read_to_string(data.join("profiles.jsonl")).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("a lesson"));
        let is_ours = |lesson: &serde_json::Value| lesson["log"]["log"] == log.to_str().expect("UTF-8");
        lines.filter(is_ours).collect()
    };
    let learned = until("it is written down", || profiles().pop());
    let version = learned["profile"]["version"].as_u64().expect("a version");
    assert!(version > 40 * 20, "{learned}");
    complete(&up.server);

    // Ten more lines would teach whoever learned anew: a greater version, since more bytes were looked at.
    append(&log, (0..10).rev());
    up.kill_and_restart();
    append(&log, [0]);
    let began_ns = now_ns();
    let records = complete(&up.server);
    append(&log, [0]);
    let more = complete(&up.server);
    assert!(
        records + more >= 1,
        "what is written after the restart is counted: {records} {more}"
    );
    assert_eq!(profiles(), [learned], "nothing was learned anew");

    up.kill();
    let store = EmbeddedStore::open(&data).expect("nobody else has it open");
    let windows = store.windows("pay", 0..i64::MAX, usize::MAX, false).expect("is read");
    let header = |bytes: &[u8]| decode::<StoredHeader>("header", bytes).expect("a header");
    let versions = |is_after: bool| -> Vec<u64> {
        let windows = windows
            .iter()
            .filter(|window| (window.window_ns >= began_ns) == is_after);
        let headers = windows
            .map(|window| header(&window.header))
            .filter(|header| header.records > 0);
        headers.map(|header| header.profile_version.into()).collect()
    };
    let (before, after) = (versions(false), versions(true));
    assert!(!before.is_empty() && !after.is_empty());
    assert!(
        before.iter().chain(&after).all(|one| *one == version),
        "{version}: {before:?} {after:?}"
    );
}
