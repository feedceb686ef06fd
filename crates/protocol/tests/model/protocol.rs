//! The real rules, asked once for each question: what follows from this signal for this run?

use std::collections::HashMap;
use std::rc::Rc;

use pairbot_protocol::apply::{apply, begin};
use pairbot_protocol::decide::{Decision, decide, open};
use pairbot_protocol::effect::{Effect, Publication, StoreChange, Work};
use pairbot_protocol::event::Event;
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{CreateOutcome, Inspection, Signal};

use crate::bug::Bug;
use crate::checker::Broken;
use crate::intern::{Kept, Name};
use crate::names::{self, Commit, T0};
use crate::promise;

/// A decision in the names of a world.
pub(crate) struct Decided {
    pub(crate) run: Name<Run>,
    pub(crate) effects: Vec<Ordered>,
    pub(crate) breaks: Option<Broken>,
}

/// An effect that the world has a place for.
pub(crate) enum Ordered {
    Work(Name<Work>),
    Publish(Name<Publication>),
    Change(StoreChange),
}

/// The rules, and everything that was ever said in this exploration.
#[derive(Default)]
pub(crate) struct Protocol {
    pub(crate) runs: Kept<Run>,
    pub(crate) signals: Kept<Signal>,
    pub(crate) works: Kept<Work>,
    pub(crate) publications: Kept<Publication>,
    heads: HashMap<Name<Signal>, Option<Commit>>,
    decided: HashMap<(Name<Run>, Name<Signal>, bool), Rc<Decided>>,
    bug: Option<Bug>,
}

impl Protocol {
    /// What of a run a task excludes, as a number: of two with the same lane, the second waits for the first.
    pub(crate) fn lane(&self, work: Name<Work>) -> u32 {
        match &*self.works.get(work) {
            Work::Inspect { .. } => 0,
            Work::Create { .. } => 1,
            Work::OpenPullRequest { .. } => 2,
            Work::Review { reviewer, .. } => 0x100 + u32::from(names::reviewer(reviewer)),
            Work::Gate { gate, .. } => 0x200 + u32::from(names::gate(gate)),
            Work::ReadPermission { request, .. } => 0x1000 + request.0,
        }
    }

    pub(crate) fn with(bug: Option<Bug>) -> Self {
        Self { bug, ..Self::default() }
    }

    /// The commit that a signal may make the one in question.
    pub(crate) fn head_of(&mut self, signal: Name<Signal>) -> Option<Commit> {
        if let Some(known) = self.heads.get(&signal) {
            return *known;
        }
        let told = match &*self.signals.get(signal) {
            Signal::HeadMoved { head, .. } | Signal::PullRequestOpened { head, .. } => Some(head.clone()),
            Signal::ReviewWithheld { actual, .. } => actual.clone(),
            Signal::Inspected(Inspection::Fit { branch_head, .. }) => branch_head.clone(),
            Signal::Created { outcome, .. } => match outcome {
                CreateOutcome::Pushed { head, .. } => Some(head.clone()),
                CreateOutcome::HeadMoved { actual } => actual.clone(),
                CreateOutcome::NoProgress | CreateOutcome::Failed { .. } => None,
            },
            Signal::LabelSet { .. }
            | Signal::LabelRemoved { .. }
            | Signal::IssueClosed { .. }
            | Signal::Commanded { .. }
            | Signal::Remarked { .. }
            | Signal::PullRequestClosed { .. }
            | Signal::ForeignCheckChanged { .. }
            | Signal::CheckPressed { .. }
            | Signal::Inspected(_)
            | Signal::PermissionRead { .. }
            | Signal::SetUpRan { .. }
            | Signal::Reviewed { .. }
            | Signal::GateReported { .. }
            | Signal::TaskFailed { .. }
            | Signal::AccessLost { .. }
            | Signal::Published { .. }
            | Signal::TimerFired { .. } => None,
        };
        let told = told.as_ref().map(Commit::of_head);
        self.heads.insert(signal, told);
        told
    }

    /// How many different decisions were made.
    pub(crate) fn decisions(&self) -> usize {
        self.decided.len()
    }

    pub(crate) fn open(&mut self, issue: usize, ordinal: u32, signal: &Signal) -> Option<Decided> {
        let Signal::LabelSet { by, issue: facts } = signal else { return None };
        let decision = open(names::run(issue, ordinal), names::INSTALLATION, by, facts, T0);
        let folded = decision.events.first().and_then(begin);
        let broken = promise::of_ledger(folded, &decision).err();
        Some(self.ordered(decision, broken))
    }

    /// What follows. `late` means that the time of a deadline has come.
    pub(crate) fn decide(&mut self, run: Name<Run>, signal: Name<Signal>, late: bool) -> Rc<Decided> {
        let question = (run, signal, late);
        if let Some(known) = self.decided.get(&question) {
            return Rc::clone(known);
        }
        let (before, said) = (self.runs.get(run), self.signals.get(signal));
        let heard = self.bug.map_or_else(|| (*said).clone(), |bug| bug.signal(&before, &said));
        let asked = self.bug.map_or_else(|| (*before).clone(), |bug| bug.run(&before));
        let now = if late { before.deadline } else { T0 };
        let decision = decide(&asked, &heard, now);
        let broken = promise::of_ledger(Some(asked), &decision)
            .and_then(|()| promise::of_decision(&before, &said, &decision))
            .err();
        let decided = Rc::new(self.ordered(decision, broken));
        self.decided.insert(question, Rc::clone(&decided));
        decided
    }

    fn ordered(&mut self, decision: Decision, breaks: Option<Broken>) -> Decided {
        let effects = decision.effects.into_iter().filter_map(|effect| match effect {
            Effect::Work(work) => Some(Ordered::Work(self.works.keep(work))),
            Effect::Publish(publication) => {
                promise::shows(&publication).then(|| Ordered::Publish(self.publications.keep(publication)))
            }
            Effect::Store(change) => Some(Ordered::Change(change)),
        });
        let effects = effects.collect();
        Decided { run: self.runs.keep(decision.run), effects, breaks }
    }
}

/// Folds the events of a decision.
pub(crate) fn folded(run: Run, events: &[Event]) -> Run {
    events.iter().fold(run, apply)
}
