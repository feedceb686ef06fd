//! What a model costs and how much it can hold.
//!
//! The table ships as `prices.toml` and an operator's own file of the same form adds to it or replaces entries. A
//! model that is in neither has no price: it is called only where a budget counts tokens.

use std::collections::BTreeMap;
use std::fmt;

use pairbot_protocol::budget::Amount;
use pairbot_protocol::ids::{Money, Tokens, Usage};
use serde::{Deserialize, Serialize};

use super::providers::ProviderKind;

const SHIPPED: &str = include_str!("prices.toml");

/// What is taken for the window and the longest answer of a model of which nothing is known. Where it is too much, the
/// provider says so and the conversation is shortened.
const UNKNOWN_CONTEXT_TOKENS: u64 = 128_000;
/// See [`UNKNOWN_CONTEXT_TOKENS`].
const UNKNOWN_OUTPUT_TOKENS: u64 = 8_192;

/// A provider and one of its models.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModelChoice {
    /// Whose API is spoken.
    pub provider: ProviderKind,
    /// The model's name as the provider knows it.
    pub model: String,
}

impl ModelChoice {
    /// The model without the date that a provider's fixed version carries in its name.
    #[must_use]
    pub fn undated(&self) -> Self {
        Self { provider: self.provider, model: undated(&self.model).to_owned() }
    }
}

impl fmt::Display for ModelChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.provider, self.model)
    }
}

/// A model without a price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no price is known for the model `{model}` of {provider}, so no call to it can be budgeted in dollars; add an \
     entry `[[model]]` with provider, name, context_tokens, output_tokens and [model.price] to the operator's price \
     file, or set a budget in tokens (`budget.tokens` in the policy, or PAIRBOT_REPOSITORY_DAY_TOKENS)"
)]
pub struct UnknownModel {
    /// The provider.
    pub provider: ProviderKind,
    /// The model's name.
    pub model: String,
}

/// A price file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the price file is not usable: {0}")]
pub struct PriceTableError(String);

/// Prices in microdollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Input at full price.
    pub input: u64,
    /// Input written to the prompt cache.
    pub cache_write: u64,
    /// Input written to the prompt cache to be kept for an hour.
    pub cache_write_hour: u64,
    /// Input read from the prompt cache.
    pub cache_read: u64,
    /// Output.
    pub output: u64,
}

/// How long a request asks the provider to keep what it writes to the prompt cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheLife {
    /// As long as the provider does by itself; with Anthropic five minutes.
    #[default]
    Usual,
    /// An hour, which is dearer.
    Hour,
}

impl Price {
    const NOTHING: Self = Self { input: 0, cache_write: 0, cache_write_hour: 0, cache_read: 0, output: 0 };

    /// The exact cost, a started microdollar counted whole. Of the tokens written to the cache, `hour_tokens` are kept
    /// for an hour.
    fn cost(self, usage: Usage, hour_tokens: u64) -> Money {
        let hour_tokens = hour_tokens.min(usage.cache_write_tokens);
        let sum = [
            (usage.input_tokens, self.input),
            (usage.cache_write_tokens - hour_tokens, self.cache_write),
            (hour_tokens, self.cache_write_hour),
            (usage.cache_read_tokens, self.cache_read),
            (usage.output_tokens, self.output),
        ]
        .into_iter()
        .map(|(tokens, price)| u128::from(tokens) * u128::from(price))
        .fold(0_u128, u128::saturating_add);
        Money::from_microdollars(u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }

    fn input_worst(self, cache: CacheLife) -> u64 {
        let written = match cache {
            CacheLife::Usual => self.cache_write,
            CacheLife::Hour => self.cache_write.max(self.cache_write_hour),
        };
        self.input.max(written).max(self.cache_read)
    }
}

/// What is known of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFacts {
    /// The most tokens that input and output may have together.
    pub context_tokens: u64,
    /// The most tokens it writes in one answer.
    pub output_tokens: u64,
    /// The request field that limits the output, for OpenAI-compatible servers that know only the older one.
    pub output_limit_field: OutputLimitField,
    /// None for a model that is counted in tokens only.
    price: Option<Price>,
    /// Dearer prices for a whole request whose input is longer than this many tokens.
    long: Option<(u64, Price)>,
}

/// How an OpenAI-compatible server names the output limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputLimitField {
    /// `max_completion_tokens`, the only one that OpenAI's reasoning models accept.
    #[default]
    MaxCompletionTokens,
    /// `max_tokens`, for servers that ignore the newer one.
    MaxTokens,
}

impl ModelFacts {
    /// What a usage costs.
    pub fn cost(&self, usage: Usage) -> Money {
        self.cost_with_hour(usage, 0)
    }

    /// What a usage costs of whose cache writes `hour_tokens` are kept for an hour.
    pub fn cost_with_hour(&self, usage: Usage, hour_tokens: u64) -> Money {
        self.price_for(usage.input_total()).cost(usage, hour_tokens)
    }

    /// The most that a call can cost.
    pub fn worst_cost(&self, input_tokens: u64, output_tokens: u64, cache: CacheLife) -> Money {
        // The estimate is an upper bound: where it lies above the threshold, the real count may lie on either side.
        let price = self.dearest_for(input_tokens);
        let worst = Price { input: price.input_worst(cache), ..price };
        worst.cost(Usage { input_tokens, output_tokens, ..Usage::default() }, 0)
    }

    /// The most that a call can cost and use.
    pub fn worst(&self, input_tokens: u64, output_tokens: u64, cache: CacheLife) -> Amount {
        let tokens = Tokens(input_tokens.saturating_add(output_tokens));
        Amount { money: self.worst_cost(input_tokens, output_tokens, cache), tokens }
    }

    /// The most output tokens that `budget` pays for after an input of `input_tokens`.
    pub fn output_tokens_within(&self, budget: Money, input_tokens: u64, cache: CacheLife) -> u64 {
        let input = self.worst_cost(input_tokens, 0, cache).microdollars;
        let left = u128::from(budget.microdollars.saturating_sub(input));
        match u128::from(self.dearest_for(input_tokens).output) {
            0 => self.output_tokens,
            price => u64::try_from(left * 1_000_000 / price).unwrap_or(u64::MAX),
        }
    }

    fn dearest_for(&self, input_tokens_max: u64) -> Price {
        let (price, usual) = (self.price_for(input_tokens_max), self.price_for(0));
        Price {
            input: price.input.max(usual.input),
            cache_write: price.cache_write.max(usual.cache_write),
            cache_write_hour: price.cache_write_hour.max(usual.cache_write_hour),
            cache_read: price.cache_read.max(usual.cache_read),
            output: price.output.max(usual.output),
        }
    }

    /// What is not priced costs nothing here: it is its tokens that are limited.
    fn price_for(&self, input_tokens: u64) -> Price {
        match self.long {
            Some((above, price)) if input_tokens > above => price,
            Some(_) | None => self.price.unwrap_or(Price::NOTHING),
        }
    }
}

/// All models that may be called.
#[derive(Debug, Clone)]
pub struct PriceTable {
    models: BTreeMap<ModelChoice, ModelFacts>,
}

impl PriceTable {
    /// The table that ships with the program.
    pub fn shipped() -> Result<Self, PriceTableError> {
        let mut table = Self { models: BTreeMap::new() };
        table.read(SHIPPED)?;
        Ok(table)
    }

    /// The shipped table with an operator's file on top.
    pub fn with_override(text: &str) -> Result<Self, PriceTableError> {
        let mut table = Self::shipped()?;
        table.read(text)?;
        Ok(table)
    }

    /// What is known of a model that has a price. A dated name (`-20250929`, `-2025-08-07`) is the undated one unless
    /// listed itself.
    pub fn facts(&self, choice: &ModelChoice) -> Result<&ModelFacts, UnknownModel> {
        self.listed(choice)
            .filter(|facts| facts.price.is_some())
            .ok_or_else(|| UnknownModel { provider: choice.provider, model: choice.model.clone() })
    }

    /// What is known, or taken for known, of a model that may have no price.
    pub fn without_price(&self, choice: &ModelChoice) -> ModelFacts {
        self.listed(choice).cloned().unwrap_or(ModelFacts {
            context_tokens: UNKNOWN_CONTEXT_TOKENS,
            output_tokens: UNKNOWN_OUTPUT_TOKENS,
            output_limit_field: OutputLimitField::default(),
            price: None,
            long: None,
        })
    }

    fn listed(&self, choice: &ModelChoice) -> Option<&ModelFacts> {
        self.models.get(choice).or_else(|| self.models.get(&choice.undated()))
    }

    /// Every model with a price, for `doctor` and for messages.
    pub fn models(&self) -> impl Iterator<Item = &ModelChoice> {
        self.models.keys()
    }

    fn read(&mut self, text: &str) -> Result<(), PriceTableError> {
        let file: PriceFile = toml::from_str(text).map_err(|error| PriceTableError(error.to_string()))?;
        for entry in file.model {
            let choice = ModelChoice { provider: entry.provider, model: entry.name.clone() };
            self.models.insert(choice, entry.facts()?);
        }
        Ok(())
    }
}

fn undated(name: &str) -> &str {
    let mut end = name.len();
    let mut digits = 0;
    for byte in name.bytes().rev() {
        match byte {
            b'0'..=b'9' if digits < 8 => digits += 1,
            b'-' if digits > 0 => {}
            _ => break,
        }
        end -= 1;
        if digits == 8 {
            break;
        }
    }
    match (digits, name.get(..end)) {
        (8, Some(stem)) => stem.strip_suffix('-').unwrap_or(name),
        _ => name,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceFile {
    #[serde(default)]
    model: Vec<PriceEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceEntry {
    provider: ProviderKind,
    name: String,
    context_tokens: u64,
    output_tokens: u64,
    #[serde(default)]
    output_limit_field: OutputLimitField,
    /// Left out for a model that is counted in tokens only.
    price: Option<PriceLine>,
    long: Option<LongPriceLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongPriceLine {
    above_input_tokens: u64,
    price: PriceLine,
}

/// Dollars for a million tokens, as providers print them; text, so that no price passes through a float.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceLine {
    input: String,
    output: String,
    cache_read: Option<String>,
    cache_write: Option<String>,
    cache_write_hour: Option<String>,
}

impl PriceEntry {
    fn facts(&self) -> Result<ModelFacts, PriceTableError> {
        if self.output_tokens == 0 || self.context_tokens <= self.output_tokens {
            return Err(PriceTableError(format!(
                "model `{}`: context_tokens must be larger than output_tokens, and both larger than 0",
                self.name
            )));
        }
        if self.price.is_none() && self.long.is_some() {
            return Err(PriceTableError(format!("model `{}`: `long` needs `price` beside it", self.name)));
        }
        Ok(ModelFacts {
            context_tokens: self.context_tokens,
            output_tokens: self.output_tokens,
            output_limit_field: self.output_limit_field,
            price: match &self.price {
                Some(price) => Some(price.read(self.provider, &self.name)?),
                None => None,
            },
            long: match &self.long {
                Some(long) => Some((long.above_input_tokens, long.price.read(self.provider, &self.name)?)),
                None => None,
            },
        })
    }
}

impl PriceLine {
    fn read(&self, provider: ProviderKind, model: &str) -> Result<Price, PriceTableError> {
        let dollars = |text: &str| {
            text.parse::<Money>()
                .map(|money| money.microdollars)
                .map_err(|error| PriceTableError(format!("model `{model}`: {error}")))
        };
        let input = dollars(&self.input)?;
        let cache_write_default = match provider {
            // "5-minute cache write tokens are 1.25 times the base input tokens price" (Anthropic, Prompt caching).
            ProviderKind::Anthropic => input.saturating_mul(5).div_ceil(4),
            // These cache by themselves and ask nothing for it.
            ProviderKind::OpenAi | ProviderKind::Gemini => input,
        };
        let optional = |text: &Option<String>, default: u64| text.as_deref().map_or(Ok(default), dollars);
        let cache_write = optional(&self.cache_write, cache_write_default)?;
        let cache_write_hour_default = match provider {
            // "1-hour cache write tokens are 2 times the base input tokens price" (the same page).
            ProviderKind::Anthropic => input.saturating_mul(2).max(cache_write),
            ProviderKind::OpenAi | ProviderKind::Gemini => cache_write,
        };
        Ok(Price {
            input,
            output: dollars(&self.output)?,
            cache_read: optional(&self.cache_read, input)?,
            cache_write,
            cache_write_hour: optional(&self.cache_write_hour, cache_write_hour_default)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(model: &str) -> ModelChoice {
        ModelChoice { provider: ProviderKind::Anthropic, model: model.to_owned() }
    }

    #[test]
    fn the_shipped_table_reads_and_prices_exactly() {
        let table = PriceTable::shipped().unwrap();
        let facts = table.facts(&choice("claude-sonnet-4-5-20250929")).unwrap();
        let usage = Usage {
            input_tokens: 1_000,
            output_tokens: 100,
            cache_read_tokens: 10_000,
            cache_write_tokens: 8,
        };
        // 1000 at $3, 100 at $15, 10000 at $0.30, 8 at $3.75, for a million each.
        assert_eq!(facts.cost(usage), Money::from_microdollars(3_000 + 1_500 + 3_000 + 30));
    }

    #[test]
    fn what_is_kept_for_an_hour_is_paid_at_its_own_price() {
        let table = PriceTable::shipped().unwrap();
        let facts = table.facts(&choice("claude-sonnet-4-5")).unwrap();
        let usage = Usage { cache_write_tokens: 1_000, ..Usage::default() };
        // 400 at $3.75 and 600 at $6, for a million each.
        assert_eq!(facts.cost_with_hour(usage, 600), Money::from_microdollars(1_500 + 3_600));
        assert_eq!(facts.cost_with_hour(usage, 9_999), Money::from_microdollars(6_000));
    }

    #[test]
    fn a_model_without_price_is_refused_with_the_way_out() {
        let error = PriceTable::shipped().unwrap().facts(&choice("claude-next")).unwrap_err();
        assert!(error.to_string().contains("[[model]]"), "{error}");
        assert!(error.to_string().contains("budget in tokens"), "{error}");
    }

    #[test]
    fn a_model_without_price_has_sizes_and_costs_nothing_but_tokens() {
        let entry = "[[model]]\nprovider = \"openai\"\nname = \"house\"\ncontext_tokens = 9000\noutput_tokens = 900\n";
        let table = PriceTable::with_override(entry).unwrap();
        let house = ModelChoice { provider: ProviderKind::OpenAi, model: "house".to_owned() };
        assert!(table.facts(&house).is_err());
        let facts = table.without_price(&house);
        assert_eq!((facts.context_tokens, facts.output_tokens), (9_000, 900));
        let worst = facts.worst(5_000, 900, CacheLife::Usual);
        assert_eq!((worst.money, worst.tokens), (Money::ZERO, Tokens(5_900)));
        assert_eq!(facts.output_tokens_within(Money::ZERO, 5_000, CacheLife::Usual), 900);
        assert_eq!(table.without_price(&choice("nobody-knows")).context_tokens, UNKNOWN_CONTEXT_TOKENS);
        let long = format!(
            "{entry}[model.long]\nabove_input_tokens = 5\nprice = {{ input = \"1\", output = \"2\" }}\n"
        );
        assert!(PriceTable::with_override(&long).is_err());
    }

    #[test]
    fn the_worst_case_is_never_below_the_cost_of_what_fits_it() {
        let table = PriceTable::shipped().unwrap();
        for name in table.models() {
            let facts = table.facts(name).unwrap();
            for input in [1, 99_999, 100_000, 100_001, 300_000] {
                let worst = facts.worst_cost(input, 50, CacheLife::Usual);
                for usage in [
                    Usage { input_tokens: input, output_tokens: 50, ..Usage::default() },
                    Usage { cache_write_tokens: input, output_tokens: 50, ..Usage::default() },
                    Usage { cache_read_tokens: input, output_tokens: 50, ..Usage::default() },
                    Usage { cache_read_tokens: input / 2, output_tokens: 49, ..Usage::default() },
                ] {
                    assert!(facts.cost(usage) <= worst, "{name} {usage:?}");
                }
                let output = facts.output_tokens_within(worst, input, CacheLife::Usual);
                assert!(facts.worst_cost(input, output, CacheLife::Usual) <= worst, "{name} {input}");
                let hour = Usage { cache_write_tokens: input, output_tokens: 50, ..Usage::default() };
                let worst = facts.worst_cost(input, 50, CacheLife::Hour);
                assert!(facts.cost_with_hour(hour, input) <= worst, "{name} {input}");
            }
        }
    }

    #[test]
    fn an_operators_file_replaces_an_entry_and_a_wrong_one_says_where() {
        let line =
            "[[model]]\nprovider = \"anthropic\"\nname = \"mine\"\ncontext_tokens = 10\noutput_tokens = 5\n";
        let table =
            PriceTable::with_override(&format!("{line}price = {{ input = \"1\", output = \"2\" }}")).unwrap();
        assert_eq!(
            table.facts(&choice("mine")).unwrap().worst_cost(0, 1, CacheLife::Usual),
            Money::from_microdollars(2)
        );
        let error = PriceTable::with_override(&format!("{line}price = {{ input = \"x\", output = \"2\" }}"))
            .unwrap_err();
        assert!(error.to_string().contains("model `mine`"), "{error}");
    }

    #[test]
    fn only_a_date_is_taken_off_a_name() {
        assert_eq!(undated("gpt-5-2025-08-07"), "gpt-5");
        assert_eq!(undated("claude-haiku-4-5-20251001"), "claude-haiku-4-5");
        assert_eq!(undated("gpt-4.1"), "gpt-4.1");
        assert_eq!(undated("20250929"), "20250929");
    }
}
