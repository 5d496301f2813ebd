//! A run: start, fault and check, heal, converge, check once more.

use crate::check::{Answer, Checker, Groups, Watched};
use crate::inject::{BUFFERED, Injector, QUIET, SPARE, Shared};
use crate::marks::Mark;
use crate::plan::{Event, Fault, ROUND, Role, Targets, plan};
use crate::report::{End, Report};
use lika::seam::Clock;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use sunfire_tests::cluster::Cluster;
use sunfire_tests::live::api::{Point, try_get, until_answered, until_stored};

const SECOND_NS: i64 = 1_000_000_000;
/// How long a question may take: less than a stopped process is stopped.
const ASK_PATIENCE: Duration = Duration::from_secs(4);
/// Pause between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(250);
/// How far back every round of questions looks, and every tenth.
const NEAR_NS: i64 = 40 * SECOND_NS;
const FAR_NS: i64 = 180 * SECOND_NS;
/// Windows of one round whose hosts are asked for.
const HOSTS_ASKED_MAX: usize = 24;
/// How long after the heal everything must have converged: the delay, and three orders of the Brain's repair.
const CONVERGE_WITHIN: Duration = Duration::from_secs(150);
/// How long it may take until a first window is complete.
const FIRST_WITHIN: Duration = Duration::from_secs(60);
/// What was held back is written last of all, into windows that had settled: so long it may take until they say so.
const LAST_WORDS: Duration = Duration::from_secs(20);
/// A run ends when so much is wrong.
const VIOLATIONS_MAX: usize = 20;

/// The monitors of a run.
pub const WATCHED: [Watched; 4] = [
    Watched {
        name: "by_second",
        length_ns: SECOND_NS,
        groups: Groups::Op,
    },
    Watched {
        name: "by_five",
        length_ns: 5 * SECOND_NS,
        groups: Groups::Op,
    },
    Watched {
        name: "by_host",
        length_ns: 5 * SECOND_NS,
        groups: Groups::Host,
    },
    Watched {
        name: "nothing",
        length_ns: 5 * SECOND_NS,
        groups: Groups::Nothing,
    },
];

/// What a run is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Rounds of a minute.
    pub minutes: u32,
    /// The seed.
    pub seed: u64,
    /// The binary whose subcommands are the roles.
    pub binary: PathBuf,
    /// A planted bug.
    pub mutant: Option<String>,
    /// Where the run happens.
    pub folder: PathBuf,
}

fn configuration(logs: &Path) -> String {
    let mut text = "kind: app\nname: fleet\nfile_sd: [targets/*.json]\n".to_owned();
    for monitor in WATCHED {
        let (condition, group) = match monitor.groups {
            Groups::Op => ("", "group_by: [op]\n"),
            Groups::Host => ("", "group_by: [host]\n"),
            Groups::Nothing => ("where: op = 'never'\n", ""),
        };
        text.push_str(&format!(
            "---\nkind: monitor\nname: {}\napp: fleet\nlog: {}/${{host}}/app.log\nparse: logfmt\n{condition}{group}\
             select:\n  records: count()\n  lines: lines()\n  value: sum(value)\nwindow: {}s\nlateness: 10s\n\
             delay: 15s\n",
            monitor.name,
            logs.display(),
            monitor.length_ns / SECOND_NS
        ));
    }
    text
}

/// The console as the checker sees it.
struct Console {
    server: String,
    clock: Clock,
    /// Questions, and those without an answer.
    asked: (u64, u64),
    /// When it was last found silent.
    silent_ns: Vec<i64>,
}

fn rfc3339(ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(ns.into()).map_or_else(|_| ns.to_string(), |time| time.to_string())
}

impl Console {
    fn ask(&mut self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let now_ns = self.clock.wall().0;
        let answer = try_get(&self.server, path, parameters, ASK_PATIENCE);
        self.asked.0 += 1;
        if answer.is_none() {
            self.asked.1 += 1;
            self.silent_ns.push(now_ns);
        }
        answer
    }

    /// The windows of a monitor in a range, and when they had been answered.
    fn windows(&mut self, monitor: Watched, range: &std::ops::Range<i64>) -> Option<Vec<Answer>> {
        let mql = format!(
            "select * from {} from {} to {}",
            monitor.name,
            rfc3339(range.start),
            rfc3339(range.end)
        );
        let answer = self.ask("/api/v1/query", &[("q", &mql)])?;
        let answered_ns = self.clock.wall().0;
        let mut windows: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
        for point in answer["data"]["points"].as_array()? {
            let point = Point::of(point);
            windows.entry(point.window_ns).or_default().push(point);
        }
        let answers = windows.into_iter().map(|(start_ns, points)| Answer {
            start_ns,
            points,
            hosts: None,
            answered_ns,
        });
        Some(answers.collect())
    }

    fn hosts(&mut self, monitor: Watched, start_ns: i64) -> Option<BTreeMap<String, String>> {
        let millis = (start_ns / 1_000_000).to_string();
        let answer = self.ask("/api/v1/hosts", &[("monitor", monitor.name), ("window", &millis)])?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let hosts = answer["data"]["hosts"].as_array()?.iter();
        Some(hosts.map(|host| (text(&host["host"]), text(&host["state"]))).collect())
    }
}

/// The state of a run's checking side.
struct Checking<'r> {
    console: Console,
    checker: Checker<'r>,
    shared: &'r Shared,
    epoch: u64,
    expected: (u64, u64),
    /// Starts of windows that were seen below 100 % after the heal, and when they were first seen complete.
    below: BTreeMap<(&'static str, i64), Option<i64>>,
}

impl Checking<'_> {
    /// Asks for the windows of all monitors in a range, and checks them.
    fn round(&mut self, range: &std::ops::Range<i64>, is_over: bool) {
        for monitor in WATCHED {
            let aligned = range.start.div_euclid(monitor.length_ns) * monitor.length_ns..range.end;
            let Some(answers) = self.console.windows(monitor, &aligned) else {
                continue;
            };
            self.check(monitor, answers, is_over);
        }
    }

    fn check(&mut self, monitor: Watched, answers: Vec<Answer>, is_over: bool) {
        let mut asked = 0;
        for mut answer in answers.into_iter().rev() {
            let first = &answer.points[0];
            let is_known = {
                let members = self.shared.members();
                let possible = members.possible(answer.start_ns, answer.start_ns + monitor.length_ns);
                first.percent == Some(100) && possible.len() == 1
            };
            let wants_hosts = first.state != "open" && !is_known;
            if wants_hosts && (asked < HOSTS_ASKED_MAX || is_over) {
                asked += 1;
                answer.hosts = self.console.hosts(monitor, answer.start_ns);
            }
            if first.state != "open" && first.hosts.1 > 0 {
                let expected = first.hosts.1;
                let (least, most) = self.expected;
                if least > 0 && expected > most {
                    self.checker.marks.set(Mark::Joined);
                }
                if most > 0 && expected < most && answer.start_ns > 0 {
                    self.checker.marks.set(Mark::Left);
                }
                self.expected = (expected, most.max(expected));
            }
            self.note_missing(&answer, monitor.length_ns);
            let members = self.shared.members();
            self.checker.check(monitor, &answer, &members, is_over);
        }
    }

    /// Notes that a host was missing while its agent was killed or stopped.
    fn note_missing(&mut self, answer: &Answer, length_ns: i64) {
        let Some(states) = &answer.hosts else { return };
        for done in self.shared.done().iter().filter(|done| done.role == Some(Role::Agent)) {
            let ended_ns = if done.ended_ns == 0 { i64::MAX } else { done.ended_ns };
            let overlaps = done.at_ns < answer.start_ns + length_ns && answer.start_ns < ended_ns;
            let state = states.get(&done.target).map(String::as_str);
            if overlaps && matches!(state, Some("unreachable" | "timeout")) {
                let is_kill = done.kind.starts_with("kill");
                self.checker
                    .marks
                    .set(if is_kill { Mark::AgentKilled } else { Mark::AgentStopped });
            }
        }
    }

    /// Looks at who is taken for dead, and at the epoch.
    fn look_at_cluster(&mut self) {
        let now_ns = self.console.clock.wall().0;
        let Some(cluster) = self.console.ask("/api/v1/cluster", &[]) else {
            let during = |role: Role, kind: &str| {
                let done = self.shared.done();
                let mut lasting = done
                    .iter()
                    .filter(|done| done.role == Some(role) && done.kind.starts_with(kind));
                lasting.any(|done| done.at_ns <= now_ns && (done.ended_ns == 0 || now_ns <= done.ended_ns))
            };
            if during(Role::Brain, "stop") {
                self.checker.marks.set(Mark::BrainStopped);
            }
            return;
        };
        let epoch = cluster["data"]["epoch"].as_u64().unwrap_or(0);
        let is_after_kill = |role: Role| {
            let done = self.shared.done();
            done.iter()
                .any(|done| done.role == Some(role) && done.kind.starts_with("kill"))
        };
        if self.epoch > 0 && epoch > self.epoch && is_after_kill(Role::Brain) {
            self.checker.marks.set(Mark::BrainKilled);
        }
        self.epoch = self.epoch.max(epoch);
        for node in cluster["data"]["nodes"].as_array().into_iter().flatten() {
            if node["life"] != "dead" {
                continue;
            }
            let name = node["node"].as_str().unwrap_or_default();
            let done = self.shared.done();
            let of_node = done
                .iter()
                .rev()
                .find(|done| done.target == name && done.role.is_some());
            let mark = of_node.and_then(|done| match (done.role?, done.kind.starts_with("kill")) {
                (Role::Map, true) => Some(Mark::MapKilled),
                (Role::Map, false) => Some(Mark::MapStopped),
                (Role::Reduce, true) => Some(Mark::ReduceKilled),
                (Role::Reduce, false) => Some(Mark::ReduceStopped),
                _ => None,
            });
            drop(done);
            if let Some(mark) = mark {
                self.checker.marks.set(mark);
            }
        }
    }

    /// Notes that questions to a console that was away went unanswered, and are answered again.
    fn note_console(&mut self) {
        for done in self
            .shared
            .done()
            .iter()
            .filter(|done| done.role == Some(Role::Console) && done.ended_ns > 0)
        {
            let silent = self.console.silent_ns.iter();
            if silent
                .into_iter()
                .any(|at_ns| (done.at_ns - SECOND_NS..=done.ended_ns).contains(at_ns))
            {
                let is_kill = done.kind.starts_with("kill");
                self.checker.marks.set(if is_kill {
                    Mark::ConsoleKilled
                } else {
                    Mark::ConsoleStopped
                });
            }
        }
    }

    /// Whether all windows of a range are settled, and complete or lost for a reason.
    fn converged(&mut self, range: &std::ops::Range<i64>) -> Result<(), String> {
        for monitor in WATCHED {
            let aligned = (range.start.div_euclid(monitor.length_ns) + 1) * monitor.length_ns..range.end;
            let aligned = aligned.start..aligned.end.div_euclid(monitor.length_ns) * monitor.length_ns;
            let answers = self
                .console
                .windows(monitor, &aligned)
                .ok_or("the console does not answer")?;
            let now_ns = self.console.clock.wall().0;
            let expected = (aligned.end - aligned.start) / monitor.length_ns;
            let mut left = Vec::new();
            for answer in &answers {
                let first = &answer.points[0];
                let is_whole = first.percent == Some(100);
                let key = (monitor.name, answer.start_ns);
                let only_lost = first
                    .missing
                    .keys()
                    .all(|state| matches!(state.as_str(), "bytes_lost" | "left"));
                if !is_whole {
                    self.below.entry(key).or_insert(None);
                } else if let Some(seen @ None) = self.below.get_mut(&key) {
                    *seen = Some(now_ns);
                }
                if first.state != "settled" || !(is_whole || only_lost) {
                    left.push(format!(
                        "{} {} {:?} {:?}",
                        rfc3339(answer.start_ns),
                        first.state,
                        first.hosts,
                        first.missing
                    ));
                }
            }
            if answers.len() as i64 != expected {
                left.push(format!("{} windows of {expected}", answers.len()));
            }
            if !left.is_empty() {
                left.truncate(5);
                return Err(format!("{}: {left:?}", monitor.name));
            }
        }
        Ok(())
    }
}

/// Does a whole run.
///
/// # Panics
/// If the harness itself fails: a process that cannot be started, a log that cannot be written.
pub fn run(asked: &Asked) -> Report {
    let mut cluster = Cluster::prepare(&asked.binary, &asked.folder);
    if let Some(mutant) = &asked.mutant {
        cluster.set(mutant::VARIABLE, mutant);
    }
    let (server, shared) = (cluster.server(), Shared::default());
    cluster.configure("shop.yaml", &configuration(&cluster.hosts_folder()));
    let injector = Injector::new(cluster, &shared, asked.seed);
    run_with(asked, injector, &server, &shared)
}

fn targets_of(injector: &Injector<'_>) -> Targets {
    let of = |role: &str| injector.cluster.of_role(role);
    let is_ordinary = |host: &String| ![BUFFERED, QUIET, SPARE].contains(&host.as_str());
    Targets {
        hosts: of("agent").into_iter().filter(is_ordinary).collect(),
        maps: of("map"),
        reduces: of("reduce"),
        brain: of("brain").concat(),
        console: of("console").concat(),
    }
}

fn run_with(asked: &Asked, mut injector: Injector<'_>, server: &str, shared: &Shared) -> Report {
    let clock = Clock::system();
    let began_ns = clock.wall().0;
    let (ledger, strokes) = (Arc::clone(&injector.hosts.ledger), Arc::clone(&injector.hosts.strokes));
    injector.cluster.start_all();
    until_answered(server);
    WATCHED.iter().for_each(|monitor| until_complete(server, monitor.name));
    let events = plan(asked.minutes, asked.seed, &targets_of(&injector));
    let mut checking = Checking {
        console: Console {
            server: server.to_owned(),
            clock: clock.clone(),
            asked: (0, 0),
            silent_ns: Vec::new(),
        },
        checker: Checker::new(&ledger, &strokes),
        shared,
        epoch: 0,
        expected: (0, 0),
        below: BTreeMap::new(),
    };
    injector.begin_now();
    let mut injector = std::thread::scope(|scope| {
        let injecting = scope.spawn(|| injector.run(&events));
        let faulted = clock.deadline_in(ROUND * asked.minutes);
        let mut rounds = 0u64;
        let is_over = || clock.has_passed(faulted) && injecting.is_finished();
        while !is_over() && !is_hopeless(&checking) {
            checking.look_at_cluster();
            let back_ns = if rounds.is_multiple_of(10) { FAR_NS } else { NEAR_NS };
            let now_ns = clock.wall().0;
            checking.round(&((now_ns - back_ns).max(began_ns)..now_ns + SECOND_NS), false);
            checking.note_console();
            rounds += 1;
            std::thread::park_timeout(PAUSE);
        }
        injecting
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let healed_ns = clock.wall().0;
    eprintln!("healed after {} s; converging", (healed_ns - began_ns) / SECOND_NS);
    injector.hosts.stop();
    let ended_ns = clock.wall().0;
    let stuck = converge(&mut checking, &(began_ns..ended_ns));
    let mut report = Report::new(asked, shared, &checking.checker, checking.console.asked);
    report.healed(healed_ns, checking.below.values().copied());
    report.windows = (ended_ns - began_ns) / SECOND_NS;
    report.records = ledger.len() as u64;
    for (name, status) in injector.cluster.ended() {
        report.harness.push(format!("{name} ended by itself: {status}"));
    }
    let wanted = wanted_marks(&events);
    report.end = End::of(&report, stuck, &wanted);
    report.keep_stderr(&injector.cluster);
    report
}

/// Waits until a window of a monitor is complete: until then some log may not have been looked at yet, and what is
/// destroyed before the first look reads as silence, as the contract says.
///
/// # Panics
/// If none is.
fn until_complete(server: &str, monitor: &str) {
    let clock = Clock::system();
    let deadline = clock.deadline_in(FIRST_WITHIN);
    let mql = format!("select * from {monitor} since {}s", FIRST_WITHIN.as_secs());
    let is_complete = || {
        let answer = try_get(server, "/api/v1/query", &[("q", &mql)], ASK_PATIENCE);
        let points = answer.and_then(|answer| answer["data"]["points"].as_array().cloned());
        let mut points = points.iter().flatten().map(Point::of);
        points.any(|point| point.percent == Some(100) && point.state != "open")
    };
    until_stored(server, monitor);
    while !is_complete() {
        assert!(!clock.has_passed(deadline), "no window of {monitor} is complete");
        std::thread::park_timeout(PAUSE);
    }
}

fn is_hopeless(checking: &Checking<'_>) -> bool {
    checking.checker.violations.len() >= VIOLATIONS_MAX
}

/// Waits until all is settled, and checks it against all that was written; why it is not, if so.
fn converge(checking: &mut Checking<'_>, range: &std::ops::Range<i64>) -> Option<String> {
    let clock = checking.console.clock.clone();
    let (deadline, earliest) = (clock.deadline_in(CONVERGE_WITHIN), clock.deadline_in(LAST_WORDS));
    loop {
        let stuck = match checking.converged(range) {
            Ok(()) if !clock.has_passed(earliest) => {
                std::thread::park_timeout(PAUSE);
                continue;
            }
            Ok(()) => None,
            Err(_) if is_hopeless(checking) => None,
            Err(why) if clock.has_passed(deadline) => Some(why),
            Err(_) => {
                std::thread::park_timeout(PAUSE);
                continue;
            }
        };
        if is_hopeless(checking) {
            return None;
        }
        // Windows of which the first or last part was not written in this run are not asked for.
        checking.round(
            &(range.start + 10 * SECOND_NS..range.end - 5 * SECOND_NS),
            stuck.is_none(),
        );
        checking.note_console();
        return stuck;
    }
}

/// What a plan must have been seen to do.
fn wanted_marks(events: &[Event]) -> BTreeSet<Mark> {
    let of = |event: &Event| match &event.fault {
        Fault::Kill(role, ..) => match role {
            Role::Agent => Mark::AgentKilled,
            Role::Map => Mark::MapKilled,
            Role::Reduce => Mark::ReduceKilled,
            Role::Brain => Mark::BrainKilled,
            Role::Console => Mark::ConsoleKilled,
        },
        Fault::Stop(role, ..) => match role {
            Role::Agent => Mark::AgentStopped,
            Role::Map => Mark::MapStopped,
            Role::Reduce => Mark::ReduceStopped,
            Role::Brain => Mark::BrainStopped,
            Role::Console => Mark::ConsoleStopped,
        },
        Fault::Strike(stroke, _) => match stroke {
            crate::hosts::Stroke::Rotate => Mark::Rotated,
            crate::hosts::Stroke::RotateTwice => Mark::RotatedTwice,
            crate::hosts::Stroke::CopyTruncate => Mark::CopyTruncated,
            crate::hosts::Stroke::Truncate => Mark::Truncated,
            crate::hosts::Stroke::RotateAndRemove => Mark::RemovedUnread,
        },
        Fault::Join => Mark::Joined,
        Fault::Leave(_) => Mark::Left,
    };
    let always = [Mark::HeldBack, Mark::Late];
    events.iter().map(of).chain(always).collect()
}
