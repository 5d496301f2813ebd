//! The routes, and what surrounds every one of them: the access log outside, then the metrics and the doors.

use super::guard::Doors;
use super::metrics::Metrics;
use super::reply::Refusal;
use super::{api, files, hosts, metrics, overview, page};
use crate::access_log::{AccessLog, Entry, Place};
use crate::points::Points;
use crate::process::Limits;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpRequest, HttpResponse, guard, web};
use brain::protocol::BrainProtocol;
use lika::node::{Client, ClientState};
use lika::seam::{Clock, Monotonic};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a request waits for a place in the access log before it is turned away: the disk hangs.
const LOG_PATIENCE: Duration = Duration::from_secs(2);
/// Status of a request whose client went away before there was a response, as nginx has it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What all requests share.
pub(crate) struct Site {
    pub(crate) store: Arc<dyn Points>,
    /// One that leads, and those that stand by.
    pub(crate) brains: Vec<Client<BrainProtocol>>,
    pub(crate) clock: Clock,
    pub(crate) doors: Doors,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) log: Option<AccessLog>,
    /// A permit is a question in hand.
    pub(crate) questions: Semaphore,
    /// A permit is a question to logs in hand.
    pub(crate) log_questions: Semaphore,
    /// A permit is a folder or a file that is being looked at.
    pub(crate) browses: Semaphore,
}

impl Site {
    /// The Brain to ask: the first that is connected, since those that stand by do not listen.
    pub(crate) fn brain(&self) -> Option<&Client<BrainProtocol>> {
        let is_there = |brain: &&Client<BrainProtocol>| matches!(brain.state(), ClientState::Connected(_));
        self.brains.iter().find(is_there).or(self.brains.first())
    }
}

/// Every route there is.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    let get = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    config
        .route("/", get().to(page::index))
        .route("/favicon.ico", get().to(page::icon))
        .route("/assets/{path:.*}", get().to(page::asset))
        .route("/healthz", get().to(overview::healthz))
        .route("/readyz", get().to(overview::readyz))
        .route("/metrics", get().to(metrics::metrics))
        .route("/openapi.json", get().to(overview::openapi))
        .route("/api/v1/query", get().to(api::query))
        .route("/api/v1/hosts", get().to(hosts::hosts))
        .route("/api/v1/agents", get().to(files::agents))
        .route("/api/v1/files", get().to(files::files))
        .route("/api/v1/files/tail", get().to(files::tail))
        .route("/api/v1/files/detect", get().to(files::detect))
        .route("/api/v1/monitors", get().to(overview::monitors))
        .route("/api/v1/cluster", get().to(overview::cluster))
        .route("/api/v1/events", get().to(overview::events))
        .route("/api/v1/alerts", get().to(overview::alerts))
        .default_service(web::to(not_found));
}

pub(super) async fn not_found(request: HttpRequest) -> HttpResponse {
    let message = format!("there is nothing at {}", request.path());
    Refusal::not_found(message)
        .hint("see /openapi.json for what there is")
        .response()
}

/// Lets a request in, or answers it.
pub(crate) async fn guarded(
    site: Data<Site>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = match site.doors.check(request.request()) {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(refusal) => request.into_response(refusal.response()),
    };
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, header::HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

/// Writes every request to the access log, once its response is out.
pub(crate) async fn logged(
    site: Data<Site>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let place = match &site.log {
        Some(log) => match site.clock.timeout(LOG_PATIENCE, log.place()).await {
            Ok(Some(place)) => Some(place),
            _ => {
                site.metrics.turned_away();
                let refusal =
                    Refusal::unavailable("the access log cannot be written, and no request may be missing there");
                return Ok(request.into_response(refusal.hint("see to the disk that it is on").response()));
            }
        },
        None => None,
    };
    let mut account = Account::new(&site, &request, place);
    match next.call(request).await {
        Ok(response) => {
            account.status = response.status().as_u16();
            account.route = response.request().match_pattern();
            Ok(response.map_body(|_, body| BoxBody::new(Counted::new(body.boxed(), account))))
        }
        Err(error) => {
            account.status = error.as_response_error().status_code().as_u16();
            Err(error)
        }
    }
}

/// What a request costs, accounted when it is dropped: so none is forgotten, whatever becomes of it.
struct Account {
    site: Data<Site>,
    place: Option<Place>,
    began: Monotonic,
    method: String,
    path: String,
    route: Option<String>,
    status: u16,
    bytes: u64,
}

impl Account {
    fn new(site: &Data<Site>, request: &ServiceRequest, place: Option<Place>) -> Self {
        Self {
            site: site.clone(),
            place,
            began: site.clock.monotonic(),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            route: None,
            status: CLIENT_CLOSED_REQUEST,
            bytes: 0,
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let took = self.site.clock.monotonic().since(self.began);
        self.site.metrics.answered(self.route.as_deref(), self.status, took);
        if let Some(place) = self.place.take() {
            place.fill(&Entry {
                t_ns: self.site.clock.wall().0,
                method: std::mem::take(&mut self.method),
                path: std::mem::take(&mut self.path),
                status: self.status,
                took,
                bytes: self.bytes,
            });
        }
    }
}

/// A response's body that counts what was sent of it.
struct Counted {
    body: BoxBody,
    account: Account,
}

impl Counted {
    fn new(body: BoxBody, account: Account) -> Self {
        Self { body, account }
    }
}

impl MessageBody for Counted {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_next(context);
        if let Poll::Ready(Some(Ok(bytes))) = &polled {
            self.account.bytes += bytes.len() as u64;
        }
        polled
    }
}

/// Says that too much time passed.
pub(super) fn timed_out(patience: Duration) -> Refusal {
    let message = format!("there was no answer within {} ms", patience.as_millis());
    Refusal::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message).hint("ask for a shorter range or a longer `every`")
}
