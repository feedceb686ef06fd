//! The publisher: one lane a run, each publication brought about from the run as it is at that moment.

use pairbot_protocol::checks;
use pairbot_protocol::effect::Publication;
use pairbot_protocol::publish::{answer_of, wants_draft};
use pairbot_protocol::signal::Signal;

use crate::bug::Bug;
use crate::checker::{Broken, Step};
use crate::house::House;
use crate::intern::Name;
use crate::names::{self, Commit};
use crate::promise;
use crate::world::{Life, Post, Posting, Shown, To, World};

/// Queues a publication, unless an equal one waits that nobody has begun.
pub(crate) fn enqueue(life: &mut Life, publication: Name<Publication>) {
    if !life.postings.iter().any(|queued| queued.publication == publication && !queued.claimed) {
        life.postings.push(Posting { publication, claimed: false, again: false });
    }
}

impl House {
    /// Shows what waits.
    pub(crate) fn publish(&mut self, world: &World, issue: usize, at: usize, steps: &mut Vec<Step<World>>) {
        let life = &world.issues[issue].lives[at];
        let Some(oldest) = life.postings.first() else { return };
        let mut next = world.clone();
        let (slow, claimed) = (self.is_created_once(oldest), oldest.claimed);
        if self.scenario.one_by_one && slow && !claimed {
            // Claimed, and the run not read yet: an equal publication is queued behind.
            next.issues[issue].lives[at].postings[0].claimed = true;
            let claimed = self.protocol.publications.get(oldest.publication);
            steps.push(self.step(next, true, None, || format!("publisher: takes {claimed:?}")));
            return;
        }
        let count = if self.scenario.one_by_one { 1 } else { life.postings.len() };
        let mut breaks = None;
        for _ in 0..count {
            let posting = next.issues[issue].lives[at].postings[0].clone();
            let creates = self.is_created_once(&posting);
            if world.faults_left > 0 && creates && !posting.again {
                let mut died = next.clone();
                self.show(&mut died, issue, at, &posting, &mut None);
                died.faults_left -= 1;
                let left = &mut died.issues[issue].lives[at].postings[0];
                (left.again, left.claimed) = (true, false);
                let dead = self.protocol.publications.get(posting.publication);
                steps.push(self.step(died, false, None, || format!("publisher: dies after {dead:?}")));
            }
            self.show(&mut next, issue, at, &posting, &mut breaks);
            next.issues[issue].lives[at].postings.remove(0);
        }
        steps.push(
            self.step(next, true, breaks, || {
                format!("publisher: shows {count} of run {at} of issue {issue}")
            }),
        );
    }

    fn is_created_once(&self, posting: &Posting) -> bool {
        match &*self.protocol.publications.get(posting.publication) {
            Publication::Review { .. } | Publication::Answer { .. } => true,
            Publication::Status
            | Publication::Check { .. }
            | Publication::Thread { .. }
            | Publication::DraftState
            | Publication::Reaction { .. }
            | Publication::Stray => false,
        }
    }

    /// Brings about what the run, as it is now, wants to be seen.
    fn show(
        &mut self,
        world: &mut World,
        issue: usize,
        at: usize,
        posting: &Posting,
        breaks: &mut Option<Broken>,
    ) {
        let look = posting.again && !self.has(Bug::DoesNotLook);
        let run = self.run(&world.issues[issue].lives[at]);
        let github = world.issues[issue].clone();
        let life = &mut world.issues[issue].lives[at];
        match &*self.protocol.publications.get(posting.publication) {
            Publication::Check { gate, head } => {
                let shown = Shown::from(checks::view(&run, gate, head).state);
                if shown == Shown::Success && breaks.is_none() {
                    *breaks = promise::of_check(&run, life, gate.as_str(), head).err();
                }
                life.shown.insert((names::gate(gate), Commit::of_head(head)), shown);
            }
            Publication::Review { reviewer, head, reading } => {
                let mut of_head = run
                    .reviews
                    .iter()
                    .enumerate()
                    .filter(|(_, record)| record.reviewer == *reviewer && record.head == *head);
                let Some((position, _)) = of_head.nth(*reading as usize - 1) else { return };
                if run.pull_request.is_none() {
                    return;
                }
                if github.branch != Some(Commit::of_head(head)) {
                    let actual = github.branch.filter(|_| github.has_open_pull()).map(Commit::head);
                    let withheld =
                        Signal::ReviewWithheld { reviewer: reviewer.clone(), head: head.clone(), actual };
                    let signal = self.protocol.signals.keep(withheld);
                    world.post(Post { to: To::Run(issue, at), signal });
                    return;
                }
                let until = &run.reviews[..=position];
                let readings = until.iter().filter(|record| record.reviewer == *reviewer).count();
                let marker = (names::reviewer(reviewer), Commit::of_head(head), readings);
                if !(look && life.posted.contains(&marker)) {
                    life.posted.push(marker);
                }
            }
            Publication::DraftState => {
                let fresh = run.head == github.branch.map(Commit::head);
                if let (Some(wanted), Some(pull)) = (wants_draft(&run), &mut world.issues[issue].pull)
                    && pull.open
                    && (wanted || fresh)
                {
                    pull.draft = wanted;
                }
            }
            Publication::Answer { request } => {
                let answers = run.requests.get(request).is_some_and(|asked| answer_of(asked).is_some());
                if answers && !(look && life.answered.contains(&request.0)) {
                    life.answered.push(request.0);
                }
            }
            Publication::Stray
            | Publication::Status
            | Publication::Thread { .. }
            | Publication::Reaction { .. } => {}
        }
    }
}
