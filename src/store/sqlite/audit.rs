//! Proving ledgers: every chain of hashes, and that what is stored of a run is what its ledger adds up to.

use pairbot_protocol::apply::replay;
use pairbot_protocol::ids::{IssueNumber, RepositoryId, RunId};
use pairbot_protocol::run::Run;
use rusqlite::{Connection, OptionalExtension};

use super::columns::{RunKey, counted, identified, identity, moment_of, run_id_at, run_key};
use super::ledger::{NO_PREDECESSOR, chained};
use super::{budget, shared_budget};
use crate::store::{Audited, Fault, InboxId, Origin, OriginDelivery, Owner, Result, Tombstone};
use crate::wire::{self, RecordedEvent};

/// Every run there is.
pub(super) fn runs(db: &Connection) -> Result<Vec<RunId>> {
    let mut query = db.prepare_cached("SELECT repository, issue, ordinal FROM run ORDER BY id")?;
    let rows = query.query_map((), |row| run_id_at(row, 0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What is stored of a run beside its ledger.
struct State {
    key: RunKey,
    version: u64,
    hash: Vec<u8>,
    over: bool,
    pull_request: Option<u64>,
    head: Option<String>,
    snapshot: String,
}

fn state(db: &Connection, id: RunId) -> Result<Option<State>> {
    let found = db
        .prepare_cached(
            "SELECT id, version, hash, over, pull_request, head, snapshot FROM run \
             WHERE repository = ?1 AND issue = ?2 AND ordinal = ?3",
        )?
        .query_row((identity(id.repository.0), identity(id.issue.0), id.ordinal), |row| {
            Ok(State {
                key: RunKey(row.get(0)?),
                version: counted(row.get(1)?),
                hash: row.get(2)?,
                over: row.get(3)?,
                pull_request: row.get::<_, Option<i64>>(4)?.map(identified),
                head: row.get(5)?,
                snapshot: row.get(6)?,
            })
        })
        .optional()?;
    Ok(found)
}

/// Follows the ledger of a run. Whoever finds a fault goes on: one flipped byte is one fault, at its event.
pub(super) fn run(db: &Connection, id: RunId) -> Result<Audited> {
    let mut audited = Audited { runs: 1, ..Audited::default() };
    let Some(state) = state(db, id)? else {
        let pruned = tombstone_of(db, id)?.is_some();
        if !pruned {
            audited.faults.push(Fault { run: Some(id), seq: None, what: "there is no such run".to_owned() });
        }
        audited.runs = 0;
        return Ok(audited);
    };
    let mut fault =
        |seq, what: &str| audited.faults.push(Fault { run: Some(id), seq, what: what.to_owned() });
    let mut query = db.prepare_cached("SELECT seq, hash, payload FROM event WHERE run = ?1 ORDER BY seq")?;
    let mut rows = query.query([state.key.0])?;
    let (mut previous, mut last, mut events) = (NO_PREDECESSOR.to_vec(), 0, Vec::new());
    while let Some(row) = rows.next()? {
        let (seq, hash, payload) =
            (counted(row.get(0)?), row.get::<_, Vec<u8>>(1)?, row.get::<_, String>(2)?);
        for missing in last + 1..seq {
            fault(Some(missing), "is missing");
        }
        if hash != chained(&previous, &payload) {
            fault(
                Some(seq),
                "does not follow from its predecessor: it, or its hash, is not what was written",
            );
        }
        match wire::decode::<RecordedEvent>(&payload) {
            Ok(recorded) => events.push(recorded.event),
            Err(error) => fault(Some(seq), &error.to_string()),
        }
        (previous, last) = (hash, seq);
    }
    if last != state.version {
        fault(None, &format!("its ledger has {last} events, and {} are recorded", state.version));
    }
    if previous != state.hash {
        fault(None, "its ledger does not end with the hash that is recorded");
    }
    audited.events = events.len() as u64;
    let replayed = replay(&events);
    let money = budget::fault(db, state.key)?;
    for what in differences(&state, replayed.as_ref()).into_iter().chain(money) {
        audited.faults.push(Fault { run: Some(id), seq: None, what });
    }
    Ok(audited)
}

/// How what is stored of a run differs from what its ledger adds up to.
fn differences(state: &State, replayed: Option<&Run>) -> Vec<String> {
    let Some(replayed) = replayed else { return vec!["its ledger does not begin a run".to_owned()] };
    let stored: Run = match wire::decode(&state.snapshot) {
        Ok(run) => run,
        Err(error) => return vec![format!("its state cannot be read: {error}")],
    };
    let mut found = Vec::new();
    if stored != *replayed {
        found.push("its state is not what its ledger adds up to".to_owned());
    }
    let pull_request = stored.pull_request.as_ref().map(|pull_request| pull_request.number.0);
    let head = stored.head.as_ref().map(ToString::to_string);
    if (state.over, state.pull_request, &state.head) != (stored.is_over(), pull_request, &head) {
        found.push("it is not looked up by what its state says".to_owned());
    }
    found
}

fn tombstone_of(db: &Connection, run: RunId) -> Result<Option<i64>> {
    let found = db
        .prepare_cached("SELECT id FROM tombstone WHERE repository = ?1 AND issue = ?2 AND ordinal = ?3")?
        .query_row((identity(run.repository.0), identity(run.issue.0), run.ordinal), |row| row.get(0))
        .optional()?;
    Ok(found)
}

/// Follows the chain of tombstones, and looks that no run is gone without one: runs of an issue are numbered from 1
/// without gaps.
pub(super) fn tombstones(db: &Connection) -> Result<Audited> {
    let mut audited = Audited::default();
    let mut query =
        db.prepare_cached("SELECT repository, issue, ordinal, hash, payload, id FROM tombstone ORDER BY id")?;
    let mut rows = query.query(())?;
    let (mut previous, mut last) = (NO_PREDECESSOR.to_vec(), 0);
    while let Some(row) = rows.next()? {
        let run = run_id_at(row, 0)?;
        let (hash, payload, id) =
            (row.get::<_, Vec<u8>>(3)?, row.get::<_, String>(4)?, row.get::<_, i64>(5)?);
        let mut fault =
            |what: &str| audited.faults.push(Fault { run: Some(run), seq: None, what: what.to_owned() });
        if id != last + 1 || hash != chained(&previous, &payload) {
            fault(
                "its tombstone does not follow from its predecessor: one is missing or not what was written",
            );
        }
        match wire::decode::<Tombstone>(&payload) {
            Ok(tombstone) if tombstone.run != run => fault("its tombstone is about another run"),
            Ok(tombstone) => audited.events_pruned += tombstone.events,
            Err(error) => fault(&error.to_string()),
        }
        if run_key(db, run)?.is_some() {
            fault("it has a tombstone and is there all the same");
        }
        audited.tombstones += 1;
        (previous, last) = (hash, id);
    }
    let mut gaps = db.prepare_cached(
        "SELECT repository, issue, max(ordinal), count(*) FROM \
         (SELECT repository, issue, ordinal FROM run UNION SELECT repository, issue, ordinal FROM tombstone) \
         GROUP BY repository, issue HAVING max(ordinal) <> count(*)",
    )?;
    let mut rows = gaps.query(())?;
    while let Some(row) = rows.next()? {
        let (repository, issue) =
            (RepositoryId(identified(row.get(0)?)), IssueNumber(identified(row.get(1)?)));
        let run = RunId { repository, issue, ordinal: row.get(2)? };
        let what = "an earlier run of its issue is gone, and has no tombstone".to_owned();
        audited.faults.push(Fault { run: Some(run), seq: None, what });
    }
    Ok(audited)
}

/// Looks that every budget that runs share is the sum of its reservations, those of runs that were pruned included.
pub(super) fn shared_budgets(db: &Connection) -> Result<Vec<Fault>> {
    let named = |owner: Owner| match owner {
        Owner::Repository(id) => format!("repository {id}"),
        Owner::Installation(id) => format!("installation {id}"),
    };
    let found = shared_budget::faults(db)?.into_iter();
    let faults = found.map(|(owner, what)| {
        let what = format!("{}: {what}", named(owner));
        Fault { run: None, seq: None, what }
    });
    Ok(faults.collect())
}

/// What the events of a run were decided on.
pub(super) fn origins(db: &Connection, run: RunId) -> Result<Vec<Origin>> {
    let Some(key) = run_key(db, run)? else { return Ok(Vec::new()) };
    let mut query = db.prepare_cached(
        "SELECT event.seq, event.inbox, inbox.guid, inbox.event, inbox.received_at FROM event \
         LEFT JOIN inbox ON inbox.id = event.inbox WHERE event.run = ?1 AND event.inbox IS NOT NULL ORDER BY event.seq",
    )?;
    let rows = query.query_map([key.0], |row| {
        let delivery = match row.get::<_, Option<String>>(2)? {
            Some(guid) => {
                Some(OriginDelivery { guid, event: row.get(3)?, received_at: moment_of(row.get(4)?) })
            }
            None => None,
        };
        Ok(Origin { seq: counted(row.get(0)?), inbox: InboxId(identified(row.get(1)?)), delivery })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
