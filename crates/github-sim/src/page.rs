//! The web page.

use crate::call::Request;
use crate::reply::Reply;
use crate::state::State;

/// Whether a path is a page for people and not the API.
pub(crate) fn is_page(_request: &Request) -> bool {
    false
}

pub(crate) fn serve(_state: &mut State, _request: &Request) -> Reply {
    Reply::not_found()
}
