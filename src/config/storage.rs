//! Where state lives.

use std::path::{Path, PathBuf};

use super::problem::Problems;
use super::source::Source;
use crate::store::Cutoff;

/// Where state lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    /// The folder for everything that is kept: database, mirrors, worktrees.
    pub data_dir: PathBuf,
    /// The database.
    pub database: Database,
    /// What carries tasks to workers.
    pub bus: Bus,
    /// How many days what has ended is kept; for ever if none.
    pub retention_days: Option<u32>,
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A file.
    Sqlite {
        /// Where it is.
        path: PathBuf,
    },
}

/// What carries tasks to workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// The outbox in the database.
    Embedded,
}

impl StorageConfig {
    pub(super) fn read(source: &Source, problems: &mut Problems) -> Option<Self> {
        let data_dir =
            PathBuf::from(source.get("PAIRBOT_DATA_DIR").unwrap_or_else(|| "pairbot-data".to_owned()));
        let database = database(source, &data_dir, problems);
        let bus = match source.get("PAIRBOT_BUS").as_deref() {
            None | Some("embedded") => Some(Bus::Embedded),
            Some(other) if other.starts_with("sqs://") || other.starts_with("kafka://") => problems.add(
                source,
                "PAIRBOT_BUS",
                "names a queue that this build has no support for; use `embedded`",
            ),
            Some(_) => problems.add(source, "PAIRBOT_BUS", "is not `embedded`"),
        };
        let retention_days = retention_days(source, problems);
        Some(Self { data_dir, database: database?, bus: bus?, retention_days: retention_days? })
    }
}

/// Days, at least as many as a store keeps everything; none where nothing is set.
#[expect(clippy::option_option, reason = "a setting that is wrong is told from one that is not there")]
fn retention_days(source: &Source, problems: &mut Problems) -> Option<Option<u32>> {
    let Some(text) = source.get("PAIRBOT_RETENTION_DAYS") else { return Some(None) };
    match text.parse() {
        Ok(days) if days >= Cutoff::DAYS_MIN => Some(Some(days)),
        Ok(_) | Err(_) => problems.add(
            source,
            "PAIRBOT_RETENTION_DAYS",
            &format!("is not a number of days from {} on; unset it to keep everything", Cutoff::DAYS_MIN),
        ),
    }
}

/// Reads `sqlite://<path>`; a path that is not absolute begins in the data directory.
fn database(source: &Source, data_dir: &Path, problems: &mut Problems) -> Option<Database> {
    let text = source.get("DATABASE_URL").unwrap_or_else(|| "sqlite://pairbot.db".to_owned());
    let wrong = if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.contains(['?', '#']) {
            "takes no options after the path; the server sets what durability needs"
        } else if path.is_empty() || path.ends_with('/') || path == ":memory:" {
            "names no file; durable state needs one, such as sqlite://pairbot.db"
        } else {
            return Some(Database::Sqlite { path: data_dir.join(path) });
        }
    } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        "names a PostgreSQL database, which this build has no support for; use sqlite://<file>"
    } else {
        "is not of the form sqlite://<file>"
    };
    problems.add(source, "DATABASE_URL", wrong)
}
