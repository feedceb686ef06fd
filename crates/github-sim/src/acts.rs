//! What happens to issues and pull requests, by whichever way it was asked for: state, then webhooks.

use serde_json::{Value, json};

use crate::emit::Happening;
use crate::git::merge::MergeMethod;
use crate::ids::Kind;
use crate::reply::Reply;
use crate::state::{AccountKind, Issue, IssueEvent, Mergeable, Pull, Repo, State};
use crate::view::account::extend;

/// The numbers that `Closes #1`, `fixes #2` and their like name.
/// <https://docs.github.com/issues/tracking-your-work-with-issues/linking-a-pull-request-to-an-issue>
pub(crate) fn closing_numbers(text: &str) -> Vec<u64> {
    const KEYWORDS: [&str; 9] =
        ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let named = words.windows(2).filter_map(|pair| {
        let [keyword, target] = pair else { return None };
        let keyword = keyword.trim_end_matches(':').trim_start_matches(|c: char| !c.is_alphanumeric());
        let digits: String = target.strip_prefix('#')?.chars().take_while(char::is_ascii_digit).collect();
        KEYWORDS.contains(&keyword.to_lowercase().as_str()).then(|| digits.parse().ok())?
    });
    named.collect()
}

impl State {
    /// Notes that an app wrote something, for the assertion that all of it was looked at.
    pub(crate) fn wrote(&mut self, account: u64, key: &str, description: &str) {
        let is_bot = self.accounts.get(&account).is_some_and(|account| account.kind == AccountKind::Bot);
        if is_bot {
            let description = format!("{} by {}", description, self.login(account));
            self.looked.wrote(key.to_owned(), description);
        }
    }

    /// Puts a new issue into a repository; gives its number.
    pub(crate) fn new_issue(
        &mut self,
        repo: u64,
        id: u64,
        author: u64,
        title: String,
        body: Option<String>,
    ) -> Result<u64, Reply> {
        let now = self.now_ms();
        let found = self.repo_mut(repo)?;
        let number = found.next_number;
        found.next_number += 1;
        let issue = Issue {
            id,
            number,
            title,
            body,
            author,
            open: true,
            state_reason: None,
            labels: std::collections::BTreeSet::new(),
            assignees: Vec::new(),
            created_ms: now,
            updated_ms: now,
            closed_ms: None,
            closed_by: None,
            pull: None,
        };
        found.issues.insert(number, issue);
        Ok(number)
    }

    /// Tells of something that happened to an issue or a pull request.
    pub(crate) fn emit_item(
        &mut self,
        repo: u64,
        number: u64,
        action: &'static str,
        sender: u64,
        extra: &Value,
    ) -> Result<(), Reply> {
        self.note_event(repo, number, action, sender, extra)?;
        let found = self.repo(repo)?;
        let issue = found.issue(number)?;
        if issue.pull.is_some() {
            return self.emit_pull(repo, number, action, sender, extra);
        }
        let mut payload = json!({"issue": self.issue_json(found, issue)});
        extend(&mut payload, extra.clone());
        self.emit(&Happening {
            event: "issues",
            action: Some(action),
            repository: Some(repo),
            sender,
            only_app: None,
            payload,
        });
        Ok(())
    }

    /// Adds to the history of an issue what GitHub shows there.
    fn note_event(
        &mut self,
        repo: u64,
        number: u64,
        event: &'static str,
        actor: u64,
        extra: &Value,
    ) -> Result<(), Reply> {
        if matches!(event, "labeled" | "unlabeled" | "closed" | "reopened") {
            let label = extra.pointer("/label/name").and_then(Value::as_str).map(str::to_lowercase);
            let (id, created_ms) = (self.next_id(Kind::IssueEvent), self.now_ms());
            let noted = IssueEvent { id, number, actor, event, label, created_ms };
            self.repo_mut(repo)?.issue_events.insert(id, noted);
        }
        Ok(())
    }

    /// Tells of something that happened to a pull request.
    pub(crate) fn emit_pull(
        &mut self,
        repo: u64,
        number: u64,
        action: &'static str,
        sender: u64,
        extra: &Value,
    ) -> Result<(), Reply> {
        let mut payload =
            json!({"number": number, "pull_request": self.full_pull_json(self.repo(repo)?, number)?});
        extend(&mut payload, extra.clone());
        self.emit(&Happening {
            event: "pull_request",
            action: Some(action),
            repository: Some(repo),
            sender,
            only_app: None,
            payload,
        });
        Ok(())
    }

    fn set_open(
        &mut self,
        repo: u64,
        number: u64,
        open: bool,
        reason: Option<&str>,
        sender: u64,
    ) -> Result<(), Reply> {
        let now = self.now_ms();
        let issue = self.repo_mut(repo)?.issue_mut(number)?;
        issue.open = open;
        issue.state_reason = reason.map(str::to_owned);
        issue.updated_ms = now;
        issue.closed_ms = (!open).then_some(now);
        issue.closed_by = (!open).then_some(sender);
        Ok(())
    }

    pub(crate) fn close_issue(
        &mut self,
        repo: u64,
        number: u64,
        reason: &str,
        sender: u64,
    ) -> Result<(), Reply> {
        self.set_open(repo, number, false, Some(reason), sender)?;
        self.wrote(sender, &format!("issue:{repo}:{number}"), &format!("closed issue #{number}"));
        self.emit_item(repo, number, "closed", sender, &json!({}))
    }

    pub(crate) fn reopen_issue(&mut self, repo: u64, number: u64, sender: u64) -> Result<(), Reply> {
        self.set_open(repo, number, true, Some("reopened"), sender)?;
        self.emit_item(repo, number, "reopened", sender, &json!({}))
    }

    pub(crate) fn close_pull(&mut self, repo: u64, number: u64, sender: u64) -> Result<(), Reply> {
        self.set_open(repo, number, false, None, sender)?;
        self.wrote(sender, &format!("pull:{repo}:{number}"), &format!("closed pull request #{number}"));
        self.emit_pull(repo, number, "closed", sender, &json!({}))
    }

    pub(crate) fn reopen_pull(&mut self, repo: u64, number: u64, sender: u64) -> Result<(), Reply> {
        let refused = |message: &str| {
            let error =
                json!({"resource": "PullRequest", "code": "invalid", "field": "state", "message": message});
            Reply::unprocessable("Validation Failed", &json!([error]))
        };
        let pull = self.repo(repo)?.pull(number)?;
        if pull.merged_ms.is_some() {
            return Err(refused("The pull request cannot be reopened."));
        }
        let head = self.repo(pull.head_repo)?.branch(&pull.head_branch);
        if head != Some(&pull.head_sha) {
            return Err(refused("The head branch was deleted, force-pushed or recreated."));
        }
        self.repo_mut(repo)?.pull_mut(number)?.mergeable = Mergeable::Unknown;
        self.set_open(repo, number, true, None, sender)?;
        self.emit_pull(repo, number, "reopened", sender, &json!({}))
    }

    /// Makes a pull request a draft or ready; gives whether that changed anything.
    pub(crate) fn set_draft(
        &mut self,
        repo: u64,
        number: u64,
        draft: bool,
        sender: u64,
    ) -> Result<bool, Reply> {
        let now = self.now_ms();
        let issue = self.repo_mut(repo)?.issue_mut(number)?;
        issue.updated_ms = now;
        let pull = issue.pull.as_mut().ok_or_else(Reply::not_found)?;
        if pull.draft == draft {
            return Ok(false);
        }
        pull.draft = draft;
        let action = if draft { "converted_to_draft" } else { "ready_for_review" };
        self.wrote(sender, &format!("pull:{repo}:{number}"), &format!("{action} of pull request #{number}"));
        self.emit_pull(repo, number, action, sender, &json!({}))?;
        Ok(true)
    }

    /// Marks a pull request merged, and closes the issues that it names.
    pub(crate) fn mark_merged(
        &mut self,
        repo: u64,
        number: u64,
        sha: &str,
        sender: u64,
    ) -> Result<(), Reply> {
        let now = self.now_ms();
        let found = self.repo_mut(repo)?;
        let default = found.default_branch.clone();
        let pull = found.pull_mut(number)?;
        pull.merged_ms = Some(now);
        pull.merged_by = Some(sender);
        pull.merge_sha = Some(sha.to_owned());
        let closes = pull.base_branch == default;
        self.set_open(repo, number, false, None, sender)?;
        self.wrote(sender, &format!("pull:{repo}:{number}"), &format!("merge of pull request #{number}"));
        self.emit_pull(repo, number, "closed", sender, &json!({}))?;
        let found = self.repo(repo)?;
        let issue = found.issue(number)?;
        let text = format!("{}\n{}", issue.title, issue.body.as_deref().unwrap_or_default());
        for linked in closing_numbers(&text).into_iter().filter(|_| closes) {
            let open =
                self.repo(repo)?.issues.get(&linked).is_some_and(|issue| issue.open && issue.pull.is_none());
            if open {
                self.close_issue(repo, linked, "completed", sender)?;
            }
        }
        Ok(())
    }

    /// Computes whether a pull request can be merged, and keeps `refs/pull/N/merge`.
    pub(crate) fn compute_mergeable(&mut self, repo: u64, number: u64) -> Result<(), Reply> {
        let found = self.repo(repo)?;
        let issue = found.issue(number)?;
        let pull = found.pull(number)?;
        if pull.mergeable != Mergeable::Unknown || !issue.open {
            return Ok(());
        }
        let base = found.branch(&pull.base_branch).unwrap_or(&pull.base_sha);
        let message = format!("Merge {} into {base}", pull.head_sha);
        let author = self.ident(issue.author);
        let at_s = self.now_ms() / 1000;
        let merged = found.git.merge(MergeMethod::Merge, base, &pull.head_sha, &author, at_s, &message)?;
        let name = format!("refs/pull/{number}/merge");
        let mergeable = match merged {
            Some(merge_sha) => {
                found.git.set_ref(&name, &merge_sha)?;
                Mergeable::Clean { merge_sha }
            }
            None => Mergeable::Conflicting,
        };
        self.repo_mut(repo)?.pull_mut(number)?.mergeable = mergeable;
        Ok(())
    }

    /// Gives a repository another name; the old one leads to the new one.
    pub(crate) fn rename_repository(&mut self, repo: u64, name: &str, sender: u64) -> Result<(), Reply> {
        let found = self.repo(repo)?;
        let former = self.full_name(found).to_lowercase();
        let owner = self.login(found.owner).to_owned();
        if self.repo_named(&owner, name).is_some_and(|other| other != repo) {
            return Err(Reply::invalid_because("Repository", "name", "name already exists on this account"));
        }
        let before = std::mem::replace(&mut self.repo_mut(repo)?.name, name.to_owned());
        self.former_names.insert(former, repo);
        self.emit(&Happening {
            event: "repository",
            action: Some("renamed"),
            repository: Some(repo),
            sender,
            only_app: None,
            payload: json!({"changes": {"repository": {"name": {"from": before}}}}),
        });
        Ok(())
    }
}

impl Repo {
    /// Why branch protection does not let a pull request be merged, in GitHub's words.
    pub(crate) fn merge_obstacle(&self, pull: &Pull) -> Option<String> {
        let rules = self.protections.get(&pull.base_branch)?;
        if rules.strict {
            let base = self.branch(&pull.base_branch)?;
            if !self.git.is_ancestor(base, &pull.head_sha) {
                return Some("Head branch is out of date. Review and try the merge again.".to_owned());
            }
        }
        rules.required_checks.iter().find_map(|name| {
            let run =
                self.check_runs.values().rfind(|run| run.head_sha == pull.head_sha && run.name == *name);
            let status =
                self.statuses.values().rfind(|status| status.sha == pull.head_sha && status.context == *name);
            let verdict = match (run, status) {
                (Some(run), _) if run.status != "completed" => Some("is expected"),
                (Some(run), _) if !run.passes() => Some("is failing"),
                (Some(_), _) => None,
                (None, Some(status)) => match status.state.as_str() {
                    "success" => None,
                    "pending" => Some("is pending"),
                    _ => Some("is failing"),
                },
                (None, None) => Some("is expected"),
            };
            verdict.map(|verdict| format!("Required status check \"{name}\" {verdict}."))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::closing_numbers;

    #[test]
    fn closing_keywords_are_found_in_any_case_and_nothing_else() {
        assert_eq!(closing_numbers("Closes #12.\nfixes: #3, refs #4, CLOSED #5"), vec![12, 3, 5]);
        assert_eq!(closing_numbers("#1 closes nothing # 2"), Vec::<u64>::new());
    }
}
