//! What repositories are called at the moment. Their ids are the key; names change, and the API's paths want names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pairbot_protocol::ids::{RepositoryId, Timestamp};

use crate::ports::Clock;

/// A name is asked for again after this long: after a rename, someone may give the old name to another repository,
/// and then no redirect tells us.
const KNOWN_MS_MAX: u64 = 5 * 60_000;

/// Owner and name, as GitHub spells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullName {
    /// The account that owns it.
    pub owner: String,
    /// Its own name.
    pub name: String,
}

impl std::fmt::Display for FullName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.owner, self.name)
    }
}

/// The id that a route `/repositories/ID…` speaks of.
pub(crate) fn id_in_route(route: &str) -> Option<RepositoryId> {
    let mut parts = route.trim_start_matches('/').split('/');
    match (parts.next(), parts.next().map(str::parse)) {
        (Some("repositories"), Some(Ok(id))) => Some(RepositoryId(id)),
        _ => None,
    }
}

/// The names seen lately.
#[derive(Debug)]
pub(crate) struct RepositoryNames {
    clock: Arc<dyn Clock>,
    known: Mutex<BTreeMap<RepositoryId, (Timestamp, FullName)>>,
}

impl RepositoryNames {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::default() }
    }

    pub(crate) fn find(&self, repository: RepositoryId) -> Option<FullName> {
        let now = self.clock.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&repository)
            .filter(|(at, _)| now.ms_since(*at) < KNOWN_MS_MAX && *at <= now)
            .map(|(_, name)| name.clone())
    }

    pub(crate) fn keep(&self, repository: RepositoryId, name: FullName) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(repository, (self.clock.now(), name));
    }

    /// Forgets the repository that a route `/repos/OWNER/NAME…` speaks of, and says which it was.
    pub(crate) fn forget_route(&self, route: &str) -> Option<RepositoryId> {
        let mut parts = route.trim_start_matches('/').split('/');
        let (Some("repos"), Some(owner), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, _) = known.iter().find(|(_, (_, full))| {
            full.owner.eq_ignore_ascii_case(owner) && full.name.eq_ignore_ascii_case(name)
        })?;
        let id = *id;
        known.remove(&id);
        Some(id)
    }
}
