//! Answers in GitHub's form, refusals above all.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::git::command::GitError;

/// What is sent back.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Empty,
    Json(Value),
    Raw { content_type: &'static str, bytes: Bytes },
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
}

/// An answer, or a refusal that ends the request early.
pub(crate) type Outcome = Result<Reply, Reply>;

const DOCUMENTATION: &str = "https://docs.github.com/rest";

impl Reply {
    pub(crate) fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Body::Json(body) }
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    pub(crate) fn created(body: Value) -> Self {
        Self::new(201, body)
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Empty }
    }

    pub(crate) fn raw(content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Raw { content_type, bytes: bytes.into() } }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A refusal with GitHub's usual body.
    pub(crate) fn refuse(status: u16, message: &str) -> Self {
        let body = json!({
            "message": message, "documentation_url": DOCUMENTATION, "status": status.to_string(),
        });
        Self::new(status, body)
    }

    pub(crate) fn not_found() -> Self {
        Self::refuse(404, "Not Found")
    }

    pub(crate) fn bad_credentials() -> Self {
        Self::refuse(401, "Bad credentials")
    }

    /// What an app gets for a permission it lacks.
    pub(crate) fn not_accessible() -> Self {
        Self::refuse(403, "Resource not accessible by integration")
    }

    /// 422 with the list `errors`, of objects or of strings as GitHub mixes them.
    pub(crate) fn unprocessable(message: &str, errors: &Value) -> Self {
        let body = json!({
            "message": message, "errors": errors, "documentation_url": DOCUMENTATION, "status": "422",
        });
        Self::new(422, body)
    }

    /// 422 with one structured error.
    pub(crate) fn invalid(resource: &str, field: &str, code: &str) -> Self {
        Self::unprocessable(
            "Validation Failed",
            &json!([{"resource": resource, "field": field, "code": code}]),
        )
    }

    /// 422 with one error in GitHub's own words.
    pub(crate) fn invalid_because(resource: &str, field: &str, message: &str) -> Self {
        Self::unprocessable(
            "Validation Failed",
            &json!([{"resource": resource, "code": "custom", "field": field, "message": message}]),
        )
    }

    /// 422 for a body that does not have the documented form.
    pub(crate) fn bad_schema(reason: &str) -> Self {
        Self::refuse(422, &format!("Invalid request.\n\n{reason}"))
    }

    /// The JSON of the answer; `Null` if it has none.
    pub(crate) fn json(&self) -> &Value {
        match &self.body {
            Body::Json(value) => value,
            Body::Empty | Body::Raw { .. } => &Value::Null,
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl From<GitError> for Reply {
    fn from(error: GitError) -> Self {
        Self::refuse(500, &format!("Server Error: {error}"))
    }
}
