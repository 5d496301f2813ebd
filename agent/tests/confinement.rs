//! Hostile paths: whatever is asked for and however the folders are arranged, nothing outside the roots is opened.
//! Every case runs through `openat2` and through the walk for old kernels; both must agree.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use agent::protocol::{FileKind, Refusal};
use agent::roots::{HardLinks, OpenWay, Roots, RootsError};

const SECRET: &str = "secret";
const WAYS: [OpenWay; 2] = [OpenWay::OpenAt2, OpenWay::ComponentWalk];

/// Two roots, `a` and `b`, beside a folder `outside` with a secret.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let scene = Self { folder };
        for name in ["a/sub", "b/deep/er", "outside/sub"] {
            fs::create_dir_all(scene.path(name)).expect("folder");
        }
        scene.write("a/app.log", "a");
        scene.write("a/sub/in.log", "in");
        scene.write("b/deep/er/other.log", "other");
        scene.write("outside/secret.log", SECRET);
        scene.write("outside/sub/secret.log", SECRET);
        scene
    }

    fn path(&self, name: &str) -> String {
        let base = self
            .folder
            .path()
            .canonicalize()
            .expect("real")
            .to_str()
            .expect("utf-8")
            .to_owned();
        if name.is_empty() {
            base
        } else {
            format!("{base}/{name}")
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("write");
    }

    fn link(&self, name: &str, target: &str) {
        symlink(target, self.path(name)).expect("link");
    }

    fn roots(&self, way: OpenWay) -> Roots {
        Roots::open_with(&[self.path("a"), self.path("b")], HardLinks::Refuse, way).expect("roots")
    }

    fn open(&self, way: OpenWay, path: &str) -> Result<String, Refusal> {
        let file = self.roots(way).open_regular(path)?;
        let mut text = String::new();
        fs::File::from(file.descriptor).read_to_string(&mut text).expect("read");
        assert_ne!(text, SECRET, "{path} leaked");
        Ok(text)
    }

    #[track_caller]
    fn check(&self, path: &str, expected: Result<&str, Refusal>) {
        for way in WAYS {
            assert_eq!(
                self.open(way, path),
                expected.clone().map(str::to_owned),
                "{way:?} {path}"
            );
        }
    }
}

#[test]
fn what_is_allowed_opens() {
    let scene = Scene::new();
    scene.check(&scene.path("a/app.log"), Ok("a"));
    scene.check(&scene.path("a//./app.log"), Ok("a"));
    scene.check(&scene.path("a/sub/in.log"), Ok("in"));
    scene.check(&scene.path("b/deep/er/other.log"), Ok("other"));
    let name = "ümläut log-2026 (1).log";
    scene.write(&format!("a/{name}"), "u");
    scene.check(&scene.path(&format!("a/{name}")), Ok("u"));
}

#[test]
fn paths_that_lead_out_are_refused() {
    let scene = Scene::new();
    let outside = Err(Refusal::OutsideRoots);
    for path in [
        "/etc/passwd",
        "/",
        "//",
        "/proc/self/environ",
        "/dev/zero",
        "/proc/self/root/etc/passwd",
    ] {
        scene.check(path, outside.clone());
    }
    for path in ["outside/secret.log", "outside", "", "ab/x", "a.log", "a/../x"].map(|name| scene.path(name)) {
        let expected = if path.contains("..") {
            Refusal::ParentComponent
        } else {
            Refusal::OutsideRoots
        };
        scene.check(&path, Err(expected));
    }
    for name in [
        "a/../outside/secret.log",
        "a/sub/../../outside/secret.log",
        "a/..",
        "../outside/secret.log",
        "b/../a/app.log",
    ] {
        scene.check(&scene.path(name), Err(Refusal::ParentComponent));
    }
    for path in ["", "app.log", "./app.log", "~/x", "file:///etc/passwd"] {
        scene.check(path, Err(Refusal::NotAbsolute));
    }
    for name in [
        "a/app.log\0",
        "a/\n",
        "a/x\u{1b}[2J",
        "a/\u{7f}",
        "a/\0/../../outside/secret.log",
        "a/\u{85}",
    ] {
        scene.check(&scene.path(name), Err(Refusal::HostileName));
    }
    for name in [
        "a/%2e%2e/outside/secret.log",
        "a/..%2foutside",
        "a/．．/outside",
        "a/...",
        "a/app.log/",
        "a/.. /x",
    ] {
        let opened = scene.open(OpenWay::OpenAt2, &scene.path(name));
        assert!(
            matches!(opened.as_deref(), Err(Refusal::NotFound) | Ok("a")),
            "{name}: {opened:?}"
        );
    }
    scene.check(&scene.path(&"a/".repeat(3000)), Err(Refusal::TooLong));
    scene.check(&scene.path(&format!("a/{}", "x".repeat(300))), Err(Refusal::TooLong));
    scene.check(&scene.path("a/app.log/x"), Err(Refusal::NotFound));
    scene.check(&scene.path("a"), Err(Refusal::WrongKind(FileKind::Folder)));
    scene.check(&scene.path("a/sub"), Err(Refusal::WrongKind(FileKind::Folder)));
}

#[test]
fn links_may_lead_into_a_root_and_never_out() {
    let scene = Scene::new();
    let cases: Vec<(&str, String, Result<&str, Refusal>)> = vec![
        ("a/same", "app.log".into(), Ok("a")),
        ("a/down", "sub/in.log".into(), Ok("in")),
        ("a/dot", "./sub/./in.log".into(), Ok("in")),
        ("a/absolute", scene.path("b/deep/er/other.log"), Ok("other")),
        ("a/relative", "../b/deep/er/other.log".into(), Ok("other")),
        (
            "a/to-folder",
            scene.path("b/deep"),
            Err(Refusal::WrongKind(FileKind::Folder)),
        ),
        ("a/out", scene.path("outside/secret.log"), Err(Refusal::OutsideRoots)),
        (
            "a/out-relative",
            "../outside/secret.log".into(),
            Err(Refusal::OutsideRoots),
        ),
        (
            "a/out-and-in",
            "../outside/../a/app.log".into(),
            Err(Refusal::OutsideRoots),
        ),
        (
            "a/out-far",
            "../../../../../../../../etc/passwd".into(),
            Err(Refusal::OutsideRoots),
        ),
        ("a/etc", "/etc/passwd".into(), Err(Refusal::OutsideRoots)),
        (
            "a/magic",
            "/proc/self/root/etc/passwd".into(),
            Err(Refusal::OutsideRoots),
        ),
        ("a/descriptor", "/proc/self/fd/0".into(), Err(Refusal::OutsideRoots)),
        ("a/zero", "/dev/zero".into(), Err(Refusal::OutsideRoots)),
        ("a/nowhere", "missing.log".into(), Err(Refusal::DanglingLink)),
        ("a/self", "self".into(), Err(Refusal::TooManyLinks)),
        ("a/ping", "pong".into(), Err(Refusal::TooManyLinks)),
        ("a/pong", "ping".into(), Err(Refusal::TooManyLinks)),
        ("a/hostile", "x\ny".into(), Err(Refusal::HostileName)),
    ];
    for (name, target, _) in &cases {
        scene.link(name, target);
    }
    for (name, _, expected) in cases {
        scene.check(&scene.path(name), expected);
    }
}

#[test]
fn links_in_the_middle_of_a_path() {
    let scene = Scene::new();
    scene.link("a/inner", "sub");
    scene.link("a/other", &scene.path("b/deep"));
    scene.link("a/leak", &scene.path("outside"));
    scene.link("a/leak2", "../outside/sub");
    scene.link("b/chain", "../a/other/er");
    scene.check(&scene.path("a/inner/in.log"), Ok("in"));
    scene.check(&scene.path("a/other/er/other.log"), Ok("other"));
    scene.check(&scene.path("b/chain/other.log"), Ok("other"));
    scene.check(&scene.path("a/leak/secret.log"), Err(Refusal::OutsideRoots));
    scene.check(&scene.path("a/leak/sub/secret.log"), Err(Refusal::OutsideRoots));
    scene.check(&scene.path("a/leak2/secret.log"), Err(Refusal::OutsideRoots));
    // The kernel takes `..` from where a link led to, not from where it stands.
    scene.link("a/up", "other/../deep/er/other.log");
    scene.check(&scene.path("a/up"), Ok("other"));
    scene.link("a/up-out", "other/../../outside/secret.log");
    scene.check(&scene.path("a/up-out"), Err(Refusal::OutsideRoots));
}

#[test]
fn only_regular_files_with_one_name_are_opened() {
    let scene = Scene::new();
    let node = |name: &str, kind, device| {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            scene.path(name),
            kind,
            rustix::fs::Mode::from_raw_mode(0o644),
            device,
        )
    };
    node("a/fifo", rustix::fs::FileType::Fifo, 0).expect("fifo");
    scene.check(&scene.path("a/fifo"), Err(Refusal::WrongKind(FileKind::Fifo)));
    scene.link("a/to-fifo", "fifo");
    scene.check(&scene.path("a/to-fifo"), Err(Refusal::WrongKind(FileKind::Fifo)));
    if node(
        "a/null",
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::makedev(1, 3),
    )
    .is_ok()
    {
        scene.check(&scene.path("a/null"), Err(Refusal::WrongKind(FileKind::Device)));
    }
    let _socket = std::os::unix::net::UnixListener::bind(scene.path("a/socket")).expect("socket");
    scene.check(&scene.path("a/socket"), Err(Refusal::WrongKind(FileKind::Socket)));
    fs::hard_link(scene.path("outside/secret.log"), scene.path("a/hard.log")).expect("link");
    scene.check(&scene.path("a/hard.log"), Err(Refusal::HardLinked { links: 2 }));
    let roots = [scene.path("a")];
    let allowing = Roots::open(&roots, HardLinks::Allow).expect("roots");
    assert!(
        allowing.open_regular(&scene.path("a/hard.log")).is_ok(),
        "allowed when the administrator says so"
    );
}

#[test]
fn roots_themselves() {
    let scene = Scene::new();
    assert!(matches!(Roots::open(&[], HardLinks::Refuse), Err(RootsError::Empty)));
    for wrong in [scene.path("a/app.log"), "relative".into(), scene.path("a/../a")] {
        assert!(
            Roots::open(std::slice::from_ref(&wrong), HardLinks::Refuse).is_err(),
            "{wrong}"
        );
    }
    for way in WAYS {
        // A root that is a link itself, asked for by either name.
        let name = format!("alias-{way:?}");
        scene.link(&name, "b/deep");
        let roots = Roots::open_with(&[scene.path(&name)], HardLinks::Refuse, way).expect("roots");
        for path in [format!("{name}/er/other.log"), "b/deep/er/other.log".to_owned()] {
            let opened = roots.open_regular(&scene.path(&path)).expect("opens");
            assert_eq!(opened.real_path, scene.path("b/deep/er/other.log"));
        }
        assert_eq!(
            roots.open_regular(&scene.path("a/app.log")).err(),
            Some(Refusal::OutsideRoots)
        );
    }
    let everything = Roots::open(&["/".into()], HardLinks::Refuse).expect("roots");
    assert!(
        everything.open_regular(&scene.path("outside/secret.log")).is_ok(),
        "the whole disk, if so configured"
    );
}

#[test]
fn a_root_that_goes_and_comes_again_is_found_again() {
    for way in WAYS {
        let scene = Scene::new();
        let roots = scene.roots(way);
        assert_eq!(roots.refresh(), vec![]);
        fs::rename(scene.path("a"), scene.path("old")).expect("rename");
        let problems = roots.refresh();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].refusal, Refusal::NotFound);
        assert_eq!(
            roots.open_regular(&scene.path("a/app.log")).err(),
            Some(Refusal::RootMissing)
        );
        fs::create_dir(scene.path("a")).expect("folder");
        scene.write("a/app.log", "new");
        assert_eq!(roots.refresh(), vec![]);
        assert!(roots.open_regular(&scene.path("a/app.log")).is_ok());
        // Not through a link that was put in its place, though.
        fs::rename(scene.path("a"), scene.path("older")).expect("rename");
        scene.link("a", "outside");
        assert_eq!(roots.refresh().len(), 1);
        assert!(roots.open_regular(&scene.path("a/secret.log")).is_err());
        let late = Roots::open_with(&[scene.path("late")], HardLinks::Refuse, way).expect("may be missing");
        assert_eq!(
            late.open_regular(&scene.path("late/x.log")).err(),
            Some(Refusal::RootMissing)
        );
        fs::create_dir(scene.path("late")).expect("folder");
        scene.write("late/x.log", "x");
        assert!(late.open_regular(&scene.path("late/x.log")).is_ok());
    }
}

/// A folder on the way is swapped with a link out of the roots, again and again, while it is read through.
#[test]
fn a_rename_race_leaks_nothing() {
    for way in WAYS {
        let scene = Scene::new();
        let roots = scene.roots(way);
        scene.link("a/evil", &scene.path("outside/sub"));
        scene.write("a/sub/secret.log", "harmless");
        let stop = AtomicBool::new(false);
        let (sub, evil) = (scene.path("a/sub"), scene.path("a/evil"));
        let (mut opened, mut leaked) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let exchange = rustix::fs::RenameFlags::EXCHANGE;
                    rustix::fs::renameat_with(rustix::fs::CWD, &sub, rustix::fs::CWD, &evil, exchange).expect("swap");
                }
            });
            for _ in 0..20_000 {
                if let Ok(file) = roots.open_regular(&scene.path("a/sub/secret.log")) {
                    let mut text = String::new();
                    fs::File::from(file.descriptor).read_to_string(&mut text).expect("read");
                    leaked += u32::from(text == SECRET);
                    opened += 1;
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(leaked, 0, "{way:?}");
        assert!(opened > 0, "{way:?}: the race never let a harmless file through");
        assert!(Path::new(&scene.path("outside/sub/secret.log")).exists());
    }
}
