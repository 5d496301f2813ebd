//! The whole path as it runs, measured: how soon a written line is in an answer, and what `up` and an agent cost.
//!
//! `cargo bench -p sunfire-tests --bench live -- [idle] [latency] [agent]` measures what is named, or all. The binaries
//! are release builds in processes of their own. Costs are CPU time as the kernel accounts it, so that other work on
//! the machine shows in them far less than in the latencies.

use anyhow::{Context, Result, ensure};
use lika::seam::{Clock, Monotonic};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use sunfire_tests::binary;
use sunfire_tests::generator::scramble;
use sunfire_tests::live::api::{query, until_stored};
use sunfire_tests::live::fleet::LocalAgent;
use sunfire_tests::live::up::Up;

/// Hosts of the latency run.
const HOSTS: usize = 20;
/// The last of them, whose logs get nothing but probes: there a line has no successors for seconds.
const QUIET_HOSTS: usize = 4;
/// Every log has so many lines before anything is measured: enough to learn its format from.
const FIRST_LINES: u64 = 50;
/// A line goes to one of the other hosts every so often: 400 lines a second in all.
const LINE_EVERY: Duration = Duration::from_micros(2500);
/// Lines whose way is measured, in each run.
const PROBES: usize = 600;
const LATENCY_RUNS: usize = 2;
/// Probes come at random within this much of each other, so at any phase of the seconds.
const PROBE_PAUSE_US_MAX: u64 = 250_000;
/// The pause between an answer and the next question.
const POLL_PAUSE: Duration = Duration::from_millis(50);
/// How far back is asked: longer than any line may take, or the slowest would be missed rather than measured.
const SINCE: &str = "15s";
/// A probe that is in no answer after so long is lost; within what is asked.
const PROBE_PATIENCE: Duration = Duration::from_secs(12);
/// What a process does once, when it has just started, is not what it costs.
const WARM_UP: Duration = Duration::from_secs(10);
/// How long a cost without an end of its own is measured.
const COST_PERIOD: Duration = Duration::from_secs(30);
/// How long the agent's log grows, and how fast.
const GROWTH_PERIOD: Duration = Duration::from_secs(60);
const GROWTH_BYTES_PER_SECOND: usize = 1_000_000;
/// The growth comes in so many parts a second.
const GROWTH_PARTS: usize = 20;
/// The parts of the kernel's CPU times (`USER_HZ`), on every Linux that we know.
const TICKS_PER_SECOND: f64 = 100.0;
/// Threads that take less of a core, in percent, are not listed.
const LISTED_PERCENT_MIN: f64 = 0.02;

fn pause(wait: Duration) {
    std::thread::park_timeout(wait);
}

/// A line as the logs of this file have it.
fn line(clock: &Clock, op: &str, value: u64) -> String {
    let now = jiff::Timestamp::from_nanosecond(i128::from(clock.wall().0)).expect("a time of this century");
    let stamp = now.strftime("%Y-%m-%d %H:%M:%S.%3f+00:00");
    format!("{stamp} op={op} value={value} text=\"a line of about a hundred bytes, as programs write\"\n")
}

fn open_log(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).open(path);
    file.with_context(|| format!("{} cannot be made", path.display()))
}

// What a process costs.

/// What one thread has used.
#[derive(Debug, Clone, Default)]
struct ThreadUse {
    name: String,
    run_ns: u64,
    /// Times that it went to sleep by itself.
    waits: u64,
}

/// What a process has used so far.
#[derive(Debug, Clone, Default)]
struct Use {
    cpu_ticks: u64,
    threads: BTreeMap<u32, ThreadUse>,
}

fn number_after(status: &str, field: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(field))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn rss_anon_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    number_after(&status, "RssAnon:").context("the kernel does not say RssAnon")
}

/// A thread's, unless it has just ended.
fn thread_use(folder: &Path) -> Option<ThreadUse> {
    let text = |name: &str| fs::read_to_string(folder.join(name)).ok();
    Some(ThreadUse {
        name: text("comm")?.trim().to_owned(),
        run_ns: text("schedstat")?.split_whitespace().next()?.parse().ok()?,
        waits: number_after(&text("status")?, "voluntary_ctxt_switches:")?,
    })
}

impl Use {
    fn of(pid: u32) -> Result<Use> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name may hold anything, so what follows its last bracket: the state, ten numbers, `utime`, `stime`.
        let (_, after) = stat.rsplit_once(')').context("a stat without a name")?;
        let mut times = after.split_whitespace().skip(11).map(str::parse::<u64>);
        let mut next = || times.next().context("a stat without times")?.context("a time");
        let cpu_ticks = next()? + next()?;
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            let id = entry.file_name().to_string_lossy().parse()?;
            threads.extend(thread_use(&entry.path()).map(|used| (id, used)));
        }
        Ok(Use { cpu_ticks, threads })
    }
}

/// Measures a process from its making to its end.
struct Meter {
    clock: Clock,
    pid: u32,
    began: Monotonic,
    before: Use,
    rss_anon_kib_first: u64,
    rss_anon_kib_max: u64,
}

/// What a process cost.
struct Cost {
    cpu_percent: f64,
    rss_anon_kib: (u64, u64),
    /// By name: percent of a core, and waits a second.
    threads: BTreeMap<String, (f64, f64)>,
}

impl Meter {
    fn begin(clock: &Clock, pid: u32) -> Result<Meter> {
        let rss_anon_kib_first = rss_anon_kib(pid)?;
        Ok(Meter {
            clock: clock.clone(),
            pid,
            began: clock.monotonic(),
            before: Use::of(pid)?,
            rss_anon_kib_first,
            rss_anon_kib_max: rss_anon_kib_first,
        })
    }

    /// Looks at what changes both ways.
    fn look(&mut self) -> Result<()> {
        self.rss_anon_kib_max = self.rss_anon_kib_max.max(rss_anon_kib(self.pid)?);
        Ok(())
    }

    fn end(mut self) -> Result<Cost> {
        self.look()?;
        let after = Use::of(self.pid)?;
        let seconds = self.clock.monotonic().since(self.began).as_secs_f64();
        let mut threads: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for (id, used) in after.threads {
            let before = self.before.threads.remove(&id).unwrap_or_default();
            let (percent, waits) = threads.entry(used.name).or_default();
            *percent += (used.run_ns - before.run_ns) as f64 / 1e7 / seconds;
            *waits += (used.waits - before.waits) as f64 / seconds;
        }
        let cpu_ticks = (after.cpu_ticks - self.before.cpu_ticks) as f64;
        Ok(Cost {
            cpu_percent: cpu_ticks / TICKS_PER_SECOND / seconds * 100.0,
            rss_anon_kib: (self.rss_anon_kib_first, self.rss_anon_kib_max),
            threads,
        })
    }

    /// What a process costs for a while.
    fn over(clock: &Clock, pid: u32, period: Duration) -> Result<Cost> {
        let deadline = clock.deadline_in(period);
        let mut meter = Meter::begin(clock, pid)?;
        while !clock.has_passed(deadline) {
            pause(clock.remaining(deadline).min(Duration::from_millis(500)));
            meter.look()?;
        }
        meter.end()
    }
}

impl Cost {
    fn print(&self, what: &str) {
        let (first, most) = self.rss_anon_kib;
        let mebibytes = |kib: u64| kib as f64 / 1024.0;
        println!(
            "{what}: {:.2} % of a core, RssAnon {:.1} MiB at first, {:.1} at most",
            self.cpu_percent,
            mebibytes(first),
            mebibytes(most)
        );
        let mut threads: Vec<_> = self.threads.iter().collect();
        threads.sort_by(|(_, (one, _)), (_, (other, _))| other.total_cmp(one));
        for (name, (percent, waits)) in threads {
            if *percent >= LISTED_PERCENT_MIN {
                println!("    {name:16} {percent:6.2} %  {waits:7.1} waits a second");
            }
        }
        let known: f64 = self.threads.values().map(|(percent, _)| percent).sum();
        if self.cpu_percent - known >= LISTED_PERCENT_MIN {
            println!("    threads that ended {:4.2} %", self.cpu_percent - known);
        }
    }
}

// How soon a line is in an answer.

/// A line on its way.
#[derive(Debug, Clone)]
struct Probe {
    is_quiet: bool,
    /// When its write had returned.
    written: Monotonic,
    /// The question before the first answer that held it, and that answer.
    seen: Option<(Monotonic, Monotonic)>,
    /// The first answer in which its window was vouched for.
    vouched: Option<Monotonic>,
}

/// Agents, and one thread that writes all of their logs.
struct Hosts {
    configuration: String,
    _agents: Vec<LocalAgent>,
    logs: Vec<PathBuf>,
}

impl Hosts {
    fn start(base: &Path) -> Result<Hosts> {
        let (mut logs, mut agents, mut hosts) = (Vec::new(), Vec::new(), String::new());
        for number in 0..HOSTS {
            let folder = base.join(format!("h{number}"));
            fs::create_dir_all(&folder)?;
            let agent = LocalAgent::start(&format!("h{number}"), base, None);
            hosts += &format!("  - {{ host: h{number}, address: \"{}\" }}\n", agent.address);
            agents.push(agent);
            logs.push(folder.join("app.log"));
        }
        let configuration = format!(
            "kind: app\nname: fleet\nhosts:\n{hosts}---\nkind: monitor\nname: ops\napp: fleet\n\
             log: {}/${{host}}/app.log\nparse: logfmt\ngroup_by: [op]\nselect:\n  records: count()\n  \
             value: sum(value)\nwindow: 1s\n",
            base.display()
        );
        Ok(Hosts {
            configuration,
            _agents: agents,
            logs,
        })
    }
}

/// What writer and poller share.
#[derive(Default)]
struct Shared {
    probes: Mutex<Vec<Probe>>,
    /// Probes are written up to this number.
    wanted: AtomicUsize,
    stop: AtomicBool,
}

impl Shared {
    fn probes(&self) -> std::sync::MutexGuard<'_, Vec<Probe>> {
        self.probes.lock().expect("the writer did not panic")
    }
}

/// The writer of all logs.
struct Writer {
    clock: Clock,
    files: Vec<File>,
    shared: Arc<Shared>,
    lines: u32,
    probes: usize,
}

impl Writer {
    fn new(clock: &Clock, logs: &[PathBuf], shared: &Arc<Shared>) -> Result<Writer> {
        let mut files = logs.iter().map(|log| open_log(log)).collect::<Result<Vec<_>>>()?;
        for file in &mut files {
            for value in 0..FIRST_LINES {
                file.write_all(line(clock, "login", value).as_bytes())?;
            }
        }
        Ok(Writer {
            clock: clock.clone(),
            files,
            shared: Arc::clone(shared),
            lines: 0,
            probes: 0,
        })
    }

    /// Writes until it is told to stop.
    fn write(mut self) -> Result<()> {
        let start = self.clock.monotonic();
        let mut next_probe = Duration::ZERO;
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = self.clock.monotonic().since(start);
            while now >= LINE_EVERY * self.lines {
                self.write_line()?;
            }
            if self.probes < self.shared.wanted.load(Ordering::Relaxed) && now >= next_probe {
                self.write_probe()?;
                next_probe = now + Duration::from_micros(scramble(self.probes as u64) % PROBE_PAUSE_US_MAX);
            }
            pause(LINE_EVERY);
        }
        Ok(())
    }

    fn write_line(&mut self) -> Result<()> {
        let number = self.lines as usize;
        let op = ["pay", "refund", "query", "login"][number % 4];
        let text = line(&self.clock, op, number as u64 % 1000);
        self.files[number % (HOSTS - QUIET_HOSTS)].write_all(text.as_bytes())?;
        self.lines += 1;
        Ok(())
    }

    fn write_probe(&mut self) -> Result<()> {
        let host = self.probes % HOSTS;
        let text = line(&self.clock, &format!("p{}", self.probes), 1);
        // Held meanwhile, so that no answer is looked through between the line and its note.
        let mut probes = self.shared.probes();
        self.files[host].write_all(text.as_bytes())?;
        probes.push(Probe {
            is_quiet: host >= HOSTS - QUIET_HOSTS,
            written: self.clock.monotonic(),
            seen: None,
            vouched: None,
        });
        self.probes += 1;
        Ok(())
    }
}

/// Asks once, and notes which probes are in the answer; how long it took.
fn poll(clock: &Clock, up: &Up, shared: &Shared, asked_before: Monotonic) -> (Monotonic, Duration) {
    let asked = clock.monotonic();
    let points = query(&up.server, &format!("select * from ops since {SINCE}"));
    let answered = clock.monotonic();
    let mut probes = shared.probes();
    for point in points {
        let name = point.group["op"].as_str().and_then(|op| op.strip_prefix('p'));
        let Some(number) = name.and_then(|number| number.parse::<usize>().ok()) else {
            continue;
        };
        let Some(probe) = probes.get_mut(number) else { continue };
        probe.seen = probe.seen.or(Some((asked_before, answered)));
        if point.state != "open" {
            probe.vouched = probe.vouched.or(Some(answered));
        }
    }
    (asked, answered.since(asked))
}

/// The value below or at which so many percent are; of sorted ones.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn print_spread(what: &str, mut durations: Vec<Duration>) {
    durations.sort_unstable();
    let of = |percent| percentile(&durations, percent).as_secs_f64();
    println!(
        "    {what:52} {:5}: p50 {:.3} s, p90 {:.3}, p99 {:.3}, max {:.3}",
        durations.len(),
        of(50),
        of(90),
        of(99),
        of(100)
    );
}

fn latency_run(clock: &Clock, up: &Up, shared: &Shared, run: usize) -> Result<()> {
    let first = shared.probes().len();
    shared.wanted.fetch_add(PROBES, Ordering::Relaxed);
    let mut meter = Meter::begin(clock, up.pid())?;
    let mut asked = clock.monotonic();
    let mut questions = Vec::new();
    loop {
        let (asked_now, took) = poll(clock, up, shared, asked);
        asked = asked_now;
        questions.push(took);
        meter.look()?;
        let probes = shared.probes();
        let is_over = |probe: &Probe| {
            let age = clock.monotonic().since(probe.written);
            probe.vouched.is_some() || age > PROBE_PATIENCE
        };
        if probes.len() == first + PROBES && probes[first..].iter().all(is_over) {
            break;
        }
        drop(probes);
        pause(POLL_PAUSE);
    }
    let cost = meter.end()?;
    let probes = shared.probes()[first..].to_vec();
    let lost = probes.iter().filter(|probe| probe.seen.is_none()).count();
    println!("run {run}: {PROBES} lines on {HOSTS} hosts; {lost} in no answer within {PROBE_PATIENCE:?}");
    let seen = |of: fn(&Probe) -> bool| -> Vec<Duration> {
        let probes = probes.iter().filter(|probe| of(probe));
        probes
            .filter_map(|probe| Some(probe.seen?.1.since(probe.written)))
            .collect()
    };
    print_spread("written → in an answer (at most 2.5 s at p99)", seen(|_| true));
    print_spread("  logs with 25 lines a second", seen(|probe| !probe.is_quiet));
    print_spread("  logs with nothing but probes", seen(|probe| probe.is_quiet));
    let not_before = |probe: &Probe| Some(probe.seen?.0.since(probe.written));
    print_spread(
        "written → the last question answered without it",
        probes.iter().filter_map(not_before).collect(),
    );
    let vouched = |probe: &Probe| Some(probe.vouched?.since(probe.written));
    print_spread(
        "written → in an answer that vouches for the window",
        probes.iter().filter_map(vouched).collect(),
    );
    print_spread("a question and its answer", questions);
    cost.print("  up, 20 hosts, 400 lines a second, asked all the time");
    ensure!(lost == 0, "{lost} lines were in no answer");
    Ok(())
}

fn latency(clock: &Clock) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let base = folder.path().canonicalize()?;
    fs::create_dir_all(base.join("config"))?;
    let hosts = Hosts::start(&base.join("logs"))?;
    fs::write(base.join("config/fleet.yaml"), &hosts.configuration)?;
    let shared = Arc::new(Shared::default());
    let writer = Writer::new(clock, &hosts.logs, &shared)?;
    let writer = std::thread::spawn(move || writer.write());
    let up = Up::start(&binary::release(), &base, &["--config", "config", "--data", "data"]);
    until_stored(&up.server, "ops");
    pause(WARM_UP);
    Meter::over(clock, up.pid(), COST_PERIOD)?.print("up, 20 hosts, 400 lines a second, asked nothing");
    for run in 1..=LATENCY_RUNS {
        latency_run(clock, &up, &shared, run)?;
    }
    shared.stop.store(true, Ordering::Relaxed);
    writer.join().expect("the writer did not panic")
}

// What an idle `up` costs, and an agent.

fn idle(clock: &Clock) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let up = Up::start(&binary::release(), folder.path(), &[]);
    pause(WARM_UP);
    Meter::over(clock, up.pid(), COST_PERIOD)?.print("up as it first starts, nobody looking");
    Ok(())
}

/// A release build of the agent as a process; it is killed when this is dropped.
struct AgentProcess {
    child: Child,
    address: String,
}

impl AgentProcess {
    fn start(folder: &Path, root: &Path) -> Result<AgentProcess> {
        let file = folder.join("agent.yaml");
        let text = format!(
            "role: agent\nlisten: 127.0.0.1:0\nhost: h1\nroots: [{}]\n",
            root.display()
        );
        fs::write(&file, text)?;
        let mut command = Command::new(binary::release());
        command.arg("agent").arg("--config").arg(&file).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stderr.take().context("it is piped")?).read_line(&mut line)?;
        let address = line
            .trim()
            .split_once("listening on ")
            .map(|(_, address)| address.to_owned());
        let address = address.with_context(|| format!("the agent did not start: {line}"))?;
        Ok(AgentProcess { child, address })
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Lets a log grow steadily for a while; how many lines it got.
fn grow(clock: &Clock, log: &mut File, period: Duration) -> Result<u64> {
    let start = clock.monotonic();
    let mut lines = 0;
    let part_bytes = GROWTH_BYTES_PER_SECOND / GROWTH_PARTS;
    let pause_each = Duration::from_secs(1) / GROWTH_PARTS as u32;
    for part in 1_u32.. {
        let mut text = String::new();
        while text.len() < part_bytes {
            text += &line(clock, "pay", text.len() as u64);
            lines += 1;
        }
        log.write_all(text.as_bytes())?;
        let due = pause_each * part;
        if due >= period {
            break;
        }
        pause(due.saturating_sub(clock.monotonic().since(start)));
    }
    Ok(lines)
}

/// Waits until a monitor has counted so many lines: a cost counts only if the work was done.
fn until_counted(clock: &Clock, up: &Up, monitor: &str, lines: u64) -> Result<()> {
    let deadline = clock.deadline_in(PROBE_PATIENCE);
    loop {
        let points = query(&up.server, &format!("select * from {monitor} since 10m"));
        let counted: u64 = points.iter().filter_map(|point| point.values["records"].as_u64()).sum();
        if counted == lines {
            return Ok(());
        }
        ensure!(!clock.has_passed(deadline), "{counted} lines of {lines} were counted");
        pause(POLL_PAUSE);
    }
}

fn agent(clock: &Clock) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let base = folder.path().canonicalize()?;
    let (logs, log) = (base.join("logs"), base.join("logs/app.log"));
    fs::create_dir_all(&logs)?;
    fs::create_dir_all(base.join("config"))?;
    let mut file = open_log(&log)?;
    file.write_all(line(clock, "pay", 1).as_bytes())?;
    let agent = AgentProcess::start(&base, &logs)?;
    let pid = agent.child.id();
    pause(Duration::from_secs(1));
    Meter::over(clock, pid, COST_PERIOD)?.print("agent that nobody pulls");
    let mut lines = 1;
    for (name, what) in [("ops", "a log and the system"), ("system", "a log only")] {
        // A monitor of this name takes the place of the one that `up` brings along.
        let configuration = format!(
            "kind: app\nname: one\nhosts:\n  - {{ host: h1, address: \"{}\" }}\n---\nkind: monitor\nname: {name}\n\
             app: one\nlog: {}\nparse: logfmt\ngroup_by: [op]\nselect:\n  records: count()\nwindow: 1s\n",
            agent.address,
            log.display()
        );
        fs::write(base.join("config/one.yaml"), configuration)?;
        let data = format!("data-{name}");
        let up = Up::start(&binary::release(), &base, &["--config", "config", "--data", &data]);
        until_stored(&up.server, name);
        pause(WARM_UP);
        Meter::over(clock, pid, COST_PERIOD)?.print(&format!("agent, {what} pulled each second, no growth"));
        let writer = {
            let (clock, mut file) = (clock.clone(), file.try_clone()?);
            std::thread::spawn(move || grow(&clock, &mut file, GROWTH_PERIOD))
        };
        let up_meter = Meter::begin(clock, up.pid())?;
        Meter::over(clock, pid, GROWTH_PERIOD)?.print(&format!("agent, {what} pulled each second, 1 MB/s"));
        up_meter.end()?.print("  the `up` that pulls it");
        lines += writer.join().expect("the writer did not panic")?;
        until_counted(clock, &up, name, lines)?;
    }
    Ok(())
}

type Part = fn(&Clock) -> Result<()>;

const PARTS: [(&str, Part); 3] = [("idle", idle), ("latency", latency), ("agent", agent)];

fn main() -> Result<()> {
    let named: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let clock = Clock::system();
    for (name, part) in PARTS {
        if named.is_empty() || named.iter().any(|named| named == name) {
            part(&clock)?;
        }
    }
    Ok(())
}
