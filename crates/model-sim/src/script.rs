//! Who answers what: scripts, found by the title.
//!
//! An answer is picked from the request alone. A client that crashed and asks again hears the same again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::conversation::{Conversation, Role};
use crate::generic;
use crate::reply::Reply;

/// Picks an answer by the conversation.
type Part = Arc<dyn Fn(&Conversation) -> Reply + Send + Sync>;

/// What the models say about the issue of one title.
#[derive(Clone)]
pub struct Script {
    title: String,
    creator: Option<Part>,
    reviewers: BTreeMap<String, Part>,
    other_reviewers: Option<Part>,
}

impl fmt::Debug for Script {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reviewers: Vec<_> = self.reviewers.keys().collect();
        out.debug_struct("Script")
            .field("title", &self.title)
            .field("reviewers", &reviewers)
            .finish_non_exhaustive()
    }
}

impl Script {
    /// A script for the issue of this title. What it does not say is answered as for an issue that no script knows:
    /// a creator that writes the request down, reviewers without findings.
    pub fn for_title(title: &str) -> Self {
        Self { title: title.to_owned(), creator: None, reviewers: BTreeMap::new(), other_reviewers: None }
    }

    /// The creator's steps, round by round. After the last step of a round it is repeated, and so is the last round.
    #[must_use]
    pub fn creator(self, rounds: impl IntoIterator<Item = Vec<Reply>>) -> Self {
        self.creator_with(steps(rounds))
    }

    /// The creator's answer as a function.
    #[must_use]
    pub fn creator_with(mut self, part: impl Fn(&Conversation) -> Reply + Send + Sync + 'static) -> Self {
        self.creator = Some(Arc::new(part));
        self
    }

    /// The steps of one reviewer, round by round, as for the creator.
    #[must_use]
    pub fn reviewer(self, name: &str, rounds: impl IntoIterator<Item = Vec<Reply>>) -> Self {
        self.reviewer_with(name, steps(rounds))
    }

    /// One reviewer's answer as a function.
    #[must_use]
    pub fn reviewer_with(
        mut self,
        name: &str,
        part: impl Fn(&Conversation) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.reviewers.insert(name.to_owned(), Arc::new(part));
        self
    }

    /// The answer of every reviewer that has no part of its own.
    #[must_use]
    pub fn other_reviewers_with(
        mut self,
        part: impl Fn(&Conversation) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.other_reviewers = Some(Arc::new(part));
        self
    }

    /// The title it is for.
    pub fn title(&self) -> &str {
        &self.title
    }

    fn part(&self, role: &Role) -> Option<&Part> {
        match role {
            Role::Creator => self.creator.as_ref(),
            Role::Reviewer(name) => self.reviewers.get(name).or(self.other_reviewers.as_ref()),
        }
    }
}

fn steps(
    rounds: impl IntoIterator<Item = Vec<Reply>>,
) -> impl Fn(&Conversation) -> Reply + Send + Sync + 'static {
    let rounds: Vec<Vec<Reply>> = rounds.into_iter().collect();
    move |conversation| {
        let round = nth_or_last(&rounds, conversation.round().saturating_sub(1));
        let step = round.and_then(|steps| nth_or_last(steps, conversation.turn()));
        step.cloned().unwrap_or_else(|| Reply::say("The script has nothing to say here."))
    }
}

pub(crate) fn nth_or_last<T>(items: &[T], position: u32) -> Option<&T> {
    usize::try_from(position).ok().and_then(|position| items.get(position)).or(items.last())
}

/// The answer to a conversation: by the script of its title, else the generic one.
pub(crate) fn answer(scripts: &[Script], conversation: &Conversation) -> Reply {
    let Some(brief) = &conversation.brief else {
        return Reply::say("The scripted model answers conversations that begin with a brief.");
    };
    // Vendors' agents ask by the way for a title or a summary of what they were told. No step of a script says that.
    if conversation.tools.is_empty() {
        return Reply::say(&brief.title);
    }
    // The latest wins, so that a test can replace a story.
    let script = scripts.iter().rev().find(|script| script.title == brief.title);
    match (script.and_then(|script| script.part(&brief.role)), &brief.role) {
        (Some(part), Role::Creator | Role::Reviewer(_)) => part(conversation),
        (None, Role::Creator) => generic::creator(conversation),
        (None, Role::Reviewer(name)) => generic::reviewer(name, conversation),
    }
}
