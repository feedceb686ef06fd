//! The house around the rules as a model: inbox, engine, outbox, workers, and what they bring about on GitHub.

use std::rc::Rc;

use pairbot_protocol::effect::{StoreChange, Work};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{Signal, Timer};

use crate::act::{Act, has_head};
use crate::bug::Bug;
use crate::checker::{Broken, Model, Step};
use crate::names::{self, Commit, Rules, Who};
use crate::promise;
use crate::protocol::{Decided, Ordered, Protocol};
use crate::publisher::enqueue;
use crate::worker::{self, Chances, Ending};
use crate::world::{Life, Post, Pull, RESERVED, Stage, Task, To, World};

/// A small world to explore.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) issues: usize,
    pub(crate) labelled_by: Who,
    pub(crate) rules: Rules,
    pub(crate) chances: Chances,
    /// What can happen from outside, and how much of it in one life.
    pub(crate) acts: Vec<Act>,
    pub(crate) acts_max: u32,
    /// How often a worker dies with its task half done.
    pub(crate) crashes: u8,
    /// Whether deliveries are told again.
    pub(crate) redelivery: bool,
    /// Whether creators whose work was withdrawn may still push.
    pub(crate) ghosts: bool,
    /// Whether a publication is one step of its own, instead of all that wait at once.
    pub(crate) one_by_one: bool,
    pub(crate) bug: Option<Bug>,
}

/// The model of one scenario.
pub(crate) struct House {
    pub(crate) scenario: Scenario,
    pub(crate) protocol: Protocol,
    tells: bool,
}

impl House {
    pub(crate) fn of(scenario: Scenario) -> Self {
        let protocol = Protocol::with(scenario.bug);
        Self { scenario, protocol, tells: false }
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.scenario.bug == Some(bug)
    }

    fn say(&self, what: impl FnOnce() -> String) -> String {
        if self.tells { what() } else { String::new() }
    }

    pub(crate) fn step(
        &mut self,
        mut to: World,
        quiet: bool,
        breaks: Option<Broken>,
        what: impl FnOnce() -> String,
    ) -> Step<World> {
        self.forget(&mut to);
        Step { to, quiet, what: self.say(what), breaks }
    }

    /// Brings equal things into one form: what has no order gets one, and of commits that are not, and cannot come to
    /// be, in question only what still could mislead is remembered.
    fn forget(&mut self, world: &mut World) {
        let told: Vec<Commit> =
            world.inbox.iter().filter_map(|post| self.protocol.head_of(post.signal)).collect();
        for issue in &mut world.issues {
            let branch = issue.branch;
            for life in &mut issue.lives {
                let head = self.run(life).head.as_ref().map(Commit::of_head);
                let alive = |commit: &Commit| branch == Some(*commit) || head == Some(*commit);
                life.seen.retain(|seen| alive(&seen.commit()) || told.contains(&seen.commit()));
                life.posted.retain(|(_, commit, _)| branch == Some(*commit));
                life.shown.retain(|(gate, commit), shown| alive(commit) || shown.misleads(*gate));
                life.work.sort_by_key(|task| self.protocol.lane(task.work));
                life.posted.sort_unstable();
                if !self.scenario.one_by_one {
                    life.postings.sort_by_key(|posting| posting.publication);
                }
            }
        }
    }

    // The engine.

    /// Which run a signal is for, as the server routes it; `Err` with the ordinal of the run that it begins.
    fn route(&self, world: &World, post: Post) -> Option<Result<(usize, usize), usize>> {
        let newest = |issue: usize| world.issues[issue].lives.len().checked_sub(1);
        match post.to {
            To::Issue(issue) => {
                let over = |position: usize| self.run(&world.issues[issue].lives[position]).is_over();
                let labelled = matches!(&*self.protocol.signals.get(post.signal), Signal::LabelSet { .. });
                match newest(issue) {
                    Some(position) if !(labelled && over(position)) => Some(Ok((issue, position))),
                    Some(_) | None if labelled => Some(Err(issue)),
                    Some(_) | None => None,
                }
            }
            To::Run(issue, position) => Some(Ok((issue, position))),
            To::Pull(issue, number) => {
                let owns = |life: &Life| {
                    let run = self.run(life);
                    run.pull_request.as_ref().is_some_and(|pull| pull.number.0 == u64::from(number))
                };
                let owner = world.issues[issue].lives.iter().rposition(owns);
                owner.or_else(|| newest(issue)).map(|position| Ok((issue, position)))
            }
            To::Head(issue, head) => newest(issue)
                .filter(|position| has_head(&self.protocol, world.issues[issue].lives[*position].run, head))
                .map(|position| Ok((issue, position))),
        }
    }

    pub(crate) fn run(&self, life: &Life) -> Rc<Run> {
        self.protocol.runs.get(life.run)
    }

    /// One signal is decided, and all that follows is stored with it.
    fn deliver(&mut self, world: &World, position: usize) -> Step<World> {
        let mut next = world.clone();
        let post = next.inbox.remove(position);
        let said = self.protocol.signals.get(post.signal);
        let mut breaks = None;
        match self.route(world, post) {
            None => {}
            Some(Err(issue)) => {
                let ordinal = u32::try_from(next.issues[issue].lives.len() + 1).unwrap();
                if let Some(decided) = self.protocol.open(issue, ordinal, &said) {
                    next.issues[issue].lives.push(Life::new(decided.run));
                    self.take(next.issues[issue].lives.last_mut().unwrap(), &decided);
                    breaks = decided.breaks;
                }
            }
            Some(Ok((issue, at))) => {
                let life = &mut next.issues[issue].lives[at];
                // One that was started again meanwhile tells that the moment has moved.
                let late = matches!(&*said, Signal::TimerFired { timer: Timer::Deadline }) && !life.deadline;
                let decided = self.protocol.decide(life.run, post.signal, late);
                self.take(life, &decided);
                breaks.clone_from(&decided.breaks);
            }
        }
        self.step(next, true, breaks, || format!("engine: {said:?} for {:?}", post.to))
    }

    fn take(&self, life: &mut Life, decided: &Decided) {
        life.run = decided.run;
        for effect in &decided.effects {
            match effect {
                Ordered::Work(work) => life.work.push(Task { work: *work, stage: Stage::Waiting }),
                Ordered::Publish(publication) => enqueue(life, *publication),
                Ordered::Change(StoreChange::CancelWork) => self.withdraw(life),
                Ordered::Change(StoreChange::SetBudget { limit, .. }) => life.limit = limit.microdollars,
                Ordered::Change(StoreChange::StartTimer { timer: Timer::Deadline, .. }) => {
                    life.deadline = true;
                }
                Ordered::Change(StoreChange::StartTimer { timer: Timer::CiWait { head }, .. }) => {
                    life.ci_waits.insert(Commit::of_head(head));
                }
            }
        }
    }

    /// All unfinished work is withdrawn. What is set aside is charged in full: what it cost nobody will tell.
    fn withdraw(&self, life: &mut Life) {
        for task in std::mem::take(&mut life.work) {
            if task.stage != Stage::Waiting && self.scenario.rules.budget.is_some() {
                life.spent += if self.has(Bug::ReservesNothing) { 0 } else { RESERVED };
            }
            let creates = matches!(&*self.protocol.works.get(task.work), Work::Create { .. });
            if creates && task.stage != Stage::Pushed && self.scenario.ghosts {
                life.ghosts.push(task.work);
            }
        }
    }

    // The workers.

    /// The tasks that can be carried out: the oldest of each lane.
    fn heads_of_lanes(&self, life: &Life) -> Vec<usize> {
        let lanes: Vec<u32> = life.work.iter().map(|task| self.protocol.lane(task.work)).collect();
        (0..lanes.len()).filter(|at| !lanes[..*at].contains(&lanes[*at])).collect()
    }

    fn carry_out(&mut self, world: &World, issue: usize, at: usize, steps: &mut Vec<Step<World>>) {
        let life = &world.issues[issue].lives[at];
        let run = self.run(life);
        for position in self.heads_of_lanes(life) {
            let task = &life.work[position];
            let work = self.protocol.works.get(task.work);
            let place = Place { issue, at, position };
            if !worker::wanted(&run, &work) {
                let mut next = world.clone();
                place.life(&mut next).work.remove(position);
                self.charge(place.life(&mut next), task.stage);
                steps.push(self.step(next, true, None, || format!("worker: nobody wants {work:?}")));
                continue;
            }
            let paid = self.scenario.rules.budget.is_some() && worker::is_paid(&work);
            match task.stage {
                Stage::Waiting if paid => steps.push(self.reserve(world, &place, &work)),
                Stage::Pushed => {
                    let Some((commit, _)) = worker::commit_of(&run, &work) else { continue };
                    let ending = worker::pushed(self.scenario.rules, &work, commit, world.base);
                    steps.extend(ending.map(|ending| self.complete(world, &place, &work, ending)));
                }
                Stage::Waiting | Stage::Paid | Stage::Opened => {
                    self.end(world, &place, &run, &work, steps);
                    if paid && world.faults_left > 0 {
                        steps.push(self.die_paid(world, &place, &work));
                    }
                }
            }
        }
    }

    fn end(&mut self, world: &World, place: &Place, run: &Run, work: &Work, steps: &mut Vec<Step<World>>) {
        let Scenario { rules, chances, .. } = self.scenario;
        let issue = &world.issues[place.issue];
        if let Work::OpenPullRequest { .. } = work {
            self.open_pull(world, place, work, steps);
        }
        if let Some((commit, onto)) = worker::commit_of(run, work)
            && (issue.branch == onto || issue.branch == Some(commit))
        {
            let mut next = world.clone();
            self.push(&mut next, place.issue, commit);
            place.life(&mut next).work[place.position].stage = Stage::Pushed;
            steps.push(self.step(next, true, None, || format!("worker: pushes {commit:?} for {work:?}")));
        }
        for ending in worker::endings(run, issue, work, world.base, rules, chances) {
            steps.push(self.complete(world, place, work, ending));
        }
    }

    /// The branch moves, and GitHub tells whoever watches a pull request of it.
    fn push(&mut self, world: &mut World, issue: usize, commit: Commit) {
        let base = names::base(world.base);
        let branch = &mut world.issues[issue];
        if branch.branch.replace(commit) != Some(commit)
            && let Some(pull) = branch.pull.as_ref().filter(|pull| pull.open)
        {
            let to = To::Pull(issue, pull.number);
            let moved = Signal::HeadMoved { by: Who::Own.actor(), head: commit.head(), base };
            let signal = self.protocol.signals.keep(moved);
            world.post(Post { to, signal });
        }
    }

    fn open_pull(&mut self, world: &World, place: &Place, work: &Work, steps: &mut Vec<Step<World>>) {
        let mut opened = world.clone();
        let issue = &mut opened.issues[place.issue];
        let Some(head) = issue.branch else { return };
        let tried = world.issues[place.issue].lives[place.at].work[place.position].stage == Stage::Opened;
        if !issue.has_open_pull() && !tried {
            let number = issue.pull.as_ref().map_or(1, |pull| pull.number + 1);
            issue.pull = Some(Pull { number, open: true, draft: true });
        }
        let facts = worker::facts(issue.pull.as_ref().unwrap());
        let signal = Signal::PullRequestOpened {
            number: facts.number,
            node_id: facts.node_id,
            draft: facts.draft,
            head: head.head(),
        };
        if opened != *world && world.faults_left > 0 {
            let mut died = opened.clone();
            died.faults_left -= 1;
            place.life(&mut died).work[place.position].stage = Stage::Opened;
            steps.push(self.step(died, false, None, || format!("worker: dies after {work:?}")));
        }
        let ending = Ending { signal, seen: Vec::new() };
        steps.push(self.complete(&opened, place, work, ending));
    }

    /// A task ends, and what it came to is stored with its end.
    fn complete(&mut self, world: &World, place: &Place, work: &Work, ending: Ending) -> Step<World> {
        let mut next = world.clone();
        let life = place.life(&mut next);
        let task = life.work.remove(place.position);
        if task.stage != Stage::Waiting && self.scenario.rules.budget.is_some() {
            life.spent += crate::world::COST;
        }
        life.seen.extend(ending.seen);
        let what = self.say(|| format!("worker: {work:?} ends as {:?}", ending.signal));
        let signal = self.protocol.signals.keep(ending.signal);
        next.post(Post { to: To::Run(place.issue, place.at), signal });
        self.step(next, true, None, || what)
    }

    fn charge(&self, life: &mut Life, stage: Stage) {
        if stage != Stage::Waiting && self.scenario.rules.budget.is_some() {
            life.spent += RESERVED;
        }
    }

    /// Money is set aside before a task of an agent begins; where there is none, it ends with that.
    fn reserve(&mut self, world: &World, place: &Place, work: &Work) -> Step<World> {
        let mut next = world.clone();
        let life = place.life(&mut next);
        let fits = life.spent + life.reserved() + RESERVED <= life.limit || self.has(Bug::ReservesNothing);
        match worker::broke(work) {
            Some(ending) if !fits => self.complete(world, place, work, ending),
            Some(_) | None => {
                life.work[place.position].stage = Stage::Paid;
                self.step(next, true, None, || format!("worker: sets money aside for {work:?}"))
            }
        }
    }

    /// A worker dies in the middle: the task is there again, and what was set aside is gone.
    fn die_paid(&mut self, world: &World, place: &Place, work: &Work) -> Step<World> {
        let mut next = world.clone();
        next.faults_left -= 1;
        let life = place.life(&mut next);
        self.charge(life, Stage::Paid);
        life.work[place.position].stage = Stage::Waiting;
        self.step(next, false, None, || format!("worker: dies in {work:?}"))
    }

    /// A creator whose work was withdrawn pushes all the same, or notices.
    fn haunt(&mut self, world: &World, issue: usize, at: usize, steps: &mut Vec<Step<World>>) {
        for position in 0..world.issues[issue].lives[at].ghosts.len() {
            let mut gone = world.clone();
            let ghost = gone.issues[issue].lives[at].ghosts.remove(position);
            let work = self.protocol.works.get(ghost);
            let run = self.run(&world.issues[issue].lives[at]);
            if let Some((commit, onto)) = worker::commit_of(&run, &work)
                && world.issues[issue].branch == onto
            {
                let mut pushed = gone.clone();
                self.push(&mut pushed, issue, commit);
                steps.push(self.step(pushed, true, None, || format!("ghost: pushes {commit:?}")));
            }
            steps.push(self.step(gone, true, None, || format!("ghost: notices that {work:?} is withdrawn")));
        }
    }

    // Time, people, and the net.

    fn ring(&mut self, world: &World, issue: usize, at: usize, steps: &mut Vec<Step<World>>) {
        for commit in &world.issues[issue].lives[at].ci_waits {
            let mut next = world.clone();
            next.issues[issue].lives[at].ci_waits.remove(commit);
            let rung = Signal::TimerFired { timer: Timer::CiWait { head: commit.head() } };
            let signal = self.protocol.signals.keep(rung);
            next.post(Post { to: To::Run(issue, at), signal });
            steps.push(self.step(next, true, None, || format!("timer: {commit:?} has waited enough")));
        }
    }

    fn outside(&mut self, world: &World, steps: &mut Vec<Step<World>>) {
        if world.used.count_ones() >= self.scenario.acts_max {
            return;
        }
        for number in 0..self.scenario.acts.len() {
            let act = self.scenario.acts[number];
            let mut next = world.clone();
            if world.used & (1 << number) == 0 && act.happen(number, &mut next, &mut self.protocol) {
                next.used |= 1 << number;
                self.remember(world, &mut next);
                steps.push(self.step(next, false, None, || format!("outside: {act:?}")));
            }
        }
    }

    /// Keeps what came in by this act, to be told again.
    fn remember(&self, before: &World, after: &mut World) {
        if self.scenario.redelivery {
            let new =
                after.inbox.iter().filter(|post| !before.inbox.contains(post)).copied().collect::<Vec<_>>();
            after.accepted.extend(new);
        }
    }

    /// GitHub tells again what it has told. The inbox takes nothing twice.
    fn redeliver(&mut self, world: &World, steps: &mut Vec<Step<World>>) {
        if world.faults_left > 0 && self.has(Bug::ForgetsWhatWasAccepted) {
            for post in &world.accepted {
                let mut next = world.clone();
                next.faults_left -= 1;
                next.post(*post);
                let said = self.protocol.signals.get(post.signal);
                steps.push(self.step(next, false, None, || format!("GitHub: tells again {said:?}")));
            }
        }
    }
}

/// A task of a run.
struct Place {
    issue: usize,
    at: usize,
    position: usize,
}

impl Place {
    fn life<'a>(&self, world: &'a mut World) -> &'a mut Life {
        &mut world.issues[self.issue].lives[self.at]
    }
}

impl Model for House {
    type State = World;

    fn tell(&mut self) {
        self.tells = true;
    }

    fn first(&mut self) -> World {
        let mut world = World::new(self.scenario.issues, self.scenario.crashes);
        let before = world.clone();
        for issue in 0..self.scenario.issues {
            Act::Label(issue, self.scenario.labelled_by).happen(0, &mut world, &mut self.protocol);
        }
        self.remember(&before, &mut world);
        world
    }

    fn steps(&mut self, world: &World) -> Vec<Step<World>> {
        let mut steps = Vec::new();
        for position in 0..world.inbox.len() {
            if position == 0 || world.inbox[position] != world.inbox[position - 1] {
                steps.push(self.deliver(world, position));
            }
        }
        for issue in 0..world.issues.len() {
            for at in 0..world.issues[issue].lives.len() {
                self.carry_out(world, issue, at, &mut steps);
                self.publish(world, issue, at, &mut steps);
                self.haunt(world, issue, at, &mut steps);
                self.ring(world, issue, at, &mut steps);
            }
        }
        self.outside(world, &mut steps);
        self.redeliver(world, &mut steps);
        steps
    }

    fn always(&self, world: &World) -> Result<(), Broken> {
        let rings = |post: &Post, issue, at| {
            let rung = Signal::TimerFired { timer: Timer::Deadline };
            post.to == To::Run(issue, at) && *self.protocol.signals.get(post.signal) == rung
        };
        let awaited = |issue, at| world.inbox.iter().any(|post| rings(post, issue, at));
        promise::of_state(world, |life| self.run(life), awaited)
    }

    fn at_rest(&self, world: &World) -> Result<(), Broken> {
        for issue in &world.issues {
            let newest = issue.lives.len().saturating_sub(1);
            for (position, life) in issue.lives.iter().enumerate() {
                promise::of_rest(issue, life, &self.run(life), position == newest)?;
            }
        }
        Ok(())
    }
}
