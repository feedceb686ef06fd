//! One repository: two lists are read, and only what looks different in them is read closely.

use pairbot_protocol::ids::{InstallationId, IssueNumber, PullRequestNumber, RunId};
use pairbot_protocol::policy::LABEL;
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::Target;

use super::compare::{self, Suspicion};
use super::ledger::{Known, Newest, newest};
use super::tell::{Telling, tell};
use super::{Parts, Trouble};
use crate::github::{GitHubError, Issue, PullRequest, ReachedRepository, RepositoryClient};

/// A repository that is looked at.
pub(super) struct Place<'a> {
    pub(super) parts: &'a Parts,
    pub(super) installation: InstallationId,
    pub(super) repository: &'a ReachedRepository,
    pub(super) client: RepositoryClient,
    /// Its runs that are not over.
    pub(super) live: &'a [Known],
}

impl Place<'_> {
    /// Finds what was missed of labels, issues and pull requests, and tells it. How much that was.
    pub(super) async fn look(&self) -> Result<usize, Trouble> {
        let labelled = self.client.issues_with_label(LABEL).await?;
        let pulls = self.client.open_pull_requests().await?;
        let mut told = 0;
        for suspicion in compare::suspicions(self.live, &labelled, &pulls, self.parts.clock.now()) {
            let telling = match suspicion {
                Suspicion::Label(number) => self.label(number, &labelled).await?,
                Suspicion::Ending(run) => self.ending(run, &pulls).await?,
                Suspicion::Stray(issue, number) => self.stray(issue, number, &pulls).await?,
                Suspicion::Head(run, number) => {
                    // Lists may lag: the pull request alone is asked again, after the run.
                    match self.parts.store.run(run).await? {
                        Some(stored) => {
                            let pull = self.client.pull_request(number).await?;
                            self.pull_request(&stored.run, &pull).await?
                        }
                        None => None,
                    }
                }
            };
            told += self.tell(telling).await?;
        }
        Ok(told)
    }

    /// A run that ended with its issue: was that a merge?
    pub(super) async fn merge_of(&self, run: &Run) -> Result<usize, Trouble> {
        let Some(number) = run.pull_request.as_ref().map(|pull_request| pull_request.number) else {
            return Ok(0);
        };
        let pull = self.client.pull_request(number).await?;
        if !pull.merged {
            return Ok(0);
        }
        let telling = self.pull_request(run, &pull).await?;
        self.tell(telling).await
    }

    pub(super) async fn tell(&self, telling: Option<Telling>) -> Result<usize, Trouble> {
        let Some(telling) = telling else { return Ok(0) };
        let now = self.parts.clock.now();
        let new = tell(self.parts.store.as_ref(), self.installation, &telling, now).await?;
        Ok(usize::from(new))
    }

    async fn label(&self, number: IssueNumber, labelled: &[Issue]) -> Result<Option<Telling>, Trouble> {
        let Some(issue) = labelled.iter().find(|issue| issue.number == number) else { return Ok(None) };
        let target = Target::Issue { repository: self.repository.id, issue: number };
        let store = self.parts.store.as_ref();
        let known = store.runs_for(&target).await?.into_iter().max_by_key(|run| run.ordinal);
        let ended = match newest(store, known).await? {
            Newest::None => None,
            // It began since the ledgers were read.
            Newest::Live => return Ok(None),
            Newest::Ended(ended) => Some(ended),
        };
        let events = self.client.issue_events(number).await?;
        let run = RunId { repository: self.repository.id, issue: number, ordinal: 1 };
        let name = self.repository.full_name.to_string();
        let (own, now) = (&self.parts.own, self.parts.clock.now());
        Ok(compare::label(&name, issue, run, ended.as_ref(), &events, own, now))
    }

    async fn stray(
        &self,
        issue: IssueNumber,
        number: PullRequestNumber,
        pulls: &[PullRequest],
    ) -> Result<Option<Telling>, Trouble> {
        let target = Target::Issue { repository: self.repository.id, issue };
        let store = self.parts.store.as_ref();
        let newest = store.runs_for(&target).await?.into_iter().max_by_key(|run| run.ordinal);
        let Some(newest) = newest else { return Ok(None) };
        let Some(stored) = store.run(newest).await? else { return Ok(None) };
        let pull = pulls.iter().find(|pull| pull.number == number);
        Ok(pull.and_then(|pull| compare::stray(&stored.run, pull, &self.parts.own)))
    }

    async fn ending(&self, run: RunId, pulls: &[PullRequest]) -> Result<Option<Telling>, Trouble> {
        let Some(known) = self.live.iter().find(|known| known.run.id == run) else { return Ok(None) };
        // A merge closes the issue too, and the merge is what counts: it is looked for first.
        if let Some(number) = known.run.pull_request.as_ref().map(|pull_request| pull_request.number)
            && !pulls.iter().any(|pull| pull.number == number)
        {
            let pull = self.client.pull_request(number).await?;
            if !pull.open {
                return self.pull_request(&known.run, &pull).await;
            }
        }
        let issue = match self.client.issue(run.issue).await {
            Ok(issue) => Some(issue),
            // The repository is reached, so the issue was deleted or moved away.
            Err(GitHubError::NotFound { .. } | GitHubError::Refused { status: 410, .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let events = match &issue {
            Some(_) => self.client.issue_events(run.issue).await?,
            None => Vec::new(),
        };
        Ok(compare::issue(run, issue.as_ref(), &events, &self.parts.own))
    }

    async fn pull_request(&self, run: &Run, pull: &PullRequest) -> Result<Option<Telling>, Trouble> {
        let closed_by = if pull.open || pull.merged {
            None
        } else {
            self.client.issue(IssueNumber(pull.number.0)).await?.closed_by
        };
        Ok(compare::pull_request(run, pull, closed_by.as_ref(), &self.parts.own))
    }
}
