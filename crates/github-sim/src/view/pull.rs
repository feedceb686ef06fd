//! Pull requests.

use serde_json::{Value, json};

use super::account::extend;
use crate::clock::iso;
use crate::reply::Reply;
use crate::state::{Issue, Mergeable, Pull, Repo, State};

impl State {
    fn branch_json(&self, repo: u64, branch: &str, sha: &str) -> Value {
        let Some(repo) = self.repos.get(&repo) else {
            return json!({
                "label": format!("unknown:{branch}"), "ref": branch, "sha": sha, "user": null, "repo": null,
            });
        };
        json!({
            "label": format!("{}:{branch}", self.login(repo.owner)), "ref": branch, "sha": sha,
            "user": self.account_json(repo.owner), "repo": self.repo_json(repo),
        })
    }

    /// A pull request as lists show it.
    pub(crate) fn pull_json(&self, repo: &Repo, issue: &Issue, pull: &Pull) -> Value {
        let repository = self.repo_url(repo);
        let number = issue.number;
        let url = format!("{repository}/pulls/{number}");
        let issue_url = format!("{repository}/issues/{number}");
        let html = self.issue_html(repo, issue);
        let accounts = |ids: &[u64]| ids.iter().map(|id| self.account_json(*id)).collect::<Vec<_>>();
        let link = |address: String| json!({"href": address});
        let test_merge = match &pull.mergeable {
            Mergeable::Clean { merge_sha } => Some(merge_sha.clone()),
            Mergeable::Unknown | Mergeable::Conflicting => None,
        };
        let comments = format!("{issue_url}/comments");
        let review_comment = format!("{repository}/pulls/comments{{/number}}");
        let statuses = format!("{repository}/statuses/{}", pull.head_sha);
        json!({
            "id": pull.id, "node_id": format!("PR_{}", pull.id), "number": number, "url": url,
            "html_url": html, "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
            "issue_url": issue_url, "commits_url": format!("{url}/commits"),
            "review_comments_url": format!("{url}/comments"), "review_comment_url": review_comment,
            "comments_url": comments, "statuses_url": statuses,
            "state": if issue.open { "open" } else { "closed" }, "locked": false, "active_lock_reason": null,
            "title": issue.title, "body": issue.body, "user": self.account_json(issue.author),
            "labels": self.labels_json(repo, issue), "milestone": null,
            "assignee": issue.assignees.first().map(|id| self.account_json(*id)),
            "assignees": accounts(&issue.assignees),
            "requested_reviewers": accounts(&pull.requested_reviewers), "requested_teams": [],
            "created_at": iso(issue.created_ms), "updated_at": iso(issue.updated_ms),
            "closed_at": issue.closed_ms.map(iso), "merged_at": pull.merged_ms.map(iso),
            "merge_commit_sha": pull.merge_sha.clone().or(test_merge), "draft": pull.draft, "auto_merge": null,
            "author_association": self.association(issue.author, repo),
            "head": self.branch_json(pull.head_repo, &pull.head_branch, &pull.head_sha),
            "base": self.branch_json(repo.id, &pull.base_branch, &pull.base_sha),
            "_links": {
                "self": link(url.clone()), "html": link(html.clone()), "issue": link(issue_url.clone()),
                "comments": link(comments.clone()), "review_comments": link(format!("{url}/comments")),
                "review_comment": link(review_comment.clone()), "commits": link(format!("{url}/commits")),
                "statuses": link(statuses.clone()),
            },
        })
    }

    /// A pull request as `GET` and webhooks show it, with what needs git to know.
    pub(crate) fn full_pull_json(&self, repo: &Repo, number: u64) -> Result<Value, Reply> {
        let issue = repo.issue(number)?;
        let pull = repo.pull(number)?;
        let mut json = self.pull_json(repo, issue, pull);
        let files = repo.git.pull_diff(&pull.base_sha, &pull.head_sha)?;
        let range = format!("{}..{}", pull.base_sha, pull.head_sha);
        let commits = repo.git.run(&["rev-list", "--count", &range])?.parse::<u64>().unwrap_or_default();
        let (mergeable, state) = match (&pull.mergeable, issue.open) {
            (_, false) | (Mergeable::Unknown, true) => (None, "unknown"),
            (Mergeable::Conflicting, true) => (Some(false), "dirty"),
            (Mergeable::Clean { .. }, true) if pull.draft => (Some(true), "draft"),
            (Mergeable::Clean { .. }, true) => match self.merge_obstacle(repo, pull) {
                Some(_) => (Some(true), "blocked"),
                None => (Some(true), "clean"),
            },
        };
        let comments = repo.comments.values().filter(|comment| comment.number == number).count();
        let review_comments =
            repo.review_comments.values().filter(|comment| comment.number == number).count();
        extend(
            &mut json,
            json!({
                "merged": pull.merged_ms.is_some(), "mergeable": mergeable, "rebaseable": mergeable,
                "mergeable_state": state, "merged_by": pull.merged_by.map(|id| self.account_json(id)),
                "comments": comments, "review_comments": review_comments, "maintainer_can_modify": false,
                "commits": commits, "additions": files.iter().map(|file| file.additions).sum::<u64>(),
                "deletions": files.iter().map(|file| file.deletions).sum::<u64>(), "changed_files": files.len(),
            }),
        );
        Ok(json)
    }

    /// The few fields that check runs and suites show of their pull requests.
    pub(crate) fn pulls_of_commit_json(&self, repo: &Repo, sha: &str) -> Vec<Value> {
        let short = |repo: &Repo| json!({"id": repo.id, "url": self.repo_url(repo), "name": repo.name});
        let pulls = repo.issues.values().filter(|issue| issue.open).filter_map(|issue| {
            issue.pull.as_ref().filter(|pull| pull.head_sha == sha).map(|pull| (issue.number, pull))
        });
        pulls
            .map(|(number, pull)| {
                json!({
                    "id": pull.id, "number": number, "url": format!("{}/pulls/{number}", self.repo_url(repo)),
                    "head": {"ref": pull.head_branch, "sha": pull.head_sha, "repo": short(repo)},
                    "base": {"ref": pull.base_branch, "sha": pull.base_sha, "repo": short(repo)},
                })
            })
            .collect()
    }
}
