//! The forms in which signals, events and effects are stored, letter by letter.
//!
//! A ledger outlives the program that wrote it. These texts may be added to; one that has to be changed needs a new
//! version of its form and an upgrade.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fmt::Debug;

use pairbot_protocol::command::Command;
use pairbot_protocol::effect::{Effect, Publication, StoreChange, Work};
use pairbot_protocol::event::Event;
use pairbot_protocol::policy::AgentChoice;
use pairbot_protocol::run::Phase;
use pairbot_protocol::signal::{
    CreateOutcome, Envelope, Inspection, ReviewOutcome, Signal, Target, Timer, WorkKind,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

const POLICY: &str = concat!(
    r#"{"creator":{"provider":"anthropic","model":"m"},"#,
    r#""reviewers":{"alpha":{"focus":"is it right","agent":{"agent":"codex","provider":"openai","model":null}}},"#,
    r#""rounds_max":3,"run_budget":5,"run_ms_max":6,"task_ms_max":7,"gates":{"#,
    r#""ci":{"kind":"ci","rule":{"mode":"required","names":["build"]},"timeout_ms":8},"#,
    r#""ci-seen":{"kind":"ci","rule":{"mode":"observed"},"timeout_ms":8},"#,
    r#""paths":{"kind":"paths","protected":[".github/**"]},"#,
    r#""size":{"kind":"size","files_max":40,"lines_max":1500},"#,
    r#""tests":{"kind":"command","run":"make test","timeout_ms":9}}}"#
);
const BY: &str = r#"{"id":4,"login":"mona","kind":"person"}"#;
const ISSUE: &str = r#"{"repository_name":"octo/demo","title":"Mend it"}"#;
const PULL_REQUEST: &str = r#"{"number":9,"node_id":"PR_9","draft":true}"#;
const SPEND: &str = concat!(
    r#"{"cost":3,"usage":{"input_tokens":1,"cache_read_tokens":2,"#,
    r#""cache_write_tokens":3,"output_tokens":4}}"#
);
const REMARK: &str = concat!(
    r#"{"severity":"blocking","place":{"path":"a.rs","line":3,"standing":"changed"},"#,
    r#""title":"t","body":"b","suggestion":"s"}"#
);
const REPORT: &str = concat!(
    r#"{"verdict":"red","title":"t","summary":"s","annotations":[{"path":"a.rs","line_start":1,"#,
    r#""line_end":2,"message":"m"}]}"#
);
const ANSWER: &str = r#"{"finding":"alpha-1-1","claim":"rebutted","reason":"r"}"#;
const FINDING: &str = concat!(
    r#"{"id":"alpha-1-1","reviewer":"alpha","round":1,"head":"HEAD","remark":REMARK,"#,
    r#""state":{"state":"fixed","head":"HEAD"},"answer":ANSWER}"#
);
const VALIDATION: &str = concat!(
    r#"{"head":"HEAD","base":"BASE","reviews":{"alpha":{"review":"pending"},"beta":{"review":"done"},"#,
    r#""gamma":{"review":"failed","detail":"d"}},"#,
    r#""gates":{"size":{"gate":"pending"},"tests":{"gate":"reported","verdict":"green","title":"t","#,
    r#""summary":"","detail":"d","annotations":[]}}}"#
);

/// Puts the pieces that many texts share into one of them.
fn whole(text: &str) -> String {
    let pieces = [
        ("FINDING", FINDING),
        ("VALIDATION", VALIDATION),
        ("POLICY", POLICY),
        ("BY", BY),
        ("ISSUE", ISSUE),
        ("PULL", PULL_REQUEST),
        ("SPEND", SPEND),
        ("REMARK", REMARK),
        ("REPORT", REPORT),
        ("ANSWER", ANSWER),
        ("HEAD", "1111111111111111111111111111111111111111"),
        ("BASE", "2222222222222222222222222222222222222222"),
        ("TREE", "3333333333333333333333333333333333333333"),
    ];
    pieces.iter().fold(text.to_owned(), |text, (name, piece)| text.replace(name, piece))
}

/// Reads each text and writes it again, and looks that every one of `tags` is among them.
fn unchanged<T>(texts: &[&str], tags: &[&str], tag: impl Fn(&T) -> &'static str)
where
    T: Serialize + DeserializeOwned + Debug,
{
    let mut seen = BTreeSet::new();
    for text in texts.iter().map(|text| whole(text)) {
        let read: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        let expected = format!(r#"":"{}""#, tag(&read));
        assert!(text.contains(&expected), "{} is not named in {text}", tag(&read));
        seen.insert(tag(&read));
    }
    assert_eq!(seen, tags.iter().copied().collect(), "every variant has a text");
}

/// The tag of each variant. A variant that is missing here does not compile; one that is missing in the texts fails.
macro_rules! tags {
    ($kind:ident, $check:ident, { $($pattern:pat => $tag:literal),* $(,)? }, $texts:expr) => {
        #[test]
        fn $check() {
            unchanged::<$kind>($texts, &[$($tag),*], |thing| match thing { $($pattern => $tag),* });
        }
    };
}

tags!(Signal, signals_keep_their_form, {
    Signal::LabelSet { .. } => "label-set",
    Signal::LabelRemoved { .. } => "label-removed",
    Signal::IssueClosed { .. } => "issue-closed",
    Signal::Commanded { .. } => "commanded",
    Signal::Remarked { .. } => "remarked",
    Signal::HeadMoved { .. } => "head-moved",
    Signal::PullRequestClosed { .. } => "pull-request-closed",
    Signal::AccessLost { .. } => "access-lost",
    Signal::ForeignCheckChanged { .. } => "foreign-check-changed",
    Signal::CheckPressed { .. } => "check-pressed",
    Signal::Inspected(_) => "inspected",
    Signal::PermissionRead { .. } => "permission-read",
    Signal::SetUpRan { .. } => "set-up-ran",
    Signal::Created { .. } => "created",
    Signal::PullRequestOpened { .. } => "pull-request-opened",
    Signal::Reviewed { .. } => "reviewed",
    Signal::GateReported { .. } => "gate-reported",
    Signal::ReviewWithheld { .. } => "review-withheld",
    Signal::TaskFailed { .. } => "task-failed",
    Signal::Published { .. } => "published",
    Signal::TimerFired { .. } => "timer-fired",
}, &[
    r#"{"signal":"label-set","by":BY,"issue":ISSUE}"#,
    r#"{"signal":"label-removed","by":{"id":4,"login":"robot[bot]","kind":"bot"}}"#,
    r#"{"signal":"issue-closed","by":{"id":4,"login":"pairbot[bot]","kind":"own"}}"#,
    r#"{"signal":"commanded","by":BY,"comment":5,"commands":[{"Ok":{"command":"stop"}},{"Err":"what"}]}"#,
    r#"{"signal":"remarked","by":BY,"source":{"in":"comment","id":5},"text":"t"}"#,
    r#"{"signal":"remarked","by":BY,"source":{"in":"line-comment","id":5},"text":"t"}"#,
    r#"{"signal":"remarked","by":BY,"source":{"in":"review","id":5,"changes_requested":true},"text":"t"}"#,
    r#"{"signal":"head-moved","by":BY,"head":"HEAD","base":"BASE"}"#,
    r#"{"signal":"access-lost","by":BY,"loss":"installation-deleted"}"#,
    r#"{"signal":"access-lost","by":BY,"loss":"installation-suspended"}"#,
    r#"{"signal":"access-lost","by":BY,"loss":"repository-removed"}"#,
    r#"{"signal":"pull-request-closed","by":BY,"merged":true,"head":"HEAD"}"#,
    r#"{"signal":"foreign-check-changed","head":"HEAD"}"#,
    r#"{"signal":"check-pressed","by":BY,"gate":"size","head":"HEAD","button":"rerun"}"#,
    r#"{"signal":"check-pressed","by":BY,"gate":"size","head":"HEAD","button":"retry"}"#,
    r#"{"signal":"check-pressed","by":BY,"gate":"size","head":"HEAD","button":"stop"}"#,
    r#"{"signal":"inspected","found":"gone"}"#,
    r#"{"signal":"permission-read","request":1,"permission":"triage"}"#,
    r#"{"signal":"set-up-ran","round":1,"attempt":2,"report":REPORT,"contacts":[]}"#,
    r#"{"signal":"created","round":1,"attempt":2,"outcome":{"outcome":"no-progress"},"spend":SPEND}"#,
    r#"{"signal":"pull-request-opened","number":9,"node_id":"PR_9","draft":true,"head":"HEAD"}"#,
    concat!(
        r#"{"signal":"reviewed","reviewer":"alpha","head":"HEAD","outcome":{"outcome":"submitted","#,
        r#""summary":"s","remarks":[],"verified":[]},"spend":SPEND}"#
    ),
    r#"{"signal":"gate-reported","gate":"size","head":"HEAD","report":REPORT}"#,
    r#"{"signal":"review-withheld","reviewer":"alpha","head":"HEAD","actual":null}"#,
    r#"{"signal":"task-failed","work":{"work":"create"},"failure":"conflict","detail":"d"}"#,
    r#"{"signal":"published","publication":{"publish":"answer","request":1}}"#,
    r#"{"signal":"timer-fired","timer":{"timer":"deadline"}}"#,
]);

tags!(Inspection, inspections_keep_their_form, {
    Inspection::Fit { .. } => "fit",
    Inspection::PolicyInvalid { .. } => "policy-invalid",
    Inspection::Gone => "gone",
}, &[
    concat!(
        r#"{"found":"fit","permission":"admin","policy":POLICY,"base":"BASE","#,
        r#""branch_head":"HEAD","pull_request":PULL}"#
    ),
    r#"{"found":"policy-invalid","problems":["p"]}"#,
    r#"{"found":"gone"}"#,
]);

tags!(CreateOutcome, outcomes_of_a_creator_keep_their_form, {
    CreateOutcome::Pushed { .. } => "pushed",
    CreateOutcome::NoProgress => "no-progress",
    CreateOutcome::HeadMoved { .. } => "head-moved",
    CreateOutcome::Failed { .. } => "failed",
}, &[
    concat!(
        r#"{"outcome":"pushed","head":"HEAD","base":"BASE","tree":"TREE","title":"t","summary":"s","#,
        r#""answers":[ANSWER]}"#
    ),
    r#"{"outcome":"no-progress"}"#,
    r#"{"outcome":"head-moved","actual":"HEAD"}"#,
    r#"{"outcome":"failed","failure":"budget","detail":"d"}"#,
    concat!(
        r#"{"outcome":"failed","failure":{"exhausted":{"scope":"installation-month","measure":"tokens","#,
        r#""opens_at":9}},"detail":"d"}"#
    ),
]);

tags!(ReviewOutcome, outcomes_of_a_reviewer_keep_their_form, {
    ReviewOutcome::Submitted { .. } => "submitted",
    ReviewOutcome::Failed { .. } => "failed",
}, &[
    concat!(
        r#"{"outcome":"submitted","summary":"s","remarks":[REMARK],"#,
        r#""verified":[{"finding":"alpha-1-1","fixed":true,"reason":"r"}]}"#
    ),
    r#"{"outcome":"failed","failure":"agent","detail":"d"}"#,
    r#"{"outcome":"failed","failure":"time","detail":"d"}"#,
    r#"{"outcome":"failed","failure":"permission","detail":"d"}"#,
]);

tags!(WorkKind, kinds_of_work_keep_their_form, {
    WorkKind::Inspect => "inspect",
    WorkKind::ReadPermission { .. } => "read-permission",
    WorkKind::Create => "create",
    WorkKind::Review { .. } => "review",
    WorkKind::Gate { .. } => "gate",
    WorkKind::OpenPullRequest => "open-pull-request",
    WorkKind::Publish { .. } => "publish",
    WorkKind::Unreadable { .. } => "unreadable",
}, &[
    r#"{"work":"inspect"}"#,
    r#"{"work":"read-permission","request":1}"#,
    r#"{"work":"create"}"#,
    r#"{"work":"review","reviewer":"alpha","head":"HEAD"}"#,
    r#"{"work":"gate","gate":"size","head":"HEAD"}"#,
    r#"{"work":"open-pull-request"}"#,
    r#"{"work":"publish"}"#,
    r#"{"work":"publish","publication":{"publish":"draft-state"}}"#,
    r#"{"work":"unreadable","lane":"create"}"#,
]);

tags!(Timer, timers_keep_their_form, {
    Timer::Deadline => "deadline",
    Timer::CiWait { .. } => "ci-wait",
}, &[r#"{"timer":"deadline"}"#, r#"{"timer":"ci-wait","head":"HEAD"}"#]);

tags!(Target, targets_keep_their_form, {
    Target::Issue { .. } => "issue",
    Target::PullRequest { .. } => "pull-request",
    Target::Head { .. } => "head",
    Target::Run { .. } => "run",
}, &[
    r#"{"by":"issue","repository":1,"issue":7}"#,
    r#"{"by":"pull-request","repository":1,"number":9,"branch":"pairbot/issue-7"}"#,
    r#"{"by":"head","repository":1,"head":"HEAD"}"#,
    r#"{"by":"run","run":"1-7-1"}"#,
]);

#[test]
fn envelopes_keep_their_form() {
    let text = r#"{"installation":2,"target":{"by":"run","run":"1-7-1"},"signal":{"signal":"inspected","found":"gone"}}"#;
    unchanged::<Envelope>(&[text], &["inspected"], |_| "inspected");
}

tags!(Command, commands_keep_their_form, {
    Command::Retry { .. } => "retry",
    Command::Stop => "stop",
    Command::Pause => "pause",
    Command::Resume => "resume",
    Command::Review => "review",
    Command::Budget { .. } => "budget",
    Command::BudgetTokens { .. } => "budget-tokens",
    Command::Status => "status",
    Command::Help => "help",
}, &[
    r#"{"command":"retry","stage":null}"#,
    r#"{"command":"retry","stage":"create"}"#,
    r#"{"command":"retry","stage":"review"}"#,
    r#"{"command":"retry","stage":"gate"}"#,
    r#"{"command":"stop"}"#,
    r#"{"command":"pause"}"#,
    r#"{"command":"resume"}"#,
    r#"{"command":"review"}"#,
    r#"{"command":"budget","raise":5}"#,
    r#"{"command":"budget-tokens","raise":5}"#,
    r#"{"command":"status"}"#,
    r#"{"command":"help"}"#,
]);

tags!(Event, events_keep_their_form, {
    Event::Opened { .. } => "opened",
    Event::Refused { .. } => "refused",
    Event::PolicyAdopted { .. } => "policy-adopted",
    Event::WorkAdopted { .. } => "work-adopted",
    Event::DeadlineSet { .. } => "deadline-set",
    Event::BudgetSet { .. } => "budget-set",
    Event::InspectionStarted { .. } => "inspection-started",
    Event::RoundStarted { .. } => "round-started",
    Event::SetUpRan { .. } => "set-up-ran",
    Event::Pushed { .. } => "pushed",
    Event::Spent { .. } => "spent",
    Event::HeadTaken { .. } => "head-taken",
    Event::PullRequestOpened { .. } => "pull-request-opened",
    Event::ValidationStarted { .. } => "validation-started",
    Event::ReviewRecorded { .. } => "review-recorded",
    Event::ReviewFailed { .. } => "review-failed",
    Event::VerdictVoided { .. } => "verdict-voided",
    Event::ReviewsRestarted { .. } => "reviews-restarted",
    Event::GateStarted { .. } => "gate-started",
    Event::GateRecorded { .. } => "gate-recorded",
    Event::BecameReady { .. } => "became-ready",
    Event::ReadyWithdrawn { .. } => "ready-withdrawn",
    Event::Halted { .. } => "halted",
    Event::RequestReceived { .. } => "request-received",
    Event::RequestSettled { .. } => "request-settled",
    Event::FeedbackGiven { .. } => "feedback-given",
    Event::Paused { .. } => "paused",
    Event::Resumed { .. } => "resumed",
    Event::Merged { .. } => "merged",
    Event::Closed { .. } => "closed",
    Event::PublicationFailed { .. } => "publication-failed",
    Event::PublicationMade { .. } => "publication-made",
    Event::TaskUnreadable { .. } => "task-unreadable",
}, &[
    r#"{"event":"opened","run":"1-7-1","installation":2,"by":BY,"issue":ISSUE,"at":1000}"#,
    r#"{"event":"refused","reason":{"refused":"not-permitted","found":"read"}}"#,
    r#"{"event":"policy-adopted","policy":POLICY,"base":"BASE"}"#,
    concat!(
        r#"{"event":"policy-adopted","policy":{"creator":{"provider":null,"model":null},"reviewers":{},"#,
        r#""rounds_max":3,"run_budget":5,"run_tokens":6,"day_budget":{"money":7,"tokens":8},"run_ms_max":6,"#,
        r#""task_ms_max":7,"setup":{"run":"npm ci","timeout_ms":8},"gates":{}},"base":"BASE"}"#
    ),
    r#"{"event":"work-adopted","head":"HEAD","pull_request":PULL}"#,
    r#"{"event":"deadline-set","at":9}"#,
    r#"{"event":"budget-set","limit":5}"#,
    r#"{"event":"budget-set","limit":5,"tokens":6}"#,
    r#"{"event":"inspection-started","then":"create"}"#,
    r#"{"event":"inspection-started","then":"validate"}"#,
    r#"{"event":"round-started","round":1,"attempt":2,"rounds_allowed":3}"#,
    concat!(
        r#"{"event":"set-up-ran","round":1,"attempt":2,"report":REPORT,"contacts":["#,
        r#"{"asked":"a:443","times":1,"sent":2,"received":3},"#,
        r#"{"asked":"b:443","refused":"no","times":1,"sent":0,"received":0}]}"#
    ),
    concat!(
        r#"{"event":"pushed","round":1,"head":"HEAD","base":"BASE","tree":"TREE","title":"t","summary":"s","#,
        r#""answers":[ANSWER],"spend":SPEND}"#
    ),
    r#"{"event":"spent","spend":SPEND}"#,
    r#"{"event":"head-taken","by":null,"head":"HEAD","base":"BASE"}"#,
    r#"{"event":"pull-request-opened","pull_request":PULL}"#,
    r#"{"event":"validation-started","head":"HEAD","base":"BASE","reviewers":["alpha"],"gates":["size"]}"#,
    concat!(
        r#"{"event":"review-recorded","reviewer":"alpha","head":"HEAD","summary":"s","raised":[FINDING],"#,
        r#""fixed":["alpha-1-1"],"spend":SPEND}"#
    ),
    r#"{"event":"review-failed","reviewer":"alpha","head":"HEAD","detail":"d","spend":SPEND}"#,
    r#"{"event":"verdict-voided","of":"gate size","head":"HEAD","spend":SPEND}"#,
    r#"{"event":"reviews-restarted","reviewers":["alpha"]}"#,
    r#"{"event":"gate-started","gate":"size","head":"HEAD"}"#,
    r#"{"event":"gate-recorded","gate":"size","head":"HEAD","report":REPORT}"#,
    r#"{"event":"became-ready","head":"HEAD"}"#,
    r#"{"event":"ready-withdrawn","head":"HEAD"}"#,
    r#"{"event":"halted","reason":"rounds-exhausted","detail":"d"}"#,
    r#"{"event":"halted","reason":"budget-exhausted","detail":"d"}"#,
    concat!(
        r#"{"event":"halted","reason":"budget-exhausted","detail":"d","#,
        r#""exhausted":{"scope":"run","measure":"tokens"}}"#
    ),
    concat!(
        r#"{"event":"halted","reason":"budget-exhausted","detail":"d","#,
        r#""exhausted":{"scope":"repository-day","measure":"money","opens_at":9}}"#
    ),
    concat!(
        r#"{"event":"halted","reason":"budget-exhausted","detail":"d","#,
        r#""exhausted":{"scope":"installation-month","measure":"money","opens_at":9}}"#
    ),
    r#"{"event":"halted","reason":"gate-failing","detail":"d"}"#,
    r#"{"event":"halted","reason":"no-progress","detail":"d"}"#,
    r#"{"event":"halted","reason":"dispute-escalated","detail":"d"}"#,
    r#"{"event":"halted","reason":"merge-conflict","detail":"d"}"#,
    r#"{"event":"halted","reason":"agent-failed","detail":"d"}"#,
    r#"{"event":"halted","reason":"policy-invalid","detail":"d"}"#,
    r#"{"event":"halted","reason":"permission-missing","detail":"d"}"#,
    r#"{"event":"halted","reason":"timed-out","detail":"d"}"#,
    concat!(
        r#"{"event":"request-received","id":1,"request":{"by":BY,"wish":{"wish":"commands","comment":5,"#,
        r#""commands":[{"Ok":{"command":"help"}}]},"state":{"state":"pending"}}}"#
    ),
    concat!(
        r#"{"event":"request-received","id":1,"request":{"by":BY,"wish":{"wish":"feedback","#,
        r#""source":{"in":"comment","id":5},"text":"t"},"state":{"state":"granted","answer":null}}}"#
    ),
    concat!(
        r#"{"event":"request-received","id":1,"request":{"by":BY,"wish":{"wish":"button","gate":"ready","#,
        r#""button":"rerun"},"state":{"state":"refused","answer":null}}}"#
    ),
    r#"{"event":"request-settled","id":1,"granted":true,"answer":{"answer":"help"}}"#,
    r#"{"event":"request-settled","id":1,"granted":false,"answer":{"answer":"not-permitted","found":"none"}}"#,
    concat!(
        r#"{"event":"request-settled","id":1,"granted":false,"answer":{"answer":"problems","reasons":["#,
        r#"{"problem":"malformed","text":"t"},{"problem":"over"},{"problem":"under-way"},{"problem":"paused"},"#,
        r#"{"problem":"no-head"},{"problem":"not-paused"},{"problem":"nothing-to-pause"},{"problem":"no-token-budget"}]}}"#
    ),
    concat!(
        r#"{"event":"feedback-given","feedback":{"by":BY,"source":{"in":"comment","id":5},"text":"t","#,
        r#""told_in":null}}"#
    ),
    r#"{"event":"paused","by":BY}"#,
    r#"{"event":"resumed","by":BY}"#,
    r#"{"event":"merged","by":BY,"head":"HEAD"}"#,
    r#"{"event":"closed","closing":"label-removed","by":BY}"#,
    r#"{"event":"closed","closing":"issue-closed","by":BY}"#,
    r#"{"event":"closed","closing":"pull-request-closed","by":BY}"#,
    r#"{"event":"closed","closing":"stopped","by":BY}"#,
    r#"{"event":"closed","closing":{"access-lost":{"loss":"repository-removed"}},"by":BY}"#,
    r#"{"event":"publication-failed","detail":"d"}"#,
    concat!(
        r#"{"event":"publication-failed","detail":"d","publication":{"publish":"check","gate":"size","#,
        r#""head":"HEAD"}}"#
    ),
    r#"{"event":"publication-made","publication":{"publish":"status"}}"#,
    r#"{"event":"task-unreadable","lane":"create","detail":"d"}"#,
]);

tags!(Effect, effects_keep_their_form, {
    Effect::Work(_) => "work",
    Effect::Publish(_) => "publish",
    Effect::Store(_) => "store",
}, &[
    r#"{"effect":"work","work":"inspect","by":BY}"#,
    r#"{"effect":"publish","publish":"status"}"#,
    r#"{"effect":"store","store":"cancel-work"}"#,
]);

tags!(Work, work_keeps_its_form, {
    Work::Inspect { .. } => "inspect",
    Work::ReadPermission { .. } => "read-permission",
    Work::Create { .. } => "create",
    Work::OpenPullRequest { .. } => "open-pull-request",
    Work::Review { .. } => "review",
    Work::Gate { .. } => "gate",
}, &[
    r#"{"work":"inspect","by":BY}"#,
    r#"{"work":"read-permission","request":1,"of":BY}"#,
    r#"{"work":"create","round":1,"attempt":2,"onto":"HEAD"}"#,
    r#"{"work":"open-pull-request","head":"HEAD"}"#,
    r#"{"work":"review","reviewer":"alpha","round":1,"head":"HEAD"}"#,
    r#"{"work":"gate","gate":"size","head":"HEAD"}"#,
]);

tags!(Publication, publications_keep_their_form, {
    Publication::Status => "status",
    Publication::Check { .. } => "check",
    Publication::Review { .. } => "review",
    Publication::Thread { .. } => "thread",
    Publication::DraftState => "draft-state",
    Publication::Stray => "stray",
    Publication::Reaction { .. } => "reaction",
    Publication::Answer { .. } => "answer",
}, &[
    r#"{"publish":"status"}"#,
    r#"{"publish":"check","gate":"size","head":"HEAD"}"#,
    r#"{"publish":"review","reviewer":"alpha","head":"HEAD"}"#,
    r#"{"publish":"thread","finding":"alpha-1-1"}"#,
    r#"{"publish":"draft-state"}"#,
    r#"{"publish":"stray"}"#,
    r#"{"publish":"reaction","to":{"on":"issue"},"with":"seen"}"#,
    r#"{"publish":"reaction","to":{"on":"comment","id":5},"with":"accepted"}"#,
    r#"{"publish":"reaction","to":{"on":"line-comment","id":5},"with":"refused"}"#,
    r#"{"publish":"reaction","to":{"on":"review","id":5},"with":"seen"}"#,
    r#"{"publish":"answer","request":1}"#,
]);

tags!(StoreChange, changes_of_the_store_keep_their_form, {
    StoreChange::CancelWork => "cancel-work",
    StoreChange::SetBudget { .. } => "set-budget",
    StoreChange::StartTimer { .. } => "start-timer",
}, &[
    r#"{"store":"cancel-work"}"#,
    r#"{"store":"set-budget","limit":5}"#,
    r#"{"store":"set-budget","limit":5,"tokens":6}"#,
    r#"{"store":"start-timer","timer":{"timer":"deadline"},"at":5}"#,
]);

tags!(Phase, phases_keep_their_form, {
    Phase::Queued { .. } => "queued",
    Phase::Creating { .. } => "creating",
    Phase::Opening { .. } => "opening",
    Phase::Validating(_) => "validating",
    Phase::AwaitingHuman(_) => "awaiting-human",
    Phase::Halted { .. } => "halted",
    Phase::Refused { .. } => "refused",
    Phase::Merged { .. } => "merged",
    Phase::Closed { .. } => "closed",
}, &[
    r#"{"phase":"queued","then":"create","last":null}"#,
    r#"{"phase":"creating","last":VALIDATION}"#,
    r#"{"phase":"opening","head":"HEAD","base":"BASE"}"#,
    r#"{"phase":"validating","head":"HEAD","base":"BASE","reviews":{},"gates":{}}"#,
    r#"{"phase":"awaiting-human","head":"HEAD","base":"BASE","reviews":{},"gates":{}}"#,
    r#"{"phase":"halted","reason":"timed-out","detail":"d","last":VALIDATION}"#,
    concat!(
        r#"{"phase":"halted","reason":"budget-exhausted","detail":"d","#,
        r#""exhausted":{"scope":"run","measure":"money"},"last":null}"#
    ),
    r#"{"phase":"refused","reason":{"refused":"not-permitted","found":"read"}}"#,
    r#"{"phase":"merged","by":BY,"head":"HEAD","last":null}"#,
    r#"{"phase":"closed","closing":"stopped","by":BY,"last":VALIDATION}"#,
]);

/// What was stored before a field came into being is read as if it were empty.
#[test]
fn what_was_written_before_is_read() {
    let merged = whole(r#"{"phase":"merged","by":BY,"head":"HEAD"}"#);
    assert!(matches!(serde_json::from_str(&merged).unwrap(), Phase::Merged { last: None, .. }));
    let builtin: AgentChoice = serde_json::from_str(r#"{"provider":null,"model":"m"}"#).unwrap();
    assert_eq!(builtin, AgentChoice { model: Some("m".to_owned()), ..AgentChoice::default() });
}
