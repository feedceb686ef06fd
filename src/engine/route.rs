//! Which run a signal is for.

use pairbot_protocol::ids::RunId;
use pairbot_protocol::signal::{Envelope, Signal, Target};

use crate::store::{Store, StoreError};

/// Where a signal goes.
pub(super) enum Route {
    /// It begins this run.
    Open(RunId),
    /// It is about these runs, at least one.
    Runs(Vec<RunId>),
    /// It is about no run; why.
    Nobody(String),
}

pub(super) async fn route(store: &dyn Store, envelope: &Envelope) -> Result<Route, StoreError> {
    let runs = store.runs_for(&envelope.target).await?;
    if let (Signal::LabelSet { .. }, Target::Issue { repository, issue }) =
        (&envelope.signal, &envelope.target)
    {
        let newest = runs.into_iter().max_by_key(|run| run.ordinal);
        let Some(newest) = newest else {
            return Ok(Route::Open(RunId { repository: *repository, issue: *issue, ordinal: 1 }));
        };
        let over = store.run(newest).await?.is_none_or(|stored| stored.run.is_over());
        return Ok(if over {
            Route::Open(RunId { ordinal: newest.ordinal.saturating_add(1), ..newest })
        } else {
            Route::Runs(vec![newest])
        });
    }
    Ok(if runs.is_empty() { Route::Nobody("no run is about this".to_owned()) } else { Route::Runs(runs) })
}
