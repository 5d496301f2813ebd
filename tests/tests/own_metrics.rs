//! What the cluster says of itself grows with what is configured, never with what it reads or is asked: a folder of
//! logs is no label. In other programs each path gets series of its own, which nobody ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;
use sunfire_tests::binary;
use sunfire_tests::live::api::{get, query, until_stored};
use sunfire_tests::live::up::Up;

/// How long what must come is waited for; only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const LOGS_FIRST: usize = 5;
const LOGS_MORE: usize = 150;
const LINES: usize = 3;
/// Logs that are looked at besides, each by paths of its own: more than series may come.
const LOOKED_AT: usize = 30;
/// Series that may come while the logs do, since something is there for the first time: a status, a window.
const SERIES_MORE_MAX: usize = 20;

/// Writes logs of a few lines of now. Each line is of its log alone: files that begin alike are taken for copies.
fn write_logs(folder: &Path, numbers: std::ops::Range<usize>) {
    let now_ns = lika::seam::Clock::system().wall().0;
    let now = jiff::Timestamp::from_nanosecond(i128::from(now_ns)).expect("this century");
    for number in numbers {
        let line = |n: usize| format!("{now:.3} INFO log {number} says {n}\n");
        let lines: String = (0..LINES).map(line).collect();
        fs::write(folder.join(format!("service-{number}.log")), lines).expect("a log");
    }
}

/// Waits until so many records are counted.
fn until_counted(server: &str, records: usize) {
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(PATIENCE);
    until_stored(server, "services");
    loop {
        let points = query(server, "select records from services since 10m");
        let counted: u64 = points.iter().filter_map(|point| point.values["records"].as_u64()).sum();
        if counted == records as u64 {
            return;
        }
        assert!(
            !clock.has_passed(deadline),
            "{counted} of {records} records are counted"
        );
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

fn ask(url: &str) -> (u16, String) {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .build();
    let mut response = ureq::Agent::new_with_config(config)
        .get(url)
        .call()
        .unwrap_or_else(|error| panic!("{url}: {error}"));
    let text = response.body_mut().read_to_string().expect("a whole body");
    (response.status().as_u16(), text)
}

/// Looks at logs, and asks for paths that are none: whoever asks chooses what he asks for.
fn look_at_logs(server: &str, folder: &Path, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let path = format!("{}/service-{number}.log", folder.display());
        let (status, text) = ask(&format!("{server}/api/v1/files/tail?app=local&host=local&path={path}"));
        assert!(matches!(status, 200 | 403 | 404), "{status} {text}");
        assert_eq!(ask(&format!("{server}/nothing/service-{number}.log")).0, 404);
    }
}

/// The series of `/metrics`: name and labels.
fn series(server: &str) -> BTreeSet<String> {
    let (status, text) = ask(&format!("{server}/metrics"));
    assert_eq!(status, 200, "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').expect("a series and its value").0.to_owned())
        .collect()
}

/// The series, once each node has said its figures and the monitor has a window.
fn until_all_have_spoken(server: &str) -> BTreeSet<String> {
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(PATIENCE);
    loop {
        let series = series(server);
        let has = |begin: &str| series.iter().any(|series| series.starts_with(begin));
        if has("sunfire_map_inputs{") && has(r#"sunfire_monitor_newest_window_seconds{monitor="services"}"#) {
            return series;
        }
        assert!(!clock.has_passed(deadline), "a node has said nothing: {series:?}");
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

fn monitors(server: &str) -> BTreeSet<String> {
    let state = get(server, "/api/v1/monitors", &[]);
    let monitors = state["data"]["monitors"].as_array().expect("monitors");
    let name = |monitor: &serde_json::Value| monitor["name"].as_str().expect("a name").to_owned();
    monitors.iter().map(name).collect()
}

#[test]
fn a_hundred_and_fifty_logs_more_are_no_series_more() {
    let kept = tempfile::tempdir().expect("a folder");
    let folder = kept.path().canonicalize().expect("it is there");
    let (config, logs) = (folder.join("config"), folder.join("logs"));
    for folder in [&config, &logs] {
        fs::create_dir_all(folder).expect("a folder");
    }
    let monitor = format!(
        "kind: monitor\nname: services\napp: local\nlog: {}/*.log\nparse: {{ regex: ' (?P<level>[A-Z]+) ' }}\n\
         group_by: [level]\nselect:\n  records: count()\nwindow: 1s\nlateness: 2s\ndelay: 4s\n",
        logs.display()
    );
    fs::write(config.join("services.yaml"), monitor).expect("it can be written");
    let up = Up::start(&binary::dev(), &folder, &["--config", "config", "--data", "data"]);
    write_logs(&logs, 0..LOGS_FIRST);
    until_counted(&up.server, LOGS_FIRST * LINES);
    look_at_logs(&up.server, &logs, 0..LOGS_FIRST);
    let monitors_before = monitors(&up.server);
    let before = until_all_have_spoken(&up.server);
    let all = LOGS_FIRST + LOGS_MORE;
    write_logs(&logs, LOGS_FIRST..all);
    until_counted(&up.server, all * LINES);
    look_at_logs(&up.server, &logs, LOGS_FIRST..LOGS_FIRST + LOOKED_AT);
    let after = series(&up.server);
    let more: Vec<&String> = after.difference(&before).collect();
    assert!(more.len() <= SERIES_MORE_MAX, "{} series more: {more:?}", more.len());
    let by_path = |series: &&String| series.contains("service-") || series.contains(&*logs.to_string_lossy());
    let named: Vec<&String> = after.iter().filter(by_path).collect();
    assert!(named.is_empty(), "series by path: {named:?}");
    assert_eq!(monitors(&up.server), monitors_before);
}
