//! What a command reached from its cage, in words: part of its report, and so of the ledger.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::sandbox::egress::EgressRecord;
use crate::text::untrusted;

/// How many hosts are named.
const HOSTS_MAX: usize = 30;

/// What a report says where the operator named hosts, and the sandbox of the server lets nobody reach any.
pub const NO_WAY_OUT: &str = "\n\nThe hosts of `PAIRBOT_EGRESS` are not reached from the sandbox of this server \
                              (user-slot), in which nobody has a network: that needs bubblewrap.";

#[derive(Default)]
struct Sum {
    times: u32,
    sent: u64,
    received: u64,
}

/// The connections that were asked for; nothing if none was.
pub fn told(records: &[EgressRecord]) -> String {
    let mut sums: BTreeMap<(Option<&str>, &str), Sum> = BTreeMap::new();
    for record in records {
        let sum = sums.entry((record.refused, &record.asked)).or_default();
        sum.times += 1;
        sum.sent += record.sent;
        sum.received += record.received;
    }
    if sums.is_empty() {
        return String::new();
    }
    let mut text = "\n\nIt asked for connections out of the sandbox:\n\n".to_owned();
    for ((refused, asked), sum) in sums.iter().take(HOSTS_MAX) {
        let asked = untrusted::code(asked, 100);
        let Sum { times, sent, received } = sum;
        // Writing to a string cannot fail.
        let _ = match refused {
            None => writeln!(text, "- {asked}: {times} times, {sent} bytes out, {received} bytes in"),
            Some(reason) => writeln!(text, "- {asked}: refused {times} times, {reason}"),
        };
    }
    if sums.len() > HOSTS_MAX {
        let _ = writeln!(text, "- and {} others", sums.len() - HOSTS_MAX);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(asked: &str, refused: Option<&'static str>) -> EgressRecord {
        EgressRecord { asked: asked.to_owned(), refused, sent: 10, received: 200 }
    }

    #[test]
    fn connections_are_summed_by_host_and_refusals_are_told_with_the_reason() {
        assert_eq!(told(&[]), "");
        let records = [record("a:443", None), record("`@b`:1", Some("no")), record("a:443", None)];
        let text = told(&records);
        assert!(text.contains("- `a:443`: 2 times, 20 bytes out, 400 bytes in\n"), "{text}");
        assert!(text.contains("refused 1 times, no\n"), "{text}");
        let many: Vec<_> = (0..40).map(|number| record(&format!("h{number}:443"), None)).collect();
        assert!(told(&many).contains("- and 10 others"));
    }
}
