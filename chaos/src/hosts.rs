//! The hosts of a run: each with a log, a thread that writes it, and what was done to the log when.

use lika::seam::Clock;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use sunfire_tests::live::ledger::Ledger;
use sunfire_tests::live::writer::{Manner, Writer};

/// Pause between two bursts of a writer.
const BURST_EVERY: Duration = Duration::from_millis(60);
/// How long the buffered writer holds back.
pub const HELD_BACK_NS: i64 = 30_000_000_000;

/// What is done to a log under its writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stroke {
    /// Renamed once.
    Rotate,
    /// Renamed twice, nothing pulled in between.
    RotateTwice,
    /// Copied, then emptied in place.
    CopyTruncate,
    /// Emptied in place: what was not read is gone.
    Truncate,
    /// Renamed twice, and what was renamed first removed: what was not read of it is gone.
    RotateAndRemove,
}

impl Stroke {
    /// Whether a reader may rightly say that bytes are lost.
    pub fn may_lose(self) -> bool {
        matches!(self, Stroke::CopyTruncate | Stroke::Truncate | Stroke::RotateAndRemove)
    }
}

/// What was done when: by host.
#[derive(Debug, Default)]
pub struct Strokes(Mutex<BTreeMap<String, Vec<(i64, Stroke)>>>);

impl Strokes {
    /// Whether something that may lose bytes was done to a host's log within a range of time.
    ///
    /// # Panics
    /// If a writer panicked.
    pub fn may_have_lost(&self, host: &str, range: std::ops::Range<i64>) -> bool {
        let strokes = self.0.lock().expect("no writer panicked");
        let of_host = strokes.get(host).into_iter().flatten();
        let mut within = of_host.filter(|(at_ns, stroke)| range.contains(at_ns) && stroke.may_lose());
        within.next().is_some()
    }

    /// When logs were renamed, by host.
    ///
    /// # Panics
    /// If a writer panicked.
    pub fn of(&self, wanted: Stroke) -> Vec<(String, i64)> {
        let strokes = self.0.lock().expect("no writer panicked");
        let all = strokes
            .iter()
            .flat_map(|(host, list)| list.iter().map(move |stroke| (host, stroke)));
        all.filter(|(_, (_, stroke))| *stroke == wanted)
            .map(|(host, (at_ns, _))| (host.clone(), *at_ns))
            .collect()
    }
}

struct Writing {
    orders: mpsc::Sender<Stroke>,
    thread: JoinHandle<()>,
}

/// All hosts that write.
pub struct Hosts {
    /// What was written.
    pub ledger: Arc<Ledger>,
    /// What was done to logs.
    pub strokes: Arc<Strokes>,
    stop: Arc<AtomicBool>,
    writers: BTreeMap<String, Writing>,
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            ledger: Arc::default(),
            strokes: Arc::default(),
            stop: Arc::new(AtomicBool::new(false)),
            writers: BTreeMap::new(),
        }
    }
}

impl Hosts {
    /// Begins to write a host's log.
    pub fn write(&mut self, host: &str, folder: &Path, manner: Manner, seed: u64) {
        let writer = Writer::new(host, folder.join("app.log"), seed).in_manner(manner);
        let (orders, ordered) = mpsc::channel();
        let (ledger, strokes, stop) = (
            Arc::clone(&self.ledger),
            Arc::clone(&self.strokes),
            Arc::clone(&self.stop),
        );
        let host_name = host.to_owned();
        let thread = std::thread::spawn(move || keep_writing(&host_name, writer, &ordered, (&ledger, &strokes), &stop));
        self.writers.insert(host.to_owned(), Writing { orders, thread });
    }

    /// Has something done to a host's log, between two records.
    pub fn strike(&self, host: &str, stroke: Stroke) {
        if let Some(writing) = self.writers.get(host) {
            // A writer ends only when all do.
            let _ended = writing.orders.send(stroke);
        }
    }

    /// Ends the writers; what they held back is written.
    ///
    /// # Panics
    /// If one panicked.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for (host, writing) in std::mem::take(&mut self.writers) {
            writing.thread.thread().unpark();
            assert!(writing.thread.join().is_ok(), "the writer of {host} panicked");
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn keep_writing(
    host: &str,
    mut writer: Writer,
    ordered: &mpsc::Receiver<Stroke>,
    (ledger, strokes): (&Ledger, &Strokes),
    stop: &AtomicBool,
) {
    let clock = Clock::system();
    let now_ns = || clock.wall().0;
    while !stop.load(Ordering::Relaxed) {
        writer.write(ledger, now_ns);
        while let Ok(stroke) = ordered.try_recv() {
            let noted = |at_ns| {
                let mut strokes = strokes.0.lock().expect("no other writer panicked");
                strokes.entry(host.to_owned()).or_default().push((at_ns, stroke));
            };
            // Before it is done: nobody may see it before it is noted.
            noted(now_ns());
            match stroke {
                Stroke::Rotate => writer.rotate(),
                Stroke::RotateTwice => {
                    writer.rotate();
                    writer.write(ledger, now_ns);
                    writer.rotate();
                }
                Stroke::CopyTruncate => writer.copy_and_truncate(),
                Stroke::Truncate => writer.truncate(),
                Stroke::RotateAndRemove => {
                    writer.rotate_and_remove();
                    writer.write(ledger, now_ns);
                    writer.rotate();
                }
            }
        }
        std::thread::park_timeout(BURST_EVERY);
    }
    writer.flush(ledger, &now_ns);
}
