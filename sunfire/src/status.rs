//! `sunfire status`: what runs where, who is expected, and which windows are below 100 % and why.

use crate::cli::StatusArguments;
use crate::client;
use crate::exit::{Exit, Failure};
use crate::output::write_table;
use reduce::overflow::Overflow;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// Windows below 100 % that are named for a monitor; the console has them all.
const BELOW_SHOWN: usize = 5;
/// Hosts whose agents are alike that are named; the console has them all.
const AGENTS_NAMED_MAX: usize = 8;

#[derive(Deserialize)]
struct Monitors {
    monitors: Vec<Monitor>,
    /// An older console does not say it.
    #[serde(default)]
    tenants: Vec<Tenant>,
    mistakes: Vec<Mistake>,
}

#[derive(Deserialize)]
struct Monitor {
    name: String,
    app: Option<String>,
    window_ms: u64,
    hosts_expected: u64,
    reduce: Option<String>,
    shards: Vec<Shard>,
    newest: Option<String>,
    below: u64,
    below_windows: Vec<Below>,
    troubles: Vec<String>,
    cpu_us_per_s: u64,
    bytes_per_s: u64,
    /// An older console does not say it.
    overflow: Option<Overflow>,
    #[serde(default)]
    notices: Vec<String>,
}

#[derive(Deserialize)]
struct Tenant {
    name: String,
    monitors: u64,
    cpu_us_per_s: u64,
    bytes_per_s: u64,
    cpu_limit_us_per_s: Option<u64>,
    bytes_limit_per_s: Option<u64>,
    suspended: u64,
}

#[derive(Deserialize)]
struct Shard {
    map: String,
    hosts: u64,
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
    /// An older console tells each by itself.
    #[serde(default = "one")]
    count: u64,
}

fn one() -> u64 {
    1
}

#[derive(Deserialize)]
struct Cluster {
    epoch: u64,
    nodes: Vec<Node>,
    apps: Vec<App>,
    sharing: Sharing,
}

#[derive(Deserialize)]
struct Sharing {
    inputs: u64,
    inputs_unshared: u64,
    saved_percent: Option<u64>,
}

#[derive(Deserialize)]
struct Node {
    node: String,
    role: String,
    address: String,
    life: String,
    since: Option<String>,
    trouble: Option<String>,
    #[serde(default)]
    drained: Option<String>,
    figures: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct App {
    name: String,
    hosts: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Agents {
    agents: Vec<Agent>,
}

#[derive(Deserialize)]
struct Agent {
    app: String,
    host: String,
    address: String,
    sandbox: Option<String>,
    missing: Option<String>,
    user: Option<String>,
    trouble: Option<String>,
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
    // An older console, or Maps that do not answer, are no reason to say nothing of the rest.
    let agents = client::get::<Agents>(&arguments.server, "/api/v1/agents", &[]);
    let agents = agents.map(|answer| answer.data.map_or(Vec::new(), |data| data.agents));
    let mut out = std::io::stdout().lock();
    let wrong = what_is_wrong(&monitors, &cluster);
    write_verdict(&wrong, &monitors, &cluster, &mut out)?;
    write_cluster(&cluster, &mut out)?;
    match agents {
        Ok(agents) => write_agents(&agents, &mut out)?,
        Err(error) => writeln!(out, "agents: not known: {}", error.message)?,
    }
    write_monitors(&monitors, &mut out)?;
    write_tenants(&monitors.tenants, &mut out)?;
    Ok(if wrong.is_empty() {
        Exit::Complete
    } else {
        Exit::Incomplete
    })
}

/// What needs somebody's attention, worst first.
fn what_is_wrong(monitors: &Monitors, cluster: &Cluster) -> Vec<String> {
    let mut wrong = Vec::new();
    for node in cluster
        .nodes
        .iter()
        .filter(|node| node.life == "dead" || node.trouble.is_some())
    {
        let why = node
            .trouble
            .as_ref()
            .map_or(String::new(), |trouble| format!(": {trouble}"));
        wrong.push(format!(
            "{} {} is {}{why}",
            node.role,
            node.node,
            shown_life(&node.life)
        ));
    }
    if !monitors.mistakes.is_empty() {
        wrong.push(format!(
            "{} mistakes in the configuration, see below",
            monitors.mistakes.iter().map(|mistake| mistake.count).sum::<u64>()
        ));
    }
    for monitor in &monitors.monitors {
        if let Some(trouble) = monitor.troubles.first() {
            wrong.push(format!("{}: {trouble}", monitor.name));
        } else if monitor.below > 0 {
            wrong.push(format!("{}: {} windows below 100 %", monitor.name, monitor.below));
        }
    }
    wrong
}

fn shown_life(life: &str) -> &str {
    match life {
        "live" => "in trouble",
        "unknown" => "not heard yet",
        other => other,
    }
}

fn write_verdict(
    wrong: &[String],
    monitors: &Monitors,
    cluster: &Cluster,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if wrong.is_empty() {
        let (nodes, count) = (cluster.nodes.len(), monitors.monitors.len());
        writeln!(
            out,
            "all is well: {nodes} nodes, {count} monitors, nothing below 100 %\n"
        )?;
        return Ok(());
    }
    writeln!(out, "{} things to look at:", wrong.len())?;
    wrong.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    Ok(writeln!(out)?)
}

/// How a node stands, in the words of a table.
fn state_of(node: &Node) -> String {
    let stands = node.trouble.clone().unwrap_or_else(|| match node.life.as_str() {
        "live" => "ok".to_owned(),
        other => shown_life(other).to_owned(),
    });
    match &node.drained {
        Some(drained) => format!("{stands}, {drained}"),
        None => stands,
    }
}

fn write_cluster(cluster: &Cluster, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "epoch {}", cluster.epoch)?;
    let mut lines = vec![
        ["role", "node", "address", "state", "since", "figures"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for node in &cluster.nodes {
        let figures = node.figures.iter().map(|(name, value)| format!("{name}={value}"));
        lines.push(vec![
            node.role.clone(),
            node.node.clone(),
            node.address.clone(),
            state_of(node),
            node.since.clone().unwrap_or_default(),
            figures.collect::<Vec<_>>().join(" "),
        ]);
    }
    write_table(&lines, out)?;
    let Sharing {
        inputs,
        inputs_unshared,
        saved_percent,
    } = cluster.sharing;
    if let Some(saved) = saved_percent {
        writeln!(
            out,
            "{inputs} logs are pulled for {inputs_unshared} uses by monitors: {saved} % of pulls saved"
        )?;
    }
    for app in &cluster.apps {
        writeln!(out, "app {}: {} hosts", app.name, app.hosts.len())?;
    }
    Ok(())
}

/// The agents: one line for all that are alike, so that ten thousand hosts are a few lines, and those with a sandbox
/// that is off or not whole are told apart.
fn write_agents(agents: &[Agent], out: &mut impl Write) -> Result<(), Failure> {
    let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for agent in agents.iter().filter(|agent| seen.insert((&agent.address, &agent.host))) {
        alike.entry(agent_told(agent)).or_default().push(&agent.host);
    }
    for (told, hosts) in alike {
        let shown = hosts
            .iter()
            .take(AGENTS_NAMED_MAX)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        let rest = hosts.len().saturating_sub(AGENTS_NAMED_MAX);
        let rest = if rest > 0 {
            format!(" and {rest} more")
        } else {
            String::new()
        };
        writeln!(out, "agent {shown}{rest} {told}")?;
    }
    Ok(())
}

/// How an agent is kept within bounds.
fn agent_told(agent: &Agent) -> String {
    let Some(sandbox) = &agent.sandbox else {
        let why = agent.trouble.as_deref().unwrap_or("nothing was heard");
        return format!("sandbox: not known: {why} (app {})", agent.app);
    };
    let user = agent.user.as_deref().unwrap_or("not known");
    match &agent.missing {
        None => format!("sandbox: {sandbox}, user {user}"),
        Some(missing) => format!("sandbox: {sandbox}, user {user}; warning: {missing}"),
    }
}

/// Who merges a monitor, and who counts how many of its hosts.
fn owners(monitor: &Monitor) -> String {
    let shards: Vec<String> = monitor
        .shards
        .iter()
        .map(|shard| format!("{} {}", shard.map, shard.hosts))
        .collect();
    let reduce = monitor.reduce.as_deref().unwrap_or("nobody");
    if shards.is_empty() {
        return reduce.to_owned();
    }
    format!("{reduce} ← {}", shards.join(", "))
}

/// What Maps take for a monitor or a tenant: processor time and bytes of log a second.
fn cost(cpu_us: u64, bytes: u64) -> String {
    format!("{}, {}", cpu_text(cpu_us), bytes_text(bytes))
}

fn cpu_text(us: u64) -> String {
    format!("{}.{} ms/s", us / 1000, us % 1000 / 100)
}

fn bytes_text(bytes: u64) -> String {
    let tenth_mib = (u128::from(bytes) * 10) >> 20;
    format!("{}.{} MiB/s", tenth_mib / 10, tenth_mib % 10)
}

/// What tenants cost on all Maps together, and may cost on each.
fn write_tenants(tenants: &[Tenant], out: &mut impl Write) -> Result<(), Failure> {
    if tenants.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let header = ["tenant", "monitors", "cost", "limit on each map", "suspended"];
    let mut lines = vec![header.map(str::to_owned).to_vec()];
    for tenant in tenants {
        let cpu = tenant.cpu_limit_us_per_s.map(cpu_text);
        let limits: Vec<String> = cpu
            .into_iter()
            .chain(tenant.bytes_limit_per_s.map(bytes_text))
            .collect();
        lines.push(vec![
            tenant.name.clone(),
            tenant.monitors.to_string(),
            cost(tenant.cpu_us_per_s, tenant.bytes_per_s),
            if limits.is_empty() {
                "none".to_owned()
            } else {
                limits.join(", ")
            },
            tenant.suspended.to_string(),
        ]);
    }
    Ok(write_table(&lines, out)?)
}

fn write_monitors(monitors: &Monitors, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out)?;
    let header = [
        "monitor",
        "app",
        "window",
        "hosts",
        "owner",
        "cost",
        "newest",
        "below 100 %",
    ];
    let mut lines = vec![header.map(str::to_owned).to_vec()];
    for monitor in &monitors.monitors {
        lines.push(vec![
            monitor.name.clone(),
            monitor.app.clone().unwrap_or_default(),
            format!("{} ms", monitor.window_ms),
            monitor.hosts_expected.to_string(),
            owners(monitor),
            cost(monitor.cpu_us_per_s, monitor.bytes_per_s),
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
        if let Some(overflow) = &monitor.overflow {
            writeln!(out, "  {}: {overflow}", monitor.name)?;
        }
        for notice in &monitor.notices {
            writeln!(out, "  {}: {notice}", monitor.name)?;
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
