//! Mistakes that the house does not make, made on purpose around the real rules: a checker that finds none of them would
//! find nothing.

use pairbot_protocol::ids::{HeadSha, Round};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{Permission, Signal, Verdict, WorkKind};

use crate::names::report;

/// A mistake, and the promise it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// P1: what was accepted once is accepted again.
    ForgetsWhatWasAccepted,
    /// P1: a publication that is tried again does not look for what an earlier attempt left.
    DoesNotLook,
    /// P2: a verdict on an old head is taken for one on the present head.
    RelabelsVerdicts,
    /// P3: a task of an agent begins without setting money aside.
    ReservesNothing,
    /// P4: whoever asks is taken for a maintainer.
    BelievesEverybody,
    /// P4: there is always one more round.
    IgnoresTheRoundCap,
    /// P5: a gate that could not be examined counts as one that holds.
    CallsUnknownGreen,
}

impl Bug {
    /// The signal as a house with this mistake would hear it.
    pub(crate) fn signal(self, run: &Run, said: &Signal) -> Signal {
        let present = |head: &HeadSha| run.head.clone().unwrap_or_else(|| head.clone());
        match (self, said.clone()) {
            (Self::RelabelsVerdicts, Signal::Reviewed { reviewer, head, outcome, spend }) => {
                Signal::Reviewed { reviewer, head: present(&head), outcome, spend }
            }
            (Self::RelabelsVerdicts, Signal::GateReported { gate, head, report }) => {
                Signal::GateReported { gate, head: present(&head), report }
            }
            (Self::BelievesEverybody, Signal::PermissionRead { request, .. }) => {
                Signal::PermissionRead { request, permission: Permission::Write }
            }
            (Self::CallsUnknownGreen, Signal::TaskFailed { work: WorkKind::Gate { gate, head }, .. }) => {
                Signal::GateReported { gate, head, report: report(Verdict::Green) }
            }
            (_, said) => said,
        }
    }

    /// The run as a house with this mistake would read it.
    pub(crate) fn run(self, run: &Run) -> Run {
        let mut run = run.clone();
        if self == Self::IgnoresTheRoundCap {
            run.rounds_allowed = Round(run.round.0 + 1);
        }
        run
    }
}
