//! What is said of money: a budget that is used up, one that will be, and what runs here usually cost.

use chrono::{DateTime, Utc};
use pairbot_protocol::budget::{Exhausted, Forecast, Measure, Warning};
use pairbot_protocol::ids::{Timestamp, Tokens};
use pairbot_protocol::run::{Halt, Phase, Run};

use super::RunFacts;
use super::blocks::counted;
use super::halts::HaltText;

/// Why no call was made, and when one will be: a text for each budget.
pub(super) fn exhausted(exhausted: Exhausted) -> HaltText {
    match exhausted {
        Exhausted::Run { measure: Measure::Money } => HaltText {
            title: "the budget is used up".into(),
            meaning: "The next call to a model does not fit into the run's budget, so it was not made. What was \
                      done is on the branch."
                .into(),
            next: "Raise the budget with `/budget +5` (any amount in dollars), then `/retry`; or finish the branch \
                   by hand."
                .into(),
        },
        Exhausted::Run { measure: Measure::Tokens } => HaltText {
            title: "the token budget is used up".into(),
            meaning: "The next call to a model does not fit into the tokens that the run may use, so it was not \
                      made. What was done is on the branch."
                .into(),
            next: "Raise it with `/budget +200k tokens` (any number), then `/retry`; or finish the branch by hand."
                .into(),
        },
        Exhausted::RepositoryDay { measure, opens_at } => HaltText {
            title: format!("this repository's {} for the day is used up", name(measure)).into(),
            meaning: "The next call to a model does not fit into what all runs of this repository may spend together \
                      in a day, so it was not made. What was done is on the branch."
                .into(),
            next: format!(
                "A new day begins on {}: comment `/retry` then. Raising this run's own budget does not help. How \
                 much a day may cost is set by the server's operator, and by {} in the policy where that is lower.",
                moment(opens_at),
                key(measure)
            )
            .into(),
        },
        Exhausted::InstallationMonth { measure, opens_at } => HaltText {
            title: format!("this installation's {} for the month is used up", name(measure)).into(),
            meaning: "The next call to a model does not fit into what all runs of this installation, in every \
                      repository, may spend together in a month, so it was not made. What was done is on the branch."
                .into(),
            next: format!(
                "A new month begins on {}: comment `/retry` then, or ask the server's operator for more. Raising \
                 this run's own budget does not help.",
                moment(opens_at)
            )
            .into(),
        },
    }
}

fn name(measure: Measure) -> &'static str {
    match measure {
        Measure::Money => "budget",
        Measure::Tokens => "token budget",
    }
}

/// Where a policy sets what a repository may spend in a day.
fn key(measure: Measure) -> &'static str {
    match measure {
        Measure::Money => "`budget.day`",
        Measure::Tokens => "`budget.tokens.day`",
    }
}

/// A moment as people read it. Periods begin at full minutes.
fn moment(at: Timestamp) -> String {
    i64::try_from(at.unix_ms).ok().and_then(DateTime::<Utc>::from_timestamp_millis).map_or_else(
        || format!("{} ms after 1970", at.unix_ms),
        |at| at.format("%Y-%m-%d at %H:%M UTC").to_string(),
    )
}

/// What was spent, on one line, in tokens too where those are limited.
pub(super) fn line(facts: &RunFacts) -> String {
    let budget = &facts.budget;
    let under_way = if budget.reserved.microdollars == 0 {
        String::new()
    } else {
        format!(", {} set aside for calls under way", budget.reserved)
    };
    let tokens = budget
        .limit_tokens
        .map_or_else(String::new, |limit| format!(", {} of {limit}", number(budget.spent_tokens)));
    format!("{} of {}{under_way}{tokens}", budget.spent, budget.limit)
}

/// A number of tokens without the word.
fn number(tokens: Tokens) -> String {
    tokens.to_string().trim_end_matches(|c: char| !c.is_ascii_digit()).to_owned()
}

/// That a budget is nearly used up, while that can be changed.
pub(super) fn warning(run: &Run, facts: &RunFacts) -> String {
    let told_already =
        matches!(run.phase, Phase::Halted { reason: Halt::BudgetExhausted, .. }) || run.is_over();
    let budget = &facts.budget;
    let Some(warning) = Warning::of(budget.spent(), budget.limits()).filter(|_| !told_already) else {
        return String::new();
    };
    let (share, then) = match warning {
        Warning::Half => ("Half of this run's budget is", "The run halts before it passes it."),
        Warning::FourFifths => (
            "Four fifths of this run's budget are",
            "The run halts before it passes it, and keeps what was done. Someone with write access can raise it, \
             as under \"Commands\" below.",
        ),
    };
    format!("> **{share} spent:** {}. {then}", line(facts))
}

/// What runs of this repository usually cost, while something may still be spent on this one.
pub(super) fn forecast(run: &Run, facts: &RunFacts) -> String {
    let ahead = run.phase.is_work() || matches!(run.phase, Phase::Halted { .. });
    match facts.forecast.filter(|_| ahead) {
        None => String::new(),
        Some(Forecast { runs, median, nine_of_ten }) => format!(
            "Runs here cost {median} in the median, 9 of 10 at most {nine_of_ten} (of the last {} that ended).",
            counted(runs, "run")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_that_begins_is_told_by_date_and_hour() {
        assert_eq!(moment(Timestamp::from_unix_ms(1_767_571_200_000)), "2026-01-05 at 00:00 UTC");
        assert!(moment(Timestamp::from_unix_ms(u64::MAX)).contains("after 1970"));
        assert_eq!(number(Tokens(1_234_567)), "1,234,567");
    }
}
