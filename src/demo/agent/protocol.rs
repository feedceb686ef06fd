//! The agent's end of the Agent Client Protocol, version 1, over standard input and output.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines, Stdin, Stdout};

use super::hands::{Hands, Server};
use super::model::Model;
use super::{Audience, turn};

/// The one session.
const SESSION: &str = "scripted";

/// Serves until the input ends.
pub async fn serve() -> anyhow::Result<()> {
    let mut wire =
        Wire { lines: BufReader::new(tokio::io::stdin()).lines(), output: tokio::io::stdout(), asked: 0 };
    let model = Model::of_environment()?;
    let mut session = None;
    while let Some(message) = wire.read().await? {
        let Some(id) = message.get("id").cloned() else { continue };
        let given = message.get("params").cloned().unwrap_or_default();
        match message.get("method").and_then(Value::as_str) {
            Some("initialize") => {
                let result = json!({ "protocolVersion": 1, "agentCapabilities": {}, "authMethods": [] });
                wire.answer(&id, &result).await?;
            }
            Some("session/new") => {
                session = Some(open(&given).await?);
                let choices =
                    json!({ "currentModeId": "ask", "availableModes": [{ "id": "ask", "name": "Ask" }] });
                wire.answer(&id, &json!({ "sessionId": SESSION, "modes": choices })).await?;
            }
            Some("session/prompt") => {
                let opened = session.clone().context("there is no session")?;
                prompt(&mut wire, &model, &opened, &id, &given).await?;
            }
            _ => wire.refuse(&id).await?,
        }
    }
    Ok(())
}

async fn open(params: &Value) -> anyhow::Result<Arc<Hands>> {
    let directory = params.get("cwd").and_then(Value::as_str).context("`cwd` is missing")?;
    std::env::set_current_dir(directory)?;
    let server = params.pointer("/mcpServers/0").map(|server| {
        let arguments = server.get("args").and_then(Value::as_array).cloned().unwrap_or_default();
        Server {
            program: server.get("command").and_then(Value::as_str).unwrap_or_default().to_owned(),
            arguments: arguments.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    });
    Hands::start(server).await
}

async fn prompt(
    wire: &mut Wire,
    model: &Model,
    hands: &Arc<Hands>,
    id: &Value,
    params: &Value,
) -> anyhow::Result<()> {
    let text = params.pointer("/prompt/0/text").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut stage = OnStage { wire, permitted: false, cancelled: false };
    let ended = turn(model, hands, &text, &mut stage).await;
    let cancelled = stage.cancelled;
    match ended {
        Ok(()) => wire.answer(id, &json!({ "stopReason": "end_turn" })).await,
        Err(_) if cancelled => wire.answer(id, &json!({ "stopReason": "cancelled" })).await,
        Err(error) => {
            let error = json!({ "code": -32603, "message": format!("{error:#}") });
            wire.write(&json!({ "jsonrpc": "2.0", "id": id, "error": error })).await
        }
    }
}

/// Tells the client what happens, and asks it once whether it may.
struct OnStage<'a> {
    wire: &'a mut Wire,
    permitted: bool,
    cancelled: bool,
}

impl Audience for OnStage<'_> {
    async fn said(&mut self, text: &str) -> anyhow::Result<()> {
        let content = json!({ "type": "text", "text": text });
        self.wire.update(&json!({ "sessionUpdate": "agent_message_chunk", "content": content })).await
    }

    async fn calls(&mut self, tool: &str) -> anyhow::Result<bool> {
        let call =
            json!({ "sessionUpdate": "tool_call", "toolCallId": tool, "title": tool, "status": "pending" });
        self.wire.update(&call).await?;
        if !self.permitted {
            // The options stand in an order that only a client gets right that goes by their kind.
            let option = |id: &str, kind: &str| json!({ "optionId": id, "name": id, "kind": kind });
            let options =
                [option("no", "reject_once"), option("ever", "allow_always"), option("yes", "allow_once")];
            let asked = json!({ "sessionId": SESSION, "toolCall": { "title": tool }, "options": options });
            let outcome = self.wire.ask("session/request_permission", &asked).await?;
            self.cancelled = outcome.pointer("/outcome/outcome").and_then(Value::as_str) == Some("cancelled");
            anyhow::ensure!(!self.cancelled, "cancelled");
            self.permitted = outcome.pointer("/outcome/optionId").and_then(Value::as_str) == Some("yes");
        }
        Ok(self.permitted)
    }
}

/// One message a line.
struct Wire {
    lines: Lines<BufReader<Stdin>>,
    output: Stdout,
    asked: u64,
}

impl Wire {
    async fn read(&mut self) -> anyhow::Result<Option<Value>> {
        match self.lines.next_line().await? {
            Some(line) => Ok(Some(serde_json::from_str(&line)?)),
            None => Ok(None),
        }
    }

    async fn write(&mut self, message: &Value) -> anyhow::Result<()> {
        self.output.write_all(format!("{message}\n").as_bytes()).await?;
        Ok(self.output.flush().await?)
    }

    async fn answer(&mut self, id: &Value, result: &Value) -> anyhow::Result<()> {
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "result": result })).await
    }

    async fn refuse(&mut self, id: &Value) -> anyhow::Result<()> {
        let error = json!({ "code": -32601, "message": "not found" });
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "error": error })).await
    }

    async fn update(&mut self, update: &Value) -> anyhow::Result<()> {
        let params = json!({ "sessionId": SESSION, "update": update });
        self.write(&json!({ "jsonrpc": "2.0", "method": "session/update", "params": params })).await
    }

    /// Asks the client, and waits for its answer.
    async fn ask(&mut self, method: &str, params: &Value) -> anyhow::Result<Value> {
        self.asked += 1;
        let id = json!(format!("ask-{}", self.asked));
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await?;
        while let Some(message) = self.read().await? {
            if message.get("id") == Some(&id) {
                return Ok(message.get("result").cloned().unwrap_or_default());
            }
        }
        anyhow::bail!("the client went away")
    }
}
