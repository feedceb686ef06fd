//! What nobody told the server is found out by looking, and counts once however often and late it is told after all.

use std::time::Duration;

use pairbot::demo::REPOSITORY;
use pairbot_github_sim::{Access, AppKey, Fault, Mishap, NewApp, ReviewVerdict, Role, permissions};

use super::world::World;

const LABEL: &str = "agent:pair";
const HALF_AN_HOUR: Duration = Duration::from_mins(30);

const READY: &str = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
pull ready: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";

/// What GitHub still has of what was sent in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// Every delivery of the last three days, to be sent again.
    Deliveries,
    /// Nothing: only what is to be seen.
    Nothing,
}

impl World {
    /// For an hour the server is down, and things happen. Then it starts and looks, twice: what it tells of itself at
    /// first can be what the rest depends on.
    async fn down_for_an_hour(&mut self, kept: Kept, meanwhile: impl FnOnce(&Self)) {
        self.stage.stop_server().await;
        self.clock.advance(HALF_AN_HOUR);
        meanwhile(self);
        self.stage.github.settled().await;
        self.clock.advance(HALF_AN_HOUR);
        if kept == Kept::Nothing {
            self.nothing_is_sent_again();
        }
        self.restart().await;
        self.reconciled().await;
        self.clock.advance(Duration::from_mins(5));
        self.reconciled().await;
    }

    /// GitHub has forgotten its deliveries.
    fn nothing_is_sent_again(&self) {
        let again = Fault::on("POST", "/app/hook/deliveries/*/attempts");
        self.stage.github.fault(again.times(usize::MAX).answer(404, "Not Found"));
    }

    /// How many requests were made since, and how many of them GitHub counts: a 304 is free.
    fn requests_since(&self, mark: usize) -> (usize, usize) {
        let requests = self.stage.github.requests();
        let since = requests.iter().skip(mark);
        let counted = since.clone().filter(|request| request.status != 304);
        (since.count(), counted.count())
    }

    /// A pass finds nothing to tell.
    async fn nothing_was_missed(&self) {
        self.clock.advance(Duration::from_mins(5));
        assert_eq!(self.reconciled().await, 0);
        self.nothing_else_happened().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_set_while_the_server_was_down_starts_one_run_of_who_set_it() {
    for kept in [Kept::Deliveries, Kept::Nothing] {
        let (mut world, issue) = World::piecework().await;
        world.stage.github.grant(REPOSITORY, "tom", Role::Triage).unwrap();
        world
            .down_for_an_hour(kept, |world| {
                world.stage.github.person("tom").label(REPOSITORY, issue, LABEL).unwrap();
            })
            .await;
        let run = world.run(issue).await;
        assert_eq!((run.id.ordinal, run.labelled_by.login.as_str()), (1, "tom"), "{kept:?}");
        assert_eq!(world.picture(issue), READY, "{kept:?}");
        world.nothing_was_missed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_comes_after_the_reconciler_changes_nothing() {
    let (world, issue) = World::piecework().await;
    world.stage.github.hold_webhooks();
    world.mona().label(REPOSITORY, issue, LABEL).unwrap();
    assert_eq!(world.reconciled().await, 1);
    world.mona().comment(REPOSITORY, issue, "/stop").unwrap();
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.reconciled().await, 1);
    assert_eq!(world.phase(issue).await, "closed");
    world.stage.github.release_webhooks();
    world.quiet().await;
    assert_eq!(world.run(issue).await.id.ordinal, 1);
    world.picture(issue);
    world.nothing_was_missed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_removed_while_the_server_was_down_ends_the_run() {
    for kept in [Kept::Deliveries, Kept::Nothing] {
        let (mut world, issue) = World::piecework().await;
        world.label(issue).await;
        world
            .down_for_an_hour(kept, |world| {
                world.mona().unlabel(REPOSITORY, issue, LABEL).unwrap();
            })
            .await;
        assert!(world.status(issue).contains("`mona` took the label off"), "{}", world.status(issue));
        world.picture(issue);
        world.nothing_was_missed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_closed_while_the_server_was_down_ends_the_run() {
    for kept in [Kept::Deliveries, Kept::Nothing] {
        let (mut world, issue) = World::piecework().await;
        world.label(issue).await;
        world.down_for_an_hour(kept, |world| world.mona().close(REPOSITORY, issue).unwrap()).await;
        assert!(world.status(issue).contains("`mona` closed the issue"), "{}", world.status(issue));
        world.picture(issue);
        world.nothing_was_missed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_while_the_server_was_down_is_a_merge() {
    for kept in [Kept::Deliveries, Kept::Nothing] {
        let (mut world, issue) = World::piecework().await;
        world.label(issue).await;
        world
            .down_for_an_hour(kept, |world| {
                world.mona().merge(REPOSITORY, world.pull(issue).number, "squash").unwrap();
            })
            .await;
        assert_eq!(world.phase(issue).await, "merged", "{kept:?}");
        assert!(world.status(issue).contains("Merged by `mona`"), "{}", world.status(issue));
        world.picture(issue);
        world.nothing_was_missed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_of_which_only_the_closed_issue_was_told_is_a_merge() {
    let (world, issue) = World::piecework().await;
    world.label(issue).await;
    world.nothing_is_sent_again();
    world.stage.github.hold_webhooks();
    world.mona().merge(REPOSITORY, world.pull(issue).number, "squash").unwrap();
    let merge = world.last_told("pull_request.closed");
    assert!(world.stage.github.lose_webhook(merge.id));
    world.stage.github.release_webhooks();
    world.quiet().await;
    assert_eq!(world.phase(issue).await, "closed");
    assert_eq!(world.reconciled().await, 1);
    assert_eq!(world.phase(issue).await, "merged");
    world.picture(issue);
    world.nothing_was_missed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_closed_while_the_server_was_down_ends_the_run() {
    for kept in [Kept::Deliveries, Kept::Nothing] {
        let (mut world, issue) = World::piecework().await;
        world.label(issue).await;
        world
            .down_for_an_hour(kept, |world| {
                world.mona().close(REPOSITORY, world.pull(issue).number).unwrap();
            })
            .await;
        assert!(world.status(issue).contains("`mona` closed the pull request"), "{}", world.status(issue));
        world.picture(issue);
        world.nothing_was_missed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_while_the_server_was_down_is_read_and_examined() {
    for kept in [Kept::Deliveries, Kept::Nothing] {
        let (mut world, issue) = World::piecework().await;
        world.label(issue).await;
        world
            .down_for_an_hour(kept, |world| {
                let own = ("docs/own.md", Some("Written by hand.\n"));
                world.mona().push(REPOSITORY, &format!("pairbot/issue-{issue}"), &[own]).unwrap();
            })
            .await;
        let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c2` waits for you
pull ready: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 paths=success ready=cancelled review=success size=success tests=success
  c2 paths=success ready=success review=success size=success tests=success
";
        assert_eq!(world.picture(issue), seen, "{kept:?}");
        world.nothing_was_missed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_pass_costs_next_to_nothing_of_what_github_allows() {
    let (world, issue) = World::piecework().await;
    world.label(issue).await;
    world.clock.advance(Duration::from_mins(5));
    world.reconciled().await;
    // The status comment of the run was among what was new; from here on nothing is.
    world.reconciled().await;
    let mark = world.stage.github.requests().len();
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.reconciled().await, 0);
    let (all, counted) = world.requests_since(mark);
    println!("an idle pass: {all} requests, {counted} of them counted by GitHub");
    assert!(all > 5 && counted == 0, "{all} requests, {counted} counted");
    world.picture(issue);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_of_somebody_who_lost_the_right_meanwhile_is_refused_with_the_reason() {
    let (mut world, issue) = World::piecework().await;
    world.stage.github.grant(REPOSITORY, "tom", Role::Triage).unwrap();
    world
        .down_for_an_hour(Kept::Nothing, |world| {
            world.stage.github.person("tom").label(REPOSITORY, issue, LABEL).unwrap();
            world.stage.github.grant(REPOSITORY, "tom", Role::Read).unwrap();
        })
        .await;
    assert_eq!(world.phase(issue).await, "refused");
    assert!(world.status(issue).contains("`tom` has read access"), "{}", world.status(issue));
    world.picture(issue);
    world.nothing_was_missed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_nobody_knows_who_set_starts_nothing_and_it_is_said_why() {
    let (mut world, issue) = World::piecework().await;
    let history = Fault::on("GET", &format!("/repos/{REPOSITORY}/issues/{issue}/events"));
    world.stage.github.fault(history.times(usize::MAX).answer_with(200, &[], "[]"));
    world
        .down_for_an_hour(Kept::Nothing, |world| world.mona().label(REPOSITORY, issue, LABEL).unwrap())
        .await;
    assert_eq!((world.phase(issue).await.as_str(), world.pull_count()), ("refused", 0));
    assert!(world.status(issue).contains("`ghost` has no access"), "{}", world.status(issue));
    world.picture(issue);
    world.nothing_was_missed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_is_told_after_a_newer_label_does_not_end_what_the_label_asks_for() {
    let (world, issue) = World::piecework().await;
    world.nothing_is_sent_again();
    world.label(issue).await;
    world.stage.github.hold_webhooks();
    world.clock.advance(Duration::from_mins(1));
    world.mona().unlabel(REPOSITORY, issue, LABEL).unwrap();
    world.clock.advance(Duration::from_mins(1));
    world.mona().label(REPOSITORY, issue, LABEL).unwrap();
    world.stage.github.release_webhooks_reversed();
    world.quiet().await;
    assert_eq!(world.phase(issue).await, "closed", "the label came first, and then its removal");
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.reconciled().await, 1);
    assert_eq!((world.phase(issue).await.as_str(), world.pull_count()), ("awaiting-human", 1));
    world.picture(issue);
    world.nothing_was_missed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_and_feedback_given_while_the_server_was_down_are_heard_once() {
    for kept in [Kept::Deliveries, Kept::Nothing] {
        let (mut world, issue) = World::piecework().await;
        world.label(issue).await;
        world
            .down_for_an_hour(kept, |world| {
                world.mona().comment(REPOSITORY, issue, "/budget +3").unwrap();
                let verdict = ReviewVerdict::RequestChanges;
                world
                    .mona()
                    .review(REPOSITORY, world.pull(issue).number, verdict, "Please be brief.")
                    .unwrap();
                world.stranger().comment(REPOSITORY, issue, "/stop").unwrap();
            })
            .await;
        assert_eq!(world.run(issue).await.budget.microdollars, 8_000_000, "{kept:?}");
        assert_eq!(world.commits(issue), ["A piece", "A piece: Please be brief."], "{kept:?}");
        assert_eq!(world.phase(issue).await, "awaiting-human", "{kept:?}");
        assert_eq!(world.run(issue).await.requests.len(), 3, "{kept:?}");
        world.picture(issue);
        world.nothing_was_missed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remark_at_a_line_given_while_the_server_was_down_is_heard_once() {
    for kept in [Kept::Deliveries, Kept::Nothing] {
        let (mut world, issue) = World::piecework().await;
        world.label(issue).await;
        world
            .down_for_an_hour(kept, |world| {
                let pull = world.pull(issue).number;
                let words = "Please say which piece.";
                world.mona().review_line(REPOSITORY, pull, "docs/piece-1.md", 1, words).unwrap();
            })
            .await;
        let run = world.run(issue).await;
        assert_eq!(run.feedback.len(), 1, "{kept:?}");
        assert!(run.feedback[0].text.contains("docs/piece-1.md:1: Please say which piece."));
        world.picture(issue);
        world.nothing_was_missed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_comment_does_not_run_a_command_however_it_is_found() {
    let (mut world, issue) = World::piecework().await;
    world.label(issue).await;
    let comment = world.mona_says(issue, "Nice.").await;
    world
        .down_for_an_hour(Kept::Nothing, |world| {
            world.mona().edit_comment(REPOSITORY, comment, "/stop").unwrap();
            let other = world.mona().comment(REPOSITORY, issue, "Hm.").unwrap();
            world.clock.advance(Duration::from_mins(1));
            world.mona().edit_comment(REPOSITORY, other, "/stop").unwrap();
        })
        .await;
    assert_eq!(world.phase(issue).await, "awaiting-human");
    world.picture(issue);
    world.nothing_was_missed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_pressed_while_the_server_was_down_is_asked_for_again() {
    let (mut world, issue) = World::piecework().await;
    world.label(issue).await;
    world
        .down_for_an_hour(Kept::Deliveries, |world| {
            world.mona().rerun_check(REPOSITORY, world.check(issue, "tests").id).unwrap();
        })
        .await;
    assert_eq!(world.run(issue).await.requests.len(), 1);
    assert_eq!(world.phase(issue).await, "awaiting-human");
    world.picture(issue);
    world.nothing_was_missed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_another_app_while_the_server_was_down_is_looked_at() {
    for kept in [Kept::Deliveries, Kept::Nothing] {
        let (mut world, issue) = World::piecework().await;
        let key = AppKey::generate().unwrap();
        let rights = permissions([("checks", Access::Write), ("statuses", Access::Write)]);
        let ci =
            world.stage.github.register_app(&NewApp::new("ci", &key.public_pem).with_permissions(rights));
        world.stage.github.install(ci, "octo-org", None).unwrap();
        world.label(issue).await;
        let head = world.pull(issue).head_sha;
        world
            .down_for_an_hour(kept, |world| {
                let ci = world.stage.github.app("ci").unwrap();
                ci.report_check(REPOSITORY, &head, "build", Some("failure")).unwrap();
            })
            .await;
        let run = world.run(issue).await;
        assert!(run.examined.iter().any(|gate| gate.as_str() == "ci"), "{kept:?}: nobody looked");
        assert!(world.check(issue, "ready").conclusion.as_deref() != Some("success") || run.round.0 > 1);
        world.picture(issue);
        // The other app's report is nobody's to look at.
        world.stage.github.check_runs(REPOSITORY, &head).unwrap();
        world.nothing_was_missed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_installation_ends_its_runs_without_a_word_and_its_return_goes_on_with_them() {
    for kept in [Kept::Deliveries, Kept::Nothing] {
        let (mut world, issue) = World::piecework().await;
        world.label(issue).await;
        let installation = world.stage.installation;
        world.picture(issue);
        let before = world.stage.github.writes().len();
        world.down_for_an_hour(kept, |world| world.stage.github.suspend(installation, true)).await;
        assert_eq!(world.phase(issue).await, "closed");
        assert!(world.run(issue).await.lost_access());
        let since = world.stage.github.writes().split_off(before);
        assert!(since.iter().all(|write| write.contains("/attempts")), "{since:?}");
        world.stage.github.suspend(installation, false);
        world.clock.advance(Duration::from_mins(5));
        world.reconciled().await;
        assert_eq!((world.run(issue).await.id.ordinal, world.pull_count()), (2, 1), "{kept:?}");
        assert_eq!(world.phase(issue).await, "awaiting-human");
        world.picture(issue);
        world.nothing_was_missed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_was_taken_off_its_account_ends_its_runs_at_once_and_asks_for_nothing_more() {
    let (world, issue) = World::piecework().await;
    world.label(issue).await;
    world.picture(issue);
    let before = world.stage.github.writes().len();
    world.stage.github.uninstall(world.stage.installation);
    // The webhook alone is reason enough to look.
    while !world.run(issue).await.is_over() {
        world.something_is_stored().await;
    }
    world.quiet().await;
    assert!(world.run(issue).await.lost_access());
    assert_eq!(world.stage.github.writes().len(), before);
    world.nothing_was_missed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_renamed_while_the_server_was_down_is_found_under_its_new_name() {
    let (mut world, issue) = World::piecework().await;
    world.label(issue).await;
    let id = world.run(issue).await.id;
    world
        .down_for_an_hour(Kept::Nothing, |world| {
            world.stage.github.rename_repository(REPOSITORY, "billing").unwrap();
            world.mona().comment("octo-org/billing", issue, "/budget +3").unwrap();
        })
        .await;
    let run = world.store().run(id).await.unwrap().unwrap().run;
    assert_eq!(run.budget.microdollars, 8_000_000);
    super::picture::of(&world.stage.github, "octo-org/billing", issue);
    world.nothing_was_missed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_never_arrives_is_asked_for_once_and_not_for_ever() {
    let (mut world, issue) = World::piecework().await;
    world.mishap("issues.labeled", Mishap::Lose);
    world.mishap("issues.labeled", Mishap::Lose);
    world.mona().label(REPOSITORY, issue, LABEL).unwrap();
    for _ in 0..3 {
        world.reconciled().await;
        world.clock.advance(Duration::from_mins(5));
        world.restart().await;
    }
    let asked = world.stage.github.writes();
    let asked: Vec<_> = asked.iter().filter(|write| write.ends_with("/attempts")).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    // What it said was seen all the same.
    assert_eq!(world.picture(issue), READY);
    world.nothing_was_missed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_in_which_github_fails_says_so_and_the_next_one_catches_up() {
    let (world, issue) = World::piecework().await;
    world.nothing_is_sent_again();
    world.mishap("issues.labeled", Mishap::Lose);
    world.mona().label(REPOSITORY, issue, LABEL).unwrap();
    let list = Fault::on("GET", &format!("/repos/{REPOSITORY}/issues"));
    world.stage.github.fault(list.times(3).answer(500, "Server Error"));
    let pulse = world.stage.server().unwrap().reconciler.clone();
    let pass = world.passed(pulse).await;
    assert!(pass.failures.len() == 1 && pass.failures[0].contains(REPOSITORY), "{:?}", pass.failures);
    assert_eq!(world.reconciled().await, 1);
    assert_eq!(world.picture(issue), READY);
    world.nothing_was_missed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_in_which_everything_happens_is_caught_up_with() {
    for kept in [Kept::Deliveries, Kept::Nothing] {
        let (mut world, first) = World::piecework().await;
        let issues: Vec<u64> = (0..8).map(|_| world.more_piecework()).collect();
        let &[merged, closed, unlabelled, ended, pushed, said, renewed, new] = issues.as_slice() else {
            panic!()
        };
        for issue in [first, merged, closed, unlabelled, ended, pushed, said, renewed] {
            world.label(issue).await;
            // Eight runs at once would be more than GitHub lets anybody write in a minute.
            world.leap(Duration::from_mins(1)).await;
        }
        world
            .down_for_an_hour(kept, |world| {
                let mona = world.mona();
                mona.merge(REPOSITORY, world.pull(merged).number, "squash").unwrap();
                mona.close(REPOSITORY, world.pull(closed).number).unwrap();
                mona.unlabel(REPOSITORY, unlabelled, LABEL).unwrap();
                mona.close(REPOSITORY, ended).unwrap();
                let own = ("docs/own.md", Some("Written by hand.\n"));
                mona.push(REPOSITORY, &format!("pairbot/issue-{pushed}"), &[own]).unwrap();
                mona.comment(REPOSITORY, said, "/stop").unwrap();
                mona.unlabel(REPOSITORY, renewed, LABEL).unwrap();
                world.clock.advance(Duration::from_mins(1));
                mona.label(REPOSITORY, renewed, LABEL).unwrap();
                mona.label(REPOSITORY, new, LABEL).unwrap();
            })
            .await;
        let mut phases = Vec::new();
        for issue in [first, merged, closed, unlabelled, ended, pushed, said, renewed, new] {
            phases.push(world.phase(issue).await);
        }
        let ready = "awaiting-human";
        let expected = [ready, "merged", "closed", "closed", "closed", ready, "closed", ready, ready];
        assert_eq!(phases, expected, "{kept:?}");
        assert_eq!(world.commits(pushed).len(), 2, "{kept:?}");
        let all = [first, merged, closed, unlabelled, ended, pushed, said, renewed, new];
        let pictures: Vec<String> = all.iter().map(|issue| world.picture(*issue)).collect();
        assert_eq!(world.pull_count(), 9, "{kept:?}: {pictures:#?}");
        world.nothing_was_missed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_was_opened_after_its_run_had_ended_is_closed_with_the_reason() {
    let (world, issue) = World::piecework().await;
    let (fault, opening) = Fault::on("POST", &format!("/repos/{REPOSITORY}/pulls")).pause_after();
    world.stage.github.fault(fault);
    world.mona().label(REPOSITORY, issue, LABEL).unwrap();
    opening.reached().await;
    world.mona().unlabel(REPOSITORY, issue, LABEL).unwrap();
    world.still(0).await;
    opening.resume();
    world.leap(Duration::from_mins(10)).await;
    world.reconciled().await;
    let seen = "\
issue open [] :eyes:
  pairbot[bot]: ### Pairbot: ended without a merge
pull closed: A piece
  pairbot[bot]: The run of issue #1 ended while this pull request was being opened. Nobody reviewed it, so it is closed; its branch stays. Set the label `agent:pair` on the issue again to go on with it.
  c1 
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_was_missed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_somebody_worked_on_is_never_closed_although_its_run_had_ended() {
    let (world, issue) = World::piecework().await;
    let (fault, opening) = Fault::on("POST", &format!("/repos/{REPOSITORY}/pulls")).pause_after();
    world.stage.github.fault(fault);
    world.mona().label(REPOSITORY, issue, LABEL).unwrap();
    opening.reached().await;
    world.stage.github.hold_webhooks();
    world.mona().unlabel(REPOSITORY, issue, LABEL).unwrap();
    let own = ("docs/own.md", Some("Written by hand.\n"));
    world.mona().push(REPOSITORY, &format!("pairbot/issue-{issue}"), &[own]).unwrap();
    world.stage.github.release_webhooks();
    world.still(0).await;
    opening.resume();
    world.leap(Duration::from_mins(10)).await;
    world.reconciled().await;
    assert!(world.pull(issue).open);
    world.picture(issue);
    world.nothing_was_missed().await;
}
