//! Reading some windows of some hosts anew, apart from the stream and from the actors that do it.

use super::port::{AgentPort, Inflations};
use super::{Shared, pace};
use crate::definition::Compiled;
use crate::input::{InputKey, Port, Purpose, Reread, Subscription, Terms, Usage, reread};
use crate::node::registry::{input_key, labels};
use crate::protocol::{HostReport, HostTarget, KeptProfile, TaskId};
use crate::verdict::{HostState, Stage, VerdictRun};
use lika::actor::Message;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// What is to be read anew, for all its hosts.
pub(super) struct Windows {
    pub(super) id: TaskId,
    pub(super) epoch: u64,
    pub(super) compiled: Compiled,
    pub(super) from_ns: i64,
    pub(super) to_ns: i64,
    /// What is known of the generations of each host.
    pub(super) profiles: BTreeMap<String, Vec<KeptProfile>>,
    /// How each host's log is read.
    pub(super) terms: Terms,
}

/// Read the windows of one host anew.
pub(super) struct RereadHost {
    pub(super) windows: Arc<Windows>,
    pub(super) target: HostTarget,
    pub(super) reply: oneshot::Sender<Reread>,
}

impl Message for RereadHost {
    type Reply = ();
}

/// Reads, and gives up as soon as nobody waits any longer. A panic is this host's alone.
pub(super) async fn reread_host(node: Arc<Shared>, job: RereadHost) {
    let RereadHost {
        windows,
        target,
        mut reply,
    } = job;
    let mut work = JoinSet::new();
    work.spawn_local(read(node, Arc::clone(&windows), target.clone()));
    let reread = tokio::select! {
        biased;
        () = reply.closed() => return,
        read = work.join_next() => match read {
            Some(Ok(reread)) => reread,
            _ => unread(failed(&windows, &target)),
        },
    };
    // Whoever waited may have stopped just now.
    let _unread = reply.send(reread);
}

async fn read(node: Arc<Shared>, windows: Arc<Windows>, target: HostTarget) -> Reread {
    let Some(pattern) = &windows.compiled.monitor.log else {
        // A missed sample of the host's figures is missed: there is nothing to read, and nothing new to say.
        return unread(HostReport::silent(target.host));
    };
    let payers = match windows.terms.purpose {
        Purpose::Repair => pace::payers(&node.registry(), &windows.id, &windows.compiled),
        // It has a bound of its own.
        Purpose::Question => Vec::new(),
    };
    let clock = &node.config.clock;
    let _turn = loop {
        node.paces.wait_for(&payers, clock).await;
        let turn = node.rereads.acquire().await;
        // Those before may have spent meanwhile.
        if node.paces.is_due(&payers, clock.monotonic().as_nanos()) {
            break turn;
        }
    };
    let by_host = node.config.network.proves_names();
    let link = node
        .links
        .link(&node, &target.address, Some(&*target.host).filter(|_| by_host));
    link.known().await;
    let _agent = link.turn().await;
    let monitor = &windows.compiled.monitor;
    let key = input_key(monitor, pattern, &target, by_host);
    let profiles = windows.profiles.get(&target.host);
    let subscription = Subscription {
        profiles: profiles.map(|kept| kept.as_slice().into()).unwrap_or_default(),
        id: windows.id.clone(),
        epoch: windows.epoch,
        labels: labels(&target, monitor.app.as_deref()),
        host: target.host,
        monitor: Arc::clone(monitor),
        plan: Arc::clone(&windows.compiled.plan),
        from_ns: windows.from_ns,
        proved_ns: windows.from_ns,
        until_ns: Some(windows.to_ns),
        // Somebody ordered it.
        suspended: Arc::default(),
    };
    let bounds = (node.config.clock.wall().0, windows.terms);
    let inflations = Inflations::InTurn(Arc::clone(&node.reread_inflations));
    let spent = |used| node.paces.charge(&payers, used, clock.monotonic().as_nanos());
    begin(
        &key,
        subscription,
        &mut AgentPort::new(link, inflations, None),
        bounds,
        spent,
    )
    .await
}

async fn begin<P: Port>(
    key: &InputKey,
    subscription: Subscription,
    port: &mut P,
    bounds: (i64, Terms),
    spent: impl Fn(Usage),
) -> Reread {
    #[cfg(test)]
    if key.pattern.starts_with("/scripted/") {
        spent(super::tests::REREAD_COST);
        return unread(super::tests::reread(key, &subscription));
    }
    reread(key, subscription, port, bounds, spent).await
}

/// A report for which nothing was received.
fn unread(report: HostReport) -> Reread {
    Reread { report, bytes: 0 }
}

fn failed(windows: &Windows, target: &HostTarget) -> HostReport {
    let run = VerdictRun {
        from_ns: windows.from_ns,
        to_ns: windows.to_ns,
        state: HostState::Timeout,
        stage: Stage::Provisional,
        detail: Some("the map failed while it read these windows anew; see the map's log".to_owned()),
    };
    HostReport {
        verdicts: vec![run],
        ..HostReport::silent(target.host.clone())
    }
}
