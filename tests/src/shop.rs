//! Who writes the access logs of the example cluster's hosts, what they wrote, and what its monitor says of that.

use crate::cluster::Cluster;
use crate::live::api::{Point, query};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const S: i64 = 1_000_000_000;
/// The windows of the example's monitor.
pub const WINDOW_NS: i64 = 5 * S;
/// Longer than a learned delay's least in a young input takes is not waited for: windows at 100 % are exact anyway.
const WITHIN: Duration = Duration::from_secs(60);
/// Bytes that each request is said to have.
const REQUEST_BYTES: u64 = 123;

/// Requests by window and status.
type Truth = Arc<Mutex<BTreeMap<(i64, &'static str), u64>>>;

/// Writes a line to each host's log about every 50 ms, until it is stopped.
pub struct Shop {
    truth: Truth,
    stop: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl Shop {
    /// Begins to write.
    ///
    /// # Panics
    /// If logs can't be made.
    pub fn open(cluster: &Cluster) -> Shop {
        let hosts = cluster.of_role("agent");
        let open = |host: &String| File::create(cluster.host_folder(host).join("access.log")).expect("a log");
        let logs: Vec<File> = hosts.iter().map(open).collect();
        let (truth, stop) = (Truth::default(), Arc::new(AtomicBool::new(false)));
        let writer = std::thread::spawn({
            let (truth, stop) = (Arc::clone(&truth), Arc::clone(&stop));
            move || write(logs, &truth, &stop)
        });
        Shop {
            truth,
            stop,
            writer: Some(writer),
        }
    }

    /// Stops writing.
    ///
    /// # Panics
    /// If the writer did.
    pub fn close(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(writer) = self.writer.take() {
            writer.join().expect("no panic");
        }
    }

    /// Waits until the windows of a range are all at 100 %, and compares each value with what was written.
    ///
    /// # Panics
    /// If they don't come to 100 %, or one is wrong.
    #[track_caller]
    pub fn check(&self, server: &str, monitor: &str, range: &std::ops::Range<i64>) {
        let points = complete(server, monitor, range);
        for point in &points {
            let status = point.group["status"].as_str().expect("a status");
            let status = ["200", "404"]
                .into_iter()
                .find(|known| *known == status)
                .expect("one that was written");
            let written = self.truth.lock().expect("no panic")[&(point.window_ns, status)];
            assert_eq!(point.values["requests"], written, "{point:?}");
            assert_eq!(point.values["bytes"], written * REQUEST_BYTES, "{point:?}");
        }
        assert_eq!(points.len() as i64, (range.end - range.start) / WINDOW_NS * 2);
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The first window that begins from now on.
pub fn next_window() -> i64 {
    (lika::seam::Clock::system().wall().0 / WINDOW_NS + 1) * WINDOW_NS
}

/// The window that is under way.
pub fn this_window() -> i64 {
    lika::seam::Clock::system().wall().0 / WINDOW_NS * WINDOW_NS
}

fn write(mut logs: Vec<File>, truth: &Truth, stop: &AtomicBool) {
    let clock = lika::seam::Clock::system();
    let mut round = 0u64;
    while !stop.load(Ordering::Relaxed) {
        for log in &mut logs {
            round += 1;
            let status = if round.is_multiple_of(7) { "404" } else { "200" };
            let second_ns = clock.wall().0 / S * S;
            let at = jiff::Timestamp::from_nanosecond(second_ns.into()).expect("a time");
            let time = at.strftime("%d/%b/%Y:%H:%M:%S +0000");
            writeln!(
                log,
                "10.0.0.1 - - [{time}] \"GET /{round} HTTP/1.1\" {status} {REQUEST_BYTES} \"-\" \"-\""
            )
            .expect("written");
            let window_ns = second_ns.div_euclid(WINDOW_NS) * WINDOW_NS;
            *truth.lock().expect("no panic").entry((window_ns, status)).or_default() += 1;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Waits until the windows of a range are all at 100 %.
fn complete(server: &str, monitor: &str, range: &std::ops::Range<i64>) -> Vec<Point> {
    let clock = lika::seam::Clock::system();
    let deadline = clock.deadline_in(WITHIN);
    let text = |ns: i64| jiff::Timestamp::from_nanosecond(ns.into()).expect("a time").to_string();
    let mql = format!(
        "select * from {monitor} from {} to {}",
        text(range.start),
        text(range.end)
    );
    loop {
        let points = query(server, &mql);
        let windows: BTreeMap<i64, Option<u64>> = points.iter().map(|point| (point.window_ns, point.percent)).collect();
        let expected = usize::try_from((range.end - range.start) / WINDOW_NS).expect("a count");
        let is_closed = points.iter().all(|point| point.state != "open");
        if windows.len() == expected && is_closed && windows.values().all(|percent| *percent == Some(100)) {
            return points;
        }
        assert!(!clock.has_passed(deadline), "{windows:?}");
        std::thread::park_timeout(Duration::from_millis(300));
    }
}
