//! GraphQL: what exists only here, such as drafts, resolved threads and hidden comments.

mod document;
mod execute;
mod mutations;
mod nodes;

use serde_json::{Value, json};

use crate::call::Call;
use crate::reply::{Outcome, Reply};

/// A GraphQL error; GitHub sends it inside a 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    kind: Option<&'static str>,
    message: String,
}

impl Problem {
    fn new(message: impl Into<String>) -> Self {
        Self { kind: None, message: message.into() }
    }

    fn not_found(what: &str) -> Self {
        Self { kind: Some("NOT_FOUND"), message: format!("Could not resolve to {what}.") }
    }

    fn forbidden() -> Self {
        Self { kind: Some("FORBIDDEN"), message: "Resource not accessible by integration".to_owned() }
    }

    fn unprocessable(message: impl Into<String>) -> Self {
        Self { kind: Some("UNPROCESSABLE"), message: message.into() }
    }

    fn json(&self) -> Value {
        let mut error = json!({"message": self.message});
        if let (Some(kind), Some(object)) = (self.kind, error.as_object_mut()) {
            object.insert("type".to_owned(), kind.into());
        }
        error
    }
}

impl From<Reply> for Problem {
    fn from(reply: Reply) -> Self {
        let message = reply.json().get("message").and_then(Value::as_str).unwrap_or_default();
        match reply.status {
            404 => Self::not_found("a node with that id"),
            403 => Self { message: message.to_owned(), ..Self::forbidden() },
            _ => Self::unprocessable(message),
        }
    }
}

/// Answers `POST /graphql`.
pub(crate) fn answer(call: &mut Call) -> Outcome {
    if call.request.method != http::Method::POST {
        return Err(Reply::not_found());
    }
    if call.actor.account().is_none() {
        return Err(Reply::refuse(401, "This endpoint requires you to be authenticated."));
    }
    let Some(query) = call.request.text("query") else {
        return Err(Reply::refuse(400, "A query attribute must be specified and must be a string."));
    };
    let variables = call.request.json.get("variables").cloned().unwrap_or_default();
    let name = call.request.text("operationName").map(str::to_owned);
    let parsed = document::parse(query).and_then(|document| document.operation(name.as_deref()).cloned());
    let operation = match parsed {
        Ok(operation) => operation,
        Err(problem) => return Ok(Reply::ok(json!({"errors": [problem.json()]}))),
    };
    let mut problems = Vec::new();
    let data = execute::run(call, &operation, &variables, &mut problems);
    let mut body = json!({"data": data});
    if let (false, Some(object)) = (problems.is_empty(), body.as_object_mut()) {
        let errors = problems.iter().map(|(path, problem)| {
            let mut error = problem.json();
            if let Some(object) = error.as_object_mut() {
                object.insert("path".to_owned(), json!(path));
            }
            error
        });
        object.insert("errors".to_owned(), errors.collect());
    }
    Ok(Reply::ok(body))
}
