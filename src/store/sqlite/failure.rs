//! What SQLite's errors mean for a store.

use rusqlite::ErrorCode;

use crate::store::StoreError;
use crate::wire::WireError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let detail = error.to_string();
        let is = |codes: &[ErrorCode]| error.sqlite_error_code().is_some_and(|code| codes.contains(&code));
        if is(&[ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked]) {
            Self::Busy { detail }
        } else if is(&[ErrorCode::DiskFull]) {
            Self::Full { detail }
        } else if is(&[ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase]) || is_of_wrong_type(&error) {
            Self::Corrupt { detail }
        } else if is(&[ErrorCode::ConstraintViolation, ErrorCode::TypeMismatch]) {
            Self::Contradiction { detail }
        } else {
            Self::Unavailable { detail }
        }
    }
}

/// A column that holds something else than the schema allows was not written by this program.
fn is_of_wrong_type(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
    )
}

/// Something stored cannot be read.
pub(super) fn unreadable(what: String) -> impl FnOnce(WireError) -> StoreError {
    move |source| StoreError::Unreadable { what, source }
}

/// Something handed in cannot be written.
#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
pub(super) fn unwritable(error: WireError) -> StoreError {
    contradiction(error.to_string())
}

/// What was handed in contradicts itself.
pub(super) fn contradiction(detail: impl Into<String>) -> StoreError {
    StoreError::Contradiction { detail: detail.into() }
}

/// What is stored contradicts itself.
pub(super) fn corrupt(detail: impl Into<String>) -> StoreError {
    StoreError::Corrupt { detail: detail.into() }
}
