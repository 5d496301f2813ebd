//! What is asked of every request before it is handled: is it short enough, by the right name, and may it ask at all.
//!
//! A page of another site can make a browser ask `127.0.0.1` under a name of its own (DNS rebinding); so on loopback,
//! where no token may be set, the name in `Host` must be one of ours.

use super::reply::Refusal;
use actix_web::HttpRequest;
use actix_web::http::{Method, StatusCode, header};
use std::fmt;
use std::net::SocketAddr;
use subtle::ConstantTimeEq;

/// Longest query string: longer than any question that a person writes, and than most programs do.
const QUERY_BYTES_MAX: usize = 32 << 10;
/// Longest path.
const PATH_BYTES_MAX: usize = 4 << 10;
/// Shortest token: what cannot be guessed.
const TOKEN_BYTES_MIN: usize = 16;
/// Paths that are answered without a token: what load balancers ask, and the page, which is public code without data.
const OPEN_PATHS: [&str; 5] = ["/healthz", "/readyz", "/", "/favicon.ico", "/openapi.json"];
const OPEN_FOLDER: &str = "/assets/";

/// A secret that a request must bear.
#[derive(Clone)]
pub struct ApiToken(String);

impl fmt::Debug for ApiToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiToken(hidden)")
    }
}

impl ApiToken {
    /// A token of at least 16 visible ASCII characters; `None` for another text, which no header could carry safely.
    pub fn new(secret: impl Into<String>) -> Option<Self> {
        let secret = secret.into();
        let is_fit = secret.len() >= TOKEN_BYTES_MIN && secret.bytes().all(|byte| byte.is_ascii_graphic());
        is_fit.then_some(Self(secret))
    }

    /// Compares in a time that does not tell how much of it is right.
    fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

/// Who may come in.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    token: Option<ApiToken>,
    /// Names by which we may be called, lower-case; `None` where any will do, since a token is needed.
    names: Option<Vec<String>>,
}

impl Doors {
    /// The doors of a listener: on loopback, names are checked.
    pub(crate) fn new(listen: SocketAddr, name: Option<&str>, token: Option<ApiToken>) -> Self {
        let own = listen.ip();
        let own = if own.is_ipv6() {
            format!("[{own}]")
        } else {
            own.to_string()
        };
        let usual = ["localhost", "127.0.0.1", "[::1]", &own].map(str::to_owned);
        let names = usual.into_iter().chain(name.map(str::to_lowercase));
        Self {
            token,
            names: own_names(listen, names),
        }
    }

    /// Whether a request may be handled.
    pub(crate) fn check(&self, request: &HttpRequest) -> Result<(), Refusal> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let message = format!("{} is not possible here: the console changes nothing", request.method());
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "bad_data", message).hint("ask by GET"));
        }
        if request.query_string().len() > QUERY_BYTES_MAX || request.path().len() > PATH_BYTES_MAX {
            let message =
                format!("the query string is over {QUERY_BYTES_MAX} bytes, or the path over {PATH_BYTES_MAX}");
            return Err(
                Refusal::new(StatusCode::URI_TOO_LONG, "bad_data", message).hint("ask several shorter questions")
            );
        }
        self.check_name(request)?;
        self.check_token(request)
    }

    fn check_name(&self, request: &HttpRequest) -> Result<(), Refusal> {
        let Some(names) = &self.names else { return Ok(()) };
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let name = name_of(host).to_lowercase();
        if names.contains(&name) {
            return Ok(());
        }
        let message = format!("this console is not called `{name}`");
        let hint = format!(
            "ask it as {}, or give it this name in its configuration",
            names[..3].join(", ")
        );
        Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden", message).hint(hint))
    }

    fn check_token(&self, request: &HttpRequest) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let path = request.path();
        if OPEN_PATHS.contains(&path) || path.starts_with(OPEN_FOLDER) {
            return Ok(());
        }
        let given = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let bearer = given.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        match bearer {
            Some(given) if token.is(given) => Ok(()),
            Some(_) => Err(unauthorized("the token is not the right one")),
            None => Err(unauthorized("a token is needed")),
        }
    }
}

fn own_names(listen: SocketAddr, names: impl Iterator<Item = String>) -> Option<Vec<String>> {
    listen.ip().is_loopback().then(|| names.collect())
}

fn unauthorized(message: &str) -> Refusal {
    let hint = "send the header `Authorization: Bearer <token>`; the token stands in the console's configuration";
    Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", message).hint(hint)
}

/// A `Host` without its port and a last dot.
fn name_of(host: &str) -> &str {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.find(']') {
            Some(end) => &host[..end + 2],
            None => host,
        },
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_without_their_port() {
        for (host, name) in [
            ("localhost:7800", "localhost"),
            ("localhost", "localhost"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("[::1]:7800", "[::1]"),
            ("[::1]", "[::1]"),
            ("localhost.:80", "localhost"),
            ("evil.example:7800", "evil.example"),
            ("[::1", "[::1"),
            ("", ""),
        ] {
            assert_eq!(name_of(host), name, "{host}");
        }
    }

    #[test]
    fn tokens_are_long_and_hidden() {
        assert!(ApiToken::new("short").is_none() && ApiToken::new("with a blank in it, long").is_none());
        let token = ApiToken::new("0123456789abcdef").expect("long enough");
        assert!(token.is("0123456789abcdef") && !token.is("0123456789abcdeF") && !token.is(""));
        assert_eq!(format!("{token:?}"), "ApiToken(hidden)");
    }
}
