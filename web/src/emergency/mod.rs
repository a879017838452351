//! Emergency access: the page that takes a one-time code, and the session it starts.
//!
//! The link that an operator hands out carries the code behind a `#`: browsers keep that part to themselves, so that it
//! stands in no log of ours or of the edge, and whoever only fetches the link, such as a scanner of mails, uses nothing up.
//! The page's script puts it into the form; without a script it is pasted or typed. A button sends it.

pub mod alarm;

use std::time::Instant;

use http::{StatusCode, header};
use store::{EmergencyCode, EmergencyUse};

use crate::access::{Door, FormToken};
use crate::cookies::Cookie;
use crate::form::Form;
use crate::metrics::labels::SignInEnd;
use crate::page_error::PageError;
use crate::pages::{EmergencyPage, Frame};
use crate::reply::Reply;
use crate::request::Request;
use crate::route::CsrfChecked;

/// Where it is.
pub const PATH: &str = "/emergency-access";

/// One text for every code that lets nobody in: which of the reasons it is, the audit log tells.
const REFUSED: &str = "This code is mistyped, was used already, is older than ten minutes, or was taken back. Ask the person who runs Wardpost for another.";

/// `GET /emergency-access`: changes nothing.
pub async fn page(request: Request, _: ()) -> Result<Reply, PageError> {
    // For the banner of somebody who is in already.
    request.session().await?;
    let (door, is_new) = Door::open(&request)?;
    let reply = show(&request, &door, None)?;
    Ok(if is_new {
        reply.with(header::SET_COOKIE, &request.site.cookies.set(Cookie::Door, door.form_token()))
    } else {
        reply
    })
}

/// `POST /emergency-access`: the code becomes a session.
pub async fn enter(request: Request, door: Door, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
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
                .with(header::SET_COOKIE, &cookies.clear(Cookie::Door)))
        }
        EmergencyUse::Refused(reason) => {
            request.site.metrics.sign_in(SignInEnd::EmergencyCode);
            let (request_id, ip) = (&request.visitor.request_id, request.visitor.ip);
            if request.site.repeated.is_news("emergency_code", Instant::now()) {
                tracing::warn!(%request_id, %ip, reason, "a code for emergency access was refused");
            }
            Ok(show(&request, &door, Some(REFUSED))?.with_status(StatusCode::FORBIDDEN))
        }
    }
}

fn show(request: &Request, door: &Door, refused: Option<&'static str>) -> Result<Reply, PageError> {
    Reply::page(&EmergencyPage {
        frame: Frame::signed_out(&request.site.assets).under_emergency(request.emergency.get().copied()),
        token: door.form_token().to_owned(),
        refused,
    })
}
