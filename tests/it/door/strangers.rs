//! Who is not known, and what is not let through.

use pairbot::gateway::{Api, CallError, DoorError, ModelChoice, ProviderKind};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::stage::{ALL, DOLLAR, KEY, Stage, ask, body, bytes, message, without_key};
use super::wire;

#[tokio::test]
async fn a_token_is_good_for_its_own_door_and_as_long_as_it_is_open() {
    let stage = Stage::with(DOLLAR).await;
    let place = tempfile::tempdir().unwrap();
    let (old, other) = (stage.door_in(place.path()).await, stage.door().await);
    let token = old.token().expose_secret().to_owned();
    drop(old);
    let again = stage.door_in(place.path()).await;
    for door in [&again, &other] {
        for key in ["", "wrong", KEY, &token] {
            for (api, streamed) in ALL {
                let asked = body(api, streamed, "go", None).to_string();
                let stream = wire::begin(door.socket(), &bytes(api, key, asked.as_bytes())).await;
                let answer = wire::hear(stream).await;
                assert_eq!(answer.status, 401, "{api} {key}");
                without_key(&answer);
                let error = &answer.json()["error"];
                let kind = match api {
                    Api::Messages | Api::CountTokens => &error["type"],
                    Api::Chat | Api::Responses => &error["code"],
                    Api::Generate | Api::StreamGenerate => &error["status"],
                };
                let words = ["authentication_error", "invalid_api_key", "UNAUTHENTICATED"];
                assert!(words.contains(&kind.as_str().unwrap()), "{answer:?}");
            }
        }
    }
    assert_eq!(stage.asked(), 0);
    assert_eq!(ask(&again, Api::Chat, &body(Api::Chat, false, "go", None)).await.status, 200);
}

#[tokio::test]
async fn nothing_else_that_a_provider_offers_is_behind_the_door() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    let token = door.token().expose_secret();
    for (method, path, key) in [
        ("POST", "/v1/messages/batches", "x-api-key"),
        ("GET", "/v1/files", "x-api-key"),
        ("POST", "/v1/embeddings", "authorization"),
        ("GET", "/v1/responses", "authorization"),
        ("POST", "/v1/responses/compact", "authorization"),
        ("POST", "/v1beta/models/scripted:countTokens", "x-goog-api-key"),
        ("POST", "/v1beta/models/scripted:generateContent/../../x", "x-goog-api-key"),
        ("DELETE", "/v1/messages", "x-api-key"),
    ] {
        let value = if key == "authorization" { format!("Bearer {token}") } else { token.to_owned() };
        let request = wire::request(method, path, &[(key, value.as_str())], b"{}");
        let answer = wire::hear(wire::begin(door.socket(), &request).await).await;
        assert_eq!(answer.status, 404, "{method} {path}");
        assert!(message(&answer).contains("nothing at this address"));
    }
    assert_eq!(stage.asked(), 0);
}

#[tokio::test]
async fn a_model_that_is_not_allowed_is_not_called() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    for (api, streamed) in ALL.into_iter().filter(|(api, _)| api.provider() != ProviderKind::Gemini) {
        let mut asked = body(api, streamed, "go", None);
        asked["model"] = json!("scripted-creator");
        let answer = ask(&door, api, &asked).await;
        assert_eq!(answer.status, 404);
        assert!(message(&answer).ends_with("allowed: scripted"), "{answer:?}");
    }
    let asked = body(Api::Generate, false, "go", None).to_string();
    let request = bytes(Api::Generate, door.token().expose_secret(), asked.as_bytes());
    let request = String::from_utf8(request).unwrap().replacen("scripted", "scripted-creator", 1);
    let answer = wire::hear(wire::begin(door.socket(), request.as_bytes()).await).await;
    assert_eq!((answer.status, answer.json()["error"]["status"].as_str()), (404, Some("NOT_FOUND")));
    assert_eq!(stage.asked(), 0);
}

#[tokio::test]
async fn a_door_is_not_opened_to_a_model_that_cannot_be_paid_or_called() {
    let stage = Stage::with(DOLLAR).await;
    let open = async |models| stage.open_door(std::path::Path::new("/nowhere"), models).await.unwrap_err();
    let choice = |model: &str| ModelChoice { provider: ProviderKind::OpenAi, model: model.to_owned() };
    assert!(matches!(open(vec![]).await, DoorError::NoModels));
    let unpayable = open(vec![choice("nobody-knows")]).await;
    assert!(matches!(unpayable, DoorError::Unpayable(CallError::UnknownModel(_))), "{unpayable}");
    assert!(matches!(open(vec![choice("scripted")]).await, DoorError::Socket { .. }));
}

/// A change to a request, and the word by which it is refused.
type Change = (Api, &'static str, Value, &'static str);

fn unpriced() -> Vec<Change> {
    [of_anthropic(), of_openai(), of_gemini()].concat()
}

fn of_anthropic() -> Vec<Change> {
    let source = |kind: &str| json!([{ "role": "user", "content": [{ "type": kind, "source": { "type": "url", "url": "https://x" } }] }]);
    vec![
        (
            Api::Messages,
            "tools",
            json!([{ "type": "web_search_20250305", "name": "web_search" }]),
            "web_search",
        ),
        (
            Api::Messages,
            "tools",
            json!([{ "type": "code_execution_20250825", "name": "x" }]),
            "code_execution",
        ),
        (
            Api::Messages,
            "mcp_servers",
            json!([{ "type": "url", "url": "https://x", "name": "x" }]),
            "mcp_servers",
        ),
        (Api::Messages, "container", json!("c"), "container"),
        (Api::Messages, "service_tier", json!("priority"), "priority"),
        (Api::Messages, "speed", json!("fast"), "fast"),
        (Api::Messages, "inference_geo", json!("us"), "inference_geo"),
        (
            Api::Messages,
            "context_management",
            json!({ "edits": [{ "type": "compact_20260112" }] }),
            "compact",
        ),
        (Api::Messages, "messages", source("image"), "image"),
        (Api::Messages, "messages", source("document"), "document"),
        (Api::Messages, "max_tokens", json!(-1), "max_tokens"),
        (Api::Messages, "something_new", json!(1), "something_new"),
        (Api::CountTokens, "messages", source("image"), "image"),
    ]
}

fn of_openai() -> Vec<Change> {
    let picture = |url: &str| json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": url } }] }]);
    vec![
        (Api::Chat, "n", json!(2), "`n`"),
        (Api::Chat, "web_search_options", json!({}), "web_search_options"),
        (Api::Chat, "modalities", json!(["text", "audio"]), "modalities"),
        (Api::Chat, "audio", json!({ "voice": "x" }), "audio"),
        (Api::Chat, "prediction", json!({ "type": "content", "content": "x" }), "prediction"),
        (Api::Chat, "service_tier", json!("priority"), "priority"),
        (Api::Chat, "messages", picture("https://x/secret.png"), "address"),
        (Api::Responses, "tools", json!([{ "type": "web_search" }]), "web_search"),
        (Api::Responses, "tools", json!([{ "type": "file_search", "vector_store_ids": [] }]), "file_search"),
        (
            Api::Responses,
            "tools",
            json!([{ "type": "code_interpreter", "container": {} }]),
            "code_interpreter",
        ),
        (Api::Responses, "tools", json!([{ "type": "namespace", "tools": [{ "type": "mcp" }] }]), "mcp"),
        (Api::Responses, "background", json!(true), "background"),
        (Api::Responses, "previous_response_id", json!("resp_1"), "previous_response_id"),
        (Api::Responses, "service_tier", json!("priority"), "priority"),
        (Api::Responses, "input", json!([{ "type": "item_reference", "id": "x" }]), "item"),
        (
            Api::Responses,
            "input",
            json!([{ "role": "user", "content": [{ "type": "input_file", "file_id": "x" }] }]),
            "file",
        ),
    ]
}

fn of_gemini() -> Vec<Change> {
    vec![
        (Api::Generate, "cachedContent", json!("cachedContents/x"), "cachedContent"),
        (Api::Generate, "cached_content", json!("cachedContents/x"), "cachedContent"),
        (Api::Generate, "tools", json!([{ "googleSearch": {} }]), "googleSearch"),
        (Api::Generate, "tools", json!([{ "code_execution": {} }]), "code_execution"),
        (Api::Generate, "generation_config", json!({ "candidate_count": 2 }), "candidateCount"),
        (Api::Generate, "generationConfig", json!({ "responseModalities": ["IMAGE"] }), "responseModalities"),
        (
            Api::Generate,
            "contents",
            json!([{ "parts": [{ "file_data": { "file_uri": "https://x" } }] }]),
            "file",
        ),
    ]
}

#[tokio::test]
async fn whatever_changes_the_price_is_refused_by_name_and_not_sent() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    for (api, field, value, word) in unpriced() {
        let mut asked = body(api, false, "go", None);
        asked[field] = value;
        let answer = ask(&door, api, &asked).await;
        assert_eq!(answer.status, 400, "{api} {field}: {answer:?}");
        assert!(message(&answer).contains(word), "{api} {field}: {}", message(&answer));
    }
    assert_eq!(stage.asked(), 0);
    assert_eq!(stage.budget().await.calls, 0);
}

#[tokio::test]
async fn a_name_that_stands_twice_does_not_smuggle_a_second_meaning_in() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    for (api, text) in [
        (Api::Messages, r#"{"model":"scripted","model":"dear","max_tokens":1,"messages":[]}"#),
        (Api::Messages, r#"{"model":"scripted","max_tokens":10,"max\u005ftokens":99999,"messages":[]}"#),
        (Api::Generate, r#"{"contents":[],"generationConfig":{},"generation_config":{"maxOutputTokens":9}}"#),
        (
            Api::Generate,
            r#"{"contents":[],"generationConfig":{"maxOutputTokens":9,"max_output_tokens":99999}}"#,
        ),
    ] {
        let answer = super::stage::ask_bytes(&door, api, text.as_bytes()).await;
        assert_eq!(answer.status, 400, "{text}");
    }
    assert_eq!(stage.asked(), 0);
}
