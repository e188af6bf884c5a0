//! Why a request was not done, in the same tone as everywhere: what happened, and what to do next.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::json;
use std::time::Duration;

/// An answer that says what is wrong.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// How it is classed.
    pub status: StatusCode,
    /// A word for programs. It never changes.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub help: String,
    /// When it may be worth to try again.
    pub retry_after: Option<Duration>,
    /// Methods that are answered, where another was used.
    pub allow: Option<&'static str>,
    /// Whether nothing more is read of this connection.
    pub close: bool,
}

impl Refusal {
    /// A refusal.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        let (message, help) = (message.into(), help.into());
        Refusal { status, code, message, help, retry_after: None, allow: None, close: false }
    }

    /// What is wrong with the request itself.
    pub fn bad(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, code, message, help)
    }

    /// What is not there.
    pub fn unknown(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Refusal::new(StatusCode::NOT_FOUND, code, message, help)
    }

    /// What may work later.
    pub fn later(code: &'static str, message: impl Into<String>, after: Duration) -> Self {
        let help = "send the same request again after the time in Retry-After; nothing of it was taken in";
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, message, help);
        Refusal { retry_after: Some(after), ..refusal }
    }

    /// What is wrong on our side.
    pub fn broken(code: &'static str, message: impl Into<String>) -> Self {
        let help = "see the service's log, and `slackwater status`";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, code, message, help)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message, "help": self.help } });
        let mut response = Response::new(Body::from(format!("{body}\n")));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
