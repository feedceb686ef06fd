//! The users that cages run as where no namespaces can be made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Users below this are people, services, and `nobody`.
const FIRST_MIN: u32 = 65_536;
/// Beyond this are users that the kernel gives a meaning of its own to.
const LAST_MAX: u32 = 0x7fff_ffff;
/// More cages at a time than any machine has memory for.
const SLOTS_MAX: u32 = 1024;

/// A range of users, and of groups of the same numbers, that belong to this server alone and to no account.
///
/// Its first half are slots: each is the user of one cage at a time. Its second half ends what runs in them: who kills all
/// processes of a user must have that user's rights, and must not be one whom that user may kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotUids {
    first: u32,
    slots: u32,
}

/// What one slot is to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotIds {
    /// Whoever runs in it.
    pub uid: u32,
    /// Whoever ends what runs in it.
    pub ender: u32,
    /// The group of all slots, by which they pass through the server's directories.
    pub gid: u32,
}

/// Text that is no range of users for slots.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not `FIRST-LAST`, an even count of 2 to {count} user ids between {FIRST_MIN} and {LAST_MAX}",
    count = 2 * SLOTS_MAX
)]
pub struct MalformedUids;

impl Default for SlotUids {
    fn default() -> Self {
        Self { first: 200_000, slots: 64 }
    }
}

impl FromStr for SlotUids {
    type Err = MalformedUids;

    fn from_str(text: &str) -> Result<Self, MalformedUids> {
        let (first, last) = text.trim().split_once('-').ok_or(MalformedUids)?;
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| MalformedUids);
        let (first, last) = (number(first)?, number(last)?);
        let count = last.checked_sub(first).and_then(|rest| rest.checked_add(1)).ok_or(MalformedUids)?;
        if first < FIRST_MIN || last > LAST_MAX || count % 2 != 0 || count / 2 > SLOTS_MAX {
            return Err(MalformedUids);
        }
        Ok(Self { first, slots: count / 2 })
    }
}

impl fmt::Display for SlotUids {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.first, self.last())
    }
}

impl SlotUids {
    /// The first user, which is also the group of all slots.
    pub fn first(self) -> u32 {
        self.first
    }

    /// The last user.
    pub fn last(self) -> u32 {
        self.first + 2 * self.slots - 1
    }

    /// The slots.
    pub fn slots(self) -> impl Iterator<Item = SlotIds> {
        let Self { first, slots } = self;
        (first..first + slots).map(move |uid| SlotIds { uid, ender: uid + slots, gid: first })
    }

    /// Whether a user is one of these.
    pub fn holds(self, uid: u32) -> bool {
        (self.first..=self.last()).contains(&uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_has_a_user_and_an_ender_of_its_own() {
        let uids: SlotUids = "300000-300003".parse().unwrap();
        let slots: Vec<_> = uids.slots().map(|ids| (ids.uid, ids.ender, ids.gid)).collect();
        assert_eq!(slots, [(300_000, 300_002, 300_000), (300_001, 300_003, 300_000)]);
        assert!(uids.holds(300_003) && !uids.holds(300_004) && !uids.holds(0));
        assert_eq!(SlotUids::default().to_string(), "200000-200127");
    }

    #[test]
    fn no_range_of_people_and_services_is_taken() {
        for wrong in
            ["", "200000", "0-127", "1000-1001", "200000-200002", "200001-200000", "70000-4294967295"]
        {
            assert_eq!(wrong.parse::<SlotUids>(), Err(MalformedUids), "{wrong}");
        }
    }
}
