//! Gemini's `generateContent`: <https://ai.google.dev/api/generate-content>.

pub(crate) mod read;
pub(crate) mod write;
