//! When a failed call is tried again.

use std::time::Duration;

use crate::ports::Entropy;

/// How often and how patiently a call is repeated.
#[derive(Debug, Clone, Copy)]
pub struct RetrySettings {
    /// How many attempts a call has in all.
    pub attempts_max: u32,
    /// The pause after the first failure; it doubles with each.
    pub backoff: Duration,
    /// The longest pause of our own.
    pub backoff_max: Duration,
    /// The longest `retry-after` that is waited for here. Beyond it the task is put aside instead.
    pub retry_after_max: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            attempts_max: 5,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(30),
            retry_after_max: Duration::from_mins(1),
        }
    }
}

impl RetrySettings {
    /// The pause after `failures` failures: half of the doubled backoff, and a random part of the other half, so that
    /// callers that failed together do not come back together.
    pub(super) fn pause(&self, failures: u32, entropy: &dyn Entropy) -> Duration {
        let doubled = self.backoff.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        jittered(doubled.min(self.backoff_max), entropy)
    }

    /// The pause that a provider asked for, with a random tenth on top for the same reason.
    pub(super) fn asked(after: Duration, entropy: &dyn Entropy) -> Duration {
        after.saturating_add(random_part(after / 10, entropy))
    }
}

fn jittered(pause: Duration, entropy: &dyn Entropy) -> Duration {
    let half = pause / 2;
    half.saturating_add(random_part(half, entropy))
}

fn random_part(whole: Duration, entropy: &dyn Entropy) -> Duration {
    let ms = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(entropy.bits().checked_rem(ms.saturating_add(1)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(u64);
    impl Entropy for Fixed {
        fn bits(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn pauses_double_up_to_their_bound_and_never_vanish() {
        let settings = RetrySettings::default();
        for (failures, bound_ms) in [(1, 1_000), (2, 2_000), (4, 8_000), (9, 30_000), (u32::MAX, 30_000)] {
            for bits in [0, 7, u64::MAX] {
                let pause = settings.pause(failures, &Fixed(bits)).as_millis();
                assert!((bound_ms / 2..=bound_ms).contains(&pause), "{failures} {bits} {pause}");
            }
        }
        assert!(RetrySettings::asked(Duration::from_secs(10), &Fixed(u64::MAX)) >= Duration::from_secs(10));
    }
}
