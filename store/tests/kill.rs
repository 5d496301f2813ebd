//! kill -9 at random moments: what was acknowledged is there, and no transaction is there in part.
//!
//! The writer is this test's own program run once more, with the directory in its environment. It has two writers
//! beside each other, which share transactions, and it says of each batch that it is written after the store has said
//! so. Then it is killed, and what it left is held against what the batches say.
#![allow(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use lika::seam::Randomness;
use store::{
    EmbeddedStore, Fence, PieceChange, PieceRow, Store, StoreHandle, StoredPiece, StoredWindow, WindowWrite,
    WriteOutcome,
};

const DIRECTORY: &str = "SUNFIRE_STORE_KILL_TEST";
const KILLS: usize = 25;
/// A child says something within this, or the test has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// The two writers: their batches are of the monitors `<writer>/0`, `<writer>/1`, …
const WRITERS: [&str; 2] = ["a", "b"];

fn write(monitor: String, window_ns: i64, revision: u64, done: bool) -> WindowWrite {
    // Beside the header, apart, and of several pages.
    let bytes = [7, 700, 9000][(window_ns % 3) as usize];
    let row = |key: u8| PieceRow {
        key: vec![key],
        value: vec![key ^ window_ns as u8; bytes / 3],
    };
    WindowWrite {
        monitor,
        window_ns,
        length_ns: 1,
        fence: Fence { epoch: 1, revision },
        done,
        header: format!("{window_ns} {revision}").into_bytes(),
        body: vec![window_ns as u8 ^ revision as u8; bytes],
        pieces: if done {
            PieceChange::Drop
        } else {
            PieceChange::Upsert(vec![row(1), row(2)])
        },
    }
}

/// The batch of a number: some new windows, and the last revision of those before.
fn batch(writer: &str, number: i64) -> Vec<WindowWrite> {
    let monitors = |number: i64| (0..2 + number % 3).map(move |index| format!("{writer}/{index}"));
    let mut windows: Vec<_> = monitors(number)
        .map(|monitor| write(monitor, number, 1, false))
        .collect();
    if number > 0 {
        windows.extend(monitors(number - 1).map(|monitor| write(monitor, number - 1, 2, true)));
    }
    windows
}

/// The number of the next batch, by what is stored.
fn next_number(store: &EmbeddedStore, writer: &str) -> i64 {
    let newest = store.newest(&format!("{writer}/0"), 1).unwrap();
    newest.first().map_or(0, |window| window.window_ns + 1)
}

/// What a store holds if it holds so many batches of a writer, and nothing in part.
fn check_whole(store: &EmbeddedStore, writer: &str, batches: i64) {
    let mut expected: BTreeMap<String, BTreeMap<i64, WindowWrite>> = BTreeMap::new();
    for write in (0..batches).flat_map(|number| batch(writer, number)) {
        expected
            .entry(write.monitor.clone())
            .or_default()
            .insert(write.window_ns, write);
    }
    for (monitor, expected) in expected {
        let windows: Vec<StoredWindow> = expected.values().map(stored).collect();
        assert_eq!(store.windows(&monitor, 0..i64::MAX, usize::MAX, true).unwrap(), windows);
        let undone: Vec<i64> = expected
            .values()
            .filter(|write| !write.done)
            .map(|write| write.window_ns)
            .collect();
        let listed = store.undone(&monitor, 0..i64::MAX, usize::MAX).unwrap();
        assert_eq!(listed.iter().map(|window| window.window_ns).collect::<Vec<_>>(), undone);
        let pieces: Vec<StoredPiece> = expected.values().flat_map(pieces).collect();
        assert_eq!(store.pieces(&monitor, 0..i64::MAX).unwrap(), pieces);
    }
}

fn stored(write: &WindowWrite) -> StoredWindow {
    StoredWindow {
        window_ns: write.window_ns,
        length_ns: write.length_ns,
        fence: write.fence,
        done: write.done,
        header: write.header.clone(),
        body: write.body.clone(),
    }
}

fn pieces(write: &WindowWrite) -> Vec<StoredPiece> {
    match &write.pieces {
        PieceChange::Drop => Vec::new(),
        PieceChange::Upsert(rows) => rows
            .iter()
            .map(|row| StoredPiece {
                window_ns: write.window_ns,
                row: row.clone(),
            })
            .collect(),
    }
}

/// Writes the batches of a writer from a number to another, and says so of each.
async fn write_batches(handle: StoreHandle, writer: &str, numbers: std::ops::Range<i64>) {
    for number in numbers {
        let outcomes = handle.write(batch(writer, number)).await.unwrap();
        assert!(
            outcomes.iter().all(|outcome| *outcome == WriteOutcome::Written),
            "{outcomes:?}"
        );
        println!("written {writer} {number}");
    }
}

/// Both writers beside each other, so many batches each.
fn write_all(directory: &Path, batches: i64) {
    let store = Arc::new(EmbeddedStore::open(directory).unwrap());
    let next = WRITERS.map(|writer| next_number(&store, writer));
    let handle = StoreHandle::local(store);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let [a, b] = [0, 1].map(|index| {
            let numbers = next[index]..next[index].saturating_add(batches);
            write_batches(handle.clone(), WRITERS[index], numbers)
        });
        tokio::join!(a, b);
    });
}

/// The writer as a process: for ever with a directory from its parent; as a test of its own, ten batches.
#[test]
fn writer() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return write_all(Path::new(&directory), i64::MAX);
    }
    let directory = tempfile::tempdir().unwrap();
    for round in 1..=2 {
        write_all(directory.path(), 5);
        let store = EmbeddedStore::open(directory.path()).unwrap();
        for writer in WRITERS {
            assert_eq!(next_number(&store, writer), round * 5);
            check_whole(&store, writer, round * 5);
        }
    }
}

fn child(directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "writer", "--nocapture"])
        .env(DIRECTORY, directory);
    command
}

/// The last batch that each writer was told is written.
#[derive(Default)]
struct Acknowledged(BTreeMap<String, i64>);

impl Acknowledged {
    fn hear(&mut self, line: &str) {
        // What the test harness says is in between.
        if let Some((writer, number)) = line.strip_prefix("written ").and_then(|rest| rest.split_once(' ')) {
            self.0.insert(writer.to_owned(), number.parse().unwrap());
        }
    }
}

/// Lines of a child's output, until it ends.
fn lines_of(output: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// Runs a writer, kills it at a random moment, and hears what it had said until then.
fn run_and_kill(directory: &Path, chance: &Randomness, acknowledged: &mut Acknowledged) {
    let mut child = child(directory).stdout(Stdio::piped()).spawn().unwrap();
    let lines = lines_of(child.stdout.take().unwrap());
    for _ in 0..3 + chance.below(20) {
        acknowledged.hear(&lines.recv_timeout(PATIENCE).expect("the writer writes"));
    }
    // Then at any moment of a transaction, between two lines.
    let moment = Duration::from_micros(chance.below(4000));
    match lines.recv_timeout(moment) {
        Ok(line) => acknowledged.hear(&line),
        Err(RecvTimeoutError::Timeout) => {}
        Err(RecvTimeoutError::Disconnected) => panic!("the writer ended by itself"),
    }
    child.kill().unwrap();
    child.wait().unwrap();
    lines.iter().for_each(|line| acknowledged.hear(&line));
}

#[test]
fn what_was_acknowledged_survives_and_nothing_is_torn() {
    let directory = tempfile::tempdir().unwrap();
    let (chance, mut acknowledged) = (Randomness::seeded(9), Acknowledged::default());
    let mut under_way = 0;
    for kill in 0..KILLS {
        run_and_kill(directory.path(), &chance, &mut acknowledged);
        let store = EmbeddedStore::open(directory.path()).unwrap();
        for writer in WRITERS {
            let said = acknowledged.0.get(writer).map_or(0, |last| last + 1);
            let batches = next_number(&store, writer);
            // One may have been on the disk already, and its writer not have lived to say so.
            assert!(
                (said..=said + 1).contains(&batches),
                "kill {kill}: {said} said, {batches} there"
            );
            under_way += batches - said;
            check_whole(&store, writer, batches);
        }
    }
    let said: i64 = acknowledged.0.values().sum();
    assert!(
        said > KILLS as i64,
        "{said} batches are too few to have been killed at their work"
    );
    eprintln!("{KILLS} kills, {said} batches acknowledged, {under_way} more on the disk");
}

#[test]
fn a_second_process_is_told_who_has_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let _store = EmbeddedStore::open(directory.path()).unwrap();
    let output = child(directory.path()).output().unwrap();
    assert!(!output.status.success());
    // The child's panic shows the error's fields.
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("InUse") && said.contains("points.redb"), "{said}");
}
