//! What people ask about hosts, handed to Maps: only they reach agents, and have their tokens.
//!
//! The Map that counts a host is asked first, another one if that does not answer: asking twice changes nothing. None
//! of it passes through the registry's actor, which only says whom to ask.

use super::asking::chain;
use super::registry::{Registry, Route};
use crate::protocol::{HostQuestion, MapNode, NodeAddress};
use lika::actor::Mailbox;
use lika::node::{Client, Refusal};
use map::protocol::{
    AGENTS_MAX, AgentSaid, AgentSeen, BrowseRequest, Browsed, MapAnswer, MapProtocol, MapRequest, NotBrowsed,
};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// Maps that are asked one after the other.
const TRIES_MAX: usize = 2;
/// How long one Map may take: longer than its own limit, so that its reason is heard, and short enough for a second one
/// within what a console waits.
const TRY_PATIENCE: Duration = Duration::from_millis(4000);
/// How long Maps may take to say what they know of their agents.
const AGENTS_PATIENCE: Duration = Duration::from_secs(4);
/// Maps that are asked for it at a time.
const AGENTS_ASKED_MAX: usize = 16;
/// How long the registry may take to say whom to ask.
const ROUTE_PATIENCE: Duration = Duration::from_secs(2);

/// A Map and how it is reached.
pub(super) type Reached = (NodeAddress, Client<MapProtocol>);

pub(super) async fn route(registry: &Mailbox<Registry>, route: Route) -> Result<Vec<Reached>, Refusal> {
    let asked = registry.ask(route, ROUTE_PATIENCE).await;
    asked.map_err(|error| Refusal::Failed(error.to_string()))
}

/// Has a Map look at something.
pub(super) async fn browse(
    registry: &Mailbox<Registry>,
    question: HostQuestion,
) -> Result<Result<Browsed, NotBrowsed>, Refusal> {
    let HostQuestion {
        place,
        target,
        question,
    } = question;
    let (address, host) = (target.address.clone(), Some(target.host.clone()));
    let request = MapRequest::Browse(BrowseRequest {
        address,
        host,
        question,
    });
    let maps = route(registry, Route::Host { place, target }).await?;
    let mut troubles = Vec::new();
    for (map, client) in maps.into_iter().take(TRIES_MAX) {
        match client.call(&request, TRY_PATIENCE).await {
            Ok(MapAnswer::Browsed(browsed)) => return Ok(*browsed),
            Ok(_) => troubles.push(format!("{}: it answered something else", map.node)),
            Err(error) => troubles.push(format!("{}: {}", map.node, chain(&error))),
        }
    }
    if troubles.is_empty() {
        troubles.push("there is none".to_owned());
    }
    Ok(Err(NotBrowsed::NoMap(troubles.join("; "))))
}

/// What Maps know of their agents.
pub(super) async fn agents(registry: &Mailbox<Registry>, maps: Vec<MapNode>) -> Result<Vec<AgentSeen>, Refusal> {
    let mut waiting = route(registry, Route::All { maps }).await?;
    let mut asked = JoinSet::new();
    let mut seen: BTreeMap<String, AgentSeen> = BTreeMap::new();
    loop {
        while asked.len() < AGENTS_ASKED_MAX
            && let Some((_, client)) = waiting.pop()
        {
            asked.spawn(async move { client.call(&MapRequest::Agents, AGENTS_PATIENCE).await });
        }
        let Some(answered) = asked.join_next().await else {
            break;
        };
        // Of a Map that does not answer nothing is known; its hosts are pulled by another one soon.
        if let Ok(Ok(MapAnswer::Agents(told))) = answered {
            told.into_iter().for_each(|agent| join(&mut seen, agent));
        }
    }
    Ok(seen.into_values().take(AGENTS_MAX).collect())
}

/// Of what several Maps say of an agent, that of one which heard it, and the newest.
fn join(seen: &mut BTreeMap<String, AgentSeen>, agent: AgentSeen) {
    let rank = |agent: &AgentSeen| (matches!(agent.said, AgentSaid::Bounds { .. }), agent.asked_ns);
    let is_better = seen.get(&agent.address).is_none_or(|known| rank(known) < rank(&agent));
    if is_better {
        seen.insert(agent.address.clone(), agent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_words_on_an_agent_the_best_counts() {
        let bounds = |user: &str| AgentSaid::Bounds {
            sandbox: "off".to_owned(),
            missing: None,
            user: user.to_owned(),
            version: String::new(),
        };
        let agent = |asked_ns, said| AgentSeen {
            address: "a:1".to_owned(),
            asked_ns,
            said,
        };
        let mut seen = BTreeMap::new();
        join(&mut seen, agent(9, AgentSaid::Nothing("gone".to_owned())));
        join(&mut seen, agent(3, bounds("old")));
        join(&mut seen, agent(5, bounds("new")));
        join(&mut seen, agent(4, bounds("between")));
        assert_eq!(seen["a:1"].said, bounds("new"));
    }
}
