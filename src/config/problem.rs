//! What is wrong with the settings, collected.

use std::fmt;

use super::source::Source;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting.
    pub name: String,
    /// Where it was found; none if it was found nowhere.
    pub place: Option<String>,
    /// What is wrong with it and what to do. It never quotes a secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.name, self.message)?;
        match &self.place {
            Some(place) => write!(out, " (from {place})"),
            None => Ok(()),
        }
    }
}

/// Settings that cannot be used: everything that is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the settings cannot be used:")?;
        self.problems.iter().try_for_each(|problem| write!(out, "\n  - {problem}"))
    }
}

/// Problems while they are being found.
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    /// Begins with what was wrong with the source itself.
    pub(super) fn of(source: &Source) -> Self {
        Self(source.problems().to_vec())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes what is wrong with a setting. It returns nothing, in place of the setting's value.
    pub(super) fn add<T>(&mut self, source: &Source, name: &str, message: &str) -> Option<T> {
        let place = source.place_of(name);
        self.0.push(Problem { name: name.to_owned(), place, message: message.to_owned() });
        None
    }

    /// Notes what is wrong with something that stands in the file alone.
    pub(super) fn add_in_file(&mut self, source: &Source, name: &str, message: &str) {
        let place = Some(source.path().display().to_string());
        self.0.push(Problem { name: name.to_owned(), place, message: message.to_owned() });
    }

    /// Notes that a setting is not there.
    pub(super) fn missing<T>(&mut self, name: &str, what: &str) -> Option<T> {
        let message = format!("is not set; it is {what}");
        self.0.push(Problem { name: name.to_owned(), place: None, message });
        None
    }
}

impl From<Problems> for ConfigError {
    fn from(problems: Problems) -> Self {
        Self { problems: problems.0 }
    }
}
