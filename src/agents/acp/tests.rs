use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

use super::client::{Client, Listener, Session, TurnEnd};
use super::*;

/// Hears everything.
#[derive(Default)]
struct Ear(Vec<String>);

#[async_trait::async_trait]
impl Listener for Ear {
    async fn said(&mut self, text: &str) -> Result<(), Fault> {
        self.0.push(format!("said {text}"));
        Ok(())
    }

    async fn did(&mut self, what: &str) -> Result<(), Fault> {
        self.0.push(what.to_owned());
        Ok(())
    }
}

fn session() -> Session {
    Session {
        directory: "/work".to_owned(),
        server: ("pairbot".to_owned(), "/run/pairbot/pairbot".to_owned(), vec!["mcp".to_owned()]),
        options: [("mode".to_owned(), "free".to_owned())].into(),
        meta: Some(json!({ "vendor": true })),
    }
}

/// An agent that answers each request with the next of these lines, in which `ID` stands for the request's own id.
async fn agent(stream: DuplexStream, answers: &[&str], heard: Arc<Mutex<Vec<Value>>>) {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut lines = BufReader::new(reader).lines();
    let mut answers: VecDeque<&str> = answers.iter().copied().collect();
    while let Ok(Some(line)) = lines.next_line().await {
        let message: Value = serde_json::from_str(&line).unwrap();
        let asks = message.get("method").is_some() && message.get("id").is_some();
        let id = message.get("id").map(Value::to_string).unwrap_or_default();
        heard.lock().unwrap().push(message);
        if asks {
            let Some(answer) = answers.pop_front() else { return };
            if writer.write_all(format!("{}\n", answer.replace("ID", &id)).as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn converse(answers: &[&str]) -> (Result<TurnEnd, Fault>, Vec<Value>, Vec<String>) {
    let (ours, theirs) = tokio::io::duplex(1024 * 1024);
    let heard = Arc::default();
    let mut ear = Ear::default();
    let cancel = CancellationToken::new();
    let ended = {
        let (reader, writer) = tokio::io::split(ours);
        let client = Client::new(reader, writer, &mut ear, &cancel);
        let session = session();
        let (ended, ()) =
            tokio::join!(client.converse(&session, "do it"), agent(theirs, answers, Arc::clone(&heard)));
        ended
    };
    let heard = heard.lock().unwrap().clone();
    (ended, heard, ear.0)
}

use tokio_util::sync::CancellationToken;

const HELLO: &str = r#"{"jsonrpc":"2.0","id":ID,"result":{"protocolVersion":1}}"#;
const OPENED: &str = r#"{"jsonrpc":"2.0","id":ID,"result":{"sessionId":"s1"}}"#;
const DONE: &str = r#"{"jsonrpc":"2.0","id":ID,"result":{"stopReason":"end_turn"}}"#;

#[tokio::test]
async fn a_turn_is_taken_without_offering_files_or_a_terminal() {
    let opened = r#"{"jsonrpc":"2.0","id":ID,"result":{"sessionId":"s1","configOptions":[{"id":"m","category":"mode","type":"select","currentValue":"ask","options":[{"value":"ask"},{"group":"g","options":[{"value":"free"}]}]}],"modes":{"availableModes":[{"id":"free"}]}}}"#;
    let set = r#"{"jsonrpc":"2.0","id":ID,"result":{}}"#;
    let turn = [
        r#"{"jsonrpc":"2.0","method":"_auth/status_update","params":{}}"#,
        r#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s1","update":{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"Hm."}}}}"#,
        r#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s1","update":{"sessionUpdate":"tool_call","title":"edit a.rs"}}}"#,
        r#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s1","update":{"sessionUpdate":"something_new"}}}"#,
        r#"{"jsonrpc":"2.0","id":"p1","method":"session/request_permission","params":{"options":[{"optionId":"n","kind":"reject_once"},{"optionId":"y","kind":"allow_once"}]}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"fs/write_text_file","params":{"path":"/etc/passwd","content":""}}"#,
        DONE,
    ]
    .join("\n");
    let (ended, heard, told) = converse(&[HELLO, opened, set, &turn]).await;
    assert_eq!(ended, Ok(TurnEnd::Ended));
    let methods: Vec<_> = heard.iter().filter_map(|message| message["method"].as_str()).collect();
    assert_eq!(methods, ["initialize", "session/new", "session/set_config_option", "session/prompt"]);
    let capabilities = &heard[0]["params"]["clientCapabilities"];
    assert_eq!(
        *capabilities,
        json!({ "fs": { "readTextFile": false, "writeTextFile": false }, "terminal": false })
    );
    let server = &heard[1]["params"]["mcpServers"][0];
    assert_eq!((&server["command"], &server["args"]), (&json!("/run/pairbot/pairbot"), &json!(["mcp"])));
    assert_eq!(heard[1]["params"]["_meta"], json!({ "vendor": true }));
    assert_eq!(heard[2]["params"], json!({ "sessionId": "s1", "configId": "m", "value": "free" }));
    let answers: Vec<_> = heard.iter().filter(|message| message["method"].is_null()).collect();
    assert_eq!(answers[0]["result"]["outcome"], json!({ "outcome": "selected", "optionId": "y" }));
    assert_eq!((&answers[1]["id"], &answers[1]["error"]["code"]), (&json!(7), &json!(-32601)));
    assert_eq!(told, ["said Hm.", "calls: edit a.rs", "asks for permission: a tool"]);
}

#[tokio::test]
async fn an_agent_of_before_config_options_is_set_by_its_modes() {
    let opened = r#"{"jsonrpc":"2.0","id":ID,"result":{"sessionId":"s1","modes":{"currentModeId":"ask","availableModes":[{"id":"ask"},{"id":"free"}]}}}"#;
    let (ended, heard, _) =
        converse(&[HELLO, opened, r#"{"jsonrpc":"2.0","id":ID,"result":null}"#, DONE]).await;
    assert_eq!(ended, Ok(TurnEnd::Ended));
    assert_eq!(heard[2]["params"], json!({ "sessionId": "s1", "modeId": "free" }));
}

#[tokio::test]
async fn whatever_is_against_the_protocol_has_a_name() {
    let long = format!("\"{}", "x".repeat(11 * 1024 * 1024));
    let cases: [(&[&str], &str); 10] = [
        (&["Welcome to the agent!"], "it wrote what is not JSON: Welcome to the agent!"),
        (&[r#"{"id":ID,"result":{}}"#], "it wrote what is not JSON-RPC 2.0"),
        (&["[1]"], "it wrote what is not JSON-RPC 2.0"),
        (&[r#"{"jsonrpc":"2.0","id":99,"result":{}}"#], "it answered a request that was never made: 99"),
        (&[r#"{"jsonrpc":"2.0","id":ID,"result":{"protocolVersion":2}}"#], "it speaks version 2 of"),
        (&[&long], "a line is longer than 10485760 bytes"),
        (
            &[HELLO, r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32000,"message":"log in"}}"#],
            "it wants credentials",
        ),
        (
            &[HELLO, r#"{"jsonrpc":"2.0","id":ID,"result":{}}"#],
            "its answer to `session/new` has no `sessionId`",
        ),
        (
            &[HELLO, OPENED, r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32603,"message":"no"}}"#],
            "it refused `session/prompt`: no",
        ),
        (&[HELLO, OPENED], "it ended before its turn did"),
    ];
    for (answers, name) in cases {
        let fault = converse(answers).await.0.unwrap_err().to_string();
        assert!(fault.contains(name), "{fault} for {name}");
    }
}

#[tokio::test]
async fn a_cancelled_turn_is_cancelled_at_the_agent_and_waited_for() {
    let (ours, theirs) = tokio::io::duplex(1024 * 1024);
    let cancel = CancellationToken::new();
    let mut ear = Ear::default();
    let (reader, writer) = tokio::io::split(ours);
    let client = Client::new(reader, writer, &mut ear, &cancel);
    let session = session();
    let peer = async {
        let (reader, mut writer) = tokio::io::split(theirs);
        let mut lines = BufReader::new(reader).lines();
        for answer in [HELLO, OPENED] {
            let asked: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
            let text = answer.replace("ID", &asked["id"].to_string());
            writer.write_all(format!("{text}\n").as_bytes()).await.unwrap();
        }
        let prompt: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        cancel.cancel();
        let told: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!((&told["method"], &told["id"]), (&json!("session/cancel"), &Value::Null));
        let ask = r#"{"jsonrpc":"2.0","id":1,"method":"session/request_permission","params":{"options":[{"optionId":"y","kind":"allow_once"}]}}"#;
        let end =
            format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"stopReason":"cancelled"}}}}"#, prompt["id"]);
        writer.write_all(format!("{ask}\n{end}\n").as_bytes()).await.unwrap();
        let outcome: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!(outcome["result"]["outcome"]["outcome"], "cancelled");
    };
    let (ended, ()) = tokio::join!(client.converse(&session, "do it"), peer);
    assert_eq!(ended, Ok(TurnEnd::Cancelled));
}

/// What the agent writes, whatever we say.
async fn noise(bytes: &[u8]) -> Result<TurnEnd, Fault> {
    let (ours, theirs) = tokio::io::duplex(1024);
    let mut ear = Ear::default();
    let cancel = CancellationToken::new();
    let (reader, writer) = tokio::io::split(ours);
    let client = Client::new(reader, writer, &mut ear, &cancel);
    let session = session();
    let peer = async {
        let (mut reader, mut writer) = tokio::io::split(theirs);
        let _gone = writer.write_all(bytes).await;
        let _gone = writer.shutdown().await;
        let mut all = Vec::new();
        let _gone = reader.read_to_end(&mut all).await;
    };
    tokio::select! {
        ended = client.converse(&session, "do it") => ended,
        () = async { peer.await; std::future::pending().await } => unreachable!(),
    }
}

proptest! {
    #[test]
    fn no_bytes_of_an_agent_do_more_than_end_its_turn(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert!(runtime.block_on(noise(&bytes)).is_err());
    }

    #[test]
    fn no_json_of_an_agent_does_more_than_end_its_turn(lines in proptest::collection::vec(
        prop_oneof![
            Just(r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}"#),
            Just(r#"{"jsonrpc":"2.0","id":2,"result":{"sessionId":"s"}}"#),
            Just(r#"{"jsonrpc":"2.0","id":2,"result":{"sessionId":{}}}"#),
            Just(r#"{"jsonrpc":"2.0","id":null,"result":null}"#),
            Just(r#"{"jsonrpc":"2.0","id":1,"error":"no"}"#),
            Just(r#"{"jsonrpc":"2.0","method":"session/update","params":[1]}"#),
            Just(r#"{"jsonrpc":"2.0","method":"session/update","params":{"update":{"sessionUpdate":"agent_message_chunk","content":3}}}"#),
            Just(r#"{"jsonrpc":"2.0","id":"a","method":"session/request_permission","params":{"options":[{}]}}"#),
            Just(r#"{"jsonrpc":"2.0","id":"b","method":"terminal/create"}"#),
        ], 0..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let text = lines.join("\n");
        prop_assert!(runtime.block_on(noise(text.as_bytes())).is_err());
    }
}
