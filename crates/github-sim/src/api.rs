//! Answers a request to the API: who, how much is left, what, and the headers that go with it.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::actor::Actor;
use crate::call::{Call, Request};
use crate::ids::Kind;
use crate::limits::Cost;
use crate::reply::{Body, Outcome, Reply};
use crate::state::State;

impl State {
    /// A caller's name: a login, `app/SLUG`, or `anonymous`. Limits are kept by it.
    pub(crate) fn caller_name(&self, actor: &Actor) -> String {
        match actor {
            Actor::Anonymous => "anonymous".to_owned(),
            Actor::App(app) => format!("app/{}", self.apps.get(app).map_or("ghost", |app| app.slug.as_str())),
            Actor::Installation(actor) => self.login(actor.bot).to_owned(),
            Actor::Person(account) => self.login(*account).to_owned(),
        }
    }

    /// Whose limits a request counts against, in the words of a refusal. What an App does with the tokens of its
    /// installations is counted for each of them:
    /// <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#primary-rate-limit-for-github-app-installations>
    pub(crate) fn payer(&self, actor: &Actor) -> String {
        match actor {
            Actor::Installation(actor) => format!("installation ID {}", actor.installation),
            Actor::Anonymous | Actor::App(_) | Actor::Person(_) => self.caller_name(actor),
        }
    }
}

/// Answers a request; gives also who asked.
pub(crate) fn answer(state: &mut State, mut request: Request) -> (Reply, String) {
    if request.header("user-agent").is_empty() {
        let reply = Reply {
            status: 403,
            headers: Vec::new(),
            body: Body::Raw {
                content_type: "text/html",
                bytes: "Request forbidden by administrative rules. Please make sure your request has a User-Agent \
                        header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). \
                        Check https://developer.github.com for other possible causes.\r\n"
                    .into(),
            },
        };
        return (reply, "refused".to_owned());
    }
    let actor = match state.authenticate(&request.headers) {
        Ok(actor) => actor,
        Err(refusal) => return (dressed(state, refusal, "anonymous"), "refused".to_owned()),
    };
    let (who, payer) = (state.caller_name(&actor), state.payer(&actor));
    let reply = match read_json(&mut request) {
        Err(refusal) => refusal,
        Ok(()) => limited(state, &request, actor, &payer),
    };
    let reply = if request.method == http::Method::GET && reply.status == 200 {
        unless_known(state, &request, reply, &payer)
    } else {
        reply
    };
    (dressed(state, reply, &payer), who)
}

fn read_json(request: &mut Request) -> Result<(), Reply> {
    if request.body.is_empty() {
        return Ok(());
    }
    let json: Value =
        serde_json::from_slice(&request.body).map_err(|_| Reply::refuse(400, "Problems parsing JSON"))?;
    if !json.is_object() && !json.is_array() {
        return Err(Reply::refuse(400, "Body should be a JSON object"));
    }
    request.json = json;
    Ok(())
}

/// What a request costs. Content is what people get to see and are notified of.
fn cost(request: &Request) -> Cost {
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let method = request.method.as_str();
    let reads = matches!(method, "GET" | "HEAD" | "OPTIONS");
    let graphql_mutation = segments == ["graphql"]
        && request.json.get("query").and_then(Value::as_str).is_some_and(|query| query.contains("mutation"));
    let creates_content = method == "POST"
        && match segments.as_slice() {
            ["repos", _, _, kind, ..] | ["repositories", _, kind, ..] => {
                matches!(*kind, "issues" | "pulls" | "labels")
            }
            _ => graphql_mutation,
        };
    let mints_token = matches!(segments.as_slice(), ["app", "installations", _, "access_tokens"]);
    Cost { writes: !reads && (segments != ["graphql"] || graphql_mutation), creates_content, mints_token }
}

fn limited(state: &mut State, request: &Request, actor: Actor, payer: &str) -> Reply {
    let now_ms = state.now_ms();
    let free = request.segments == ["rate_limit"];
    if !free && let Err(refusal) = state.limits.spend(payer, cost(request), now_ms) {
        return refusal;
    }
    call(state, request, actor).unwrap_or_else(|refusal| refusal)
}

/// Executes a request as `actor`, without limits.
pub(crate) fn call(state: &mut State, request: &Request, actor: Actor) -> Outcome {
    let mut call = Call { state, actor, request };
    if request.segments == ["graphql"] {
        return crate::graphql::answer(&mut call);
    }
    crate::rest::route(&mut call)
}

/// Adds the `ETag`, and answers 304 to a client that has this answer already.
fn unless_known(state: &mut State, request: &Request, reply: Reply, payer: &str) -> Reply {
    let digest = match &reply.body {
        Body::Empty => return reply,
        Body::Json(value) => Sha256::digest(value.to_string()),
        Body::Raw { bytes, .. } => Sha256::digest(bytes),
    };
    let etag = format!("W/\"{}\"", hex::encode(digest));
    let known = request.header("if-none-match");
    let strong = etag.trim_start_matches("W/");
    if known.split(',').map(str::trim).any(|known| known.trim_start_matches("W/") == strong) {
        state.limits.refund(payer);
        return Reply::empty(304).with_header("etag", etag);
    }
    reply.with_header("etag", etag).with_header("cache-control", "private, max-age=60, s-maxage=60")
}

/// Adds the headers that every answer has.
fn dressed(state: &mut State, reply: Reply, payer: &str) -> Reply {
    let number = state.next_id(Kind::Request);
    let standing = state.limits.standing(payer, state.now_ms());
    reply
        .with_header("x-github-request-id", format!("{:04X}:{number:06X}:SIM", 0xC0DE))
        .with_header("x-github-media-type", "github.v3; format=json")
        .with_header("x-ratelimit-limit", standing.limit.to_string())
        .with_header("x-ratelimit-remaining", standing.remaining.to_string())
        .with_header("x-ratelimit-used", standing.used.to_string())
        .with_header("x-ratelimit-reset", standing.reset_s.to_string())
        .with_header("x-ratelimit-resource", "core")
        .with_header("server", "github.com")
}
