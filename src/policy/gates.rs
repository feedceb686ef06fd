//! The `gates` of a policy file.

use std::collections::BTreeMap;

use pairbot_protocol::ids::GateName;
use pairbot_protocol::policy::{CiRule, GateKind, Setup};

use super::scalars::{
    Section, Span, count, duration_ms, is_nothing, list, listed, mapping, one_of, switch, text,
};
use super::similar::nearest;
use super::yaml::{Entry, Node, Value, join};
use super::{PolicyProblem, defaults};
use crate::gates::paths::compile;

/// Each is a check run on every head.
const GATES_MAX: usize = 12;
/// Names that every run has a check for, which no gate can take.
const RESERVED: [&str; 2] = ["review", "ready"];
/// The gates that are there without being named.
const BUILT_IN: [&str; 3] = [defaults::SIZE, defaults::PATHS, defaults::CI];
/// GitHub lists at most 3,000 files of a pull request.
const FILES_MAX: u32 = 3000;
/// Far beyond what a person reads.
const LINES_MAX: u32 = 100_000;
/// Each costs a match per changed file.
const GLOBS_MAX: usize = 100;
/// Longer than any path worth naming.
const GLOB_BYTES_MAX: usize = 200;
/// More check runs than any head has.
const CHECKS_MAX: usize = 50;
/// Longer than a check run's name can be.
const CHECK_BYTES_MAX: usize = 200;
/// What is longer belongs into a script of the repository.
const COMMAND_BYTES_MAX: usize = 4096;
/// From a second to an hour.
const COMMAND_SPAN: Span = Span { ms_min: 1000, ms_max: 60 * 60 * 1000 };
/// From a minute to a day.
const CI_SPAN: Span = Span { ms_min: 60 * 1000, ms_max: 24 * 60 * 60 * 1000 };

/// Which results of other apps count, as a file names it.
#[derive(Clone, Copy)]
enum Mode {
    Observed,
    Required,
}

/// Reads the gates: the built-in ones as they are unless named, and those that are named.
pub(super) fn gates(
    node: &Node,
    path: &str,
    problems: &mut Vec<PolicyProblem>,
) -> BTreeMap<GateName, GateKind> {
    let mut gates = defaults::default_policy().gates;
    for entry in mapping(node, path, &[], problems) {
        let path = join(path, &entry.key);
        let name = match entry.key.parse::<GateName>() {
            Ok(name) if RESERVED.contains(&name.as_str()) => {
                let message = format!("the names {} belong to every run; choose another", listed(&RESERVED));
                problems.push(entry.place.problem(&path, message));
                continue;
            }
            Ok(name) => name,
            Err(error) => {
                problems.push(entry.place.problem(&path, error.to_string()));
                continue;
            }
        };
        match gate(entry, &path, problems) {
            Some(kind) => gates.insert(name, kind),
            None => gates.remove(&name),
        };
    }
    if gates.len() > GATES_MAX {
        let message = format!(
            "makes {} gates, those that are there by themselves included; at most {GATES_MAX} are allowed",
            gates.len()
        );
        problems.push(node.place.problem(path, message));
    }
    gates
}

/// One gate; none if it is switched off or wrong.
fn gate(entry: &Entry, path: &str, problems: &mut Vec<PolicyProblem>) -> Option<GateKind> {
    let node = &entry.value;
    match (entry.key.as_str(), switch(node)) {
        (defaults::SIZE | defaults::CI, Some(false)) => None,
        (defaults::PATHS, Some(false)) => {
            let message = format!(
                "cannot be switched off, because `{}` is always protected; to protect nothing else, write \
                 `paths: {{ protected: [] }}`",
                defaults::ALWAYS_PROTECTED
            );
            problems.push(node.place.problem(path, message));
            None
        }
        (defaults::SIZE, Some(true)) => Some(defaults::size()),
        (defaults::PATHS, Some(true)) => Some(defaults::paths()),
        (defaults::CI, Some(true)) => Some(defaults::ci()),
        (defaults::SIZE, None) => Some(size(node, path, problems)),
        (defaults::PATHS, None) => Some(paths(node, path, problems)),
        (defaults::CI, None) => Some(ci(node, path, problems)),
        (name, Some(_)) => {
            let message = format!("only {} can be switched; {}", listed(&BUILT_IN), wants_command(name));
            problems.push(node.place.problem(path, message));
            None
        }
        (_, None) => command(entry, path, problems),
    }
}

fn size(node: &Node, path: &str, problems: &mut Vec<PolicyProblem>) -> GateKind {
    let section = Section::of(node, path, &["files", "lines"], problems);
    let mut read = |key, max, default| {
        section.get(key).and_then(|(node, path)| count(node, &path, 1, max, problems)).unwrap_or(default)
    };
    GateKind::Size {
        files_max: read("files", FILES_MAX, defaults::FILES),
        lines_max: read("lines", LINES_MAX, defaults::LINES),
    }
}

fn paths(node: &Node, path: &str, problems: &mut Vec<PolicyProblem>) -> GateKind {
    let section = Section::of(node, path, &["protected", "also"], problems);
    let mut protected = match section.get("protected") {
        Some((node, path)) => globs(node, &path, problems),
        None => defaults::protected_by_default(),
    };
    if !protected.iter().any(|glob| glob == defaults::ALWAYS_PROTECTED) {
        protected.insert(0, defaults::ALWAYS_PROTECTED.to_owned());
    }
    if let Some((node, path)) = section.get("also") {
        for glob in globs(node, &path, problems) {
            if !protected.contains(&glob) {
                protected.push(glob);
            }
        }
    }
    GateKind::Paths { protected }
}

fn globs(node: &Node, path: &str, problems: &mut Vec<PolicyProblem>) -> Vec<String> {
    let mut globs = Vec::new();
    for (node, path) in list(node, path, GLOBS_MAX, problems).unwrap_or_default() {
        let Some(glob) = text(node, &path, GLOB_BYTES_MAX, problems) else { continue };
        match compile(&glob) {
            Ok(_) => globs.push(glob),
            Err(complaint) => problems.push(node.place.problem(&path, complaint)),
        }
    }
    globs
}

fn ci(node: &Node, path: &str, problems: &mut Vec<PolicyProblem>) -> GateKind {
    let section = Section::of(node, path, &["mode", "required", "timeout"], problems);
    let modes = [("observed", Mode::Observed), ("required", Mode::Required)];
    let mode = section.get("mode").and_then(|(node, path)| one_of(node, &path, &modes, problems));
    let required = section.get("required");
    let names: Vec<String> = required
        .as_ref()
        .and_then(|(node, path)| list(node, path, CHECKS_MAX, problems))
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(node, path)| text(node, &path, CHECK_BYTES_MAX, problems))
        .collect();
    let rule = match (mode, required) {
        (Some(Mode::Observed) | None, None) => CiRule::Observed,
        (Some(Mode::Observed), Some((node, path))) => {
            let message =
                "has no effect while `mode` is `observed`; write `mode: required`, or leave this out";
            problems.push(node.place.problem(&path, message));
            CiRule::Observed
        }
        (Some(Mode::Required) | None, Some((node, path))) => {
            if matches!(&node.value, Value::Sequence(items) if items.is_empty()) {
                let message = "names nothing; list the check runs or commit statuses that must be green";
                problems.push(node.place.problem(&path, message));
            }
            CiRule::Required { names }
        }
        (Some(Mode::Required), None) => {
            let message =
                "needs `required`: the names of the check runs or commit statuses that must be green";
            problems.push(node.place.problem(path, message));
            CiRule::Observed
        }
    };
    let timeout_ms = section
        .get("timeout")
        .and_then(|(node, path)| duration_ms(node, &path, CI_SPAN, problems))
        .unwrap_or(defaults::CI_MS);
    GateKind::Ci { rule, timeout_ms }
}

/// The command that runs before those of gates, in the form of one.
pub(super) fn setup(node: &Node, path: &str, problems: &mut Vec<PolicyProblem>) -> Option<Setup> {
    let problems_before = problems.len();
    let section = Section::of(node, path, &["command", "timeout"], problems);
    if section.get("command").is_none() && problems.len() == problems_before {
        problems.push(node.place.problem(path, "needs `command`, such as `{ command: \"npm ci\" }`"));
    }
    let (run, timeout_ms) = command_of(&section, problems);
    Some(Setup { run: run?, timeout_ms })
}

fn command_of(section: &Section<'_>, problems: &mut Vec<PolicyProblem>) -> (Option<String>, u64) {
    let run = section.get("command").and_then(|(node, path)| text(node, &path, COMMAND_BYTES_MAX, problems));
    let timeout_ms = section
        .get("timeout")
        .and_then(|(node, path)| duration_ms(node, &path, COMMAND_SPAN, problems))
        .unwrap_or(defaults::COMMAND_MS);
    (run, timeout_ms)
}

fn command(entry: &Entry, path: &str, problems: &mut Vec<PolicyProblem>) -> Option<GateKind> {
    let complete = match &entry.value.value {
        Value::Mapping(entries) => entries.iter().any(|inner| inner.key == "command"),
        Value::Scalar { .. } | Value::Sequence(_) => false,
    };
    if !complete {
        let place = if is_nothing(&entry.value) { entry.place } else { entry.value.place };
        problems.push(place.problem(path, wants_command(&entry.key)));
        return None;
    }
    let section = Section::of(&entry.value, path, &["command", "timeout"], problems);
    let (run, timeout_ms) = command_of(&section, problems);
    Some(GateKind::Command { run: run?, timeout_ms })
}

fn wants_command(name: &str) -> String {
    let form = format!("a gate called `{name}` needs a command: `{{ command: \"sh run-tests.sh\" }}`");
    match nearest(name, BUILT_IN) {
        Some(built_in) => format!("{form}; or did you mean `{built_in}`?"),
        None => form,
    }
}
