//! Webhooks: what is queued, how it is sent, and what the test makes of it.

use std::collections::{BTreeMap, VecDeque};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::call::percent_encoded;
use crate::ids::Kind;
use crate::state::State;

/// The form of a delivery's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContentType {
    /// `application/json`.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded` with the JSON in `payload`; the signature covers the form.
    Form,
}

/// Whose hook it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HookOwner {
    App(u64),
    Repository(u64),
}

/// Where deliveries go.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) id: u64,
    pub(crate) owner: HookOwner,
    pub(crate) url: String,
    pub(crate) secret: String,
    pub(crate) content_type: ContentType,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) status_code: u16,
    pub(crate) status: String,
    pub(crate) at_ms: u64,
}

/// One delivery.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) id: u64,
    pub(crate) guid: String,
    pub(crate) hook: u64,
    pub(crate) event: String,
    pub(crate) action: Option<String>,
    pub(crate) repository: Option<u64>,
    pub(crate) installation: Option<u64>,
    pub(crate) payload: String,
    pub(crate) redelivery: bool,
    pub(crate) created_ms: u64,
    pub(crate) attempt: Option<Attempt>,
}

/// What to do with the next delivery that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It never arrives; GitHub records a time-out.
    Lose,
    /// It arrives twice under one GUID.
    Duplicate,
    /// It arrives twice, as from an app hook and a repository hook, under two GUIDs.
    DuplicateUnderNewGuid,
    /// It arrives after the next one.
    Swap,
}

/// A [`Mishap`] waiting for its delivery.
#[derive(Debug, Clone)]
pub(crate) struct MishapRule {
    /// `issues`, or with an action `issues.labeled`.
    pub(crate) event: String,
    pub(crate) mishap: Mishap,
}

/// The post office.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    pub(crate) hooks: BTreeMap<u64, Hook>,
    pub(crate) deliveries: BTreeMap<u64, Delivery>,
    pub(crate) ready: VecDeque<u64>,
    pub(crate) held: VecDeque<u64>,
    pub(crate) holding: bool,
    pub(crate) in_flight: usize,
    pub(crate) mishaps: Vec<MishapRule>,
    swapped: Option<u64>,
}

/// A delivery as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRequest {
    /// Where to.
    pub url: String,
    /// Names and values, in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body that was signed.
    pub body: Vec<u8>,
}

/// A number as a UUID, the same in every history.
fn guid(number: u64) -> String {
    let digest = hex::encode(Sha256::digest(format!("delivery {number}")));
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default().to_owned();
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// `sha256=` and the HMAC of the body.
pub(crate) fn signature(secret: &str, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(body);
    Some(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
}

impl Delivery {
    /// `issues.labeled`, or `push`.
    pub(crate) fn name(&self) -> String {
        match &self.action {
            Some(action) => format!("{}.{action}", self.event),
            None => self.event.clone(),
        }
    }

    fn matches(&self, event: &str) -> bool {
        self.event == event || self.name() == event
    }
}

impl Mail {
    /// Puts a delivery where it belongs now.
    fn post(&mut self, id: u64) {
        if self.holding {
            self.held.push_back(id);
        } else {
            self.ready.push_back(id);
        }
        if let Some(late) = self.swapped.take() {
            self.post(late);
        }
    }

    /// Whether nothing waits to be sent now.
    pub(crate) fn is_settled(&self) -> bool {
        self.ready.is_empty() && self.in_flight == 0
    }
}

impl State {
    /// Queues a delivery and applies a waiting mishap.
    pub(crate) fn queue(&mut self, mut delivery: Delivery) {
        delivery.id = self.next_id(Kind::Delivery);
        if delivery.guid.is_empty() {
            delivery.guid = guid(delivery.id);
        }
        delivery.created_ms = self.now_ms();
        let rule = self.mail.mishaps.iter().position(|rule| delivery.matches(&rule.event));
        let mishap = rule.map(|index| self.mail.mishaps.remove(index).mishap);
        let id = delivery.id;
        self.mail.deliveries.insert(id, delivery.clone());
        match mishap {
            None => self.mail.post(id),
            Some(Mishap::Lose) => self.record_attempt(id, 504, "timed out"),
            Some(Mishap::Duplicate) => {
                self.mail.post(id);
                self.mail.post(id);
            }
            Some(Mishap::DuplicateUnderNewGuid) => {
                self.mail.post(id);
                self.queue(Delivery { guid: String::new(), ..delivery });
            }
            Some(Mishap::Swap) => self.mail.swapped = Some(id),
        }
    }

    /// Queues a delivery again under its GUID.
    pub(crate) fn redeliver(&mut self, id: u64) -> Option<u64> {
        let delivery = self.mail.deliveries.get(&id)?.clone();
        let again = Delivery { redelivery: true, attempt: None, ..delivery };
        self.queue(again);
        self.mail.deliveries.last_key_value().map(|(id, _)| *id)
    }

    /// Writes down how a delivery went.
    pub(crate) fn record_attempt(&mut self, id: u64, status_code: u16, status: &str) {
        let at_ms = self.now_ms();
        if let Some(delivery) = self.mail.deliveries.get_mut(&id) {
            delivery.attempt = Some(Attempt { status_code, status: status.to_owned(), at_ms });
        }
    }

    /// Writes down what the receiver answered, or why it did not.
    pub(crate) fn note_answer(&mut self, id: u64, answer: Result<u16, &str>) {
        match answer {
            Ok(status @ 200..300) => self.record_attempt(id, status, "OK"),
            Ok(status) => self.record_attempt(id, status, &format!("Invalid HTTP Response: {status}")),
            Err(reason) => self.record_attempt(id, 502, reason),
        }
    }

    /// The delivery as an HTTP request; `None` if its hook is gone or has no address.
    pub(crate) fn webhook_request(&self, id: u64) -> Option<WebhookRequest> {
        let delivery = self.mail.deliveries.get(&id)?;
        let hook = self.mail.hooks.get(&delivery.hook).filter(|hook| !hook.url.is_empty())?;
        let (content_type, body) = match hook.content_type {
            ContentType::Json => ("application/json", delivery.payload.clone()),
            ContentType::Form => (
                "application/x-www-form-urlencoded",
                format!("payload={}", percent_encoded(&delivery.payload)),
            ),
        };
        let body = body.into_bytes();
        let (target_type, target) = match hook.owner {
            HookOwner::App(app) => ("integration", app),
            HookOwner::Repository(repository) => ("repository", repository),
        };
        let mut headers = vec![
            ("accept", "*/*".to_owned()),
            ("content-type", content_type.to_owned()),
            ("user-agent", "GitHub-Hookshot/5f0a2b1".to_owned()),
            ("x-github-delivery", delivery.guid.clone()),
            ("x-github-event", delivery.event.clone()),
            ("x-github-hook-id", hook.id.to_string()),
            ("x-github-hook-installation-target-id", target.to_string()),
            ("x-github-hook-installation-target-type", target_type.to_owned()),
        ];
        if !hook.secret.is_empty() {
            headers
                .extend(signature(&hook.secret, &body).map(|signature| ("x-hub-signature-256", signature)));
        }
        Some(WebhookRequest { url: hook.url.clone(), headers, body })
    }
}
