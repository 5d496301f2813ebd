//! The embedded store against the model, over random operations with reopening in between; and files that it must
//! not take for its own.

mod disk;
mod opening;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::model::Model;
use crate::{Fence, PieceChange, PieceRow};

const MONITORS: [&str; 3] = ["a", "b", "pay"];
const WINDOWS: [i64; 7] = [i64::MIN, -2_000_000_000, -1, 0, 1_000_000_000, 2_000_000_000, i64::MAX];

pub(super) fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A window of monitor `a` with some content.
pub(super) fn window(window_ns: i64, epoch: u64, revision: u64) -> WindowWrite {
    WindowWrite {
        monitor: "a".to_owned(),
        window_ns,
        length_ns: 1_000_000_000,
        fence: Fence { epoch, revision },
        done: false,
        header: format!("header {revision}").into_bytes(),
        body: format!("body {revision}").into_bytes(),
        pieces: PieceChange::Upsert(Vec::new()),
    }
}

#[derive(Debug, Clone)]
enum Operation {
    Write(Vec<WindowWrite>),
    Remove { before_ns: i64, most: usize },
    Put(Document),
    Reopen,
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    // Beside the header, apart, and over a page.
    prop_oneof![4 => 0..20usize, 2 => 480..700usize, 1 => 4000..9000usize]
        .prop_flat_map(|bytes| any::<u8>().prop_map(move |byte| vec![byte; bytes]))
}

fn pieces() -> impl Strategy<Value = PieceChange> {
    let row = (0..3u8, body()).prop_map(|(key, value)| PieceRow { key: vec![key], value });
    prop_oneof![
        3 => proptest::collection::vec(row, 0..3).prop_map(PieceChange::Upsert),
        1 => Just(PieceChange::Drop),
    ]
}

fn write() -> impl Strategy<Value = WindowWrite> {
    let place = (
        proptest::sample::select(&MONITORS[..]),
        proptest::sample::select(&WINDOWS[..]),
    );
    (place, (0..3u64, 0..5u64), any::<bool>(), (body(), body()), pieces()).prop_map(
        |((monitor, window_ns), (epoch, revision), done, (header, body), pieces)| WindowWrite {
            monitor: monitor.to_owned(),
            window_ns,
            length_ns: 5_000_000_000,
            fence: Fence { epoch, revision },
            done,
            header,
            body,
            pieces,
        },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    let document = (0..2u8, 0..3u64, body()).prop_map(|(kind, version, content)| Document {
        kind: format!("kind {kind}"),
        name: "a".to_owned(),
        version,
        content,
    });
    let remove = (proptest::sample::select(&WINDOWS[..]), 0..6usize);
    prop_oneof![
        8 => proptest::collection::vec(write(), 0..6).prop_map(Operation::Write),
        2 => remove.prop_map(|(before_ns, most)| Operation::Remove { before_ns, most }),
        1 => document.prop_map(Operation::Put),
        1 => Just(Operation::Reopen),
    ]
}

/// All that can be seen of a store, but its size on the disk.
fn observe(store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let mut seen = vec![format!("{:?}", store.monitors()?)];
    let status = StoreStatus {
        disk_bytes: 0,
        ..store.status()?
    };
    seen.push(format!("{status:?}"));
    for kind in ["kind 0", "kind 1", "kind"] {
        seen.push(format!("{:?}", store.documents(kind, "a")?));
    }
    for monitor in MONITORS.into_iter().chain(["nobody"]) {
        for most in [0, 1, 3, usize::MAX] {
            seen.push(format!("{:?}", store.newest(monitor, most)?));
        }
        for (from, to) in [
            (i64::MIN, i64::MAX),
            (-2_000_000_000, 1),
            (0, 0),
            (1, -1),
            (-1, 1_000_000_000),
        ] {
            for most in [0, 2, usize::MAX] {
                seen.push(format!("{:?}", store.windows(monitor, from..to, most, true)?));
                seen.push(format!("{:?}", store.windows(monitor, from..to, most, false)?));
                seen.push(format!("{:?}", store.undone(monitor, from..to, most)?));
            }
            seen.push(format!("{:?}", store.pieces(monitor, from..to)?));
        }
    }
    Ok(seen)
}

/// Does the same to both, and what it answers must be the same.
fn apply(operation: &Operation, store: &dyn Store, model: &dyn Store) -> Result<(), TestCaseError> {
    match operation {
        Operation::Write(windows) => prop_assert_eq!(store.write(windows), model.write(windows)),
        Operation::Remove { before_ns, most } => prop_assert_eq!(
            store.remove_before(*before_ns, *most),
            model.remove_before(*before_ns, *most)
        ),
        Operation::Put(document) => prop_assert_eq!(store.put_document(document), model.put_document(document)),
        Operation::Reopen => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_does_what_the_model_does(operations in proptest::collection::vec(operation(), 1..24)) {
        let (directory, model) = (directory(), Model::default());
        let mut store = EmbeddedStore::open(directory.path()).unwrap();
        for operation in &operations {
            if matches!(operation, Operation::Reopen) {
                drop(store);
                store = EmbeddedStore::open(directory.path()).unwrap();
                model.restart();
            }
            apply(operation, &store, &model)?;
            prop_assert_eq!(observe(&store), observe(&model));
        }
    }
}

#[test]
fn the_last_fence_is_as_documented() {
    #[track_caller]
    fn check((epoch, revision): (u64, u64), expected: WriteOutcome, there: u64) {
        let directory = directory();
        let store = EmbeddedStore::open(directory.path()).unwrap();
        assert_eq!(store.write(&[window(0, 5, 7)]).unwrap(), [WriteOutcome::Written]);
        let other = WindowWrite {
            done: true,
            pieces: PieceChange::Drop,
            ..window(0, epoch, revision)
        };
        assert_eq!(store.write(&[other]).unwrap(), [expected]);
        let stored = store.windows("a", 0..1, 1, true).unwrap();
        assert_eq!(stored[0].body, format!("body {there}").into_bytes());
        assert_eq!(stored[0].done, expected == WriteOutcome::Written);
        let refused = matches!(expected, WriteOutcome::Refused { .. });
        assert_eq!(store.status().unwrap().refused, u64::from(refused));
    }
    let stored = Fence { epoch: 5, revision: 7 };
    check((5, 8), WriteOutcome::Written, 8);
    check((6, 8), WriteOutcome::Written, 8);
    check((5, 7), WriteOutcome::Already, 7);
    // A newer owner that has not read the header first.
    check((6, 7), WriteOutcome::Refused { stored }, 7);
    check((6, 6), WriteOutcome::Refused { stored }, 7);
    // An owner of the past, however far it has counted.
    check((4, 9), WriteOutcome::Refused { stored }, 7);
    check((4, 7), WriteOutcome::Refused { stored }, 7);
}

#[test]
fn names_that_are_no_keys_are_refused_and_nothing_is_written() {
    let directory = directory();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let long = WindowWrite {
        monitor: "m".repeat(NAME_BYTES_MAX + 1),
        ..window(0, 1, 1)
    };
    let refused = store.write(&[window(0, 1, 1), long]);
    assert!(matches!(refused, Err(StoreError::TooMuch { .. })), "{refused:?}");
    assert_eq!(store.status().unwrap().windows, 0);
}

#[test]
fn many_read_while_one_writes() {
    let directory = directory();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let written = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while written.load(Ordering::Acquire) < 50 {
                    let least = written.load(Ordering::Acquire);
                    let windows = store.windows("a", i64::MIN..i64::MAX, usize::MAX, true).unwrap();
                    // Two windows a transaction: never one alone, and never fewer than were acknowledged.
                    assert_eq!(windows.len() % 2, 0);
                    assert!(windows.len() as u64 >= 2 * least, "{} {least}", windows.len());
                }
            });
        }
        for step in 0..50 {
            store.write(&[window(step, 1, 1), window(step + 1000, 1, 1)]).unwrap();
            written.fetch_add(1, Ordering::Release);
        }
    });
    assert_eq!(written.load(Ordering::Acquire), 50);
}
