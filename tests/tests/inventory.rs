//! The inventory changes while `sunfire up` runs: hosts come by a file in Prometheus' form, go, get another name, and
//! one agent is listed at two addresses. Whatever is said meanwhile, no record counts twice, and each host that is
//! named ok counts with all of its records.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use sunfire_tests::binary;
use sunfire_tests::live::api::{Point, get, query, until_stored};
use sunfire_tests::live::fleet::LocalAgent;
use sunfire_tests::live::up::Up;

const S: i64 = 1_000_000_000;
/// How long each inventory stands: several windows, and time to notice it.
const STANDS: Duration = Duration::from_secs(6);
/// The delay of the monitor is 3 s; this is patience.
const SETTLED_WITHIN: Duration = Duration::from_secs(40);

/// Stamps that were written, by folder and window.
type Truth = Arc<Mutex<BTreeMap<(String, i64), u64>>>;

/// Writes a line about every 20 ms until it is told to stop.
fn write(folder: PathBuf, name: String, truth: Truth, stop: Arc<AtomicBool>) {
    let mut log = std::fs::File::create(folder.join("app.log")).expect("a log");
    let clock = lika::seam::Clock::system();
    while !stop.load(Ordering::Relaxed) {
        let now_ns = clock.wall().0 / 1_000_000 * 1_000_000;
        let at = jiff::Timestamp::from_nanosecond(now_ns.into()).expect("a time");
        writeln!(log, "{} op=pay", at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ")).expect("it can be written");
        let mut truth = truth.lock().expect("no writer panicked");
        *truth.entry((name.clone(), now_ns.div_euclid(S) * S)).or_default() += 1;
        drop(truth);
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

struct Scene {
    config: PathBuf,
    agents: BTreeMap<String, LocalAgent>,
}

impl Scene {
    /// Writes the inventory: hosts by name, each with the folder of its agent and how that is reached.
    fn list(&self, hosts: &[(&str, &str, &str)]) {
        let targets: Vec<Value> = hosts
            .iter()
            .map(|(host, folder, by)| {
                let address = format!("{by}:{}", self.agents[*folder].address.port());
                json!({ "targets": [address], "labels": { "host": host, "zone": folder } })
            })
            .collect();
        let part = self.config.join("targets.part");
        std::fs::write(&part, Value::from(targets).to_string()).expect("it can be written");
        std::fs::rename(part, self.config.join("targets.json")).expect("it can be renamed");
    }
}

fn states(up: &Up, window_ns: i64) -> BTreeMap<String, String> {
    let millis = (window_ns / 1_000_000).to_string();
    let answer = get(
        &up.server,
        "/api/v1/hosts",
        &[("monitor", "moves"), ("window", &millis)],
    );
    let hosts = answer["data"]["hosts"].as_array().expect("hosts");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    hosts
        .iter()
        .map(|host| (text(&host["host"]), text(&host["state"])))
        .collect()
}

fn windows(up: &Up, range: &std::ops::Range<i64>) -> BTreeMap<i64, Vec<Point>> {
    let text = |ns: i64| jiff::Timestamp::from_nanosecond(ns.into()).expect("a time").to_string();
    let mql = format!("select * from moves from {} to {}", text(range.start), text(range.end));
    let mut windows: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
    for point in query(&up.server, &mql) {
        windows.entry(point.window_ns).or_default().push(point);
    }
    windows
}

/// Waits until all windows of a range are settled.
fn settled(up: &Up, range: &std::ops::Range<i64>) -> BTreeMap<i64, Vec<Point>> {
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(SETTLED_WITHIN);
    loop {
        let windows = windows(up, range);
        let open = windows.values().filter(|points| points[0].state != "settled").count();
        if open == 0 && windows.len() as i64 == (range.end - range.start) / S {
            return windows;
        }
        assert!(
            !clock.has_passed(deadline),
            "{open} windows of {} are not settled",
            windows.len()
        );
        std::thread::park_timeout(Duration::from_millis(500));
    }
}

/// Every folder is counted exactly once or not at all, and it is if a host that reads it is ok.
fn check(
    up: &Up,
    windows: &BTreeMap<i64, Vec<Point>>,
    folders: &BTreeMap<&str, &str>,
    truth: &Truth,
) -> BTreeSet<String> {
    let mut met = BTreeSet::new();
    for (start_ns, points) in windows {
        let states = states(up, *start_ns);
        met.extend(states.values().cloned());
        let is_ok = |state: &str| matches!(state, "ok" | "ok_silent");
        let read: BTreeSet<&str> = states
            .iter()
            .filter(|(_, state)| is_ok(state))
            .map(|(host, _)| folders[host.as_str()])
            .collect();
        let ok = states.values().filter(|state| is_ok(state)).count() as u64;
        assert_eq!(points[0].hosts, (ok, states.len() as u64), "{start_ns}");
        let counted: BTreeMap<&str, u64> = points
            .iter()
            .filter_map(|point| Some((point.group["zone"].as_str()?, point.values["records"].as_u64()?)))
            .collect();
        for folder in folders.values() {
            let written = truth
                .lock()
                .expect("no writer panicked")
                .get(&((*folder).to_owned(), *start_ns))
                .copied();
            let written = written.unwrap_or_default();
            let counted = counted.get(folder).copied().unwrap_or_default();
            let is_right = counted == written || (counted == 0 && !read.contains(folder));
            assert!(
                is_right,
                "{folder} at {start_ns}: {counted} of {written}, {states:?} {points:#?}"
            );
        }
    }
    met
}

fn configure(config: &Path, logs: &Path) {
    std::fs::create_dir_all(config).expect("a folder");
    let text = format!(
        "kind: app\nname: moving\nfile_sd: [targets.json]\n---\nkind: monitor\nname: moves\napp: moving\nlog: \
         {}/${{zone}}/app.log\nparse: logfmt\ngroup_by: [zone]\nselect:\n  records: count()\nwindow: 1s\nlateness: \
         1s\ndelay: 3s\n",
        logs.display()
    );
    std::fs::write(config.join("moving.yaml"), text).expect("it can be written");
}

#[test]
fn hosts_that_come_go_move_and_are_listed_twice_are_counted_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().canonicalize().expect("it is there");
    let (logs, config) = (base.join("logs"), base.join("config"));
    configure(&config, &logs);
    let (truth, stop) = (Truth::default(), Arc::new(AtomicBool::new(false)));
    let mut scene = Scene {
        config,
        agents: BTreeMap::new(),
    };
    let mut writers = Vec::new();
    for name in ["one", "two", "three"] {
        let folder = logs.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let (truth, stop) = (Arc::clone(&truth), Arc::clone(&stop));
        writers.push(std::thread::spawn(move || write(folder, name.to_owned(), truth, stop)));
        scene
            .agents
            .insert(name.to_owned(), LocalAgent::start(name, &logs, None));
    }
    scene.list(&[("h1", "one", "127.0.0.1"), ("h2", "two", "127.0.0.1")]);
    let up = Up::start(&binary::dev(), &base, &["--config", "config", "--data", "data"]);
    until_stored(&up.server, "moves");
    let clock = lika::seam::Clock::system();
    let began_ns = (clock.wall().0 / S + 1) * S;
    let all = [
        // Two as they were, then a third comes, one goes, and one gets another name; at last the second is listed again
        // by another address of its agent, and then no more.
        vec![("h1", "one", "127.0.0.1"), ("h2", "two", "127.0.0.1")],
        vec![
            ("h1", "one", "127.0.0.1"),
            ("h2", "two", "127.0.0.1"),
            ("h3", "three", "127.0.0.1"),
        ],
        vec![("h2", "two", "127.0.0.1"), ("h3", "three", "127.0.0.1")],
        vec![("h2", "two", "127.0.0.1"), ("h3-new", "three", "127.0.0.1")],
        vec![
            ("a2", "two", "localhost"),
            ("h2", "two", "127.0.0.1"),
            ("h3-new", "three", "127.0.0.1"),
        ],
        vec![("h2", "two", "127.0.0.1"), ("h3-new", "three", "127.0.0.1")],
    ];
    let mut sizes = BTreeSet::new();
    for hosts in &all {
        scene.list(hosts);
        std::thread::park_timeout(STANDS);
        let newest = windows(&up, &(clock.wall().0 - 4 * S..clock.wall().0 - 2 * S));
        sizes.extend(newest.values().map(|points| points[0].hosts.1));
    }
    let range = began_ns..clock.wall().0 / S * S;
    stop.store(true, Ordering::Relaxed);
    writers
        .into_iter()
        .for_each(|writer| writer.join().expect("no writer panicked"));
    let folders = all.iter().flatten().map(|(host, folder, _)| (*host, *folder)).collect();
    let met = check(&up, &settled(&up, &range), &folders, &truth);
    assert!(met.contains("ok") && met.contains("duplicate"), "{met:?}");
    assert_eq!(sizes, BTreeSet::from([2, 3]), "each inventory was in force");
}
