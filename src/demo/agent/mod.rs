//! `pairbot scripted-agent`: a small agent of its own, for tests and for operators who try a set-up. It is a program
//! like any vendor's: started in the cage, it speaks the Agent Client Protocol or takes its prompt by argument or input, calls
//! its model through the base URL in its environment, and takes the task's tools from the MCP server it is given. It
//! shares no code with the other end of either protocol.

mod hands;
mod model;
mod protocol;

use std::sync::Arc;

pub use protocol::serve;

use self::hands::{Hands, Server};
use self::model::{Heard, Model};

/// How many answers of the model one task may have.
const ANSWERS_MAX: usize = 100;

/// Takes one turn for a prompt given by command line.
pub async fn prompt(text: &str, task_socket: Option<String>) -> anyhow::Result<()> {
    let program = std::env::current_exe()?.to_string_lossy().into_owned();
    let server = task_socket
        .map(|socket| Server { program, arguments: vec!["mcp".to_owned(), "--socket".to_owned(), socket] });
    let hands = Hands::start(server).await?;
    turn(&Model::of_environment()?, &hands, text, &mut Silence).await
}

/// Who hears of a turn.
trait Audience: Send {
    /// The model's words.
    fn said(&mut self, text: &str) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// A tool is about to be called. Says whether it may.
    fn calls(&mut self, tool: &str) -> impl Future<Output = anyhow::Result<bool>> + Send;
}

/// Nobody.
struct Silence;

impl Audience for Silence {
    async fn said(&mut self, _text: &str) -> anyhow::Result<()> {
        Ok(())
    }

    async fn calls(&mut self, _tool: &str) -> anyhow::Result<bool> {
        Ok(true)
    }
}

/// Asks the model and does what it says, until it says nothing more to do.
async fn turn(
    model: &Model,
    hands: &Arc<Hands>,
    prompt: &str,
    audience: &mut impl Audience,
) -> anyhow::Result<()> {
    let mut conversation = model.begin(prompt, &hands.tools());
    for _ in 0..ANSWERS_MAX {
        let Heard { text, calls } = model.ask(&mut conversation).await?;
        if !text.is_empty() {
            audience.said(&text).await?;
        }
        if calls.is_empty() {
            return Ok(());
        }
        let mut results = Vec::new();
        for call in calls {
            let said = if audience.calls(&call.name).await? {
                hands.call(&call.name, call.arguments).await
            } else {
                Err("this was not permitted".to_owned())
            };
            let ends = said.is_ok() && matches!(call.name.as_str(), "hand_in" | "submit_review");
            if ends {
                return Ok(());
            }
            results.push((call.id, said));
        }
        Model::answer(&mut conversation, results);
    }
    anyhow::bail!("the model does not come to an end")
}
