//! What happens to a labelled issue.

use pairbot_protocol::ids::{IssueNumber, RepositoryId};
use pairbot_protocol::policy::LABEL;
use pairbot_protocol::signal::{IssueFacts, Signal, Target};

use crate::http::webhook::bounded::{NAME_BYTES_MAX, bounded};
use crate::http::webhook::own::OwnApp;
use crate::http::webhook::payload::Payload;
use crate::meaning;

use super::{Happening, Reason, actor, unused_action};

/// `issues`. An issue that is deleted or moved to another repository has ended here like a closed one.
pub(super) fn issues(
    payload: &Payload<'_>,
    repository: RepositoryId,
    own: &OwnApp,
) -> Result<Happening, Reason> {
    let issue = payload.issue.as_ref().ok_or("the payload has no issue")?;
    let by = || actor(payload, own);
    let number = IssueNumber(issue.number);
    // A label that is taken away and set again is a new wish: the moment tells them apart.
    let at = &*issue.updated_at;
    let (meaning, signal) = match &*payload.action {
        "labeled" => {
            ours(payload)?;
            let repository_name = payload.repository.as_ref().map_or("", |repository| &repository.full_name);
            let facts = IssueFacts {
                repository_name: bounded(repository_name, NAME_BYTES_MAX).to_owned(),
                title: bounded(&issue.title, NAME_BYTES_MAX).to_owned(),
            };
            (meaning::label_set(repository, number, at), Signal::LabelSet { by: by()?, issue: facts })
        }
        "unlabeled" => {
            ours(payload)?;
            (meaning::label_removed(repository, number, at), Signal::LabelRemoved { by: by()? })
        }
        "closed" | "deleted" | "transferred" => {
            (meaning::issue_closed(repository, number, at), Signal::IssueClosed { by: by()? })
        }
        _ => return Err(unused_action("an issue", payload)),
    };
    Ok(Happening { target: Target::Issue { repository, issue: number }, signal, meaning })
}

/// Whether the label is the one that asks for a run. GitHub looks labels up without case, and so does this.
fn ours(payload: &Payload<'_>) -> Result<(), Reason> {
    let label = payload.label.as_ref().ok_or("the payload has no label")?;
    if label.name.eq_ignore_ascii_case(LABEL) {
        Ok(())
    } else {
        Err(format!("the label is not `{LABEL}`").into())
    }
}
