//! What a door remembers of the calls that went through it.

use std::collections::VecDeque;

use pairbot_protocol::budget::Exhausted;
use pairbot_protocol::ids::{Money, Timestamp, Usage};
use serde::{Deserialize, Serialize};

use super::api::Api;

/// How many calls are remembered one by one. No task makes as many; an agent that loops does.
const CALLS_MAX: usize = 10_000;

/// What was spent through a door.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// What the calls that have ended did cost.
    pub cost: Money,
    /// What they read and wrote.
    pub usage: Usage,
    /// How many calls were paid for.
    pub calls: u64,
    /// How many of them have not ended.
    pub under_way: u64,
    /// How many were asked for and not sent, for whatever reason.
    pub turned_away: u64,
}

/// One call that an agent made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorCall {
    /// Its position among the calls of the door, from 1.
    pub number: u64,
    /// What was called.
    pub api: Api,
    /// The model it named.
    pub model: String,
    /// When it was asked for.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub outcome: CallOutcome,
    /// Whether the agent stayed for the whole answer. It may have heard it before its cost is written down.
    pub heard: bool,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CallOutcome {
    /// It has not.
    UnderWay,
    /// It was answered in full and costs what the provider reported.
    Answered {
        /// What it read and wrote.
        usage: Usage,
        /// What that costs.
        cost: Money,
    },
    /// There was no whole answer, or none that says what it used: it is charged as much as it can have cost.
    Estimated {
        /// What was charged for.
        usage: Usage,
        /// How much.
        cost: Money,
        /// What happened.
        reason: String,
    },
    /// The provider refused it before it read anything.
    Rejected {
        /// The provider's status.
        status: u16,
        /// The provider's words.
        reason: String,
    },
    /// It did not fit what is left of the budget and was not sent.
    OverBudget {
        /// Which budget, and when it opens again.
        exhausted: Exhausted,
        /// What it would have needed, and what there was.
        reason: String,
    },
    /// It was not sent for another reason.
    NotSent {
        /// Which.
        reason: String,
    },
    /// Its cost could not be written down. The reservation counts in full until someone does.
    Unsettled {
        /// Why not.
        reason: String,
    },
}

/// The calls of one door.
#[derive(Debug, Default)]
pub(super) struct Record {
    calls: VecDeque<DoorCall>,
    spent: Spent,
    numbered: u64,
}

impl Record {
    /// Notes a call that is about to be sent, or is not to be.
    pub(super) fn add(&mut self, api: Api, model: &str, now: Timestamp, outcome: CallOutcome) -> u64 {
        self.numbered += 1;
        let ended = match &outcome {
            CallOutcome::UnderWay => {
                self.spent.calls += 1;
                self.spent.under_way += 1;
                None
            }
            CallOutcome::Answered { .. }
            | CallOutcome::Estimated { .. }
            | CallOutcome::Rejected { .. }
            | CallOutcome::OverBudget { .. }
            | CallOutcome::NotSent { .. }
            | CallOutcome::Unsettled { .. } => {
                self.spent.turned_away += 1;
                Some(now)
            }
        };
        if self.calls.len() >= CALLS_MAX {
            // The first that ended: one under way is still to be told how it ends.
            let oldest = self.calls.iter().position(|call| call.ended.is_some());
            if let Some(position) = oldest {
                self.calls.remove(position);
            }
        }
        let model = model.chars().take(100).collect();
        self.calls.push_back(DoorCall {
            number: self.numbered,
            api,
            model,
            began: now,
            ended,
            outcome,
            heard: true,
        });
        self.numbered
    }

    /// Notes how a call that was under way ended, and whether its agent stayed for the answer.
    pub(super) fn end(&mut self, number: u64, now: Timestamp, outcome: CallOutcome, heard: bool) {
        self.spent.under_way = self.spent.under_way.saturating_sub(1);
        if let CallOutcome::Answered { usage, cost } | CallOutcome::Estimated { usage, cost, .. } = &outcome {
            self.spent.cost = self.spent.cost.plus(*cost);
            self.spent.usage = self.spent.usage.plus(*usage);
        }
        if let Some(call) = self.calls.iter_mut().rev().find(|call| call.number == number) {
            call.ended = Some(now);
            call.outcome = outcome;
            call.heard = heard;
        }
    }

    /// Counts a request that named no call.
    pub(super) fn turn_away(&mut self) {
        self.spent.turned_away += 1;
    }

    pub(super) fn spent(&self) -> Spent {
        self.spent
    }

    pub(super) fn calls(&self) -> Vec<DoorCall> {
        self.calls.iter().cloned().collect()
    }
}
