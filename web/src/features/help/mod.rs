//! `GET /help`: the keyboard, what is recorded, and how sessions end.

use askama::Template;

use crate::app::access::Member;
use crate::app::pages::Frame;
use crate::app::request::Request;
use crate::http::error::PageError;
use crate::http::reply::Reply;

/// `/help`: the keyboard, what is written down, how sessions end.
#[derive(Template)]
#[template(path = "help.html")]
pub struct HelpPage {
    /// What stands around the page.
    pub frame: Frame,
}

/// The page.
pub async fn show(request: Request, member: Member) -> Result<Reply, PageError> {
    Reply::page(&HelpPage { frame: Frame::of(&member, &request) })
}
