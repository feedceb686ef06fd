//! One message of JSON-RPC 2.0, told apart (<https://www.jsonrpc.org/specification>).

use serde_json::{Value, json};

use super::fault::Fault;
use crate::agents::untrusted::line;

/// How much of a strange message is quoted.
const QUOTED_BYTES_MAX: usize = 200;

/// "Method not found".
const NOT_FOUND: i64 = -32601;

/// What came in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Incoming {
    /// Something is asked of us. The id is sent back as it came.
    Request { id: Value, method: String, params: Value },
    /// Something is told.
    Notification { method: String, params: Value },
    /// Something that we asked is answered.
    Answer { id: Value, result: Result<Value, Refusal> },
}

/// An answer that says no.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) message: String,
}

/// Reads one line. Nothing is guessed: what is not exactly one message is a fault.
pub(super) fn read(bytes: &[u8]) -> Result<Incoming, Fault> {
    let quoted =
        || line(&String::from_utf8_lossy(bytes.get(..QUOTED_BYTES_MAX).unwrap_or(bytes)), QUOTED_BYTES_MAX);
    let value: Value = serde_json::from_slice(bytes).map_err(|_| Fault::NotJson(quoted()))?;
    let Value::Object(mut fields) = value else { return Err(Fault::NotJsonRpc(quoted())) };
    if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(Fault::NotJsonRpc(quoted()));
    }
    let id = fields.remove("id");
    if !matches!(id, None | Some(Value::Null | Value::String(_) | Value::Number(_))) {
        return Err(Fault::NotJsonRpc(quoted()));
    }
    let params = fields.remove("params").unwrap_or(Value::Null);
    match (fields.remove("method"), id, fields.remove("result"), fields.remove("error")) {
        (Some(Value::String(method)), Some(id), None, None) => Ok(Incoming::Request { id, method, params }),
        (Some(Value::String(method)), None, None, None) => Ok(Incoming::Notification { method, params }),
        (None, Some(id), Some(result), None) => Ok(Incoming::Answer { id, result: Ok(result) }),
        // Some write `"result": null` beside an error.
        (None, Some(id), None | Some(Value::Null), Some(Value::Object(error))) => {
            let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
            let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
            let data = error.get("data").filter(|data| !data.is_null()).map(Value::to_string);
            let message = line(&[message, &data.unwrap_or_default()].join(" "), 2 * QUOTED_BYTES_MAX);
            Ok(Incoming::Answer { id, result: Err(Refusal { code, message }) })
        }
        _ => Err(Fault::NotJsonRpc(quoted())),
    }
}

pub(super) fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

pub(super) fn notification(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

pub(super) fn answer(id: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

pub(super) fn not_found(id: &Value, method: &str) -> Value {
    let message = format!("`{}` is not offered here", line(method, 80));
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": NOT_FOUND, "message": message } })
}
