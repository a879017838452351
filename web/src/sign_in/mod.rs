//! Signing in and out: the sign-in page, the way to the identity provider and back, and the end of a session.

mod account_text;
pub mod attempt;
pub mod fault;
pub mod provider;
pub mod session_end;
pub mod staff_list;
pub mod staff_rule;
pub mod transport;
pub mod unproven;
pub mod used;

use std::time::Instant;

use http::{HeaderName, StatusCode, header};
use store::{EndReason, Identity, RefusedSignIn, SessionState, SignIn};
use subtle::ConstantTimeEq;

use self::attempt::{Attempt, safe_next};
use self::fault::SignInFault;
use self::provider::VerifiedAccount;
use self::staff_rule::Account;
use crate::access::Member;
use crate::cookies::Cookie;
use crate::form::{self, Form};
use crate::metrics::labels::SignInEnd;
use crate::page_error::PageError;
use crate::pages::{Frame, RefusedPage, Shown, SignInPage};
use crate::reply::Reply;
use crate::request::Request;
use crate::route::CsrfChecked;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// `GET /`: the sign-in page, with the reason why one was signed out; the messages for who is signed in.
pub async fn page(request: Request, _: ()) -> Result<Reply, PageError> {
    let ended = match request.session().await? {
        SessionState::Live(_) => return Ok(Reply::see_other("/messages")),
        SessionState::Ended(reason) => Some(reason),
        SessionState::Unknown => (request.query.get("ended") == Some("signed-out")).then_some(EndReason::SignedOut),
    };
    let next = safe_next(request.query.get("next"));
    let limits = request.site.config.session_limits;
    let reply = Reply::page(&SignInPage {
        frame: Frame::signed_out(&request.site.assets),
        start_url: start_url(&next),
        ended: ended.map(|reason| session_end::sentence(Some(reason), limits).into_owned()),
        other_tabs: session_end::in_other_tabs(ended, limits).into_owned(),
        kept_draft: false,
    })?;
    Ok(if request.cookie(Cookie::Session).is_some() {
        reply.with(header::SET_COOKIE, &request.site.cookies.clear(Cookie::Session))
    } else {
        reply
    })
}

/// `GET /sign-in/start`: off to the identity provider, with a sealed cookie that the callback is held against.
pub async fn start(request: Request, _: ()) -> Result<Reply, PageError> {
    request.site.limits.sign_in_start(request.visitor.ip)?;
    let next = safe_next(request.query.get("next"));
    let departure = match request.site.provider.depart().await {
        Ok(departure) => departure,
        Err(fault) => {
            request.site.metrics.sign_in(&fault);
            return unavailable(&request, &fault, &next);
        }
    };
    let attempt = Attempt {
        state: departure.state,
        nonce: departure.nonce,
        verifier: departure.verifier,
        next,
        started_at: request.at.as_millis(),
    };
    let Some(sealed) = request.site.sealer.seal(&attempt) else {
        return unavailable(&request, &fault::internal("no randomness"), &attempt.next);
    };
    let cookie = request.site.cookies.set(Cookie::SignIn, &sealed);
    Ok(Reply::see_other(&departure.url).with(header::SET_COOKIE, &cookie))
}

/// `GET /sign-in/callback`: back from the identity provider.
pub async fn callback(request: Request, _: ()) -> Result<Reply, PageError> {
    // The browser keeps its attempt: a callback that comes too soon can be loaded again.
    request.site.limits.sign_in_callback(request.visitor.ip)?;
    let metrics = &request.site.metrics;
    let Some(attempt) = held_attempt(&request) else {
        metrics.sign_in(SignInEnd::Stray);
        // Anybody can call this address, so a call that no sign-in of this browser explains is worth a log line,
        // not a row in a log that is kept for ever.
        if request.site.repeated.is_news("stray_callback", Instant::now()) {
            tracing::warn!(request_id = %request.visitor.request_id, ip = %request.visitor.ip, "a sign-in callback belongs to no sign-in of its browser");
        }
        return refused(&request, StatusCode::BAD_REQUEST, Refusal {
            title: "This sign-in took too long, or began elsewhere",
            explanation: "It may have been started in another tab or more than ten minutes ago, or it has come back before. Nothing is wrong with your account: sign in again.".to_owned(),
            email: None,
            next: "/messages".to_owned(),
        });
    };
    let next = safe_next(Some(&attempt.next));
    let account = match prove(&request, attempt).await {
        Ok(account) => account,
        Err(fault) => return failed(&request, &fault, &next).await,
    };
    let rule = Account {
        issuer: &account.issuer,
        email: &account.email,
        email_verified: account.email_verified,
        hosted_domain: account.hosted_domain.as_deref(),
    };
    if let Err(not_staff) = request.site.config.sign_in.staff.check(&rule) {
        return denied(&request, account, not_staff.reason(), not_staff.to_string(), next).await;
    }
    let email = account.email.clone();
    let signed_in =
        request.site.store.sign_in(identity(account), request.session_token(), request.client(), request.at).await?;
    match signed_in {
        SignIn::SignedIn { token, session } => {
            metrics.sign_in(SignInEnd::SignedIn);
            let draft = request.site.store.draft(session.person).await?;
            let landing = match (next.as_str(), draft) {
                ("/messages", Some(_)) => "/messages?notice=draft",
                _ => next.as_str(),
            };
            Ok(Reply::see_other(landing)
                .with(header::SET_COOKIE, &request.site.cookies.set(Cookie::Session, &token.reveal()))
                .with(header::SET_COOKIE, &request.site.cookies.clear(Cookie::SignIn)))
        }
        SignIn::Disabled => {
            metrics.sign_in(SignInEnd::Disabled);
            refused(&request, StatusCode::FORBIDDEN, Refusal {
                title: "This account is switched off",
                explanation: "Somebody at your clinic has switched it off here. Ask the person who runs Wardpost if that is a mistake.".to_owned(),
                email: Some(email),
                next,
            })
        }
    }
}

/// `POST /sign-out`
pub async fn sign_out(request: Request, member: Member, _: CsrfChecked<Form>) -> Result<Reply, PageError> {
    request.site.store.sign_out(member.actor(), request.at).await?;
    // What the browser has kept of pages goes too. Not "cookies", which are also those of the domain's other sites, and not
    // "storage", where nothing is but whether this browser's single keys are off.
    Ok(Reply::see_other("/?ended=signed-out")
        .with(header::SET_COOKIE, &request.site.cookies.clear(Cookie::Session))
        .with(CLEAR_SITE_DATA, r#""cache""#))
}

/// The attempt in this browser's cookie, when the callback carries its state, and is the first that does.
fn held_attempt(request: &Request) -> Option<Attempt> {
    let attempt = request.site.sealer.open(request.cookie(Cookie::SignIn)?, request.at)?;
    let state = request.query.text("state").as_bytes();
    let is_its_own = bool::from(attempt.state.as_bytes().ct_eq(state));
    (is_its_own && request.site.used_attempts.first_use(&attempt.state)).then_some(attempt)
}

async fn prove(request: &Request, attempt: Attempt) -> Result<VerifiedAccount, SignInFault> {
    match (request.query.get("code"), request.query.get("error")) {
        (Some(code), None) => {
            let provider = &request.site.provider;
            provider.arrive(code.to_owned(), &attempt.nonce, attempt.verifier).await
        }
        (_, Some("access_denied")) => Err(SignInFault::Refused("access_denied")),
        (_, Some(_)) => Err(SignInFault::Refused("authorization_refused")),
        (None, None) => Err(SignInFault::NoCode),
    }
}

fn identity(account: VerifiedAccount) -> Identity {
    Identity { issuer: account.issuer, subject: account.subject, email: account.email, name: account.name }
}

async fn denied(
    request: &Request,
    account: VerifiedAccount,
    reason: &'static str,
    explanation: String,
    next: String,
) -> Result<Reply, PageError> {
    request.site.metrics.sign_in(SignInEnd::NotStaff);
    let email = account.email.clone();
    let refusal = RefusedSignIn { verified_account: Some(identity(account)), reason, ip: request.visitor.ip };
    request.site.store.record_refused_sign_in(refusal, request.at).await?;
    refused(
        request,
        StatusCode::FORBIDDEN,
        Refusal { title: "This account cannot sign in here", explanation, email: Some(email), next },
    )
}

async fn failed(request: &Request, fault: &SignInFault, next: &str) -> Result<Reply, PageError> {
    request.site.metrics.sign_in(fault);
    let (site, ip) = (&request.site, request.visitor.ip);
    if fault.began_at_provider() {
        let refusal = RefusedSignIn { verified_account: None, reason: fault.reason(), ip };
        site.store.record_refused_sign_in(refusal, request.at).await?;
    } else if let Some(sum) = site.unproven.failed(fault.reason(), ip, Instant::now()) {
        site.store.record_unproven_sign_ins(sum, request.at).await?;
    }
    match fault {
        SignInFault::Refused("access_denied") => refused(
            request,
            StatusCode::FORBIDDEN,
            Refusal {
                title: "You stopped the sign-in",
                explanation: "Nothing has happened. Sign in when you are ready.".to_owned(),
                email: None,
                next: next.to_owned(),
            },
        ),
        fault => unavailable(request, fault, next),
    }
}

/// The provider is down, slow, or talks nonsense: the site is up, and says so.
fn unavailable(request: &Request, fault: &SignInFault, next: &str) -> Result<Reply, PageError> {
    if request.site.repeated.is_news(fault.reason(), Instant::now()) {
        tracing::error!(request_id = %request.visitor.request_id, %fault, "a sign-in failed");
    }
    let (status, explanation) = match fault {
        SignInFault::Unreachable(_) => (
            StatusCode::BAD_GATEWAY,
            "The sign-in service does not answer. Wardpost itself is up, and whoever is signed in can go on. Try again in a minute.",
        ),
        SignInFault::Nonsense(_) => (
            StatusCode::BAD_GATEWAY,
            "The sign-in service gave an answer that cannot be used. Try again in a minute; if it happens again, tell the person who runs Wardpost.",
        ),
        SignInFault::Refused(_) | SignInFault::Unproven(_) | SignInFault::NoCode => (
            StatusCode::FORBIDDEN,
            "The answer of the sign-in service did not pass our checks, so nobody was signed in. Try again; if it happens again, tell the person who runs Wardpost.",
        ),
        SignInFault::Internal(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Signing in does not work because of a fault on our side. Tell the person who runs Wardpost the reference below.",
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
        },
    )
}

struct Refusal {
    title: &'static str,
    explanation: String,
    email: Option<String>,
    next: String,
}

fn refused(request: &Request, status: StatusCode, refusal: Refusal) -> Result<Reply, PageError> {
    let reply = Reply::page(&RefusedPage {
        frame: Frame::signed_out(&request.site.assets),
        email: refusal.email.map(Shown::from),
        title: refusal.title.to_owned(),
        explanation: refusal.explanation,
        start_url: start_url(&refusal.next),
        request_id: request.visitor.request_id.to_string(),
    })?;
    Ok(reply.with_status(status).with(header::SET_COOKIE, &request.site.cookies.clear(Cookie::SignIn)))
}

fn start_url(next: &str) -> String {
    format!("/sign-in/start?{}", form::encode([("next", next)]))
}
