//! `ci`: what other apps say about the head, by check runs and commit statuses.

use pairbot_protocol::policy::CiRule;
use pairbot_protocol::signal::{GateReport, Verdict};

use super::{and_more, report};
use crate::text::{counted, prose, untrusted};

/// How many checks are named one by one.
const NAMED_MAX: usize = 50;

/// What another app says about the head: its latest check run or commit status of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignCheck {
    /// The check run's name or the status' context.
    pub name: String,
    /// Who says it.
    pub app: String,
    /// What it says.
    pub state: ForeignState,
}

/// What another app's check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignState {
    /// It has not ended.
    Pending,
    /// Success.
    Passed,
    /// Failure.
    Failed,
    /// It ended without an opinion.
    Neutral,
    /// It did not run. GitHub lets that satisfy a required check; here it does not.
    Skipped,
    /// It ended in a way that says nothing about the change, such as `cancelled`.
    Unclear(String),
}

impl ForeignState {
    /// Reads the `conclusion` of a completed check run, or the `state` of a commit status.
    /// Values: GitHub REST, "Check runs" and "Commit statuses". An unknown one is unclear, never passed.
    pub fn of_conclusion(conclusion: &str) -> Self {
        match conclusion {
            "success" => Self::Passed,
            "failure" | "timed_out" | "error" => Self::Failed,
            "pending" => Self::Pending,
            "neutral" => Self::Neutral,
            "skipped" => Self::Skipped,
            other => Self::Unclear(untrusted::plain(other, 40)),
        }
    }

    fn words(&self) -> &str {
        match self {
            Self::Pending => "has not ended",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Neutral => "ended neutral",
            Self::Skipped => "was skipped",
            Self::Unclear(conclusion) => conclusion,
        }
    }
}

/// Judges what other apps say. Our own check runs must not be among `checks`. Once the deadline has passed,
/// waiting ends and a person must look.
pub fn examine(rule: &CiRule, checks: &[ForeignCheck], deadline_passed: bool) -> GateReport {
    let required: &[String] = match rule {
        CiRule::Observed => &[],
        CiRule::Required { names } => names,
    };
    let missing: Vec<&str> = required
        .iter()
        .map(String::as_str)
        .filter(|name| !checks.iter().any(|check| check.name == *name))
        .collect();
    let (verdict, title) = judge(required, &missing, checks, deadline_passed);
    report(verdict, title, summary(required, &missing, checks))
}

fn judge(
    required: &[String],
    missing: &[&str],
    checks: &[ForeignCheck],
    deadline_passed: bool,
) -> (Verdict, String) {
    let named = |wanted: fn(&ForeignState) -> bool| -> Vec<&str> {
        checks.iter().filter(|check| wanted(&check.state)).map(|check| check.name.as_str()).collect()
    };
    let failed = named(|state| matches!(state, ForeignState::Failed));
    let pending = named(|state| matches!(state, ForeignState::Pending));
    let unclear = named(|state| matches!(state, ForeignState::Unclear(_)));
    let passed = named(|state| matches!(state, ForeignState::Passed));
    let unsaid = named(|state| matches!(state, ForeignState::Neutral | ForeignState::Skipped));
    let required_unsaid: Vec<&str> =
        unsaid.iter().copied().filter(|name| required.iter().any(|wanted| wanted == name)).collect();

    if !failed.is_empty() {
        return (Verdict::Red, format!("failed: {}", names(&failed)));
    }
    let awaited: Vec<&str> = missing.iter().chain(&pending).copied().collect();
    if !awaited.is_empty() && !deadline_passed {
        return (Verdict::Waiting, format!("waits for {}", names(&awaited)));
    }
    if !awaited.is_empty() {
        return (Verdict::Unknown, format!("no result in time: {}", names(&awaited)));
    }
    if !unclear.is_empty() {
        return (Verdict::Unknown, format!("ended without a verdict: {}", names(&unclear)));
    }
    if !required_unsaid.is_empty() {
        let title = format!("required, but neutral or skipped: {}", names(&required_unsaid));
        return (Verdict::Unknown, title);
    }
    if checks.is_empty() {
        return (Verdict::Green, "no other check reports on this commit, and none is required".to_owned());
    }
    if passed.is_empty() {
        // A repository whose every check steps aside has not been checked (promise P5).
        return (Verdict::Unknown, format!("nothing ran: {}", names(&unsaid)));
    }
    let passed = format!("{} passed", counted(passed.len(), "check"));
    let title = match unsaid.len() {
        0 => passed,
        count => format!("{passed}, {count} neutral or skipped"),
    };
    (Verdict::Green, title)
}

/// The first names, on one line.
fn names(names: &[&str]) -> String {
    const IN_TITLE_MAX: usize = 3;
    let first: Vec<_> = names.iter().take(IN_TITLE_MAX).map(|name| untrusted::plain(name, 60)).collect();
    let first = first.join(", ");
    match names.len().saturating_sub(IN_TITLE_MAX) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn summary(required: &[String], missing: &[&str], checks: &[ForeignCheck]) -> String {
    if checks.is_empty() && missing.is_empty() {
        return "No other app has reported on this commit and the policy requires none, so nothing is claimed \
                about it. To require checks by name, set `gates.ci.required` in the policy file."
            .to_owned();
    }
    let awaited = missing
        .iter()
        .map(|name| format!("| {} (required) | | has not reported |\n", prose::cell(name, 100)));
    let reported = checks.iter().map(|check| {
        let mark = if required.contains(&check.name) { " (required)" } else { "" };
        format!(
            "| {}{mark} | {} | {} |\n",
            prose::cell(&check.name, 100),
            prose::cell(&check.app, 60),
            prose::cell(check.state.words(), 60)
        )
    });
    let rows: Vec<String> = awaited.chain(reported).take(NAMED_MAX).collect();
    let more = and_more(missing.len() + checks.len(), NAMED_MAX);
    format!("| check | by | result |\n|---|---|---|\n{}{more}", rows.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, state: ForeignState) -> ForeignCheck {
        ForeignCheck { name: name.to_owned(), app: "actions".to_owned(), state }
    }

    fn required(names: &[&str]) -> CiRule {
        CiRule::Required { names: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn one_failure_is_red_whatever_else_is_said() {
        let checks = [check("build", ForeignState::Failed), check("lint", ForeignState::Pending)];
        for rule in [CiRule::Observed, required(&["other"])] {
            assert_eq!(examine(&rule, &checks, false).verdict, Verdict::Red);
        }
        assert_eq!(examine(&CiRule::Observed, &checks, false).title, "failed: build");
    }

    #[test]
    fn what_has_not_ended_or_not_reported_is_waited_for_until_the_deadline() {
        let pending = [check("build", ForeignState::Pending)];
        assert_eq!(examine(&CiRule::Observed, &pending, false).verdict, Verdict::Waiting);
        assert_eq!(examine(&CiRule::Observed, &pending, true).verdict, Verdict::Unknown);
        let report = examine(&required(&["build"]), &[], false);
        assert_eq!((report.verdict, report.title.as_str()), (Verdict::Waiting, "waits for build"));
        assert_eq!(examine(&required(&["build"]), &[], true).verdict, Verdict::Unknown);
    }

    #[test]
    fn skipped_neutral_and_unknown_conclusions_never_count_as_passed() {
        for conclusion in
            ["neutral", "skipped", "cancelled", "stale", "action_required", "startup_failure", "", "x"]
        {
            let state = ForeignState::of_conclusion(conclusion);
            let alone = [check("build", state.clone())];
            assert_eq!(examine(&CiRule::Observed, &alone, false).verdict, Verdict::Unknown, "{conclusion}");
            let beside = [check("build", state), check("lint", ForeignState::Passed)];
            let report = examine(&required(&["build"]), &beside, false);
            assert_eq!(report.verdict, Verdict::Unknown, "{conclusion}");
        }
    }

    #[test]
    fn a_skipped_check_beside_a_passed_one_is_named_in_the_title() {
        let checks = [check("docs", ForeignState::Skipped), check("build", ForeignState::Passed)];
        let report = examine(&required(&["build"]), &checks, false);
        assert_eq!(report.verdict, Verdict::Green);
        assert_eq!(report.title, "1 check passed, 1 neutral or skipped");
    }

    #[test]
    fn of_two_apps_with_one_name_both_must_pass() {
        let checks = [check("build", ForeignState::Passed), check("build", ForeignState::Skipped)];
        assert_eq!(examine(&required(&["build"]), &checks, false).verdict, Verdict::Unknown);
    }

    #[test]
    fn where_nothing_reports_and_nothing_is_required_nothing_is_claimed() {
        let report = examine(&CiRule::Observed, &[], false);
        assert_eq!(report.verdict, Verdict::Green);
        assert!(report.title.starts_with("no other check reports"), "{}", report.title);
    }

    #[test]
    fn names_of_other_apps_cannot_break_the_table_or_mention_anyone() {
        let checks = [check("a | @octocat\n| b", ForeignState::Passed)];
        let summary = examine(&CiRule::Observed, &checks, false).summary;
        assert_eq!(summary.lines().count(), 3, "{summary}");
        assert!(!summary.contains("| @octocat"), "{summary}");
    }
}
