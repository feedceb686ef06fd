//! Issues, their comments and reactions.

use serde_json::{Map, Value, json};

use super::account::extend;
use crate::clock::iso;
use crate::state::{Issue, IssueComment, Reaction, ReactionTarget, Repo, State};

impl State {
    /// The labels of an issue or pull request.
    pub(crate) fn labels_json(&self, repo: &Repo, issue: &Issue) -> Vec<Value> {
        issue
            .labels
            .iter()
            .filter_map(|key| repo.labels.get(key))
            .map(|label| self.label_json(repo, label))
            .collect()
    }

    /// How often each reaction was given.
    pub(crate) fn reactions_json(&self, repo: &Repo, target: ReactionTarget, url: &str) -> Value {
        let given = || repo.reactions.values().filter(|reaction| reaction.target == target);
        let mut counts = Map::new();
        counts.insert("url".to_owned(), format!("{url}/reactions").into());
        counts.insert("total_count".to_owned(), given().count().into());
        for content in ["+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes"] {
            let count = given().filter(|reaction| reaction.content == content).count();
            counts.insert(content.to_owned(), count.into());
        }
        Value::Object(counts)
    }

    /// An issue; a pull request in its shape as an issue.
    pub(crate) fn issue_json(&self, repo: &Repo, issue: &Issue) -> Value {
        let repository = self.repo_url(repo);
        let url = format!("{repository}/issues/{}", issue.number);
        let html = self.issue_html(repo, issue);
        let accounts: Vec<Value> = issue.assignees.iter().map(|id| self.account_json(*id)).collect();
        let comments = repo.comments.values().filter(|comment| comment.number == issue.number).count();
        let mut json = json!({
            "id": issue.id, "node_id": format!("I_{}", issue.id), "url": url, "repository_url": repository,
            "labels_url": format!("{url}/labels{{/name}}"), "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"), "html_url": html, "number": issue.number,
            "state": if issue.open { "open" } else { "closed" }, "state_reason": issue.state_reason,
            "title": issue.title, "body": issue.body, "user": self.account_json(issue.author),
            "labels": self.labels_json(repo, issue), "assignee": accounts.first(), "assignees": accounts,
            "author_association": self.association(issue.author, repo), "milestone": null, "locked": false,
            "active_lock_reason": null, "comments": comments,
            "created_at": iso(issue.created_ms), "updated_at": iso(issue.updated_ms),
            "closed_at": issue.closed_ms.map(iso),
            "closed_by": issue.closed_by.map(|id| self.account_json(id)),
            "reactions": self.reactions_json(repo, ReactionTarget::Issue(issue.number), &url),
            "timeline_url": format!("{url}/timeline"), "performed_via_github_app": null,
        });
        if let Some(pull) = &issue.pull {
            let link = json!({
                "url": format!("{repository}/pulls/{}", issue.number), "html_url": html,
                "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
                "merged_at": pull.merged_ms.map(iso),
            });
            extend(&mut json, json!({"pull_request": link, "draft": pull.draft}));
        }
        json
    }

    /// The web address of an issue or pull request.
    pub(crate) fn issue_html(&self, repo: &Repo, issue: &Issue) -> String {
        let kind = if issue.pull.is_some() { "pull" } else { "issues" };
        format!("{}/{kind}/{}", self.repo_html(repo), issue.number)
    }

    /// A comment of an issue or of a pull request's conversation.
    pub(crate) fn comment_json(&self, repo: &Repo, comment: &IssueComment) -> Value {
        let repository = self.repo_url(repo);
        let url = format!("{repository}/issues/comments/{}", comment.id);
        let html = repo
            .issues
            .get(&comment.number)
            .map(|issue| format!("{}#issuecomment-{}", self.issue_html(repo, issue), comment.id));
        json!({
            "id": comment.id, "node_id": format!("IC_{}", comment.id), "url": url, "html_url": html,
            "issue_url": format!("{repository}/issues/{}", comment.number),
            "user": self.account_json(comment.author), "body": comment.body,
            "author_association": self.association(comment.author, repo),
            "created_at": iso(comment.created_ms), "updated_at": iso(comment.updated_ms),
            "reactions": self.reactions_json(repo, ReactionTarget::IssueComment(comment.id), &url),
            "performed_via_github_app": self.app_of_bot(comment.author).map(|app| self.app_json(app)),
        })
    }

    /// A reaction.
    pub(crate) fn reaction_json(&self, reaction: &Reaction) -> Value {
        json!({
            "id": reaction.id, "node_id": format!("REA_{}", reaction.id),
            "user": self.account_json(reaction.author), "content": reaction.content,
            "created_at": iso(reaction.created_ms),
        })
    }
}
