//! One request while it is answered.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use crate::actor::Actor;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};
use crate::state::{Repo, State};

/// GitHub's largest page.
const PER_PAGE_MAX: usize = 100;
/// GitHub's page unless told otherwise.
const PER_PAGE_DEFAULT: usize = 30;

/// A request, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// `/api/v3` where the client speaks to us as to GitHub Enterprise, else empty.
    pub(crate) prefix: &'static str,
    /// The path without the prefix, as it was sent.
    pub(crate) path: String,
    /// The path without the prefix, split and decoded.
    pub(crate) segments: Vec<String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body as JSON, `Null` if there is none.
    pub(crate) json: Value,
}

/// A request with who sent it and the state it acts on.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) actor: Actor,
    pub(crate) request: &'a Request,
}

/// Decodes `%41` and, in queries, `+`.
pub(crate) fn percent_decoded(text: &str, plus_is_space: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match (byte, code.and_then(|code| u8::from_str_radix(code, 16).ok())) {
            (b'%', Some(code)) => {
                out.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _) if plus_is_space => out.push(b' '),
            (other, _) => out.push(*other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Encodes everything but letters, digits and `-._~`.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Splits a query or a form into its pairs.
pub(crate) fn pairs(query: &str) -> BTreeMap<String, String> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(name, true), percent_decoded(value, true))
        })
        .collect()
}

impl Request {
    /// A request that comes from inside, as a person's act does.
    pub(crate) fn internal(method: Method, path: &str, json: Value) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            method,
            prefix: "",
            path: path.to_owned(),
            segments: path
                .split('/')
                .filter(|part| !part.is_empty())
                .map(|part| percent_decoded(part, false))
                .collect(),
            query: pairs(query),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            json,
        }
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A string of the body, if it has one there.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.json.get(name).and_then(Value::as_str)
    }

    /// A string that the body must have.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Reply> {
        self.text(name).ok_or_else(|| Reply::bad_schema(&format!("\"{name}\" wasn't supplied.")))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Call<'_> {
    /// The account that what is done now is attributed to.
    pub(crate) fn account(&self) -> Result<u64, Reply> {
        self.actor.account().ok_or_else(|| Reply::refuse(401, "Requires authentication"))
    }

    /// Refuses unless the caller has one of the permissions (apps) or the role (people) in the repository.
    pub(crate) fn need(
        &self,
        repo: u64,
        permissions: &[&str],
        access: Access,
        role: Role,
    ) -> Result<(), Reply> {
        let repo = self.state.repo(repo)?;
        match &self.actor {
            Actor::Anonymous if repo.private => Err(Reply::not_found()),
            Actor::Anonymous if access == Access::Write => Err(Reply::refuse(401, "Requires authentication")),
            Actor::Anonymous => Ok(()),
            Actor::App(_) if repo.private => Err(Reply::not_found()),
            Actor::App(_) => Err(Reply::not_accessible()),
            Actor::Installation(actor) => {
                let installation = self.state.installations.get(&actor.installation);
                let covered = installation.is_some_and(|found| State::covers(found, repo))
                    && actor.repositories.as_ref().is_none_or(|chosen| chosen.contains(&repo.id));
                let granted = permissions.contains(&"metadata") && access == Access::Read
                    || permissions
                        .iter()
                        .any(|name| actor.permissions.get(*name).is_some_and(|granted| *granted >= access));
                match (covered, granted) {
                    (true, true) => Ok(()),
                    (false, _) if repo.private => Err(Reply::not_found()),
                    (false, _) if access == Access::Read => Ok(()),
                    (true | false, _) => Err(Reply::not_accessible()),
                }
            }
            Actor::Person(account) => self.need_role(*account, repo, role),
        }
    }

    fn need_role(&self, account: u64, repo: &Repo, needed: Role) -> Result<(), Reply> {
        let role = self.state.role(account, repo);
        if role >= needed {
            return Ok(());
        }
        Err(match (role, needed) {
            (Role::None, _) => Reply::not_found(),
            (_, Role::Admin | Role::Maintain) => Reply::refuse(403, "Must have admin rights to Repository."),
            (_, Role::Triage) => Reply::refuse(403, "Must have triage access to Repository."),
            (_, Role::None | Role::Read | Role::Write) => {
                Reply::refuse(403, "Must have push access to Repository.")
            }
        })
    }

    /// Whether the caller may see a repository at all.
    pub(crate) fn may_read(&self, repo: u64) -> bool {
        self.need(repo, &["metadata"], Access::Read, Role::Read).is_ok()
    }

    /// A list, one page of it, with GitHub's `Link` header.
    pub(crate) fn page(&self, items: Vec<Value>) -> Reply {
        self.page_with(items, Value::Array)
    }

    /// A page of a list that is wrapped in an object with `total_count`.
    pub(crate) fn page_in(&self, name: &str, items: Vec<Value>) -> Reply {
        let total = items.len();
        self.page_with(items, |items| {
            let mut object = Map::new();
            object.insert("total_count".to_owned(), total.into());
            object.insert(name.to_owned(), Value::Array(items));
            Value::Object(object)
        })
    }

    fn page_with(&self, items: Vec<Value>, wrap: impl FnOnce(Vec<Value>) -> Value) -> Reply {
        let number = |name, default| {
            self.request.query(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or(default).max(1)
        };
        let per_page = number("per_page", PER_PAGE_DEFAULT).min(PER_PAGE_MAX);
        let page = number("page", 1);
        let pages = items.len().div_ceil(per_page);
        let shown = items.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
        let mut links = Vec::new();
        if page > 1 {
            links.push(self.link("first", 1));
            links.push(self.link("prev", page - 1));
        }
        if page < pages {
            links.push(self.link("next", page + 1));
            links.push(self.link("last", pages));
        }
        let reply = Reply::ok(wrap(shown));
        if links.is_empty() { reply } else { reply.with_header("link", links.join(", ")) }
    }

    fn link(&self, relation: &str, page: usize) -> String {
        self.link_with(relation, "page", &page.to_string())
    }

    /// A `Link` to this very request with one query value set.
    pub(crate) fn link_with(&self, relation: &str, name: &str, value: &str) -> String {
        let mut query = self.request.query.clone();
        query.insert(name.to_owned(), value.to_owned());
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value)))
            .collect();
        let Request { prefix, path, .. } = self.request;
        format!("<{}{prefix}{path}?{}>; rel=\"{relation}\"", self.state.server, query.join("&"))
    }
}

/// Reads a number from a path; what is no number does not exist.
pub(crate) fn number(text: &str) -> Result<u64, Reply> {
    text.parse().map_err(|_| Reply::not_found())
}

/// Handlers answer this when a path is not theirs.
pub(crate) type Route = Option<Outcome>;
