//! The processes of one user, as the kernel lists them.

use std::fs;
use std::io;

use rustix::process::Pid;

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) pid: Pid,
    /// Memory that is its own: what is in files does not count.
    pub(super) memory_bytes: u64,
}

/// The processes that have one of these users in any role and still run. One that is dead and not yet waited for does
/// nothing any more.
pub(super) fn living(wanted: impl Fn(u32) -> bool) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        // It may have ended meanwhile.
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        if let Some(memory_bytes) = read(&status, &wanted) {
            found.push(Listed { pid, memory_bytes });
        }
    }
    Ok(found)
}

/// The memory of a process, out of its `status`, if it runs and is one of these users'.
fn read(status: &str, wanted: &impl Fn(u32) -> bool) -> Option<u64> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let dead = field("State:").is_some_and(|state| state.trim_start().starts_with(['Z', 'X']));
    let one_of_them = field("Uid:")?.split_whitespace().filter_map(|id| id.parse().ok()).any(wanted);
    if dead || !one_of_them {
        return None;
    }
    let kilobytes =
        |name| field(name).and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
    let own = kilobytes("RssAnon:") + kilobytes("RssShmem:") + kilobytes("VmSwap:");
    Some(own.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tcat\nState:\tS (sleeping)\nUid:\t7\t8\t7\t8\nRssAnon:\t  100 kB\nRssFile:\t 900 kB\n\
                          RssShmem:\t 20 kB\nVmSwap:\t 3 kB\n";

    #[test]
    fn a_process_is_known_by_any_of_its_users_and_weighs_what_is_its_own() {
        assert_eq!(read(STATUS, &|uid| uid == 8), Some(123 * 1024));
        assert_eq!(read(STATUS, &|uid| uid == 9), None);
        assert_eq!(read(&STATUS.replace("S (sleeping)", "Z (zombie)"), &|uid| uid == 8), None);
        assert_eq!(read("", &|_| true), None);
    }

    #[test]
    fn this_very_process_is_listed() {
        let own = rustix::process::getpid();
        let uid = rustix::process::getuid().as_raw();
        assert!(living(|found| found == uid).unwrap().iter().any(|listed| listed.pid == own));
    }
}
