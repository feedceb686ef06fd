//! `pairbot check-policy [FILE]`: says whether a policy file is valid, what is wrong with it, and what it means.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use pairbot_protocol::policy::{AgentChoice, CiRule, GateKind, Policy, Provider};

use crate::policy::{self, PolicyProblem};
use crate::text::counted;

/// What was found out about a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What to print.
    pub report: String,
    /// 0 for a valid file, 1 for one with problems, 2 for one that could not be read.
    pub exit_code: u8,
}

/// Checks a file; none means [`policy::PATH`].
pub fn check(path: Option<&Path>) -> Checked {
    let path = path.unwrap_or(Path::new(policy::PATH));
    let file = match read(path) {
        Ok(file) => file,
        Err(error) => {
            let report = format!(
                "{}: cannot be read: {error}\nGive the path of a policy file; without one, `{}` is checked.\n",
                path.display(),
                policy::PATH
            );
            return Checked { report, exit_code: 2 };
        }
    };
    match policy::read(&file) {
        Ok(policy) => Checked { report: valid(path, &policy), exit_code: 0 },
        Err(problems) => Checked { report: invalid(path, &problems), exit_code: 1 },
    }
}

/// Reads at most one byte more than a policy may have: enough to know that it is too large.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(policy::BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn invalid(path: &Path, problems: &[PolicyProblem]) -> String {
    let mut report = String::new();
    for problem in problems {
        // Writing to a string cannot fail.
        let _ = writeln!(report, "{}:{problem}", path.display());
    }
    let _ = writeln!(report, "{}; see docs/policy.md", counted(problems.len(), "problem"));
    report
}

fn valid(path: &Path, policy: &Policy) -> String {
    let mut report = format!("{}: valid\n", path.display());
    let mut line = |key: &str, value: String| {
        let _ = writeln!(report, "  {key:<18} {value}");
    };
    line("creator", agent(&policy.creator));
    for (name, reviewer) in &policy.reviewers {
        line(&format!("reviewer {name}"), agent(&reviewer.agent));
    }
    line("rounds", policy.rounds_max.to_string());
    line("budget.run", policy.run_budget.to_string());
    let lowered = |limit: Option<String>| match limit {
        Some(limit) => format!("{limit}, or the operator's limit where that is lower"),
        None => "the operator's limit".to_owned(),
    };
    line("budget.day", lowered(policy.day_budget.money.map(|money| money.to_string())));
    line("budget.tokens.run", policy.run_tokens.map_or("no limit".to_owned(), |tokens| tokens.to_string()));
    line("budget.tokens.day", lowered(policy.day_budget.tokens.map(|tokens| tokens.to_string())));
    line("time.run", policy::duration(policy.run_ms_max));
    line("time.task", policy::duration(policy.task_ms_max));
    if let Some(setup) = &policy.setup {
        line("setup", command(&setup.run, setup.timeout_ms));
    }
    for (name, kind) in &policy.gates {
        line(&format!("gate {name}"), gate(kind));
    }
    report
}

fn agent(choice: &AgentChoice) -> String {
    let provider = choice.provider.map(|provider| match provider {
        Provider::Anthropic => "anthropic",
        Provider::Openai => "openai",
    });
    let model = match (provider, &choice.model) {
        (None, None) => "the operator's default model".to_owned(),
        (Some(provider), None) => format!("{provider}, the operator's default model"),
        (None, Some(model)) => model.clone(),
        (Some(provider), Some(model)) => format!("{provider}, {model}"),
    };
    match &choice.agent {
        Some(agent) => format!("{agent} (if the operator allows it), {model}"),
        None => model,
    }
}

fn command(run: &str, timeout_ms: u64) -> String {
    let first = run.lines().next().unwrap_or_default();
    format!("runs `{first}`, at most {}", policy::duration(timeout_ms))
}

fn gate(kind: &GateKind) -> String {
    match kind {
        GateKind::Size { files_max, lines_max } => format!("at most {files_max} files and {lines_max} lines"),
        GateKind::Paths { protected } => format!("protects {} globs", protected.len()),
        GateKind::Command { run, timeout_ms } => command(run, *timeout_ms),
        GateKind::Ci { rule: CiRule::Observed, timeout_ms } => {
            format!("whatever reports is green, waits {}", policy::duration(*timeout_ms))
        }
        GateKind::Ci { rule: CiRule::Required { names }, timeout_ms } => {
            format!("requires {}, waits {}", names.join(", "), policy::duration(*timeout_ms))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str) -> Checked {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pairbot.yml");
        std::fs::write(&path, text).unwrap();
        let checked = check(Some(&path));
        let report = checked.report.replace(&path.display().to_string(), "pairbot.yml");
        Checked { report, ..checked }
    }

    #[test]
    fn a_problem_is_told_as_a_compiler_tells_it() {
        let checked = check_text("rounds: 0\ngate: {}\n");
        assert_eq!(checked.exit_code, 1);
        assert_eq!(
            checked.report,
            "pairbot.yml:1:9: rounds: `0` is not a whole number from 1 to 10\n\
             pairbot.yml:2:1: gate: unknown key; did you mean `gates`? Allowed here: `version`, `creator`, \
             `reviewers`, `rounds`, `budget`, `time`, `setup`, `gates`\n\
             2 problems; see docs/policy.md\n"
        );
    }

    #[test]
    fn a_valid_file_is_told_with_what_it_means() {
        let checked = check_text("gates:\n  tests: { command: \"sh run-tests.sh\", timeout: 90s }\n");
        assert_eq!(checked.exit_code, 0);
        assert!(
            checked.report.contains("gate tests         runs `sh run-tests.sh`, at most 90s\n"),
            "{checked:?}"
        );
        assert!(checked.report.contains("time.run           2h\n"), "{checked:?}");
        assert!(checked.report.contains("budget.day         the operator's limit\n"), "{checked:?}");
        let checked = check_text("budget: { day: 12, tokens: { run: 200k } }\n");
        let day = "budget.day         $12.00, or the operator's limit where that is lower\n";
        assert!(checked.report.contains(day), "{checked:?}");
        assert!(checked.report.contains("budget.tokens.run  200,000 tokens\n"), "{checked:?}");
    }

    #[test]
    fn a_missing_file_and_a_directory_are_no_success() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(check(Some(directory.path())).exit_code, 2);
        assert_eq!(check(Some(&directory.path().join("none.yml"))).exit_code, 2);
    }

    #[test]
    fn a_huge_file_is_refused_without_reading_it_all() {
        assert_eq!(check_text(&"#".repeat(policy::BYTES_MAX * 4)).exit_code, 1);
    }
}
