//! Accounts, apps and installations.

use serde_json::{Map, Value, json};

use crate::clock::iso;
use crate::role::Permissions;
use crate::state::{AccountKind, App, Installation, Repo, State};

fn permissions(permissions: &Permissions) -> Value {
    let mut all: Map<String, Value> =
        permissions.iter().map(|(name, access)| (name.clone(), access.name().into())).collect();
    // Every installation reads metadata, granted or not.
    all.entry("metadata").or_insert_with(|| "read".into());
    Value::Object(all)
}

impl State {
    /// A `simple-user`.
    pub(crate) fn account_json(&self, id: u64) -> Value {
        let server = &self.server;
        let login = self.login(id);
        let kind = match self.accounts.get(&id).map(|account| account.kind) {
            Some(AccountKind::Organization) => "Organization",
            Some(AccountKind::Bot) => "Bot",
            Some(AccountKind::User) | None => "User",
        };
        let api = format!("{server}/users/{login}");
        let html = match self.app_of_bot(id) {
            Some(app) => format!("{server}/apps/{}", app.slug),
            None => format!("{server}/{login}"),
        };
        json!({
            "login": login, "id": id, "node_id": format!("U_{id}"),
            "avatar_url": format!("{server}/avatars/u/{id}?v=4"), "gravatar_id": "",
            "url": api, "html_url": html,
            "followers_url": format!("{api}/followers"),
            "following_url": format!("{api}/following"),
            "gists_url": format!("{api}/gists"),
            "starred_url": format!("{api}/starred"),
            "subscriptions_url": format!("{api}/subscriptions"),
            "organizations_url": format!("{api}/orgs"),
            "repos_url": format!("{api}/repos"),
            "events_url": format!("{api}/events"),
            "received_events_url": format!("{api}/received_events"),
            "type": kind, "site_admin": false, "user_view_type": "public",
        })
    }

    /// A full user, as `GET /users/{login}` gives it.
    pub(crate) fn profile_json(&self, id: u64) -> Value {
        let mut profile = self.account_json(id);
        let created = iso(self.accounts.get(&id).map_or(0, |account| account.created_ms));
        let more = json!({
            "name": null, "company": null, "blog": "", "location": null, "email": null, "hireable": null,
            "bio": null, "twitter_username": null, "public_repos": 0, "public_gists": 0, "followers": 0,
            "following": 0, "created_at": created, "updated_at": created,
        });
        extend(&mut profile, more);
        profile
    }

    /// An app.
    pub(crate) fn app_json(&self, app: &App) -> Value {
        let events: Vec<&String> = app.events.iter().flatten().collect();
        let installations = self.installations.values().filter(|found| found.app == app.id).count();
        json!({
            "id": app.id, "slug": app.slug, "node_id": format!("A_{}", app.id), "client_id": app.client_id,
            "owner": self.account_json(app.owner), "name": app.slug, "description": "",
            "external_url": format!("{}/apps/{}", self.server, app.slug),
            "html_url": format!("{}/apps/{}", self.server, app.slug),
            "created_at": iso(app.created_ms), "updated_at": iso(app.created_ms),
            "permissions": permissions(&app.permissions), "events": events, "installations_count": installations,
        })
    }

    /// An installation.
    pub(crate) fn installation_json(&self, installation: &Installation) -> Value {
        let server = &self.server;
        let app = self.apps.get(&installation.app);
        let events: Vec<&String> = app.and_then(|app| app.events.as_ref()).into_iter().flatten().collect();
        let chosen = if installation.repositories.is_some() { "selected" } else { "all" };
        json!({
            "id": installation.id, "account": self.account_json(installation.account),
            "access_tokens_url": format!("{server}/app/installations/{}/access_tokens", installation.id),
            "repositories_url": format!("{server}/installation/repositories"),
            "html_url": format!("{server}/settings/installations/{}", installation.id),
            "app_id": installation.app, "app_slug": app.map(|app| app.slug.clone()),
            "client_id": app.map(|app| app.client_id.clone()),
            "target_id": installation.account, "target_type": "User",
            "permissions": permissions(&installation.permissions), "events": events,
            "created_at": iso(installation.created_ms), "updated_at": iso(installation.created_ms),
            "single_file_name": null, "has_multiple_single_files": false, "single_file_paths": [],
            "repository_selection": chosen, "suspended_by": null,
            "suspended_at": installation.suspended.then(|| iso(self.now_ms())),
        })
    }
}

impl Repo {
    /// `OWNER`, `MEMBER`, `COLLABORATOR`, `CONTRIBUTOR` or `NONE`.
    pub(crate) fn association(&self, account: u64) -> &'static str {
        if self.owner == account {
            return "OWNER";
        }
        if self.collaborators.contains_key(&account) {
            return "COLLABORATOR";
        }
        let merged = |issue: &crate::state::Issue| {
            issue.author == account && issue.pull.as_ref().is_some_and(|pull| pull.merged_ms.is_some())
        };
        if self.issues.values().any(merged) { "CONTRIBUTOR" } else { "NONE" }
    }
}

/// The answer to a token request.
pub(crate) fn token_json(token: &str, expires_ms: u64, granted: &Permissions, chosen: bool) -> Value {
    json!({
        "token": token, "expires_at": iso(expires_ms), "permissions": permissions(granted),
        "repository_selection": if chosen { "selected" } else { "all" },
    })
}

/// Adds the members of `more` to the object `value`.
pub(crate) fn extend(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend(more);
    }
}
