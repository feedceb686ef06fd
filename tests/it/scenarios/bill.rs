//! What a run has cost, by the models' own books and by the store's, and how often each conversation was paid for.

use std::collections::BTreeMap;

use pairbot::gateway::{ModelChoice, PriceTable, ProviderKind};
use pairbot::store::{Budget, RunFilter, SpendLine, Store};
use pairbot_model_sim::{CallRecord, ModelSim, Provider, Role};
use pairbot_protocol::ids::{Money, Usage};

/// The money of the only run of a store, seen from both sides.
#[derive(Debug)]
pub(crate) struct Bill {
    /// How many calls the models saw of each conversation.
    calls: BTreeMap<(Role, u32), usize>,
    /// What the models bill.
    served: Money,
    served_usage: Usage,
    /// What the store has.
    budget: Budget,
    lines: Vec<SpendLine>,
}

impl Bill {
    /// Asks both for what they know.
    pub(crate) async fn of(models: &ModelSim, store: &dyn Store) -> Self {
        let runs = store.run_list(RunFilter { open_only: false, limit: 2 }).await.unwrap();
        assert_eq!(runs.len(), 1, "{runs:#?}");
        let run = runs[0].run;
        let prices = PriceTable::shipped().unwrap();
        let mut bill = Self {
            calls: BTreeMap::new(),
            served: Money::ZERO,
            served_usage: Usage::default(),
            budget: store.budget(run).await.unwrap(),
            lines: store.spend_lines(run).await.unwrap(),
        };
        for call in models.ledger() {
            let brief = call.brief.clone().unwrap();
            *bill.calls.entry((brief.role, brief.round)).or_default() += 1;
            bill.served = bill.served.plus(prices.facts(&model(&call)).unwrap().cost(usage(&call)));
            bill.served_usage = bill.served_usage.plus(usage(&call));
        }
        bill
    }

    /// Nobody disturbed the run: both sides agree to the token.
    pub(crate) fn is_exact(&self) {
        self.adds_up();
        assert_eq!(self.budget.usage, self.served_usage);
        assert_eq!(self.budget.spent, self.served);
        assert_eq!(self.budget.calls, u64::try_from(self.calls.values().sum::<usize>()).unwrap());
    }

    /// The server was killed so often: each kill cost each conversation under way at most the call it was at, and the
    /// store knows of at least what the models bill.
    ///
    /// The creator never works beside reviewers, so one kill interrupts either its call or one of each reviewer.
    pub(crate) fn survived(&self, kills: usize, undisturbed: &Self, moment: &str) {
        self.adds_up();
        let mut again: BTreeMap<&Role, usize> = BTreeMap::new();
        for (conversation, calls) in &self.calls {
            let needed = undisturbed.calls.get(conversation).copied().unwrap_or(0);
            assert!(*calls >= needed, "{moment}: {conversation:?} was cut short: {calls} of {needed}");
            *again.entry(&conversation.0).or_default() += calls - needed;
        }
        let by_kills = |of: &BTreeMap<&Role, usize>| {
            let creator = of.get(&Role::Creator).copied().unwrap_or(0);
            creator
                + of.iter().filter(|(role, _)| ***role != Role::Creator).map(|(_, n)| *n).max().unwrap_or(0)
        };
        assert!(by_kills(&again) <= kills, "{moment}: calls made again: {again:?}, kills: {kills}");
        let unseen: usize = self
            .lines
            .iter()
            .filter(|line| line.model.is_none())
            .map(|line| usize::try_from(line.calls).unwrap())
            .sum();
        // Two reviewers at most.
        assert!(unseen <= 2 * kills, "{moment}: {unseen} calls charged in full, kills: {kills}");
        assert!(self.served <= self.budget.spent, "{moment}: {self:#?}");
    }

    /// How many calls the models saw in all.
    pub(crate) fn calls(&self) -> usize {
        self.calls.values().sum()
    }

    /// What the store says was spent, and what the models bill.
    pub(crate) fn spent_and_served(&self) -> (Money, Money) {
        (self.budget.spent, self.served)
    }

    /// The store agrees with itself, and with promise P3.
    fn adds_up(&self) {
        let Budget { limit, spent, reserved, usage, calls, .. } = self.budget;
        assert!(spent <= limit, "{self:#?}");
        assert_eq!(reserved, Money::ZERO, "{self:#?}");
        let cost = self.lines.iter().fold(Money::ZERO, |sum, line| sum.plus(line.cost));
        let tokens = self.lines.iter().fold(Usage::default(), |sum, line| sum.plus(line.usage));
        let counted: u64 = self.lines.iter().map(|line| line.calls).sum();
        assert_eq!((cost, tokens, counted), (spent, usage, calls), "{self:#?}");
    }
}

fn model(call: &CallRecord) -> ModelChoice {
    let provider = match call.provider {
        Provider::Anthropic => ProviderKind::Anthropic,
        Provider::OpenAi => ProviderKind::OpenAi,
        Provider::Gemini => ProviderKind::Gemini,
    };
    ModelChoice { provider, model: call.model.clone() }
}

fn usage(call: &CallRecord) -> Usage {
    Usage {
        input_tokens: call.usage.input_tokens,
        cache_read_tokens: call.usage.cache_read_tokens,
        cache_write_tokens: call.usage.cache_write_tokens,
        output_tokens: call.usage.output_tokens,
    }
}
