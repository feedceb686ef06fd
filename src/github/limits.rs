//! The budget of requests, kept before GitHub has to remind us of it: repeated offences get an App banned.
//!
//! Numbers from <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>: 900 points a minute
//! (a read costs 1, a write 5), 80 content-creating requests a minute and 500 an hour, 100 requests at once, and an
//! hourly budget that each answer reports.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use pairbot_protocol::ids::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::{self, LimitTold};
use super::call::{Caller, Nature, is_graphql, name_of};
use super::error::{GitHubError, Outcome};
use super::wire::Wire;
use crate::ports::Clock;

const POINTS_PER_MINUTE: u32 = 900;
const CREATIONS_PER_MINUTE: usize = 80;
const CREATIONS_PER_HOUR: usize = 500;
/// Half of what GitHub allows: the other half is for a second server of the same App.
const REQUESTS_AT_ONCE: usize = 50;
/// A second more than they last: requests leave us evenly and may arrive bunched.
const MINUTE_MS: u64 = 61_000;
const HOUR_MS: u64 = 3_601_000;
/// What is left of the hour for runs: whoever only looks whether something was missed stops here.
const REQUESTS_RESERVED: u64 = 1_000;
/// How much of a minute may be used before such a one stops.
const POINTS_UNRESERVED: u32 = POINTS_PER_MINUTE / 2;
/// What is waited for inside a call. Longer waits are the caller's: it holds a lease that would run out.
const WAIT_MS_MAX: u64 = 2_000;
/// A limit hit again and again doubles the wait, up to this often.
const OFFENCES_MAX: u32 = 5;

/// Keeps the budgets of all callers.
#[derive(Debug)]
pub(crate) struct Metered {
    wire: Wire,
    clock: Arc<dyn Clock>,
    accounts: Mutex<BTreeMap<Caller, Arc<Account>>>,
}

impl Metered {
    pub(crate) fn new(wire: Wire, clock: Arc<dyn Clock>) -> Self {
        Self { wire, clock, accounts: Mutex::default() }
    }

    /// Sends a request if the caller's budget has room for it now or within two seconds.
    pub(crate) async fn send(
        &self,
        caller: Caller,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, GitHubError> {
        let account = self.account(caller);
        let cost = Cost::of(&request);
        let _pass = self.enter(&account, cost, &request).await?;
        let response = self.wire.send(request).await?;
        match account.budget().note(cost.resource, &response, self.clock.now()) {
            Some(until) => {
                tracing::warn!(?caller, until_unix_ms = until.unix_ms, "GitHub's rate limit was hit");
                Err(GitHubError::RateLimited { until })
            }
            None => Ok(response),
        }
    }

    /// Whether the caller has so much left that work which can wait may go on; else when to ask again.
    pub(crate) fn spare(&self, caller: Caller) -> Result<(), Timestamp> {
        let now = self.clock.now();
        self.account(caller).budget().spare(now)
    }

    async fn enter(
        &self,
        account: &Arc<Account>,
        cost: Cost,
        request: &Request<Bytes>,
    ) -> Result<Pass, GitHubError> {
        let permit = Arc::clone(&account.at_once).acquire_owned().await.map_err(|_| {
            let detail = "this client is shutting down".to_owned();
            GitHubError::Unavailable { request: name_of(request), detail, outcome: Outcome::NotApplied }
        })?;
        let deadline = self.clock.now().plus_ms(WAIT_MS_MAX);
        loop {
            let admitted = account.budget().admit(cost, self.clock.now());
            match admitted {
                Ok(()) => {
                    return Ok(Pass {
                        account: Arc::clone(account),
                        resource: cost.resource,
                        _permit: permit,
                    });
                }
                Err(until) if until <= deadline => self.clock.sleep_until(until).await,
                Err(until) => return Err(GitHubError::RateLimited { until }),
            }
        }
    }

    fn account(&self, caller: Caller) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.entry(caller).or_insert_with(|| {
            Arc::new(Account {
                at_once: Arc::new(Semaphore::new(REQUESTS_AT_ONCE)),
                budget: Mutex::new(Budget::default()),
            })
        }))
    }
}

#[derive(Debug)]
struct Account {
    at_once: Arc<Semaphore>,
    budget: Mutex<Budget>,
}

impl Account {
    fn budget(&self) -> std::sync::MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one request; given back when dropped.
struct Pass {
    account: Arc<Account>,
    resource: Resource,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut budget = self.account.budget();
        let primary = budget.primary(self.resource);
        primary.in_flight = primary.in_flight.saturating_sub(1);
    }
}

/// What GitHub counts separately by the hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    Rest,
    GraphQl,
}

/// What a request takes from the budget.
#[derive(Debug, Clone, Copy)]
struct Cost {
    points: u32,
    creates: bool,
    resource: Resource,
}

impl Cost {
    fn of(request: &Request<Bytes>) -> Self {
        let (points, creates) = match Nature::of(request) {
            Nature::Read => (1, false),
            Nature::Write => (5, false),
            Nature::Create => (5, true),
        };
        let resource = if is_graphql(request) { Resource::GraphQl } else { Resource::Rest };
        Self { points, creates, resource }
    }
}

#[derive(Debug, Default)]
struct Primary {
    /// What GitHub last said is left, and until when that holds.
    left: Option<(u64, Timestamp)>,
    /// Requests that GitHub's number may not include yet.
    in_flight: u64,
}

#[derive(Debug, Default)]
struct Budget {
    spent: VecDeque<(Timestamp, u32)>,
    points: u32,
    created: VecDeque<Timestamp>,
    blocked_until: Timestamp,
    offences: u32,
    rest: Primary,
    graphql: Primary,
}

impl Budget {
    fn primary(&mut self, resource: Resource) -> &mut Primary {
        match resource {
            Resource::Rest => &mut self.rest,
            Resource::GraphQl => &mut self.graphql,
        }
    }

    /// Takes the cost, or says from when on there is room for it.
    fn admit(&mut self, cost: Cost, now: Timestamp) -> Result<(), Timestamp> {
        self.forget_the_past(now);
        if let Some(until) = self.full_until(cost, now) {
            return Err(until);
        }
        self.spent.push_back((now, cost.points));
        self.points = self.points.saturating_add(cost.points);
        if cost.creates {
            self.created.push_back(now);
        }
        self.primary(cost.resource).in_flight += 1;
        Ok(())
    }

    fn spare(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        self.forget_the_past(now);
        if self.blocked_until > now {
            return Err(self.blocked_until);
        }
        if let Some((left, reset)) = self.rest.left
            && reset > now
            && left < REQUESTS_RESERVED
        {
            return Err(reset);
        }
        if self.points > POINTS_UNRESERVED { Err(now.plus_ms(MINUTE_MS)) } else { Ok(()) }
    }

    fn full_until(&mut self, cost: Cost, now: Timestamp) -> Option<Timestamp> {
        if self.blocked_until > now {
            return Some(self.blocked_until);
        }
        let primary = self.primary(cost.resource);
        if let Some((left, reset)) = primary.left
            && reset > now
            && left <= primary.in_flight
        {
            return Some(reset);
        }
        let points = self.points_free_at(cost.points);
        let creations = if cost.creates {
            let minute = nth_newest(&self.created, CREATIONS_PER_MINUTE).map(|at| at.plus_ms(MINUTE_MS));
            let hour = nth_newest(&self.created, CREATIONS_PER_HOUR).map(|at| at.plus_ms(HOUR_MS));
            minute.max(hour).filter(|until| *until > now)
        } else {
            None
        };
        points.max(creations)
    }

    fn points_free_at(&self, points: u32) -> Option<Timestamp> {
        let mut missing =
            self.points.saturating_add(points).checked_sub(POINTS_PER_MINUTE).filter(|over| *over > 0)?;
        for (at, spent) in &self.spent {
            missing = missing.saturating_sub(*spent);
            if missing == 0 {
                return Some(at.plus_ms(MINUTE_MS));
            }
        }
        None
    }

    fn forget_the_past(&mut self, now: Timestamp) {
        self.distrust_the_future(now);
        while let Some((at, points)) = self.spent.front().copied() {
            if at.plus_ms(MINUTE_MS) > now {
                break;
            }
            self.points = self.points.saturating_sub(points);
            self.spent.pop_front();
        }
        while self.created.front().is_some_and(|at| at.plus_ms(HOUR_MS) <= now) {
            self.created.pop_front();
        }
    }

    /// What lies in the future was noted before the clock was set back, and would hold us for as long.
    fn distrust_the_future(&mut self, now: Timestamp) {
        while let Some((at, points)) = self.spent.back().copied() {
            if at <= now {
                break;
            }
            self.points = self.points.saturating_sub(points);
            self.spent.pop_back();
        }
        while self.created.back().is_some_and(|at| *at > now) {
            self.created.pop_back();
        }
        let latest = now.plus_ms(HOUR_MS);
        if self.blocked_until > latest {
            self.blocked_until = now;
        }
        for primary in [&mut self.rest, &mut self.graphql] {
            primary.left = primary.left.filter(|(_, reset)| *reset <= latest);
        }
    }

    /// Learns from an answer. Some if the answer is a refusal for a limit: until when nothing may be sent.
    fn note(&mut self, resource: Resource, response: &Response<Bytes>, now: Timestamp) -> Option<Timestamp> {
        let headers = response.headers();
        if let (Some(left), Some(reset)) =
            (answer::number(headers, "x-ratelimit-remaining"), answer::number(headers, "x-ratelimit-reset"))
        {
            let reset = Timestamp::from_unix_ms(reset.saturating_mul(1000)).min(now.plus_ms(HOUR_MS));
            self.primary(resource).left = Some((left, reset));
        }
        let Some(LimitTold { wait_ms, primary }) = answer::limit_told(response, now) else {
            if self.blocked_until <= now {
                self.offences = 0;
            }
            return None;
        };
        if primary {
            let until = now.plus_ms(wait_ms);
            self.primary(resource).left = Some((0, until));
            return Some(until);
        }
        // Requests that were under way together are refused together: that is one offence.
        let wait_ms = if self.blocked_until > now {
            wait_ms
        } else {
            let doubled = wait_ms.saturating_mul(1 << self.offences);
            self.offences = (self.offences + 1).min(OFFENCES_MAX);
            doubled.min(HOUR_MS)
        };
        self.blocked_until = self.blocked_until.max(now.plus_ms(wait_ms));
        Some(self.blocked_until)
    }
}

/// The oldest of the last `count` moments: when it has passed its window, there is room for one more.
fn nth_newest(moments: &VecDeque<Timestamp>, count: usize) -> Option<Timestamp> {
    moments.len().checked_sub(count).and_then(|index| moments.get(index)).copied()
}
