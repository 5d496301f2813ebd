//! A Brain whose ConfigDB is in etcd: it stands by until it leads, and stands by again when it does not any more.

use super::{Means, Signals};
use crate::exit::{Exit, Failure};
use crate::role::{plan, says};
use anyhow::anyhow;
use brain::keeping::Keeping;
use brain::process::{Brain, StartError};
use configdb::{Connection, Leader, Place, Term};
use configs::node::BrainNode;
use lika::actor::Escalation;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a Brain waits before it stands by again that could not read what lasted.
const AGAIN: Duration = Duration::from_secs(1);

/// How a term ended.
enum Ended {
    Signal,
    Deposed,
    Escalated(Escalation),
}

/// Leads whenever nobody else does, until a signal comes or the Brain fails more often than it may.
///
/// # Errors
/// If etcd's place can't be one, the Brain can't listen, or it fails again and again.
pub async fn lead(
    node: &BrainNode,
    place: Place,
    files: PathBuf,
    means: &Means,
    mut signals: Signals,
) -> Result<Exit, Failure> {
    let opened = Connection::open(&place, &means.clock, &means.randomness);
    let connection = Arc::new(opened.map_err(Failure::configuration)?);
    eprintln!("sunfire brain {}: standing by", node.node);
    loop {
        let standing_by = connection.spawn(Term::begin(Arc::clone(&connection), leader(node), told(node)));
        let term = tokio::select! {
            () = signals.received() => return Ok(Exit::Complete),
            term = standing_by => term.map_err(anyhow::Error::from)?,
        };
        let Some(mut running) = started(node, &term, &files, means).await? else {
            term.resign().await;
            means.clock.sleep(AGAIN).await;
            continue;
        };
        says("brain", &node.node, running.server.local_address());
        let ended = tokio::select! {
            () = signals.received() => Ended::Signal,
            () = term.lost() => Ended::Deposed,
            escalation = running.escalated() => Ended::Escalated(escalation),
        };
        running.stop().await;
        match ended {
            Ended::Deposed => eprintln!("sunfire brain {}: does not lead any more; standing by", node.node),
            Ended::Signal => {
                term.resign().await;
                return Ok(Exit::Complete);
            }
            Ended::Escalated(Escalation { path, exit }) => {
                term.resign().await;
                return Err(anyhow!("`{path}` failed again and again ({exit:?}); see the messages above").into());
            }
        }
    }
}

fn leader(node: &BrainNode) -> Leader {
    Leader {
        node: node.node.clone(),
        address: node.listen.to_string(),
    }
}

/// Says who leads while this one stands by.
fn told(node: &BrainNode) -> impl Fn(&Leader) + Send + 'static {
    let name = node.node.clone();
    move |leader| {
        let Leader { node, address } = leader;
        eprintln!("sunfire brain {name}: standing by; {node} leads, at {address}");
    }
}

/// Starts the Brain of a term; `None` if etcd does not answer just now, or another one leads already.
async fn started(node: &BrainNode, term: &Term, files: &Path, means: &Means) -> Result<Option<Brain>, Failure> {
    let keeping = Keeping::Etcd {
        term: term.clone(),
        files: files.to_owned(),
    };
    match brain::process::start(means.brain(plan(node.clone(), keeping))).await {
        Ok(running) => Ok(Some(running)),
        Err(error @ StartError::Data(brain::DataError::Journal(brain::JournalError::Etcd { .. }))) => {
            eprintln!(
                "sunfire brain {}: {:#}; it is tried again",
                node.node,
                anyhow::Error::from(error)
            );
            Ok(None)
        }
        Err(error) => Err(anyhow::Error::from(error).into()),
    }
}
