//! `/api/v1/files` and `/api/v1/agents`: what stands in the log folders of a host, and how its agent is kept in bounds.
//!
//! A path is passed on as it was written and never looked at here: what may be opened the agent decides, as for every
//! pull. Who may ask is decided at the door, as for everything else.

use super::api::parameters;
use super::app::{Site, timed_out};
use super::overview::{ask, ask_brain, unfit};
use super::reply::{Refusal, respond, success};
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use brain::protocol::{BrainAnswer, BrainRequest, BrowseQuestion, Browsed, NotBrowsed};
use map::detect::Findings;
use map::protocol::{
    AgentSaid, AgentSeen, FileKind, FileSeen, FolderEntry, LISTED_MAX, PathProblem, Reach, StatusAnswer, Tail,
    TailLine, user_of,
};
use map::verdict::HostState;
use reduce::point::rfc3339;
use serde::Serialize;
use std::collections::BTreeMap;

/// Bytes of a file's end that are shown unless it is said.
const TAIL_BYTES: u32 = 16 << 10;

#[derive(Serialize)]
struct AgentsBody {
    agents: Vec<AgentBody>,
}

#[derive(Serialize)]
struct AgentBody {
    app: String,
    host: String,
    address: String,
    labels: BTreeMap<String, String>,
    /// `landlock+seccomp`, or `off`; null if it has not been heard.
    sandbox: Option<String>,
    /// What is missing of a whole sandbox.
    missing: Option<String>,
    user: Option<String>,
    version: Option<String>,
    /// Why nothing is known of it.
    trouble: Option<String>,
    asked: Option<String>,
}

#[derive(Serialize)]
struct StatusBody {
    host: String,
    sandbox: String,
    missing: Option<String>,
    /// All that is in force.
    confinement: String,
    user: String,
    version: String,
    roots: Vec<RootBody>,
    limits: map::protocol::StatusLimits,
}

#[derive(Serialize)]
struct RootBody {
    path: String,
    refusal: Option<String>,
}

#[derive(Serialize)]
struct ListBody {
    path: String,
    entries: Vec<EntryBody>,
    more: bool,
    /// Whether the folder has more names than are ever looked at.
    incomplete: bool,
}

#[derive(Serialize)]
struct EntryBody {
    name: String,
    kind: &'static str,
    leads_to: Option<&'static str>,
    size: Option<u64>,
    mtime: Option<String>,
    refusal: Option<String>,
}

#[derive(Serialize)]
struct FileBody {
    path: String,
    size: u64,
    mtime: String,
    /// Null of a file that is not compressed.
    packed: Option<PackedBody>,
}

#[derive(Serialize)]
struct PackedBody {
    method: String,
    /// What it holds, as far as it was unpacked.
    bytes: u64,
    /// `end` or `beginning`.
    shown: &'static str,
    /// What people must know of it.
    note: Option<&'static str>,
}

#[derive(Serialize)]
struct TailBody {
    file: FileBody,
    encoding: String,
    offset: u64,
    lines: Vec<LineBody>,
}

#[derive(Serialize)]
struct LineBody {
    offset: u64,
    text: String,
    invalid: u64,
    cut: bool,
}

#[derive(Serialize)]
struct DetectBody {
    file: FileBody,
    looked_at: u64,
    zone_unknown: bool,
    found: Findings,
}

/// `GET /api/v1/agents`
pub(super) async fn agents(site: Data<Site>) -> HttpResponse {
    let patience = site.limits.query_patience;
    respond(agents_answer(&site, patience).await)
}

async fn agents_answer(site: &Site, patience: std::time::Duration) -> Result<HttpResponse, Refusal> {
    let _turn = site.browses.try_acquire().map_err(|_none_free| busy())?;
    let state = ask(site).await?;
    let BrainAnswer::Agents(seen) = ask_brain(site, &BrainRequest::Agents, patience).await? else {
        return Err(unfit());
    };
    let seen: BTreeMap<String, AgentSeen> = seen.into_iter().map(|agent| (agent.address.clone(), agent)).collect();
    let mut agents = Vec::new();
    for app in state.apps {
        for (host, address, labels) in app.hosts {
            let known = seen.get(&address).cloned();
            agents.push(agent_body((app.name.clone(), host, address, labels), known));
        }
    }
    Ok(success(AgentsBody { agents }))
}

fn agent_body(
    (app, host, address, labels): (String, String, String, BTreeMap<String, String>),
    seen: Option<AgentSeen>,
) -> AgentBody {
    let body = AgentBody {
        app,
        host,
        address,
        labels,
        sandbox: None,
        missing: None,
        user: None,
        version: None,
        trouble: None,
        asked: seen
            .as_ref()
            .filter(|agent| agent.asked_ns > 0)
            .map(|agent| rfc3339(agent.asked_ns)),
    };
    match seen.map(|agent| agent.said) {
        Some(AgentSaid::Bounds {
            sandbox,
            missing,
            user,
            version,
        }) => AgentBody {
            sandbox: Some(sandbox),
            missing,
            user: Some(user),
            version: Some(version),
            ..body
        },
        Some(AgentSaid::Nothing(why)) => AgentBody {
            trouble: Some(why),
            ..body
        },
        None => AgentBody {
            trouble: Some("no map pulls from it".to_owned()),
            ..body
        },
    }
}

/// `GET /api/v1/files?app=A&host=H[&path=P&after=NAME&limit=N]`: the agent and its roots, or what is in a folder.
pub(super) async fn files(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    answered(&request, &site, |asked| {
        Ok(match asked.parameters.get("path") {
            None => BrowseQuestion::Status,
            Some(path) => BrowseQuestion::List {
                path: path.clone(),
                after: asked.parameters.get("after").cloned(),
                most: asked.number("limit", LISTED_MAX)?,
            },
        })
    })
    .await
}

/// `GET /api/v1/files/tail?app=A&host=H&path=P[&bytes=N]`
pub(super) async fn tail(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    answered(&request, &site, |asked| {
        Ok(BrowseQuestion::Tail {
            path: asked.text("path")?,
            bytes: asked.number("bytes", TAIL_BYTES)?,
        })
    })
    .await
}

/// `GET /api/v1/files/detect?app=A&host=H&path=P`
pub(super) async fn detect(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    answered(&request, &site, |asked| {
        Ok(BrowseQuestion::Detect {
            path: asked.text("path")?,
        })
    })
    .await
}

/// The parameters of a request.
struct Asked {
    parameters: BTreeMap<String, String>,
}

impl Asked {
    fn text(&self, name: &str) -> Result<String, Refusal> {
        let missing = || {
            Refusal::bad(format!("the parameter `{name}` is missing"))
                .hint("ask with app=<application>&host=<host>&path=<absolute path>")
        };
        self.parameters.get(name).cloned().ok_or_else(missing)
    }

    fn number(&self, name: &str, default: u32) -> Result<u32, Refusal> {
        match self.parameters.get(name).map(|written| written.parse()) {
            None => Ok(default),
            Some(Ok(number @ 1..)) => Ok(number),
            Some(_) => Err(Refusal::bad(format!("`{name}` is no number from 1 on")).hint("write decimal digits")),
        }
    }
}

async fn answered(
    request: &HttpRequest,
    site: &Site,
    question: impl FnOnce(&Asked) -> Result<BrowseQuestion, Refusal>,
) -> HttpResponse {
    let patience = site.limits.query_patience;
    let asked = site.clock.timeout(patience, browse(request, site, question)).await;
    respond(asked.unwrap_or_else(|_elapsed| Err(timed_out(patience).hint("ask again, or see to the host"))))
}

async fn browse(
    request: &HttpRequest,
    site: &Site,
    question: impl FnOnce(&Asked) -> Result<BrowseQuestion, Refusal>,
) -> Result<HttpResponse, Refusal> {
    let asked = Asked {
        parameters: parameters(request)?,
    };
    let (app, host) = (asked.text("app")?, asked.text("host")?);
    let question = question(&asked)?;
    let _turn = site.browses.try_acquire().map_err(|_none_free| busy())?;
    let about = format!("{host} of {app}");
    let request = BrainRequest::Browse {
        app,
        host: host.clone(),
        question,
    };
    match ask_brain(site, &request, site.limits.query_patience).await? {
        BrainAnswer::Browsed(browsed) => Ok(shown(browsed.map_err(refused)?, host, &asked)),
        BrainAnswer::NoSuchHost => {
            let message = format!("the inventory has no host {about} now");
            Err(Refusal::not_found(message).hint("see /api/v1/cluster for those that it has"))
        }
        _ => Err(unfit()),
    }
}

fn busy() -> Refusal {
    Refusal::unavailable("too many folders and files are being looked at").hint("ask again in a moment")
}

fn shown(browsed: Browsed, host: String, asked: &Asked) -> HttpResponse {
    match browsed {
        Browsed::Status(status) => success(status_body(host, *status)),
        Browsed::List { entries, more, limit } => success(ListBody {
            path: asked.parameters.get("path").cloned().unwrap_or_default(),
            entries: entries.into_iter().map(entry_body).collect(),
            more,
            incomplete: limit.is_some(),
        }),
        Browsed::Tail(tail) => success(tail_body(tail)),
        Browsed::Detected(detected) => success(DetectBody {
            file: file_body(detected.file),
            looked_at: detected.looked_at,
            zone_unknown: detected.zone_unknown,
            found: detected.found,
        }),
    }
}

fn status_body(host: String, status: StatusAnswer) -> StatusBody {
    let user = user_of(&status);
    let root = |root: map::protocol::RootStatus| RootBody {
        path: root.path,
        refusal: root.refusal.map(|refusal| refusal.to_string()),
    };
    StatusBody {
        host,
        sandbox: status.confinement.short(),
        missing: status.confinement.missing(),
        confinement: status.confinement.to_string(),
        user,
        version: status.version,
        roots: status.roots.into_iter().map(root).collect(),
        limits: status.limits,
    }
}

fn entry_body(entry: FolderEntry) -> EntryBody {
    let is_file = entry.leads_to.unwrap_or(entry.kind) == FileKind::Regular;
    EntryBody {
        kind: kind(entry.kind),
        leads_to: entry.leads_to.map(kind),
        size: is_file.then_some(entry.size),
        mtime: (entry.mtime_ns != 0).then(|| rfc3339(entry.mtime_ns)),
        refusal: entry.refusal.map(|refusal| refusal.to_string()),
        name: entry.name,
    }
}

fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Regular => "file",
        FileKind::Folder => "folder",
        FileKind::Link => "link",
        FileKind::Fifo => "fifo",
        FileKind::Socket => "socket",
        FileKind::Device => "device",
        FileKind::Other => "other",
    }
}

fn file_body(file: FileSeen) -> FileBody {
    let packed = file.packed.map(|packed| PackedBody {
        method: packed.method,
        bytes: packed.bytes,
        shown: match packed.reach {
            Reach::Beginning => "beginning",
            Reach::Whole | Reach::Torn => "end",
        },
        note: packed.reach.note(),
    });
    FileBody {
        path: file.path,
        size: file.size,
        mtime: rfc3339(file.mtime_ns),
        packed,
    }
}

fn tail_body(tail: Tail) -> TailBody {
    let line = |line: TailLine| LineBody {
        offset: line.offset,
        text: line.text,
        invalid: line.invalid,
        cut: line.is_cut,
    };
    TailBody {
        file: file_body(tail.file),
        encoding: tail.encoding,
        offset: tail.offset,
        lines: tail.lines.into_iter().map(line).collect(),
    }
}

/// Why there is no answer, as HTTP says it.
fn refused(why: NotBrowsed) -> Refusal {
    let message = why.to_string();
    match why {
        NotBrowsed::Refused(PathProblem {
            refusal: map::protocol::Refusal::NotFound | map::protocol::Refusal::DanglingLink,
            ..
        }) => Refusal::not_found(message).hint("list the folder it should be in"),
        NotBrowsed::Refused(_) => {
            Refusal::new(StatusCode::FORBIDDEN, "forbidden", message).hint("see the agent's `roots`")
        }
        NotBrowsed::Agent {
            state: HostState::Timeout,
            ..
        } => Refusal::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message).hint("see to the host and its agent"),
        NotBrowsed::Agent { .. } | NotBrowsed::NoMap(_) => {
            Refusal::unavailable(message).hint("see to the host, its agent, and the cluster")
        }
        NotBrowsed::Busy => busy(),
        NotBrowsed::Compressed { .. }
        | NotBrowsed::Damaged { .. }
        | NotBrowsed::Changed { .. }
        | NotBrowsed::Unfit(_) => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", message),
    }
}
