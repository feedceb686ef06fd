//! The smallest agent that can play a story: real files in a temporary directory, the tools of the contract.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pairbot_model_sim::{ModelSim, Provider, demo_repository};
use serde_json::{Value, json};

use crate::client::{Called, Heard, hear, request, send};

/// More turns than any story has.
const TURNS_MAX: u32 = 20;

/// A checkout of the demo repository.
pub(crate) struct Checkout {
    root: tempfile::TempDir,
    commands: bool,
}

impl Checkout {
    pub(crate) fn new(commands: bool) -> Self {
        let checkout = Self { root: tempfile::tempdir().unwrap(), commands };
        for (path, content) in demo_repository() {
            checkout.write(path, content);
        }
        checkout.git(&["init", "-q"]);
        checkout.git(&["add", "-A"]);
        checkout.git(&["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "start"]);
        checkout
    }

    #[expect(clippy::disallowed_methods, reason = "the stories are checked by running the demo's own tests")]
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.root.path()).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", self.root.path()).output().unwrap()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = self.run("git", arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn path(&self, path: &Value) -> std::path::PathBuf {
        let path = Path::new(path.as_str().unwrap());
        assert!(path.is_relative());
        self.root.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.path().join(path)).unwrap()
    }

    /// Everything that differs from the start.
    pub(crate) fn diff(&self) -> String {
        self.git(&["add", "-A"]);
        self.git(&["diff", "--cached"])
    }

    /// The tree's id.
    pub(crate) fn tree(&self) -> String {
        self.git(&["add", "-A"]);
        self.git(&["write-tree"])
    }

    /// Runs the project's tests: whether they pass, and what they print.
    pub(crate) fn tests(&self) -> (bool, String) {
        let output = self.run("sh", &["run-tests.sh"]);
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    fn execute(&self, name: &str, arguments: &Value) -> String {
        match name {
            "read_file" => {
                let text = fs::read_to_string(self.path(&arguments["path"])).unwrap();
                let lines = text.lines().enumerate();
                lines.map(|(at, line)| format!("{:>5}\t{line}", at + 1)).collect::<Vec<_>>().join("\n")
            }
            "edit_file" => {
                let text = fs::read_to_string(self.path(&arguments["path"])).unwrap();
                let (old, new) = (arguments["old"].as_str().unwrap(), arguments["new"].as_str().unwrap());
                assert_eq!(text.matches(old).count(), 1, "`{old}` must occur once in:\n{text}");
                fs::write(self.path(&arguments["path"]), text.replacen(old, new, 1)).unwrap();
                "ok".to_owned()
            }
            "write_file" => {
                self.write(arguments["path"].as_str().unwrap(), arguments["content"].as_str().unwrap());
                "ok".to_owned()
            }
            "run_command" => {
                assert!(self.commands, "a command without leave");
                let output = self.run("sh", &["-c", arguments["command"].as_str().unwrap()]);
                format!("exit code {:?}\n{}", output.status.code(), String::from_utf8_lossy(&output.stdout))
            }
            other => panic!("no tool {other}"),
        }
    }

    /// Plays one task to its end and returns what was handed in.
    pub(crate) async fn play(&self, sim: &ModelSim, provider: Provider, opening: &str) -> Value {
        let mut messages = vec![json!({ "role": "user", "content": opening })];
        for _ in 0..TURNS_MAX {
            let mut body = request(provider, &Value::Array(messages.clone()), true);
            if !self.commands {
                body["tools"]
                    .as_array_mut()
                    .unwrap()
                    .retain(|tool| !tool.to_string().contains("run_command"));
            }
            let heard = hear(provider, true, &send(sim, provider, &body).await);
            let mut results = Vec::new();
            for call in &heard.calls {
                let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
                if matches!(call.name.as_str(), "hand_in" | "submit_review") {
                    return arguments;
                }
                results.push((call.clone(), self.execute(&call.name, &arguments)));
            }
            assert!(!results.is_empty(), "neither a call nor an end: {heard:?}");
            messages.extend(turn(provider, &heard, &results));
        }
        panic!("the story does not end")
    }
}

/// The messages that one turn adds to the history.
fn turn(provider: Provider, heard: &Heard, results: &[(Called, String)]) -> Vec<Value> {
    match provider {
        Provider::Anthropic => {
            let mut said = Vec::new();
            if !heard.text.is_empty() {
                said.push(json!({ "type": "text", "text": heard.text }));
            }
            said.extend(results.iter().map(|(call, _)| {
                let input: Value = serde_json::from_str(&call.arguments).unwrap();
                json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
            }));
            let answers: Vec<Value> = results
                .iter()
                .map(|(call, text)| json!({ "type": "tool_result", "tool_use_id": call.id, "content": text }))
                .collect();
            vec![
                json!({ "role": "assistant", "content": said }),
                json!({ "role": "user", "content": answers }),
            ]
        }
        Provider::OpenAi => {
            let calls: Vec<Value> = results
                .iter()
                .map(|(call, _)| {
                    let function = json!({ "name": call.name, "arguments": call.arguments });
                    json!({ "id": call.id, "type": "function", "function": function })
                })
                .collect();
            let mut added = vec![json!({ "role": "assistant", "content": heard.text, "tool_calls": calls })];
            added.extend(
                results
                    .iter()
                    .map(|(call, text)| json!({ "role": "tool", "tool_call_id": call.id, "content": text })),
            );
            added
        }
        Provider::Gemini => panic!("no story is played by it"),
    }
}
