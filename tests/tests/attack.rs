//! Configuration and logs that are made to harm: a new group in each line, lines of ten megabytes, two thousand
//! monitors with a mistake each. A well-behaved monitor beside them stays complete and exact, the process stays small,
//! and each of the others says what is wrong with it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use sunfire_tests::binary;
use sunfire_tests::live::api::{get, until_stored};
use sunfire_tests::live::steady::{S, Steady, monitor, now_ns, settled, state_of, time, troubles, until, write_wide};
use sunfire_tests::live::up::Up;

/// What the process may hold of its own, whatever it is given: three times the 42 MB that were measured.
const RSS_ANON_MAX_KB: u64 = 128 << 10;
/// Groups that the monitor of many may have.
const GROUPS_MAX: usize = 100;
/// New groups in each burst of 40 ms.
const GROUPS_BURST: u64 = 100;
/// A line that is longer than any record whose fields are looked at.
const LONG_LINE_BYTES: usize = 10 << 20;
const LONG_LINE_EVERY: Duration = Duration::from_secs(2);
/// Monitors with a mistake: so many in files of their own, and as many in one file.
const MISTAKES: u64 = 1000;
/// How long all that goes on.
const ATTACK_S: i64 = 20;

struct Scene {
    up: Up,
    folder: PathBuf,
    config: PathBuf,
    thin: Steady,
    /// The most that the process held of its own so far.
    rss_anon_max_kb: AtomicU64,
}

/// Writes lines of ten megabytes.
fn write_long(path: &Path, is_over: &AtomicBool) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opens");
    let filler = "x".repeat(LONG_LINE_BYTES);
    while !is_over.load(Ordering::Relaxed) {
        writeln!(file, "{:.3} op=pay cost=7 body={filler}", time(now_ns())).expect("writes");
        std::thread::park_timeout(LONG_LINE_EVERY);
    }
}

impl Scene {
    fn put(&self, name: &str, text: &str) {
        fs::write(self.config.join(name), text).expect("writes");
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    fn attack(&self) {
        let wide = format!("parse: logfmt\ngroup_by: [id]\nlimits: {{ groups: {GROUPS_MAX} }}\n");
        self.put("wide.yaml", &monitor("wide", &self.log("wide"), &wide));
        let long = monitor("long", &self.log("long"), "parse: logfmt\n");
        self.put(
            "long.yaml",
            &long.replace("records: count()", "records: count()\n  cost: sum(cost)"),
        );
        let bad = |at: u64| {
            let text = monitor(&format!("bad-{at}"), &self.log("none"), "");
            text.replace("count()", "cuont()")
        };
        fs::create_dir(self.config.join("bad")).expect("a folder");
        (0..MISTAKES).for_each(|at| self.put(&format!("bad/{at:04}.yaml"), &bad(at)));
        let many: Vec<String> = (MISTAKES..2 * MISTAKES).map(bad).collect();
        self.put("bad-together.yaml", &many.join("---\n"));
    }

    /// Looks at what the process holds.
    fn measure(&self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.up.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        self.rss_anon_max_kb.fetch_max(kb.expect("a size"), Ordering::Relaxed);
    }
}

#[test]
fn a_well_behaved_monitor_is_exact_beside_what_is_made_to_harm() {
    let kept = tempfile::tempdir().expect("a folder");
    let folder = kept.path().canonicalize().expect("it is there");
    let config = folder.join("config");
    fs::create_dir_all(&config).expect("a folder");
    let scene = Scene {
        up: Up::start(&binary::dev(), &folder, &["--config", "config", "--data", "data"]),
        thin: Steady::new(folder.join("thin.log")),
        config,
        folder,
        rss_anon_max_kb: AtomicU64::new(0),
    };
    let is_over = AtomicBool::new(false);
    let (wide, long) = (scene.log("wide"), scene.log("long"));
    std::thread::scope(|scope| {
        scope.spawn(|| scene.thin.write(1, &is_over));
        scope.spawn(|| write_wide(&wide, GROUPS_BURST, &is_over));
        scope.spawn(|| write_long(&long, &is_over));
        let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch(&scene)));
        is_over.store(true, Ordering::Relaxed);
        watched.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn watch(scene: &Scene) {
    let server = &scene.up.server;
    scene.put("thin.yaml", &monitor("thin", &scene.thin.path, ""));
    until_stored(server, "thin");
    scene.measure();
    let alone_kb = scene.rss_anon_max_kb.load(Ordering::Relaxed);
    let from_ns = now_ns() / S * S + S;
    scene.attack();
    let to_ns = from_ns + ATTACK_S * S;
    until(|| {
        scene.measure();
        if now_ns() < to_ns {
            Err("it goes on".to_owned())
        } else {
            Ok(())
        }
    });
    mistakes_are_told(server);
    groups_are_told(server, to_ns);
    long_lines_are_told(server, from_ns);
    // All along, without a hole.
    let counted = until(|| {
        scene.measure();
        settled(server, "thin", from_ns, to_ns)
    });
    assert_eq!(counted, scene.thin.written(from_ns, to_ns));
    assert_eq!(counted.len() as i64, ATTACK_S);
    assert_eq!(troubles(server, "thin"), Vec::<String>::new());
    let most_kb = scene.rss_anon_max_kb.load(Ordering::Relaxed);
    eprintln!("RssAnon: {alone_kb} kB before, at most {most_kb} kB");
    assert!(most_kb < RSS_ANON_MAX_KB, "{most_kb} kB, {alone_kb} kB before");
}

/// The first mistakes with their places, and the number of the rest.
fn mistakes_are_told(server: &str) {
    let mistakes = until(|| {
        let state = get(server, "/api/v1/monitors", &[]);
        let mistakes = state["data"]["mistakes"].as_array().cloned().unwrap_or_default();
        let count: u64 = mistakes.iter().filter_map(|mistake| mistake["count"].as_u64()).sum();
        match count {
            count if count == 2 * MISTAKES => Ok(mistakes),
            count => Err(format!("{count} mistakes in {} lines", mistakes.len())),
        }
    });
    assert!(mistakes.len() < 1000, "{}", mistakes.len());
    let first = &mistakes[0];
    assert!(
        first["file"]
            .as_str()
            .is_some_and(|file| file.ends_with("bad/0000.yaml")),
        "{first}"
    );
    assert_eq!((&first["line"], &first["column"]), (&6.into(), &12.into()), "{first}");
    let rest = mistakes.last().expect("some");
    let message = rest["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("and ") && message.contains(" more mistakes"),
        "{rest}"
    );
}

/// The monitor and the column.
fn groups_are_told(server: &str, to_ns: i64) {
    let (from, to) = (time(to_ns - 8 * S), time(to_ns - 3 * S));
    let query = format!("select records from wide group by id from {from} to {to}");
    let warning = until(|| {
        let answer = get(server, "/api/v1/query", &[("q", &query)]);
        let warnings = answer["warnings"].as_array().cloned().unwrap_or_default();
        let texts = warnings.iter().filter_map(|warning| warning.as_str());
        let mut found = texts.filter(|text| text.contains("the rest are `__other__`"));
        found.next().map(str::to_owned).ok_or_else(|| format!("{warnings:?}"))
    });
    let begun = format!("monitor `wide`: more than {GROUPS_MAX} groups in a window, mostly by `id` (");
    assert!(warning.contains(&begun), "{warning}");
    assert_eq!(
        state_of(server, "wide")["overflow"]["columns"],
        serde_json::json!(["id"])
    );
    assert_eq!(troubles(server, "wide"), Vec::<String>::new());
}

/// The records that were lost, and why.
fn long_lines_are_told(server: &str, from_ns: i64) {
    let query = format!("select records from long from {}", time(from_ns));
    until(|| {
        let answer = get(server, "/api/v1/query", &[("q", &query)]);
        let points = answer["data"]["points"].as_array().cloned().unwrap_or_default();
        let is_lost = |point: &&serde_json::Value| point["completeness"]["lost"]["too_long"].as_u64() > Some(0);
        match points.iter().find(is_lost) {
            Some(_) => Ok(()),
            None => Err(format!("{points:?} {:?}", troubles(server, "long"))),
        }
    });
}
