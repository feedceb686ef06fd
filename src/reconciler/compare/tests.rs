use pairbot_protocol::decide::open;
use pairbot_protocol::ids::{HeadSha, InstallationId, RepositoryId};
use pairbot_protocol::run::{AfterInspection, Closing, Halt, Refusal, Validation};
use pairbot_protocol::signal::{AccessLoss, ActorKind, Permission, PullRequestFacts};

use super::*;

/// 2026-01-05T08:00:00Z.
const NOON: Timestamp = Timestamp::from_unix_ms(1_767_600_000_000);
const ID: RunId = RunId { repository: RepositoryId(1), issue: IssueNumber(7), ordinal: 1 };
const NUMBER: PullRequestNumber = PullRequestNumber(8);

fn head(n: u8) -> HeadSha {
    format!("{n:040x}").parse().unwrap()
}

fn run(phase: Phase) -> Run {
    let issue = IssueFacts { repository_name: "octo/demo".to_owned(), title: "Mend it".to_owned() };
    let mut run = open(ID, InstallationId(1), &nobody(), &issue, NOON).run;
    run.head = Some(head(1));
    run.pull_request = Some(PullRequestFacts { number: NUMBER, node_id: String::new(), draft: true });
    run.phase = phase;
    run
}

fn validation() -> Validation {
    let (reviews, gates) = Default::default();
    Validation { head: head(1), base: "b".repeat(40).parse().unwrap(), reviews, gates }
}

fn every_phase() -> [Phase; 9] {
    let base = validation().base;
    [
        Phase::Queued { then: AfterInspection::Create, last: None },
        Phase::Creating { last: None },
        Phase::Opening { head: head(1), base },
        Phase::Validating(validation()),
        Phase::AwaitingHuman(validation()),
        Phase::Halted { reason: Halt::NoProgress, detail: String::new(), exhausted: None, last: None },
        Phase::Refused { reason: Refusal::NotPermitted { found: Permission::Read } },
        Phase::Merged { by: nobody(), head: head(1), last: None },
        Phase::Closed { closing: Closing::Stopped, by: nobody(), last: None },
    ]
}

fn live(phase: Phase, decided_ago_ms: u64) -> Vec<Known> {
    let updated_at = Timestamp::from_unix_ms(NOON.unix_ms - decided_ago_ms);
    vec![Known { run: run(phase), updated_at }]
}

fn mona() -> Account {
    serde_json::from_value(serde_json::json!({"id": 4, "login": "mona", "type": "User"})).unwrap()
}

fn issue_seen(open: bool, labels: &[&str]) -> Issue {
    Issue {
        number: ID.issue,
        title: "Mend it".to_owned(),
        body: String::new(),
        open,
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        author: None,
        is_pull_request: false,
        closed_at: (!open).then(|| moment(0)),
        closed_by: (!open).then(mona),
    }
}

fn pull_seen(head: HeadSha, open: bool, merged: bool) -> PullRequest {
    PullRequest {
        number: NUMBER,
        node_id: String::new(),
        open,
        merged,
        draft: true,
        title: String::new(),
        body: String::new(),
        author: None,
        head,
        head_branch: ID.branch(),
        head_repository: Some(ID.repository),
        base: validation().base,
        base_branch: "main".to_owned(),
        mergeable: None,
        updated_at: Some(moment(0)),
        closed_at: (!open).then(|| moment(0)),
        merged_by: merged.then(mona),
    }
}

/// So many seconds after noon, or before.
fn moment(seconds: i64) -> crate::github::Moment {
    let ms = NOON.unix_ms.checked_add_signed(seconds * 1000).unwrap();
    crate::github::Moment::of(Timestamp::from_unix_ms(ms)).unwrap()
}

fn event(event: &str, label: &str, seconds: i64) -> IssueEvent {
    IssueEvent {
        event: event.to_owned(),
        actor: Some(mona()),
        created_at: moment(seconds),
        label: Some(label.to_owned()),
    }
}

fn told_label(ended: Option<&Ended>, events: &[IssueEvent]) -> Option<Telling> {
    label("octo/demo", &issue_seen(true, &[LABEL]), ID, ended, events, &OwnAccount::default(), NOON)
}

fn ended(opened_seconds: i64, closed_seconds: i64, for_want_of_a_label: bool) -> Ended {
    let at = |seconds| moment(seconds).at().unwrap();
    Ended { run: ID, opened_at: at(opened_seconds), closed_at: at(closed_seconds), for_want_of_a_label }
}

#[test]
fn where_nothing_differs_nothing_is_suspected_in_any_phase() {
    let labelled = [issue_seen(true, &[LABEL])];
    for phase in every_phase() {
        let pulls = [pull_seen(head(1), true, false)];
        assert_eq!(suspicions(&live(phase, 60_000), &labelled, &pulls, NOON), []);
    }
}

#[test]
fn a_head_that_nobody_told_of_is_suspected_where_it_matters_and_not_too_soon() {
    let (labelled, pulls) = ([issue_seen(true, &[LABEL])], [pull_seen(head(2), true, false)]);
    for phase in every_phase() {
        let matters = matches!(phase, Phase::Validating(_) | Phase::AwaitingHuman(_) | Phase::Halted { .. });
        let suspected = if matters { vec![Suspicion::Head(ID, NUMBER)] } else { Vec::new() };
        assert_eq!(suspicions(&live(phase.clone(), 60_000), &labelled, &pulls, NOON), suspected, "{phase:?}");
        assert_eq!(suspicions(&live(phase, 9_999), &labelled, &pulls, NOON), []);
    }
}

#[test]
fn a_lost_label_and_a_pull_request_that_is_not_open_are_suspected_in_any_phase() {
    let (labelled, pulls) = ([issue_seen(true, &[LABEL])], [pull_seen(head(1), true, false)]);
    for phase in every_phase() {
        let live = live(phase, 0);
        assert_eq!(suspicions(&live, &[], &pulls, NOON), [Suspicion::Ending(ID)]);
        assert_eq!(suspicions(&live, &labelled, &[], NOON), [Suspicion::Ending(ID)]);
    }
    let both = [Suspicion::Label(ID.issue), Suspicion::Stray(ID.issue, NUMBER)];
    assert_eq!(suspicions(&[], &labelled, &pulls, NOON), both);
}

#[test]
fn a_label_is_told_by_who_set_it_last_and_under_the_webhooks_key() {
    let history =
        [event("labeled", "bug", -5), event("labeled", "Agent:Pair", -60), event("closed", LABEL, -1)];
    let telling = told_label(None, &history).unwrap();
    assert_eq!(telling.meaning, "labeled:1:7@2026-01-05T07:59:00Z");
    let Signal::LabelSet { by, issue } = telling.signal else { panic!("no label") };
    assert_eq!((by.login.as_str(), by.kind, issue.title.as_str()), ("mona", ActorKind::Person, "Mend it"));
}

#[test]
fn a_label_of_which_nobody_knows_who_set_it_is_told_once_of_somebody_without_rights() {
    let telling = told_label(None, &[]).unwrap();
    assert_eq!(telling.meaning, "labeled:1:7@unknown");
    let Signal::LabelSet { by, .. } = telling.signal else { panic!("no label") };
    assert_eq!(by.login.as_str(), "ghost");
    assert_eq!(told_label(Some(&ended(-90, -80, false)), &[]), None);
}

#[test]
fn a_label_that_a_run_has_heard_of_is_not_told_again() {
    let set = |seconds| [event("labeled", LABEL, seconds)];
    let week = 7 * 24 * 3_600;
    let cases = [
        (None, -week, true, "new"),
        (None, -week - 1, false, "nobody's present wish"),
        (Some(ended(-600, -300, false)), -600, false, "the label that began it"),
        (Some(ended(-600, -300, false)), -599, false, "the same by another clock"),
        (Some(ended(-600, -300, false)), -500, false, "set while the run went on"),
        (Some(ended(-600, -300, false)), -299, true, "set after its end"),
        (Some(ended(-600, -300, true)), -600, true, "the removal that ended it is older"),
        (Some(ended(-2 * week, -300, true)), -week - 1, false, "too old for any reason"),
    ];
    for (newest, seconds, wanted, why) in cases {
        let telling = told_label(newest.as_ref(), &set(seconds));
        assert_eq!(telling.is_some(), wanted, "{why}");
        let again = newest.filter(|ended| wanted && ended.for_want_of_a_label).map(|ended| ended.run);
        assert_eq!(telling.and_then(|telling| telling.again_for), again, "{why}");
    }
}

#[test]
fn the_end_of_an_issue_is_told_with_who_ended_it() {
    let own = OwnAccount::default();
    let told = |seen: Option<&Issue>, events: &[IssueEvent]| issue(ID, seen, events, &own);
    assert_eq!(told(Some(&issue_seen(true, &["Agent:Pair"])), &[]), None);
    let closed = told(Some(&issue_seen(false, &[LABEL])), &[]).unwrap();
    assert_eq!(closed.meaning, "closed:1:7@2026-01-05T08:00:00Z");
    assert!(matches!(closed.signal, Signal::IssueClosed { by } if by.login.as_str() == "mona"));
    let history = [event("unlabeled", LABEL, -60), event("unlabeled", "bug", -5)];
    let removed = told(Some(&issue_seen(true, &[])), &history).unwrap();
    assert_eq!(removed.meaning, "unlabeled:1:7@2026-01-05T07:59:00Z");
    assert!(matches!(removed.signal, Signal::LabelRemoved { by } if by.login.as_str() == "mona"));
    // Deleted, moved away, or without a history: it has ended all the same.
    for (seen, events) in [(None, &[][..]), (Some(issue_seen(true, &[])), &[][..])] {
        let ended = told(seen.as_ref(), events).unwrap();
        assert_eq!((ended.again_for, ended.target), (Some(ID), Target::Run { run: ID }));
    }
}

#[test]
fn a_pull_request_is_told_merged_closed_or_pushed_to() {
    let own = OwnAccount::default();
    let ready = run(Phase::AwaitingHuman(validation()));
    let merged = pull_request(&ready, &pull_seen(head(2), false, true), None, &own).unwrap();
    assert_eq!(merged.meaning, "pr-closed:1:8@2026-01-05T08:00:00Z");
    let expected = Signal::PullRequestClosed { by: actor(Some(&mona()), &own), merged: true, head: head(2) };
    assert_eq!(merged.signal, expected);
    let closed = pull_request(&ready, &pull_seen(head(1), false, false), Some(&mona()), &own).unwrap();
    assert!(matches!(closed.signal, Signal::PullRequestClosed { merged: false, by, .. } if by.id.0 == 4));
    assert_eq!(pull_request(&ready, &pull_seen(head(1), true, false), None, &own), None);
    for phase in every_phase() {
        let known = run(phase);
        let pushed = pull_request(&known, &pull_seen(head(2), true, false), None, &own);
        assert_eq!(pushed.is_some(), minds_heads(&known), "{:?}", known.phase);
        if let Some(telling) = pushed {
            assert_eq!(telling.meaning, format!("head:1:8:{}@2026-01-05T08:00:00Z", head(2)));
        }
    }
}

#[test]
fn a_run_goes_back_to_the_label_before_its_beginning() {
    let history = [event("labeled", LABEL, -600), event("labeled", "bug", -1), event("labeled", LABEL, 60)];
    let known = run(Phase::Creating { last: None });
    assert_eq!(Some(began_with(&known, &history)), moment(-600).at());
    assert_eq!(began_with(&known, &[]), NOON);
}

#[test]
fn only_a_missing_label_or_a_lost_access_is_an_end_that_a_present_label_undoes() {
    let loss = AccessLoss::RepositoryRemoved;
    let closings = [
        (Closing::LabelRemoved, true),
        (Closing::AccessLost { loss }, true),
        (Closing::IssueClosed, false),
        (Closing::PullRequestClosed, false),
        (Closing::Stopped, false),
    ];
    for (closing, undone) in closings {
        let phase = Phase::Closed { closing, by: nobody(), last: None };
        assert_eq!(super::super::ledger::for_want_of_a_label(&phase), undone, "{closing:?}");
    }
}

#[test]
fn a_pull_request_of_ours_that_an_ended_run_does_not_know_is_told_to_it_and_no_other() {
    let own = OwnAccount::default();
    own.learn(crate::github::BotAccount {
        slug: "pairbot".to_owned(),
        id: pairbot_protocol::ids::UserId(9),
        login: "pairbot[bot]".parse().unwrap(),
    });
    let bot: Account =
        serde_json::from_value(serde_json::json!({"id": 9, "login": "pairbot[bot]", "type": "Bot"})).unwrap();
    let ours = PullRequest { author: Some(bot), ..pull_seen(head(1), true, false) };
    let theirs = PullRequest { author: Some(mona()), ..ours.clone() };
    let forked = PullRequest { head_repository: Some(RepositoryId(2)), ..ours.clone() };
    for phase in every_phase() {
        let known = run(phase);
        let unknown = Run { pull_request: None, ..known.clone() };
        assert_eq!(stray(&known, &ours, &own), None);
        assert_eq!(stray(&unknown, &ours, &own).is_some(), unknown.is_over());
        assert_eq!((stray(&unknown, &theirs, &own), stray(&unknown, &forked, &own)), (None, None));
    }
    assert_eq!(issue_of_branch("pairbot/issue-7"), Some(ID.issue));
    assert_eq!((issue_of_branch("pairbot/issue-07"), issue_of_branch("main")), (None, None));
}
