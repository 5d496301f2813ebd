//! How everything stands, as the Brain tells it; and whether this process lives and can answer.

use super::app::Site;
use super::reply::{Refusal, respond, success};
use actix_web::HttpResponse;
use actix_web::web::Data;
use brain::protocol::{
    AppState, BrainAnswer, BrainRequest, BrainState, Event, Mistake, MonitorState, NodeState, TenantState,
};
use map::verdict::HostState;
use reduce::overflow::Overflow;
use reduce::point::rfc3339;
use reduce::protocol::{BelowWindow, NodeLife, ShardSeen};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the Brain may take to say how everything stands: it only has to look it up.
const BRAIN_PATIENCE: Duration = Duration::from_secs(3);
/// How long the store may take to say how full it is.
const STORE_PATIENCE: Duration = Duration::from_secs(3);

/// Asks the Brain how everything stands.
pub(super) async fn ask(site: &Site) -> Result<BrainState, Refusal> {
    match ask_brain(site, &BrainRequest::State, BRAIN_PATIENCE).await? {
        BrainAnswer::State(state) => Ok(*state),
        _ => Err(unfit()),
    }
}

/// Asks the Brain anything.
pub(super) async fn ask_brain(site: &Site, request: &BrainRequest, patience: Duration) -> Result<BrainAnswer, Refusal> {
    let Some(brain) = site.brain() else {
        return Err(Refusal::unavailable("this console knows no Brain").hint("name its address in the configuration"));
    };
    let answer = brain.call(request, patience).await;
    answer.map_err(|error| Refusal::unavailable(format!("the Brain does not answer: {error}")))
}

/// The Brain answered another question.
pub(super) fn unfit() -> Refusal {
    Refusal::unavailable("the Brain answered something else").hint("run compatible versions")
}

/// Asks the store how full it is.
pub(super) async fn ask_store(site: &Site) -> Result<store::StoreStatus, String> {
    match site.clock.timeout(STORE_PATIENCE, site.store.status()).await {
        Ok(status) => status.map_err(|error| error.to_string()),
        Err(_elapsed) => Err(format!(
            "the store does not answer within {} ms",
            STORE_PATIENCE.as_millis()
        )),
    }
}

#[derive(Serialize)]
struct MonitorsBody {
    monitors: Vec<MonitorBody>,
    tenants: Vec<TenantState>,
    mistakes: Vec<MistakeBody>,
}

#[derive(Serialize)]
struct MonitorBody {
    name: String,
    tenant: Option<String>,
    app: Option<String>,
    log: Option<String>,
    file: Option<String>,
    text: String,
    /// As hexadecimal text: JavaScript cannot hold such a number.
    version: String,
    window_ms: u64,
    grace_ms: u64,
    group_by: Vec<String>,
    outputs: Vec<String>,
    hosts_expected: u64,
    /// The Reduce that answers for it.
    reduce: Option<String>,
    /// Which Maps count how many of its hosts.
    shards: Vec<ShardSeen>,
    newest: Option<String>,
    below: u64,
    below_windows: Vec<BelowBody>,
    troubles: Vec<String>,
    /// What all Maps together take for it.
    cpu_us_per_s: u64,
    bytes_per_s: u64,
    /// Which columns made more groups in its newest window than are kept.
    overflow: Option<Overflow>,
    /// What it is estimated to take for a megabyte of log; null if that is not known.
    estimated_us_per_mb: Option<u64>,
    cpu_limit_us_per_s: Option<u64>,
    notices: Vec<String>,
}

#[derive(Serialize)]
struct BelowBody {
    window: String,
    ok: u64,
    expected: u64,
    missing: BTreeMap<HostState, u64>,
}

#[derive(Serialize)]
struct MistakeBody {
    file: String,
    line: u64,
    column: u64,
    message: String,
    hint: Option<String>,
    count: u64,
}

#[derive(Serialize)]
struct ClusterBody {
    epoch: u64,
    nodes: Vec<NodeBody>,
    apps: Vec<AppBody>,
    sharing: SharingBody,
}

/// What monitors save by sharing the pulls of a log.
#[derive(Serialize)]
struct SharingBody {
    /// Inputs that are pulled.
    inputs: u64,
    /// Inputs that would be pulled if every monitor pulled for itself.
    inputs_unshared: u64,
    /// Of those pulls so many percent are saved; null if nothing is pulled.
    saved_percent: Option<u64>,
}

impl SharingBody {
    fn of(nodes: &[NodeState]) -> Self {
        let sum = |figure: &str| nodes.iter().filter_map(|node| node.figures.get(figure)).sum();
        let (inputs, inputs_unshared): (u64, u64) = (sum("inputs"), sum("inputs_unshared"));
        let saved = inputs_unshared.saturating_sub(inputs).saturating_mul(100);
        Self {
            inputs,
            inputs_unshared,
            saved_percent: saved.checked_div(inputs_unshared),
        }
    }
}

#[derive(Serialize)]
struct NodeBody {
    node: String,
    role: String,
    address: String,
    life: NodeLife,
    since: Option<String>,
    trouble: Option<String>,
    /// If it is to be given no work: why, and what it still has.
    drained: Option<String>,
    figures: BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct AppBody {
    name: String,
    inventory_version: u64,
    hosts: Vec<AppHostBody>,
}

#[derive(Serialize)]
struct AppHostBody {
    host: String,
    address: String,
    labels: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct EventsBody {
    events: Vec<EventBody>,
}

#[derive(Serialize)]
struct EventBody {
    time: String,
    kind: String,
    text: String,
}

#[derive(Serialize)]
struct AlertsBody {
    alerts: [(); 0],
}

#[derive(Serialize)]
struct ReadyBody {
    store: &'static str,
    brain: &'static str,
}

impl From<MonitorState> for MonitorBody {
    fn from(monitor: MonitorState) -> Self {
        Self {
            name: monitor.name,
            tenant: monitor.tenant,
            app: monitor.app,
            log: monitor.log,
            file: monitor.file,
            text: monitor.text,
            version: format!("{:016x}", monitor.version),
            window_ms: monitor.window_ms,
            grace_ms: monitor.grace_ms,
            group_by: monitor.group_by,
            outputs: monitor.outputs,
            hosts_expected: monitor.hosts_expected,
            reduce: monitor.reduce.map(|reduce| reduce.node),
            shards: monitor.shards,
            newest: monitor.newest_ns.map(rfc3339),
            below: monitor.below,
            below_windows: monitor.below_windows.into_iter().map(BelowBody::from).collect(),
            troubles: monitor.troubles,
            cpu_us_per_s: monitor.cpu_us_per_s,
            bytes_per_s: monitor.bytes_per_s,
            overflow: monitor.overflow,
            estimated_us_per_mb: Some(monitor.estimated_us_per_mb).filter(|estimated| *estimated > 0),
            cpu_limit_us_per_s: monitor.cpu_limit_us_per_s,
            notices: monitor.notices,
        }
    }
}

impl From<BelowWindow> for BelowBody {
    fn from(window: BelowWindow) -> Self {
        Self {
            window: rfc3339(window.window_ns),
            ok: window.ok,
            expected: window.expected,
            missing: window.missing,
        }
    }
}

impl From<Mistake> for MistakeBody {
    fn from(mistake: Mistake) -> Self {
        let Mistake {
            file,
            line,
            column,
            message,
            hint,
            count,
        } = mistake;
        Self {
            file,
            line,
            column,
            message,
            hint,
            count,
        }
    }
}

impl From<NodeState> for NodeBody {
    fn from(node: NodeState) -> Self {
        Self {
            node: node.node.node,
            role: node.role,
            address: node.node.address,
            life: node.life,
            since: node.since_ns.map(rfc3339),
            trouble: node.trouble,
            drained: node.drained,
            figures: node.figures,
        }
    }
}

impl From<AppState> for AppBody {
    fn from(app: AppState) -> Self {
        let hosts = app
            .hosts
            .into_iter()
            .map(|(host, address, labels)| AppHostBody { host, address, labels });
        Self {
            name: app.name,
            inventory_version: app.inventory_version,
            hosts: hosts.collect(),
        }
    }
}

impl From<Event> for EventBody {
    fn from(event: Event) -> Self {
        Self {
            time: rfc3339(event.t_ns),
            kind: event.kind,
            text: event.text,
        }
    }
}

/// `GET /api/v1/monitors`
pub(super) async fn monitors(site: Data<Site>) -> HttpResponse {
    respond(ask(&site).await.map(|state| {
        success(MonitorsBody {
            monitors: state.monitors.into_iter().map(MonitorBody::from).collect(),
            tenants: state.tenants,
            mistakes: state.mistakes.into_iter().map(MistakeBody::from).collect(),
        })
    }))
}

/// `GET /api/v1/cluster`
pub(super) async fn cluster(site: Data<Site>) -> HttpResponse {
    respond(ask(&site).await.map(|state| {
        success(ClusterBody {
            epoch: state.epoch,
            sharing: SharingBody::of(&state.nodes),
            nodes: state.nodes.into_iter().map(NodeBody::from).collect(),
            apps: state.apps.into_iter().map(AppBody::from).collect(),
        })
    }))
}

/// `GET /api/v1/events`, newest last.
pub(super) async fn events(site: Data<Site>) -> HttpResponse {
    respond(ask(&site).await.map(|state| {
        success(EventsBody {
            events: state.events.into_iter().map(EventBody::from).collect(),
        })
    }))
}

/// `GET /api/v1/alerts`: no rule can be written yet, so none can be firing.
pub(super) async fn alerts() -> HttpResponse {
    success(AlertsBody { alerts: [] })
}

/// `GET /healthz`: the process lives.
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ok\n")
}

/// `GET /readyz`: whether questions can be answered.
pub(super) async fn readyz(site: Data<Site>) -> HttpResponse {
    let (store, brain) = tokio::join!(ask_store(&site), ask(&site));
    // Asked without a token: so it says who does not answer, and no more.
    let away = match (store, brain) {
        (Ok(_), Ok(_)) => {
            return success(ReadyBody {
                store: "ok",
                brain: "ok",
            });
        }
        (Err(_), Ok(_)) => "the store does not answer",
        (Ok(_), Err(_)) => "the Brain does not answer",
        (Err(_), Err(_)) => "neither the store nor the Brain answers",
    };
    Refusal::unavailable(away).hint("see /metrics and the logs").response()
}

/// `GET /openapi.json`
pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(include_str!("openapi.json"))
}
