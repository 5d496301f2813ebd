//! The built binary as people and scripts use it: exit codes, what goes to stdout and what to stderr.

#![allow(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use sunfire_tests::binary;
use tempfile::TempDir;

struct Case {
    folder: TempDir,
}

impl Case {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(binary::dev())
            .current_dir(self.path())
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Points of an `eval`, and its exit code.
    fn eval(&self, arguments: &[&str]) -> (Vec<Value>, i32) {
        let output = self.run(&[&["eval", "--format", "json", "--tz", "UTC"], arguments].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let points = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        (points, output.status.code().unwrap())
    }
}

const PAY: &str = "2026-11-23 07:31:00.100|op=pay|amount=10.5|result=success
2026-11-23 07:31:02.000|op=pay|amount=0.000000001|result=fail
  at Payment.run
2026-11-23 07:31:04.999|op=refund|amount=-3|result=success
2026-11-23 07:31:05.000|op=pay|amount=abc|result=success
";

const PAY_YAML: &str = "kind: monitor
name: pay
app: trade-center
log: /home/admin/logs/pay.log
parse: { kv: { pair: \"|\", assign: \"=\" } }
where: op in ('pay', 'refund')
group_by: [op]
select:
  total: count()
  amount: sum(amount)
  success_rate: 100 * count(result = 'success') / count()
window: 5s
lateness: 10s
";

#[test]
fn a_yaml_monitor_counts_a_log_as_written() {
    let case = Case::new(&[("pay.log", PAY), ("pay.yaml", PAY_YAML)]);
    let (points, code) = case.eval(&["pay.yaml", "pay.log"]);
    assert_eq!(code, 0);
    let expected: Value = serde_json::from_str(
        r#"{"monitor":"pay","window":"2026-11-23T07:31:00Z","window_ms":5000,"group":{"op":"pay"},
            "values":{"total":2,"amount":10.500000001,"success_rate":50},
            "completeness":{"percent":100,"ok":1,"expected":1,"missing":{},"records":3,"lost":{},
                            "records_percent":100.0},
            "state":"settled","revision":1}"#,
    )
    .unwrap();
    assert_eq!(points[0], expected);
    assert_eq!(points[1]["group"]["op"], "refund");
    assert_eq!(points[1]["values"]["amount"], -3);
    assert_eq!(points[2]["completeness"]["bad_value"]["amount"], 1);
    assert_eq!(points.len(), 3);
}

#[test]
fn mql_says_the_same_as_yaml() {
    let case = Case::new(&[("pay.log", PAY), ("pay.yaml", PAY_YAML)]);
    let mql = "select count() as total, sum(amount) as amount, \
               100 * count(result = 'success') / count() as success_rate \
               parse kv('|', '=') where op in ('pay', 'refund') group by op every 5s lateness 10s";
    let (mut from_yaml, _) = case.eval(&["pay.yaml", "pay.log"]);
    let (from_mql, _) = case.eval(&[mql, "pay.log"]);
    from_yaml.iter_mut().for_each(|point| point["monitor"] = "query".into());
    assert_eq!(from_mql, from_yaml);
}

#[test]
fn losses_make_the_answer_incomplete() {
    let log = "2026-11-23 07:31:00|a=1\n2026-11-23 07:32:00|a=2\n2026-11-23 07:31:30|a=3\n2026-11-23 07:32:10 torn\n";
    let case = Case::new(&[("a.log", log)]);
    let (points, code) = case.eval(&["select sum(a) parse kv('|', '=') every 1m lateness 10s", "a.log"]);
    assert_eq!(code, 3);
    // The late record is charged to the window of the greatest stamp before it, the torn one to its own.
    assert_eq!(
        points[1]["completeness"]["lost"],
        serde_json::json!({"late": 1, "unparsable": 1})
    );
    assert_eq!(points[1]["completeness"]["records_percent"], 33.33);
    assert_eq!(points[0]["completeness"]["lost"], serde_json::json!({}));
    let (_, code) = case.eval(&["select count() every 1m lateness 1m", "a.log"]);
    assert_eq!(code, 0, "a bare count parses nothing and loses nothing");
}

#[test]
fn windows_without_records_are_zeros_where_asked_for() {
    let log = "2026-11-23T07:00:30Z x\n2026-11-23T07:03:30Z x\n";
    let case = Case::new(&[("a.log", log)]);
    let plain = "select count()";
    let (points, _) = case.eval(&[plain, "a.log"]);
    assert_eq!(points.len(), 2);
    let (points, _) = case.eval(&[plain, "a.log", "--fill"]);
    assert_eq!(points.len(), 4);
    assert_eq!(points[1]["values"]["count()"], 0);
    let (points, _) = case.eval(&[
        plain,
        "a.log",
        "--from",
        "2026-11-23T06:59:00Z",
        "--to",
        "2026-11-23T07:02:00Z",
    ]);
    let windows: Vec<&str> = points.iter().map(|point| point["window"].as_str().unwrap()).collect();
    assert_eq!(
        windows,
        ["2026-11-23T06:59:00Z", "2026-11-23T07:00:00Z", "2026-11-23T07:01:00Z"]
    );
    // Grouped: one point without a group for a window without records.
    let grouped = "select count() parse split(' ', at, word) group by word";
    let (points, _) = case.eval(&[grouped, "a.log", "--fill"]);
    assert_eq!(points[1]["group"], serde_json::json!({}));
    assert_eq!(points[1]["values"]["count()"], 0);
}

#[test]
fn each_file_is_a_host_unless_they_are_one_chain() {
    let case = Case::new(&[
        ("a.log.1", "2026-11-23T07:00:00Z x\n2026-11-23T07:00:30Z x\n"),
        ("a.log", "2026-11-23T07:00:05Z x\n2026-11-23T07:00:40Z x\n"),
    ]);
    let question = "select count() group by host every 1m lateness 10s";
    let (points, code) = case.eval(&[question, "a.log.1", "a.log"]);
    assert_eq!((points.len(), code), (2, 0));
    assert_eq!(points[0]["group"]["host"], "a.log");
    assert_eq!(points[0]["completeness"]["expected"], 2);
    // Lateness is judged within a generation, so the second file's first record is not late in the chain either.
    let (points, code) = case.eval(&[question, "a.log.1", "a.log", "--chain"]);
    assert_eq!((points.len(), code), (1, 0));
    assert_eq!(points[0]["values"]["count()"], 4);
    assert_eq!(points[0]["completeness"]["expected"], 1);
}

#[test]
fn a_file_named_twice_counts_once() {
    let case = Case::new(&[("a.log", "2026-11-23T07:00:00Z x\n")]);
    let (points, _) = case.eval(&["select count()", "a.log", "./a.log"]);
    assert_eq!(points[0]["values"]["count()"], 1);
}

#[test]
fn zones_come_from_the_line_then_the_option_then_the_monitor() {
    let log = "2026-07-01 12:00:00 x\n2026-07-01 12:00:00+00:00 x\n";
    let case = Case::new(&[("a.log", log)]);
    let windows = |arguments: &[&str]| -> Vec<String> {
        let output = case.run(&[&["eval", "--format", "json"], arguments].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let point = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["window"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        text.lines().map(point).collect()
    };
    let question = "select count() lateness 3h timezone 'Asia/Tokyo'";
    assert_eq!(
        windows(&[question, "a.log"]),
        ["2026-07-01T03:00:00Z", "2026-07-01T12:00:00Z"]
    );
    let rome = [question, "a.log", "--tz", "Europe/Rome"];
    assert_eq!(windows(&rome), ["2026-07-01T10:00:00Z", "2026-07-01T12:00:00Z"]);
}

#[test]
fn csv_and_table_carry_completeness() {
    let case = Case::new(&[("pay.log", PAY), ("pay.yaml", PAY_YAML)]);
    let csv = case.run(&["eval", "pay.yaml", "pay.log", "--tz", "UTC", "--format", "csv"]);
    let csv = String::from_utf8(csv.stdout).unwrap();
    let mut lines = csv.lines();
    let header = "window,op,total,amount,success_rate,completeness,ok,expected,records_percent,state";
    assert_eq!(lines.next(), Some(header));
    assert_eq!(
        lines.next(),
        Some("2026-11-23T07:31:00Z,pay,2,10.500000001,50,100,1,1,100.00,settled")
    );
    let table = case.run(&["eval", "pay.yaml", "pay.log", "--tz", "UTC", "--format", "table"]);
    assert!(String::from_utf8(table.stdout).unwrap().contains("completeness"));
}

#[test]
fn mistakes_say_where_and_what_to_do() {
    let bad = PAY_YAML
        .replace("sum(amount)", "sun(amount)")
        .replace("group_by", "groupby");
    let case = Case::new(&[
        ("a.log", "2026-11-23T07:00:00Z x\n"),
        ("bad.yaml", &bad),
        ("good.yaml", PAY_YAML),
    ]);
    #[track_caller]
    fn check(case: &Case, arguments: &[&str], code: i32, says: &[&str]) {
        let output = case.run(arguments);
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(code), "{said}");
        says.iter()
            .for_each(|text| assert!(said.contains(text), "{said:?} lacks {text:?}"));
    }
    check(
        &case,
        &["check", "good.yaml"],
        0,
        &["1 monitor", "estimated cost: ", " ms of CPU per MB of log"],
    );
    check(
        &case,
        &["check", "bad.yaml"],
        78,
        &["bad.yaml:7:", "groupby", "group_by", "bad.yaml:10:", "sun", "sum"],
    );
    check(&case, &["check", "none.yaml"], 78, &["none.yaml"]);
    check(&case, &["eval", "bad.yaml", "a.log"], 78, &["bad.yaml:7:"]);
    check(&case, &["eval", "select cuont()", "a.log"], 2, &["cuont", "count", "^"]);
    check(&case, &["eval", "select count()", "none.log"], 1, &["none.log"]);
    check(&case, &["eval", "select count()"], 2, &["LOG"]);
    check(
        &case,
        &["eval", "select count()", "a.log", "--tz", "Europe/Rom"],
        2,
        &["Europe/Rome"],
    );
    check(
        &case,
        &["eval", "select count()", "a.log", "--from", "soon"],
        2,
        &["soon", "30m"],
    );
    check(
        &case,
        &["eval", "select count() parse nginx group by statsu", "a.log"],
        2,
        &["statsu", "status"],
    );
}

#[test]
fn detect_explains_what_it_found() {
    let log =
        "INFO  2026-11-23 07:31:00,123 a\nERROR 2026-11-23 07:31:02,456 b\n  at x\nINFO  2026-11-23 07:31:01,000 c\n";
    let case = Case::new(&[("app.log", log), ("plain.log", "Hello\nWorld\n")]);
    let output = case.run(&["detect", "app.log", "plain.log", "--tz", "UTC", "--format", "json"]);
    assert_eq!(output.status.code(), Some(3), "a log without stamps is no success");
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found[0]["format"], "%Y-%m-%d %H:%M:%S,%L");
    assert_eq!(found[0]["offset"], 6);
    assert_eq!(found[0]["zone"], "UTC");
    assert_eq!(found[0]["first"], "2026-11-23T07:31:00.123Z");
    assert_eq!(found[0]["last"], "2026-11-23T07:31:01Z");
    assert_eq!(found[0]["lines"], 4);
    assert_eq!(found[0]["records"], 3);
    assert_eq!(found[0]["stamped_share"], 0.75);
    assert_eq!(found[0]["max_back_ms"], 1456);
    assert_eq!(found[1]["format"], Value::Null);
    assert_eq!(found[1]["confidence"], 0.0);
}

/// A large file cut into parts on several threads answers byte for byte as one pass does.
/// Records of fixed width, whose stamp stands within a longer number: `detect` says so, and `eval` counts by it.
#[test]
fn stamps_inside_longer_numbers_are_found_and_explained() {
    let line = |index: u32| {
        let (event, minute, second) = (["2AUK", "2AU1"][index as usize % 2], index / 6, index % 6 * 10);
        format!(
            "{event}2025022710{minute:02}{second:02}00{:05}D1{:<12}&SE16\n",
            23_165 + index,
            "ALICE"
        )
    };
    let log: String = (0..24).map(line).collect();
    let case = Case::new(&[("audit_20250227", &log)]);
    let output = case.run(&["detect", "audit_20250227", "--tz", "UTC", "--format", "json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&found["format"], &found["offset"]),
        (&"%{fixed}%Y%m%d%H%M%S".into(), &4.into())
    );
    assert_eq!(
        (&found["records"], &found["first"]),
        (&24.into(), &"2025-02-27T10:00:00Z".into())
    );
    let why = found["why"].as_str().unwrap();
    assert!(
        why.contains("at byte 4 of the line") && why.contains("could be an id"),
        "{why}"
    );
    let (points, code) = case.eval(&["select count() every 1m", "audit_20250227"]);
    let counts: Vec<&Value> = points.iter().map(|point| &point["values"]["count()"]).collect();
    assert_eq!((counts, code), (vec![&6.into(); 4], 0));
    // Fewer records than tell: a monitor can say it.
    let few: String = (0..3).map(line).collect();
    let case = Case::new(&[("few", &few)]);
    assert_eq!(case.run(&["detect", "few"]).status.code(), Some(3));
    let (points, code) = case.eval(&["select count() timestamp '%{fixed}%Y%m%d%H%M%S' every 1m", "few"]);
    assert_eq!((&points[0]["values"]["count()"], code), (&3.into(), 0));
}

#[test]
fn threads_do_not_show() {
    let mut log = Vec::new();
    sunfire_tests::access_log::write_access_log(&mut log, 20 << 20, 3).unwrap();
    let case = Case::new(&[]);
    fs::write(case.path().join("access.log"), &log).unwrap();
    let question = "select count(), sum(body_bytes_sent), p99(body_bytes_sent), distinct(remote_addr) parse nginx \
                    group by status every 1m";
    let answer = |threads: &str| {
        let output = case.run(&["eval", question, "access.log", "--format", "json", "--threads", threads]);
        assert_eq!(output.status.code(), Some(0));
        output.stdout
    };
    let one = answer("1");
    assert!(one.len() > 1000);
    assert!(one == answer("2") && one == answer("3"));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// Told by content, not by name; every thread count; two members are one file.
#[test]
fn compressed_logs_are_read_as_what_they_were() {
    let mut log = Vec::new();
    sunfire_tests::access_log::write_access_log(&mut log, 12 << 20, 3).unwrap();
    let case = Case::new(&[("pay.log", PAY)]);
    let half = log.len() / 2;
    let members = [gzip(&log[..half]), gzip(&log[half..])].concat();
    let frame = ruzstd::encoding::compress_to_vec(&log[..], ruzstd::encoding::CompressionLevel::Fastest);
    for (name, bytes) in [("plain", &log), ("access.log.1.gz", &members), ("access.log.2", &frame)] {
        fs::write(case.path().join(name), bytes).unwrap();
    }
    let question = "select count(), lines(), sum(body_bytes_sent), distinct(remote_addr) parse nginx \
                    group by status every 1m";
    let answer = |name: &str| {
        let output = case.run(&["eval", question, name, "--format", "json", "--threads", "2"]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    let plain = answer("plain");
    assert!(plain.len() > 1000);
    assert!(plain == answer("access.log.1.gz") && plain == answer("access.log.2"));
    fs::write(case.path().join("pay.log.1.gz"), gzip(PAY.as_bytes())).unwrap();
    let detect = |name: &str| {
        let output = case.run(&["detect", name, "--tz", "UTC", "--format", "json"]);
        let mut found: Value = serde_json::from_slice(&output.stdout).unwrap();
        found["file"] = Value::Null;
        (found, output.status.code())
    };
    assert_eq!(detect("pay.log.1.gz"), detect("pay.log"));
}

/// Nothing of it is printed, and the message says which file and what is wrong with it.
#[test]
fn a_torn_or_spoilt_compressed_log_is_an_error_that_names_it() {
    let whole = gzip(PAY.repeat(100).as_bytes());
    let mut spoilt = whole.clone();
    let crc = spoilt.len() - 8;
    spoilt[crc] ^= 1;
    let case = Case::new(&[("pay.log", PAY)]);
    fs::write(case.path().join("torn.gz"), &whole[..whole.len() - 3]).unwrap();
    fs::write(case.path().join("spoilt.gz"), spoilt).unwrap();
    for (name, why) in [("torn.gz", "torn"), ("spoilt.gz", "CRC32")] {
        for arguments in [&["eval", "select count()", "pay.log", name][..], &["detect", name]] {
            let output = case.run(arguments);
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{error}");
            assert!(error.contains(name) && error.contains(why), "{error}");
            assert!(output.stdout.is_empty(), "{arguments:?}");
        }
    }
}

/// `select *` shows the records themselves, from files as they are; what it cannot show is told with its place.
#[test]
fn eval_shows_records() {
    let case = Case::new(&[
        ("pay.log", PAY),
        (
            "late.log",
            "2026-11-23 07:31:00 x=1\n2026-11-23 07:31:30 x=2\n2026-11-23 07:30:00 x=3\n",
        ),
    ]);
    let (records, code) = case.eval(&["select * parse kv('|', '=') where op = 'pay' limit 2", "pay.log"]);
    let shown: Vec<Value> = records.iter().map(|record| record["text"].clone()).collect();
    assert_eq!(
        shown,
        [
            "2026-11-23 07:31:00.100|op=pay|amount=10.5|result=success",
            "2026-11-23 07:31:02.000|op=pay|amount=0.000000001|result=fail\n  at Payment.run"
        ]
    );
    assert_eq!(
        (&records[1]["file"], &records[1]["offset"], &records[1]["bytes"]),
        (&"pay.log".into(), &58.into(), &79.into())
    );
    assert_eq!(code, 0);
    let (records, _) = case.eval(&[
        "select * where line contains 'pay' order by time desc limit 1",
        "pay.log",
    ]);
    assert_eq!(records[0]["time"], "2026-11-23T07:31:05Z");
    let (records, _) = case.eval(&["select * from 2026-11-23T07:31:02Z to 2026-11-23T07:31:05Z", "pay.log"]);
    assert_eq!(records.len(), 2, "half-open, by the record's own time");
    // A record that cannot be counted is none that is shown, and the answer is not complete.
    let (records, code) = case.eval(&["select * lateness 10s", "late.log"]);
    assert_eq!((records.len(), code), (2, 3));
    let output = case.run(&[
        "eval",
        "--tz",
        "UTC",
        "--format",
        "table",
        "select * limit 2",
        "pay.log",
    ]);
    let (table, told) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(
        table.starts_with("time ") && table.contains("fail\\x0a  at Payment.run"),
        "{table}"
    );
    assert!(told.contains("2 of 4 records"), "{told}");
    let csv = case.run(&["eval", "--tz", "UTC", "--format", "csv", "select * limit 1", "pay.log"]);
    let csv = String::from_utf8(csv.stdout).unwrap();
    assert!(
        csv.starts_with("time,host,file,offset,text\n2026-11-23T07:31:00.1"),
        "{csv}"
    );
    for (question, expected) in [
        ("select * from pay", "which no monitor reads"),
        ("select * limit 5000", "more than 1000 records"),
        ("select * group by op", "belongs to a question that computes values"),
    ] {
        let output = case.run(&["eval", question, "pay.log"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(expected) && told.contains('^'), "{told}");
    }
}
