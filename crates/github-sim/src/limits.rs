//! How much a caller may ask. The numbers are GitHub's:
//! <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::collections::{BTreeMap, VecDeque};

use crate::reply::Reply;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;

/// The limits of one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests an hour, the primary limit.
    pub requests_per_hour: u64,
    /// Requests a minute that create content.
    pub content_per_minute: usize,
    /// Requests an hour that create content.
    pub content_per_hour: usize,
    /// Points a minute: a read costs one, a write five.
    pub points_per_minute: u64,
    /// Token requests an hour of one app.
    pub tokens_per_hour: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_hour: 5_000,
            content_per_minute: 80,
            content_per_hour: 500,
            points_per_minute: 900,
            tokens_per_hour: 2_000,
        }
    }
}

/// What kind of request it is to the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) writes: bool,
    pub(crate) creates_content: bool,
    pub(crate) mints_token: bool,
}

#[derive(Debug, Default)]
struct Account {
    window_ends_ms: u64,
    used: u64,
    content: VecDeque<u64>,
    points: VecDeque<(u64, u64)>,
    tokens: VecDeque<u64>,
}

/// What each caller used.
#[derive(Debug, Default)]
pub(crate) struct LimitBook {
    pub(crate) limits: Limits,
    accounts: BTreeMap<String, Account>,
}

/// The primary limit of a caller as its headers say it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    pub(crate) used: u64,
    pub(crate) reset_s: u64,
}

fn secondary(now_ms: u64, free_ms: u64) -> Reply {
    let wait_s = free_ms.saturating_sub(now_ms).div_ceil(1000).max(1);
    Reply::refuse(
        403,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    )
    .with_header("retry-after", wait_s.to_string())
}

/// When the oldest of the newest `limit` entries leaves the window, if they fill it.
fn full_until(times: &VecDeque<u64>, now_ms: u64, window_ms: u64, limit: usize) -> Option<u64> {
    let oldest = times.len().checked_sub(limit).and_then(|index| times.get(index))?;
    let free = oldest + window_ms;
    (free > now_ms).then_some(free)
}

impl LimitBook {
    /// Nobody has asked for anything yet.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, accounts: BTreeMap::new() }
    }

    /// Counts a request, or says why it is one too many.
    pub(crate) fn spend(&mut self, who: &str, cost: Cost, now_ms: u64) -> Result<(), Reply> {
        let limits = self.limits;
        let account = self.accounts.entry(who.to_owned()).or_default();
        if account.window_ends_ms <= now_ms {
            account.window_ends_ms = now_ms + HOUR_MS;
            account.used = 0;
        }
        if account.used >= limits.requests_per_hour {
            return Err(Reply::refuse(403, &format!("API rate limit exceeded for {who}.")));
        }
        if cost.creates_content {
            let minute = full_until(&account.content, now_ms, MINUTE_MS, limits.content_per_minute);
            let hour = full_until(&account.content, now_ms, HOUR_MS, limits.content_per_hour);
            if let Some(free_ms) = minute.max(hour) {
                return Err(secondary(now_ms, free_ms));
            }
        }
        if cost.mints_token
            && let Some(free_ms) = full_until(&account.tokens, now_ms, HOUR_MS, limits.tokens_per_hour)
        {
            return Err(secondary(now_ms, free_ms));
        }
        let points = if cost.writes { 5 } else { 1 };
        account.points.retain(|(at, _)| at + MINUTE_MS > now_ms);
        let spent: u64 = account.points.iter().map(|(_, points)| points).sum();
        if spent + points > limits.points_per_minute {
            let oldest = account.points.front().map_or(now_ms, |(at, _)| *at);
            return Err(secondary(now_ms, oldest + MINUTE_MS));
        }
        account.used += 1;
        account.points.push_back((now_ms, points));
        if cost.creates_content {
            account.content.push_back(now_ms);
            account.content.retain(|at| at + HOUR_MS > now_ms);
        }
        if cost.mints_token {
            account.tokens.push_back(now_ms);
            account.tokens.retain(|at| at + HOUR_MS > now_ms);
        }
        Ok(())
    }

    /// Takes a request back: one answered with 304 does not count against the primary limit.
    pub(crate) fn refund(&mut self, who: &str) {
        if let Some(account) = self.accounts.get_mut(who) {
            account.used = account.used.saturating_sub(1);
        }
    }

    /// What the caller has left.
    pub(crate) fn standing(&self, who: &str, now_ms: u64) -> Standing {
        let limit = self.limits.requests_per_hour;
        match self.accounts.get(who) {
            Some(account) if account.window_ends_ms > now_ms => Standing {
                limit,
                remaining: limit.saturating_sub(account.used),
                used: account.used,
                reset_s: account.window_ends_ms / 1000,
            },
            Some(_) | None => {
                Standing { limit, remaining: limit, used: 0, reset_s: (now_ms + HOUR_MS) / 1000 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: Cost = Cost { writes: true, creates_content: true, mints_token: false };

    #[test]
    fn the_81st_comment_of_a_minute_waits_for_the_first_to_leave_the_window() {
        let mut book = LimitBook::default();
        for at in 0..80 {
            assert!(book.spend("a", CONTENT, 1_000 + at).is_ok());
        }
        let refused = book.spend("a", CONTENT, 31_000).expect_err("one too many");
        assert_eq!(refused.status, 403);
        assert_eq!(refused.headers, vec![("retry-after", "30".to_owned())]);
        assert!(book.spend("b", CONTENT, 31_000).is_ok(), "another caller is not held up");
        assert!(book.spend("a", CONTENT, 61_000).is_ok());
    }

    #[test]
    fn the_501st_comment_of_an_hour_is_refused_at_any_pace() {
        let mut book = LimitBook::default();
        for index in 0..500 {
            assert!(book.spend("a", CONTENT, index * 7_000).is_ok(), "comment {index}");
        }
        assert!(book.spend("a", CONTENT, 500 * 7_000).is_err());
        assert!(book.spend("a", CONTENT, HOUR_MS).is_ok());
    }

    #[test]
    fn the_primary_limit_names_its_reset_and_refills() {
        let limits = Limits { requests_per_hour: 2, ..Limits::default() };
        let mut book = LimitBook::new(limits);
        let read = Cost { writes: false, creates_content: false, mints_token: false };
        assert!(book.spend("a", read, 0).is_ok());
        book.refund("a");
        assert!(book.spend("a", read, 0).is_ok());
        assert!(book.spend("a", read, 0).is_ok());
        assert!(book.spend("a", read, 0).is_err());
        assert_eq!(book.standing("a", 0).reset_s, 3_600);
        assert!(book.spend("a", read, HOUR_MS).is_ok());
    }
}
