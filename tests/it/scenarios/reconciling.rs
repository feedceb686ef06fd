//! What nobody told the server is found out by looking, and counts once however often and late it is told after all.

use std::time::Duration;

use pairbot::demo::REPOSITORY;
use pairbot_github_sim::{Fault, Role};

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
