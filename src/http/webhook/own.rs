//! Who we are on GitHub, as far as it is known: deliveries about our own acts must not be taken for a person's.

use std::sync::OnceLock;

use pairbot_protocol::ids::{Login, UserId};
use pairbot_protocol::signal::ActorKind;

use super::payload::Account;

/// The account under which the App acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotAccount {
    /// Its id.
    pub id: UserId,
    /// Its name, `<slug>[bot]`.
    pub login: Login,
}

/// The App itself. Its id comes from the settings; its account is learnt from GitHub once it answers, and until then
/// our own acts look like those of any bot.
#[derive(Debug)]
pub struct OwnApp {
    id: u64,
    bot: OnceLock<BotAccount>,
}

impl OwnApp {
    /// The App with this id.
    pub const fn new(id: u64) -> Self {
        Self { id, bot: OnceLock::new() }
    }

    /// Takes note of the App's account. Only the first time counts: an App's account never changes.
    pub fn learn(&self, bot: BotAccount) {
        // A second note says the same; keeping the first is right.
        let _same = self.bot.set(bot);
    }

    /// Whether this is our id.
    pub fn is_app(&self, id: u64) -> bool {
        self.id == id
    }

    /// What kind of account acted. GitHub knows other types than `User` and `Bot`; none of them is a person who
    /// could ask for something.
    pub(super) fn kind_of(&self, account: &Account<'_>) -> ActorKind {
        let own = self.bot.get().is_some_and(|bot| {
            bot.id.0 == account.id || bot.login.as_str().eq_ignore_ascii_case(&account.login)
        });
        if own {
            ActorKind::Own
        } else if account.kind == "User" {
            ActorKind::Person
        } else {
            ActorKind::Bot
        }
    }
}
