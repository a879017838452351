//! `GET /help`: the keyboard, what is recorded, and how sessions end.

use crate::access::Member;
use crate::page_error::PageError;
use crate::pages::{Frame, HelpPage};
use crate::reply::Reply;
use crate::request::Request;

/// The page.
pub async fn show(request: Request, member: Member) -> Result<Reply, PageError> {
    Reply::page(&HelpPage { frame: Frame::of(&member, &request) })
}
