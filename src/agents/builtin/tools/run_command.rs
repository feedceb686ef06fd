//! `run_command`: a shell command in the worktree, with an empty environment.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::place::Root;
use super::{Said, WriteAccess, parse};
use crate::adapters::on_disk;
use crate::agents::untrusted::code;
use crate::gateway::ToolSpec;
use crate::ports::{CommandSpec, Ending, Finished};
use crate::sandbox::{Cage, TreeAccess};

const COMMAND_BYTES_MAX: usize = 16 * 1024;
/// What is kept of each stream. Beyond what is shown, so that the end of a long log can be shown too.
const STREAM_BYTES_MAX: usize = 256 * 1024;
/// What is shown of a stream's beginning and of its end, where errors stand.
const HEAD_BYTES_MAX: usize = 4 * 1024;
const TAIL_BYTES_MAX: usize = 12 * 1024;

#[derive(Deserialize)]
struct Arguments {
    command: String,
}

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: "run_command",
        description:
            "Runs a command with `sh -c` at the top of the worktree, for instance the tests. It has no \
                      credentials, reads nothing on standard input, and is killed when it takes too long."
                .to_owned(),
        schema: json!({
            "type": "object",
            "properties": { "command": { "type": "string" } },
            "required": ["command"],
        }),
    }
}

pub(super) async fn run(root: &Root, access: &WriteAccess, arguments: Value, time_left: Duration) -> Said {
    let Arguments { command } = parse(arguments)?;
    let Some((sandbox, timeout)) = &access.commands else {
        return Err("commands are not allowed here".to_owned());
    };
    if command.len() > COMMAND_BYTES_MAX || command.contains('\0') {
        return Err(format!("the command is longer than {COMMAND_BYTES_MAX} bytes or holds a zero byte"));
    }
    let variable = |name: &str, value: String| (name.to_owned(), value);
    let environment = BTreeMap::from([
        variable("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        variable("TERM", "dumb".to_owned()),
        variable("LANG", "C.UTF-8".to_owned()),
    ]);
    let timeout = (*timeout).min(time_left);
    let spec = CommandSpec {
        program: "sh".to_owned(),
        arguments: vec!["-c".to_owned(), command],
        directory: root.path().to_owned(),
        environment,
        stdin: Vec::new(),
        timeout,
        output_bytes_max: STREAM_BYTES_MAX,
    };
    // Kept from command to command, and apart from the files that are on their way into the worktree.
    let home = access.scratch.join("home");
    let made = home.clone();
    let made = on_disk(move || std::fs::create_dir_all(made)).await;
    made.map_err(|error| format!("the command's home cannot be made: {error}"))?;
    let cage = Cage::around(root.path().to_owned(), TreeAccess::Write, home);
    let finished = sandbox.run(spec, &cage).await.map_err(|error| error.to_string())?;
    Ok(report(&finished, timeout))
}

/// A command that fails is still an answer: its exit code and output are what the model asked for.
fn report(finished: &Finished, timeout: Duration) -> String {
    let ending = match finished.ending {
        Ending::Exited(number) => format!("exit code {number}"),
        Ending::Signalled(signal) => format!("ended by signal {signal}"),
        Ending::TimedOut => format!("killed after {} seconds", timeout.as_secs()),
    };
    let dropped = if finished.truncated { "\n[the output was longer than is kept]" } else { "" };
    format!("{ending}{dropped}\n{}{}", stream("stdout", &finished.stdout), stream("stderr", &finished.stderr))
}

fn stream(name: &str, bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return format!("{name}: (empty)\n");
    }
    let text = code(&String::from_utf8_lossy(bytes));
    if text.len() <= HEAD_BYTES_MAX + TAIL_BYTES_MAX {
        return format!("{name}:\n{text}\n");
    }
    let head = text.get(..text.floor_char_boundary(HEAD_BYTES_MAX)).unwrap_or_default();
    let tail = text.get(text.ceil_char_boundary(text.len() - TAIL_BYTES_MAX)..).unwrap_or_default();
    let between = text.len() - head.len() - tail.len();
    format!("{name}:\n{head}\n[{between} bytes are not shown]\n{tail}\n")
}
