//! Work that waits for the disk: on a thread that may wait, or right here where a simulation has the thread to itself.
//!
//! A thread of its own answers when it likes, so two answers come in no promised order, and what follows differs from
//! one run to the next. A simulation cannot have that: the same seed must give the same ledgers.

use std::cell::Cell;
use std::io;

thread_local! {
    static STAYS: Cell<bool> = const { Cell::new(false) };
}

/// As long as this is held, disk work that the present thread asks for is done on it.
#[derive(Debug)]
pub struct Staying {
    _not_sent: std::marker::PhantomData<*const ()>,
}

/// Lets the present thread do its own disk work, in the order in which it asks for it. For simulations.
pub fn stay_on_this_thread() -> Staying {
    STAYS.set(true);
    Staying { _not_sent: std::marker::PhantomData }
}

impl Drop for Staying {
    fn drop(&mut self) {
        STAYS.set(false);
    }
}

/// Does work that may wait for the disk, without holding up the other tasks of this thread.
pub async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if STAYS.get() {
        return work();
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn disk_work_stays_on_a_thread_that_said_so_and_leaves_every_other() {
        let here = std::thread::current().id();
        let place = || on_disk(|| Ok(std::thread::current().id()));
        assert_ne!(place().await.unwrap(), here);
        let staying = stay_on_this_thread();
        assert_eq!(place().await.unwrap(), here);
        drop(staying);
        assert_ne!(place().await.unwrap(), here);
    }
}
