//! Verbs for stories in which people act while something else is under way.

use std::sync::atomic::{AtomicU32, Ordering};

use pairbot::demo::REPOSITORY;
use pairbot_github_sim::{DeliverySeen, Fault, Mishap, Pause};
use pairbot_model_sim::{CallRecord, Conversation, Reply, Role, Script, When};

use super::world::World;

/// Title of the issue that [`piecework`] is about.
const PIECEWORK: &str = "Write down what is done";
/// How often to look again before a story counts as stuck.
const LOOKS_MAX: u32 = 6_000;

/// A creator that adds one file whenever it is asked, whatever is there already, and says what people asked of it;
/// reviewers that are content. The creators of the demo's stories have nothing to do when they are asked once more.
fn piecework() -> Script {
    let pieces = AtomicU32::new(0);
    Script::for_title(PIECEWORK).creator_with(move |conversation| match conversation.turn() {
        0 => Reply::read_file("README.md"),
        1 => {
            let piece = pieces.fetch_add(1, Ordering::Relaxed) + 1;
            Reply::write_file(&format!("docs/piece-{piece}.md"), "A piece of work.\n")
        }
        _ => Reply::hand_in(&asked(conversation), "One more piece.", []),
    })
}

/// The wishes in a creator's task: in these stories they begin with "Please".
fn asked(conversation: &Conversation) -> String {
    let wishes = conversation.first_text().lines().filter(|line| line.starts_with("Please"));
    let wishes: Vec<&str> = wishes.collect();
    if wishes.is_empty() { "A piece".to_owned() } else { format!("A piece: {}", wishes.join(" ")) }
}

impl World {
    /// A world with an issue that a creator can always do one thing more for.
    pub(super) async fn piecework() -> (Self, u64) {
        let world = Self::with_scripts(vec![piecework()]).await;
        let issue = world.more_piecework();
        (world, issue)
    }

    /// Opens another such issue.
    pub(super) fn more_piecework(&self) -> u64 {
        self.stage.open_issue(PIECEWORK, "Whatever is done, write it down.").unwrap()
    }

    /// The maintainer comments, and everything that follows happens.
    pub(super) async fn mona_says(&self, number: u64, text: &str) -> u64 {
        let comment = self.mona().comment(REPOSITORY, number, text).unwrap();
        self.quiet().await;
        comment
    }

    /// The next calls that `when` names are never answered.
    pub(super) fn hang(&self, when: When) {
        self.stage.models.as_ref().unwrap().inject(when, pairbot_model_sim::Fault::Hang);
    }

    /// The matching request to GitHub that follows `after` others stands still before it is executed.
    pub(super) fn stop_at(&self, method: &str, path: &str, after: usize) -> Pause {
        let (fault, pause) =
            Fault::on(method, &format!("/repos/{REPOSITORY}{path}")).after(after).pause_before();
        self.stage.github.fault(fault);
        pause
    }

    /// Returns once what was told to hang hangs, and nothing else happens but `held` tasks that stand still.
    pub(super) async fn still(&self, held: u64) {
        let models = self.stage.models.as_ref().unwrap();
        let mut alike = 0;
        for _ in 0..LOOKS_MAX {
            self.stage.github.settled().await;
            let counts = self.store().counts().await.unwrap();
            let tasks = &counts.tasks;
            let rests = counts.pending == 0
                && tasks.ready + tasks.delayed == 0
                && tasks.running == held
                && models.faults_waiting() == 0;
            alike = if rests { alike + 1 } else { 0 };
            if alike == 3 {
                return;
            }
            // The tasks that stand still tell nobody so.
            self.something_is_stored().await;
        }
        panic!("not only {held} tasks stand still:\n{}", self.trace().await);
    }

    /// The label is set, and the creator stands still before it begins.
    pub(super) async fn label_and_hold_creator(&self, issue: u64) -> Pause {
        // Intake reads the issue first.
        let creator = self.stop_at("GET", &format!("/issues/{issue}"), 1);
        self.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
        creator.reached().await;
        self.still(1).await;
        creator
    }

    /// The label is set, and reviewers read without end.
    pub(super) async fn label_and_hang_reviewers(&self, issue: u64) {
        self.hang(When::next_call().reviewer("correctness"));
        self.hang(When::next_call().reviewer("maintainability"));
        self.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
        self.still(2).await;
    }

    /// Returns once a creator was answered this step of a round, from 0.
    pub(super) async fn creator_took(&self, round: u32, step: u32) {
        let models = self.stage.models.as_ref().unwrap();
        let answered = |call: &CallRecord| {
            let brief = call.brief.as_ref();
            call.turn == step
                && brief.is_some_and(|brief| brief.role == Role::Creator && brief.round == round)
        };
        for _ in 0..LOOKS_MAX {
            if models.ledger().iter().any(answered) {
                return;
            }
            self.something_is_stored().await;
        }
        panic!("the creator does not come so far:\n{}", self.trace().await);
    }

    /// The last webhook of this name.
    pub(super) fn last_told(&self, name: &str) -> DeliverySeen {
        let deliveries = self.stage.github.deliveries();
        deliveries.into_iter().rev().find(|delivery| delivery.name == name).unwrap()
    }

    /// Something goes wrong with the next webhook of this name.
    pub(super) fn mishap(&self, name: &str, mishap: Mishap) {
        self.stage.github.mishap(name, mishap);
    }

    /// The commits of the pull request's branch beyond the default branch, oldest first, by their first lines.
    pub(super) fn commits(&self, issue: u64) -> Vec<String> {
        let branch = format!("pairbot/issue-{issue}");
        let messages = self.stage.github.messages(REPOSITORY, "main", &branch).unwrap();
        messages.iter().map(|message| message.lines().next().unwrap_or_default().to_owned()).collect()
    }

    /// Which pull requests there ever were.
    pub(super) fn pull_count(&self) -> usize {
        self.stage.github.pulls(REPOSITORY).unwrap().len()
    }
}
