//! The shape of every answer of the API: data with its warnings, or an error that says what to do.

use crate::query::QueryError;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use configs::Diagnostic;
use serde::Serialize;
use store::StoreError;

/// Something that was asked and has no answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    kind: &'static str,
    message: String,
    hint: Option<String>,
    place: Option<Place>,
}

/// Where in a question the mistake is.
#[derive(Debug, Clone, Copy, Serialize)]
struct Place {
    line: u32,
    column: u32,
    length: u32,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    status: &'static str,
    #[serde(rename = "errorType")]
    kind: &'static str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Place>,
}

#[derive(Serialize)]
struct SuccessBody<T> {
    status: &'static str,
    data: T,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            hint: None,
            place: None,
        }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_data", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn at(mut self, diagnostic: &Diagnostic) -> Self {
        self.hint = diagnostic.hint.clone();
        self.place = Some(Place {
            line: diagnostic.line,
            column: diagnostic.column,
            length: diagnostic.length,
        });
        self
    }

    fn body(&self) -> ErrorBody<'_> {
        ErrorBody {
            status: "error",
            kind: self.kind,
            error: &self.message,
            hint: self.hint.as_deref(),
            position: self.place,
        }
    }

    /// The refusal as a line of JSON, where a response has begun already.
    pub(crate) fn line(&self) -> Vec<u8> {
        // It holds nothing but texts and numbers: encoding to memory cannot fail.
        let mut line = serde_json::to_vec(&self.body()).unwrap_or_default();
        line.push(b'\n');
        line
    }

    pub(crate) fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header(("www-authenticate", "Bearer realm=\"sunfire\""));
        }
        response.json(self.body())
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        let refusal = match &error {
            QueryError::Text(_) => Self::bad(message),
            QueryError::UnknownMonitor(_) => Self::not_found(message),
            QueryError::Store(StoreError::TooMuch { .. }) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", message)
            }
            QueryError::Store(_) => Self::unavailable(message),
            QueryError::Unreadable(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message),
            QueryError::Unfit(_) | QueryError::TooMuch { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", message)
            }
        };
        match error.diagnostic() {
            Some(diagnostic) => refusal.at(diagnostic),
            None => refusal,
        }
    }
}

/// `{"status":"success","data":…}`
pub(crate) fn success(data: impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(SuccessBody {
        status: "success",
        data,
    })
}

/// The answer, or the refusal, as a response.
pub(crate) fn respond(answer: Result<HttpResponse, Refusal>) -> HttpResponse {
    answer.unwrap_or_else(|refusal| refusal.response())
}
