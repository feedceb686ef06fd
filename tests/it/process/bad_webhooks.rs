//! Webhooks that are wrong in every known way, sent to the real process. It is alive after all of them.

use hmac::{Hmac, Mac as _};
use pairbot::demo::Stage;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sha2::Sha256;

use super::server::{Serving, address, stage};

/// One webhook, right unless it is made wrong.
struct Webhook {
    body: Vec<u8>,
    event: &'static str,
    content_type: &'static str,
    /// What the signature is made with, in place of the right secret.
    secret: Option<&'static str>,
    /// What is sent in place of a signature.
    signature: Option<&'static str>,
}

impl Webhook {
    fn of(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { body, event: "issues", content_type: "application/json", secret: None, signature: None }
    }

    fn payload(payload: &Value) -> Self {
        Self::of(payload.to_string())
    }

    fn event(self, event: &'static str) -> Self {
        Self { event, ..self }
    }

    /// Sends it; gives the status.
    async fn send(self, stage: &Stage, guid: usize) -> reqwest::Result<u16> {
        let right = stage.config.app.webhook_secret.expose_secret();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.unwrap_or(right).as_bytes()).unwrap();
        mac.update(&self.body);
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let request = reqwest::Client::new().post(address(stage, "/api/github/webhooks"));
        let request = request
            .header("content-type", self.content_type)
            .header("x-github-event", self.event)
            .header("x-github-delivery", format!("11111111-0000-0000-0000-{guid:012}"))
            .header("x-hub-signature-256", self.signature.unwrap_or(&signature));
        Ok(request.body(self.body).send().await?.status().as_u16())
    }
}

fn labelled(installation: &Value) -> Value {
    json!({
        "action": "labeled", "label": {"name": "agent:pair"},
        "issue": {"number": 1, "title": "x", "body": null, "user": {"id": 7, "login": "mona"}, "labels": []},
        "repository": {"id": 4_294_967_297_u64, "name": "hidden", "full_name": "elsewhere/hidden",
            "owner": {"login": "elsewhere", "id": 5}},
        "sender": {"id": 7, "login": "mona", "type": "User"}, "installation": installation,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_webhooks_get_a_clean_answer_and_the_server_is_alive_after_all_of_them() {
    let stage = stage().await;
    let serving = Serving::start(&stage).await;
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let deep_object = format!("{{\"a\":{deep}}}");
    let unsigned = Webhook { signature: Some("sha256=00"), ..Webhook::of("{}") };
    let forged = Webhook { secret: Some("not the secret"), ..Webhook::payload(&labelled(&json!({"id": 1}))) };
    let plain = Webhook { content_type: "text/plain", ..Webhook::of("{}") };
    let form_type = "application/x-www-form-urlencoded";
    let empty_form = Webhook { content_type: form_type, ..Webhook::of("nothing=here") };
    let torn_form = Webhook { content_type: form_type, ..Webhook::of("payload=%7") };
    let webhooks = [
        ("no signature", unsigned, 401),
        ("another's signature", forged, 401),
        ("another content type", plain, 415),
        ("an empty body", Webhook::of(""), 400),
        ("a scalar", Webhook::of("42"), 400),
        ("null", Webhook::of("null"), 400),
        ("an array", Webhook::of("[1]"), 400),
        ("very deep", Webhook::of(deep), 400),
        ("a very deep object", Webhook::of(deep_object), 400),
        ("not UTF-8", Webhook::of(b"{\"a\":\"\xff\xfe\"}".to_vec()), 400),
        ("cut JSON", Webhook::of("{\"action\":"), 400),
        ("a form without a payload", empty_form, 400),
        ("a form cut in an escape", torn_form, 400),
        ("no event's name", Webhook::of("{}").event("Not An Event"), 400),
        ("an empty object", Webhook::of("{}"), 202),
        ("an unknown event", Webhook::of("{}").event("starred_by_a_comet"), 202),
        ("no installation", Webhook::payload(&labelled(&Value::Null)), 202),
        ("a repository it cannot read", Webhook::payload(&labelled(&json!({"id": 987_654_321}))), 202),
        ("wrong types", Webhook::payload(&json!({"action": 5, "issue": "x", "sender": []})), 202),
        ("a ping", Webhook::of("{\"zen\":\"x\"}").event("ping"), 202),
        ("more than 25 MB", Webhook::of(vec![b' '; 26 * 1024 * 1024]), 413),
    ];
    for (guid, (what, webhook, status)) in webhooks.into_iter().enumerate() {
        match webhook.send(&stage, guid).await {
            Ok(answered) => assert_eq!(answered, status, "{what}"),
            // Who sends too much may find the door shut before it has read the answer (RFC 9110, section 15.5.14).
            Err(error) => assert_eq!(status, 413, "{what}: {error}"),
        }
        let alive = reqwest::get(address(&stage, "/healthz")).await.unwrap();
        assert_eq!(alive.status().as_u16(), 200, "after {what}");
    }
    let (status, log) = serving.terminate().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(stage.github.writes(), Vec::<String>::new());
}
