//! What holds where a policy file says nothing.

use pairbot_protocol::budget::Limits;
use pairbot_protocol::ids::{GateName, Money, ReviewerName};
use pairbot_protocol::policy::{AgentChoice, CiRule, GateKind, Policy, ReviewerPolicy};

/// Rounds before the breaker opens.
pub(super) const ROUNDS: u32 = 3;
/// What a run may cost.
pub(super) const RUN_BUDGET: Money = Money::from_cents(500);
/// How long a run may work: two hours.
pub(super) const RUN_MS: u64 = 2 * 60 * 60 * 1000;
/// How long one task may take: half an hour.
pub(super) const TASK_MS: u64 = 30 * 60 * 1000;
/// How large a change may be for a person to read it in one sitting.
pub(super) const FILES: u32 = 40;
/// See [`FILES`]; lines added and removed together.
pub(super) const LINES: u32 = 1500;
/// How long the `ci` gate waits for other apps: an hour.
pub(super) const CI_MS: u64 = 60 * 60 * 1000;
/// How long a command gate may run: ten minutes.
pub(super) const COMMAND_MS: u64 = 10 * 60 * 1000;

/// The names of the gates that need no command.
pub(super) const SIZE: &str = "size";
/// See [`SIZE`].
pub(super) const PATHS: &str = "paths";
/// See [`SIZE`].
pub(super) const CI: &str = "ci";

/// What can never be taken out of the protected paths: a run must not be able to change the rules it is judged by
/// (promise P5), and GitHub runs what lies there with the repository's rights.
pub(super) const ALWAYS_PROTECTED: &str = ".github/**";

/// The protected paths of a repository that names none itself.
const PROTECTED: &[&str] = &[
    ALWAYS_PROTECTED,
    // Who must approve.
    "CODEOWNERS",
    "docs/CODEOWNERS",
    // What CI runs, and with whose rights.
    "**/action.yml",
    "**/action.yaml",
    ".gitlab-ci.yml",
    ".travis.yml",
    ".circleci/**",
    ".buildkite/**",
    "azure-pipelines.yml",
    "Jenkinsfile",
    // What git fetches besides, and what GitHub hides from a diff.
    ".gitmodules",
    "**/.gitattributes",
    // What tells coding agents how to behave: some of it is run without being asked.
    "**/AGENTS.md",
    "**/AGENTS.override.md",
    "**/CLAUDE.md",
    "**/CLAUDE.local.md",
    "**/GEMINI.md",
    "**/.claude/**",
    "**/.codex/**",
    "**/.gemini/**",
    "**/.opencode/**",
    "**/opencode.json",
    "**/opencode.jsonc",
    "**/.mcp.json",
    "**/.cursor/**",
    "**/.cursorrules",
    "**/.windsurf/**",
    "**/.windsurfrules",
    "**/.openhands/**",
    "**/.aider*",
    "**/.goosehints",
    "**/.vscode/**",
    "**/.devcontainer/**",
    "**/.devcontainer.json",
];

/// Reviewers whose name says enough; only the first two take part where a file names none.
const FOCUSES: &[(&str, &str)] = &[
    (
        "correctness",
        "Does the change do what the issue asks, and only that, in every case? Follow the changed code with \
         concrete values: boundaries, empty and very large input, errors of what it calls, repeated and concurrent \
         calls, and callers that relied on the old behaviour. Look for results that are wrong without an error, \
         data that can be lost, and input that can do harm. Are there tests that would fail without the change? \
         Report only what you can show with an input or a sequence of steps that goes wrong.",
    ),
    (
        "maintainability",
        "Will the next person understand and change this without harm? Look for behaviour that exists already \
         and was written again, a fix at the wrong place, names that mislead, parts that know too much of each \
         other, dead code, needless complexity, and departures from the conventions of the files around it. Are \
         the tests readable, and do they check behaviour rather than implementation? Do documentation and comments \
         still tell the truth? Leave formatting to tools, and matters of taste at `nit`.",
    ),
    (
        "security",
        "Could someone with bad intentions use this change? Follow input from outside to where it is used: \
         queries, commands, paths, URLs, templates, deserialisation. Look for missing permission checks, secrets in \
         code, logs or messages, weak randomness or cryptography, unbounded work or memory, and new dependencies. \
         Report only what you can show as an attack, with who can do it and what is gained.",
    ),
];

/// The names of the reviewers that take part where a file names none.
const REVIEWERS: usize = 2;

/// The rules of a repository without a policy file.
pub fn default_policy() -> Policy {
    let reviewers = FOCUSES
        .iter()
        .take(REVIEWERS)
        .filter_map(|(name, focus)| Some((name.parse::<ReviewerName>().ok()?, reviewer(focus))))
        .collect();
    let gates = [(SIZE, size()), (PATHS, paths()), (CI, ci())]
        .into_iter()
        .filter_map(|(name, kind)| Some((name.parse::<GateName>().ok()?, kind)))
        .collect();
    Policy {
        creator: AgentChoice::default(),
        reviewers,
        rounds_max: ROUNDS,
        run_budget: RUN_BUDGET,
        run_tokens: None,
        day_budget: Limits::NONE,
        run_ms_max: RUN_MS,
        task_ms_max: TASK_MS,
        setup: None,
        gates,
    }
}

/// The globs that the `paths` gate protects where a file names none.
pub fn protected_by_default() -> Vec<String> {
    PROTECTED.iter().map(|glob| (*glob).to_owned()).collect()
}

/// What a reviewer of this name looks for, if its name says enough.
pub(super) fn focus(name: &str) -> Option<&'static str> {
    FOCUSES.iter().find(|(known, _)| *known == name).map(|(_, focus)| *focus)
}

/// The names for which [`focus`] has an answer.
pub(super) fn focus_names() -> Vec<&'static str> {
    FOCUSES.iter().map(|(name, _)| *name).collect()
}

/// The `size` gate.
pub(super) fn size() -> GateKind {
    GateKind::Size { files_max: FILES, lines_max: LINES }
}

/// The `paths` gate.
pub(super) fn paths() -> GateKind {
    GateKind::Paths { protected: protected_by_default() }
}

/// The `ci` gate.
pub(super) fn ci() -> GateKind {
    GateKind::Ci { rule: CiRule::Observed, timeout_ms: CI_MS }
}

fn reviewer(focus: &str) -> ReviewerPolicy {
    ReviewerPolicy { focus: focus.to_owned(), agent: AgentChoice::default() }
}
