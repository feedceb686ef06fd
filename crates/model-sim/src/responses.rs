//! `OpenAI` Responses: <https://platform.openai.com/docs/api-reference/responses>.

pub(crate) mod read;
pub(crate) mod write;
