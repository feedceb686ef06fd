//! What follows when a branch or tag moves: webhooks, check suites, new heads of pull requests.

use serde_json::{Value, json};

use crate::emit::Happening;
use crate::git::command::ZERO_SHA;
use crate::git::diff::Side;
use crate::ids::Kind;
use crate::reply::Reply;
use crate::role::Access;
use crate::state::{CheckSuite, Mergeable, State};

/// GitHub lists at most this many commits in a push webhook.
const PUSHED_COMMITS_MAX: usize = 2048;

impl State {
    /// Points a ref somewhere and tells everyone; the zero id deletes it.
    pub(crate) fn move_ref(&mut self, repo: u64, name: &str, sha: &str, sender: u64) -> Result<(), Reply> {
        self.repo(repo)?.git.set_ref(name, sha)?;
        self.notice_refs(repo, sender)
    }

    /// Compares the refs on disk with those known and acts on each that moved.
    pub(crate) fn notice_refs(&mut self, repo: u64, sender: u64) -> Result<(), Reply> {
        let found = self.repo(repo)?.git.refs()?;
        let known = std::mem::replace(&mut self.repo_mut(repo)?.refs, found.clone());
        let mut names: Vec<&String> = known.keys().chain(found.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let before = known.get(name).map_or(ZERO_SHA, String::as_str);
            let after = found.get(name).map_or(ZERO_SHA, String::as_str);
            if before != after {
                self.ref_moved(repo, name, before, after, sender)?;
            }
        }
        Ok(())
    }

    fn ref_moved(
        &mut self,
        repo: u64,
        name: &str,
        before: &str,
        after: &str,
        sender: u64,
    ) -> Result<(), Reply> {
        let now = self.now_ms();
        let found = self.repo_mut(repo)?;
        found.pushed_ms = now;
        let (kind, short) = match name.strip_prefix("refs/heads/") {
            Some(branch) => ("branch", branch.to_owned()),
            None => ("tag", name.trim_start_matches("refs/tags/").to_owned()),
        };
        let reference = json!({
            "ref": short, "ref_type": kind, "master_branch": found.default_branch, "pusher_type": "user",
            "description": null,
        });
        let happening = |event, payload| Happening {
            event,
            action: None,
            repository: Some(repo),
            sender,
            only_app: None,
            payload,
        };
        if before == ZERO_SHA {
            self.emit(happening("create", reference));
        } else if after == ZERO_SHA {
            self.emit(happening("delete", reference));
        }
        let push = self.push_json(repo, name, before, after, sender)?;
        self.emit(happening("push", push));
        if kind == "branch" {
            self.branch_moved(repo, &short, after, sender)?;
        }
        Ok(())
    }

    fn push_json(
        &self,
        repo: u64,
        name: &str,
        before: &str,
        after: &str,
        sender: u64,
    ) -> Result<Value, Reply> {
        let repo = self.repo(repo)?;
        let commits = if after == ZERO_SHA {
            Vec::new()
        } else if before == ZERO_SHA {
            let not_default = format!("^refs/heads/{}", repo.default_branch);
            let default = format!("refs/heads/{}", repo.default_branch);
            let others: &[&str] = if name == default || !repo.refs.contains_key(&default) {
                &["--reverse", after]
            } else {
                &["--reverse", after, &not_default]
            };
            repo.git.log(others, PUSHED_COMMITS_MAX)?
        } else {
            repo.git.log(&["--reverse", &format!("{before}..{after}")], PUSHED_COMMITS_MAX)?
        };
        let mut listed = Vec::new();
        for commit in &commits {
            let files = match commit.parents.first() {
                Some(parent) => repo.git.diff(parent, &commit.sha)?,
                None => Vec::new(),
            };
            listed.push(self.pushed_commit_json(repo, commit, &files));
        }
        let head = match listed.last() {
            Some(last) => last.clone(),
            None if after == ZERO_SHA => Value::Null,
            None => self.pushed_commit_json(repo, &repo.git.commit(after)?, &[]),
        };
        let forced = before != ZERO_SHA && after != ZERO_SHA && !repo.git.is_ancestor(before, after);
        let login = self.login(sender);
        Ok(json!({
            "ref": name, "before": before, "after": after, "created": before == ZERO_SHA,
            "deleted": after == ZERO_SHA, "forced": forced, "base_ref": null,
            "compare": format!("{}/compare/{before}...{after}", self.repo_html(repo)),
            "commits": listed, "head_commit": head,
            "pusher": {"name": login, "email": format!("{login}@users.noreply.github.com")},
        }))
    }

    fn branch_moved(&mut self, repo: u64, branch: &str, sha: &str, sender: u64) -> Result<(), Reply> {
        if sha != ZERO_SHA {
            self.request_suites(repo, Some(branch), sha, sender)?;
        }
        let heads = self.pulls_where(|_, pull| pull.head_repo == repo && pull.head_branch == branch);
        for (pull_repo, number) in heads {
            if sha == ZERO_SHA {
                self.close_pull(pull_repo, number, sender)?;
            } else {
                self.head_moved(pull_repo, number, sha, sender)?;
            }
        }
        if sha == ZERO_SHA {
            return Ok(());
        }
        let bases = self.pulls_where(|pull_repo, pull| pull_repo == repo && pull.base_branch == branch);
        for (_, number) in bases {
            let found = self.repo(repo)?;
            let merged = found.git.is_ancestor(&found.pull(number)?.head_sha, sha);
            self.repo_mut(repo)?.pull_mut(number)?.mergeable = Mergeable::Unknown;
            if merged {
                self.mark_merged(repo, number, sha, sender)?;
            }
        }
        Ok(())
    }

    /// Open pull requests of any repository, as repository and number.
    fn pulls_where(&self, wanted: impl Fn(u64, &crate::state::Pull) -> bool) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        for repo in self.repos.values() {
            for issue in repo.issues.values().filter(|issue| issue.open) {
                if issue.pull.as_ref().is_some_and(|pull| wanted(repo.id, pull)) {
                    found.push((repo.id, issue.number));
                }
            }
        }
        found
    }

    fn head_moved(&mut self, repo: u64, number: u64, sha: &str, sender: u64) -> Result<(), Reply> {
        let found = self.repo(repo)?;
        let before = found.pull(number)?.head_sha.clone();
        let head_repo = found.pull(number)?.head_repo;
        if head_repo != repo {
            let fork = self.repo(head_repo)?.git.clone();
            found.git.take_from(&fork, sha)?;
        }
        found.git.set_ref(&format!("refs/pull/{number}/head"), sha)?;
        let now = self.now_ms();
        let found = self.repo_mut(repo)?;
        let base = found.branch(&found.pull(number)?.base_branch).cloned();
        let issue = found.issue_mut(number)?;
        issue.updated_ms = now;
        if let Some(pull) = issue.pull.as_mut() {
            sha.clone_into(&mut pull.head_sha);
            pull.heads.insert(sha.to_owned());
            pull.mergeable = Mergeable::Unknown;
            if let Some(base) = base {
                pull.base_sha = base;
            }
        }
        self.move_review_comments(repo, number)?;
        self.emit_pull(repo, number, "synchronize", sender, &json!({"before": before, "after": sha}))
    }

    /// Finds each review comment's line in the newest head, or marks it outdated.
    pub(crate) fn move_review_comments(&mut self, repo: u64, number: u64) -> Result<(), Reply> {
        let found = self.repo(repo)?;
        let pull = found.pull(number)?;
        let head = pull.head_sha.clone();
        let files = found.git.pull_diff(&pull.base_sha, &head)?;
        let mut moved = Vec::new();
        for comment in found.review_comments.values().filter(|comment| comment.number == number) {
            let Some(original) = comment.original_line else { continue };
            if comment.line.is_none() && comment.commit_sha != comment.original_commit_sha {
                continue;
            }
            let file = files.iter().find(|file| file.path == comment.path);
            let follow = |line: u64| -> Result<Option<u64>, Reply> {
                Ok(match comment.side {
                    Side::Right => {
                        found.git.follow_line(&comment.original_commit_sha, &head, &comment.path, line)?
                    }
                    Side::Left => Some(line),
                })
            };
            let line = follow(original)?;
            let shown =
                line.and_then(|line| file?.find(comment.side, line).map(|(_, at)| (line, at.position)));
            let start = match comment.original_start_line {
                Some(start) => follow(start)?,
                None => None,
            };
            moved.push((comment.id, shown, start));
        }
        let found = self.repo_mut(repo)?;
        for (id, shown, start) in moved {
            let Some(comment) = found.review_comments.get_mut(&id) else { continue };
            comment.line = shown.map(|(line, _)| line);
            comment.position = shown.map(|(_, position)| position);
            comment.start_line = start.filter(|_| shown.is_some());
            if shown.is_some() {
                comment.commit_sha.clone_from(&head);
            }
        }
        Ok(())
    }

    /// Opens a check suite on a new head for every app that writes checks.
    fn request_suites(
        &mut self,
        repo: u64,
        branch: Option<&str>,
        sha: &str,
        sender: u64,
    ) -> Result<(), Reply> {
        let found = self.repo(repo)?;
        let apps: Vec<u64> = self
            .installations
            .values()
            .filter(|installation| Self::covers(installation, found))
            .filter(|installation| installation.permissions.get("checks") == Some(&Access::Write))
            .map(|installation| installation.app)
            .filter(|app| {
                !found.check_suites.values().any(|suite| suite.app == *app && suite.head_sha == sha)
            })
            .collect();
        for app in apps {
            let suite = self.open_suite(repo, app, branch, sha)?;
            self.emit_suite(repo, suite, "requested", sender)?;
        }
        Ok(())
    }

    /// The suite of an app on a commit, made if need be.
    pub(crate) fn open_suite(
        &mut self,
        repo: u64,
        app: u64,
        branch: Option<&str>,
        sha: &str,
    ) -> Result<u64, Reply> {
        let known =
            self.repo(repo)?.check_suites.values().find(|suite| suite.app == app && suite.head_sha == sha);
        if let Some(suite) = known {
            return Ok(suite.id);
        }
        let id = self.next_id(Kind::CheckSuite);
        let now = self.now_ms();
        let found = self.repo_mut(repo)?;
        let of_commit = || {
            let pointing =
                found.refs.iter().find(|(name, tip)| name.starts_with("refs/heads/") && *tip == sha);
            pointing.map(|(name, _)| name.trim_start_matches("refs/heads/").to_owned())
        };
        let head_branch = branch.map(str::to_owned).or_else(of_commit);
        let suite =
            CheckSuite { id, app, head_sha: sha.to_owned(), head_branch, created_ms: now, updated_ms: now };
        found.check_suites.insert(id, suite);
        Ok(id)
    }
}
