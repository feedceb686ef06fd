//! A stage with a clock that the story moves, and the few verbs that stories are told in.

use std::sync::Arc;
use std::time::Duration;

use pairbot::adapters::ManualClock;
use pairbot::demo::{MAINTAINER, Models, REPOSITORY, STRANGER, Stage, StageSettings};
use pairbot::ports::Clock as _;
use pairbot::reconciler::{LastPass, Pulse, Rhythm};
use pairbot::store::{Store, StoreError, TaskState};
use pairbot_github_sim::{CheckSeen, Person, PullSeen, SimClock};
use pairbot_model_sim::{ModelSim, Reply, Script, story};
use pairbot_protocol::ids::{IssueNumber, RepositoryId, RunId, Timestamp};
use pairbot_protocol::run::{Phase, Run};

use super::picture;

/// How long nothing at all may move before a story counts as stuck. Not how long it takes: the machine may be busy.
const STUCK: Duration = Duration::from_mins(1);
/// How long to wait for a notification that may not come.
const GLANCE: Duration = Duration::from_millis(20);
/// By how much time goes on first where nothing moves.
const STEP_MS: u64 = 250;

#[derive(Debug)]
struct SameTime(ManualClock);

impl SimClock for SameTime {
    fn now_ms(&self) -> u64 {
        self.0.now().unix_ms
    }
}

/// The world of one story.
pub(super) struct World {
    pub(super) stage: Stage,
    pub(super) clock: ManualClock,
    /// Dead letters that the story has spoken of.
    expected_dead: std::cell::Cell<u64>,
}

impl World {
    /// The demo's repository and stories.
    pub(super) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, with something changed before it starts.
    pub(super) async fn with(change: impl FnOnce(&mut StageSettings)) -> Self {
        // 2026-01-05T08:00:00Z, a Monday morning.
        let clock = ManualClock::at(Timestamp::from_unix_ms(1_767_600_000_000));
        let clocks = (Arc::new(clock.clone()) as _, Arc::new(SameTime(clock.clone())) as _);
        let mut settings = StageSettings { clocks: Some(clocks), ..StageSettings::default() };
        // Stories that count requests or look at what was not told are not disturbed by whoever looks by the clock.
        settings.tuning.reconciling = Rhythm::WhenAsked;
        change(&mut settings);
        let stage = Stage::set(settings).await.unwrap();
        Self { stage, clock, expected_dead: std::cell::Cell::new(0) }
    }

    /// The same, with another policy file.
    pub(super) async fn with_policy(policy: &str) -> Self {
        Self::with(|settings| set_file(settings, ".github/pairbot.yml", policy)).await
    }

    /// The same, with scripts of the story's own.
    pub(super) async fn with_scripts(scripts: Vec<Script>) -> Self {
        Self::with(|settings| settings.models = Models::Scripted { extra: scripts }).await
    }

    /// Opens the issue of a story of the demo.
    pub(super) fn issue(&self, name: &str) -> u64 {
        let story = story(name).unwrap();
        self.stage.open_issue(story.issue_title, story.issue_body).unwrap()
    }

    /// The maintainer.
    pub(super) fn mona(&self) -> Person {
        self.stage.github.person(MAINTAINER)
    }

    /// Someone who may only read.
    pub(super) fn stranger(&self) -> Person {
        self.stage.github.person(STRANGER)
    }

    /// The maintainer sets the label, and everything that follows happens.
    pub(super) async fn label(&self, issue: u64) {
        self.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
        self.quiet().await;
    }

    /// Returns once nothing more happens by itself: no webhook is under way, no signal waits, no task is ready or
    /// runs. Tasks that wait for a moment stay waiting.
    pub(super) async fn quiet(&self) {
        let store = self.store();
        let (inbox, outbox) = (store.inbox_changed(), store.outbox_changed());
        let settled = async {
            loop {
                let (signals, tasks) = (inbox.notified(), outbox.notified());
                self.stage.github.settled().await;
                let told = self.stage.github.delivery_count();
                let counts = store.counts().await.unwrap();
                let busy = counts.pending + counts.tasks.ready + counts.tasks.running + counts.tasks.waiting
                    - Self::behind_delayed(&counts);
                // A task that was claimed and given back waits for a moment that has come already.
                let moments = [store.next_task_at().await.unwrap(), store.next_timer().await.unwrap()];
                let due = moments.into_iter().flatten().any(|at| at <= self.clock.now());
                if busy == 0 && !due {
                    self.stage.github.settled().await;
                    let after = store.counts().await.unwrap();
                    if after == counts && self.stage.github.delivery_count() == told {
                        return;
                    }
                    continue;
                }
                // Woken by whatever is stored next. The end of a task is stored, too, but not always told: so not for
                // long without another look.
                let told = async {
                    tokio::select! { () = signals => {}, () = tasks => {} }
                };
                let _looked_again = tokio::time::timeout(GLANCE, told).await;
            }
        };
        tokio::pin!(settled);
        let mut before = None;
        while tokio::time::timeout(STUCK, &mut settled).await.is_err() {
            let now = Some((store.counts().await.unwrap(), self.exchanges()));
            assert!(now != before, "the world does not come to rest: {now:#?}\n{}", self.trace().await);
            before = now;
        }
    }

    /// Returns when something is stored, or soon: not everything that happens is told.
    pub(super) async fn something_is_stored(&self) {
        let store = self.store();
        let (inbox, outbox) = (store.inbox_changed(), store.outbox_changed());
        let told = async {
            tokio::select! { () = inbox.notified() => {}, () = outbox.notified() => {} }
        };
        let _looked_again = tokio::time::timeout(GLANCE, told).await;
    }

    /// Tasks that wait behind one that waits for a moment are at rest, too.
    fn behind_delayed(counts: &pairbot::store::Counts) -> u64 {
        if counts.tasks.delayed > 0 && counts.tasks.ready + counts.tasks.running == 0 {
            counts.tasks.waiting
        } else {
            0
        }
    }

    /// The reconciler looks once, and everything that follows happens. How much it told that had been missed.
    pub(super) async fn reconciled(&self) -> usize {
        let pulse = self.stage.server().unwrap().reconciler.clone();
        let pass = self.passed(pulse).await;
        assert!(pass.failures.is_empty(), "{:#?}", pass.failures);
        self.quiet().await;
        pass.told
    }

    /// A pass that begins now, and how it went. A request that broke is sent again by the client after a pause, and only
    /// the story lets time go on.
    pub(super) async fn passed(&self, pulse: Pulse) -> LastPass {
        let mut looking = std::pin::pin!(pulse.look_now());
        for _ in 0..STUCK.as_secs() {
            if let Ok(pass) = tokio::time::timeout(Duration::from_secs(1), &mut looking).await {
                return pass.unwrap();
            }
            self.clock.advance(Duration::from_millis(STEP_MS));
        }
        panic!("a pass does not end:\n{}", self.trace().await);
    }

    /// Time passes in one leap.
    pub(super) async fn leap(&self, duration: Duration) {
        self.clock.advance(duration);
        self.quiet().await;
    }

    /// The store of the running server.
    pub(super) fn store(&self) -> Arc<dyn Store> {
        self.stage.server().unwrap().store.clone()
    }

    fn run_id(&self, issue: u64, ordinal: u32) -> RunId {
        let facts =
            self.mona().request("GET", &format!("/repos/{REPOSITORY}"), serde_json::Value::Null).unwrap();
        let repository = RepositoryId(facts["id"].as_u64().unwrap());
        RunId { repository, issue: IssueNumber(issue), ordinal }
    }

    /// The newest run of an issue.
    pub(super) async fn run(&self, issue: u64) -> Run {
        let mut newest = None;
        for ordinal in 1.. {
            match self.store().run(self.run_id(issue, ordinal)).await.unwrap() {
                Some(stored) => newest = Some(stored.run),
                None => break,
            }
        }
        newest.unwrap_or_else(|| panic!("issue {issue} has no run"))
    }

    /// The phase of an issue's newest run, with the reason of a halt: `halted(gate-failing)`.
    pub(super) async fn phase(&self, issue: u64) -> String {
        let run = self.run(issue).await;
        if let Phase::Halted { reason, .. } = &run.phase {
            format!("halted({})", reason.as_str())
        } else {
            run.phase_name().to_owned()
        }
    }

    /// The pull request of an issue.
    pub(super) fn pull(&self, issue: u64) -> PullSeen {
        let branch = format!("pairbot/issue-{issue}");
        let pulls = self.stage.github.pulls(REPOSITORY).unwrap();
        pulls
            .into_iter()
            .rev()
            .find(|pull| pull.head_branch == branch)
            .unwrap_or_else(|| panic!("no pull request"))
    }

    /// The newest check run of a gate on the pull request's head.
    pub(super) fn check(&self, issue: u64, gate: &str) -> CheckSeen {
        let head = self.pull(issue).head_sha;
        let name = format!("pairbot / {gate}");
        self.stage
            .github
            .check(REPOSITORY, &head, &name)
            .unwrap()
            .unwrap_or_else(|| panic!("no check {name}"))
    }

    /// The maintainer merges, and everything that follows happens.
    pub(super) async fn merge(&self, issue: u64) {
        self.mona().merge(REPOSITORY, self.pull(issue).number, "squash").unwrap();
        self.quiet().await;
    }

    /// Everything that can be seen of an issue and its pull request, in short lines.
    pub(super) fn picture(&self, issue: u64) -> String {
        picture::of(&self.stage.github, REPOSITORY, issue)
    }

    /// The same without the gates that the story is not about: whether they are told before or after what it is about
    /// is for chance to decide.
    pub(super) fn picture_without(&self, issue: u64, gates: &[&str]) -> String {
        let told = |word: &&str| !gates.iter().any(|gate| word.starts_with(&format!("{gate}=")));
        let line = |line: &str| line.split(' ').filter(told).collect::<Vec<_>>().join(" ") + "\n";
        self.picture(issue).lines().map(line).collect()
    }

    /// The story has seen everything: nothing that the App wrote is unlooked at, no task is left over, and no dead
    /// letter is unspoken of.
    pub(super) async fn nothing_else_happened(&self) {
        self.quiet().await;
        let unlooked = self.stage.github.unlooked();
        assert!(unlooked.is_empty(), "nobody looked at: {unlooked:#?}");
        let counts = self.store().counts().await.unwrap();
        assert_eq!(counts.tasks.dead, self.expected_dead.get(), "dead letters:\n{}", self.trace().await);
        let left = counts.tasks.ready + counts.tasks.running + counts.tasks.waiting + counts.tasks.delayed;
        assert_eq!(left, 0, "tasks are left over:\n{}", self.trace().await);
        assert_eq!(counts.unreadable, 0);
        if let Some(models) = &self.stage.models {
            let calls = models.ledger().into_iter().filter(|call| call.fault.is_none());
            let refused: Vec<_> = calls.filter_map(|call| call.refusal).collect();
            assert!(refused.is_empty(), "the model server refused: {refused:#?}");
        }
    }

    /// The story expects this many dead letters in all.
    pub(super) fn expect_dead_letters(&self, count: u64) {
        self.expected_dead.set(count);
    }

    /// The last requests, newest first, and all ledgers and tasks, for a failure's message.
    pub(super) async fn trace(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for request in self.stage.github.requests().iter().rev().take(5) {
            writeln!(text, "{} {} {} by {}", request.status, request.method, request.path, request.who)
                .unwrap();
        }
        let store = self.store();
        let filter = pairbot::store::RunFilter { open_only: false, limit: 100 };
        for run in store.run_list(filter).await.unwrap() {
            writeln!(text, "run {} {}", run.run, run.phase).unwrap();
            for entry in store.ledger(run.run).await.unwrap() {
                let line: String = format!("{:?}", entry.event).chars().take(160).collect();
                writeln!(text, "  {} {line}", entry.seq).unwrap();
            }
            for task in store.tasks(run.run).await.unwrap() {
                if !matches!(task.state, TaskState::Done | TaskState::Cancelled) {
                    let why = task.history.last().map(|attempt| attempt.error.clone());
                    writeln!(text, "  {:?} {} {why:?} {:?}", task.state, task.payload, task.reason).unwrap();
                }
            }
        }
        text
    }

    /// Whatever follows happens, however much time it takes: whenever nothing moves, time goes on to where something
    /// may. At most so much time, at the end of which something may still be under way.
    pub(super) async fn through(&self, most: Duration) {
        let until = self.clock.now().plus_ms(u64::try_from(most.as_millis()).unwrap());
        let mut step_ms = STEP_MS;
        let all = async {
            while self.clock.now() < until {
                let before = self.traces_left().await;
                let (inbox, outbox) = (self.store().inbox_changed(), self.store().outbox_changed());
                let told = async {
                    tokio::select! { () = inbox.notified() => {}, () = outbox.notified() => {} }
                };
                let _looked_again = tokio::time::timeout(GLANCE, told).await;
                let (tasks, pending) = before.0;
                if before != self.traces_left().await {
                    step_ms = STEP_MS;
                    continue;
                }
                let held = tasks.ready + tasks.running + pending;
                if held == 0 && tasks.delayed == 0 {
                    break;
                }
                // Work under way may wait for git or for a command, to which an hour is a moment: small steps first, and
                // never so large that a lease runs out between two heartbeats.
                step_ms = (step_ms * 2).min(if held > 0 { 5_000 } else { 10_000 });
                self.clock.advance_to(self.clock.now().plus_ms(step_ms).min(until));
            }
        };
        let stuck = tokio::time::timeout(STUCK, all).await.is_err();
        assert!(!stuck, "the world does not come through:\n{}", self.trace().await);
        self.quiet().await;
    }

    /// How often GitHub, the server and the models were asked so far.
    fn exchanges(&self) -> (usize, usize, usize) {
        let github = &self.stage.github;
        let calls = self.stage.models.as_ref().map_or(0, |models| models.ledger().len());
        (github.requests().len(), github.delivery_count(), calls)
    }

    /// What changes while anything moves.
    async fn traces_left(&self) -> ((pairbot::store::TaskCounts, u64), (usize, usize, usize)) {
        self.stage.github.settled().await;
        let counts = self.store().counts().await.unwrap();
        ((counts.tasks, counts.pending), self.exchanges())
    }

    /// The power is cut and comes back: nothing is finished, nothing is told, and the server starts on what is stored.
    pub(super) async fn power_cut(&mut self) {
        self.stage.kill_server().await;
        self.server_starts().await;
    }

    /// The server is stopped in order and started again.
    pub(super) async fn restart(&mut self) {
        self.stage.stop_server().await;
        self.server_starts().await;
    }

    async fn server_starts(&mut self) {
        let restarted = async {
            // A program that another story starts at this moment holds every file of this process until it runs.
            while let Err(error) = self.stage.start_server().await {
                let in_use = matches!(error.downcast_ref(), Some(StoreError::InUse { .. }));
                assert!(in_use, "{error:#}");
                let _later = tokio::time::timeout(GLANCE, std::future::pending::<()>()).await;
            }
        };
        tokio::time::timeout(STUCK, restarted).await.unwrap();
    }

    /// The models that play.
    pub(super) fn models(&self) -> &ModelSim {
        self.stage.models.as_ref().unwrap()
    }

    /// Opens the issue of a script of the story's own.
    pub(super) fn issue_of(&self, script: Script) -> u64 {
        let title = script.title().to_owned();
        self.models().add_script(script);
        self.stage.open_issue(&title, "Please.").unwrap()
    }

    /// The status comment of an issue's run.
    pub(super) fn status(&self, issue: u64) -> String {
        let comments = self.stage.github.comments(REPOSITORY, issue).unwrap();
        let ours = comments.into_iter().find(|comment| comment.author == "pairbot[bot]");
        ours.unwrap_or_else(|| panic!("issue {issue} has no status comment")).body
    }
}

/// A script whose creator writes one file a round, the last again and again, and hands it in.
pub(super) fn writes(title: &str, rounds: &[(&str, &str)]) -> Script {
    let rounds = rounds
        .iter()
        .map(|(path, text)| vec![Reply::write_file(path, text), Reply::hand_in(title, "As asked.", [])]);
    Script::for_title(title).creator(rounds.collect::<Vec<_>>())
}

/// Puts a file into the repository before it is made.
pub(super) fn set_file(settings: &mut StageSettings, path: &str, text: &str) {
    settings.files.retain(|(existing, _)| existing != path);
    settings.files.push((path.to_owned(), text.to_owned()));
}
