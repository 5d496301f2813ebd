//! The HTTP side of the commands that ask a running console: `query` and `status`.

use crate::exit::{Exit, Failure};
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;

/// Where a console listens unless it is told otherwise.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:7800";
/// How long an answer may take: longer than the console's own limit, so that its reason is heard.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long an answer may take that is told as it comes: longer than the console's own limit for questions to logs.
const STREAM_PATIENCE: Duration = Duration::from_secs(660);
/// The most that is read of such an answer, all that is told of it before its end included.
const STREAM_BYTES_MAX: u64 = 64 << 30;
/// The largest answer that is read: as much as a console sends.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Which console to ask, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArguments {
    /// The console's address
    #[arg(long, value_name = "URL", env = "SUNFIRE_SERVER", default_value = DEFAULT_SERVER)]
    pub server: String,
    /// A file with the bearer token, for a console beyond loopback
    #[arg(long, value_name = "FILE", env = "SUNFIRE_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
}

/// An answer of the API.
#[derive(Debug, serde::Deserialize)]
pub struct ApiAnswer<T> {
    /// What was asked for; absent where there is an error.
    pub data: Option<T>,
    /// Whether something over and done is incomplete.
    #[serde(default)]
    pub partial: bool,
    /// What the reader should know.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How far a question to logs has come.
    pub asked: Option<Asked>,
    /// What went wrong.
    pub error: Option<String>,
    /// What to do about it.
    hint: Option<String>,
    /// Where in the question it is.
    position: Option<Position>,
}

/// How far a question to logs has come.
#[derive(Debug, serde::Deserialize)]
pub struct Asked {
    /// Hosts that are asked.
    pub hosts: u64,
    /// Hosts that have answered.
    pub answered: u64,
    /// Bytes of logs that were read.
    pub bytes: u64,
    /// Whether it is the last that is said.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Hosts that are not ok, and why.
    pub missing: Vec<Missing>,
}

/// Why a host has no part in some windows.
#[derive(Debug, serde::Deserialize)]
pub struct Missing {
    /// The host.
    pub host: String,
    /// Its state.
    pub state: String,
    /// More for people.
    pub detail: Option<String>,
    /// In how many windows.
    pub windows: u64,
}

/// Where in a question a mistake is, from 1, in characters.
#[derive(Debug, serde::Deserialize)]
struct Position {
    line: usize,
    column: usize,
    length: usize,
}

impl<T> ApiAnswer<T> {
    /// What went wrong, below the line of the question where that is known, and what to do.
    fn told(&self, question: Option<&str>, status: u16) -> String {
        let mut told = self.error.clone().unwrap_or_else(|| format!("status {status}"));
        let line = |position: &Position| question?.lines().nth(position.line.checked_sub(1)?);
        if let Some((position, line)) = self
            .position
            .as_ref()
            .and_then(|position| Some((position, line(position)?)))
        {
            // A tab is one column here and eight on the terminal.
            let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let width = line.chars().count();
            let indent = position.column.saturating_sub(1).min(width);
            let carets = "^".repeat(position.length.clamp(1, width.max(1)));
            told += &format!("\n  | {line}\n  | {:indent$}{carets}", "");
        }
        if let Some(hint) = &self.hint {
            told += &format!("\n  = {hint}");
        }
        told
    }
}

/// Asks the console for a path below its address with these query parameters.
///
/// # Errors
/// Exit 4 if it can't be reached, 2 if it says that the question is wrong, 1 otherwise.
pub fn get<T: DeserializeOwned>(
    from: &ServerArguments,
    path: &str,
    parameters: &[(&str, &str)],
) -> Result<ApiAnswer<T>, Failure> {
    let server = from.server.trim_end_matches('/');
    let mut response = send(from, path, (parameters, PATIENCE))?;
    let status = response.status().as_u16();
    let text = response
        .body_mut()
        .with_config()
        .limit(ANSWER_BYTES_MAX)
        .read_to_string();
    let text = text.map_err(|error| unreachable(server, &error))?;
    read(server, (status, &text), parameters)
}

/// As [`get`], of an answer that comes as lines: all but the last are told as they come.
///
/// # Errors
/// As [`get`].
pub fn follow<T: DeserializeOwned>(
    from: &ServerArguments,
    path: &str,
    parameters: &[(&str, &str)],
    mut tell: impl FnMut(&ApiAnswer<T>),
) -> Result<ApiAnswer<T>, Failure> {
    let server = from.server.trim_end_matches('/');
    let mut response = send(from, path, (parameters, STREAM_PATIENCE))?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(STREAM_BYTES_MAX).reader();
    let mut last = None;
    for line in BufReader::new(body).lines() {
        let line = line.map_err(|error| unreachable(server, &error))?;
        if line.trim().is_empty() {
            continue;
        }
        let answer: ApiAnswer<T> = read(server, (status, &line), parameters)?;
        if let Some(before) = last.replace(answer) {
            tell(&before);
        }
    }
    match last {
        Some(answer) if answer.asked.as_ref().is_none_or(|asked| asked.is_final) => Ok(answer),
        _ => Err(Failure {
            exit: Exit::Failed,
            message: format!("{server} broke off before the answer was whole: ask again"),
        }),
    }
}

fn send(
    from: &ServerArguments,
    path: &str,
    (parameters, patience): (&[(&str, &str)], Duration),
) -> Result<ureq::http::Response<ureq::Body>, Failure> {
    let server = from.server.trim_end_matches('/');
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .http_status_as_error(false)
        .build();
    let mut request = ureq::Agent::new_with_config(config).get(format!("{server}{path}"));
    for (name, value) in parameters {
        request = request.query(*name, *value);
    }
    if let Some(file) = &from.token_file {
        let token = std::fs::read_to_string(file)
            .map_err(|error| Failure::usage(format!("the token file {} cannot be read: {error}", file.display())))?;
        request = request.header("Authorization", format!("Bearer {}", token.trim()));
    }
    request.call().map_err(|error| unreachable(server, &error))
}

/// An answer as it came, or what it says instead of one.
fn read<T: DeserializeOwned>(
    server: &str,
    (status, text): (u16, &str),
    parameters: &[(&str, &str)],
) -> Result<ApiAnswer<T>, Failure> {
    let answer: ApiAnswer<T> = serde_json::from_str(text).map_err(|error| Failure {
        exit: Exit::Failed,
        message: format!("{server} answered {status} with something that is no answer of a console: {error}"),
    })?;
    let question = parameters.iter().find(|(name, _)| *name == "q").map(|(_, text)| *text);
    match (status, &answer.error) {
        (200, None) => Ok(answer),
        (400 | 404 | 422, _) => Err(Failure::usage(answer.told(question, status))),
        (401, error) => {
            let why = error.as_deref().unwrap_or("a token is needed");
            Err(Failure::usage(format!("{why}: name its file with --token-file")))
        }
        _ => Err(Failure {
            exit: Exit::Failed,
            message: format!("{server}: {}", answer.told(question, status)),
        }),
    }
}

fn unreachable(server: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure {
        exit: Exit::Unreachable,
        message: format!("{server} cannot be reached ({error}): is `sunfire up` running, or is --server another?"),
    }
}
