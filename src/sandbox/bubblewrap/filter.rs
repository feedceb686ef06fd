//! The filter of system calls: what a program in a cage has no use for, and has been a way out before.
//!
//! Namespaces are what holds; this keeps code of the kernel out of reach that they do not cover (keys of the user,
//! sockets to the hypervisor) or that has held most of its holes (further user namespaces, BPF, `io_uring`).

use std::io;

use seccompiler::{BpfProgram, SeccompCmpOp};

use crate::sandbox::handed::Handed;
use crate::sandbox::syscalls::{Made, Rules, condition, program, refused, rule, unknown};

/// Families of sockets that a namespace of its own holds. Others, such as the one to the hypervisor, it does not.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// The filters, as `bwrap` reads them; none on a kind of processor that is not known here.
#[derive(Debug)]
pub(super) struct Filters(Vec<Handed>);

impl Filters {
    pub(super) fn make() -> io::Result<Self> {
        let rules =
            [(libc::EPERM, refused()), (libc::ENOSYS, Ok(unknown())), (libc::EAFNOSUPPORT, families())];
        let mut files = Vec::new();
        for (error, rules) in rules {
            if let Some(program) = program(error, rules)? {
                files.push(Handed::holding(&bytes(&program))?);
            }
        }
        Ok(Self(files))
    }

    pub(super) fn files(&self) -> &[Handed] {
        &self.0
    }
}

fn families() -> Made<Rules> {
    let other = |family: &i32| condition(0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()));
    let none_of_them = || rule(FAMILIES.iter().map(other).collect::<Made<Vec<_>>>()?);
    Ok([(libc::SYS_socket, vec![none_of_them()?]), (libc::SYS_socketpair, vec![none_of_them()?])].into())
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
