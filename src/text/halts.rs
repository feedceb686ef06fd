//! What is said when the breaker opens: one text for each reason, with what to do next.

use std::borrow::Cow;

use pairbot_protocol::budget::{Exhausted, Measure};
use pairbot_protocol::run::{GateProgress, Halt, Run};
use pairbot_protocol::signal::Verdict;

use super::prose::{Home, prose};
use super::{budget, untrusted};

/// The text of a reason.
pub(super) struct HaltText {
    /// A few words, for titles.
    pub(super) title: Cow<'static, str>,
    /// What happened.
    pub(super) meaning: Cow<'static, str>,
    /// What a person can do.
    pub(super) next: Cow<'static, str>,
}

impl HaltText {
    const fn of(title: &'static str, meaning: &'static str, next: &'static str) -> Self {
        Self { title: Cow::Borrowed(title), meaning: Cow::Borrowed(meaning), next: Cow::Borrowed(next) }
    }
}

/// Why the run rests, and what to do.
pub(super) fn halt(reason: Halt, exhausted: Option<Exhausted>) -> HaltText {
    match reason {
        Halt::RoundsExhausted => HaltText::of(
            "findings are open and no round is left",
            "The creator used every round that the policy allows, and findings that hold the pull \
                      request are still open.",
            "Read the open findings. Comment what you want, then `/retry create` for one more round; or push \
                   a fix to the branch yourself; or close the pull request.",
        ),
        // Ledgers of older versions do not say which: there was but the run's, in dollars.
        Halt::BudgetExhausted => {
            budget::exhausted(exhausted.unwrap_or(Exhausted::Run { measure: Measure::Money }))
        }
        Halt::GateFailing => HaltText::of(
            "a gate does not pass",
            "A gate is still red and no round is left, or it could not be examined, which never counts \
                      as passed.",
            "Open the gate's check run: it says what failed. Mend what it names, then `/retry`, which examines \
                   again what could not be examined and otherwise starts one more round.",
        ),
        Halt::NoProgress => HaltText::of(
            "the creator makes no progress",
            "The creator changed nothing, or handed in files that this run had before. Another round of \
                      the same would cost and change nothing.",
            "Comment what it should do differently, then `/retry create`; or push to the branch yourself.",
        ),
        Halt::DisputeEscalated => HaltText::of(
            "a finding needs your decision",
            "Creator and reviewers do not agree about a finding, and the rules leave it to a person.",
            "Read both sides in the finding's thread. Comment your decision, then `/retry create`; or push what \
                   you want yourself.",
        ),
        Halt::MergeConflict => HaltText::of(
            "the change does not fit onto the branch",
            "The branch or its base moved, and the change does not apply to what is there now.",
            "Merge or rebase the branch by hand, then `/retry review`; or `/retry create` to let the creator \
                   work on what is there.",
        ),
        Halt::AgentFailed => HaltText::of(
            "an agent failed",
            "An agent, or the model behind it, failed for good. A review that failed is no review: it \
                      never counts as an approval.",
            "Read the reason below. If it was passing trouble of the model's provider, `/retry` is enough; \
                   otherwise the server's operator must look (`pairbot doctor`).",
        ),
        Halt::PolicyInvalid => HaltText::of(
            "the policy file is not valid",
            "`.github/pairbot.yml` on the default branch says something that is not allowed. Nothing was \
                      started by guessing.",
            "Mend the file on the default branch (`pairbot check-policy` checks it before you push), then \
                   `/retry`.",
        ),
        Halt::PermissionMissing => HaltText::of(
            "GitHub refused",
            "GitHub refused an act, for want of a permission of this App or by a rule of the repository.",
            "Grant what the reason below names, or change the rule (`pairbot doctor` lists what is missing), \
                   then `/retry`.",
        ),
        Halt::TimedOut => HaltText::of(
            "the time is over",
            "The run, or one task of it, took longer than the policy allows.",
            "`/retry` gives it the same time again; `time` in the policy file gives more.",
        ),
    }
}

/// The reason in a few words, with the names of the gates where one of them is the reason.
pub(super) fn title(run: &Run, reason: Halt, exhausted: Option<Exhausted>) -> String {
    let title = halt(reason, exhausted).title;
    let gates = run.validation().map(|validation| &validation.gates).filter(|_| reason == Halt::GateFailing);
    let failing = gates.into_iter().flatten().filter(|(_, progress)| match progress {
        GateProgress::Pending => false,
        GateProgress::Reported(report) => match report.verdict {
            Verdict::Red | Verdict::Unknown => true,
            Verdict::Green | Verdict::Waiting => false,
        },
    });
    let names: Vec<String> = failing.map(|(name, _)| name.to_string()).collect();
    if names.is_empty() { title.into_owned() } else { format!("{title}: {}", names.join(", ")) }
}

/// The reason in the words of who met it.
pub(super) fn detail(reason: Halt, detail: &str, home: &Home) -> String {
    const BYTES_MAX: usize = 4000;
    if detail.trim().is_empty() {
        return String::new();
    }
    match reason {
        // Its lines name places in a file; Markdown would run them together.
        Halt::PolicyInvalid => {
            format!("In `.github/pairbot.yml`:\n\n{}", untrusted::fenced(detail, "text", BYTES_MAX))
        }
        Halt::RoundsExhausted
        | Halt::BudgetExhausted
        | Halt::GateFailing
        | Halt::NoProgress
        | Halt::DisputeEscalated
        | Halt::MergeConflict
        | Halt::AgentFailed
        | Halt::PermissionMissing
        | Halt::TimedOut => prose(detail, BYTES_MAX, home),
    }
}
