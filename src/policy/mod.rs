//! `.github/pairbot.yml`: what a repository decides about its runs. Reads the file into the protocol's [`Policy`] and
//! says everything that is wrong with it, each with its place and what is allowed. `docs/policy.md` describes it for
//! people.

mod defaults;
mod gates;
mod scalars;
mod schema;
mod similar;
mod yaml;

#[cfg(test)]
mod tests;

use std::fmt;

use pairbot_protocol::policy::Policy;

pub use defaults::{default_policy, protected_by_default};
pub use scalars::written as duration;

/// Where the file lives in a repository. It is read from the default branch only.
pub const PATH: &str = ".github/pairbot.yml";

/// The largest file that is read. A policy has some dozen lines; a larger file is a mistake or an attack.
pub const BYTES_MAX: usize = 64 * 1024;

/// How many problems are told at once.
pub const PROBLEMS_MAX: usize = 50;

/// Something in the file that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyProblem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The key it is about, from the top of the file with dots between; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for PolicyProblem {
    /// `line:column: key: message`, as compilers write it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: ", self.line, self.column)?;
        if !self.key.is_empty() {
            write!(out, "{}: ", self.key)?;
        }
        out.write_str(&self.message)
    }
}

/// Reads a policy file. What it leaves out is as in [`default_policy`]; an empty file is the default policy.
///
/// Errors: everything found wrong, in the order of the file, at most [`PROBLEMS_MAX`] of them.
pub fn read(file: &[u8]) -> Result<Policy, Vec<PolicyProblem>> {
    if file.len() > BYTES_MAX {
        let message = format!("the file has {} bytes; at most {BYTES_MAX} (64 KiB) are read", file.len());
        return Err(vec![whole_file(message)]);
    }
    let text = std::str::from_utf8(file).map_err(|error| {
        let before = file.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        let message = "the file is not UTF-8 from here on; save it as UTF-8".to_owned();
        vec![PolicyProblem { line, column: 1, key: String::new(), message }]
    })?;
    let document = yaml::parse(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut problems = document.problems;
    let policy = schema::policy(document.root.as_ref(), &mut problems);
    if problems.is_empty() {
        return Ok(policy);
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    if problems.len() > PROBLEMS_MAX {
        let more = problems.len() - PROBLEMS_MAX + 1;
        problems.truncate(PROBLEMS_MAX - 1);
        problems.push(whole_file(format!("and {more} more problems")));
    }
    Err(problems)
}

fn whole_file(message: String) -> PolicyProblem {
    PolicyProblem { line: 1, column: 1, key: String::new(), message }
}
