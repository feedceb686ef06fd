//! Which calls a door lets through, and in whose words it answers.

use std::fmt;

use http::{HeaderMap, Method, header};
use serde::{Deserialize, Serialize};

use crate::gateway::providers::ProviderKind;

/// A call that a door knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// Anthropic's `POST /v1/messages`.
    Messages,
    /// Anthropic's `POST /v1/messages/count_tokens`, which costs nothing.
    CountTokens,
    /// OpenAI's `POST /v1/chat/completions`.
    Chat,
    /// OpenAI's `POST /v1/responses`.
    Responses,
    /// Gemini's `POST /v1beta/models/{model}:generateContent`.
    Generate,
    /// Gemini's `POST /v1beta/models/{model}:streamGenerateContent`.
    StreamGenerate,
}

impl Api {
    /// Who serves it.
    pub fn provider(self) -> ProviderKind {
        match self {
            Self::Messages | Self::CountTokens => ProviderKind::Anthropic,
            Self::Chat | Self::Responses => ProviderKind::OpenAi,
            Self::Generate | Self::StreamGenerate => ProviderKind::Gemini,
        }
    }

    pub(super) fn form(self) -> Form {
        match self {
            Self::Messages | Self::CountTokens => Form::Anthropic,
            Self::Chat => Form::Chat,
            Self::Responses => Form::Responses,
            Self::Generate | Self::StreamGenerate => Form::Gemini,
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Chat => "chat/completions",
            Self::Responses => "responses",
            Self::Generate => "generateContent",
            Self::StreamGenerate => "streamGenerateContent",
        })
    }
}

/// In whose words an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Anthropic,
    Chat,
    Responses,
    Gemini,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// A call.
    Call {
        api: Api,
        /// The model, where the path names it.
        model: Option<String>,
    },
    /// `GET /v1/models`.
    Models(Form),
    /// Nothing that is here.
    Nowhere(Form),
}

impl Route {
    /// Reads method and path. There are no others than these: whatever else a provider offers may cost something else.
    pub(super) fn of(method: &Method, path: &str, headers: &HeaderMap) -> Self {
        let call = |api| Self::Call { api, model: None };
        match (method, path) {
            (&Method::POST, "/v1/messages") => call(Api::Messages),
            (&Method::POST, "/v1/messages/count_tokens") => call(Api::CountTokens),
            (&Method::POST, "/v1/chat/completions") => call(Api::Chat),
            (&Method::POST, "/v1/responses") => call(Api::Responses),
            (&Method::GET, "/v1/models") => Self::Models(guessed(path, headers)),
            (&Method::POST, _) => gemini(path).unwrap_or_else(|| Self::Nowhere(guessed(path, headers))),
            _ => Self::Nowhere(guessed(path, headers)),
        }
    }

    pub(super) fn form(&self) -> Form {
        match self {
            Self::Call { api, .. } => api.form(),
            Self::Models(form) | Self::Nowhere(form) => *form,
        }
    }
}

fn gemini(path: &str) -> Option<Route> {
    let (model, verb) = path.strip_prefix("/v1beta/models/")?.split_once(':')?;
    let api = match verb {
        "generateContent" => Api::Generate,
        "streamGenerateContent" => Api::StreamGenerate,
        _ => return None,
    };
    Some(Route::Call { api, model: Some(model.to_owned()) })
}

/// Whose client asks, where the path does not say it: each shows its key in a header of its own.
fn guessed(path: &str, headers: &HeaderMap) -> Form {
    if headers.contains_key("x-goog-api-key") || path.starts_with("/v1beta") {
        Form::Gemini
    } else if headers.contains_key("x-api-key") || headers.contains_key("anthropic-version") {
        Form::Anthropic
    } else if path.starts_with("/v1/responses") {
        Form::Responses
    } else {
        Form::Chat
    }
}

/// Everything that a request shows as its key. Vendors' agents differ in where they put it.
pub(super) fn keys<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> impl Iterator<Item = &'a str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let in_query = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("key="));
    [text("x-api-key"), bearer, text("x-goog-api-key"), in_query].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_let_through() {
        let none = HeaderMap::new();
        let call = |path: &str| match Route::of(&Method::POST, path, &none) {
            Route::Call { api, model } => Some((api, model)),
            Route::Models(_) | Route::Nowhere(_) => None,
        };
        assert_eq!(call("/v1/messages"), Some((Api::Messages, None)));
        assert_eq!(call("/v1/responses"), Some((Api::Responses, None)));
        let gemini = Some((Api::StreamGenerate, Some("gemini-2.5-pro".to_owned())));
        assert_eq!(call("/v1beta/models/gemini-2.5-pro:streamGenerateContent"), gemini);
        for path in [
            "/v1/messages/batches",
            "/v1/messages/",
            "//v1/messages",
            "/v1/embeddings",
            "/v1/responses/compact",
            "/v1/files",
            "/v1beta/models/gemini-2.5-pro:batchGenerateContent",
            "/v1beta/cachedContents",
            "/",
        ] {
            assert_eq!(call(path), None, "{path}");
        }
        assert!(matches!(Route::of(&Method::GET, "/v1/messages", &none), Route::Nowhere(_)));
    }
}
