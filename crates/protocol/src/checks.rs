//! What each check run says of a head, derived from the run alone: there is no second place that could disagree.

use crate::budget::Exhausted;
use crate::ids::{FindingId, GateName, HeadSha, ReviewerName, Round};
use crate::run::{GateProgress, Halt, Phase, ReviewProgress, Run, Validation};
use crate::signal::{GateReport, Verdict};

/// The gate that stands for all reviewers.
pub const REVIEW: &str = "review";
/// The gate that stands for everything: the one to require in branch protection.
pub const READY: &str = "ready";

/// The state of a check run. GitHub lets `neutral` and `skipped` satisfy a required check, so neither exists here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// Not known yet.
    InProgress,
    /// It holds for this head.
    Success,
    /// It does not hold.
    Failure,
    /// A person must look.
    ActionRequired,
    /// It will never be known: the head or the run is no longer of interest.
    Withdrawn,
}

/// Why a check run is in its state; the sentences are written elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The gate is being examined.
    Examining,
    /// The gate reported.
    Reported(GateReport),
    /// Reviewers are reading.
    Reading {
        /// Who has not handed in.
        pending: Vec<ReviewerName>,
    },
    /// Reviewers failed, which is not an approval.
    ReviewersFailed {
        /// Who.
        failed: Vec<ReviewerName>,
    },
    /// Findings are open.
    Held {
        /// Which.
        findings: Vec<FindingId>,
    },
    /// All reviewers have read this head and nothing holds it.
    ReviewedClean,
    /// `ready` waits for others.
    WaitsFor {
        /// Reviewers that read.
        reviewers: Vec<ReviewerName>,
        /// Gates that are examined or wait themselves.
        gates: Vec<GateName>,
    },
    /// The creator mends this head in a new round.
    BeingMended {
        /// Which round.
        round: Round,
    },
    /// The run was paused by a person.
    Paused,
    /// The breaker opened before this came to a verdict; nobody works on it.
    StoppedBefore,
    /// The breaker is open.
    Halted {
        /// Why.
        reason: Halt,
        /// In words.
        detail: String,
        /// The budget that is used up, if that is why.
        exhausted: Option<Exhausted>,
    },
    /// Every rule holds.
    Ready,
    /// Another head is in question now.
    Superseded,
    /// The rules that hold now do not name this gate.
    Dropped,
    /// The run ended.
    Ended,
}

/// What a check run says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckView {
    /// Its state.
    pub state: CheckState,
    /// Why.
    pub why: Why,
}

impl CheckView {
    fn new(state: CheckState, why: Why) -> Self {
        Self { state, why }
    }
}

/// The gates that have a check run on the present head, `review` and `ready` last.
pub fn names(run: &Run) -> Vec<GateName> {
    let configured = run.validation().into_iter().flat_map(|validation| validation.gates.keys().cloned());
    configured.chain([REVIEW, READY].into_iter().filter_map(|name| name.parse().ok())).collect()
}

/// What the check run of `gate` says of `head`.
pub fn view(run: &Run, gate: &GateName, head: &HeadSha) -> CheckView {
    if run.is_over() {
        return CheckView::new(CheckState::Withdrawn, Why::Ended);
    }
    if run.head.as_ref() != Some(head) {
        return CheckView::new(CheckState::Withdrawn, Why::Superseded);
    }
    let validation = run.validation().filter(|validation| validation.head == *head);
    match (gate.as_str(), validation) {
        (READY, validation) => ready(run, validation),
        (_, Some(validation)) => found(run, gate, validation),
        (_, None) => unexamined(run),
    }
}

/// A head that nobody has examined. Where the breaker is open, that is what its checks say. Else a publication waited
/// since the breaker was: the head may never be examined, and then nobody would end what began here (promise P4). If
/// it is, that is published.
fn unexamined(run: &Run) -> CheckView {
    match &run.phase {
        Phase::Halted { .. } => CheckView::new(CheckState::ActionRequired, Why::StoppedBefore),
        Phase::Queued { .. }
        | Phase::Creating { .. }
        | Phase::Opening { .. }
        | Phase::Validating(_)
        | Phase::AwaitingHuman(_)
        | Phase::Refused { .. }
        | Phase::Merged { .. }
        | Phase::Closed { .. } => CheckView::new(CheckState::Withdrawn, Why::Superseded),
    }
}

/// What a gate other than `ready` came to on the head that is, or was last, validated, whatever became of the run
/// since: evidence for tables, where [`view`] is what a check run says now.
pub fn found(run: &Run, gate: &GateName, validation: &Validation) -> CheckView {
    match (gate.as_str(), validation.gates.get(gate)) {
        (REVIEW, _) => review(run, validation),
        (_, Some(GateProgress::Reported(report))) => {
            let decided = |state| CheckView::new(state, Why::Reported(report.clone()));
            match report.verdict {
                Verdict::Green => decided(CheckState::Success),
                Verdict::Red => decided(CheckState::Failure),
                Verdict::Unknown => decided(CheckState::ActionRequired),
                Verdict::Waiting => unfinished(run, Why::Reported(report.clone())),
            }
        }
        (_, Some(GateProgress::Pending)) => unfinished(run, Why::Examining),
        (_, None) => CheckView::new(CheckState::Withdrawn, Why::Dropped),
    }
}

/// What has no verdict: `why` while someone works on it. A run that stopped must not show it as if it went on.
fn unfinished(run: &Run, why: Why) -> CheckView {
    match &run.phase {
        Phase::Halted { .. } => CheckView::new(CheckState::ActionRequired, Why::StoppedBefore),
        Phase::Refused { .. } | Phase::Merged { .. } | Phase::Closed { .. } => {
            CheckView::new(CheckState::Withdrawn, Why::Ended)
        }
        Phase::Queued { .. }
        | Phase::Creating { .. }
        | Phase::Opening { .. }
        | Phase::Validating(_)
        | Phase::AwaitingHuman(_) => CheckView::new(CheckState::InProgress, why),
    }
}

fn review(run: &Run, validation: &Validation) -> CheckView {
    let failed: Vec<_> = names_of(validation, |progress| matches!(progress, ReviewProgress::Failed { .. }));
    let pending: Vec<_> = names_of(validation, |progress| matches!(progress, ReviewProgress::Pending));
    let findings: Vec<_> = run.holding().map(|finding| finding.id.clone()).collect();
    if !pending.is_empty() {
        unfinished(run, Why::Reading { pending })
    } else if !failed.is_empty() {
        CheckView::new(CheckState::ActionRequired, Why::ReviewersFailed { failed })
    } else if !findings.is_empty() {
        CheckView::new(CheckState::Failure, Why::Held { findings })
    } else {
        CheckView::new(CheckState::Success, Why::ReviewedClean)
    }
}

fn names_of(validation: &Validation, which: impl Fn(&ReviewProgress) -> bool) -> Vec<ReviewerName> {
    validation.reviews.iter().filter(|(_, progress)| which(progress)).map(|(name, _)| name.clone()).collect()
}

/// The gates of a head that have not come to a verdict.
pub fn unsettled_gates(validation: &Validation) -> Vec<GateName> {
    let unsettled = validation.gates.iter().filter(|(_, progress)| progress.is_unsettled());
    unsettled.map(|(name, _)| name.clone()).collect()
}

fn ready(run: &Run, validation: Option<&Validation>) -> CheckView {
    let state = |state, why| CheckView::new(state, why);
    match &run.phase {
        Phase::AwaitingHuman(_) if validation.is_some() && holds_for_ready(run) => {
            state(CheckState::Success, Why::Ready)
        }
        Phase::Halted { reason, detail, exhausted, .. } => {
            let why = Why::Halted { reason: *reason, detail: detail.clone(), exhausted: *exhausted };
            state(CheckState::ActionRequired, why)
        }
        _ if run.paused => state(CheckState::ActionRequired, Why::Paused),
        Phase::Creating { .. } => state(CheckState::Failure, Why::BeingMended { round: run.round }),
        Phase::Validating(validation) | Phase::AwaitingHuman(validation) => {
            let reviewers = names_of(validation, |progress| matches!(progress, ReviewProgress::Pending));
            state(CheckState::InProgress, Why::WaitsFor { reviewers, gates: unsettled_gates(validation) })
        }
        Phase::Queued { .. } | Phase::Opening { .. } if validation.is_none() => unexamined(run),
        Phase::Queued { .. }
        | Phase::Opening { .. }
        | Phase::Refused { .. }
        | Phase::Merged { .. }
        | Phase::Closed { .. } => unfinished(run, Why::Examining),
    }
}

/// Whether every rule holds for the head in question: every reviewer has read it, every gate is green, no finding
/// and no person holds it.
pub fn holds_for_ready(run: &Run) -> bool {
    run.validation().is_some_and(|validation| {
        run.head.as_ref() == Some(&validation.head)
            && !validation.reviews.is_empty()
            && validation.reviews.values().all(|progress| *progress == ReviewProgress::Done)
            && validation.gates.values().all(|progress| match progress {
                GateProgress::Pending => false,
                GateProgress::Reported(report) => report.verdict == Verdict::Green,
            })
    }) && run.holding().next().is_none()
        && !run.feedback.iter().any(crate::run::Feedback::holds)
}
