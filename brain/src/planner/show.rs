//! The state of everything, for the console.

use super::Planner;
use super::reduces::{ReduceLink, is_of};
use crate::protocol::{BrainState, MonitorState, NodeState};
use lika::actor::Context;
use lika::guard::Life;
use lika::node::ClientState;
use map::protocol::MapStatus;
use reduce::protocol::{BELOW_MAX, MapSeen, MonitorStatus, NodeAddress, NodeLife};
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
            tenants: self.tenants(),
            mistakes: known.mistakes.clone(),
            nodes: self.nodes(),
            events: self.events.list(),
        }
    }

    /// A monitor, with what its Reduces say of all its versions.
    pub(super) fn monitor(&self, configured: &MonitorState) -> MonitorState {
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
                if key.version == configured.version {
                    state.overflow.clone_from(&said.overflow);
                }
            }
        }
        self.add_cost(&mut state);
        state
            .below_windows
            .sort_by_key(|below| std::cmp::Reverse(below.window_ns));
        state.below_windows.truncate(BELOW_MAX);
        state
    }

    /// What the Reduces say of a Map.
    fn map_seen(&self, map: &NodeAddress) -> Vec<(&String, &MapSeen)> {
        let reduces = self.reduces.iter().filter(|link| link.guard.may_work());
        let said = reduces.filter_map(|link| {
            let seen = link.status.iter().flat_map(|status| &status.maps);
            Some((&link.node.node, seen.into_iter().find(|seen| seen.map == *map)?))
        });
        said.collect()
    }

    /// What a Map says of itself, if it can be reached.
    pub(super) fn map_status(&self, map: &NodeAddress) -> Option<&MapStatus> {
        let said = self.map_seen(map).into_iter();
        let live = said.filter(|(_, seen)| seen.life == NodeLife::Live);
        live.filter_map(|(_, seen)| seen.status.as_ref())
            .max_by_key(|status| status.pulls)
    }

    /// The Brain itself, the Reduces as it finds them, and the Maps as the Reduces find them.
    fn nodes(&self) -> Vec<NodeState> {
        let brain = NodeState {
            node: NodeAddress {
                node: self.setup.identity.node.clone(),
                address: self.setup.address.get().cloned().unwrap_or_default(),
            },
            role: crate::protocol::ROLE.to_owned(),
            life: NodeLife::Live,
            since_ns: Some(self.setup.began_ns),
            trouble: None,
            drained: None,
            figures: BTreeMap::from([
                ("epoch".to_owned(), self.epoch),
                ("tasks".to_owned(), self.tasks.len() as u64),
            ]),
        };
        let reduces = self.reduces.iter().enumerate().map(|(number, link)| NodeState {
            drained: self.drained_reduce(number),
            ..reduce_shown(link)
        });
        let maps = self.setup.maps.iter().map(|map| self.map_shown(&map.node));
        std::iter::once(brain).chain(reduces).chain(maps).collect()
    }

    fn map_shown(&self, map: &NodeAddress) -> NodeState {
        let said = self.map_seen(map);
        let with = |life: NodeLife| said.iter().find(|(_, seen)| seen.life == life);
        let best = with(NodeLife::Live)
            .or_else(|| with(NodeLife::Dead))
            .or_else(|| said.first());
        let dead = said.iter().filter(|(_, seen)| seen.life == NodeLife::Dead);
        let troubles =
            dead.map(|(reduce, seen)| format!("{reduce} finds: {}", seen.why.as_deref().unwrap_or_default()));
        let troubles: Vec<String> = troubles.collect();
        NodeState {
            node: map.clone(),
            role: map::protocol::ROLE.to_owned(),
            life: best.map_or(NodeLife::Unknown, |(_, seen)| seen.life),
            since_ns: best.map(|(_, seen)| seen.since_ns),
            trouble: (!troubles.is_empty()).then(|| troubles.join("; ")),
            drained: self.drained_map(&map.node, self.map_status(map)),
            // Who cannot be reached says nothing of itself any more.
            figures: self.map_status(map).map(map_figures).unwrap_or_default(),
        }
    }
}

fn reduce_shown(link: &ReduceLink) -> NodeState {
    let (life, dead) = match link.guard.life() {
        Life::Unknown => (NodeLife::Unknown, None),
        Life::Live => (NodeLife::Live, None),
        Life::Dead(why) => (NodeLife::Dead, Some(why.clone())),
    };
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
        life,
        since_ns: Some(link.since_ns),
        trouble: dead.or(unreachable).or_else(|| link.trouble.clone()),
        drained: None,
        figures,
    }
}

fn map_figures(status: &MapStatus) -> BTreeMap<String, u64> {
    let figures = [
        ("tasks", status.tasks),
        ("inputs", status.inputs),
        ("inputs_unshared", status.inputs_unshared),
        ("inputs_paused", status.inputs_paused),
        ("pulls", status.pulls),
        ("pulls_failed", status.pulls_failed),
        ("bytes", status.bytes),
        ("records", status.records),
        ("held_bytes", status.held_bytes),
        ("counting_bytes", status.counting_bytes),
        ("pulls_waiting", status.pulls_waiting),
        ("pull_us_sum", status.pull_us_sum),
        ("pull_us_max", status.pull_us_max),
    ];
    figures.map(|(name, value)| (name.to_owned(), value)).into()
}

fn add(state: &mut MonitorState, said: &MonitorStatus) {
    state.newest_ns = state.newest_ns.max(said.newest_ns);
    state.below += said.below;
    state.below_windows.extend(said.below_windows.iter().cloned());
    state.troubles.extend(said.troubles.iter().cloned());
    state.shards.extend(said.shards.iter().cloned());
    state.shards.sort();
    state.shards.dedup();
}
