//! Detection and reading of stamps on real logs, against counts that were made by a hand-written pattern for each file.
//!
//! The logs are not part of this repository. They are looked for where `SUNFIRE_CORPORA` says, else beside the
//! checkout; without them the test says that it was skipped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use logline::stamp::civil::{civil_from_days, days_from_civil};
use logline::stamp::{Detection, ProfileReader, StampReader, YearWalk, Zone, learn};
use serde_json::Value;

/// Files whose recorded counts are believed wrong: the stamped lines that there are, and why.
const DISPUTED: [(&str, u64, &str); 1] = [(
    "lnav_vdsm.0",
    5,
    "the recorded pattern takes `MainThread::` for a record and not `Thread-15::`, which has the same layout",
)];

/// Lines a minute.
type Minutes = BTreeMap<String, u64>;

fn corpora() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let root = std::env::var_os("SUNFIRE_CORPORA").map_or(beside, PathBuf::from);
    root.join("truth").is_dir().then_some(root)
}

/// The lines of a file with their offsets, without their line ends.
fn lines(bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut lines = Vec::new();
    let mut offset = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        lines.push((offset, text.strip_suffix(b"\r").unwrap_or(text)));
        offset += line.len() as u64;
    }
    lines
}

fn minute(unix_ns: i64) -> String {
    let minutes = unix_ns.div_euclid(60_000_000_000);
    let (year, month, day) = civil_from_days(minutes.div_euclid(1440));
    let of_day = minutes.rem_euclid(1440);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}", of_day / 60, of_day % 60)
}

/// Records and physical lines of each minute.
fn count(bytes: &[u8], mut reader: ProfileReader) -> (Minutes, Minutes) {
    let (mut records, mut all) = (Minutes::new(), Minutes::new());
    let mut current = None;
    for (offset, line) in lines(bytes) {
        if let Some(unix_ns) = reader.read_at(line, offset) {
            let minute = minute(unix_ns);
            *records.entry(minute.clone()).or_default() += 1;
            current = Some(minute);
        }
        if let Some(minute) = &current {
            *all.entry(minute.clone()).or_default() += 1;
        }
    }
    (records, all)
}

fn recorded(truth: &Value, key: &str) -> Minutes {
    let object = truth[key]
        .as_object()
        .or_else(|| truth["minutes"].as_object())
        .expect("minutes are recorded");
    object
        .iter()
        .map(|(minute, lines)| (minute.clone(), lines.as_u64().expect("a count")))
        .collect()
}

/// What differs between a file and its truth, if anything does.
fn compare(bytes: &[u8], truth: &Value) -> Result<String, String> {
    let stamped = truth["stamped"].as_u64().expect("a count");
    let detected = match learn(bytes) {
        Detection::Stamped(detected) => detected,
        other if stamped == 0 => return Ok(format!("{other:?}")),
        other => return Err(format!("{other:?}")),
    };
    let shown = format!(
        "`{}` column {}: {} ({})",
        detected.format, detected.column, detected.why, detected.confidence
    );
    if stamped == 0 {
        return Err(format!("has no stamps, but found {shown}"));
    }
    let mut profile = detected.profile.clone();
    let entry = &mut profile.entries[0];
    if let Some(year) = truth["assumed_year"].as_i64().filter(|_| entry.format.lacks_year()) {
        let mut walk = YearWalk::new(StampReader::new(entry, Zone::utc()));
        for (offset, line) in lines(bytes) {
            walk.feed(offset, line);
        }
        entry.year_marks = walk.finish(days_from_civil(year as i32, 7, 1) * 86_400, &Zone::utc());
    }
    let (records, all) = count(bytes, ProfileReader::new(&profile, Zone::utc()));
    let total: u64 = records.values().sum();
    let name = truth["name"].as_str().unwrap_or_default();
    if let Some((_, stamped, why)) = DISPUTED.iter().find(|(disputed, ..)| *disputed == name) {
        let verdict = format!("{total} stamped, we say {stamped} because {why}");
        return if total == *stamped {
            Ok(format!("DISPUTED {verdict}"))
        } else {
            Err(verdict)
        };
    }
    if truth["year_wraps"].as_u64() != Some(0) {
        return if total == stamped {
            Ok(shown)
        } else {
            Err(format!("{total} stamped of {stamped}: {shown}"))
        };
    }
    for (name, counted, key) in [("records", records, "stamped_minutes"), ("lines", all, "minutes")] {
        let expected = recorded(truth, key);
        if let Some((minute, lines)) = expected
            .iter()
            .find(|(minute, lines)| counted.get(*minute) != Some(lines))
        {
            let found = counted.get(minute);
            return Err(format!("{name} of {minute}: {found:?}, recorded {lines}: {shown}"));
        }
        if counted.len() != expected.len() {
            return Err(format!(
                "{} minutes with {name}, recorded {}: {shown}",
                counted.len(),
                expected.len()
            ));
        }
    }
    Ok(shown)
}

#[test]
fn every_file_is_counted_as_recorded() {
    let Some(root) = corpora() else {
        println!("SKIPPED: corpora absent");
        return;
    };
    let mut names: Vec<PathBuf> = std::fs::read_dir(root.join("truth"))
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    names.sort();
    let mut failed = Vec::new();
    for path in &names {
        let truth: Value = serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON");
        let name = truth["name"].as_str().expect("a name");
        let bytes = std::fs::read(root.join("logs").join(name)).expect("readable");
        match compare(&bytes, &truth) {
            Ok(shown) => println!("ok {name}: {shown}"),
            Err(difference) => failed.push(format!("{name}: {difference}")),
        }
    }
    println!("compared {} files, {} of them disputed", names.len(), DISPUTED.len());
    assert!(
        failed.is_empty(),
        "{} of {} differ:\n{}",
        failed.len(),
        names.len(),
        failed.join("\n")
    );
}
