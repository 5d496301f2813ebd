//! `sunfire up LOG…`: a monitor for each named log without a line of YAML, by what its first lines look like.
//!
//! Counted per second, and kept apart by what looks like a level or a status. The monitor is written as the YAML that a
//! person would write, so that the console shows it and one can go on from there.

use super::starter::APP;
use crate::clock;
use crate::eval::{self, range::LogFile, source::open};
use crate::exit::Failure;
use logline::fields::{Extractor, Lines, Rule, Scratch, Slot};
use logline::head::fill;
use logline::records::Stamps as _;
use logline::stamp::{Detection, FileStamps, SAMPLE_BYTES, learn};
use regex::bytes::Regex;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Fields that keep records apart, the better first.
const GROUP_FIELDS: [&str; 11] = [
    "level",
    "severity",
    "loglevel",
    "log_level",
    "lvl",
    "status",
    "status_code",
    "code",
    "result",
    "@l",
    "type",
];
/// Lines of the sample, in a hundred, that must have a field before records are kept apart by it.
const FIELD_SHARE_MIN_PERCENT: usize = 50;
/// Lines of the sample, in a hundred, that must have a level before it is taken for one.
const LEVEL_SHARE_MIN_PERCENT: usize = 30;
/// A log without a record for so many seconds shows nothing in a first chart: that is said.
const QUIET_S: i64 = 15 * 60;
/// Groups of a monitor that nobody asked for: levels and statuses are few.
const GROUPS_MAX: usize = 100;
/// A level as programs write it, anywhere in a record's first line. Every record matches, with or without one.
const LEVEL_RULE: &str =
    r"^(?:.*?\b(?P<level>TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|CRITICAL|FATAL|PANIC|ALERT|EMERG)\b)?";
/// The level alone, to see how many lines have one.
const LEVEL_WORD: &str = r"\b(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|CRITICAL|FATAL|PANIC|ALERT|EMERG)\b";

static LEVEL: LazyLock<Regex> = LazyLock::new(|| Regex::new(LEVEL_WORD).expect("a constant that a test compiles"));

/// A log named on the command line, and the monitor made for it.
#[derive(Debug)]
pub struct LogMonitor {
    /// The log, absolute.
    pub path: PathBuf,
    /// The monitor's name.
    pub name: String,
    /// The column that keeps records apart, if one was found.
    group: Option<String>,
    /// How fields are cut, if they are.
    parse: Option<String>,
    /// What its timestamps say.
    stamps: Stamps,
}

/// What is known of a log's timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamps {
    /// There are none, and so nothing to count by.
    None,
    /// There are; how many seconds before now the newest lies, where that is easy to tell.
    Found(Option<i64>),
}

impl LogMonitor {
    /// What the greeting says of it.
    pub fn grouped(&self) -> String {
        let group = self
            .group
            .as_ref()
            .map(|group| format!(", by {group}"))
            .unwrap_or_default();
        match self.stamps {
            Stamps::None => ", no timestamps found yet (see `sunfire detect`)".to_owned(),
            Stamps::Found(Some(age_s)) if age_s > QUIET_S => {
                let age = jiff::SignedDuration::from_secs(age_s);
                format!("{group}, quiet for {age:#}: what is older, `sunfire eval` counts")
            }
            Stamps::Found(_) => group,
        }
    }

    /// The document.
    pub fn yaml(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut text = format!(
            "# made by `sunfire up {}`\nkind: monitor\nname: {}\napp: {APP}\nlog: {}\n",
            self.path.display(),
            quoted(&self.name),
            quoted(&escaped(&self.path.to_string_lossy())),
        );
        if let Some(parse) = &self.parse {
            text.push_str(&format!("parse: {parse}\n"));
        }
        if let Some(group) = &self.group {
            text.push_str(&format!("group_by: [{}]\n", quoted(group)));
        }
        text.push_str("select:\n  records: count()\n  lines: lines()\nwindow: 1s\n");
        text.push_str(&format!("limits: {{ groups: {GROUPS_MAX} }}\n"));
        text
    }
}

/// A path as a pattern that matches it alone.
fn escaped(path: &str) -> String {
    path.replace('%', "%%")
}

/// The monitors of the named logs.
///
/// # Errors
/// If one can't be read.
pub fn monitors(logs: &[PathBuf]) -> Result<Vec<LogMonitor>, Failure> {
    let mut names = BTreeSet::from(["sunfire_http".to_owned(), "system".to_owned()]);
    let mut seen = BTreeSet::new();
    let mut monitors = Vec::new();
    for log in logs {
        let path = log
            .canonicalize()
            .map_err(|error| Failure::usage(format!("{}: {error}", log.display())))?;
        if !seen.insert(path.clone()) {
            continue;
        }
        // The name as given: a link is followed anew at each pull, as the writer that switches it expects.
        let named = std::path::absolute(log).unwrap_or(path);
        monitors.push(monitor(&named, name_of(&named, &mut names))?);
    }
    Ok(monitors)
}

/// A name that is a word of MQL: the file's, or with its folder's before it, or with a number behind it.
fn name_of(path: &Path, taken: &mut BTreeSet<String>) -> String {
    let word = |text: &str| {
        let word: String = text
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let word = word.trim_matches('_').to_owned();
        if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
            format!("log_{word}")
        } else {
            word
        }
    };
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = word(file.strip_suffix(".log").unwrap_or(&file));
    let folder = path
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default()
        .to_string_lossy();
    let numbered = (2..).map(|number| format!("{stem}_{number}"));
    let names = [stem.clone(), format!("{}_{stem}", word(&folder))]
        .into_iter()
        .chain(numbered);
    let name = names.into_iter().find(|name| !taken.contains(name)).unwrap_or(stem);
    taken.insert(name.clone());
    name
}

fn monitor(path: &Path, name: String) -> Result<LogMonitor, Failure> {
    let (source, size, _) = open(path)?;
    let log = LogFile {
        path,
        source: &source,
        size,
    };
    let mut sample = vec![0; SAMPLE_BYTES];
    let len = fill(&log, &mut sample, 0)?;
    let sample = &sample[..len];
    let (group, parse) = group_of(sample);
    Ok(LogMonitor {
        path: path.to_owned(),
        name,
        group,
        parse,
        stamps: stamps(&log, sample)?,
    })
}

/// Whether a field is in enough of the lines, and has few values.
fn separates<'a>(rule: &Rule, field: &str, lines: impl Iterator<Item = &'a [u8]>) -> bool {
    let Ok(mut extractor) = Extractor::new(rule, &[field.to_owned()]) else {
        return false;
    };
    let (mut scratch, mut slots) = (Scratch::default(), [Slot::Absent]);
    let (mut all, mut having, mut values) = (0, 0, BTreeSet::new());
    for line in lines {
        all += 1;
        let cut = extractor.extract_lines(line, Lines::One, &mut scratch, &mut slots);
        let value = slots[0]
            .bytes(line, &scratch)
            .filter(|value| !matches!(*value, b"" | b"-"));
        if let (Ok(()), Some(value)) = (cut, value) {
            having += 1;
            values.insert(value.to_vec());
        }
    }
    having * 100 >= all.max(1) * FIELD_SHARE_MIN_PERCENT && having > 0 && values.len() <= GROUPS_MAX
}

/// What the first lines and the last ones say of the timestamps.
fn stamps(log: &LogFile<'_>, sample: &[u8]) -> Result<Stamps, Failure> {
    let Detection::Stamped(detected) = learn(sample) else {
        return Ok(Stamps::None);
    };
    // Their year would have to be walked for.
    if detected.profile.lacks_year() {
        return Ok(Stamps::Found(None));
    }
    let from = log.size.saturating_sub(SAMPLE_BYTES as u64);
    let mut tail = vec![0; SAMPLE_BYTES];
    let len = fill(log, &mut tail, from)?;
    let mut stamps = FileStamps::new(&detected.profile, &eval::zone(None)?);
    let lines = tail[..len].split(|byte| *byte == b'\n');
    let newest_ns = lines.filter_map(|line| stamps.read(line, from)).max();
    let age_s = |newest_ns: i64| clock::now_ns().saturating_sub(newest_ns) / 1_000_000_000;
    Ok(Stamps::Found(newest_ns.map(age_s)))
}

/// The column that keeps records apart, and how it is cut out.
fn group_of(sample: &[u8]) -> (Option<String>, Option<String>) {
    let lines = || sample.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    if let Some(detected) = Rule::detect(sample, None)
        && let Some(field) = GROUP_FIELDS
            .iter()
            .find(|field| separates(&detected.rule, field, lines()))
    {
        return (Some((*field).to_owned()), None);
    }
    let leveled = lines().filter(|line| LEVEL.is_match(line)).count();
    if leveled * 100 >= lines().count().max(1) * LEVEL_SHARE_MIN_PERCENT && leveled > 0 {
        return (Some("level".to_owned()), Some(format!("{{ regex: '{LEVEL_RULE}' }}")));
    }
    (None, None)
}
