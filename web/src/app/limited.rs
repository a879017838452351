//! Which rows of the route table count against an address, and what they do about one too many.

use crate::app::request::Request;
use crate::limits::TooMany;

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
    /// Counts the request against its address, where the row has it counted. Err: one too many, which the row refuses at
    /// once. A row whose handler refuses is told in [`Request::over_limit`].
    pub fn count(self, request: &mut Request) -> Result<(), TooMany> {
        if self == Limited::No {
            return Ok(());
        }
        match (request.site.limits.request(request.visitor.ip), self) {
            (Err(too_many), Limited::ByHandler) => {
                request.over_limit = Some(too_many);
                Ok(())
            }
            (counted, _) => counted,
        }
    }
}
