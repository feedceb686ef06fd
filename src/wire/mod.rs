//! The forms in which things are stored and sent. Each is JSON with the version of its form, `{"v":1,"body":…}`, so
//! that what an older version wrote is upgraded when it is read, and what a newer one wrote is refused by name.

mod formats;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use formats::RecordedEvent;

/// Why something stored or sent could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Its version is newer than this program, or was never written.
    #[error("{format} of version {found}, this program reads 1 to {known}; run the version that wrote it")]
    UnknownVersion {
        /// Which form.
        format: &'static str,
        /// Its version.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// It does not have the form that its version promises.
    #[error("{format} does not have its form: {detail}")]
    Malformed {
        /// Which form.
        format: &'static str,
        /// What is wrong, and where.
        detail: String,
    },
}

/// A thing with a stored form.
pub trait Format: Serialize + DeserializeOwned {
    /// What it is, for messages.
    const NAME: &'static str;
    /// The version that is written.
    const VERSION: u32;

    /// Turns a body of version `from` into one of version `from + 1`. Called once for each step from an old version
    /// to [`Self::VERSION`].
    fn upgrade(from: u32, body: Value) -> Result<Value, WireError> {
        drop(body);
        Err(WireError::UnknownVersion { format: Self::NAME, found: from, known: Self::VERSION })
    }
}

#[derive(Serialize)]
struct Written<'a, T> {
    v: u32,
    body: &'a T,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Deserialize)]
struct Read<T> {
    body: T,
}

/// Writes a thing in its present form.
pub fn encode<T: Format>(thing: &T) -> Result<String, WireError> {
    serde_json::to_string(&Written { v: T::VERSION, body: thing }).map_err(|error| malformed::<T>(&error))
}

/// Reads a thing in its present form or an older one.
pub fn decode<T: Format>(text: &str) -> Result<T, WireError> {
    let Version { v } = serde_json::from_str(text).map_err(|error| malformed::<T>(&error))?;
    if v == T::VERSION {
        return serde_json::from_str::<Read<T>>(text)
            .map(|read| read.body)
            .map_err(|error| malformed::<T>(&error));
    }
    if v == 0 || v > T::VERSION {
        return Err(WireError::UnknownVersion { format: T::NAME, found: v, known: T::VERSION });
    }
    let Read { body } = serde_json::from_str::<Read<Value>>(text).map_err(|error| malformed::<T>(&error))?;
    let body = (v..T::VERSION).try_fold(body, |body, from| T::upgrade(from, body))?;
    serde_json::from_value(body).map_err(|error| malformed::<T>(&error))
}

fn malformed<T: Format>(error: &serde_json::Error) -> WireError {
    WireError::Malformed { format: T::NAME, detail: error.to_string() }
}

#[cfg(test)]
mod tests;
