//! The name of a branch, safe to put into a refspec.

use std::fmt;
use std::str::FromStr;

use pairbot_protocol::ids::MalformedId;

/// The short name of a branch, such as `main` or `pairbot/issue-7`.
///
/// It keeps the rules of `git check-ref-format --branch`, so it cannot be read as an option, a pattern, a refspec or
/// a revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchName(String);

/// GitHub's limit on the length of a ref, in bytes.
const BYTES_MAX: usize = 244;

impl BranchName {
    /// The short name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full name, `refs/heads/<name>`.
    pub fn full(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl FromStr for BranchName {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let forbidden = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
        let component_fits = |part: &str| {
            !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && !has_lock_suffix(part)
        };
        let fits = text.len() <= BYTES_MAX
            && text != "@"
            && !text.starts_with('-')
            && !text.contains("..")
            && !text.contains("@{")
            && !text.contains(forbidden)
            && text.split('/').all(component_fits);
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            let found = text.chars().take(80).collect();
            Err(MalformedId { expected: "a branch name that git accepts", found })
        }
    }
}

/// Git keeps its locks beside its refs, so no part of a name may look like one.
fn has_lock_suffix(part: &str) -> bool {
    part.as_bytes().ends_with(b".lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_git_would_read_as_more_than_a_name_is_refused() {
        for good in ["main", "pairbot/issue-7", "ünï", "a.b", "@x"] {
            assert_eq!(good.parse::<BranchName>().unwrap().full(), format!("refs/heads/{good}"));
        }
        let long = "x".repeat(245);
        for bad in [
            "", "-f", "+main", "a:b", "a b", "a..b", "a/", "/a", "a//b", ".a", "a.", "a.lock", "a*", "a\n",
            "@", "@{1}", "a^", "a~1", &long,
        ] {
            // A leading `+` is legal to git and means force only in a refspec, where ours starts with `refs/heads/`.
            assert_eq!(bad.parse::<BranchName>().is_ok(), bad == "+main", "{bad}");
        }
    }
}
