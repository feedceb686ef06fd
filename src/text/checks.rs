//! What check runs say: a title that tells what was found or what is waited for, and a summary.

use pairbot_protocol::checks::{CheckState, CheckView, READY, REVIEW, Why, view};
use pairbot_protocol::ids::{GateName, HeadSha};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{Annotation, GateReport, Verdict};

use super::blocks::{body, check_name, counted, listed, notices, table};
use super::findings::{every, holding};
use super::halts::{detail, halt, title};
use super::prose::cell;
use super::{RunFacts, status, untrusted};

/// How many characters a title has at most: what GitHub shows in a list of checks.
const TITLE_CHARS_MAX: usize = 120;

/// How much is quoted of what a failure said.
const DETAIL_BYTES_MAX: usize = 4000;

/// The text of a check run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckText {
    /// One line, without Markdown.
    pub title: String,
    /// Markdown.
    pub summary: String,
    /// Places in files, where the gate named some.
    pub annotations: Vec<Annotation>,
}

/// What the check run of a gate says of a head. Its state is [`view`]'s.
pub fn check(run: &Run, gate: &GateName, head: &HeadSha, facts: &RunFacts) -> CheckText {
    let view = view(run, gate, head);
    let (title, inside) = words(run, gate, &view, facts);
    let annotations =
        if let Why::Reported(report) = &view.why { report.annotations.clone() } else { Vec::new() };
    let binding = format!("About `{head}` and no other commit. Run `{}`.", run.id);
    let summary = body(&[inside, notices(&facts.notices), binding]);
    CheckText { title: untrusted::plain(&title, TITLE_CHARS_MAX), summary, annotations }
}

fn words(run: &Run, gate: &GateName, view: &CheckView, facts: &RunFacts) -> (String, String) {
    match &view.why {
        Why::Examining => ("is being examined".to_owned(), examining(gate)),
        Why::Reported(report) => reported(report),
        Why::Reading { pending } => {
            let title = format!("waits for {}: {}", counted(pending.len(), "reviewer"), plain_list(pending));
            (title, "Each reviewer reads the change with an instruction of its own.".to_owned())
        }
        Why::ReviewersFailed { failed } => {
            let inside = format!(
                "No review came from {}. A failed review is no approval. Press Re-run, or comment `/retry review`, to \
                 ask again.",
                listed(failed)
            );
            (format!("{} failed: {}", counted(failed.len(), "reviewer"), plain_list(failed)), inside)
        }
        Why::Held { findings } => {
            let title = format!("{} must be settled", counted(findings.len(), "finding"));
            (title, format!("{}\n\n{}", holding(run), every(run)))
        }
        Why::ReviewedClean => ("every reviewer read this commit; nothing holds it".to_owned(), every(run)),
        Why::WaitsFor { reviewers, gates } => {
            let names =
                reviewers.iter().map(ToString::to_string).chain(gates.iter().map(ToString::to_string));
            (waits_for(&names.collect::<Vec<_>>()), overview(run))
        }
        Why::BeingMended { round } => {
            let title = format!("the creator works on what was found, round {round}");
            (title, format!("{}\n\n{}", holding(run), overview(run)))
        }
        Why::Paused => (
            "paused by a person".to_owned(),
            "Nothing starts until someone with write access comments `/resume`.".to_owned(),
        ),
        Why::StoppedBefore => stopped_before(gate),
        Why::Halted { reason, detail: words, exhausted } => {
            let text = halt(*reason, *exhausted);
            let title = format!("{}: {}", reason.as_str(), title(run, *reason, *exhausted));
            let inside = [
                text.meaning.into_owned(),
                format!("**What you can do:** {}", text.next),
                detail(*reason, words, &facts.home),
                holding(run),
                overview(run),
            ];
            (title, body(&inside))
        }
        Why::Ready => {
            let inside = format!(
                "Every reviewer read this commit, every gate passed on it, and nothing holds it. A person decides: \
                 Pairbot never approves and never merges.\n\n{}",
                overview(run)
            );
            ("every rule holds for this commit; a person may merge".to_owned(), inside)
        }
        Why::Superseded => superseded(),
        Why::Dropped => dropped(),
        Why::Ended => (
            "the run ended".to_owned(),
            "The run ended before this check came to a verdict, so it never will.".to_owned(),
        ),
    }
}

fn waits_for(names: &[String]) -> String {
    if names.is_empty() {
        "waits for the rules to be held against the results".to_owned()
    } else {
        format!("waits for {}", plain_list(names))
    }
}

fn examining(gate: &GateName) -> String {
    match gate.as_str() {
        READY => "Reviewers and gates begin as soon as the pull request stands.".to_owned(),
        REVIEW => "The reviewers have not begun yet.".to_owned(),
        name => format!("The gate `{name}` is being examined."),
    }
}

fn superseded() -> (String, String) {
    let inside =
        "The branch moved on before this check came to a verdict. Look at the checks of its newest commit.";
    ("another commit is in question now".to_owned(), inside.to_owned())
}

fn dropped() -> (String, String) {
    let inside = "The rules of this repository changed, and this gate is not among them any more.";
    ("the policy no longer names this gate".to_owned(), inside.to_owned())
}

fn stopped_before(gate: &GateName) -> (String, String) {
    let title = match gate.as_str() {
        REVIEW => "the run halted before every reviewer handed in".to_owned(),
        _ => "the run halted before this came to a verdict".to_owned(),
    };
    let inside = "What is not known never counts as passed. The check `pairbot / ready` says why the run halted. Press                   Re-run, or comment `/retry`, once that is mended.";
    (title, inside.to_owned())
}

fn reported(report: &GateReport) -> (String, String) {
    let hint = match report.verdict {
        Verdict::Green | Verdict::Waiting => "",
        Verdict::Red => "The creator is told of this in its next round, if one is left.",
        Verdict::Unknown => {
            "This could not be found out, which never counts as passed. A person must look; Re-run examines it again."
        }
    };
    let detail = match report.detail.trim() {
        "" => String::new(),
        detail => untrusted::fenced(detail, "text", DETAIL_BYTES_MAX),
    };
    (report.title.clone(), body(&[report.summary.clone(), detail, hint.to_owned()]))
}

/// What each gate says of the head that is, or was last, validated.
pub(super) fn overview(run: &Run) -> String {
    let Some(validation) = run.validation() else { return String::new() };
    let names = pairbot_protocol::checks::names(run);
    let rows: Vec<Vec<String>> = names
        .iter()
        .filter(|name| name.as_str() != READY)
        .map(|name| vec![check_name(name), status::gate(run, name, validation)])
        .collect();
    table(&[&format!("on `{}`", validation.head.short()), "says"], &rows)
}

/// What a gate came to, in a cell.
pub(super) fn word(found: &CheckView) -> String {
    match &found.why {
        Why::Reported(report) => {
            let state = match report.verdict {
                Verdict::Green => "passed",
                Verdict::Red => "**failed**",
                Verdict::Unknown => "**needs a person**",
                Verdict::Waiting => "waits",
            };
            format!("{state}: {}", cell(&report.title, 160))
        }
        Why::StoppedBefore => "not known: the run halted before".to_owned(),
        Why::Ended => "not known: the run ended before".to_owned(),
        Why::Examining
        | Why::Reading { .. }
        | Why::ReviewersFailed { .. }
        | Why::Held { .. }
        | Why::ReviewedClean
        | Why::WaitsFor { .. }
        | Why::BeingMended { .. }
        | Why::Paused
        | Why::Halted { .. }
        | Why::Ready
        | Why::Superseded
        | Why::Dropped => state(found.state).to_owned(),
    }
}

fn state(state: CheckState) -> &'static str {
    match state {
        CheckState::InProgress => "is being examined",
        CheckState::Success => "passed",
        CheckState::Failure => "**failed**",
        CheckState::ActionRequired => "**needs a person**",
        CheckState::Withdrawn => "withdrawn",
    }
}

fn plain_list<T: std::fmt::Display>(names: &[T]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
