//! What a command reached from its cage, in numbers and in words: part of its report, and so of the ledger.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pairbot_protocol::signal::Contact;

use crate::sandbox::egress::EgressRecord;
use crate::text::untrusted;

/// How many hosts are named.
const HOSTS_MAX: usize = 30;

/// What a report says where the operator named hosts, and the sandbox of the server lets nobody reach any.
pub const NO_WAY_OUT: &str = "\n\nThe hosts of `PAIRBOT_EGRESS` are not reached from the sandbox of this server \
                              (user-slot), in which nobody has a network: that needs bubblewrap.";

/// The connections that were asked for, summed by host; those that were made come first.
pub fn contacts(records: &[EgressRecord]) -> Vec<Contact> {
    let mut sums: BTreeMap<(Option<&str>, &str), Contact> = BTreeMap::new();
    for EgressRecord { asked, refused, times, sent, received } in records {
        let sum = sums.entry((*refused, asked)).or_insert_with(|| Contact {
            asked: asked.clone(),
            refused: refused.map(str::to_owned),
            times: 0,
            sent: 0,
            received: 0,
        });
        sum.times += times;
        sum.sent += sent;
        sum.received += received;
    }
    sums.into_values().collect()
}

/// The same in Markdown; nothing if none was asked for.
pub fn told(contacts: &[Contact]) -> String {
    if contacts.is_empty() {
        return String::new();
    }
    let mut text = "\n\nIt asked for connections out of the sandbox:\n\n".to_owned();
    for Contact { asked, refused, times, sent, received } in contacts.iter().take(HOSTS_MAX) {
        let asked = untrusted::code(asked, 100);
        // Writing to a string cannot fail.
        let _ = match refused {
            None => writeln!(text, "- {asked}: {times} times, {sent} bytes out, {received} bytes in"),
            Some(reason) => writeln!(text, "- {asked}: refused {times} times, {reason}"),
        };
    }
    if contacts.len() > HOSTS_MAX {
        let _ = writeln!(text, "- and {} others", contacts.len() - HOSTS_MAX);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(asked: &str, refused: Option<&'static str>) -> EgressRecord {
        EgressRecord { asked: asked.to_owned(), refused, times: 1, sent: 10, received: 200 }
    }

    #[test]
    fn connections_are_summed_by_host_and_refusals_are_told_with_the_reason() {
        assert_eq!(told(&[]), "");
        let records = [record("a:443", None), record("`@b`:1", Some("no")), record("a:443", None)];
        let text = told(&contacts(&records));
        assert!(text.contains("- `a:443`: 2 times, 20 bytes out, 400 bytes in\n"), "{text}");
        assert!(text.contains("refused 1 times, no\n"), "{text}");
        let many: Vec<_> = (0..40).map(|number| record(&format!("h{number}:443"), None)).collect();
        assert!(told(&contacts(&many)).contains("- and 10 others"));
    }
}
