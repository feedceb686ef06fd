//! What commands have in common that look into the store beside a server that may be at work.

use std::path::PathBuf;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use pairbot_protocol::budget::Limits;
use pairbot_protocol::ids::{Money, Timestamp};
use serde::Serialize;

use super::say;
use crate::config::{Database, LogConfig, LogFormat, Source, StorageConfig, budgets, default_file};
use crate::redact::Redactor;
use crate::store::SharedLimits;
use crate::store::sqlite::SqliteStore;
use crate::telemetry;

/// Where the store is, and how to tell what is in it.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Settings file; the environment wins over it
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Options {
    /// The file of the store.
    pub(super) fn database(&self) -> anyhow::Result<PathBuf> {
        let Database::Sqlite { path } = StorageConfig::load(&self.source())?.database;
        Ok(path)
    }

    /// What runs may spend together by the settings here.
    pub(super) fn budgets(&self) -> anyhow::Result<SharedLimits> {
        Ok(budgets::load(&self.source())?)
    }

    fn source(&self) -> Source {
        Source::of_process(self.config.as_deref().unwrap_or(default_file()))
    }

    /// Opens the store beside whoever has it.
    pub(super) fn store(&self) -> anyhow::Result<SqliteStore> {
        let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "warn".to_owned());
        telemetry::init(&LogConfig { level, format: LogFormat::Auto }, Redactor::for_logs(&[]))?;
        Ok(SqliteStore::beside(&self.database()?)?)
    }

    /// Prints a thing as it was asked for.
    pub(super) fn tell<T: Serialize>(&self, thing: &T, words: &str) -> anyhow::Result<()> {
        if self.json {
            say(&format!("{}\n", serde_json::to_string_pretty(thing)?));
        } else {
            say(words);
        }
        Ok(())
    }
}

/// A moment as people and programs read it.
pub(super) fn moment(at: Timestamp) -> String {
    i64::try_from(at.unix_ms)
        .ok()
        .and_then(DateTime::<Utc>::from_timestamp_millis)
        .map_or_else(|| at.unix_ms.to_string(), |at| at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// For programs, which want a number. Nothing is reckoned with it.
#[expect(clippy::cast_precision_loss, reason = "exact up to nine billion dollars")]
pub(super) fn dollars(money: Money) -> f64 {
    money.microdollars as f64 / 1e6
}

/// What limits a budget, in words.
pub(super) fn limit(limits: Limits) -> String {
    let money = limits.money.map(|limit| limit.to_string());
    let tokens = limits.tokens.map(|limit| limit.to_string());
    let words: Vec<String> = money.into_iter().chain(tokens).collect();
    if words.is_empty() { "no limit".to_owned() } else { words.join(" and ") }
}

/// Who gives the command, as the operating system knows them.
pub(super) fn who() -> String {
    let uid = rustix::process::getuid().as_raw();
    match std::env::var("USER").or_else(|_| std::env::var("LOGNAME")) {
        Ok(name) if !name.trim().is_empty() => format!("{} (uid {uid})", name.trim()),
        Ok(_) | Err(_) => format!("uid {uid}"),
    }
}

/// The beginning of a text, on one line.
pub(super) fn brief(text: &str, chars_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= chars_max {
        return line;
    }
    let kept: String = line.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Rows under a header, in columns as wide as what is in them.
pub(super) fn columns(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let lines = || std::iter::once(&header).chain(rows);
    let width = |column: usize| {
        lines().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut out = String::new();
    for row in lines() {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_in_utc() {
        assert_eq!(moment(Timestamp::from_unix_ms(1_767_600_000_123)), "2026-01-05T08:00:00.123Z");
        assert_eq!(moment(Timestamp::from_unix_ms(u64::MAX)), u64::MAX.to_string());
    }

    #[test]
    fn a_text_of_others_stays_on_its_line() {
        assert_eq!(brief("a\nb\t c", 10), "a b c");
        assert_eq!(brief("ääääää", 4), "äää…");
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [vec!["1".to_owned(), "long one".to_owned()], vec!["22".to_owned(), "x".to_owned()]];
        assert_eq!(columns(&["id", "what"], &rows), "id  what\n1   long one\n22  x\n");
    }
}
