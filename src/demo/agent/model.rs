//! Calls of the Anthropic Messages API, as a program makes that knows nothing of Pairbot.

use anyhow::Context as _;
use serde_json::{Value, json};

const OUTPUT_TOKENS_MAX: u64 = 4_096;

/// The model in the environment.
pub(super) struct Model {
    client: reqwest::Client,
    base_url: String,
    key: String,
    name: String,
}

/// What a model said.
pub(super) struct Heard {
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
}

/// A tool it asks for.
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: Value,
}

impl Model {
    pub(super) fn of_environment() -> anyhow::Result<Self> {
        let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
        Ok(Self {
            client: reqwest::Client::builder().no_proxy().build()?,
            base_url: variable("ANTHROPIC_BASE_URL")?,
            key: variable("ANTHROPIC_API_KEY")?,
            name: variable("ANTHROPIC_MODEL")?,
        })
    }

    pub(super) fn begin(&self, prompt: &str, tools: &[Value]) -> Value {
        json!({
            "model": self.name,
            "max_tokens": OUTPUT_TOKENS_MAX,
            "tools": tools,
            "messages": [{ "role": "user", "content": prompt }],
        })
    }

    pub(super) async fn ask(&self, conversation: &mut Value) -> anyhow::Result<Heard> {
        let url = format!("{}/v1/messages", self.base_url);
        let asked =
            self.client.post(url).header("x-api-key", &self.key).header("anthropic-version", "2023-06-01");
        let answer = asked.json(conversation).send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        anyhow::ensure!(status.is_success(), "the model's server answered {status}: {body}");
        let body: Value = serde_json::from_str(&body)?;
        let content = body.get("content").cloned().unwrap_or_default();
        let blocks = content.as_array().cloned().unwrap_or_default();
        let mut heard = Heard { text: String::new(), calls: Vec::new() };
        for block in &blocks {
            let text = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            match text("type").as_str() {
                "text" => heard.text.push_str(&text("text")),
                "tool_use" => {
                    let arguments = block.get("input").cloned().unwrap_or_default();
                    heard.calls.push(Call { id: text("id"), name: text("name"), arguments });
                }
                _ => {}
            }
        }
        push(conversation, json!({ "role": "assistant", "content": content }));
        Ok(heard)
    }

    pub(super) fn answer(conversation: &mut Value, results: Vec<(String, Result<String, String>)>) {
        let blocks: Vec<Value> = results
            .into_iter()
            .map(|(id, said)| {
                let is_error = said.is_err();
                let content = said.unwrap_or_else(|wrong| wrong);
                json!({ "type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error })
            })
            .collect();
        push(conversation, json!({ "role": "user", "content": blocks }));
    }
}

fn push(conversation: &mut Value, message: Value) {
    if let Some(messages) = conversation.get_mut("messages").and_then(Value::as_array_mut) {
        messages.push(message);
    }
}
