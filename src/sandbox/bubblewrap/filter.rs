//! The filter of system calls: what a program in a cage has no use for, and has been a way out before.
//!
//! Namespaces are what holds; this keeps code of the kernel out of reach that they do not cover (keys of the user,
//! sockets to the hypervisor) or that has held most of its holes (further user namespaces, BPF, `io_uring`).

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};

use super::launch::Handed;

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
/// Families of sockets that a namespace of its own holds. Others, such as the one to the hypervisor, it does not.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Requests to a terminal that put characters into its input. The C library's headers disagree on their type.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541C;

/// The filters, as `bwrap` reads them; none on a kind of processor that is not known here.
#[derive(Debug)]
pub(super) struct Filters(Vec<Handed>);

impl Filters {
    pub(super) fn make() -> io::Result<Self> {
        let Ok(architecture) = std::env::consts::ARCH.try_into() else { return Ok(Self(Vec::new())) };
        let rules = [
            (libc::EPERM, refused()),
            (libc::ENOSYS, Ok(UNKNOWN.into_iter().map(|call| (call, Vec::new())).collect())),
            (libc::EAFNOSUPPORT, families()),
        ];
        let mut files = Vec::new();
        for (error, rules) in rules {
            let answer = SeccompAction::Errno(u32::try_from(error).unwrap_or_default());
            let filter = rules.and_then(|rules: Rules| {
                SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture)
            });
            let program: BpfProgram = filter.and_then(TryInto::try_into).map_err(io::Error::other)?;
            files.push(Handed::holding(&bytes(&guarded(program)))?);
        }
        Ok(Self(files))
    }

    pub(super) fn files(&self) -> &[Handed] {
        &self.0
    }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Made<T> = Result<T, seccompiler::BackendError>;

fn refused() -> Made<Rules> {
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

fn families() -> Made<Rules> {
    let other = |family: &i32| condition(0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()));
    let none_of_them = || rule(FAMILIES.iter().map(other).collect::<Made<Vec<_>>>()?);
    Ok([(libc::SYS_socket, vec![none_of_them()?]), (libc::SYS_socketpair, vec![none_of_them()?])].into())
}

fn rule(conditions: impl Into<Vec<SeccompCondition>>) -> Made<SeccompRule> {
    SeccompRule::new(conditions.into())
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Made<SeccompCondition> {
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

/// The form that the kernel reads: eight bytes an instruction.
fn bytes(program: &BpfProgram) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for instruction in program {
        bytes.extend_from_slice(&instruction.code.to_ne_bytes());
        bytes.extend_from_slice(&[instruction.jt, instruction.jf]);
        bytes.extend_from_slice(&instruction.k.to_ne_bytes());
    }
    bytes
}
