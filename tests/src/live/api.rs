//! The console's API as a program uses it.

use serde_json::Value;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A point of an answer.
#[derive(Debug, Clone)]
pub struct Point {
    /// Start of the window, nanoseconds since the epoch.
    pub window_ns: i64,
    /// The group, as written.
    pub group: Value,
    /// The values.
    pub values: Value,
    /// Percent of hosts.
    pub percent: Option<u64>,
    /// Hosts that are ok, and expected.
    pub hosts: (u64, u64),
    /// Records late.
    pub late: u64,
    /// All losses together.
    pub lost: u64,
    /// `open`, `provisional` or `settled`.
    pub state: String,
    /// The revision.
    pub revision: u64,
    /// Hosts that are missing, by state.
    pub missing: std::collections::BTreeMap<String, u64>,
}

/// Asks for JSON.
///
/// # Panics
/// If there is no answer or it is an error.
pub fn get(server: &str, path: &str, parameters: &[(&str, &str)]) -> Value {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .build();
    let mut request = ureq::Agent::new_with_config(config).get(format!("{server}{path}"));
    for (name, value) in parameters {
        request = request.query(*name, *value);
    }
    let mut response = request.call().unwrap_or_else(|error| panic!("{path}: {error}"));
    let text = response
        .body_mut()
        .read_to_string()
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
    assert_eq!(answer["status"], "success", "{path} {parameters:?}: {text}");
    answer
}

/// The points of a query.
///
/// # Panics
/// As [`get`].
pub fn query(server: &str, mql: &str) -> Vec<Point> {
    let answer = get(server, "/api/v1/query", &[("q", mql)]);
    let points = answer["data"]["points"].as_array().expect("points");
    points.iter().map(Point::of).collect()
}

/// Asks for JSON; `None` if nobody answers, or only with an error.
pub fn try_get(server: &str, path: &str, parameters: &[(&str, &str)], patience: Duration) -> Option<Value> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .http_status_as_error(false)
        .build();
    let mut request = ureq::Agent::new_with_config(config).get(format!("{server}{path}"));
    for (name, value) in parameters {
        request = request.query(*name, *value);
    }
    let text = request.call().ok()?.body_mut().read_to_string().ok()?;
    let answer: Value = serde_json::from_str(&text).ok()?;
    (answer["status"] == "success").then_some(answer)
}

/// Waits until a console and its Brain answer.
///
/// # Panics
/// If they don't.
pub fn until_answered(server: &str) {
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(PATIENCE);
    while try_get(server, "/api/v1/monitors", &[], PATIENCE).is_none() {
        assert!(!clock.has_passed(deadline), "{server} does not answer");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// Waits until a monitor has its first points.
///
/// # Panics
/// If it gets none.
pub fn until_stored(server: &str, monitor: &str) {
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(PATIENCE);
    let is_there = || {
        let monitors = get(server, "/api/v1/monitors", &[]);
        let monitors = monitors["data"]["monitors"].as_array().cloned().unwrap_or_default();
        monitors
            .iter()
            .any(|known| known["name"] == monitor && !known["newest"].is_null())
    };
    while !is_there() {
        assert!(!clock.has_passed(deadline), "{monitor} has no points");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

impl Point {
    /// A point as programs get it.
    ///
    /// # Panics
    /// If it is none.
    pub fn of(point: &Value) -> Point {
        let completeness = &point["completeness"];
        let count = |value: &Value| value.as_u64().unwrap_or_default();
        let lost = completeness["lost"].as_object().expect("losses");
        Point {
            window_ns: nanoseconds(point["window"].as_str().expect("a time")),
            group: point["group"].clone(),
            values: point["values"].clone(),
            percent: completeness["percent"].as_u64(),
            hosts: (count(&completeness["ok"]), count(&completeness["expected"])),
            late: lost.get("late").map(count).unwrap_or_default(),
            lost: lost.values().map(count).sum(),
            state: point["state"].as_str().expect("a state").to_owned(),
            revision: count(&point["revision"]),
            missing: completeness["missing"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(state, hosts)| (state.clone(), count(hosts)))
                .collect(),
        }
    }
}

fn nanoseconds(text: &str) -> i64 {
    let time: jiff::Timestamp = text.parse().expect("RFC 3339");
    i64::try_from(time.as_nanosecond()).expect("this century")
}

/// Names of the hosts that are ok in a window.
///
/// # Panics
/// As [`get`].
pub fn hosts_ok(server: &str, monitor: &str, window_ns: i64) -> Vec<String> {
    let millis = (window_ns / 1_000_000).to_string();
    let answer = get(server, "/api/v1/hosts", &[("monitor", monitor), ("window", &millis)]);
    let hosts = answer["data"]["hosts"].as_array().expect("hosts");
    let is_ok = |host: &&Value| matches!(host["state"].as_str(), Some("ok" | "ok_silent"));
    let name = |host: &Value| host["host"].as_str().expect("a name").to_owned();
    hosts.iter().filter(is_ok).map(name).collect()
}
