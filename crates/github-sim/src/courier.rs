//! Carries webhooks to their receivers, one after the other.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::server::Shared;
use crate::webhooks::WebhookRequest;

/// GitHub waits ten seconds for an answer.
/// <https://docs.github.com/webhooks/using-webhooks/best-practices-for-using-webhooks>
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// The way webhooks travel; a test may take them without a socket.
pub trait Courier: Send + Sync + fmt::Debug {
    /// Delivers one request and gives the receiver's status, or why there was none.
    fn deliver(
        &self,
        request: WebhookRequest,
    ) -> Pin<Box<dyn Future<Output = Result<u16, String>> + Send + '_>>;
}

/// Delivers over HTTP.
#[derive(Debug, Clone, Default)]
pub struct HttpCourier {
    client: reqwest::Client,
}

impl Courier for HttpCourier {
    fn deliver(
        &self,
        request: WebhookRequest,
    ) -> Pin<Box<dyn Future<Output = Result<u16, String>> + Send + '_>> {
        Box::pin(async move {
            let mut builder = self.client.post(&request.url).timeout(ANSWER_WAIT).body(request.body);
            for (name, value) in request.headers {
                builder = builder.header(name, value);
            }
            match builder.send().await {
                Ok(response) => Ok(response.status().as_u16()),
                Err(error) if error.is_timeout() => Err("timed out".to_owned()),
                Err(_) => Err("failed to connect to host".to_owned()),
            }
        })
    }
}

/// Sends what is queued until the simulator is gone.
pub(crate) async fn run(shared: Weak<Shared>) {
    while let Some(strong) = shared.upgrade() {
        let next = strong.with(|state| {
            let id = state.mail.ready.pop_front()?;
            state.mail.in_flight += 1;
            Some((id, state.webhook_request(id)))
        });
        match next {
            Some((id, request)) => send(&strong, id, request).await,
            None => strong.mail.notified().await,
        }
    }
}

async fn send(shared: &Arc<Shared>, id: u64, request: Option<WebhookRequest>) {
    let result = match request {
        Some(request) => shared.courier.deliver(request).await,
        None => Err("failed to connect to host".to_owned()),
    };
    shared.with(|state| {
        state.note_answer(id, result.as_ref().map(|status| *status).map_err(String::as_str));
        state.mail.in_flight -= 1;
    });
    shared.delivered.notify_waiters();
}
