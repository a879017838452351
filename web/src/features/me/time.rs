//! Whose session it is and how long it still lasts: for a page that shows what only its member may see, and warns before
//! the end. Asking is no activity; staying is.

use serde_json::json;

use crate::app::access::Member;
use crate::app::frame::SessionLeft;
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;

/// `GET /session`
pub async fn show(request: Request, member: Member) -> Result<Reply, PageError> {
    Ok(left(&request, &member))
}

/// `POST /session/stay`
pub async fn stay(request: Request, member: Member, _: CsrfChecked<Form>) -> Result<Reply, PageError> {
    request.site.store.touch_session(member.actor().session, request.at).await?;
    let member = member.active_at(request.at);
    Ok(left(&request, &member))
}

fn left(request: &Request, member: &Member) -> Reply {
    let left = SessionLeft::of(member, request);
    let session = member.session();
    Reply::json(&json!({
        "session": session.id,
        "person": session.person,
        "csrf": session.csrf_token,
        "ends_in_seconds": left.seconds,
        "absolute": left.absolute,
    }))
}
