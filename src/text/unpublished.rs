//! What could not be shown on GitHub, told where it still can be.

use pairbot_protocol::effect::Publication;
use pairbot_protocol::run::{Run, Unpublished};

use super::blocks::check_name;
use super::prose::line;

/// How many are named; a refused permission can keep every one of many from being shown.
const NAMED_MAX: usize = 10;
/// How much of a reason is quoted.
const REASON_CHARS_MAX: usize = 300;

/// The part of the status comment that says what is missing; empty if nothing is.
pub(super) fn part(run: &Run) -> String {
    let missing = &run.unpublished;
    if missing.is_empty() {
        return String::new();
    }
    let mut lines = vec!["**Not shown on GitHub**, although it was tried as often as allowed:\n".to_owned()];
    lines.extend(missing.iter().take(NAMED_MAX).map(item));
    if let Some(more) = missing.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        lines.push(format!("- and {more} more"));
    }
    lines.push("\nThe operator of this server can try again: `pairbot dlq` lists and replays it.".to_owned());
    lines.join("\n")
}

fn item(missing: &Unpublished) -> String {
    let reason = line(&missing.detail, REASON_CHARS_MAX);
    format!("- {}: {reason}", missing.publication.as_ref().map_or("something".to_owned(), name))
}

fn name(publication: &Publication) -> String {
    match publication {
        Publication::Status => "the status".to_owned(),
        Publication::Check { gate, head } => format!("the check {} on `{}`", check_name(gate), head.short()),
        Publication::Review { reviewer, head, reading: _ } => {
            format!("the review by `{reviewer}` of `{}`", head.short())
        }
        Publication::Thread { finding } => format!("whether the thread of finding `{finding}` is resolved"),
        Publication::DraftState => "whether the pull request is a draft".to_owned(),
        Publication::Stray => "that the pull request came too late".to_owned(),
        Publication::Reaction { .. } => "a reaction".to_owned(),
        Publication::Answer { .. } => "an answer to a command".to_owned(),
    }
}
