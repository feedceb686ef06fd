//! Repositories and labels.

use serde_json::{Value, json};

use super::account::extend;
use crate::clock::iso;
use crate::role::Role;
use crate::state::{Label, Repo, State};

impl State {
    /// The API address of a repository.
    pub(crate) fn repo_url(&self, repo: &Repo) -> String {
        format!("{}/repos/{}", self.server, self.full_name(repo))
    }

    /// The web address of a repository.
    pub(crate) fn repo_html(&self, repo: &Repo) -> String {
        format!("{}/{}", self.server, self.full_name(repo))
    }

    /// A repository.
    pub(crate) fn repo_json(&self, repo: &Repo) -> Value {
        let url = self.repo_url(repo);
        let html = self.repo_html(repo);
        let open_issues = repo.issues.values().filter(|issue| issue.open).count();
        let mut json = json!({
            "id": repo.id, "node_id": format!("R_{}", repo.id), "name": repo.name,
            "full_name": self.full_name(repo), "owner": self.account_json(repo.owner),
            "private": repo.private, "html_url": html, "description": null, "fork": repo.parent.is_some(),
            "url": url, "clone_url": format!("{html}.git"), "git_url": format!("{html}.git"),
            "ssh_url": format!("git@localhost:{}.git", self.full_name(repo)), "svn_url": html,
            "homepage": null, "language": null, "forks_count": 0, "stargazers_count": 0, "watchers_count": 0,
            "size": 1, "default_branch": repo.default_branch, "open_issues_count": open_issues,
            "is_template": false, "topics": [], "has_issues": true, "has_projects": false, "has_wiki": false,
            "has_pages": false, "has_downloads": false, "archived": false, "disabled": false,
            "visibility": if repo.private { "private" } else { "public" },
            "pushed_at": iso(repo.pushed_ms), "created_at": iso(repo.created_ms),
            "updated_at": iso(repo.updated_ms),
            "allow_merge_commit": true, "allow_squash_merge": true, "allow_rebase_merge": true,
            "allow_auto_merge": false, "delete_branch_on_merge": false, "allow_forking": true,
            "forks": 0, "open_issues": open_issues, "watchers": 0, "license": null, "mirror_url": null,
        });
        let parts = [
            ("archive_url", "{archive_format}{/ref}"),
            ("assignees_url", "assignees{/user}"),
            ("blobs_url", "git/blobs{/sha}"),
            ("branches_url", "branches{/branch}"),
            ("collaborators_url", "collaborators{/collaborator}"),
            ("comments_url", "comments{/number}"),
            ("commits_url", "commits{/sha}"),
            ("compare_url", "compare/{base}...{head}"),
            ("contents_url", "contents/{+path}"),
            ("contributors_url", "contributors"),
            ("deployments_url", "deployments"),
            ("downloads_url", "downloads"),
            ("events_url", "events"),
            ("forks_url", "forks"),
            ("git_commits_url", "git/commits{/sha}"),
            ("git_refs_url", "git/refs{/sha}"),
            ("git_tags_url", "git/tags{/sha}"),
            ("hooks_url", "hooks"),
            ("issue_comment_url", "issues/comments{/number}"),
            ("issue_events_url", "issues/events{/number}"),
            ("issues_url", "issues{/number}"),
            ("keys_url", "keys{/key_id}"),
            ("labels_url", "labels{/name}"),
            ("languages_url", "languages"),
            ("merges_url", "merges"),
            ("milestones_url", "milestones{/number}"),
            ("notifications_url", "notifications"),
            ("pulls_url", "pulls{/number}"),
            ("releases_url", "releases{/id}"),
            ("stargazers_url", "stargazers"),
            ("statuses_url", "statuses/{sha}"),
            ("subscribers_url", "subscribers"),
            ("subscription_url", "subscription"),
            ("tags_url", "tags"),
            ("teams_url", "teams"),
            ("trees_url", "git/trees{/sha}"),
        ];
        let links = parts.map(|(name, part)| (name.to_owned(), Value::from(format!("{url}/{part}"))));
        extend(&mut json, Value::Object(links.into_iter().collect()));
        json
    }

    /// A repository with what a role may do there.
    pub(crate) fn repo_json_for(&self, repo: &Repo, role: Role) -> Value {
        let mut json = self.repo_json(repo);
        let permissions = json!({
            "admin": role >= Role::Admin, "maintain": role >= Role::Maintain, "push": role >= Role::Write,
            "triage": role >= Role::Triage, "pull": role >= Role::Read,
        });
        extend(&mut json, json!({"permissions": permissions, "role_name": role.name()}));
        json
    }

    /// A label.
    pub(crate) fn label_json(&self, repo: &Repo, label: &Label) -> Value {
        json!({
            "id": label.id, "node_id": format!("LA_{}", label.id),
            "url": format!("{}/labels/{}", self.repo_url(repo), crate::call::percent_encoded(&label.name)),
            "name": label.name, "color": label.color, "default": false, "description": label.description,
        })
    }
}
