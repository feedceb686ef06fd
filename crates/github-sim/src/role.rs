//! What people may do in a repository, and what apps may do in an installation.

use std::collections::BTreeMap;

/// A person's role in a repository, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// No access beyond what is public.
    None,
    /// May read, open issues and comment.
    Read,
    /// May also set labels and close issues.
    Triage,
    /// May also push and merge.
    Write,
    /// May also manage the repository without dangerous settings.
    Maintain,
    /// May do everything.
    Admin,
}

impl Role {
    /// `role_name` of GitHub's permission answer.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The older `permission`, which knows neither triage nor maintain.
    pub(crate) const fn legacy_name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read | Self::Triage => "read",
            Self::Write | Self::Maintain => "write",
            Self::Admin => "admin",
        }
    }
}

/// How far a permission of an app goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// May look.
    Read,
    /// May look and change.
    Write,
}

impl Access {
    /// As GitHub writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "read" => Some(Self::Read),
            "write" | "admin" => Some(Self::Write),
            _ => None,
        }
    }
}

/// Permissions by GitHub's name, such as `pull_requests`.
pub type Permissions = BTreeMap<String, Access>;

/// Builds [`Permissions`] from pairs.
pub fn permissions<const N: usize>(pairs: [(&str, Access); N]) -> Permissions {
    pairs.into_iter().map(|(name, access)| (name.to_owned(), access)).collect()
}

/// The permissions an app needs that works on issues and pull requests but never on workflows:
/// contents, issues, pull requests and checks to write; metadata, actions and statuses to read.
pub fn usual_permissions() -> Permissions {
    permissions([
        ("actions", Access::Read),
        ("checks", Access::Write),
        ("contents", Access::Write),
        ("issues", Access::Write),
        ("metadata", Access::Read),
        ("pull_requests", Access::Write),
        ("statuses", Access::Read),
    ])
}
