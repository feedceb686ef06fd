//! What a model can do in a worktree, one file a tool.
//!
//! Everything is bounded: how large a file may be, how much an answer says, how long a command runs. An error is text
//! for the model, which tries again; nothing here ends a task: the two tools that do are in [`desk`](crate::agents::desk).

mod delete_file;
mod edit_file;
mod list_files;
pub(crate) mod place;
mod read_file;
mod run_command;
mod search;
mod walk;
mod write_file;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use self::place::Root;
use crate::adapters::on_disk;
use crate::agents::desk::parse;
use crate::agents::untrusted::{code, cut};
use crate::gateway::ToolSpec;
use crate::sandbox::Sandbox;

/// The most that one tool answers.
const ANSWER_BYTES_MAX: usize = 48 * 1024;

/// What a tool says: an answer, or what was wrong. The model reads both.
pub(crate) type Said = Result<String, String>;

/// A tool of a worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    ListFiles,
    Search,
    ReadFile,
    EditFile,
    WriteFile,
    DeleteFile,
    RunCommand,
}

impl Tool {
    fn spec(self) -> ToolSpec {
        match self {
            Self::ListFiles => list_files::spec(),
            Self::Search => search::spec(),
            Self::ReadFile => read_file::spec(),
            Self::EditFile => edit_file::spec(),
            Self::WriteFile => write_file::spec(),
            Self::DeleteFile => delete_file::spec(),
            Self::RunCommand => run_command::spec(),
        }
    }
}

/// What a creator may write with.
#[derive(Debug, Clone)]
pub(crate) struct WriteAccess {
    /// A directory for temporary files.
    pub(crate) scratch: PathBuf,
    /// Where the agent's commands run, if any do, and how long each may take.
    pub(crate) commands: Option<(Arc<dyn Sandbox>, Duration)>,
}

/// The tools of one task.
#[derive(Debug, Clone)]
pub(crate) struct Toolbox {
    root: Arc<Root>,
    write: Option<WriteAccess>,
}

impl Toolbox {
    pub(crate) fn reading(root: Root) -> Self {
        Self { root: Arc::new(root), write: None }
    }

    pub(crate) fn writing(root: Root, access: WriteAccess) -> Self {
        Self { root: Arc::new(root), write: Some(access) }
    }

    fn tools(&self) -> Vec<Tool> {
        let mut tools = vec![Tool::ListFiles, Tool::Search, Tool::ReadFile];
        if let Some(access) = &self.write {
            tools.extend([Tool::EditFile, Tool::WriteFile, Tool::DeleteFile]);
            tools.extend(access.commands.is_some().then_some(Tool::RunCommand));
        }
        tools
    }

    pub(crate) fn specs(&self) -> Vec<ToolSpec> {
        self.tools().into_iter().map(Tool::spec).collect()
    }

    /// Whether a tool of this name may change files.
    pub(super) fn may_write(name: &str) -> bool {
        let writing = [Tool::EditFile, Tool::WriteFile, Tool::DeleteFile, Tool::RunCommand];
        writing.into_iter().any(|tool| tool.spec().name == name)
    }

    /// Runs a tool by its name. A command gets at most `time_left`.
    pub(crate) async fn run(&self, name: &str, arguments: Value, time_left: Duration) -> Said {
        let Some(tool) = self.tools().into_iter().find(|tool| tool.spec().name == name) else {
            let names: Vec<&str> = self.specs().iter().map(|spec| spec.name).collect();
            let asked: String = name.chars().take(60).collect();
            return Err(format!("there is no tool `{}`; there are {}", code(&asked), names.join(", ")));
        };
        if let (Tool::RunCommand, Some(access)) = (tool, &self.write) {
            return bounded(run_command::run(&self.root, access, arguments, time_left).await);
        }
        let toolbox = self.clone();
        let done = on_disk(move || Ok(toolbox.run_on_files(tool, arguments))).await;
        bounded(done.unwrap_or_else(|error| Err(format!("the tool failed: {error}"))))
    }

    fn run_on_files(&self, tool: Tool, arguments: Value) -> Said {
        match (tool, &self.write) {
            (Tool::ListFiles, _) => list_files::run(&self.root, parse(arguments)?),
            (Tool::Search, _) => search::run(&self.root, parse(arguments)?),
            (Tool::ReadFile, _) => read_file::run(&self.root, &parse(arguments)?),
            (Tool::EditFile, Some(access)) => edit_file::run(&self.root, &access.scratch, parse(arguments)?),
            (Tool::WriteFile, Some(access)) => {
                write_file::run(&self.root, &access.scratch, parse(arguments)?)
            }
            (Tool::DeleteFile, Some(_)) => delete_file::run(&self.root, &parse(arguments)?),
            (Tool::EditFile | Tool::WriteFile | Tool::DeleteFile, None) | (Tool::RunCommand, _) => {
                Err("this worktree is only read".to_owned())
            }
        }
    }
}

fn bounded(said: Said) -> Said {
    said.map(|text| cut(&text, ANSWER_BYTES_MAX)).map_err(|text| cut(&text, ANSWER_BYTES_MAX))
}

/// Whether a file's beginning says that it is no text, as git decides it.
fn is_binary(content: &[u8]) -> bool {
    content.iter().take(8_000).any(|byte| *byte == 0)
}

#[cfg(test)]
mod tests;
