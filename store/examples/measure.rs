//! What a window costs: bytes on the disk and time, written and read. The figures in `docs/decisions/` are from here.
//!
//! `cargo run --release -p store --example measure -- [WINDOWS] [MONITORS] [DIRECTORY]`: each window is written twice,
//! as in life: first provisional with two pieces, two minutes later settled, three bytes longer, its pieces dropped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lika::seam::{Clock, Monotonic};
use store::{EmbeddedStore, Fence, PieceChange, PieceRow, Store, StoreHandle, WindowWrite};

const SECOND_NS: i64 = 1_000_000_000;
/// Windows of a monitor between its first revision and its last.
const LAG: i64 = 120;
/// About what `reduce` writes of a window with ten hosts, and three groups with a count and a sum.
const HEADER_BYTES: usize = 40;
const BODY_BYTES: usize = 60;

fn window(monitor: i64, start: i64, settled: bool) -> WindowWrite {
    let row = |key: u8| PieceRow {
        key: vec![key; 16],
        value: content(start, 80),
    };
    WindowWrite {
        monitor: format!("monitor {monitor}"),
        window_ns: start * SECOND_NS,
        length_ns: SECOND_NS,
        fence: Fence {
            epoch: 3,
            revision: 1 + u64::from(settled),
        },
        done: settled,
        header: content(start, HEADER_BYTES),
        body: content(start, if settled { BODY_BYTES + 3 } else { BODY_BYTES }),
        pieces: if settled {
            PieceChange::Drop
        } else {
            PieceChange::Upsert(vec![row(1), row(2)])
        },
    }
}

/// Bytes that nothing compresses.
fn content(seed: i64, bytes: usize) -> Vec<u8> {
    let mut state = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// All monitors' windows of some seconds, and the last revisions of those two minutes before.
fn batch(monitors: i64, seconds: std::ops::Range<i64>) -> Vec<WindowWrite> {
    let mut windows = Vec::new();
    for start in seconds {
        for monitor in 0..monitors {
            windows.push(window(monitor, start, false));
            if start >= LAG {
                windows.push(window(monitor, start - LAG, true));
            }
        }
    }
    windows
}

struct Stopwatch<'a> {
    clock: &'a Clock,
    since: Monotonic,
}

impl<'a> Stopwatch<'a> {
    fn start(clock: &'a Clock) -> Self {
        Stopwatch {
            clock,
            since: clock.monotonic(),
        }
    }

    fn lap(&mut self) -> Duration {
        let now = self.clock.monotonic();
        let lap = now.since(self.since);
        self.since = now;
        lap
    }
}

fn fill(store: &EmbeddedStore, clock: &Clock, (windows, monitors): (i64, i64)) {
    let seconds = windows / monitors;
    let mut watch = Stopwatch::start(clock);
    for from in (0..seconds).step_by(100) {
        let outcomes = store.write(&batch(monitors, from..(from + 100).min(seconds)));
        outcomes.expect("the disk has room");
    }
    let took = watch.lap();
    let status = store.status().expect("it can be counted");
    println!(
        "{} windows of {monitors} monitors, each written twice, in {:.2} s: {:.1} us a window, {:.0} bytes a window",
        status.windows,
        took.as_secs_f64(),
        took.as_secs_f64() * 1e6 / status.windows as f64,
        status.disk_bytes as f64 / status.windows as f64,
    );
}

/// One second's windows of all monitors in a transaction, as a quiet cluster writes them.
fn seconds_of_life(store: &EmbeddedStore, clock: &Clock, (windows, monitors): (i64, i64)) {
    let begin = windows / monitors;
    let mut watch = Stopwatch::start(clock);
    for second in begin..begin + 200 {
        store
            .write(&batch(monitors, second..second + 1))
            .expect("the disk has room");
    }
    println!(
        "a second's windows of all monitors, one transaction: {:.2} ms",
        watch.lap().as_secs_f64() * 1e3 / 200.0
    );
}

fn read(store: &EmbeddedStore, clock: &Clock, (windows, monitors): (i64, i64)) {
    let day = (windows / monitors).min(86_400);
    let mut watch = Stopwatch::start(clock);
    let read = store
        .windows("monitor 3", 0..day * SECOND_NS, usize::MAX, true)
        .expect("it can be read");
    println!(
        "{} windows of one monitor with bodies: {:.1} ms",
        read.len(),
        watch.lap().as_secs_f64() * 1e3
    );
    let hour = store
        .windows("monitor 4", 0..3600 * SECOND_NS, usize::MAX, true)
        .expect("it can be read");
    println!(
        "{} windows of one monitor with bodies: {:.2} ms",
        hour.len(),
        watch.lap().as_secs_f64() * 1e3
    );
    for _ in 0..1000 {
        store.newest("monitor 5", 1).expect("it can be read");
    }
    println!("the newest header: {:.1} us", watch.lap().as_secs_f64() * 1e3);
    let undone = store
        .undone("monitor 6", 0..i64::MAX, usize::MAX)
        .expect("it can be read");
    println!(
        "{} windows that are not done: {:.2} ms",
        undone.len(),
        watch.lap().as_secs_f64() * 1e3
    );
}

/// So many writers that each wait for the disk, beside each other, with group commit and without.
fn writers(store: &Arc<EmbeddedStore>, clock: &Clock, count: i64) {
    let one = |writer: i64, round: i64| vec![window(1_000_000 + writer, round, false)];
    let mut watch = Stopwatch::start(clock);
    for writer in 0..count {
        store.write(&one(writer, 0)).expect("the disk has room");
    }
    let alone = watch.lap();
    let handle = StoreHandle::local(Arc::clone(store) as Arc<dyn Store>);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("threads can be had");
    runtime.block_on(async {
        let tasks: Vec<_> = (0..count)
            .map(|writer| {
                let (handle, windows) = (handle.clone(), one(writer, 1));
                tokio::spawn(async move { handle.write(windows).await.expect("the disk has room") })
            })
            .collect();
        for task in tasks {
            task.await.expect("no writer panics");
        }
    });
    let (alone, together) = (alone.as_secs_f64() * 1e3, watch.lap().as_secs_f64() * 1e3);
    println!("{count} writers of one window: one after the other {alone:.0} ms, by the handle {together:.0} ms");
}

fn remove(store: &EmbeddedStore, clock: &Clock) {
    let mut watch = Stopwatch::start(clock);
    let removed = store.remove_before(200 * SECOND_NS, 1000).expect("the disk has room");
    println!(
        "removing {removed} windows, one transaction: {:.1} ms",
        watch.lap().as_secs_f64() * 1e3
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: i64| match arguments.get(at) {
        Some(text) => text.parse().expect("the arguments are numbers"),
        None => default,
    };
    let size = (number(0, 1_000_000), number(1, 10));
    let directory = arguments.get(2).map_or("store-measure", String::as_str);
    let clock = Clock::system();
    let store = Arc::new(EmbeddedStore::open(Path::new(directory)).expect("the store can be opened"));
    fill(&store, &clock, size);
    seconds_of_life(&store, &clock, size);
    read(&store, &clock, size);
    writers(&store, &clock, 1000);
    remove(&store, &clock);
    let mut watch = Stopwatch::start(&clock);
    drop(store);
    println!("closing: {:.0} ms", watch.lap().as_secs_f64() * 1e3);
    drop(EmbeddedStore::open(Path::new(directory)).expect("the store can be opened again"));
    println!("opening and verifying: {:.0} ms", watch.lap().as_secs_f64() * 1e3);
}
