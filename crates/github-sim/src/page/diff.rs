//! The diff of a pull request with its review threads at their lines.

use maud::{Markup, html};

use super::issues::reactions;
use super::layout::{author, moment};
use super::markdown::render;
use super::{Visit, href};
use crate::git::diff::{DiffLine, FileDiff};
use crate::state::{ReactionTarget, Repo, ReviewComment};

/// A thread: its first comment and the replies.
pub(crate) fn thread(visit: &Visit, repo: &Repo, root: &ReviewComment) -> Markup {
    let resolved = repo.threads.get(&root.thread).and_then(|thread| thread.resolved_by);
    let outdated = root.line.is_none() && !root.whole_file;
    let comments = repo.review_comments.values().filter(|comment| comment.thread == root.thread);
    let home = href(visit, repo, "");
    let body = html! {
        @for comment in comments {
            div.remark id={ "remark-" (comment.id) } {
                div { (author(visit, comment.author)) " " span.muted { (moment(comment.created_ms)) } }
                div.markdown { (render(&comment.body, &home)) (reactions(repo, ReactionTarget::ReviewComment(comment.id))) }
            }
        }
    };
    html! {
        div.thread id={ "thread-" (root.thread) } {
            @if outdated { span.badge { "Outdated" } }
            @match resolved {
                Some(by) => {
                    span.badge { "Resolved" }
                    details { summary.muted { "Resolved by " (visit.state.login(by)) ", thread " (root.thread) } (body) }
                }
                None => (body),
            }
        }
    }
}

fn row(line: &DiffLine) -> Markup {
    let class = match (line.left, line.right) {
        (None, Some(_)) => "add",
        (Some(_), None) => "del",
        (Some(_), Some(_)) | (None, None) => "same",
    };
    html! {
        tr.(class) {
            td.n { @if let Some(number) = line.left { (number) } }
            td.n { @if let Some(number) = line.right { (number) } }
            td { (line.text) }
        }
    }
}

/// The changed files.
pub(crate) fn files(visit: &Visit, repo: &Repo, number: u64, files: &[FileDiff]) -> Markup {
    let roots: Vec<&ReviewComment> = repo
        .review_comments
        .values()
        .filter(|comment| comment.number == number && comment.in_reply_to.is_none())
        .collect();
    html! {
        p.muted { (files.len()) " files changed" }
        @for file in files {
            section.box aria-label=(file.path) {
                div.head {
                    strong { (file.path) } " " span.badge { (file.status) }
                    " " span.good { "+" (file.additions) } " " span.bad { "−" (file.deletions) }
                }
                table.diff {
                    @for hunk in &file.hunks {
                        tr.hunk { td.n {} td.n {} td { (hunk.header) } }
                        @for line in &hunk.lines {
                            (row(line))
                            @for root in roots.iter().filter(|root| is_at(root, file, line)) {
                                tr { td.remark colspan="3" { (thread(visit, repo, root)) } }
                            }
                        }
                    }
                    @if file.patch.is_none() { tr { td colspan="3" { em.muted { "No text to show." } } } }
                }
            }
        }
    }
}

fn is_at(comment: &ReviewComment, file: &FileDiff, line: &DiffLine) -> bool {
    comment.path == file.path && comment.line.is_some() && comment.line == line.number(comment.side)
}
