//! The inbox: what came in, once.

use pairbot_protocol::ids::Timestamp;
use pairbot_protocol::signal::Envelope;
use rusqlite::{Connection, OptionalExtension as _};
use sha2::{Digest, Sha256};

use super::columns::{identified, identity, limit, moment, moment_of};
use super::failure::unwritable;
use crate::store::{Accepted, Content, Delivery, InboxId, InboxRow, Result, StoreError};
use crate::wire::{self, WireError};

/// States of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowState {
    Pending = 0,
    Applied = 1,
    Ignored = 2,
    Unreadable = 3,
    Dropped = 4,
}

impl RowState {
    pub(super) fn column(self) -> u8 {
        self as u8
    }
}

/// A row with everything computed that can be before the writer has it.
#[derive(Debug)]
pub(super) struct NewRow {
    state: RowState,
    received_at: i64,
    guid_hash: i64,
    meaning_hash: Option<i64>,
    installation: Option<i64>,
    guid: String,
    meaning: Option<String>,
    event: String,
    signal: Option<String>,
    note: Option<String>,
}

impl NewRow {
    pub(super) fn of_delivery(delivery: Delivery) -> Result<Self> {
        let (state, installation, signal, note) = match delivery.content {
            Content::Signal(envelope) => {
                let signal = wire::encode(&envelope).map_err(unwritable)?;
                (RowState::Pending, Some(envelope.installation), Some(signal), None)
            }
            Content::Ignored { installation, reason } => {
                (RowState::Ignored, installation, None, Some(reason))
            }
        };
        Ok(Self {
            state,
            received_at: moment(delivery.received_at),
            guid_hash: fingerprint(&delivery.guid),
            meaning_hash: delivery.meaning.as_deref().map(fingerprint),
            installation: installation.map(|id| identity(id.0)),
            guid: delivery.guid,
            meaning: delivery.meaning,
            event: delivery.event,
            signal,
            note,
        })
    }

    /// A signal of our own: `event` says from where.
    pub(super) fn of_signal(guid: String, event: &str, envelope: &Envelope, at: Timestamp) -> Result<Self> {
        Ok(Self {
            state: RowState::Pending,
            received_at: moment(at),
            guid_hash: fingerprint(&guid),
            meaning_hash: None,
            installation: Some(identity(envelope.installation.0)),
            guid,
            meaning: None,
            event: event.to_owned(),
            signal: Some(wire::encode(envelope).map_err(unwritable)?),
            note: None,
        })
    }

    /// Something of our own that this version cannot read: kept, so that nothing is dropped silently.
    pub(super) fn of_unreadable(
        guid: String,
        event: &str,
        payload: String,
        why: &str,
        at: Timestamp,
    ) -> Self {
        Self {
            state: RowState::Unreadable,
            received_at: moment(at),
            guid_hash: fingerprint(&guid),
            meaning_hash: None,
            installation: None,
            guid,
            meaning: None,
            event: event.to_owned(),
            signal: Some(payload),
            note: Some(why.to_owned()),
        }
    }
}

/// Eight bytes that stand for a text in an index: a third of the pages that the text itself would take.
fn fingerprint(text: &str) -> i64 {
    let mut first = [0_u8; 8];
    for (to, from) in first.iter_mut().zip(Sha256::digest(text.as_bytes())) {
        *to = from;
    }
    i64::from_be_bytes(first)
}

/// Stores a delivery that is new. Only the last statement writes, so no savepoint is needed around it.
pub(super) fn accept(db: &Connection, row: &NewRow) -> Result<Accepted> {
    let same_delivery = db
        .prepare_cached("SELECT 1 FROM inbox INDEXED BY inbox_guid WHERE guid_hash = ?1 AND guid = ?2")?
        .exists((row.guid_hash, &row.guid))?;
    if same_delivery {
        return Ok(Accepted::SameDelivery);
    }
    if row.meaning_hash.is_some() {
        let same_meaning = db
            .prepare_cached(
                "SELECT 1 FROM inbox INDEXED BY inbox_meaning WHERE meaning_hash = ?1 AND meaning = ?2",
            )?
            .exists((row.meaning_hash, &row.meaning))?;
        if same_meaning {
            return Ok(Accepted::SameMeaning);
        }
    }
    insert(db, row)?;
    Ok(Accepted::New)
}

/// Stores a row whose guid is known to be new.
pub(super) fn insert(db: &Connection, row: &NewRow) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO inbox (state, received_at, guid_hash, meaning_hash, installation, guid, meaning, event, \
         signal, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute((
        row.state.column(),
        row.received_at,
        row.guid_hash,
        row.meaning_hash,
        row.installation,
        &row.guid,
        &row.meaning,
        &row.event,
        &row.signal,
        &row.note,
    ))?;
    Ok(())
}

/// A pending row, or why it cannot be read.
pub(super) type Pending = std::result::Result<InboxRow, (InboxId, WireError)>;

/// What waits, oldest first, of each installation its oldest: however much waits of one, the others' is among it. Where
/// there are more installations than rows are asked for, those come whose oldest row waits longest.
pub(super) fn pending(db: &Connection, rows_max: usize) -> Result<Vec<Pending>> {
    let mut waiting = installations(db)?;
    waiting.sort_unstable_by_key(|(_, oldest)| *oldest);
    waiting.truncate(rows_max);
    let mut queues: Vec<_> = Vec::with_capacity(waiting.len());
    for (installation, _) in waiting {
        queues.push(oldest_of(db, installation, rows_max)?.into_iter());
    }
    let mut ids = Vec::with_capacity(rows_max);
    while ids.len() < rows_max {
        let before = ids.len();
        ids.extend(queues.iter_mut().filter_map(Iterator::next).take(rows_max - before));
        if ids.len() == before {
            break;
        }
    }
    ids.sort_unstable();
    ids.into_iter().map(|id| row(db, id)).collect()
}

/// Installations that something waits for, each with its oldest row. The index is entered once for each.
fn installations(db: &Connection) -> Result<Vec<(i64, i64)>> {
    let mut first = db.prepare_cached(
        "SELECT installation, id FROM inbox INDEXED BY inbox_pending WHERE state = 0 AND installation >= ?1 \
         ORDER BY installation, id LIMIT 1",
    )?;
    let (mut found, mut from) = (Vec::new(), Some(i64::MIN));
    while let Some(after) = from {
        let next = first.query_row([after], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        from = next.and_then(|(installation, _): (i64, i64)| installation.checked_add(1));
        found.extend(next);
    }
    Ok(found)
}

fn oldest_of(db: &Connection, installation: i64, rows_max: usize) -> Result<Vec<i64>> {
    let mut query = db.prepare_cached(
        "SELECT id FROM inbox INDEXED BY inbox_pending WHERE state = 0 AND installation = ?1 ORDER BY id LIMIT ?2",
    )?;
    let ids = query.query_map((installation, limit(rows_max)), |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

fn row(db: &Connection, id: i64) -> Result<Pending> {
    let mut query = db.prepare_cached("SELECT guid, received_at, signal FROM inbox WHERE id = ?1")?;
    let row = query.query_row([id], |row| {
        let signal: Option<String> = row.get(2)?;
        let (id, guid, received_at) = (InboxId(identified(id)), row.get(0)?, moment_of(row.get(1)?));
        Ok(match wire::decode(&signal.unwrap_or_default()) {
            Ok(envelope) => Ok(InboxRow { id, guid, received_at, envelope }),
            Err(error) => Err((id, error)),
        })
    })?;
    Ok(row)
}

/// Settles a row that is pending.
pub(super) fn settle(
    db: &Connection,
    id: InboxId,
    state: RowState,
    note: Option<&str>,
    now: Option<Timestamp>,
) -> Result<()> {
    let settled = db
        .prepare_cached(
            "UPDATE inbox SET state = ?2, note = ?3, settled_at = ?4 WHERE id = ?1 AND state = 0",
        )?
        .execute((identity(id.0), state.column(), note, now.map(moment)))?;
    if settled == 1 { Ok(()) } else { Err(StoreError::AlreadySettled { inbox: id }) }
}

/// Sets rows aside that cannot be read. One that was settled meanwhile stays as it is.
pub(super) fn set_aside(db: &Connection, unreadable: &[(InboxId, WireError)]) -> Result<()> {
    for (id, why) in unreadable {
        match settle(db, *id, RowState::Unreadable, Some(&why.to_string()), None) {
            Ok(()) | Err(StoreError::AlreadySettled { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
