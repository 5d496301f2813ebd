//! Logs that are written steadily, and what a monitor that counts their records must say: for tests of what harms
//! whom, where all that matters of a log is how many records each second has.

use super::api::{Point, get, query};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Nanoseconds of a second.
pub const S: i64 = 1_000_000_000;
/// How long a test waits for what must come; only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two bursts of a log.
const BURST_EVERY: Duration = Duration::from_millis(40);

/// The clock that the processes under test have.
pub fn now_ns() -> i64 {
    lika::seam::Clock::system().wall().0
}

/// As queries and logs write it.
///
/// # Panics
/// If it is of another age.
pub fn time(ns: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).expect("this century")
}

/// Looks until there is something to be found.
///
/// # Panics
/// If that takes too long, with what was there last.
#[track_caller]
pub fn until<T>(mut look: impl FnMut() -> Result<T, String>) -> T {
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(PATIENCE);
    loop {
        match look() {
            Ok(found) => return found,
            Err(why) => assert!(!clock.has_passed(deadline), "not within {PATIENCE:?}: {why}"),
        }
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

/// A log that is written steadily.
pub struct Steady {
    /// Where it is.
    pub path: PathBuf,
    /// Records that were written, by second.
    truth: Mutex<BTreeMap<i64, u64>>,
}

impl Steady {
    /// One that nothing was written to yet.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            truth: Mutex::default(),
        }
    }

    /// Writes so many records each 40 ms until it is told to end.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn write(&self, records: u64, is_over: &AtomicBool) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .expect("opens");
        while !is_over.load(Ordering::Relaxed) {
            let now_ns = now_ns();
            let line = format!("{:.3} INFO worker: did a thing\n", time(now_ns));
            let burst = line.repeat(usize::try_from(records).expect("some"));
            // Both at once, or neither: whoever asks holds the lock.
            let mut truth = self.truth.lock().expect("no panic");
            file.write_all(burst.as_bytes()).expect("writes");
            *truth.entry(now_ns / S * S).or_default() += records;
            drop(truth);
            std::thread::park_timeout(BURST_EVERY);
        }
    }

    /// What was written in a range, by second.
    ///
    /// # Panics
    /// If the writer did.
    pub fn written(&self, from_ns: i64, to_ns: i64) -> BTreeMap<i64, u64> {
        let truth = self.truth.lock().expect("no panic");
        let range = truth.range(from_ns..to_ns);
        range.map(|(start, count)| (*start, *count)).collect()
    }
}

/// Writes a new group in each line, so many each 40 ms, until it is told to end.
///
/// # Panics
/// If the file cannot be written.
pub fn write_wide(path: &Path, groups: u64, is_over: &AtomicBool) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opens");
    let mut id = 0_u64;
    while !is_over.load(Ordering::Relaxed) {
        let (now, mut burst) = (time(now_ns()), String::new());
        for _ in 0..groups {
            id += 1;
            writeln!(burst, "{now:.3} op=pay id=user-{id:016x} cost={}", id % 1000).expect("it is a text");
        }
        file.write_all(burst.as_bytes()).expect("writes");
        std::thread::park_timeout(BURST_EVERY);
    }
}

/// A monitor that counts records by second; `more` is further lines of it.
pub fn monitor(name: &str, log: &Path, more: &str) -> String {
    format!(
        "kind: monitor\nname: {name}\napp: local\nlog: {}\nselect:\n  records: count()\nwindow: 1s\nlateness: 2s\n\
         delay: 4s\n{more}",
        log.display()
    )
}

/// What a monitor's state says; null if there is none.
pub fn state_of(server: &str, name: &str) -> serde_json::Value {
    let state = get(server, "/api/v1/monitors", &[]);
    let monitors = state["data"]["monitors"].as_array().cloned().unwrap_or_default();
    let mut of_it = monitors.into_iter().filter(|monitor| monitor["name"] == name);
    of_it.next().unwrap_or_default()
}

/// What keeps a monitor from being answered.
///
/// # Panics
/// If it is not said in texts.
pub fn troubles(server: &str, name: &str) -> Vec<String> {
    let troubles = state_of(server, name)["troubles"].as_array().cloned();
    let texts = troubles.into_iter().flatten();
    texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// The points of a monitor in a range.
pub fn points(server: &str, monitor: &str, from_ns: i64, to_ns: i64) -> Vec<Point> {
    let (from, to) = (time(from_ns), time(to_ns));
    query(server, &format!("select records from {monitor} from {from} to {to}"))
}

/// If all windows of a range are settled, those that are complete and what they count.
///
/// # Errors
/// As long as they are not.
///
/// # Panics
/// If the range is none.
pub fn settled(server: &str, monitor: &str, from_ns: i64, to_ns: i64) -> Result<BTreeMap<i64, u64>, String> {
    let points = points(server, monitor, from_ns, to_ns);
    let seconds = usize::try_from((to_ns - from_ns) / S).expect("some");
    match points.len() == seconds && points.iter().all(|point| point.state == "settled") {
        true => Ok(points
            .iter()
            .filter(|point| point.percent == Some(100))
            .map(|point| (point.window_ns, point.values["records"].as_u64().unwrap_or(0)))
            .collect()),
        false => Err(format!("{monitor}: {points:?}")),
    }
}
