//! The objects of the graph and their fields.

use serde_json::{Value, json};

use super::Problem;
use crate::clock::iso;
use crate::role::{Access, Role};
use crate::state::{Repo, ReviewComment, State};

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Query,
    Mutation,
    RateLimit,
    Repository(u64),
    PullRequest {
        repo: u64,
        number: u64,
    },
    Issue {
        repo: u64,
        number: u64,
    },
    Thread {
        repo: u64,
        id: u64,
    },
    ReviewComment {
        repo: u64,
        id: u64,
    },
    IssueComment {
        repo: u64,
        id: u64,
    },
    Review {
        repo: u64,
        id: u64,
    },
    Account(u64),
    Connection {
        nodes: Vec<Node>,
        total: usize,
        start: usize,
    },
    Edge {
        node: Box<Node>,
        cursor: usize,
    },
    PageInfo {
        start: usize,
        end: usize,
        total: usize,
    },
    /// A mutation's payload.
    Payload {
        kind: &'static str,
        client_id: Value,
        parts: Vec<(&'static str, Node)>,
    },
}

/// What a field gives.
pub(crate) enum Field {
    Leaf(Value),
    One(Node),
    Many(Vec<Node>),
    Absent,
}

impl Node {
    /// Its type's name.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Mutation => "Mutation",
            Self::RateLimit => "RateLimit",
            Self::Repository(_) => "Repository",
            Self::PullRequest { .. } => "PullRequest",
            Self::Issue { .. } => "Issue",
            Self::Thread { .. } => "PullRequestReviewThread",
            Self::ReviewComment { .. } => "PullRequestReviewComment",
            Self::IssueComment { .. } => "IssueComment",
            Self::Review { .. } => "PullRequestReview",
            Self::Account(_) => "User",
            Self::Connection { .. } => "Connection",
            Self::Edge { .. } => "Edge",
            Self::PageInfo { .. } => "PageInfo",
            Self::Payload { kind, .. } => kind,
        }
    }

    /// The repository it is in, with the permissions that reading it takes.
    pub(crate) fn place(&self) -> Option<(u64, &'static [&'static str])> {
        match self {
            Self::Repository(repo) => Some((*repo, &["metadata"])),
            Self::PullRequest { repo, .. }
            | Self::Thread { repo, .. }
            | Self::ReviewComment { repo, .. }
            | Self::Review { repo, .. } => Some((*repo, &["pull_requests"])),
            Self::Issue { repo, .. } | Self::IssueComment { repo, .. } => {
                Some((*repo, &["issues", "pull_requests"]))
            }
            Self::Query
            | Self::Mutation
            | Self::RateLimit
            | Self::Account(_)
            | Self::Connection { .. }
            | Self::Edge { .. }
            | Self::PageInfo { .. }
            | Self::Payload { .. } => None,
        }
    }
}

/// Finds an object by its global id.
pub(crate) fn by_id(state: &State, id: &str) -> Option<Node> {
    let (prefix, number) = id.rsplit_once('_')?;
    let number: u64 = number.parse().ok()?;
    let of_item = |wanted: fn(&crate::state::Issue, u64) -> bool| {
        state.repos.values().find_map(|repo| {
            repo.issues.values().find(|issue| wanted(issue, number)).map(|issue| (repo.id, issue.number))
        })
    };
    let holder = |holds: fn(&Repo, u64) -> bool| {
        state.repos.values().find(|repo| holds(repo, number)).map(|repo| repo.id)
    };
    match prefix {
        "R" => state.repos.contains_key(&number).then_some(Node::Repository(number)),
        "PR" => of_item(|issue, id| issue.pull.as_ref().is_some_and(|pull| pull.id == id))
            .map(|(repo, number)| Node::PullRequest { repo, number }),
        "I" => of_item(|issue, id| issue.id == id && issue.pull.is_none())
            .map(|(repo, number)| Node::Issue { repo, number }),
        "PRRT" => {
            holder(|repo, id| repo.threads.contains_key(&id)).map(|repo| Node::Thread { repo, id: number })
        }
        "PRRC" => holder(|repo, id| repo.review_comments.contains_key(&id))
            .map(|repo| Node::ReviewComment { repo, id: number }),
        "IC" => holder(|repo, id| repo.comments.contains_key(&id))
            .map(|repo| Node::IssueComment { repo, id: number }),
        "PRR" => {
            holder(|repo, id| repo.reviews.contains_key(&id)).map(|repo| Node::Review { repo, id: number })
        }
        "U" => state.accounts.contains_key(&number).then_some(Node::Account(number)),
        _ => None,
    }
}

/// A part of a list, as `first`, `last` and `after` ask.
fn connection(nodes: Vec<Node>, arguments: &Value) -> Result<Field, Problem> {
    let count =
        |name: &str| arguments.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let (first, last) = (count("first"), count("last"));
    let total = nodes.len();
    let (start, shown) = match (first, last) {
        (None, None) => {
            return Err(Problem::new(
                "You must provide a `first` or `last` value to properly paginate the connection.",
            ));
        }
        (Some(many), _) | (_, Some(many)) if many > 100 => {
            return Err(Problem::new(format!(
                "Requesting {many} records on the connection exceeds the `first` limit of 100 records."
            )));
        }
        (Some(first), _) => {
            let after = arguments.get("after").and_then(Value::as_str).and_then(|cursor| cursor.parse().ok());
            (after.unwrap_or(0), first)
        }
        (None, Some(last)) => (total.saturating_sub(last), last),
    };
    let nodes = nodes.into_iter().skip(start).take(shown).collect();
    Ok(Field::One(Node::Connection { nodes, total, start }))
}

fn leaf(value: impl Into<Value>) -> Result<Option<Field>, Problem> {
    Ok(Some(Field::Leaf(value.into())))
}

fn one(node: Option<Node>) -> Result<Option<Field>, Problem> {
    Ok(Some(node.map_or(Field::Absent, Field::One)))
}

/// The value of a field; `None` if the type has no such field.
pub(crate) fn field(
    state: &State,
    node: &Node,
    name: &str,
    arguments: &Value,
) -> Result<Option<Field>, Problem> {
    if name == "__typename" {
        return leaf(node.kind());
    }
    match node {
        Node::Query => query(state, name, arguments),
        Node::Mutation => Ok(None),
        Node::RateLimit => match name {
            "limit" | "remaining" => leaf(state.limits.limits.requests_per_hour),
            "cost" => leaf(1),
            "resetAt" => leaf(iso(state.now_ms() + 3_600_000)),
            _ => Ok(None),
        },
        Node::Repository(id) => repository(state, *id, name, arguments),
        Node::PullRequest { repo, number } => pull(state, *repo, *number, name, arguments),
        Node::Issue { repo, number } => issue(state, *repo, *number, name, arguments),
        Node::Thread { repo, id } => thread(state, *repo, *id, name, arguments),
        Node::ReviewComment { repo, id } => review_comment(state, *repo, *id, name),
        Node::IssueComment { repo, id } => issue_comment(state, *repo, *id, name),
        Node::Review { repo, id } => review(state, *repo, *id, name, arguments),
        Node::Account(id) => match name {
            "login" => leaf(state.login(*id).trim_end_matches("[bot]")),
            "id" => leaf(format!("U_{id}")),
            "databaseId" => leaf(*id),
            _ => Ok(None),
        },
        Node::Connection { nodes, total, start } => match name {
            "nodes" => Ok(Some(Field::Many(nodes.clone()))),
            "edges" => {
                let edges = nodes.iter().enumerate().map(|(index, node)| Node::Edge {
                    node: Box::new(node.clone()),
                    cursor: start + index + 1,
                });
                Ok(Some(Field::Many(edges.collect())))
            }
            "totalCount" => leaf(*total),
            "pageInfo" => {
                one(Some(Node::PageInfo { start: *start, end: start + nodes.len(), total: *total }))
            }
            _ => Ok(None),
        },
        Node::Edge { node, cursor } => match name {
            "node" => one(Some((**node).clone())),
            "cursor" => leaf(cursor.to_string()),
            _ => Ok(None),
        },
        Node::PageInfo { start, end, total } => match name {
            "hasNextPage" => leaf(end < total),
            "hasPreviousPage" => leaf(*start > 0),
            "endCursor" => leaf((end > start).then(|| end.to_string())),
            "startCursor" => leaf((end > start).then(|| (start + 1).to_string())),
            _ => Ok(None),
        },
        Node::Payload { client_id, parts, .. } => match parts.iter().find(|(part, _)| *part == name) {
            Some((_, node)) => one(Some(node.clone())),
            None if name == "clientMutationId" => leaf(client_id.clone()),
            None => Ok(None),
        },
    }
}

fn query(state: &State, name: &str, arguments: &Value) -> Result<Option<Field>, Problem> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    match name {
        "repository" => {
            let (owner, name) = (text("owner"), text("name"));
            let former = format!("{owner}/{name}").to_lowercase();
            let found = state.repo_named(owner, name).or_else(|| state.former_names.get(&former).copied());
            let missing = || Problem::not_found(&format!("a Repository with the name '{owner}/{name}'"));
            one(Some(Node::Repository(found.ok_or_else(missing)?)))
        }
        "node" => {
            let id = text("id");
            let missing = || Problem::not_found(&format!("a node with the global id of '{id}'"));
            one(Some(by_id(state, id).ok_or_else(missing)?))
        }
        "rateLimit" => one(Some(Node::RateLimit)),
        _ => Ok(None),
    }
}

fn repository(state: &State, id: u64, name: &str, arguments: &Value) -> Result<Option<Field>, Problem> {
    let repo = state.repo(id)?;
    let number = arguments.get("number").and_then(Value::as_u64).unwrap_or_default();
    match name {
        "id" => leaf(format!("R_{id}")),
        "databaseId" => leaf(id),
        "name" => leaf(repo.name.clone()),
        "nameWithOwner" => leaf(state.full_name(repo)),
        "isPrivate" => leaf(repo.private),
        "url" => leaf(state.repo_html(repo)),
        "owner" => one(Some(Node::Account(repo.owner))),
        "pullRequest" => {
            let missing = || Problem::not_found(&format!("a PullRequest with the number of {number}"));
            repo.pull(number).map_err(|_| missing())?;
            one(Some(Node::PullRequest { repo: id, number }))
        }
        "issue" => {
            let missing = || Problem::not_found(&format!("an Issue with the number of {number}"));
            repo.issue(number).ok().filter(|issue| issue.pull.is_none()).ok_or_else(missing)?;
            one(Some(Node::Issue { repo: id, number }))
        }
        "pullRequests" => {
            let pulls = repo.issues.values().filter(|issue| issue.pull.is_some());
            connection(
                pulls.map(|issue| Node::PullRequest { repo: id, number: issue.number }).collect(),
                arguments,
            )
            .map(Some)
        }
        _ => Ok(None),
    }
}

fn comments_of(repo: &Repo, number: u64, arguments: &Value) -> Result<Option<Field>, Problem> {
    let comments = repo.comments.values().filter(|comment| comment.number == number);
    connection(
        comments.map(|comment| Node::IssueComment { repo: repo.id, id: comment.id }).collect(),
        arguments,
    )
    .map(Some)
}

fn pull(
    state: &State,
    repo: u64,
    number: u64,
    name: &str,
    arguments: &Value,
) -> Result<Option<Field>, Problem> {
    let found = state.repo(repo)?;
    let pull = found.pull(number)?;
    match name {
        "id" => leaf(format!("PR_{}", pull.id)),
        "databaseId" | "fullDatabaseId" => leaf(pull.id),
        "isDraft" => leaf(pull.draft),
        "merged" => leaf(pull.merged_ms.is_some()),
        "state" => {
            let open = found.issue(number)?.open;
            leaf(if pull.merged_ms.is_some() {
                "MERGED"
            } else if open {
                "OPEN"
            } else {
                "CLOSED"
            })
        }
        "headRefOid" => leaf(pull.head_sha.clone()),
        "headRefName" => leaf(pull.head_branch.clone()),
        "baseRefOid" => leaf(pull.base_sha.clone()),
        "baseRefName" => leaf(pull.base_branch.clone()),
        "mergeable" => leaf(match &pull.mergeable {
            crate::state::Mergeable::Unknown => "UNKNOWN",
            crate::state::Mergeable::Conflicting => "CONFLICTING",
            crate::state::Mergeable::Clean { .. } => "MERGEABLE",
        }),
        "reviewThreads" => {
            let threads = found.threads.values().filter(|thread| thread.number == number);
            connection(threads.map(|thread| Node::Thread { repo, id: thread.id }).collect(), arguments)
                .map(Some)
        }
        "reviews" => {
            let reviews = found.reviews.values().filter(|review| review.number == number);
            connection(reviews.map(|review| Node::Review { repo, id: review.id }).collect(), arguments)
                .map(Some)
        }
        "comments" => comments_of(found, number, arguments),
        _ => item(state, found, number, name),
    }
}

fn issue(
    state: &State,
    repo: u64,
    number: u64,
    name: &str,
    arguments: &Value,
) -> Result<Option<Field>, Problem> {
    let found = state.repo(repo)?;
    let issue = found.issue(number)?;
    match name {
        "id" => leaf(format!("I_{}", issue.id)),
        "databaseId" | "fullDatabaseId" => leaf(issue.id),
        "state" => leaf(if issue.open { "OPEN" } else { "CLOSED" }),
        "comments" => comments_of(found, number, arguments),
        _ => item(state, found, number, name),
    }
}

/// Fields that issues and pull requests share.
fn item(state: &State, repo: &Repo, number: u64, name: &str) -> Result<Option<Field>, Problem> {
    let issue = repo.issue(number)?;
    match name {
        "number" => leaf(number),
        "title" => leaf(issue.title.clone()),
        "body" => leaf(issue.body.clone().unwrap_or_default()),
        "url" => leaf(state.issue_html(repo, issue)),
        "closed" => leaf(!issue.open),
        "createdAt" => leaf(iso(issue.created_ms)),
        "updatedAt" => leaf(iso(issue.updated_ms)),
        "author" => one(Some(Node::Account(issue.author))),
        "repository" => one(Some(Node::Repository(repo.id))),
        _ => Ok(None),
    }
}

/// The comments of a thread, oldest first.
pub(crate) fn thread_comments(repo: &Repo, thread: u64) -> impl Iterator<Item = &ReviewComment> {
    repo.review_comments.values().filter(move |comment| comment.thread == thread)
}

fn thread(
    state: &State,
    repo: u64,
    id: u64,
    name: &str,
    arguments: &Value,
) -> Result<Option<Field>, Problem> {
    let found = state.repo(repo)?;
    let missing = || Problem::not_found("a PullRequestReviewThread");
    let thread = found.threads.get(&id).ok_or_else(missing)?;
    let root = thread_comments(found, id).next();
    match name {
        "id" => leaf(format!("PRRT_{id}")),
        "isResolved" => leaf(thread.resolved_by.is_some()),
        "isOutdated" => leaf(root.is_some_and(|root| root.line.is_none() && !root.whole_file)),
        "isCollapsed" => leaf(thread.resolved_by.is_some()),
        "path" => leaf(root.map(|root| root.path.clone())),
        "line" => leaf(root.and_then(|root| root.line)),
        "originalLine" => leaf(root.and_then(|root| root.original_line)),
        "startLine" => leaf(root.and_then(|root| root.start_line)),
        "diffSide" => leaf(root.map(|root| root.side.name())),
        "subjectType" => leaf(root.map(|root| if root.whole_file { "FILE" } else { "LINE" })),
        "resolvedBy" => one(thread.resolved_by.map(Node::Account)),
        "pullRequest" => one(Some(Node::PullRequest { repo, number: thread.number })),
        "comments" => {
            let comments =
                thread_comments(found, id).map(|comment| Node::ReviewComment { repo, id: comment.id });
            connection(comments.collect(), arguments).map(Some)
        }
        _ => Ok(None),
    }
}

fn review_comment(state: &State, repo: u64, id: u64, name: &str) -> Result<Option<Field>, Problem> {
    let found = state.repo(repo)?;
    let missing = || Problem::not_found("a PullRequestReviewComment");
    let comment = found.review_comments.get(&id).ok_or_else(missing)?;
    match name {
        "id" => leaf(format!("PRRC_{id}")),
        "databaseId" | "fullDatabaseId" => leaf(id),
        "body" => leaf(comment.body.clone()),
        "path" => leaf(comment.path.clone()),
        "line" => leaf(comment.line),
        "originalLine" => leaf(comment.original_line),
        "outdated" => leaf(comment.line.is_none() && !comment.whole_file),
        "diffHunk" => leaf(comment.diff_hunk.clone()),
        "isMinimized" => leaf(comment.minimized.is_some()),
        "minimizedReason" => leaf(comment.minimized.clone()),
        "createdAt" => leaf(iso(comment.created_ms)),
        "url" => leaf(state.review_comment_json(found, comment).get("html_url").cloned().unwrap_or_default()),
        "author" => one(Some(Node::Account(comment.author))),
        "replyTo" => one(comment.in_reply_to.map(|id| Node::ReviewComment { repo, id })),
        "pullRequestReview" => one(Some(Node::Review { repo, id: comment.review })),
        "pullRequest" => one(Some(Node::PullRequest { repo, number: comment.number })),
        _ => Ok(None),
    }
}

fn issue_comment(state: &State, repo: u64, id: u64, name: &str) -> Result<Option<Field>, Problem> {
    let found = state.repo(repo)?;
    let comment = found.comments.get(&id).ok_or_else(|| Problem::not_found("an IssueComment"))?;
    match name {
        "id" => leaf(format!("IC_{id}")),
        "databaseId" | "fullDatabaseId" => leaf(id),
        "body" => leaf(comment.body.clone()),
        "isMinimized" => leaf(comment.minimized.is_some()),
        "minimizedReason" => leaf(comment.minimized.clone()),
        "createdAt" => leaf(iso(comment.created_ms)),
        "url" => leaf(state.comment_json(found, comment).get("html_url").cloned().unwrap_or_default()),
        "author" => one(Some(Node::Account(comment.author))),
        _ => Ok(None),
    }
}

fn review(
    state: &State,
    repo: u64,
    id: u64,
    name: &str,
    arguments: &Value,
) -> Result<Option<Field>, Problem> {
    let found = state.repo(repo)?;
    let review = found.reviews.get(&id).ok_or_else(|| Problem::not_found("a PullRequestReview"))?;
    match name {
        "id" => leaf(format!("PRR_{id}")),
        "databaseId" | "fullDatabaseId" => leaf(id),
        "body" => leaf(review.body.clone()),
        "state" => leaf(review.state.clone()),
        "submittedAt" => leaf(review.submitted_ms.map(iso)),
        "commit" => leaf(json!({"oid": review.commit_sha})),
        "author" => one(Some(Node::Account(review.author))),
        "comments" => {
            let comments = found.review_comments.values().filter(|comment| comment.review == id);
            let comments = comments.map(|comment| Node::ReviewComment { repo, id: comment.id });
            connection(comments.collect(), arguments).map(Some)
        }
        _ => Ok(None),
    }
}

/// Whether the caller may read an object.
pub(crate) fn readable(call: &crate::call::Call, node: &Node) -> Result<(), Problem> {
    match node.place() {
        Some((repo, permissions)) => match call.need(repo, permissions, Access::Read, Role::Read) {
            Ok(()) => Ok(()),
            Err(reply) if reply.status == 403 => Err(Problem::forbidden()),
            Err(_) => Err(Problem::not_found(&format!("a {}", node.kind()))),
        },
        None => Ok(()),
    }
}
