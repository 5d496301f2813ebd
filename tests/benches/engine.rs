//! Where the engine's time goes: its steps on 16 MiB of an access log in memory, one thread, in bytes per second.
//! `cargo bench -p sunfire-tests --bench engine`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logline::fields::{Extractor, Rule, Scratch, Slot};
use logline::order::Following;
use logline::records::{RecordReader, Start};
use logline::stamp::{Detection, Profile, ProfileReader, Zone, learn};
use map::engine::{Counter, Input, Labels};
use map::number::Decimal;
use map::plan::Plan;
use std::hint::black_box;
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

criterion_group!(benches, steps, questions);
criterion_main!(benches);
