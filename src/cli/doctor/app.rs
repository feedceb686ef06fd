//! The App on GitHub: credentials, permissions and events, installations, webhook.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

use super::Line;
use crate::github::{AppGrants, GitHub, GitHubError, Installation};

/// What the App is created from.
const MANIFEST: &str = include_str!("../../../app-manifest.yml");
/// Where the server takes webhooks.
const WEBHOOK_PATH: &str = "/api/github/webhooks";
const SETTINGS: &str = "on the App's settings page under `Permissions & events`";
const WEBHOOK: &str = "on the App's settings page under `Webhook`";

/// What `app-manifest.yml` asks for.
#[derive(Deserialize)]
struct Manifest {
    default_permissions: BTreeMap<String, String>,
    default_events: Vec<String>,
}

pub(super) async fn examine(github: &GitHub) -> anyhow::Result<Vec<Line>> {
    let manifest: Manifest =
        serde_saphyr::from_str(MANIFEST).context("app-manifest.yml of this build cannot be read")?;
    let identity = match github.app_identity().await {
        Ok(identity) => identity,
        // Without credentials that work, every further question would get the same answer.
        Err(error) => return Ok(vec![refused("credentials", &error)]),
    };
    let mut lines =
        vec![Line::ok(format!("credentials: App {}, acting as `{}`", identity.app_id.0, identity.bot_login))];
    match github.app_grants().await {
        Ok(grants) => lines.extend(granted("the App", &grants, &manifest, &format!("change it {SETTINGS}"))),
        Err(error) => lines.push(refused("permissions", &error)),
    }
    match github.installations().await {
        Ok(installations) => lines.extend(installed(&installations, &manifest)),
        Err(error) => lines.push(refused("installations", &error)),
    }
    lines.extend(webhook(github).await);
    Ok(lines)
}

fn refused(what: &str, error: &GitHubError) -> Line {
    Line::fail(format!("{what}: {error}"), "check APP_ID, PRIVATE_KEY and GITHUB_API_URL")
}

fn installed(installations: &[Installation], manifest: &Manifest) -> Vec<Line> {
    if installations.is_empty() {
        let mend = "install it from the App's page on the repositories it shall serve";
        return vec![Line::fail("installations: the App is installed nowhere", mend)];
    }
    let mut lines = Vec::new();
    for installation in installations {
        let name = format!("the installation on `{}`", installation.account);
        if installation.suspended {
            let mend = "its owner can lift that in the account's settings";
            lines.push(Line::warn(format!("installations: {name} is suspended"), mend));
            continue;
        }
        lines.push(Line::ok(format!("installations: {name}")));
        let mend = "its owner has to accept what the App asks for, by the link in GitHub's mail";
        lines.extend(granted(&name, &installation.grants, manifest, mend));
    }
    lines
}

/// Compares what was granted with what is needed.
fn granted(whose: &str, grants: &AppGrants, manifest: &Manifest, mend: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, needed) in &manifest.default_permissions {
        let given = grants.permissions.get(name).map_or("none", String::as_str);
        if rank(given) < rank(needed) {
            let what = format!("permissions: {whose} has `{name}: {given}` and needs `{needed}`");
            lines.push(Line::fail(what, mend));
        }
    }
    for (name, given) in &grants.permissions {
        let needed = manifest.default_permissions.get(name).map_or("none", String::as_str);
        if rank(given) > rank(needed) {
            let what =
                format!("permissions: {whose} has `{name}: {given}`, more than the `{needed}` it needs");
            lines.push(Line::warn(what, format!("take it away {SETTINGS}")));
        }
    }
    let missing = manifest.default_events.iter().filter(|event| !grants.events.contains(event));
    for event in missing {
        lines.push(Line::fail(format!("events: {whose} does not hear of `{event}`"), mend));
    }
    if lines.is_empty() {
        lines.push(Line::ok(format!("permissions and events: {whose} has what app-manifest.yml asks for")));
    }
    lines
}

fn rank(level: &str) -> u8 {
    match level {
        "admin" => 3,
        "write" => 2,
        "read" => 1,
        _ => 0,
    }
}

async fn webhook(github: &GitHub) -> Vec<Line> {
    let mut lines = Vec::new();
    match github.webhook_url().await {
        Err(error) => lines.push(refused("webhook", &error)),
        Ok(None) => {
            lines.push(Line::fail("webhook: the App has none", format!("set its address {WEBHOOK}")));
            return lines;
        }
        Ok(Some(url)) if !url.ends_with(WEBHOOK_PATH) => {
            let mend = format!("the address must end with `{WEBHOOK_PATH}`; change it {WEBHOOK}");
            lines.push(Line::warn(format!("webhook: it is sent to {url}"), mend));
        }
        Ok(Some(url)) => lines.push(Line::ok(format!("webhook: it is sent to {url}"))),
    }
    lines.push(match github.webhook_deliveries().await {
        Err(error) => refused("webhook deliveries", &error),
        Ok(deliveries) => match deliveries.first() {
            None => Line::warn(
                "webhook deliveries: none in three days, so nobody knows whether they arrive",
                "set a label on an issue and ask again",
            ),
            Some(latest) if latest.succeeded() => Line::ok(format!(
                "webhook deliveries: the latest, `{}` at {}, arrived",
                latest.event, latest.delivered_at
            )),
            Some(latest) => Line::fail(
                format!(
                    "webhook deliveries: the latest, `{}` at {}, did not arrive: {} {}",
                    latest.event, latest.delivered_at, latest.status_code, latest.status
                ),
                "start the server, and see that GitHub reaches it at that address and has the same WEBHOOK_SECRET",
            ),
        },
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        serde_saphyr::from_str(MANIFEST).unwrap()
    }

    fn exact() -> AppGrants {
        let manifest = manifest();
        AppGrants { permissions: manifest.default_permissions, events: manifest.default_events }
    }

    fn told(grants: &AppGrants) -> Vec<String> {
        granted("it", grants, &manifest(), "mend it").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_manifest_asks_for_is_enough() {
        assert_eq!(told(&exact()), ["ok    permissions and events: it has what app-manifest.yml asks for"]);
    }

    #[test]
    fn less_fails_and_more_is_warned_of() {
        let mut grants = exact();
        grants.permissions.insert("checks".to_owned(), "read".to_owned());
        grants.permissions.insert("workflows".to_owned(), "write".to_owned());
        grants.events.retain(|event| event != "status");
        let told = told(&grants);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("fail  permissions: it has `checks: read` and needs `write`"));
        assert!(told[1].starts_with("warn  permissions: it has `workflows: write`, more than the `none`"));
        assert!(told[2].starts_with("fail  events: it does not hear of `status`"));
    }

    #[test]
    fn an_app_that_is_installed_nowhere_fails() {
        assert!(installed(&[], &manifest())[0].to_string().starts_with("fail"));
    }
}
