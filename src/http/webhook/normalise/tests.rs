mod fuzz;

use pairbot_protocol::command::{Command, RetryStage};
use pairbot_protocol::ids::{CommentId, HeadSha, IssueNumber, PullRequestNumber, ReviewId};
use pairbot_protocol::signal::{CheckButton, FeedbackSource, IssueFacts};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::github::{BotAccount, OwnAccount};
use crate::http::webhook::delivery_headers::EventName;

const REPOSITORY: RepositoryId = RepositoryId(812_345_678);
const HEAD: &str = "8f3b1c0d5e7a9f2b4c6d8e0f1a3b5c7d9e2f4a6b";
const ISSUE: Target = Target::Issue { repository: REPOSITORY, issue: IssueNumber(42) };

macro_rules! examples {
    ($($name:literal),* $(,)?) => {
        const EXAMPLES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../../../tests/fixtures/webhooks/", $name, ".json")))),*
        ];
    };
}

examples!(
    "check_run.completed",
    "check_run.requested_action",
    "check_run.rerequested",
    "check_suite.completed",
    "check_suite.rerequested",
    "installation.created",
    "issue_comment.created",
    "issue_comment.created.pull_request",
    "issues.closed",
    "issues.labeled",
    "issues.unlabeled",
    "ping",
    "pull_request.closed",
    "pull_request.synchronize",
    "pull_request_review.submitted",
    "pull_request_review_comment.created",
    "status",
);

fn own() -> OwnApp {
    let account = OwnAccount::default();
    let login = "pairbot[bot]".parse().unwrap();
    account.learn(BotAccount { slug: "pairbot".to_owned(), id: UserId(199_999_999), login });
    OwnApp::new(1_234_567, account)
}

fn example(name: &str) -> Value {
    let (_, text) = EXAMPLES.iter().find(|(other, _)| *other == name).unwrap();
    serde_json::from_str(text).unwrap()
}

/// The example of this name, with values at these places replaced (`null` there as any other).
fn changed(name: &str, changes: &[(&str, Value)]) -> Value {
    let mut payload = example(name);
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        payload.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    payload
}

fn normalised(name: &str, payload: &Value) -> Normalised {
    let mut headers = http::HeaderMap::new();
    headers.insert("x-github-event", name.split('.').next().unwrap().parse().unwrap());
    normalise(EventName::of(&headers).unwrap(), &payload.to_string(), &own()).unwrap()
}

fn envelope(name: &str, changes: &[(&str, Value)]) -> Envelope {
    match normalised(name, &changed(name, changes)).content {
        Content::Signal(envelope) => envelope,
        Content::Ignored { reason, .. } => panic!("{name} is ignored: {reason}"),
    }
}

fn reason(name: &str, changes: &[(&str, Value)]) -> String {
    let normalised = normalised(name, &changed(name, changes));
    assert_eq!(normalised.meaning, None, "what is ignored must not stand in the way of what counts");
    match normalised.content {
        Content::Signal(envelope) => panic!("{name} is not ignored: {envelope:?}"),
        Content::Ignored { reason, .. } => reason,
    }
}

fn meaning(name: &str, changes: &[(&str, Value)]) -> String {
    normalised(name, &changed(name, changes)).meaning.unwrap()
}

fn mira() -> Actor {
    Actor { id: UserId(7_654_321), login: "mira-okafor".parse().unwrap(), kind: ActorKind::Person }
}

fn head() -> HeadSha {
    HEAD.parse().unwrap()
}

fn pull_request(branch: Option<&str>) -> Target {
    let branch = branch.map(str::to_owned);
    Target::PullRequest { repository: REPOSITORY, number: PullRequestNumber(43), branch }
}

fn sender(kind: &str, login: &str, id: u64) -> [(&'static str, Value); 3] {
    [("/sender/type", json!(kind)), ("/sender/login", json!(login)), ("/sender/id", json!(id))]
}

#[test]
fn the_label_asks_for_a_run() {
    let labeled = envelope("issues.labeled", &[]);
    assert_eq!(labeled.installation, InstallationId(51_234_567));
    assert_eq!(labeled.target, ISSUE);
    let issue = IssueFacts {
        repository_name: "quayside-labs/harbour-logbook".to_owned(),
        title: "Free berths are counted twice when a ship returns the same day".to_owned(),
    };
    assert_eq!(labeled.signal, Signal::LabelSet { by: mira(), issue });
    assert_eq!(envelope("issues.unlabeled", &[]).signal, Signal::LabelRemoved { by: mira() });
    assert_eq!(envelope("issues.closed", &[]).signal, Signal::IssueClosed { by: mira() });
    assert_eq!(reason("issues.labeled", &[("/label/name", json!("bug"))]), "the label is not `agent:pair`");
    assert!(matches!(
        envelope("issues.labeled", &[("/label/name", json!("Agent:Pair"))]).signal,
        Signal::LabelSet { .. }
    ));
    for action in ["deleted", "transferred"] {
        let gone = envelope("issues.closed", &[("/action", json!(action))]);
        assert_eq!(gone.signal, Signal::IssueClosed { by: mira() });
    }
}

#[test]
fn a_program_may_set_the_label_and_is_named_as_one() {
    for (kind, login, id, expected) in [
        ("Bot", "triage[bot]", 5, ActorKind::Bot),
        ("Bot", "pairbot[bot]", 6, ActorKind::Own),
        ("Bot", "renamed[bot]", 199_999_999, ActorKind::Own),
        ("Mannequin", "someone", 7, ActorKind::Bot),
    ] {
        let Signal::LabelSet { by, .. } = envelope("issues.labeled", &sender(kind, login, id)).signal else {
            panic!("{login} set no label");
        };
        assert_eq!(by.kind, expected, "{login}");
    }
}

#[test]
fn a_label_set_again_is_a_new_wish_and_one_seen_twice_is_not() {
    let first = meaning("issues.labeled", &[]);
    assert_eq!(first, meaning("issues.labeled", &[("/issue/comments", json!(7))]));
    assert_ne!(first, meaning("issues.labeled", &[("/issue/updated_at", json!("2026-05-05T08:00:04Z"))]));
    assert_ne!(first, meaning("issues.labeled", &[("/issue/number", json!(41))]));
    assert_ne!(first, meaning("issues.labeled", &[("/repository/id", json!(1))]));
    assert_ne!(first, meaning("issues.unlabeled", &[]));
    let undated =
        normalised("issues.labeled", &changed("issues.labeled", &[("/issue/updated_at", json!(""))]));
    assert_eq!(undated.meaning, None);
}

#[test]
fn a_command_counts_once_and_only_in_a_new_comment() {
    let comment = envelope("issue_comment.created", &[]);
    assert_eq!(comment.target, ISSUE);
    let commands = vec![Ok(Command::Retry { stage: Some(RetryStage::Create) })];
    assert_eq!(comment.signal, Signal::Commanded { by: mira(), comment: CommentId(2_212_345_678), commands });
    assert_eq!(meaning("issue_comment.created", &[]), "comment:2212345678");
    let edited = reason("issue_comment.created", &[("/action", json!("edited"))]);
    assert_eq!(edited, "editing a comment does not run a command");
    assert!(reason("issue_comment.created", &[("/action", json!("deleted"))]).ends_with("was `deleted`"));
}

#[test]
fn a_comment_without_commands_is_feedback() {
    let comment = envelope("issue_comment.created.pull_request", &[]);
    assert_eq!(comment.target, pull_request(None));
    let source = FeedbackSource::Comment { id: CommentId(2_212_345_679) };
    let text = "Please keep `berths_free` a plain function.".to_owned();
    assert_eq!(comment.signal, Signal::Remarked { by: mira(), source, text });
    assert_eq!(reason("issue_comment.created", &[("/comment/body", json!(" \n"))]), "it says nothing");
}

#[test]
fn long_words_are_cut_but_no_command_is_lost() {
    let long = format!("{}\n/stop", "é".repeat(30_000));
    let cut = envelope("issue_comment.created", &[("/comment/body", json!(long))]);
    assert!(matches!(cut.signal, Signal::Commanded { .. }));
    let long = "é".repeat(30_000);
    let Signal::Remarked { text, .. } =
        envelope("issue_comment.created", &[("/comment/body", json!(long))]).signal
    else {
        panic!("no remark");
    };
    assert_eq!(text.len(), 16 * 1024);
}

#[test]
fn programs_are_not_listened_to() {
    for name in
        ["issue_comment.created", "pull_request_review.submitted", "pull_request_review_comment.created"]
    {
        let bot = reason(name, &sender("Bot", "dependabot[bot]", 49_699_333));
        assert!(bot.contains("another program said it"), "{bot}");
        assert_eq!(reason(name, &sender("Bot", "pairbot[bot]", 199_999_999)), "the App itself said it");
    }
    let through_app = [("/comment/performed_via_github_app", json!({ "id": 1_234_567 }))];
    assert_eq!(reason("issue_comment.created", &through_app), "the App itself said it");
    let through_other = [("/comment/performed_via_github_app", json!({ "id": 5 }))];
    assert!(matches!(envelope("issue_comment.created", &through_other).signal, Signal::Commanded { .. }));
}

#[test]
fn a_review_is_feedback_and_its_commands_are_words() {
    let review = envelope("pull_request_review.submitted", &[("/review/body", json!("/stop"))]);
    assert_eq!(review.target, pull_request(Some("pairbot/issue-42")));
    let source = FeedbackSource::Review { id: ReviewId(2_712_345_678), changes_requested: true };
    assert_eq!(review.signal, Signal::Remarked { by: mira(), source, text: "/stop".to_owned() });
    let silent = envelope("pull_request_review.submitted", &[("/review/body", Value::Null)]);
    assert_eq!(silent.signal, Signal::Remarked { by: mira(), source, text: String::new() });
    let only_lines = [("/review/body", Value::Null), ("/review/state", json!("commented"))];
    assert_eq!(reason("pull_request_review.submitted", &only_lines), "it says nothing");
    let dismissed = reason("pull_request_review.submitted", &[("/action", json!("dismissed"))]);
    assert_eq!(dismissed, "nothing is made of a review that was `dismissed`");
}

#[test]
fn a_line_comment_tells_its_place() {
    let comment = envelope("pull_request_review_comment.created", &[]);
    let source = FeedbackSource::LineComment { id: CommentId(2_012_345_678) };
    let text = "logbook/berths.py:17: Why a list here?".to_owned();
    assert_eq!(comment.signal, Signal::Remarked { by: mira(), source, text });
    let silent = [("/comment/body", json!(""))];
    assert_eq!(reason("pull_request_review_comment.created", &silent), "it says nothing");
}

#[test]
fn a_new_head_is_heard_of_whoever_pushed_it() {
    let moved = envelope("pull_request.synchronize", &sender("Bot", "pairbot[bot]", 199_999_999));
    assert_eq!(moved.target, pull_request(Some("pairbot/issue-42")));
    let Signal::HeadMoved { by, head: new, base } = moved.signal else { panic!("no new head") };
    assert_eq!((by.kind, new), (ActorKind::Own, head()));
    assert_eq!(base.as_str(), "c0ffee254729296a45a3885639ac7e10f9d54979");
    let first = meaning("pull_request.synchronize", &[]);
    assert_ne!(first, meaning("pull_request.synchronize", &[("/pull_request/updated_at", json!("later"))]));
}

#[test]
fn a_branch_of_a_fork_is_not_one_of_ours() {
    for repo in [json!({ "id": 5 }), Value::Null] {
        let moved = envelope("pull_request.synchronize", &[("/pull_request/head/repo", repo)]);
        assert_eq!(moved.target, pull_request(None));
    }
}

#[test]
fn a_pull_request_ends_merged_or_not() {
    let closed = |merged: bool| {
        let closed = envelope("pull_request.closed", &[("/pull_request/merged", json!(merged))]);
        assert_eq!(closed.signal, Signal::PullRequestClosed { by: mira(), merged, head: head() });
    };
    closed(true);
    closed(false);
    let unknown = [("/pull_request/merged", Value::Null)];
    assert_eq!(reason("pull_request.closed", &unknown), "the payload does not say whether it was merged");
    assert!(reason("pull_request.closed", &[("/action", json!("labeled"))]).ends_with("was `labeled`"));
}

#[test]
fn a_button_finds_its_run() {
    let run = "812345678-42-1".parse().unwrap();
    let pressed = |name: &str, changes: &[(&str, Value)]| {
        let pressed = envelope(name, changes);
        assert_eq!(pressed.target, Target::Run { run });
        let Signal::CheckPressed { by, gate, head: about, button } = pressed.signal else {
            panic!("no button")
        };
        assert_eq!((by, gate.as_str(), about), (mira(), "size", head()));
        button
    };
    assert_eq!(pressed("check_run.rerequested", &[]), CheckButton::Rerun);
    assert_eq!(pressed("check_run.requested_action", &[]), CheckButton::Stop);
    let retry = [("/requested_action/identifier", json!("retry"))];
    assert_eq!(pressed("check_run.requested_action", &retry), CheckButton::Retry);
    let other = [("/requested_action/identifier", json!("deploy"))];
    assert_eq!(reason("check_run.requested_action", &other), "the button pressed is none of ours");
    // Every press is a wish of its own.
    assert_eq!(normalised("check_run.rerequested", &example("check_run.rerequested")).meaning, None);
}

#[test]
fn a_button_on_another_check_run_does_nothing() {
    for (changes, expected) in [
        ([("/check_run/app/id", json!(15_368))], "it belongs to another app"),
        ([("/check_run/app", Value::Null)], "it belongs to another app"),
        ([("/repository/id", json!(5))], "the check run names a run of another repository"),
        ([("/check_run/external_id", Value::Null)], "it belongs to no run"),
        ([("/check_run/external_id", json!("812345678-42-1:size:abc"))], "it belongs to no run"),
    ] {
        let reason = reason("check_run.rerequested", &changes);
        assert!(reason.ends_with(expected), "{reason}");
    }
}

#[test]
fn all_checks_run_again_by_the_gate_that_sums_them_up() {
    let pressed = envelope("check_suite.rerequested", &[]);
    assert_eq!(pressed.target, Target::Head { repository: REPOSITORY, head: head() });
    assert!(matches!(
        pressed.signal,
        Signal::CheckPressed { gate, button: CheckButton::Rerun, .. } if gate.as_str() == "ready"
    ));
    let other = [("/check_suite/app/id", json!(15_368))];
    assert_eq!(reason("check_suite.rerequested", &other), "it belongs to another app");
}

#[test]
fn results_of_other_apps_are_heard_of_and_ours_are_not() {
    for name in ["check_run.completed", "check_suite.completed", "status"] {
        let changed = envelope(name, &[]);
        assert_eq!(changed.target, Target::Head { repository: REPOSITORY, head: head() }, "{name}");
        assert_eq!(changed.signal, Signal::ForeignCheckChanged { head: head() }, "{name}");
    }
    let ours = |name: &str, place| reason(name, &[(place, json!(1_234_567))]);
    assert_eq!(ours("check_run.completed", "/check_run/app/id"), "it is the App's own result");
    assert_eq!(ours("check_suite.completed", "/check_suite/app/id"), "it is the App's own result");
    let first = meaning("check_run.completed", &[]);
    assert_ne!(first, meaning("check_run.completed", &[("/check_run/conclusion", json!("success"))]));
    assert_ne!(first, meaning("check_run.completed", &[("/action", json!("created"))]));
}

#[test]
fn what_another_hook_sent_does_not_stand_in_the_way_of_ours() {
    let repository_hook = reason("issues.labeled", &[("/installation", Value::Null)]);
    assert!(repository_hook.contains("no installation"), "{repository_hook}");
}

#[test]
fn unknown_events_are_recorded_with_their_installation() {
    let created = normalised("installation.created", &example("installation.created"));
    assert_eq!(created.event, "installation.created");
    let Content::Ignored { installation, reason } = created.content else { panic!("not ignored") };
    assert_eq!(installation, Some(InstallationId(51_234_567)));
    assert_eq!(reason, "the reconciler looks at what it means");
    assert_eq!(self::reason("ping", &[]), "nothing is made of this event");
}

#[test]
fn what_does_not_fit_its_event_is_ignored_with_the_reason() {
    for (changes, expected) in [
        ([("/issue", Value::Null)], "the payload has no issue"),
        ([("/repository", Value::Null)], "the payload has no repository"),
        ([("/sender", Value::Null)], "the payload has no sender"),
        ([("/label", Value::Null)], "the payload has no label"),
        ([("/sender/login", json!("a b"))], "the sender's login has no known form"),
        ([("/issue/number", json!("42"))], "the payload does not fit its event: invalid type: string"),
        ([("/repository/id", json!(-1))], "the payload does not fit its event: invalid value: integer `-1`"),
        ([("/action", json!("opened"))], "nothing is made of an issue that was `opened`"),
        ([("/action", Value::Null)], "the payload does not fit its event: invalid type: null"),
    ] {
        let reason = reason("issues.labeled", &changes);
        assert!(reason.starts_with(expected) && reason.len() <= 200, "{reason}");
    }
    let text = "{\"action\":\"labeled\"";
    let mut headers = http::HeaderMap::new();
    headers.insert("x-github-event", "issues".parse().unwrap());
    let cut = normalise(EventName::of(&headers).unwrap(), text, &own());
    assert!(matches!(cut, Err(Refusal::NotJson { line: 1, column: 19 })), "{cut:?}");
}

/// The manifest asks for what this module understands, and for no permission beyond what the program needs.
#[test]
fn the_manifest_subscribes_to_exactly_the_events_understood() {
    #[derive(serde::Deserialize)]
    struct Manifest {
        default_events: Vec<String>,
        default_permissions: std::collections::BTreeMap<String, String>,
    }
    let manifest: Manifest = serde_saphyr::from_str(include_str!("../../../../app-manifest.yml")).unwrap();
    let mut events = manifest.default_events;
    events.sort();
    assert_eq!(events, EVENTS);
    let permissions: Vec<_> =
        manifest.default_permissions.iter().map(|(name, level)| (name.as_str(), level.as_str())).collect();
    assert_eq!(
        permissions,
        [
            ("actions", "read"),
            ("checks", "write"),
            ("contents", "write"),
            ("issues", "write"),
            ("metadata", "read"),
            ("pull_requests", "write"),
            ("statuses", "read"),
        ]
    );
}

fn any_example() -> impl Strategy<Value = (&'static str, &'static str)> {
    proptest::sample::select(EXAMPLES)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_mutated_payload_is_read_ignored_or_refused(
        (name, text) in any_example(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<char>()), 1..6),
        end in any::<proptest::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut chars: Vec<char> = text.chars().collect();
        for (place, char) in changes {
            let place = place.index(chars.len());
            chars[place] = char;
        }
        if cut {
            chars.truncate(end.index(chars.len()));
        }
        let text: String = chars.into_iter().collect();
        let mut headers = http::HeaderMap::new();
        headers.insert("x-github-event", name.split('.').next().unwrap().parse().unwrap());
        let _ = normalise(EventName::of(&headers).unwrap(), &text, &own());
    }

    #[test]
    fn a_value_of_another_type_is_never_fatal(
        (name, text) in any_example(),
        place in any::<proptest::sample::Index>(),
        value in proptest::sample::select(vec![
            json!(null), json!(true), json!(-1), json!(1.5), json!(u64::MAX), json!(""), json!("\u{202e}"), json!([]), json!({}),
        ]),
    ) {
        let mut payload: Value = serde_json::from_str(text).unwrap();
        let keys: Vec<String> = payload.as_object().unwrap().keys().cloned().collect();
        let key = &keys[place.index(keys.len())];
        match payload[key].as_object_mut().filter(|inner| !inner.is_empty()) {
            Some(inner) => {
                let keys: Vec<String> = inner.keys().cloned().collect();
                inner[&keys[place.index(keys.len())]] = value;
            }
            None => payload[key] = value,
        }
        normalised(name, &payload);
    }
}
