//! What goes wrong around the server: how often, what exactly, and when the power is cut.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pairbot::adapters::ManualClock;
use pairbot::ports::Clock as _;
use tokio::sync::watch;

use super::chance::Chance;

/// How often each kind of trouble comes, of a thousand calls.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rates {
    pub(super) store: u64,
    pub(super) github: u64,
    /// GitHub fails in this one way.
    pub(super) github_kind: Option<u64>,
    /// GitHub fails only where something is written.
    pub(super) github_writes_only: bool,
    pub(super) models: u64,
    pub(super) programs: u64,
    pub(super) webhooks: u64,
    /// Calls that take their time.
    pub(super) slow: u64,
}

/// The trouble of one world.
#[derive(Debug)]
pub(super) struct Weather {
    pub(super) clock: ManualClock,
    pub(super) chance: Chance,
    state: Mutex<State>,
    /// Whether every call is told as it is made.
    loud: bool,
}

#[derive(Debug)]
struct State {
    rates: Rates,
    /// After how many more calls the power is cut, the next cut last.
    cuts: Vec<u64>,
    trace: Vec<String>,
}

/// One life of the server's process: from its start to the power cut that ends it.
#[derive(Debug)]
pub(super) struct Life {
    weather: Arc<Weather>,
    off: AtomicBool,
    buried: watch::Sender<bool>,
}

#[expect(
    clippy::print_stderr,
    reason = "whoever looks for a cause may see the last call before a world is stuck"
)]
fn say(line: &str) {
    eprintln!("{line}");
}

/// The process this call belonged to is no more.
pub(super) struct Gone;

impl Weather {
    pub(super) fn new(clock: ManualClock, chance: Chance, rates: Rates, cuts: Vec<u64>) -> Arc<Self> {
        let state = Mutex::new(State { rates, cuts, trace: Vec::new() });
        Arc::new(Self { clock, chance, state, loud: std::env::var_os("PAIRBOT_SIMULATION_LOUD").is_some() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rates(&self) -> Rates {
        self.state().rates
    }

    /// Nothing goes wrong any more.
    pub(super) fn clear_up(&self) {
        let mut state = self.state();
        state.rates = Rates::default();
        state.cuts.clear();
    }

    pub(super) fn note(&self, what: impl std::fmt::Display) {
        let at = self.clock.now().unix_ms % 1_000_000_000;
        let line = format!("{at:>9} {what}");
        if self.loud {
            say(&line);
        }
        self.state().trace.push(line);
    }

    pub(super) fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// Counts a call; whether the power is cut at it.
    fn cut_now(&self) -> bool {
        let mut state = self.state();
        match state.cuts.last_mut() {
            Some(0) => {
                state.cuts.pop();
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// How long a call takes: mostly no time, sometimes a moment, rarely longer than anybody's patience.
    fn takes(&self) -> Option<Duration> {
        let slow = self.rates().slow;
        if !self.chance.per_mille(slow) {
            return None;
        }
        let ms = match self.chance.below(20) {
            0 => self.chance.between(5_000, 45_000),
            1..4 => self.chance.between(200, 5_000),
            _ => self.chance.between(1, 200),
        };
        Some(Duration::from_millis(ms))
    }
}

impl Life {
    pub(super) fn begin(weather: Arc<Weather>) -> Arc<Self> {
        Arc::new(Self { weather, off: AtomicBool::new(false), buried: watch::Sender::new(false) })
    }

    pub(super) fn weather(&self) -> &Weather {
        &self.weather
    }

    /// Whether the power was cut.
    pub(super) fn is_off(&self) -> bool {
        self.off.load(Ordering::SeqCst)
    }

    /// Cuts the power: no call of this life begins or returns any more.
    pub(super) fn cut(&self, at: &str) {
        if !self.off.swap(true, Ordering::SeqCst) {
            self.weather.note(format_args!("power cut at {at}"));
        }
    }

    /// Lets go of what still waits for an answer, once its task is gone.
    pub(super) fn bury(&self) {
        self.off.store(true, Ordering::SeqCst);
        self.buried.send_replace(true);
    }

    async fn gone(&self) -> Gone {
        let mut buried = self.buried.subscribe();
        drop(buried.wait_for(|buried| *buried).await);
        Gone
    }

    /// Makes a call that the outside takes part in: it may take its time, and the power may be cut before it takes
    /// effect, or after.
    pub(super) async fn call<T>(&self, what: &str, call: impl Future<Output = T>) -> Result<T, Gone> {
        tokio::select! {
            biased;
            gone = self.gone() => Err(gone),
            answer = self.made(what, call) => answer,
        }
    }

    async fn made<T>(&self, what: &str, call: impl Future<Output = T>) -> Result<T, Gone> {
        if self.is_off() {
            return Err(self.gone().await);
        }
        if let Some(time) = self.weather.takes() {
            self.weather.clock.sleep(time).await;
        }
        if self.is_off() {
            return Err(self.gone().await);
        }
        if self.weather.loud {
            say(&format!("{:>9} {what}", self.weather.clock.now().unix_ms % 1_000_000_000));
        }
        let cut = self.weather.cut_now();
        if cut && self.weather.chance.per_mille(500) {
            self.cut(&format!("{what}, before it"));
            return Err(self.gone().await);
        }
        let answer = call.await;
        if cut {
            self.cut(&format!("{what}, after it"));
        }
        if self.is_off() {
            return Err(self.gone().await);
        }
        Ok(answer)
    }
}
