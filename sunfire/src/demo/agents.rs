//! The agents of the shop's hosts, in this process, each confined to its host's folder: what a host is to the cluster.

use crate::exit::Failure;
use agent::process::limits_of;
use anyhow::{Context, anyhow};
use configs::node::{AgentLimits, AgentNode, HardLinkPolicy, Manners, SandboxPolicy, TokenSource};
use lika::node::Server;
use lika::seam::Clock;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// How long an agent may take to end.
const STOP_PATIENCE: Duration = Duration::from_millis(200);
/// How often a port is tried that its last user has just left.
const REBIND_PAUSE: Duration = Duration::from_millis(100);
/// Orders that wait.
const ORDERS_MAX: usize = 64;

/// What is to become of a host's agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It answers.
    Answers,
    /// It is gone: connections are refused.
    Gone,
    /// It takes connections and never says a word.
    Stalls,
}

/// All agents; they end with the process.
pub struct Agents {
    orders: mpsc::Sender<(String, Fate)>,
    /// Where each listens, whether it is there or not.
    pub addresses: BTreeMap<String, SocketAddr>,
}

enum Being {
    Answers(Server),
    Gone,
    Stalls(JoinHandle<()>),
}

impl Agents {
    /// Starts an agent for each host over its folder, on a thread of their own.
    ///
    /// # Errors
    /// If one can't start.
    pub fn start(hosts: Vec<(String, PathBuf)>) -> Result<Self, Failure> {
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        let (say, said) = oneshot::channel();
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => tokio::task::LocalSet::new().block_on(&runtime, keep(hosts, say, ordered)),
                Err(error) => drop(say.send(Err(error.into()))),
            }
        };
        std::thread::Builder::new()
            .name("agents".to_owned())
            .spawn(work)
            .context("no thread for the agents")?;
        let addresses = said.blocking_recv().context("the agents did not start")??;
        Ok(Self { orders, addresses })
    }

    /// Orders a fate; it takes effect within moments.
    pub fn order(&self, host: &str, fate: Fate) {
        // The thread lives as long as the process.
        let _full = self.orders.try_send((host.to_owned(), fate));
    }
}

async fn keep(
    hosts: Vec<(String, PathBuf)>,
    say: oneshot::Sender<anyhow::Result<BTreeMap<String, SocketAddr>>>,
    mut ordered: mpsc::Receiver<(String, Fate)>,
) {
    let mut nodes = BTreeMap::new();
    let mut beings = BTreeMap::new();
    for (host, folder) in hosts {
        let mut node = node(&host, &folder);
        match listen(&node).await {
            Ok((server, address)) => {
                node.listen = address;
                nodes.insert(host.clone(), node);
                beings.insert(host, Being::Answers(server));
            }
            Err(error) => return drop(say.send(Err(error))),
        }
    }
    let addresses = nodes.iter().map(|(host, node)| (host.clone(), node.listen)).collect();
    let _gone = say.send(Ok(addresses));
    while let Some((host, fate)) = ordered.recv().await {
        let Some(node) = nodes.get(&host) else { continue };
        match beings.remove(&host) {
            Some(Being::Answers(server)) => server.stop(STOP_PATIENCE).await,
            Some(Being::Stalls(task)) => task.abort(),
            Some(Being::Gone) | None => {}
        }
        beings.insert(host, become_of(node, fate).await);
    }
}

async fn become_of(node: &AgentNode, fate: Fate) -> Being {
    let clock = Clock::system();
    loop {
        let begun = match fate {
            Fate::Gone => return Being::Gone,
            Fate::Answers => listen(node).await.map(|(server, _)| Being::Answers(server)),
            Fate::Stalls => stall(node.listen).await,
        };
        match begun {
            Ok(being) => return being,
            Err(_) => clock.sleep(REBIND_PAUSE).await,
        }
    }
}

/// Takes connections, and keeps them without a word.
async fn stall(address: SocketAddr) -> anyhow::Result<Being> {
    let listener = TcpListener::bind(address).await?;
    let task = tokio::task::spawn_local(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    Ok(Being::Stalls(task))
}

fn node(host: &str, folder: &std::path::Path) -> AgentNode {
    AgentNode {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        host: host.to_owned(),
        roots: vec![folder.to_string_lossy().into_owned()],
        browse: Vec::new(),
        token: TokenSource::OpenOnLoopback,
        tls: None,
        hard_links: HardLinkPolicy::Refuse,
        sandbox: SandboxPolicy::Off,
        user: None,
        manners: Manners::Normal,
        limits: AgentLimits::default(),
    }
}

async fn listen(node: &AgentNode) -> anyhow::Result<(Server, SocketAddr)> {
    let server = agent::process::start(node, &limits_of(node), Clock::system()).await?;
    let address = server.local_address().parse();
    let address = address.map_err(|_| anyhow!("{} is no address", server.local_address()))?;
    Ok((server, address))
}
