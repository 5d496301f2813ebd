//! `sunfire detect`: what is found in a log, over the whole file, and why.

use crate::cli::{DetectArguments, DetectFormat};
use crate::eval::{self, range::LogFile, source::open};
use crate::exit::{Exit, Failure};
use anyhow::Result;
use logline::stamp::Zone;
use logline::text::Encoding;
use map::detect::{Findings, detect};
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::path::Path;

/// What was found in one file.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    #[serde(flatten)]
    found: Findings,
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
        if report.found.format.is_none() && report.found.lines > 0 {
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
    let (found, _bytes) = detect(&log, zone, written_seconds)?;
    Ok(Report {
        file: path.display().to_string(),
        found,
    })
}

fn write_table(report: &Report, out: &mut impl Write) -> Result<()> {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    writeln!(out, "{}", report.file)?;
    let report = &report.found;
    let mut row = |name: &str, value: String| writeln!(out, "  {name:<12} {value}");
    row("format", or_none(&report.format))?;
    row("why", report.why.clone())?;
    if report.encoding != Encoding::default().name() {
        row("encoding", report.encoding.clone())?;
    }
    if let Some(container) = &report.container {
        row("container", container.clone())?;
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
