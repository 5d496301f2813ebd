//! `/api/v1/hosts`: who was expected in a window, and what is known of each (C2).

use super::api::parameters;
use super::app::{Site, timed_out};
use super::reply::{Refusal, respond, success};
use crate::query::{instant, round_down};
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use map::protocol::HostTarget;
use map::verdict::HostState;
use reduce::point::{WindowState, rfc3339};
use reduce::stored::{HOSTS, StoredHeader, Unreadable, decode};
use serde::Serialize;
use std::collections::BTreeMap;
use store::{StoreError, StoredWindow};

#[derive(Serialize)]
struct HostsBody {
    monitor: String,
    window: String,
    window_ms: u64,
    state: WindowState,
    hosts: Vec<HostBody>,
    inventory_version: Option<u64>,
    /// What these contributed before stays in the values (M1).
    withdrawn: Vec<WithdrawnBody>,
}

#[derive(Serialize)]
struct HostBody {
    host: String,
    state: HostState,
    detail: Option<String>,
    labels: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct WithdrawnBody {
    host: String,
    state: HostState,
}

/// `GET /api/v1/hosts?monitor=M&window=T`
pub(super) async fn hosts(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    let patience = site.limits.query_patience;
    let answered = site.clock.timeout(patience, answer(&request, &site)).await;
    respond(answered.unwrap_or_else(|_elapsed| Err(timed_out(patience))))
}

async fn answer(request: &HttpRequest, site: &Site) -> Result<HttpResponse, Refusal> {
    let parameters = parameters(request)?;
    let missing = |name: &str| {
        Refusal::bad(format!("the parameter `{name}` is missing"))
            .hint("ask /api/v1/hosts?monitor=<name>&window=<its start>")
    };
    let monitor = parameters.get("monitor").ok_or_else(|| missing("monitor"))?;
    let written = parameters.get("window").ok_or_else(|| missing("window"))?;
    let start_ns = start_of(written).ok_or_else(|| {
        let message = format!("`{written}` is not the start of a window");
        Refusal::bad(message).hint("write RFC 3339, such as 2026-11-23T07:31:00Z, or milliseconds since 1970")
    })?;
    let window = find(site, monitor, start_ns).await?.ok_or_else(|| {
        let message = format!("no window of `{monitor}` at {} is stored", rfc3339(start_ns));
        Refusal::not_found(message).hint("ask for the `window` of a point")
    })?;
    let header: StoredHeader = decode("header", &window.header).map_err(unreadable)?;
    let targets = targets(site, monitor, &header).await?;
    Ok(success(body(monitor, &window, header, targets)?))
}

fn start_of(written: &str) -> Option<i64> {
    match written.parse::<i64>() {
        Ok(ms) => ms.checked_mul(1_000_000),
        Err(_) => instant(written),
    }
}

/// The window that starts at a time, or that holds it.
async fn find(site: &Site, monitor: &str, at_ns: i64) -> Result<Option<StoredWindow>, Refusal> {
    let exact = site
        .store
        .windows(monitor, at_ns..at_ns.saturating_add(1), 1)
        .await
        .map_err(unavailable)?;
    if let Some(window) = exact.into_iter().next() {
        return Ok(Some(window));
    }
    let newest = site.store.newest(monitor, 1).await.map_err(unavailable)?;
    let Some(length_ns) = newest.first().map(|window| window.length_ns.max(1)) else {
        return Ok(None);
    };
    let start_ns = round_down(at_ns, length_ns);
    let holding = site
        .store
        .windows(monitor, start_ns..start_ns.saturating_add(1), 1)
        .await;
    Ok(holding.map_err(unavailable)?.into_iter().next())
}

/// Who was expected, in the order of the header's table.
async fn targets(site: &Site, monitor: &str, header: &StoredHeader) -> Result<Vec<HostTarget>, Refusal> {
    let Some(version) = header.inventory_version else {
        return Ok(Vec::new());
    };
    let documents = site.store.documents(HOSTS, monitor).await.map_err(unavailable)?;
    let document = documents.into_iter().find(|document| document.version == version);
    let document =
        document.ok_or_else(|| broken(format!("the store does not have version {version} of the inventory")))?;
    decode("list of hosts", &document.content).map_err(unreadable)
}

fn body(
    monitor: &str,
    window: &StoredWindow,
    header: StoredHeader,
    targets: Vec<HostTarget>,
) -> Result<HostsBody, Refusal> {
    let states: Vec<(HostState, Option<&str>)> = header.hosts.states().collect();
    if states.len() != targets.len() {
        let (states, targets) = (states.len(), targets.len());
        return Err(broken(format!(
            "the window has states of {states} hosts, the inventory names {targets}"
        )));
    }
    let hosts = targets
        .into_iter()
        .zip(&states)
        .map(|(target, (state, detail))| HostBody {
            host: target.host,
            state: *state,
            detail: detail.map(str::to_owned),
            labels: target.labels,
        });
    Ok(HostsBody {
        monitor: monitor.to_owned(),
        window: rfc3339(window.window_ns),
        window_ms: (window.length_ns / 1_000_000) as u64,
        state: header.state,
        hosts: hosts.collect(),
        inventory_version: header.inventory_version,
        withdrawn: (header.withdrawn.iter())
            .map(|(host, state)| WithdrawnBody {
                host: host.clone(),
                state: *state,
            })
            .collect(),
    })
}

fn unavailable(error: StoreError) -> Refusal {
    Refusal::unavailable(error.to_string())
}

fn unreadable(error: Unreadable) -> Refusal {
    broken(error.to_string())
}

fn broken(message: String) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
}
