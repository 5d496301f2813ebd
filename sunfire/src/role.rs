//! The roles of a cluster as subcommands: each reads its own file and runs until a signal ends it.

use crate::cli::RoleArguments;
use crate::exit::{Exit, Failure};
use crate::nodes::tokens::{api_token, token};
use crate::nodes::{BrainPlan, Means, Signals, Site, cannot_listen, leading, log, run};
use agent::process::{ProcessError, Started};
use anyhow::anyhow;
use brain::keeping::Keeping;
use brain::process::HORIZON_DEFAULT;
use configdb::Place;
use configs::node::{
    BrainNode, ConfigPlace, ConsoleNode, MapNode, Node, Peer, ReduceNode, StorePlace, TlsPlace, TokenSource,
};
use lika::actor::Escalation;
use map::node::AgentTokens;
use reduce::protocol::NodeAddress;
use std::time::Duration;

/// How far back a monitor begins that was never seen before: logs that exist show a chart at once.
pub const FIRST_WINDOWS_BACK: Duration = Duration::from_secs(15 * 60);

/// Reads a node's file, and runs the role that it has; `asked` is the subcommand.
///
/// # Errors
/// If its file has mistakes, or it cannot start.
pub fn run_role(asked: &str, arguments: &RoleArguments) -> Result<Exit, Failure> {
    let path = &arguments.config;
    let node = configs::load_node(path).map_err(|mistakes| told(&mistakes))?;
    log::to_stderr();
    match node {
        node if node.role() != asked => Err(Failure::configuration(format!(
            "{} is of the role `{}`: run `sunfire {} --config {}`",
            path.display(),
            node.role(),
            node.role(),
            path.display()
        ))),
        Node::Agent(node) => {
            let ready = |Started {
                             address,
                             confinement,
                             tls,
                         }: Started<'_>| {
                eprintln!("sunfire agent: listening on {address}");
                eprintln!("sunfire agent: confinement: {confinement}");
                if let Some(tls) = tls {
                    eprintln!("sunfire agent: TLS: {tls}");
                }
            };
            match agent::process::run(&node, ready) {
                Ok(()) => Ok(Exit::Complete),
                Err(ProcessError::Configuration(mistakes)) => Err(told(&mistakes)),
                Err(error @ ProcessError::Tls(_)) => {
                    Err(Failure::configuration(format!("{:#}", anyhow::Error::from(error))))
                }
                Err(error) => Err(anyhow::Error::from(error).into()),
            }
        }
        Node::Map(node) => run(map(node)),
        Node::Reduce(node) => run(reduce(node)),
        Node::Brain(node) => run(brain(node)),
        Node::Console(node) => run(console(node)),
    }
}

fn told(mistakes: &[configs::Diagnostic]) -> Failure {
    let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    Failure::configuration(told.join("\n"))
}

pub(crate) fn says(role: &str, node: &str, address: &str) {
    eprintln!("sunfire {role} {node}: listening on {address}");
}

/// Runs until a signal comes, or a role has failed more often than it may.
async fn until_ended(mut signals: Signals, escalated: impl Future<Output = Escalation>) -> Result<Exit, Failure> {
    tokio::select! {
        () = signals.received() => Ok(Exit::Complete),
        Escalation { path, exit } = escalated => {
            Err(anyhow!("`{path}` failed again and again ({exit:?}); see the messages above").into())
        }
    }
}

/// How a node of these roles reaches others.
fn means(secret: &TokenSource, tls: Option<&TlsPlace>, roles: &[&str], node: &str) -> Result<Means, Failure> {
    Means::new(Some(token(secret)?))?.over_tls(tls, roles, node)
}

async fn map(node: MapNode) -> Result<Exit, Failure> {
    let signals = Signals::new()?;
    let means = means(&node.token, node.tls.as_ref(), &[map::protocol::ROLE], &node.node)?;
    let tokens = AgentTokens::common(token(&node.agents)?);
    let listen = node.listen.to_string();
    let mut config = means.map(&node.node, listen.clone(), tokens)?;
    if let Some(memory_bytes) = node.memory_bytes {
        config.limits = map::node::Limits::within(memory_bytes);
    }
    let running = map::node::start(config).await;
    let running = running.map_err(|error| cannot_listen(&listen, error))?;
    says("map", &node.node, running.local_address());
    let ended = until_ended(signals, std::future::pending()).await;
    running.stop().await;
    ended
}

async fn reduce(node: ReduceNode) -> Result<Exit, Failure> {
    let signals = Signals::new()?;
    let means = means(&node.token, node.tls.as_ref(), &[reduce::protocol::ROLE], &node.node)?;
    let listen = node.listen.to_string();
    let running = reduce::node::start(means.reduce(&node.node, listen.clone(), &node.store)?).await;
    let mut running = running.map_err(|error| cannot_listen(&listen, error))?;
    says("reduce", &node.node, running.local_address());
    let ended = until_ended(signals, running.escalated()).await;
    running.stop().await;
    ended
}

async fn brain(node: BrainNode) -> Result<Exit, Failure> {
    let signals = Signals::new()?;
    let means = means(&node.token, node.tls.as_ref(), &[brain::protocol::ROLE], &node.node)?;
    let (config, data) = match node.configdb.clone() {
        ConfigPlace::Folders { config, data } => (config, data),
        ConfigPlace::Etcd {
            endpoints,
            prefix,
            files,
        } => return leading::lead(&node, Place { endpoints, prefix }, files, &means, signals).await,
    };
    let name = node.node.clone();
    let plan = plan(node, Keeping::Folders { config, data });
    let running = brain::process::start(means.brain(plan)).await;
    let mut running = running.map_err(anyhow::Error::from)?;
    says("brain", &name, running.server.local_address());
    let ended = until_ended(signals, running.escalated()).await;
    running.stop().await;
    ended
}

/// What a Brain's file says, and where its configuration is now.
pub(crate) fn plan(node: BrainNode, keeping: Keeping) -> BrainPlan {
    let address = |peer: &Peer| NodeAddress {
        node: peer.node.clone(),
        address: peer.address.clone(),
    };
    let map = |peer: Peer| reduce::protocol::MapNode {
        node: address(&peer),
        labels: peer.labels,
        is_drained: false,
    };
    BrainPlan {
        node: node.node,
        listen: node.listen.to_string(),
        keeping,
        texts: Vec::new(),
        store: node.store,
        reduces: node.reduces.iter().map(address).collect(),
        maps: node.maps.into_iter().map(map).collect(),
        horizon: node.horizon_ms.map_or(HORIZON_DEFAULT, Duration::from_millis),
        first_windows_back: node
            .first_windows_back_ms
            .map_or(FIRST_WINDOWS_BACK, Duration::from_millis),
    }
}

async fn console(node: ConsoleNode) -> Result<Exit, Failure> {
    let signals = Signals::new()?;
    let roles: &[&str] = match node.store {
        StorePlace::Here { .. } => &[console::process::ROLE, store::protocol::ROLE],
        StorePlace::There(_) => &[console::process::ROLE],
    };
    let means = means(&node.token, node.tls.as_ref(), roles, &node.node)?;
    let (handle, open) = match &node.store {
        StorePlace::Here { data, listen } => {
            std::fs::create_dir_all(data)?;
            let open = means.open_store(&node.node, data, &listen.to_string()).await?;
            eprintln!(
                "sunfire console {}: its store listens on {}",
                node.node,
                open.local_address()
            );
            (open.handle.clone(), Some(open))
        }
        StorePlace::There(address) => (means.store(console::process::ROLE, &node.node, address), None),
    };
    let site = Site {
        listen: node.listen,
        token: api_token(&node.api_token)?,
        brains: node.brains,
        access_log: None,
    };
    let running = console::process::start(means.console(&node.node, site, handle)).await;
    let running = running.map_err(anyhow::Error::from)?;
    eprintln!("sunfire console {}: http://{}", node.node, running.local_address());
    let ended = until_ended(signals, std::future::pending()).await;
    running.stop().await;
    if let Some(open) = open {
        open.stop().await;
    }
    ended
}
