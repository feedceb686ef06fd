//! What people must be shown when a run changed: the difference of two states of a run, as publications.
//!
//! Rules need not remember to publish: a state that looks different is published because it looks different.

use std::collections::BTreeSet;

use crate::checks::{self, CheckState};
use crate::effect::{Publication, Reaction, ReactionTarget};
use crate::ids::{GateName, HeadSha};
use crate::run::{Phase, Request, RequestState, ReviewRecord, Run, Wish};
use crate::signal::FeedbackSource;

/// What to publish after `before` became `after`; none for `before` when the run has just begun.
pub fn difference(before: Option<&Run>, after: &Run) -> Vec<Publication> {
    // Where the App can no longer write, nothing is asked for in vain.
    if before == Some(after) || after.lost_access() {
        return Vec::new();
    }
    let mut publications = Vec::new();
    if before.is_none() {
        publications.push(Publication::Reaction { to: ReactionTarget::Issue, with: Reaction::Seen });
    }
    publications.push(Publication::Status);
    publications.extend(checks_to_publish(before, after));
    let known = before.map_or(0, |run| run.reviews.len());
    publications.extend(after.reviews.iter().enumerate().skip(known).map(|(position, record)| {
        let (reviewer, head) = (record.reviewer.clone(), record.head.clone());
        Publication::Review { reviewer, head, reading: reading(&after.reviews, position) }
    }));
    for (id, finding) in &after.findings {
        let earlier = before.and_then(|run| run.findings.get(id));
        if earlier.is_some_and(|earlier| earlier.state != finding.state) {
            publications.push(Publication::Thread { finding: id.clone() });
        }
    }
    if after.pull_request.is_some()
        && before.and_then(wants_draft) != wants_draft(after)
        && wants_draft(after).is_some()
    {
        publications.push(Publication::DraftState);
    }
    // Work that was withdrawn may have opened it all the same: nobody waits for it any more.
    let came_late = before.is_some_and(|run| run.is_over() && run.pull_request.is_none());
    if came_late && after.is_over() && after.pull_request.is_some() {
        publications.push(Publication::Stray);
    }
    for (id, request) in &after.requests {
        let was_pending = before
            .and_then(|run| run.requests.get(id))
            .is_some_and(|request| request.state == RequestState::Pending);
        if was_pending {
            publications.extend(acknowledgement(request));
            if answer_of(request).is_some() {
                publications.push(Publication::Answer { request: *id });
            }
        }
    }
    publications
}

/// Which of its reviewer's readings of its head the review at `position` is, from 1.
fn reading(reviews: &[ReviewRecord], position: usize) -> u32 {
    let (earlier, rest) = reviews.split_at(position.min(reviews.len()));
    let same = |other: &&ReviewRecord| {
        rest.first().is_some_and(|record| record.reviewer == other.reviewer && record.head == other.head)
    };
    u32::try_from(earlier.iter().filter(same).count()).unwrap_or(u32::MAX).saturating_add(1)
}

/// Whether the pull request should be a draft; none where that is no longer ours to say, or not yet.
pub fn wants_draft(run: &Run) -> Option<bool> {
    run.pull_request.as_ref()?;
    match &run.phase {
        Phase::AwaitingHuman(_) => Some(false),
        Phase::Queued { .. }
        | Phase::Creating { .. }
        | Phase::Opening { .. }
        | Phase::Validating(_)
        | Phase::Halted { .. } => Some(true),
        Phase::Refused { .. } | Phase::Merged { .. } | Phase::Closed { .. } => None,
    }
}

/// The answer that a settled request gets in words.
pub fn answer_of(request: &Request) -> Option<&crate::run::AnswerText> {
    match &request.state {
        RequestState::Pending => None,
        RequestState::Granted { answer } | RequestState::Refused { answer } => answer.as_ref(),
    }
}

fn acknowledgement(request: &Request) -> Option<Publication> {
    let granted = match request.state {
        RequestState::Pending => return None,
        RequestState::Granted { .. } => true,
        RequestState::Refused { .. } => false,
    };
    match &request.wish {
        Wish::Commands { comment, .. } => Some(Publication::Reaction {
            to: ReactionTarget::Comment { id: *comment },
            with: if granted { Reaction::Accepted } else { Reaction::Refused },
        }),
        // Who may not be heard is not told so in public for every remark.
        Wish::Feedback { source, .. } if granted => Some(Publication::Reaction {
            to: match source {
                FeedbackSource::Comment { id } => ReactionTarget::Comment { id: *id },
                FeedbackSource::LineComment { id } => ReactionTarget::LineComment { id: *id },
                FeedbackSource::Review { .. } => return None,
            },
            with: Reaction::Seen,
        }),
        Wish::Feedback { .. } | Wish::Button { .. } => None,
    }
}

/// Whether the head in question has check runs: once it is examined, and while the breaker is open. A head that comes
/// back to an open breaker may have been withdrawn in between, and must not be left saying so (promise P5).
fn is_told(run: &Run, head: &HeadSha) -> bool {
    let examined = run.validation().is_some_and(|validation| validation.head == *head);
    examined || matches!(run.phase, Phase::Halted { .. })
}

fn checks_to_publish(before: Option<&Run>, after: &Run) -> Vec<Publication> {
    let mut places: BTreeSet<(GateName, HeadSha)> = BTreeSet::new();
    for run in before.into_iter().chain([after]) {
        if let Some(head) = run.head.as_ref().filter(|head| is_told(run, head)) {
            places.extend(checks::names(run).into_iter().map(|name| (name, head.clone())));
        }
    }
    let published = |run: Option<&Run>, gate: &GateName, head: &HeadSha| {
        let run = run?;
        (run.is_over() || run.head.as_ref() != Some(head) || is_told(run, head))
            .then(|| checks::view(run, gate, head))
    };
    let mut publications = Vec::new();
    for (gate, head) in places {
        let earlier = published(before, &gate, &head);
        let Some(later) = published(Some(after), &gate, &head) else { continue };
        if earlier.as_ref() == Some(&later) {
            continue;
        }
        // A verdict on a head that is no longer in question stays what it was; only what never came to one is
        // withdrawn, and `ready`, which must not stay green anywhere but on the head it is about (promise P2).
        if later.state == CheckState::Withdrawn {
            let ended = after.is_over();
            let unfinished = earlier.is_some_and(|view| match view.state {
                CheckState::InProgress => true,
                CheckState::Success => !ended && gate.as_str() == checks::READY,
                CheckState::Failure | CheckState::ActionRequired | CheckState::Withdrawn => false,
            });
            if !unfinished {
                continue;
            }
        }
        publications.push(Publication::Check { gate, head });
    }
    publications
}
