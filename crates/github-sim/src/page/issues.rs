//! Repositories, lists, and an issue with its conversation.

use maud::{Markup, html};

use super::layout::{author, button, hidden, moment, page as frame};
use super::markdown::render;
use super::{Visit, href};
use crate::reply::Reply;
use crate::state::{Issue, IssueComment, Label, ReactionTarget, Repo};

/// The label that the page offers with one press.
const OFFERED_LABEL: &str = "agent:pair";

/// All repositories.
pub(crate) fn repositories(visit: &Visit) -> Markup {
    let body = html! {
        h1 { "Repositories" }
        ul.list.box {
            @for repo in visit.state.repos.values() {
                li {
                    a href=(href(visit, repo, "/issues")) { (visit.state.full_name(repo)) }
                    span.badge { @if repo.private { "private" } @else { "public" } }
                }
            }
        }
    };
    frame(visit, None, "Repositories", &body)
}

/// What an issue or pull request is, as a coloured word.
pub(crate) fn state_badge(issue: &Issue) -> Markup {
    let (class, word) = match &issue.pull {
        Some(pull) if pull.merged_ms.is_some() => ("merged", "Merged"),
        Some(_) if !issue.open => ("closed", "Closed"),
        Some(pull) if pull.draft => ("draft", "Draft"),
        None if !issue.open => ("done", "Closed"),
        Some(_) | None => ("open", "Open"),
    };
    html! { span.state.(class) { (word) } }
}

/// A label's colour; black if someone gave it none that is one.
fn colour(label: &Label) -> &str {
    let hex = label.color.len() == 6 && label.color.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { &label.color } else { "000000" }
}

/// The labels of an item.
pub(crate) fn labels(repo: &Repo, issue: &Issue) -> Markup {
    html! {
        @for label in issue.labels.iter().filter_map(|key| repo.labels.get(key)) {
            span.label title=(label.description) style={ "--colour: #" (colour(label)) } { (label.name) }
        }
    }
}

/// The issues, or the pull requests, of a repository.
pub(crate) fn list(visit: &Visit, repo: &Repo, pulls: bool) -> Markup {
    let items = repo.issues.values().rev().filter(|issue| issue.pull.is_some() == pulls);
    let items: Vec<&Issue> = items.collect();
    let title = if pulls { "Pull requests" } else { "Issues" };
    let body = html! {
        h1 { (title) }
        ul.list.box id="list" {
            @for issue in &items {
                @let kind = if pulls { "pull" } else { "issues" };
                li id={ "item-" (issue.number) } {
                    (state_badge(issue)) " "
                    a href=(href(visit, repo, &format!("/{kind}/{}", issue.number))) { strong { (issue.title) } }
                    " " (labels(repo, issue))
                    div.muted { "#" (issue.number) " by " (visit.state.login(issue.author)) " at " (moment(issue.created_ms)) }
                }
            }
            @if items.is_empty() { li.muted { "Nothing here yet." } }
        }
        @if !pulls {
            section aria-labelledby="new-issue-title" {
                h2 id="new-issue-title" { "New issue" }
                form method="post" action=(href(visit, repo, "/act")) {
                    (hidden(visit, &[("act", "open")]))
                    label for="issue-title" { "Title" }
                    input type="text" id="issue-title" name="title" required;
                    label for="issue-body" { "Description" }
                    textarea id="issue-body" name="body" {}
                    button.primary type="submit" id="open-issue" { "Open issue" }
                }
            }
        }
    };
    frame(visit, Some(repo), title, &body)
}

/// The reactions to something, counted.
pub(crate) fn reactions(repo: &Repo, target: ReactionTarget) -> Markup {
    let emoji = [
        ("+1", "👍"),
        ("-1", "👎"),
        ("laugh", "😄"),
        ("hooray", "🎉"),
        ("confused", "😕"),
        ("heart", "❤️"),
        ("rocket", "🚀"),
        ("eyes", "👀"),
    ];
    let count = |content: &str| {
        repo.reactions
            .values()
            .filter(|reaction| reaction.target == target && reaction.content == content)
            .count()
    };
    html! {
        @for (content, sign) in emoji {
            @if count(content) > 0 {
                span.reaction role="img" aria-label={ (content) ", " (count(content)) } { (sign) " " (count(content)) }
            }
        }
    }
}

/// The first text of an item.
pub(crate) fn opening(visit: &Visit, repo: &Repo, issue: &Issue) -> Markup {
    html! {
        article.box id="opening" {
            div.head { (author(visit, issue.author)) " opened this at " (moment(issue.created_ms)) }
            div.body.markdown {
                @match issue.body.as_deref().filter(|body| !body.is_empty()) {
                    Some(body) => (render(body, &href(visit, repo, ""))),
                    None => em.muted { "No description." },
                }
                div { (reactions(repo, ReactionTarget::Issue(issue.number))) }
            }
        }
    }
}

/// One comment of a conversation.
pub(crate) fn comment(visit: &Visit, repo: &Repo, comment: &IssueComment) -> Markup {
    let text = html! {
        div.body.markdown {
            (render(&comment.body, &href(visit, repo, "")))
            div { (reactions(repo, ReactionTarget::IssueComment(comment.id))) }
        }
    };
    html! {
        article.box.comment id={ "comment-" (comment.id) } {
            div.head {
                (author(visit, comment.author)) " commented at " (moment(comment.created_ms))
                @if comment.updated_ms != comment.created_ms { span.muted { " · edited" } }
            }
            @match &comment.minimized {
                Some(reason) => details { summary.muted { "Hidden as " (reason) } (text) },
                None => (text),
            }
        }
    }
}

/// The form to say something, and to close or reopen.
pub(crate) fn reply_form(visit: &Visit, repo: &Repo, issue: &Issue) -> Markup {
    let number = issue.number.to_string();
    let (act, id, words) =
        if issue.open { ("close", "close", "Close") } else { ("reopen", "reopen", "Reopen") };
    let merged = issue.pull.as_ref().is_some_and(|pull| pull.merged_ms.is_some());
    html! {
        section.reply aria-label="Add a comment" {
            form method="post" action=(href(visit, repo, "/act")) {
                (hidden(visit, &[("act", "comment"), ("number", &number)]))
                label for="comment-body" { "Add a comment" }
                textarea id="comment-body" name="body" placeholder="/retry, /stop, or a remark" required {}
                button.primary type="submit" id="comment-submit" { "Comment" }
            }
            @if !merged {
                " "
                (button(visit, repo, id, words, &[("act", act), ("number", &number)]))
            }
        }
    }
}

/// Labels with the buttons that set and remove them.
pub(crate) fn label_box(visit: &Visit, repo: &Repo, issue: &Issue) -> Markup {
    let number = issue.number.to_string();
    let has = issue.labels.contains(OFFERED_LABEL);
    html! {
        h2 { "Labels" }
        p id="labels" { (labels(repo, issue)) @if issue.labels.is_empty() { span.muted { "None yet" } } }
        @if has {
            (button(visit, repo, "label-remove", &format!("Remove label {OFFERED_LABEL}"), &[("act", "unlabel"), ("label", OFFERED_LABEL), ("number", &number)]))
        } @else if issue.pull.is_none() {
            (button(visit, repo, "label-set", &format!("Set label {OFFERED_LABEL}"), &[("act", "label"), ("label", OFFERED_LABEL), ("number", &number)]))
        }
    }
}

/// An issue.
pub(crate) fn page(visit: &Visit, repo: &Repo, number: u64) -> Result<Markup, Reply> {
    let issue = repo.issue(number)?;
    let mention = format!("#{number}");
    let linked: Vec<&Issue> = repo
        .issues
        .values()
        .filter(|other| {
            let body = other.body.as_deref().unwrap_or_default();
            other.pull.is_some()
                && body.contains(&mention)
                && crate::acts::closing_numbers(body).contains(&number)
        })
        .collect();
    let body = html! {
        h1 { (issue.title) " " span.number { "#" (number) } }
        p id="state" { (state_badge(issue)) }
        div.columns {
            div {
                (opening(visit, repo, issue))
                @for found in repo.comments.values().filter(|comment| comment.number == number) {
                    (comment(visit, repo, found))
                }
                (reply_form(visit, repo, issue))
            }
            aside aria-label="About this issue" {
                (label_box(visit, repo, issue))
                h2 { "Pull requests" }
                ul.list id="linked" {
                    @for pull in &linked {
                        li { (state_badge(pull)) " " a href=(href(visit, repo, &format!("/pull/{}", pull.number))) { (pull.title) " #" (pull.number) } }
                    }
                    @if linked.is_empty() { li.muted { "None yet" } }
                }
            }
        }
    };
    Ok(frame(visit, Some(repo), &format!("{} #{number}", issue.title), &body))
}
