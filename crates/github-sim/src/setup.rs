//! Sets the scene: accounts, repositories, apps, installations, rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::act::{AppHandle, Person};
use crate::actor::{Actor, Token};
use crate::emit::Happening;
use crate::git::command::Git;
use crate::git::commit::FileChange;
use crate::ids::Kind;
use crate::role::{Permissions, Role, usual_permissions};
use crate::sim::{GitHubSim, SimError};
use crate::state::{Account, AccountKind, App, Installation, Protection, Repo, State};
use crate::webhooks::{ContentType, Hook, HookOwner};

/// A repository to create.
#[derive(Debug, Clone)]
pub struct NewRepository {
    /// `owner/name`; the owner is created as an organization if there is none.
    pub full_name: String,
    /// Whether only people with a role, and installations, see it.
    pub private: bool,
    /// The branch that the files are committed to.
    pub default_branch: String,
    /// Paths and contents of the first commit; a content that begins with `#!` becomes executable.
    pub files: Vec<(String, Vec<u8>)>,
}

impl NewRepository {
    /// A public repository with text files on `main`.
    pub fn with_files(full_name: &str, files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        Self { full_name: full_name.to_owned(), private: false, default_branch: "main".to_owned(), files }
    }

    /// A public repository with everything below a folder, but for its `.git`.
    pub fn from_directory(full_name: &str, directory: &Path) -> Result<Self, SimError> {
        let mut files = Vec::new();
        collect(directory, "", &mut files).map_err(SimError::io("read the repository's files"))?;
        Ok(Self { files, ..Self::with_files(full_name, &[]) })
    }

    /// The same, but private.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.private = true;
        self
    }
}

fn collect(directory: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == ".git" {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.push((path, std::fs::read(entry.path())?));
        }
    }
    Ok(())
}

/// An RSA key pair for an app.
#[derive(Debug, Clone)]
pub struct AppKey {
    /// What the app keeps: the value of `PRIVATE_KEY`.
    pub private_pem: String,
    /// What GitHub keeps.
    pub public_pem: String,
}

fn pem(label: &str, der: &[u8]) -> String {
    let lines: String = der.chunks(48).map(|chunk| STANDARD.encode(chunk) + "\n").collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

impl AppKey {
    /// A fresh pair of 2048 bits, as GitHub makes them.
    pub fn generate() -> Result<Self, SimError> {
        use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
        use aws_lc_rs::rsa::{KeyPair, KeySize};
        use aws_lc_rs::signature::KeyPair as _;
        let failed = |error: aws_lc_rs::error::Unspecified| SimError::Key(error.to_string());
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
        let private: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(failed)?;
        Ok(Self {
            private_pem: pem("PRIVATE KEY", private.as_ref()),
            public_pem: pem("PUBLIC KEY", public.as_ref()),
        })
    }
}

/// An app to register.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// Its name in addresses; its bot is `SLUG[bot]`.
    pub slug: String,
    /// The public half of its key, PEM.
    pub public_key_pem: String,
    /// What it may do where it is installed.
    pub permissions: Permissions,
    /// Webhook events it listens to; `None` for all that its permissions let it hear.
    pub events: Option<BTreeSet<String>>,
}

impl NewApp {
    /// An app with [`usual_permissions`] that listens to everything.
    pub fn new(slug: &str, public_key_pem: &str) -> Self {
        Self {
            slug: slug.to_owned(),
            public_key_pem: public_key_pem.to_owned(),
            permissions: usual_permissions(),
            events: None,
        }
    }

    /// The same with other permissions.
    #[must_use]
    pub fn with_permissions(mut self, permissions: Permissions) -> Self {
        self.permissions = permissions;
        self
    }
}

impl State {
    /// The account with this login, made if need be.
    pub(crate) fn ensure_account(&mut self, login: &str, kind: AccountKind) -> u64 {
        if let Some(account) = self.account_named(login) {
            return account.id;
        }
        let id = self.next_id(Kind::Account);
        let account = Account { id, login: login.to_owned(), kind, created_ms: self.now_ms() };
        self.accounts.insert(id, account);
        id
    }

    /// The repository `owner/name`.
    pub(crate) fn repo_called(&self, full_name: &str) -> Result<u64, SimError> {
        let found = full_name.split_once('/').and_then(|(owner, name)| {
            let former = self.former_names.get(&full_name.to_lowercase()).copied();
            self.repo_named(owner, name).or(former)
        });
        found.ok_or_else(|| SimError::unknown("repository", full_name))
    }

    fn create_repository(&mut self, new: &NewRepository) -> Result<u64, SimError> {
        let (owner, name) = new
            .full_name
            .split_once('/')
            .ok_or_else(|| SimError::unknown("repository of the form owner/name", &new.full_name))?;
        let owner = self.ensure_account(owner, AccountKind::Organization);
        let id = self.next_id(Kind::Repository);
        let now = self.now_ms();
        let git = Git::create(&self.directory.join(format!("{id}.git")), &new.default_branch)?;
        let mut refs = BTreeMap::new();
        if !new.files.is_empty() {
            let changes: Vec<FileChange> =
                new.files.iter().map(|(path, content)| (path.clone(), Some(content.clone()))).collect();
            let sha = git.commit_files(None, &changes, &self.ident(owner), now / 1000, "Initial commit")?;
            let branch = format!("refs/heads/{}", new.default_branch);
            git.set_ref(&branch, &sha)?;
            refs.insert(branch, sha);
        }
        let repo = empty_repository(id, owner, name, new.private, &new.default_branch, git, refs, now);
        self.repos.insert(id, repo);
        Ok(id)
    }

    fn fork_repository(&mut self, parent: u64, owner: u64) -> Result<u64, SimError> {
        let id = self.next_id(Kind::Repository);
        let now = self.now_ms();
        let path = self.directory.join(format!("{id}.git"));
        let source = self.repo(parent)?;
        let git = Git::fork(&source.git, &path)?;
        let refs = git.refs()?;
        let mut fork =
            empty_repository(id, owner, &source.name, source.private, &source.default_branch, git, refs, now);
        fork.parent = Some(parent);
        self.repos.insert(id, fork);
        Ok(id)
    }
}

#[expect(clippy::too_many_arguments, reason = "each is a field, and only the two callers above give them")]
fn empty_repository(
    id: u64,
    owner: u64,
    name: &str,
    private: bool,
    default_branch: &str,
    git: Git,
    refs: BTreeMap<String, String>,
    now_ms: u64,
) -> Repo {
    Repo {
        id,
        owner,
        name: name.to_owned(),
        private,
        default_branch: default_branch.to_owned(),
        parent: None,
        git,
        refs,
        collaborators: BTreeMap::new(),
        labels: BTreeMap::new(),
        issues: BTreeMap::new(),
        issue_events: BTreeMap::new(),
        comments: BTreeMap::new(),
        reviews: BTreeMap::new(),
        review_comments: BTreeMap::new(),
        threads: BTreeMap::new(),
        reactions: BTreeMap::new(),
        check_suites: BTreeMap::new(),
        check_runs: BTreeMap::new(),
        statuses: BTreeMap::new(),
        protections: BTreeMap::new(),
        push_rules: Vec::new(),
        signatures_required: false,
        next_number: 1,
        created_ms: now_ms,
        updated_ms: now_ms,
        pushed_ms: now_ms,
    }
}

impl GitHubSim {
    /// The person with this login, created if there is none.
    pub fn person(&self, login: &str) -> Person {
        let account = self.shared.with(|state| state.ensure_account(login, AccountKind::User));
        Person::new(self.clone(), account, login)
    }

    /// Creates a repository; gives its numeric id.
    pub fn create_repository(&self, new: &NewRepository) -> Result<u64, SimError> {
        self.shared.with(|state| state.create_repository(new))
    }

    /// Copies a repository to a person's account, as the Fork button does; gives its numeric id.
    pub fn fork(&self, full_name: &str, login: &str) -> Result<u64, SimError> {
        self.shared.with(|state| {
            let parent = state.repo_called(full_name)?;
            let owner = state.ensure_account(login, AccountKind::User);
            state.fork_repository(parent, owner)
        })
    }

    /// Gives a person a role in a repository.
    pub fn grant(&self, repository: &str, login: &str, role: Role) -> Result<(), SimError> {
        self.shared.with(|state| {
            let repo = state.repo_called(repository)?;
            let account = state.ensure_account(login, AccountKind::User);
            state.repo_mut(repo)?.collaborators.insert(account, role);
            Ok(())
        })
    }

    /// Adds a label to a repository's list.
    pub fn define_label(
        &self,
        repository: &str,
        name: &str,
        color: &str,
        description: &str,
    ) -> Result<(), SimError> {
        self.shared.with(|state| {
            let repo = state.repo_called(repository)?;
            let id = state.next_id(Kind::Label);
            let label = crate::state::Label {
                id,
                name: name.to_owned(),
                color: color.to_owned(),
                description: description.to_owned(),
            };
            state.repo_mut(repo)?.labels.insert(name.to_lowercase(), label);
            Ok(())
        })
    }

    /// Protects a branch.
    pub fn protect(&self, repository: &str, branch: &str, rules: Protection) -> Result<(), SimError> {
        self.shared.with(|state| {
            let repo = state.repo_called(repository)?;
            state.repo_mut(repo)?.protections.insert(branch.to_owned(), rules);
            Ok(())
        })
    }

    /// Declines every push to a ref such as `refs/heads/main`, as a ruleset or push protection (`GH013`) does.
    pub fn refuse_pushes(
        &self,
        repository: &str,
        reference: &str,
        code: &str,
        message: &str,
    ) -> Result<(), SimError> {
        self.shared.with(|state| {
            let repo = state.repo_called(repository)?;
            let rule = (reference.to_owned(), code.to_owned(), message.to_owned());
            state.repo_mut(repo)?.push_rules.push(rule);
            Ok(())
        })
    }

    /// Says whether pushed commits must be signed. Any signature counts; it is not verified.
    pub fn require_signatures(&self, repository: &str, required: bool) -> Result<(), SimError> {
        self.shared.with(|state| {
            let repo = state.repo_called(repository)?;
            state.repo_mut(repo)?.signatures_required = required;
            Ok(())
        })
    }

    /// Registers an app; gives its id.
    pub fn register_app(&self, new: &NewApp) -> u64 {
        self.shared.with(|state| {
            let owner = state.ensure_account("app-owner", AccountKind::User);
            let bot = state.ensure_account(&format!("{}[bot]", new.slug), AccountKind::Bot);
            let id = state.next_id(Kind::App);
            let app = App {
                id,
                slug: new.slug.clone(),
                client_id: format!("Iv23li{id:014}"),
                owner,
                bot,
                public_key_pem: new.public_key_pem.clone(),
                permissions: new.permissions.clone(),
                events: new.events.clone(),
                hook: None,
                created_ms: state.now_ms(),
            };
            state.apps.insert(id, app);
            id
        })
    }

    /// Sets where an app's webhooks go; before this it hears nothing. Sends no `ping`: see [`GitHubSim::ping`].
    pub fn set_webhook(
        &self,
        app: u64,
        url: &str,
        secret: &str,
        content_type: ContentType,
    ) -> Result<(), SimError> {
        self.shared.with(|state| {
            let id = match state.apps.get(&app).ok_or_else(|| SimError::unknown("app", &app))?.hook {
                Some(hook) => hook,
                None => state.next_id(Kind::Hook),
            };
            let hook = Hook {
                id,
                owner: HookOwner::App(app),
                url: url.to_owned(),
                secret: secret.to_owned(),
                content_type,
            };
            state.mail.hooks.insert(id, hook);
            if let Some(app) = state.apps.get_mut(&app) {
                app.hook = Some(id);
            }
            Ok(())
        })
    }

    /// Adds a webhook of a repository, whose payloads name no installation and whose GUIDs are its own.
    pub fn add_repository_hook(&self, repository: &str, url: &str, secret: &str) -> Result<u64, SimError> {
        self.shared.with(|state| {
            let repo = state.repo_called(repository)?;
            let id = state.next_id(Kind::Hook);
            let hook = Hook {
                id,
                owner: HookOwner::Repository(repo),
                url: url.to_owned(),
                secret: secret.to_owned(),
                content_type: ContentType::Json,
            };
            state.mail.hooks.insert(id, hook);
            Ok(id)
        })
    }

    /// Sends an app the `ping` that GitHub sends when a webhook was set.
    pub fn ping(&self, app: u64) -> Result<(), SimError> {
        self.shared.with(|state| {
            let found = state.apps.get(&app).ok_or_else(|| SimError::unknown("app", &app))?;
            let payload = json!({"zen": "Keep it logically awesome.", "hook_id": found.hook, "hook": {"type": "App", "id": found.hook, "app_id": app, "active": true}});
            let happening = Happening {
                event: "ping",
                action: None,
                repository: None,
                sender: found.owner,
                only_app: None,
                payload,
            };
            state.emit_to_app(app, None, &happening);
            Ok(())
        })
    }

    /// Installs an app on an account, for all of its repositories or for those named; gives the installation's id.
    pub fn install(&self, app: u64, account: &str, chosen: Option<&[&str]>) -> Result<u64, SimError> {
        self.shared.with(|state| {
            let owner = state.ensure_account(account, AccountKind::Organization);
            let permissions =
                state.apps.get(&app).ok_or_else(|| SimError::unknown("app", &app))?.permissions.clone();
            let repositories = match chosen {
                None => None,
                Some(names) => Some(
                    names.iter().map(|name| state.repo_called(name)).collect::<Result<BTreeSet<_>, _>>()?,
                ),
            };
            let id = state.next_id(Kind::Installation);
            let created_ms = state.now_ms();
            let installation = Installation {
                id,
                app,
                account: owner,
                permissions,
                repositories,
                suspended: false,
                created_ms,
            };
            state.installations.insert(id, installation);
            state.tell_installation(id, "created");
            Ok(id)
        })
    }

    /// Takes an app off an account: its tokens end.
    pub fn uninstall(&self, installation: u64) {
        self.shared.with(|state| {
            state.tell_installation(installation, "deleted");
            state.installations.remove(&installation);
        });
    }

    /// Suspends an installation, or ends its suspension.
    pub fn suspend(&self, installation: u64, suspended: bool) {
        self.shared.with(|state| {
            if let Some(found) = state.installations.get_mut(&installation) {
                found.suspended = suspended;
            }
            state.tell_installation(installation, if suspended { "suspend" } else { "unsuspend" });
        });
    }

    /// Changes what an installation may do. Tokens given out before keep what they had.
    pub fn set_permissions(&self, installation: u64, permissions: &Permissions) {
        self.shared.with(|state| {
            if let Some(found) = state.installations.get_mut(&installation) {
                found.permissions.clone_from(permissions);
            }
            state.tell_installation(installation, "new_permissions_accepted");
        });
    }

    /// Ends every installation token given out so far, as if its hour were over.
    pub fn expire_installation_tokens(&self) {
        self.shared.with(|state| {
            let now = state.now_ms();
            for token in state.tokens.values_mut() {
                token.expires_ms = token.expires_ms.map(|_| now);
            }
        });
    }

    /// A personal access token that may do what the person may.
    pub fn personal_token(&self, login: &str) -> String {
        self.shared.with(|state| {
            let account = state.ensure_account(login, AccountKind::User);
            let token = format!("ghp_{:036}", state.next_id(Kind::Token));
            let known = Token { actor: Actor::Person(account), expires_ms: None };
            state.tokens.insert(token.clone(), known);
            token
        })
    }

    /// Renames a repository; its former name answers with a redirect.
    pub fn rename_repository(&self, repository: &str, name: &str) -> Result<(), SimError> {
        self.shared.with(|state| {
            let repo = state.repo_called(repository)?;
            let owner = state.repo(repo)?.owner;
            Ok(state.rename_repository(repo, name, owner)?)
        })
    }

    /// An app by its slug, to act as it inside a test.
    pub fn app(&self, slug: &str) -> Result<AppHandle, SimError> {
        self.shared.with(|state| {
            let app = state.apps.values().find(|app| app.slug == slug);
            let app = app.ok_or_else(|| SimError::unknown("app", slug))?.id;
            Ok(AppHandle::new(self.clone(), app))
        })
    }
}

impl State {
    fn tell_installation(&mut self, id: u64, action: &'static str) {
        let Some(installation) = self.installations.get(&id) else { return };
        let repos = self.repos.values().filter(|repo| Self::covers(installation, repo));
        let repos: Vec<_> = repos
            .map(|repo| {
                json!({"id": repo.id, "node_id": format!("R_{}", repo.id), "name": repo.name, "full_name": self.full_name(repo), "private": repo.private})
            })
            .collect();
        let payload = json!({
            "installation": self.installation_json(installation), "repositories": repos, "requester": null,
        });
        let (app, sender) = (installation.app, installation.account);
        let happening = Happening {
            event: "installation",
            action: Some(action),
            repository: None,
            sender,
            only_app: None,
            payload,
        };
        self.emit_to_app(app, Some(id), &happening);
    }
}
