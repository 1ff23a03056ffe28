//! Answers, and how they are written.

use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::json;

use super::body::FileBody;
use crate::registry::Problem;

/// The body of an answer: bytes, or a part of a file.
pub type Body = http_body_util::Either<http_body_util::Full<Bytes>, FileBody>;

/// What a request is answered with.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    headers: Vec<(HeaderName, String)>,
    body: Option<Body>,
    length: Option<u64>,
    /// What the client is not told, for the log.
    own_problem: Option<String>,
}

impl Answer {
    pub(super) const fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None, length: None, own_problem: None }
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn bytes(self, content_type: &str, bytes: Vec<u8>) -> Self {
        let length = bytes.len() as u64;
        let body = http_body_util::Either::Left(http_body_util::Full::new(Bytes::from(bytes)));
        Self { body: Some(body), length: Some(length), ..self }.with(CONTENT_TYPE, content_type)
    }

    pub(super) fn file(self, body: FileBody, length: u64) -> Self {
        Self { body: Some(http_body_util::Either::Right(body)), length: Some(length), ..self }
    }

    /// An answer that has no body, but tells how long it would be.
    pub(super) fn of_length(self, length: u64) -> Self {
        Self { length: Some(length), ..self }
    }

    pub(super) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status).bytes("application/json", value.to_string().into_bytes())
    }

    /// A failure of the server's own files or store, if this answers one.
    pub(super) fn own_problem(&self) -> Option<&str> {
        self.own_problem.as_deref()
    }

    pub(super) fn not_found() -> Self {
        Self::new(404).bytes("text/plain; charset=utf-8", b"There is nothing here.\n".to_vec())
    }

    /// A refusal in the form of the specification ("Error Codes").
    pub(super) fn refusal(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({ "errors": [{ "code": code, "message": message }] }))
    }

    pub(super) fn into_response(self, head: bool) -> Response<Body> {
        let nothing = || http_body_util::Either::Left(http_body_util::Full::default());
        let body = if head { nothing() } else { self.body.unwrap_or_else(nothing) };
        let mut response = Response::new(body);
        *response.status_mut() = hyper::StatusCode::from_u16(self.status).unwrap_or_default();
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            // A value that no header can have is left out: ours are digests, numbers, paths and media types.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.append(name, value);
            }
        }
        headers.insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        if let Some(length) = self.length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let (status, code) = problem.status();
        let mut answer = Self::refusal(status, code, &problem.message());
        answer.own_problem = (status >= 500).then(|| problem.to_string());
        match problem {
            Problem::Range { has, .. } => {
                answer.with(hyper::header::RANGE, format!("0-{}", has.saturating_sub(1)))
            }
            _ => answer,
        }
    }
}
