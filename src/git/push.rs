//! Moving a branch on the server, if and only if it is where we think it is.

use pairbot_protocol::ids::HeadSha;

use super::{BranchName, GitError, Mirror, PushRefusal, Remote};

/// How a push came to its good end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The branch was moved now.
    Moved,
    /// The branch was at the commit already: an earlier attempt had got through.
    AlreadyThere,
}

impl Mirror {
    /// Moves a branch from `expected` (`None`: it must not exist) to `new`: compare and set, decided by the server.
    ///
    /// [`GitError::HeadMoved`] if it is anywhere else; nothing was changed then. After a failure that leaves open
    /// whether the server applied the push, the branch is looked at, so a lost answer does not become a second push.
    pub async fn push(
        &self,
        remote: &Remote,
        branch: &BranchName,
        new: &HeadSha,
        expected: Option<&HeadSha>,
    ) -> Result<Pushed, GitError> {
        let error = match self.push_once(remote, branch, new, expected).await {
            Ok(pushed) => return Ok(pushed),
            Err(error @ (GitError::AuthenticationFailed { .. } | GitError::PushRefused { .. })) => {
                return Err(error);
            }
            Err(error) => error,
        };
        // If even the look fails, the first error says more.
        let Ok(actual) = self.remote_branch(remote, branch).await else { return Err(error) };
        if actual.as_ref() == Some(new) {
            Ok(Pushed::AlreadyThere)
        } else if actual.as_ref() == expected {
            Err(error)
        } else {
            Err(GitError::HeadMoved { branch: branch.to_string(), actual })
        }
    }

    async fn push_once(
        &self,
        remote: &Remote,
        branch: &BranchName,
        new: &HeadSha,
        expected: Option<&HeadSha>,
    ) -> Result<Pushed, GitError> {
        let lease = format!("--force-with-lease={}:{}", branch.full(), expected.map_or("", HeadSha::as_str));
        let refspec = format!("{new}:{}", branch.full());
        let options =
            ["--porcelain", "--no-verify", "--no-follow-tags", "--no-signed", &lease, "--end-of-options"];
        let outcome =
            self.call("push")?.to(remote).args(options).args([remote.url(), &refspec]).run().await?;
        let stdout = outcome.shown_stdout();
        let Some(status) = stdout.lines().find(|line| line.contains('\t')) else {
            return Err(outcome.into_error());
        };
        match (outcome.finished.succeeded(), status.chars().next()) {
            (true, Some('=')) => Ok(Pushed::AlreadyThere),
            (true, _) => Ok(Pushed::Moved),
            (false, _) if status.contains("[remote rejected]") => Err(refused(status, &outcome.message)),
            (false, _) if status.contains("[rejected]") => {
                // The caller of this function looks where the branch is; `None` is only what holds if it cannot.
                Err(GitError::HeadMoved { branch: branch.to_string(), actual: None })
            }
            (false, _) => Err(outcome.into_error()),
        }
    }
}

/// Sorts a refusal by the texts that GitHub sends. A lost race at the server is no refusal by rule.
fn refused(status: &str, stderr: &str) -> GitError {
    let message = format!("{}\n{stderr}", status.rsplit('\t').next().unwrap_or(status)).trim().to_owned();
    let says = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    let kind =
        if says(&["cannot lock ref", "failed to update ref", "reference already exists", "fetch first"]) {
            return GitError::Failed { operation: "push", message };
        } else if says(&["`workflows` permission", "workflow` scope", "without `workflow"]) {
            PushRefusal::WorkflowPermission
        } else if says(&["GH001", "exceeds GitHub's file size limit", "large files detected"]) {
            PushRefusal::FileTooLarge
        } else if says(&["cannot contain secrets", "Push Protection", "push protection", "secret scanning"]) {
            PushRefusal::SecretDetected
        } else if says(&["GH006", "GH013", "protected branch", "rule violations"]) {
            PushRefusal::ProtectedBranch
        } else {
            PushRefusal::Other
        };
    GitError::PushRefused { kind, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_sorted_by_the_rule_behind_it() {
        let kind = |reason: &str, stderr: &str| {
            let error = refused(&format!("!\ta:refs/heads/b\t[remote rejected] ({reason})"), stderr);
            if let GitError::PushRefused { kind, .. } = error { Some(kind) } else { None }
        };
        let workflow = "refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` \
                        without `workflows` permission";
        assert_eq!(kind(workflow, ""), Some(PushRefusal::WorkflowPermission));
        let protected = "remote: error: GH006: Protected branch update failed for refs/heads/main.";
        assert_eq!(kind("protected branch hook declined", protected), Some(PushRefusal::ProtectedBranch));
        let secret =
            "remote: error: GH013: Repository rule violations found\nremote: - Push cannot contain secrets";
        assert_eq!(
            kind("push declined due to repository rule violations", secret),
            Some(PushRefusal::SecretDetected)
        );
        let large = "remote: error: GH001: Large files detected.";
        assert_eq!(kind("pre-receive hook declined", large), Some(PushRefusal::FileTooLarge));
        assert_eq!(kind("pre-receive hook declined", ""), Some(PushRefusal::Other));
        assert_eq!(kind("cannot lock ref 'refs/heads/b'", ""), None);
    }
}
