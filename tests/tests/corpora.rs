//! Real logs of real systems against their recorded per-minute counts, through the built binary.
//!
//! The logs are not part of the repository: `SUNFIRE_CORPORA` names their folder, else it is looked for beside the
//! checkout. Where it is absent the test is skipped, and says so.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use sunfire_tests::binary;
use sunfire_tests::skip::skipped;

/// Logs whose recorded truth takes only some of the stamped lines for records, and what says so; see docs/corpora.md.
const RECORDS: [(&str, &str); 1] = [("lnav_vdsm.0", "records start '^MainThread::'")];
/// Formats that no line of the file has.
const UNSTAMPED: &str = "lnav_plain.0";

fn corpora() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let folder = std::env::var_os("SUNFIRE_CORPORA").map_or(beside, PathBuf::from);
    folder.join("truth").is_dir().then_some(folder)
}

type Minutes = BTreeMap<String, u64>;

fn minutes(value: &Value) -> Minutes {
    let entries = value.as_object().expect("minutes are an object");
    let count = |count: &Value| count.as_u64().expect("a count");
    entries
        .iter()
        .map(|(minute, n)| (minute.clone(), count(n)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// Seconds since the epoch of the last second of a year.
fn end_of(year: i64) -> u64 {
    let days: i64 = (1970..=year)
        .map(|year| {
            if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) {
                366
            } else {
                365
            }
        })
        .sum();
    (days * 86_400 - 1) as u64
}

/// A copy of a log, written in the year its stamps lack.
fn copy(log: &Path, truth: &Value, folder: &Path) -> PathBuf {
    let path = folder.join(log.file_name().expect("a log has a name"));
    fs::write(&path, fs::read(log).expect("a log can be read")).expect("and copied");
    if let Some(year) = truth["assumed_year"].as_i64() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(end_of(year));
        let file = File::options().write(true).open(&path).expect("the copy can be opened");
        file.set_times(FileTimes::new().set_modified(time))
            .expect("and given a time");
    }
    path
}

/// Records and lines by minute, and records lost, as `sunfire eval` counts them with these clauses.
fn counted(log: &Path, clauses: &str) -> (Minutes, Minutes, u64) {
    let question = format!("select count() as records, lines() as lines every 1m {clauses}");
    let arguments = ["eval", &question, "--tz", "UTC", "--format", "json"];
    let output = Command::new(binary::dev())
        .args(arguments)
        .arg(log)
        .output()
        .expect("sunfire runs");
    let (mut records, mut lines, mut lost) = (Minutes::new(), Minutes::new(), 0);
    for line in String::from_utf8(output.stdout).expect("JSON is UTF-8").lines() {
        let point: Value = serde_json::from_str(line).expect("a point is JSON");
        let minute = point["window"].as_str().expect("a window")[..16].to_owned();
        records.insert(minute.clone(), point["values"]["records"].as_u64().expect("a count"));
        lines.insert(minute, point["values"]["lines"].as_u64().expect("a count"));
        let losses = point["completeness"]["lost"].as_object().expect("losses");
        lost += losses.values().filter_map(Value::as_u64).sum::<u64>();
    }
    (records, lines, lost)
}

/// Where years roll over, the recorded constant year is wrong: the rest of the time is compared.
fn without_year(minutes: Minutes) -> Minutes {
    minutes
        .into_iter()
        .map(|(minute, count)| (minute[5..].to_owned(), count))
        .collect()
}

fn difference(log: &Path, truth: &Value, folder: &Path, clause: &str) -> Option<String> {
    let lateness = truth["max_back_s"].as_f64().unwrap_or(0.0).max(8.0) as u64 + 2;
    let clauses = format!("lateness {lateness}s {clause}");
    let (mut records, mut lines, lost) = counted(&copy(log, truth, folder), &clauses);
    let mut true_lines = minutes(&truth["minutes"]);
    let mut true_records = match truth["stamped_minutes"].as_str() {
        Some(_) => true_lines.clone(),
        None => minutes(&truth["stamped_minutes"]),
    };
    if truth["year_wraps"].as_u64().is_some_and(|wraps| wraps > 0) {
        for minutes in [&mut records, &mut lines, &mut true_lines, &mut true_records] {
            *minutes = without_year(std::mem::take(minutes));
        }
    }
    let equal = records == true_records && lines == true_lines && lost == 0;
    (!equal).then(|| {
        format!(
            "{}: {lost} lost, records {records:?}, not {true_records:?}",
            log.display()
        )
    })
}

#[test]
fn real_logs_have_their_true_counts() {
    let Some(corpora) = corpora() else {
        return skipped(
            "real_logs_have_their_true_counts",
            "the corpora are absent; SUNFIRE_CORPORA names them",
        );
    };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut compared = 0;
    let mut differences = Vec::new();
    for entry in fs::read_dir(corpora.join("truth")).expect("the truth can be read") {
        let path = entry.expect("an entry").path();
        let truth: Value = serde_json::from_slice(&fs::read(path).expect("a truth can be read")).expect("JSON");
        let name = truth["name"].as_str().expect("a name");
        let clause = RECORDS
            .iter()
            .find(|(log, _)| *log == name)
            .map_or("", |(_, clause)| clause);
        compared += 1;
        differences.extend(difference(
            &corpora.join("logs").join(name),
            &truth,
            folder.path(),
            clause,
        ));
    }
    eprintln!("{compared} logs compared, {} by a pattern of records", RECORDS.len());
    assert!(compared > 50, "only {compared} logs were found");
    assert_eq!(differences, Vec::<String>::new());
}

/// What stamps alone say of the logs that are compared by a pattern: other writers' lines are records as well, and a
/// stamp half a year back is one that came late. The pattern is needed, and told; it is not guessed.
#[test]
fn detection_alone_counts_all_stamped_lines() {
    let Some(corpora) = corpora() else {
        return skipped(
            "detection_alone_counts_all_stamped_lines",
            "the corpora are absent; SUNFIRE_CORPORA names them",
        );
    };
    let (name, _) = RECORDS[0];
    let (records, _, lost) = counted(&corpora.join("logs").join(name), "");
    assert_eq!((records.values().sum::<u64>(), lost), (4, 1));
}

/// A log without stamps is no zero: its host is not ok, and the answer says so.
#[test]
fn a_log_without_stamps_is_incomplete() {
    let Some(corpora) = corpora() else {
        return skipped(
            "a_log_without_stamps_is_incomplete",
            "the corpora are absent; SUNFIRE_CORPORA names them",
        );
    };
    let logs = corpora.join("logs");
    let mut command = Command::new(binary::dev());
    command.args(["eval", "select count()", "--format", "json", "--tz", "UTC"]);
    let output = command
        .args([logs.join(UNSTAMPED), logs.join("lnav_access_log.0")])
        .output()
        .expect("sunfire runs");
    assert_eq!(output.status.code(), Some(3));
    let point: Value = serde_json::from_slice(&output.stdout).expect("one point");
    assert_eq!(point["completeness"]["missing"]["unstamped"], 1);
    assert_eq!(point["completeness"]["percent"], 50);
    assert_eq!(point["values"]["count()"], 3);
}
