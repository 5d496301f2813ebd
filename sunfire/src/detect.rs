//! `sunfire detect`: what is found in a log, over the whole file, and why.

use crate::cli::{DetectArguments, DetectFormat};
use crate::eval::file::{Head, Said, learn_head};
use crate::eval::{self, range::LogFile, source::open};
use crate::exit::{Exit, Failure};
use anyhow::Result;
use logline::boundary::RecordStamps;
use logline::records::{RecordReader, Stamps, Start};
use logline::stamp::{Detected, Detection, FileStamps, Profile, Zone, ZoneSource};
use logline::text::{Encoding, Form};
use reduce::point::rfc3339;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::path::Path;

/// Bytes of one read.
const READ_BYTES: usize = 256 << 10;

/// What was found in one file.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    /// The timestamp's format as a strftime pattern; null if none was found.
    format: Option<String>,
    /// Bytes before the stamp in the first stamped line.
    offset: Option<usize>,
    /// `in line`, `epoch`, or the zone that stamps without one are read in.
    zone: Option<String>,
    /// How bytes are characters: UTF-8, or UTF-16 where that was found.
    encoding: &'static str,
    /// The container runtime that wrote the lines: `cri` or `docker`.
    container: Option<&'static str>,
    /// Stamps of the first and the last record.
    first: Option<String>,
    last: Option<String>,
    /// Physical lines.
    lines: u64,
    records: u64,
    /// Records by lines.
    stamped_share: f64,
    /// The greatest distance of a stamp behind the greatest before it.
    max_back_ms: Option<i64>,
    /// 0 to 1.
    confidence: f64,
    why: String,
    /// What to set `lateness` to so that no record is late.
    lateness_advice: Option<String>,
    /// A stamped line, the stamp in ⟦ ⟧.
    sample: Option<String>,
}

/// Runs `sunfire detect`.
///
/// # Errors
/// If a file can't be read.
pub fn run(arguments: &DetectArguments) -> Result<Exit, Failure> {
    let zone = eval::zone(arguments.tz.as_deref())?;
    let is_terminal = std::io::stdout().is_terminal();
    let format = arguments.format.unwrap_or(if is_terminal {
        DetectFormat::Table
    } else {
        DetectFormat::Json
    });
    let mut out = std::io::stdout().lock();
    let mut exit = Exit::Complete;
    for path in &arguments.logs {
        let report = report(path, &zone)?;
        if report.format.is_none() && report.lines > 0 {
            exit = Exit::Incomplete;
        }
        match format {
            DetectFormat::Json => {
                let line = serde_json::to_string(&report).map_err(anyhow::Error::from)?;
                writeln!(out, "{line}")?;
            }
            DetectFormat::Table => write_table(&report, &mut out)?,
        }
    }
    Ok(exit)
}

fn report(path: &Path, zone: &Zone) -> Result<Report> {
    let (source, size, written_seconds) = open(path)?;
    let log = LogFile {
        path,
        source: &source,
        size,
    };
    let Head {
        profile,
        form,
        detection,
    } = learn_head(&log, zone, written_seconds, Said::default())?;
    let (detected, why) = match &detection {
        Detection::Stamped(detected) => (Some(&**detected), &detected.why),
        Detection::TooCoarse { why, .. } | Detection::Unstamped { why } => (None, why),
    };
    let scan = scan(&log, profile.as_ref(), form, zone)?;
    let zone_text = |detected: &Detected| match detected.zone {
        ZoneSource::InLine => "in line".to_owned(),
        ZoneSource::Epoch => "epoch".to_owned(),
        ZoneSource::Mixed => format!("in line, else {zone}"),
        ZoneSource::Naive => zone.to_string(),
    };
    let back_ns = scan.max_back_ns;
    Ok(Report {
        file: path.display().to_string(),
        format: detected.map(|detected| detected.format.clone()),
        offset: detected.map(|detected| detected.column),
        zone: detected.map(zone_text),
        encoding: form.encoding.name(),
        container: form.envelope.name(),
        first: scan.first.map(rfc3339),
        last: scan.last.map(rfc3339),
        lines: scan.lines,
        records: scan.records,
        stamped_share: (scan.records as f64 / scan.lines.max(1) as f64 * 1e4).round() / 1e4,
        max_back_ms: scan
            .first
            .map(|_| back_ns / 1_000_000 + i64::from(back_ns % 1_000_000 > 0)),
        confidence: detected.map_or(0.0, |detected| (detected.confidence * 100.0).round() / 100.0),
        why: why.clone(),
        lateness_advice: scan.first.map(|_| advice(back_ns)),
        sample: scan.sample,
    })
}

/// The least whole number of seconds that covers the disorder, and 10 s at least.
fn advice(back_ns: i64) -> String {
    format!(
        "{}s",
        (back_ns / 1_000_000_000 + i64::from(back_ns % 1_000_000_000 > 0)).max(10)
    )
}

#[derive(Default)]
struct Scan {
    lines: u64,
    records: u64,
    first: Option<i64>,
    last: Option<i64>,
    greatest: i64,
    max_back_ns: i64,
    sample: Option<String>,
}

/// Finds stamps by a profile, or none.
struct Maybe(Option<RecordStamps>);

impl Stamps for Maybe {
    fn read(&mut self, line: &[u8], offset: u64) -> Option<i64> {
        self.0.as_mut()?.read(line, offset)
    }

    fn encoding(&self) -> Encoding {
        self.0.as_ref().map_or(Encoding::Bytes, Stamps::encoding)
    }
}

fn scan(log: &LogFile<'_>, profile: Option<&Profile>, form: Form, zone: &Zone) -> Result<Scan> {
    let stamps = |profile| RecordStamps::new(FileStamps::new(profile, zone), None).with_form(form);
    let stamps = Maybe(profile.map(stamps));
    let mut reader = RecordReader::new(stamps, Start::FileStart, 0);
    let mut scan = Scan::default();
    let mut offset = 0;
    loop {
        let read = log.read_at(&mut reader.space(READ_BYTES)[..READ_BYTES], offset)?;
        offset += read as u64;
        if read == 0 {
            reader.finish();
        } else {
            reader.advance(read);
        }
        if let (None, Some(first), Some(profile)) = (&scan.sample, reader.closed().first(), profile) {
            let lines = form.lines(reader.text(first), first.offset);
            let line = lines.first().map_or(&[][..], |(_, line)| line);
            scan.sample = Some(sample(line, profile, first.offset, zone));
        }
        for record in reader.closed() {
            scan.greatest = scan.first.map_or(record.stamp, |_| scan.greatest.max(record.stamp));
            scan.max_back_ns = scan.max_back_ns.max(scan.greatest.saturating_sub(record.stamp));
            scan.first = scan.first.or(Some(record.stamp));
            scan.last = Some(record.stamp);
            scan.records += 1;
            scan.lines += record.lines;
        }
        reader.release(reader.closed().len());
        if read == 0 {
            scan.lines += reader.head().lines;
            return Ok(scan);
        }
    }
}

/// The first line of a record, its stamp in brackets.
fn sample(line: &[u8], profile: &Profile, offset: u64, zone: &Zone) -> String {
    let entry = profile
        .entries
        .iter()
        .rev()
        .find(|entry| entry.offset <= offset)
        .unwrap_or(&profile.entries[0]);
    let mut reader = logline::stamp::StampReader::new(entry, zone.clone());
    let Some((_, span)) = reader.read_with_span(line) else {
        return reduce::point::display_text(line);
    };
    let end = line.len().min(span.end + 80);
    let show = reduce::point::display_text;
    format!(
        "{}⟦{}⟧{}",
        show(&line[..span.start]),
        show(&line[span.clone()]),
        show(&line[span.end..end])
    )
}

fn write_table(report: &Report, out: &mut impl Write) -> Result<()> {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    writeln!(out, "{}", report.file)?;
    let mut row = |name: &str, value: String| writeln!(out, "  {name:<12} {value}");
    row("format", or_none(&report.format))?;
    row("why", report.why.clone())?;
    if report.encoding != Encoding::default().name() {
        row("encoding", report.encoding.to_owned())?;
    }
    if let Some(container) = report.container {
        row("container", container.to_owned())?;
    }
    if report.format.is_some() {
        row(
            "offset",
            report.offset.map_or_else(String::new, |offset| offset.to_string()),
        )?;
        row("zone", or_none(&report.zone))?;
        row("sample", or_none(&report.sample))?;
        row(
            "first, last",
            format!("{} … {}", or_none(&report.first), or_none(&report.last)),
        )?;
        row(
            "disorder",
            format!(
                "{} ms; lateness {}",
                report.max_back_ms.unwrap_or(0),
                or_none(&report.lateness_advice)
            ),
        )?;
        row("confidence", report.confidence.to_string())?;
    }
    row(
        "lines",
        format!(
            "{}, records {}, stamped {}",
            report.lines, report.records, report.stamped_share
        ),
    )?;
    Ok(())
}
