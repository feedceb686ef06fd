//! Tells hooks what happened.

use serde_json::{Value, json};

use crate::role::Access;
use crate::state::{App, State};
use crate::view::account::extend;
use crate::webhooks::{Delivery, Hook, HookOwner};

/// Something that hooks hear of.
#[derive(Debug, Clone)]
pub(crate) struct Happening {
    pub(crate) event: &'static str,
    pub(crate) action: Option<&'static str>,
    pub(crate) repository: Option<u64>,
    pub(crate) sender: u64,
    /// Only this app hears of it, as of a re-requested check run.
    pub(crate) only_app: Option<u64>,
    pub(crate) payload: Value,
}

/// The permission an app needs to hear of an event.
/// <https://docs.github.com/webhooks/webhook-events-and-payloads>
fn permissions_for(event: &str, on_pull: bool) -> &'static [&'static str] {
    match event {
        "issues" => &["issues"],
        "issue_comment" if on_pull => &["issues", "pull_requests"],
        "issue_comment" => &["issues"],
        "pull_request"
        | "pull_request_review"
        | "pull_request_review_comment"
        | "pull_request_review_thread" => &["pull_requests"],
        "push" | "create" | "delete" => &["contents"],
        "check_run" | "check_suite" => &["checks"],
        "status" => &["statuses"],
        _ => &["metadata"],
    }
}

fn hears(app: &App, granted: &crate::role::Permissions, happening: &Happening) -> bool {
    let subscribed = app.events.as_ref().is_none_or(|events| events.contains(happening.event))
        || matches!(happening.event, "installation" | "installation_repositories" | "ping");
    let on_pull = happening.payload.pointer("/issue/pull_request").is_some();
    let allowed = permissions_for(happening.event, on_pull)
        .iter()
        .any(|name| *name == "metadata" || granted.get(*name).is_some_and(|access| *access >= Access::Read));
    subscribed && allowed && happening.only_app.is_none_or(|only| only == app.id)
}

impl State {
    /// Queues a delivery for each hook that hears of what happened in a repository.
    pub(crate) fn emit(&mut self, happening: Happening) {
        let Some(repo) = happening.repository.and_then(|id| self.repos.get(&id)) else { return };
        let mut payload = happening.payload.clone();
        extend(
            &mut payload,
            json!({"repository": self.repo_json(repo), "sender": self.account_json(happening.sender)}),
        );
        if let Some(action) = happening.action {
            extend(&mut payload, json!({"action": action}));
        }
        if happening.event == "push" {
            // Only here GitHub writes these as seconds.
            let seconds = json!({"created_at": repo.created_ms / 1000, "pushed_at": repo.pushed_ms / 1000});
            if let Some(repository) = payload.get_mut("repository") {
                extend(repository, seconds);
            }
        }
        let mut letters = Vec::new();
        for installation in self.installations.values().filter(|found| Self::covers(found, repo)) {
            let Some(app) = self.apps.get(&installation.app) else { continue };
            let hook =
                app.hook.and_then(|hook| self.mail.hooks.get(&hook)).filter(|hook| !hook.url.is_empty());
            if let Some(hook) = hook.filter(|_| hears(app, &installation.permissions, &happening)) {
                let mut own = payload.clone();
                let short = json!({"id": installation.id, "node_id": format!("MDIz_{}", installation.id)});
                extend(&mut own, json!({"installation": short}));
                letters.push(letter(hook, &happening, Some(installation.id), &own));
            }
        }
        let of_repository =
            self.mail.hooks.values().filter(|hook| hook.owner == HookOwner::Repository(repo.id));
        for hook in of_repository.filter(|_| happening.only_app.is_none()) {
            letters.push(letter(hook, &happening, None, &payload));
        }
        for delivery in letters {
            self.queue(delivery);
        }
    }

    /// Queues a delivery for one app, of something that is in no repository.
    pub(crate) fn emit_to_app(&mut self, app: u64, installation: Option<u64>, happening: &Happening) {
        let hook = self.apps.get(&app).and_then(|app| app.hook).and_then(|hook| self.mail.hooks.get(&hook));
        let Some(hook) = hook.filter(|hook| !hook.url.is_empty()) else { return };
        let mut payload = happening.payload.clone();
        extend(&mut payload, json!({"sender": self.account_json(happening.sender)}));
        if let Some(action) = happening.action {
            extend(&mut payload, json!({"action": action}));
        }
        let delivery = letter(hook, happening, installation, &payload);
        self.queue(delivery);
    }
}

fn letter(hook: &Hook, happening: &Happening, installation: Option<u64>, payload: &Value) -> Delivery {
    Delivery {
        id: 0,
        guid: String::new(),
        hook: hook.id,
        event: happening.event.to_owned(),
        action: happening.action.map(str::to_owned),
        repository: happening.repository,
        installation,
        payload: payload.to_string(),
        redelivery: false,
        created_ms: 0,
        attempt: None,
    }
}
