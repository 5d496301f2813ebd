//! `/api/v1/query`: a question in MQL, answered from stored points; one to logs is handed to `logs`.

use super::app::{Site, timed_out};
use super::logs::{self, AskedBody};
use super::overview;
use super::reply::{Refusal, respond, success};
use crate::query::{self, ANSWER_BYTES_MAX, QueryError};
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, web};
use map::plan::{Plan, Shape};
use map::protocol::Definition;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

/// `GET /api/v1/query?q=MQL`
pub(super) async fn query(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    if let Some(asked) = logs::asked(&request) {
        return respond(logs::answer(asked, site).await);
    }
    let patience = site.limits.query_patience;
    let answered = site.clock.timeout(patience, answer(&request, &site)).await;
    respond(answered.unwrap_or_else(|_elapsed| Err(timed_out(patience))))
}

async fn answer(request: &HttpRequest, site: &Site) -> Result<HttpResponse, Refusal> {
    let parameters = parameters(request)?;
    let text = parameters.get("q").ok_or_else(|| {
        Refusal::bad("the parameter `q` is missing").hint("ask /api/v1/query?q=select * from <monitor> since 30m")
    })?;
    let busy = || Refusal::unavailable("the console is stopping");
    let _turn = site.questions.acquire().await.map_err(|_closed| busy())?;
    let now_ns = site.clock.wall().0;
    match parameters.get("explain").map(String::as_str) {
        None | Some("false") => {}
        Some("true") => return explained(site, text, now_ns).await,
        Some(other) => {
            let refusal = Refusal::bad(format!("`explain={other}` is neither true nor false"));
            return Err(refusal.hint("leave it out to have the answer"));
        }
    }
    let answer = match query::run(&*site.store, text, now_ns).await {
        Err(QueryError::UnknownMonitor(diagnostic)) => match not_stored_yet(site, text).await {
            Some(shape) => query::without_windows(text, shape, now_ns)?,
            None => return Err(QueryError::UnknownMonitor(diagnostic).into()),
        },
        answered => answered?,
    };
    let encoded =
        tokio::task::spawn_blocking(move || encode(&answer, (&answer.warnings, answer.is_partial), None)).await;
    let body = encoded.map_err(|error| Refusal::unavailable(error.to_string()))??;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(body))
}

/// What the question means instead of its answer.
async fn explained(site: &Site, text: &str, now_ns: i64) -> Result<HttpResponse, Refusal> {
    let explanation = match query::explain(&*site.store, text, now_ns).await {
        Err(QueryError::UnknownMonitor(diagnostic)) => match not_stored_yet(site, text).await {
            Some(shape) => query::explain_without_windows(text, shape, now_ns)?,
            None => return Err(QueryError::UnknownMonitor(diagnostic).into()),
        },
        explained => explained?,
    };
    Ok(success(explanation))
}

/// What the monitor that is asked about means, if it is configured, and no window of it is stored yet.
async fn not_stored_yet(site: &Site, text: &str) -> Option<Shape> {
    let query = configs::parse_query(text).ok()?;
    let state = overview::ask(site).await.ok()?;
    let mut monitors = state.monitors.into_iter();
    let monitor = monitors.find(|monitor| monitor.name == query.source.value)?;
    let definition = match monitor.name.as_str() {
        map::system::NAME => Definition::System,
        _ => Definition::Yaml(monitor.text),
    };
    let monitor = map::definition::definition(&definition).ok()?;
    Some(Plan::new(&monitor).ok()?.shape())
}

/// The parameters behind the question mark; of equal names the last counts.
pub(super) fn parameters(request: &HttpRequest) -> Result<BTreeMap<String, String>, Refusal> {
    let parameters = web::Query::<BTreeMap<String, String>>::from_query(request.query_string());
    parameters
        .map(web::Query::into_inner)
        .map_err(|error| Refusal::bad(format!("the query string cannot be read: {error}")))
}

#[derive(Serialize)]
struct Body<'a, T> {
    status: &'static str,
    data: &'a T,
    warnings: &'a [String],
    partial: bool,
    /// How far a question to logs has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<&'a AskedBody>,
}

/// The answer as JSON, within its bound.
pub(super) fn encode(
    answer: &impl Serialize,
    (warnings, partial): (&[String], bool),
    asked: Option<&AskedBody>,
) -> Result<Vec<u8>, QueryError> {
    let mut bytes = Bounded(Vec::new());
    let body = Body {
        status: "success",
        data: answer,
        warnings,
        partial,
        asked,
    };
    match serde_json::to_writer(&mut bytes, &body) {
        Ok(()) => Ok(bytes.0),
        Err(error) if error.is_io() => Err(QueryError::TooMuch {
            what: "bytes of the answer",
            most: ANSWER_BYTES_MAX,
        }),
        Err(error) => Err(QueryError::Unreadable(error.to_string())),
    }
}

/// Bytes up to [`ANSWER_BYTES_MAX`].
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > ANSWER_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
