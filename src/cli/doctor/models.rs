//! The models' providers: whether a key is set, and whether it is taken. Listing models costs nothing.

use std::time::Duration;

use reqwest::RequestBuilder;
use secrecy::ExposeSecret;

use super::Line;
use crate::config::{ModelsConfig, ProviderConfig};
use crate::gateway;

/// How long a provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The version of Anthropic's API that the gateway speaks, too.
const ANTHROPIC_VERSION: &str = "2023-06-01";

pub(super) async fn examine(models: &ModelsConfig) -> anyhow::Result<Vec<Line>> {
    let http = gateway::http_client()?;
    let mut lines = Vec::new();
    if let Some(anthropic) = &models.anthropic {
        let request = http.get(format!("{}/v1/models?limit=1", anthropic.base_url));
        let request = request
            .header("x-api-key", anthropic.api_key.expose_secret())
            .header("anthropic-version", ANTHROPIC_VERSION);
        lines.push(ask("anthropic", "ANTHROPIC", anthropic, request).await);
    }
    if let Some(openai) = &models.openai {
        let request = http.get(format!("{}/models", openai.base_url));
        let request = request.bearer_auth(openai.api_key.expose_secret());
        lines.push(ask("openai", "OPENAI", openai, request).await);
    }
    if let Some(gemini) = &models.gemini {
        let request = http.get(format!("{}/v1beta/models?pageSize=1", gemini.base_url));
        let request = request.header("x-goog-api-key", gemini.api_key.expose_secret());
        lines.push(ask("gemini", "GEMINI", gemini, request).await);
    }
    let mend = "set ANTHROPIC_API_KEY or OPENAI_API_KEY";
    if lines.is_empty() {
        lines.push(Line::fail("models: no provider has a key", mend));
    } else if models.anthropic.is_none() && models.openai.is_none() {
        lines.push(Line::warn("models: the built-in agent speaks to none of these", mend));
    }
    Ok(lines)
}

async fn ask(name: &str, prefix: &str, provider: &ProviderConfig, request: RequestBuilder) -> Line {
    let place = &provider.base_url;
    match request.timeout(PATIENCE).send().await {
        // The address is named already, and an error's own may hold what a proxy needs to know.
        Err(error) => Line::fail(
            format!("models: {name} at {place} does not answer: {}", error.without_url()),
            format!("check {prefix}_BASE_URL and the way out of this machine"),
        ),
        Ok(answer) => match answer.status().as_u16() {
            200..=299 => Line::ok(format!("models: {name} at {place} takes the key")),
            401 | 403 => Line::fail(
                format!("models: {name} at {place} refuses the key"),
                format!("set a valid {prefix}_API_KEY"),
            ),
            // Servers that speak a provider's protocol do not always list their models.
            404 | 405 => Line::warn(
                format!("models: {name} at {place} does not list models, so the key is untried"),
                format!("see that {prefix}_BASE_URL is the base of the API"),
            ),
            status => Line::warn(
                format!("models: {name} at {place} answers {status}"),
                "ask again later; runs wait and try again, too",
            ),
        },
    }
}
