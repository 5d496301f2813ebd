//! `sunfire eval`: the engine on local files, no cluster.
//!
//! Every file is finished, so windows are settled and a last line without line end counts (F4). What it answers is what
//! the cluster answers of the same bytes: the code that counts is the same.

pub mod file;
mod question;
pub mod range;
mod records;
pub mod source;
pub mod threads;

use crate::cli::EvalArguments;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Format, write_points};
use crate::progress::Progress;
use crate::times;
use anyhow::Result;
use configs::log_path::LogPath;
use configs::monitor::Monitor;
use configs::query::Local;
use file::{Counted, FileJob};
use logline::fields::Rule;
use logline::head::{Head, Said, fill, learn_head};
use logline::stamp::{Detection, Format as StampFormat, Zone};
use logline::text::{Encoding, Form};
use map::engine::{Input, Labels};
use map::partial::Partial;
use map::plan::Plan;
use map::verdict::HostState;
use range::LogFile;
use reduce::completeness::Hosts;
use reduce::point::{Point, WindowState};
use reduce::publish::{Answer, Windows, publish};
use source::Source;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use threads::Parallelism;

/// Runs `sunfire eval`.
///
/// # Errors
/// With the exit code that says whose mistake it is.
pub fn run(arguments: &EvalArguments) -> Result<Exit, Failure> {
    let monitor = match question::question(&arguments.monitor)? {
        Local::Monitor(monitor) => *monitor,
        Local::Records(query) => return records::run(arguments, *query),
    };
    let plan = question::plan(&monitor)?;
    let windows = windows(arguments, &monitor)?;
    let Counting { partial, answer } = counted(arguments, &monitor, &plan)?;
    let points = publish(&plan.shape(), &partial, &answer, windows);
    let mut out = BufWriter::new(std::io::stdout().lock());
    write_points(&points, format(arguments), &mut out)?;
    out.flush()?;
    if let Some(overflow) = points.iter().filter_map(|point| point.header.overflow.as_ref()).max() {
        eprintln!("warning: {}", overflow.told(&monitor.name));
    }
    Ok(exit(&points, &answer, &partial))
}

/// What the files count, and what holds for all of it.
struct Counting {
    partial: Partial,
    answer: Answer,
}

/// Counts the files.
fn counted(arguments: &EvalArguments, monitor: &Monitor, plan: &Plan) -> Result<Counting, Failure> {
    let zone = zone(arguments.tz.as_deref().or(monitor.timezone.as_deref()))?;
    let opened = open_all(&arguments.logs)?;
    let chain = arguments
        .chain
        .then(|| arguments.logs[arguments.logs.len() - 1].clone());
    let jobs = opened
        .iter()
        .enumerate()
        .map(|(index, opened)| job(monitor, plan, &zone, opened, chain.as_deref(), index as u64))
        .collect::<Result<Vec<_>, Failure>>()?;
    let progress = Progress::new(jobs.iter().map(FileJob::size).sum());
    let threads = arguments.threads.map_or_else(default_threads, usize::from);
    let counted = threads::count_all(&jobs, Parallelism::of(threads), &progress)?;
    progress.finish();
    let (partial, answer) = join(counted, arguments.chain);
    Ok(Counting { partial, answer })
}

fn format(arguments: &EvalArguments) -> Format {
    arguments.format.unwrap_or(default_format())
}

fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn default_format() -> Format {
    if std::io::stdout().is_terminal() {
        Format::Table
    } else {
        Format::Json
    }
}

/// A zone by name, or this machine's.
///
/// # Errors
/// If there is no such zone.
pub fn zone(name: Option<&str>) -> Result<Zone, Failure> {
    if let Some(name) = name {
        return Zone::parse(name).map_err(Failure::usage);
    }
    let machine = jiff::tz::TimeZone::system();
    match machine.iana_name() {
        Some(name) => Zone::parse(name).map_err(Failure::usage),
        None => {
            let now = jiff::Timestamp::from_nanosecond(i128::from(clock::now_ns())).unwrap_or_default();
            Ok(Zone::fixed(machine.to_offset(now).seconds()))
        }
    }
}

fn windows(arguments: &EvalArguments, monitor: &Monitor) -> Result<Windows, Failure> {
    let now_ns = clock::now_ns();
    let machine = jiff::tz::TimeZone::system();
    let time = |text: &Option<String>| {
        text.as_deref()
            .map(|text| times::parse(text, now_ns, &machine))
            .transpose()
    };
    let range = &monitor.range;
    let from_ns = time(&arguments.from)?.or(time(&range.from)?).or(time(&range.since)?);
    let to_ns = time(&arguments.to)?.or(time(&range.to)?);
    if let (Some(from), Some(to)) = (from_ns, to_ns)
        && from >= to
    {
        return Err(Failure::usage("--from must lie before --to"));
    }
    Ok(match (from_ns, to_ns) {
        (None, None) if arguments.fill => Windows::FilledBetweenTouched,
        (None, None) => Windows::Touched,
        (from_ns, to_ns) => Windows::Range { from_ns, to_ns },
    })
}

/// A file that is open, with its size and time of writing.
struct Opened {
    path: PathBuf,
    source: Source,
    size: u64,
    written_seconds: i64,
}

/// Opens every file; one named twice counts once (C4).
fn open_all(paths: &[PathBuf]) -> Result<Vec<Opened>, Failure> {
    use std::os::unix::fs::MetadataExt;
    let mut seen = std::collections::HashMap::new();
    let mut opened = Vec::new();
    for path in paths {
        let (source, size, written_seconds) = source::open(path)?;
        let metadata = source.file().metadata()?;
        if let Some(before) = seen.insert((metadata.dev(), metadata.ino()), path) {
            eprintln!(
                "warning: {} is the same file as {}, counted once",
                path.display(),
                before.display()
            );
            continue;
        }
        opened.push(Opened {
            path: path.clone(),
            source,
            size,
            written_seconds,
        });
    }
    Ok(opened)
}

fn job<'a>(
    monitor: &'a Monitor,
    plan: &'a Plan,
    zone: &Zone,
    opened: &'a Opened,
    chain: Option<&Path>,
    generation: u64,
) -> Result<FileJob<'a>, Failure> {
    let Opened {
        path,
        source,
        size,
        written_seconds,
    } = opened;
    let log = LogFile {
        path,
        source,
        size: *size,
    };
    let Head {
        profile,
        form,
        detection,
    } = head(monitor, &log, zone, *written_seconds)?;
    if profile.is_none() && *size > 0 {
        eprintln!("warning: {}: {}; not counted", path.display(), reason(&detection));
    }
    let lateness_ns = match (monitor.lateness_ms, &profile) {
        (Some(lateness_ms), _) => i64::try_from(lateness_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000),
        (None, Some(profile)) => profile.lateness_ns,
        (None, None) => 0,
    };
    let rule = if plan.uses_fields() && profile.is_some() {
        Some(rule(monitor, &log, form)?)
    } else {
        None
    };
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let host = text(chain.unwrap_or(path));
    let mut labels = vec![("host", host), ("path", text(path)), ("file", text(path))];
    labels.extend(monitor.app.clone().map(|app| ("app", app)));
    let captured = monitor.log.as_deref().map(LogPath::parse).and_then(Result::ok);
    let captured = captured.map(|of| of.labels(&text(path))).unwrap_or_default();
    let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value));
    let input = Input {
        labels: Labels::new(labels.chain(captured)),
        lateness_ns,
        rule,
        form,
        generation,
    };
    Ok(FileJob {
        log,
        profile,
        zone: zone.clone(),
        records: monitor.records.as_ref(),
        form,
        written_seconds: *written_seconds,
        plan,
        input,
    })
}

/// The profile: learned, or the place of the monitor's own timestamp format.
fn head(monitor: &Monitor, log: &LogFile<'_>, zone: &Zone, written_seconds: i64) -> Result<Head, Failure> {
    if monitor.is_by_arrival() {
        return Err(Failure::configuration(
            "timestamp: a file does not say when its lines arrived; only a running cluster sees that. Leave \
             `timestamp: arrival` out, or name the format of the stamps",
        ));
    }
    let format = monitor
        .timestamp
        .as_deref()
        .map(StampFormat::parse_override)
        .transpose();
    let format = format.map_err(|error| Failure::configuration(format!("timestamp: {error}")))?;
    let encoding = monitor.encoding.as_deref().map(Encoding::parse).transpose();
    let encoding = encoding.map_err(|error| Failure::configuration(error.to_string()))?;
    let said = Said {
        format: format.as_ref(),
        encoding,
        records: monitor.records.as_ref(),
    };
    Ok(learn_head(log, zone, written_seconds, said)?)
}

/// Why a file has no profile.
fn reason(detection: &Detection) -> &str {
    match detection {
        Detection::TooCoarse { why, .. } | Detection::Unstamped { why } => why,
        Detection::Stamped(_) => "no timestamp was found",
    }
}

/// The parse rule: the monitor's, or what the log's first bytes look like.
fn rule(monitor: &Monitor, log: &LogFile<'_>, form: Form) -> Result<Rule, Failure> {
    if let Some(rule) = &monitor.parse {
        return Ok(rule.clone());
    }
    let mut sample = vec![0; logline::stamp::SAMPLE_BYTES];
    let len = fill(log, &mut sample, 0)?;
    let sample = &sample[..len];
    let detected = match form.is_plain() {
        true => Rule::detect(sample, None),
        false => Rule::detect(&form.unwrapped(sample), None),
    };
    let detected = detected.map(|detected| detected.rule);
    detected.ok_or_else(|| {
        Failure::usage(format!(
            "{}: no fields were recognised in it; say how to cut it, as in `parse split('|')` or `parse regex('…')`",
            log.path.display()
        ))
    })
}

fn join(counted: Vec<Counted>, is_chain: bool) -> (Partial, Answer) {
    let mut partial = Partial::default();
    let mut hosts = Hosts::default();
    let mut ambiguous_ns = Vec::new();
    // One host of many generations is as good as the worst of them.
    let chain_state = counted
        .iter()
        .map(|counted| counted.state)
        .max()
        .unwrap_or(HostState::OkSilent);
    for counted in counted {
        if !is_chain {
            hosts.add(counted.state);
        }
        ambiguous_ns.extend(counted.ambiguous_ns);
        partial.merge(counted.partial);
        partial.bound_kept();
    }
    if is_chain {
        hosts.add(chain_state);
    }
    (
        partial,
        Answer {
            hosts,
            state: WindowState::Settled,
            ambiguous_ns,
        },
    )
}

/// Complete if every host is ok and no record of any window printed was lost.
fn exit(points: &[Point], answer: &Answer, partial: &Partial) -> Exit {
    let all_complete = points.iter().all(|point| point.header.is_complete());
    let hosts_complete = answer.hosts.percent() == Some(100);
    if all_complete && hosts_complete && partial.unplaced.lost.total() == 0 {
        Exit::Complete
    } else {
        Exit::Incomplete
    }
}
