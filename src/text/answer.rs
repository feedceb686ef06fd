//! Answers to people who asked for something.

use pairbot_protocol::ids::Login;
use pairbot_protocol::run::{AnswerText, Problem};
use pairbot_protocol::signal::Permission;

use super::blocks::table;
use super::phase;
use super::prose::line;

/// How many reasons are told.
const REASONS_MAX: usize = 10;

/// What is said to someone who asked. Whom it is for is named without a mention: GitHub tells them of the answer.
pub fn answer(text: &AnswerText, to: &Login) -> String {
    match text {
        AnswerText::Help => commands(),
        AnswerText::NotPermitted { found } => refusal(*found, to),
        AnswerText::Problems { reasons } => {
            let reasons: Vec<String> =
                reasons.iter().take(REASONS_MAX).map(|reason| format!("- {}", problem(reason))).collect();
            format!("Not everything was carried out:\n\n{}", reasons.join("\n"))
        }
    }
}

/// What is said to someone who may not give commands.
fn refusal(found: Permission, to: &Login) -> String {
    format!(
        "Commands are taken from people with write access; `{to}` has {}. This is said once.",
        phase::permission(found)
    )
}

/// The commands, in a table so that none stands at the start of a line.
pub(super) fn commands() -> String {
    let rows = [
        ("`/retry`", "try again: what could not be read or examined, else one more round"),
        ("`/retry create`", "one more round of the creator"),
        ("`/retry review`", "the reviews of the present commit"),
        ("`/retry gate`", "the gates of the present commit"),
        ("`/review`", "the same as `/retry review`"),
        ("`/pause`", "start nothing new"),
        ("`/resume`", "go on"),
        ("`/stop`", "end the run; the branch stays"),
        ("`/budget +5`", "raise what this run may cost, in dollars"),
        ("`/budget +200k tokens`", "the same in tokens, where the policy limits those"),
        ("`/status`", "bring the status comment up to date"),
        ("`/help`", "this list"),
    ];
    let rows: Vec<Vec<String>> =
        rows.iter().map(|(command, does)| vec![(*command).to_owned(), (*does).to_owned()]).collect();
    format!(
        "{}\n\nOne a line, at the start of the line, in a new comment on the issue or the pull request, by people with \
         write access. Any other comment of theirs is told to the creator in the next round.",
        table(&["command", "does"], &rows)
    )
}

fn problem(problem: &Problem) -> String {
    match problem {
        Problem::Malformed { text } => line(text, 200),
        Problem::Over => "The run is over. Set the label `agent:pair` again for a new one.".to_owned(),
        Problem::UnderWay => "What was asked for is under way already.".to_owned(),
        Problem::Paused => "The run is paused, and only `/resume` ends a pause; then ask again.".to_owned(),
        Problem::NoHead => {
            "There is no pull request to review or check yet; `/retry create` makes one.".to_owned()
        }
        Problem::NotPaused => "The run is not paused.".to_owned(),
        Problem::NothingToPause => {
            "There is nothing to pause: the run is paused already, or waits for a person.".to_owned()
        }
        Problem::NoTokenBudget => {
            "The tokens of this run are not limited; `/budget +5` raises its limit in dollars.".to_owned()
        }
    }
}
