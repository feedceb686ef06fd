//! What a program in a cage fills the disk with.
//!
//! Worktree and home are folders of the host, and no kernel bounds a folder. So the disk's free room is looked at, which
//! costs nothing, and only when much of it went the folders are measured. A program can fill the disk faster than it is
//! looked; it is then ended all the same, and what it wrote goes with its worktree.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::statvfs;

use super::Cage;
use crate::adapters::on_disk;
use crate::ports::Clock;

/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The share of the limit that must have gone before anything is measured.
const SUSPICIOUS_SHARE: u64 = 8;
/// The share of the disk's free room that one cage can have.
const FREE_SHARE: u64 = 2;

/// Returns the limit once worktree and home are larger together.
pub(super) async fn outgrown(clock: &dyn Clock, cage: &Cage) -> u64 {
    let mut before = free(&cage.worktree);
    let limit = before.map_or(cage.limits.disk_bytes, |free| cage.limits.disk_bytes.min(free / FREE_SHARE));
    loop {
        clock.sleep(LOOK_EVERY).await;
        let now = free(&cage.worktree);
        if let (Some(before), Some(now)) = (before, now)
            && before.saturating_sub(now) < limit / SUSPICIOUS_SHARE
        {
            continue;
        }
        before = now;
        let folders = [cage.worktree.clone(), cage.home.clone()];
        let size = on_disk(move || Ok(folders.iter().map(|folder| size(folder)).sum::<u64>())).await;
        if size.is_ok_and(|size| size > limit) {
            return limit;
        }
    }
}

/// How much room the disk of a folder has; none if it does not say.
fn free(folder: &Path) -> Option<u64> {
    statvfs(folder).ok().map(|facts| facts.f_bavail.saturating_mul(facts.f_frsize))
}

/// What the files beneath a folder take of the disk. What is unreadable or goes away meanwhile does not count.
fn size(folder: &Path) -> u64 {
    let mut bytes = 0_u64;
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let _unreadable: io::Result<()> = std::fs::read_dir(folder).map(|entries| {
            for entry in entries.flatten() {
                use std::os::unix::fs::MetadataExt as _;
                // Of the entry itself: a link counts as a link.
                let Ok(facts) = entry.metadata() else { continue };
                bytes = bytes.saturating_add(facts.blocks().saturating_mul(512));
                if facts.is_dir() {
                    folders.push(entry.path());
                }
            }
        });
    }
    bytes
}
