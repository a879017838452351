//! Urgent messages: the steps that are carried out until somebody answers, the bars that open pages ask for, and the board.

pub mod board;
pub mod pages;
pub mod steps;

use http::{StatusCode, header};
use sha2::{Digest, Sha256};

use crate::app::access::Member;
use crate::app::pages::Frame;
use crate::app::request::Request;
use crate::http::error::PageError;
use crate::http::reply::Reply;

/// `GET /urgent/bar`: the bars of the page that asks; with `?of=all` those of the list. 304 where they are as the page has them.
pub async fn bar(request: Request, member: Member) -> Result<Reply, PageError> {
    let mut frame = Frame::of(&member, &request);
    if request.query.get("of") == Some("all") {
        frame = frame.with_all_urgent(&member);
    }
    // It is a member's.
    let bars = frame.urgent_bars().ok_or(PageError::Panicked)?;
    let html = askama::Template::render(&bars).map_err(PageError::Template)?;
    // Of everything, the token included: a browser in which somebody else has signed in is told so.
    let hash = hex::encode(Sha256::digest(&html));
    let etag = format!("\"{}\"", hash.get(..32).unwrap_or(&hash));
    let known = request.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let reply = if known.is_some_and(|known| known.trim_start_matches("W/") == etag) {
        Reply::no_content().with_status(StatusCode::NOT_MODIFIED)
    } else {
        Reply::text("text/html; charset=utf-8", html)
    };
    Ok(reply.with(header::ETAG, &etag))
}
