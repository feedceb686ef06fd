//! A push: which updates are refused before git runs, and what the others set off.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::sync::Arc;

use axum::body::Body as AxumBody;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use tokio::io::AsyncReadExt;

use super::command::ZERO_SHA;
use super::http::{Admitted, backend};
use super::push::{RefCommand, commands, with_reasons};
use crate::actor::Actor;
use crate::reply::Reply;
use crate::role::{Access, Role};
use crate::server::Shared;
use crate::state::{CheckRun, Protection, Repo, State};

/// What the hook is told; see `push.rs`.
struct HookRules {
    /// Lines of ref, code and message.
    refusals: String,
    /// Protected refs, parted by spaces.
    protected: String,
    workflows_allowed: bool,
    signatures_required: bool,
}

/// Why branch protection refuses to move a branch to `sha` by a direct push.
fn protection_refusal(repo: &Repo, rules: &Protection, sha: &str) -> Option<String> {
    if rules.require_pull_request {
        return Some("Changes must be made through a pull request.".to_owned());
    }
    let green = |name: &String| {
        let run = repo.check_runs.values().rfind(|run| run.head_sha == sha && run.name == *name);
        let status = repo.statuses.values().rfind(|status| status.sha == sha && status.context == *name);
        run.is_some_and(CheckRun::passes) || status.is_some_and(|status| status.state == "success")
    };
    let missing = rules.required_checks.iter().find(|name| !green(name))?;
    Some(format!("Required status check \"{missing}\" is expected."))
}

/// What the hook must refuse or look at in this push.
fn hook_rules(repo: &Repo, actor: &Actor, commands: &[RefCommand]) -> HookRules {
    // An administrator passes branch protection, unless the protection says otherwise, which ours cannot.
    let admin = matches!(actor, Actor::Person(account) if repo.role(*account) == Role::Admin);
    let mut refusals = String::new();
    for command in commands {
        let declined = repo.push_rules.iter().find(|(name, _, _)| *name == command.name);
        let branch = command.name.strip_prefix("refs/heads/").unwrap_or_default();
        let protected = repo.protections.get(branch).filter(|_| !admin && command.new != ZERO_SHA);
        let refusal = match (declined, protected) {
            (Some((_, code, message)), _) => Some((code.as_str(), message.clone())),
            (None, Some(rules)) => {
                protection_refusal(repo, rules, &command.new).map(|message| ("GH006", message))
            }
            (None, None) => None,
        };
        if let Some((code, message)) = refusal {
            // Writing to a string cannot fail.
            let _written = writeln!(refusals, "{}\t{code}\t{message}", command.name);
        }
    }
    let protected: Vec<String> =
        repo.protections.keys().map(|branch| format!("refs/heads/{branch}")).collect();
    let workflows_allowed = match actor {
        Actor::Installation(actor) => actor.permissions.get("workflows") == Some(&Access::Write),
        Actor::Person(_) | Actor::App(_) | Actor::Anonymous => true,
    };
    HookRules {
        refusals,
        protected: protected.join(" "),
        workflows_allowed,
        signatures_required: repo.signatures_required,
    }
}

fn failed(reply: &Reply) -> io::Error {
    io::Error::other(reply.json().to_string())
}

/// Takes a push in.
pub(super) async fn push(
    shared: &Arc<Shared>,
    parts: &Parts,
    admitted: Admitted,
    body: Bytes,
) -> io::Result<Response> {
    let _one_at_a_time = shared.push.lock().await;
    let commands = commands(&body);
    let rules = shared
        .with(|state| state.repo(admitted.repo).map(|repo| hook_rules(repo, &admitted.actor, &commands)));
    let rules = rules.map_err(|reply| failed(&reply))?;
    let folder = tempfile::tempdir()?;
    let (refusals, verdicts) = (folder.path().join("rules"), folder.path().join("verdicts"));
    tokio::fs::write(&refusals, rules.refusals).await?;
    let environment = [
        ("SIM_RULES", refusals.display().to_string()),
        ("SIM_VERDICTS", verdicts.display().to_string()),
        ("SIM_PROTECTED", rules.protected),
        ("SIM_WORKFLOWS", (if rules.workflows_allowed { "allowed" } else { "refused" }).to_owned()),
        ("SIM_SIGNATURES", (if rules.signatures_required { "required" } else { "optional" }).to_owned()),
    ];
    let (head, mut stdout, mut child) =
        backend(&admitted.path, parts, "git-receive-pack", &environment, body).await?;
    let mut output = Vec::new();
    stdout.read_to_end(&mut output).await?;
    child.wait().await?;
    let reasons = tokio::fs::read_to_string(&verdicts).await.unwrap_or_default();
    let reasons: BTreeMap<String, String> = reasons
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, reason)| (name.to_owned(), reason.to_owned()))
        .collect();
    let sender = admitted.actor.account().unwrap_or_default();
    let noticed = shared.blocking(move |state| notice(state, admitted.repo, sender)).await;
    noticed.unwrap_or_else(|| Err(Reply::refuse(500, "Server Error"))).map_err(|reply| failed(&reply))?;
    let output = if reasons.is_empty() { output } else { with_reasons(&output, &reasons) };
    Ok(head.with_body(AxumBody::from(output)))
}

/// Acts on the refs that moved, and notes those that an app moved.
fn notice(state: &mut State, repo: u64, sender: u64) -> Result<(), Reply> {
    let before = state.repo(repo)?.refs.clone();
    state.notice_refs(repo, sender)?;
    let after = state.repo(repo)?.refs.clone();
    for (name, sha) in after.iter().filter(|(name, sha)| before.get(*name) != Some(*sha)) {
        state.wrote(sender, &format!("push:{repo}:{name}"), &format!("push of {sha} to {name}"));
    }
    Ok(())
}
