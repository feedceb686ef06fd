//! What an account may do in a repository, read at the moment it matters.

use pairbot_protocol::signal::Permission;
use serde::Deserialize;

use super::error::{GitHubError, found};
use super::repository::RepositoryClient;
use super::route::segment;

#[derive(Deserialize)]
struct PermissionWire {
    permission: Option<String>,
    role_name: Option<String>,
}

impl RepositoryClient {
    /// What an account may do here. Someone GitHub does not know here may do nothing; an error is not an answer.
    pub async fn permission_of(&self, login: &str) -> Result<Permission, GitHubError> {
        let route = format!("/collaborators/{}/permission", segment(login));
        let wire: Option<PermissionWire> = found(self.get(&route).await)?;
        Ok(wire.map_or(Permission::None, |wire| level(&wire)))
    }
}

/// `permission` knows only admin, write, read and none: it says `read` for triage and `write` for maintain. A role that
/// an organisation made itself is known by `permission` alone.
fn level(wire: &PermissionWire) -> Permission {
    wire.role_name
        .as_deref()
        .and_then(named)
        .or_else(|| wire.permission.as_deref().and_then(named))
        .unwrap_or(Permission::None)
}

fn named(role: &str) -> Option<Permission> {
    Some(match role {
        "admin" => Permission::Admin,
        "maintain" => Permission::Maintain,
        "write" | "push" => Permission::Write,
        "triage" => Permission::Triage,
        "read" | "pull" => Permission::Read,
        "none" => Permission::None,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finer_role_counts_and_what_is_unknown_counts_as_none() {
        let of = |permission: Option<&str>, role: Option<&str>| {
            level(&PermissionWire {
                permission: permission.map(str::to_owned),
                role_name: role.map(str::to_owned),
            })
        };
        assert_eq!(of(Some("read"), Some("triage")), Permission::Triage);
        assert_eq!(of(Some("write"), Some("maintain")), Permission::Maintain);
        assert_eq!(of(Some("write"), Some("release captain")), Permission::Write);
        assert_eq!(of(Some("own"), Some("release captain")), Permission::None);
        assert_eq!(of(None, None), Permission::None);
    }
}
