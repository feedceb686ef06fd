//! Command gates: a command of the repository ends with code 0 in the worktree of the head.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pairbot_protocol::signal::{GateReport, Verdict};

use super::{ChangedFile, output, report, unknown};
use crate::ports::{CommandSpec, Ending, Finished};
use crate::sandbox::{Cage, CageError, PROGRAM, Probe, Sandbox, Socket, Standing};
use crate::text::untrusted;

/// How much output is kept. Beyond, the beginning is shown and the rest is gone.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// How much of the end of the output is shown: what a person scrolls through, and what a ledger can bear.
const TAIL_BYTES_MAX: usize = 8 * 1024;
/// Where a command in a cage finds the way out, and the variables by which package managers are told.
const PROXY: &str = "127.0.0.1:3128";
const PROXY_VARIABLES: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
/// The cage's own loopback needs no way out.
const DIRECT: [(&str, &str); 2] =
    [("NO_PROXY", "localhost,127.0.0.1,::1"), ("no_proxy", "localhost,127.0.0.1,::1")];
/// Codes by which a POSIX shell says that it could not execute (126) or find (127) a command.
const NOT_EXECUTED: [i32; 2] = [126, 127];
/// The signal that the kernel sends where memory ran out. It says nothing about the change.
const KILLED: i32 = 9;

/// What a command gate needs besides the policy's words.
#[derive(Debug, Clone)]
pub struct CommandRun {
    /// What `sh -c` is given.
    pub run: String,
    /// How long it may take.
    pub timeout: Duration,
    /// What surrounds it: a worktree of the head, which the command may dirty, and an empty home.
    pub cage: Cage,
    /// Where programs are looked for.
    pub search_path: String,
    /// The one way out of the cage, if the operator opened any; in the cage already.
    pub egress: Option<Socket>,
}

/// Runs commands of repositories, where a sandbox holds or the operator accepted that none does.
#[derive(Debug, Clone)]
pub struct CommandGate {
    sandbox: Arc<dyn Sandbox>,
}

impl CommandGate {
    /// Commands run in this sandbox and nowhere else.
    pub fn new(sandbox: Arc<dyn Sandbox>) -> Self {
        Self { sandbox }
    }

    /// Runs the command and reports. `files` are those of the change, for annotations.
    pub async fn examine(&self, command: &CommandRun, files: &[ChangedFile]) -> GateReport {
        if let Standing::Unavailable { probe, why } = self.sandbox.standing() {
            return no_sandbox(probe, &why);
        }
        let root = self.sandbox.inside(&command.cage, &command.cage.worktree);
        match self.sandbox.run(specification(command), &command.cage).await {
            Ok(finished) => judge(command, &finished, &root.to_string_lossy(), files),
            Err(error) => not_started(command, &error),
        }
    }
}

/// What could not be examined is unknown, never green (promise P5).
fn no_sandbox(probe: Probe, why: &str) -> GateReport {
    let why = untrusted::code(why, 300);
    unknown(
        "no sandbox holds on this server, and command gates need one",
        format!(
            "This server runs no command of a repository: {probe}: {why}. Its operator can see with `pairbot doctor` \
             how to mend that, or accept that commands run with the server's rights, by setting \
             `PAIRBOT_SANDBOX=none-i-accept`; or take this gate out of the policy file."
        ),
    )
}

fn specification(command: &CommandRun) -> CommandSpec {
    let environment = [
        ("PATH", command.search_path.clone()),
        ("LANG", "C.UTF-8".to_owned()),
        ("TERM", "dumb".to_owned()),
        ("CI", "true".to_owned()),
    ];
    let mut environment: BTreeMap<String, String> =
        environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    // The inner shell gets the policy's words untouched; the outer one lets both streams keep their order.
    let mut words = ["sh", "-c", "exec sh -c \"$1\" 2>&1", "sh", &command.run].map(str::to_owned).to_vec();
    if let Some(socket) = &command.egress {
        environment.extend(PROXY_VARIABLES.map(|name| (name.to_owned(), format!("http://{PROXY}"))));
        environment.extend(DIRECT.map(|(name, hosts)| (name.to_owned(), hosts.to_owned())));
        let socket = socket.inside.to_string_lossy();
        let relay = [PROGRAM, "relay", "--listen", PROXY, "--socket", &socket, "--"];
        words.splice(..0, relay.map(str::to_owned));
    }
    let program = words.remove(0);
    CommandSpec {
        program,
        arguments: words,
        directory: command.cage.worktree.clone(),
        environment,
        stdin: Vec::new(),
        timeout: command.timeout,
        output_bytes_max: OUTPUT_BYTES_MAX,
    }
}

fn not_started(command: &CommandRun, error: &CageError) -> GateReport {
    let title = match error {
        CageError::Outgrown { .. } => "the command filled the disk and was ended",
        CageError::NotBuilt { .. } => "the sandbox of the command could not be built",
        CageError::Unavailable { .. } | CageError::NoSockets | CageError::Spawn(_) => {
            "the command could not be started"
        }
    };
    let error = untrusted::code(&error.to_string(), 500);
    let run = untrusted::fenced(&command.run, "sh", 1000);
    unknown(title, format!("{run}\n\nThe server said: {error}"))
}

/// What an ended command says about the change. `root` is the worktree as the command saw it.
fn judge(command: &CommandRun, finished: &Finished, root: &str, files: &[ChangedFile]) -> GateReport {
    let seconds = command.timeout.as_secs();
    let (verdict, title) = match finished.ending {
        Ending::Exited(0) => (Verdict::Green, "the command ended with code 0".to_owned()),
        Ending::Exited(code) if NOT_EXECUTED.contains(&code) => {
            let title = format!("code {code}: a command was not found or is not executable");
            (Verdict::Unknown, title)
        }
        Ending::Exited(code) => (Verdict::Red, format!("the command ended with code {code}")),
        Ending::Signalled(KILLED) => {
            (Verdict::Unknown, "the command was killed from outside, perhaps for want of memory".to_owned())
        }
        Ending::Signalled(signal) => (Verdict::Red, format!("the command was ended by signal {signal}")),
        Ending::TimedOut => {
            (Verdict::Red, format!("the command ran longer than {seconds} s and was stopped"))
        }
    };
    let mut printed = output::clean(&finished.stdout);
    printed.push_str(&output::clean(&finished.stderr));
    let summary = summary(command, &printed, finished.truncated);
    let annotations = match verdict {
        Verdict::Red => output::annotations(&printed, root, files),
        Verdict::Green | Verdict::Unknown | Verdict::Waiting => Vec::new(),
    };
    GateReport { annotations, ..report(verdict, title, summary) }
}

fn summary(command: &CommandRun, printed: &str, truncated: bool) -> String {
    let mut text = untrusted::fenced(&command.run, "sh", 1000);
    let (end, cut) = output::tail(printed, TAIL_BYTES_MAX);
    if end.is_empty() {
        text.push_str("\n\nIt printed nothing.");
        return text;
    }
    text.push_str(if cut { "\n\nThe end of what it printed:\n\n" } else { "\n\nIt printed:\n\n" });
    text.push_str(&untrusted::fenced(end, "text", TAIL_BYTES_MAX));
    if truncated {
        text.push_str("\n\nIt printed more than 1 MiB; what came after that was not kept.");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    use async_trait::async_trait;

    use super::*;
    use crate::ports::{SpawnError, Spawner};
    use crate::sandbox::{TreeAccess, Unavailable, Uncaged};

    /// Answers every command with the same ending, and remembers what it was given.
    #[derive(Debug)]
    struct Scripted {
        answer: Result<(Ending, &'static str), &'static str>,
        asked: Mutex<Vec<CommandSpec>>,
    }

    #[async_trait]
    impl Spawner for Scripted {
        async fn run(&self, command: CommandSpec) -> Result<Finished, SpawnError> {
            let program = command.program.clone();
            self.asked.lock().unwrap().push(command);
            match self.answer {
                Ok((ending, stdout)) => {
                    Ok(Finished { ending, stdout: stdout.into(), stderr: Vec::new(), truncated: false })
                }
                Err(reason) => Err(SpawnError { program, source: std::io::Error::other(reason) }),
            }
        }
    }

    fn command() -> CommandRun {
        CommandRun {
            run: "sh run-tests.sh".to_owned(),
            timeout: Duration::from_mins(1),
            cage: Cage::around("/tree".into(), TreeAccess::Write, "/home".into()),
            search_path: "/usr/bin:/bin".to_owned(),
            egress: None,
        }
    }

    fn examine(spawner: &Arc<Scripted>) -> GateReport {
        examine_in(Arc::new(Uncaged::accepted(Arc::<Scripted>::clone(spawner))))
    }

    fn examine_in(sandbox: Arc<dyn Sandbox>) -> GateReport {
        let files = [ChangedFile {
            path: "src/a.py".to_owned(),
            old_path: None,
            additions: 1,
            deletions: 0,
            binary: false,
        }];
        let gate = CommandGate::new(sandbox);
        let command = command();
        let mut work = Box::pin(gate.examine(&command, &files));
        match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(report) => report,
            Poll::Pending => panic!("a scripted spawner never waits"),
        }
    }

    fn scripted(answer: Result<(Ending, &'static str), &'static str>) -> Arc<Scripted> {
        Arc::new(Scripted { answer, asked: Mutex::default() })
    }

    #[test]
    fn only_code_zero_is_green_and_only_the_changes_own_fault_is_red() {
        for (ending, verdict) in [
            (Ending::Exited(0), Verdict::Green),
            (Ending::Exited(1), Verdict::Red),
            (Ending::Exited(127), Verdict::Unknown),
            (Ending::Signalled(11), Verdict::Red),
            (Ending::Signalled(9), Verdict::Unknown),
            (Ending::TimedOut, Verdict::Red),
        ] {
            assert_eq!(examine(&scripted(Ok((ending, "")))).verdict, verdict, "{ending:?}");
        }
        assert_eq!(examine(&scripted(Err("no sh"))).verdict, Verdict::Unknown);
    }

    #[test]
    fn without_a_sandbox_nothing_runs_and_the_probe_that_failed_is_told() {
        let report = examine_in(Arc::new(Unavailable {
            probe: Probe::Network,
            why: "127.0.0.1:4711 answered".to_owned(),
        }));
        assert_eq!(report.verdict, Verdict::Unknown);
        assert!(report.title.contains("no sandbox"), "{}", report.title);
        assert!(report.summary.contains("127.0.0.1:4711 answered"), "{}", report.summary);
        assert!(report.summary.contains("PAIRBOT_SANDBOX"), "{}", report.summary);
    }

    #[test]
    fn the_command_gets_nothing_of_the_servers_environment() {
        let spawner = scripted(Ok((Ending::Exited(0), "")));
        examine(&spawner);
        let asked = spawner.asked.lock().unwrap();
        let names: Vec<_> = asked[0].environment.keys().map(String::as_str).collect();
        assert_eq!(names, ["CI", "HOME", "LANG", "PATH", "TERM", "TMPDIR"]);
        assert_eq!(asked[0].arguments.last().map(String::as_str), Some("sh run-tests.sh"));
        assert_eq!(asked[0].directory, std::path::PathBuf::from("/tree"));
        assert_eq!(asked[0].timeout, Duration::from_mins(1));
    }

    #[test]
    fn a_command_with_a_way_out_is_told_of_it_and_otherwise_runs_as_ever() {
        let inside = std::path::PathBuf::from("/run/pairbot/egress.sock");
        let plain = specification(&command());
        let egress = Some(Socket { host: "/tmp/x/egress.sock".into(), inside });
        let relayed = specification(&CommandRun { egress, ..command() });
        assert_eq!(relayed.program, PROGRAM);
        assert!(relayed.arguments.ends_with(&plain.arguments), "{relayed:?}");
        assert!(relayed.arguments.iter().any(|word| word == "/run/pairbot/egress.sock"), "{relayed:?}");
        assert_eq!(relayed.environment["HTTPS_PROXY"], "http://127.0.0.1:3128");
        assert!(
            !plain.environment.contains_key("HTTPS_PROXY") && relayed.environment.contains_key("NO_PROXY")
        );
    }

    #[test]
    fn a_red_command_shows_its_output_safely_and_its_places() {
        let printed = "src/a.py:3: boom\n```\n@octocat <!-- pairbot:status -->\n/stop\n";
        let report = examine(&scripted(Ok((Ending::Exited(2), printed))));
        assert_eq!(report.annotations.len(), 1);
        assert_eq!(report.annotations[0].message, "boom");
        assert!(report.summary.contains("````text\nsrc/a.py:3: boom\n```\n"), "{}", report.summary);
        assert!(!report.summary.contains("<!--"), "{}", report.summary);
        assert!(pairbot_protocol::command::parse(&report.summary).is_empty(), "{}", report.summary);
    }
}
