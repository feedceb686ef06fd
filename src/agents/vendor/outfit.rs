//! What one agent is given for one task: its cage, its command line, its environment, the files in its home.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::program;
use super::spec::AgentSpec;
use crate::adapters::on_disk;
use crate::agents::outcome::AgentFailure;
use crate::ports::CommandSpec;
use crate::sandbox::{self, Cage, Sandbox, Socket, TreeAccess};

/// The names that arguments, standard input, environment and files of an agent may hold in braces.
pub const PLACEHOLDERS: [&str; 8] =
    ["gateway", "home", "model", "pairbot", "prompt", "prompt_file", "task_socket", "token"];

/// The longest argument that Linux takes is 128 KiB (`MAX_ARG_STRLEN`); a longer prompt is read from its file.
const ARGUMENT_BYTES_MAX: usize = 100 * 1024;
/// What is kept of an agent's output.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// Where the gateway is reached in a network of one's own.
const PORT: u16 = 8080;

/// What the outfit is made from.
pub(super) struct Needs<'a> {
    pub(super) spec: &'a AgentSpec,
    pub(super) sandbox: &'a dyn Sandbox,
    /// Our own program, which relays to the gateway and serves MCP in the cage.
    pub(super) own_program: &'a Path,
    pub(super) search_path: &'a str,
    pub(super) worktree: &'a Path,
    pub(super) access: TreeAccess,
    /// An empty directory of this task alone.
    pub(super) scratch: &'a Path,
    pub(super) gateway_socket: &'a Path,
    pub(super) task_socket: &'a Path,
    /// Where the gateway is reached, where networks are shared.
    pub(super) shared_port: u16,
    pub(super) token: &'a SecretString,
    pub(super) model: &'a str,
    pub(super) prompt: &'a str,
    pub(super) timeout: Duration,
}

/// An agent ready to be started.
#[derive(Debug)]
pub(super) struct Outfit {
    pub(super) cage: Cage,
    pub(super) command: CommandSpec,
    /// The worktree as the agent sees it.
    pub(super) directory: String,
    /// The MCP server as the agent starts it: program and arguments.
    pub(super) server: (String, Vec<String>),
    pub(super) meta: Option<String>,
}

impl Outfit {
    pub(super) async fn make(needs: &Needs<'_>) -> Result<Self, AgentFailure> {
        let spec = needs.spec;
        let program = program::find(&spec.program, needs.search_path).ok_or_else(|| {
            AgentFailure::Vendor(format!(
                "the agent `{}` is allowed on this server, but its program `{}` is not there; its operator can install \
                 it or name its full path",
                spec.name, spec.program
            ))
        })?;
        let home = needs.scratch.join("home");
        let cage = cage(needs, &program, &home);
        let inside = |path: &Path| needs.sandbox.inside(&cage, path).to_string_lossy().into_owned();
        let port = match needs.sandbox.standing() {
            sandbox::Standing::Bubblewrap { .. }
            | sandbox::Standing::UserSlot { .. }
            | sandbox::Standing::Unavailable { .. } => PORT,
            sandbox::Standing::NoneAccepted => needs.shared_port,
        };
        let prompt_file = home.join("task.md");
        let prompt = if needs.prompt.len() <= ARGUMENT_BYTES_MAX {
            needs.prompt.to_owned()
        } else {
            format!("Your task is in the file {}. Read all of it, and do what it says.", inside(&prompt_file))
        };
        let pairbot = inside(needs.own_program);
        let task_socket = inside(needs.task_socket);
        let gateway_socket = inside(needs.gateway_socket);
        let values = BTreeMap::from([
            ("gateway", format!("http://127.0.0.1:{port}")),
            ("home", inside(&home)),
            ("model", needs.model.to_owned()),
            ("pairbot", pairbot.clone()),
            ("prompt", prompt),
            ("prompt_file", inside(&prompt_file)),
            ("task_socket", task_socket.clone()),
            ("token", needs.token.expose_secret().to_owned()),
        ]);
        let fill = |template: &String| filled(template, &values);
        let mut files = vec![(prompt_file, needs.prompt.to_owned())];
        files.extend(spec.files.iter().map(|(path, text)| (home.join(path), fill(text))));
        write(home, files).await?;

        let mut environment = usual_environment(spec, &inside(&program));
        environment.extend(spec.environment.iter().map(|(name, value)| (name.clone(), fill(value))));
        let stdin =
            spec.stdin.as_ref().map(|template| filled(template, &with_whole_prompt(&values, needs.prompt)));
        let listen = format!("127.0.0.1:{port}");
        let mut arguments: Vec<String> =
            ["relay", "--listen", &listen, "--socket", &gateway_socket, "--"].map(str::to_owned).to_vec();
        arguments.push(inside(&program));
        arguments.extend(spec.arguments.iter().map(fill));
        let command = CommandSpec {
            program: pairbot.clone(),
            arguments,
            directory: needs.worktree.to_owned(),
            environment,
            stdin: stdin.unwrap_or_default().into_bytes(),
            timeout: needs.timeout,
            output_bytes_max: OUTPUT_BYTES_MAX,
        };
        let server = (pairbot, ["mcp", "--socket", &task_socket].map(str::to_owned).to_vec());
        let directory = inside(needs.worktree);
        Ok(Self { cage, command, directory, server, meta: spec.meta.as_ref().map(fill) })
    }
}

fn cage(needs: &Needs<'_>, program: &Path, home: &Path) -> Cage {
    let runtime = Path::new(sandbox::RUNTIME);
    let socket = |host: &Path, name: &str| Socket { host: host.to_owned(), inside: runtime.join(name) };
    let mut cage = Cage::around(needs.worktree.to_owned(), needs.access, home.to_owned());
    cage.sockets = vec![socket(needs.gateway_socket, "gateway.sock"), socket(needs.task_socket, "task.sock")];
    // Our own program is in every cage anyway.
    if program != needs.own_program {
        cage.read_only = program::folders(program);
    }
    cage.read_only.extend(needs.spec.read_only.iter().cloned());
    cage
}

/// What every agent has in its environment.
fn usual_environment(spec: &AgentSpec, program: &str) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::from([
        ("PATH".to_owned(), path_with(program)),
        ("TERM".to_owned(), "dumb".to_owned()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ]);
    // For agents that commit in their own repository; nobody reads those commits.
    for who in ["AUTHOR", "COMMITTER"] {
        environment.insert(format!("GIT_{who}_NAME"), spec.name.to_string());
        environment.insert(format!("GIT_{who}_EMAIL"), format!("{}@localhost", spec.name));
    }
    environment
}

/// The same values, and the prompt however long it is: standard input has no such limit as an argument has.
fn with_whole_prompt<'a>(values: &BTreeMap<&'a str, String>, prompt: &str) -> BTreeMap<&'a str, String> {
    let mut values = values.clone();
    values.insert("prompt", prompt.to_owned());
    values
}

fn path_with(program: &str) -> String {
    let own = Path::new(program).parent().map(|folder| folder.to_string_lossy().into_owned());
    let system = "/usr/local/bin:/usr/bin:/bin";
    match own {
        Some(own) if !own.is_empty() => format!("{own}:{system}"),
        Some(_) | None => system.to_owned(),
    }
}

/// Puts values into a template, each where its name stands in braces. What a value holds is not looked at again: a
/// prompt that says `{token}` is only words.
fn filled(template: &str, values: &BTreeMap<&str, String>) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let hit = after.split_once('}').and_then(|(name, behind)| Some((values.get(name)?, behind)));
        if let Some((value, behind)) = hit {
            text.push_str(value);
            rest = behind;
        } else {
            text.push('{');
            rest = after;
        }
    }
    text.push_str(rest);
    text
}

async fn write(home: PathBuf, files: Vec<(PathBuf, String)>) -> Result<(), AgentFailure> {
    let written = on_disk(move || {
        std::fs::create_dir_all(&home)?;
        for (path, text) in files {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, text)?;
        }
        Ok(())
    });
    written.await.map_err(|error| AgentFailure::Workspace(format!("the agent's home: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_prompt_says_in_braces_is_only_words() {
        let values = BTreeMap::from([("prompt", "say {token}".to_owned()), ("token", "secret".to_owned())]);
        assert_eq!(
            filled(r#"{"a": {prompt}, "b": {other}} {"#, &values),
            r#"{"a": say {token}, "b": {other}} {"#
        );
    }
}
