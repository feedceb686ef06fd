//! The parts of GitHub's payloads that are used, and nothing else.
//!
//! GitHub's payloads do not all fit GitHub's own schema, so almost everything is optional here and what is missing is
//! found out where it is needed. One type serves all events: the same name means the same thing in each of them.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A payload of an event that is understood.
#[derive(Debug, Deserialize)]
pub(super) struct Payload<'a> {
    #[serde(borrow, default)]
    pub(super) action: Cow<'a, str>,
    pub(super) installation: Option<Numbered>,
    #[serde(borrow)]
    pub(super) repository: Option<Repository<'a>>,
    #[serde(borrow)]
    pub(super) sender: Option<Account<'a>>,
    #[serde(borrow)]
    pub(super) issue: Option<Issue<'a>>,
    #[serde(borrow)]
    pub(super) label: Option<Label<'a>>,
    #[serde(borrow)]
    pub(super) comment: Option<Comment<'a>>,
    #[serde(borrow)]
    pub(super) pull_request: Option<PullRequest<'a>>,
    #[serde(borrow)]
    pub(super) review: Option<Review<'a>>,
    #[serde(borrow)]
    pub(super) check_run: Option<CheckRun<'a>>,
    #[serde(borrow)]
    pub(super) check_suite: Option<CheckSuite<'a>>,
    pub(super) requested_action: Option<RequestedAction>,
    /// Of a `status`: its own id.
    pub(super) id: Option<u64>,
    /// Of a `status`: the commit.
    pub(super) sha: Option<String>,
}

/// The little that is read of an event that is not understood.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Unused {
    pub(super) action: Option<String>,
    pub(super) installation: Option<Numbered>,
}

/// Something of which only the number counts.
#[derive(Debug, Deserialize)]
pub(super) struct Numbered {
    pub(super) id: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Repository<'a> {
    pub(super) id: u64,
    #[serde(borrow, default)]
    pub(super) full_name: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Account<'a> {
    pub(super) id: u64,
    #[serde(borrow)]
    pub(super) login: Cow<'a, str>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Issue<'a> {
    pub(super) number: u64,
    #[serde(borrow, default)]
    pub(super) title: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) updated_at: Cow<'a, str>,
    /// Present if the issue is a pull request's conversation.
    pub(super) pull_request: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Label<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
}

/// A comment in a conversation or at a line of a diff; only the latter has a path.
#[derive(Debug, Deserialize)]
pub(super) struct Comment<'a> {
    pub(super) id: u64,
    #[serde(borrow, default)]
    pub(super) body: Cow<'a, str>,
    pub(super) path: Option<String>,
    pub(super) line: Option<u64>,
    pub(super) performed_via_github_app: Option<Numbered>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PullRequest<'a> {
    pub(super) number: u64,
    #[serde(borrow)]
    pub(super) head: Tip<'a>,
    #[serde(borrow)]
    pub(super) base: Tip<'a>,
    #[serde(borrow, default)]
    pub(super) updated_at: Cow<'a, str>,
    /// Null or absent where a pull request is only mentioned.
    pub(super) merged: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tip<'a> {
    #[serde(borrow)]
    pub(super) sha: Cow<'a, str>,
    #[serde(borrow, default, rename = "ref")]
    pub(super) branch: Cow<'a, str>,
    /// Null once a fork is gone.
    pub(super) repo: Option<Numbered>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Review<'a> {
    pub(super) id: u64,
    #[serde(borrow, default)]
    pub(super) state: Cow<'a, str>,
    pub(super) body: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckRun<'a> {
    pub(super) id: u64,
    #[serde(borrow)]
    pub(super) head_sha: Cow<'a, str>,
    pub(super) external_id: Option<String>,
    pub(super) conclusion: Option<String>,
    pub(super) completed_at: Option<String>,
    pub(super) app: Option<Numbered>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckSuite<'a> {
    pub(super) id: u64,
    #[serde(borrow)]
    pub(super) head_sha: Cow<'a, str>,
    pub(super) conclusion: Option<String>,
    #[serde(borrow, default)]
    pub(super) updated_at: Cow<'a, str>,
    pub(super) app: Option<Numbered>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RequestedAction {
    pub(super) identifier: String,
}
