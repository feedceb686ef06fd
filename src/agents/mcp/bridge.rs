//! `pairbot mcp`: what the agent starts in its cage. It holds no state and checks nothing.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Implementation,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler, ServiceExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use super::wire::{Answer, Ask, LINE_BYTES_MAX, Question, Say, VERSION, line};
use crate::agents::lines::Lines;

/// Serves MCP on standard input and output until the input ends.
pub async fn serve(socket: &Path) -> anyhow::Result<()> {
    let bridge = Bridge { socket: socket.to_owned() };
    let service = bridge.serve((tokio::io::stdin(), tokio::io::stdout())).await?;
    service.waiting().await?;
    Ok(())
}

#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) socket: PathBuf,
}

impl Bridge {
    async fn ask(&self, ask: Ask) -> Result<Say, ErrorData> {
        let asked = ask_socket(&self.socket, ask).await;
        asked.map_err(|error| ErrorData::internal_error(format!("{error:#}"), None))
    }
}

async fn ask_socket(socket: &Path, ask: Ask) -> anyhow::Result<Say> {
    let question = line(&Question { version: VERSION, ask }).map_err(anyhow::Error::msg)?;
    let stream = UnixStream::connect(socket).await.context("the task is over")?;
    let (reader, mut writer) = stream.into_split();
    writer.write_all(&question).await.context("the task is over")?;
    let mut lines = Lines::new(reader, LINE_BYTES_MAX, u64::MAX);
    let text = lines.next().await?.context("the task ended before it answered")?;
    let answer: Answer = serde_json::from_slice(&text)?;
    anyhow::ensure!(answer.version == VERSION, "the server speaks another version than this program");
    Ok(answer.say)
}

impl ServerHandler for Bridge {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("pairbot", env!("CARGO_PKG_VERSION")))
            .with_instructions("The task you work on: what is asked, and where to hand in what you made.")
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        match self.ask(Ask::Tools).await? {
            Say::Tools { tools } => {
                let tools = tools.into_iter().map(|tool| {
                    Tool::new(Cow::Owned(tool.name), Cow::Owned(tool.description), Arc::new(tool.schema))
                });
                Ok(ListToolsResult::with_all_items(tools.collect()))
            }
            Say::Said { text: why, .. } | Say::Refused { why } => Err(ErrorData::internal_error(why, None)),
        }
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = serde_json::Value::Object(request.arguments.unwrap_or_default());
        match self.ask(Ask::Call { tool: request.name.into_owned(), arguments }).await? {
            Say::Said { text, is_error } => {
                let content = vec![ContentBlock::text(text)];
                let result =
                    if is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
                Ok(result.into())
            }
            Say::Refused { why } => Err(ErrorData::internal_error(why, None)),
            Say::Tools { .. } => {
                Err(ErrorData::internal_error("tools were told where none were asked for", None))
            }
        }
    }
}
