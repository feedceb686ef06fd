//! Numbers that GitHub gives to things. Several start above 2^32, so that a client that keeps them in 32 bits
//! fails here and not in production.

use std::collections::BTreeMap;

/// What a number is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Account,
    App,
    Installation,
    Repository,
    Issue,
    PullRequest,
    IssueComment,
    IssueEvent,
    Review,
    ReviewComment,
    ReviewThread,
    Label,
    Reaction,
    CheckRun,
    CheckSuite,
    Status,
    Hook,
    Delivery,
    Token,
    Request,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Ids(BTreeMap<Kind, u64>);

impl Kind {
    const fn first(self) -> u64 {
        match self {
            Self::Account => 150_000_001,
            Self::App => 1_200_001,
            Self::Installation => 60_000_001,
            Self::Repository => 1_000_000_001,
            Self::Issue => 4_500_000_001,
            Self::PullRequest => 4_400_000_001,
            Self::IssueComment => 5_000_000_001,
            Self::IssueEvent => 17_000_000_001,
            Self::Review => 4_600_000_001,
            Self::ReviewComment => 4_700_000_001,
            Self::Label => 9_000_000_001,
            Self::Reaction => 4_800_000_001,
            Self::CheckRun => 50_000_000_001,
            Self::CheckSuite => 45_000_000_001,
            Self::Status => 40_000_000_001,
            Self::Hook => 500_000_001,
            Self::Delivery => 180_000_000_001,
            Self::ReviewThread | Self::Token | Self::Request => 1,
        }
    }
}

impl Ids {
    /// A number that was not given before.
    pub(crate) fn next(&mut self, kind: Kind) -> u64 {
        let next = self.0.entry(kind).or_insert_with(|| kind.first());
        let id = *next;
        *next += 1;
        id
    }
}
