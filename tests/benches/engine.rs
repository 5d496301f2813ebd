//! Where the engine's time goes: its steps on 16 MiB of an access log in memory, one thread, in bytes per second.
//! `cargo bench -p sunfire-tests --bench engine`.

use agent::profile::{LoglineStamps, StampProfile, StampZone};
use agent::protocol::{Answer, FindAnswer, FindRequest, PROTOCOL_VERSION, Request, RequestBody, SnapshotRequest};
use agent::roots::{HardLinks, Roots};
use agent::service::{Agent, Served};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logline::fields::{Extractor, Rule, Scratch, Slot};
use logline::order::Following;
use logline::records::{RecordReader, Start};
use logline::stamp::{Detection, Profile, ProfileReader, Zone, learn};
use map::engine::{Counter, Input, Labels};
use map::number::Decimal;
use map::plan::Plan;
use std::hint::black_box;
use std::sync::Arc;
use sunfire_tests::access_log::{write_access_log, write_application_log};

const LOG_BYTES: u64 = 16 << 20;
/// Bytes pushed at once, as `eval` reads them.
const READ_BYTES: usize = 256 << 10;

struct Log {
    bytes: Vec<u8>,
    profile: Profile,
}

impl Log {
    fn new(bytes: Vec<u8>) -> Self {
        let Detection::Stamped(detected) = learn(&bytes) else {
            panic!("the log has stamps")
        };
        Self {
            profile: detected.profile,
            bytes,
        }
    }

    fn access() -> Self {
        let mut bytes = Vec::new();
        write_access_log(&mut bytes, LOG_BYTES, 1).expect("memory can be written");
        Self::new(bytes)
    }

    fn application() -> Self {
        let mut bytes = Vec::new();
        write_application_log(&mut bytes, LOG_BYTES, 1).expect("memory can be written");
        Self::new(bytes)
    }

    fn reader(&self) -> RecordReader<ProfileReader> {
        RecordReader::new(ProfileReader::new(&self.profile, Zone::utc()), Start::FileStart, 0)
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split(|byte| *byte == b'\n')
    }
}

/// Splits and stamps, and counts nothing.
fn split(log: &Log) -> u64 {
    let mut reader = log.reader();
    let mut records = 0;
    for piece in log.bytes.chunks(READ_BYTES) {
        reader.push(piece);
        records += reader.closed().len() as u64;
        reader.release(reader.closed().len());
    }
    records
}

fn count(log: &Log, plan: &Plan, rule: &Option<Rule>) -> usize {
    let input = Input {
        labels: Labels::default(),
        lateness_ns: 10_000_000_000,
        rule: rule.clone(),
        form: logline::text::Form::default(),
        generation: 0,
    };
    let mut counter = Counter::new(plan, input, None).expect("the rule has the fields");
    let mut reader = log.reader();
    for piece in log.bytes.chunks(READ_BYTES) {
        reader.push(piece);
        counter.take(&mut reader, Following::MayCome, u64::MAX);
    }
    reader.finish();
    counter.take(&mut reader, Following::None, u64::MAX);
    counter.finish().windows.len()
}

fn steps(criterion: &mut Criterion) {
    let log = Log::access();
    let mut group = criterion.benchmark_group("access log, step");
    group
        .throughput(Throughput::Bytes(log.bytes.len() as u64))
        .sample_size(20);
    group.bench_function("find newlines", |bencher| {
        bencher.iter(|| memchr::memchr_iter(b'\n', black_box(&log.bytes)).count());
    });
    group.bench_function("records and stamps", |bencher| bencher.iter(|| split(black_box(&log))));
    let columns = ["status".to_owned(), "body_bytes_sent".to_owned()];
    let mut extractor = Extractor::new(&Rule::nginx_combined(), &columns).expect("nginx has them");
    group.bench_function("two columns", |bencher| {
        let (mut scratch, mut slots) = (Scratch::default(), [Slot::Absent; 2]);
        bencher.iter(|| {
            let cut = |line| extractor.extract(line, &mut scratch, &mut slots).is_ok();
            log.lines().map(cut).filter(|is_cut| *is_cut).count()
        });
    });
    group.finish();
    criterion.bench_function("decimal of 5 digits", |bencher| {
        bencher.iter(|| Decimal::parse(black_box(b"48213")))
    });
}

fn questions(criterion: &mut Criterion) {
    let cases = [
        ("count", Log::access(), "select count() every 1m"),
        (
            "count, sum, max by status per minute",
            Log::access(),
            "select count(), sum(body_bytes_sent), max(body_bytes_sent) parse nginx group by status every 1m",
        ),
        (
            "p99 by status",
            Log::access(),
            "select p99(body_bytes_sent) parse nginx group by status every 1m",
        ),
        (
            "count, sum, p99 by (op, result) per 5 s, kv",
            Log::application(),
            "select count(), sum(cost), p99(cost) parse kv('|', '=', ' - ') group by op, result every 5s",
        ),
    ];
    let mut group = criterion.benchmark_group("question");
    for (name, log, question) in &cases {
        let monitor = configs::parse_mql(question).unwrap_or_else(|error| panic!("{error}"));
        let plan = Plan::new(&monitor).unwrap_or_else(|error| panic!("{error}"));
        group
            .throughput(Throughput::Bytes(log.bytes.len() as u64))
            .sample_size(20);
        group.bench_function(*name, |bencher| {
            bencher.iter(|| count(black_box(log), &plan, &monitor.parse))
        });
    }
    group.finish();
}

/// Bytes of the log that a first query meets: the search is logarithmic, so more would hardly cost more.
const SEARCHED_BYTES: u64 = 256 << 20;

/// What a first query costs the host of a log: the listing, and the search for where reading must begin. On one thread
/// and a warm page cache, so the time is CPU time.
fn first_query(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let base = folder.path().canonicalize().expect("it is there");
    let path = base.join("access.log");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("the folder can be written to"));
    write_access_log(&mut file, SEARCHED_BYTES, 1).expect("the disk has room");
    drop(file);
    let bytes = std::fs::read(&path).expect("what was written is there");
    let Detection::Stamped(detected) = learn(&bytes[..64 << 10]) else {
        panic!("the log has stamps")
    };
    let stamp_at = |offset: usize| {
        let mut lines = bytes[offset..].split(|byte| *byte == b'\n').skip(1);
        let mut stamps = ProfileReader::new(&detected.profile, Zone::utc());
        lines
            .find_map(|line| stamps.read_at(line, 0))
            .expect("lines have stamps")
    };
    let text = |path: &std::path::Path| path.to_str().expect("a plain name").to_owned();
    let roots = Roots::open(&[text(&base)], HardLinks::Refuse).expect("the root is there");
    let agent = Agent::new(roots, Arc::new(lika::seam::Clock::system()), Arc::new(LoglineStamps));
    let ask = |body: RequestBody| {
        let version = PROTOCOL_VERSION;
        match agent.serve(Request { version, body }) {
            Served::Answer(answer) => answer,
            Served::Range(_) => panic!("bytes were not asked for"),
        }
    };
    let snapshot = || {
        ask(RequestBody::Snapshot(SnapshotRequest {
            pattern: text(&path),
            dates_from_ns: 0,
            known: Vec::new(),
        }))
    };
    let Answer::Snapshot(listed) = snapshot() else {
        panic!("the log is listed")
    };
    let find = |start_ns: i64| {
        ask(RequestBody::Find(FindRequest {
            path: text(&path),
            identity: listed.generations[0].identity,
            start_ns,
            lateness_ns: detected.profile.lateness_ns,
            hint: None,
            profile: StampProfile::new(&detected.profile, StampZone::Named("UTC".to_owned())),
        }))
    };
    let mut group = criterion.benchmark_group("first query");
    for (name, offset) in [
        ("in the middle", bytes.len() / 2),
        ("in the tail", bytes.len() - (100 << 10)),
    ] {
        let start_ns = stamp_at(offset);
        assert!(matches!(find(start_ns), Answer::Find(FindAnswer::Found { .. })));
        group.bench_function(name, |bencher| bencher.iter(|| (snapshot(), find(black_box(start_ns)))));
    }
    group.finish();
}

criterion_group!(benches, steps, questions, first_query);
criterion_main!(benches);
