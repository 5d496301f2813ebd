//! A keeper through polls and restarts, on a directory that people write.

use super::*;
use crate::keeping::Keeping;
use crate::leases::EDGE_AHEAD_NS;
use std::path::PathBuf;

const S: i64 = 1_000_000_000;
const NOW: i64 = 20_000 * 86_400 * S;
const APP: &str = "kind: app\nname: shop\nhosts:\n- { host: h1, address: 'h1:1' }\n- { host: h2, address: 'h2:1' }\n";
const MONITOR: &str = "kind: monitor\nname: pay\napp: shop\nlog: /l\nselect: { n: count() }\nwindow: 5s\n";

struct Stage {
    folder: tempfile::TempDir,
    system: Option<Monitor>,
    keeper: Option<Keeper>,
    now_ns: i64,
    known: Option<Known>,
    events: Vec<String>,
}

impl Stage {
    fn new(files: &[(&str, &str)]) -> Stage {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("config")).expect("a folder");
        let mut stage = Stage {
            folder,
            system: None,
            keeper: None,
            now_ns: NOW,
            known: None,
            events: Vec::new(),
        };
        files.iter().for_each(|(name, text)| stage.write(name, text));
        stage.restart();
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path("config").join(name), text).expect("a file");
    }

    fn setup(&self) -> KeeperSetup {
        KeeperSetup {
            system: self.system.clone(),
            horizon_ns: 86_400 * S,
            back_ns: 600 * S,
        }
    }

    /// Ends the process, as a kill would, and starts it anew.
    fn restart(&mut self) {
        self.keeper = None;
        let keeping = Keeping::Folders {
            config: self.path("config"),
            data: self.path("data"),
        };
        let kept = keeping.open(&[]).expect("the folders");
        self.keeper = Some(Keeper::open(self.setup(), kept, self.now_ns).expect("a keeper"));
        self.poll();
    }

    fn poll(&mut self) {
        let polled = self.keeper.as_mut().expect("a keeper").poll(self.now_ns);
        self.events.extend(polled.events.into_iter().map(|(_, text)| text));
        self.known = polled.known.or(self.known.take());
        self.now_ns += S;
    }

    fn settle(&mut self) {
        self.poll();
        self.poll();
    }

    fn known(&self) -> &Known {
        self.known.as_ref().expect("something known")
    }

    /// Tasks as (monitor, version, from, until), times in seconds from the start.
    fn tasks(&self) -> Vec<(&str, u64, i64, Option<i64>)> {
        let brief = |task: &'_ KnownTask| {
            let seconds = |time_ns: i64| (time_ns - NOW) / S;
            (
                task.key.version,
                seconds(task.lease.from_ns),
                task.lease.until_ns.map(seconds),
            )
        };
        let tasks = self.known().tasks.iter();
        tasks
            .map(|task| {
                let (version, from_s, until_s) = brief(task);
                (task.key.monitor.as_str(), version, from_s, until_s)
            })
            .collect()
    }

    #[track_caller]
    fn check_troubles(&self, monitor: &str, expected: &[&str]) {
        let state = self.known().monitors.iter().find(|state| state.name == monitor);
        assert_eq!(state.expect("the monitor").troubles, expected);
    }

    fn hosts(&self) -> Vec<&str> {
        let hosts = self.known().apps.iter().flat_map(|app| &app.hosts);
        hosts.map(|(host, ..)| host.as_str()).collect()
    }
}

#[test]
fn what_is_configured_is_known_and_lasts() {
    let mut stage = Stage::new(&[("app.yaml", APP), ("pay.yaml", MONITOR)]);
    let version = stage.tasks()[0].1;
    assert_eq!(stage.tasks(), [("pay", version, -600, None)]);
    assert_eq!(stage.hosts(), ["h1", "h2"]);
    let state = &stage.known().monitors[0];
    assert_eq!(
        (state.window_ms, state.hosts_expected, state.text.as_str()),
        (5_000, 2, MONITOR)
    );
    assert_eq!((state.outputs.clone(), state.troubles.len()), (vec!["n".to_owned()], 0));
    assert!(state.file.as_deref().is_some_and(|file| file.ends_with("pay.yaml")));
    stage.check_troubles("pay", &[]);
    let spans: Vec<(u64, usize)> = stage.known().spans["shop"]
        .iter()
        .map(|span| (span.version, span.hosts.len()))
        .collect();
    assert_eq!(spans, [(1, 2)]);
    let epoch = stage.keeper.as_ref().expect("a keeper").epoch();
    stage.restart();
    assert_eq!(stage.tasks(), [("pay", version, -600, None)]);
    assert_eq!(stage.known().apps[0].inventory_version, 1);
    assert_eq!(stage.keeper.as_ref().expect("a keeper").epoch(), epoch + 1);
}

#[test]
fn a_changed_monitor_is_a_new_version_from_an_edge_also_after_a_restart() {
    let mut stage = Stage::new(&[("app.yaml", APP), ("pay.yaml", MONITOR)]);
    let old = stage.tasks()[0].1;
    stage.now_ns = NOW + 100 * S;
    stage.write("pay.yaml", &format!("{MONITOR}where: a = 1\n"));
    stage.settle();
    let new = stage.tasks()[1].1;
    let edge_s = (stage.now_ns - S + EDGE_AHEAD_NS - NOW) / S / 5 * 5 + 5;
    let expected = [("pay", old, -600, Some(edge_s)), ("pay", new, edge_s, None)];
    assert_eq!(stage.tasks(), expected);
    stage.restart();
    assert_eq!(stage.tasks(), expected);
    stage.now_ns += 2 * 86_400 * S;
    stage.poll();
    assert_eq!(stage.tasks(), [("pay", new, edge_s, None)]);
}

#[test]
fn a_removed_monitor_ends_and_a_broken_file_ends_nothing_even_at_a_start() {
    let mut stage = Stage::new(&[
        ("app.yaml", APP),
        ("pay.yaml", MONITOR),
        ("get.yaml", &MONITOR.replace("pay", "get")),
    ]);
    std::fs::remove_file(stage.path("config/get.yaml")).expect("removed");
    stage.settle();
    assert_eq!(stage.tasks().len(), 1);
    stage.write("pay.yaml", "kind: [\n");
    stage.write("app.yaml", "kind: [\n");
    stage.settle();
    assert_eq!((stage.tasks().len(), stage.known().mistakes.len()), (1, 2));
    stage.restart();
    assert_eq!((stage.tasks().len(), stage.known().wholeness), (1, Wholeness::Partial));
    assert_eq!(stage.known().spans["shop"].last().map(|span| span.hosts.len()), Some(2));
    stage.check_troubles(
        "pay",
        &["the app `shop` is not configured: add a document `kind: app` with `name: shop`"],
    );
    assert!(
        stage.events.iter().any(|event| event.contains("app.yaml:1:")),
        "{:?}",
        stage.events
    );
}

#[test]
fn what_keeps_a_monitor_from_reading_is_told() {
    let mut stage = Stage::new(&[("pay.yaml", MONITOR)]);
    stage.check_troubles(
        "pay",
        &["the app `shop` is not configured: add a document `kind: app` with `name: shop`"],
    );
    stage.write("app.yaml", "kind: app\nname: shop\nhosts: []\n");
    stage.settle();
    stage.check_troubles(
        "pay",
        &["the app `shop` has no hosts: list them by `hosts`, `file_sd` or `http_sd`"],
    );
    stage.write("app.yaml", APP);
    stage.settle();
    stage.check_troubles("pay", &[]);
    stage.write("pay.yaml", "kind: monitor\nname: pay\nselect: { n: count() }\n");
    stage.settle();
    let no_app = "it names no app, so it reads nothing: add a line `app: …`";
    stage.check_troubles(
        "pay",
        &[no_app, "it names no log, so it reads nothing: add a line `log: /…`"],
    );
}

#[test]
fn the_system_table_is_of_all_hosts() {
    let mut stage = Stage::new(&[("app.yaml", APP)]);
    let query = "select avg(cpu) as cpu from log '/s' group by host every 5s";
    stage.system = Some(configs::parse_mql(query).expect("a query"));
    stage.restart();
    let from_s = stage.tasks()[0].2;
    assert!(from_s > 0 && from_s <= 6, "it begins with the next window: {from_s}");
    assert_eq!(stage.tasks().len(), 1);
    let state = stage.known().monitors[0].clone();
    assert_eq!(
        (state.name.as_str(), state.hosts_expected, state.log, state.file),
        (SYSTEM, 2, None, None)
    );
    let other = "kind: app\nname: web\nhosts:\n- { host: h1, address: 'w1:1' }\n- { host: h3, address: 'h1:1' }\n";
    stage.write("web.yaml", other);
    stage.settle();
    let names = |stage: &Stage| -> Vec<String> {
        let span = stage.known().spans[EVERY].last().cloned().expect("a span");
        span.hosts
            .iter()
            .map(|target| format!("{} {}", target.host, target.labels["app"]))
            .collect()
    };
    assert_eq!(names(&stage), ["h1 shop", "h2 shop", "web/h1 web"]);
    let version = stage.tasks()[0].1;
    stage.system =
        Some(configs::parse_mql(&query.replace("avg(cpu)", "max(cpu)").replace("as cpu", "as most")).expect("a query"));
    stage.restart();
    assert_eq!(
        stage.tasks().len(),
        1,
        "what an earlier build counted can't be counted any more"
    );
    assert_ne!(stage.tasks()[0].1, version);
}

#[test]
fn what_the_disk_refuses_is_told_and_tried_again() {
    let mut stage = Stage::new(&[("app.yaml", APP)]);
    let journal = stage.path("data/inventory.jsonl");
    stage.keeper.as_mut().expect("a keeper").inventory.make_read_only();
    stage.write("app.yaml", &format!("{APP}- {{ host: h3, address: 'h3:1' }}\n"));
    stage.settle();
    assert_eq!((stage.hosts(), stage.known().mistakes.len()), (vec!["h1", "h2"], 1));
    assert!(
        stage.known().mistakes[0].message.contains("inventory.jsonl failed"),
        "{:?}",
        stage.known().mistakes
    );
    stage.keeper.as_mut().expect("a keeper").inventory = Journal::open(&journal).expect("a journal").0;
    stage.poll();
    assert_eq!(
        (stage.hosts(), stage.known().mistakes.len()),
        (vec!["h1", "h2", "h3"], 0)
    );
    assert_eq!(std::fs::read_to_string(journal).expect("a journal").lines().count(), 2);
}

/// However many mistakes there are: the first with their places, then how many more, as events and in the state.
#[test]
fn of_many_mistakes_the_first_are_told_and_the_number_of_the_rest() {
    let wrong = MONITOR.replace("count()", "cuont()");
    let files: Vec<String> = (0..700).map(|at| format!("{at:03}.yaml")).collect();
    let mut files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), wrong.as_str())).collect();
    let together = "kind: monitr\n---\n".repeat(250);
    files.push(("together.yaml", &together));
    let mut stage = Stage::new(&files);
    let mistakes = &stage.known().mistakes;
    assert_eq!(mistakes.len(), 501);
    assert_eq!(mistakes.iter().map(|mistake| mistake.count).sum::<u64>(), 950);
    assert_eq!((mistakes[499].line, mistakes[499].count), (5, 1));
    assert_eq!(mistakes[500].message, "and 450 more mistakes from here on");
    let refused = |stage: &Stage| stage.events.iter().filter(|text| text.starts_with("refused: ")).count();
    assert_eq!(refused(&stage), 21);
    let rest = "refused: 930 more mistakes: see `sunfire status`".to_owned();
    assert!(stage.events.contains(&rest), "{:?}", stage.events);
    // They are told once; one more is news.
    stage.write("another.yaml", &wrong);
    stage.settle();
    stage.settle();
    assert_eq!(refused(&stage), 22);
}
