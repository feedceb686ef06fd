//! The filter of system calls in a slot. There are no namespaces around it, so this is what keeps the network away: no
//! socket of any family can be made, not even one with a file, since Landlock would not keep a program from those of the
//! host's services. What `socketpair` gives is connected already and leads nowhere else.

use seccompiler::{SeccompCmpOp, SeccompRule, apply_filter};

use crate::sandbox::syscalls::{Made, Rules, condition, program, refused, rule, unknown};

/// Calls that are refused besides what both layers refuse: into other processes, and into what outlives a process without
/// being a file.
const REFUSED: [i64; 15] = [
    libc::SYS_chroot,
    libc::SYS_kcmp,
    libc::SYS_memfd_secret,
    libc::SYS_mq_open,
    libc::SYS_msgget,
    libc::SYS_name_to_handle_at,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_semget,
    libc::SYS_shmat,
    libc::SYS_shmget,
    libc::SYS_vhangup,
];
/// Every kind of namespace.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];
/// A namespace of time; to `clone` the same bit is part of a signal's number.
const NEW_TIME: u64 = 0x80;
/// The bits of a socket's type that are not flags.
const SOCKET_TYPES: u64 = 0xf;
/// Pairs of these send to each other alone. One of datagrams takes an address with each of them.
const CONNECTED: [u64; 2] = [1, 5];

/// What depends on the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditions {
    /// Memory is bounded by looking at processes, so there must be none that no process shows.
    pub(super) memory_is_watched: bool,
    /// Landlock keeps nobody from cutting a file off by its path.
    pub(super) truncating_is_free: bool,
}

/// Whether there is a filter for this kind of processor.
pub(super) fn is_known() -> Result<bool, String> {
    program(libc::EPERM, refused()).map(|program| program.is_some()).map_err(|error| error.to_string())
}

/// Puts the filters upon this process for good.
pub(super) fn install(conditions: Conditions) -> Result<(), String> {
    let filters = [
        (libc::EPERM, not_permitted(conditions)),
        (libc::ENOSYS, Ok(not_known(conditions))),
        (libc::EAFNOSUPPORT, sockets()),
    ];
    for (error, rules) in filters {
        let filter = program(error, rules).map_err(|error| error.to_string())?;
        let filter = filter.ok_or("there is no filter of system calls for this kind of processor")?;
        apply_filter(&filter).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn not_permitted(conditions: Conditions) -> Made<Rules> {
    let mut rules = refused()?;
    rules.extend(REFUSED.map(|call| (call, Vec::new())));
    if conditions.truncating_is_free {
        rules.insert(libc::SYS_truncate, Vec::new());
    }
    let asks_for = |flag: u64| rule([condition(0, SeccompCmpOp::MaskedEq(flag), flag)?]);
    let each = || NAMESPACES.iter().map(|flag| asks_for(u64::from(flag.unsigned_abs())));
    rules.insert(libc::SYS_clone, each().collect::<Made<Vec<_>>>()?);
    rules.insert(libc::SYS_unshare, each().chain([asks_for(NEW_TIME)]).collect::<Made<Vec<_>>>()?);
    Ok(rules)
}

fn not_known(conditions: Conditions) -> Rules {
    let mut rules = unknown();
    if conditions.memory_is_watched {
        rules.insert(libc::SYS_memfd_create, Vec::new());
    }
    rules
}

fn sockets() -> Made<Rules> {
    let unix = u64::from(libc::AF_UNIX.unsigned_abs());
    let mut pairs: Vec<SeccompRule> = vec![rule([condition(0, SeccompCmpOp::Ne, unix)?])?];
    for kind in (0..=SOCKET_TYPES).filter(|kind| !CONNECTED.contains(kind)) {
        pairs.push(rule([condition(1, SeccompCmpOp::MaskedEq(SOCKET_TYPES), kind)?])?);
    }
    Ok([(libc::SYS_socket, Vec::new()), (libc::SYS_socketpair, pairs)].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_can_be_made_for_this_processor() {
        for on in [false, true] {
            let conditions = Conditions { memory_is_watched: on, truncating_is_free: on };
            for rules in [not_permitted(conditions), Ok(not_known(conditions)), sockets()] {
                assert!(program(libc::EPERM, rules).unwrap().is_some());
            }
        }
    }
}
