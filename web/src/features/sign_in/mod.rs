//! Signing in and out: the sign-in page, the way to the identity provider and back, and the end of a session.

mod account_text;
pub mod attempt;
pub mod config;
pub mod error;
pub mod pages;
pub mod provider;
pub mod staff_list;
pub mod staff_rule;
pub mod transport;
pub mod unproven;
pub mod used;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, StatusCode, header};
use store::{EndReason, Identity, RefusedSignIn, SessionState, SignIn, Store, Timestamp, UnprovenSignIns};
use subtle::ConstantTimeEq;

use self::attempt::{Attempt, Sealer, safe_next};
pub use self::config::SignInConfig;
use self::error::SignInError;
use self::provider::{Provider, VerifiedAccount};
use self::staff_rule::{Account, StaffRule};
use self::unproven::Unproven;
use self::used::UsedAttempts;
use crate::app::access::Member;
use crate::app::pages::{Frame, Shown, SignInPage};
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::app::session_end;
use crate::features::sign_in::pages::RefusedPage;
use crate::http::cookies::Cookie;
use crate::http::error::PageError;
use crate::http::form::{self, Form};
use crate::http::public_url::PublicUrl;
use crate::http::reply::Reply;
use crate::metrics::labels::SignInEnd;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// How often it is looked whether the row of failed sign-ins is due.
const UNPROVEN_CHECK: Duration = Duration::from_secs(5);

/// What is kept between requests.
pub struct SignInState {
    /// The identity provider.
    pub provider: Provider,
    /// Which verified accounts are staff.
    pub staff: StaffRule,
    /// Seals the cookie of a sign-in on its way.
    pub sealer: Sealer,
    /// Sign-ins that have come back.
    pub used_attempts: UsedAttempts,
    /// Failed sign-ins that share a row.
    pub unproven: Unproven,
}

impl SignInState {
    /// An error where the provider's settings do not work together.
    pub fn build(config: SignInConfig, public_url: &PublicUrl) -> Result<Self, SignInError> {
        Ok(Self {
            provider: Provider::new(&config, public_url)?,
            sealer: Sealer::new(&config.app_secret, config.previous_app_secret.as_ref(), Timestamp::now()),
            staff: config.staff,
            used_attempts: UsedAttempts::default(),
            unproven: Unproven::default(),
        })
    }

    /// Writes the shared row of failed sign-ins whenever it is due; never ends.
    pub async fn write_unproven(&self, store: &Store) {
        let mut tick = tokio::time::interval(UNPROVEN_CHECK);
        loop {
            tick.tick().await;
            record(store, self.unproven.due(Instant::now())).await;
        }
    }

    /// Writes down what was only counted so far.
    pub async fn finish(&self, store: &Store) {
        record(store, self.unproven.rest()).await;
    }
}

async fn record(store: &Store, sum: Option<UnprovenSignIns>) {
    let Some(sum) = sum else { return };
    let failures = sum.failures;
    if let Err(error) = store.record_unproven_sign_ins(sum, Timestamp::now()).await {
        tracing::warn!(%error, failures, "failed sign-ins could not be written down");
    }
}

/// `GET /`: the sign-in page, with the reason why one was signed out; the messages for who is signed in.
pub async fn page(request: Request, _: ()) -> Result<Reply, PageError> {
    let ended = match request.session().await? {
        SessionState::Live(_) => return Ok(Reply::see_other("/messages")),
        SessionState::Ended(reason) => Some(reason),
        SessionState::Unknown => (request.query.get("ended") == Some("signed-out")).then_some(EndReason::SignedOut),
    };
    let next = next_of(&request, request.query.get("next"));
    let limits = request.site.session_limits;
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
pub async fn start(state: Arc<SignInState>, request: Request, _: ()) -> Result<Reply, PageError> {
    request.site.limits.sign_in_start(request.visitor.ip)?;
    let next = next_of(&request, request.query.get("next"));
    let authorization = match state.provider.authorization_request().await {
        Ok(authorization) => authorization,
        Err(error) => {
            request.site.metrics.sign_in(&error);
            return unavailable(&request, &error, &next);
        }
    };
    let attempt = Attempt {
        state: authorization.state,
        nonce: authorization.nonce,
        verifier: authorization.verifier,
        next,
        started_at: request.at.as_millis(),
    };
    let Some(sealed) = state.sealer.seal(&attempt) else {
        return unavailable(&request, &error::internal("no randomness"), &attempt.next);
    };
    let cookie = request.site.cookies.set(Cookie::SignIn, &sealed);
    Ok(Reply::see_other(&authorization.url).with(header::SET_COOKIE, &cookie))
}

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
fn held_attempt(state: &SignInState, request: &Request) -> Option<Attempt> {
    let attempt = state.sealer.open(request.cookie(Cookie::SignIn)?, request.at)?;
    let returned = request.query.text("state").as_bytes();
    let is_its_own = bool::from(attempt.state.as_bytes().ct_eq(returned));
    (is_its_own && state.used_attempts.first_use(&attempt.state)).then_some(attempt)
}

async fn prove(state: &SignInState, request: &Request, attempt: Attempt) -> Result<VerifiedAccount, SignInError> {
    match (request.query.get("code"), request.query.get("error")) {
        (Some(code), None) => state.provider.exchange_code(code.to_owned(), &attempt.nonce, attempt.verifier).await,
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

/// The provider is down, slow, or talks nonsense: the site is up, and says so.
fn unavailable(request: &Request, error: &SignInError, next: &str) -> Result<Reply, PageError> {
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
            "Signing in does not work because of a error on our side. Tell the person who runs Wardpost the reference below.",
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

struct Refusal {
    title: &'static str,
    explanation: String,
    email: Option<String>,
    next: String,
    /// The provider is at fault, so that emergency access may be the way in.
    emergency: bool,
}

fn refused(request: &Request, status: StatusCode, refusal: Refusal) -> Result<Reply, PageError> {
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

/// Where to go after sign-in.
fn next_of(request: &Request, asked: Option<&str>) -> String {
    safe_next(asked, |path| request.site.may_return_to(path))
}

fn start_url(next: &str) -> String {
    format!("/sign-in/start?{}", form::encode([("next", next)]))
}
