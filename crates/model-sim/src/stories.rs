//! The demo's stories: an issue of the demo repository, and what its creator and its reviewers do about it.
//!
//! A creator reads before it writes and goes by what it read, so that a story also holds where a person changed the
//! branch, a round was repeated, or rounds are counted anew after `/retry`.

mod findings;
mod outside;
mod smooth;
mod stubborn;

use crate::conversation::{Conversation, Role};
use crate::reply::{Answer, Reply, Verdict};
use crate::script::{Script, nth_or_last};

/// One story.
#[derive(Debug, Clone, Copy)]
pub struct Story {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows, in one sentence.
    pub about: &'static str,
    /// The title of its issue; the model server knows the story by it.
    pub issue_title: &'static str,
    /// The text of its issue.
    pub issue_body: &'static str,
    /// The creator, by round and turn.
    pub creator: fn(u32, u32, &Conversation) -> Reply,
    /// The reviewers, by name, round and turn.
    pub reviewer: fn(&str, u32, u32, &Conversation) -> Reply,
}

/// The story that is told where none is named.
pub const DEFAULT_STORY: &str = "findings";

/// Every story, the simplest first.
pub const STORIES: &[Story] = &[smooth::STORY, findings::STORY, stubborn::STORY, outside::STORY];

/// The story of this name.
pub fn story(name: &str) -> Option<&'static Story> {
    STORIES.iter().find(|story| story.name == name)
}

impl Story {
    /// The story as a script.
    pub fn script(&self) -> Script {
        let (creator, reviewer) = (self.creator, self.reviewer);
        Script::for_title(self.issue_title)
            .creator_with(move |conversation| {
                creator(conversation.round(), conversation.turn(), conversation)
            })
            .other_reviewers_with(move |conversation| {
                let name = match conversation.brief.as_ref().map(|brief| &brief.role) {
                    Some(Role::Reviewer(name)) => name,
                    Some(Role::Creator) | None => "",
                };
                reviewer(name, conversation.round(), conversation.turn(), conversation)
            })
    }
}

/// The step of this turn; the last one again where the client asks on.
fn step(turn: u32, steps: &[Reply]) -> Reply {
    nth_or_last(steps, turn).cloned().unwrap_or_else(|| Reply::say("Nothing is left to do."))
}

/// Runs the tests where the operator allows commands, and only reads the test runner where not.
fn try_tests(conversation: &Conversation) -> Reply {
    if conversation.offers("run_command") {
        Reply::run_command("sh run-tests.sh").saying("I run the tests.")
    } else {
        Reply::read_file("run-tests.sh")
            .saying("I may not run commands here, so I check how the tests are found.")
    }
}

/// Answers every listed finding with `fixed`.
fn all_fixed(conversation: &Conversation, reason: &str) -> Vec<Answer> {
    conversation.listed_findings().iter().map(|finding| Answer::fixed(&finding.id, reason)).collect()
}

/// A review without findings. What the reviewer raised earlier is judged by `holds`: whether it is mended.
fn satisfied(name: &str, conversation: &Conversation, summary: &str, mended: bool) -> Reply {
    let listed = conversation.listed_findings_of(name);
    let verdicts = listed.iter().map(|finding| {
        if mended {
            Verdict::fixed(&finding.id, "Looked at the new head: mended as asked.")
        } else {
            Verdict::open(&finding.id, "The new head still shows it.")
        }
    });
    Reply::submit_review(summary, [], verdicts)
}
