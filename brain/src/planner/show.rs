//! The state of everything, for the console.

use super::{Planner, reduces::is_of};
use crate::protocol::{BrainState, MonitorState, NodeState};
use lika::actor::Context;
use lika::node::ClientState;
use reduce::protocol::{BELOW_MAX, MonitorStatus};
use std::collections::BTreeMap;

impl Planner {
    /// How everything stands.
    pub(super) fn show(&self, _context: &Context<Planner>) -> BrainState {
        let Some(known) = &self.known else {
            return BrainState {
                epoch: self.epoch,
                nodes: self.nodes(),
                events: self.events.list(),
                ..BrainState::default()
            };
        };
        BrainState {
            epoch: self.epoch,
            monitors: known.monitors.iter().map(|monitor| self.monitor(monitor)).collect(),
            apps: known.apps.clone(),
            mistakes: known.mistakes.clone(),
            nodes: self.nodes(),
            events: self.events.list(),
        }
    }

    /// A monitor, with what its Reduces say of all its versions.
    fn monitor(&self, configured: &MonitorState) -> MonitorState {
        let mut state = configured.clone();
        for (key, task) in self.tasks.iter().filter(|(key, _)| key.monitor == configured.name) {
            state.troubles.extend(task.trouble.clone());
            let missing = self.ledger.missing_of(key).count();
            if missing > 0 {
                state.below += missing as u64;
                state.troubles.push(format!(
                    "{missing} windows are missing in the store; they are read again"
                ));
            }
            let reduce = task.desired.as_ref().and_then(|(reduce, _)| self.reduces.get(*reduce));
            let Some(link) = reduce else { continue };
            if key.version == configured.version {
                state.reduce = Some(link.node.clone());
            }
            let monitors = link.status.iter().flat_map(|status| &status.monitors);
            for said in monitors.filter(|said| is_of(said, key)) {
                add(&mut state, said);
            }
        }
        state
            .below_windows
            .sort_by_key(|below| std::cmp::Reverse(below.window_ns));
        state.below_windows.truncate(BELOW_MAX);
        state
    }

    fn nodes(&self) -> Vec<NodeState> {
        let reduces = self.reduces.iter().map(|link| {
            let unreachable = match link.client.state() {
                ClientState::Connected(_) => None,
                ClientState::Connecting => Some("connecting".to_owned()),
                ClientState::Disconnected { why, .. } => Some(why),
                ClientState::Closed => Some("closed".to_owned()),
            };
            let mut figures = BTreeMap::new();
            if let Some(status) = &link.status {
                figures.insert("monitors".to_owned(), status.monitors.len() as u64);
                figures.insert("revisions_written".to_owned(), status.written);
                figures.insert("writes_refused".to_owned(), status.refused);
            }
            NodeState {
                node: link.node.clone(),
                role: reduce::protocol::ROLE.to_owned(),
                trouble: unreachable.or_else(|| link.trouble.clone()),
                figures,
            }
        });
        // A Map answers no Brain; its troubles show on the monitors that it counts for.
        let maps = self.setup.maps.iter().map(|map| {
            let shards = self.tasks.values().filter_map(|task| task.desired.as_ref());
            let mine = shards
                .flat_map(|(_, wanted)| &wanted.shards)
                .filter(|shard| shard.map == map.node);
            let inputs: usize = mine.map(|shard| shard.hosts.len()).sum();
            NodeState {
                node: map.node.clone(),
                role: map::protocol::ROLE.to_owned(),
                trouble: None,
                figures: BTreeMap::from([("inputs_assigned".to_owned(), inputs as u64)]),
            }
        });
        reduces.chain(maps).collect()
    }
}

fn add(state: &mut MonitorState, said: &MonitorStatus) {
    state.newest_ns = state.newest_ns.max(said.newest_ns);
    state.below += said.below;
    state.below_windows.extend(said.below_windows.iter().cloned());
    state.troubles.extend(said.troubles.iter().cloned());
}
