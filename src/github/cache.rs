//! Conditional requests: what GitHub answered is kept with its `ETag`, and a 304 is answered from memory. A 304 does
//! not count against the hourly budget (docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

use super::call::Caller;
use super::error::GitHubError;
use super::tokens::Authenticated;

/// How much is kept of all answers together.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A larger answer is not kept: it would push out too many small ones.
const ANSWER_BYTES_MAX: usize = 512 * 1024;
/// What an entry costs beside its body, roughly.
const ENTRY_BYTES: usize = 512;

/// Who asked for what in which form. Answers are never shared between callers: they may see different things.
type Key = (Caller, String, Option<Vec<u8>>);

/// Answers reads from memory where GitHub says that nothing changed.
#[derive(Debug)]
pub(crate) struct Cached {
    authenticated: Authenticated,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: BTreeMap<Key, (u64, Arc<Answer>)>,
    /// Keys by when they were last used.
    order: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Answer {
    etag: HeaderValue,
    headers: HeaderMap,
    body: Bytes,
}

impl Cached {
    pub(crate) fn new(authenticated: Authenticated) -> Self {
        Self { authenticated, kept: Mutex::default() }
    }

    pub(crate) const fn authenticated(&self) -> &Authenticated {
        &self.authenticated
    }

    pub(crate) async fn send(
        &self,
        caller: Caller,
        mut request: Request<Bytes>,
    ) -> Result<Response<Bytes>, GitHubError> {
        if request.method() != Method::GET {
            return self.authenticated.send(caller, request).await;
        }
        let accept = request.headers().get(ACCEPT).map(|value| value.as_bytes().to_vec());
        let key = (caller, request.uri().to_string(), accept);
        let known = self.kept().find(&key);
        if let Some(answer) = &known {
            request.headers_mut().insert(IF_NONE_MATCH, answer.etag.clone());
        }
        let response = self.authenticated.send(caller, request).await?;
        match (response.status(), known) {
            (StatusCode::NOT_MODIFIED, Some(answer)) => Ok(answer.respond()),
            (StatusCode::OK, _) => {
                if let Some(answer) = Answer::of(&response) {
                    self.kept().keep(key, answer);
                }
                Ok(response)
            }
            _ => Ok(response),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn of(response: &Response<Bytes>) -> Option<Self> {
        let etag = response.headers().get(ETAG)?.clone();
        if response.body().len() > ANSWER_BYTES_MAX {
            return None;
        }
        let mut headers = HeaderMap::new();
        for name in [LINK, CONTENT_TYPE] {
            if let Some(value) = response.headers().get(&name) {
                headers.insert(name, value.clone());
            }
        }
        Some(Self { etag, headers, body: response.body().clone() })
    }

    fn respond(&self) -> Response<Bytes> {
        let mut response = Response::new(self.body.clone());
        *response.headers_mut() = self.headers.clone();
        response
    }

    fn bytes(&self) -> usize {
        self.body.len() + ENTRY_BYTES
    }
}

impl Kept {
    fn find(&mut self, key: &Key) -> Option<Arc<Answer>> {
        let (used, answer) = self.entries.get_mut(key)?;
        self.uses += 1;
        if let Some(key) = self.order.remove(used) {
            self.order.insert(self.uses, key);
        }
        *used = self.uses;
        Some(Arc::clone(answer))
    }

    fn keep(&mut self, key: Key, answer: Answer) {
        self.forget(&key);
        self.uses += 1;
        self.bytes += answer.bytes();
        self.order.insert(self.uses, key.clone());
        self.entries.insert(key, (self.uses, Arc::new(answer)));
        while self.bytes > KEPT_BYTES_MAX {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some((used, answer)) = self.entries.remove(key) {
            self.order.remove(&used);
            self.bytes = self.bytes.saturating_sub(answer.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use pairbot_protocol::ids::InstallationId;

    use super::*;

    fn key(number: usize) -> Key {
        (Caller::Installation(InstallationId(1)), format!("/{number}"), None)
    }

    fn answer(bytes: usize) -> Answer {
        Answer {
            etag: HeaderValue::from_static("\"a\""),
            headers: HeaderMap::new(),
            body: Bytes::from(vec![0; bytes]),
        }
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_the_whole_stays_bounded() {
        let mut kept = Kept::default();
        kept.keep(key(0), answer(ANSWER_BYTES_MAX));
        kept.keep(key(1), answer(ANSWER_BYTES_MAX));
        for number in 2..40 {
            assert!(kept.find(&key(0)).is_some(), "used all the time, still gone at {number}");
            kept.keep(key(number), answer(ANSWER_BYTES_MAX));
            assert!(kept.bytes <= KEPT_BYTES_MAX);
        }
        assert!(kept.find(&key(1)).is_none());
        assert_eq!(kept.order.len(), kept.entries.len());
    }

    #[test]
    fn a_newer_answer_takes_the_place_of_the_older() {
        let mut kept = Kept::default();
        kept.keep(key(0), answer(10));
        kept.keep(key(0), answer(20));
        assert_eq!(kept.bytes, 20 + ENTRY_BYTES);
        assert_eq!(kept.entries.len(), 1);
    }
}
