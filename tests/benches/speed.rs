//! The speed that the README tells of: `sunfire eval` against what else can be asked of a log on one machine, as whole
//! processes by turns on one file in one run, in bytes per CPU second (user and system, of all threads); then many
//! monitors on one log, and two threads on one file. Prints a table; a rival that is not installed is named as skipped.
//!
//! `cargo bench -p sunfire-tests --bench speed -- [MIB] [RUNS]`. Rivals are Debian's `mawk`, `ripgrep` and `mtail`, and
//! `duckdb` as a module of `python3`. Where one does less or other work than is asked, its name says so.

use anyhow::{Context, Result, ensure};
use logline::order::Following;
use logline::records::{RecordReader, Start};
use logline::stamp::{Detection, ProfileReader, Zone, learn};
use map::engine::{Batch, Carried, Input, Labels, Sheets, Tally, Verdicts};
use map::plan::Plan;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use sunfire_tests::access_log::{write_access_log, write_application_log, write_json_log};

type Writer = fn(&mut BufWriter<File>, u64, u64) -> std::io::Result<()>;

/// A kind of log.
struct Log {
    name: &'static str,
    write: Writer,
}

const ACCESS: Log = Log {
    name: "access.log",
    write: write_access_log,
};
const APPLICATION: Log = Log {
    name: "application.log",
    write: write_application_log,
};
const JSON: Log = Log {
    name: "json.log",
    write: write_json_log,
};

/// Something else that can be asked.
struct Rival {
    name: &'static str,
    /// The program, and its arguments; `{}` is the log.
    command: &'static [&'static str],
}

struct Case {
    name: &'static str,
    log: Log,
    question: &'static str,
    rivals: &'static [Rival],
}

const MAWK_STATUS: &str = r#"{ k = substr($4, 2, 17) " " $9; n[k]++; s[k] += $10; if ($10 > x[k]) x[k] = $10 }
    END { for (k in n) printf "%s %d %.0f %d\n", k, n[k], s[k], x[k] }"#;
const MAWK_PAIRS: &str = r#"{ split($0, p, " - ")
    m = substr(p[1], 1, 18); c = split(p[2], f, "|"); op = ""; r = ""; v = 0
    for (i = 1; i <= c; i++) { e = index(f[i], "="); key = substr(f[i], 1, e - 1)
      if (key == "op") op = substr(f[i], e + 1); else if (key == "result") r = substr(f[i], e + 1)
      else if (key == "cost") v = substr(f[i], e + 1) + 0 }
    k = m " " op " " r; n[k]++; s[k] += v; if (v > x[k]) x[k] = v }
    END { for (k in n) printf "%s %d %.0f %d\n", k, n[k], s[k], x[k] }"#;
const MAWK_URLS: &str = r#"{ n[substr($4, 2, 17) " " $7]++ } END { for (k in n) print k, n[k] }"#;
const DUCK_LINES: &str =
    "read_csv('{}', columns={'line': 'VARCHAR'}, delim='\\x01', quote='', escape='', header=false)";
const DUCK_STATUS: &str = "select substr(regexp_extract(line, '\\[([^\\]]*)', 1), 1, 17) as m, \
    regexp_extract(line, '\" ([0-9]+) ([0-9]+) ', 1) as s, count(*), \
    sum(cast(regexp_extract(line, '\" ([0-9]+) ([0-9]+) ', 2) as bigint)), \
    max(cast(regexp_extract(line, '\" ([0-9]+) ([0-9]+) ', 2) as bigint)) from LINES group by m, s";
const DUCK_URLS: &str = "select count(*) from (select substr(regexp_extract(line, '\\[([^\\]]*)', 1), 1, 17) as m, \
    regexp_extract(line, '\"[A-Z]+ ([^ ]+)', 1) as u, count(*) from LINES group by m, u)";
const DUCK_JSON: &str = "select substr(ts, 1, 16) as m, sum(cost) from read_json('{}', format='newline_delimited', \
    columns={'ts': 'VARCHAR', 'cost': 'BIGINT'}) group by m";
const MTAIL: &str = "counter lines by status\ncounter bytes by status\n\
    /\" (?P<status>\\d{3}) (?P<size>\\d+) / {\n  lines[$status]++\n  bytes[$status] += $size\n}\n";

const CASES: [Case; 7] = [
    Case {
        name: "count, sum, max by status per minute, nginx access log",
        log: ACCESS,
        question: "select count(), sum(body_bytes_sent), max(body_bytes_sent) parse nginx group by status every 1m",
        rivals: &[
            Rival {
                name: "mawk",
                command: &["mawk", MAWK_STATUS, "{}"],
            },
            Rival {
                name: "DuckDB, one thread",
                command: &["duckdb", DUCK_STATUS, "{}"],
            },
            Rival {
                name: "mtail, count and sum by status alone",
                command: &["mtail", MTAIL, "{}"],
            },
            Rival {
                name: "wc -l, lines alone",
                command: &["wc", "-l", "{}"],
            },
        ],
    },
    Case {
        name: "the same, and p99",
        log: ACCESS,
        question: "select count(), sum(body_bytes_sent), max(body_bytes_sent), p99(body_bytes_sent) parse nginx \
                   group by status every 1m",
        rivals: &[],
    },
    Case {
        name: "count, sum, p99 by (op, result) per 5 s, key=value log",
        log: APPLICATION,
        question: "select count(), sum(cost), p99(cost) parse kv('|', '=', ' - ') group by op, result every 5s",
        rivals: &[Rival {
            name: "mawk, max for p99, per 10 s",
            command: &["mawk", MAWK_PAIRS, "{}"],
        }],
    },
    Case {
        name: "count where a rare text is in the line, every stamp read",
        log: APPLICATION,
        question: "select count() where line contains 'trace=00000' every 1m",
        rivals: &[Rival {
            name: "ripgrep -c, no stamps",
            command: &["rg", "-c", "trace=00000", "{}"],
        }],
    },
    Case {
        name: "sum by a field of JSON lines, per minute",
        log: JSON,
        question: "select sum(cost) parse json every 1m",
        rivals: &[Rival {
            name: "DuckDB, one thread",
            command: &["duckdb", DUCK_JSON, "{}"],
        }],
    },
    Case {
        name: "regular expression with two groups, per minute",
        log: APPLICATION,
        question: r"select count(), sum(cost) parse regex('op=(?<op>[a-z]+)\|result=[a-z]+\|cost=(?<cost>[0-9]+)')
                    group by op every 1m",
        rivals: &[Rival {
            name: "ripgrep, prints the groups",
            command: &[
                "rg",
                "-o",
                "-r",
                "$1 $2",
                r"op=([a-z]+)\|result=[a-z]+\|cost=([0-9]+)",
                "{}",
            ],
        }],
    },
    Case {
        name: "count by 190 000 URLs per minute",
        log: ACCESS,
        question: "select count() parse nginx group by uri every 1m",
        rivals: &[
            Rival {
                name: "mawk",
                command: &["mawk", MAWK_URLS, "{}"],
            },
            Rival {
                name: "DuckDB, one thread",
                command: &["duckdb", DUCK_URLS, "{}"],
            },
        ],
    },
];

/// CPU seconds (user and system) of the children waited for so far.
fn children_cpu_seconds() -> Result<f64> {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// CPU seconds of this process.
fn own_cpu_seconds() -> Result<f64> {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}

/// What a process cost.
struct Cost {
    cpu_seconds: f64,
    seconds: f64,
    rss_anon_kib_max: u64,
}

fn rss_anon_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn run(command: &mut Command) -> Result<Cost> {
    let clock = lika::seam::Clock::system();
    let (before, began) = (children_cpu_seconds()?, clock.wall().0);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
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
        seconds: (clock.wall().0 - began) as f64 / 1e9,
        rss_anon_kib_max,
    })
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn sunfire(threads: &str, question: &str, log: &Path) -> Command {
    let mut command = Command::new(sunfire_tests::binary::release());
    command.args([
        "eval",
        "--tz",
        "UTC",
        "--format",
        "json",
        "--threads",
        threads,
        question,
    ]);
    command.arg(log);
    command
}

impl Rival {
    /// How it is asked of a log; `None` if it is not installed.
    fn command(&self, log: &Path, folder: &Path) -> Result<Option<Command>> {
        let path = log.to_str().context("the path is UTF-8")?;
        let (program, arguments) = self.command.split_first().context("a rival has a program")?;
        let mut command = match *program {
            "duckdb" => {
                let mut command = Command::new("python3");
                let sql = arguments[0].replace("LINES", DUCK_LINES).replace("{}", path);
                let script = "import sys, duckdb; c = duckdb.connect(); c.execute('set threads to 1'); \
                              print(len(c.execute(sys.argv[1]).fetchall()))";
                command.args(["-c", script, &sql]);
                command
            }
            "mtail" => {
                let programs = folder.join("mtail");
                std::fs::create_dir_all(&programs)?;
                std::fs::write(programs.join("status.mtail"), arguments[0])?;
                let mut command = Command::new("mtail");
                command.args(["--one_shot", "--one_shot_format", "json", "--logs", path, "--progs"]);
                command.arg(programs);
                command
            }
            program => {
                let mut command = Command::new(program);
                command.args(arguments.iter().map(|argument| argument.replace("{}", path)));
                command
            }
        };
        let probe = match *program {
            "duckdb" => Command::new("python3").args(["-c", "import duckdb"]).output(),
            program => Command::new(program).arg("--version").output(),
        };
        // Some know no such option; it is enough that they are there.
        let is_there = probe.is_ok_and(|probe| *program != "duckdb" || probe.status.success());
        command.stdin(Stdio::null());
        Ok(is_there.then_some(command))
    }
}

/// A line of the table: GB per CPU second, and how many times as much that is as a rival's.
fn row(name: &str, rate: f64, rival: &str, of_rival: Option<f64>) {
    let told = of_rival.map_or("not installed".to_owned(), |theirs| {
        format!("{theirs:.3} | {:.1} ×", rate / theirs)
    });
    println!("| {name} | {rate:.2} | {rival} | {told} |");
}

fn compare(case: &Case, log: &Path, folder: &Path, runs: usize) -> Result<u64> {
    let size = std::fs::metadata(log)?.len() as f64 / 1e9;
    let mut rivals = Vec::new();
    for rival in case.rivals {
        rivals.push((rival, rival.command(log, folder)?, Vec::new()));
    }
    let (mut ours, mut rss) = (Vec::new(), 0);
    for round in 0..=runs {
        let cost = run(&mut sunfire("1", case.question, log))?;
        rss = rss.max(cost.rss_anon_kib_max);
        if round > 0 {
            ours.push(size / cost.cpu_seconds);
        }
        for (_, command, theirs) in &mut rivals {
            if let (Some(command), true) = (command, round > 0) {
                theirs.push(size / run(command)?.cpu_seconds);
            }
        }
    }
    let ours = median(ours);
    if rivals.is_empty() {
        println!("| {} | {ours:.2} | | | |", case.name);
    }
    for (rival, command, theirs) in rivals {
        row(case.name, ours, rival.name, command.map(|_| median(theirs)));
    }
    Ok(rss)
}

/// Different monitors on one access log: what groups, what is counted, and which records.
fn monitors(count: usize) -> Result<Vec<(Plan, Input)>> {
    let monitor = |number: usize| {
        let groups = [
            "status",
            "request_method",
            "server_protocol",
            "status, request_method",
            "http_user_agent",
        ];
        let states = [
            "count()",
            "sum(body_bytes_sent)",
            "max(body_bytes_sent), count()",
            "avg(body_bytes_sent)",
        ];
        let filter = match number % 3 {
            0 => String::new(),
            1 => format!("where status >= {}", 200 + number),
            _ => format!("where body_bytes_sent > {}", number * 50),
        };
        let (states, group) = (states[number / 5 % 4], groups[number % 5]);
        let window = ["1m", "10s", "5s"][number % 3];
        let text = format!("select {states} parse nginx {filter} group by {group} every {window}");
        let monitor = configs::parse_mql(&text).map_err(|error| anyhow::anyhow!("{text}: {error}"))?;
        let plan = Plan::new(&monitor).map_err(|error| anyhow::anyhow!("{text}: {error}"))?;
        let input = Input {
            labels: Labels::default(),
            lateness_ns: 10_000_000_000,
            rule: monitor.parse,
            form: logline::text::Form::default(),
            generation: 0,
        };
        Ok((plan, input))
    };
    (0..count).map(monitor).collect()
}

/// Counts a log in memory for all monitors, as a Map does; CPU seconds.
fn count_together(bytes: &[u8], monitors: &[(Plan, Input)]) -> Result<f64> {
    let Detection::Stamped(detected) = learn(&bytes[..bytes.len().min(1 << 20)]) else {
        anyhow::bail!("the log has stamps");
    };
    let began = own_cpu_seconds()?;
    let mut sheets = Sheets::default();
    let mut tallies = Vec::new();
    for (plan, input) in monitors {
        let seated = sheets.seat(plan, input)?;
        tallies.push(Tally::new(plan, input.clone(), seated, Carried::default()));
    }
    let stamps = ProfileReader::new(&detected.profile, Zone::utc());
    let mut reader = RecordReader::new(stamps, Start::FileStart, 0);
    for piece in bytes.chunks(1 << 20) {
        reader.push(piece);
        let verdicts = Verdicts::new(&reader, 0, 10_000_000_000, Following::MayCome);
        for batch in Batch::all(&reader) {
            sheets.begin();
            for tally in &mut tallies {
                if tally.place(&batch, batch.part(verdicts.closed()), &verdicts) {
                    sheets.want(tally.seated());
                }
            }
            sheets.fill(&batch);
            tallies.iter_mut().for_each(|tally| tally.add(&batch, &sheets));
        }
        reader.release(verdicts.closed().len());
    }
    Ok(own_cpu_seconds()? - began)
}

/// The cost of ten and a hundred monitors in that of one: the mean of the ten, each alone.
fn many(log: &Path, runs: usize) -> Result<()> {
    let mut bytes = std::fs::read(log)?;
    bytes.truncate(64 << 20);
    let all = monitors(100)?;
    let (mut ten, mut hundred, mut rate) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let mut one = 0.0;
        for monitor in &all[..10] {
            one += count_together(&bytes, std::slice::from_ref(monitor))? / 10.0;
        }
        rate.push(bytes.len() as f64 / 1e9 / one);
        ten.push(count_together(&bytes, &all[..10])? / one);
        hundred.push(count_together(&bytes, &all)? / one);
    }
    let (rate, ten, hundred) = (median(rate), median(ten), median(hundred));
    println!("\nMonitors on one access log, in memory: one alone {rate:.2} GB per CPU second (mean of ten different");
    println!("ones); ten together cost {ten:.2} times as much, a hundred {hundred:.2} times.");
    Ok(())
}

fn two_threads(log: &Path, runs: usize) -> Result<()> {
    let (mut faster, mut dearer) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let one = run(&mut sunfire("1", CASES[0].question, log))?;
        let two = run(&mut sunfire("2", CASES[0].question, log))?;
        faster.push(one.seconds / two.seconds);
        dearer.push(two.cpu_seconds / one.cpu_seconds);
    }
    let (faster, dearer) = (median(faster), median(dearer));
    println!(
        "`eval` of the first question with two threads: {faster:.2} times as fast as with one, {dearer:.2} × the CPU."
    );
    Ok(())
}

fn main() -> Result<()> {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse::<u64>().ok());
    let mebibytes = numbers.next().unwrap_or(1024);
    let runs = numbers.next().unwrap_or(5) as usize;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = |log: &Log| folder.join(format!("{mebibytes}-{}", log.name));
    for log in [&ACCESS, &APPLICATION, &JSON] {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path(log))?);
        (log.write)(&mut out, mebibytes << 20, 1)?;
        out.flush()?;
    }
    println!("{mebibytes} MiB, one thread, medians of {runs}; GB per CPU second.\n");
    println!("| work | `sunfire eval` | against | its | ratio |");
    println!("|---|---|---|---|---|");
    let mut rss = 0;
    for case in &CASES {
        rss = rss.max(compare(case, &path(&case.log), &folder, runs)?);
    }
    println!("\n`sunfire eval` took {} MiB of anonymous memory at most.", rss / 1024);
    many(&path(&ACCESS), runs)?;
    two_threads(&path(&ACCESS), runs)?;
    for log in [&ACCESS, &APPLICATION, &JSON] {
        std::fs::remove_file(path(log))?;
    }
    Ok(())
}
