//! The client against the simulated GitHub, which keeps state and refuses what GitHub refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use pairbot_github_sim::{
    Access, AppKey, Fault, GitHubSim, NewApp, NewRepository, Person, Role, SimClock, SimConfig, permissions,
};
use pairbot_protocol::effect::Reaction;
use pairbot_protocol::ids::{
    CommentId, HeadSha, InstallationId, IssueNumber, PullRequestNumber, RepositoryId, Timestamp,
};
use pairbot_protocol::signal::{Annotation, Permission};

use super::script::{NoChance, SECRET, START, TestLicence};
use crate::github::{
    CheckRun, CheckState, Conclusion, ForeignState, GitAccess, GitHub, GitHubError, GitHubSettings,
    HttpTransport, LineComment, Marker, NewPullRequest, NewReview, Next, ReactionPlace, RepositoryClient,
    ServiceTransport, Side, Transport,
};
use crate::ports::Clock;

const REPO: &str = "acme/shop";
const BRANCH: &str = "pairbot/issue-1";

/// One time for both sides. Short waits pass at once; nothing ever times out, since the simulator's git takes real time.
#[derive(Debug)]
struct SharedClock(AtomicU64);

impl SimClock for SharedClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.now_ms())
    }

    async fn sleep_until(&self, at: Timestamp) {
        if at.ms_since(self.now()) >= 30_000 {
            std::future::pending::<()>().await;
        }
        self.0.fetch_max(at.unix_ms, Ordering::SeqCst);
    }
}

struct World {
    sim: GitHubSim,
    clock: Arc<SharedClock>,
    alice: Person,
    github: GitHub,
    repository: RepositoryClient,
    installation: u64,
    issue: IssueNumber,
}

impl World {
    /// In this process, without a network.
    async fn new() -> Self {
        Self::with(|sim| (sim.url().to_owned(), Arc::new(ServiceTransport::new(sim.router())))).await
    }

    async fn with(reach: impl FnOnce(&GitHubSim) -> (String, Arc<dyn Transport>)) -> Self {
        let key = AppKey::generate().unwrap();
        let clock = Arc::new(SharedClock(AtomicU64::new(START.unix_ms)));
        let config = SimConfig { clock: Arc::<SharedClock>::clone(&clock), ..SimConfig::default() };
        let sim = GitHubSim::start(config).await.unwrap();
        let files = [("README.md", "# Shop\n"), ("src/cart.txt", "one\ntwo\nthree\nfour\n")];
        let repository = sim.create_repository(&NewRepository::with_files(REPO, &files).private()).unwrap();
        sim.grant(REPO, "alice", Role::Maintain).unwrap();
        sim.grant(REPO, "tom", Role::Triage).unwrap();
        let app = sim.register_app(&NewApp::new("pairbot", &key.public_pem));
        let installation = sim.install(app, "acme", None).unwrap();
        let ci = permissions([("checks", Access::Write), ("statuses", Access::Write)]);
        let ci = sim.register_app(&NewApp::new("ci", &key.public_pem).with_permissions(ci));
        sim.install(ci, "acme", None).unwrap();
        let alice = sim.person("alice");
        let issue = alice.open_issue(REPO, "Count things", "Please <b>count</b>.", &[]).unwrap();
        let (api_url, transport) = reach(&sim);
        let settings = GitHubSettings {
            api_url,
            server_url: sim.url().to_owned(),
            app_id: app.to_string(),
            private_key: key.private_pem.clone().into(),
            secrets: vec![SECRET.to_owned().into()],
        };
        let shared: Arc<dyn Clock> = Arc::<SharedClock>::clone(&clock);
        let github = GitHub::new(&settings, transport, shared, Arc::new(NoChance)).unwrap();
        let client = github.repository(InstallationId(installation), RepositoryId(repository));
        Self { sim, clock, alice, github, repository: client, installation, issue: IssueNumber(issue) }
    }

    fn push(&self, text: &str) -> HeadSha {
        self.alice.push(REPO, BRANCH, &[("src/cart.txt", Some(text))]).unwrap().parse().unwrap()
    }

    async fn pull_request(&self) -> (PullRequestNumber, HeadSha) {
        let head = self.push("one\ntwo\nTHREE\nfour\nfive\n");
        let opened = self.repository.open_pull_request(&TestLicence, new_pull_request()).await.unwrap();
        assert!(opened.created && opened.pull_request.draft);
        assert_eq!(opened.pull_request.head, head);
        (opened.pull_request.number, head)
    }
}

fn new_pull_request() -> NewPullRequest<'static> {
    NewPullRequest { branch: BRANCH, base_branch: "main", title: "Count", body: "Closes #1", draft: true }
}

fn marker(name: &str) -> Marker {
    Marker::new(name).unwrap()
}

fn at_line(line: u32, body: &str) -> LineComment {
    LineComment {
        path: "src/cart.txt".to_owned(),
        line,
        start_line: None,
        side: Side::Right,
        body: body.to_owned(),
    }
}

fn check(head: &HeadSha, annotations: u32, state: CheckState) -> CheckRun {
    CheckRun {
        name: "pairbot / size".to_owned(),
        head: head.clone(),
        external_id: "9-1-1:size".to_owned(),
        state,
        title: "small".to_owned(),
        summary: "s".to_owned(),
        text: None,
        annotations: (1..=annotations)
            .map(|line| Annotation {
                path: "src/cart.txt".to_owned(),
                line_start: line,
                line_end: line,
                message: format!("line {line}"),
            })
            .collect(),
        actions: Vec::new(),
        details_url: None,
    }
}

#[tokio::test]
async fn what_people_did_is_read() {
    let world = World::new().await;
    let facts = world.repository.facts().await.unwrap();
    assert_eq!(
        (facts.full_name.to_string(), facts.default_branch.as_str(), facts.private),
        (REPO.into(), "main", true)
    );
    assert_eq!(facts.clone_url, format!("{}/{REPO}.git", world.sim.url()));
    let issue = world.repository.issue(world.issue).await.unwrap();
    assert_eq!((issue.title.as_str(), issue.open, issue.is_pull_request), ("Count things", true, false));
    for (login, permission) in
        [("alice", Permission::Maintain), ("TOM", Permission::Triage), ("nobody-at-all", Permission::None)]
    {
        assert_eq!(world.repository.permission_of(login).await, Ok(permission), "{login}");
    }
    let readme = world.repository.read_file("README.md", "main", 100).await;
    assert_eq!(readme, Ok(Some(b"# Shop\n".to_vec())));
    assert_eq!(world.repository.read_file("src", "main", 100).await, Ok(None));
    assert_eq!(world.repository.read_file("none", "main", 100).await, Ok(None));
    assert_eq!(world.repository.branch_head(BRANCH).await, Ok(None));
    let head = world.push("one\n");
    assert_eq!(world.repository.branch_head(BRANCH).await, Ok(Some(head)));
    assert_eq!(world.repository.find_pull_request(BRANCH).await, Ok(None));
}

#[tokio::test]
async fn the_app_knows_itself() {
    let world = World::new().await;
    let identity = world.github.app_identity().await.unwrap();
    assert_eq!(identity.bot_login, "pairbot[bot]");
    assert!(world.github.bot_user_id(InstallationId(world.installation)).await.unwrap().0 > 0);
    let installations = world.github.installations().await.unwrap();
    assert_eq!(installations.len(), 1);
    assert_eq!(installations[0].account, "acme");
    assert!(world.github.app_grants().await.unwrap().permissions.contains_key("checks"));
    assert!(world.repository.git_token(GitAccess::Push).await.is_ok());
}

#[tokio::test]
async fn the_status_comment_is_one_comment_whatever_happens() {
    let world = World::new().await;
    let (repository, status) = (&world.repository, marker("status:9-1-1"));
    let put = async |text: &str, known: Option<CommentId>, look: bool| {
        repository.comment_once(&TestLicence, world.issue, &status, text, known, look).await
    };
    let eve = world.alice.comment(REPO, world.issue.0, &status.sign("forged")).unwrap();
    world.sim.fault(Fault::on("POST", "/repos/*/comments").lose_answer(502));
    assert_eq!(put("one", None, false).await.unwrap_err().next(), Next::LookThenRetry);
    let id = put("two", None, true).await.unwrap();
    assert_ne!(id.0, eve);
    assert_eq!(put("three", Some(id), false).await, Ok(id));
    let comments = world.sim.comments(REPO, world.issue.0).unwrap();
    let bodies: Vec<_> = comments.iter().map(|comment| comment.body.as_str()).collect();
    assert_eq!(bodies, [status.sign("forged"), status.sign("three")]);
    for _ in 0..2 {
        repository.react(&TestLicence, ReactionPlace::Issue(world.issue), Reaction::Seen).await.unwrap();
        repository.react(&TestLicence, ReactionPlace::Comment(id), Reaction::Accepted).await.unwrap();
    }
    assert_eq!(world.sim.issue_reactions(REPO, world.issue.0).unwrap().len(), 1);
}

#[tokio::test]
async fn no_secret_is_posted_whoever_wrote_the_text() {
    let world = World::new().await;
    let name = marker("status:9-1-1");
    let text = format!("It is {SECRET}, or ghp_0123456789abcdefghijABCDEFGHIJ012345.");
    world.repository.comment_once(&TestLicence, world.issue, &name, &text, None, false).await.unwrap();
    let comments = world.sim.comments(REPO, world.issue.0).unwrap();
    assert_eq!(comments[0].body, name.sign("It is [redacted], or [redacted]."));
    assert_eq!(world.github.without_secrets(&text), "It is [redacted], or [redacted].");
}

#[tokio::test]
async fn a_pull_request_is_opened_once_and_leaves_its_draft() {
    let world = World::new().await;
    world.push("one\n");
    world.sim.fault(Fault::on("POST", "/repos/*/pulls").cut_after());
    let open = async || world.repository.open_pull_request(&TestLicence, new_pull_request()).await;
    assert_eq!(open().await.unwrap_err().next(), Next::LookThenRetry);
    let opened = open().await.unwrap();
    assert!(!opened.created, "the first attempt had made it");
    let found = world.repository.find_pull_request(BRANCH).await.unwrap().unwrap();
    assert_eq!(found.number, opened.pull_request.number);
    for draft in [false, false, true, true] {
        world.repository.set_draft(&TestLicence, &found.node_id, draft).await.unwrap();
        assert_eq!(world.repository.pull_request(found.number).await.unwrap().draft, draft);
    }
    let updated =
        world.repository.update_pull_request(&TestLicence, found.number, "New", "Body").await.unwrap();
    assert_eq!((updated.title.as_str(), updated.body.as_str()), ("New", "Body"));
    let files = world.repository.pull_request_files(found.number).await.unwrap();
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["src/cart.txt"]);
    world.alice.close(REPO, found.number.0).unwrap();
    assert!(!world.repository.pull_request(found.number).await.unwrap().open);
}

#[tokio::test]
async fn a_review_its_threads_and_replies_appear_once() {
    let world = World::new().await;
    let (number, head) = world.pull_request().await;
    let (name, comments) = (marker("review:9-1-1:a:1"), [at_line(3, "shouting"), at_line(5, "new")]);
    let new = NewReview { head: &head, marker: &name, body: "Two remarks.", comments: &comments };
    let submit = async |look| world.repository.submit_review_once(&TestLicence, number, new, look).await;
    world.sim.fault(Fault::on("POST", "/repos/*/reviews").lose_answer(500));
    assert_eq!(submit(false).await.unwrap_err().next(), Next::LookThenRetry);
    let posted = submit(true).await.unwrap();
    assert!(posted.moved.is_empty());
    let reviews = world.sim.reviews(REPO, number.0).unwrap();
    assert_eq!((reviews.len(), reviews[0].comments.len()), (1, 2));
    let first = posted.comments[0].unwrap();
    let threads = world.repository.review_threads(number).await.unwrap();
    let thread = threads.iter().find(|thread| thread.comment == Some(first)).unwrap();
    assert!(!thread.resolved);
    for _ in 0..2 {
        world.repository.resolve_thread(&TestLicence, &thread.id).await.unwrap();
    }
    let resolved: Vec<_> =
        world.repository.review_threads(number).await.unwrap().iter().map(|thread| thread.resolved).collect();
    assert_eq!(resolved.iter().filter(|resolved| **resolved).count(), 1);
    world.repository.unresolve_thread(&TestLicence, &thread.id).await.unwrap();
    let mut replies = Vec::new();
    for look in [false, true] {
        let (marker, text) = (marker("answer:a-1-1"), "Fixed.");
        let reply = world
            .repository
            .reply_to_review_comment_once(&TestLicence, number, first, &marker, text, look)
            .await;
        replies.push(reply.unwrap());
    }
    assert_eq!(replies[0], replies[1]);
    assert_eq!(world.repository.reviews(number).await.unwrap()[0].head, Some(head));
}

#[tokio::test]
async fn a_remark_outside_the_diff_is_moved_into_the_review() {
    let world = World::new().await;
    let (number, head) = world.pull_request().await;
    let (name, comments) = (marker("review:9-1-1:b:1"), [at_line(3, "fine"), at_line(400, "nowhere")]);
    let new = NewReview { head: &head, marker: &name, body: "Summary", comments: &comments };
    let posted = world.repository.submit_review_once(&TestLicence, number, new, false).await.unwrap();
    assert_eq!(posted.moved, [0, 1]);
    let reviews = world.sim.reviews(REPO, number.0).unwrap();
    assert_eq!((reviews.len(), reviews[0].comments.len()), (1, 0));
    assert!(reviews[0].body.contains("nowhere") && reviews[0].body.contains("fine"));
    let again = world.repository.submit_review_once(&TestLicence, number, new, true).await.unwrap();
    assert_eq!((again.review, again.moved), (posted.review, vec![0, 1]));
}

#[tokio::test]
async fn a_check_run_appears_once_and_grows() {
    let world = World::new().await;
    let (_, head) = world.pull_request().await;
    let put = async |run: CheckRun, known, look| {
        world.repository.put_check_run(&TestLicence, &run, known, look).await
    };
    world.sim.fault(Fault::on("POST", "/repos/*/check-runs").lose_answer(502));
    assert!(put(check(&head, 0, CheckState::InProgress), None, false).await.is_err());
    let id = put(check(&head, 0, CheckState::InProgress), None, true).await.unwrap();
    let red = check(&head, 120, CheckState::Completed(Conclusion::Failure));
    for _ in 0..2 {
        assert_eq!(put(red.clone(), Some(id), false).await, Ok(id));
    }
    let seen = world.sim.check_runs(REPO, head.as_str()).unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].conclusion.as_deref(), seen[0].annotations.len()), (Some("failure"), 120));
    let again = put(check(&head, 0, CheckState::InProgress), Some(id), false).await.unwrap();
    assert_ne!(again, id, "its annotations would stay for ever");
    let last =
        put(check(&head, 0, CheckState::Completed(Conclusion::ActionRequired)), Some(again), false).await;
    assert_eq!(last, Ok(again));
}

#[tokio::test]
async fn other_apps_are_heard() {
    let world = World::new().await;
    let (_, head) = world.pull_request().await;
    let ci = world.sim.app("ci").unwrap();
    ci.report_check(REPO, head.as_str(), "build", Some("failure")).unwrap();
    ci.report_check(REPO, head.as_str(), "build", Some("success")).unwrap();
    ci.report_check(REPO, head.as_str(), "lint", None).unwrap();
    ci.report_status(REPO, head.as_str(), "deploy", "error").unwrap();
    let own = check(&head, 0, CheckState::Completed(Conclusion::Success));
    world.repository.put_check_run(&TestLicence, &own, None, false).await.unwrap();
    let checks = world.repository.list_foreign_checks(&head).await.unwrap();
    let states: Vec<_> = checks.iter().map(|check| (check.name.as_str(), check.state.clone())).collect();
    let expected =
        [("build", ForeignState::Passed), ("lint", ForeignState::Pending), ("deploy", ForeignState::Failed)];
    assert_eq!(states, expected);
}

#[tokio::test]
async fn tokens_end_repositories_are_renamed_and_work_goes_on() {
    let world = World::new().await;
    world.repository.issue(world.issue).await.unwrap();
    world.sim.expire_installation_tokens();
    let status = marker("status:9-1-1");
    let id =
        world.repository.comment_once(&TestLicence, world.issue, &status, "one", None, false).await.unwrap();
    world.clock.0.fetch_add(2 * 3_600_000, Ordering::SeqCst);
    world.repository.issue(world.issue).await.unwrap();
    world.sim.rename_repository(REPO, "store").unwrap();
    let again =
        world.repository.comment_once(&TestLicence, world.issue, &status, "two", Some(id), false).await;
    assert_eq!(again, Ok(id));
    assert_eq!(world.repository.full_name().await.unwrap().to_string(), "acme/store");
}

#[tokio::test]
async fn the_budget_is_kept_so_that_github_never_has_to_say_so() {
    let world = World::new().await;
    let place = ReactionPlace::Issue(world.issue);
    let mut snoozed = 0;
    for _ in 0..200 {
        match world.repository.react(&TestLicence, place, Reaction::Seen).await {
            Ok(()) => {}
            Err(GitHubError::RateLimited { until }) => {
                snoozed += 1;
                world.clock.0.fetch_max(until.unix_ms, Ordering::SeqCst);
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(snoozed, 2);
    assert!(world.sim.requests().iter().all(|request| request.status < 400));
}

#[tokio::test]
async fn a_limit_and_a_missing_permission_are_told_apart() {
    let world = World::new().await;
    let place = ReactionPlace::Issue(world.issue);
    let limited = Fault::on("POST", "/repos/*/reactions");
    world.sim.fault(limited.answer_with(
        403,
        &[("retry-after", "7")],
        r#"{"message":"secondary rate limit"}"#,
    ));
    let error = world.repository.react(&TestLicence, place, Reaction::Seen).await.unwrap_err();
    assert_eq!(error.next(), Next::Snooze(world.clock.now().plus_ms(7_000)));
    world.clock.0.fetch_add(7_000, Ordering::SeqCst);
    world.sim.set_permissions(
        world.installation,
        &permissions([("issues", Access::Read), ("metadata", Access::Read)]),
    );
    // Tokens keep what they were given; the next one has less.
    world.sim.expire_installation_tokens();
    let error = world.repository.react(&TestLicence, place, Reaction::Seen).await.unwrap_err();
    assert!(matches!(error, GitHubError::PermissionMissing { .. }), "{error}");
}

#[tokio::test]
async fn an_enterprise_path_over_plain_http_works_the_same() {
    let world = World::with(|sim| {
        (format!("{}/api/v3", sim.url()), Arc::new(HttpTransport::new(sim.url())) as Arc<dyn Transport>)
    })
    .await;
    let (number, _) = world.pull_request().await;
    assert!(world.repository.review_threads(number).await.unwrap().is_empty());
    let pull_request = world.repository.pull_request(number).await.unwrap();
    world.repository.set_draft(&TestLicence, &pull_request.node_id, false).await.unwrap();
    world.sim.fault(Fault::on("GET", "/repos/*/issues/*").cut());
    assert!(world.repository.issue(world.issue).await.is_ok(), "a read survives a cut connection");
    world.sim.fault(Fault::on("GET", "/repos/*/pulls/*").malformed().times(9));
    let error = world.repository.pull_request(number).await.unwrap_err();
    assert_eq!(error.next(), Next::Retry);
}
