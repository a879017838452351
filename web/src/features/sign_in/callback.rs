//! The way back from the identity provider: which account it is, whether it is staff, and the session that begins.

use std::sync::Arc;
use std::time::Instant;

use http::{StatusCode, header};
use store::{Identity, RefusedSignIn, SignIn};
use subtle::ConstantTimeEq;

use super::attempt::Attempt;
use super::error::SignInError;
use super::provider::VerifiedAccount;
use super::refusal::{Refusal, refused, unavailable};
use super::staff_rule::Account;
use super::{SignInState, next_of};
use crate::app::request::Request;
use crate::http::cookies::Cookie;
use crate::http::error::PageError;
use crate::http::reply::Reply;
use crate::metrics::labels::SignInEnd;

/// `GET /sign-in/callback`: back from the identity provider.
pub async fn callback(state: Arc<SignInState>, request: Request, _: ()) -> Result<Reply, PageError> {
    // The browser keeps its attempt: a callback that comes too soon can be loaded again.
    request.site.limits.sign_in_callback(request.visitor.ip)?;
    let metrics = &request.site.metrics;
    let Some(attempt) = held_attempt(&state, &request) else {
        metrics.sign_in(SignInEnd::Stray);
        // Anybody can call this address, so a call that no sign-in of this browser explains is worth a log line,
        // not a row in a log that is kept forever.
        if request.site.log_throttle.allows("stray_callback", Instant::now()) {
            tracing::warn!(request_id = %request.visitor.request_id, ip = %request.visitor.ip, "a sign-in callback belongs to no sign-in of its browser");
        }
        return refused(&request, StatusCode::BAD_REQUEST, Refusal {
            title: "This sign-in took too long, or began elsewhere",
            explanation: "It may have been started in another tab or more than ten minutes ago, or it has come back before. Nothing is wrong with your account: sign in again.".to_owned(),
            email: None,
            next: "/messages".to_owned(),
            emergency: false,
        });
    };
    let next = next_of(&request, Some(&attempt.next));
    let account = match prove(&state, &request, attempt).await {
        Ok(account) => account,
        Err(error) => return failed(&state, &request, &error, &next).await,
    };
    let rule = Account {
        issuer: &account.issuer,
        email: &account.email,
        email_verified: account.email_verified,
        hosted_domain: account.hosted_domain.as_deref(),
    };
    if let Err(not_staff) = state.staff.check(&rule) {
        return denied(&request, account, not_staff.reason(), not_staff.to_string(), next).await;
    }
    let email = account.email.clone();
    let signed_in =
        request.site.store.sign_in(identity(account), request.session_token(), request.client(), request.at).await?;
    match signed_in {
        SignIn::SignedIn { token, session } => {
            metrics.sign_in(SignInEnd::SignedIn);
            let draft = request.site.store.draft(session.person, None).await?;
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
                emergency: false,
            })
        }
    }
}

/// The attempt in this browser's cookie, when the callback carries its state, and is the first that does.
fn held_attempt(state: &SignInState, request: &Request) -> Option<Attempt> {
    let attempt = state.sealer.open(request.cookie(Cookie::SignIn)?, request.at)?;
    let returned = request.query.text("state").as_bytes();
    let is_its_own = bool::from(attempt.state.as_bytes().ct_eq(returned));
    (is_its_own && state.used_attempts.first_use(&attempt.state)).then_some(attempt)
}

async fn prove(state: &SignInState, request: &Request, attempt: Attempt) -> Result<VerifiedAccount, SignInError> {
    match (request.query.get("code"), request.query.get("error")) {
        (Some(code), None) => {
            state.provider.exchange_code(code.to_owned(), &attempt.nonce, attempt.verifier, request.at).await
        }
        (_, Some("access_denied")) => Err(SignInError::Refused("access_denied")),
        (_, Some(_)) => Err(SignInError::Refused("authorization_refused")),
        (None, None) => Err(SignInError::NoCode),
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
        Refusal { title: "This account cannot sign in here", explanation, email: Some(email), next, emergency: false },
    )
}

async fn failed(state: &SignInState, request: &Request, error: &SignInError, next: &str) -> Result<Reply, PageError> {
    request.site.metrics.sign_in(error);
    let (site, ip) = (&request.site, request.visitor.ip);
    if error.began_at_provider() {
        let refusal = RefusedSignIn { verified_account: None, reason: error.reason(), ip };
        site.store.record_refused_sign_in(refusal, request.at).await?;
    } else if let Some(sum) = state.unproven.failed(error.reason(), ip, Instant::now()) {
        site.store.record_unproven_sign_ins(sum, request.at).await?;
    }
    match error {
        SignInError::Refused("access_denied") => refused(
            request,
            StatusCode::FORBIDDEN,
            Refusal {
                title: "Sign-in cancelled.",
                explanation: "Nothing has happened. Sign in when you are ready.".to_owned(),
                email: None,
                next: next.to_owned(),
                emergency: false,
            },
        ),
        error => unavailable(request, error, next),
    }
}
