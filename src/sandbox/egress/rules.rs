//! Which hosts an operator lets programs in a cage reach.

use std::net::IpAddr;
use std::str::FromStr;

/// The port of HTTPS, which is meant where none is named.
const HTTPS: u16 = 443;

/// A list of hosts: `registry.npmjs.org`, `*.pythonhosted.org`, `mirror.example:8443`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressRules(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// Exactly this name or address.
    Exact(String),
    /// Every name that ends so, with the dot.
    Beneath(String),
}

/// Something that is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no host: write `registry.example`, `*.example` or `registry.example:8443`")]
pub struct MalformedRule(String);

impl FromStr for EgressRules {
    type Err = MalformedRule;

    /// Hosts with commas or white space between them.
    fn from_str(text: &str) -> Result<Self, MalformedRule> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
        words.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Rule {
    type Err = MalformedRule;

    fn from_str(text: &str) -> Result<Self, MalformedRule> {
        let malformed = || MalformedRule(text.chars().take(80).collect());
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().map_err(|_| malformed())?),
            None => (text, HTTPS),
        };
        let name = name.to_ascii_lowercase();
        let (host, plain) = match name.strip_prefix("*.") {
            // A whole top-level domain is nobody's registry.
            Some(rest) if rest.contains('.') => (Host::Beneath(format!(".{rest}")), rest),
            Some(_) => return Err(malformed()),
            None => (Host::Exact(name.clone()), name.as_str()),
        };
        if port == 0 || !is_name(plain) {
            return Err(malformed());
        }
        Ok(Self { host, port })
    }
}

fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.len() <= 253 && text.split('.').all(|label| !label.is_empty() && label.chars().all(letter))
}

impl EgressRules {
    /// Whether nothing is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn allow(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        self.0.iter().any(|rule| {
            let fits = match &rule.host {
                Host::Exact(name) => host == *name,
                Host::Beneath(end) => {
                    host.len() > end.len() && host.ends_with(end.as_str()) && is_name(&host)
                }
            };
            fits && rule.port == port
        })
    }
}

/// Whether an address is another machine's, as far as one can tell: not this one's, and not one that only this network
/// link knows, where clouds keep credentials.
pub(super) fn is_elsewhere(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            !(address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_broadcast())
        }
        IpAddr::V6(address) => {
            !(address.is_loopback()
                || address.is_unicast_link_local()
                || address.is_unspecified()
                || address.is_multicast()
                // The same credentials by version 6 of the protocol.
                || address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254])
        }
    }
}
