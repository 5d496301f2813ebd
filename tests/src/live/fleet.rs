//! Agents of many hosts in this process, each over a folder of its own, and threads that write their logs.

use super::ledger::Ledger;
use super::writer::Writer;
use agent::process::limits_of;
use configs::node::{AgentLimits, AgentNode, HardLinkPolicy, Manners, SandboxPolicy, TokenSource};
use lika::seam::Clock;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Pause between two bursts of a writer.
const BURST_EVERY: Duration = Duration::from_millis(60);

/// An agent on a thread of its own; it ends when this is dropped.
pub struct LocalAgent {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl LocalAgent {
    /// Starts one over a folder; at a given address if it is to come back there.
    ///
    /// # Panics
    /// If it can't start.
    pub fn start(host: &str, root: &Path, listen: Option<SocketAddr>) -> Self {
        let node = AgentNode {
            listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            host: host.to_owned(),
            roots: vec![root.to_str().expect("UTF-8").to_owned()],
            browse: Vec::new(),
            token: TokenSource::OpenOnLoopback,
            tls: None,
            hard_links: HardLinkPolicy::Refuse,
            sandbox: SandboxPolicy::Off,
            user: None,
            manners: Manners::Normal,
            limits: AgentLimits::default(),
        };
        let (say, said) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let server = agent::process::start(&node, &limits_of(&node), Clock::system()).await;
                let server = server.expect("the agent starts");
                say.send(server.local_address().to_owned()).expect("somebody listens");
                let _dropped_is_stopped = stopped.await;
            });
        });
        let address = said.recv().expect("it says where").parse().expect("an address");
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for LocalAgent {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Hosts with their agents and writers.
pub struct Fleet {
    /// Host and folder.
    pub hosts: Vec<(String, PathBuf)>,
    /// Their agents; `None` while one is away.
    pub agents: Vec<Option<LocalAgent>>,
    /// Where each agent listens, whether it is there or not.
    pub addresses: Vec<SocketAddr>,
    /// What was written.
    pub ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<()>>,
}

impl Fleet {
    /// Starts agents over folders below `base`, and writers of `app.log` in each.
    ///
    /// # Panics
    /// If a folder can't be made or an agent can't start.
    pub fn start(base: &Path, count: usize, seed: u64) -> Self {
        let ledger = Arc::new(Ledger::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut fleet = Self {
            hosts: Vec::new(),
            agents: Vec::new(),
            addresses: Vec::new(),
            ledger,
            stop,
            writers: Vec::new(),
        };
        for number in 0..count {
            let host = format!("h{number}");
            let folder = base.join(&host);
            std::fs::create_dir_all(&folder).expect("a folder");
            let agent = LocalAgent::start(&host, base, None);
            fleet.addresses.push(agent.address);
            fleet.agents.push(Some(agent));
            let writer = Writer::new(&host, folder.join("app.log"), seed + number as u64);
            fleet.writers.push(fleet.write_on(writer));
            fleet.hosts.push((host, folder));
        }
        fleet
    }

    fn write_on(&self, mut writer: Writer) -> JoinHandle<()> {
        let (ledger, stop) = (Arc::clone(&self.ledger), Arc::clone(&self.stop));
        std::thread::spawn(move || {
            let clock = Clock::system();
            while !stop.load(Ordering::Relaxed) {
                writer.write(&ledger, || clock.wall().0);
                std::thread::park_timeout(BURST_EVERY);
            }
        })
    }

    /// Ends the writers; the agents stay.
    ///
    /// # Panics
    /// If a writer panicked.
    pub fn stop_writing(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers.drain(..) {
            writer.thread().unpark();
            writer.join().expect("no writer panicked");
        }
    }

    /// The fleet as a document of the ConfigDB.
    pub fn app(&self, name: &str) -> String {
        let mut text = format!("kind: app\nname: {name}\nhosts:\n");
        for ((host, _), address) in self.hosts.iter().zip(&self.addresses) {
            text.push_str(&format!("  - {{ host: {host}, address: \"{address}\" }}\n"));
        }
        text
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
