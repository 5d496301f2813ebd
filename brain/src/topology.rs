//! Which Reduce answers for which monitor: a pure function of monitors and live Reduces (M2). Which Map counts which
//! host is decided by the Reduces, by the same kind of draw ([`reduce::placement`]).

use map::protocol::HostTarget;
use reduce::placement::{hash, highest};
use reduce::protocol::NodeAddress;
use std::collections::{BTreeMap, BTreeSet};

/// The Reduce that answers for a monitor; `None` if there is none. Their order does not matter.
pub fn reduce_of<'a>(monitor: &str, reduces: &'a [NodeAddress]) -> Option<&'a NodeAddress> {
    highest(hash(&[monitor]), reduces, |reduce| &reduce.node)
}

/// The hosts of all applications as the hosts of one, for what is asked of every host: one for each address, with the
/// label `app`. Of hosts with one address the first by application and name counts; of hosts with one name the later
/// ones are named with their application.
pub fn every_host<'a>(apps: impl IntoIterator<Item = (&'a str, Vec<&'a HostTarget>)>) -> Vec<HostTarget> {
    let (mut addresses, mut named) = (BTreeSet::new(), BTreeMap::new());
    for (app, targets) in apps {
        for target in targets {
            if !addresses.insert(&target.address) {
                continue;
            }
            let mut target = target.clone();
            target.labels.insert("app".to_owned(), app.to_owned());
            if named.contains_key(&target.host) {
                target.host = format!("{app}/{}", target.host);
            }
            named.insert(target.host.clone(), target);
        }
    }
    named.into_values().collect()
}

#[cfg(test)]
mod tests;
