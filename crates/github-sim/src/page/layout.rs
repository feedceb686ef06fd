//! The frame around every page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Visit, href};
use crate::state::{Account, Repo};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("refresh.js");

fn acting(visit: &Visit, repo: Option<&Repo>) -> Markup {
    html! {
        form.acting method="post" action="/act-as" {
            input type="hidden" name="back" value=(visit.path);
            label for="person" { "Acting as" }
            select id="person" name="person" onchange="this.form.submit()" {
                @for account in visit.state.people(repo) {
                    option value=(account.id) selected[is_acting(visit, account)] {
                        (account.login)
                        @if let Some(repo) = repo { " (" (repo.role(account.id).name()) ")" }
                    }
                }
            }
            noscript { button type="submit" { "Switch" } }
        }
    }
}

fn is_acting(visit: &Visit, account: &Account) -> bool {
    visit.person.is_some_and(|person| person.id == account.id)
}

/// A whole page.
pub(crate) fn page(visit: &Visit, repo: Option<&Repo>, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · simulated GitHub" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header {
                    nav aria-label="Site" {
                        a.home href="/" { "Simulated GitHub" }
                        @if let Some(repo) = repo {
                            span aria-hidden="true" { "/" }
                            strong { (visit.state.full_name(repo)) }
                        }
                    }
                    (acting(visit, repo))
                }
                @if let Some(repo) = repo {
                    nav.tabs aria-label="Repository" {
                        @let root = href(visit, repo, "");
                        @let pulls = visit.path.starts_with(&format!("{root}/pull"));
                        a id="tab-issues" href={ (root) "/issues" } aria-current=[(!pulls).then_some("true")] { "Issues" }
                        a id="tab-pulls" href={ (root) "/pulls" } aria-current=[pulls.then_some("true")] { "Pull requests" }
                    }
                }
                @if let Some(reason) = visit.refused {
                    p.refused id="refused" role="alert" { "Refused: " (reason) }
                }
                main id="main" tabindex="-1" { (body) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// The page for what does not exist.
pub(crate) fn missing(visit: &Visit) -> Markup {
    page(visit, None, "Not found", &html! { h1 { "Not found" } p { "There is no such page." } })
}

/// A form of one button that acts on an issue or pull request.
pub(crate) fn button(visit: &Visit, repo: &Repo, id: &str, label: &str, fields: &[(&str, &str)]) -> Markup {
    html! {
        form.inline method="post" action=(href(visit, repo, "/act")) {
            (hidden(visit, fields))
            button type="submit" id=(id) { (label) }
        }
    }
}

/// Hidden fields, with the way back.
pub(crate) fn hidden(visit: &Visit, fields: &[(&str, &str)]) -> Markup {
    html! {
        input type="hidden" name="back" value=(visit.path);
        @for (name, value) in fields {
            input type="hidden" name=(name) value=(value);
        }
    }
}

/// A moment, short for people and exact for machines.
pub(crate) fn moment(ms: u64) -> Markup {
    let text = crate::clock::iso(ms);
    html! { time datetime=(text) { (text.replace('T', " ").trim_end_matches('Z')) " UTC" } }
}

/// An account's name, marked if it is an app.
pub(crate) fn author(visit: &Visit, account: u64) -> Markup {
    let login = visit.state.login(account);
    html! {
        strong.author { (login.trim_end_matches("[bot]")) }
        @if login.ends_with("[bot]") { span.badge { "bot" } }
    }
}
