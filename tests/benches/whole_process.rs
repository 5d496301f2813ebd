//! `sunfire eval` against mawk, as whole processes on one file in one run: CPU seconds of each by turns, their ratio,
//! and the peak of anonymous memory. `cargo bench -p sunfire-tests --bench whole_process -- [MIB] [RUNS]`.

use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use sunfire_tests::access_log::{write_access_log, write_application_log};

type Writer = fn(&mut BufWriter<File>, u64, u64) -> std::io::Result<()>;

struct Case {
    name: &'static str,
    log: &'static str,
    write: Writer,
    question: &'static str,
    awk: &'static str,
}

const CASES: [Case; 2] = [
    Case {
        name: "count, sum, max by status per minute, nginx access log",
        log: "access.log",
        write: write_access_log,
        question: "select count(), sum(body_bytes_sent), max(body_bytes_sent) parse nginx group by status every 1m",
        awk: r#"{ k = substr($4, 2, 17) " " $9; n[k]++; s[k] += $10; if ($10 > x[k]) x[k] = $10 }
                END { for (k in n) printf "%s %d %.0f %d\n", k, n[k], s[k], x[k] }"#,
    },
    Case {
        name: "count, sum, max by (minute, op, result), application log",
        log: "application.log",
        write: write_application_log,
        question: "select count(), sum(cost), max(cost) parse kv('|', '=', ' - ') group by op, result every 1m",
        awk: r#"{ split($0, p, " - "); m = substr(p[1], 1, 16); c = split(p[2], f, "|"); op = ""; r = ""; v = 0
                 for (i = 1; i <= c; i++) { e = index(f[i], "="); key = substr(f[i], 1, e - 1)
                   if (key == "op") op = substr(f[i], e + 1); else if (key == "result") r = substr(f[i], e + 1)
                   else if (key == "cost") v = substr(f[i], e + 1) + 0 }
                 k = m " " op " " r; n[k]++; s[k] += v; if (v > x[k]) x[k] = v }
                END { for (k in n) printf "%s %d %.0f %d\n", k, n[k], s[k], x[k] }"#,
    },
];

/// CPU seconds (user and system) of the children waited for so far.
fn children_cpu_seconds() -> Result<f64> {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

struct Cost {
    cpu_seconds: f64,
    rss_anon_kib_max: u64,
}

fn rss_anon_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn run(command: &mut Command) -> Result<Cost> {
    let before = children_cpu_seconds()?;
    let mut child = command
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    let mut rss_anon_kib_max = 0;
    let status = loop {
        rss_anon_kib_max = rss_anon_kib_max.max(rss_anon_kib(child.id()).unwrap_or(0));
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::park_timeout(std::time::Duration::from_millis(5)),
        }
    };
    ensure!(status.success(), "{command:?}: {status}");
    Ok(Cost {
        cpu_seconds: children_cpu_seconds()? - before,
        rss_anon_kib_max,
    })
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn sunfire(arguments: &[&str], log: &Path) -> Command {
    let mut command = Command::new(sunfire_tests::binary::release());
    command
        .args(["eval", "--tz", "UTC", "--format", "json"])
        .args(arguments)
        .arg(log);
    command
}

fn compare(case: &Case, log: &Path, runs: usize) -> Result<()> {
    let size = std::fs::metadata(log)?.len() as f64;
    let (mut ours, mut theirs, mut ratios, mut rss) = (vec![], vec![], vec![], 0);
    for round in 0..=runs {
        let cost = run(&mut sunfire(&["--threads", "1", case.question], log))?;
        let awk = run(Command::new("mawk").arg(case.awk).arg(log))?;
        if round > 0 {
            ours.push(size / 1e6 / cost.cpu_seconds);
            theirs.push(size / 1e6 / awk.cpu_seconds);
            ratios.push(awk.cpu_seconds / cost.cpu_seconds);
            rss = rss.max(cost.rss_anon_kib_max);
        }
    }
    println!("{} ({:.0} MB, median of {runs})", case.name, size / 1e6);
    println!(
        "  sunfire eval  {:7.0} MB per CPU second, RssAnon {} MiB at most",
        median(ours),
        rss / 1024
    );
    println!("  mawk          {:7.0} MB per CPU second", median(theirs));
    println!("  ratio         {:7.2} ×", median(ratios));
    Ok(())
}

fn main() -> Result<()> {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse::<u64>().ok());
    let mebibytes = numbers.next().unwrap_or(1024);
    let runs = numbers.next().unwrap_or(5) as usize;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for case in &CASES {
        let log = folder.join(format!("{mebibytes}-{}", case.log));
        if std::fs::metadata(&log).map_or(0, |metadata| metadata.len()) < mebibytes << 20 {
            let mut out = BufWriter::with_capacity(1 << 20, File::create(&log)?);
            (case.write)(&mut out, mebibytes << 20, 1)?;
            out.flush()?;
        }
        compare(case, &log, runs)?;
        std::fs::remove_file(&log)?;
    }
    Ok(())
}
