//! A run with everything around it, told step by step. Each step is held against the promises and the ledger.

use std::collections::BTreeMap;

use pairbot_protocol::apply::replay;
use pairbot_protocol::budget::Limits;
use pairbot_protocol::checks::{self, CheckState, Why};
use pairbot_protocol::command;
use pairbot_protocol::decide::{Decision, decide, open};
use pairbot_protocol::effect::{Effect, Publication, StoreChange, Work};
use pairbot_protocol::event::Event;
use pairbot_protocol::finding::{
    Answer, Finding, FindingState, Place, Remark, Severity, Standing, Verification,
};
use pairbot_protocol::ids::*;
use pairbot_protocol::invariants;
use pairbot_protocol::policy::{AgentChoice, CiRule, GateKind, Policy, ReviewerPolicy};
use pairbot_protocol::run::{AnswerText, Halt, Phase, Problem, RequestState, Run};
use pairbot_protocol::signal::*;

pub(crate) const CI_MS_MAX: u64 = 3_600_000;
pub(crate) const RUN_MS_MAX: u64 = 7_200_000;

/// The commit with number `n`; in lists of publications it is called `h<n>`.
pub(crate) fn head(n: u32) -> HeadSha {
    format!("{n:040x}").parse().unwrap()
}

pub(crate) fn base(n: u32) -> BaseSha {
    format!("ba5e{n:036x}").parse().unwrap()
}

/// A person whose id follows from the name.
pub(crate) fn person(name: &str) -> Actor {
    let id = name.bytes().map(u64::from).sum();
    Actor { id: UserId(id), login: name.parse().unwrap(), kind: ActorKind::Person }
}

pub(crate) fn own() -> Actor {
    Actor { id: UserId(1), login: "pairbot[bot]".parse().unwrap(), kind: ActorKind::Own }
}

/// Two reviewers, one gate called `size`, three rounds, five dollars.
pub(crate) fn policy() -> Policy {
    let reviewer = |focus: &str| ReviewerPolicy { focus: focus.to_owned(), agent: AgentChoice::default() };
    Policy {
        creator: AgentChoice::default(),
        reviewers: BTreeMap::from([
            ("alpha".parse().unwrap(), reviewer("is it right")),
            ("beta".parse().unwrap(), reviewer("can it be kept")),
        ]),
        rounds_max: 3,
        run_budget: Money::from_cents(500),
        run_tokens: None,
        day_budget: Limits::NONE,
        run_ms_max: RUN_MS_MAX,
        task_ms_max: 1_800_000,
        setup: None,
        gates: BTreeMap::from([("size".parse().unwrap(), GateKind::Size { files_max: 40, lines_max: 1500 })]),
    }
}

/// The same with a `ci` gate.
pub(crate) fn policy_with_ci(rule: CiRule) -> Policy {
    let mut policy = policy();
    policy.gates.insert("ci".parse().unwrap(), GateKind::Ci { rule, timeout_ms: CI_MS_MAX });
    policy
}

pub(crate) fn required(name: &str) -> CiRule {
    CiRule::Required { names: vec![name.to_owned()] }
}

/// A remark on a line that changed.
pub(crate) fn remark(severity: Severity, title: &str) -> Remark {
    remark_at(severity, title, Standing::Changed)
}

pub(crate) fn remark_at(severity: Severity, title: &str, standing: Standing) -> Remark {
    Remark {
        severity,
        place: Some(Place { path: "src/a.rs".to_owned(), line: Some(3), standing }),
        title: title.to_owned(),
        body: "because".to_owned(),
        suggestion: None,
    }
}

pub(crate) fn verification(finding: &str, fixed: bool) -> Verification {
    Verification { finding: finding.parse().unwrap(), fixed, reason: "looked".to_owned() }
}

pub(crate) fn submitted(remarks: Vec<Remark>, verified: Vec<Verification>) -> ReviewOutcome {
    ReviewOutcome::Submitted { summary: "read".to_owned(), remarks, verified }
}

pub(crate) fn report(verdict: Verdict) -> GateReport {
    GateReport {
        verdict,
        title: "looked".to_owned(),
        summary: String::new(),
        detail: String::new(),
        annotations: Vec::new(),
    }
}

pub(crate) struct Story {
    pub(crate) run: Run,
    pub(crate) ledger: Vec<Event>,
    /// What is asked for and not answered.
    pub(crate) work: Vec<Work>,
    /// Of the last decision.
    pub(crate) events: Vec<Event>,
    pub(crate) published: Vec<Publication>,
    pub(crate) changes: Vec<StoreChange>,
    pub(crate) now: Timestamp,
    policy: Policy,
}

impl Story {
    /// `mona` has set the label.
    pub(crate) fn labelled() -> Self {
        Self::labelled_under(policy())
    }

    pub(crate) fn labelled_under(policy: Policy) -> Self {
        let id = RunId { repository: RepositoryId(1), issue: IssueNumber(7), ordinal: 1 };
        let issue = IssueFacts { repository_name: "octo/demo".to_owned(), title: "Mend it".to_owned() };
        let now = Timestamp::from_unix_ms(1_000);
        let decision = open(id, InstallationId(1), &person("mona"), &issue, now);
        let mut story = Self {
            run: decision.run.clone(),
            ledger: Vec::new(),
            work: Vec::new(),
            events: Vec::new(),
            published: Vec::new(),
            changes: Vec::new(),
            now,
            policy,
        };
        story.take(decision);
        story
    }

    /// The creator works on round 1.
    pub(crate) fn creating() -> Self {
        let mut story = Self::labelled();
        story.inspected();
        story
    }

    /// Commit 1 is being reviewed and examined; its pull request is open.
    pub(crate) fn validating() -> Self {
        Self::validating_under(policy())
    }

    pub(crate) fn validating_under(policy: Policy) -> Self {
        let mut story = Self::labelled_under(policy);
        story.inspected();
        story.pushed(1);
        story.opened(1);
        story
    }

    /// Commit 1 waits for a person.
    pub(crate) fn ready() -> Self {
        Self::ready_under(policy())
    }

    pub(crate) fn ready_under(policy: Policy) -> Self {
        let mut story = Self::validating_under(policy);
        story.all_good();
        assert!(story.is_ready());
        story
    }

    pub(crate) fn tell(&mut self, signal: &Signal) -> &mut Self {
        let decision = decide(&self.run, signal, self.now);
        self.take(decision);
        self
    }

    fn take(&mut self, decision: Decision) {
        self.run = decision.run;
        self.ledger.extend(decision.events.clone());
        self.events = decision.events;
        self.published.clear();
        self.changes.clear();
        for effect in decision.effects {
            match effect {
                Effect::Work(work) => self.work.push(work),
                Effect::Publish(publication) => self.published.push(publication),
                Effect::Store(change) => {
                    if change == StoreChange::CancelWork {
                        self.work.clear();
                    }
                    self.changes.push(change);
                }
            }
        }
        invariants::check(&self.run).unwrap();
        assert_eq!(replay(&self.ledger).as_ref(), Some(&self.run), "the ledger is the run");
    }

    fn answer(&mut self, what: &str, is_it: impl Fn(&Work) -> bool) -> Work {
        let index = self.work.iter().position(is_it);
        let index = index.unwrap_or_else(|| panic!("nobody asked for {what}: {:?}", self.asked()));
        self.work.remove(index)
    }

    /// What is asked for, as lanes with heads.
    pub(crate) fn asked(&self) -> Vec<String> {
        let of = |work: &Work| match work {
            Work::Inspect { .. } | Work::ReadPermission { .. } => work.lane(),
            Work::Create { round, attempt, onto } => {
                let onto = onto.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
                format!("create:{round}.{attempt} onto {onto}")
            }
            Work::OpenPullRequest { head } | Work::Review { head, .. } | Work::Gate { head, .. } => {
                format!("{} of {head}", work.lane())
            }
        };
        self.work.iter().map(of).map(|text| named(&text)).collect()
    }

    /// What the last decision shows, with heads by their names.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.published.iter().map(|publication| named(&publication.key())).collect()
    }

    pub(crate) fn inspected(&mut self) -> &mut Self {
        self.inspected_as(Permission::Triage)
    }

    pub(crate) fn inspected_as(&mut self, permission: Permission) -> &mut Self {
        self.answer("the rules", |work| matches!(work, Work::Inspect { .. }));
        let inspection = Inspection::Fit {
            permission,
            policy: Box::new(self.policy.clone()),
            base: base(1),
            branch_head: self.run.head.clone(),
            pull_request: self.run.pull_request.clone(),
        };
        self.tell(&Signal::Inspected(inspection))
    }

    pub(crate) fn pushed(&mut self, n: u32) -> &mut Self {
        self.pushed_with(n, Vec::new())
    }

    pub(crate) fn pushed_with(&mut self, n: u32, answers: Vec<Answer>) -> &mut Self {
        let outcome = CreateOutcome::Pushed {
            head: head(n),
            base: base(1),
            tree: format!("{n:040x}").parse().unwrap(),
            title: "Mend it".to_owned(),
            summary: "mended".to_owned(),
            answers,
        };
        self.created(outcome)
    }

    pub(crate) fn created(&mut self, outcome: CreateOutcome) -> &mut Self {
        let work = self.answer("a change", |work| matches!(work, Work::Create { .. }));
        let Work::Create { round, attempt, .. } = work else { unreachable!() };
        self.tell(&Signal::Created { round, attempt, outcome, spend: Spend::default() })
    }

    pub(crate) fn opened(&mut self, n: u32) -> &mut Self {
        self.answer("a pull request", |work| matches!(work, Work::OpenPullRequest { .. }));
        self.tell(&opened(n))
    }

    pub(crate) fn reviewed(&mut self, name: &str, outcome: ReviewOutcome) -> &mut Self {
        let work = self
            .answer(name, |work| matches!(work, Work::Review { reviewer, .. } if reviewer.as_str() == name));
        let Work::Review { reviewer, head, .. } = work else { unreachable!() };
        self.tell(&Signal::Reviewed { reviewer, head, outcome, spend: Spend::default() })
    }

    pub(crate) fn approved(&mut self, name: &str) -> &mut Self {
        self.reviewed(name, submitted(Vec::new(), Vec::new()))
    }

    pub(crate) fn found(&mut self, name: &str, severity: Severity, title: &str) -> &mut Self {
        self.reviewed(name, submitted(vec![remark(severity, title)], Vec::new()))
    }

    pub(crate) fn gate(&mut self, name: &str, verdict: Verdict) -> &mut Self {
        let work = self.answer(name, |work| matches!(work, Work::Gate { gate, .. } if gate.as_str() == name));
        let Work::Gate { gate, head } = work else { unreachable!() };
        self.tell(&Signal::GateReported { gate, head, report: report(verdict) })
    }

    /// Everything that is outstanding for the present head ends well.
    pub(crate) fn all_good(&mut self) -> &mut Self {
        for work in self.work.clone() {
            match work {
                Work::Review { reviewer, .. } => self.approved(reviewer.as_str()),
                Work::Gate { gate, .. } => self.gate(gate.as_str(), Verdict::Green),
                Work::Inspect { .. }
                | Work::ReadPermission { .. }
                | Work::Create { .. }
                | Work::OpenPullRequest { .. } => self,
            };
        }
        self
    }

    /// Both reviewers read commit `n` and say `fixed` of these findings.
    pub(crate) fn all_fixed(&mut self, findings: &[&str]) -> &mut Self {
        let verified: Vec<_> = findings.iter().map(|finding| verification(finding, true)).collect();
        for name in ["alpha", "beta"] {
            self.reviewed(name, submitted(Vec::new(), verified.clone()));
        }
        self.gate("size", Verdict::Green)
    }

    /// Someone with write access comments.
    pub(crate) fn says(&mut self, text: &str) -> &mut Self {
        self.says_as("mona", Permission::Write, text)
    }

    pub(crate) fn says_as(&mut self, name: &str, permission: Permission, text: &str) -> &mut Self {
        let commands = command::parse(text);
        assert!(!commands.is_empty(), "{text} is no command");
        let comment = CommentId(100 + u64::try_from(self.run.requests.len()).unwrap());
        self.tell(&Signal::Commanded { by: person(name), comment, commands });
        self.permitted(permission)
    }

    /// A person with write access remarks something.
    pub(crate) fn remarks(&mut self, source: FeedbackSource, text: &str) -> &mut Self {
        self.tell(&Signal::Remarked { by: person("mona"), source, text: text.to_owned() });
        self.permitted(Permission::Write)
    }

    pub(crate) fn presses(&mut self, gate: &str, n: u32, button: CheckButton) -> &mut Self {
        let gate = gate.parse().unwrap();
        self.tell(&Signal::CheckPressed { by: person("mona"), gate, head: head(n), button });
        self.permitted(Permission::Write)
    }

    pub(crate) fn permitted(&mut self, permission: Permission) -> &mut Self {
        let work = self.answer("a permission", |work| matches!(work, Work::ReadPermission { .. }));
        let Work::ReadPermission { request, .. } = work else { unreachable!() };
        self.tell(&Signal::PermissionRead { request, permission })
    }

    pub(crate) fn moved(&mut self, by: Actor, n: u32) -> &mut Self {
        self.tell(&Signal::HeadMoved { by, head: head(n), base: base(1) })
    }

    pub(crate) fn merged(&mut self, n: u32) -> &mut Self {
        self.tell(&Signal::PullRequestClosed { by: person("mona"), merged: true, head: head(n) })
    }

    pub(crate) fn check(&self, gate: &str, n: u32) -> CheckState {
        checks::view(&self.run, &gate.parse().unwrap(), &head(n)).state
    }

    pub(crate) fn why(&self, gate: &str, n: u32) -> Why {
        checks::view(&self.run, &gate.parse().unwrap(), &head(n)).why
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.run.phase, Phase::AwaitingHuman(_))
    }

    pub(crate) fn halt(&self) -> Option<Halt> {
        if let Phase::Halted { reason, .. } = &self.run.phase { Some(*reason) } else { None }
    }

    pub(crate) fn finding(&self, id: &str) -> &Finding {
        self.run.findings.get(&id.parse().unwrap()).unwrap_or_else(|| panic!("no finding {id}"))
    }

    pub(crate) fn state(&self, id: &str) -> &FindingState {
        &self.finding(id).state
    }

    /// What the newest request was answered.
    pub(crate) fn last_answer(&self) -> RequestState {
        self.run.requests.values().next_back().unwrap().state.clone()
    }

    pub(crate) fn last_problems(&self) -> Vec<Problem> {
        if let RequestState::Refused { answer: Some(AnswerText::Problems { reasons }) } = self.last_answer() {
            reasons
        } else {
            Vec::new()
        }
    }
}

pub(crate) fn opened(n: u32) -> Signal {
    Signal::PullRequestOpened {
        number: PullRequestNumber(9),
        node_id: "PR_9".to_owned(),
        draft: true,
        head: head(n),
    }
}

fn named(text: &str) -> String {
    (0..100).rev().fold(text.to_owned(), |text, n| text.replace(head(n).as_str(), &format!("h{n}")))
}
