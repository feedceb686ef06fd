//! How the protocol's numbers are kept in SQLite's signed 64-bit integers.

use pairbot_protocol::budget::Amount;
use pairbot_protocol::ids::{IssueNumber, Money, RepositoryId, RunId, Timestamp, Tokens, Usage};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::store::Result;

/// An identity: every value has its own column value, only the order of those above `i64::MAX` is lost.
pub(super) fn identity(value: u64) -> i64 {
    value.cast_signed()
}

/// The identity that [`identity`] stored.
pub(super) fn identified(column: i64) -> u64 {
    column.cast_unsigned()
}

/// An amount: order is kept, and what is above `i64::MAX` is as good as `i64::MAX`.
pub(super) fn amount(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The amount that [`amount`] stored.
pub(super) fn counted(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

pub(super) fn moment(at: Timestamp) -> i64 {
    amount(at.unix_ms)
}

pub(super) fn moment_of(column: i64) -> Timestamp {
    Timestamp::from_unix_ms(counted(column))
}

pub(super) fn money_of(column: i64) -> Money {
    Money::from_microdollars(counted(column))
}

pub(super) fn tokens_of(column: i64) -> Tokens {
    Tokens(counted(column))
}

/// Reads two columns, of money and of tokens, that begin at `first`.
pub(super) fn amount_at(row: &Row<'_>, first: usize) -> rusqlite::Result<Amount> {
    Ok(Amount { money: money_of(row.get(first)?), tokens: tokens_of(row.get(first + 1)?) })
}

/// A `LIMIT`.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Reads four columns of tokens that begin at `first`.
pub(super) fn usage_at(row: &Row<'_>, first: usize) -> rusqlite::Result<Usage> {
    Ok(Usage {
        input_tokens: counted(row.get(first)?),
        cache_read_tokens: counted(row.get(first + 1)?),
        cache_write_tokens: counted(row.get(first + 2)?),
        output_tokens: counted(row.get(first + 3)?),
    })
}

/// Reads the columns `repository, issue, ordinal` that begin at `first`.
pub(super) fn run_id_at(row: &Row<'_>, first: usize) -> rusqlite::Result<RunId> {
    Ok(RunId {
        repository: RepositoryId(identified(row.get(first)?)),
        issue: IssueNumber(identified(row.get(first + 1)?)),
        ordinal: row.get(first + 2)?,
    })
}

/// The row of a run, by which all other tables name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunKey(pub(super) i64);

pub(super) fn run_key(db: &Connection, run: RunId) -> Result<Option<RunKey>> {
    let key = db
        .prepare_cached("SELECT id FROM run WHERE repository = ?1 AND issue = ?2 AND ordinal = ?3")?
        .query_row((identity(run.repository.0), identity(run.issue.0), run.ordinal), |row| row.get(0))
        .optional()?;
    Ok(key.map(RunKey))
}
