//! How many bytes a second go the whole way: an agent's file, the Map that pulls and counts it, the Reduce that merges
//! it, the store, and the answer. A cluster of real processes on this machine. On each host so much log is there from
//! one moment on, with records of the last seconds (a file is renamed to a name that the monitor reads: writing it
//! would take the processor from those who are measured), and the time runs from then until an answer has all of them.
//! `cargo bench -p sunfire-tests --bench whole_path -- [MIB] [RUNS]`. CPU time is told by role.

use anyhow::{Context, Result, ensure};
use lika::seam::Clock;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use sunfire_tests::access_log::write_access_log;
use sunfire_tests::cluster::Cluster;
use sunfire_tests::live::api::{try_get, until_answered, until_stored};

/// Enough of them for their slots to be spread over the three Maps.
const HOSTS: u16 = 10;
const ROLES: [&str; 5] = ["agent", "map", "reduce", "brain", "console"];
/// Seconds of log that the records are of.
const SECONDS: i64 = 10;
const PATIENCE: Duration = Duration::from_secs(120);

/// An access log of which all stamps lie in the seconds from `from` on; how many lines it has.
fn write_log(path: &Path, bytes: u64, seed: u64, from: i64) -> Result<u64> {
    let mut text = Vec::new();
    write_access_log(&mut text, bytes, seed)?;
    let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, fs::File::create(path)?);
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let second = from + number as i64 * SECONDS / lines as i64;
        let stamp = jiff::Timestamp::from_second(second)?
            .strftime("%d/%b/%Y:%H:%M:%S +0000")
            .to_string();
        let begin = 1 + line.iter().position(|byte| *byte == b'[').context("a stamp")?;
        out.write_all(&line[..begin])?;
        out.write_all(stamp.as_bytes())?;
        out.write_all(&line[begin + stamp.len()..])?;
    }
    // What is written back later would take the processor from those who are measured.
    out.into_inner()?.sync_all()?;
    Ok(lines)
}

/// CPU seconds of the processes of each role.
fn cpu_seconds(cluster: &Cluster) -> Result<BTreeMap<&'static str, f64>> {
    let mut all = BTreeMap::new();
    for role in ROLES {
        for name in cluster.of_role(role) {
            let Some(pid) = cluster.pid(&name) else { continue };
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            let (_, fields) = stat.rsplit_once(')').context("a name")?;
            let fields: Vec<&str> = fields.split_whitespace().collect();
            let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
            *all.entry(role).or_default() += ticks as f64 / 100.0;
        }
    }
    Ok(all)
}

fn configuration(logs: &Path) -> String {
    format!(
        "kind: app\nname: fleet\nfile_sd: [targets/*.json]\n---\nkind: monitor\nname: by_status\napp: fleet\n\
         log: {}/${{host}}/app*.log\nparse: nginx\ngroup_by: [status]\nselect:\n  records: count()\n  \
         bytes: sum(body_bytes_sent)\n  largest: max(body_bytes_sent)\nwindow: 1s\nlateness: 10s\ndelay: 60s\n",
        logs.display()
    )
}

/// Records in the answer.
fn counted(server: &str) -> u64 {
    let parameters = [("q", "select sum(records) from by_status since 5m")];
    let answer = try_get(server, "/api/v1/query", &parameters, Duration::from_secs(5));
    let points = answer.and_then(|answer| answer["data"]["points"].as_array().cloned());
    let values = points.iter().flatten().filter_map(|point| point["values"].as_object());
    values
        .flat_map(|values| values.values())
        .filter_map(|value| value.as_u64())
        .sum()
}

fn one(mebibytes: u64) -> Result<()> {
    let (folder, clock) = (tempfile::tempdir()?, Clock::system());
    let mut cluster = Cluster::prepare(&sunfire_tests::binary::release(), folder.path());
    let server = cluster.server();
    cluster.configure("shop.yaml", &configuration(&cluster.hosts_folder()));
    let mut targets = Vec::new();
    let hosts: Vec<String> = (1..=HOSTS).map(|number| format!("web-{number:02}")).collect();
    for (host, port) in hosts.iter().zip(7901..) {
        let address = format!("127.0.0.1:{}", cluster.port(port));
        targets.push(json!({ "targets": [address], "labels": { "host": host } }));
        // An agent's sandbox shuts out what is made in the place of a root after its start; and windows before a log
        // is there are repaired, which would read all of it once more.
        write_log(
            &cluster.host_folder(host).join("app.log"),
            1,
            0,
            clock.wall().0 / 1_000_000_000,
        )?;
    }
    cluster.configure("targets/web.json", &serde_json::Value::from(targets).to_string());
    cluster.start_all();
    until_answered(&server);
    until_stored(&server, "by_status");
    // Windows of the records must be those that are counted already.
    let from = clock.wall().0 / 1_000_000_000 + 5;
    let (mut lines, mut bytes) = (u64::from(HOSTS), 0);
    for (number, host) in hosts.iter().enumerate() {
        let path = cluster.host_folder(host).join("next");
        lines += write_log(&path, (mebibytes << 20) / u64::from(HOSTS), number as u64, from)?;
        bytes += fs::metadata(&path)?.len();
    }
    while clock.wall().0 / 1_000_000_000 < from + SECONDS + 1 {
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let (before, began_ns) = (cpu_seconds(&cluster)?, clock.wall().0);
    for host in &hosts {
        let logs = cluster.host_folder(host);
        fs::rename(logs.join("next"), logs.join("app-next.log"))?;
    }
    let deadline = clock.deadline_in(PATIENCE);
    let mut seen = 0;
    while seen < lines {
        ensure!(
            !clock.has_passed(deadline),
            "{seen} of {lines} records are in the answer"
        );
        std::thread::park_timeout(Duration::from_millis(50));
        seen = counted(&server);
    }
    let seconds = (clock.wall().0 - began_ns) as f64 / 1e9;
    ensure!(
        seen == lines,
        "{seen} records are in the answer, and {lines} were written"
    );
    let spent = cpu_seconds(&cluster)?;
    let gigabytes = bytes as f64 / 1e9;
    println!(
        "{gigabytes:.2} GB, {lines} records in {seconds:.2} s: {:.2} GB/s",
        gigabytes / seconds
    );
    for (role, spent) in &spent {
        let own = spent - before.get(role).unwrap_or(&0.0);
        println!("  {role:8} {own:6.2} CPU s, {:.3} a GB", own / gigabytes);
    }
    Ok(())
}

fn main() -> Result<()> {
    let numbers = std::env::args().skip(1);
    let mut numbers = numbers.filter_map(|argument| argument.parse::<u64>().ok());
    let (mebibytes, runs) = (numbers.next().unwrap_or(2048), numbers.next().unwrap_or(3));
    for _ in 0..runs {
        one(mebibytes)?;
    }
    Ok(())
}
