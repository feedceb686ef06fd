//! Files without a name, by which programs are told what stands in no process list.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;

use rustix::fs::{MemfdFlags, memfd_create};

/// A file without a name, handed to a program by the descriptor that this process has of it.
#[derive(Debug)]
pub(super) struct Handed(File);

impl Handed {
    pub(super) fn holding(bytes: &[u8]) -> io::Result<Self> {
        let mut file = File::from(memfd_create(c"pairbot-cage", MemfdFlags::CLOEXEC)?);
        file.write_all(bytes)?;
        Ok(Self(file))
    }

    /// Where a process of this user opens it. Each that does reads from the beginning.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    pub(super) fn content(&self) -> io::Result<String> {
        let (mut file, mut text) = (&self.0, String::new());
        file.rewind()?;
        file.read_to_string(&mut text)?;
        Ok(text)
    }
}
