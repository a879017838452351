//! Emergency access: the page that takes a one-time code, and the session it starts.
//!
//! The link that an operator hands out carries the code behind a `#`: browsers keep that part to themselves, so that it
//! stands in no log of ours or of the edge, and anyone who only fetches the link, such as a scanner of mails, uses nothing up.
//! The page's script puts it into the form; without a script it is pasted or typed. A button sends it.

pub mod alarm;
pub mod pages;

use std::time::Instant;

use http::{StatusCode, header};
use store::{EmergencyCode, EmergencyUse};

use crate::app::access::{FormToken, PreSessionToken};
use crate::app::pages::Frame;
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::features::emergency::pages::EmergencyPage;
use crate::http::cookies::Cookie;
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;
use crate::metrics::labels::SignInEnd;

/// Where it is.
pub const PATH: &str = "/emergency-access";

/// One text for every code that lets nobody in: which of the reasons it is, the audit log tells.
const REFUSED: &str = "This code is mistyped, was used already, is older than ten minutes, or was taken back. Ask the person who runs Wardpost for another.";

/// `GET /emergency-access`: changes nothing.
pub async fn page(request: Request, _: ()) -> Result<Reply, PageError> {
    // For the banner of somebody who is in already.
    request.session().await?;
    let (token, is_new) = PreSessionToken::open(&request);
    let reply = show(&request, &token, None)?;
    Ok(if is_new {
        reply.with(header::SET_COOKIE, &request.site.cookies.set(Cookie::PreSession, token.form_token()))
    } else {
        reply
    })
}

/// `POST /emergency-access`: the code becomes a session.
pub async fn enter(request: Request, token: PreSessionToken, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
    request.site.limits.sign_in_callback(request.visitor.ip)?;
    let form = form.into_inner();
    let used = match EmergencyCode::parse(form.text("code")) {
        Some(code) => {
            let store = &request.site.store;
            store.use_emergency_code(code, request.session_token(), request.client(), request.at).await?
        }
        None => EmergencyUse::Refused("mistyped"),
    };
    match used {
        EmergencyUse::SignedIn { token, .. } => {
            request.site.metrics.sign_in(SignInEnd::SignedInByEmergency);
            let cookies = request.site.cookies;
            Ok(Reply::see_other("/messages")
                .with(header::SET_COOKIE, &cookies.set(Cookie::Session, &token.reveal()))
                .with(header::SET_COOKIE, &cookies.clear(Cookie::PreSession)))
        }
        EmergencyUse::Refused(reason) => {
            request.site.metrics.sign_in(SignInEnd::EmergencyCode);
            let (request_id, ip) = (&request.visitor.request_id, request.visitor.ip);
            if request.site.log_throttle.allows("emergency_code", Instant::now()) {
                tracing::warn!(%request_id, %ip, reason, "a code for emergency access was refused");
            }
            Ok(show(&request, &token, Some(REFUSED))?.with_status(StatusCode::FORBIDDEN))
        }
    }
}

fn show(request: &Request, token: &PreSessionToken, refused: Option<&'static str>) -> Result<Reply, PageError> {
    Reply::page(&EmergencyPage {
        frame: Frame::signed_out(&request.site.assets).under_emergency(request.emergency.get().copied()),
        token: token.form_token().to_owned(),
        refused,
    })
}
