//! What people, other programs and the clock do to a small world. Each act happens at most once, at any time.

use pairbot_protocol::command::Command;
use pairbot_protocol::ids::{CommentId, Money, ReviewId};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{CheckButton, FeedbackSource, Signal, Timer};

use crate::intern::Name;
use crate::names::{self, Commit, Who};
use crate::protocol::Protocol;
use crate::world::{Issue, Post, To, World};

/// Something from outside, on the issue with this position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Label(usize, Who),
    Unlabel(usize),
    CloseIssue(usize),
    ClosePull(usize),
    Merge(usize),
    /// A maintainer pushes to the branch.
    Push(usize),
    /// Somebody merges something else into the default branch.
    MoveBase,
    Say(usize, Who, Command),
    AskForChanges(usize, Who),
    Press(usize, Who, &'static str, CheckButton),
    /// Another app reports on the head.
    ForeignCheck(usize),
    /// The run's time is over.
    Deadline(usize),
}

impl Act {
    fn issue(self) -> Option<usize> {
        match self {
            Self::Label(issue, _)
            | Self::Unlabel(issue)
            | Self::CloseIssue(issue)
            | Self::ClosePull(issue)
            | Self::Merge(issue)
            | Self::Push(issue)
            | Self::Say(issue, ..)
            | Self::AskForChanges(issue, _)
            | Self::Press(issue, ..)
            | Self::ForeignCheck(issue)
            | Self::Deadline(issue) => Some(issue),
            Self::MoveBase => None,
        }
    }

    /// Does it as the act with this number; whether it can be done.
    pub(crate) fn happen(self, number: usize, world: &mut World, protocol: &mut Protocol) -> bool {
        let Some(position) = self.issue() else {
            world.base += 1;
            return true;
        };
        let base = world.base;
        let issue = &mut world.issues[position];
        let Some(told) = self.on(number, position, base, issue) else { return false };
        for (to, signal) in told {
            let signal = protocol.signals.keep(signal);
            world.post(Post { to, signal });
        }
        true
    }

    /// What GitHub tells of it; none if it cannot be done.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm an act: the whole of the outside is read in one place"
    )]
    fn on(self, number: usize, at: usize, base: u8, issue: &mut Issue) -> Option<Vec<(To, Signal)>> {
        let mona = Who::Mona.actor();
        let pull = issue.pull.clone().filter(|pull| pull.open);
        let begun = !issue.lives.is_empty();
        let to_pull = pull.as_ref().map(|pull| To::Pull(at, pull.number));
        let closed = |merged| Signal::PullRequestClosed {
            by: Who::Mona.actor(),
            merged,
            head: issue.branch.unwrap_or(Commit(0)).head(),
        };
        Some(match self {
            Self::Label(_, who) if issue.open && !issue.labelled => {
                issue.labelled = true;
                issue.labels += 1;
                vec![(To::Issue(at), Signal::LabelSet { by: who.actor(), issue: names::facts() })]
            }
            Self::Unlabel(_) if issue.labelled => {
                issue.labelled = false;
                vec![(To::Issue(at), Signal::LabelRemoved { by: mona })]
            }
            Self::CloseIssue(_) if issue.open => {
                issue.open = false;
                vec![(To::Issue(at), Signal::IssueClosed { by: mona })]
            }
            Self::ClosePull(_) => {
                let told = vec![(to_pull?, closed(false))];
                issue.pull.as_mut()?.open = false;
                told
            }
            Self::Merge(_) => {
                let told = vec![(to_pull?, closed(true)), (To::Issue(at), Signal::IssueClosed { by: mona })];
                issue.pull.as_mut()?.open = false;
                issue.open = false;
                told
            }
            Self::Push(_) => {
                issue.branch?;
                let head = Commit::of_person(at, number);
                issue.branch = Some(head);
                // Without a pull request GitHub tells nobody who asked for its events.
                let moved = Signal::HeadMoved { by: mona, head: head.head(), base: names::base(base) };
                to_pull.map(|to| (to, moved)).into_iter().collect()
            }
            Self::Say(_, who, command) if begun => {
                let comment = CommentId(number as u64);
                let commands = vec![Ok(command)];
                vec![(To::Issue(at), Signal::Commanded { by: who.actor(), comment, commands })]
            }
            Self::AskForChanges(_, who) => {
                let source = FeedbackSource::Review { id: ReviewId(number as u64), changes_requested: true };
                vec![(to_pull?, Signal::Remarked { by: who.actor(), source, text: "no".to_owned() })]
            }
            Self::Press(_, who, gate, button) if begun => {
                let (gate, head) = (gate.parse().unwrap(), issue.branch.filter(|_| pull.is_some())?.head());
                let newest = To::Run(at, issue.lives.len() - 1);
                vec![(newest, Signal::CheckPressed { by: who.actor(), gate, head, button })]
            }
            Self::ForeignCheck(_) => {
                let head = issue.branch?;
                vec![(To::Head(at, head), Signal::ForeignCheckChanged { head: head.head() })]
            }
            Self::Deadline(_) => {
                let position = issue.lives.len().checked_sub(1)?;
                let life = &mut issue.lives[position];
                if !life.deadline {
                    return None;
                }
                life.deadline = false;
                vec![(To::Run(at, position), Signal::TimerFired { timer: Timer::Deadline })]
            }
            Self::Label(..)
            | Self::Unlabel(_)
            | Self::CloseIssue(_)
            | Self::Say(..)
            | Self::Press(..)
            | Self::MoveBase => return None,
        })
    }
}

/// A maintainer's `/budget`.
pub(crate) fn raise() -> Command {
    let raise: Money = names::RAISE;
    Command::Budget { raise }
}

/// Whether a run is the one with this head and not over, as the store looks it up.
pub(crate) fn has_head(protocol: &Protocol, run: Name<Run>, head: Commit) -> bool {
    let run = protocol.runs.get(run);
    !run.is_over() && run.head == Some(head.head())
}
