//! What is found in a log, and why, before anything of it is counted: the same for a file at hand (`sunfire detect`)
//! and for one that the console looks at.

use logline::head::{Head, Said, Source, learn_head};
use logline::stamp::{Detected, Detection, Zone, ZoneSource};
use logline::survey::survey;
use serde::{Deserialize, Serialize};

/// What was found in one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The timestamp's format as a strftime pattern; null if none was found.
    pub format: Option<String>,
    /// Bytes before the stamp in the first stamped line.
    pub offset: Option<usize>,
    /// `in line`, `epoch`, or the zone that stamps without one are read in.
    pub zone: Option<String>,
    /// How bytes are characters: UTF-8, or UTF-16 where that was found.
    pub encoding: String,
    /// The container runtime that wrote the lines: `cri` or `docker`.
    pub container: Option<String>,
    /// Stamps of the first and the last record.
    pub first: Option<String>,
    /// See `first`.
    pub last: Option<String>,
    /// Physical lines.
    pub lines: u64,
    /// Records.
    pub records: u64,
    /// Records by lines.
    pub stamped_share: f64,
    /// The greatest distance of a stamp behind the greatest before it.
    pub max_back_ms: Option<i64>,
    /// 0 to 1.
    pub confidence: f64,
    /// Why it is taken for that.
    pub why: String,
    /// What to set `lateness` to so that no record is late.
    pub lateness_advice: Option<String>,
    /// A stamped line, the stamp in ⟦ ⟧.
    pub sample: Option<String>,
}

/// Looks over a file that was last written at `written_seconds` since the epoch; with how many of its bytes were looked
/// at. Cost: what there is of it is read twice, or three times if its stamps have no year.
///
/// # Errors
/// If it can't be read.
pub fn detect<S: Source>(log: &S, zone: &Zone, written_seconds: i64) -> Result<(Findings, u64), S::Error> {
    let Head {
        profile,
        form,
        detection,
    } = learn_head(log, zone, written_seconds, Said::default())?;
    let (detected, why) = match &detection {
        Detection::Stamped(detected) => (Some(&**detected), &detected.why),
        Detection::TooCoarse { why, .. } | Detection::Unstamped { why } => (None, why),
    };
    let survey = survey(log, profile.as_ref(), form, zone)?;
    let zone_text = |detected: &Detected| match detected.zone {
        ZoneSource::InLine => "in line".to_owned(),
        ZoneSource::Epoch => "epoch".to_owned(),
        ZoneSource::Mixed => format!("in line, else {zone}"),
        ZoneSource::Naive => zone.to_string(),
    };
    let findings = Findings {
        format: detected.map(|detected| detected.format.clone()),
        offset: detected.map(|detected| detected.column),
        zone: detected.map(zone_text),
        encoding: form.encoding.name().to_owned(),
        container: form.envelope.name().map(str::to_owned),
        first: survey.first_ns.map(rfc3339),
        last: survey.last_ns.map(rfc3339),
        lines: survey.lines,
        records: survey.records,
        stamped_share: survey.stamped_share(),
        max_back_ms: survey.max_back_ms(),
        confidence: detected.map_or(0.0, |detected| (detected.confidence * 100.0).round() / 100.0),
        why: why.clone(),
        lateness_advice: survey.lateness_advice(),
        sample: survey.sample,
    };
    Ok((findings, survey.bytes))
}

/// A time as `2026-11-23T07:31:00Z`.
pub fn rfc3339(ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).map_or_else(|_| format!("{ns} ns"), |time| time.to_string())
}
