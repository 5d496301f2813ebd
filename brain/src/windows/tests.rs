//! What is asked of a store, against stores made by hand.

use super::*;
use crate::leases::Wanted;
use map::partial::Losses;
use reduce::stored::{HostTable, encode};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use store::Fence;

const S: i64 = 1_000_000_000;
const OURS: u64 = 7;

/// A store that has these windows of every monitor.
#[derive(Default)]
struct Shelf(Mutex<BTreeMap<i64, StoredWindow>>);

impl Shelf {
    /// Windows of a length: start, whether it is done, its version, and its hosts.
    fn with(self, window_s: i64, windows: &[(i64, bool, u64, &[HostState])]) -> Shelf {
        let mut shelf = self.0.into_inner().expect("not poisoned");
        for (start_s, done, version, hosts) in windows {
            let header = StoredHeader {
                monitor_version: *version,
                inventory_version: Some(1),
                profile_version: 1,
                state: match hosts.iter().all(|state| state.settles()) {
                    true => WindowState::Settled,
                    false => WindowState::Provisional,
                },
                hosts: HostTable::new(hosts.iter().map(|state| (*state, None))),
                records: 0,
                lost: Losses::default(),
                flags: Vec::new(),
                withdrawn: Vec::new(),
                overflow: None,
            };
            let window = StoredWindow {
                window_ns: start_s * S,
                length_ns: window_s * S,
                fence: Fence { epoch: 1, revision: 1 },
                done: *done,
                header: encode(&header),
                body: Vec::new(),
            };
            shelf.insert(window.window_ns, window);
        }
        Shelf(Mutex::new(shelf))
    }

    fn list(&self, range: Range<i64>, most: usize, undone: bool) -> Vec<StoredWindow> {
        let shelf = self.0.lock().expect("not poisoned");
        let windows = shelf.range(range).map(|(_, window)| window);
        windows
            .filter(|window| !undone || !window.done)
            .take(most)
            .cloned()
            .collect()
    }
}

impl WindowStore for Shelf {
    fn windows<'a>(
        &'a self,
        _monitor: &'a str,
        range: Range<i64>,
        most: usize,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        Box::pin(async move { Ok(self.list(range, most, false)) })
    }

    fn undone<'a>(
        &'a self,
        _monitor: &'a str,
        range: Range<i64>,
        most: usize,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        Box::pin(async move { Ok(self.list(range, most, true)) })
    }
}

fn lease(window_s: i64, from_s: i64, until_s: Option<i64>) -> Lease {
    let Wanted {
        definition,
        fingerprint,
        window_ns,
    } = Wanted::of_text("x", window_s * S);
    Lease {
        version: OURS,
        fingerprint,
        definition,
        window_ns,
        from_ns: from_s * S,
        until_ns: until_s.map(|until_s| until_s * S),
    }
}

/// The first wanted window of a lease of 5 s windows since a time, all in seconds.
#[track_caller]
fn check(shelf: &Shelf, lease: &Lease, since_s: i64, expected_s: i64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let first = runtime
        .block_on(first_wanted(shelf, "m", lease, since_s * S))
        .expect("an answer");
    assert_eq!(first / S, expected_s);
}

const OK: &[HostState] = &[HostState::Ok, HostState::OkSilent];
const HALF: &[HostState] = &[HostState::Ok, HostState::Timeout];

#[test]
fn the_first_wanted_window_is_what_the_store_does_not_have_for_good() {
    let done = |start_s| (start_s, true, OURS, OK);
    let open = lease(5, 100, None);
    check(&Shelf::default(), &open, 0, 100);
    check(&Shelf::default(), &open, 122, 125);
    let full = || Shelf::default().with(5, &[done(100), done(105), done(110)]);
    check(&full(), &open, 0, 115);
    check(&full(), &open, 107, 115);
    check(&full().with(5, &[(105, false, OURS, OK)]), &open, 0, 105);
    check(&full().with(5, &[done(120), done(125)]), &open, 0, 115);
    check(&full().with(5, &[done(120)]), &open, 117, 125);
}

#[test]
fn windows_of_another_version_are_not_this_ones_to_mend() {
    let open = lease(5, 100, None);
    let foreign = Shelf::default().with(5, &[(100, false, 1, HALF), (105, false, OURS, HALF)]);
    check(&foreign, &open, 0, 105);
    let longer = Shelf::default().with(60, &[(60, false, 1, HALF), (120, true, 1, OK)]);
    check(&longer, &lease(5, 60, None), 0, 180);
    let past = lease(5, 100, Some(110));
    check(
        &Shelf::default().with(5, &[(100, true, OURS, OK), (105, true, OURS, OK)]),
        &past,
        0,
        110,
    );
    check(&Shelf::default(), &past, 500, 110);
}

#[test]
fn an_audit_finds_what_is_below_what_is_missing_and_what_came() {
    let windows = [
        (100, true, OURS, OK),
        (105, false, OURS, HALF),
        (115, false, OURS, OK),
        (120, false, 1, HALF),
    ];
    let open: &[HostState] = &[HostState::Open];
    let suspended: &[HostState] = &[HostState::Ok, HostState::OverBudget];
    let others = [(130, false, OURS, open), (135, false, OURS, suspended)];
    let shelf = Shelf::default().with(5, &windows).with(5, &others);
    let question = Question {
        since_ns: 0,
        there: 0..125 * S,
        missed: vec![95 * S, 100 * S],
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let ask = |question: &Question| {
        runtime
            .block_on(audit(&shelf, "m", &lease(5, 100, None), question))
            .expect("an answer")
    };
    let found = ask(&question);
    let below: Vec<(i64, u64, u64, bool)> = found
        .below
        .iter()
        .map(|below| (below.window_ns / S, below.ok, below.expected, below.is_settled))
        .collect();
    let expected = vec![(105, 1, 2, false), (135, 1, 2, true)];
    assert_eq!((below, found.undone), (expected, 4));
    assert_eq!((found.missing, found.found), (vec![110 * S], vec![100 * S]));
    assert_eq!(found.audited_to_ns, 125 * S);
    let next = ask(&Question {
        there: found.audited_to_ns..125 * S,
        ..question
    });
    assert_eq!((next.missing.len(), next.audited_to_ns), (0, 125 * S));
}

#[test]
fn the_handle_of_a_store_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let embedded = store::EmbeddedStore::open(folder.path()).expect("a store");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let handle = StoreHandle::local(Arc::new(embedded));
    let write = |start_s: i64, done: bool| store::WindowWrite {
        monitor: "m".to_owned(),
        window_ns: start_s * S,
        length_ns: 5 * S,
        fence: Fence { epoch: 1, revision: 1 },
        done,
        header: Vec::new(),
        body: vec![1],
        pieces: store::PieceChange::Upsert(Vec::new()),
    };
    let written = runtime.block_on(handle.write(vec![write(100, true), write(105, false)]));
    assert_eq!(written.expect("written").len(), 2);
    let asked: &dyn WindowStore = &handle;
    let starts = |windows: Result<Vec<StoredWindow>, StoreError>| -> Vec<i64> {
        let windows = windows.expect("windows");
        assert!(windows.iter().all(|window| window.body.is_empty()));
        windows.iter().map(|window| window.window_ns / S).collect()
    };
    assert_eq!(
        starts(runtime.block_on(asked.windows("m", 0..i64::MAX, 10))),
        [100, 105]
    );
    assert_eq!(starts(runtime.block_on(asked.undone("m", 0..i64::MAX, 10))), [105]);
}
