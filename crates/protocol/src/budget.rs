//! Budgets: what a run, a repository in a day and an installation in a month may spend, in dollars and in tokens
//! (promise P3). Days and months are UTC's, for everybody the same.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{Money, Timestamp, Tokens};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How many runs must have ended before anything is foretold from them.
const FORECAST_RUNS_MIN: usize = 3;

/// Whose budget it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One run.
    Run,
    /// All runs of a repository, in one day.
    RepositoryDay,
    /// All runs of an installation, in one month.
    InstallationMonth,
}

/// In what a budget is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// In dollars, by the price table.
    Money,
    /// In tokens, read and written together.
    Tokens,
}

/// Dollars and tokens of the same calls.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// In dollars.
    pub money: Money,
    /// In tokens.
    pub tokens: Tokens,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self { money: Money::ZERO, tokens: Tokens::ZERO };

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { money: self.money.plus(other.money), tokens: self.tokens.plus(other.tokens) }
    }

    /// What is left after taking `other` away, never below nothing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self { money: self.money.minus(other.money), tokens: self.tokens.minus(other.tokens) }
    }

    /// One of the two.
    pub const fn in_measure(self, measure: Measure) -> Quantity {
        match measure {
            Measure::Money => Quantity::Money(self.money),
            Measure::Tokens => Quantity::Tokens(self.tokens),
        }
    }
}

/// Dollars or tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Dollars.
    Money(Money),
    /// Tokens.
    Tokens(Tokens),
}

impl Quantity {
    /// What is left after taking `other` away, never below nothing; of what is counted otherwise nothing is taken.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Money(money), Self::Money(other)) => Self::Money(money.minus(other)),
            (Self::Tokens(tokens), Self::Tokens(other)) => Self::Tokens(tokens.minus(other)),
            (Self::Money(_), Self::Tokens(_)) | (Self::Tokens(_), Self::Money(_)) => self,
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Money(money) => money.fmt(out),
            Self::Tokens(tokens) => tokens.fmt(out),
        }
    }
}

/// The most that may be spent and reserved together; none leaves a measure without a limit.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// In dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Money>,
    /// In tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
}

impl Limits {
    /// No limit at all.
    pub const NONE: Self = Self { money: None, tokens: None };

    /// Whether there is no limit.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// The lower of two limits in each measure: whoever may only lower can raise nothing.
    #[must_use]
    pub fn lowered_by(self, other: Self) -> Self {
        Self { money: lower(self.money, other.money), tokens: lower(self.tokens, other.tokens) }
    }

    /// The measure in which `wanted` does not fit beside what is `taken`, spent or reserved. What costs nothing fits
    /// whatever was taken before.
    pub fn refuses(self, taken: Amount, wanted: Amount) -> Option<Measure> {
        let after = taken.plus(wanted);
        let money = wanted.money > Money::ZERO && self.money.is_some_and(|limit| after.money > limit);
        let tokens = wanted.tokens > Tokens::ZERO && self.tokens.is_some_and(|limit| after.tokens > limit);
        if money {
            Some(Measure::Money)
        } else if tokens {
            Some(Measure::Tokens)
        } else {
            None
        }
    }

    /// The limit in a measure, if there is one.
    pub fn in_measure(self, measure: Measure) -> Option<Quantity> {
        match measure {
            Measure::Money => self.money.map(Quantity::Money),
            Measure::Tokens => self.tokens.map(Quantity::Tokens),
        }
    }
}

fn lower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The budget that a call did not fit, and when it opens again. A run's own opens when a person raises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "kebab-case")]
pub enum Exhausted {
    /// The run's own.
    Run {
        /// In what.
        measure: Measure,
    },
    /// The repository's of that day.
    RepositoryDay {
        /// In what.
        measure: Measure,
        /// When the next day begins.
        opens_at: Timestamp,
    },
    /// The installation's of that month.
    InstallationMonth {
        /// In what.
        measure: Measure,
        /// When the next month begins.
        opens_at: Timestamp,
    },
}

impl Exhausted {
    /// What a scope without room means at this moment.
    pub fn at(scope: Scope, measure: Measure, now: Timestamp) -> Self {
        match scope {
            Scope::Run => Self::Run { measure },
            Scope::RepositoryDay => Self::RepositoryDay { measure, opens_at: Period::day(now).ends_at },
            Scope::InstallationMonth => {
                Self::InstallationMonth { measure, opens_at: Period::month(now).ends_at }
            }
        }
    }

    /// Whose budget it is.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Run { .. } => Scope::Run,
            Self::RepositoryDay { .. } => Scope::RepositoryDay,
            Self::InstallationMonth { .. } => Scope::InstallationMonth,
        }
    }

    /// When it opens again by itself; a run's own does not.
    pub const fn opens_at(self) -> Option<Timestamp> {
        match self {
            Self::Run { .. } => None,
            Self::RepositoryDay { opens_at, .. } | Self::InstallationMonth { opens_at, .. } => Some(opens_at),
        }
    }

    /// In what it is counted.
    pub const fn measure(self) -> Measure {
        match self {
            Self::Run { measure }
            | Self::RepositoryDay { measure, .. }
            | Self::InstallationMonth { measure, .. } => measure,
        }
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.scope() {
            Scope::Run => "the run's budget",
            Scope::RepositoryDay => "the repository's budget for the day",
            Scope::InstallationMonth => "the installation's budget for the month",
        })
    }
}

/// A span of time in which what is spent counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// Its first moment.
    pub starts_at: Timestamp,
    /// The first moment after it.
    pub ends_at: Timestamp,
}

impl Period {
    /// The day, in UTC, that a moment lies in.
    pub const fn day(at: Timestamp) -> Self {
        Self::of_days(at.unix_ms / DAY_MS, at.unix_ms / DAY_MS + 1)
    }

    /// The month, in UTC, that a moment lies in.
    pub const fn month(at: Timestamp) -> Self {
        let (year, month) = civil_month(at.unix_ms / DAY_MS);
        let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        Self::of_days(first_day(year, month), first_day(next_year, next_month))
    }

    const fn of_days(first: u64, next: u64) -> Self {
        Self {
            starts_at: Timestamp::from_unix_ms(first.saturating_mul(DAY_MS)),
            ends_at: Timestamp::from_unix_ms(next.saturating_mul(DAY_MS)),
        }
    }
}

/// Days from 0000-03-01 to 1970-01-01 in the Gregorian calendar.
const DAYS_BEFORE_1970: u64 = 719_468;
/// Days in four hundred years, after which the calendar repeats.
const DAYS_OF_ERA: u64 = 146_097;

/// Year and month of a day counted from 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
const fn civil_month(day: u64) -> (u64, u64) {
    let day = day + DAYS_BEFORE_1970;
    let (era, day) = (day / DAYS_OF_ERA, day % DAYS_OF_ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + if month <= 2 { 1 } else { 0 }, month)
}

/// The first day of a month, counted from 1970-01-01.
const fn first_day(year: u64, month: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let (era, year) = (year / 400, year % 400);
    let day = (153 * from_march + 2) / 5 + 365 * year + year / 4 - year / 100;
    era * DAYS_OF_ERA + day - DAYS_BEFORE_1970
}

/// How far a budget is used, where that is worth a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// Half of it or more.
    Half,
    /// Four fifths of it or more.
    FourFifths,
}

impl Warning {
    /// What is to be said of a budget of which so much is spent.
    pub fn of(spent: Amount, limits: Limits) -> Option<Self> {
        let money = limits.money.and_then(|limit| Self::share(spent.money.microdollars, limit.microdollars));
        let tokens = limits.tokens.and_then(|limit| Self::share(spent.tokens.0, limit.0));
        money.max(tokens)
    }

    fn share(spent: u64, limit: u64) -> Option<Self> {
        let (spent, limit) = (u128::from(spent), u128::from(limit));
        if limit == 0 || spent * 2 < limit {
            None
        } else if spent * 5 < limit * 4 {
            Some(Self::Half)
        } else {
            Some(Self::FourFifths)
        }
    }
}

/// What a run of a repository may be expected to cost, from those that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// From how many runs.
    pub runs: usize,
    /// Half of them cost no more.
    pub median: Money,
    /// Nine of ten cost no more.
    pub nine_of_ten: Money,
}

impl Forecast {
    /// Nothing is foretold from fewer than three runs.
    pub fn of(mut costs: Vec<Money>) -> Option<Self> {
        if costs.len() < FORECAST_RUNS_MIN {
            return None;
        }
        costs.sort_unstable();
        let at_most = |tenths: usize| costs.get((costs.len() * tenths).div_ceil(10).max(1) - 1).copied();
        Some(Self { runs: costs.len(), median: at_most(5)?, nine_of_ten: at_most(9)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix_ms: u64) -> Timestamp {
        Timestamp::from_unix_ms(unix_ms)
    }

    /// Milliseconds of a day at midnight, by `date -u -d 2026-01-05 +%s`.
    const MONDAY_MS: u64 = 1_767_571_200_000;

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        let period = Period { starts_at: at(MONDAY_MS), ends_at: at(MONDAY_MS + DAY_MS) };
        assert_eq!(Period::day(at(MONDAY_MS)), period);
        assert_eq!(Period::day(at(MONDAY_MS + DAY_MS - 1)), period);
        assert_eq!(Period::day(at(MONDAY_MS + DAY_MS)).starts_at, period.ends_at);
    }

    #[test]
    fn months_follow_each_other_without_a_gap_and_have_their_lengths() {
        let mut month = Period::month(at(0));
        assert_eq!(month.starts_at, at(0));
        let mut lengths = Vec::new();
        for year in 1970..2405_u64 {
            let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            let february = if leap { 29 } else { 28 };
            for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
                lengths.push(days);
            }
        }
        for days in lengths {
            assert_eq!(month.ends_at, month.starts_at.plus_ms(days * DAY_MS), "{month:?}");
            assert_eq!(Period::month(at(month.ends_at.unix_ms - 1)), month);
            month = Period::month(month.ends_at);
        }
        // 2026-01-01 and 2026-02-01, by `date`.
        let january = Period { starts_at: at(1_767_225_600_000), ends_at: at(1_769_904_000_000) };
        assert_eq!(Period::month(at(MONDAY_MS)), january);
    }

    #[test]
    fn no_moment_is_too_late_for_a_period() {
        let last = at(u64::MAX);
        assert!(Period::day(last).ends_at >= Period::day(last).starts_at);
        assert!(Period::month(last).ends_at >= Period::month(last).starts_at);
    }

    fn limits(cents: u64, tokens: u64) -> Limits {
        Limits { money: Some(Money::from_cents(cents)), tokens: Some(Tokens(tokens)) }
    }

    fn amount(cents: u64, tokens: u64) -> Amount {
        Amount { money: Money::from_cents(cents), tokens: Tokens(tokens) }
    }

    #[test]
    fn a_limit_is_reached_and_never_passed() {
        assert_eq!(limits(10, 100).refuses(amount(4, 40), amount(6, 60)), None);
        assert_eq!(limits(10, 100).refuses(amount(4, 40), amount(7, 60)), Some(Measure::Money));
        assert_eq!(limits(10, 100).refuses(amount(4, 40), amount(6, 61)), Some(Measure::Tokens));
        assert_eq!(Limits::NONE.refuses(amount(4, 40), amount(7, 61)), None);
        // A limit that was lowered since refuses what costs, and nothing else.
        assert_eq!(limits(10, 100).refuses(amount(11, 40), amount(0, 60)), None);
        assert_eq!(limits(10, 100).refuses(amount(u64::MAX, 0), amount(1, 1)), Some(Measure::Money));
    }

    #[test]
    fn whoever_may_only_lower_raises_nothing() {
        let own = Limits { money: Some(Money::from_cents(50)), tokens: None };
        assert_eq!(own.lowered_by(Limits { money: Some(Money::from_cents(70)), tokens: None }), own);
        assert_eq!(own.lowered_by(limits(20, 9)), limits(20, 9));
        assert_eq!(own.lowered_by(Limits::NONE), own);
    }

    #[test]
    fn half_and_four_fifths_of_a_budget_are_worth_a_word() {
        let of = |cents| Warning::of(amount(cents, 0), limits(100, 0));
        assert_eq!([of(0), of(49)], [None, None]);
        assert_eq!([of(50), of(79)], [Some(Warning::Half); 2]);
        assert_eq!([of(80), of(300)], [Some(Warning::FourFifths); 2]);
        assert_eq!(Warning::of(amount(10, 90), limits(100, 100)), Some(Warning::FourFifths));
        assert_eq!(Warning::of(amount(10, 90), Limits::NONE), None);
    }

    #[test]
    fn nothing_is_foretold_from_two_runs() {
        let costs = |cents: &[u64]| cents.iter().copied().map(Money::from_cents).collect::<Vec<_>>();
        assert_eq!(Forecast::of(costs(&[10, 20])), None);
        let forecast = Forecast::of(costs(&[30, 10, 20])).unwrap();
        assert_eq!((forecast.median, forecast.nine_of_ten), (Money::from_cents(20), Money::from_cents(30)));
        let forecast = Forecast::of(costs(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 1_000])).unwrap();
        assert_eq!((forecast.median, forecast.nine_of_ten), (Money::from_cents(5), Money::from_cents(9)));
        assert_eq!(forecast.runs, 10);
    }
}
