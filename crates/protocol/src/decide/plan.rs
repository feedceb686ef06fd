//! A decision in the making: events are applied as they are recorded, so that each rule sees what the one before did.

use crate::apply::apply;
use crate::effect::{Effect, StoreChange, Work};
use crate::event::Event;
use crate::ids::Timestamp;
use crate::publish;
use crate::run::{RequestState, Run};

/// What follows from a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happened, for the ledger.
    pub events: Vec<Event>,
    /// What shall happen, for the outbox.
    pub effects: Vec<Effect>,
    /// The run after the events.
    pub run: Run,
}

pub(super) struct Plan {
    before: Option<Run>,
    pub(super) run: Run,
    pub(super) now: Timestamp,
    events: Vec<Event>,
    effects: Vec<Effect>,
}

impl Plan {
    pub(super) fn of(run: &Run, now: Timestamp) -> Self {
        Self { before: Some(run.clone()), run: run.clone(), now, events: Vec::new(), effects: Vec::new() }
    }

    pub(super) fn beginning(run: Run, event: Event, now: Timestamp) -> Self {
        Self { before: None, run, now, events: vec![event], effects: Vec::new() }
    }

    /// Writes an event to the ledger.
    pub(super) fn record(&mut self, event: Event) {
        self.run = apply(self.run.clone(), &event);
        self.events.push(event);
    }

    /// Asks for work. A paused run starts none; what it lacks is asked for when it resumes.
    pub(super) fn start(&mut self, work: Work) {
        if !self.run.paused {
            self.effects.push(Effect::Work(work));
        }
    }

    /// Asks for work that a pause does not hold back: finding out who may end the pause.
    pub(super) fn start_although_paused(&mut self, work: Work) {
        self.effects.push(Effect::Work(work));
    }

    pub(super) fn change(&mut self, change: StoreChange) {
        self.effects.push(Effect::Store(change));
    }

    /// The decision, with everything that people must be shown because the run looks different now.
    pub(super) fn finish(mut self) -> Decision {
        self.ask_again();
        let publications = publish::difference(self.before.as_ref(), &self.run);
        self.effects.extend(publications.into_iter().map(Effect::Publish));
        Decision { events: self.events, effects: self.effects, run: self.run }
    }

    /// Withdrawing work also withdraws the questions what people may do who asked for something just before. Their
    /// wishes are not forgotten for that.
    fn ask_again(&mut self) {
        if self.effects.contains(&Effect::Store(StoreChange::CancelWork)) {
            let pending = self.run.requests.iter().filter(|(_, asked)| asked.state == RequestState::Pending);
            let questions =
                pending.map(|(id, asked)| Work::ReadPermission { request: *id, of: asked.by.clone() });
            self.effects.extend(questions.map(Effect::Work));
        }
    }
}
