//! Keeps a lease while its task is carried out, and says when the task must stop.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use pairbot_protocol::ids::Timestamp;
use tokio::sync::Notify;
use tracing::warn;

use super::Setback;
use crate::ports::Clock;
use crate::store::StoreError;

/// The part of a lease, as a divisor, in which its holder writes nothing any more unless it was extended: for what is on
/// its way to GitHub already.
const MARGIN_SHARE: u64 = 10;
/// The part of a lease, as a divisor, after which it is extended.
const BEAT_SHARE: u64 = 3;

/// Returns when the lease that lasts `until` is lost, or is about to expire without having been extended: from then on
/// another worker may hold it, and what this one still wrote would appear beside what that one writes (promise P1).
/// `extend` makes it last for `lease_ms` from the moment it is given.
///
/// Where work was `withdrawn`, it is asked for at once whether this was among it: an agent that nobody wants any more
/// costs money until it is stopped.
pub(super) async fn keep<F>(
    clock: &dyn Clock,
    mut until: Timestamp,
    lease_ms: u64,
    withdrawn: &Notify,
    extend: impl Fn(Timestamp) -> F + Send,
) -> Setback
where
    F: Future<Output = Result<(), StoreError>> + Send,
{
    let left_ms = |until: Timestamp| until.ms_since(clock.now()).saturating_sub(lease_ms / MARGIN_SHARE);
    let mut heard = pin!(withdrawn.notified());
    heard.as_mut().enable();
    loop {
        // A claim may have taken longer than the lease it brought.
        let left = left_ms(until);
        if left == 0 {
            return Setback::Retry("its lease could not be extended in time".to_owned());
        }
        tokio::select! {
            biased;
            () = heard.as_mut() => {}
            () = clock.sleep(Duration::from_millis((lease_ms / BEAT_SHARE).clamp(1, left))) => {}
        }
        // Listening begins before asking, so that nothing can happen unheard in between.
        heard.set(withdrawn.notified());
        heard.as_mut().enable();
        let now = clock.now();
        let extended = tokio::select! {
            biased;
            extended = extend(now) => extended,
            // A store that does not answer has extended nothing as far as anybody knows.
            () = clock.sleep(Duration::from_millis(left_ms(until))) => continue,
        };
        match extended {
            Ok(()) => until = now.plus_ms(lease_ms),
            Err(StoreError::LeaseLost { .. }) => return Setback::Cancelled,
            // The store may be back before the lease expires.
            Err(error) => warn!(%error, "a lease could not be extended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    use pairbot_protocol::ids::TaskId;

    use super::*;
    use crate::adapters::ManualClock;

    const LEASE_MS: u64 = 30_000;

    /// How the store answers.
    #[derive(Clone, Copy)]
    enum Answer {
        Extended,
        Unavailable,
        Lost,
        None,
    }

    /// Keeps a lease that lasts from `granted` to the end, for as long as an hour; gives when and how that ended.
    fn kept(granted: u64, answers: impl Fn(u64) -> Answer + Send + Sync) -> (u64, Option<Setback>) {
        kept_beside(&Notify::new(), granted, answers)
    }

    fn kept_beside(
        withdrawn: &Notify,
        granted: u64,
        answers: impl Fn(u64) -> Answer + Send + Sync,
    ) -> (u64, Option<Setback>) {
        let clock = ManualClock::at(Timestamp::from_unix_ms(1_000_000));
        let extend = |now: Timestamp| {
            let answer = answers(now.unix_ms);
            async move {
                match answer {
                    Answer::Extended => Ok(()),
                    Answer::Unavailable => Err(StoreError::Unavailable { detail: "away".to_owned() }),
                    Answer::Lost => Err(StoreError::LeaseLost { task: TaskId(1) }),
                    Answer::None => std::future::pending().await,
                }
            }
        };
        let until = Timestamp::from_unix_ms(granted + LEASE_MS);
        let mut keeping = Box::pin(keep(&clock, until, LEASE_MS, withdrawn, extend));
        let mut look = Context::from_waker(Waker::noop());
        while clock.now().unix_ms < 4_600_000 {
            if let Poll::Ready(setback) = keeping.as_mut().poll(&mut look) {
                return (clock.now().unix_ms, Some(setback));
            }
            clock.advance_to_next();
        }
        (clock.now().unix_ms, None)
    }

    #[test]
    fn a_lease_is_extended_for_as_long_as_the_store_does_it() {
        let beats = Mutex::new(0);
        let (_, ended) = kept(1_000_000, |_| {
            *beats.lock().unwrap() += 1;
            Answer::Extended
        });
        assert!(ended.is_none());
        assert!(*beats.lock().unwrap() >= 300, "three times in a lease");
    }

    #[test]
    fn whose_lease_was_not_extended_stops_before_anybody_else_can_hold_it() {
        for answer in [Answer::Unavailable, Answer::None] {
            let (at, ended) = kept(1_000_000, |_| answer);
            assert!(matches!(ended, Some(Setback::Retry(_))), "{ended:?}");
            assert!(at < 1_000_000 + LEASE_MS, "at {at}");
            let (at, _) = kept(1_000_000, |now| if now < 2_000_000 { Answer::Extended } else { answer });
            assert!((2_000_000..2_000_000 + LEASE_MS).contains(&at), "at {at}");
        }
    }

    #[test]
    fn a_claim_that_took_longer_than_its_lease_begins_nothing() {
        let (at, ended) = kept(1_000_000 - LEASE_MS, |_| Answer::Extended);
        assert!(matches!(ended, Some(Setback::Retry(_))), "{ended:?}");
        assert_eq!(at, 1_000_000);
    }

    #[test]
    fn who_lost_a_lease_to_another_is_told_at_the_next_beat() {
        let (at, ended) = kept(1_000_000, |_| Answer::Lost);
        assert!(matches!(ended, Some(Setback::Cancelled)), "{ended:?}");
        assert_eq!(at, 1_000_000 + LEASE_MS / BEAT_SHARE);
    }

    #[test]
    fn whose_work_is_withdrawn_is_told_at_once() {
        let (withdrawn, beats) = (Notify::new(), Mutex::new(0));
        // Others' work is withdrawn during the first beat; this one's during the second, which that brings about.
        let (at, ended) = kept_beside(&withdrawn, 1_000_000, |_| {
            let mut beats = beats.lock().unwrap();
            *beats += 1;
            withdrawn.notify_waiters();
            if *beats == 3 { Answer::Lost } else { Answer::Extended }
        });
        assert!(matches!(ended, Some(Setback::Cancelled)), "{ended:?}");
        assert_eq!(at, 1_000_000 + LEASE_MS / BEAT_SHARE, "no time passes from beat to beat");
    }
}
