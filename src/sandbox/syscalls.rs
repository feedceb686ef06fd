//! Filters of system calls, as far as both layers share them: what a program in a cage has no use for, and has been a way
//! out before.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};

/// Calls that are refused as not permitted, whatever their arguments.
const REFUSED: [i64; 30] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_userfaultfd,
];
/// Calls that are answered as if the kernel were older, so that whoever makes them takes another way: the arguments of
/// `clone3` are in memory, where no filter can look.
const UNKNOWN: [i64; 4] =
    [libc::SYS_clone3, libc::SYS_io_uring_enter, libc::SYS_io_uring_register, libc::SYS_io_uring_setup];

/// Requests to a terminal that put characters into its input. The C library's headers disagree on their type.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541C;

/// Which calls with which arguments are answered with an error.
pub(super) type Rules = BTreeMap<i64, Vec<SeccompRule>>;
/// A part of a filter.
pub(super) type Made<T> = Result<T, BackendError>;

/// What is refused as not permitted.
pub(super) fn refused() -> Made<Rules> {
    let mut rules: Rules = REFUSED.into_iter().map(|call| (call, Vec::new())).collect();
    let user = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
    for call in [libc::SYS_clone, libc::SYS_unshare] {
        rules.insert(call, vec![rule([condition(0, SeccompCmpOp::MaskedEq(user), user)?])?]);
    }
    // Puts what it likes into the input of whoever shares the terminal.
    let input = |request| rule([condition(1, SeccompCmpOp::Eq, request)?]);
    rules.insert(libc::SYS_ioctl, vec![input(TIOCSTI)?, input(TIOCLINUX)?]);
    Ok(rules)
}

/// What is answered as if the kernel did not know it.
pub(super) fn unknown() -> Rules {
    UNKNOWN.into_iter().map(|call| (call, Vec::new())).collect()
}

/// The program of a filter that answers these calls with an error and lets all others through; none on a kind of
/// processor that is not known here.
pub(super) fn program(error: i32, rules: Made<Rules>) -> io::Result<Option<BpfProgram>> {
    let Ok(architecture) = std::env::consts::ARCH.try_into() else { return Ok(None) };
    let answer = SeccompAction::Errno(u32::try_from(error).unwrap_or_default());
    let filter =
        rules.and_then(|rules| SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture));
    let program: BpfProgram = filter.and_then(TryInto::try_into).map_err(io::Error::other)?;
    Ok(Some(guarded(program)))
}

/// All of these at once.
pub(super) fn rule(conditions: impl Into<Vec<SeccompCondition>>) -> Made<SeccompRule> {
    SeccompRule::new(conditions.into())
}

/// One argument, compared.
pub(super) fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Made<SeccompCondition> {
    // The kernel takes these arguments as 32 bits and drops the rest, so a filter that looked at more could be passed.
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

/// With its second set of calls (x32), a 64-bit Intel kernel does the same under other numbers, which no rule names. So
/// they are answered as unknown first: load the number, and if it is none of the first set, end.
fn guarded(program: BpfProgram) -> BpfProgram {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const X32: u32 = 0x4000_0000;
    const ANSWER_ERROR: u32 = 0x0005_0000;
    if !cfg!(target_arch = "x86_64") {
        return program;
    }
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let unknown = ANSWER_ERROR | libc::ENOSYS.unsigned_abs();
    let mut guarded = vec![
        instruction(LOAD_WORD, 0, 0, 0),
        instruction(JUMP_IF_AT_LEAST, 0, 1, X32),
        instruction(RETURN, 0, 0, unknown),
    ];
    guarded.extend(program);
    guarded
}
