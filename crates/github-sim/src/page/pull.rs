//! A pull request: conversation, commits, checks, files.

use maud::{Markup, html};

use super::layout::{author, hidden, moment, page as frame};
use super::markdown::render;
use super::{Visit, checks, diff, href, issues};
use crate::reply::Reply;
use crate::role::Role;
use crate::state::{Issue, IssueComment, Pull, Repo, Review, ReviewComment};

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Conversation,
    Commits,
    Checks,
    Files,
}

impl Tab {
    /// Reads what follows `/pull/1`.
    pub(crate) fn read(rest: &[&str]) -> Result<Self, Reply> {
        match rest {
            [] => Ok(Self::Conversation),
            ["commits"] => Ok(Self::Commits),
            ["checks"] => Ok(Self::Checks),
            ["files"] => Ok(Self::Files),
            _ => Err(Reply::not_found()),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Conversation => "Conversation",
            Self::Commits => "Commits",
            Self::Checks => "Checks",
            Self::Files => "Files changed",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Conversation => "",
            Self::Commits => "/commits",
            Self::Checks => "/checks",
            Self::Files => "/files",
        }
    }
}

/// A pull request.
pub(crate) fn page(visit: &Visit, repo: &Repo, number: u64, tab: Tab) -> Result<Markup, Reply> {
    let issue = repo.issue(number)?;
    let pull = repo.pull(number)?;
    let content = match tab {
        Tab::Conversation => conversation(visit, repo, issue, pull),
        Tab::Commits => commits(repo, pull)?,
        Tab::Checks => checks::details(visit, repo, &pull.head_sha),
        Tab::Files => {
            let files = repo.git.pull_diff(&pull.base_sha, &pull.head_sha)?;
            diff::files(visit, repo, number, &files)
        }
    };
    let body = html! {
        h1 { (issue.title) " " span.number { "#" (number) } }
        p {
            span id="state" { (issues::state_badge(issue)) } " " (author(visit, issue.author)) " wants to merge "
            code { (pull.head_branch) } " into " code { (pull.base_branch) }
        }
        nav.tabs aria-label="Pull request" {
            @for each in [Tab::Conversation, Tab::Commits, Tab::Checks, Tab::Files] {
                a id={ "pull-tab" (each.path().replace('/', "-")) } href=(href(visit, repo, &format!("/pull/{number}{}", each.path())))
                    aria-current=[(each == tab).then_some("page")] { (each.name()) }
            }
        }
        (content)
    };
    Ok(frame(visit, Some(repo), &format!("{} #{number}", issue.title), &body))
}

/// A thing of the conversation.
enum Entry<'a> {
    Comment(&'a IssueComment),
    Review(&'a Review),
}

fn conversation(visit: &Visit, repo: &Repo, issue: &Issue, pull: &Pull) -> Markup {
    let number = issue.number;
    let comments = repo.comments.values().filter(|comment| comment.number == number);
    let reviews = repo.reviews.values().filter(|review| review.number == number && review.state != "PENDING");
    let mut entries: Vec<(u64, Entry)> = comments
        .map(|comment| (comment.created_ms, Entry::Comment(comment)))
        .chain(reviews.map(|review| (review.submitted_ms.unwrap_or_default(), Entry::Review(review))))
        .collect();
    entries.sort_by_key(|(at, _)| *at);
    html! {
        div.columns {
            div {
                (issues::opening(visit, repo, issue))
                @for (_, entry) in &entries {
                    @match entry {
                        Entry::Comment(comment) => (issues::comment(visit, repo, comment)),
                        Entry::Review(found) => (review(visit, repo, found)),
                    }
                }
                (merge_box(visit, repo, issue, pull))
                (issues::reply_form(visit, repo, issue))
                (review_form(visit, repo, number))
            }
            aside aria-label="About this pull request" {
                (issues::label_box(visit, repo, issue))
                h2 { "Issues" }
                ul.list id="closes" {
                    @let closes = closes(repo, issue);
                    @for closed in &closes {
                        li { a href=(href(visit, repo, &format!("/issues/{}", closed.number))) { (closed.title) " #" (closed.number) } }
                    }
                    @if closes.is_empty() { li.muted { "None" } }
                }
            }
        }
    }
}

/// The issues that a merge closes.
fn closes<'a>(repo: &'a Repo, pull: &Issue) -> Vec<&'a Issue> {
    let numbers = crate::acts::closing_numbers(pull.body.as_deref().unwrap_or_default());
    let issues = numbers.iter().filter_map(|number| repo.issues.get(number));
    issues.filter(|issue| issue.pull.is_none()).collect()
}

fn review(visit: &Visit, repo: &Repo, review: &Review) -> Markup {
    let roots: Vec<&ReviewComment> = repo
        .review_comments
        .values()
        .filter(|comment| comment.review == review.id && comment.in_reply_to.is_none())
        .collect();
    if roots.is_empty() && review.body.is_empty() && review.state == "COMMENTED" {
        // The empty shell around a reply, which is shown in its thread.
        return html! {};
    }
    let verdict = match review.state.as_str() {
        "APPROVED" => "approved",
        "CHANGES_REQUESTED" => "requested changes",
        "DISMISSED" => "reviewed (dismissed)",
        _ => "reviewed",
    };
    html! {
        article.box.review id={ "review-" (review.id) } {
            div.head {
                (author(visit, review.author)) " " (verdict) " "
                code { (review.commit_sha.get(..7).unwrap_or_default()) }
                @if let Some(at) = review.submitted_ms { " at " (moment(at)) }
            }
            div.body {
                div.markdown { (render(&review.body, &href(visit, repo, ""))) }
                @for root in roots {
                    div.box {
                        div.head { code { (root.path) @if let Some(line) = root.original_line { ":" (line) } } }
                        @if !root.diff_hunk.is_empty() { pre { (tail(&root.diff_hunk)) } }
                        div.body { (diff::thread(visit, repo, root)) }
                    }
                }
            }
        }
    }
}

/// The last lines of a hunk, as much as a remark needs.
fn tail(hunk: &str) -> String {
    let lines: Vec<&str> = hunk.lines().collect();
    lines.get(lines.len().saturating_sub(4)..).unwrap_or_default().join("\n")
}

/// Why the acting person cannot merge now.
fn obstacle(visit: &Visit, repo: &Repo, issue: &Issue, pull: &Pull) -> Option<String> {
    if visit.person.is_none_or(|person| repo.role(person.id) < Role::Write) {
        return Some("Only people with write access can merge.".to_owned());
    }
    if pull.draft {
        return Some("This pull request is still a draft.".to_owned());
    }
    if let Some(reason) = repo.merge_obstacle(pull) {
        return Some(reason);
    }
    let base = repo.branch(&pull.base_branch).unwrap_or(&pull.base_sha);
    let conflicting = issue.open && matches!(repo.git.merged_tree(base, &pull.head_sha), Ok(None));
    conflicting.then(|| "This branch has conflicts that must be resolved.".to_owned())
}

fn merge_box(visit: &Visit, repo: &Repo, issue: &Issue, pull: &Pull) -> Markup {
    let number = issue.number.to_string();
    html! {
        section.box.merge aria-label="Merge" {
            div.head {
                strong { "Checks of " } code { (pull.head_sha.get(..7).unwrap_or_default()) }
                " " a href=(href(visit, repo, &format!("/pull/{number}/checks"))) { "Details" }
            }
            (checks::summary(repo, &pull.head_sha))
            div.body { @if let Some(by) = pull.merged_by {
                p id="merged" { "Merged by " (visit.state.login(by)) " as " code { (pull.merge_sha.as_deref().and_then(|sha| sha.get(..7)).unwrap_or_default()) } }
            } @else if issue.open {
                @let reason = obstacle(visit, repo, issue, pull);
                form method="post" action=(href(visit, repo, "/act")) {
                    (hidden(visit, &[("act", "merge"), ("number", &number)]))
                    button.primary type="submit" id="merge" disabled[reason.is_some()] aria-describedby="merge-reason" { "Merge pull request" }
                    " " span.muted id="merge-reason" { (reason.as_deref().unwrap_or("Ready to merge.")) }
                }
            } @else {
                span.muted { "Closed without a merge." }
            } }
        }
    }
}

fn review_form(visit: &Visit, repo: &Repo, number: u64) -> Markup {
    let number = number.to_string();
    html! {
        details.reply {
            summary { "Review as a person" }
            form method="post" action=(href(visit, repo, "/act")) {
                (hidden(visit, &[("act", "review"), ("number", &number)]))
                label for="review-body" { "What you say" }
                textarea id="review-body" name="body" {}
                button type="submit" id="review-comment" name="event" value="COMMENT" { "Comment" } " "
                button type="submit" id="review-approve" name="event" value="APPROVE" { "Approve" } " "
                button type="submit" id="review-request" name="event" value="REQUEST_CHANGES" { "Request changes" }
            }
        }
    }
}

fn commits(repo: &Repo, pull: &Pull) -> Result<Markup, Reply> {
    let range = format!("{}..{}", pull.base_sha, pull.head_sha);
    let log = repo.git.log(&["--reverse", &range], 250)?;
    Ok(html! {
        ul.list.box id="commits" {
            @for commit in &log {
                li {
                    strong { (commit.message.lines().next().unwrap_or_default()) }
                    div.muted { (commit.author.name) " · " code { (commit.sha.get(..12).unwrap_or_default()) } " · " (moment(commit.committed_s.saturating_mul(1000))) }
                }
            }
        }
    })
}
