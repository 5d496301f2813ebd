//! A real etcd on free loopback ports, with its data in a temporary folder; of one member, or of several.

use crate::agents::PATIENCE;
use crate::ports::free_port;
use crate::skip::skipped;
use configdb::{Connection, Place};
use lika::seam::{Clock, Randomness};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// The command; on Debian in the package `etcd-server`.
const COMMAND: &str = "etcd";

/// Members of an etcd; they are killed when this is dropped.
pub struct Etcd {
    folder: tempfile::TempDir,
    members: Vec<Member>,
}

struct Member {
    name: String,
    client: u16,
    peer: u16,
    child: Option<Child>,
}

/// A connection to the ConfigDB at these members, below the usual prefix.
///
/// # Panics
/// If these are no addresses.
pub fn connect(endpoints: Vec<String>) -> Arc<Connection> {
    let place = Place {
        endpoints,
        prefix: "/sunfire/".to_owned(),
    };
    let connection = Connection::open(&place, &Clock::system(), &Randomness::seeded(1));
    Arc::new(connection.expect("a place"))
}

impl Etcd {
    /// Starts an etcd of so many members, and waits until it answers; `None` where there is none, which is said in the
    /// name of a test.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(test: &str, members: usize) -> Option<Etcd> {
        let found = Command::new(COMMAND).arg("--version").stdout(Stdio::null()).status();
        if found.is_err() {
            skipped(test, "no etcd: install etcd-server");
            return None;
        }
        let member = |number: usize| Member {
            name: format!("e{number}"),
            client: free_port(),
            peer: free_port(),
            child: None,
        };
        let mut etcd = Etcd {
            folder: tempfile::tempdir().expect("a folder"),
            members: (0..members).map(member).collect(),
        };
        (0..members).for_each(|member| etcd.launch(member));
        etcd.until_healthy();
        Some(etcd)
    }

    /// Where its members are.
    pub fn endpoints(&self) -> Vec<String> {
        let endpoint = |member: &Member| format!("http://127.0.0.1:{}", member.client);
        self.members.iter().map(endpoint).collect()
    }

    /// Starts a member, with the data that it left.
    ///
    /// # Panics
    /// If it runs, or can't be started.
    pub fn launch(&mut self, number: usize) {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let peers = self
            .members
            .iter()
            .map(|member| format!("{}={}", member.name, url(member.peer)));
        let cluster = peers.collect::<Vec<String>>().join(",");
        let (data, log) = (self.data(number), self.folder.path().join(format!("e{number}.log")));
        let log = File::options().create(true).append(true).open(log).expect("a log");
        let member = &mut self.members[number];
        assert!(member.child.is_none(), "it runs already");
        let mut command = Command::new(COMMAND);
        command.args(["--name", &member.name]).arg("--data-dir").arg(data);
        command.args(["--listen-client-urls", &url(member.client)]);
        command.args(["--advertise-client-urls", &url(member.client)]);
        command.args(["--listen-peer-urls", &url(member.peer)]);
        command.args(["--initial-advertise-peer-urls", &url(member.peer)]);
        command.args(["--initial-cluster", &cluster, "--initial-cluster-state", "new"]);
        // Its logs on stderr, in a file that the temporary folder takes with it.
        let child = command.stdout(log.try_clone().expect("a log")).stderr(log).spawn();
        member.child = Some(child.expect("etcd can be started"));
    }

    fn data(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("e{number}"))
    }

    /// Kills a member as a power cut would; its data stays.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill(&mut self, number: usize) {
        let mut child = self.members[number].child.take().expect("it runs");
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
    }

    /// Sends a signal to a member.
    ///
    /// # Panics
    /// If it does not run.
    pub fn signal(&self, number: usize, signal: Signal) {
        let child = self.members[number].child.as_ref().expect("it runs");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        kill(pid, signal).expect("it is there");
    }

    /// Which member leads the others.
    ///
    /// # Panics
    /// If none says so.
    pub fn leader(&self) -> usize {
        let status = self.control(&["endpoint", "status", "--cluster", "--write-out", "simple"]);
        let of = |line: &str| -> Option<usize> {
            let parts: Vec<&str> = line.split(", ").collect();
            let port: u16 = parts.first()?.rsplit(':').next()?.parse().ok()?;
            (parts.get(4) == Some(&"true")).then(|| self.members.iter().position(|member| member.client == port))?
        };
        let leader = status.lines().find_map(of);
        leader.unwrap_or_else(|| panic!("nobody leads: {status}"))
    }

    /// Runs `etcdctl`, as a person would; gives back what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn control(&self, arguments: &[&str]) -> String {
        let output = self.try_control(arguments);
        output.unwrap_or_else(|said| panic!("etcdctl {arguments:?}: {said}"))
    }

    fn try_control(&self, arguments: &[&str]) -> Result<String, String> {
        let runs = self.members.iter().filter(|member| member.child.is_some());
        let endpoints: Vec<String> = runs
            .map(|member| format!("http://127.0.0.1:{}", member.client))
            .collect();
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &endpoints.join(",")])
            .args(arguments)
            .output()
            .map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    /// Waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn until_healthy(&self) {
        let clock = Clock::system();
        let deadline = clock.deadline_in(PATIENCE);
        while let Err(said) = self.try_control(&["endpoint", "health"]) {
            assert!(!clock.has_passed(deadline), "etcd does not answer: {said}");
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Some(mut child) = member.child.take() {
                let _gone = child.kill();
                let _status = child.wait();
            }
        }
    }
}
