//! Where a run is, in a line, and what a person can do there.

use pairbot_protocol::ids::Login;
use pairbot_protocol::run::{AfterInspection, Closing, Phase, Refusal, Run};
use pairbot_protocol::signal::{AccessLoss, Permission};

use super::halts::{halt, title};

/// Where the run is, in a few words.
pub(super) fn headline(run: &Run) -> String {
    let words = match &run.phase {
        Phase::Queued { then: AfterInspection::Create, .. } => {
            "queued: reading the issue and the policy".to_owned()
        }
        Phase::Queued { then: AfterInspection::Validate | AfterInspection::Complete, .. } => {
            "queued: reading the policy before the branch is reviewed".to_owned()
        }
        Phase::Creating { .. } => format!("the creator works, {}", round(run)),
        Phase::Opening { head, .. } => format!("opening the pull request for `{}`", head.short()),
        Phase::Validating(validation) => {
            format!("reviewing and checking `{}`, {}", validation.head.short(), round(run))
        }
        Phase::AwaitingHuman(validation) => format!("ready: `{}` waits for you", validation.head.short()),
        Phase::Halted { reason, exhausted, .. } => format!("halted: {}", title(run, *reason, *exhausted)),
        Phase::Refused { .. } => "not started".to_owned(),
        Phase::Merged { head, .. } => format!("merged at `{}`", head.short()),
        Phase::Closed { .. } => "ended without a merge".to_owned(),
    };
    let rests = matches!(run.phase, Phase::AwaitingHuman(_) | Phase::Halted { .. }) || run.is_over();
    if run.paused && !rests { format!("paused ({words})") } else { words }
}

/// What happens or can be done next.
pub(super) fn next(run: &Run) -> String {
    if run.paused && !run.is_over() {
        return "Nothing starts until someone with write access comments `/resume`.".to_owned();
    }
    match &run.phase {
        Phase::Queued { .. } | Phase::Creating { .. } | Phase::Opening { .. } | Phase::Validating(_) => {
            "Nothing to do for you now. Comments by people with write access reach the creator in the next round.".to_owned()
        }
        Phase::AwaitingHuman(_) => {
            "Read the pull request and merge it, if you agree: Pairbot never merges. A review that requests changes \
             starts another round."
                .to_owned()
        }
        Phase::Halted { reason, exhausted, .. } => {
            let text = halt(*reason, *exhausted);
            format!("{} {}", text.meaning, text.next)
        }
        Phase::Refused { reason } => refused(*reason, &run.labelled_by.login),
        Phase::Merged { by, .. } => format!("Done. Merged by `{}`.", by.login),
        Phase::Closed { closing, by, .. } => closed(*closing, &by.login),
    }
}

/// What someone may do, in words.
pub(super) fn permission(permission: Permission) -> &'static str {
    match permission {
        Permission::None => "no access that could be confirmed",
        Permission::Read => "read access",
        Permission::Triage => "triage access",
        Permission::Write => "write access",
        Permission::Maintain => "maintain access",
        Permission::Admin => "admin access",
    }
}

fn round(run: &Run) -> String {
    format!("round {} of {}", run.round, run.rounds_allowed)
}

fn refused(reason: Refusal, login: &Login) -> String {
    match reason {
        Refusal::NotPermitted { found } => format!(
            "Runs are started by people with triage access or more; `{login}` has {}. Someone with that access can \
             take the label off and set it again.",
            permission(found)
        ),
    }
}

fn closed(closing: Closing, login: &Login) -> String {
    let cause = match closing {
        Closing::LabelRemoved => "took the label off",
        Closing::IssueClosed => "closed the issue",
        Closing::PullRequestClosed => "closed the pull request",
        Closing::Stopped => "said `/stop`",
        Closing::AccessLost { loss: AccessLoss::InstallationDeleted } => "took the App off the account",
        Closing::AccessLost { loss: AccessLoss::InstallationSuspended } => "suspended the App's installation",
        Closing::AccessLost { loss: AccessLoss::RepositoryRemoved } => {
            "took the repository out of the App's reach"
        }
    };
    format!("`{login}` {cause}. The branch stays as it is; set the label `agent:pair` again for a new run.")
}
