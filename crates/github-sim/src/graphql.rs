//! GraphQL.
use crate::call::Call;
use crate::reply::{Outcome, Reply};
pub(crate) fn answer(_call: &mut Call) -> Outcome {
    Err(Reply::not_found())
}
