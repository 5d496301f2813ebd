//! A disk that is full, or fails, for a while: errors, nothing half written, and it goes on when the disk does.

use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use super::{directory, window};
use crate::embedded::open::{builder, open_by};
use crate::{EmbeddedStore, FILE_NAME, PieceChange, PieceRow, Store, StoreError, WindowWrite, WriteOutcome};

/// No fault.
const SOUND: u64 = u64::MAX;

/// What is wrong with a disk: after so many more writes there is no room; after so many syncs they fail.
#[derive(Debug, Clone)]
struct Faults {
    writes_left: Arc<AtomicU64>,
    syncs_left: Arc<AtomicU64>,
}

impl Faults {
    fn none() -> Self {
        Faults {
            writes_left: Arc::new(AtomicU64::new(SOUND)),
            syncs_left: Arc::new(AtomicU64::new(SOUND)),
        }
    }

    fn mend(&self) {
        self.writes_left.store(SOUND, Ordering::SeqCst);
        self.syncs_left.store(SOUND, Ordering::SeqCst);
    }
}

fn spend(left: &AtomicU64, error: impl FnOnce() -> io::Error) -> io::Result<()> {
    let spent = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| match left {
        SOUND => Some(SOUND),
        left => left.checked_sub(1),
    });
    spent.map(|_| ()).map_err(|_| error())
}

#[derive(Debug)]
struct Disk {
    file: FileBackend,
    faults: Faults,
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        spend(&self.faults.writes_left, || io::ErrorKind::StorageFull.into())?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        spend(&self.faults.syncs_left, || io::Error::other("the device is gone"))?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        spend(&self.faults.writes_left, || io::ErrorKind::StorageFull.into())?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}

fn open(directory: &std::path::Path, faults: &Faults) -> EmbeddedStore {
    let (path, faults) = (directory.join(FILE_NAME), faults.clone());
    let file_of = path.clone();
    let opener = move || {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .unwrap();
        let disk = Disk {
            file: FileBackend::new(file).unwrap(),
            faults: faults.clone(),
        };
        open_by(&path, || builder(0).create_with_backend(disk))
    };
    EmbeddedStore::open_by(file_of, Box::new(opener)).unwrap()
}

/// A batch of two windows with pieces and bodies of its own.
fn batch(step: i64) -> Vec<WindowWrite> {
    let of = |window_ns| WindowWrite {
        body: vec![step as u8; 3000],
        pieces: PieceChange::Upsert(vec![PieceRow {
            key: vec![1],
            value: vec![step as u8; 50],
        }]),
        ..window(window_ns, 1, step as u64)
    };
    // Each batch rewrites the first and adds one.
    vec![of(0), of(step)]
}

/// Which batch a store ends with; panics if it is none as a whole.
#[track_caller]
fn last_batch(store: &EmbeddedStore) -> i64 {
    let windows = store.windows("a", 0..i64::MAX, 10_000, true).unwrap();
    let last = windows.len() as i64 - 1;
    let pieces = store.pieces("a", 0..i64::MAX).unwrap();
    assert_eq!(pieces.len(), windows.len());
    for (index, (window, piece)) in windows.iter().zip(pieces).enumerate() {
        let step = if index == 0 { last } else { index as i64 };
        assert_eq!(window.fence.revision, step as u64);
        assert_eq!(window.body, vec![step as u8; 3000]);
        assert_eq!(piece.row.value, vec![step as u8; 50]);
    }
    last
}

#[track_caller]
fn check_fault(fault: impl Fn(&Faults)) {
    let (directory, faults) = (directory(), Faults::none());
    let store = open(directory.path(), &faults);
    let mut acknowledged = 0;
    for step in 1..=10 {
        store.write(&batch(step)).unwrap();
        acknowledged = step;
    }
    fault(&faults);
    let mut failures = 0;
    // Until it fails, and then some more calls that must fail too.
    for step in 11..=80 {
        match store.write(&batch(step)) {
            Ok(outcomes) => {
                assert_eq!(failures, 0, "written on a disk that takes nothing");
                assert_eq!(outcomes, [WriteOutcome::Written; 2]);
                acknowledged = step;
            }
            Err(StoreError::Failed { .. }) => failures += 1,
            Err(other) => panic!("{other:?}"),
        }
        if failures == 3 {
            break;
        }
    }
    assert_eq!(failures, 3, "the fault was never met");
    faults.mend();
    // Without a restart: all that was acknowledged, and at most the batch that was under way.
    let last = last_batch(&store);
    assert!(
        (acknowledged..=acknowledged + 1).contains(&last),
        "{acknowledged} {last}"
    );
    let next = store.write(&batch(acknowledged + 1)).unwrap();
    assert!(
        next == [WriteOutcome::Written; 2] || next == [WriteOutcome::Already; 2],
        "{next:?}"
    );
    assert_eq!(last_batch(&store), acknowledged + 1);
    drop(store);
    assert_eq!(
        last_batch(&EmbeddedStore::open(directory.path()).unwrap()),
        acknowledged + 1
    );
}

#[test]
fn a_full_disk_is_an_error_and_heals() {
    for writes in [0, 1, 2, 3, 5, 8, 13, 40] {
        check_fault(|faults| faults.writes_left.store(writes, Ordering::SeqCst));
    }
}

#[test]
fn a_device_that_is_gone_is_an_error_and_heals() {
    for syncs in [0, 1, 2, 7] {
        check_fault(|faults| faults.syncs_left.store(syncs, Ordering::SeqCst));
    }
}
