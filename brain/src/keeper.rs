//! Everything that waits for the disk: reading the configuration, and writing what must last before it is acted upon.
//!
//! It runs on a thread that may block. What it hands out is complete and consistent: a monitor's version, a host, an
//! epoch that stands in it is on the disk.

use crate::epoch::DataError;
use crate::events::Kind;
use crate::inventory::{Change, Found, History};
use crate::journal::{Journal, JournalError};
use crate::keeping::Kept;
use crate::lasting::{Lasting, Leading};
use crate::leases::{Lease, Leases, Turn, Wanted, fingerprint};
use crate::ledger::TaskKey;
use crate::profiles::{KnownProfiles, Lesson, Log, ProfileBook};
use crate::protocol::{AppState, Mistake, MonitorState};
use crate::topology::every_host;
use crate::urls::HttpSd;
use configs::cost::Estimate;
use configs::monitor::Monitor;
use configs::{AppHosts, Document, Documents, Placed, Poll, Targets, UrlReader, Wholeness};
use map::protocol::{Definition, HostTarget, Tenant};
use reduce::protocol::InventorySpan;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tenants::Tenants;

mod tell;
mod tenants;

/// The inventory of all hosts, under a name that no application can have.
pub(crate) const EVERY: &str = "*";
/// The name of the built-in monitor.
pub(crate) const SYSTEM: &str = "system";
/// What takes the place of a log's path where the hosts' own figures are read.
const SYSTEM_PATH: &str = "system";
/// How often what is known is put together anew though nothing changed, so that what is behind the horizon goes.
const REBUILD_EVERY_NS: i64 = 60_000_000_000;
/// A history larger than this is rewritten at a start without what is behind the horizon.
const FOLD_BYTES: u64 = 4 << 20;
/// Most hosts in all spans of a task: at about 100 bytes each they fit into a frame.
const SPAN_HOSTS_MAX: usize = 50_000;

/// What a keeper is made of.
pub(crate) struct KeeperSetup {
    pub(crate) system: Option<Monitor>,
    pub(crate) horizon_ns: i64,
    pub(crate) back_ns: i64,
}

/// All that is known after a poll, put together.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// Monitors by name, without what only Reduces can say of them.
    pub(crate) monitors: Vec<MonitorState>,
    /// Versions that answer for something within the horizon.
    pub(crate) tasks: Vec<KnownTask>,
    pub(crate) apps: Vec<AppState>,
    /// Tenants that have a document.
    pub(crate) tenants: Vec<Tenant>,
    /// Nodes that are to be given no work, and why.
    pub(crate) drained: BTreeMap<String, Option<String>>,
    pub(crate) mistakes: Vec<Mistake>,
    pub(crate) wholeness: Wholeness,
    /// By application, [`EVERY`] included.
    pub(crate) spans: BTreeMap<String, Arc<[InventorySpan]>>,
}

/// A version of a monitor that answers for something.
#[derive(Debug, Clone)]
pub(crate) struct KnownTask {
    pub(crate) key: TaskKey,
    pub(crate) lease: Lease,
    /// Whose hosts it reads; `None` if it names none.
    pub(crate) inventory: Option<String>,
    /// Which log; `None` if it names none.
    pub(crate) path: Option<String>,
    /// The log as profiles of it are kept.
    pub(crate) log: Option<Log>,
    /// Whose it is.
    pub(crate) tenant: Option<Tenant>,
}

/// What a poll brought.
pub(crate) struct Polled {
    /// `None` if nothing changed.
    pub(crate) known: Option<Known>,
    pub(crate) events: Vec<(Kind, String)>,
}

pub(crate) struct Keeper {
    setup: KeeperSetup,
    lasting: Box<dyn Lasting>,
    configdb: Box<dyn Documents>,
    targets: Targets,
    urls: Box<dyn UrlReader>,
    inventory: Journal<Change>,
    history: History,
    turns: Journal<Turn>,
    leases: Leases,
    profiles: ProfileBook,
    /// What leases count, parsed once.
    parsed: BTreeMap<TaskKey, Arc<Monitor>>,
    seen: tell::Seen,
    /// What the disk refused at the last poll.
    refused: Vec<String>,
    polls_written_ns: Option<i64>,
    built_ns: Option<i64>,
}

impl Keeper {
    /// Takes an epoch, and reads what lasted.
    pub(crate) fn open(setup: KeeperSetup, kept: Kept, now_ns: i64) -> Result<Keeper, DataError> {
        let Kept { configdb, lasting } = kept;
        let horizon_ns = now_ns - setup.horizon_ns;
        let (mut inventory, changes) = opened(&*lasting, "inventory")?;
        let mut history = History::of(changes);
        if inventory.bytes() > FOLD_BYTES {
            let folded = history.folded(horizon_ns);
            inventory.rewrite(&folded)?;
            history = History::of(folded);
        }
        // Only a hint: without it, or with an old one, a host joins earlier or later, and never unseen.
        let polls = lasting.note("inventory-polls");
        history.set_polls(
            polls
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or_default(),
        );
        let (mut turns, all_turns) = opened(&*lasting, "monitors")?;
        let mut leases = Leases::of(all_turns);
        if turns.bytes() > FOLD_BYTES {
            let folded = leases.folded(horizon_ns);
            turns.rewrite(&folded)?;
            leases = Leases::of(folded);
        }
        Ok(Keeper {
            profiles: ProfileBook::over(opened(&*lasting, "profiles")?)?,
            configdb,
            setup,
            lasting,
            targets: Targets::default(),
            urls: Box::new(HttpSd::default()),
            inventory,
            history,
            turns,
            leases,
            parsed: BTreeMap::new(),
            seen: tell::Seen::default(),
            refused: Vec::new(),
            polls_written_ns: None,
            built_ns: None,
        })
    }

    /// Whether this Brain may decide.
    pub(crate) fn leading(&self) -> Leading {
        self.lasting.leading()
    }

    /// The epoch in force.
    pub(crate) fn epoch(&self) -> u64 {
        self.lasting.epoch()
    }

    /// Takes the next epoch.
    pub(crate) fn next_epoch(&mut self) -> Result<u64, JournalError> {
        self.lasting.next_epoch()
    }

    /// What was learned of logs, as far as it is on the disk.
    pub(crate) fn profiles(&self) -> KnownProfiles {
        self.profiles.known()
    }

    /// Writes down what was learned of logs.
    pub(crate) fn keep_profiles(&mut self, lessons: Vec<Lesson>) -> Result<(), JournalError> {
        self.profiles.keep(lessons)
    }

    /// Has all put together again at the next poll, for somebody who knows nothing yet.
    pub(crate) fn forget_built(&mut self) {
        self.built_ns = None;
    }

    /// Reads what changed, writes down what follows, and puts together what is known.
    pub(crate) fn poll(&mut self, now_ns: i64) -> Polled {
        let mut events = Vec::new();
        let mut poll = self.configdb.poll();
        let (documents, root) = (self.configdb.documents(), self.configdb.root());
        let apps = self.targets.poll(documents, root, &mut *self.urls);
        poll = poll.or(self.seen.look(self.configdb.mistakes(), &apps, &mut events));
        let mut refused = Vec::new();
        poll = poll.or(self.keep_inventory(&apps, now_ns, &mut events, &mut refused));
        poll = poll.or(self.keep_leases(now_ns, &mut events, &mut refused));
        let is_old = self
            .built_ns
            .is_none_or(|built_ns| (now_ns - built_ns).abs() >= REBUILD_EVERY_NS);
        let is_changed = poll == Poll::Changed || is_old || refused != self.refused;
        self.refused = refused;
        let known = is_changed.then(|| {
            self.built_ns = Some(now_ns);
            self.known(&apps, now_ns)
        });
        Polled { known, events }
    }

    fn keep_inventory(
        &mut self,
        apps: &[AppHosts],
        now_ns: i64,
        events: &mut Vec<(Kind, String)>,
        refused: &mut Vec<String>,
    ) -> Poll {
        let mut found: Vec<(String, Vec<HostTarget>, Wholeness)> = apps
            .iter()
            .map(|app| (app.app.clone(), targets_of(app), app.wholeness))
            .collect();
        let configured: BTreeSet<&str> = apps.iter().map(|app| app.app.as_str()).collect();
        let gone = self
            .history
            .apps()
            .filter(|app| !configured.contains(app) && *app != EVERY);
        found.extend(gone.map(|app| (app.to_owned(), Vec::new(), self.configdb.wholeness())));
        let mut poll = self.keep_found(&found, now_ns, events, refused);
        if self.setup.system.is_some() {
            let all_apps = found
                .iter()
                .map(|(app, ..)| (app.as_str(), self.history.hosts(app).collect()));
            let every = every_host(all_apps);
            let is_whole = found.iter().all(|(_, _, wholeness)| *wholeness == Wholeness::Whole)
                && self.configdb.wholeness() == Wholeness::Whole;
            let wholeness = if is_whole { Wholeness::Whole } else { Wholeness::Partial };
            let every = [(EVERY.to_owned(), every, wholeness)];
            poll = poll.or(self.keep_found(&every, now_ns, events, refused));
        }
        self.keep_polls(now_ns);
        poll
    }

    fn keep_found(
        &mut self,
        found: &[(String, Vec<HostTarget>, Wholeness)],
        now_ns: i64,
        events: &mut Vec<(Kind, String)>,
        refused: &mut Vec<String>,
    ) -> Poll {
        let change = |(app, hosts, wholeness): &(String, Vec<HostTarget>, Wholeness)| {
            self.history.change(&Found {
                app,
                hosts,
                wholeness: *wholeness,
                now_ns,
                back_ns: self.setup.back_ns,
            })
        };
        let changes: Vec<Change> = found.iter().filter_map(change).collect();
        if let Err(error) = self.inventory.append(&changes) {
            // Nothing is expected that would be forgotten: it is tried again at the next poll.
            refused.push(chain(&error));
            return Poll::Same;
        }
        for change in &changes {
            tell::inventory(change, &self.history, events);
            self.history.apply(change.clone());
        }
        for (app, _, wholeness) in found {
            if *wholeness == Wholeness::Whole {
                self.history.polled(app, now_ns);
            }
        }
        if changes.is_empty() { Poll::Same } else { Poll::Changed }
    }

    fn keep_polls(&mut self, now_ns: i64) {
        let is_due = self.polls_written_ns.is_none_or(|written_ns| {
            u128::from((now_ns - written_ns).unsigned_abs()) >= self.lasting.note_every().as_nanos()
        });
        if is_due && let Ok(content) = serde_json::to_vec(self.history.polls()) {
            self.polls_written_ns = Some(now_ns);
            if let Err(error) = self.lasting.set_note("inventory-polls", &content) {
                tracing::warn!(error = %chain(&error), "it is not written down when the inventory was read");
            }
        }
    }

    fn keep_leases(&mut self, now_ns: i64, events: &mut Vec<(Kind, String)>, refused: &mut Vec<String>) -> Poll {
        let wanted = self.wanted();
        let begin = |(monitor, wanted): (&String, &Wanted)| {
            // Of the hosts' own figures nobody has any from before they are asked: they begin with the next window.
            let back_ns = match wanted.definition {
                Definition::Yaml(_) => self.setup.back_ns,
                Definition::System => -wanted.window_ns,
            };
            self.leases.turn(monitor, wanted, now_ns, back_ns)
        };
        let mut turns: Vec<Turn> = wanted.iter().filter_map(begin).collect();
        if self.configdb.wholeness() == Wholeness::Whole {
            let gone = self
                .leases
                .standing()
                .filter(|(monitor, _)| !wanted.contains_key(*monitor));
            turns.extend(gone.filter_map(|(monitor, _)| self.leases.end(monitor, now_ns)));
        }
        if let Err(error) = self.turns.append(&turns) {
            refused.push(chain(&error));
            return Poll::Same;
        }
        let poll = if turns.is_empty() { Poll::Same } else { Poll::Changed };
        for turn in turns {
            events.push((Kind::Config, tell::turn(&turn, &self.leases, now_ns)));
            self.leases.apply(turn);
        }
        poll
    }

    /// Monitors as they are asked for now. One that the process itself names `system` is the user's if there is one.
    fn wanted(&self) -> BTreeMap<String, Wanted> {
        let mut wanted = BTreeMap::new();
        if let Some(system) = &self.setup.system {
            wanted.insert(SYSTEM.to_owned(), system_wanted(system));
        }
        for placed in self.configdb.documents() {
            if let Document::Monitor(monitor) = &placed.document {
                let one = Wanted::of_text(&placed.source.text, window_ns(monitor));
                wanted.insert(monitor.name.clone(), one);
            }
        }
        wanted
    }

    fn known(&mut self, apps: &[AppHosts], now_ns: i64) -> Known {
        let tenants = Tenants::of(self.configdb.documents());
        let tasks = self.known_tasks(now_ns, &tenants);
        let since_ns = now_ns - self.setup.horizon_ns;
        // Of those that no monitor reads as well: people may ask their logs.
        let read = tasks.iter().filter_map(|task| task.inventory.as_ref());
        let used: BTreeSet<&String> = read.chain(apps.iter().map(|app| &app.app)).collect();
        let spans_of = |app: &String| self.history.spans(app, since_ns, SPAN_HOSTS_MAX).into();
        let spans = used.into_iter().map(|app| (app.clone(), spans_of(app))).collect();
        let mistakes = self.configdb.mistakes().iter();
        let mut mistakes = tell::mistakes(mistakes.chain(apps.iter().flat_map(|app| &app.mistakes)));
        let place = self.lasting.told();
        mistakes.extend(self.refused.iter().map(|why| Mistake {
            file: place.clone(),
            line: 0,
            column: 0,
            message: why.clone(),
            hint: Some("what changed since takes effect once this is mended".to_owned()),
            count: 1,
        }));
        let app_state = |app: &AppHosts| {
            let host = |target: &HostTarget| (target.host.clone(), target.address.clone(), target.labels.clone());
            AppState {
                name: app.app.clone(),
                inventory_version: self.history.version(&app.app),
                hosts: self.history.hosts(&app.app).map(host).collect(),
            }
        };
        let mut app_states: Vec<AppState> = apps.iter().map(app_state).collect();
        app_states.sort_by(|one, other| one.name.cmp(&other.name));
        Known {
            monitors: self.monitor_states(&tasks),
            tasks,
            apps: app_states,
            tenants: tenants.configured(),
            drained: drained(self.configdb.documents()),
            mistakes,
            wholeness: self.configdb.wholeness(),
            spans,
        }
    }

    /// The leases of all monitors that stand, each with what it reads.
    fn known_tasks(&mut self, now_ns: i64, tenants: &Tenants) -> Vec<KnownTask> {
        let system = self
            .setup
            .system
            .as_ref()
            .map(|system| system_wanted(system).fingerprint);
        let horizon_ns = now_ns - self.setup.horizon_ns;
        let standing: Vec<String> = self.leases.standing().map(|(monitor, _)| monitor.to_owned()).collect();
        let mut tasks = Vec::new();
        for monitor in standing {
            for lease in self.leases.of_monitor(&monitor) {
                let is_past = lease.until_ns.is_some_and(|until_ns| until_ns <= horizon_ns);
                // What an earlier build counted as the built-in table is not known any more.
                let is_foreign = lease.definition == Definition::System && Some(lease.fingerprint) != system;
                if !is_past && !is_foreign {
                    let key = TaskKey {
                        monitor: monitor.clone(),
                        version: lease.version,
                    };
                    tasks.push((key, lease.clone()));
                }
            }
        }
        let keys: BTreeSet<&TaskKey> = tasks.iter().map(|(key, _)| key).collect();
        self.parsed.retain(|key, _| keys.contains(key));
        tasks
            .into_iter()
            .map(|(key, lease)| self.known_task(key, lease, tenants))
            .collect()
    }

    fn known_task(&mut self, key: TaskKey, lease: Lease, tenants: &Tenants) -> KnownTask {
        let (inventory, path, log, tenant) = match &lease.definition {
            Definition::System => (Some(EVERY.to_owned()), Some(SYSTEM_PATH.to_owned()), None, None),
            Definition::Yaml(text) => match self.parse(&key, text) {
                Some(monitor) => {
                    let (app, path) = (monitor.app.clone(), monitor.log.clone());
                    (app, path, log_of(&monitor), tenants.of_monitor(&monitor))
                }
                None => (None, None, None, None),
            },
        };
        KnownTask {
            key,
            lease,
            inventory,
            path,
            log,
            tenant,
        }
    }

    fn parse(&mut self, key: &TaskKey, text: &str) -> Option<Arc<Monitor>> {
        if let Some(monitor) = self.parsed.get(key) {
            return Some(Arc::clone(monitor));
        }
        let mut documents = configs::load_str(&key.monitor, text).ok()?;
        match documents.pop() {
            Some(Document::Monitor(monitor)) if documents.is_empty() => {
                let monitor = Arc::new(monitor);
                self.parsed.insert(key.clone(), Arc::clone(&monitor));
                Some(monitor)
            }
            _ => None,
        }
    }

    /// Each monitor as its newest version has it.
    fn monitor_states(&self, tasks: &[KnownTask]) -> Vec<MonitorState> {
        let files: BTreeMap<&str, &Placed> = self
            .configdb
            .documents()
            .iter()
            .filter(|placed| matches!(placed.document, Document::Monitor(_)))
            .map(|placed| (placed.document.name(), placed))
            .collect();
        let newest: BTreeMap<&str, &KnownTask> = tasks.iter().map(|task| (task.key.monitor.as_str(), task)).collect();
        let state = |(name, task): (&str, &KnownTask)| {
            let monitor = match &task.lease.definition {
                Definition::System => self.setup.system.as_ref(),
                Definition::Yaml(_) => self.parsed.get(&task.key).map(|monitor| &**monitor),
            };
            let placed = files.get(name).copied();
            self.monitor_state(task, monitor, placed)
        };
        newest.into_iter().map(state).collect()
    }

    fn monitor_state(&self, task: &KnownTask, monitor: Option<&Monitor>, placed: Option<&Placed>) -> MonitorState {
        let is_system = task.lease.definition == Definition::System;
        let expected = task.inventory.iter().flat_map(|app| self.history.hosts(app)).count();
        let columns = |monitor: &Monitor| monitor.group_by.iter().map(|column| column.name.clone()).collect();
        let outputs = |monitor: &Monitor| monitor.select.iter().map(|output| output.name.clone()).collect();
        MonitorState {
            name: task.key.monitor.clone(),
            tenant: task.tenant.as_ref().map(|tenant| tenant.name.clone()),
            app: monitor.and_then(|monitor| monitor.app.clone()).filter(|_| !is_system),
            log: task.path.clone().filter(|_| !is_system),
            version: task.key.version,
            file: placed
                .filter(|_| !is_system)
                .map(|placed| placed.source.file.to_string()),
            text: match &task.lease.definition {
                Definition::Yaml(text) => text.clone(),
                Definition::System => String::new(),
            },
            window_ms: u64::try_from(task.lease.window_ns / 1_000_000).unwrap_or_default(),
            grace_ms: monitor.map_or(configs::GRACE_MS_DEFAULT, |monitor| monitor.grace_ms),
            group_by: monitor.map(columns).unwrap_or_default(),
            outputs: monitor.map(outputs).unwrap_or_default(),
            hosts_expected: expected as u64,
            reduce: None,
            shards: Vec::new(),
            newest_ns: None,
            below: 0,
            below_windows: Vec::new(),
            troubles: self.troubles(task, expected),
            cpu_us_per_s: 0,
            overflow: None,
            estimated_us_per_mb: monitor
                .filter(|monitor| !is_system && monitor.log.is_some())
                .map_or(0, |monitor| Estimate::of(monitor).cpu_us_per_mb()),
            cpu_limit_us_per_s: monitor.and_then(|monitor| monitor.limits.cpu_us_per_s),
            notices: Vec::new(),
            bytes_per_s: 0,
        }
    }

    /// What keeps a monitor from having anything to read.
    fn troubles(&self, task: &KnownTask, expected: usize) -> Vec<String> {
        let mut troubles = Vec::new();
        let is_app =
            |placed: &Placed, app: &str| matches!(placed.document, Document::App(_)) && placed.document.name() == app;
        match task.inventory.as_deref() {
            None => troubles.push("it names no app, so it reads nothing: add a line `app: …`".to_owned()),
            Some(EVERY) if expected == 0 => {
                troubles.push("no app has a host yet: add a document `kind: app`".to_owned())
            }
            Some(EVERY) => {}
            Some(app) if !self.configdb.documents().iter().any(|placed| is_app(placed, app)) => {
                troubles.push(format!(
                    "the app `{app}` is not configured: add a document `kind: app` with `name: {app}`"
                ));
            }
            Some(app) if expected == 0 => {
                troubles.push(format!(
                    "the app `{app}` has no hosts: list them by `hosts`, `file_sd` or `http_sd`"
                ));
            }
            Some(_) => {}
        }
        if task.path.is_none() {
            troubles.push("it names no log, so it reads nothing: add a line `log: /…`".to_owned());
        }
        troubles
    }
}

/// Nodes that are to be given no work, and why.
fn drained(documents: &[Placed]) -> BTreeMap<String, Option<String>> {
    let drains = documents.iter().filter_map(|placed| match &placed.document {
        Document::Drain(drain) => Some((drain.name.clone(), drain.why.clone())),
        _ => None,
    });
    drains.collect()
}

/// A journal of what must last, and what it holds.
fn opened<T: Serialize + DeserializeOwned>(
    lasting: &dyn Lasting,
    name: &str,
) -> Result<(Journal<T>, Vec<T>), JournalError> {
    let (lines, bytes) = lasting.lines(name)?;
    Journal::over(lines, &bytes)
}

/// The log of a monitor, with all that it says of how stamps and records are found.
fn log_of(monitor: &Monitor) -> Option<Log> {
    Some(Log {
        app: monitor.app.clone()?,
        log: monitor.log.clone()?,
        timestamp: monitor.timestamp.clone(),
        timezone: monitor.timezone.clone(),
        encoding: monitor.encoding.clone(),
        records: monitor.records.as_ref().map(ToString::to_string),
    })
}

fn targets_of(app: &AppHosts) -> Vec<HostTarget> {
    let target = |host: &configs::app::Host| HostTarget {
        host: host.host.clone(),
        address: host.address.clone(),
        labels: host.labels.clone(),
    };
    app.hosts.iter().map(target).collect()
}

/// The built-in table as a monitor; another build may have other columns, which is another version.
fn system_wanted(system: &Monitor) -> Wanted {
    let names: Vec<&str> = system
        .group_by
        .iter()
        .map(|column| column.name.as_str())
        .chain(system.select.iter().map(|output| output.name.as_str()))
        .collect();
    let said = format!("{SYSTEM} {} {} {}", system.window_ms, system.grace_ms, names.join(" "));
    Wanted {
        definition: Definition::System,
        fingerprint: fingerprint(said.as_bytes(), 0),
        window_ns: window_ns(system),
    }
}

fn window_ns(monitor: &Monitor) -> i64 {
    i64::try_from(monitor.window_ms)
        .unwrap_or(i64::MAX / 1_000_000)
        .saturating_mul(1_000_000)
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
