//! The secrets of nodes and of their users, from the files that configurations name: never from a command line, where
//! others could read them.

use crate::exit::Failure;
use anyhow::Context;
use configs::node::TokenSource;
use console::process::ApiToken;
use lika::wire::Token;
use std::path::Path;

/// The secret of a cluster, or of its agents; the open one if there is none.
///
/// # Errors
/// If a file cannot be read, or holds too short a one.
pub fn token(source: &TokenSource) -> Result<Token, Failure> {
    let secret = match source {
        TokenSource::OpenOnLoopback => agent::binding::OPEN_TOKEN.to_owned(),
        TokenSource::Given(secret) => secret.reveal().to_owned(),
        TokenSource::File(path) => read(path)?,
    };
    Ok(Token::new(secret).context("the token")?)
}

/// The bearer token of a console, if it asks for one.
///
/// # Errors
/// If a file cannot be read, or holds too short a one.
pub fn api_token(source: &TokenSource) -> Result<Option<ApiToken>, Failure> {
    match source {
        TokenSource::OpenOnLoopback => Ok(None),
        TokenSource::Given(secret) => api(secret.reveal().to_owned(), "the API token").map(Some),
        TokenSource::File(path) => api(read(path)?, &path.display().to_string()).map(Some),
    }
}

fn api(secret: String, whence: &str) -> Result<ApiToken, Failure> {
    ApiToken::new(secret).ok_or_else(|| Failure::usage(format!("{whence} holds too short a token: write a longer one")))
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("the token file {} cannot be read: {error}", file.display())))?;
    Ok(text.trim().to_owned())
}
