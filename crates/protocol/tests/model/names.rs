//! Who and what there is in a small world. Commits are named by who made them for what, never counted, so that two orders
//! of the same happenings lead to one state; and it is always the same moment, but for a deadline that has come.

use std::collections::BTreeMap;

use pairbot_protocol::budget::Limits;
use pairbot_protocol::ids::*;
use pairbot_protocol::policy::{AgentChoice, CiRule, GateKind, Policy, ReviewerPolicy};
use pairbot_protocol::signal::{Actor, ActorKind, GateReport, IssueFacts, Permission, Verdict};

pub(crate) const T0: Timestamp = Timestamp::from_unix_ms(1_000);
pub(crate) const INSTALLATION: InstallationId = InstallationId(1);

/// A commit: of the creator by issue, run, round and attempt, of a person by issue and count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Commit(pub(crate) u32);

impl Commit {
    pub(crate) fn of_creator(issue: usize, ordinal: u32, round: Round, attempt: u32) -> Self {
        Self(0x1000_0000 | small(issue) << 24 | ordinal << 16 | round.0 << 8 | attempt)
    }

    pub(crate) fn of_person(issue: usize, count: usize) -> Self {
        Self(0x2000_0000 | small(issue) << 24 | small(count))
    }

    pub(crate) fn head(self) -> HeadSha {
        format!("{:040x}", self.0).parse().unwrap()
    }

    pub(crate) fn tree(self) -> TreeSha {
        format!("{:040x}", self.0).parse().unwrap()
    }

    pub(crate) fn of_head(head: &HeadSha) -> Self {
        Self(u32::from_str_radix(&head.as_str()[32..], 16).unwrap())
    }
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap()
}

pub(crate) fn base(count: u8) -> BaseSha {
    format!("ba5e{count:036x}").parse().unwrap()
}

pub(crate) fn run(issue: usize, ordinal: u32) -> RunId {
    RunId { repository: RepositoryId(1), issue: IssueNumber(issue as u64 + 1), ordinal }
}

pub(crate) fn issue_of(run: RunId) -> usize {
    usize::try_from(run.issue.0 - 1).unwrap()
}

pub(crate) fn facts() -> IssueFacts {
    IssueFacts { repository_name: "octo/demo".to_owned(), title: "Mend it".to_owned() }
}

const REVIEWERS: [&str; 2] = ["alpha", "beta"];
const GATES: [&str; 4] = ["review", "ready", "size", "ci"];

/// The number of the gate that stands for everything.
pub(crate) const READY: u8 = 1;

fn position(names: &[&str], name: &str) -> u8 {
    u8::try_from(names.iter().position(|known| *known == name).unwrap()).unwrap()
}

/// The number of a reviewer.
pub(crate) fn reviewer(name: &ReviewerName) -> u8 {
    position(&REVIEWERS, name.as_str())
}

/// The number of a gate.
pub(crate) fn gate(name: &GateName) -> u8 {
    position(&GATES, name.as_str())
}

/// The gate of a number.
pub(crate) fn gate_name(number: u8) -> GateName {
    GATES[usize::from(number)].parse().unwrap()
}

/// By how much a maintainer raises a budget.
pub(crate) const RAISE: Money = Money::from_microdollars(2);

/// Somebody with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// A maintainer.
    Mona,
    /// A stranger.
    Eve,
    /// Pairbot itself.
    Own,
}

impl Who {
    pub(crate) fn actor(self) -> Actor {
        let (id, login, kind) = match self {
            Self::Mona => (1, "mona", ActorKind::Person),
            Self::Eve => (2, "eve", ActorKind::Person),
            Self::Own => (3, "pairbot[bot]", ActorKind::Own),
        };
        Actor { id: UserId(id), login: login.parse().unwrap(), kind }
    }

    pub(crate) fn of(actor: &Actor) -> Self {
        match actor.id.0 {
            1 => Self::Mona,
            2 => Self::Eve,
            _ => Self::Own,
        }
    }

    /// What GitHub answers when asked.
    pub(crate) fn permission(self) -> Permission {
        match self {
            Self::Mona => Permission::Write,
            Self::Eve => Permission::Read,
            Self::Own => Permission::None,
        }
    }
}

/// What repositories of this world rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) reviewers: usize,
    pub(crate) gate: Gate,
    pub(crate) rounds_max: u32,
    /// In units of which a task of an agent may take two and takes one; none leaves money out.
    pub(crate) budget: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    None,
    Size,
    Ci,
    ObservedCi,
}

impl Rules {
    pub(crate) fn policy(self) -> Policy {
        let reviewer = ReviewerPolicy { focus: "is it right".to_owned(), agent: AgentChoice::default() };
        let names = REVIEWERS.into_iter().take(self.reviewers);
        let ci = |rule| ("ci", GateKind::Ci { rule, timeout_ms: 1_000 });
        let gate = match self.gate {
            Gate::None => None,
            Gate::Size => Some(("size", GateKind::Size { files_max: 40, lines_max: 1_500 })),
            Gate::Ci => Some(ci(CiRule::Required { names: vec!["build".to_owned()] })),
            Gate::ObservedCi => Some(ci(CiRule::Observed)),
        };
        Policy {
            creator: AgentChoice::default(),
            reviewers: names.map(|name| (name.parse().unwrap(), reviewer.clone())).collect(),
            rounds_max: self.rounds_max,
            run_budget: Money::from_microdollars(self.budget.unwrap_or(1_000)),
            run_tokens: None,
            day_budget: Limits::NONE,
            run_ms_max: 1_000_000,
            task_ms_max: 1_000,
            setup: None,
            gates: gate
                .map(|(name, kind)| (name.parse().unwrap(), kind))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
        }
    }
}

pub(crate) fn report(verdict: Verdict) -> GateReport {
    GateReport {
        verdict,
        title: "looked".to_owned(),
        summary: String::new(),
        detail: String::new(),
        annotations: Vec::new(),
    }
}
