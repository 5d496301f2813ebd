//! What people ask about hosts, handed to Reduces, which hand it to Maps.
//!
//! The planner only says whom to ask, and where the inventory has the host: so nobody who asks the console can have a
//! Map dial an address of his choice.

use crate::planner::{Planner, Route, Routed};
use crate::protocol::{BrainAnswer, BrowseQuestion, NotBrowsed};
use lika::actor::Mailbox;
use lika::node::{Client, Refusal};
use map::protocol::HostTarget;
use reduce::protocol::{HostQuestion, ReduceAnswer, ReduceProtocol, ReduceRequest};
use std::time::Duration;

/// Reduces that are asked one after the other.
const TRIES_MAX: usize = 2;
/// How long one Reduce may take for a question about a host: as long as it may take with two Maps.
const TRY_PATIENCE: Duration = Duration::from_millis(8500);
/// How long all of them may take: less than a console waits.
const ALL_PATIENCE: Duration = Duration::from_millis(9000);
/// How long the planner may take to say whom to ask.
const ROUTE_PATIENCE: Duration = Duration::from_secs(2);

/// Has something on a host looked at.
pub(crate) async fn browse(
    planner: &Mailbox<Planner>,
    (app, host, question): (String, String, BrowseQuestion),
    remaining: Duration,
) -> Result<BrainAnswer, Refusal> {
    let routed = route(planner, Route::Host { app, host }).await?;
    let Some(target) = routed.target else {
        return Ok(BrainAnswer::NoSuchHost);
    };
    let request = ReduceRequest::Browse(Box::new(HostQuestion {
        place: routed.place,
        target,
        question,
    }));
    match first_answer(routed.reduces, &request, remaining.min(ALL_PATIENCE)).await {
        Ok(ReduceAnswer::Browsed(browsed)) => Ok(BrainAnswer::Browsed(browsed)),
        Ok(_) => Err(unfit()),
        Err(why) => Ok(BrainAnswer::Browsed(Box::new(Err(NotBrowsed::NoMap(why))))),
    }
}

/// What is known of agents.
pub(crate) async fn agents(planner: &Mailbox<Planner>, remaining: Duration) -> Result<BrainAnswer, Refusal> {
    let routed = route(planner, Route::All).await?;
    let maps = routed.place.maps;
    match first_answer(
        routed.reduces,
        &ReduceRequest::Agents { maps },
        remaining.min(ALL_PATIENCE),
    )
    .await
    {
        Ok(ReduceAnswer::Agents(agents)) => Ok(BrainAnswer::Agents(agents)),
        Ok(_) => Err(unfit()),
        Err(why) => Err(Refusal::Declined(format!("no reduce can ask the maps: {why}"))),
    }
}

fn unfit() -> Refusal {
    Refusal::Failed("a reduce answered something else; run compatible versions".to_owned())
}

pub(crate) async fn route(planner: &Mailbox<Planner>, route: Route) -> Result<Routed, Refusal> {
    let asked = planner.ask(route, ROUTE_PATIENCE).await;
    asked.map_err(|error| Refusal::Failed(error.to_string()))
}

/// The answer of the first Reduce that has one; else why they have none.
async fn first_answer(
    reduces: Vec<(String, Client<ReduceProtocol>)>,
    request: &ReduceRequest,
    patience: Duration,
) -> Result<ReduceAnswer, String> {
    let mut troubles = Vec::new();
    // Each has a part of the time, so that one which hangs leaves some to the next.
    let tries = reduces.len().clamp(1, TRIES_MAX);
    let each = if tries == 1 { patience } else { patience * 2 / 3 };
    for (reduce, client) in reduces.into_iter().take(TRIES_MAX) {
        match client.call(request, each.min(TRY_PATIENCE)).await {
            Ok(answer) => return Ok(answer),
            Err(error) => troubles.push(format!("{reduce}: {}", crate::keeper::chain(&error))),
        }
    }
    if troubles.is_empty() {
        troubles.push("there is none".to_owned());
    }
    Err(troubles.join("; "))
}

/// A host as the inventory has it.
pub(crate) fn target_of(
    (host, address, labels): &(String, String, std::collections::BTreeMap<String, String>),
) -> HostTarget {
    HostTarget {
        host: host.clone(),
        address: address.clone(),
        labels: labels.clone(),
    }
}
