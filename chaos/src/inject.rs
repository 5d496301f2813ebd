//! The plan carried out on real processes, by a thread that owns them.

use crate::hosts::{HELD_BACK_NS, Hosts};
use crate::members::Members;
use crate::plan::{Event, Fault, Role};
use lika::seam::Clock;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sunfire_tests::cluster::Cluster;
use sunfire_tests::live::writer::Manner;

/// The host that joins.
pub const SPARE: &str = "web-11";
/// The port of the examples that stands for its agent's.
const SPARE_PORT: u16 = 7911;
/// The host that holds back what it writes, and the one that seldom writes.
pub const BUFFERED: &str = "web-03";
/// See [`BUFFERED`].
pub const QUIET: &str = "web-04";

/// What was done, for the report and for whoever reads the evidence.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Done {
    /// Seconds from the start of the run.
    pub at_s: f64,
    /// Wall time.
    pub at_ns: i64,
    /// Wall time of its end; 0 while it lasts.
    pub ended_ns: i64,
    /// The kind, such as `kill map`.
    pub kind: String,
    /// Who was met.
    pub target: String,
    /// The role, if it was a process.
    pub role: Option<Role>,
}

/// What both sides of a run share.
#[derive(Default)]
pub struct Shared {
    /// Who is listed.
    pub members: Mutex<Members>,
    /// What was done so far.
    pub done: Mutex<Vec<Done>>,
}

impl Shared {
    /// Who is listed.
    pub fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done so far.
    pub fn done(&self) -> MutexGuard<'_, Vec<Done>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who carries out a plan.
pub struct Injector<'r> {
    /// The processes.
    pub cluster: Cluster,
    /// The writers.
    pub hosts: Hosts,
    shared: &'r Shared,
    clock: Clock,
    began_ns: i64,
    ports: BTreeMap<String, u16>,
}

/// Something that ends later.
enum Later {
    Start(String),
    Continue(String),
}

impl<'r> Injector<'r> {
    /// Begins to write the logs of a cluster's hosts, and lists them.
    pub fn new(mut cluster: Cluster, shared: &'r Shared, seed: u64) -> Self {
        cluster.add_agent(SPARE, SPARE_PORT);
        let mut hosts = Hosts::default();
        let mut ports = BTreeMap::new();
        let agents = cluster.of_role("agent");
        for (number, host) in agents.iter().enumerate() {
            let of_example = 7901 + u16::try_from(number).unwrap_or(0);
            ports.insert(host.clone(), cluster.port(of_example));
            let manner = match host.as_str() {
                BUFFERED => Manner::Buffered(HELD_BACK_NS),
                QUIET => Manner::Quiet,
                // Renamed by the plan alone: a file that nobody has seen yet must not be emptied by chance.
                _ => Manner::Steady,
            };
            hosts.write(host, &cluster.host_folder(host), manner, seed + number as u64);
        }
        let clock = Clock::system();
        let mut injector = Self {
            cluster,
            hosts,
            shared,
            began_ns: clock.wall().0,
            clock,
            ports,
        };
        injector.list(agents.into_iter().filter(|host| host != SPARE).collect());
        injector
    }

    /// The plan's times count from now.
    pub fn begin_now(&mut self) {
        self.began_ns = self.clock.wall().0;
    }

    /// Rewrites the inventory.
    fn list(&mut self, hosts: BTreeSet<String>) {
        let target = |host: &String| {
            let address = format!("127.0.0.1:{}", self.ports[host]);
            json!({ "targets": [address], "labels": { "host": host } })
        };
        let targets: Vec<Value> = hosts.iter().map(target).collect();
        // Noted on both sides of the writing: whoever reads it in between is right either way.
        self.shared.members().list(self.clock.wall().0, hosts);
        self.cluster
            .configure("targets/web.json", &Value::from(targets).to_string());
    }

    /// Carries out events as their times come, then heals everything.
    pub fn run(mut self, events: &[Event]) -> Self {
        let mut later: Vec<(i64, usize, Later)> = Vec::new();
        let mut next = events.iter().peekable();
        while next.peek().is_some() || !later.is_empty() {
            let now_ns = self.clock.wall().0;
            let due = later.iter().position(|(at_ns, ..)| *at_ns <= now_ns);
            if let Some(place) = due {
                let (_, done, what) = later.swap_remove(place);
                self.end(done, &what);
                continue;
            }
            let elapsed = Duration::from_nanos(u64::try_from(now_ns - self.began_ns).unwrap_or(0));
            if let Some(event) = next.next_if(|event| event.at <= elapsed) {
                later.extend(self.begin(event));
                continue;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        self
    }

    fn begin(&mut self, event: &Event) -> Option<(i64, usize, Later)> {
        let (kind, target, role) = match &event.fault {
            Fault::Kill(role, who, _) => (format!("kill {}", role.name()), who.clone(), Some(*role)),
            Fault::Stop(role, who, _) => (format!("stop {}", role.name()), who.clone(), Some(*role)),
            Fault::Strike(stroke, host) => (format!("{stroke:?}"), host.clone(), None),
            Fault::Join => ("join".to_owned(), SPARE.to_owned(), None),
            Fault::Leave(host) => ("leave".to_owned(), host.clone(), None),
        };
        let now_ns = self.clock.wall().0;
        let at_s = (now_ns - self.began_ns) as f64 / 1e9;
        eprintln!("{at_s:7.1} s  {kind} {target}");
        let place = {
            let mut done = self.shared.done();
            done.push(Done {
                at_s,
                at_ns: now_ns,
                ended_ns: 0,
                kind,
                target,
                role,
            });
            done.len() - 1
        };
        let until = |after: &Duration| now_ns.saturating_add(i64::try_from(after.as_nanos()).unwrap_or(i64::MAX));
        match &event.fault {
            Fault::Kill(_, who, after) if self.cluster.runs(who) => {
                self.cluster.kill(who);
                return Some((until(after), place, Later::Start(who.clone())));
            }
            Fault::Stop(_, who, after) if self.cluster.runs(who) => {
                self.cluster.signal(who, Signal::SIGSTOP);
                return Some((until(after), place, Later::Continue(who.clone())));
            }
            Fault::Kill(..) | Fault::Stop(..) => {}
            Fault::Strike(stroke, host) => self.hosts.strike(host, *stroke),
            Fault::Join | Fault::Leave(_) => {
                let mut hosts = self.shared.members().now();
                match &event.fault {
                    Fault::Leave(host) => drop(hosts.remove(host)),
                    _ => drop(hosts.insert(SPARE.to_owned())),
                }
                self.list(hosts);
            }
        }
        None
    }

    fn end(&mut self, done: usize, what: &Later) {
        match what {
            Later::Start(who) => self.cluster.launch(who),
            // One that was killed while it was stopped was started anew already.
            Later::Continue(who) if self.cluster.runs(who) => self.cluster.signal(who, Signal::SIGCONT),
            Later::Continue(_) => {}
        }
        let now_ns = self.clock.wall().0;
        if let Some(done) = self.shared.done().get_mut(done) {
            done.ended_ns = now_ns;
        }
    }
}
