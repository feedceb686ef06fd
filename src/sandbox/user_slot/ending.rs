//! The end of everything that runs as a slot's user.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rustix::process::Pid;

use super::launch::HELPER_WITHIN;
use super::processes::living;
use super::slots::{Slots, claim};
use crate::adapters::on_disk;
use crate::ports::{CommandSpec, Spawner};
use crate::sandbox::deaths::all_ended;
use crate::sandbox::slot_uids::SlotIds;

/// How often it is tried. What has not ended then waits for a device, and for how long nobody knows.
const ROUNDS: usize = 5;
/// How long the last processes are waited for in each round.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// Ends everything of a slot, and says whether that is so: every process is asked for by the user it runs as, wherever it
/// went to.
pub(super) async fn end_all(spawner: &dyn Spawner, own: &Path, ids: SlotIds) -> bool {
    for _round in 0..ROUNDS {
        let Some(left) = left(ids).await else { return false };
        if left.is_empty() {
            return true;
        }
        let ended = spawner.run(CommandSpec {
            program: own.to_string_lossy().into_owned(),
            arguments: ["slot", "end", &ids.uid.to_string(), &ids.ender.to_string()]
                .map(str::to_owned)
                .into(),
            directory: "/".into(),
            environment: BTreeMap::new(),
            stdin: Vec::new(),
            timeout: HELPER_WITHIN,
            output_bytes_max: 1_000,
        });
        if let Err(error) = ended.await {
            tracing::warn!(%error, uid = ids.uid, "the processes of a slot are not ended yet");
        }
        let _seen_in_the_next_round = on_disk(move || all_ended(&left, LAST_BREATH)).await;
    }
    left(ids).await.is_some_and(|left| left.is_empty())
}

/// What runs as a slot's user; nothing if nobody can tell.
async fn left(ids: SlotIds) -> Option<Vec<Pid>> {
    let listed = on_disk(move || living(|uid| uid == ids.uid)).await;
    let listed = listed.map_err(|error| tracing::error!(%error, "processes cannot be listed"));
    Some(listed.ok()?.into_iter().map(|process| process.pid).collect())
}

/// Ends what servers left in slots that are not there any more.
pub(super) async fn sweep(spawner: &dyn Spawner, own: &Path, slots: &Slots) {
    let uids = slots.uids();
    let any = on_disk(move || living(|uid| uids.holds(uid))).await;
    if any.is_ok_and(|any| any.is_empty()) {
        return;
    }
    for ids in uids.slots() {
        // What somebody uses is no leftover.
        let Ok(Some(slot)) = claim(ids) else { continue };
        let before = left(ids).await.map_or(0, |left| left.len());
        if !end_all(spawner, own, ids).await {
            tracing::error!(
                uid = ids.uid,
                "what an earlier server left in a slot does not end; it is not used"
            );
            slots.condemn(slot);
        } else if before > 0 {
            tracing::warn!(uid = ids.uid, processes = before, "ended what an earlier server left in a slot");
        }
    }
}
