//! What GitHub's refusals mean.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use pairbot_protocol::ids::Timestamp;
use serde::Deserialize;

use super::error::{GitHubError, Outcome};

/// How long to wait where GitHub speaks of a limit without a time ("wait for at least one minute",
/// docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).
const UNTOLD_WAIT_MS: u64 = 60_000;

/// The longest wait that is believed: the primary limit resets every hour. More than that is a clock gone wrong.
const WAIT_MS_MAX: u64 = 61 * 60_000;

/// How much of GitHub's words is kept.
const WORDS_CHARS_MAX: usize = 500;

#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    message: Option<String>,
    /// Objects, or plain strings (a refused review), or something else one day.
    #[serde(default)]
    errors: Option<serde_json::Value>,
}

impl ErrorBody {
    fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    fn words(&self, status: StatusCode) -> String {
        match &self.message {
            Some(message) if !message.is_empty() => message.chars().take(WORDS_CHARS_MAX).collect(),
            _ => status.canonical_reason().unwrap_or("no reason given").to_owned(),
        }
    }

    fn particulars(&self) -> Vec<String> {
        let items = match &self.errors {
            Some(serde_json::Value::Array(items)) => items.as_slice(),
            Some(single) => std::slice::from_ref(single),
            None => &[],
        };
        items.iter().take(20).map(particular).collect()
    }
}

/// One entry of `errors` as a person reads it: `PullRequest.head custom: A pull request already exists`.
fn particular(error: &serde_json::Value) -> String {
    let field =
        |name: &str| error.get(name).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
    let text = if let Some(text) = error.as_str() {
        text.to_owned()
    } else if error.is_object() {
        let place = [field("resource"), field("field")].into_iter().flatten().collect::<Vec<_>>().join(".");
        [Some(place.as_str()).filter(|place| !place.is_empty()), field("code"), field("message")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    } else {
        error.to_string()
    };
    text.chars().take(WORDS_CHARS_MAX).collect()
}

/// The error that a response below 500 and above 299 stands for.
pub(crate) fn refusal(request: String, response: &Response<Bytes>) -> GitHubError {
    let status = response.status();
    let body = ErrorBody::read(response.body());
    let message = body.words(status);
    match status.as_u16() {
        401 => GitHubError::Unauthorized { request, message },
        403 => GitHubError::PermissionMissing {
            request,
            what: header(response.headers(), "x-accepted-github-permissions")
                .unwrap_or("the permission this needs (the App's settings list what it has)")
                .to_owned(),
            message,
        },
        // 410: the issue was deleted, or the repository has no issues.
        404 | 410 => GitHubError::NotFound { request },
        409 => GitHubError::Conflict { request, message },
        422 => GitHubError::Validation { request, message, errors: body.particulars() },
        status => GitHubError::Refused { request, status, message },
    }
}

/// The error that a 5xx stands for.
pub(crate) fn unavailable(request: String, response: &Response<Bytes>, outcome: Outcome) -> GitHubError {
    let status = response.status();
    let message = ErrorBody::read(response.body()).words(status);
    GitHubError::Unavailable { request, detail: format!("{}: {message}", status.as_u16()), outcome }
}

/// A limit that a response speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitTold {
    /// How long to wait from now.
    pub(crate) wait_ms: u64,
    /// Whether it is the hourly budget of requests; otherwise it is a secondary limit, which is for behaviour.
    pub(crate) primary: bool,
}

/// The limit that a response speaks of, if it is a refusal for a limit.
pub(crate) fn limit_told(response: &Response<Bytes>, now: Timestamp) -> Option<LimitTold> {
    let status = response.status();
    if status != StatusCode::FORBIDDEN && status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    if let Some(seconds) = number(response.headers(), "retry-after") {
        let wait_ms = seconds.max(1).saturating_mul(1000).min(WAIT_MS_MAX);
        return Some(LimitTold { wait_ms, primary: false });
    }
    let message = ErrorBody::read(response.body()).words(status).to_lowercase();
    if number(response.headers(), "x-ratelimit-remaining") == Some(0) {
        let reset = number(response.headers(), "x-ratelimit-reset").unwrap_or(0);
        let wait_ms = match Timestamp::from_unix_ms(reset.saturating_mul(1000)).ms_since(now) {
            0 => UNTOLD_WAIT_MS,
            wait => wait.min(WAIT_MS_MAX),
        };
        return Some(LimitTold { wait_ms, primary: !message.contains("secondary") });
    }
    // https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api: the words are the only sign left.
    let spoken_of = message.contains("rate limit") || message.contains("abuse detection");
    (status == StatusCode::TOO_MANY_REQUESTS || spoken_of)
        .then_some(LimitTold { wait_ms: UNTOLD_WAIT_MS, primary: false })
}

/// A header as text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    headers.get(HeaderName::from_static(name)).and_then(|value| value.to_str().ok())
}

/// A header as a number.
pub(crate) fn number(headers: &HeaderMap, name: &'static str) -> Option<u64> {
    header(headers, name).and_then(|text| text.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Bytes> {
        let mut builder = Response::builder().status(status);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Bytes::from(body.to_owned())).unwrap()
    }

    #[test]
    fn errors_are_read_whether_strings_or_objects() {
        let body = r#"{"message":"Unprocessable Entity","errors":["Line could not be resolved"]}"#;
        let error = refusal("POST /x".to_owned(), &response(422, &[], body));
        assert!(error.is_validation_about("line could not be resolved"));
        let body = r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"A pull request already exists for o:b."}]}"#;
        let error = refusal("POST /x".to_owned(), &response(422, &[], body));
        assert!(error.to_string().contains("PullRequest custom A pull request already exists"), "{error}");
        let error = refusal("POST /x".to_owned(), &response(422, &[], "<html>"));
        assert!(matches!(error, GitHubError::Validation { .. }));
    }

    #[test]
    fn a_403_is_a_limit_only_when_it_says_so() {
        let now = Timestamp::from_unix_ms(1_000_000);
        let plain = response(403, &[], r#"{"message":"Resource not accessible by integration"}"#);
        assert_eq!(limit_told(&plain, now), None);
        let told = response(403, &[("retry-after", "30")], "{}");
        assert_eq!(limit_told(&told, now), Some(LimitTold { wait_ms: 30_000, primary: false }));
        let primary = response(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1100")], "{}");
        assert_eq!(limit_told(&primary, now), Some(LimitTold { wait_ms: 100_000, primary: true }));
        let words = response(403, &[], r#"{"message":"You have exceeded a secondary rate limit."}"#);
        assert_eq!(limit_told(&words, now), Some(LimitTold { wait_ms: 60_000, primary: false }));
        assert!(limit_told(&response(429, &[], ""), now).is_some());
    }

    #[test]
    fn an_absurd_wait_is_not_believed() {
        let now = Timestamp::from_unix_ms(1_000_000);
        let told = response(429, &[("retry-after", "18446744073709551615")], "");
        assert_eq!(limit_told(&told, now).map(|told| told.wait_ms), Some(WAIT_MS_MAX));
        let past = response(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")], "{}");
        assert_eq!(limit_told(&past, now).map(|told| told.wait_ms), Some(UNTOLD_WAIT_MS));
    }
}
