//! What shall happen: intentions that the engine writes to the outbox in the transaction of the decision.
//!
//! An effect names what to bring about, not what to send. Whatever is shown to people is rendered from the run as it
//! is when the effect is executed, so an effect that waited never shows yesterday's state, and doing one twice
//! changes nothing (promise P1).

use serde::{Deserialize, Serialize};

use crate::ids::{
    CommentId, FindingId, GateName, HeadSha, Money, ReviewId, ReviewerName, Round, Timestamp, Tokens,
};
use crate::signal::{Actor, RequestId, Timer};

/// The lane that all publications of a run share. No lane of work has its name.
pub const PUBLICATIONS_LANE: &str = "publications";

/// An intention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
pub enum Effect {
    /// Do something that ends in a signal.
    Work(Work),
    /// Show something on GitHub.
    Publish(Publication),
    /// Change the store in the same transaction.
    Store(StoreChange),
}

/// A task that ends in a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "kebab-case")]
pub enum Work {
    /// Read the issue, the policy, the base, and what the person who set the label may do.
    Inspect {
        /// Who set the label, or asked again.
        by: Actor,
    },
    /// Read what someone may do, now.
    ReadPermission {
        /// For which request.
        request: RequestId,
        /// Whose.
        of: Actor,
    },
    /// Let the creator write a change and push it.
    Create {
        /// In which round.
        round: Round,
        /// Which attempt at that round, from 1.
        attempt: u32,
        /// The tip of the branch it builds on and expects at the push; none if there is no branch.
        onto: Option<HeadSha>,
    },
    /// Find or open the pull request of the branch.
    OpenPullRequest {
        /// The head it is about.
        head: HeadSha,
    },
    /// Let a reviewer read a head.
    Review {
        /// Which reviewer.
        reviewer: ReviewerName,
        /// In which round.
        round: Round,
        /// Which head.
        head: HeadSha,
    },
    /// Examine a gate on a head.
    Gate {
        /// Which gate.
        gate: GateName,
        /// Which head.
        head: HeadSha,
    },
}

/// Something that people see. Each is brought about from the run as it is at that moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "publish", rename_all = "kebab-case")]
pub enum Publication {
    /// The one status comment on the issue, and the pull request's title and body.
    Status,
    /// The check run of a gate on a head.
    Check {
        /// Which gate, `review` and `ready` included.
        gate: GateName,
        /// On which head.
        head: HeadSha,
    },
    /// A reviewer's review of a head.
    Review {
        /// Whose.
        reviewer: ReviewerName,
        /// Of which head.
        head: HeadSha,
        /// Which of its readings of this head, from 1: each is a review of its own, and one that waits is not
        /// replaced by the next (promise P1).
        #[serde(default = "first_reading", skip_serializing_if = "is_first_reading")]
        reading: u32,
    },
    /// Whether a finding's thread is resolved.
    Thread {
        /// Whose thread.
        finding: FindingId,
    },
    /// Whether the pull request is a draft.
    DraftState,
    /// A reaction.
    Reaction {
        /// To what.
        to: ReactionTarget,
        /// Which.
        with: Reaction,
    },
    /// That the pull request was opened when the run had ended already, and so is closed.
    Stray,
    /// An answer to someone's request.
    Answer {
        /// Which request; its text is in the run.
        request: RequestId,
    },
}

/// What effects mean that were written down before readings were counted.
const fn first_reading() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_first_reading(reading: &u32) -> bool {
    *reading == 1
}

/// What a reaction is set on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "kebab-case")]
pub enum ReactionTarget {
    /// The run's issue.
    Issue,
    /// A comment of a conversation.
    Comment {
        /// Which.
        id: CommentId,
    },
    /// A comment at a line of the diff.
    LineComment {
        /// Which.
        id: CommentId,
    },
    /// A review: GitHub has no reactions to reviews over REST, so this one is told in the status comment only.
    Review {
        /// Which.
        id: ReviewId,
    },
}

/// A reaction, by what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reaction {
    /// 👀
    Seen,
    /// 👍
    Accepted,
    /// 😕
    Refused,
}

/// A change of the store that commits with the decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "store", rename_all = "kebab-case")]
pub enum StoreChange {
    /// Withdraw all unfinished work of the run: what waits is dropped, what runs loses its lease.
    CancelWork,
    /// Set the run's budget.
    SetBudget {
        /// The most the run may have spent and reserved.
        limit: Money,
        /// The same in tokens; none for no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens: Option<Tokens>,
    },
    /// Let a timer go off.
    StartTimer {
        /// Which; one that runs already is moved.
        timer: Timer,
        /// When.
        at: Timestamp,
    },
}

impl Work {
    /// What of the run this work excludes: of two with the same lane, the second waits for the first.
    pub fn lane(&self) -> String {
        match self {
            Self::Inspect { .. } => "inspect".to_owned(),
            Self::ReadPermission { request, .. } => format!("permission:{}", request.0),
            Self::Create { .. } => "create".to_owned(),
            Self::OpenPullRequest { .. } => "open".to_owned(),
            Self::Review { reviewer, .. } => format!("review:{reviewer}"),
            Self::Gate { gate, .. } => format!("gate:{gate}"),
        }
    }

    /// The request that a lane of [`Work::ReadPermission`] is about.
    pub fn request_of_lane(lane: &str) -> Option<RequestId> {
        lane.strip_prefix("permission:")?.parse().ok().map(RequestId)
    }
}

impl Publication {
    /// A name under which an equal publication that still waits need not be queued again: what it would show is
    /// read when it is executed.
    pub fn key(&self) -> String {
        match self {
            Self::Status => "status".to_owned(),
            Self::Check { gate, head } => format!("check:{gate}:{head}"),
            Self::Review { reviewer, head, reading: 1 } => format!("review:{reviewer}:{head}"),
            Self::Review { reviewer, head, reading } => format!("review:{reviewer}:{head}:{reading}"),
            Self::Thread { finding } => format!("thread:{finding}"),
            Self::DraftState => "draft".to_owned(),
            Self::Stray => "stray".to_owned(),
            Self::Reaction { to, with } => {
                let to = match to {
                    ReactionTarget::Issue => "issue".to_owned(),
                    ReactionTarget::Comment { id } => format!("comment-{id}"),
                    ReactionTarget::LineComment { id } => format!("line-{id}"),
                    ReactionTarget::Review { id } => format!("review-{id}"),
                };
                let with = match with {
                    Reaction::Seen => "seen",
                    Reaction::Accepted => "accepted",
                    Reaction::Refused => "refused",
                };
                format!("reaction:{to}:{with}")
            }
            Self::Answer { request } => format!("answer:{}", request.0),
        }
    }
}
