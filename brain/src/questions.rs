//! Questions to the logs of an application, handed to a Reduce: it is told who is expected, which are the hosts that
//! the question can be about, and its answer passed on.
//!
//! A Reduce that fails is followed by another one, which begins anew; nothing is passed on then until it has come as
//! far, so that whoever asked never sees completeness fall.

use crate::hosts::route;
use crate::keeper::chain;
use crate::planner::{Planner, Route};
use crate::protocol::{AppQuestion, AskedEnd, AskedPart, BrainAnswer, BrainProtocol};
use lika::actor::Mailbox;
use lika::node::{Answered, Call, CallError, Client, Refusal};
use map::definition;
use map::hosts::HostFilter;
use map::protocol::{Definition, RecordsWanted};
use reduce::protocol::{InventorySpan, LogQuestion, ReduceAnswer, ReduceProtocol, ReduceRequest};
use std::time::Duration;

/// Reduces that are asked one after the other.
const TRIES_MAX: usize = 3;
/// Parts of an answer that wait here to be passed on.
const PARTS_AHEAD: u32 = 2;
/// So much sooner than here the time is over at a Reduce, so that its end is heard.
const END_MARGIN: Duration = Duration::from_millis(500);

/// Has a question answered.
pub(crate) async fn ask(
    planner: &Mailbox<Planner>,
    question: AppQuestion,
    call: &mut Call<BrainProtocol>,
) -> Result<BrainAnswer, Refusal> {
    let AppQuestion {
        app,
        log,
        definition,
        from_ns,
        to_ns,
        bytes_max,
        records,
    } = question;
    let routed = route(planner, Route::App { app, log }).await?;
    let Some(spans) = routed.spans else {
        return Ok(BrainAnswer::NoSuchApp);
    };
    let spans = match narrowed(&spans, &definition, records.as_ref()) {
        Ok(spans) => spans,
        Err(why) => return Ok(BrainAnswer::Asked(AskedEnd::Invalid(why))),
    };
    let request = ReduceRequest::Ask(Box::new(LogQuestion {
        definition,
        from_ns,
        to_ns,
        inventory: spans,
        place: routed.place,
        bytes_max,
        records,
    }));
    let (mut troubles, mut is_any_busy) = (Vec::new(), false);
    let mut told = 0;
    for (reduce, client) in routed.reduces.into_iter().take(TRIES_MAX) {
        match pass_on(&client, &request, call, &mut told).await {
            Ok(AskedEnd::Busy) => is_any_busy = true,
            Ok(end) => return Ok(BrainAnswer::Asked(end)),
            Err(Stopped::Asker(refusal)) => return Err(refusal),
            Err(Stopped::Reduce(why)) => troubles.push(format!("{reduce}: {why}")),
        }
    }
    if is_any_busy {
        return Ok(BrainAnswer::Asked(AskedEnd::Busy));
    }
    if troubles.is_empty() {
        troubles.push("there is no reduce".to_owned());
    }
    Ok(BrainAnswer::NotAsked(troubles.join("; ")))
}

/// Who is expected to answer: hosts of whose records the filter can select any. What is said of the others would only
/// be that nothing of them counts.
fn narrowed(
    spans: &[InventorySpan],
    definition: &Definition,
    records: Option<&RecordsWanted>,
) -> Result<Vec<InventorySpan>, String> {
    let mut monitor = definition::definition(definition)?;
    if let Some(wanted) = records {
        monitor = definition::of_records(monitor, wanted)?.0;
    }
    let filter = HostFilter::new(&monitor).map_err(|error| error.to_string())?;
    let narrowed = spans.iter().map(|span| InventorySpan {
        from_ns: span.from_ns,
        version: span.version,
        hosts: span
            .hosts
            .iter()
            .filter(|host| filter.may_select(host))
            .cloned()
            .collect(),
    });
    Ok(narrowed.collect())
}

/// Why an answer ended before its end.
enum Stopped {
    /// Whoever asked hears no more.
    Asker(Refusal),
    /// The Reduce says no more.
    Reduce(String),
}

impl From<CallError> for Stopped {
    fn from(error: CallError) -> Self {
        Self::Reduce(chain(&error))
    }
}

/// Passes on what a Reduce answers; `told` is how many hosts had answered when it was last passed on.
async fn pass_on(
    client: &Client<ReduceProtocol>,
    request: &ReduceRequest,
    call: &mut Call<BrainProtocol>,
    told: &mut u64,
) -> Result<AskedEnd, Stopped> {
    let patience = call.remaining().saturating_sub(END_MARGIN);
    let mut answer = client.stream(request, patience, PARTS_AHEAD).await?;
    loop {
        match answer.next().await? {
            Answered::Part(part) => tell(part, call, told).await?,
            Answered::End(ReduceAnswer::Asked(end)) => return Ok(end),
            Answered::End(_) => {
                return Err(Stopped::Reduce(
                    "it answered something else; run compatible versions".to_owned(),
                ));
            }
        }
    }
}

async fn tell(part: AskedPart, call: &mut Call<BrainProtocol>, told: &mut u64) -> Result<(), Stopped> {
    if part.progress.answered < *told {
        return Ok(());
    }
    *told = part.progress.answered;
    call.send_part(&part).await.map_err(Stopped::Asker)
}
