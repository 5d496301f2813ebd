//! A cluster of real processes, made of the files in `configs/examples/cluster`: each copied with ports that are free
//! and folders of its own, so that what users read there is what is tested.

use crate::agents::PATIENCE;
use crate::ports::free_port;
use lika::seam::Clock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// Where the examples say that logs are.
const EXAMPLE_LOGS: &str = "/tmp/sunfire-cluster";
/// The host part of all addresses of the examples.
const LOOPBACK: &str = "127.0.0.1:";

/// A process that can be started again.
struct Member {
    role: &'static str,
    file: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

/// A cluster in a folder; its processes are killed when this is dropped.
pub struct Cluster {
    folder: PathBuf,
    binary: PathBuf,
    environment: Vec<(String, String)>,
    ports: BTreeMap<u16, u16>,
    members: BTreeMap<String, Member>,
}

impl Cluster {
    /// Copies the example files into a folder; nothing is started.
    ///
    /// # Panics
    /// If they can't be copied.
    pub fn prepare(binary: &Path, folder: &Path) -> Self {
        Self::prepare_example("cluster", binary, folder)
    }

    /// The same of another example.
    ///
    /// # Panics
    /// If its files can't be copied.
    pub fn prepare_example(example: &str, binary: &Path, folder: &Path) -> Self {
        let mut cluster = Self {
            folder: folder.to_owned(),
            binary: binary.to_owned(),
            environment: Vec::new(),
            ports: BTreeMap::new(),
            members: BTreeMap::new(),
        };
        let examples = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../configs/examples")
            .join(example);
        cluster.copy(&examples, &folder.join("cluster"));
        fs::create_dir_all(folder.join("logs")).expect("a folder");
        cluster
    }

    /// Sets an environment variable of all processes that are started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Has two Brains instead of one, `brain-a` and `brain-b`, whose ConfigDB is in an etcd that is there.
    ///
    /// # Panics
    /// If the example files can't be copied.
    pub fn led_from(&mut self, endpoints: &[String]) {
        self.members.remove("brain");
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/examples/cluster-etcd");
        let folder = self.folder.join("cluster-etcd");
        self.ports.insert(2379, 0);
        self.copy(&examples, &folder);
        let quoted: Vec<String> = endpoints.iter().map(|endpoint| format!("\"{endpoint}\"")).collect();
        for name in self.of_role("brain") {
            let file = folder.join(format!("{name}.yaml"));
            let text = fs::read_to_string(&file).expect("it was copied");
            fs::write(&file, text.replace("\"http://127.0.0.1:0\"", &quoted.join(", "))).expect("it can be written");
        }
    }

    fn copy(&mut self, from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("the examples are there") {
            let path = entry.expect("an entry").path();
            let target = to.join(path.file_name().expect("a name"));
            if path.is_dir() {
                if !path.ends_with("data") && !path.ends_with("certificates") {
                    self.copy(&path, &target);
                }
                continue;
            }
            let text = fs::read_to_string(&path).expect("a text");
            let text = self.adapted(&text);
            fs::write(&target, &text).expect("it can be written");
            let role = ["agent", "map", "reduce", "brain", "console"]
                .into_iter()
                .find(|role| text.lines().any(|line| line == format!("role: {role}")));
            if let Some(role) = role {
                let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
                let member = Member {
                    role,
                    file: target,
                    log: self.folder.join("logs").join(format!("{name}.log")),
                    child: None,
                };
                self.members.insert(name, member);
            }
        }
    }

    /// A text of the examples with ports that are free, and logs below this cluster's folder.
    pub fn adapted(&mut self, text: &str) -> String {
        let mut parts = text.split(LOOPBACK);
        let mut adapted = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            let (port, rest) = part.split_at(digits);
            let free = self.port(port.parse().expect("a port"));
            adapted.push_str(&format!("{LOOPBACK}{free}{rest}"));
        }
        adapted.replace(EXAMPLE_LOGS, self.hosts_folder().to_str().expect("UTF-8"))
    }

    /// The port that stands for one of the examples.
    ///
    /// # Panics
    /// If none is free.
    pub fn port(&mut self, of_example: u16) -> u16 {
        *self.ports.entry(of_example).or_insert_with(free_port)
    }

    /// The console, such as `http://127.0.0.1:41213`.
    pub fn server(&mut self) -> String {
        format!("http://{LOOPBACK}{}", self.port(7800))
    }

    /// Where the hosts' folders with their logs are.
    pub fn hosts_folder(&self) -> PathBuf {
        self.folder.join("hosts")
    }

    /// The ConfigDB.
    pub fn config(&self) -> PathBuf {
        self.folder.join("cluster/config")
    }

    /// Names of all processes of a role, sorted.
    pub fn of_role(&self, role: &str) -> Vec<String> {
        let members = self.members.iter().filter(|(_, member)| member.role == role);
        members.map(|(name, _)| name.clone()).collect()
    }

    /// Names of all processes, sorted.
    pub fn names(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }

    fn member(&mut self, name: &str) -> &mut Member {
        self.members
            .get_mut(name)
            .unwrap_or_else(|| panic!("no process is called {name}"))
    }

    /// Adds an agent that is not among the examples, which listens at what stands for a port of theirs.
    ///
    /// # Panics
    /// If its file can't be written.
    pub fn add_agent(&mut self, host: &str, of_example: u16) {
        let (port, root) = (self.port(of_example), self.host_folder(host));
        let text = format!(
            "role: agent\nlisten: {LOOPBACK}{port}\nhost: {host}\nroots: [{}]\n",
            root.display()
        );
        let file = self.folder.join(format!("cluster/agents/{host}.yaml"));
        fs::write(&file, text).expect("it can be written");
        let member = Member {
            role: "agent",
            file,
            log: self.folder.join(format!("logs/{host}.log")),
            child: None,
        };
        self.members.insert(host.to_owned(), member);
    }

    /// Starts a process, and does not wait for it.
    ///
    /// # Panics
    /// If it runs, or cannot be started.
    pub fn launch(&mut self, name: &str) {
        let (binary, environment) = (self.binary.clone(), self.environment.clone());
        let member = self.member(name);
        assert!(member.child.is_none(), "{name} runs already");
        let log = OpenOptions::new().create(true).append(true).open(&member.log);
        let child = Command::new(binary)
            .args([member.role, "--config"])
            .arg(&member.file)
            .envs(environment)
            .stderr(log.expect("a log"))
            .spawn();
        member.child = Some(child.expect("the built binary runs"));
    }

    /// Starts a process, and waits until it listens.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(&mut self, name: &str) {
        let log = self.member(name).log.clone();
        let before = fs::metadata(&log).map_or(0, |metadata| metadata.len());
        self.launch(name);
        let clock = Clock::system();
        let deadline = clock.deadline_in(PATIENCE);
        let said = || {
            let text = fs::read(&log).unwrap_or_default();
            String::from_utf8_lossy(&text[usize::try_from(before).unwrap_or(0).min(text.len())..]).into_owned()
        };
        while !said()
            .lines()
            .any(|line| line.contains(": listening on ") || line.contains(": http://"))
        {
            let ended = self
                .member(name)
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "{name} ended: {}", said());
            assert!(!clock.has_passed(deadline), "{name} did not come up: {}", said());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Starts all that do not run.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub fn start_all(&mut self) {
        for name in self.names() {
            if !self.runs(&name) {
                self.start(&name);
            }
        }
    }

    /// Whether a process was started, and not killed or stopped here.
    pub fn runs(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|member| member.child.is_some())
    }

    /// The process id of one that runs.
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.members.get(name)?.child.as_ref().map(Child::id)
    }

    /// Sends a signal to one that runs.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&mut self, name: &str, signal: Signal) {
        let child = self
            .member(name)
            .child
            .as_ref()
            .unwrap_or_else(|| panic!("{name} does not run"));
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        kill(pid, signal).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Kills one as a power cut would.
    ///
    /// # Panics
    /// If it is gone.
    pub fn kill(&mut self, name: &str) {
        self.signal(name, Signal::SIGKILL);
        let mut child = self.member(name).child.take().expect("it runs");
        child.wait().expect("it is our child");
    }

    /// Ends one in order; gives back how it ended.
    ///
    /// # Panics
    /// If it does not end.
    pub fn end(&mut self, name: &str) -> ExitStatus {
        self.signal(name, Signal::SIGTERM);
        let mut child = self.member(name).child.take().expect("it runs");
        let clock = Clock::system();
        let deadline = clock.deadline_in(PATIENCE);
        loop {
            if let Some(status) = child.try_wait().expect("it is our child") {
                return status;
            }
            if clock.has_passed(deadline) {
                let _gone = child.kill();
                panic!("{name} does not end");
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Processes that ended by themselves, with how.
    pub fn ended(&mut self) -> Vec<(String, ExitStatus)> {
        let members = self.members.iter_mut();
        let ended = members.filter_map(|(name, member)| {
            let status = member.child.as_mut()?.try_wait().ok()??;
            Some((name.clone(), status))
        });
        ended.collect()
    }

    /// What a process has written to stderr, in all its lives.
    pub fn said(&self, name: &str) -> String {
        let log = self.members.get(name).map(|member| &member.log);
        let text = log.and_then(|log| fs::read(log).ok()).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Makes an empty folder for a host's logs.
    ///
    /// # Panics
    /// If it can't be made.
    pub fn host_folder(&self, host: &str) -> PathBuf {
        let folder = self.hosts_folder().join(host);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// Replaces a file of the ConfigDB, so that nobody ever reads half of it.
    ///
    /// # Panics
    /// If it can't be written.
    pub fn configure(&self, name: &str, text: &str) {
        let path = self.config().join(name);
        let part = path.with_extension("part");
        File::create(&part).expect("a file");
        fs::write(&part, text).expect("it can be written");
        fs::rename(part, path).expect("it can be renamed");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in self.members.values_mut() {
            if let Some(mut child) = member.child.take() {
                let _gone = child.kill();
                let _status = child.wait();
            }
        }
    }
}
