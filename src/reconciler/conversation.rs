//! What people said and other apps reported about runs that are not over, since it was last looked.

use std::collections::{BTreeMap, BTreeSet};

use pairbot_protocol::command;
use pairbot_protocol::ids::{IssueNumber, ReviewId, RunId, Timestamp};
use pairbot_protocol::policy::GateKind;
use pairbot_protocol::run::{Phase, Run, Wish};
use pairbot_protocol::signal::{ActorKind, FeedbackSource, Signal, Target};

use super::compare::began_with;
use super::repository::Place;
use super::tell::{Telling, actor};
use super::{Parts, Trouble};
use crate::github::{ForeignReport, Moment, RecentComment, Review};
use crate::http::webhook::{TEXT_BYTES_MAX, bounded};
use crate::meaning;

/// How many keys are remembered as told. Beyond it the inbox, which knows them all, is asked again.
const TOLD_MAX: usize = 20_000;

/// How far the conversations of a repository were read. The moments stay where the last comment was, so that reading
/// again what did not change costs nothing.
#[derive(Debug, Default)]
pub(super) struct Read {
    comments: Option<Moment>,
    line_comments: Option<Moment>,
    /// Runs that were not over then, and when their label was set: what was said before is not said to them.
    runs: BTreeMap<RunId, Timestamp>,
}

/// Keys of what was told already, to spare the store.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeSet<String>);

impl Told {
    fn has(&self, meaning: &str) -> bool {
        self.0.contains(meaning)
    }

    fn note(&mut self, meaning: String) {
        if self.0.len() >= TOLD_MAX {
            self.0.clear();
        }
        self.0.insert(meaning);
    }
}

impl Place<'_> {
    /// Finds what was missed of comments, reviews and reports, and tells it. How much that was.
    pub(super) async fn listen(&self, read: &mut Read, told: &mut Told) -> Result<usize, Trouble> {
        let runs: Vec<&Run> = self.live.iter().map(|known| &known.run).collect();
        if runs.is_empty() {
            read.runs.clear();
            return Ok(0);
        }
        let mut began = BTreeMap::new();
        let mut earliest: Option<Timestamp> = None;
        for run in &runs {
            let since = if let Some(since) = read.runs.get(&run.id) {
                *since
            } else {
                let since = began_with(run, &self.client.issue_events(run.id.issue).await?);
                earliest = Some(earliest.map_or(since, |earliest| earliest.min(since)));
                since
            };
            began.insert(run.id, since);
        }
        let from =
            |read: &Option<Moment>| read.clone().into_iter().chain(earliest.and_then(Moment::of)).min();
        let mut count = 0;
        let (mut comments_to, mut lines_to) = (None, None);
        if let Some(since) = from(&read.comments) {
            let comments = self.client.comments_since(&since).await?;
            count += self.hear(&comments, &began, told, false).await?;
            comments_to = comments.into_iter().map(|comment| comment.updated_at).max().or(Some(since));
        }
        if let Some(since) = from(&read.line_comments) {
            let comments = self.client.line_comments_since(&since).await?;
            count += self.hear(&comments, &began, told, true).await?;
            lines_to = comments.into_iter().map(|comment| comment.updated_at).max().or(Some(since));
        }
        // Only now: a pass that was cut short begins again where the last one ended.
        *read = Read { comments: comments_to, line_comments: lines_to, runs: began };
        for run in runs {
            count += self.reviews(run, &read.runs, told).await?;
            count += self.reports(run, told).await?;
        }
        Ok(count)
    }

    async fn hear(
        &self,
        comments: &[RecentComment],
        began: &BTreeMap<RunId, Timestamp>,
        told: &mut Told,
        at_lines: bool,
    ) -> Result<usize, Trouble> {
        let mut count = 0;
        for comment in comments {
            let run = self.live.iter().map(|known| &known.run).find(|run| belongs(run, comment.conversation));
            let Some((run, since)) = run.and_then(|run| Some((run, *began.get(&run.id)?))) else { continue };
            if let Some(telling) = said(self.parts, run, since, comment, at_lines)
                && !told.has(&telling.meaning)
            {
                let meaning = telling.meaning.clone();
                count += self.tell(Some(telling)).await?;
                told.note(meaning);
            }
        }
        Ok(count)
    }

    async fn reviews(
        &self,
        run: &Run,
        began: &BTreeMap<RunId, Timestamp>,
        told: &mut Told,
    ) -> Result<usize, Trouble> {
        let (Some(pull_request), Some(since)) = (&run.pull_request, began.get(&run.id)) else { return Ok(0) };
        let mut count = 0;
        for review in self.client.reviews(pull_request.number).await? {
            if let Some(telling) = reviewed(self.parts, run, *since, &review)
                && !told.has(&telling.meaning)
            {
                let meaning = telling.meaning.clone();
                count += self.tell(Some(telling)).await?;
                told.note(meaning);
            }
        }
        Ok(count)
    }

    async fn reports(&self, run: &Run, told: &mut Told) -> Result<usize, Trouble> {
        let (Phase::Validating(validation) | Phase::AwaitingHuman(validation)) = &run.phase else {
            return Ok(0);
        };
        let gates = run.policy.iter().flat_map(|policy| policy.gates.values());
        if !gates.into_iter().any(|gate| matches!(gate, GateKind::Ci { .. })) {
            return Ok(0);
        }
        let mut count = 0;
        for report in self.client.foreign_reports(&validation.head).await? {
            let meaning = match &report {
                ForeignReport::CheckRun { id, ended: Some((conclusion, at)) } => {
                    meaning::check_run(*id, "completed", conclusion, at)
                }
                ForeignReport::CheckRun { id, ended: None } => meaning::check_run(*id, "created", "", ""),
                ForeignReport::Status { id } => meaning::status(*id),
            };
            let Some(meaning) = meaning.filter(|meaning| !told.has(meaning)) else { continue };
            let head = validation.head.clone();
            let telling = Telling {
                event: "report",
                meaning: meaning.clone(),
                again_for: None,
                target: Target::Run { run: run.id },
                signal: Signal::ForeignCheckChanged { head },
            };
            count += self.tell(Some(telling)).await?;
            told.note(meaning);
        }
        Ok(count)
    }
}

/// Whether a conversation is about a run: on its issue or on its pull request.
fn belongs(run: &Run, conversation: IssueNumber) -> bool {
    let pull_request = run.pull_request.as_ref().map(|pull_request| pull_request.number.0);
    run.id.issue == conversation || pull_request == Some(conversation.0)
}

/// A comment, unless it is not for the run: an edited one never counts, one that is older than the label was said to
/// nobody, programs are not listened to, and what the run knows it knows.
fn said(
    parts: &Parts,
    run: &Run,
    since: Timestamp,
    comment: &RecentComment,
    at_line: bool,
) -> Option<Telling> {
    let by = actor(comment.author.as_ref(), &parts.own);
    let after = comment.created_at.at().is_some_and(|at| at >= since);
    let edited = comment.created_at != comment.updated_at;
    let ours = comment.through_app == Some(parts.app_id);
    if by.kind != ActorKind::Person || comment.author.is_none() || !after || edited || ours {
        return None;
    }
    let id = comment.id;
    let commands = if at_line { Vec::new() } else { command::parse(&comment.body) };
    let (source, meaning) = if at_line {
        (FeedbackSource::LineComment { id }, meaning::line_comment(id))
    } else {
        (FeedbackSource::Comment { id }, meaning::comment(id))
    };
    let known = run.requests.values().any(|request| match &request.wish {
        Wish::Commands { comment, .. } => !at_line && *comment == id,
        Wish::Feedback { source: known, .. } => *known == source,
        Wish::Button { .. } => false,
    });
    let empty = comment.body.trim().is_empty();
    if known || empty {
        return None;
    }
    let signal = if commands.is_empty() {
        let text = match (&comment.path, comment.line) {
            (Some(path), Some(line)) => format!("{path}:{line}: {}", comment.body),
            (Some(path), None) => format!("{path}: {}", comment.body),
            (None, _) => comment.body.clone(),
        };
        Signal::Remarked { by, source, text: bounded(&text, TEXT_BYTES_MAX).to_owned() }
    } else {
        Signal::Commanded { by, comment: id, commands }
    };
    Some(Telling { event: "comment", meaning, again_for: None, target: Target::Run { run: run.id }, signal })
}

fn reviewed(parts: &Parts, run: &Run, since: Timestamp, review: &Review) -> Option<Telling> {
    let by = actor(review.author.as_ref(), &parts.own);
    let after = review.submitted_at.as_ref().and_then(Moment::at).is_some_and(|at| at >= since);
    if by.kind != ActorKind::Person || review.author.is_none() || review.ours || !after {
        return None;
    }
    let changes_requested = review.state.eq_ignore_ascii_case("changes_requested");
    let counts = changes_requested
        || ["commented", "approved"].iter().any(|state| review.state.eq_ignore_ascii_case(state));
    let id: ReviewId = review.id;
    let known = run.requests.values().any(|request| match &request.wish {
        Wish::Feedback { source: FeedbackSource::Review { id: known, .. }, .. } => *known == id,
        Wish::Feedback { .. } | Wish::Commands { .. } | Wish::Button { .. } => false,
    });
    let empty = review.body.trim().is_empty();
    if known || !counts || (empty && !changes_requested) {
        return None;
    }
    let text = if empty { String::new() } else { bounded(&review.body, TEXT_BYTES_MAX).to_owned() };
    Some(Telling {
        event: "review",
        meaning: meaning::review(id),
        again_for: None,
        target: Target::Run { run: run.id },
        signal: Signal::Remarked { by, source: FeedbackSource::Review { id, changes_requested }, text },
    })
}
