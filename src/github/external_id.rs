//! The name that each of our check runs carries, so that a button pressed on it finds its run again.

use std::fmt;
use std::str::FromStr;

use pairbot_protocol::ids::{GateName, HeadSha, RunId};

/// The `external_id` of a check run: run, gate and commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalId {
    /// Whose check run it is.
    pub run: RunId,
    /// For which gate.
    pub gate: GateName,
    /// About which commit.
    pub head: HeadSha,
}

impl fmt::Display for ExternalId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.run, self.gate, self.head)
    }
}

/// A check run that none of our runs has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the check run's external id is not `<run>:<gate>:<commit>`")]
pub struct ForeignExternalId;

impl FromStr for ExternalId {
    type Err = ForeignExternalId;

    fn from_str(text: &str) -> Result<Self, ForeignExternalId> {
        let mut parts = text.split(':');
        let (Some(run), Some(gate), Some(head), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ForeignExternalId);
        };
        Ok(Self {
            run: run.parse().map_err(|_| ForeignExternalId)?,
            gate: gate.parse().map_err(|_| ForeignExternalId)?,
            head: head.parse().map_err(|_| ForeignExternalId)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_it_writes() {
        let text = format!("1-2-3:static-analysis:{}", "a".repeat(40));
        assert_eq!(text.parse::<ExternalId>().unwrap().to_string(), text);
        for wrong in ["", "1-2-3", "1-2-3:size", "1-2-3:size:abc", &format!("{text}:x"), "::", "1-2:size:abc"]
        {
            assert_eq!(wrong.parse::<ExternalId>(), Err(ForeignExternalId), "{wrong}");
        }
    }
}
