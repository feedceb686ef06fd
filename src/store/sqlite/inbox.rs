//! The inbox: what came in, once.

use pairbot_protocol::ids::Timestamp;
use pairbot_protocol::signal::Envelope;
use rusqlite::Connection;
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

pub(super) fn pending(db: &Connection, rows_max: usize) -> Result<Vec<Pending>> {
    let mut query = db.prepare_cached(
        "SELECT id, guid, received_at, signal FROM inbox INDEXED BY inbox_pending WHERE state = 0 \
         ORDER BY id LIMIT ?1",
    )?;
    let rows = query.query_map([limit(rows_max)], |row| {
        let id = InboxId(identified(row.get(0)?));
        let signal: Option<String> = row.get(3)?;
        let (guid, received_at) = (row.get(1)?, moment_of(row.get(2)?));
        Ok(match wire::decode(&signal.unwrap_or_default()) {
            Ok(envelope) => Ok(InboxRow { id, guid, received_at, envelope }),
            Err(error) => Err((id, error)),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
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
