//! The question of an `eval`: a monitor from a YAML file or an MQL string, compiled.

use crate::exit::Failure;
use configs::Document;
use configs::monitor::Monitor;
use configs::query::Local;
use map::plan::Plan;
use std::path::Path;

/// Reads MONITOR: the path of a YAML file with one monitor (or `FILE#NAME`), else an MQL string, which may ask for
/// records.
///
/// # Errors
/// With file, line, column and a hint, if the monitor has a mistake.
pub fn question(argument: &str) -> Result<Local, Failure> {
    let (path, name) = match argument.rsplit_once('#') {
        Some((path, name)) if Path::new(path).is_file() => (path, Some(name)),
        _ => (argument, None),
    };
    if Path::new(path).is_file() {
        return from_file(path, name).map(|monitor| Local::Monitor(Box::new(monitor)));
    }
    let looks_like_path = !path.contains(char::is_whitespace) && (path.ends_with(".yaml") || path.ends_with(".yml"));
    if looks_like_path {
        return Err(Failure::usage(format!("{path}: no such file")));
    }
    configs::parse_local(argument).map_err(Failure::usage)
}

fn from_file(path: &str, name: Option<&str>) -> Result<Monitor, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{path}: {error}")))?;
    let documents = configs::load_str(path, &text).map_err(|mistakes| {
        let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Failure::configuration(all.join("\n"))
    })?;
    let mut monitors: Vec<Monitor> = documents
        .into_iter()
        .filter_map(|document| match document {
            Document::Monitor(monitor) => Some(monitor),
            Document::App(_) | Document::Tenant(_) | Document::Drain(_) | Document::Node(_) => None,
        })
        .filter(|monitor| name.is_none_or(|name| monitor.name == name))
        .collect();
    match (monitors.len(), monitors.pop()) {
        (1, Some(monitor)) => Ok(monitor),
        (0, _) => Err(Failure::usage(format!("{path}: no such monitor in it"))),
        (many, _) => Err(Failure::usage(format!(
            "{path}: {many} monitors in it; name one, as in {path}#NAME"
        ))),
    }
}

/// Compiles a monitor.
///
/// # Errors
/// If an expression has no meaning.
pub fn plan(monitor: &Monitor) -> Result<Plan, Failure> {
    Plan::new(monitor).map_err(|error| Failure::configuration(format!("{}: {error}", monitor.name)))
}
