//! The directories that cages work in: each belongs to one user at a time, so one cage at a time works there.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Directories in which somebody works.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: Mutex<BTreeSet<PathBuf>>,
    freed: Notify,
}

/// Directories that are one cage's until this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    places: Arc<Places>,
    paths: Vec<PathBuf>,
}

impl Places {
    /// Waits until nobody works in any of these.
    pub(super) async fn take(self: &Arc<Self>, paths: Vec<PathBuf>) -> Taken {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // Before looking, so that nothing that is freed meanwhile is missed.
            freed.as_mut().enable();
            {
                let mut taken = self.taken();
                if paths.iter().all(|path| !taken.contains(path)) {
                    taken.extend(paths.iter().cloned());
                    return Taken { places: Arc::clone(self), paths };
                }
            }
            freed.await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        for path in &self.paths {
            taken.remove(path);
        }
        drop(taken);
        self.places.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_second_cage_in_a_worktree_waits_for_the_first() {
        let places = Arc::new(Places::default());
        let mut context = Context::from_waker(Waker::noop());
        let mut take = |paths: &[&str]| {
            let places = Arc::clone(&places);
            let paths = paths.iter().map(PathBuf::from).collect();
            let mut taking = Box::pin(async move { places.take(paths).await });
            let polled = taking.as_mut().poll(&mut context);
            (polled, taking)
        };
        let (Poll::Ready(first), _) = take(&["/tree", "/home"]) else { panic!("nobody is there") };
        let (Poll::Ready(_elsewhere), _) = take(&["/other", "/its-home"]) else { panic!("nobody is there") };
        let (polled, mut second) = take(&["/tree", "/another-home"]);
        assert!(polled.is_pending());
        drop(first);
        assert!(second.as_mut().poll(&mut context).is_ready());
    }
}
