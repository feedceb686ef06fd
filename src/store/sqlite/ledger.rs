//! Runs: one transaction a decision, one hash chain a ledger.

use pairbot_protocol::effect::{Effect, StoreChange};
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{RunId, Timestamp};
use pairbot_protocol::run::Run;
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use super::columns::{RunKey, amount, counted, identity, moment, run_key};
use super::failure::{contradiction, corrupt, unreadable, unwritable};
use super::inbox::{self, RowState};
use super::outbox::{self, NewTask};
use super::{budget, timers};
use crate::store::{Commit, Committed, InboxId, LedgerEntry, Result, StoreError, StoredRun};
use crate::wire::{self, RecordedEvent};

/// What the first event of a ledger has for a predecessor.
pub(super) const NO_PREDECESSOR: [u8; 32] = [0; 32];

/// A decision with everything encoded that can be before the writer has it.
#[derive(Debug)]
pub(super) struct NewDecision {
    inbox: Option<InboxId>,
    run: RunId,
    version_before: u64,
    events: Vec<String>,
    run_after: Run,
    snapshot: String,
    effects: Vec<NewEffect>,
    at: Timestamp,
}

#[derive(Debug)]
enum NewEffect {
    Task(NewTask),
    Change(StoreChange),
}

impl NewDecision {
    pub(super) fn of(decision: Commit) -> Result<Self> {
        let Commit { inbox, run, version_before, events, run_after, effects, at } = decision;
        if run_after.id != run {
            return Err(contradiction(format!("a decision on run {run} ends in run {}", run_after.id)));
        }
        let record = |event: Event| wire::encode(&RecordedEvent { at, event }).map_err(unwritable);
        let effects = effects.into_iter().map(|effect| {
            Ok(match effect {
                Effect::Work(work) => NewEffect::Task(NewTask::work(work)?),
                Effect::Publish(publication) => NewEffect::Task(NewTask::publication(publication)?),
                Effect::Store(change) => NewEffect::Change(change),
            })
        });
        Ok(Self {
            inbox,
            run,
            version_before,
            events: events.into_iter().map(record).collect::<Result<_>>()?,
            snapshot: wire::encode(&run_after).map_err(unwritable)?,
            run_after,
            effects: effects.collect::<Result<_>>()?,
            at,
        })
    }

    pub(super) fn withdraws_work(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, NewEffect::Change(StoreChange::CancelWork)))
    }
}

/// The state of a ledger's end.
struct Tip {
    key: Option<RunKey>,
    version: u64,
    hash: [u8; 32],
}

pub(super) fn commit(db: &Connection, decision: &NewDecision) -> Result<Committed> {
    let tip = tip(db, decision.run)?;
    if tip.version != decision.version_before {
        return Err(StoreError::Conflict {
            run: decision.run,
            expected: decision.version_before,
            found: tip.version,
        });
    }
    if let Some(inbox) = decision.inbox {
        inbox::settle(db, inbox, RowState::Applied, None, Some(decision.at))?;
    }
    let tasks = match (tip.key, decision.events.is_empty()) {
        (None, true) if decision.effects.is_empty() => Vec::new(),
        (None, true) => {
            return Err(contradiction(format!("effects of run {}, which has no event", decision.run)));
        }
        (Some(key), true) => bring_about(db, key, tip.version, decision)?,
        (key, false) => {
            let key = append(db, key, &tip, decision)?;
            let version = tip.version.saturating_add(decision.events.len() as u64);
            bring_about(db, key, version, decision)?
        }
    };
    Ok(Committed { tasks })
}

fn tip(db: &Connection, run: RunId) -> Result<Tip> {
    let found = db
        .prepare_cached(
            "SELECT id, version, hash FROM run WHERE repository = ?1 AND issue = ?2 AND ordinal = ?3",
        )?
        .query_row((identity(run.repository.0), identity(run.issue.0), run.ordinal), |row| {
            Ok(Tip { key: Some(RunKey(row.get(0)?)), version: counted(row.get(1)?), hash: row.get(2)? })
        })
        .optional()?;
    Ok(found.unwrap_or(Tip { key: None, version: 0, hash: NO_PREDECESSOR }))
}

/// Appends the events and replaces the state.
fn append(db: &Connection, key: Option<RunKey>, tip: &Tip, decision: &NewDecision) -> Result<RunKey> {
    let hashes: Vec<[u8; 32]> = decision
        .events
        .iter()
        .scan(tip.hash, |previous, payload| {
            *previous = chained(previous, payload);
            Some(*previous)
        })
        .collect();
    let version = tip.version.saturating_add(decision.events.len() as u64);
    let hash = hashes.last().unwrap_or(&tip.hash);
    let run = &decision.run_after;
    let key = if let Some(key) = key {
        update(db, key, run, version, hash, decision)?;
        key
    } else {
        refuse_pruned(db, decision.run)?;
        insert(db, run, version, hash, decision)?
    };
    let mut event =
        db.prepare_cached("INSERT INTO event (run, seq, hash, payload, inbox) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let inbox = decision.inbox.map(|inbox| identity(inbox.0));
    for ((seq, payload), hash) in (tip.version.saturating_add(1)..).zip(&decision.events).zip(&hashes) {
        event.execute((key.0, amount(seq), hash, payload, inbox))?;
    }
    Ok(key)
}

/// A run that was pruned does not begin anew: its name stands for what its tombstone tells.
fn refuse_pruned(db: &Connection, run: RunId) -> Result<()> {
    let pruned = db
        .prepare_cached("SELECT 1 FROM tombstone WHERE repository = ?1 AND issue = ?2 AND ordinal = ?3")?
        .exists((identity(run.repository.0), identity(run.issue.0), run.ordinal))?;
    if pruned { Err(contradiction(format!("run {run} was pruned"))) } else { Ok(()) }
}

fn insert(
    db: &Connection,
    run: &Run,
    version: u64,
    hash: &[u8; 32],
    decision: &NewDecision,
) -> Result<RunKey> {
    db.prepare_cached(
        "INSERT INTO run (repository, issue, ordinal, installation, version, over, pull_request, updated_at, head, \
         hash, snapshot) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute((
        identity(run.id.repository.0),
        identity(run.id.issue.0),
        run.id.ordinal,
        identity(run.installation.0),
        amount(version),
        run.is_over(),
        run.pull_request.as_ref().map(|pull_request| identity(pull_request.number.0)),
        moment(decision.at),
        run.head.as_ref().map(pairbot_protocol::ids::HeadSha::as_str),
        hash,
        &decision.snapshot,
    ))?;
    Ok(RunKey(db.last_insert_rowid()))
}

fn update(
    db: &Connection,
    key: RunKey,
    run: &Run,
    version: u64,
    hash: &[u8; 32],
    decision: &NewDecision,
) -> Result<()> {
    db.prepare_cached(
        "UPDATE run SET installation = ?2, version = ?3, over = ?4, pull_request = ?5, updated_at = ?6, head = ?7, \
         hash = ?8, snapshot = ?9 WHERE id = ?1",
    )?
    .execute((
        key.0,
        identity(run.installation.0),
        amount(version),
        run.is_over(),
        run.pull_request.as_ref().map(|pull_request| identity(pull_request.number.0)),
        moment(decision.at),
        run.head.as_ref().map(pairbot_protocol::ids::HeadSha::as_str),
        hash,
        &decision.snapshot,
    ))?;
    Ok(())
}

/// Carries out the effects, in their order: what is withdrawn was queued before, what follows is not.
fn bring_about(
    db: &Connection,
    key: RunKey,
    version: u64,
    decision: &NewDecision,
) -> Result<Vec<pairbot_protocol::ids::TaskId>> {
    let mut tasks = Vec::new();
    for effect in &decision.effects {
        match effect {
            NewEffect::Task(task) => {
                let installation = decision.run_after.installation;
                tasks.push(outbox::enqueue(db, key, installation, task, version, decision.at)?);
            }
            NewEffect::Change(StoreChange::CancelWork) => outbox::cancel_work(db, key, decision.at)?,
            NewEffect::Change(StoreChange::SetBudget { limit, tokens }) => {
                budget::set_limit(db, key, *limit, *tokens)?;
            }
            NewEffect::Change(StoreChange::StartTimer { timer, at }) => timers::start(db, key, timer, *at)?,
        }
    }
    Ok(tasks)
}

pub(super) fn chained(previous: &[u8], payload: &str) -> [u8; 32] {
    Sha256::new().chain_update(previous).chain_update(payload.as_bytes()).finalize().into()
}

pub(super) fn run(db: &Connection, id: RunId) -> Result<Option<StoredRun>> {
    let row: Option<(i64, String)> = db
        .prepare_cached(
            "SELECT version, snapshot FROM run WHERE repository = ?1 AND issue = ?2 AND ordinal = ?3",
        )?
        .query_row((identity(id.repository.0), identity(id.issue.0), id.ordinal), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((version, snapshot)) = row else { return Ok(None) };
    let run = wire::decode(&snapshot).map_err(unreadable(format!("run {id}")))?;
    Ok(Some(StoredRun { run, version: counted(version) }))
}

/// Reads a ledger and follows its chain.
pub(super) fn entries(db: &Connection, id: RunId) -> Result<Vec<LedgerEntry>> {
    let Some(key) = run_key(db, id)? else { return Ok(Vec::new()) };
    let Tip { version, hash: end, .. } = tip(db, id)?;
    let mut query = db.prepare_cached("SELECT seq, hash, payload FROM event WHERE run = ?1 ORDER BY seq")?;
    let rows = query.query_map([key.0], |row| {
        Ok((counted(row.get(0)?), row.get::<_, [u8; 32]>(1)?, row.get::<_, String>(2)?))
    })?;
    let (mut entries, mut previous) = (Vec::new(), NO_PREDECESSOR);
    for (expected, row) in (1..).zip(rows) {
        let (seq, hash, payload) = row?;
        if seq != expected || hash != chained(&previous, &payload) {
            return Err(corrupt(format!(
                "event {expected} of run {id} does not follow from its predecessor"
            )));
        }
        let RecordedEvent { at, event } =
            wire::decode(&payload).map_err(unreadable(format!("event {seq} of run {id}")))?;
        entries.push(LedgerEntry { seq, at, event, hash });
        previous = hash;
    }
    if entries.len() as u64 != version || previous != end {
        return Err(corrupt(format!("the ledger of run {id} does not end where its state says")));
    }
    Ok(entries)
}
