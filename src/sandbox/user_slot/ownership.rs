//! Whose the files are that a cage works on: the slot's while somebody is in it, and then the server's again.
//!
//! Nothing here follows a link. Nobody but us is at work in these trees meanwhile: before, no cage is in them, and
//! afterwards every process of the slot has ended.

use std::collections::BTreeMap;
use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

use crate::sandbox::TreeAccess;
use crate::sandbox::slot_uids::{SlotIds, SlotUids};

/// Where temporary files go, in the home. It is there for one cage only.
pub(super) const TEMPORARY: &str = ".pairbot-tmp";

/// Lets a slot work in worktree and home.
pub(super) fn give(worktree: &Path, access: TreeAccess, home: &Path, ids: SlotIds) -> io::Result<()> {
    let temporary = home.join(TEMPORARY);
    clear(&temporary)?;
    fs::create_dir(&temporary).map_err(named(&temporary))?;
    let mut linked = Linked::default();
    match access {
        TreeAccess::Write => hand_over(worktree, ids, &mut linked)?,
        TreeAccess::Read => show(worktree, ids)?,
    }
    hand_over(home, ids, &mut linked)?;
    linked.hand_over(ids)
}

/// Takes worktree and home back, with all that was made there.
pub(super) fn take_back(worktree: &Path, home: &Path, ids: SlotIds) -> io::Result<()> {
    let (uid, gid) = server();
    for root in [worktree, home] {
        before_its_entries(root, &mut |path, facts| {
            if facts.uid() == ids.uid || facts.gid() == ids.gid {
                // The kernel takes the bits by which a program gets its owner's rights away from it.
                lchown(path, Some(uid), Some(gid)).map_err(named(path))?;
            }
            Ok(())
        })?;
    }
    clear(&home.join(TEMPORARY))
}

/// Lets slots pass to a folder, and no further: through the directories above it. Those of the server are opened to the
/// slots' group where that takes nothing from anybody; what else stands in the way is told.
pub(super) fn open_way(folder: &Path, own: &Path, uids: SlotUids) -> Result<(), String> {
    let group = uids.first();
    for above in folder.ancestors().skip(1) {
        let facts = fs::metadata(above).map_err(|error| format!("{}: {error}", folder.display()))?;
        let passes = if facts.gid() == group { 0o010 } else { 0o001 };
        if facts.mode() & passes != 0 {
            continue;
        }
        let nobodys = facts.mode() & 0o070 == 0 || facts.gid() == server().1;
        if !above.starts_with(own) || !nobodys {
            return Err(format!(
                "no other user may pass through {}: `chmod o+x {0}`, or set PAIRBOT_DATA_DIR elsewhere",
                above.display()
            ));
        }
        lchown(above, None, Some(group))
            .and_then(|()| fs::set_permissions(above, Permissions::from_mode(facts.mode() & 0o7777 | 0o010)))
            .map_err(|error| format!("{} cannot be opened to the slots' group: {error}", above.display()))?;
    }
    Ok(())
}

fn server() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

fn named(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    let path = path.display().to_string();
    move |error| io::Error::new(error.kind(), format!("{path}: {error}"))
}

fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(named(folder)),
    }
}

/// Files that have several names. They are handed over only if all of those are in the cage: who owns a file under one
/// name owns it under the others, and a store of git or of a package manager must not be among them.
#[derive(Debug, Default)]
struct Linked(BTreeMap<(u64, u64), (u64, u64, PathBuf)>);

impl Linked {
    fn see(&mut self, path: &Path, facts: &Metadata) {
        let seen = self.0.entry((facts.dev(), facts.ino())).or_insert((0, facts.nlink(), path.to_owned()));
        seen.0 += 1;
    }

    fn hand_over(self, ids: SlotIds) -> io::Result<()> {
        for (seen, names, path) in self.0.into_values() {
            if seen < names {
                let why = format!("{} has another name outside of worktree and home", path.display());
                return Err(io::Error::new(ErrorKind::PermissionDenied, why));
            }
            lchown(&path, Some(ids.uid), Some(ids.gid)).map_err(named(&path))?;
        }
        Ok(())
    }
}

fn hand_over(root: &Path, ids: SlotIds, linked: &mut Linked) -> io::Result<()> {
    after_its_entries(root, &mut |path, facts| {
        if facts.nlink() > 1 && !facts.is_dir() {
            linked.see(path, facts);
            return Ok(());
        }
        lchown(path, Some(ids.uid), Some(ids.gid)).map_err(named(path))
    })
}

/// Lets the slots' group read a tree. It stays the server's, so nobody in the cage changes even a mode.
fn show(root: &Path, ids: SlotIds) -> io::Result<()> {
    after_its_entries(root, &mut |path, facts| {
        lchown(path, None, Some(ids.gid)).map_err(named(path))?;
        let mode = facts.mode() & 0o7777;
        // The group may read and execute what the owner may, and write nothing.
        let shown = mode & !0o070 | (mode & 0o500) >> 3;
        if facts.is_symlink() || shown == mode {
            return Ok(());
        }
        fs::set_permissions(path, Permissions::from_mode(shown)).map_err(named(path))
    })
}

type Visit<'a> = dyn FnMut(&Path, &Metadata) -> io::Result<()> + 'a;

/// Everything beneath a folder, and then the folder: as long as it is ours it can be read.
fn after_its_entries(root: &Path, visit: &mut Visit<'_>) -> io::Result<()> {
    let mut order: Vec<(PathBuf, Metadata)> = Vec::new();
    before_its_entries(root, &mut |path, facts| {
        order.push((path.to_owned(), facts.clone()));
        Ok(())
    })?;
    order.into_iter().rev().try_for_each(|(path, facts)| visit(&path, &facts))
}

/// A folder and then everything beneath it, on the same disk.
fn before_its_entries(root: &Path, visit: &mut Visit<'_>) -> io::Result<()> {
    let facts = fs::symlink_metadata(root).map_err(named(root))?;
    if !facts.is_dir() {
        let why = format!("{} is no directory", root.display());
        return Err(io::Error::new(ErrorKind::NotADirectory, why));
    }
    let disk = facts.dev();
    let mut waiting = vec![(root.to_owned(), facts)];
    while let Some((path, facts)) = waiting.pop() {
        visit(&path, &facts)?;
        if !facts.is_dir() || facts.dev() != disk {
            continue;
        }
        for entry in fs::read_dir(&path).map_err(named(&path))? {
            let entry = entry.map_err(named(&path))?;
            let facts = entry.metadata().map_err(named(&entry.path()))?;
            waiting.push((entry.path(), facts));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const IDS: SlotIds = SlotIds { uid: 1_900_000_020, ender: 1_900_000_021, gid: 1_900_000_020 };

    /// A worktree and a home; none where this process may not give files away.
    fn place() -> Option<(tempfile::TempDir, PathBuf, PathBuf)> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root gives files to others");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let (tree, home) = (directory.path().join("tree"), directory.path().join("home"));
        for folder in [&tree, &home] {
            fs::create_dir(folder).unwrap();
        }
        Some((directory, tree, home))
    }

    fn owner(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().uid()
    }

    #[test]
    fn files_are_the_slots_and_then_the_servers_again_and_no_link_is_followed() {
        let Some((directory, tree, home)) = place() else { return };
        let outside = directory.path().join("outside");
        fs::write(&outside, "").unwrap();
        fs::create_dir(tree.join("src")).unwrap();
        fs::write(tree.join("src/a"), "").unwrap();
        symlink(&outside, tree.join("src/link")).unwrap();
        symlink(directory.path(), home.join("folder")).unwrap();
        give(&tree, TreeAccess::Write, &home, IDS).unwrap();
        for mine in [&tree, &home, &tree.join("src/a"), &tree.join("src/link"), &home.join(TEMPORARY)] {
            assert_eq!(owner(mine), IDS.uid, "{}", mine.display());
        }
        assert_eq!(owner(&outside), 0);
        let gains_rights = tree.join("src/a");
        fs::set_permissions(&gains_rights, Permissions::from_mode(0o6755)).unwrap();
        take_back(&tree, &home, IDS).unwrap();
        assert_eq!((owner(&tree), owner(&home), owner(&gains_rights)), (0, 0, 0));
        assert_eq!(fs::metadata(&gains_rights).unwrap().mode() & 0o7777, 0o755, "no program of root's");
        assert!(!home.join(TEMPORARY).exists());
    }

    #[test]
    fn a_file_that_has_a_name_elsewhere_is_not_given_away() {
        let Some((directory, tree, home)) = place() else { return };
        let object = directory.path().join("object");
        fs::write(&object, "").unwrap();
        fs::hard_link(&object, tree.join("object")).unwrap();
        let refused = give(&tree, TreeAccess::Write, &home, IDS).unwrap_err().to_string();
        assert!(refused.contains("object has another name"), "{refused}");
        assert_eq!(owner(&object), 0);
        fs::remove_file(&object).unwrap();
        fs::hard_link(tree.join("object"), home.join("second")).unwrap();
        give(&tree, TreeAccess::Write, &home, IDS).unwrap();
        assert_eq!(owner(&home.join("second")), IDS.uid);
    }

    #[test]
    fn a_tree_that_is_only_read_stays_the_servers() {
        let Some((_directory, tree, home)) = place() else { return };
        let file = tree.join("file");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o660)).unwrap();
        give(&tree, TreeAccess::Read, &home, IDS).unwrap();
        let facts = fs::metadata(&file).unwrap();
        assert_eq!((facts.uid(), facts.gid(), facts.mode() & 0o777), (0, IDS.gid, 0o640));
        take_back(&tree, &home, IDS).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().gid(), 0);
    }

    #[test]
    fn the_way_is_opened_to_slots_and_to_nobody_else() {
        let Some((directory, tree, _home)) = place() else { return };
        let uids: SlotUids = "1900000020-1900000021".parse().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        open_way(&tree, directory.path(), uids).unwrap();
        let facts = fs::metadata(directory.path()).unwrap();
        assert_eq!((facts.gid(), facts.mode() & 0o777), (uids.first(), 0o710));
        fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        let refused = open_way(&tree, Path::new("/elsewhere"), uids).unwrap_err();
        assert!(refused.contains("PAIRBOT_DATA_DIR"), "{refused}");
        assert_eq!(fs::metadata(directory.path()).unwrap().mode() & 0o777, 0o700);
    }
}
