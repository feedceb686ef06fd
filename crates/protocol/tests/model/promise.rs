//! The five promises as questions to a decision, to a state, and to a state where nothing happens by itself any more.

use std::collections::BTreeSet;

use pairbot_protocol::checks;
use pairbot_protocol::decide::Decision;
use pairbot_protocol::effect::Publication;
use pairbot_protocol::ids::{HeadSha, ReviewerName};
use pairbot_protocol::invariants;
use pairbot_protocol::publish::{answer_of, wants_draft};
use pairbot_protocol::run::{Phase, RequestState, ReviewProgress, Run, Wish};
use pairbot_protocol::signal::{Permission, Signal};

use crate::checker::Broken;
use crate::names::{self, Commit, Who};
use crate::protocol::folded;
use crate::world::{Issue, Life, Seen, Shown, World};

type Held = Result<(), Broken>;

fn hold(holds: bool, promise: &'static str, what: impl Fn() -> String) -> Held {
    if holds { Ok(()) } else { Err(Broken::new(promise, what())) }
}

/// Whether a publication leaves something that a promise is about. The others overwrite what they wrote before.
pub(crate) fn shows(publication: &Publication) -> bool {
    match publication {
        Publication::Check { .. }
        | Publication::Review { .. }
        | Publication::DraftState
        | Publication::Answer { .. } => true,
        Publication::Status
        | Publication::Thread { .. }
        | Publication::Reaction { .. }
        | Publication::Stray => false,
    }
}

/// The ledger is the run.
pub(crate) fn of_ledger(before: Option<Run>, decision: &Decision) -> Held {
    let folded = before.map(|before| folded(before, &decision.events));
    hold(folded.as_ref() == Some(&decision.run), "P1", || "the ledger does not fold to the run".to_owned())
}

/// What one decision may do.
pub(crate) fn of_decision(before: &Run, said: &Signal, decision: &Decision) -> Held {
    let after = &decision.run;
    invariants::check(after).map_err(|broken| Broken::new(broken.promise, broken.what))?;
    let merged = matches!(after.phase, Phase::Merged { .. });
    hold(!before.is_over() || after.is_over(), "P4", || "a run that is over came back".to_owned())?;
    breaker_stays_open(before, said, after)?;
    let merged_now = merged && !matches!(before.phase, Phase::Merged { .. });
    let by_person = matches!(said, Signal::PullRequestClosed { merged: true, .. });
    hold(!merged_now || by_person, "P5", || "it was merged, and nobody merged it".to_owned())?;
    bounded_by_people(after)?;
    heard_once(after)?;
    read_as_it_is(after)
}

/// Nothing but a person with write access closes an open breaker. What ends a run does not close it.
fn breaker_stays_open(before: &Run, said: &Signal, after: &Run) -> Held {
    let was_open = matches!(before.phase, Phase::Halted { .. });
    let is_open = matches!(after.phase, Phase::Halted { .. }) || after.is_over();
    let by_maintainer = if let Signal::PermissionRead { request, permission } = said {
        let asked = before.requests.get(request);
        let may = |by| Who::of(by).permission() >= Permission::Write;
        *permission >= Permission::Write && asked.is_some_and(|asked| may(&asked.by))
    } else {
        false
    };
    hold(!was_open || is_open || by_maintainer, "P4", || format!("{said:?} closed the breaker"))
}

/// Rounds and money grow only with what a maintainer was granted.
fn bounded_by_people(after: &Run) -> Held {
    let Some(policy) = &after.policy else { return Ok(()) };
    let granted = after.requests.values().filter(|asked| matches!(asked.state, RequestState::Granted { .. }));
    let granted = granted.count() as u64;
    let rounds = u64::from(policy.rounds_max) * (1 + granted);
    hold(u64::from(after.rounds_allowed.0) <= rounds, "P4", || "there is always another round".to_owned())?;
    let money = policy.run_budget.microdollars + granted * names::RAISE.microdollars;
    hold(after.budget.microdollars <= money, "P3", || "the budget grew by itself".to_owned())
}

/// One comment is one wish.
fn heard_once(after: &Run) -> Held {
    let mut heard = BTreeSet::new();
    let again = after.requests.values().any(|asked| match &asked.wish {
        Wish::Commands { comment, .. } => !heard.insert(*comment),
        Wish::Feedback { .. } | Wish::Button { .. } => false,
    });
    hold(!again, "P1", || "one comment was heard twice".to_owned())
}

/// Every review that makes a head ready was of this head on this base.
fn read_as_it_is(after: &Run) -> Held {
    let Phase::AwaitingHuman(validation) = &after.phase else { return Ok(()) };
    let read = |reviewer: &ReviewerName| {
        after.reviews.iter().any(|record| {
            record.reviewer == *reviewer && record.head == validation.head && record.base == validation.base
        })
    };
    let done = validation.reviews.iter().filter(|(_, progress)| **progress == ReviewProgress::Done);
    let unread = done.map(|(reviewer, _)| reviewer).find(|reviewer| !read(reviewer));
    hold(unread.is_none(), "P2", || format!("{unread:?} has not read what is ready"))
}

/// A check that is green has evidence: everyone has read this very commit, every gate was found to hold on it.
pub(crate) fn of_check(run: &Run, life: &Life, gate: &str, head: &HeadSha) -> Held {
    let commit = Commit::of_head(head);
    let Some(validation) = run.validation().filter(|validation| validation.head == *head) else {
        return Err(Broken::new("P2", format!("{gate} is green on a commit that nobody looked at")));
    };
    if gate == checks::REVIEW || gate == checks::READY {
        for reviewer in validation.reviews.keys() {
            let read = life.seen.contains(&Seen::Read(names::reviewer(reviewer), commit));
            hold(read, "P2", || format!("{gate} is green, and {reviewer} has not read this commit"))?;
        }
    }
    for name in validation.gates.keys().filter(|name| gate == checks::READY || gate == name.as_str()) {
        let number = names::gate(name);
        let examined = life.seen.contains(&Seen::Examined(number, commit));
        hold(examined, "P2", || format!("{gate} is green, and {name} was not examined on this commit"))?;
        let green = life.seen.contains(&Seen::Green(number, commit));
        hold(green, "P5", || format!("{gate} is green, and {name} was never found to hold"))?;
    }
    Ok(())
}

/// What holds in every state. `run_of` reads a run, `awaited` says whether a deadline is on its way to a run.
pub(crate) fn of_state(
    world: &World,
    run_of: impl Fn(&Life) -> std::rc::Rc<Run>,
    awaited: impl Fn(usize, usize) -> bool,
) -> Held {
    for (position, issue) in world.issues.iter().enumerate() {
        let lives = issue.lives.len();
        hold(lives <= usize::from(issue.labels), "P1", || "one label began two runs".to_owned())?;
        let pulls = issue.pull.as_ref().map_or(0, |pull| usize::from(pull.number));
        hold(pulls <= lives, "P1", || "one run opened two pull requests".to_owned())?;
        for (ordinal, life) in issue.lives.iter().enumerate() {
            let run = run_of(life);
            hold(life.posted.len() == distinct(&life.posted), "P1", || {
                "a review stands there twice".to_owned()
            })?;
            hold(life.answered.len() == distinct(&life.answered), "P1", || {
                "an answer stands there twice".to_owned()
            })?;
            hold(life.spent + life.reserved() <= life.limit, "P3", || {
                "more was spent than allowed".to_owned()
            })?;
            let agreed = run.policy.is_none() || run.budget.microdollars == life.limit;
            hold(agreed, "P3", || "run and store do not agree on the budget".to_owned())?;
            let timed = !run.is_working() || life.deadline || awaited(position, ordinal);
            hold(timed, "P4", || "it works, and no deadline will end it".to_owned())?;
        }
    }
    Ok(())
}

fn distinct<T: Ord>(things: &[T]) -> usize {
    things.iter().collect::<BTreeSet<_>>().len()
}

/// What holds where nothing happens by itself: nobody waits for anything that will not come, and GitHub shows what is.
pub(crate) fn of_rest(issue: &Issue, life: &Life, run: &Run, newest: bool) -> Held {
    hold(!run.is_working(), "P4", || format!("it is {}, and nobody works on it", run.phase_name()))?;
    let postings = life.postings.is_empty();
    hold(postings, "P1", || "something that people shall see waits for ever".to_owned())?;
    for ((gate, commit), shown) in &life.shown {
        let (gate, head) = (names::gate_name(*gate), commit.head());
        let current = run.head.as_ref() == Some(&head) && !run.is_over();
        if current && is_told(run, &head) {
            let view = Shown::from(checks::view(run, &gate, &head).state);
            let stays = view == Shown::Withdrawn && *shown != Shown::InProgress;
            hold(stays || *shown == view, "P1", || format!("{gate} shows {shown:?}, not {view:?}"))?;
        }
        let ready = *shown == Shown::Success && gate.as_str() == checks::READY && !run.is_over();
        let awaits = current && matches!(run.phase, Phase::AwaitingHuman(_));
        hold(!ready || awaits, "P2", || format!("{commit:?} still shows that it is ready"))?;
        let waits = *shown == Shown::InProgress && !(current && run.paused);
        hold(!waits, "P4", || format!("{gate} on {commit:?} is in progress for ever"))?;
    }
    every_check_is_there(life, run)?;
    for (id, asked) in &run.requests {
        let pending = asked.state == RequestState::Pending;
        hold(!pending, "P4", || "somebody waits for an answer for ever".to_owned())?;
        let answered = answer_of(asked).is_none() || life.answered.contains(&id.0);
        hold(answered, "P1", || "an answer was never given".to_owned())?;
    }
    if !newest || run.is_over() || !issue.has_open_pull() {
        return Ok(());
    }
    if let (Some(wanted), Some(pull)) = (wants_draft(run), &issue.pull)
        && run.pull_request.is_some()
        && run.head == issue.branch.map(Commit::head)
    {
        hold(pull.draft == wanted, "P1", || format!("it should be a draft: {wanted}"))?;
    }
    if matches!(run.phase, Phase::AwaitingHuman(_)) {
        let newest = run.head == issue.branch.map(Commit::head);
        hold(newest, "P2", || "it awaits a person on a head that is no longer the newest".to_owned())?;
    }
    every_review_is_there(issue, life, run)
}

/// A head that was examined, and any head before an open breaker, has check runs.
fn is_told(run: &Run, head: &HeadSha) -> bool {
    let examined = run.validation().is_some_and(|validation| validation.head == *head);
    examined || matches!(run.phase, Phase::Halted { .. })
}

/// Whoever looks at a head in question finds each of its checks.
fn every_check_is_there(life: &Life, run: &Run) -> Held {
    let Some(head) = run.head.as_ref().filter(|_| !run.is_over()) else { return Ok(()) };
    for gate in checks::names(run).iter().filter(|_| is_told(run, head)) {
        let there = life.shown.contains_key(&(names::gate(gate), Commit::of_head(head)));
        hold(there, "P1", || format!("the check {gate} was never shown"))?;
    }
    Ok(())
}

/// Every reading of the head on the branch is a review there. One of an older head is withheld.
fn every_review_is_there(issue: &Issue, life: &Life, run: &Run) -> Held {
    let Some(branch) = issue.branch else { return Ok(()) };
    let mut readings = std::collections::BTreeMap::new();
    for record in &run.reviews {
        let reading: &mut usize = readings.entry(&record.reviewer).or_default();
        *reading += 1;
        let there = life.posted.contains(&(names::reviewer(&record.reviewer), branch, *reading));
        let due = Commit::of_head(&record.head) == branch;
        hold(there || !due, "P1", || format!("reading {reading} of {} was never posted", record.reviewer))?;
    }
    Ok(())
}
