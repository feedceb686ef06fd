//! Which signals of a batch may be decided side by side.
//!
//! Decisions about one run are made in the order in which their signals were stored. Decisions about different runs
//! have nothing to do with each other, and made at once they share one sync of the store.

use std::collections::{BTreeMap, BTreeSet};

use pairbot_protocol::ids::{IssueNumber, RepositoryId};
use pairbot_protocol::signal::Target;

use crate::store::InboxRow;

/// Signals that must be decided one after the other, oldest first.
pub(super) type Strand = Vec<InboxRow>;

/// Parts a batch, keeping the order within each strand.
///
/// A signal that names an issue or a run can only concern runs of that issue. One that names a pull request or a
/// commit can concern any run of its repository, and which one may depend on what is decided just before it: a
/// repository with such a signal is one strand.
pub(super) fn part(batch: Vec<InboxRow>) -> Vec<Strand> {
    let whole: BTreeSet<RepositoryId> = batch
        .iter()
        .filter_map(|row| match &row.envelope.target {
            Target::PullRequest { repository, .. } | Target::Head { repository, .. } => Some(*repository),
            Target::Issue { .. } | Target::Run { .. } => None,
        })
        .collect();
    let mut strands: BTreeMap<(RepositoryId, Option<IssueNumber>), Strand> = BTreeMap::new();
    for row in batch {
        let (repository, issue) = match &row.envelope.target {
            Target::Issue { repository, issue } => (*repository, Some(*issue)),
            Target::Run { run } => (run.repository, Some(run.issue)),
            Target::PullRequest { repository, .. } | Target::Head { repository, .. } => (*repository, None),
        };
        let issue = if whole.contains(&repository) { None } else { issue };
        strands.entry((repository, issue)).or_default().push(row);
    }
    strands.into_values().collect()
}

#[cfg(test)]
mod tests {
    use pairbot_protocol::ids::{InstallationId, RunId, Timestamp};
    use pairbot_protocol::signal::{Envelope, Signal};

    use super::*;
    use crate::store::InboxId;

    fn row(id: u64, target: Target) -> InboxRow {
        let signal = Signal::ForeignCheckChanged { head: "a".repeat(40).parse().unwrap() };
        let envelope = Envelope { installation: InstallationId(1), target, signal };
        InboxRow { id: InboxId(id), guid: id.to_string(), received_at: Timestamp::from_unix_ms(0), envelope }
    }

    fn issue(repository: u64, issue: u64) -> Target {
        Target::Issue { repository: RepositoryId(repository), issue: IssueNumber(issue) }
    }

    fn run(repository: u64, issue: u64) -> Target {
        let run = RunId { repository: RepositoryId(repository), issue: IssueNumber(issue), ordinal: 1 };
        Target::Run { run }
    }

    fn head(repository: u64) -> Target {
        Target::Head { repository: RepositoryId(repository), head: "a".repeat(40).parse().unwrap() }
    }

    fn parted(targets: Vec<Target>) -> Vec<Vec<u64>> {
        let batch = (1..).zip(targets).map(|(id, target)| row(id, target)).collect();
        part(batch).into_iter().map(|strand| strand.into_iter().map(|row| row.id.0).collect()).collect()
    }

    #[test]
    fn signals_of_one_issue_stay_in_order_and_others_go_beside_them() {
        let strands = parted(vec![issue(1, 7), issue(1, 8), run(1, 7), issue(2, 7), run(1, 8)]);
        assert_eq!(strands, [vec![1, 3], vec![2, 5], vec![4]]);
    }

    #[test]
    fn a_signal_about_a_commit_keeps_its_whole_repository_in_order() {
        let strands = parted(vec![issue(1, 7), head(1), issue(1, 8), issue(2, 7)]);
        assert_eq!(strands, [vec![1, 2, 3], vec![4]]);
    }
}
