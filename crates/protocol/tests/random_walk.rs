//! Random lives of one run: whatever arrives, in whatever order, the promises hold, the ledger folds to the same run,
//! and once nothing new comes in the run comes to rest.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use pairbot_protocol::apply::replay;
use pairbot_protocol::budget::{Exhausted, Limits, Measure, Scope};
use pairbot_protocol::checks::{self, CheckState};
use pairbot_protocol::command::{Command, RetryStage};
use pairbot_protocol::decide::{Decision, decide, open};
use pairbot_protocol::effect::{Effect, Publication, StoreChange, Work};
use pairbot_protocol::event::Event;
use pairbot_protocol::finding::{Place, Remark, Severity, Standing, Verification};
use pairbot_protocol::ids::*;
use pairbot_protocol::invariants;
use pairbot_protocol::policy::{AgentChoice, CiRule, GateKind, Policy, ReviewerPolicy};
use pairbot_protocol::run::{Phase, Run};
use pairbot_protocol::signal::*;
use proptest::prelude::*;

fn sha(n: u8) -> String {
    format!("{n:040x}")
}

fn head(n: u8) -> HeadSha {
    sha(n).parse().unwrap()
}

fn base() -> BaseSha {
    sha(0xba).parse().unwrap()
}

fn person(permission_hint: u8) -> Actor {
    Actor {
        id: UserId(u64::from(permission_hint)),
        login: "someone".parse().unwrap(),
        kind: ActorKind::Person,
    }
}

fn policy(ci: bool) -> Policy {
    let reviewer = |focus: &str| ReviewerPolicy { focus: focus.to_owned(), agent: AgentChoice::default() };
    let rule = if ci { CiRule::Required { names: vec!["build".to_owned()] } } else { CiRule::Observed };
    Policy {
        creator: AgentChoice::default(),
        reviewers: BTreeMap::from([
            ("correctness".parse().unwrap(), reviewer("is it right")),
            ("maintainability".parse().unwrap(), reviewer("can it be kept")),
        ]),
        rounds_max: 3,
        run_budget: Money::from_cents(500),
        run_tokens: None,
        day_budget: Limits::NONE,
        run_ms_max: 7_200_000,
        task_ms_max: 1_800_000,
        setup: None,
        gates: BTreeMap::from([
            ("size".parse().unwrap(), GateKind::Size { files_max: 40, lines_max: 1500 }),
            ("ci".parse().unwrap(), GateKind::Ci { rule, timeout_ms: 3_600_000 }),
        ]),
    }
}

/// One run with its outbox, as the engine would drive it.
struct World {
    run: Run,
    ledger: Vec<Event>,
    work: Vec<Work>,
    timers: BTreeMap<Timer, Timestamp>,
    /// What GitHub shows of each check run.
    shown: BTreeMap<(GateName, HeadSha), CheckState>,
    now: Timestamp,
    commits: u8,
    ci: bool,
    opens: u32,
}

impl World {
    fn new(ci: bool) -> Self {
        let id = RunId { repository: RepositoryId(1), issue: IssueNumber(7), ordinal: 1 };
        let issue = IssueFacts { repository_name: "octo/demo".to_owned(), title: "Mend it".to_owned() };
        let decision = open(id, InstallationId(1), &person(1), &issue, Timestamp::from_unix_ms(1_000));
        let run = decision.run.clone();
        let mut world = Self {
            run,
            ledger: vec![],
            work: vec![],
            timers: BTreeMap::new(),
            shown: BTreeMap::new(),
            now: Timestamp::from_unix_ms(1_000),
            commits: 1,
            ci,
            opens: 0,
        };
        world.take(decision);
        world
    }

    fn take(&mut self, decision: Decision) {
        let over = self.run.is_over();
        self.ledger.extend(decision.events);
        self.run = decision.run;
        for effect in decision.effects {
            match effect {
                Effect::Work(work) => {
                    self.opens += u32::from(matches!(work, Work::OpenPullRequest { .. }));
                    self.work.push(work);
                }
                Effect::Store(StoreChange::CancelWork) => self.work.clear(),
                Effect::Store(StoreChange::StartTimer { timer, at }) => {
                    self.timers.insert(timer, at);
                }
                Effect::Publish(Publication::Check { gate, head }) => {
                    let state = checks::view(&self.run, &gate, &head).state;
                    self.shown.insert((gate, head), state);
                }
                Effect::Store(StoreChange::SetBudget { .. }) | Effect::Publish(_) => {}
            }
        }
        if over {
            assert!(self.run.is_over(), "a run that is over does not come back");
        }
        invariants::check(&self.run).unwrap();
        assert_eq!(replay(&self.ledger).as_ref(), Some(&self.run), "the ledger is the run");
        self.look_at_checks();
    }

    /// GitHub shows what the run says, wherever a verdict could mislead or someone would wait for one.
    fn look_at_checks(&self) {
        for ((gate, head), state) in &self.shown {
            let current = self.run.head.as_ref() == Some(head) && !self.run.is_over();
            let validated = self.run.validation().is_some_and(|validation| validation.head == *head);
            if current && validated {
                let view = checks::view(&self.run, gate, head).state;
                let stays = view == CheckState::Withdrawn && *state != CheckState::InProgress;
                assert!(stays || *state == view, "{gate} on {head} shows {state:?}, not {view:?}");
            }
            if *state == CheckState::Success && gate.as_str() == checks::READY && !self.run.is_over() {
                assert!(current && matches!(self.run.phase, Phase::AwaitingHuman(_)), "ready on {head}");
            }
            if *state == CheckState::InProgress {
                assert!(current && self.run.phase.is_work(), "{gate} waits for ever on {head}");
            }
        }
    }

    /// Lets the next timer go off; false if none runs.
    fn ring(&mut self) -> bool {
        let next = self.timers.iter().min_by_key(|(_, at)| **at).map(|(timer, at)| (timer.clone(), *at));
        let Some((timer, at)) = next else { return false };
        self.timers.remove(&timer);
        self.now = self.now.max(at);
        self.signal(&Signal::TimerFired { timer });
        true
    }

    /// Nothing new comes in: every task ends, and every timer goes off.
    fn come_to_rest(&mut self) {
        for _ in 0..200 {
            if self.work.is_empty() && !self.ring() {
                return;
            }
            self.finish(0, 4);
        }
    }

    fn signal(&mut self, signal: &Signal) {
        let decision = decide(&self.run, signal, self.now);
        self.take(decision);
    }

    /// Ends the work at `index` as `dice` says.
    fn finish(&mut self, index: usize, dice: u8) {
        if self.work.is_empty() {
            return;
        }
        let work = self.work.remove(index % self.work.len());
        let signal = self.outcome(&work, dice);
        self.signal(&signal);
        // At least once: the same result may be told again.
        if dice.is_multiple_of(7) {
            self.signal(&signal);
        }
    }

    fn inspection(&self, dice: u8) -> Inspection {
        match dice % 8 {
            0 => Inspection::PolicyInvalid { problems: vec!["line 1".to_owned()] },
            1 => Inspection::Gone,
            _ => Inspection::Fit {
                permission: if dice % 16 == 2 { Permission::Read } else { Permission::Triage },
                policy: Box::new(policy(self.ci)),
                base: base(),
                branch_head: self.run.head.clone(),
                pull_request: self.run.pull_request.clone(),
            },
        }
    }

    fn outcome(&mut self, work: &Work, dice: u8) -> Signal {
        let failed =
            |work| Signal::TaskFailed { work, failure: Failure::Agent, detail: "it broke".to_owned() };
        match work {
            Work::Inspect { .. } => Signal::Inspected(self.inspection(dice)),
            Work::ReadPermission { request, .. } => Signal::PermissionRead {
                request: *request,
                permission: if dice.is_multiple_of(3) { Permission::Read } else { Permission::Write },
            },
            Work::Create { round, attempt, .. } => {
                self.commits = self.commits.wrapping_add(1);
                let outcome = match dice % 8 {
                    0 => CreateOutcome::NoProgress,
                    1 => CreateOutcome::HeadMoved { actual: Some(head(self.commits)) },
                    2 => CreateOutcome::Failed { failure: no_money(dice), detail: "no money".to_owned() },
                    _ => CreateOutcome::Pushed {
                        head: head(self.commits),
                        base: base(),
                        tree: sha(self.commits).parse().unwrap(),
                        title: "t".to_owned(),
                        summary: "s".to_owned(),
                        answers: vec![],
                    },
                };
                Signal::Created { round: *round, attempt: *attempt, outcome, spend: Spend::default() }
            }
            Work::OpenPullRequest { head } => Signal::PullRequestOpened {
                number: PullRequestNumber(9),
                node_id: "PR_9".to_owned(),
                draft: true,
                head: head.clone(),
            },
            Work::Review { reviewer, head, .. } => match dice % 8 {
                0 => failed(WorkKind::Review { reviewer: reviewer.clone(), head: head.clone() }),
                1 => {
                    self.commits = self.commits.wrapping_add(1);
                    Signal::HeadMoved { by: person(1), head: self::head(self.commits), base: base() }
                }
                _ => Signal::Reviewed {
                    reviewer: reviewer.clone(),
                    head: head.clone(),
                    outcome: ReviewOutcome::Submitted {
                        summary: "read".to_owned(),
                        remarks: if dice % 8 > 4 { vec![remark(dice)] } else { vec![] },
                        verified: self.verify(dice),
                    },
                    spend: Spend::default(),
                },
            },
            Work::Gate { gate, head } => {
                let verdict = match dice % 8 {
                    0 => Verdict::Red,
                    1 => Verdict::Unknown,
                    2 if gate.as_str() == "ci" => Verdict::Waiting,
                    _ => Verdict::Green,
                };
                Signal::GateReported { gate: gate.clone(), head: head.clone(), report: report(verdict) }
            }
        }
    }

    fn verify(&self, dice: u8) -> Vec<Verification> {
        let fixed = dice.is_multiple_of(2);
        self.run
            .findings
            .keys()
            .map(|finding| Verification { finding: finding.clone(), fixed, reason: String::new() })
            .collect()
    }

    /// The worker that posts a review found another head, the same one again, or none.
    fn withheld(&self, dice: u8) -> Signal {
        let read = self.run.reviews.last().map(|record| (record.reviewer.clone(), record.head.clone()));
        let (reviewer, read) = read.unwrap_or_else(|| ("correctness".parse().unwrap(), head(dice % 6)));
        let actual = (!dice.is_multiple_of(4)).then(|| head(self.commits.wrapping_add(dice % 3)));
        Signal::ReviewWithheld { reviewer, head: read, actual }
    }

    fn outside(&mut self, dice: u8) {
        let by = person(dice % 3);
        let some_head = head(dice % 6);
        let own = Actor { kind: ActorKind::Own, ..by.clone() };
        let signal = match dice % 16 {
            0 => Signal::HeadMoved { by, head: some_head, base: base() },
            1 => Signal::HeadMoved { by: own, head: some_head, base: base() },
            // What the creator just pushed, or will have pushed.
            13 => {
                Signal::HeadMoved { by: own, head: head(self.commits.wrapping_add(dice % 2)), base: base() }
            }
            14 => self.withheld(dice),
            10 => Signal::SetUpRan {
                round: self.run.round,
                attempt: 1,
                report: report(Verdict::Green),
                contacts: vec![],
            },
            2 => Signal::ForeignCheckChanged { head: self.run.head.clone().unwrap_or(some_head) },
            3 => Signal::Remarked {
                by,
                source: FeedbackSource::Review { id: ReviewId(1), changes_requested: true },
                text: "no".to_owned(),
            },
            4 => Signal::TimerFired {
                timer: Timer::CiWait { head: self.run.head.clone().unwrap_or(some_head) },
            },
            5 => Signal::CheckPressed {
                by,
                gate: "ready".parse().unwrap(),
                head: self.run.head.clone().unwrap_or(some_head),
                button: CheckButton::Rerun,
            },
            12 if dice > 200 => Signal::PullRequestClosed { by, merged: dice > 220, head: some_head },
            7 if dice > 200 => Signal::LabelRemoved { by },
            8 if dice > 200 => Signal::IssueClosed { by },
            15 if self.run.is_over() => Signal::PullRequestClosed { by, merged: true, head: some_head },
            9 => Signal::TaskFailed {
                work: WorkKind::Create,
                failure: Failure::Conflict,
                detail: String::new(),
            },
            6 => Signal::PullRequestOpened {
                number: PullRequestNumber(9),
                node_id: "PR_9".to_owned(),
                draft: false,
                head: some_head,
            },
            _ => Signal::Commanded { by, comment: CommentId(u64::from(dice)), commands: vec![command(dice)] },
        };
        self.signal(&signal);
    }
}

fn report(verdict: Verdict) -> GateReport {
    GateReport {
        verdict,
        title: "looked".to_owned(),
        summary: String::new(),
        detail: String::new(),
        annotations: vec![],
    }
}

fn remark(dice: u8) -> Remark {
    let standing = if dice.is_multiple_of(2) { Standing::Changed } else { Standing::Unchanged };
    Remark {
        severity: if dice.is_multiple_of(3) { Severity::Blocking } else { Severity::Nit },
        place: Some(Place { path: "a.rs".to_owned(), line: Some(u32::from(dice)), standing }),
        title: format!("finding {dice}"),
        body: String::new(),
        suggestion: None,
    }
}

/// A budget that is used up, of any scope.
fn no_money(dice: u8) -> Failure {
    let scopes = [Scope::Run, Scope::RepositoryDay, Scope::InstallationMonth];
    let scope = scopes[usize::from(dice / 8) % scopes.len()];
    Failure::Exhausted(Exhausted::at(scope, Measure::Money, Timestamp::from_unix_ms(u64::from(dice))))
}

fn command(dice: u8) -> Result<Command, String> {
    match dice % 10 {
        0 => Ok(Command::Retry { stage: None }),
        1 => Ok(Command::Retry { stage: Some(RetryStage::Create) }),
        2 => Ok(Command::Retry { stage: Some(RetryStage::Review) }),
        3 => Ok(Command::Retry { stage: Some(RetryStage::Gate) }),
        4 => Ok(Command::Pause),
        5 => Ok(Command::Resume),
        6 => Ok(Command::Budget { raise: Money::from_cents(1) }),
        7 => Err("no such thing".to_owned()),
        8 => Ok(Command::BudgetTokens { raise: Tokens(1) }),
        _ => Ok(Command::Status),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_whatever_arrives(
        ci in any::<bool>(),
        steps in proptest::collection::vec((any::<bool>(), any::<u8>(), any::<u8>()), 0..60),
    ) {
        let mut world = World::new(ci);
        for (outside, index, dice) in steps {
            world.now = world.now.plus_ms(u64::from(dice));
            if outside { world.outside(dice) } else { world.finish(usize::from(index), dice) }
        }
        world.come_to_rest();
        prop_assert!(world.work.is_empty(), "work without end: {:?}", world.work);
        prop_assert!(!world.run.is_working(), "still {}", world.run.phase_name());
    }

    #[test]
    fn undisturbed_runs_reach_a_person_or_halt(dice in proptest::collection::vec(any::<u8>(), 64)) {
        let mut world = World::new(false);
        for dice in dice {
            world.finish(0, dice);
        }
        world.come_to_rest();
        let resting = matches!(
            world.run.phase,
            Phase::AwaitingHuman(_) | Phase::Halted { .. } | Phase::Refused { .. } | Phase::Closed { .. }
        );
        prop_assert!(resting, "still {}", world.run.phase_name());
        prop_assert!(world.opens <= 1, "asked for {} pull requests", world.opens);
    }
}
