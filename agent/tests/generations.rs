//! Generations and snapshots, scene by scene: which files belong to a log, and what is said of the rest.

mod scene;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::sync::atomic::{AtomicU32, Ordering};

use agent::content::fingerprint_of;
use agent::generations::{Located, open_generation};
use agent::protocol::{Compression, Content, KnownVerdict, Refusal, Role, SnapshotRequest, Stability, ZoneName};
use agent::snapshot::{HostClock, snapshot};
use scene::{Clock, NOW_NS, Scene, facts};

/// A clock that does something to the files each time it is read: between two listings, that is.
struct Meddling<F>(AtomicU32, F);

impl<F: Fn(u32) + Send + Sync> HostClock for Meddling<F> {
    fn now_ns(&self) -> i64 {
        (self.1)(self.0.fetch_add(1, Ordering::Relaxed));
        NOW_NS
    }
}

const LIVE: Role = Role::Live;
const ROTATED: Role = Role::Rotated;

#[test]
fn a_chain_of_rotations() {
    let scene = Scene::new();
    let family = "logs/app.log";
    scene.write("logs/app.log", "now");
    scene.write("logs/app.log.1", "before");
    scene.write("logs/app.log.2.gz", "packed");
    scene.write("logs/app.log-20261120.zst", "packed too");
    scene.write("logs/app-error.log", "foreign");
    scene.write("logs/app-8081.log", "foreign too");
    let answer = scene.check(
        "logs/app.log",
        &[
            ("logs/app.log", family, LIVE),
            ("logs/app.log-20261120.zst", family, ROTATED),
            ("logs/app.log.1", family, ROTATED),
            ("logs/app.log.2.gz", family, ROTATED),
        ],
    );
    scene.check_problems(&answer, &[]);
    assert_eq!((answer.t_ns, answer.machine_id.as_str()), (NOW_NS, "m1"));
    assert_eq!(answer.zone.name, ZoneName::Iana("Asia/Shanghai".into()));
    assert_eq!(answer.zone.offset_seconds, 8 * 3600);
    let compressions: Vec<_> = answer.generations.iter().map(|found| found.compression).collect();
    let expected = [
        Compression::Plain,
        Compression::Zstandard,
        Compression::Plain,
        Compression::Gzip,
    ];
    assert_eq!(compressions, expected);
    assert_eq!(answer.generations[1].content, Content::NotLookedAt);
    assert_eq!(answer.generations[0].size, 3);
    let fingerprint = fingerprint_of(b"now");
    let content = Content::Readable {
        fingerprint,
        verdict: KnownVerdict::New,
        copy_of: None,
    };
    assert_eq!(answer.generations[0].content, content);
}

#[test]
fn a_glob_that_matches_the_rotated_names_too_counts_each_file_once() {
    let scene = Scene::new();
    for name in ["logs/app.log", "logs/app.log.1", "logs/b.log", "logs/b.log.1"] {
        scene.write(name, name);
    }
    scene.check(
        "logs/*",
        &[
            ("logs/app.log", "logs/app.log", LIVE),
            ("logs/app.log.1", "logs/app.log", ROTATED),
            ("logs/b.log", "logs/b.log", LIVE),
            ("logs/b.log.1", "logs/b.log", ROTATED),
        ],
    );
    scene.check(
        "logs/*.1",
        &[
            ("logs/app.log.1", "logs/app.log.1", LIVE),
            ("logs/b.log.1", "logs/b.log.1", LIVE),
        ],
    );
}

#[test]
fn links_are_followed_and_predecessors_sought_beside_the_target() {
    let scene = Scene::new();
    for name in [
        "data/pay-20261121.log.gz",
        "data/pay-20261122.log",
        "data/pay-20261123.log",
        "data/buy-20261122.log",
    ] {
        scene.write(name, name);
    }
    symlink("../data/pay-20261123.log", scene.path("logs/current.log")).expect("link");
    let family = "logs/current.log";
    let expected = [
        ("data/pay-20261123.log", family, LIVE),
        ("data/pay-20261121.log.gz", family, ROTATED),
        ("data/pay-20261122.log", family, ROTATED),
    ];
    scene.check("logs/current.log", &expected);
    // Two links to one file are one generation.
    symlink("current.log", scene.path("logs/again.log")).expect("link");
    let answer = scene.snapshot("logs/*.log", Vec::new());
    assert_eq!(answer.generations.len(), 3);
    // Kubernetes: the rotated names of the target, whose own name is a number.
    scene.write("data/0.log", "k");
    scene.write("data/0.log.20261123-101112", "k1");
    scene.write("data/1.log", "another start of the container");
    symlink(scene.path("data/0.log"), scene.path("logs/pod.log")).expect("link");
    scene.check(
        "logs/pod.log",
        &[
            ("data/0.log", "logs/pod.log", LIVE),
            ("data/0.log.20261123-101112", "logs/pod.log", ROTATED),
        ],
    );
}

#[test]
fn what_is_missing_or_may_not_be_read_says_so() {
    let scene = Scene::new();
    let answer = scene.check("logs/app.log", &[]);
    scene.check_problems(&answer, &[("logs/app.log", Refusal::NotFound)]);
    scene.write("logs/app.log.1", "before");
    let answer = scene.check("logs/app.log", &[("logs/app.log.1", "logs/app.log", ROTATED)]);
    scene.check_problems(&answer, &[("logs/app.log", Refusal::NotFound)]);
    let answer = scene.check("logs/*.log", &[]);
    scene.check_problems(&answer, &[]);
    symlink("nowhere", scene.path("logs/dangling.log")).expect("link");
    symlink("/etc/passwd", scene.path("logs/out.log")).expect("link");
    fs::create_dir(scene.path("logs/folder.log")).expect("folder");
    fs::hard_link(scene.path("logs/app.log.1"), scene.path("logs/hard.log")).expect("link");
    // A file of a second name is listed as one that can't be read: it is known if it goes unread.
    let answer = scene.check("logs/*.log", &[("logs/hard.log", "logs/hard.log", LIVE)]);
    assert!(matches!(answer.generations[0].content, Content::Unreadable(_)));
    scene.check_problems(
        &answer,
        &[
            ("logs/dangling.log", Refusal::DanglingLink),
            ("logs/hard.log", Refusal::HardLinked { links: 2 }),
            ("logs/out.log", Refusal::OutsideRoots),
        ],
    );
    let answer = scene.snapshot("missing/app.log", Vec::new());
    scene.check_problems(&answer, &[("missing/app.log", Refusal::NotFound)]);
}

#[test]
fn dated_patterns_name_each_date() {
    let scene = Scene::new();
    for name in [
        "logs/pay.2026-11-22.log",
        "logs/pay.2026-11-23.log",
        "logs/pay.2026-11-23.log.1",
    ] {
        scene.write(name, name);
    }
    let day = "logs/pay.2026-11-23.log";
    scene.check(
        "logs/pay.%Y-%m-%d.log",
        &[(day, day, LIVE), ("logs/pay.2026-11-23.log.1", day, ROTATED)],
    );
}

#[test]
fn a_file_that_may_not_be_read_for_a_moment() {
    let scene = Scene::new();
    scene.write("logs/app.log", "x");
    let path = scene.path("logs/app.log");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("chmod");
    if File::open(&path).is_ok() {
        return run_as_nobody("a_file_that_may_not_be_read_for_a_moment");
    }
    let answer = scene.check("logs/app.log", &[("logs/app.log", "logs/app.log", LIVE)]);
    assert_eq!(answer.generations[0].content, Content::Unreadable(Refusal::Denied));
    assert_eq!(answer.generations[0].size, 1, "it is there, and grows");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
    let answer = scene.check("logs/app.log", &[("logs/app.log", "logs/app.log", LIVE)]);
    assert!(matches!(answer.generations[0].content, Content::Readable { .. }));
    fs::set_permissions(scene.path("logs"), fs::Permissions::from_mode(0o000)).expect("chmod");
    let answer = scene.check("logs/*.log", &[]);
    scene.check_problems(&answer, &[("logs", Refusal::Denied)]);
    fs::set_permissions(scene.path("logs"), fs::Permissions::from_mode(0o755)).expect("chmod");
}

/// Root may read everything, so the test runs itself once more as nobody.
fn run_as_nobody(test: &str) {
    let own = std::env::current_exe().expect("own path");
    match std::process::Command::new(own)
        .args(["--exact", test])
        .current_dir("/")
        .uid(65_534)
        .output()
    {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => eprintln!("skipped: nobody can't run this test here: {error}"),
    }
}

#[test]
fn a_rotation_between_the_listings_is_noticed() {
    let scene = Scene::new();
    scene.write("logs/app.log", "x");
    let request = SnapshotRequest {
        pattern: scene.path("logs/*"),
        dates_from_ns: NOW_NS,
        known: Vec::new(),
    };
    // A file that comes and goes all the time: a thread that races the listings until one is found unstable.
    let stop = AtomicU32::new(0);
    let unstable = std::thread::scope(|scope| {
        scope.spawn(|| {
            let names = [scene.path("logs/app.log"), scene.path("logs/app.log.1")];
            let mut turn = 0;
            while stop.load(Ordering::Relaxed) == 0 {
                fs::rename(&names[turn % 2], &names[(turn + 1) % 2]).expect("rename");
                turn += 1;
            }
        });
        let (mut seen, mut twice) = (false, false);
        for _ in 0..20_000 {
            let answer = snapshot(&scene.roots, &Clock(NOW_NS.into()), &facts(), &request).expect("pattern");
            twice |= answer.generations.len() > 1;
            seen |= answer.stability != Stability::Stable { attempt: 1 };
            if seen {
                break;
            }
        }
        stop.store(1, Ordering::Relaxed);
        assert!(!twice, "one file, one generation");
        seen
    });
    assert!(unstable, "a thousand renames a second went unnoticed");
}

#[test]
fn the_clock_is_sampled_before_the_listing() {
    let scene = Scene::new();
    scene.write("logs/app.log", "x");
    let path = scene.path("logs/app.log");
    let append = |_| {
        let mut file = OpenOptions::new().append(true).open(&path).expect("open");
        file.write_all(b"written at t").expect("append");
    };
    let request = SnapshotRequest {
        pattern: path.clone(),
        dates_from_ns: NOW_NS,
        known: Vec::new(),
    };
    let answer = snapshot(&scene.roots, &Meddling(0.into(), append), &facts(), &request).expect("pattern");
    assert_eq!(
        answer.generations[0].size, 13,
        "what stood there at t is below the size"
    );
}

#[test]
fn a_renamed_generation_is_found_by_its_identity() {
    let scene = Scene::new();
    scene.write("logs/app.log", "x");
    let identity = scene.snapshot("logs/app.log", Vec::new()).generations[0].identity;
    let path = scene.path("logs/app.log");
    scene.rename("logs/app.log", "logs/whatever");
    scene.write("logs/app.log", "new");
    let located = open_generation(&scene.roots, &path, identity).expect("opens");
    assert!(matches!(located, Located::Found(file) if file.real_path == scene.path("logs/whatever")));
    scene.rename("logs/whatever", "data/whatever");
    assert!(matches!(
        open_generation(&scene.roots, &path, identity),
        Ok(Located::Gone)
    ));
}
