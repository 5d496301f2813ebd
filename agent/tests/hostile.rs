//! Hundreds of hostile requests: what an agent answers holds no byte from outside of its roots. And if the code that
//! opens files were wrong (a planted bug that opens whatever is asked for), the sandbox alone holds.

mod child;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use agent::confinement::Landlock;
use agent::guard::{Wanted, confine};
use agent::profile::LoglineStamps;
use agent::protocol::{
    Answer, Content, Fingerprint, Identity, ListAnswer, ListRequest, PROTOCOL_VERSION, PreviewAnswer, PreviewFrom,
    PreviewRequest, RangeRequest, Request, RequestBody, SnapshotRequest,
};
use agent::roots::{HardLinks, OpenWay, Roots};
use agent::service::{Agent, Served};
use agent::snapshot::HostClock;
use child::{in_child, nothing};
use configs::node::SandboxPolicy;
use mutant::{Mutant, plant};

const WAYS: [OpenWay; 2] = [OpenWay::OpenAt2, OpenWay::ComponentWalk];
const SECRET: &str = "outside the roots";
/// Fewer would not be worth the name.
const REQUESTS_MIN: usize = 200;
/// Opens during a race.
const RACE_ROUNDS: u32 = 100_000;

/// Tricks in a folder `logs` beside a folder `outside`; gives their names.
fn prepare(base: &str) -> Vec<String> {
    for folder in ["logs/sub", "outside/sub"] {
        fs::create_dir_all(format!("{base}/{folder}")).expect("a folder");
    }
    for file in ["outside/secret", "outside/app.log", "outside/sub/app.log"] {
        fs::write(format!("{base}/{file}"), SECRET).expect("a file");
    }
    for file in ["logs/app.log", "logs/sub/app.log"] {
        fs::write(format!("{base}/{file}"), "inside").expect("a file");
    }
    let targets = [
        "../outside/secret".to_owned(),
        "sub/../../outside/secret".to_owned(),
        format!("{base}/outside/secret"),
        format!("{base}/logs/../outside/secret"),
        format!("//{base}//outside/./secret"),
        "/etc/passwd".to_owned(),
        "/etc/shadow".to_owned(),
        "/proc/self/root/etc/passwd".to_owned(),
        format!("/proc/self/root{base}/outside/secret"),
        format!("/proc/self/cwd/../../../../../../..{base}/outside/secret"),
        format!("/proc/thread-self/root{base}/outside/secret"),
        "/proc/self/environ".to_owned(),
        "/proc/self/maps".to_owned(),
        "/proc/1/cmdline".to_owned(),
        "/proc/self/exe".to_owned(),
        "/proc/version".to_owned(),
        "/dev/zero".to_owned(),
        "/dev/urandom".to_owned(),
        "/dev/stdin".to_owned(),
        "hop".to_owned(),
    ];
    symlink("../outside/secret", format!("{base}/logs/hop")).expect("a link");
    for folder in ["../outside", "/", "/proc/self/root", "/etc"] {
        let name = format!("{base}/logs/to-{}", folder.replace(['/', '.'], "_"));
        symlink(folder, name).expect("a link");
    }
    let mut names = Vec::new();
    for (number, target) in targets.iter().enumerate() {
        symlink(target, format!("{base}/logs/link-{number}")).expect("a link");
        names.push(format!("link-{number}"));
    }
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        format!("{base}/logs/fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    );
    made.expect("a FIFO");
    names
}

/// Requests that only [`Roots`] can refuse: to the kernel a file linked into a root, or a device made there, is there.
fn below_by_name(base: &str) -> Vec<String> {
    let names = ["hard.log", "zero"].map(|name| format!("{base}/logs/{name}"));
    fs::hard_link(format!("{base}/outside/secret"), &names[0]).expect("a hard link");
    let zero = rustix::fs::makedev(1, 5);
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    let kind = rustix::fs::FileType::CharacterDevice;
    if rustix::fs::mknodat(rustix::fs::CWD, &names[1], kind, mode, zero).is_err() {
        eprintln!("SKIPPED: a device below a root: only root can make one");
    }
    names.to_vec()
}

/// Ways to ask for one path outside of the root.
fn forms(base: &str, path: &str) -> Vec<String> {
    let bare = path.trim_start_matches('/');
    [
        path.to_owned(),
        bare.to_owned(),
        format!("//{path}"),
        format!("/.{path}"),
        format!("/..{path}"),
        format!("/proc/self/root{path}"),
        format!("/proc/self/cwd{path}"),
        format!("/proc/self/task/self/root{path}"),
        format!("{base}/logs/{}{bare}", "../".repeat(20)),
        format!("{base}/logs/sub/{}{bare}", "../".repeat(20)),
        format!("{base}/logs/./sub/.{}/{bare}", "/..".repeat(20)),
        format!("{base}/logs/to-_{path}"),
        format!("{base}/logs/to-_proc_self_root{path}"),
        format!("{base}/logs/app.log\0{path}"),
        format!("{path}\0.log"),
        format!("{path}/."),
        format!("{path}/../secret"),
        format!("{base}/logs/\u{202e}{path}"),
        format!("{base}/logs/\u{fffd}\u{fffd}{path}"),
        format!("file://{path}"),
        format!("{base}/logs/{}", path.replace('/', "%2f")),
        format!("{base}/logs/{}", path.replace('/', "\\")),
        format!("{base}/logs{}", path.replace('/', "/\u{7f}")),
        format!("{base}/logs/{}{path}", "a".repeat(300)),
        format!("{base}/logs{}{path}", "/.".repeat(2040)),
        format!("{base}/logs{}{path}", "/sub/..".repeat(500)),
    ]
    .to_vec()
}

/// Every path that is asked for, each once.
fn requests(base: &str, names: &[String]) -> BTreeSet<String> {
    let wanted = [
        format!("{base}/outside/secret"),
        format!("{base}/outside/app.log"),
        "/etc/passwd".to_owned(),
        "/etc/shadow".to_owned(),
        "/proc/self/environ".to_owned(),
        "/proc/self/mem".to_owned(),
        "/proc/kcore".to_owned(),
        "/dev/zero".to_owned(),
        "/dev/stdin".to_owned(),
    ];
    let mut paths: BTreeSet<String> = wanted.iter().flat_map(|path| forms(base, path)).collect();
    for name in names {
        paths.insert(format!("{base}/logs/{name}"));
        paths.insert(format!("{base}/logs/sub/../{name}"));
        paths.insert(format!("{base}/logs/{name}/"));
        paths.insert(format!("{base}/logs/{name}/secret"));
    }
    for name in [
        "fifo",
        "hop",
        "to-___outside/secret",
        "to-___outside/sub/app.log",
        "to-_etc/passwd",
        "sub",
        ".",
        "",
    ] {
        paths.insert(format!("{base}/logs/{name}"));
    }
    for descriptor in 0..16 {
        paths.insert(format!("/proc/self/fd/{descriptor}"));
        paths.insert(format!("/dev/fd/{descriptor}/../outside/secret"));
    }
    eprintln!("{} hostile requests", paths.len());
    assert!(paths.len() >= REQUESTS_MIN, "{}", paths.len());
    paths
}

/// The identities of what is below the roots by right.
fn allowed(base: &str) -> BTreeSet<u64> {
    let files = ["logs/app.log", "logs/sub/app.log"];
    files
        .iter()
        .map(|name| fs::metadata(format!("{base}/{name}")).expect("it is there").ino())
        .collect()
}

/// Bytes that opening `path` gives away.
fn leaked(roots: &Roots, path: &str, allowed: &BTreeSet<u64>) -> usize {
    let Ok(file) = roots.open_regular(path) else { return 0 };
    if allowed.contains(&file.stat.identity.inode) {
        return 0;
    }
    let count = fs::File::from(file.descriptor).read_at(&mut [0; 256], 0).unwrap_or(0);
    if count > 0 {
        eprintln!("{count} bytes leaked by {path:?}");
    }
    count
}

fn roots(base: &str, way: OpenWay) -> Roots {
    Roots::open_with(&[format!("{base}/logs")], HardLinks::Refuse, way).expect("the root")
}

#[test]
fn no_path_leads_out_and_without_our_code_most_would() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().canonicalize().expect("it is there");
    let base = base.to_str().expect("UTF-8");
    let names = prepare(base);
    let mut paths = requests(base, &names);
    paths.extend(below_by_name(base));
    let allowed = allowed(base);
    for way in WAYS {
        let roots = roots(base, way);
        let total: usize = paths.iter().map(|path| leaked(&roots, path, &allowed)).sum();
        assert_eq!(total, 0, "{way:?}");
        plant(Some(Mutant::PlainOpen));
        let without = paths.iter().filter(|path| leaked(&roots, path, &allowed) > 0).count();
        plant(None);
        assert!(
            without >= 30,
            "the requests are no danger: only {without} would have got through"
        );
    }
}

struct Still;

impl HostClock for Still {
    fn now_ns(&self) -> i64 {
        static TICK: AtomicI64 = AtomicI64::new(1_795_435_200_000_000_000);
        TICK.fetch_add(1, Ordering::Relaxed)
    }
}

fn previews(path: &str) -> [PreviewRequest; 2] {
    [PreviewFrom::Offset(0), PreviewFrom::End].map(|from| PreviewRequest {
        path: path.to_owned(),
        identity: None,
        from,
        length: 100,
    })
}

/// The same through every question that holds a path, as an upstream would ask it.
#[test]
fn no_question_is_answered_with_anything_from_outside() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().canonicalize().expect("it is there");
    let base = base.to_str().expect("UTF-8");
    let names = prepare(base);
    let mut paths = requests(base, &names);
    paths.extend(below_by_name(base));
    let allowed = allowed(base);
    for way in WAYS {
        let agent = Agent::new(roots(base, way), Arc::new(Still), Arc::new(LoglineStamps));
        let ask = |body| {
            agent.serve(Request {
                version: PROTOCOL_VERSION,
                body,
            })
        };
        for path in &paths {
            let request = SnapshotRequest {
                pattern: path.clone(),
                dates_from_ns: 0,
                known: Vec::new(),
            };
            if let Served::Answer(Answer::Snapshot(answer)) = ask(RequestBody::Snapshot(request)) {
                for generation in answer.generations {
                    let known = allowed.contains(&generation.identity.inode);
                    assert!(
                        known || !matches!(generation.content, Content::Readable { .. }),
                        "{path:?}"
                    );
                }
            }
            for (inode, device) in [(&format!("{base}/outside/secret")), path]
                .map(|file| fs::metadata(file).map_or((0, 0), |metadata| (metadata.ino(), metadata.dev())))
            {
                let request = RangeRequest {
                    path: path.clone(),
                    identity: Identity {
                        device,
                        inode,
                        birth_ns: None,
                    },
                    fingerprint: Fingerprint { length: 0, hash: 0 },
                    tail: None,
                    offset: 0,
                    length: 100,
                };
                if let Served::Range(plan) = ask(RequestBody::Range(request)) {
                    assert!(allowed.contains(&plan.file().stat.identity.inode), "{path:?}");
                }
            }
            for request in previews(path) {
                if let Served::Answer(Answer::Preview(PreviewAnswer::Bytes(preview))) =
                    ask(RequestBody::Preview(request))
                {
                    assert!(allowed.contains(&preview.identity.inode), "{path:?}");
                }
            }
            let listed = ask(RequestBody::List(ListRequest::of(path.clone())));
            if let Served::Answer(Answer::List(ListAnswer::Entries { entries, .. })) = listed {
                let inside = path.contains("/logs") && entries.iter().any(|entry| entry.name == "app.log");
                assert!(inside, "{path:?} lists {entries:?}");
            }
        }
    }
}

/// In a process whose sandbox is all that is left: says no if this kernel has none.
fn sandboxed(test: &str, base: &str) -> Option<Roots> {
    let roots = roots(base, OpenWay::OpenAt2);
    let wanted = Wanted {
        sandbox: SandboxPolicy::On,
        user: None,
    };
    let confinement = confine(&roots, &[], wanted).expect("best effort");
    plant(Some(Mutant::PlainOpen));
    if matches!(confinement.landlock, Landlock::InForce { .. }) {
        return Some(roots);
    }
    eprintln!("SKIPPED: {test}: {confinement}");
    None
}

#[test]
fn with_the_path_code_broken_the_sandbox_alone_lets_nothing_out() {
    let test = "with_the_path_code_broken_the_sandbox_alone_lets_nothing_out";
    let prepare = |base: &str| {
        prepare(base);
    };
    in_child(test, prepare, nothing, |base| {
        let names: Vec<String> = (0..20).map(|number| format!("link-{number}")).collect();
        let (paths, allowed) = (requests(base, &names), allowed(base));
        let Some(roots) = sandboxed(test, base) else { return };
        let inside = roots.open_regular(&format!("{base}/logs/app.log"));
        assert!(inside.is_ok(), "it reads what it is there for: {inside:?}");
        let total: usize = paths.iter().map(|path| leaked(&roots, path, &allowed)).sum();
        assert_eq!(total, 0, "of {} requests", paths.len());
    });
}

/// Puts `logs/sub` and a link out of the root, `logs/evil`, in each other's place.
fn swap(base: &str) {
    let names = ["sub", "evil"].map(|name| format!("{base}/logs/{name}"));
    let exchange = rustix::fs::RenameFlags::EXCHANGE;
    rustix::fs::renameat_with(rustix::fs::CWD, &names[0], rustix::fs::CWD, &names[1], exchange).expect("a swap");
}

fn prepare_race(base: &str) {
    prepare(base);
    symlink("../outside/sub", format!("{base}/logs/evil")).expect("a link");
}

/// Harmless opens, leaks, and refusals, in this order.
fn race(roots: &Roots, base: &str, allowed: &BTreeSet<u64>) -> [u32; 3] {
    let mut counts = [0; 3];
    for _ in 0..RACE_ROUNDS {
        let at = match roots.open_regular(&format!("{base}/logs/sub/app.log")) {
            Ok(file) if allowed.contains(&file.stat.identity.inode) => 0,
            Ok(_) => 1,
            Err(_) => 2,
        };
        counts[at] += 1;
    }
    counts
}

#[test]
fn with_the_path_code_broken_a_rename_race_leaks_and_the_sandbox_alone_stops_it() {
    let test = "with_the_path_code_broken_a_rename_race_leaks_and_the_sandbox_alone_stops_it";
    in_child(test, prepare_race, swap, |base| {
        let allowed = allowed_of_race(base);
        // Without a sandbox first: a race that the bug survives would prove nothing.
        let roots = roots(base, OpenWay::OpenAt2);
        plant(Some(Mutant::PlainOpen));
        let [_, leaked, _] = race(&roots, base, &allowed);
        assert!(leaked > 0, "the planted bug is harmless");
        plant(None);
        let Some(roots) = sandboxed(test, base) else { return };
        let [harmless, leaked, refused] = race(&roots, base, &allowed);
        eprintln!("{harmless} harmless, {leaked} leaked, {refused} refused");
        assert_eq!(leaked, 0);
        assert!(harmless > 0 && refused > 0, "there was no race");
    });
}

/// As [`allowed`], while the folder changes its name.
fn allowed_of_race(base: &str) -> BTreeSet<u64> {
    let outside = fs::metadata(format!("{base}/outside/sub/app.log"))
        .expect("it is there")
        .ino();
    loop {
        let allowed = allowed(base);
        if !allowed.contains(&outside) {
            return allowed;
        }
    }
}

/// The same race against the code as it is, both ways to open.
#[test]
fn a_rename_race_leaks_nothing_in_a_hundred_thousand_rounds() {
    for way in WAYS {
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path().canonicalize().expect("it is there");
        let base = base.to_str().expect("UTF-8");
        prepare_race(base);
        let (roots, allowed, done) = (roots(base, way), allowed(base), AtomicBool::new(false));
        let counts = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    swap(base);
                }
            });
            let counts = race(&roots, base, &allowed);
            done.store(true, Ordering::Relaxed);
            counts
        });
        let [harmless, leaked, refused] = counts;
        assert_eq!(leaked, 0, "{way:?}");
        assert!(harmless > 0 && refused > 0, "{way:?}: there was no race: {counts:?}");
    }
}
