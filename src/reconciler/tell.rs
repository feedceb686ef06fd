//! Telling what was missed: through the inbox like any webhook, under the webhook's own key.

use pairbot_protocol::ids::{InstallationId, Login, RunId, Timestamp, UserId};
use pairbot_protocol::signal::{Actor, ActorKind, Envelope, Signal, Target};
use tracing::{debug, info};

use crate::github::{Account, OwnAccount};
use crate::meaning;
use crate::store::{Accepted, Content, Delivery, Result, Store};

/// GitHub's own stand-in for an account that is gone (<https://github.com/ghost>).
const GHOST: UserId = UserId(10_137);

/// Something that was missed, as far as can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Telling {
    /// What it is, for the inbox and the log.
    pub(super) event: &'static str,
    /// The key under which a webhook would tell it.
    pub(super) meaning: String,
    /// The run that does not know it, for what is a state and not an act: if it was told once and does not hold, because
    /// deliveries came in another order than they happened, it is told once more.
    pub(super) again_for: Option<RunId>,
    /// What it says, and to whom.
    pub(super) target: Target,
    pub(super) signal: Signal,
}

/// Tells it. Whether it was new.
pub(super) async fn tell(
    store: &dyn Store,
    installation: InstallationId,
    telling: &Telling,
    now: Timestamp,
) -> Result<bool> {
    let first = offer(store, installation, telling, &telling.meaning, now).await?;
    let told = match (first, telling.again_for) {
        (false, Some(run)) => {
            offer(store, installation, telling, &meaning::again(run, &telling.meaning), now).await?
        }
        (told, _) => told,
    };
    if told {
        info!(meaning = telling.meaning, event = telling.event, "told what was missed");
    } else {
        debug!(meaning = telling.meaning, "was told before");
    }
    Ok(told)
}

async fn offer(
    store: &dyn Store,
    installation: InstallationId,
    telling: &Telling,
    meaning: &str,
    now: Timestamp,
) -> Result<bool> {
    let envelope = Envelope { installation, target: telling.target.clone(), signal: telling.signal.clone() };
    let delivery = Delivery {
        // No webhook can have such a name: theirs hold no colon.
        guid: format!("reconciler:{meaning}"),
        meaning: Some(meaning.to_owned()),
        event: format!("reconciler.{}", telling.event),
        received_at: now,
        content: Content::Signal(envelope),
    };
    Ok(match store.accept(delivery).await? {
        Accepted::New => true,
        Accepted::SameDelivery | Accepted::SameMeaning => false,
    })
}

/// Who did something. Whom GitHub does not name has no rights: what needs some is refused (promise P5).
pub(super) fn actor(account: Option<&Account>, own: &OwnAccount) -> Actor {
    let known = account.and_then(|account| {
        let login: Login = account.login.parse().ok()?;
        let is_own = own.known().is_some_and(|bot| {
            bot.id == account.id || bot.login.as_str().eq_ignore_ascii_case(&account.login)
        });
        let kind = match (is_own, account.is_person) {
            (true, _) => ActorKind::Own,
            (false, true) => ActorKind::Person,
            (false, false) => ActorKind::Bot,
        };
        Some(Actor { id: account.id, login, kind })
    });
    known.unwrap_or_else(nobody)
}

/// Somebody who is not known.
pub(super) fn nobody() -> Actor {
    Actor { id: GHOST, login: Login::ghost(), kind: ActorKind::Person }
}
