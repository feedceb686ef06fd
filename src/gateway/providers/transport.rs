//! One HTTP exchange with a provider, bounded in time and size.

use std::time::Duration;

use bytes::Bytes;
use eventsource_stream::{EventStreamError, Eventsource};
use futures_util::{Stream, StreamExt};
use http::header::{HeaderMap, RETRY_AFTER};
use http::{Method, Request, Response, Uri};
use pairbot_protocol::ids::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::failure::from_status;
use super::{Answer, Assembler, AttemptLimits, Charge, Failed, ProviderError};
use crate::gateway::transport::{AnswerBody, ModelTransport, SendError};
use crate::ports::Clock;

/// How large an answer may be, framing included. The longest answer that a model gives is below 2 MiB of text.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much of an error's body is read.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Where a request goes, and with which headers. One of them is the key, so this is not to be printed.
pub(in crate::gateway) struct Target {
    pub(in crate::gateway) url: String,
    pub(in crate::gateway) headers: HeaderMap,
}

/// What an exchange needs.
pub(in crate::gateway) struct Exchange<'a> {
    pub(in crate::gateway) transport: &'a dyn ModelTransport,
    pub(in crate::gateway) clock: &'a dyn Clock,
    pub(in crate::gateway) limits: AttemptLimits,
    pub(in crate::gateway) key: &'a SecretString,
}

/// Why reading a body stopped.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("{0}")]
    Connection(String),
    #[error("it is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
}

impl Exchange<'_> {
    /// Sends a request and returns a response with status 200.
    pub(super) async fn post(
        &self,
        target: Target,
        body: Bytes,
        stream: bool,
    ) -> Result<Response<AnswerBody>, Failed> {
        let response = self.send(target, body, stream).await?;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(response);
        }
        let retry_after = retry_after(response.headers(), self.clock.now());
        let text = self.read_error(response).await;
        Err(Failed::free(from_status(status, retry_after, &text)))
    }

    /// Sends a request and returns the response, whatever its status.
    pub(in crate::gateway) async fn send(
        &self,
        target: Target,
        body: Bytes,
        stream: bool,
    ) -> Result<Response<AnswerBody>, Failed> {
        let uri: Uri = target.url.parse().map_err(|error| {
            Failed::free(ProviderError::Unreachable { message: format!("its address is not a URL: {error}") })
        })?;
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = target.headers;
        // A whole answer comes after all silence, so only the end of time bounds it.
        let patience = if stream { self.silence_ends() } else { self.limits.until };
        match self.by(patience, self.transport.send(request)).await {
            None => Err(Failed::charged(ProviderError::Timeout)),
            Some(Err(error)) => Err(self.unsent(&error)),
            Some(Ok(response)) => Ok(response),
        }
    }

    /// Reads an answer that is not streamed.
    pub(super) async fn read_all(&self, response: Response<AnswerBody>) -> Result<Vec<u8>, Failed> {
        let mut body = std::pin::pin!(bounded(response, ANSWER_BYTES_MAX));
        let mut all = Vec::new();
        loop {
            match self.by(self.limits.until, body.next()).await {
                None => return Err(Failed::charged(ProviderError::Timeout)),
                Some(None) => return Ok(all),
                Some(Some(Ok(chunk))) => all.extend_from_slice(&chunk),
                Some(Some(Err(error))) => return Err(Failed::cut(error.to_string())),
            }
        }
    }

    /// Reads a stream of events to its end.
    pub(super) async fn read_stream<A: Assembler>(
        &self,
        response: Response<AnswerBody>,
    ) -> Result<Answer, Failed> {
        let mut events = std::pin::pin!(bounded(response, ANSWER_BYTES_MAX).eventsource());
        let mut answer = A::default();
        while !answer.done() {
            let failed = match self.by(self.silence_ends(), events.next()).await {
                None => Failed::charged(ProviderError::Timeout),
                Some(None) => break,
                Some(Some(Ok(event))) => match answer.event(&event.data) {
                    Ok(()) => continue,
                    Err(failed) => failed,
                },
                Some(Some(Err(error))) => Failed::cut(describe(&error)),
            };
            return Err(self.with_usage(failed, answer.input_usage()));
        }
        let input = answer.input_usage();
        answer.finish().map_err(|failed| self.with_usage(failed, input))
    }

    fn with_usage(&self, failed: Failed, reported: Option<pairbot_protocol::ids::Usage>) -> Failed {
        let charge = match failed.charge {
            Charge::Nothing => Charge::Nothing,
            Charge::Unknown { input } => Charge::Unknown { input: input.or(reported) },
        };
        let error = match failed.error {
            ProviderError::InStream { message } => ProviderError::InStream { message: self.redact(&message) },
            ProviderError::Refused { message } => ProviderError::Refused { message: self.redact(&message) },
            ProviderError::BadRequest { message } => {
                ProviderError::BadRequest { message: self.redact(&message) }
            }
            other @ (ProviderError::RateLimited { .. }
            | ProviderError::Overloaded { .. }
            | ProviderError::Server { .. }
            | ProviderError::Cut { .. }
            | ProviderError::TooLong { .. }
            | ProviderError::Timeout
            | ProviderError::Unreachable { .. }) => other,
        };
        Failed { error, charge }
    }

    fn unsent(&self, error: &SendError) -> Failed {
        let message = self.redact(&error.to_string());
        match error {
            SendError::NotSent(_) => Failed::free(ProviderError::Unreachable { message }),
            SendError::Broken(_) => Failed::charged(ProviderError::Cut { message }),
        }
    }

    /// Reads the words of a refusal, without the key that some quote in it.
    pub(in crate::gateway) async fn read_error(&self, response: Response<AnswerBody>) -> String {
        let mut body = std::pin::pin!(bounded(response, ERROR_BYTES_MAX));
        let mut all = Vec::new();
        while let Some(Some(Ok(chunk))) = self.by(self.silence_ends(), body.next()).await {
            all.extend_from_slice(&chunk);
        }
        self.redact(&String::from_utf8_lossy(&all))
    }

    /// Until when a streaming provider may be silent from now on.
    pub(in crate::gateway) fn silence_ends(&self) -> Timestamp {
        let ms = u64::try_from(self.limits.silence_max.as_millis()).unwrap_or(u64::MAX);
        self.clock.now().plus_ms(ms).min(self.limits.until)
    }

    /// What `work` gives if it ends by `moment`.
    pub(in crate::gateway) async fn by<T>(
        &self,
        moment: Timestamp,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.clock.sleep_until(moment) => None,
        }
    }

    /// Takes the key out of a provider's words: some quote it back.
    fn redact(&self, text: &str) -> String {
        let key = self.key.expose_secret();
        if key.is_empty() { text.to_owned() } else { text.replace(key, "[key]") }
    }
}

/// The pieces of an answer as they come, in all no more than an answer may have.
pub(in crate::gateway) fn pieces(
    response: Response<AnswerBody>,
) -> impl Stream<Item = Result<Bytes, String>> + Send {
    bounded(response, ANSWER_BYTES_MAX).map(|piece| piece.map_err(|error| error.to_string()))
}

fn bounded(response: Response<AnswerBody>, bytes_max: usize) -> impl Stream<Item = Result<Bytes, BodyError>> {
    let mut left = bytes_max;
    response.into_body().map(move |chunk| {
        let chunk = chunk.map_err(BodyError::Connection)?;
        left = left.checked_sub(chunk.len()).ok_or(BodyError::TooLarge)?;
        Ok(chunk)
    })
}

fn describe(error: &EventStreamError<BodyError>) -> String {
    match error {
        EventStreamError::Utf8(_) => "the event stream is not UTF-8".to_owned(),
        EventStreamError::Parser(_) => "it is no event stream".to_owned(),
        EventStreamError::Transport(error) => error.to_string(),
    }
}

/// `retry-after` in seconds or as a date (RFC 9110, section 10.2.3).
pub(in crate::gateway) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    if let Some((whole, _)) = text.split_once('.')
        && let Ok(seconds) = whole.parse::<u64>()
    {
        return Some(Duration::from_secs(seconds.saturating_add(1)));
    }
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    let at = Timestamp::from_unix_ms(u64::try_from(date.timestamp_millis()).ok()?);
    Some(Duration::from_millis(at.ms_since(now)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let read = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            retry_after(&headers, Timestamp::from_unix_ms(0))
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("0.3"), Some(Duration::from_secs(1)));
        assert_eq!(read("Thu, 01 Jan 1970 00:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("soon"), None);
    }
}
