//! Commits and changed files.

use serde_json::{Value, json};

use crate::call::percent_encoded;
use crate::clock::iso;
use crate::git::commit::{Commit, Ident};
use crate::git::diff::FileDiff;
use crate::state::{Repo, State};

impl State {
    /// The account of a commit's author, found by GitHub's private mail address.
    fn account_of(&self, ident: &Ident) -> Option<Value> {
        let (id, rest) = ident.email.split_once('+')?;
        let id = id.parse().ok().filter(|_| rest.ends_with("@users.noreply.github.com"))?;
        self.accounts.contains_key(&id).then(|| self.account_json(id))
    }

    /// A commit with its message and parents.
    pub(crate) fn commit_json(&self, repo: &Repo, commit: &Commit) -> Value {
        let url = self.repo_url(repo);
        let html = self.repo_html(repo);
        let parents: Vec<Value> = commit
            .parents
            .iter()
            .map(|sha| {
                json!({"sha": sha, "url": format!("{url}/commits/{sha}"), "html_url": format!("{html}/commit/{sha}")})
            })
            .collect();
        let person = |ident: &Ident, at_s: u64| json!({"name": ident.name, "email": ident.email, "date": iso(at_s.saturating_mul(1000))});
        let sha = &commit.sha;
        json!({
            "sha": sha, "node_id": format!("C_{sha}"), "url": format!("{url}/commits/{sha}"),
            "html_url": format!("{html}/commit/{sha}"), "comments_url": format!("{url}/commits/{sha}/comments"),
            "commit": {
                "url": format!("{url}/git/commits/{sha}"), "message": commit.message, "comment_count": 0,
                "author": person(&commit.author, commit.authored_s),
                "committer": person(&commit.committer, commit.committed_s),
                "tree": {"sha": commit.tree, "url": format!("{url}/git/trees/{}", commit.tree)},
                "verification": {"verified": false, "reason": "unsigned", "signature": null, "payload": null},
            },
            "author": self.account_of(&commit.author), "committer": self.account_of(&commit.committer),
            "parents": parents,
        })
    }

    /// A commit as push webhooks write it.
    pub(crate) fn pushed_commit_json(&self, repo: &Repo, commit: &Commit, files: &[FileDiff]) -> Value {
        let paths = |status: &str| -> Vec<&str> {
            files.iter().filter(|file| file.status == status).map(|file| file.path.as_str()).collect()
        };
        let modified: Vec<&str> = files
            .iter()
            .filter(|file| file.status != "added" && file.status != "removed")
            .map(|file| file.path.as_str())
            .collect();
        let person = |ident: &Ident| json!({"name": ident.name, "email": ident.email});
        json!({
            "id": commit.sha, "tree_id": commit.tree, "distinct": true, "message": commit.message,
            "timestamp": iso(commit.committed_s.saturating_mul(1000)),
            "url": format!("{}/commit/{}", self.repo_html(repo), commit.sha),
            "author": person(&commit.author), "committer": person(&commit.committer),
            "added": paths("added"), "removed": paths("removed"), "modified": modified,
        })
    }

    /// One changed file.
    pub(crate) fn file_json(&self, repo: &Repo, file: &FileDiff, head: &str) -> Value {
        let path = file.path.split('/').map(percent_encoded).collect::<Vec<_>>().join("/");
        let html = self.repo_html(repo);
        let mut json = json!({
            "sha": file.sha, "filename": file.path, "status": file.status, "additions": file.additions,
            "deletions": file.deletions, "changes": file.additions + file.deletions,
            "blob_url": format!("{html}/blob/{head}/{path}"), "raw_url": format!("{html}/raw/{head}/{path}"),
            "contents_url": format!("{}/contents/{path}?ref={head}", self.repo_url(repo)),
        });
        if let Some(object) = json.as_object_mut() {
            if let Some(patch) = &file.patch {
                object.insert("patch".to_owned(), patch.clone().into());
            }
            if let Some(previous) = &file.previous_path {
                object.insert("previous_filename".to_owned(), previous.clone().into());
            }
        }
        json
    }
}
