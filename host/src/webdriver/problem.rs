//! The errors of WebDriver (§6.6): a code, its HTTP status, and a message.

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};
use keyfob_core::json;
use keyfob_soft_authenticator::testing::TestError;
use serde_json::Value;

/// Why a request was not carried out. Nothing has changed.
#[derive(Debug)]
pub struct Problem {
    code: &'static str,
    status: StatusCode,
    message: String,
}

impl Problem {
    const fn new(code: &'static str, status: StatusCode, message: String) -> Self {
        Self { code, status, message }
    }

    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new("invalid argument", StatusCode::BAD_REQUEST, message.into())
    }

    pub fn invalid_session_id(session: &str) -> Self {
        Self::new("invalid session id", StatusCode::NOT_FOUND, format!("there is no session {session}"))
    }

    pub fn session_not_created(message: impl Into<String>) -> Self {
        Self::new("session not created", StatusCode::INTERNAL_SERVER_ERROR, message.into())
    }

    pub fn unknown_command(path: &str) -> Self {
        Self::new("unknown command", StatusCode::NOT_FOUND, format!("there is no command at {path}"))
    }

    pub fn unknown_method(method: &str, path: &str) -> Self {
        Self::new("unknown method", StatusCode::METHOD_NOT_ALLOWED, format!("{path} does not take {method}"))
    }

    pub fn unsupported_operation(message: impl Into<String>) -> Self {
        Self::new("unsupported operation", StatusCode::INTERNAL_SERVER_ERROR, message.into())
    }

    pub fn unknown_error(message: impl Into<String>) -> Self {
        Self::new("unknown error", StatusCode::INTERNAL_SERVER_ERROR, message.into())
    }

    /// A request that a web page may have sent. WebDriver has no code of its own for it.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, ..Self::unknown_error(message) }
    }

    pub fn into_response(self) -> Response<Body> {
        let value = serde_json::json!({ "error": self.code, "message": self.message, "stacktrace": "" });
        respond(self.status, &value)
    }
}

impl From<json::Error> for Problem {
    fn from(error: json::Error) -> Self {
        Self::invalid_argument(format!("the parameters are not JSON: {error}"))
    }
}

impl From<TestError> for Problem {
    fn from(error: TestError) -> Self {
        match error {
            TestError::Store(_) => Self::unknown_error(error.to_string()),
            _ => Self::invalid_argument(error.to_string()),
        }
    }
}

/// A response of WebDriver with this value.
pub fn respond(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(serde_json::json!({ "value": value }).to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache"));
    response
}
