//! The commands people write in comments.

use serde::{Deserialize, Serialize};

use crate::ids::{Money, Tokens};

/// A command, one per line, at the start of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Try again: what fits the state of the run, or the stage that is named.
    Retry {
        /// Which stage.
        stage: Option<RetryStage>,
    },
    /// End the run.
    Stop,
    /// Start nothing new until resumed.
    Pause,
    /// Go on.
    Resume,
    /// Review the current head again.
    Review,
    /// Raise the run's budget.
    Budget {
        /// By how much.
        raise: Money,
    },
    /// Raise the run's budget in tokens.
    BudgetTokens {
        /// By how many.
        raise: Tokens,
    },
    /// Bring the status comment up to date.
    Status,
    /// List the commands.
    Help,
}

/// What to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryStage {
    /// A new round of the creator.
    Create,
    /// The reviews of the current head.
    Review,
    /// The gates of the current head.
    Gate,
}

/// How many commands of one comment are looked at. Each costs a decision; a wall of them is not a wish.
pub const COMMANDS_MAX: usize = 10;

/// Finds the commands of a comment. A line is a command if it starts with `/` and a word of the list above; what
/// follows and does not fit is returned as the reason it was refused. Lines in fenced code and quotes are not commands.
pub fn parse(text: &str) -> Vec<Result<Command, String>> {
    let mut commands = Vec::new();
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        let line = line.trim_end();
        if let Some(open) = fence {
            if line.trim_start().starts_with(open) {
                fence = None;
            }
            continue;
        }
        fence = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        if let Some(command) = fence.is_none().then(|| parse_line(line)).flatten() {
            commands.push(command);
        }
        if commands.len() == COMMANDS_MAX {
            break;
        }
    }
    commands
}

fn parse_line(line: &str) -> Option<Result<Command, String>> {
    let rest = line.strip_prefix('/')?;
    let mut words = rest.split_ascii_whitespace();
    let (name, arguments) = (words.next()?, words.collect::<Vec<_>>());
    let bare = |command| {
        if arguments.is_empty() { Ok(command) } else { Err(format!("`/{name}` takes nothing after it")) }
    };
    Some(match name {
        "retry" => match arguments.as_slice() {
            [] => Ok(Command::Retry { stage: None }),
            ["create"] => Ok(Command::Retry { stage: Some(RetryStage::Create) }),
            ["review"] => Ok(Command::Retry { stage: Some(RetryStage::Review) }),
            ["gate"] => Ok(Command::Retry { stage: Some(RetryStage::Gate) }),
            _ => Err("`/retry` takes one of `create`, `review`, `gate`, or nothing".to_owned()),
        },
        "budget" => match arguments.as_slice() {
            [raise] => raise
                .strip_prefix('+')
                .and_then(|amount| amount.parse::<Money>().ok())
                .filter(|amount| *amount > Money::ZERO)
                .map(|raise| Command::Budget { raise })
                .ok_or_else(budget_form),
            [raise, "tokens"] => raise
                .strip_prefix('+')
                .and_then(|number| number.parse::<Tokens>().ok())
                .filter(|number| *number > Tokens::ZERO)
                .map(|raise| Command::BudgetTokens { raise })
                .ok_or_else(budget_form),
            _ => Err(budget_form()),
        },
        "stop" => bare(Command::Stop),
        "pause" => bare(Command::Pause),
        "resume" => bare(Command::Resume),
        "review" => bare(Command::Review),
        "status" => bare(Command::Status),
        "help" => bare(Command::Help),
        _ => return None,
    })
}

fn budget_form() -> String {
    "`/budget` takes what to add: dollars, such as `+5` or `+0.50`, or tokens, such as `+200k tokens`"
        .to_owned()
}

#[cfg(test)]
mod tests {
    mod fuzz;

    use super::*;

    #[test]
    fn commands_stand_at_the_start_of_a_line() {
        assert_eq!(parse("/retry"), vec![Ok(Command::Retry { stage: None })]);
        assert_eq!(
            parse("please\n/retry gate\r\nand /stop\n/budget +0.50\n"),
            vec![
                Ok(Command::Retry { stage: Some(RetryStage::Gate) }),
                Ok(Command::Budget { raise: Money::from_cents(50) })
            ]
        );
        assert_eq!(parse(" /stop\n> /stop\n/stopping\n/etc/passwd\n//stop"), vec![]);
    }

    #[test]
    fn quoted_code_is_not_a_command() {
        assert_eq!(parse("```\n/stop\n```\n/help"), vec![Ok(Command::Help)]);
        assert_eq!(parse("~~~sh\n/stop\n```\n/stop"), vec![]);
    }

    #[test]
    fn a_wrong_argument_is_answered_not_guessed() {
        assert_eq!(parse("/budget +200k tokens"), vec![Ok(Command::BudgetTokens { raise: Tokens(200_000) })]);
        for text in ["/budget +0 tokens", "/budget +200k token", "/budget 5 tokens", "/budget + tokens"] {
            assert!(matches!(parse(text).as_slice(), [Err(_)]), "{text}");
        }
        for text in ["/retry all", "/budget 5", "/budget +-5", "/budget", "/budget +0", "/stop now"] {
            assert!(matches!(parse(text).as_slice(), [Err(_)]), "{text}");
        }
    }
}
