//! Everything the simulated GitHub knows. Ordered maps only, so that two equal histories answer equally.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::actor::Token;
use crate::clock::SimClock;
use crate::git::command::Git;
use crate::ids::{Ids, Kind};
use crate::limits::LimitBook;
use crate::looked::Looked;
use crate::reply::Reply;
use crate::role::{Permissions, Role};
use crate::webhooks::Mail;

pub(crate) use crate::state_checks::{CheckRun, CheckSuite, Status};
pub(crate) use crate::state_items::{
    Issue, IssueComment, IssueEvent, Label, Mergeable, Pull, Reaction, ReactionTarget, Review, ReviewComment,
    ReviewThread,
};

/// What kind of account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccountKind {
    User,
    Organization,
    Bot,
}

/// A person, an organization or an app's bot.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) kind: AccountKind,
    pub(crate) created_ms: u64,
}

/// A registered GitHub App.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) id: u64,
    pub(crate) slug: String,
    pub(crate) client_id: String,
    pub(crate) owner: u64,
    pub(crate) bot: u64,
    pub(crate) public_key_pem: String,
    pub(crate) permissions: Permissions,
    /// Webhook events it listens to; `None` for all.
    pub(crate) events: Option<BTreeSet<String>>,
    pub(crate) hook: Option<u64>,
    pub(crate) created_ms: u64,
}

/// An app on an account.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    pub(crate) id: u64,
    pub(crate) app: u64,
    pub(crate) account: u64,
    pub(crate) permissions: Permissions,
    /// Chosen repositories; `None` for all of the account.
    pub(crate) repositories: Option<BTreeSet<u64>>,
    pub(crate) suspended: bool,
    pub(crate) created_ms: u64,
}

/// Rules of a protected branch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protection {
    /// Names of check runs or status contexts that must be green.
    pub required_checks: BTreeSet<String>,
    /// Whether the head must contain the base's tip.
    pub strict: bool,
    /// Whether changes must come through a pull request.
    pub require_pull_request: bool,
}

/// A repository and everything in it.
#[derive(Debug, Clone)]
pub(crate) struct Repo {
    pub(crate) id: u64,
    pub(crate) owner: u64,
    pub(crate) name: String,
    pub(crate) private: bool,
    pub(crate) default_branch: String,
    pub(crate) parent: Option<u64>,
    pub(crate) git: Git,
    pub(crate) refs: BTreeMap<String, String>,
    pub(crate) collaborators: BTreeMap<u64, Role>,
    pub(crate) labels: BTreeMap<String, Label>,
    pub(crate) issues: BTreeMap<u64, Issue>,
    pub(crate) issue_events: BTreeMap<u64, IssueEvent>,
    pub(crate) comments: BTreeMap<u64, IssueComment>,
    pub(crate) reviews: BTreeMap<u64, Review>,
    pub(crate) review_comments: BTreeMap<u64, ReviewComment>,
    pub(crate) threads: BTreeMap<u64, ReviewThread>,
    pub(crate) reactions: BTreeMap<u64, Reaction>,
    pub(crate) check_suites: BTreeMap<u64, CheckSuite>,
    pub(crate) check_runs: BTreeMap<u64, CheckRun>,
    pub(crate) statuses: BTreeMap<u64, Status>,
    pub(crate) protections: BTreeMap<String, Protection>,
    /// Pushes to these refs are declined: ref, code and message.
    pub(crate) push_rules: Vec<(String, String, String)>,
    pub(crate) signatures_required: bool,
    pub(crate) next_number: u64,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    pub(crate) pushed_ms: u64,
}

/// The whole.
#[derive(Debug)]
pub(crate) struct State {
    /// Scheme, host and port of everything that is served.
    pub(crate) server: String,
    pub(crate) clock: Arc<dyn SimClock>,
    pub(crate) ids: Ids,
    pub(crate) directory: PathBuf,
    pub(crate) accounts: BTreeMap<u64, Account>,
    pub(crate) apps: BTreeMap<u64, App>,
    pub(crate) installations: BTreeMap<u64, Installation>,
    pub(crate) tokens: BTreeMap<String, Token>,
    pub(crate) repos: BTreeMap<u64, Repo>,
    /// Names that repositories had before they were renamed, in lower case.
    pub(crate) former_names: BTreeMap<String, u64>,
    pub(crate) mail: Mail,
    pub(crate) limits: LimitBook,
    pub(crate) looked: Looked,
}

impl State {
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    pub(crate) fn next_id(&mut self, kind: Kind) -> u64 {
        self.ids.next(kind)
    }

    /// The account with this login, whatever its case.
    pub(crate) fn account_named(&self, login: &str) -> Option<&Account> {
        self.accounts.values().find(|account| account.login.eq_ignore_ascii_case(login))
    }

    /// The login of an account, or GitHub's name for one that is gone.
    pub(crate) fn login(&self, account: u64) -> &str {
        self.accounts.get(&account).map_or("ghost", |account| account.login.as_str())
    }

    pub(crate) fn repo(&self, id: u64) -> Result<&Repo, Reply> {
        self.repos.get(&id).ok_or_else(Reply::not_found)
    }

    pub(crate) fn repo_mut(&mut self, id: u64) -> Result<&mut Repo, Reply> {
        self.repos.get_mut(&id).ok_or_else(Reply::not_found)
    }

    /// `owner/name`.
    pub(crate) fn full_name(&self, repo: &Repo) -> String {
        format!("{}/{}", self.login(repo.owner), repo.name)
    }

    /// The repository with this owner and name, whatever their case.
    pub(crate) fn repo_named(&self, owner: &str, name: &str) -> Option<u64> {
        let found = self.repos.values().find(|repo| {
            repo.name.eq_ignore_ascii_case(name) && self.login(repo.owner).eq_ignore_ascii_case(owner)
        });
        found.map(|repo| repo.id)
    }

    /// The app whose bot this account is.
    pub(crate) fn app_of_bot(&self, account: u64) -> Option<&App> {
        self.apps.values().find(|app| app.bot == account)
    }

    /// Whether an installation reaches a repository.
    pub(crate) fn covers(installation: &Installation, repo: &Repo) -> bool {
        !installation.suspended
            && installation.account == repo.owner
            && installation.repositories.as_ref().is_none_or(|chosen| chosen.contains(&repo.id))
    }

    /// Names a web commit's author.
    pub(crate) fn ident(&self, account: u64) -> crate::git::commit::Ident {
        let login = self.login(account).to_owned();
        let email = format!("{account}+{login}@users.noreply.github.com");
        crate::git::commit::Ident { name: login, email }
    }
}

impl Repo {
    /// The role that a person has here, public access included.
    pub(crate) fn role(&self, account: u64) -> Role {
        if self.owner == account {
            return Role::Admin;
        }
        let least = if self.private { Role::None } else { Role::Read };
        self.collaborators.get(&account).map_or(least, |given| least.max(*given))
    }

    pub(crate) fn issue(&self, number: u64) -> Result<&Issue, Reply> {
        self.issues.get(&number).ok_or_else(Reply::not_found)
    }

    pub(crate) fn issue_mut(&mut self, number: u64) -> Result<&mut Issue, Reply> {
        self.issues.get_mut(&number).ok_or_else(Reply::not_found)
    }

    pub(crate) fn pull(&self, number: u64) -> Result<&Pull, Reply> {
        self.issue(number)?.pull.as_ref().ok_or_else(Reply::not_found)
    }

    pub(crate) fn pull_mut(&mut self, number: u64) -> Result<&mut Pull, Reply> {
        self.issue_mut(number)?.pull.as_mut().ok_or_else(Reply::not_found)
    }

    pub(crate) fn branch(&self, name: &str) -> Option<&String> {
        self.refs.get(&format!("refs/heads/{name}"))
    }

    /// The commit that a SHA, branch, tag or full ref names.
    pub(crate) fn commit_of(&self, name: &str) -> Option<String> {
        let known = [
            name.to_owned(),
            format!("refs/{name}"),
            format!("refs/heads/{name}"),
            format!("refs/tags/{name}"),
        ]
        .iter()
        .find_map(|name| self.refs.get(name).cloned());
        match known {
            Some(sha) => self.git.resolve(&sha, "commit"),
            None if name.len() >= 7 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                self.git.resolve(name, "commit")
            }
            None => None,
        }
    }
}
