//! Signing in and out: the sign-in page, the way to the identity provider and back, and the end of a session.

mod account_text;
pub mod attempt;
mod callback;
pub mod config;
pub mod error;
pub mod pages;
pub mod provider;
mod refusal;
pub mod staff_list;
pub mod staff_rule;
pub mod transport;
pub mod unproven;
pub mod used;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, header};
use store::{EndReason, SessionState, Store, Timestamp, UnprovenSignIns};

use self::attempt::{Attempt, Sealer, safe_next};
pub use self::callback::callback;
pub use self::config::SignInConfig;
use self::error::SignInError;
use self::provider::Provider;
use self::refusal::unavailable;
use self::staff_rule::StaffRule;
use self::unproven::Unproven;
use self::used::UsedAttempts;
use crate::app::access::Member;
use crate::app::pages::{Frame, SignInPage};
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::app::session_end;
use crate::http::cookies::Cookie;
use crate::http::error::PageError;
use crate::http::form::{self, Form};
use crate::http::public_url::PublicUrl;
use crate::http::reply::Reply;

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
    /// What begins at `now`. An error where the provider's settings do not work together.
    pub fn build(config: SignInConfig, public_url: &PublicUrl, now: Timestamp) -> Result<Self, SignInError> {
        Ok(Self {
            provider: Provider::new(&config, public_url)?,
            sealer: Sealer::new(&config.app_secret, config.previous_app_secret.as_ref(), now),
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
    if let Err(error) = store.record_unproven_sign_ins(sum, store.now()).await {
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
    let Some(sealed) = state.sealer.seal(&attempt, request.site.store.random()) else {
        return unavailable(&request, &error::internal("the attempt cannot be sealed"), &attempt.next);
    };
    let cookie = request.site.cookies.set(Cookie::SignIn, &sealed);
    Ok(Reply::see_other(&authorization.url).with(header::SET_COOKIE, &cookie))
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

/// Where to go after sign-in.
fn next_of(request: &Request, asked: Option<&str>) -> String {
    safe_next(asked, |path| request.site.may_return_to(path))
}

fn start_url(next: &str) -> String {
    format!("/sign-in/start?{}", form::encode([("next", next)]))
}
