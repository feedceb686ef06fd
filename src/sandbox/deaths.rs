//! Waiting for the end of processes that are no children of ours.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Waits on this thread until all of them have ended, and says whether they did. Each that ends gives the others as long
/// again.
pub(super) fn all_ended(processes: &[Pid], within: Duration) -> io::Result<bool> {
    let mut open: Vec<OwnedFd> = Vec::new();
    for process in processes {
        match pidfd_open(*process, PidfdFlags::empty()) {
            Ok(handle) => open.push(handle),
            // It has ended already.
            Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let within = Timespec::try_from(within).map_err(io::Error::other)?;
    while !open.is_empty() {
        let mut looked: Vec<PollFd<'_>> =
            open.iter().map(|handle| PollFd::new(handle, PollFlags::IN)).collect();
        match poll(&mut looked, Some(&within)) {
            Ok(0) => return Ok(false),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut alive = looked.iter().map(|look| look.revents().is_empty()).collect::<Vec<_>>().into_iter();
        open.retain(|_| alive.next().unwrap_or(false));
    }
    Ok(true)
}
