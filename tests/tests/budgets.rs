//! A monitor that costs more than it may, as its operator and its neighbours see it: it says why it is not counted,
//! what was counted before is right, another one on the same log goes on, and a higher limit is all that is needed.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use sunfire_tests::binary;
use sunfire_tests::live::api::{Point, get, query, until_stored};
use sunfire_tests::live::up::Up;

const S: i64 = 1_000_000_000;
/// How long the test waits for what must come; only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

fn now_ns() -> i64 {
    lika::seam::Clock::system().wall().0
}

fn time(ns: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).expect("this century")
}

#[track_caller]
fn until<T>(mut look: impl FnMut() -> Result<T, String>) -> T {
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

/// Records that were written, by second.
type Truth = Mutex<BTreeMap<i64, u64>>;

/// Writes a record each 40 ms until it is told to end.
fn write_steadily(path: &Path, truth: &Truth, is_over: &AtomicBool) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opens");
    while !is_over.load(Ordering::Relaxed) {
        let now_ns = now_ns();
        // Both at once, or neither: whoever asks holds the lock.
        let mut truth = truth.lock().expect("no panic");
        writeln!(file, "{:.3} INFO worker: did a thing", time(now_ns)).expect("writes");
        *truth.entry(now_ns / S * S).or_default() += 1;
        drop(truth);
        std::thread::park_timeout(Duration::from_millis(40));
    }
}

fn monitor(name: &str, log: &Path, limits: &str) -> String {
    format!(
        "kind: monitor\nname: {name}\napp: local\nlog: {}\nselect:\n  records: count()\nwindow: 1s\nlateness: 2s\n\
         delay: 4s\n{limits}",
        log.display()
    )
}

fn troubles(server: &str, name: &str) -> Vec<String> {
    let state = get(server, "/api/v1/monitors", &[]);
    let monitors = state["data"]["monitors"].as_array().cloned().unwrap_or_default();
    let of_it = monitors.iter().find(|monitor| monitor["name"] == name);
    let troubles = of_it.and_then(|monitor| monitor["troubles"].as_array().cloned());
    let texts = troubles.into_iter().flatten();
    texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
}

fn points(server: &str, monitor: &str, from_ns: i64, to_ns: i64) -> Vec<Point> {
    query(
        server,
        &format!(
            "select records from {monitor} from {} to {}",
            time(from_ns),
            time(to_ns)
        ),
    )
}

/// Whether all windows of a range are settled, which of them are complete and what they count.
fn settled(server: &str, monitor: &str, from_ns: i64, to_ns: i64) -> Result<BTreeMap<i64, u64>, String> {
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

struct Scene {
    up: Up,
    config: PathBuf,
    log: PathBuf,
    truth: Truth,
}

impl Scene {
    fn put(&self, name: &str, limits: &str) {
        let text = monitor(name, &self.log, limits);
        fs::write(self.config.join(format!("{name}.yaml")), text).expect("writes");
    }

    /// What was written in a range.
    fn written(&self, from_ns: i64, to_ns: i64) -> BTreeMap<i64, u64> {
        let truth = self.truth.lock().expect("no panic");
        truth
            .range(from_ns..to_ns)
            .map(|(start, count)| (*start, *count))
            .collect()
    }

    /// From its first windows on, until it is suspended and its neighbour is not.
    fn is_suspended(&self) {
        let server = &self.up.server;
        let why = until(|| {
            let troubles = troubles(server, "dear");
            let found = troubles
                .iter()
                .find(|text| text.contains("suspended for its cost: it took "));
            found.cloned().ok_or_else(|| format!("{troubles:?}"))
        });
        assert!(why.contains("of CPU a second here, its limit is 0.0"), "{why}");
        let (from_ns, to_ns) = (now_ns() / S * S + S, now_ns() / S * S + 4 * S);
        let left_out = until(|| settled(server, "dear", from_ns, to_ns));
        assert_eq!(left_out, BTreeMap::new(), "no window is called complete");
        let states = points(server, "dear", from_ns, to_ns);
        assert!(
            states.iter().all(|point| point.missing.get("over_budget") == Some(&1)),
            "{states:?}"
        );
        let counted = until(|| settled(server, "cheap", from_ns, to_ns));
        assert_eq!(counted, self.written(from_ns, to_ns));
        assert_eq!(troubles(server, "cheap"), Vec::<String>::new());
    }
}

#[test]
fn a_monitor_over_its_budget_says_so_and_harms_nobody() {
    let kept = tempfile::tempdir().expect("a folder");
    let folder = kept.path().canonicalize().expect("it is there");
    let config = folder.join("config");
    fs::create_dir_all(&config).expect("a folder");
    let arguments = ["--config", "config", "--data", "data"];
    let scene = Scene {
        up: Up::start(&binary::dev(), &folder, &arguments),
        config,
        log: folder.join("app.log"),
        truth: Truth::default(),
    };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| write_steadily(&scene.log, &scene.truth, &is_over));
        let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch(&scene)));
        is_over.store(true, Ordering::Relaxed);
        watched.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn watch(scene: &Scene) {
    let server = &scene.up.server;
    scene.put("cheap", "");
    scene.put("dear", "limits: { cpu: 4us/s }\n");
    until_stored(server, "cheap");
    until_stored(server, "dear");
    let first_ns = until(|| {
        let points = query(server, "select records from dear since 30s");
        let is_counted = |point: &&Point| point.percent == Some(100) && point.values["records"].as_u64() > Some(0);
        let first = points.iter().find(is_counted);
        first.map(|point| point.window_ns).ok_or_else(|| format!("{points:?}"))
    });
    scene.is_suspended();
    // What was answered before it was suspended is right, to the last record.
    let before = until(|| settled(server, "dear", first_ns, first_ns + 4 * S));
    assert!(!before.is_empty());
    let written = scene.written(first_ns, first_ns + 4 * S);
    assert!(
        before.iter().all(|(start, count)| written.get(start) == Some(count)),
        "{before:?} {written:?}"
    );
    // A higher limit is a new version, which begins at once.
    scene.put("dear", "limits: { cpu: 1s/s }\n");
    let counted = until(|| {
        let now_ns = now_ns() / S * S;
        let counted = settled(server, "dear", now_ns - 8 * S, now_ns - 6 * S)?;
        match counted.len() {
            2 => Ok(counted),
            _ => Err(format!("{counted:?}")),
        }
    });
    assert!(
        counted
            .iter()
            .all(|(start, count)| scene.written(*start, start + S).get(start) == Some(count))
    );
    until(|| match troubles(server, "dear").as_slice() {
        [] => Ok(()),
        troubles => Err(format!("{troubles:?}")),
    });
}
