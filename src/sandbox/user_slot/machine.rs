//! Whether this machine lets the server give each cage a user of its own.

use std::fs;
use std::io::{self, ErrorKind};

use rustix::thread::{CapabilitySet, capabilities};

use super::{filter, reach};
use crate::sandbox::slot_uids::SlotUids;

/// What the server must be allowed to do.
const RIGHTS: [(CapabilitySet, &str); 4] = [
    (CapabilitySet::SETUID, "CAP_SETUID"),
    (CapabilitySet::SETGID, "CAP_SETGID"),
    (CapabilitySet::CHOWN, "CAP_CHOWN"),
    (CapabilitySet::KILL, "CAP_KILL"),
];

/// What is missing, if anything is.
pub(super) fn lacks(uids: SlotUids) -> io::Result<Option<String>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Some("the server is not root, so it cannot give each cage a user of its own".to_owned()));
    }
    let held = capabilities(None)?.effective;
    if let Some((_, name)) = RIGHTS.iter().find(|(right, _)| !held.contains(*right)) {
        return Ok(Some(format!("the server is root without {name}")));
    }
    if let Err(why) = reach::is_known() {
        return Ok(Some(why));
    }
    match filter::is_known() {
        Ok(true) => {}
        Ok(false) => {
            return Ok(Some("there is no filter of system calls for this kind of processor".to_owned()));
        }
        Err(why) => return Ok(Some(why)),
    }
    let accounts = Accounts {
        users: text("/etc/passwd")?,
        groups: text("/etc/group")?,
        delegated: text("/etc/subuid")? + &text("/etc/subgid")?,
        maps: [text("/proc/self/uid_map")?, text("/proc/self/gid_map")?],
    };
    Ok(accounts.conflict(uids))
}

fn text(file: &str) -> io::Result<String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        other => other,
    }
}

/// Who has which user ids.
struct Accounts {
    users: String,
    groups: String,
    /// What is given to users for their own namespaces.
    delegated: String,
    /// Which ids this process's namespace has at all.
    maps: [String; 2],
}

impl Accounts {
    /// Why a range may not be used: whoever else has one of these would be killed, or could be read.
    fn conflict(&self, uids: SlotUids) -> Option<String> {
        let other = "set PAIRBOT_SANDBOX_UIDS to a range that is nobody's";
        for (lines, kind) in [(&self.users, "user"), (&self.groups, "group")] {
            let taken = lines.lines().find(|line| {
                let id = line.split(':').nth(2).and_then(|id| id.parse().ok());
                id.is_some_and(|id| uids.holds(id))
            });
            if let Some(name) = taken.and_then(|line| line.split(':').next()) {
                return Some(format!("the {kind} `{name}` has one of the ids {uids}; {other}"));
            }
        }
        let overlapping = self.delegated.lines().find(|line| {
            let mut fields = line.split(':').skip(1).map(str::parse::<u64>);
            let (Some(Ok(first)), Some(Ok(count))) = (fields.next(), fields.next()) else { return false };
            first <= u64::from(uids.last()) && first.saturating_add(count) > u64::from(uids.first())
        });
        if let Some(name) = overlapping.and_then(|line| line.split(':').next()) {
            return Some(format!(
                "some of the ids {uids} are given to `{name}` in /etc/subuid or /etc/subgid; {other}"
            ));
        }
        let missing = self.maps.iter().any(|map| !map.lines().any(|line| covers(line, uids)));
        missing.then(|| {
            format!("this container has no ids {uids}; set PAIRBOT_SANDBOX_UIDS to some that it has")
        })
    }
}

/// Whether a line of a map, `inside outside count`, has all of these.
fn covers(line: &str, uids: SlotUids) -> bool {
    let mut fields = line.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) = (fields.next(), fields.next(), fields.next())
    else {
        return false;
    };
    first <= u64::from(uids.first()) && first.saturating_add(count) > u64::from(uids.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            users: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n".to_owned(),
            groups: "root:x:0:\n".to_owned(),
            delegated: "ada:100000:65536\n".to_owned(),
            maps: ["         0          0 4294967295\n".to_owned(), "0 0 4294967295\n".to_owned()],
        }
    }

    #[test]
    fn nobody_elses_user_becomes_a_slot() {
        let uids = SlotUids::default();
        assert_eq!(accounts().conflict(uids), None);
        let users = "grace:x:200005:100::/home/grace:/bin/sh\n".to_owned();
        let told = Accounts { users, ..accounts() }.conflict(uids).unwrap();
        assert!(told.contains("`grace`") && told.contains("PAIRBOT_SANDBOX_UIDS"), "{told}");
        let groups = "builders:x:200127:\n".to_owned();
        assert!(Accounts { groups, ..accounts() }.conflict(uids).unwrap().contains("builders"));
        let delegated = "ada:100000:65536\nlin:165536:65536\n".to_owned();
        assert!(Accounts { delegated, ..accounts() }.conflict(uids).unwrap().contains("`lin`"));
    }

    #[test]
    fn a_container_that_lacks_the_users_says_so() {
        let maps = ["0 100000 65536\n".to_owned(), "0 100000 65536\n".to_owned()];
        let told = Accounts { maps, ..accounts() }.conflict(SlotUids::default()).unwrap();
        assert!(told.contains("this container has no ids 200000-200127"), "{told}");
    }
}
