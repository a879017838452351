//! The page for somebody who was not signed in: why, and what to do next.

use std::time::Instant;

use http::{StatusCode, header};

use super::error::SignInError;
use super::pages::RefusedPage;
use super::start_url;
use crate::app::pages::{Frame, Shown};
use crate::app::request::Request;
use crate::http::cookies::Cookie;
use crate::http::error::PageError;
use crate::http::reply::Reply;

/// The provider is down, slow, or talks nonsense: the site is up, and says so.
pub(super) fn unavailable(request: &Request, error: &SignInError, next: &str) -> Result<Reply, PageError> {
    if request.site.log_throttle.allows(error.reason(), Instant::now()) {
        tracing::error!(request_id = %request.visitor.request_id, %error, "a sign-in failed");
    }
    let (status, explanation) = match error {
        SignInError::Unreachable(_) => (
            StatusCode::BAD_GATEWAY,
            "The sign-in service does not answer. Wardpost itself is up, and everybody who is signed in can go on. Try again in a minute.",
        ),
        SignInError::Nonsense(_) => (
            StatusCode::BAD_GATEWAY,
            "The sign-in service gave an answer that cannot be used. Try again in a minute; if it happens again, tell the person who runs Wardpost.",
        ),
        SignInError::Refused(_) | SignInError::Unproven(_) | SignInError::NoCode => (
            StatusCode::FORBIDDEN,
            "The answer of the sign-in service did not pass our checks, so nobody was signed in. Try again; if it happens again, tell the person who runs Wardpost.",
        ),
        SignInError::Internal(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Signing in does not work because of an error on our side. Tell the person who runs Wardpost the reference below.",
        ),
    };
    refused(
        request,
        status,
        Refusal {
            title: "Signing in did not work",
            explanation: explanation.to_owned(),
            email: None,
            next: next.to_owned(),
            emergency: matches!(error, SignInError::Unreachable(_) | SignInError::Nonsense(_)),
        },
    )
}

/// Why nobody was signed in, for the page.
pub(super) struct Refusal {
    pub(super) title: &'static str,
    pub(super) explanation: String,
    pub(super) email: Option<String>,
    pub(super) next: String,
    /// The provider is at fault, so that emergency access may be the way in.
    pub(super) emergency: bool,
}

pub(super) fn refused(request: &Request, status: StatusCode, refusal: Refusal) -> Result<Reply, PageError> {
    let reply = Reply::page(&RefusedPage {
        frame: Frame::signed_out(&request.site.assets),
        again_label: if refusal.email.is_some() { "Use another account" } else { "Try again" },
        emergency: refusal.emergency,
        email: refusal.email.map(Shown::from),
        title: refusal.title.to_owned(),
        explanation: refusal.explanation,
        start_url: start_url(&refusal.next),
        request_id: request.visitor.request_id.to_string(),
    })?;
    Ok(reply.with_status(status).with(header::SET_COOKIE, &request.site.cookies.clear(Cookie::SignIn)))
}
