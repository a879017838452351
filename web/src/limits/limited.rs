//! Which rows of the route table count against an address, and what they do about one too many.

use super::TooMany;
use crate::request::Request;

/// What a row does about an address that asks too often.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// It is refused.
    Yes,
    /// The handler is told, and refuses in its own way.
    ByHandler,
    /// It is not counted.
    No,
}

impl Limited {
    /// Counts the request against its address, where the row has it counted.
    pub fn count(self, request: &Request) -> Result<(), TooMany> {
        if self == Limited::No { Ok(()) } else { request.site.limits.request(request.visitor.ip) }
    }
}
