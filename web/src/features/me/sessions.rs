//! Where a member is signed in; and ending what she does not want to be any more.

use http::header;
use store::{EndedOne, OwnSession, SessionId};

use super::device;
use crate::app::access::Member;
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::features::me::pages::SessionView;
use crate::http::cookies::Cookie;
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;

/// This session first, then the others, the last active first.
pub(super) async fn of(request: &Request, member: &Member) -> Result<Vec<SessionView>, PageError> {
    let limits = request.site.session_limits;
    let mut sessions = request.site.store.own_sessions(member.actor().person, limits, request.at).await?;
    sessions.sort_by_key(|session| session.id != member.actor().session);
    Ok(sessions.into_iter().map(|session| view(session, request, member)).collect())
}

/// `POST /me/sessions/{}/end`: one session. Ending the one that asks is signing out.
pub async fn end(request: Request, member: Member, _: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let session: SessionId = request.id().ok_or(PageError::NotFound)?;
    let (store, actor) = (&request.site.store, member.actor());
    if session == actor.session {
        store.sign_out(actor, request.at).await?;
        return Ok(Reply::see_other("/?ended=signed-out")
            .with(header::SET_COOKIE, &request.site.cookies.clear(Cookie::Session)));
    }
    match store.end_own_session(actor, session, request.at).await? {
        EndedOne::Ended => Ok(Reply::see_other("/me?notice=ended")),
        EndedOne::Already => Ok(Reply::see_other("/me?notice=already")),
        EndedOne::Unknown => Err(PageError::NotFound),
    }
}

/// `POST /me/sessions/end-others`: all but the one that asks.
pub async fn end_others(request: Request, member: Member, _: CsrfChecked<Form>) -> Result<Reply, PageError> {
    request.site.store.end_other_sessions(member.actor(), request.at).await?;
    Ok(Reply::see_other("/me?notice=others"))
}

fn view(session: OwnSession, request: &Request, member: &Member) -> SessionView {
    let limits = request.site.session_limits;
    let this = session.id == member.actor().session;
    // This page is activity; it is written down only now and then.
    let last_active_at = if this { request.at } else { session.last_active_at };
    let absolute_end = session.started_at.plus(limits.absolute);
    let latest = session.emergency_until.map_or(absolute_end, |until| until.min(absolute_end));
    let ends_at = last_active_at.plus(limits.idle).min(latest);
    SessionView {
        id: session.id.get(),
        this,
        device: device::in_words(session.user_agent.as_deref().unwrap_or("")),
        ip: session.ip.unwrap_or_else(|| "not known".to_owned()).into(),
        started: session.started_at.into(),
        last_active: last_active_at.into(),
        ends: ends_at.into(),
    }
}

/// What has just been done to one.
pub(super) fn notice(code: Option<&str>) -> Option<&'static str> {
    match code? {
        "ended" => Some("That session has ended."),
        "already" => Some("That session had ended already."),
        "others" => Some("All your other sessions have ended."),
        _ => None,
    }
}
