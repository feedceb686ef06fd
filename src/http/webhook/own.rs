//! Who we are on GitHub, as far as it is known: deliveries about our own acts must not be taken for a person's.

use pairbot_protocol::signal::ActorKind;

use super::payload::Account;
use crate::github::OwnAccount;

/// The App itself. Its id comes from the settings; its account is learnt from GitHub once it answers, and until then
/// our own acts look like those of any bot.
#[derive(Debug)]
pub struct OwnApp {
    id: u64,
    bot: OwnAccount,
}

impl OwnApp {
    /// The App with this id, acting under that account.
    pub const fn new(id: u64, bot: OwnAccount) -> Self {
        Self { id, bot }
    }

    /// Whether this is our id.
    pub fn is_app(&self, id: u64) -> bool {
        self.id == id
    }

    /// What kind of account acted. GitHub knows other types than `User` and `Bot`; none of them is a person who
    /// could ask for something.
    pub(super) fn kind_of(&self, account: &Account<'_>) -> ActorKind {
        let own = self.bot.known().is_some_and(|bot| {
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
