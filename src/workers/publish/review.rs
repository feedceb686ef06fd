//! A reviewer's review, with its findings at their lines.
//!
//! GitHub takes a review of an old head as long as that head is in the pull request, so the head is read again right
//! before posting; that narrows the race, and the check run closes it, because it is bound to the commit (promise P2).

use pairbot_protocol::effect::Publication;
use pairbot_protocol::finding::{Finding, Standing};
use pairbot_protocol::ids::{HeadSha, ReviewerName};
use pairbot_protocol::run::{ReviewRecord, Run};
use pairbot_protocol::signal::Signal;

use super::{Assignment, Product, Setback, Tools, facts, marker};
use crate::github::{LineComment, NewReview, Side};
use crate::text;

pub(super) async fn publish(
    tools: &Tools,
    task: &Assignment<'_>,
    reviewer: &ReviewerName,
    head: &HeadSha,
    reading: u32,
) -> Result<Product, Setback> {
    let run = &task.run;
    let (Some((position, record)), Some(pull_request)) =
        (find(run, reviewer, head, reading), &run.pull_request)
    else {
        return Err(Setback::Cancelled);
    };
    let home = tools.home(run).await?;
    let shown = home.client.pull_request(pull_request.number).await?;
    if shown.head != *head {
        let actual = shown.open.then_some(shown.head);
        let withheld = Signal::ReviewWithheld { reviewer: reviewer.clone(), head: head.clone(), actual };
        return Ok(Product::signal(run, withheld));
    }
    let facts = facts(tools, run, &home).await?;
    let findings: Vec<&Finding> = record.raised.iter().filter_map(|id| run.findings.get(id)).collect();
    let (at_lines, elsewhere): (Vec<&Finding>, Vec<&Finding>) =
        findings.into_iter().partition(|finding| line_of(finding).is_some());
    let comments: Vec<LineComment> = at_lines
        .iter()
        .filter_map(|finding| {
            let (path, line) = line_of(finding)?;
            let body = text::finding_comment(finding, &facts);
            Some(LineComment { path, line, start_line: None, side: Side::Right, body })
        })
        .collect();
    let body = text::review_body(run, record, &elsewhere, &facts);
    let marker = marker(run, &name(run, position, record))?;
    let new = NewReview { head, marker: &marker, body: &body, comments: &comments };
    let look = task.look_first();
    let posted = home.client.submit_review_once(task, pull_request.number, new, look).await?;
    let publication = Publication::Review { reviewer: reviewer.clone(), head: head.clone(), reading };
    let mut product = Product::receipt(publication.key(), &posted.review);
    for (finding, comment) in at_lines.iter().zip(posted.comments) {
        if let Some(comment) = comment {
            product.done.receipts.push((format!("finding:{}", finding.id), comment.to_string()));
        }
    }
    Ok(product)
}

/// A reading and its position among all reviews of the run.
fn find<'a>(
    run: &'a Run,
    reviewer: &ReviewerName,
    head: &HeadSha,
    reading: u32,
) -> Option<(usize, &'a ReviewRecord)> {
    let earlier = usize::try_from(reading.saturating_sub(1)).ok()?;
    let of_head = |(_, record): &(usize, &ReviewRecord)| record.reviewer == *reviewer && record.head == *head;
    run.reviews.iter().enumerate().filter(of_head).nth(earlier)
}

/// A reviewer may be asked again about one head; each reading is a review of its own, whatever came after it.
fn name(run: &Run, position: usize, record: &ReviewRecord) -> String {
    let until = run.reviews.iter().take(position.saturating_add(1));
    let readings = until.filter(|other| other.reviewer == record.reviewer).count();
    format!("review:{}:{}:{}:{readings}", record.reviewer, record.round, record.head)
}

/// Where GitHub takes a comment for a finding.
fn line_of(finding: &Finding) -> Option<(String, u32)> {
    let place = finding.remark.place.as_ref()?;
    match place.standing {
        Standing::Changed | Standing::Unchanged => Some((place.path.clone(), place.line?)),
        Standing::Outside => None,
    }
}
