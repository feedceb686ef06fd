//! What a test sees. Looking at something marks it as looked at; [`GitHubSim::unlooked`] lists the rest.

use serde_json::Value;

use crate::reply::Reply;
use crate::sim::{GitHubSim, SimError};
use crate::state::{CheckRun, ReactionTarget, Repo, ReviewComment, State};

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are GitHub's own words")]
pub struct IssueSeen {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub author: String,
    pub open: bool,
    pub labels: Vec<String>,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are GitHub's own words")]
pub struct PullSeen {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub author: String,
    pub open: bool,
    pub draft: bool,
    pub merged: bool,
    pub merged_by: Option<String>,
    pub merge_sha: Option<String>,
    pub labels: Vec<String>,
    pub head_branch: String,
    pub head_sha: String,
    pub base_branch: String,
    pub base_sha: String,
}

/// A comment of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are GitHub's own words")]
pub struct CommentSeen {
    pub id: u64,
    pub author: String,
    pub body: String,
    pub edited: bool,
    pub minimized: bool,
}

/// A review with its remarks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are GitHub's own words")]
pub struct ReviewSeen {
    pub id: u64,
    pub author: String,
    pub state: String,
    pub body: String,
    pub commit_sha: String,
    pub comments: Vec<ReviewCommentSeen>,
}

/// A remark at a line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are GitHub's own words")]
pub struct ReviewCommentSeen {
    pub id: u64,
    pub author: String,
    pub path: String,
    pub line: Option<u64>,
    pub original_line: Option<u64>,
    pub side: String,
    pub body: String,
    pub outdated: bool,
    pub resolved: bool,
    pub in_reply_to: Option<u64>,
}

/// A check run.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are GitHub's own words")]
pub struct CheckSeen {
    pub id: u64,
    pub app: String,
    pub name: String,
    pub head_sha: String,
    pub external_id: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub title: Option<String>,
    pub summary: Option<String>,
    pub text: Option<String>,
    pub annotations: Vec<Value>,
    /// Identifiers of its buttons.
    pub actions: Vec<String>,
}

/// A commit status.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are GitHub's own words")]
pub struct StatusSeen {
    pub context: String,
    pub state: String,
    pub description: Option<String>,
    pub creator: String,
}

/// A reaction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are GitHub's own words")]
pub struct ReactionSeen {
    pub author: String,
    pub content: String,
}

/// A webhook delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliverySeen {
    /// Its number, for `redeliver` and its like.
    pub id: u64,
    /// `X-GitHub-Delivery`.
    pub guid: String,
    /// `issues.labeled`, or `push`.
    pub name: String,
    /// The JSON that was sent.
    pub payload: Value,
    /// Whether it was sent again on request.
    pub redelivery: bool,
    /// The receiver's status; `None` while it was not attempted.
    pub status: Option<u16>,
}

impl State {
    fn review_comment_seen(&self, repo: &Repo, comment: &ReviewComment) -> ReviewCommentSeen {
        ReviewCommentSeen {
            id: comment.id,
            author: self.login(comment.author).to_owned(),
            path: comment.path.clone(),
            line: comment.line,
            original_line: comment.original_line,
            side: comment.side.name().to_owned(),
            body: comment.body.clone(),
            outdated: comment.line.is_none() && !comment.whole_file,
            resolved: repo.threads.get(&comment.thread).is_some_and(|thread| thread.resolved_by.is_some()),
            in_reply_to: comment.in_reply_to,
        }
    }

    fn check_seen(&self, run: &CheckRun) -> CheckSeen {
        let identifiers =
            run.actions.iter().filter_map(|action| action.get("identifier").and_then(Value::as_str));
        CheckSeen {
            id: run.id,
            app: self.apps.get(&run.app).map_or_else(String::new, |app| app.slug.clone()),
            name: run.name.clone(),
            head_sha: run.head_sha.clone(),
            external_id: run.external_id.clone(),
            status: run.status.clone(),
            conclusion: run.conclusion.clone(),
            title: run.title.clone(),
            summary: run.summary.clone(),
            text: run.text.clone(),
            annotations: run.annotations.clone(),
            actions: identifiers.map(str::to_owned).collect(),
        }
    }

    fn label_names(repo: &Repo, keys: &std::collections::BTreeSet<String>) -> Vec<String> {
        keys.iter().filter_map(|key| repo.labels.get(key)).map(|label| label.name.clone()).collect()
    }

    fn saw_labels(&mut self, repo: u64, number: u64) {
        let keys: Vec<String> = self
            .repos
            .get(&repo)
            .and_then(|repo| repo.issues.get(&number))
            .map(|issue| issue.labels.iter().cloned().collect())
            .unwrap_or_default();
        for key in keys {
            self.looked.saw(&format!("label:{repo}:{number}:{key}"));
        }
    }

    fn pull_seen(&self, repo: u64, number: u64) -> Result<PullSeen, Reply> {
        let repo = self.repo(repo)?;
        let issue = repo.issue(number)?;
        let pull = repo.pull(number)?;
        Ok(PullSeen {
            number,
            title: issue.title.clone(),
            body: issue.body.clone().unwrap_or_default(),
            author: self.login(issue.author).to_owned(),
            open: issue.open,
            draft: pull.draft,
            merged: pull.merged_ms.is_some(),
            merged_by: pull.merged_by.map(|id| self.login(id).to_owned()),
            merge_sha: pull.merge_sha.clone(),
            labels: Self::label_names(repo, &issue.labels),
            head_branch: pull.head_branch.clone(),
            head_sha: pull.head_sha.clone(),
            base_branch: pull.base_branch.clone(),
            base_sha: pull.base_sha.clone(),
        })
    }
}

impl GitHubSim {
    fn look<T>(
        &self,
        repository: &str,
        work: impl FnOnce(&mut State, u64) -> Result<T, Reply>,
    ) -> Result<T, SimError> {
        self.shared.with(|state| {
            let repo = state.repo_called(repository)?;
            Ok(work(state, repo)?)
        })
    }

    /// Everything that apps wrote and no call below has looked at: comments, reviews and their remarks, check runs,
    /// pull requests, labels, reactions, statuses, pushes. What was looked at and then changed counts again.
    pub fn unlooked(&self) -> Vec<String> {
        self.shared.with(|state| state.looked.unseen())
    }

    /// Whether a repository's issue or pull request of this number exists, and looks at it.
    pub fn issue(&self, repository: &str, number: u64) -> Result<IssueSeen, SimError> {
        self.look(repository, |state, repo| {
            state.looked.saw(&format!("issue:{repo}:{number}"));
            state.saw_labels(repo, number);
            let found = state.repo(repo)?;
            let issue = found.issue(number)?;
            Ok(IssueSeen {
                number,
                title: issue.title.clone(),
                body: issue.body.clone().unwrap_or_default(),
                author: state.login(issue.author).to_owned(),
                open: issue.open,
                labels: State::label_names(found, &issue.labels),
            })
        })
    }

    /// Looks at a pull request.
    pub fn pull(&self, repository: &str, number: u64) -> Result<PullSeen, SimError> {
        self.look(repository, |state, repo| {
            let seen = state.pull_seen(repo, number)?;
            state.looked.saw(&format!("pull:{repo}:{number}"));
            state.looked.saw(&format!("push:{repo}:refs/heads/{}", seen.head_branch));
            state.saw_labels(repo, number);
            Ok(seen)
        })
    }

    /// Looks at all pull requests, open and closed, by number.
    pub fn pulls(&self, repository: &str) -> Result<Vec<PullSeen>, SimError> {
        let numbers: Vec<u64> = self.look(repository, |state, repo| {
            let issues = state.repo(repo)?.issues.values();
            Ok(issues.filter(|issue| issue.pull.is_some()).map(|issue| issue.number).collect())
        })?;
        numbers.into_iter().map(|number| self.pull(repository, number)).collect()
    }

    /// Looks at the comments of a conversation, oldest first.
    pub fn comments(&self, repository: &str, number: u64) -> Result<Vec<CommentSeen>, SimError> {
        self.look(repository, |state, repo| {
            let found = state.repo(repo)?;
            let comments: Vec<CommentSeen> = found
                .comments
                .values()
                .filter(|comment| comment.number == number)
                .map(|comment| CommentSeen {
                    id: comment.id,
                    author: state.login(comment.author).to_owned(),
                    body: comment.body.clone(),
                    edited: comment.updated_ms != comment.created_ms,
                    minimized: comment.minimized.is_some(),
                })
                .collect();
            for comment in &comments {
                state.looked.saw(&format!("comment:{repo}:{}", comment.id));
            }
            Ok(comments)
        })
    }

    /// Looks at the reviews of a pull request with their remarks, oldest first.
    pub fn reviews(&self, repository: &str, number: u64) -> Result<Vec<ReviewSeen>, SimError> {
        self.look(repository, |state, repo| {
            let found = state.repo(repo)?;
            let reviews: Vec<ReviewSeen> = found
                .reviews
                .values()
                .filter(|review| review.number == number)
                .map(|review| ReviewSeen {
                    id: review.id,
                    author: state.login(review.author).to_owned(),
                    state: review.state.clone(),
                    body: review.body.clone(),
                    commit_sha: review.commit_sha.clone(),
                    comments: found
                        .review_comments
                        .values()
                        .filter(|comment| comment.review == review.id)
                        .map(|comment| state.review_comment_seen(found, comment))
                        .collect(),
                })
                .collect();
            for review in &reviews {
                state.looked.saw(&format!("review:{repo}:{}", review.id));
                for comment in &review.comments {
                    state.looked.saw(&format!("review_comment:{repo}:{}", comment.id));
                }
            }
            Ok(reviews)
        })
    }

    /// Looks at the check runs on a commit, oldest first; all of them, not only the latest of a name.
    pub fn check_runs(&self, repository: &str, sha: &str) -> Result<Vec<CheckSeen>, SimError> {
        self.look(repository, |state, repo| {
            let runs = state.repo(repo)?.check_runs.values().filter(|run| run.head_sha == sha);
            let runs: Vec<CheckSeen> = runs.map(|run| state.check_seen(run)).collect();
            for run in &runs {
                state.looked.saw(&format!("check_run:{repo}:{}", run.id));
            }
            Ok(runs)
        })
    }

    /// Looks at the newest check run of this name on a commit.
    pub fn check(&self, repository: &str, sha: &str, name: &str) -> Result<Option<CheckSeen>, SimError> {
        self.look(repository, |state, repo| {
            let runs = &state.repo(repo)?.check_runs;
            let run = runs.values().rfind(|run| run.head_sha == sha && run.name == name);
            let run = run.map(|run| state.check_seen(run));
            if let Some(run) = &run {
                state.looked.saw(&format!("check_run:{repo}:{}", run.id));
            }
            Ok(run)
        })
    }

    /// Looks at the statuses on a commit, oldest first.
    pub fn statuses(&self, repository: &str, sha: &str) -> Result<Vec<StatusSeen>, SimError> {
        self.look(repository, |state, repo| {
            let found = state.repo(repo)?.statuses.values().filter(|status| status.sha == sha);
            let found: Vec<_> = found.cloned().collect();
            for status in &found {
                state.looked.saw(&format!("status:{repo}:{}", status.id));
            }
            Ok(found
                .into_iter()
                .map(|status| StatusSeen {
                    creator: state.login(status.creator).to_owned(),
                    context: status.context,
                    state: status.state,
                    description: status.description,
                })
                .collect())
        })
    }

    fn reactions(&self, repository: &str, target: ReactionTarget) -> Result<Vec<ReactionSeen>, SimError> {
        self.look(repository, |state, repo| {
            let found = state.repo(repo)?.reactions.values().filter(|reaction| reaction.target == target);
            let found: Vec<_> = found.cloned().collect();
            for reaction in &found {
                state.looked.saw(&format!("reaction:{repo}:{}", reaction.id));
            }
            let seen = found.into_iter().map(|reaction| ReactionSeen {
                author: state.login(reaction.author).to_owned(),
                content: reaction.content,
            });
            Ok(seen.collect())
        })
    }

    /// Looks at the reactions to an issue or pull request.
    pub fn issue_reactions(&self, repository: &str, number: u64) -> Result<Vec<ReactionSeen>, SimError> {
        self.reactions(repository, ReactionTarget::Issue(number))
    }

    /// Looks at the reactions to a comment.
    pub fn comment_reactions(&self, repository: &str, comment: u64) -> Result<Vec<ReactionSeen>, SimError> {
        self.reactions(repository, ReactionTarget::IssueComment(comment))
    }

    /// Looks at the reactions to a review comment.
    pub fn review_comment_reactions(
        &self,
        repository: &str,
        comment: u64,
    ) -> Result<Vec<ReactionSeen>, SimError> {
        self.reactions(repository, ReactionTarget::ReviewComment(comment))
    }

    /// Looks at a branch: its commit, if there is such a branch.
    pub fn branch(&self, repository: &str, branch: &str) -> Result<Option<String>, SimError> {
        self.look(repository, |state, repo| {
            state.looked.saw(&format!("push:{repo}:refs/heads/{branch}"));
            Ok(state.repo(repo)?.branch(branch).cloned())
        })
    }

    /// The branches by name.
    pub fn branches(&self, repository: &str) -> Result<Vec<String>, SimError> {
        self.look(repository, |state, repo| {
            let refs = state.repo(repo)?.refs.keys();
            Ok(refs.filter_map(|name| name.strip_prefix("refs/heads/")).map(str::to_owned).collect())
        })
    }

    /// The text of a file at a branch or commit, if it is there.
    pub fn file(&self, repository: &str, revision: &str, path: &str) -> Result<Option<String>, SimError> {
        self.look(repository, |state, repo| {
            let found = state.repo(repo)?;
            let Some(sha) = found.commit_of(revision) else { return Ok(None) };
            let Some(entry) = found.git.entry(&sha, path)? else { return Ok(None) };
            Ok(Some(String::from_utf8_lossy(&found.git.blob(&entry.sha)?).into_owned()))
        })
    }

    /// The commit messages that `head` has beyond `base`, oldest first.
    pub fn messages(&self, repository: &str, base: &str, head: &str) -> Result<Vec<String>, SimError> {
        self.look(repository, |state, repo| {
            let log = state.repo(repo)?.git.log(&["--reverse", &format!("{base}..{head}")], 1000)?;
            Ok(log.into_iter().map(|commit| commit.message).collect())
        })
    }

    fn deliveries_where(&self, wanted: impl Fn(&State, u64) -> bool) -> Vec<DeliverySeen> {
        self.shared.with(|state| {
            let deliveries = state.mail.deliveries.values().filter(|delivery| wanted(state, delivery.id));
            deliveries
                .map(|delivery| DeliverySeen {
                    id: delivery.id,
                    guid: delivery.guid.clone(),
                    name: delivery.name(),
                    payload: serde_json::from_str(&delivery.payload).unwrap_or_default(),
                    redelivery: delivery.redelivery,
                    status: delivery.attempt.as_ref().map(|attempt| attempt.status_code),
                })
                .collect()
        })
    }

    /// Every webhook delivery so far, oldest first.
    pub fn deliveries(&self) -> Vec<DeliverySeen> {
        self.deliveries_where(|_, _| true)
    }

    /// How many webhook deliveries there were so far.
    pub fn delivery_count(&self) -> usize {
        self.shared.with(|state| state.mail.deliveries.len())
    }

    /// The deliveries that are kept back, in the order they would go.
    pub fn held_webhooks(&self) -> Vec<DeliverySeen> {
        self.deliveries_where(|state, id| state.mail.held.contains(&id))
    }
}
