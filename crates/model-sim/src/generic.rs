//! What the models say about an issue that no script knows, so that a person can try issues of their own.

use crate::conversation::{Brief, Conversation};
use crate::reply::{Answer, Reply, Verdict};

/// Reads the README, writes the request down in a file of its own, and says that this is all it can do.
pub(crate) fn creator(conversation: &Conversation) -> Reply {
    let Some(brief) = &conversation.brief else {
        return Reply::say("There is no brief to work on.");
    };
    let path = format!("docs/requests/issue-{}.md", brief.issue);
    match conversation.turn() {
        0 => Reply::read_file("README.md").saying("I read what the project says of itself."),
        1 => Reply::write_file(&path, &note(brief)).saying("I write the request down beside the code."),
        _ => Reply::hand_in(
            &format!("Record the request: {}", brief.title),
            &format!(
                "No script knows this issue, and a scripted model cannot program. It recorded the request in \
                 `{path}`, so that the way from label to merge can be tried. Set the key of a real model for real work."
            ),
            conversation.listed_findings().iter().map(|finding| {
                Answer::rebutted(&finding.id, "A scripted model cannot change code that no script describes.")
            }),
        ),
    }
}

/// The round is in the text: a round that changed nothing would count as no progress.
fn note(brief: &Brief) -> String {
    format!(
        "# {}\n\nRequested in issue #{}. Recorded, not yet done (attempt {}).\n",
        brief.title, brief.issue, brief.round
    )
}

/// Finds nothing, and takes the creator's word for findings of its own.
pub(crate) fn reviewer(name: &str, conversation: &Conversation) -> Reply {
    let listed = conversation.listed_findings_of(name);
    let verdicts = listed.iter().map(|finding| Verdict::fixed(&finding.id, "Taken at the creator's word."));
    Reply::submit_review(&format!("Read for {name}: nothing to remark."), [], verdicts)
}
