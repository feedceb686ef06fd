//! The app about itself: its installations and their tokens.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::actor::{Actor, narrowed};
use crate::call::{Call, Route, number};
use crate::reply::{Outcome, Reply};
use crate::role::Role;
use crate::state::State;

pub(crate) fn route(call: &mut Call, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("GET", ["app"]) => app(call),
        ("GET", ["app", "installations"]) => installations(call),
        ("GET", ["app", "installations", id]) => installation(call, id),
        ("POST", ["app", "installations", id, "access_tokens"]) => mint(call, id),
        ("GET", ["installation", "repositories"]) => repositories(call),
        ("DELETE", ["installation", "token"]) => revoke(call),
        ("GET", ["apps", slug]) => by_slug(call, slug),
        _ => return None,
    })
}

/// The app that signed the request itself.
pub(crate) fn own_app(call: &Call) -> Result<u64, Reply> {
    match &call.actor {
        Actor::App(app) => Ok(*app),
        Actor::Anonymous | Actor::Installation(_) | Actor::Person(_) => {
            Err(Reply::refuse(401, "A JSON web token could not be decoded"))
        }
    }
}

fn app(call: &Call) -> Outcome {
    let app = own_app(call)?;
    call.state.apps.get(&app).map(|app| Reply::ok(call.state.app_json(app))).ok_or_else(Reply::not_found)
}

fn by_slug(call: &Call, slug: &str) -> Outcome {
    let app = call.state.apps.values().find(|app| app.slug.eq_ignore_ascii_case(slug));
    app.map(|app| Reply::ok(call.state.app_json(app))).ok_or_else(Reply::not_found)
}

fn installations(call: &Call) -> Outcome {
    let app = own_app(call)?;
    let own = call.state.installations.values().filter(|found| found.app == app);
    Ok(call.page(own.map(|installation| call.state.installation_json(installation)).collect()))
}

fn installation(call: &Call, id: &str) -> Outcome {
    let app = own_app(call)?;
    let found = call.state.installations.get(&number(id)?).filter(|found| found.app == app);
    found.map(|found| Reply::ok(call.state.installation_json(found))).ok_or_else(Reply::not_found)
}

/// The app's installation on a repository.
pub(crate) fn of_repository(call: &Call, repo: u64) -> Outcome {
    let app = own_app(call)?;
    let repo = call.state.repo(repo)?;
    let found =
        call.state.installations.values().find(|found| found.app == app && State::covers(found, repo));
    found.map(|found| Reply::ok(call.state.installation_json(found))).ok_or_else(Reply::not_found)
}

fn mint(call: &mut Call, id: &str) -> Outcome {
    let app = own_app(call)?;
    let id = number(id)?;
    let installation =
        call.state.installations.get(&id).filter(|found| found.app == app).ok_or_else(Reply::not_found)?;
    if installation.suspended {
        return Err(Reply::refuse(403, "This installation has been suspended"));
    }
    let mut actor = call.state.installation_actor(id).ok_or_else(Reply::not_found)?;
    if let Some(asked) = call.request.json.get("permissions").and_then(Value::as_object) {
        let asked: BTreeMap<String, Value> = asked.clone().into_iter().collect();
        actor.permissions = narrowed(&actor.permissions, &asked).map_err(|_| {
            Reply::unprocessable(
                "The permissions requested are not granted to this installation.",
                &json!([]),
            )
        })?;
    }
    let ids = call.request.json.get("repository_ids").and_then(Value::as_array);
    let names = call.request.json.get("repositories").and_then(Value::as_array);
    if ids.is_some() || names.is_some() {
        let mut chosen: BTreeSet<u64> = ids.into_iter().flatten().filter_map(Value::as_u64).collect();
        let owner = call.state.login(installation.account).to_owned();
        for name in names.into_iter().flatten().filter_map(Value::as_str) {
            chosen.extend(call.state.repo_named(&owner, name).or(Some(0)));
        }
        let reached =
            |id: &u64| call.state.repos.get(id).is_some_and(|repo| State::covers(installation, repo));
        if !chosen.iter().all(reached) {
            return Err(Reply::unprocessable(
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
                &json!([]),
            ));
        }
        actor.repositories = Some(chosen);
    }
    let (granted, selected) = (actor.permissions.clone(), actor.repositories.is_some());
    let (token, expires_ms) = call.state.mint_installation_token(actor);
    Ok(Reply::created(call.state.token_json(&token, expires_ms, &granted, selected)))
}

fn repositories(call: &Call) -> Outcome {
    let Actor::Installation(actor) = &call.actor else { return Err(Reply::not_accessible()) };
    let installation = call.state.installations.get(&actor.installation).ok_or_else(Reply::not_found)?;
    let listed = call.state.repos.values().filter(|repo| {
        State::covers(installation, repo)
            && actor.repositories.as_ref().is_none_or(|chosen| chosen.contains(&repo.id))
    });
    Ok(call.page_in("repositories", listed.map(|repo| call.state.repo_json_for(repo, Role::Write)).collect()))
}

fn revoke(call: &mut Call) -> Outcome {
    let Actor::Installation(_) = &call.actor else { return Err(Reply::not_accessible()) };
    let value = call.request.header("authorization").split_once(' ').map(|(_, token)| token.to_owned());
    if let Some(token) = value {
        call.state.tokens.remove(&token);
    }
    Ok(Reply::empty(204))
}
