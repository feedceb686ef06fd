//! What tasks take from the world.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pairbot_protocol::ids::IssueNumber;
use pairbot_protocol::policy::{AgentChoice, Provider};
use pairbot_protocol::run::Run;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::agents::{Agent, Roster};
use crate::gateway::{ModelChoice, ProviderKind};
use crate::git::{Git, GitError, Remote};
use crate::github::{GitAccess, GitHub, OwnAccount, RepositoryClient, RepositoryFacts};
use crate::ports::{Clock, Entropy};
use crate::reconciler::Pulse;
use crate::sandbox::Sandbox;
use crate::sandbox::egress::EgressRules;
use crate::store::{SharedLimits, Store};

use super::Setback;
use super::workspace::Fetches;

/// Everything a task may use.
#[derive(Clone)]
pub struct Tools {
    /// The durable state.
    pub store: Arc<dyn Store>,
    /// GitHub, as the App.
    pub github: GitHub,
    /// The account under which the App acts.
    pub own: OwnAccount,
    /// Pairbot's own git.
    pub git: Git,
    /// Who writes and reads changes.
    pub roster: Roster,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Where every program runs that a repository or an agent has a say in. There is no other way to run one.
    pub sandbox: Arc<dyn Sandbox>,
    /// Which hosts commands of gates may reach from there.
    pub egress: Arc<EgressRules>,
    /// How agents are run.
    pub agents: AgentSettings,
    /// Who is asked to look when something may have happened that nobody can tell.
    pub reconciler: Pulse,
    /// What was fetched lately.
    pub fetches: Fetches,
    /// Where temporary files of tasks go.
    pub scratch_dir: PathBuf,
    /// Cancelled when the server stops: who can end between two steps does.
    pub stop: CancellationToken,
}

/// How agents are run.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// Which model plays where the policy names none.
    pub model: ModelChoice,
    /// The models for the other providers that are configured.
    pub other_models: Vec<ModelChoice>,
    /// What runs of a repository may spend together in a day, and those of an installation in a month.
    pub budgets: SharedLimits,
    /// Whether the models are scripted, as in the demo, which everything shown must say.
    pub scripted: bool,
    /// How many answers of a model one task may have.
    pub turns_max: u32,
    /// How long one command of an agent may run.
    pub command_timeout: Duration,
    /// `PATH` for commands of agents and gates.
    pub search_path: String,
}

impl AgentSettings {
    /// The model that a policy's choice means here, of the provider that the chosen agent calls if it calls only one.
    fn model(&self, choice: &AgentChoice, of: Option<ProviderKind>) -> Result<ModelChoice, Setback> {
        let kind = of.or(choice.provider.map(|provider| match provider {
            Provider::Anthropic => ProviderKind::Anthropic,
            Provider::Openai => ProviderKind::OpenAi,
        }));
        let mut configured = std::iter::once(&self.model).chain(&self.other_models);
        let default = match kind {
            None => Some(&self.model),
            Some(kind) => configured.find(|model| model.provider == kind),
        };
        let default = default.ok_or_else(|| {
            Setback::agent(
                "the policy names a provider, or an agent that calls one, for which this server has no key; ask its \
                 operator for one",
            )
        })?;
        let model = choice.model.clone().unwrap_or_else(|| default.model.clone());
        Ok(ModelChoice { provider: default.provider, model })
    }
}

/// A run's repository: its client, and what it is called now.
pub(super) struct Home {
    pub(super) client: RepositoryClient,
    pub(super) facts: RepositoryFacts,
}

impl Tools {
    /// Who a policy's choice means here, and with which model. What the operator has taken back since the policy was
    /// adopted is told as if it had never been there.
    pub(super) fn choose(&self, choice: &AgentChoice) -> Result<(Arc<dyn Agent>, ModelChoice), Setback> {
        let chosen = self.roster.choose(choice).map_err(|error| Setback::agent(error.to_string()))?;
        let model = self.agents.model(choice, chosen.provider)?;
        Ok((chosen.agent, model))
    }

    /// The client for a run's repository.
    pub(super) fn repository(&self, run: &Run) -> RepositoryClient {
        self.github.repository(run.installation, run.id.repository)
    }

    /// The run's repository with its present name.
    pub(super) async fn home(&self, run: &Run) -> Result<Home, Setback> {
        let client = self.repository(run);
        let facts = client.facts().await?;
        Ok(Home { client, facts })
    }

    /// A directory that is gone when what needed it has ended.
    pub(super) fn scratch(&self) -> Result<tempfile::TempDir, Setback> {
        tempfile::tempdir_in(&self.scratch_dir)
            .map_err(|error| Setback::Retry(format!("no scratch directory: {error}")))
    }

    /// The number that the issue endpoints know a run's pull request by: to GitHub each pull request is an issue.
    pub(super) fn conversation(run: &Run) -> Option<IssueNumber> {
        run.pull_request.as_ref().map(|pull_request| IssueNumber(pull_request.number.0))
    }
}

/// Where git reaches a repository, and the token it is shown.
pub(super) struct Reach {
    pub(super) remote: Remote,
    token: SecretString,
    access: GitAccess,
}

impl Home {
    /// Where git reaches the repository, with a token for what is to be done.
    pub(super) async fn reach(&self, access: GitAccess) -> Result<Reach, Setback> {
        let token = self.client.git_token(access).await?;
        let remote = Remote::new(&self.facts.clone_url, Some(token.clone()))
            .map_err(|error| Setback::agent(error.to_string()))?;
        Ok(Reach { remote, token, access })
    }

    /// Takes note of what git said about a token: one that was refused is not shown again, since it may have expired
    /// early or lost a right.
    pub(super) async fn heard<T>(&self, reach: &Reach, answer: Result<T, GitError>) -> Result<T, GitError> {
        if let Err(GitError::AuthenticationFailed { .. }) = &answer {
            self.client.refuse_git_token(reach.access, &reach.token).await;
        }
        answer
    }
}
