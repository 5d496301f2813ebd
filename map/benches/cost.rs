//! What questions cost, beside what `configs::cost` estimates: processor time of one thread for splitting, stamping and
//! counting 16 MiB in memory, without learning the format. `cargo bench -p map --bench cost`.

#[allow(dead_code, reason = "other benchmarks write logs that this one does not")]
#[path = "../../tests/src/access_log.rs"]
mod access_log;

use access_log::{Numbers, write_access_log, write_application_log};
use configs::cost::Estimate;
use logline::order::Following;
use logline::records::{RecordReader, Start};
use logline::stamp::{Detection, Profile, ProfileReader, Zone, learn};
use map::engine::{Counter, Input, Labels};
use map::plan::Plan;
use std::io::Write;

const LOG_BYTES: u64 = 16 << 20;
/// Bytes pushed at once, as a Map gets them.
const READ_BYTES: usize = 256 << 10;
/// The least of so many runs counts: whatever else the machine does only adds.
const RUNS: usize = 5;

const ACCESS: [&str; 16] = [
    "select count()",
    "select count() group by host",
    "select count(), sum(body_bytes_sent), max(body_bytes_sent) parse nginx group by status",
    "select count() parse nginx group by status",
    "select sum(body_bytes_sent) parse nginx",
    "select avg(body_bytes_sent), min(body_bytes_sent) parse nginx",
    "select stddev(body_bytes_sent) parse nginx",
    "select p99(body_bytes_sent) parse nginx group by status",
    "select distinct(remote_addr) parse nginx",
    "select last(uri) parse nginx group by status",
    "select count() parse nginx where status = '500'",
    "select count() parse nginx where status in ('404', '500') and body_bytes_sent > 1000",
    "select count() where line contains 'bingbot'",
    "select count() where line matches 'item/1[0-9]+7'",
    "select count() parse regex('\" (?<status>[0-9]+) (?<size>[0-9]+) \"') group by status",
    "select count() parse nginx group by uri",
];
const APPLICATION: [&str; 9] = [
    "select count()",
    "select count(), sum(cost), p99(cost) parse kv('|', '=', ' - ') group by op, result",
    "select count() parse kv('|', '=', ' - ') group by op",
    "select count(result = 'failure'), count() parse kv('|', '=', ' - ') group by op",
    "select sum(amount) parse kv('|', '=', ' - ') where op in ('pay', 'refund') group by op, result",
    "select count(), sum(amount) parse split('|', '_', 'result', 'cost', 'amount') group by result",
    "select count(), sum(cost) parse between(op: 'op=','|', cost: 'cost=','|') group by op",
    "select count(), sum(cost) parse regex('op=(?<op>[a-z]+).*cost=(?<cost>[0-9]+)') group by op",
    "select distinct(user), stddev(cost), first(trace) parse kv('|', '=', ' - ') group by op",
];
const JSON: [&str; 4] = [
    "select count() parse json group by op",
    "select sum(cost) parse json",
    "select count(), sum(amount), p99(cost) parse json group by op, result",
    "select count(), sum(cost) parse json where result = 'failure' group by user",
];
const LOGFMT: [&str; 2] = [
    "select count(), sum(cost) parse logfmt group by op",
    "select count(), sum(amount), p99(cost) parse logfmt group by op, result",
];

struct Log {
    bytes: Vec<u8>,
    lines: u64,
    profile: Profile,
}

impl Log {
    fn new(bytes: Vec<u8>) -> Self {
        let Detection::Stamped(detected) = learn(&bytes) else {
            panic!("the log has stamps")
        };
        Self {
            profile: detected.profile,
            lines: memchr::memchr_iter(b'\n', &bytes).count() as u64,
            bytes,
        }
    }

    /// Lines of fields, each field written by `field` and all of them by `line`.
    fn of_fields(line: impl Fn(&str, &[(&str, String)]) -> String) -> Self {
        let (mut numbers, mut bytes, mut lines) = (Numbers::new(1), Vec::new(), 0_u64);
        while (bytes.len() as u64) < LOG_BYTES {
            let (seconds, milliseconds) = (lines / 6000, lines / 6 % 1000);
            let stamp = format!(
                "2026-11-23T{:02}:{:02}:{:02}.{milliseconds:03}Z",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60
            );
            let op = ["pay", "refund", "query", "cancel"][numbers.below(4) as usize];
            let result = if numbers.below(50) == 0 { "failure" } else { "success" };
            let fields = [
                ("level", "INFO".to_owned()),
                ("op", op.to_owned()),
                ("result", result.to_owned()),
                ("cost", numbers.below(400).to_string()),
                ("amount", format!("{}.{:02}", numbers.below(900), numbers.below(100))),
                ("trace", format!("{:016x}", numbers.draw())),
                ("user", format!("u{:07}", numbers.below(2_000_000))),
            ];
            writeln!(bytes, "{}", line(&stamp, &fields)).expect("memory can be written");
            lines += 1;
        }
        Self::new(bytes)
    }

    fn json() -> Self {
        Self::of_fields(|stamp, fields| {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("\"{name}\":\"{value}\""))
                .collect();
            format!("{{\"time\":\"{stamp}\",{}}}", fields.join(","))
        })
    }

    fn logfmt() -> Self {
        Self::of_fields(|stamp, fields| {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("time={stamp} {}", fields.join(" "))
        })
    }
}

fn written(write: fn(&mut Vec<u8>, u64, u64) -> std::io::Result<()>) -> Log {
    let mut bytes = Vec::new();
    write(&mut bytes, LOG_BYTES, 1).expect("memory can be written");
    Log::new(bytes)
}

/// Counts all of a log; the nanoseconds of processor time that took.
fn count(log: &Log, plan: &Plan, rule: &Option<logline::fields::Rule>) -> u64 {
    let input = Input {
        labels: Labels::new([("host".to_owned(), "web-1".to_owned())]),
        lateness_ns: 10_000_000_000,
        rule: rule.clone(),
        form: logline::text::Form::default(),
        generation: 0,
    };
    let mut counter = Counter::new(plan, input, None).expect("the rule has the fields");
    let mut reader = RecordReader::new(ProfileReader::new(&log.profile, Zone::utc()), Start::FileStart, 0);
    let began_ns = lika::seam::thread_cpu_ns();
    for piece in log.bytes.chunks(READ_BYTES) {
        reader.push(piece);
        counter.take(&mut reader, Following::MayCome, u64::MAX);
    }
    reader.finish();
    counter.take(&mut reader, Following::None, u64::MAX);
    let taken_ns = lika::seam::thread_cpu_ns() - began_ns;
    assert!(!counter.finish().windows.is_empty(), "something was counted");
    taken_ns
}

fn measure(name: &str, log: &Log, questions: &[&str]) {
    let line_bytes = log.bytes.len() as u64 / log.lines;
    println!("{name}: {line_bytes} bytes a line");
    for question in questions {
        let monitor = configs::parse_mql(&format!("{question} every 5s")).unwrap_or_else(|error| panic!("{error}"));
        let plan = Plan::new(&monitor).unwrap_or_else(|error| panic!("{error}"));
        let taken_ns = (0..RUNS).map(|_| count(log, &plan, &monitor.parse)).min().unwrap_or(0);
        let (measured, estimated) = (taken_ns / log.lines, Estimate::of(&monitor).record_ns(line_bytes));
        let ratio = estimated as f64 / measured as f64;
        println!("{measured:>6} {estimated:>6} {ratio:>6.2}  {question}");
    }
}

fn main() {
    println!("nanoseconds a record: measured, estimated, and the ratio");
    measure("access log", &written(write_access_log), &ACCESS);
    measure("application log", &written(write_application_log), &APPLICATION);
    measure("JSON", &Log::json(), &JSON);
    measure("logfmt", &Log::logfmt(), &LOGFMT);
}
