//! `sunfire status`: what runs where, who is expected, and which windows are below 100 % and why.

use crate::cli::StatusArguments;
use crate::client;
use crate::exit::{Exit, Failure};
use crate::output::write_table;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write;

/// Windows below 100 % that are named for a monitor; the console has them all.
const BELOW_SHOWN: usize = 5;

#[derive(Deserialize)]
struct Monitors {
    monitors: Vec<Monitor>,
    mistakes: Vec<Mistake>,
}

#[derive(Deserialize)]
struct Monitor {
    name: String,
    app: Option<String>,
    window_ms: u64,
    hosts_expected: u64,
    newest: Option<String>,
    below: u64,
    below_windows: Vec<Below>,
    troubles: Vec<String>,
}

#[derive(Deserialize)]
struct Below {
    window: String,
    ok: u64,
    expected: u64,
    missing: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Mistake {
    file: String,
    line: u64,
    column: u64,
    message: String,
    hint: Option<String>,
}

#[derive(Deserialize)]
struct Cluster {
    epoch: u64,
    nodes: Vec<Node>,
    apps: Vec<App>,
}

#[derive(Deserialize)]
struct Node {
    node: String,
    role: String,
    address: String,
    trouble: Option<String>,
    figures: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct App {
    name: String,
    hosts: Vec<serde_json::Value>,
}

/// Runs `sunfire status`.
///
/// # Errors
/// With the exit code that says whose mistake it is.
pub fn run(arguments: &StatusArguments) -> Result<Exit, Failure> {
    let monitors = client::get::<Monitors>(&arguments.server, "/api/v1/monitors", &[])?.data;
    let cluster = client::get::<Cluster>(&arguments.server, "/api/v1/cluster", &[])?.data;
    let (Some(monitors), Some(cluster)) = (monitors, cluster) else {
        return Err(Failure::usage("the console answered without data"));
    };
    let mut out = std::io::stdout().lock();
    write_cluster(&cluster, &mut out)?;
    write_monitors(&monitors, &mut out)?;
    let is_well = monitors.mistakes.is_empty()
        && cluster.nodes.iter().all(|node| node.trouble.is_none())
        && monitors
            .monitors
            .iter()
            .all(|monitor| monitor.below == 0 && monitor.troubles.is_empty());
    Ok(if is_well { Exit::Complete } else { Exit::Incomplete })
}

fn write_cluster(cluster: &Cluster, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "epoch {}", cluster.epoch)?;
    let mut lines = vec![
        ["role", "node", "address", "state", "figures"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for node in &cluster.nodes {
        let figures = node.figures.iter().map(|(name, value)| format!("{name}={value}"));
        lines.push(vec![
            node.role.clone(),
            node.node.clone(),
            node.address.clone(),
            node.trouble.clone().unwrap_or_else(|| "ok".to_owned()),
            figures.collect::<Vec<_>>().join(" "),
        ]);
    }
    write_table(&lines, out)?;
    for app in &cluster.apps {
        writeln!(out, "app {}: {} hosts", app.name, app.hosts.len())?;
    }
    Ok(())
}

fn write_monitors(monitors: &Monitors, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out)?;
    let header = ["monitor", "app", "window", "hosts", "newest", "below 100 %"];
    let mut lines = vec![header.map(str::to_owned).to_vec()];
    for monitor in &monitors.monitors {
        lines.push(vec![
            monitor.name.clone(),
            monitor.app.clone().unwrap_or_default(),
            format!("{} ms", monitor.window_ms),
            monitor.hosts_expected.to_string(),
            monitor.newest.clone().unwrap_or_else(|| "none yet".to_owned()),
            monitor.below.to_string(),
        ]);
    }
    write_table(&lines, out)?;
    for monitor in &monitors.monitors {
        for below in monitor.below_windows.iter().take(BELOW_SHOWN) {
            let why: Vec<String> = below
                .missing
                .iter()
                .map(|(state, hosts)| format!("{hosts} {state}"))
                .collect();
            let Below {
                window, ok, expected, ..
            } = below;
            writeln!(
                out,
                "  {} {window}: {ok}/{expected} hosts · {}",
                monitor.name,
                why.join(", ")
            )?;
        }
        for trouble in &monitor.troubles {
            writeln!(out, "  {}: {trouble}", monitor.name)?;
        }
    }
    for mistake in &monitors.mistakes {
        let Mistake {
            file,
            line,
            column,
            message,
            ..
        } = mistake;
        writeln!(out, "mistake: {file}:{line}:{column}: {message}")?;
        if let Some(hint) = &mistake.hint {
            writeln!(out, "  hint: {hint}")?;
        }
    }
    Ok(())
}
