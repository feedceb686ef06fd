//! What the scripted agent can do: work on files and run commands where it stands, and call the tools of the MCP server
//! it is given.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::RunningService;
use rmcp::{RoleClient, ServiceExt as _};
use serde_json::{Value, json};

use crate::adapters::SystemSpawner;
use crate::agents::builtin::tools::place::Root;
use crate::agents::builtin::tools::{Toolbox, WriteAccess};
use crate::ports::{CommandSpec, Process, Spawner, Started};
use crate::sandbox::Uncaged;

/// How long one command may take.
const COMMAND_WITHIN: Duration = Duration::from_mins(5);
/// How long the MCP server may live.
const SERVER_WITHIN: Duration = Duration::from_hours(4);

/// How the MCP server is started.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
}

/// The tools at hand.
pub(super) struct Hands {
    own: Toolbox,
    task: Option<Task>,
}

/// The task's tools.
struct Task {
    service: RunningService<RoleClient, ()>,
    tools: Vec<rmcp::model::Tool>,
    _process: Box<dyn Process>,
}

impl Hands {
    pub(super) async fn start(server: Option<Server>) -> anyhow::Result<Arc<Self>> {
        let here = std::env::current_dir()?;
        let scratch = std::env::temp_dir();
        // The cage is around this whole program already.
        let commands: Arc<dyn crate::sandbox::Sandbox> = Arc::new(Uncaged::accepted(Arc::new(SystemSpawner)));
        let access = WriteAccess { scratch, commands: Some((commands, COMMAND_WITHIN)) };
        let own = Toolbox::writing(Root::open(&here)?, access);
        let task = match server {
            Some(server) => Some(Task::start(server, here).await.context("the MCP server")?),
            None => None,
        };
        Ok(Arc::new(Self { own, task }))
    }

    /// All tools, as the Messages API takes them.
    pub(super) fn tools(&self) -> Vec<Value> {
        let own = self.own.specs().into_iter().map(
            |spec| json!({ "name": spec.name, "description": spec.description, "input_schema": spec.schema }),
        );
        let task = self.task.iter().flat_map(|task| &task.tools).map(|tool| {
            json!({
                "name": tool.name,
                "description": tool.description,
                "input_schema": Value::Object(tool.input_schema.as_ref().clone()),
            })
        });
        own.chain(task).collect()
    }

    pub(super) async fn call(&self, name: &str, arguments: Value) -> Result<String, String> {
        let task = self.task.as_ref().filter(|task| task.tools.iter().any(|tool| tool.name == name));
        let Some(task) = task else { return self.own.run(name, arguments, COMMAND_WITHIN).await };
        let mut request = CallToolRequestParams::new(name.to_owned());
        if let Value::Object(arguments) = arguments {
            request = request.with_arguments(arguments);
        }
        let called = task.service.call_tool(request).await.map_err(|error| error.to_string())?;
        said(&called)
    }
}

fn said(result: &CallToolResult) -> Result<String, String> {
    let texts = result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.as_str());
    let text: Vec<&str> = texts.collect();
    let text = text.join("\n");
    if result.is_error == Some(true) { Err(text) } else { Ok(text) }
}

impl Task {
    async fn start(server: Server, directory: PathBuf) -> anyhow::Result<Self> {
        let environment: BTreeMap<String, String> = std::env::vars().collect();
        let command = CommandSpec {
            program: server.program,
            arguments: server.arguments,
            directory,
            environment,
            stdin: Vec::new(),
            timeout: SERVER_WITHIN,
            output_bytes_max: 0,
        };
        let Started { stdin, stdout, stderr: _, process } = SystemSpawner.start(command).await?;
        let service = ().serve((stdout, stdin)).await?;
        let tools = service.list_all_tools().await?;
        Ok(Self { service, tools, _process: process })
    }
}
