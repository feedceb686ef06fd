//! GitHub fails, and in the end everything is as if it had not.

use std::collections::BTreeSet;
use std::time::Duration;

use pairbot::demo::REPOSITORY;
use pairbot_github_sim::{Fault, RecordedRequest, usual_permissions};

use super::picture;
use super::world::World;

const MINUTE: Duration = Duration::from_mins(1);

/// What a person sees of the story `findings`, however GitHub behaved meanwhile.
const UNDISTURBED: &str = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c2` waits for you
pull ready: Give a volume discount
  pairbot[bot] COMMENTED on c1: Review by `correctness`
    lib/price.awk:6 outdated resolved
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
    lib/price.awk:7 outdated resolved
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 paths=success ready=failure review=failure size=success tests=success
  c2 paths=success ready=success review=success size=success tests=success
";

/// Every kind of request by which the App changes something: what it is, method, path, and words of its body.
const WRITES: [(&str, &str, &str, &str); 11] = [
    ("reaction", "POST", "/repos/*/reactions", ""),
    ("comment", "POST", "/repos/*/comments", ""),
    ("comment rewritten", "PATCH", "/repos/*/comments/*", ""),
    ("push", "POST", "*/git-receive-pack", ""),
    ("pull request", "POST", "/repos/*/pulls", ""),
    ("pull request rewritten", "PATCH", "/repos/*/pulls/*", ""),
    ("check run", "POST", "/repos/*/check-runs", ""),
    ("check run completed", "PATCH", "/repos/*/check-runs/*", ""),
    ("review", "POST", "/repos/*/reviews", ""),
    ("thread resolved", "POST", "/graphql", "resolveReviewThread"),
    ("ready", "POST", "/graphql", "markPullRequestReadyForReview"),
];

fn every_write() -> impl Iterator<Item = Fault> {
    WRITES.into_iter().map(|(_, method, path, says)| Fault::on(method, path).saying(says))
}

/// A path with its names and numbers taken out.
fn shape(request: &RecordedRequest) -> String {
    let named = |part: &&str| part.len() < 30 && !part.contains(|c: char| c.is_ascii_digit() || c == '.');
    let parts = request.path.split('/').map(|part| if named(&part) { part } else { "*" });
    parts.collect::<Vec<_>>().join("/")
}

impl World {
    /// Plays `findings` with these faults.
    async fn disturbed_by(faults: impl IntoIterator<Item = Fault>) -> (Self, u64) {
        let world = Self::start().await;
        let issue = world.issue("findings");
        for fault in faults {
            world.stage.github.fault(fault);
        }
        world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
        world.through(30 * MINUTE).await;
        (world, issue)
    }

    /// Whether GitHub answered so to a request like this.
    fn answered(&self, status: u16, method: &str, path: &str, says: &str) -> bool {
        self.stage.github.requests().iter().any(|request| {
            request.status == status
                && request.method == method
                && request.body.contains(says)
                && path.split('*').all(|part| request.path.contains(part))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_any_kind_whose_answer_was_lost_is_looked_for_and_not_repeated() {
    let (world, issue) = World::disturbed_by(every_write().map(|fault| fault.lose_answer(502))).await;
    assert_eq!(world.picture(issue), UNDISTURBED);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_any_kind_whose_connection_broke_after_it_is_not_repeated() {
    let (world, issue) = World::disturbed_by(every_write().map(Fault::cut_after)).await;
    assert_eq!(world.picture(issue), UNDISTURBED);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_any_kind_whose_answer_cannot_be_read_is_not_repeated() {
    // But a push: git waits for the rest of an answer until its own patience ends, which is no matter of this clock.
    let writes = WRITES.into_iter().filter(|(what, ..)| *what != "push");
    let faults = writes.map(|(_, method, path, says)| Fault::on(method, path).saying(says).malformed());
    let (world, issue) = World::disturbed_by(faults).await;
    assert_eq!(world.picture(issue), UNDISTURBED);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_any_kind_whose_connection_is_cut_before_it_is_done_once() {
    let (world, issue) = World::disturbed_by(every_write().map(Fault::cut)).await;
    for (what, method, path, says) in WRITES {
        assert!(world.answered(0, method, path, says), "no {what} was cut");
    }
    assert_eq!(world.picture(issue), UNDISTURBED);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_read_may_fail_once() {
    let (world, _) = World::disturbed_by([]).await;
    let reads = world.stage.github.requests();
    let reads: BTreeSet<String> = reads.iter().filter(|request| request.method == "GET").map(shape).collect();
    assert!(reads.len() > 8, "{reads:?}");
    let faults = reads.iter().map(|path| Fault::on("GET", path).answer(500, "Server Error"));
    let (world, issue) = World::disturbed_by(faults).await;
    assert_eq!(world.picture(issue), UNDISTURBED);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_got_through_unrecorded_are_replaced_even_by_those_recorded_before() {
    let (world, issue) = World::piecework().await;
    let creator = world.label_and_hold_creator(issue).await;
    let before = world.status(issue);
    let told = Fault::on("PATCH", "/repos/*/issues/comments/*").saying("paused").lose_answer(502);
    world.stage.github.fault(told);
    world.mona().comment(REPOSITORY, issue, "/pause").unwrap();
    creator.resume();
    world.quiet().await;
    assert_ne!(world.status(issue), before, "it got through, and nobody knows");
    let creator = world.stop_at("GET", &format!("/issues/{issue}"), 0);
    world.mona().comment(REPOSITORY, issue, "/resume").unwrap();
    creator.reached().await;
    world.clock.advance(MINUTE);
    world.still(1).await;
    assert_eq!(world.status(issue), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_limit_is_waited_out_as_told_and_nothing_appears_twice() {
    // The last is the read that follows the review it belongs to.
    let places = [
        ("POST", "/repos/*/comments"),
        ("PATCH", "/repos/*/pulls/*"),
        ("POST", "/repos/*/pulls"),
        ("GET", "/repos/*/reviews/*/comments"),
    ];
    let body = r#"{"message":"You have exceeded a secondary rate limit. Please wait a few minutes."}"#;
    let limits =
        places.map(|(method, path)| Fault::on(method, path).answer_with(403, &[("retry-after", "90")], body));
    let (world, issue) = World::disturbed_by(limits).await;
    let requests = world.stage.github.requests();
    let refused: Vec<u64> =
        requests.iter().filter(|request| request.status == 403).map(|request| request.at_ms).collect();
    assert_eq!(refused.len(), places.len());
    for at in refused {
        let early = requests.iter().find(|request| {
            let spoken = request.who == "pairbot[bot]" && !request.path.contains(".git/");
            spoken && request.at_ms > at && request.at_ms < at + 90_000
        });
        assert_eq!(early, None, "asked although told to wait");
    }
    assert_eq!(world.picture(issue), UNDISTURBED);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_before_a_write_or_a_push_is_renewed() {
    let world = World::start().await;
    let issue = world.issue("findings");
    let (fault, before_push) = Fault::on("POST", "*/git-receive-pack").pause_before();
    world.stage.github.fault(fault);
    let (fault, before_review) = Fault::on("POST", "/repos/*/reviews").pause_before();
    world.stage.github.fault(fault);
    world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
    let expiring = async {
        for pause in [before_push, before_review] {
            pause.reached().await;
            world.stage.github.expire_installation_tokens();
            pause.resume();
        }
    };
    tokio::join!(expiring, world.through(30 * MINUTE));
    assert!(world.answered(401, "POST", "*/git-receive-pack", ""));
    assert!(world.answered(401, "POST", "/repos/*/reviews", ""));
    assert_eq!(world.picture(issue), UNDISTURBED);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_was_taken_away_halts_the_run_with_the_reason() {
    let world = World::start().await;
    let issue = world.issue("smooth");
    let mut permissions = usual_permissions();
    permissions.remove("checks");
    world.stage.github.set_permissions(world.stage.installation, &permissions);
    world.stage.github.expire_installation_tokens();
    world.label(issue).await;
    world.through(30 * MINUTE).await;
    assert_eq!(world.phase(issue).await, "halted(permission-missing)");
    assert!(world.status(issue).contains("check-runs"), "{}", world.status(issue));
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: GitHub refused
pull draft: Name the file and line of a malformed item
  c1 
";
    assert_eq!(world.picture(issue), seen);
    world.expect_dead_letters(world.store().counts().await.unwrap().tasks.dead);
    let asked = world.stage.github.requests().len();
    world.leap(60 * MINUTE).await;
    assert_eq!(world.stage.github.requests().len(), asked, "it keeps asking");
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_renamed_under_way_is_found_under_its_new_name() {
    let world = World::start().await;
    let issue = world.issue("findings");
    let (fault, before_push) = Fault::on("POST", "*/git-receive-pack").pause_before();
    world.stage.github.fault(fault);
    world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
    before_push.reached().await;
    world.stage.github.rename_repository(REPOSITORY, "billing").unwrap();
    before_push.resume();
    world.through(30 * MINUTE).await;
    assert_eq!(picture::of(&world.stage.github, "octo-org/billing", issue), UNDISTURBED);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_outlasts_an_outage_of_ten_minutes_at_any_moment() {
    let world = World::start().await;
    let github = &world.stage.github;
    let down = || Fault::on("*", "*").times(usize::MAX).answer(503, "Service Unavailable");
    github.fault(down());
    let issue = world.issue("findings");
    world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
    world.through(10 * MINUTE).await;
    assert!(github.deliveries().iter().all(|told| told.status == Some(202)), "a webhook was not taken");
    github.clear_faults();
    github.fault(Fault::on("POST", "/repos/*/pulls").times(usize::MAX).answer(503, "Service Unavailable"));
    world.through(10 * MINUTE).await;
    github.clear_faults();
    world.through(30 * MINUTE).await;
    assert_eq!(world.picture(issue), UNDISTURBED);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_issues_at_once_stay_within_what_github_allows_a_minute() {
    // Runs that halt at once write little else than what is limited: a reaction and a comment each.
    let world = World::with_policy("rounds: 99\n").await;
    let issues: Vec<u64> = (0..45)
        .map(|number| world.stage.open_issue(&format!("Number {number}"), "Please.").unwrap())
        .collect();
    for issue in &issues {
        world.mona().label(REPOSITORY, *issue, "agent:pair").unwrap();
    }
    world.through(30 * MINUTE).await;
    let requests = world.stage.github.requests();
    let refused: Vec<_> = requests.iter().filter(|request| matches!(request.status, 403 | 429)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let created =
        requests.iter().filter(|request| request.status == 201 && request.path.starts_with("/repos"));
    assert_eq!(created.count(), 90, "too few to tell, or something twice");
    for issue in issues {
        let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: the policy file is not valid
";
        assert_eq!(world.picture(issue), seen);
    }
    world.nothing_else_happened().await;
}
