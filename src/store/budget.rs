//! Budgets: reserved before a call, settled after it (promise P3).

use std::fmt;

use pairbot_protocol::budget::{Amount, Exhausted, Limits, Measure, Period, Quantity, Scope};
use pairbot_protocol::ids::{
    InstallationId, Money, RepositoryId, Round, RunId, TaskId, Timestamp, Tokens, Usage,
};

/// An amount set aside for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId(pub u64);

impl fmt::Display for ReservationId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Where a run's budget is. `spent + reserved` never passes a limit by a reservation; a limit that is lowered later,
/// or a provider that reports more than was reserved, can leave it behind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The most the run may have spent and reserved.
    pub limit: Money,
    /// The same in tokens; none for no limit.
    pub limit_tokens: Option<Tokens>,
    /// What calls have cost.
    pub spent: Money,
    /// Tokens that calls have used, or that were reserved for those that were charged in full.
    pub spent_tokens: Tokens,
    /// What calls under way may cost.
    pub reserved: Money,
    /// Tokens that calls under way may use.
    pub reserved_tokens: Tokens,
    /// Tokens that providers reported.
    pub usage: Usage,
    /// How many calls were settled or charged.
    pub calls: u64,
}

impl Budget {
    /// What limits it.
    pub const fn limits(&self) -> Limits {
        Limits { money: Some(self.limit), tokens: self.limit_tokens }
    }

    /// What its calls have cost and used.
    pub const fn spent(&self) -> Amount {
        Amount { money: self.spent, tokens: self.spent_tokens }
    }

    /// What is spent and reserved.
    pub const fn taken(&self) -> Amount {
        self.spent().plus(Amount { money: self.reserved, tokens: self.reserved_tokens })
    }
}

/// Who owns a budget that runs share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A repository, for a day.
    Repository(RepositoryId),
    /// An installation, for a month.
    Installation(InstallationId),
}

impl Owner {
    /// Whose budget it is, in the protocol's words.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Repository(_) => Scope::RepositoryDay,
            Self::Installation(_) => Scope::InstallationMonth,
        }
    }

    /// The owner's period that a moment lies in.
    pub const fn period(self, at: Timestamp) -> Period {
        match self {
            Self::Repository(_) => Period::day(at),
            Self::Installation(_) => Period::month(at),
        }
    }
}

/// What may be spent beyond one run, as it holds at the moment of a reservation: the operator's settings, and what the
/// repository's policy makes lower.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SharedLimits {
    /// All runs of the repository, in a day.
    pub repository_day: Limits,
    /// All runs of the installation, in a month.
    pub installation_month: Limits,
}

impl SharedLimits {
    /// None at all.
    pub const NONE: Self = Self { repository_day: Limits::NONE, installation_month: Limits::NONE };

    /// The limits of an owner.
    pub const fn of(&self, owner: Owner) -> Limits {
        match owner {
            Owner::Repository(_) => self.repository_day,
            Owner::Installation(_) => self.installation_month,
        }
    }
}

/// What runs have spent together in a period. It outlives the runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedBudget {
    /// Whose it is.
    pub owner: Owner,
    /// Which day or month.
    pub period: Period,
    /// The limits that held at the last reservation.
    pub limits: Limits,
    /// What calls have cost and used.
    pub spent: Amount,
    /// What calls under way may cost and use.
    pub reserved: Amount,
    /// How many calls were settled or charged.
    pub calls: u64,
}

impl SharedBudget {
    /// A budget of which nothing is taken.
    pub(in crate::store) const fn unused(owner: Owner, at: Timestamp) -> Self {
        Self {
            owner,
            period: owner.period(at),
            limits: Limits::NONE,
            spent: Amount::ZERO,
            reserved: Amount::ZERO,
            calls: 0,
        }
    }

    /// What is spent and reserved.
    pub const fn taken(&self) -> Amount {
        self.spent.plus(self.reserved)
    }
}

/// Every budget that a run's calls are paid from, as of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// The run's own.
    pub run: Budget,
    /// Its repository's, of the day.
    pub repository_day: SharedBudget,
    /// Its installation's, of the month.
    pub installation_month: SharedBudget,
}

/// Why an amount was not reserved: the budget that has no room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Whose budget, in what, and when it opens again.
    pub exhausted: Exhausted,
    /// Its limit.
    pub limit: Quantity,
    /// What is spent of it.
    pub spent: Quantity,
    /// What other calls have reserved of it.
    pub reserved: Quantity,
}

impl Refused {
    pub(in crate::store) fn by(
        scope: Scope,
        measure: Measure,
        limits: Limits,
        [spent, reserved]: [Amount; 2],
        now: Timestamp,
    ) -> Self {
        let [spent, reserved] = [spent, reserved].map(|amount| amount.in_measure(measure));
        // Only a limit refuses; where there is none, what is spent stands for it.
        let limit = limits.in_measure(measure).unwrap_or(spent);
        Self { exhausted: Exhausted::at(scope, measure, now), limit, spent, reserved }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exhausted, limit, spent, reserved } = self;
        write!(out, "{exhausted}, {limit}, does not allow it: {spent} spent and {reserved} reserved")
    }
}

/// A reservation whose call has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReservation {
    /// Its number.
    pub id: ReservationId,
    /// The run that pays.
    pub run: RunId,
    /// Its task.
    pub task: TaskId,
    /// What is set aside.
    pub amount: Amount,
    /// Since when.
    pub since: Timestamp,
    /// What for.
    pub purpose: String,
}

/// What one part of a run has cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendLine {
    /// In which round, if it belongs to one.
    pub round: Option<Round>,
    /// Whose work it was: `creator`, or a reviewer's name.
    pub agent: String,
    /// The model that was called; none where a call was charged without an answer.
    pub model: Option<String>,
    /// What it cost.
    pub cost: Money,
    /// Tokens that the provider reported.
    pub usage: Usage,
    /// How many calls.
    pub calls: u64,
}
