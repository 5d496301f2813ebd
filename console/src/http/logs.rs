//! `/api/v1/query` with a question to logs: answered while hosts answer, each time more complete, until all have.
//!
//! With `stream=true` every moment is a line of JSON, the last one final; else the final one alone is the response.
//! What is under way belongs to the response: when that is dropped, since the client is gone, the Brain's call is
//! dropped with it, and so on down to the Maps.

use super::api::{encode, parameters};
use super::app::{Site, timed_out};
use super::overview::{self, unfit};
use super::reply::{Refusal, success};
use crate::query::{LogsAsked, QueryError};
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ContentEncoding, ContentType};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use brain::protocol::{AppQuestion, AskedEnd, AskedPart, AskedProgress, BrainAnswer, BrainRequest, HostTrouble};
use configs::Diagnostic;
use configs::query::{Placed, Question, RawQuery, RecordsQuery, RecordsSource};
use lika::node::Answered;
use reduce::question::BYTES_MAX;
use serde::Serialize;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use store::StoredWindow;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Parts of an answer that wait here to be taken.
const PARTS_AHEAD: u32 = 4;
/// Moments that wait to be sent: a slow client makes the cluster tell less often.
const MOMENTS_AHEAD: usize = 1;
/// How often something is sent: a client that is gone is noticed by it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// How much of the time is left for the final answer on its way.
const END_MARGIN: Duration = Duration::from_secs(1);

/// A question to logs, as it came.
pub(super) struct Asked {
    text: String,
    question: Wants,
    parameters: BTreeMap<String, String>,
}

/// What it wants.
enum Wants {
    Values(Box<RawQuery>),
    Records(Box<RecordsQuery>),
}

/// The question of a request, if it is one to logs.
pub(super) fn asked(request: &HttpRequest) -> Option<Asked> {
    let parameters = parameters(request).ok()?;
    let text = parameters.get("q")?.clone();
    let question = match configs::parse_question(&text).ok()? {
        Question::Raw(raw) => Wants::Values(raw),
        Question::Records(records) => Wants::Records(records),
        Question::Stored(_) => return None,
    };
    Some(Asked {
        text,
        question,
        parameters,
    })
}

/// What is told of a question besides its points.
#[derive(Debug, Clone, Serialize)]
pub(super) struct AskedBody {
    hosts: u64,
    answered: u64,
    bytes: u64,
    #[serde(rename = "final")]
    is_final: bool,
    /// Hosts that are not ok in some windows, and why.
    missing: Vec<TroubleBody>,
}

#[derive(Debug, Clone, Serialize)]
struct TroubleBody {
    host: String,
    state: &'static str,
    detail: Option<String>,
    windows: u64,
}

impl AskedBody {
    fn new(progress: AskedProgress, troubles: Vec<HostTrouble>, is_final: bool) -> Self {
        let body = |trouble: HostTrouble| TroubleBody {
            host: trouble.host,
            state: trouble.state.name(),
            detail: trouble.detail,
            windows: trouble.windows,
        };
        Self {
            hosts: progress.hosts,
            answered: progress.answered,
            bytes: progress.bytes,
            is_final,
            missing: troubles.into_iter().map(body).collect(),
        }
    }
}

/// Which answers are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// All, as lines.
    Stream,
    /// The final one.
    Final,
}

/// Answers a question to logs.
pub(super) async fn answer(asked: Asked, site: Data<Site>) -> Result<HttpResponse, Refusal> {
    let Asked {
        text,
        question,
        parameters,
    } = asked;
    let wanted = match flag(&parameters, "stream")? {
        true => Wanted::Stream,
        false => Wanted::Final,
    };
    let bytes_max = budget(&parameters)?;
    let now_ns = site.clock.wall().0;
    let asked = match question {
        Wants::Values(raw) => LogsAsked::new(&text, *raw, now_ns)?,
        Wants::Records(query) => match &query.source {
            RecordsSource::Log { .. } => LogsAsked::records(&text, &query, now_ns)?,
            RecordsSource::Monitor { name, .. } => {
                let document = document(&site, &text, name).await?;
                LogsAsked::records_of(&text, &query, document, now_ns)?
            }
        },
    };
    if flag(&parameters, "explain")? {
        return Ok(success(asked.explain()?));
    }
    let mut following = Following::begin(site, asked, (bytes_max, wanted));
    let first = following.next().await?;
    if wanted == Wanted::Final {
        return Ok(HttpResponse::Ok().content_type(ContentType::json()).body(first));
    }
    following.first = Some(first);
    // Compression would hold lines back.
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, "application/x-ndjson"));
    response.insert_header(ContentEncoding::Identity);
    Ok(response.body(following))
}

/// The document of a monitor that has records.
async fn document(site: &Site, text: &str, name: &Placed<String>) -> Result<String, Refusal> {
    let at = |message: String, hint: String| Diagnostic::of_query(text, name.span.clone(), message, Some(hint));
    if name.value == map::system::NAME {
        let message = "`system` has figures of hosts, which are read from no log: there are no records";
        let hint = "ask for its points: select * from system since 30m";
        let mistake = at(message.to_owned(), hint.to_owned());
        return Err(QueryError::Unfit(Box::new(mistake)).into());
    }
    let state = overview::ask(site).await?;
    let mut monitors = state.monitors.iter();
    if let Some(monitor) = monitors.find(|monitor| monitor.name == name.value) {
        return Ok(monitor.text.clone());
    }
    let known = state.monitors.iter().map(|monitor| monitor.name.as_str());
    let hint = match configs::nearest(&name.value, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "monitors that are configured are at /api/v1/monitors; of others only the points are left".to_owned(),
    };
    let mistake = at(
        format!("there is no monitor `{}` that could be read by", name.value),
        hint,
    );
    Err(QueryError::UnknownMonitor(Box::new(mistake)).into())
}

fn flag(parameters: &BTreeMap<String, String>, name: &str) -> Result<bool, Refusal> {
    match parameters.get(name).map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => {
            let refusal = Refusal::bad(format!("`{name}={other}` is neither true nor false"));
            Err(refusal.hint("leave it out"))
        }
    }
}

/// Bytes of logs that may be read for the question.
fn budget(parameters: &BTreeMap<String, String>) -> Result<u64, Refusal> {
    match parameters
        .get("budget")
        .map(|written| (written, configs::bytes(written)))
    {
        None => Ok(BYTES_MAX),
        Some((_, Some(bytes @ 1..))) => Ok(bytes.min(BYTES_MAX)),
        Some((written, _)) => {
            let refusal = Refusal::bad(format!("`budget={written}` is no number of bytes"));
            Err(refusal.hint("write a whole number and a unit, such as 500MiB"))
        }
    }
}

/// A question that is being answered; dropping it cancels it.
struct Following {
    first: Option<Bytes>,
    moments: mpsc::Receiver<Result<Bytes, Refusal>>,
    task: JoinHandle<()>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Following {
    fn begin(site: Data<Site>, asked: LogsAsked, (bytes_max, wanted): (u64, Wanted)) -> Self {
        let (sender, moments) = mpsc::channel(MOMENTS_AHEAD);
        let task = actix_web::rt::spawn(async move {
            let followed = follow(&site, Arc::new(asked), (bytes_max, wanted), &sender).await;
            if let Err(refusal) = followed {
                // A client that is gone has nothing to be told.
                let _gone = sender.send(Err(refusal)).await;
            }
        });
        Self {
            first: None,
            moments,
            task,
        }
    }

    async fn next(&mut self) -> Result<Bytes, Refusal> {
        let lost = || Refusal::unavailable("the question was lost").hint("ask it again");
        self.moments.recv().await.unwrap_or_else(|| Err(lost()))
    }
}

impl MessageBody for Following {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        self.moments.poll_recv(context).map(|moment| {
            let line = |moment: Result<Bytes, Refusal>| moment.unwrap_or_else(|refusal| refusal.line().into());
            moment.map(|moment| Ok(line(moment)))
        })
    }
}

/// Asks the Brain, and sends each moment of the answer that is wanted.
async fn follow(
    site: &Site,
    asked: Arc<LogsAsked>,
    (bytes_max, wanted): (u64, Wanted),
    sender: &mpsc::Sender<Result<Bytes, Refusal>>,
) -> Result<(), Refusal> {
    let Ok(_turn) = site.log_questions.try_acquire() else {
        return Err(busy());
    };
    let Some(brain) = site.brain() else {
        return Err(Refusal::unavailable("this console knows no Brain").hint("name its address in the configuration"));
    };
    let request = BrainRequest::Ask(Box::new(AppQuestion {
        app: asked.app.clone(),
        log: asked.log.clone(),
        definition: asked.definition.clone(),
        from_ns: asked.windows.start,
        to_ns: asked.windows.end,
        bytes_max,
        records: asked.wanted().cloned(),
    }));
    let patience = site.limits.log_question_patience;
    let gone = |error: lika::node::CallError| Refusal::unavailable(format!("the Brain does not answer: {error}"));
    let deadline = site.clock.deadline_in(patience);
    let mut answer = brain
        .stream(&request, patience.saturating_sub(END_MARGIN), PARTS_AHEAD)
        .await
        .map_err(gone)?;
    let mut so_far = SoFar::default();
    loop {
        let next = tokio::select! {
            biased;
            next = answer.next() => next.map_err(gone)?,
            () = site.clock.sleep_until(deadline) => return Err(timed_out(patience)),
            () = site.clock.sleep(SIGN_OF_LIFE), if wanted == Wanted::Stream && so_far.is_told => {
                send(sender, Bytes::from_static(b"\n")).await?;
                continue;
            }
        };
        let is_final = match next {
            Answered::Part(part) => {
                let is_whole = so_far.take(part);
                // Of the last moment the end is awaited, which follows at once.
                let is_last = so_far.progress.answered == so_far.progress.hosts;
                if !is_whole || is_last || wanted == Wanted::Final {
                    continue;
                }
                false
            }
            Answered::End(BrainAnswer::Asked(AskedEnd::Done)) => true,
            Answered::End(end) => return Err(refused(end, &asked.app)),
        };
        send(sender, so_far.line(&asked, is_final).await?).await?;
        if is_final {
            return Ok(());
        }
    }
}

async fn send(sender: &mpsc::Sender<Result<Bytes, Refusal>>, bytes: Bytes) -> Result<(), Refusal> {
    let gone = |_gone| Refusal::unavailable("the client is gone");
    sender.send(Ok(bytes)).await.map_err(gone)
}

fn busy() -> Refusal {
    Refusal::unavailable("as many questions are asked of logs as may be").hint("ask again in a moment")
}

fn refused(end: BrainAnswer, app: &str) -> Refusal {
    match end {
        BrainAnswer::NoSuchApp => {
            let message = format!("there is no application `{app}`");
            Refusal::not_found(message).hint("see /api/v1/cluster for those that there are")
        }
        BrainAnswer::Asked(AskedEnd::Busy) => busy(),
        BrainAnswer::NotAsked(why) => {
            Refusal::unavailable(format!("no reduce answers: {why}")).hint("see to the cluster, and ask again")
        }
        BrainAnswer::Asked(AskedEnd::Invalid(why)) => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", why),
        _ => unfit(),
    }
}

/// What was told of a question so far.
#[derive(Default)]
struct SoFar {
    windows: BTreeMap<i64, StoredWindow>,
    progress: AskedProgress,
    troubles: Vec<HostTrouble>,
    is_told: bool,
}

impl SoFar {
    /// Takes in a part; whether all of its moment was told.
    fn take(&mut self, part: AskedPart) -> bool {
        self.progress = part.progress;
        let windows = part.windows.into_iter();
        self.windows.extend(windows.map(|window| (window.window_ns, window)));
        if part.is_whole {
            self.troubles = part.troubles;
        }
        part.is_whole
    }

    /// The answer as it stands, as a line of JSON.
    async fn line(&mut self, asked: &Arc<LogsAsked>, is_final: bool) -> Result<Bytes, Refusal> {
        self.is_told = true;
        let windows: Vec<StoredWindow> = self.windows.values().cloned().collect();
        let body = AskedBody::new(self.progress, self.troubles.clone(), is_final);
        let asked = Arc::clone(asked);
        let encoded = tokio::task::spawn_blocking(move || -> Result<Vec<u8>, QueryError> {
            // What is still read is not complete, even if all of it that is over is.
            let answer = asked.answer(windows, is_final)?;
            let told = (answer.warnings(), answer.is_partial());
            let mut line = encode(&answer, told, Some(&body))?;
            line.push(b'\n');
            Ok(line)
        });
        let line = encoded
            .await
            .map_err(|error| Refusal::unavailable(error.to_string()))??;
        Ok(line.into())
    }
}
