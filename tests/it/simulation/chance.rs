//! Chance out of a seed. Whoever draws in the same order draws the same.

use std::sync::Arc;

use pairbot::adapters::SeededEntropy;
use pairbot::ports::Entropy;

/// A sequence of draws. Clones draw from the same sequence.
#[derive(Debug, Clone)]
pub(super) struct Chance(Arc<SeededEntropy>);

impl Chance {
    /// The sequence of a seed for one purpose: a draw more for one purpose moves nothing in another.
    pub(super) fn of(seed: u64, purpose: u64) -> Self {
        let mixed = SeededEntropy::new(seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15)).bits();
        Self(Arc::new(SeededEntropy::new(mixed)))
    }

    /// A number below `end`; 0 if there is none.
    pub(super) fn below(&self, end: u64) -> u64 {
        self.0.bits().checked_rem(end).unwrap_or(0)
    }

    /// A number of `start..=last`.
    pub(super) fn between(&self, start: u64, last: u64) -> u64 {
        start + self.below(last - start + 1)
    }

    /// Whether something happens that happens so often of a thousand times.
    pub(super) fn per_mille(&self, rate: u64) -> bool {
        self.below(1_000) < rate
    }

    /// One of several.
    pub(super) fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

impl Entropy for Chance {
    fn bits(&self) -> u64 {
        self.0.bits()
    }
}
