//! What the layers need to know of a request beside its bytes.

use bytes::Bytes;
use http::{Method, Request};
use pairbot_protocol::ids::InstallationId;
use serde::Deserialize;

use super::error::{Outcome, request_name};

/// As whom a request is sent. Budgets, tokens and cached answers are kept apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Caller {
    /// As the App itself, by its key.
    App,
    /// As an installation of it, by a token.
    Installation(InstallationId),
}

/// What a request does, for retries and budgets. GraphQL is one path for both, so the body decides there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// It changes nothing that anyone sees: it may be sent again at will. A token that nobody uses counts as nothing.
    Read,
    /// It changes something that exists.
    Write,
    /// It makes something new. GitHub does not publish which requests count as "content-generating"; every POST that
    /// writes is taken as one.
    Create,
}

impl Nature {
    pub(crate) fn of(request: &Request<Bytes>) -> Self {
        match *request.method() {
            Method::GET | Method::HEAD => Self::Read,
            Method::POST if is_graphql(request) => {
                if reads_only(request.body()) {
                    Self::Read
                } else {
                    Self::Write
                }
            }
            Method::POST if request.uri().path().ends_with("/access_tokens") => Self::Read,
            Method::POST => Self::Create,
            _ => Self::Write,
        }
    }

    /// What is known of its effect when no answer came.
    pub(crate) const fn outcome_if_unanswered(self) -> Outcome {
        match self {
            Self::Read => Outcome::NotApplied,
            Self::Write | Self::Create => Outcome::Unknown,
        }
    }
}

/// Whether a request goes to the GraphQL endpoint.
pub(crate) fn is_graphql<B>(request: &Request<B>) -> bool {
    request.uri().path().ends_with("/graphql")
}

/// The name of a request in errors and logs.
pub(crate) fn name_of<B>(request: &Request<B>) -> String {
    request_name(request.method(), request.uri().path())
}

fn reads_only(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Document<'a> {
        #[serde(borrow)]
        query: std::borrow::Cow<'a, str>,
    }
    serde_json::from_slice::<Document<'_>>(body).is_ok_and(|document| {
        let text = document.query.trim_start();
        text.starts_with("query") || text.starts_with('{')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nature(method: &str, path: &str, body: &'static str) -> Nature {
        Nature::of(&Request::builder().method(method).uri(path).body(Bytes::from(body)).unwrap())
    }

    #[test]
    fn a_graphql_document_is_a_read_only_if_it_is_a_query() {
        assert_eq!(nature("POST", "/graphql", r#"{"query":"query($a:ID!){node}"}"#), Nature::Read);
        assert_eq!(nature("POST", "/api/graphql", r#"{"query":"\n{viewer{login}}"}"#), Nature::Read);
        assert_eq!(nature("POST", "/graphql", r#"{"query":"mutation{x}"}"#), Nature::Write);
        assert_eq!(nature("POST", "/graphql", "garbage"), Nature::Write);
        assert_eq!(nature("POST", "/repos/o/r/issues", "{}"), Nature::Create);
        assert_eq!(nature("PATCH", "/repos/o/r/issues/1", "{}"), Nature::Write);
        assert_eq!(nature("GET", "/app", ""), Nature::Read);
        assert_eq!(nature("POST", "/app/installations/1/access_tokens", ""), Nature::Read);
    }
}
