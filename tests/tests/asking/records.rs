//! Records of a fleet: what comes back is held against what was written, line by line, without any code that reads
//! logs.

use super::{Fleet, LINES, SECOND_NS, rfc3339};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use sunfire_tests::binary;

/// Where in the log a record stands that is longer than what is shown of one.
const LONG: i64 = 150;
/// And one that is late.
const LATE: i64 = 500;
/// How much of a text is shown.
const SHOWN_BYTES: usize = 4096;

/// The monitor whose records are asked for.
pub const MONITOR: &str = "kind: monitor
name: asked
app: shop
log: LOG
parse: logfmt
where: op <> 'ask'
group_by: [{ op: what }, zone]
select: { n: count() }
window: 5s
lateness: 3s
";

/// A record as it was written.
#[derive(Debug, Clone)]
pub struct Written {
    ns: i64,
    host: String,
    file: String,
    offset: u64,
    text: String,
    op: &'static str,
    zone: &'static str,
}

/// A log of two generations, with traces, a long record, and one that is late and counts nowhere; what of it counts.
pub fn write(folder: &Path, host: &str, number: usize, from_ns: i64) -> Vec<Written> {
    let mut written = Vec::new();
    for (name, lines) in [("records.log.1", 0..LINES / 2), ("records.log", LINES / 2..LINES)] {
        let path = folder.join(name);
        let mut bytes = String::new();
        for n in lines {
            let op = ["pay", "refund", "ask"][(n as usize * 5 + number) % 3];
            // Hosts write at the same instants: ties stand by host.
            let ns = from_ns + n * SECOND_NS;
            let pad = "ä".repeat(if n == LONG { 3000 } else { 0 });
            let trace = if n % 60 == 11 {
                "\n  at <b>some</b>.place(Code:1)"
            } else {
                ""
            };
            let text = format!("{} level=INFO op={op} n={n} pad={pad}{trace}", rfc3339(ns));
            written.push(Written {
                ns,
                host: host.to_owned(),
                file: path.display().to_string(),
                offset: bytes.len() as u64,
                text: text.clone(),
                op,
                zone: if number < 4 { "a" } else { "b" },
            });
            bytes += &text;
            bytes.push('\n');
            if n == LATE {
                let late = rfc3339(ns - 100 * SECOND_NS);
                bytes += &format!("{late} level=INFO op=pay n={n} late=true\n");
            }
        }
        fs::write(path, bytes).expect("a file");
    }
    written
}

/// What was written between two seconds of the log, in the order of an answer.
fn expected(fleet: &Fleet, seconds: std::ops::Range<i64>, wanted: impl Fn(&Written) -> bool) -> Vec<Written> {
    let range = fleet.from_ns + seconds.start * SECOND_NS..fleet.from_ns + seconds.end * SECOND_NS;
    let is_in = |written: &&Written| range.contains(&written.ns) && wanted(written);
    let mut found: Vec<Written> = fleet.written.iter().filter(is_in).cloned().collect();
    found.sort_by(|a, b| (a.ns, &a.host, &a.file, a.offset).cmp(&(b.ns, &b.host, &b.file, b.offset)));
    found
}

fn between(fleet: &Fleet, seconds: std::ops::Range<i64>) -> String {
    let at = |second: i64| rfc3339(fleet.from_ns + second * SECOND_NS);
    format!("from {} to {}", at(seconds.start), at(seconds.end))
}

fn question(fleet: &Fleet, condition: &str, seconds: std::ops::Range<i64>, rest: &str) -> String {
    let log = fleet.cluster.hosts_folder().join("${host}/records.log");
    let (log, between) = (log.display(), between(fleet, seconds));
    format!("select * from log '{log}' parse logfmt where app = 'shop'{condition} lateness 3s {between} {rest}")
}

#[track_caller]
fn check(records: &[Value], expected: &[Written]) {
    let shown = |record: &Value| {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let offset = record["offset"].as_u64().unwrap_or_default();
        (text("time"), text("host"), text("file"), offset, text("text"))
    };
    let written = |written: &Written| {
        let (host, file) = (written.host.clone(), written.file.clone());
        (rfc3339(written.ns), host, file, written.offset, written.text.clone())
    };
    let shown: Vec<_> = records.iter().map(shown).collect();
    let expected: Vec<_> = expected.iter().map(written).collect();
    assert_eq!(shown.len(), expected.len(), "{shown:?}");
    for (shown, expected) in shown.iter().zip(&expected) {
        assert_eq!(shown, expected);
    }
}

pub fn those_that_come_back_are_those_that_were_written(fleet: &Fleet) {
    let pays = |written: &Written| written.op == "pay";
    let all = expected(fleet, 60..90, pays);
    assert!(all.len() > 80, "vacuous: {}", all.len());
    let (records, code, told) = fleet.ask(&[&question(fleet, " and op = 'pay'", 60..90, "limit 1000")]);
    assert_eq!(code, 0, "{told}");
    check(&records, &all);
    assert!(
        told.contains(&format!("{} records, which are all; completeness 100 %", all.len())),
        "{told}"
    );
    // Below 100 % nobody says that these are all.
    let earlier = question(fleet, " and op = 'pay'", -60..3, "limit 1000");
    let (records, code, told) = fleet.ask(&[&earlier]);
    check(&records, &expected(fleet, 0..3, pays));
    assert!(
        code == 3 && told.contains("records, which are all that were found"),
        "{told}"
    );
    // The first, and the latest: across the seam of the two generations.
    let all = expected(fleet, LINES / 2 - 30..LINES / 2 + 30, pays);
    let range = LINES / 2 - 30..LINES / 2 + 30;
    let (records, code, told) = fleet.ask(&[&question(fleet, " and op = 'pay'", range.clone(), "limit 7")]);
    assert_eq!(code, 0, "{told}");
    check(&records, &all[..7]);
    assert!(told.contains(&format!("7 of {} records", all.len())), "{told}");
    let latest = question(fleet, " and op = 'pay'", range, "order by time desc limit 150");
    let (records, code, told) = fleet.ask(&[&latest]);
    assert_eq!(code, 0, "{told}");
    let mut latest = all[all.len() - 150..].to_vec();
    latest.reverse();
    check(&records, &latest);
    let files: BTreeSet<&str> = records.iter().filter_map(|record| record["file"].as_str()).collect();
    assert_eq!(
        files.len(),
        20,
        "both generations of every host, by their own names: {files:?}"
    );
    // All of the log, of which a few are wanted: what is read beyond them costs no record.
    let (records, code, told) = fleet.ask(&[&question(fleet, "", 0..LATE - 20, "limit 3")]);
    assert_eq!(code, 0, "{told}");
    check(&records, &expected(fleet, 0..LATE - 20, |_| true)[..3]);
}

pub fn what_does_not_count_is_not_shown_and_what_is_cut_says_so(fleet: &Fleet) {
    let late = LATE - 100;
    for seconds in [late - 2..late + 2, LATE - 2..LATE + 2] {
        let (records, code, told) = fleet.ask(&[&question(fleet, "", seconds.clone(), "limit 1000")]);
        check(&records, &expected(fleet, seconds.clone(), |_| true));
        assert_eq!(code, if seconds.contains(&LATE) { 3 } else { 0 }, "{told}");
    }
    let (records, code, told) = fleet.ask(&[&question(fleet, "", LONG..LONG + 1, "")]);
    assert_eq!((records.len(), code), (10, 0), "{told}");
    for (record, written) in records.iter().zip(expected(fleet, LONG..LONG + 1, |_| true)) {
        let text = record["text"].as_str().expect("a text");
        assert_eq!(
            (&record["cut"], &record["bytes"]),
            (&true.into(), &(written.text.len() as u64 + 1).into())
        );
        assert!(written.text.starts_with(text), "{text}");
        assert!((SHOWN_BYTES - 3..=SHOWN_BYTES).contains(&text.len()), "{}", text.len());
    }
}

/// The records behind a point of a monitor are as many as it counted, and those.
pub fn a_points_records_are_those_that_it_counted(fleet: &Fleet) {
    let (from, to) = (120, 140);
    let points = fleet.ask_until_settled(&format!("select * from asked {}", between(fleet, from..to)));
    let mut seen = 0;
    for point in points.iter().filter(|point| point["group"]["what"].is_string()) {
        let (what, zone) = (&point["group"]["what"], &point["group"]["zone"]);
        let (what, zone) = (what.as_str().expect("a text"), zone.as_str().expect("a text"));
        let window = point["window"].as_str().expect("a window");
        let seconds = (from..to).find(|second| rfc3339(fleet.from_ns + second * SECOND_NS) == window);
        let seconds = seconds
            .map(|second| second..second + 5)
            .expect("one of those that were asked for");
        if seen % 4 == 0 {
            let condition = format!("where what = '{what}' and zone = '{zone}'");
            let asked = format!(
                "select * from log asked {condition} {} limit 1000",
                between(fleet, seconds.clone())
            );
            let (records, code, told) = fleet.ask(&[&asked]);
            assert_eq!(code, 0, "{told}");
            let of_it = |written: &Written| written.op == what && written.zone == zone;
            check(&records, &expected(fleet, seconds, of_it));
            assert_eq!(point["values"]["n"].as_u64(), Some(records.len() as u64), "{point}");
        }
        seen += 1;
    }
    assert!(seen >= 12, "vacuous: {seen} points");
    // What the monitor filters out stays out, and any column of its records narrows them.
    let asked = format!("select * from log asked where n = '130' {}", between(fleet, from..to));
    let (records, code, told) = fleet.ask(&[&asked]);
    assert_eq!(code, 0, "{told}");
    check(&records, &expected(fleet, 130..131, |written| written.op != "ask"));
}

pub fn what_has_no_records_is_said(fleet: &Fleet) {
    for (question, expected) in [
        ("select * from log system since 5m", "there are no records"),
        ("select * from log askd since 5m", "did you mean `asked`?"),
        ("select * from log asked parse json", "`parse` is the monitor's"),
        ("select count() from log asked", "only the records can be asked for"),
        ("select * from log asked limit 5000", "more than 1000 records"),
        ("select * from log asked order by n", "order of their times"),
    ] {
        let (records, code, told) = fleet.ask(&[question]);
        assert_eq!((records.len(), code), (0, 2), "{question}: {told}");
        assert!(told.contains(expected) && told.contains('^'), "{question}: {told}");
    }
    let (_, code, told) = fleet.ask(&[
        "--explain",
        "select * from log asked where what = 'pay' since 5m limit 9",
    ]);
    assert_eq!(code, 0, "{told}");
}

/// While a host is stopped: it is named, and the records of all others are there.
pub fn without_a_host_the_rest_is_exact(fleet: &Fleet, stopped: &str) {
    let (records, code, told) = fleet.ask(&[&question(fleet, " and op = 'pay'", 60..90, "limit 20")]);
    assert_eq!(code, 3, "{told}");
    let others = |written: &Written| written.op == "pay" && written.host != stopped;
    check(&records, &expected(fleet, 60..90, others)[..20]);
    assert!(
        told.lines().any(|line| line.starts_with(&format!("{stopped}: "))),
        "{told}"
    );
    assert!(told.contains("completeness 90 % (270 of 300"), "{told}");
    // Who asks for other hosts does not wait for that one, and misses nothing.
    for (condition, hosts) in [(" and host = 'web-02'", 1), (" and zone = 'b' and host <> 'web-05'", 5)] {
        let (records, code, told) = fleet.ask(&[&question(fleet, condition, 60..65, "limit 1000")]);
        assert_eq!(code, 0, "{told}");
        let is_asked = |written: &Written| match hosts {
            1 => written.host == "web-02",
            _ => written.zone == "b" && written.host != "web-05",
        };
        check(&records, &expected(fleet, 60..65, is_asked));
        assert!(told.contains(&format!("{hosts} of {hosts} hosts answered")), "{told}");
    }
}

/// `sunfire eval` shows the same of the same files.
pub fn files_here_say_the_same(fleet: &Fleet) {
    let host = "web-01";
    let path = fleet.cluster.host_folder(host).join("records.log");
    let (first, last) = (LINES / 2 + 10, LINES / 2 + 40);
    let at = |second: i64| rfc3339(fleet.from_ns + second * SECOND_NS);
    let output = Command::new(binary::dev())
        .args([
            "eval",
            "select * parse logfmt where op = 'pay' lateness 3s limit 1000",
            "--format",
            "json",
        ])
        .args(["--from", &at(first), "--to", &at(last)])
        .arg(&path)
        .output()
        .expect("the built binary runs");
    let records = super::lines(&output.stdout);
    let mut wanted = expected(fleet, first..last, |written| {
        written.host == host && written.op == "pay"
    });
    wanted
        .iter_mut()
        .for_each(|written| written.host = path.display().to_string());
    assert!(!wanted.is_empty());
    check(&records, &wanted);
}
