//! Which Map counts which hosts (M2): a pure function of a monitor's hosts and the Maps that live.
//!
//! Everything is placed by rendezvous hashing (Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit
//! Rates", 1998): each node draws a number for each thing to be placed, the highest has it. So whoever sees the same
//! nodes plans the same, and a node that goes moves only what it had.
//!
//! The unit that is placed is a slot: a hash of host and path, so that all monitors on a log meet on one Map, which
//! then pulls it once, whichever Reduce installs them. All slots of a monitor that fall to one Map travel as one shard,
//! up to the bound of a shard.

use crate::protocol::{MapNode, Place, ShardPlan};
use map::protocol::{HostTarget, INPUTS_MAX};
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::Xxh3;

/// Slots of an application: enough that the shares of a hundred Maps differ little.
pub const SLOTS: u64 = 256;
/// The label by which a host's Map is chosen near it.
pub const ZONE: &str = "zone";

/// The Maps' shares of a monitor's hosts, by number of the shard; empty if there is no Map. The order of hosts and Maps
/// does not matter.
pub fn shards(place: &Place, hosts: &[HostTarget], maps: &[&MapNode]) -> Vec<ShardPlan> {
    let mut owned: BTreeMap<&crate::protocol::NodeAddress, Vec<(u64, &str)>> = BTreeMap::new();
    for target in hosts {
        let slot = slot_of(&target.host, &place.path);
        let zone = target.labels.get(ZONE).map(String::as_str);
        if let Some(map) = map_of(&place.app, slot, zone, maps) {
            owned.entry(&map.node).or_default().push((slot, &target.host));
        }
    }
    let mut plans = Vec::new();
    let mut numbers = BTreeSet::new();
    for (map, mut inputs) in owned {
        inputs.sort_unstable();
        for (part, hosts) in inputs.chunks(INPUTS_MAX).enumerate() {
            let mut hosts: Vec<String> = hosts.iter().map(|(_, host)| (*host).to_owned()).collect();
            hosts.sort_unstable();
            plans.push(ShardPlan {
                shard: free_number(&map.node, part, &mut numbers),
                map: map.clone(),
                hosts,
            });
        }
    }
    plans.sort_by_key(|plan| plan.shard);
    plans
}

/// The slot of a log on a host.
pub fn slot_of(host: &str, path: &str) -> u64 {
    hash(&[host, path]) % SLOTS
}

/// The Map of a slot: among those of the host's zone if there are any, else among all.
fn map_of<'a>(app: &str, slot: u64, zone: Option<&str>, maps: &[&'a MapNode]) -> Option<&'a MapNode> {
    let key = hash(&[app, &slot.to_string()]);
    let is_near = |map: &&MapNode| zone.is_some() && map.labels.get(ZONE).map(String::as_str) == zone;
    let near = highest(key, maps.iter().copied().filter(is_near), |map| &map.node.node);
    near.or_else(|| highest(key, maps.iter().copied(), |map| &map.node.node))
}

/// The Maps of a host's log in the order in which they would have it, each the next if those before were gone.
pub fn order<'a>(place: &Place, target: &HostTarget, maps: &[&'a MapNode]) -> Vec<&'a MapNode> {
    let slot = slot_of(&target.host, &place.path);
    let zone = target.labels.get(ZONE).map(String::as_str);
    let mut left = maps.to_vec();
    let mut order = Vec::with_capacity(left.len());
    while let Some(next) = map_of(&place.app, slot, zone, &left) {
        left.retain(|map| map.node != next.node);
        order.push(next);
    }
    order
}

/// A number for a shard that depends on the Map alone, so that it stays when other Maps come and go.
fn free_number(map: &str, part: usize, taken: &mut BTreeSet<u32>) -> u32 {
    let mut number = hash(&[map, &part.to_string()]) as u32;
    while !taken.insert(number) {
        number = number.wrapping_add(1);
    }
    number
}

/// Whoever draws the highest number for a key; ties go to the lesser name.
pub fn highest<'a, T>(key: u64, nodes: impl IntoIterator<Item = &'a T>, name: impl Fn(&T) -> &String) -> Option<&'a T> {
    let draw = |node: &T| {
        let mut hasher = Xxh3::new();
        hasher.update(&key.to_le_bytes());
        hasher.update(name(node).as_bytes());
        hasher.digest()
    };
    nodes
        .into_iter()
        .max_by(|one, other| draw(one).cmp(&draw(other)).then_with(|| name(other).cmp(name(one))))
}

/// A fixed hash of texts; their lengths count, so that no two lists meet by where they are cut.
pub fn hash(texts: &[&str]) -> u64 {
    let mut hasher = Xxh3::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.digest()
}

#[cfg(test)]
mod tests;
