//! One provider's health: who fails often is left alone for a while, who asks for a pause gets it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pairbot_protocol::ids::Timestamp;

/// When a circuit opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct CircuitSettings {
    /// After how many failures in a row.
    pub failures_max: u32,
    /// For how long nothing is sent then.
    pub pause: Duration,
}

impl Default for CircuitSettings {
    fn default() -> Self {
        Self { failures_max: 8, pause: Duration::from_mins(1) }
    }
}

/// Whether a call may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It may.
    Open,
    /// The provider asked for a pause until this moment.
    Wait(Timestamp),
    /// The provider keeps failing; nothing is sent before this moment.
    Down(Timestamp),
}

/// The state shared by all calls to one provider.
#[derive(Debug)]
pub(super) struct Circuit {
    settings: CircuitSettings,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    down_until: Option<Timestamp>,
    asked_until: Option<Timestamp>,
}

impl Circuit {
    pub(super) fn new(settings: CircuitSettings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// Asks to send one call. Once a pause is over exactly one caller is let through to try, and the pause starts
    /// anew for the others; nothing is left behind if that caller dies.
    pub(super) fn admit(&self, now: Timestamp) -> Admission {
        let mut state = self.lock();
        if let Some(until) = state.down_until {
            if now < until {
                return Admission::Down(until);
            }
            state.down_until = Some(self.pause_from(now));
        }
        match state.asked_until {
            Some(until) if now < until => Admission::Wait(until),
            Some(_) | None => Admission::Open,
        }
    }

    /// The provider answered.
    pub(super) fn answered(&self) {
        let mut state = self.lock();
        state.failures = 0;
        state.down_until = None;
    }

    /// The provider failed.
    pub(super) fn failed(&self, now: Timestamp) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.settings.failures_max {
            state.down_until = Some(self.pause_from(now));
        }
    }

    /// The provider asked for a pause, which holds for every caller.
    pub(super) fn asked_to_wait(&self, until: Timestamp) {
        let mut state = self.lock();
        state.asked_until = state.asked_until.max(Some(until));
    }

    fn pause_from(&self, now: Timestamp) -> Timestamp {
        now.plus_ms(u64::try_from(self.settings.pause.as_millis()).unwrap_or(u64::MAX))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Every change is one assignment, so a state left by a panicking holder is still sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_pause_one_caller_tries_and_the_others_wait() {
        let circuit = Circuit::new(CircuitSettings { failures_max: 2, pause: Duration::from_millis(100) });
        let at = Timestamp::from_unix_ms;
        circuit.failed(at(0));
        assert_eq!(circuit.admit(at(0)), Admission::Open);
        circuit.failed(at(0));
        assert_eq!(circuit.admit(at(50)), Admission::Down(at(100)));
        assert_eq!(circuit.admit(at(100)), Admission::Open);
        assert_eq!(circuit.admit(at(100)), Admission::Down(at(200)));
        circuit.answered();
        assert_eq!(circuit.admit(at(101)), Admission::Open);
        circuit.failed(at(101));
        assert_eq!(circuit.admit(at(101)), Admission::Open, "failures in a row are counted anew");
    }

    #[test]
    fn the_longest_asked_pause_holds_for_all() {
        let circuit = Circuit::new(CircuitSettings::default());
        let at = Timestamp::from_unix_ms;
        circuit.asked_to_wait(at(500));
        circuit.asked_to_wait(at(300));
        assert_eq!(circuit.admit(at(400)), Admission::Wait(at(500)));
        assert_eq!(circuit.admit(at(500)), Admission::Open);
    }
}
