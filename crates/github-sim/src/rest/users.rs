//! Accounts, limits and facts about the service.

use serde_json::json;

use crate::call::{Call, Route};
use crate::reply::{Outcome, Reply};

pub(crate) fn route(call: &mut Call, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("GET", ["user"]) => myself(call),
        ("GET", ["users", login]) => user(call, login),
        ("GET", ["rate_limit"]) => Ok(rate_limit(call)),
        ("GET", ["meta"]) => {
            Ok(Reply::ok(json!({"verifiable_password_authentication": false, "hooks": ["127.0.0.1/32"]})))
        }
        ("GET", ["zen"]) => Ok(Reply::raw("text/plain;charset=utf-8", "Keep it logically awesome.")),
        _ => return None,
    })
}

fn myself(call: &Call) -> Outcome {
    match &call.actor {
        crate::actor::Actor::Person(account) => Ok(Reply::ok(call.state.profile_json(*account))),
        crate::actor::Actor::Anonymous => Err(Reply::refuse(401, "Requires authentication")),
        crate::actor::Actor::App(_) | crate::actor::Actor::Installation(_) => Err(Reply::not_accessible()),
    }
}

fn user(call: &Call, login: &str) -> Outcome {
    let account = call.state.account_named(login).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(call.state.profile_json(account.id)))
}

fn rate_limit(call: &Call) -> Reply {
    let standing = call.state.limits.standing(&call.state.payer(&call.actor), call.state.now_ms());
    let core = json!({
        "limit": standing.limit, "remaining": standing.remaining, "used": standing.used,
        "reset": standing.reset_s, "resource": "core",
    });
    Reply::ok(json!({"resources": {"core": core, "search": core, "graphql": core}, "rate": core}))
}
