//! The words of the protocol that are only names or amounts: each a type of its own, so that a head
//! can never be passed where a base is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name or number from outside that does not have the form its type promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {expected}")]
pub struct MalformedId {
    /// What the type accepts, in words.
    pub expected: &'static str,
    /// What was given, shortened.
    pub found: String,
}

impl MalformedId {
    fn new(expected: &'static str, found: &str) -> Self {
        Self { expected, found: found.chars().take(80).collect() }
    }
}

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }
    };
}

numeric_id! {
    /// GitHub's numeric id of a repository. Names change and are compared without case; this does not change.
    RepositoryId
}
numeric_id! {
    /// GitHub's numeric id of an installation of the App.
    InstallationId
}
numeric_id! {
    /// The number of an issue inside its repository.
    IssueNumber
}
numeric_id! {
    /// The number of a pull request inside its repository.
    PullRequestNumber
}
numeric_id! {
    /// GitHub's numeric id of a comment, of an issue or of a review.
    CommentId
}
numeric_id! {
    /// GitHub's numeric id of a review.
    ReviewId
}
numeric_id! {
    /// GitHub's numeric id of a check run.
    CheckRunId
}
numeric_id! {
    /// GitHub's numeric id of a user or bot account.
    UserId
}
numeric_id! {
    /// Position of a row in the outbox; also the identity of a task.
    TaskId
}
numeric_id! {
    /// A number that grows with every grant of a lease. Who shows an older one than the store holds has lost the
    /// lease and may not commit (Kleppmann, "How to do distributed locking", 2016).
    FencingToken
}

macro_rules! commit_sha {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The forty (SHA-1) or sixty-four (SHA-256) lower-case hex digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first seven digits, as people quote a commit.
            pub fn short(&self) -> &str {
                self.0.get(..7).unwrap_or(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, MalformedId> {
                let length_fits = text.len() == 40 || text.len() == 64;
                if length_fits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(MalformedId::new("a full lower-case git object id", text))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = MalformedId;

            fn try_from(text: String) -> Result<Self, MalformedId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(sha: $name) -> String {
                sha.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

commit_sha! {
    /// The commit at the tip of a run's branch: what reviews, gates and `ready` are about.
    HeadSha
}
commit_sha! {
    /// The commit of the base branch that a head is compared with.
    BaseSha
}
commit_sha! {
    /// The id of a git tree. Two commits with one tree hold the same files, whoever made them and when.
    TreeSha
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $max:literal, $allowed:pat) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, MalformedId> {
                if !text.is_empty() && text.len() <= $max && text.chars().all(|c| matches!(c, $allowed)) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(MalformedId::new($expected, text))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = MalformedId;

            fn try_from(text: String) -> Result<Self, MalformedId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> String {
                word.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }
    };
}

word! {
    /// The name of a reviewer as the policy gives it.
    ReviewerName, "a reviewer's name: 1 to 30 of `a-z`, `0-9` and `-`", 30, 'a'..='z' | '0'..='9' | '-'
}
word! {
    /// The name of a gate; its check run is called `pairbot / <name>`.
    GateName, "a gate's name: 1 to 30 of `a-z`, `0-9` and `-`", 30, 'a'..='z' | '0'..='9' | '-'
}
word! {
    /// The name of a kind of agent that an operator allows, such as `claude`.
    AgentName, "an agent's name: 1 to 30 of `a-z`, `0-9` and `-`", 30, 'a'..='z' | '0'..='9' | '-'
}
word! {
    /// An account name. GitHub compares logins without case; bots end in `[bot]`.
    Login, "an account name: 1 to 100 of letters, digits, `-`, `_`, `.`, `[` and `]`", 100,
    'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | '[' | ']'
}
word! {
    /// The name of a finding, stable across rounds: `<reviewer>-<round>-<position>`.
    FindingId, "a finding's id: 1 to 60 of `a-z`, `0-9` and `-`", 60, 'a'..='z' | '0'..='9' | '-'
}

/// One life of one labelled issue: repository, issue, and how many runs that issue had, from 1.
///
/// It is computed, never drawn, so that a redelivered label names the run it already started (promise P1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId {
    /// The repository the issue lives in.
    pub repository: RepositoryId,
    /// The labelled issue.
    pub issue: IssueNumber,
    /// 1 for the first run of the issue, 2 for the run after its label was removed and set again, and so on.
    pub ordinal: u32,
}

impl Login {
    /// The name under which GitHub shows an account that is gone.
    pub fn ghost() -> Self {
        Self("ghost".to_owned())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}-{}", self.repository, self.issue, self.ordinal)
    }
}

impl FromStr for RunId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = || MalformedId::new("a run id: `<repository id>-<issue>-<ordinal>`", text);
        let mut parts = text.split('-').map(str::parse::<u64>);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(repository)), Some(Ok(issue)), Some(Ok(ordinal)), None) => Ok(Self {
                repository: RepositoryId(repository),
                issue: IssueNumber(issue),
                ordinal: u32::try_from(ordinal).map_err(|_| malformed())?,
            }),
            _ => Err(malformed()),
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = MalformedId;

    fn try_from(text: String) -> Result<Self, MalformedId> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> String {
        run.to_string()
    }
}

impl RunId {
    /// The branch that belongs to the issue. All runs of one issue share it, so that a later run finds earlier work.
    pub fn branch(&self) -> String {
        format!("pairbot/issue-{}", self.issue)
    }
}

/// Which pass of create → review → gate a run is in, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Round(pub u32);

impl Round {
    /// The first round.
    pub const FIRST: Self = Self(1);

    /// The round after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Round {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// An amount of money in millionths of a US dollar. Prices are quoted per million tokens, so a price in dollars is
/// the cost of one token in this unit, and sums are exact.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money {
    /// Millionths of a dollar.
    pub microdollars: u64,
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self { microdollars: 0 };

    /// An amount in millionths of a dollar.
    pub const fn from_microdollars(microdollars: u64) -> Self {
        Self { microdollars }
    }

    /// An amount in cents.
    pub const fn from_cents(cents: u64) -> Self {
        Self { microdollars: cents.saturating_mul(10_000) }
    }

    /// The sum, or the largest amount there is: a limit compared with it still refuses.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { microdollars: self.microdollars.saturating_add(other.microdollars) }
    }

    /// What is left after taking `other` away, never below nothing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self { microdollars: self.microdollars.saturating_sub(other.microdollars) }
    }
}

impl fmt::Display for Money {
    /// Dollars with two decimals from a cent up, with four below, so that small spends do not read as nothing.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dollars = self.microdollars / 1_000_000;
        let rest = self.microdollars % 1_000_000;
        if self.microdollars > 0 && self.microdollars < 10_000 {
            write!(out, "${dollars}.{:04}", rest.div_ceil(100))
        } else {
            write!(out, "${dollars}.{:02}", rest / 10_000)
        }
    }
}

impl FromStr for Money {
    type Err = MalformedId;

    /// Reads `5`, `$5`, `0.50`: at most six decimals, no sign.
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = || MalformedId::new("an amount in dollars such as `5` or `0.50`", text);
        let digits = text.strip_prefix('$').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) || whole.len() > 9 || fraction.len() > 6 {
            return Err(malformed());
        }
        let whole: u64 = whole.parse().map_err(|_| malformed())?;
        let fraction: u64 = format!("{fraction:0<6}").parse().map_err(|_| malformed())?;
        Ok(Self { microdollars: whole * 1_000_000 + fraction })
    }
}

/// A number of tokens, read and written together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tokens(pub u64);

impl Tokens {
    /// None.
    pub const ZERO: Self = Self(0);

    /// The sum, or the largest number there is: a limit compared with it still refuses.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left after taking `other` away, never below nothing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Tokens {
    /// With a comma after each third digit: such numbers are long.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (position, digit) in digits.chars().enumerate() {
            if position > 0 && (digits.len() - position).is_multiple_of(3) {
                out.write_str(",")?;
            }
            write!(out, "{digit}")?;
        }
        out.write_str(" tokens")
    }
}

impl FromStr for Tokens {
    type Err = MalformedId;

    /// Reads `500000`, `500k`, `2M`.
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = || MalformedId::new("a number of tokens such as `500000`, `500k` or `2M`", text);
        let (digits, unit) = match text.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1_000),
            None => match text.strip_suffix(['m', 'M']) {
                Some(digits) => (digits, 1_000_000),
                None => (text, 1),
            },
        };
        if digits.is_empty() || digits.len() > 12 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed());
        }
        let number: u64 = digits.parse().map_err(|_| malformed())?;
        Ok(Self(number * unit))
    }
}

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp {
    /// Milliseconds since the Unix epoch.
    pub unix_ms: u64,
}

impl Timestamp {
    /// A moment by its milliseconds since the Unix epoch.
    pub const fn from_unix_ms(unix_ms: u64) -> Self {
        Self { unix_ms }
    }

    /// The moment `ms` milliseconds later.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self { unix_ms: self.unix_ms.saturating_add(ms) }
    }

    /// Milliseconds from `earlier` to this moment, nothing if `earlier` is later.
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.unix_ms.saturating_sub(earlier.unix_ms)
    }
}

/// Tokens that a model read and wrote, as its provider reported or, where it did not, as was reserved.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read and billed at the full input price.
    pub input_tokens: u64,
    /// Tokens read from the provider's prompt cache.
    #[serde(default)]
    pub cache_read_tokens: u64,
    /// Tokens written to the provider's prompt cache.
    #[serde(default)]
    pub cache_write_tokens: u64,
    /// Tokens written by the model.
    pub output_tokens: u64,
}

impl Usage {
    /// The sum of two usages.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(other.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
        }
    }

    /// Everything read, from cache or not.
    pub const fn input_total(self) -> u64 {
        self.input_tokens.saturating_add(self.cache_read_tokens).saturating_add(self.cache_write_tokens)
    }

    /// Everything read and written: what a budget in tokens counts.
    pub const fn total(self) -> Tokens {
        Tokens(self.input_total().saturating_add(self.output_tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_with_their_unit_and_written_with_commas() {
        assert_eq!("500000".parse::<Tokens>().unwrap(), Tokens(500_000));
        assert_eq!("500k".parse::<Tokens>().unwrap(), Tokens(500_000));
        assert_eq!("2M".parse::<Tokens>().unwrap(), Tokens(2_000_000));
        for text in ["", "k", "-5", "1.5M", "5 k", "2G", "9999999999999"] {
            assert!(text.parse::<Tokens>().is_err(), "{text}");
        }
        let written = [0, 999, 1_000, 1_234_567].map(|number| Tokens(number).to_string());
        assert_eq!(written, ["0 tokens", "999 tokens", "1,000 tokens", "1,234,567 tokens"]);
    }

    #[test]
    fn money_reads_what_it_writes() {
        assert_eq!("5".parse::<Money>().unwrap(), Money::from_cents(500));
        assert_eq!("$0.50".parse::<Money>().unwrap(), Money::from_cents(50));
        assert_eq!(Money::from_cents(1234).to_string(), "$12.34");
        assert_eq!(Money::from_microdollars(41).to_string(), "$0.0001");
        for wrong in ["", "-1", "1.", ".5", "1e3", "1.1234567", "99999999999"] {
            assert!(wrong.parse::<Money>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn run_id_reads_what_it_writes() {
        let run = RunId { repository: RepositoryId(10_000_000_000), issue: IssueNumber(7), ordinal: 2 };
        assert_eq!(run.to_string().parse::<RunId>().unwrap(), run);
        assert_eq!(run.branch(), "pairbot/issue-7");
        assert!("1-2".parse::<RunId>().is_err());
        assert!("1-2-3-4".parse::<RunId>().is_err());
    }

    #[test]
    fn a_sha_is_whole_or_refused() {
        assert!("abc".parse::<HeadSha>().is_err());
        assert!("A".repeat(40).parse::<HeadSha>().is_err());
        assert_eq!("a".repeat(40).parse::<HeadSha>().unwrap().short(), "aaaaaaa");
    }
}
