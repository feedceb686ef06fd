//! The web page: what a person sees and presses.

mod checks;
mod diff;
mod form;
mod issues;
mod layout;
mod markdown;
mod pull;

use http::Method;

use crate::call::{Request, percent_encoded};
use crate::reply::Reply;
use crate::role::Role;
use crate::state::{Account, AccountKind, Repo, State};

/// First parts of paths that are the API's.
const API: [&str; 11] = [
    "app",
    "apps",
    "installation",
    "repos",
    "repositories",
    "user",
    "users",
    "rate_limit",
    "meta",
    "zen",
    "graphql",
];

/// Whether a path is a page for people and not the API.
pub(crate) fn is_page(request: &Request) -> bool {
    request.segments.first().is_none_or(|first| !API.contains(&first.as_str()))
}

/// Who looks, and at what.
pub(crate) struct Visit<'a> {
    pub(crate) state: &'a State,
    /// The person that the buttons act as.
    pub(crate) person: Option<&'a Account>,
    /// Where the page is, to come back to.
    pub(crate) path: &'a str,
    /// Why the last act was refused.
    pub(crate) refused: Option<&'a str>,
}

impl State {
    /// The people that a visitor can act as, those with more rights first.
    fn people(&self, repo: Option<&Repo>) -> Vec<&Account> {
        let mut people: Vec<&Account> = self
            .accounts
            .values()
            .filter(|account| account.kind == AccountKind::User)
            .filter(|account| !self.apps.values().any(|app| app.owner == account.id))
            .collect();
        let role = |account: &Account| repo.map_or(Role::None, |repo| repo.role(account.id));
        people.sort_by_key(|account| std::cmp::Reverse(role(account)));
        people
    }
}

fn cookie<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let pairs = request.header("cookie").split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(found, _)| *found == name).map(|(_, value)| value).next()
}

/// Answers a page or a pressed button.
pub(crate) fn serve(state: &mut State, request: &Request) -> Reply {
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let repo = match segments.as_slice() {
        [owner, name, ..] => state.repo_named(owner, name),
        _ => None,
    };
    let people = state.people(repo.and_then(|id| state.repos.get(&id)));
    let chosen = cookie(request, "person").and_then(|id| id.parse::<u64>().ok());
    let person = people.iter().find(|account| Some(account.id) == chosen).or(people.first());
    let person = person.map(|account| account.id);
    if request.method == Method::POST {
        return form::act(state, request, repo, person);
    }
    let visit = Visit {
        state,
        person: person.and_then(|id| state.accounts.get(&id)),
        path: &request.path,
        refused: request.query("refused"),
    };
    let found = repo.and_then(|id| state.repos.get(&id));
    let page = match (segments.as_slice(), found) {
        ([], _) => Ok(issues::repositories(&visit)),
        ([_, _] | [_, _, "issues"], Some(repo)) => Ok(issues::list(&visit, repo, false)),
        ([_, _, "pulls"], Some(repo)) => Ok(issues::list(&visit, repo, true)),
        ([_, _, "issues", number], Some(repo)) => {
            crate::call::number(number).and_then(|number| match repo.issue(number)?.pull {
                Some(_) => pull::page(&visit, repo, number, pull::Tab::Conversation),
                None => issues::page(&visit, repo, number),
            })
        }
        ([_, _, "pull", number, rest @ ..], Some(repo)) => {
            let tab = pull::Tab::read(rest);
            crate::call::number(number).and_then(|number| pull::page(&visit, repo, number, tab?))
        }
        _ => Err(Reply::not_found()),
    };
    match page {
        Ok(page) => Reply::raw("text/html; charset=utf-8", page.into_string()),
        Err(reply) => Reply {
            status: reply.status,
            ..Reply::raw("text/html; charset=utf-8", layout::missing(&visit).into_string())
        },
    }
}

/// A path inside a repository's pages.
pub(crate) fn href(visit: &Visit, repo: &Repo, rest: &str) -> String {
    let owner = percent_encoded(visit.state.login(repo.owner));
    format!("/{owner}/{}{rest}", percent_encoded(&repo.name))
}
