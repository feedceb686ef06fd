//! The only way to a model: money and tokens are reserved before a call and settled after it (promise P3).
//!
//! [`Gateway::call`] estimates the worst case of a request, reserves it from the caller's
//! [`BudgetAccount`](account::BudgetAccount), forwards the request to the provider, and settles what the provider
//! reported. An agent of a vendor's makes its calls itself, through a [`door`], where the same holds for each. There is
//! no other code in the program that talks to a model provider, and none that holds its key.
//!
//! Reading order: [`message`] (what is said), [`prices`] (what it costs), [`estimate`] (the worst case),
//! [`account`] (who pays), [`payment`] (reserve and settle), [`transport`] and [`providers`] (the wire), [`call`] (all of
//! it in order), [`door`] (the same for others' agents).

pub mod account;
pub mod call;
mod circuit;
pub mod door;
mod estimate;
pub mod message;
mod payment;
pub mod prices;
pub mod providers;
mod retry;
pub mod transport;

use std::time::Duration;

pub use account::{AccountError, BudgetAccount, Lack, Left, ReservationId, Room};
pub use call::{CallError, Gateway, GatewaySettings};
pub use circuit::CircuitSettings;
pub use door::{Api, CallOutcome, Door, DoorCall, DoorError, Spent, Visit};
pub use message::{Arguments, Block, Message, ModelRequest, Reply, Role, StopReason, ToolSpec};
pub use prices::{CacheLife, ModelChoice, ModelFacts, PriceTable, PriceTableError, UnknownModel};
pub use providers::{ProviderError, ProviderKind, ProviderSettings};
pub use retry::RetrySettings;
pub use transport::{AnswerBody, ModelTransport, ProviderClient, SendError};

/// The HTTP client the gateway expects: it names itself and follows no redirect, because a redirect would carry
/// the provider's key to another host.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(concat!("pairbot/", env!("CARGO_PKG_VERSION")))
        // A connection that is never made costs nothing, and this tells it from a call that was sent and got no answer.
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .build()
}

#[cfg(test)]
pub(crate) mod tests;
