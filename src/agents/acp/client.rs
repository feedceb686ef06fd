//! The conversation: shake hands, open a session, prompt once, listen until the turn ends.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::message::{self, Incoming, Refusal};
use super::permission;
use crate::agents::lines::Lines;
use crate::agents::untrusted::line;

/// The version of the protocol.
const VERSION: u64 = 1;
/// The longest line. An update may carry a whole file twice.
const LINE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// What one agent may write in one task.
const BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// "Authentication required", a code of the protocol's own.
const AUTHENTICATION_REQUIRED: i64 = -32000;

/// How a session is to be.
#[derive(Debug, Clone)]
pub(in crate::agents) struct Session {
    /// Where the agent works, as it sees it.
    pub(in crate::agents) directory: String,
    /// The MCP server that it is given: name, program, arguments.
    pub(in crate::agents) server: (String, String, Vec<String>),
    /// What the session is set to, by the category of the option: `mode`, `model`. Where the agent does not know the
    /// value it stays as it is: its own default is not more dangerous, because of the cage.
    pub(in crate::agents) options: BTreeMap<String, String>,
    /// What only this agent understands (`_meta`).
    pub(in crate::agents) meta: Option<Value>,
}

/// How a turn ended, by the agent's word. It says nothing about what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agents) enum TurnEnd {
    /// It is done, or stopped at a limit of its own.
    Ended,
    /// The model declined.
    Refused,
    /// It was cancelled, as we told it.
    Cancelled,
}

/// Who hears what an agent does meanwhile.
#[async_trait]
pub(in crate::agents) trait Listener: Send {
    /// The agent's own words.
    async fn said(&mut self, text: &str) -> Result<(), Fault>;

    /// Something it does, in one line.
    async fn did(&mut self, what: &str) -> Result<(), Fault>;
}

/// The client's end of one conversation.
pub(in crate::agents) struct Client<'a, R, W> {
    lines: Lines<R>,
    writer: W,
    listener: &'a mut dyn Listener,
    /// Once cancelled, the turn is cancelled and its end is waited for.
    cancel: &'a CancellationToken,
    cancelled: bool,
    session: Option<String>,
    next_id: u64,
}

impl<'a, R: AsyncRead + Unpin + Send, W: AsyncWrite + Unpin + Send> Client<'a, R, W> {
    pub(in crate::agents) fn new(
        reader: R,
        writer: W,
        listener: &'a mut dyn Listener,
        cancel: &'a CancellationToken,
    ) -> Self {
        let lines = Lines::new(reader, LINE_BYTES_MAX, BYTES_MAX);
        Self { lines, writer, listener, cancel, cancelled: false, session: None, next_id: 0 }
    }

    /// Shakes hands, opens the session, and lets the agent take one turn.
    pub(in crate::agents) async fn converse(
        mut self,
        session: &Session,
        prompt: &str,
    ) -> Result<TurnEnd, Fault> {
        const METHOD: &str = "session/prompt";
        self.initialize().await?;
        let id = self.open(session).await?;
        self.session = Some(id.clone());
        let params = json!({ "sessionId": id, "prompt": [{ "type": "text", "text": prompt }] });
        let answer = self.request(METHOD, &params).await?;
        match answer.get("stopReason").and_then(Value::as_str) {
            Some("refusal") => Ok(TurnEnd::Refused),
            Some("cancelled") => Ok(TurnEnd::Cancelled),
            Some(_) => Ok(TurnEnd::Ended),
            None => Err(Fault::Incomplete { method: METHOD, missing: "stopReason" }),
        }
    }

    async fn initialize(&mut self) -> Result<(), Fault> {
        const METHOD: &str = "initialize";
        let params = json!({
            "protocolVersion": VERSION,
            "clientCapabilities": { "fs": { "readTextFile": false, "writeTextFile": false }, "terminal": false },
            "clientInfo": { "name": "pairbot", "version": env!("CARGO_PKG_VERSION") },
        });
        let answer = self.request(METHOD, &params).await?;
        match answer.get("protocolVersion") {
            Some(version) if version.as_u64() == Some(VERSION) => Ok(()),
            Some(version) => Err(Fault::WrongVersion(line(&version.to_string(), 40))),
            None => Err(Fault::Incomplete { method: METHOD, missing: "protocolVersion" }),
        }
    }

    async fn open(&mut self, session: &Session) -> Result<String, Fault> {
        const METHOD: &str = "session/new";
        let (name, program, arguments) = &session.server;
        let server = json!({ "name": name, "command": program, "args": arguments, "env": [] });
        let mut params = json!({ "cwd": session.directory, "mcpServers": [server] });
        if let (Value::Object(fields), Some(meta)) = (&mut params, &session.meta) {
            fields.insert("_meta".to_owned(), meta.clone());
        }
        let answer = self.request(METHOD, &params).await?;
        let id = answer.get("sessionId").and_then(Value::as_str);
        let id = id.ok_or(Fault::Incomplete { method: METHOD, missing: "sessionId" })?.to_owned();
        for (category, wanted) in &session.options {
            self.set(&id, &answer, category, wanted).await?;
        }
        Ok(id)
    }

    /// Sets one option of the session: by `configOptions`, which supersede modes, else by `modes`.
    async fn set(&mut self, id: &str, opened: &Value, category: &str, wanted: &str) -> Result<(), Fault> {
        let options = opened.get("configOptions").and_then(Value::as_array).map(Vec::as_slice);
        let of_category = |option: &&Value| option.get("category").and_then(Value::as_str) == Some(category);
        let option = options.unwrap_or_default().iter().find(of_category);
        if let Some(option) = option
            && offers(option, "options", "value", wanted)
        {
            let config = option.get("id").cloned().unwrap_or_default();
            let params = json!({ "sessionId": id, "configId": config, "value": wanted });
            return self.request("session/set_config_option", &params).await.map(drop);
        }
        let modes = opened.get("modes").unwrap_or(&Value::Null);
        if category == "mode" && offers(modes, "availableModes", "id", wanted) {
            let params = json!({ "sessionId": id, "modeId": wanted });
            return self.request("session/set_mode", &params).await.map(drop);
        }
        tracing::info!(category, wanted, "the agent does not offer this setting; it stays as it is");
        Ok(())
    }

    /// Asks, and handles whatever comes before the answer.
    async fn request(&mut self, method: &'static str, params: &Value) -> Result<Value, Fault> {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&message::request(id, method, params)).await?;
        loop {
            let incoming = {
                let next = self.lines.next();
                tokio::pin!(next);
                tokio::select! {
                    biased;
                    read = &mut next => Some(read?),
                    () = self.cancel.cancelled(), if !self.cancelled => None,
                }
            };
            match incoming {
                None => self.cancel_turn().await?,
                Some(None) => return Err(Fault::Ended),
                Some(Some(line)) if line.iter().all(u8::is_ascii_whitespace) => {}
                Some(Some(line)) => {
                    if let Some(result) = self.take(id, message::read(&line)?).await? {
                        return result.map_err(|refusal| refused(method, refusal));
                    }
                }
            }
        }
    }

    /// Handles a message; gives the answer, if it is the one that is waited for.
    async fn take(
        &mut self,
        waited_for: u64,
        incoming: Incoming,
    ) -> Result<Option<Result<Value, Refusal>>, Fault> {
        match incoming {
            Incoming::Answer { id, result } if id.as_u64() == Some(waited_for) => return Ok(Some(result)),
            Incoming::Answer { id, .. } => return Err(Fault::UnknownAnswer(line(&id.to_string(), 80))),
            Incoming::Request { id, method, params } if method == "session/request_permission" => {
                let title = params.pointer("/toolCall/title").and_then(Value::as_str).unwrap_or("a tool");
                self.listener.did(&format!("asks for permission: {}", line(title, 200))).await?;
                let outcome = permission::outcome(&params, self.cancelled);
                self.send(&message::answer(&id, &outcome)).await?;
            }
            Incoming::Request { id, method, .. } => self.send(&message::not_found(&id, &method)).await?,
            Incoming::Notification { method, params } if method == "session/update" => {
                self.update(&params).await?;
            }
            // Kinds that we do not know, and those that vendors add (`_…`), mean nothing here.
            Incoming::Notification { .. } => {}
        }
        Ok(None)
    }

    async fn update(&mut self, params: &Value) -> Result<(), Fault> {
        let Some(update) = params.get("update") else { return Ok(()) };
        let text = |pointer: &str| update.pointer(pointer).and_then(Value::as_str);
        match text("/sessionUpdate") {
            Some("agent_message_chunk") => match text("/content/text") {
                Some(said) => self.listener.said(said).await,
                None => Ok(()),
            },
            Some("tool_call") => {
                let title = line(text("/title").unwrap_or("a tool"), 200);
                self.listener.did(&format!("calls: {title}")).await
            }
            Some("tool_call_update") if text("/status") == Some("failed") => {
                let title = line(text("/title").unwrap_or("a tool"), 200);
                self.listener.did(&format!("a call failed: {title}")).await
            }
            // What an agent says of its costs, plans and settings is not believed, and so not kept.
            Some(_) | None => Ok(()),
        }
    }

    async fn cancel_turn(&mut self) -> Result<(), Fault> {
        self.cancelled = true;
        match self.session.clone() {
            Some(id) => {
                self.send(&message::notification("session/cancel", &json!({ "sessionId": id }))).await
            }
            // There is no turn to cancel yet, and none will begin.
            None => Err(Fault::Ended),
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), Fault> {
        let mut text = message.to_string();
        text.push('\n');
        let deaf = |error: std::io::Error| Fault::Deaf(error.to_string());
        self.writer.write_all(text.as_bytes()).await.map_err(deaf)?;
        self.writer.flush().await.map_err(deaf)
    }
}

/// Whether a list of choices, or of groups of them, has this one.
fn offers(of: &Value, list: &str, key: &str, wanted: &str) -> bool {
    let choices = of.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    choices.iter().any(|choice| {
        choice.get(key).and_then(Value::as_str) == Some(wanted)
            || choice.get("options").is_some_and(|_| offers(choice, "options", key, wanted))
    })
}

fn refused(method: &'static str, refusal: Refusal) -> Fault {
    let Refusal { code, message } = refusal;
    if code == AUTHENTICATION_REQUIRED {
        Fault::WantsCredentials(message)
    } else {
        Fault::Refused { method, code, message }
    }
}
