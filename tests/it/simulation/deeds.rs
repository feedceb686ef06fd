//! What people do, as they would: whatever GitHub refuses them they leave.

use std::time::Duration;

use pairbot_github_sim::{PullSeen, ReviewVerdict, SimError};
use pairbot_protocol::policy::LABEL;

use super::plan::Deed;
use super::world::{MAINTAINER, STRANGER, World};

impl World {
    /// The pull request of an issue, open ones first.
    pub(super) fn pull(&self, issue: usize) -> Option<PullSeen> {
        let branch = self.branch(issue);
        let pulls = self.github().pulls(self.repository(issue)).unwrap();
        let own = pulls.into_iter().filter(|pull| pull.head_branch == branch);
        own.max_by_key(|pull| (pull.open, pull.number))
    }

    pub(super) fn branch(&self, issue: usize) -> String {
        format!("pairbot/issue-{}", self.numbers[issue])
    }

    /// Does it, if it can be done now.
    pub(super) fn perform(&self, issue: usize, deed: Deed) {
        let done = self.attempt(issue, deed);
        let number = self.numbers[issue];
        match done {
            Ok(()) => self.weather.note(format_args!("#{number} {deed:?}")),
            Err(error) => self.weather.note(format_args!("#{number} {deed:?} was not possible: {error}")),
        }
    }

    fn attempt(&self, issue: usize, deed: Deed) -> Result<(), SimError> {
        let github = self.github();
        let (mona, stranger) = (github.person(MAINTAINER), github.person(STRANGER));
        let (repository, number, branch) = (self.repository(issue), self.numbers[issue], self.branch(issue));
        let nothing = || SimError::Unknown { kind: "thing to do it to", name: branch.clone() };
        let pull = || self.pull(issue).ok_or_else(nothing);
        let file = format!("people/{number}-{}.txt", self.elapsed_ms());
        let files = [(file.as_str(), Some("by hand\n"))];
        match deed {
            Deed::Label => mona.label(repository, number, LABEL),
            Deed::Unlabel => mona.unlabel(repository, number, LABEL),
            Deed::Comment(text) => mona.comment(repository, number, text).map(drop),
            Deed::CommentOnPull(text) => mona.comment(repository, pull()?.number, text).map(drop),
            Deed::StrangerComments(text) => stranger.comment(repository, number, text).map(drop),
            Deed::EditComment | Deed::DeleteComment => {
                let comments = github.comments(repository, number)?;
                let own = comments.iter().rev().find(|comment| comment.author == MAINTAINER);
                let id = own.ok_or_else(nothing)?.id;
                if matches!(deed, Deed::EditComment) {
                    mona.edit_comment(repository, id, "/stop\n/budget +1.00")
                } else {
                    mona.delete_comment(repository, id)
                }
            }
            Deed::Close => mona.close(repository, number),
            Deed::Reopen => mona.reopen(repository, number),
            Deed::ClosePull => mona.close(repository, pull()?.number),
            Deed::ReopenPull => mona.reopen(repository, pull()?.number),
            Deed::Merge => mona.merge(repository, pull()?.number, "squash").map(drop),
            Deed::Push | Deed::ForcePush => {
                let shown = pull()?;
                github.branch(repository, &branch)?.ok_or_else(nothing)?;
                if matches!(deed, Deed::Push) {
                    mona.push(repository, &branch, &files).map(drop)
                } else {
                    mona.force_push(repository, &branch, &shown.base_sha, &files).map(drop)
                }
            }
            Deed::PushToMain => mona.push(repository, "main", &files).map(drop),
            Deed::DeleteBranch => mona.delete_branch(repository, &branch),
            Deed::RequestChanges => {
                mona.review(repository, pull()?.number, ReviewVerdict::RequestChanges, "Shorter.").map(drop)
            }
            Deed::SetDraft(draft) => mona.set_draft(repository, pull()?.number, draft),
            Deed::PressButton | Deed::RunCheckAgain => {
                let checks = github.check_runs(repository, &pull()?.head_sha)?;
                if matches!(deed, Deed::RunCheckAgain) {
                    return mona.rerun_check(repository, checks.first().ok_or_else(nothing)?.id);
                }
                let offered = checks.iter().find(|check| !check.actions.is_empty()).ok_or_else(nothing)?;
                mona.click_action(repository, offered.id, self.chance.pick::<String>(&offered.actions))
            }
            Deed::TokensExpire => {
                github.expire_installation_tokens();
                Ok(())
            }
            Deed::ClockBehind(ms) => {
                self.server_clock.set_behind_ms(ms);
                Ok(())
            }
            Deed::Leap(ms) => {
                self.clock.advance(Duration::from_millis(ms));
                Ok(())
            }
        }
    }
}
