//! Is the server alive, and can it work?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use pairbot_protocol::ids::Timestamp;
use serde_json::{Value, json};

use super::HttpState;
use crate::github::Moment;
use crate::sandbox::Standing;

/// How long the engine may be silent before it counts as stuck, in milliseconds.
pub const ENGINE_SILENCE_MS_MAX: u64 = 30_000;

/// The engine's heartbeat: the engine beats, readiness looks. Clones share one heart.
#[derive(Debug, Clone, Default)]
pub struct EngineHealth {
    beat_unix_ms: Arc<AtomicU64>,
}

impl EngineHealth {
    /// An engine that has not begun to beat.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells that the engine runs. To be called at least every [`ENGINE_SILENCE_MS_MAX`], also when there is nothing
    /// to do.
    pub fn beat(&self, now: Timestamp) {
        self.beat_unix_ms.store(now.unix_ms, Ordering::Relaxed);
    }

    /// Whether the engine has told so lately.
    pub fn is_beating(&self, now: Timestamp) -> bool {
        let beat = self.beat_unix_ms.load(Ordering::Relaxed);
        beat > 0 && now.ms_since(Timestamp::from_unix_ms(beat)) <= ENGINE_SILENCE_MS_MAX
    }
}

/// `GET /healthz`: the process answers.
pub(super) async fn healthz() -> Response {
    Json(json!({ "status": "alive" })).into_response()
}

/// Which layer holds. What a probe saw stays in the log and with the doctor: this page is open to everybody.
fn sandbox_facts(standing: &Standing) -> Value {
    match standing {
        Standing::Bubblewrap { gaps } | Standing::UserSlot { gaps } => {
            let unbounded: Vec<String> = gaps.iter().map(|gap| gap.limit.to_string()).collect();
            json!({ "layer": standing.name(), "not_bounded": unbounded })
        }
        Standing::NoneAccepted => json!({ "layer": standing.name() }),
        Standing::Unavailable { probe, why: _ } => {
            json!({ "layer": standing.name(), "probe": probe.to_string() })
        }
    }
}

/// `GET /readyz`: the store can be reached and the engine, where this process runs one, is at work.
pub(super) async fn readyz(State(state): State<Arc<HttpState>>) -> Response {
    let store = state.inbox.ping().await;
    if let Err(error) = &store {
        tracing::warn!(%error, "not ready: the store cannot be reached");
    }
    let engine = match &state.engine {
        None => "elsewhere",
        Some(engine) if engine.is_beating(state.clock.now()) => "running",
        Some(_) => "silent",
    };
    let ready = store.is_ok() && engine != "silent";
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let store = if store.is_ok() { "reachable" } else { "unreachable" };
    // A reconciler that fails does not make the server less ready: webhooks are taken in all the same.
    let reconciler = state.reconciler.as_ref().map(|pulse| match pulse.last() {
        None => json!({ "last_pass": null }),
        Some(last) => json!({
            "last_pass": Moment::of(last.at).as_ref().map(Moment::as_str),
            "told": last.told,
            "failures": last.failures.len(),
        }),
    });
    // Nor does a missing sandbox: what needs none is done, and what needs one says so.
    let sandbox =
        state.sandbox.as_ref().map(|told| told.told().map_or_else(|| json!("probing"), sandbox_facts));
    let answer = json!({
        "ready": ready,
        "store": store,
        "engine": engine,
        "reconciler": reconciler,
        "sandbox": sandbox,
    });
    (status, Json(answer)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{Gap, Limit, Probe};

    #[test]
    fn readiness_tells_which_sandbox_holds_and_not_what_a_probe_saw() {
        let why = "/srv/secret-place".to_owned();
        let gaps = vec![Gap { limit: Limit::Memory, why: why.clone() }];
        let held = sandbox_facts(&Standing::Bubblewrap { gaps });
        assert_eq!(held, json!({ "layer": "bubblewrap", "not_bounded": ["memory"] }));
        let none = sandbox_facts(&Standing::Unavailable { probe: Probe::Files, why: why.clone() });
        assert_eq!(none["layer"], "unavailable");
        assert!(none["probe"].as_str().is_some_and(|probe| probe.contains("file of the host")), "{none}");
        assert!(!held.to_string().contains(&why) && !none.to_string().contains(&why));
        assert_eq!(sandbox_facts(&Standing::NoneAccepted), json!({ "layer": "none-accepted" }));
    }
}
