//! Which run a signal is for, and which runs there are.

use pairbot_protocol::ids::{IssueNumber, PullRequestNumber, RepositoryId, RunId};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::Target;
use rusqlite::{Connection, OptionalExtension};

use super::columns::{identity, limit, moment_of, money_of, run_id_at, run_key};
use crate::store::{Result, RunFilter, RunSummary};
use crate::wire;

/// What begins the name of a run's branch, see [`RunId::branch`].
const BRANCH_PREFIX: &str = "pairbot/issue-";

pub(super) fn runs_for(db: &Connection, target: &Target) -> Result<Vec<RunId>> {
    match target {
        Target::Issue { repository, issue } => newest(db, *repository, *issue),
        Target::PullRequest { repository, number, branch } => {
            let owners = owner(db, *repository, *number)?;
            match branch.as_deref().and_then(issue_of_branch) {
                Some(issue) if owners.is_empty() => newest(db, *repository, issue),
                Some(_) | None => Ok(owners),
            }
        }
        Target::Head { repository, head } => {
            let mut query = db.prepare_cached(
                "SELECT repository, issue, ordinal FROM run INDEXED BY run_head \
                 WHERE repository = ?1 AND head = ?2 AND over = 0 ORDER BY id",
            )?;
            let rows = query.query_map((identity(repository.0), head.as_str()), |row| run_id_at(row, 0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        }
        Target::Run { run } => Ok(run_key(db, *run)?.map(|_| *run).into_iter().collect()),
    }
}

fn newest(db: &Connection, repository: RepositoryId, issue: IssueNumber) -> Result<Vec<RunId>> {
    let newest = db
        .prepare_cached(
            // One that was pruned still counts: the next is numbered after it.
            "SELECT repository, issue, max(ordinal) FROM \
             (SELECT * FROM (SELECT repository, issue, ordinal FROM run WHERE repository = ?1 AND issue = ?2 \
              ORDER BY ordinal DESC LIMIT 1) \
              UNION ALL SELECT * FROM (SELECT repository, issue, ordinal FROM tombstone \
              WHERE repository = ?1 AND issue = ?2 ORDER BY ordinal DESC LIMIT 1)) HAVING count(*) > 0",
        )?
        .query_row((identity(repository.0), identity(issue.0)), |row| run_id_at(row, 0))
        .optional()?;
    Ok(newest.into_iter().collect())
}

fn owner(db: &Connection, repository: RepositoryId, number: PullRequestNumber) -> Result<Vec<RunId>> {
    let owner = db
        .prepare_cached(
            "SELECT repository, issue, ordinal FROM run INDEXED BY run_pull_request \
             WHERE repository = ?1 AND pull_request = ?2 ORDER BY id DESC LIMIT 1",
        )?
        .query_row((identity(repository.0), identity(number.0)), |row| run_id_at(row, 0))
        .optional()?;
    Ok(owner.into_iter().collect())
}

/// The issue that a branch belongs to, if it is named exactly as a run names it.
fn issue_of_branch(branch: &str) -> Option<IssueNumber> {
    let digits = branch.strip_prefix(BRANCH_PREFIX)?;
    let issue = IssueNumber(digits.parse().ok()?);
    (issue.to_string() == digits).then_some(issue)
}

pub(super) fn list(db: &Connection, filter: RunFilter) -> Result<Vec<RunSummary>> {
    let mut query = db.prepare_cached(if filter.open_only {
        "SELECT repository, issue, ordinal, snapshot, updated_at, limit_microdollars, spent_microdollars \
         FROM run INDEXED BY run_open LEFT JOIN budget ON budget.run = run.id \
         WHERE over = 0 ORDER BY run.id DESC LIMIT ?1"
    } else {
        "SELECT repository, issue, ordinal, snapshot, updated_at, limit_microdollars, spent_microdollars \
         FROM run LEFT JOIN budget ON budget.run = run.id ORDER BY run.id DESC LIMIT ?1"
    })?;
    let rows = query.query_map([limit(filter.limit)], |row| {
        let money = |column| row.get::<_, Option<i64>>(column).map(|found| money_of(found.unwrap_or(0)));
        let (updated_at, spent, most) = (moment_of(row.get(4)?), money(6)?, money(5)?);
        Ok((run_id_at(row, 0)?, row.get::<_, String>(3)?, updated_at, most, spent))
    })?;
    let mut summaries = Vec::new();
    for row in rows {
        let (id, snapshot, updated_at, limit, spent) = row?;
        let run: Run = match wire::decode(&snapshot) {
            Ok(run) => run,
            Err(error) => {
                // One that cannot be read must not hide the others; asked for by name it is an error.
                tracing::error!(run = %id, %error, "left a run out of a list");
                continue;
            }
        };
        summaries.push(RunSummary {
            run: id,
            installation: run.installation,
            phase: run.phase_name(),
            open: !run.is_over(),
            round: run.round,
            pull_request: run.pull_request.map(|pull_request| pull_request.number),
            head: run.head,
            opened_at: run.opened_at,
            updated_at,
            limit,
            spent,
            repository_name: run.issue.repository_name,
            title: run.issue.title,
        });
    }
    Ok(summaries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_branch_as_runs_name_it_belongs_to_an_issue() {
        let run = RunId { repository: RepositoryId(1), issue: IssueNumber(7), ordinal: 1 };
        assert_eq!(issue_of_branch(&run.branch()), Some(IssueNumber(7)));
        for other in ["main", "pairbot/issue-", "pairbot/issue-07", "pairbot/issue-+7", "pairbot/issue-7-x"] {
            assert_eq!(issue_of_branch(other), None, "{other}");
        }
    }
}
