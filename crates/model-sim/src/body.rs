//! The bytes of an answer, in the pieces in which they arrive, up to where they break off.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::header;

use crate::refusal::Refusal;
use crate::request::{Form, Request};
use crate::usage::Usage;
use crate::written::Written;
use crate::{anthropic, gemini, openai, responses};

/// Bytes of one piece of an event stream. A network does not keep to frames or characters, and neither does this.
const PIECE_BYTES: usize = 173;

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As it should.
    Whole,
    /// In its middle, with a broken connection.
    Cut,
    /// In its middle, with an error event.
    Error,
    /// In its middle, with nothing more.
    Silence,
}

/// The answer to a valid call.
pub(crate) fn answer(request: &Request, written: &Written, usage: Usage, ending: Ending) -> Response {
    let model = &request.conversation.model;
    if !request.streamed {
        let document = match request.form {
            Form::Messages => anthropic::write::document(model, written, usage),
            Form::Chat => openai::write::document(model, written, usage),
            Form::Responses => responses::write::document(model, written, usage),
            Form::Generate => gemini::write::document(model, written, usage),
            Form::GenerateList => gemini::write::list(model, written, usage),
        };
        let half = document.get(..document.floor_char_boundary(document.len() / 2)).unwrap_or_default();
        let sent = if ending == Ending::Whole { &document } else { half };
        return response("application/json", sent.as_bytes(), ending);
    }
    let frames = match request.form {
        Form::Messages => anthropic::write::frames(model, written, usage),
        Form::Chat => openai::write::frames(model, written, usage, request.usage_in_stream),
        Form::Responses => responses::write::frames(model, written, usage),
        Form::Generate | Form::GenerateList => gemini::write::frames(model, written, usage),
    };
    let mut sent = match ending {
        Ending::Whole => frames.concat(),
        Ending::Cut | Ending::Error | Ending::Silence => first_half(&frames),
    };
    if ending == Ending::Error {
        let overloaded = Refusal::new(529, "Overloaded");
        sent.push_str(&match request.form {
            Form::Messages => anthropic::write::error_frame(&overloaded),
            Form::Chat => openai::write::error_frame(&overloaded),
            Form::Responses => responses::write::error_frame(&overloaded),
            Form::Generate | Form::GenerateList => gemini::write::error_frame(&overloaded),
        });
    }
    response("text/event-stream; charset=utf-8", sent.as_bytes(), ending)
}

/// Frames up to the middle of a tool's arguments, or of all frames where no tool is called.
fn first_half(frames: &[String]) -> String {
    let signs = ["input_json_delta", "\"tool_calls\":[", "function_call_arguments.delta", "\"functionCall\""];
    let is_argument = |frame: &String| signs.iter().any(|sign| frame.contains(sign));
    let arguments: Vec<usize> =
        frames.iter().enumerate().filter(|(_, frame)| is_argument(frame)).map(|(at, _)| at).collect();
    let middle = arguments.get(arguments.len() / 2).copied().unwrap_or(frames.len() / 2);
    frames.iter().take(middle.max(1)).map(String::as_str).collect()
}

/// Bytes that no client can read.
pub(crate) fn garbage() -> Response {
    let bytes: Vec<u8> = (0..=u8::MAX).rev().cycle().take(1_000).collect();
    response("text/event-stream; charset=utf-8", &bytes, Ending::Whole)
}

fn response(content_type: &'static str, bytes: &[u8], ending: Ending) -> Response {
    let pieces: Vec<Result<Bytes, Broken>> =
        bytes.chunks(PIECE_BYTES).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let tail: std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>> = match ending {
        Ending::Whole | Ending::Error => Box::pin(stream::empty()),
        // The server drops what it has not sent when it breaks a connection; it sends when it is made to wait.
        Ending::Cut => Box::pin(stream::once(async {
            tokio::task::yield_now().await;
            Err(Broken)
        })),
        Ending::Silence => Box::pin(stream::pending()),
    };
    let body = Body::from_stream(stream::iter(pieces).chain(tail));
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// Tells the server to break the connection.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken on purpose")]
struct Broken;
