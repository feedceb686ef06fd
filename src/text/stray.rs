//! What is said on a pull request that was opened when its run had ended already.

use pairbot_protocol::policy::LABEL;
use pairbot_protocol::run::Run;

/// Why it is closed, or what is to be done with it if people have made it theirs.
pub fn stray(run: &Run, is_closed: bool) -> String {
    let end = format!("The run of issue #{} ended while this pull request was being opened.", run.id.issue);
    let rest = if is_closed {
        format!(
            "Nobody reviewed it, so it is closed; its branch stays. Set the label `{LABEL}` on the issue again to go on \
             with it."
        )
    } else {
        format!(
            "Pairbot does not go on with it. It stays open because people have worked on it or spoken here: close it, \
             go on by hand, or set the label `{LABEL}` on the issue again."
        )
    };
    format!("{end} {rest}")
}
