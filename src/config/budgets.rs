//! What runs may spend together: the operator's word, which no repository can raise.

use std::str::FromStr;

use pairbot_protocol::budget::Limits;
use pairbot_protocol::ids::{Money, Tokens};

use super::problem::{ConfigError, Problems};
use super::source::Source;
use crate::store::SharedLimits;

/// What a repository may spend in a day where nothing is set: ten runs that use all they may by default.
pub const REPOSITORY_DAY: Money = Money::from_cents(5_000);
/// What an installation may spend in a month where nothing is set: a bill that hurts nobody who did not expect it. Whoever
/// needs more says so once, and knows then what it can cost.
pub const INSTALLATION_MONTH: Money = Money::from_cents(50_000);

/// What switches a limit off.
const NONE: &str = "none";

/// What holds where nothing is set.
pub const fn defaults() -> SharedLimits {
    SharedLimits {
        repository_day: Limits { money: Some(REPOSITORY_DAY), tokens: None },
        installation_month: Limits { money: Some(INSTALLATION_MONTH), tokens: None },
    }
}

/// Reads only what a command needs that looks at budgets.
pub fn load(source: &Source) -> Result<SharedLimits, ConfigError> {
    let mut problems = Problems::of(source);
    read(source, &mut problems).filter(|_| problems.is_empty()).ok_or_else(|| problems.into())
}

pub(super) fn read(source: &Source, problems: &mut Problems) -> Option<SharedLimits> {
    let SharedLimits { repository_day, installation_month } = defaults();
    let day = ["PAIRBOT_REPOSITORY_DAY_USD", "PAIRBOT_REPOSITORY_DAY_TOKENS"];
    let month = ["PAIRBOT_INSTALLATION_MONTH_USD", "PAIRBOT_INSTALLATION_MONTH_TOKENS"];
    let repository_day = limits(source, problems, day, repository_day);
    let installation_month = limits(source, problems, month, installation_month);
    Some(SharedLimits { repository_day: repository_day?, installation_month: installation_month? })
}

fn limits(
    source: &Source,
    problems: &mut Problems,
    [usd, tokens]: [&str; 2],
    default: Limits,
) -> Option<Limits> {
    let dollars = "an amount in dollars above 0 such as `50` or `12.50`";
    let money = limit(source, problems, usd, default.money, &Money::ZERO, dollars);
    let number = "a number of tokens above 0 such as `500000`, `500k` or `20M`";
    let tokens = limit(source, problems, tokens, default.tokens, &Tokens::ZERO, number);
    Some(Limits { money: money?, tokens: tokens? })
}

#[expect(clippy::option_option, reason = "a setting that is wrong is told from a limit that is switched off")]
fn limit<T: FromStr + PartialOrd>(
    source: &Source,
    problems: &mut Problems,
    name: &str,
    default: Option<T>,
    nothing: &T,
    expected: &str,
) -> Option<Option<T>> {
    match source.get(name) {
        None => Some(default),
        Some(text) if text == NONE => Some(None),
        Some(text) => match text.parse::<T>() {
            Ok(limit) if limit > *nothing => Some(Some(limit)),
            Ok(_) | Err(_) => {
                problems.add(source, name, &format!("is neither {expected}, nor `{NONE}` for no limit"))
            }
        },
    }
}
