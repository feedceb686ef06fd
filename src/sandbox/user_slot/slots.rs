//! Which user a cage runs as: one cage at a time, on the whole machine.

use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

use crate::sandbox::slot_uids::{SlotIds, SlotUids};

/// The slots of this server.
#[derive(Debug)]
pub(super) struct Slots {
    uids: SlotUids,
    /// What is never used again, since something in it could not be ended.
    condemned: Mutex<Vec<Slot>>,
}

/// A slot that is ours. The claim is a socket without a file, which the kernel gives to one process of the machine and
/// takes back when that process ends, however it does. Nobody listens at it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) ids: SlotIds,
    _claim: UnixListener,
}

impl Slots {
    pub(super) fn of(uids: SlotUids) -> Self {
        Self { uids, condemned: Mutex::default() }
    }

    pub(super) fn uids(&self) -> SlotUids {
        self.uids
    }

    /// A slot that nobody uses.
    pub(super) fn take(&self) -> io::Result<Slot> {
        for ids in self.uids.slots() {
            if let Some(slot) = claim(ids)? {
                return Ok(slot);
            }
        }
        let why = format!("each of the users {} has a cage already, or had one that did not end", self.uids);
        Err(io::Error::new(ErrorKind::WouldBlock, why))
    }

    /// Puts a slot where nobody gets it any more.
    pub(super) fn condemn(&self, slot: Slot) {
        self.condemned.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
    }
}

/// This slot, unless somebody uses it.
pub(super) fn claim(ids: SlotIds) -> io::Result<Option<Slot>> {
    let name = SocketAddr::from_abstract_name(format!("pairbot-slot-{}", ids.uid))?;
    match UnixListener::bind_addr(&name) {
        Ok(claim) => Ok(Some(Slot { ids, _claim: claim })),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(range: &str) -> Slots {
        Slots::of(range.parse().unwrap())
    }

    #[test]
    fn a_slot_has_one_cage_at_a_time_on_the_whole_machine() {
        let (one, other) = (slots("1900000000-1900000003"), slots("1900000000-1900000003"));
        let first = one.take().unwrap();
        let second = other.take().unwrap();
        assert_ne!(first.ids.uid, second.ids.uid);
        let refused = one.take().unwrap_err().to_string();
        assert!(refused.contains("1900000000-1900000003"), "{refused}");
        assert!(claim(first.ids).unwrap().is_none());
        let uid = first.ids.uid;
        drop(first);
        assert_eq!(other.take().unwrap().ids.uid, uid);
    }

    #[test]
    fn a_slot_whose_processes_did_not_end_is_never_used_again() {
        let slots = slots("1900000010-1900000013");
        let bad = slots.take().unwrap();
        let ids = bad.ids;
        slots.condemn(bad);
        let good = slots.take().unwrap();
        assert_ne!(good.ids, ids);
        assert!(slots.take().is_err(), "only one of two is left");
        assert!(claim(ids).unwrap().is_none());
    }
}
