//! The one status comment, kept up to date in place, and the pull request's own text.

use pairbot_protocol::budget::Forecast;
use pairbot_protocol::ids::CommentId;
use sha2::{Digest, Sha256};

use super::{Assignment, Product, Setback, Tools, facts, marker, receipt};
use crate::text;

/// From how many runs that ended it is foretold what one may cost: the newest say most.
const FORECAST_RUNS_MAX: usize = 50;

const COMMENT: &str = "status";
const COMMENT_DIGEST: &str = "status-digest";
const PULL_REQUEST_DIGEST: &str = "pull-request-digest";

pub(super) async fn publish(tools: &Tools, task: &Assignment<'_>) -> Result<Product, Setback> {
    let run = &task.run;
    let home = tools.home(run).await?;
    let mut facts = facts(tools, run, &home).await?;
    let costs = tools.store.costs_of_ended(run.id.repository, FORECAST_RUNS_MAX).await?;
    facts.forecast = Forecast::of(costs);
    let mut product = Product::nothing();
    let receipts = &mut product.done.receipts;

    let body = text::status_comment(run, &facts);
    let digest = digest(&[&body]);
    // Each write counts against what GitHub allows a minute, so the same words are not sent again. An earlier attempt may
    // have sent others, of which there is no record: then nobody knows what is shown, and it is sent whatever it says.
    let is_shown = async |key: &str, digest: &String| -> Result<bool, Setback> {
        Ok(!task.look_first() && tools.store.receipt(run.id, key).await?.as_ref() == Some(digest))
    };
    if !is_shown(COMMENT_DIGEST, &digest).await? {
        let known = receipt(tools, run, COMMENT).await?.map(CommentId);
        let marker = marker(run, "status")?;
        let look = task.look_first();
        let comment = home.client.comment_once(task, run.id.issue, &marker, &body, known, look).await?;
        receipts.push((COMMENT.to_owned(), comment.to_string()));
        receipts.push((COMMENT_DIGEST.to_owned(), digest));
    }
    if let Some(pull_request) = &run.pull_request {
        let (title, body) = (text::pull_request_title(run), text::pull_request_body(run, &facts));
        let digest = self::digest(&[&title, &body]);
        if !is_shown(PULL_REQUEST_DIGEST, &digest).await? {
            home.client.update_pull_request(task, pull_request.number, &title, &body).await?;
            receipts.push((PULL_REQUEST_DIGEST.to_owned(), digest));
        }
    }
    Ok(product)
}

fn digest(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.len().to_le_bytes());
        hash.update(text.as_bytes());
    }
    hex::encode(hash.finalize())
}
