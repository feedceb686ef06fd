//! Which agents there are on this server: the builtin one, and those that the operator allows.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use pairbot_protocol::ids::AgentName;
use pairbot_protocol::policy::{AgentChoice, Policy, Provider};

use super::Agent;
use crate::gateway::ProviderKind;

/// What policies call the agent whose loop is ours.
pub const BUILTIN: &str = "builtin";

/// An agent of another vendor, ready to be asked.
#[derive(Clone)]
pub struct Allowed {
    /// The agent.
    pub agent: Arc<dyn Agent>,
    /// Whose models it calls.
    pub provider: ProviderKind,
}

/// All agents of a server.
#[derive(Clone)]
pub struct Roster {
    builtin: Arc<dyn Agent>,
    allowed: BTreeMap<AgentName, Allowed>,
}

impl fmt::Debug for Roster {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Roster").field("allowed", &self.allowed.keys()).finish_non_exhaustive()
    }
}

/// A choice that this server cannot follow, in words for whoever made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAllowed(String);

/// Who was chosen.
#[derive(Clone)]
pub struct Chosen {
    /// The agent.
    pub agent: Arc<dyn Agent>,
    /// Whose models it calls; none leaves it to the policy and the operator.
    pub provider: Option<ProviderKind>,
}

impl Roster {
    /// The builtin agent alone.
    pub fn of(builtin: Arc<dyn Agent>) -> Self {
        Self { builtin, allowed: BTreeMap::new() }
    }

    /// One more.
    #[must_use]
    pub fn with(mut self, name: AgentName, allowed: Allowed) -> Self {
        self.allowed.insert(name, allowed);
        self
    }

    /// The agent that a policy chooses.
    pub fn choose(&self, choice: &AgentChoice) -> Result<Chosen, NotAllowed> {
        let Some(name) = choice.agent.as_ref().filter(|name| name.as_str() != BUILTIN) else {
            return Ok(Chosen { agent: Arc::clone(&self.builtin), provider: None });
        };
        let Some(allowed) = self.allowed.get(name) else {
            return Err(NotAllowed(format!(
                "`{name}` is not allowed on this server; allowed are {}. Its operator decides (`PAIRBOT_AGENTS`)",
                self.names()
            )));
        };
        let asked = choice.provider.map(|provider| match provider {
            Provider::Anthropic => ProviderKind::Anthropic,
            Provider::Openai => ProviderKind::OpenAi,
        });
        if asked.is_some_and(|asked| asked != allowed.provider) {
            return Err(NotAllowed(format!(
                "`{name}` calls models of {} here; leave `provider` out",
                allowed.provider
            )));
        }
        Ok(Chosen { agent: Arc::clone(&allowed.agent), provider: Some(allowed.provider) })
    }

    /// What of a policy this server cannot follow, each with its key.
    pub fn problems(&self, policy: &Policy) -> Vec<String> {
        let reviewers =
            policy.reviewers.iter().map(|(name, rules)| (format!("reviewers.{name}.agent"), &rules.agent));
        let choices = std::iter::once(("creator.agent".to_owned(), &policy.creator)).chain(reviewers);
        choices.filter_map(|(key, choice)| Some(format!("{key}: {}", self.choose(choice).err()?))).collect()
    }

    fn names(&self) -> String {
        let names = std::iter::once(BUILTIN).chain(self.allowed.keys().map(AgentName::as_str));
        names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::agents::TaskPorts;
    use crate::agents::outcome::{CreateOutcome, ReviewOutcome};
    use crate::agents::task::{CreateTask, ReviewTask};

    struct Nobody;

    #[async_trait]
    impl Agent for Nobody {
        async fn create(&self, _task: CreateTask, _ports: TaskPorts<'_>) -> CreateOutcome {
            unreachable!()
        }

        async fn review(&self, _task: ReviewTask, _ports: TaskPorts<'_>) -> ReviewOutcome {
            unreachable!()
        }
    }

    fn choice(agent: Option<&str>, provider: Option<Provider>) -> AgentChoice {
        AgentChoice { agent: agent.map(|name| name.parse().unwrap()), provider, model: None }
    }

    #[test]
    fn a_policy_chooses_only_among_those_that_the_operator_allows() {
        let allowed = Allowed { agent: Arc::new(Nobody), provider: ProviderKind::Anthropic };
        let roster = Roster::of(Arc::new(Nobody)).with("claude".parse().unwrap(), allowed);
        assert_eq!(
            roster.choose(&choice(None, Some(Provider::Openai))).map(|chosen| chosen.provider),
            Ok(None)
        );
        let chosen = roster.choose(&choice(Some("claude"), None));
        assert_eq!(chosen.map(|chosen| chosen.provider), Ok(Some(ProviderKind::Anthropic)));
        let refused = |choice| roster.choose(&choice).map(|_| ()).unwrap_err().to_string();
        assert!(refused(choice(Some("codex"), None)).contains("allowed are `builtin`, `claude`"));
        assert!(refused(choice(Some("claude"), Some(Provider::Openai))).contains("leave `provider` out"));
        let mut policy = crate::policy::default_policy();
        policy.creator = choice(Some("codex"), None);
        assert_eq!(roster.problems(&policy).len(), 1);
        assert!(roster.problems(&policy)[0].starts_with("creator.agent: `codex`"));
    }
}
