//! The handle, the node and the queue of writes, over the model: what they add to a store must not show in its answers.

use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lika::node::{Client, Dialling, Server, Settings};
use lika::seam::{Clock, LinkState, MemoryNetwork, Randomness, WallNs};
use lika::wire::{Identity, Token};

use crate::answer::Cuts;
use crate::model::Model;
use crate::node::listen;
use crate::protocol::{
    ROLE, ROLE_BRAIN, ROLE_CONSOLE, ROLE_REDUCE, StoreAnswer, StoreProtocol, StoreRequest, WRITE_BYTES_MAX,
};
use crate::retention::{RetentionPolicy, horizon, keep_by_age, sweep};
use crate::*;

const ADDRESS: &str = "store:1";
const ALL: Range<i64> = i64::MIN..i64::MAX;
/// No answer of these tests takes longer, or the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn window(monitor: &str, window_ns: i64, revision: u64, body_bytes: usize) -> WindowWrite {
    let row = |key: u8| PieceRow {
        key: vec![key],
        value: vec![key; body_bytes / 2],
    };
    WindowWrite {
        monitor: monitor.to_owned(),
        window_ns,
        length_ns: 1,
        fence: Fence { epoch: 1, revision },
        done: window_ns % 3 == 0,
        header: vec![revision as u8; 10],
        body: vec![window_ns as u8; body_bytes],
        pieces: PieceChange::Upsert(vec![row(1), row(2), row(3)]),
    }
}

fn document(version: u64) -> Document {
    Document {
        kind: "shape".to_owned(),
        name: "pay".to_owned(),
        version,
        content: vec![version as u8; 90],
    }
}

fn identity(role: &str) -> Identity {
    Identity {
        role: role.to_owned(),
        node: format!("{role}-1"),
        token: Token::new("a token of some length").unwrap(),
    }
}

/// A store behind a node, and a way to it.
struct Stage {
    network: MemoryNetwork,
    clock: Clock,
    _server: Server,
}

impl Stage {
    async fn new(store: StoreHandle) -> Stage {
        let (network, clock) = (MemoryNetwork::default(), Clock::simulated(WallNs(0)));
        let seams = (clock.clone(), Randomness::seeded(1));
        let server = listen(store, identity(ROLE), seams, (&network, ADDRESS)).await.unwrap();
        Stage {
            network,
            clock,
            _server: server,
        }
    }

    fn dialling(&self, role: &str) -> Dialling {
        Dialling {
            network: Arc::new(self.network.clone()),
            address: ADDRESS.to_owned(),
            server_node: None,
            identity: identity(role),
            settings: Settings::default(),
            clock: self.clock.clone(),
            randomness: Randomness::seeded(2),
        }
    }

    fn handle(&self, role: &str) -> StoreHandle {
        StoreHandle::dial(self.dialling(role))
    }
}

/// Everything that a handle reads is what the store itself has.
async fn check_reads(handle: &StoreHandle, store: &dyn Store) {
    assert_eq!(handle.monitors().await.unwrap(), store.monitors().unwrap());
    assert_eq!(handle.status().await.unwrap(), store.status().unwrap());
    assert_eq!(
        handle.documents("shape", "pay").await.unwrap(),
        store.documents("shape", "pay").unwrap()
    );
    for monitor in ["pay", "other", "nobody"] {
        for most in [0, 1, 3, 4, 7, 1000] {
            let newest = handle.newest(monitor, most).await.unwrap();
            assert_eq!(newest, store.newest(monitor, most).unwrap());
            for range in [ALL, 0..10, -5..-2, 3..3] {
                let undone = handle.undone(monitor, range.clone(), most).await.unwrap();
                assert_eq!(undone, store.undone(monitor, range.clone(), most).unwrap());
                for bodies in [true, false] {
                    let windows = handle.windows(monitor, range.clone(), most, bodies).await.unwrap();
                    assert_eq!(windows, store.windows(monitor, range.clone(), most, bodies).unwrap());
                }
            }
        }
        for range in [ALL, 0..10, 3..3] {
            let pieces = handle.pieces(monitor, range.clone()).await.unwrap();
            assert_eq!(pieces, store.pieces(monitor, range).unwrap());
        }
    }
}

/// Pages of any size, here and over a network, from either store, put together to the same.
#[tokio::test]
async fn pages_do_not_show() {
    let directory = tempfile::tempdir().unwrap();
    let embedded = EmbeddedStore::open(directory.path()).unwrap();
    for store in [Arc::new(embedded) as Arc<dyn Store>, Arc::new(Model::default())] {
        let ends = [window("pay", i64::MIN, 1, 30), window("pay", i64::MAX - 1, 1, 30)];
        let small = (-9..9).map(|start| window("pay", start, 1, 30 + start.unsigned_abs() as usize * 40));
        let all: Vec<_> = small.chain(ends).chain([window("other", 4, 2, 5)]).collect();
        store.write(&all).unwrap();
        for version in [0, 3, 4, 5, u64::MAX] {
            store.put_document(&document(version)).unwrap();
        }
        for (windows_max, bytes_max) in [(1, 1), (3, 1 << 20), (1000, 700), (4, 1000), (1000, 1 << 20)] {
            let cuts = Cuts { windows_max, bytes_max };
            let local = StoreHandle::local_cut(Arc::clone(&store), cuts);
            let size_on_disk = Arc::new(Sizeless(Arc::clone(&store)));
            check_reads(&local, &*store).await;
            let stage = Stage::new(StoreHandle::local_cut(size_on_disk.clone(), cuts)).await;
            check_reads(&stage.handle(ROLE_REDUCE), &*size_on_disk).await;
        }
    }
}

/// A single page over the wire is really cut, and never within a window's pieces.
#[tokio::test]
async fn answers_are_cut() {
    let store = Arc::new(Model::default());
    let writes: Vec<_> = (0..10).map(|start| window("pay", start, 1, 100)).collect();
    store.write(&writes).unwrap();
    let cuts = Cuts {
        windows_max: 1000,
        bytes_max: 800,
    };
    let stage = Stage::new(StoreHandle::local_cut(store, cuts)).await;
    let client: Client<StoreProtocol> = Client::start(stage.dialling(ROLE_CONSOLE));
    let request = StoreRequest::Windows {
        monitor: "pay".to_owned(),
        from_ns: 0,
        to_ns: 10,
        most: 100,
        bodies: true,
    };
    match client.call(&request, PATIENCE).await.unwrap() {
        StoreAnswer::Windows { windows, more: true } => assert_eq!(windows.len(), 3),
        other => panic!("{other:?}"),
    }
    let request = StoreRequest::Pieces {
        monitor: "pay".to_owned(),
        from_ns: 0,
        to_ns: 10,
    };
    match client.call(&request, PATIENCE).await.unwrap() {
        StoreAnswer::Pieces { pieces, more: true } => assert_eq!(pieces.len(), 6),
        other => panic!("{other:?}"),
    }
}

/// A store whose status does not depend on the disk.
struct Sizeless(Arc<dyn Store>);

/// A store whose writes wait at a gate, and do what their monitor's name says.
struct Gated {
    model: Model,
    arrived: Mutex<Sender<usize>>,
    gate: Mutex<Receiver<()>>,
}

/// Everything but what is named is the inner store's.
macro_rules! delegate {
    ($inner:tt) => {
        fn windows(
            &self,
            of: &str,
            range: Range<i64>,
            most: usize,
            bodies: bool,
        ) -> Result<Vec<StoredWindow>, StoreError> {
            self.$inner.windows(of, range, most, bodies)
        }
        fn newest(&self, of: &str, most: usize) -> Result<Vec<StoredWindow>, StoreError> {
            self.$inner.newest(of, most)
        }
        fn undone(&self, of: &str, range: Range<i64>, most: usize) -> Result<Vec<StoredWindow>, StoreError> {
            self.$inner.undone(of, range, most)
        }
        fn pieces(&self, of: &str, range: Range<i64>) -> Result<Vec<StoredPiece>, StoreError> {
            self.$inner.pieces(of, range)
        }
        fn monitors(&self) -> Result<Vec<String>, StoreError> {
            self.$inner.monitors()
        }
        fn put_document(&self, document: &Document) -> Result<(), StoreError> {
            self.$inner.put_document(document)
        }
        fn documents(&self, kind: &str, name: &str) -> Result<Vec<Document>, StoreError> {
            self.$inner.documents(kind, name)
        }
        fn remove_before(&self, before_ns: i64, most: usize) -> Result<u64, StoreError> {
            self.$inner.remove_before(before_ns, most)
        }
    };
}

impl Store for Sizeless {
    delegate!(0);
    fn write(&self, windows: &[WindowWrite]) -> Result<Vec<WriteOutcome>, StoreError> {
        self.0.write(windows)
    }
    fn status(&self) -> Result<StoreStatus, StoreError> {
        let status = self.0.status()?;
        Ok(StoreStatus {
            disk_bytes: 7,
            ..status
        })
    }
}

impl Store for Gated {
    delegate!(model);
    fn status(&self) -> Result<StoreStatus, StoreError> {
        self.model.status()
    }
    fn write(&self, windows: &[WindowWrite]) -> Result<Vec<WriteOutcome>, StoreError> {
        self.arrived.lock().unwrap().send(windows.len()).unwrap();
        self.gate.lock().unwrap().recv().unwrap();
        let names = |name| windows.iter().any(|window| window.monitor == name);
        assert!(!names("panic"), "told to");
        if names("huge") {
            return Err(StoreError::TooMuch { what: "it", most: 1 });
        }
        if names("broken") {
            let (operation, why) = ("writing windows", "told to".to_owned());
            return Err(StoreError::Failed { operation, why });
        }
        self.model.write(windows)
    }
}

/// A gated store, its handle, what arrives at the gate, and what opens it.
fn gated() -> (Arc<Gated>, StoreHandle, Receiver<usize>, Sender<()>) {
    let ((arrived, arrivals), (open, gate)) = (channel(), channel());
    let store = Arc::new(Gated {
        model: Model::default(),
        arrived: Mutex::new(arrived),
        gate: Mutex::new(gate),
    });
    (store.clone(), StoreHandle::local(store), arrivals, open)
}

type Written = tokio::task::JoinHandle<Result<Vec<WriteOutcome>, StoreError>>;

/// Begins a write; it has been queued when this returns.
async fn begin(handle: &StoreHandle, windows: Vec<WindowWrite>) -> Written {
    let handle = handle.clone();
    let task = tokio::spawn(async move { handle.write(windows).await });
    // On a runtime of one thread a yield lets it run until it waits, which it does in the queue.
    tokio::task::yield_now().await;
    task
}

#[tokio::test]
async fn who_waits_shares_a_transaction_and_gets_its_own_outcomes() {
    let (store, handle, arrivals, open) = gated();
    let first = begin(&handle, vec![window("first", 0, 5, 1)]).await;
    assert_eq!(arrivals.recv_timeout(PATIENCE).unwrap(), 1);
    let mut others = Vec::new();
    for index in 0..40 {
        // Some are refused, and each has its own count of windows.
        let stale = window("first", 0, if index % 2 == 0 { 1 } else { 5 }, 1);
        let own = (0..index % 3).map(|start| window(&format!("m{index}"), start, 1, 1));
        others.push(begin(&handle, own.chain([stale]).collect()).await);
    }
    open.send(()).unwrap();
    open.send(()).unwrap();
    assert_eq!(first.await.unwrap().unwrap(), [WriteOutcome::Written]);
    let stored = Fence { epoch: 1, revision: 5 };
    for (index, other) in others.into_iter().enumerate() {
        let mut expected = vec![WriteOutcome::Written; index % 3];
        expected.push(if index % 2 == 0 {
            WriteOutcome::Refused { stored }
        } else {
            WriteOutcome::Already
        });
        assert_eq!(other.await.unwrap().unwrap(), expected);
    }
    assert_eq!(
        store.model.transactions(),
        2,
        "40 writers that waited are one transaction"
    );
}

#[tokio::test]
async fn one_that_is_too_much_does_not_spoil_the_others() {
    let (_store, handle, arrivals, open) = gated();
    let first = begin(&handle, vec![window("first", 0, 1, 1)]).await;
    arrivals.recv_timeout(PATIENCE).unwrap();
    let good = begin(&handle, vec![window("good", 0, 1, 1)]).await;
    let huge = begin(&handle, vec![window("huge", 0, 1, 1)]).await;
    for _ in 0..4 {
        open.send(()).unwrap();
    }
    assert_eq!(first.await.unwrap().unwrap(), [WriteOutcome::Written]);
    assert_eq!(good.await.unwrap().unwrap(), [WriteOutcome::Written]);
    let error = huge.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::TooMuch { .. }), "{error:?}");
}

#[tokio::test]
async fn a_failure_and_a_panic_are_told_to_all_who_wait_and_are_over_then() {
    for bad in ["broken", "panic"] {
        let (_store, handle, arrivals, open) = gated();
        let first = begin(&handle, vec![window(bad, 0, 1, 1)]).await;
        arrivals.recv_timeout(PATIENCE).unwrap();
        open.send(()).unwrap();
        let error = first.await.unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Failed { .. }), "{error:?}");
        let next = begin(&handle, vec![window("good", 0, 1, 1)]).await;
        open.send(()).unwrap();
        assert_eq!(next.await.unwrap().unwrap(), [WriteOutcome::Written]);
    }
}

#[tokio::test]
async fn what_was_queued_is_written_without_its_caller() {
    let (store, handle, arrivals, open) = gated();
    let first = begin(&handle, vec![window("first", 0, 1, 1)]).await;
    arrivals.recv_timeout(PATIENCE).unwrap();
    let gone = begin(&handle, vec![window("gone", 0, 1, 1)]).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    open.send(()).unwrap();
    open.send(()).unwrap();
    first.await.unwrap().unwrap();
    // Behind it in the queue: when this is written, it is.
    let last = begin(&handle, vec![window("last", 0, 1, 1)]).await;
    open.send(()).unwrap();
    last.await.unwrap().unwrap();
    assert_eq!(store.monitors().unwrap(), ["first", "gone", "last"]);
}

#[tokio::test]
async fn large_writes_are_split_between_windows_and_too_large_ones_refused() {
    let store = Arc::new(Model::default());
    let stage = Stage::new(StoreHandle::local(store.clone())).await;
    let handle = stage.handle(ROLE_REDUCE);
    let large = |start| window("pay", start, 1, WRITE_BYTES_MAX / 7);
    let outcomes = handle.write((0..5).map(large).collect()).await.unwrap();
    assert_eq!(outcomes, [WriteOutcome::Written; 5]);
    assert_eq!(store.transactions(), 3, "two of them fit into one");
    assert_eq!(
        handle.windows("pay", ALL, 9, true).await.unwrap(),
        store.windows("pay", ALL, 9, true).unwrap()
    );
    let error = handle
        .write(vec![window("pay", 9, 1, WRITE_BYTES_MAX)])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::TooMuch { .. }), "{error:?}");
    assert_eq!(handle.write(Vec::new()).await.unwrap(), []);
}

#[tokio::test]
async fn pieces_of_one_window_that_no_frame_holds_are_said_to_be_too_much() {
    let store = Arc::new(Model::default());
    let large = |key| PieceRow {
        key: vec![key],
        value: vec![key; 12 << 20],
    };
    for key in 0..3 {
        let write = WindowWrite {
            pieces: PieceChange::Upsert(vec![large(key)]),
            ..window("pay", 0, u64::from(key) + 1, 1)
        };
        store.write(&[write]).unwrap();
    }
    let stage = Stage::new(StoreHandle::local(store)).await;
    let error = stage.handle(ROLE_REDUCE).pieces("pay", ALL).await.unwrap_err();
    assert!(matches!(error, StoreError::TooMuch { .. }), "{error:?}");
}

#[tokio::test]
async fn only_a_reduce_writes() {
    let stage = Stage::new(StoreHandle::local(Arc::new(Model::default()))).await;
    for role in [ROLE_CONSOLE, ROLE_BRAIN] {
        let handle = stage.handle(role);
        let refused = handle.write(vec![window("pay", 0, 1, 1)]).await.unwrap_err();
        assert!(refused.to_string().contains("only a reduce"), "{refused}");
        handle.put_document(document(1)).await.unwrap_err();
        assert_eq!(handle.monitors().await.unwrap(), Vec::<String>::new());
    }
    let reduce = stage.handle(ROLE_REDUCE);
    assert_eq!(
        reduce.write(vec![window("pay", 0, 1, 1)]).await.unwrap(),
        [WriteOutcome::Written]
    );
    reduce.put_document(document(1)).await.unwrap();
    assert_eq!(reduce.documents("shape", "pay").await.unwrap(), [document(1)]);
    let error = reduce.remove_before(9, 9).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_gives_no_answer_is_unreachable_and_comes_back() {
    let stage = Stage::new(StoreHandle::local(Arc::new(Model::default()))).await;
    // A role that the handshake does not let in.
    let error = stage.handle("map").monitors().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    let handle = stage.handle(ROLE_REDUCE);
    handle.write(vec![window("pay", 0, 1, 1)]).await.unwrap();
    stage.network.set_link(LinkState::Cut);
    for _ in 0..2 {
        let error = handle.write(vec![window("pay", 1, 1, 1)]).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    }
    stage.network.set_link(LinkState::Up);
    let outcome = handle.write(vec![window("pay", 1, 1, 1)]).await.unwrap();
    assert!(
        [WriteOutcome::Written, WriteOutcome::Already].contains(&outcome[0]),
        "{outcome:?}"
    );
}

const DAY_NS: i64 = 86_400_000_000_000;

fn policy() -> RetentionPolicy {
    RetentionPolicy {
        keep: Duration::from_nanos(3 * DAY_NS as u64),
        most_a_step: 5,
        ..RetentionPolicy::default()
    }
}

/// One window a day for ten days, the last one begun on day 9.
fn ten_days() -> (Arc<Model>, StoreHandle) {
    let store = Arc::new(Model::default());
    let days: Vec<_> = (0..10).map(|day| window("pay", day * DAY_NS, 1, 1)).collect();
    store.write(&days).unwrap();
    store.write(&[window("old", DAY_NS, 1, 1)]).unwrap();
    (store.clone(), StoreHandle::local(store))
}

#[tokio::test(start_paused = true)]
async fn windows_go_by_age_and_a_clock_that_jumps_takes_none() {
    #[track_caller]
    fn check(store: &Model, first_day: i64) {
        let windows = store.windows("pay", ALL, 99, false).unwrap();
        assert_eq!(windows[0].window_ns, first_day * DAY_NS);
        assert_eq!(windows.len() as i64, 10 - first_day);
    }
    let (store, handle) = ten_days();
    let sweep_at = async |now| sweep(&handle, &Clock::simulated(WallNs(now)), &policy()).await.unwrap();
    assert_eq!(sweep_at(3 * DAY_NS).await, 0);
    check(&store, 0);
    assert_eq!(sweep_at(5 * DAY_NS + 1).await, 4, "one of them is the other monitor's");
    check(&store, 3);
    assert_eq!(store.monitors().unwrap(), ["pay"]);
    // A hundred years ahead, or back: as if it were the time of the newest window, or nothing.
    assert_eq!(sweep_at(36_500 * DAY_NS).await, 3);
    check(&store, 6);
    assert_eq!(sweep_at(-36_500 * DAY_NS).await, 0);
    check(&store, 6);
    let nothing = StoreHandle::local(Arc::new(Model::default()));
    assert_eq!(horizon(&nothing, WallNs(DAY_NS), policy().keep).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_sweeping() {
    let (store, handle) = ten_days();
    let clock = Clock::simulated(WallNs(0));
    let sweeping = tokio::spawn(keep_by_age(handle, clock.clone(), policy()));
    for day in 1..=9 {
        clock.sleep(Duration::from_nanos(DAY_NS as u64)).await;
        let expected = (day - 3).max(0) * DAY_NS;
        // The sweep of this moment may come after us.
        let swept = async {
            while store.windows("pay", ALL, 1, false).unwrap()[0].window_ns < expected {
                clock.sleep(Duration::from_secs(1)).await;
            }
        };
        clock.timeout(PATIENCE * 3, swept).await.unwrap();
        assert_eq!(store.windows("pay", ALL, 1, false).unwrap()[0].window_ns, expected);
    }
    sweeping.abort();
}
