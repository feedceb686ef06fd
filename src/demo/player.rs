//! The simulated person of `demo --once`: sets the label, waits, asks again once if the breaker opens, and merges.
//!
//! The person looks at GitHub alone, as people do: a draft that is no draft any more and a green `pairbot / ready`.

use std::time::Duration;

use pairbot_github_sim::SimError;
use pairbot_protocol::checks::READY;
use pairbot_protocol::policy::LABEL;

use super::{MAINTAINER, REPOSITORY, Stage};
use crate::ports::Clock;

/// How long the person looks elsewhere between two glances.
const GLANCE: Duration = Duration::from_millis(40);

/// Why a story had no good end.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// GitHub refused the person something.
    #[error(transparent)]
    Refused(#[from] SimError),
    /// It took longer than the person waits.
    #[error("the pull request for issue {issue} was not ready within {seconds} s")]
    TooLong {
        /// The issue.
        issue: u64,
        /// How long was waited.
        seconds: u64,
    },
    /// The breaker opened again although the person asked once more.
    #[error("the run of issue {issue} was halted, and again after `/retry`")]
    Halted {
        /// The issue.
        issue: u64,
    },
}

/// Plays the person's part on an issue, to the merge.
pub async fn play(
    stage: &Stage,
    clock: &dyn Clock,
    issue: u64,
    patience: Duration,
) -> Result<u64, PlayError> {
    let person = stage.github.person(MAINTAINER);
    person.label(REPOSITORY, issue, LABEL)?;
    let until = clock.now().plus_ms(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
    let mut asked_again_on: Option<String> = None;
    loop {
        match look(stage, issue)? {
            Seen::Ready(number) => match person.merge(REPOSITORY, number, "squash") {
                Ok(_) => return Ok(number),
                // The page said that it can be merged, and then it could not: look again.
                Err(SimError::Refused { status: 405 | 409, .. }) => {}
                Err(error) => return Err(error.into()),
            },
            Seen::Halted(number, head) => match &asked_again_on {
                None => {
                    person.comment(
                        REPOSITORY,
                        number,
                        "/retry\nLook at the minus sign: the test is right.",
                    )?;
                    asked_again_on = Some(head);
                }
                Some(earlier) if *earlier != head => return Err(PlayError::Halted { issue }),
                Some(_) => {}
            },
            Seen::Working => {}
        }
        if clock.now() >= until {
            return Err(PlayError::TooLong { issue, seconds: patience.as_secs() });
        }
        clock.sleep(GLANCE).await;
    }
}

enum Seen {
    Working,
    Ready(u64),
    Halted(u64, String),
}

fn look(stage: &Stage, issue: u64) -> Result<Seen, SimError> {
    let branch = format!("pairbot/issue-{issue}");
    let pulls = stage.github.pulls(REPOSITORY)?;
    let Some(pull) = pulls.into_iter().find(|pull| pull.open && pull.head_branch == branch) else {
        return Ok(Seen::Working);
    };
    let ready = stage.github.check(REPOSITORY, &pull.head_sha, &format!("pairbot / {READY}"))?;
    let conclusion = ready.and_then(|check| check.conclusion);
    Ok(match conclusion.as_deref() {
        Some("success") if !pull.draft => Seen::Ready(pull.number),
        Some("action_required") => Seen::Halted(pull.number, pull.head_sha),
        Some(_) | None => Seen::Working,
    })
}
