//! Nodes that are to be given no work: what they had goes to others, and what is still there is told.

use super::Planner;
use super::reduces::is_of;
use crate::events::Kind;
use crate::keeper::Known;
use lika::actor::Context;
use map::protocol::MapStatus;
use reduce::protocol::{MapNode, NodeAddress};
use std::collections::BTreeMap;

impl Planner {
    fn drained(&self) -> Option<&BTreeMap<String, Option<String>>> {
        self.known.as_ref().map(|known| &known.drained)
    }

    fn is_drained(&self, node: &str) -> bool {
        self.drained().is_some_and(|drained| drained.contains_key(node))
    }

    /// Reduces that may be given work: of those that live the ones that are not drained; all that live if every one is.
    pub(super) fn willing_reduces(&self) -> Vec<NodeAddress> {
        let live = self.live_reduces();
        let willing: Vec<NodeAddress> = live
            .iter()
            .filter(|node| !self.is_drained(&node.node))
            .cloned()
            .collect();
        if willing.is_empty() { live } else { willing }
    }

    /// All Maps, with what is said of them.
    pub(super) fn maps(&self) -> Vec<MapNode> {
        let marked = |map: &MapNode| MapNode {
            is_drained: self.is_drained(&map.node.node),
            ..map.clone()
        };
        self.setup.maps.iter().map(marked).collect()
    }

    /// Says which nodes are drained from now on, and which are not any more.
    pub(super) fn tell_drained(&mut self, known: &Known, context: &mut Context<Planner>) {
        let none = BTreeMap::new();
        let before = self.drained().unwrap_or(&none);
        let maps = self.setup.maps.iter().map(|map| &map.node.node);
        let nodes: Vec<&String> = maps
            .chain(self.setup.reduces.iter().map(|reduce| &reduce.node))
            .collect();
        let mut texts = Vec::new();
        for (node, why) in known.drained.iter().filter(|(node, _)| !before.contains_key(*node)) {
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            texts.push(match nodes.contains(&node) {
                true => format!("{node} is drained{why}"),
                false => format!("no map and no reduce is called {node}, which is to be drained{why}"),
            });
        }
        let again = before.keys().filter(|node| !known.drained.contains_key(*node));
        texts.extend(again.map(|node| format!("{node} may work again")));
        for text in texts {
            self.event(Kind::Node, text, context);
        }
    }

    /// What is said of a drained Map, and what it still has.
    pub(super) fn drained_map(&self, node: &str, status: Option<&MapStatus>) -> Option<String> {
        let left = match status.map(|status| status.tasks) {
            Some(0) => "nothing is left there: it can be stopped".to_owned(),
            Some(tasks) => format!("{tasks} shards are still there"),
            None => "it does not say what it still has".to_owned(),
        };
        self.told(node, &left)
    }

    /// What is said of a drained Reduce, and what it still has.
    pub(super) fn drained_reduce(&self, number: usize) -> Option<String> {
        let link = self.reduces.get(number)?;
        let installed = self.tasks.values().filter(|task| {
            let installed = task.installed.as_ref();
            installed.is_some_and(|installed| installed.reduce == number)
        });
        let ordered = installed.count();
        let answered = |monitor: &_| self.tasks.keys().any(|key| is_of(monitor, key));
        let status = link.status.as_ref();
        let said = status.map_or(0, |status| status.monitors.iter().filter(|it| answered(it)).count());
        let left = match ordered.max(said) {
            0 => "nothing is left there: it can be stopped".to_owned(),
            monitors => format!("{monitors} monitors are still there"),
        };
        self.told(&link.node.node, &left)
    }

    fn told(&self, node: &str, left: &str) -> Option<String> {
        let why = self.drained()?.get(node)?;
        let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        Some(format!("drained{why}; {left}"))
    }
}
