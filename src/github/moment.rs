//! Moments as GitHub writes them. The text is kept: it is part of the keys by which two tellings are the same happening.

use chrono::DateTime;
use pairbot_protocol::ids::Timestamp;
use serde::Deserialize;

/// A moment in GitHub's own words, such as `2026-01-31T12:00:00Z`. Text of this form sorts as the moments do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Moment(String);

impl Moment {
    /// A moment as GitHub would write it.
    pub fn of(at: Timestamp) -> Option<Self> {
        let at = DateTime::from_timestamp_millis(i64::try_from(at.unix_ms).ok()?)?;
        Some(Self(at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When it was; none if the text is no moment.
    pub fn at(&self) -> Option<Timestamp> {
        let at = DateTime::parse_from_rfc3339(&self.0).ok()?;
        Some(Timestamp::from_unix_ms(u64::try_from(at.timestamp_millis()).ok()?))
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_it_is_written() {
        let at = Timestamp::from_unix_ms(1_767_600_000_000);
        let moment = Moment::of(at).unwrap();
        assert_eq!((moment.as_str(), moment.at()), ("2026-01-05T08:00:00Z", Some(at)));
        assert_eq!(Moment("soon".to_owned()).at(), None);
        assert_eq!(Moment::of(Timestamp::from_unix_ms(u64::MAX)), None);
    }
}
