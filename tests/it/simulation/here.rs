//! Waits for other threads without letting this one do anything else: what they answer comes in the order in which it
//! was asked for, and a seed gives one history.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Drives a future to its end on this thread. It must wait for nothing but other threads.
pub(super) fn here<T>(future: impl Future<Output = T>) -> T {
    // Tokio's tasks give way after so many steps by waking themselves later; here nobody would come back to them.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
