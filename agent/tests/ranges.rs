//! Byte ranges: exact bytes, true lengths, changes said; and a whole reader over 500 rotations, nothing lost or twice.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agent::content::{fingerprint_of, tail_hash_of};
use agent::profile::{ProfileError, StampProfile, StampZone};
use agent::protocol::{
    Answer, Content, FINGERPRINT_BYTES, Fingerprint, Generation, Identity, KnownGeneration, KnownVerdict,
    PROTOCOL_VERSION, RangeEnd, RangeOutcome, RangeRequest, Request, RequestBody, SnapshotAnswer, SnapshotRequest,
    Stability, TAIL_BYTES, TailHash,
};
use agent::ranges::{RangeSink, SocketSink};
use agent::roots::{HardLinks, Roots};
use agent::service::{Agent, Served, StampReader, StampReaders};
use agent::snapshot::{HostClock, HostFacts};
use jiff::tz::TimeZone;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

struct Frozen;

impl HostClock for Frozen {
    fn now_ns(&self) -> i64 {
        1_795_435_200_000_000_000
    }
}

impl StampReaders for Frozen {
    fn reader(&self, profile: &StampProfile, _: &HostFacts) -> Result<StampReader, ProfileError> {
        if profile.zone != StampZone::Host {
            return Err(ProfileError::Other("it is not decimal".to_owned()));
        }
        Ok(Box::new(|_, line| {
            std::str::from_utf8(line.split(|byte| *byte == b' ').next()?)
                .ok()?
                .parse()
                .ok()
        }))
    }
}

fn agent_over(base: &str) -> Agent {
    let roots = Roots::open(&[base.to_owned()], HardLinks::Refuse).expect("roots");
    let facts = || HostFacts {
        zone: TimeZone::UTC,
        machine_id: "m".into(),
        instance: 0,
    };
    Agent::new(roots, Arc::new(Frozen), Arc::new(Frozen)).with_facts(facts)
}

fn ask(agent: &Agent, body: RequestBody) -> Served {
    agent.serve(Request {
        version: PROTOCOL_VERSION,
        body,
    })
}

fn snapshot(agent: &Agent, pattern: &str, known: Vec<KnownGeneration>) -> SnapshotAnswer {
    let request = SnapshotRequest {
        pattern: pattern.to_owned(),
        dates_from_ns: 0,
        known,
    };
    match ask(agent, RequestBody::Snapshot(request)) {
        Served::Answer(Answer::Snapshot(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

/// Collects in memory; before the n-th chunk it can do something to the file.
struct Memory<F> {
    bytes: Vec<u8>,
    chunks: u32,
    before_chunk: F,
}

impl<F: FnMut(u32)> RangeSink for Memory<F> {
    async fn send(&mut self, file: &OwnedFd, offset: u64, length: u64) -> io::Result<u64> {
        (self.before_chunk)(self.chunks);
        self.chunks += 1;
        let from = self.bytes.len();
        self.bytes.resize(from + length as usize, 0);
        let read = rustix::io::pread(file, &mut self.bytes[from..], offset)?;
        self.bytes.truncate(from + read);
        Ok(read as u64)
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(future)
}

fn pull(agent: &Agent, request: RangeRequest, before_chunk: impl FnMut(u32)) -> (Vec<u8>, RangeEnd) {
    let mut sink = Memory {
        bytes: Vec::new(),
        chunks: 0,
        before_chunk,
    };
    match ask(agent, RequestBody::Range(request)) {
        Served::Range(plan) => {
            let end = wait(plan.send(&mut sink)).expect("sent");
            (sink.bytes, end)
        }
        Served::Answer(Answer::Range(end)) => (Vec::new(), end),
        other => panic!("{other:?}"),
    }
}

struct Scene {
    _folder: tempfile::TempDir,
    base: String,
    path: String,
    bytes: Vec<u8>,
}

impl Scene {
    fn new(length: usize) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let base = folder
            .path()
            .canonicalize()
            .expect("real")
            .to_str()
            .expect("utf-8")
            .to_owned();
        let path = format!("{base}/app.log");
        let mut bytes = Vec::with_capacity(length);
        let mut number = 0_u32;
        while bytes.len() < length {
            bytes.extend_from_slice(format!("{number} a line of the log\n").as_bytes());
            number += 1;
        }
        bytes.truncate(length);
        fs::write(&path, &bytes).expect("write");
        Self {
            _folder: folder,
            base,
            path,
            bytes,
        }
    }

    fn request(&self, agent: &Agent, offset: u64, length: u64) -> RangeRequest {
        let identity = snapshot(agent, &self.path, Vec::new()).generations[0].identity;
        let fingerprint = fingerprint_of(&self.bytes);
        RangeRequest {
            path: self.path.clone(),
            identity,
            fingerprint,
            tail: None,
            offset,
            length,
        }
    }

    #[track_caller]
    fn check(&self, offset: u64, length: u64, expected_length: u64) {
        let agent = agent_over(&self.base);
        let (bytes, end) = pull(&agent, self.request(&agent, offset, length), |_| ());
        let until = (offset + expected_length) as usize;
        assert!(bytes == self.bytes[offset as usize..until], "{offset} {length}");
        let tail_after = Some(tail_hash_of(until as u64, &self.bytes[..until]));
        let size_after = self.bytes.len() as u64;
        assert_eq!(
            end,
            RangeEnd {
                sent: expected_length,
                size_after,
                tail_after,
                outcome: RangeOutcome::Unchanged
            }
        );
    }
}

#[test]
fn ranges_are_exact_and_end_where_the_file_ends() {
    let scene = Scene::new(1_000_000);
    scene.check(0, 1_000_000, 1_000_000);
    scene.check(0, 5_000_000, 1_000_000);
    scene.check(999_999, 10, 1);
    scene.check(1_000_000, 10, 0);
    scene.check(1000, 0, 0);
    scene.check(12_345, 262_144, 262_144);
    scene.check(12_345, 262_145, 262_145);
    Scene::new(0).check(0, 100, 0);
    Scene::new(3).check(1, 100, 2);
}

#[track_caller]
fn check_refused(scene: &Scene, change: impl FnOnce(&mut RangeRequest), expected: RangeOutcome) {
    let agent = agent_over(&scene.base);
    let mut request = scene.request(&agent, 1000, 1000);
    change(&mut request);
    let (bytes, end) = pull(&agent, request, |_| ());
    assert_eq!((bytes.len(), end.sent, end.outcome), (0, 0, expected));
}

#[test]
fn a_file_that_is_not_the_known_one_is_not_sent() {
    let scene = Scene::new(10_000);
    let tail = tail_hash_of(1000, &scene.bytes[..1000]);
    let changed = RangeOutcome::ChangedBefore;
    check_refused(&scene, |request| request.identity.inode += 1, RangeOutcome::Gone);
    check_refused(
        &scene,
        |request| request.fingerprint.hash += 1,
        changed(KnownVerdict::HeadDiffers),
    );
    let wrong = TailHash {
        hash: tail.hash + 1,
        ..tail
    };
    check_refused(
        &scene,
        |request| request.tail = Some(wrong),
        changed(KnownVerdict::TailDiffers),
    );
    check_refused(&scene, |request| request.offset = 10_001, changed(KnownVerdict::Shrunk));
    let beyond = TailHash {
        offset: 10_001,
        hash: 1,
    };
    check_refused(
        &scene,
        |request| request.tail = Some(beyond),
        changed(KnownVerdict::Shrunk),
    );
    let agent = agent_over(&scene.base);
    let good = RangeRequest {
        tail: Some(tail),
        ..scene.request(&agent, 1000, 1000)
    };
    assert_eq!(pull(&agent, good, |_| ()).1.outcome, RangeOutcome::Unchanged);
}

#[track_caller]
fn check_during(change: impl Fn(&str), expected: RangeOutcome) {
    let scene = Scene::new(1_000_000);
    let agent = agent_over(&scene.base);
    let request = scene.request(&agent, 0, 1_000_000);
    let (_, end) = pull(&agent, request, |chunk| {
        if chunk == 2 {
            change(&scene.path)
        }
    });
    assert_eq!(end.outcome, expected);
    assert_eq!(end.tail_after.is_some(), end.outcome == RangeOutcome::Unchanged);
}

#[test]
fn a_change_while_sending_is_said() {
    let truncate = |path: &str| {
        drop(
            OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(path)
                .expect("truncate"),
        )
    };
    let during = RangeOutcome::ChangedDuring;
    check_during(truncate, during(KnownVerdict::Shrunk));
    check_during(
        |path| fs::write(path, vec![b'x'; 2_000_000]).expect("rewrite"),
        during(KnownVerdict::HeadDiffers),
    );
    check_during(
        |path| fs::rename(path, format!("{path}.1")).expect("rename"),
        RangeOutcome::Unchanged,
    );
    check_during(|path| fs::remove_file(path).expect("remove"), RangeOutcome::Unchanged);
    let append = |path: &str| {
        OpenOptions::new()
            .append(true)
            .open(path)
            .expect("open")
            .write_all(b"more")
            .expect("append");
    };
    check_during(append, RangeOutcome::Unchanged);
}

async fn socket_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let address = listener.local_addr().expect("address");
    let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(address));
    (accepted.expect("accept").0, connected.expect("connect"))
}

#[test]
fn a_socket_gets_the_bytes_by_sendfile_even_if_it_is_slow() {
    let scene = Scene::new(8 << 20);
    let agent = agent_over(&scene.base);
    let request = scene.request(&agent, 7, 20 << 20);
    let Served::Range(plan) = ask(&agent, RequestBody::Range(request)) else {
        panic!("not planned")
    };
    let (received, end) = wait(async {
        let (server, mut client) = socket_pair().await;
        let sending = async {
            let end = plan.send(&mut SocketSink::new(&server)).await;
            drop(server);
            end
        };
        let receiving = async {
            let mut received = Vec::new();
            let mut buffer = vec![0; 10_000];
            // Yields at each read: the sender's buffer fills, and it has to wait for the socket.
            while let Ok(read @ 1..) = client.read(&mut buffer).await {
                received.extend_from_slice(&buffer[..read]);
                tokio::task::yield_now().await;
            }
            received
        };
        let (end, received) = tokio::join!(sending, receiving);
        (received, end.expect("sent"))
    });
    assert!(received == scene.bytes[7..]);
    assert_eq!((end.sent, end.outcome), ((8 << 20) - 7, RangeOutcome::Unchanged));
}

#[test]
fn a_peer_that_goes_ends_the_range() {
    let scene = Scene::new(8 << 20);
    let agent = agent_over(&scene.base);
    let request = scene.request(&agent, 0, 8 << 20);
    let Served::Range(plan) = ask(&agent, RequestBody::Range(request)) else {
        panic!("not planned")
    };
    let sent = wait(async {
        let (server, client) = socket_pair().await;
        drop(client);
        plan.send(&mut SocketSink::new(&server)).await
    });
    assert!(sent.is_err());
}

#[test]
fn no_descriptor_is_held_between_requests() {
    let scene = Scene::new(10_000);
    let agent = agent_over(&scene.base);
    let open = || {
        let own = |entry: io::Result<fs::DirEntry>| {
            fs::read_link(entry.ok()?.path())
                .ok()
                .filter(|target| target.starts_with(&scene.base))
        };
        fs::read_dir("/proc/self/fd")
            .expect("descriptors")
            .filter_map(own)
            .count()
    };
    let before = open();
    assert_eq!(before, 1, "the root");
    for _ in 0..50 {
        pull(&agent, scene.request(&agent, 0, 10_000), |_| ());
        ask(&agent, RequestBody::System);
    }
    assert_eq!(open(), before);
}

/// A reader as a Map would be: remembers for each generation how far it got, and what stood there.
#[derive(Default)]
struct Reader {
    read: HashMap<Identity, Position>,
    lines: Vec<u8>,
}

#[derive(Default, Clone)]
struct Position {
    path: String,
    offset: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
    /// A line that was not finished yet.
    rest: Vec<u8>,
}

impl Position {
    fn advance(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.offset += bytes.len() as u64;
        let missing = FINGERPRINT_BYTES - self.head.len();
        self.head.extend_from_slice(&bytes[..missing.min(bytes.len())]);
        self.tail.extend_from_slice(bytes);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL_BYTES));
        self.rest.extend_from_slice(bytes);
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.rest.drain(..whole).collect()
    }

    fn known(&self, identity: Identity) -> KnownGeneration {
        let tail = tail_hash_of(self.offset, &self.tail);
        KnownGeneration {
            path: self.path.clone(),
            identity,
            fingerprint: fingerprint_of(&self.head),
            tail,
        }
    }
}

impl Reader {
    fn turn(&mut self, agent: &Agent, pattern: &str) {
        let known = self
            .read
            .iter()
            .map(|(identity, position)| position.known(*identity))
            .collect();
        let answer = snapshot(agent, pattern, known);
        if answer.stability == Stability::Unstable {
            return;
        }
        for generation in &answer.generations {
            self.read_generation(agent, generation);
        }
        self.read
            .retain(|identity, _| answer.generations.iter().any(|found| found.identity == *identity));
    }

    fn read_generation(&mut self, agent: &Agent, generation: &Generation) {
        let Content::Readable {
            fingerprint, verdict, ..
        } = generation.content
        else {
            panic!("{generation:?}")
        };
        let position = self.read.entry(generation.identity).or_default();
        if !matches!(verdict, KnownVerdict::Same | KnownVerdict::New) {
            // The identity was given to a new file.
            *position = Position::default();
        }
        position.path.clone_from(&generation.path);
        let length = generation.size - position.offset;
        if length == 0 {
            return;
        }
        let request = range_request(generation, position, fingerprint, length);
        let (bytes, end) = pull(agent, request, |_| ());
        match end.outcome {
            RangeOutcome::Unchanged => {
                let lines = position.advance(&bytes);
                assert_eq!(
                    end.tail_after,
                    Some(tail_hash_of(position.offset, &position.tail)),
                    "end to end"
                );
                self.lines.extend_from_slice(&lines);
            }
            outcome => panic!("{outcome:?}: the writer waits, so nothing may go before it was read"),
        }
    }

    fn numbers(&self) -> Vec<u64> {
        let number = |line: &[u8]| std::str::from_utf8(line).expect("text").parse().expect("number");
        self.lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(number)
            .collect()
    }
}

fn range_request(generation: &Generation, position: &Position, fresh: Fingerprint, length: u64) -> RangeRequest {
    let known = position.known(generation.identity);
    let is_new = position.offset == 0;
    RangeRequest {
        path: generation.path.clone(),
        identity: generation.identity,
        fingerprint: if is_new { fresh } else { known.fingerprint },
        tail: (!is_new).then_some(known.tail),
        offset: position.offset,
        length,
    }
}

const ROTATIONS: u64 = 500;
const LINES_A_ROTATION: u64 = 40;
const KEPT: u64 = 20;

/// Writes numbered lines, half a line at a time, and rotates by renaming; never more than 10 rotations ahead.
fn write_and_rotate(path: &str, read: &AtomicU64) {
    let name = |number| {
        if number == 0 {
            path.to_owned()
        } else {
            format!("{path}.{number}")
        }
    };
    for rotation in 0..ROTATIONS {
        while rotation * LINES_A_ROTATION > read.load(Ordering::Acquire).saturating_add(10 * LINES_A_ROTATION) {
            std::thread::yield_now();
        }
        for number in (0..KEPT).rev() {
            fs::rename(name(number), name(number + 1)).ok();
        }
        let mut file = OpenOptions::new().append(true).create(true).open(path).expect("open");
        for line in 0..LINES_A_ROTATION {
            let text = format!("{:08}\n", rotation * LINES_A_ROTATION + line);
            file.write_all(&text.as_bytes()[..4]).expect("write");
            file.write_all(&text.as_bytes()[4..]).expect("write");
        }
    }
}

struct Release<'r>(&'r AtomicU64);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.store(u64::MAX, Ordering::Release);
    }
}

#[test]
fn five_hundred_rotations_lose_nothing_and_repeat_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let base = folder
        .path()
        .canonicalize()
        .expect("real")
        .to_str()
        .expect("utf-8")
        .to_owned();
    let path = format!("{base}/app.log");
    let agent = agent_over(&base);
    let (read, mut reader) = (AtomicU64::new(0), Reader::default());
    let all = ROTATIONS * LINES_A_ROTATION;
    std::thread::scope(|scope| {
        // However the reading ends, the writer must not wait for it any longer.
        let _release = Release(&read);
        let writer = scope.spawn(|| write_and_rotate(&path, &read));
        while (reader.lines.len() as u64) < all * 9 {
            let finished = writer.is_finished();
            let before = reader.lines.len();
            reader.turn(&agent, &path);
            read.store(reader.lines.len() as u64 / 9, Ordering::Release);
            assert!(
                !finished || reader.lines.len() > before,
                "only {} of {all} lines",
                reader.lines.len() / 9
            );
        }
    });
    let mut numbers = reader.numbers();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..all), "lost or twice");
}
