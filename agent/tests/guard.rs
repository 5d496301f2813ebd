//! The guard, tried by a process that is shut in by it and then does what an agent never does.
//!
//! What the kernel lacks is said by name, on stderr.

mod child;

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use agent::confinement::{Confinement, Landlock, Seccomp};
use agent::guard::{GuardError, Wanted, confine};
use agent::roots::{HardLinks, Roots};
use child::{in_child, nothing};
use configs::node::SandboxPolicy;

fn prepare(base: &str) {
    for (name, text) in [("logs/app.log", "log"), ("outside/secret", "secret")] {
        let path = format!("{base}/{name}");
        fs::create_dir_all(path.rsplit_once('/').expect("a folder").0).expect("a folder");
        fs::write(path, text).expect("a file");
    }
}

fn shut_in(base: &str, sandbox: SandboxPolicy, user: Option<&str>) -> Result<Confinement, GuardError> {
    let roots = Roots::open(&[format!("{base}/logs")], HardLinks::Refuse).expect("roots");
    confine(&roots, &[], Wanted { sandbox, user })
}

/// Whether the kernel refused it; a trial that fails for another reason proves nothing.
#[track_caller]
fn refused<T>(what: &str, tried: std::io::Result<T>) {
    match tried {
        Ok(_) => panic!("{what} was let through"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{what}: {error}"),
    }
}

fn errno<T>(tried: rustix::io::Result<T>) -> std::io::Result<T> {
    tried.map_err(Into::into)
}

/// All that Landlock refuses by itself.
fn files_are_shut(base: &str) {
    let inside = fs::read_to_string(format!("{base}/logs/app.log"));
    assert_eq!(inside.expect("what is below a root is read"), "log");
    assert_eq!(fs::read_dir(format!("{base}/logs")).expect("it is listed").count(), 1);
    refused("reading outside", fs::read(format!("{base}/outside/secret")));
    refused("reading by ..", fs::read(format!("{base}/logs/../outside/secret")));
    refused("reading /etc/passwd", fs::read("/etc/passwd"));
    refused("listing outside", fs::read_dir(format!("{base}/outside")));
    refused("reading another process", fs::read("/proc/1/environ"));
    refused("reading itself", fs::read("/proc/self/environ"));
    refused(
        "writing a log",
        fs::OpenOptions::new().append(true).open(format!("{base}/logs/app.log")),
    );
    refused("making a file", fs::File::create(format!("{base}/logs/new")));
    refused("removing a log", fs::remove_file(format!("{base}/logs/app.log")));
    refused(
        "renaming a log",
        fs::rename(format!("{base}/logs/app.log"), format!("{base}/logs/b")),
    );
}

/// All that seccomp refuses by itself.
fn calls_are_refused(base: &str, listener: &TcpListener) {
    let port = listener.local_addr().expect("it is bound").port();
    refused("dialling", TcpStream::connect(("127.0.0.1", port)));
    refused("listening", TcpListener::bind("127.0.0.1:0"));
    refused("a UDP socket", UdpSocket::bind("127.0.0.1:0"));
    refused("a Unix socket", UnixStream::connect(format!("{base}/socket")));
    refused("a program", Command::new("/bin/true").status());
    let log = format!("{base}/logs/app.log");
    refused(
        "changing a mode",
        fs::set_permissions(&log, fs::Permissions::from_mode(0o666)),
    );
    refused("a name outside", fs::hard_link(&log, format!("{base}/logs/hard")));
    refused(
        "a signal",
        errno(rustix::process::kill_process(
            rustix::process::getpid(),
            rustix::process::Signal::TERM,
        )),
    );
    refused(
        "memory as a file",
        errno(rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::CLOEXEC)),
    );
    refused("another root folder", errno(rustix::process::chroot("/")));
    let handle = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty());
    refused("a handle of a process", errno(handle));
    let writing = rustix::fs::OFlags::WRONLY;
    refused(
        "opening to write",
        errno(rustix::fs::open("/dev/null", writing, rustix::fs::Mode::empty())),
    );
    rustix::process::nice(0).expect("what is not listed goes on");
    let accepted = listener.set_nonblocking(true).and_then(|()| listener.accept());
    let nobody = accepted.expect_err("nobody could dial");
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock, "accepting goes on");
}

#[test]
fn what_an_agent_never_does_is_refused_on_every_thread() {
    let test = "what_an_agent_never_does_is_refused_on_every_thread";
    in_child(test, prepare, nothing, |base| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("before the sandbox");
        let _socket = UnixListener::bind(format!("{base}/socket")).expect("before the sandbox");
        let confinement = shut_in(base, SandboxPolicy::On, None).expect("best effort");
        eprintln!("{confinement}");
        assert!(confinement.no_new_privileges);
        let landlock = matches!(confinement.landlock, Landlock::InForce { .. });
        let seccomp = confinement.seccomp == Seccomp::InForce;
        let all = || {
            if landlock {
                files_are_shut(base);
            } else {
                eprintln!("SKIPPED: {test}: files, this kernel has no Landlock");
            }
            if seccomp {
                calls_are_refused(base, &listener);
            } else {
                eprintln!("SKIPPED: {test}: calls, this kernel has no seccomp");
            }
        };
        all();
        // Threads of file work are made later: by `clone`, since `clone3` is not there, and with all of it inherited.
        std::thread::scope(|scope| scope.spawn(all).join()).expect("the same on a new thread");
    });
}

#[test]
fn what_is_required_and_missing_is_no_start() {
    in_child("what_is_required_and_missing_is_no_start", prepare, nothing, |base| {
        match shut_in(base, SandboxPolicy::Required, None) {
            Ok(confinement) => assert_eq!(confinement.missing(), None),
            Err(error) => assert!(matches!(error, GuardError::Incomplete(_)), "{error}"),
        }
        // A kernel that has it all gives it all: then this process is shut in, else nothing was promised.
        eprintln!("{:?}", fs::read("/etc/passwd").map(|text| text.len()));
    });
}

#[test]
fn off_is_off() {
    in_child("off_is_off", prepare, nothing, |base| {
        let confinement = shut_in(base, SandboxPolicy::Off, None).expect("nothing to fail");
        assert_eq!(
            (&confinement.landlock, &confinement.seccomp),
            (&Landlock::Off, &Seccomp::Off)
        );
        fs::read(format!("{base}/outside/secret")).expect("as before");
        TcpListener::bind("127.0.0.1:0").expect("as before");
    });
}

#[test]
fn root_becomes_a_user_that_can_read_any_log_and_no_more() {
    let test = "root_becomes_a_user_that_can_read_any_log_and_no_more";
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: {test}: only root can become another user");
        return;
    }
    let prepare = |base: &str| {
        prepare(base);
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(format!("{base}/logs/app.log"), private).expect("it is ours");
    };
    in_child(test, prepare, nothing, |base| {
        let unknown = shut_in(base, SandboxPolicy::On, Some("nobody-of-this-name"));
        assert!(matches!(unknown, Err(GuardError::NoSuchUser(_))), "{unknown:?}");
        let confinement = shut_in(base, SandboxPolicy::Off, Some("nobody")).expect("root may");
        assert_ne!(confinement.user_id, 0);
        assert_eq!(confinement.capabilities, ["dac_read_search"]);
        let log = format!("{base}/logs/app.log");
        let mut text = String::new();
        let opened = fs::File::open(&log).expect("a file of mode 600 that is root's");
        { opened }.read_to_string(&mut text).expect("it is read");
        assert_eq!(text, "log");
        refused("writing it", fs::OpenOptions::new().append(true).open(&log));
        refused("making a file", fs::File::create(format!("{base}/new")));
        assert!(
            rustix::thread::set_thread_uid(rustix::process::Uid::ROOT).is_err(),
            "the way back is open"
        );
        let left = fs::read_to_string("/proc/thread-self/status").expect("it is there");
        let line = |name: &str| left.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        assert_eq!(line("CapPrm:"), Some("0000000000000004"));
        assert_eq!(line("CapBnd:"), Some("0000000000000004"));
        assert_eq!(
            (line("CapInh:"), line("CapAmb:")),
            (Some("0000000000000000"), Some("0000000000000000"))
        );
        assert!(line("Groups:").is_some_and(|groups| !groups.split_whitespace().any(|group| group == "0")));
        // And now that it is nobody, it can become nobody else.
        let again = shut_in(base, SandboxPolicy::Off, Some("root"));
        assert!(matches!(again, Err(GuardError::NotRoot(_))), "{again:?}");
    });
}
