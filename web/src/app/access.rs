//! Who may use a route. A route names one of these; what it proves reaches the handler as a value, so that no
//! handler can forget to ask.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use store::{Actor, Draft, EndReason, PersonId, Seen, Session, SessionState, TemplateDraft, Timestamp};
use tokio::time::timeout;

use crate::app::duty_overview::ForMember;
use crate::app::request::Request;
use crate::http::cookies::Cookie;
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::limits::Turn;

/// A session's last activity is written down at most this often: a restart may end an idle session this much early.
const TOUCH_INTERVAL: Duration = Duration::from_secs(15);
/// Nobody waits longer than this for it: while another program holds the database, reading goes on.
const TOUCH_WAIT: Duration = Duration::from_millis(500);

/// A rule about who may use a route.
pub trait Access: Copy + Send + Sync + 'static {
    /// What a handler gets when the rule holds.
    type Proof: Send;
    /// As the route table and its test name it.
    const NAME: &'static str;
    /// Lets the request in, or says why not. `unsent` is there for rows that keep what was typed; its form is not yet checked
    /// for its CSRF token.
    fn admit(
        self,
        request: &Request,
        unsent: Option<Unsent<'_>>,
    ) -> impl Future<Output = Result<Self::Proof, PageError>> + Send;
}

/// Finds in a form what its author must not lose; None where there is nothing.
#[derive(Clone, Copy)]
pub enum Keep {
    /// A message.
    Message(KeepMessage),
    /// The rows of a template.
    Rows(KeepRows),
}

/// See [`Keep::Message`]; with it, which draft the form's page has seen.
pub type KeepMessage = fn(&Form, Timestamp) -> Option<(Draft, Seen)>;
/// See [`Keep::Rows`].
pub type KeepRows = fn(&Form, Timestamp) -> Option<(TemplateDraft, Seen)>;

/// A form whose text is kept if the session has just ended.
#[derive(Clone, Copy)]
pub struct Unsent<'f> {
    /// What was sent.
    pub form: &'f Form,
    /// How the row finds the text in it.
    pub keep: Keep,
}

/// Everybody, signed in or not.
#[derive(Clone, Copy)]
pub struct Anyone;

/// A signed-in member of staff; using the route counts as activity.
#[derive(Clone, Copy)]
pub struct SignedIn;

/// A signed-in member of staff whose browser asks by itself: no activity, and no page to say no with.
#[derive(Clone, Copy)]
pub struct PassiveSession;

/// Somebody without a session whose browser has opened one of our forms before: the few forms that are sent signed out.
/// The form carries what the browser's cookie holds, which no page of another site can read, set or guess.
#[derive(Clone, Copy)]
pub struct PreSession;

/// What a browser that opened one of our forms signed out holds.
pub struct PreSessionToken(String);

impl PreSessionToken {
    /// The one that the browser holds, or a new one and true: then it has to be told.
    pub fn open(request: &Request) -> (Self, bool) {
        if let Some(token) = Self::held(request) {
            return (token, false);
        }
        let mut bytes = [0; 32];
        request.site.store.random().fill(&mut bytes);
        (Self(hex::encode(bytes)), true)
    }

    fn held(request: &Request) -> Option<Self> {
        let token = request.cookie(Cookie::PreSession)?;
        let ours = token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        ours.then(|| Self(token.to_owned()))
    }
}

/// What a form's token must be. Every proof that a POST row can rest on has one.
pub trait FormToken {
    /// 64 hex characters that only this browser's forms carry.
    fn form_token(&self) -> &str;
}

impl FormToken for Member {
    fn form_token(&self) -> &str {
        &self.session.csrf_token
    }
}

impl FormToken for PreSessionToken {
    fn form_token(&self) -> &str {
        &self.0
    }
}

impl Access for PreSession {
    type Proof = PreSessionToken;
    const NAME: &'static str = "pre-session";

    async fn admit(self, request: &Request, _unsent: Option<Unsent<'_>>) -> Result<PreSessionToken, PageError> {
        PreSessionToken::held(request).ok_or(PageError::StaleForm)
    }
}

/// A member of staff with a live session.
#[derive(Clone)]
pub struct Member {
    session: Session,
    actor: Actor,
    duties: Arc<ForMember>,
    /// One of the few that she may have under way at once, for as long as a handler has this.
    _turn: Arc<Turn<PersonId>>,
}

impl Member {
    async fn new(session: Session, request: &Request) -> Result<Self, PageError> {
        let site = &request.site;
        let turn = site.limits.begin_request(session.person)?;
        let actor = Actor { person: session.person, session: session.id, ip: request.visitor.ip };
        let duties = site.duties.of(&site.store, session.person).await?;
        Ok(Self { session, actor, duties, _turn: Arc::new(turn) })
    }

    /// Who acts, for the store.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// The same with its last activity at `at`, after that was written down.
    pub fn active_at(mut self, at: Timestamp) -> Self {
        self.session.last_active_at = at;
        self
    }

    /// What is urgent and what is for the member.
    pub fn duties(&self) -> &Arc<ForMember> {
        &self.duties
    }

    /// The session behind it.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

impl Access for Anyone {
    type Proof = ();
    const NAME: &'static str = "anyone";

    async fn admit(self, _request: &Request, _unsent: Option<Unsent<'_>>) -> Result<(), PageError> {
        Ok(())
    }
}

impl Access for SignedIn {
    type Proof = Member;
    const NAME: &'static str = "signed in";

    async fn admit(self, request: &Request, unsent: Option<Unsent<'_>>) -> Result<Member, PageError> {
        match request.session().await? {
            SessionState::Live(session) => {
                let mut member = Member::new(session, request).await?;
                touch(&mut member, request.at, request).await;
                request.session.set(&member.session, &member.duties);
                Ok(member)
            }
            SessionState::Ended(reason) => {
                Err(PageError::SignedOut { kept_draft: keep_draft(request, unsent, reason).await, ended: Some(reason) })
            }
            SessionState::Unknown => Err(PageError::SignedOut { kept_draft: false, ended: None }),
        }
    }
}

impl Access for PassiveSession {
    type Proof = Member;
    const NAME: &'static str = "passive session";

    async fn admit(self, request: &Request, _unsent: Option<Unsent<'_>>) -> Result<Member, PageError> {
        match request.session().await? {
            SessionState::Live(session) => Member::new(session, request).await,
            SessionState::Ended(reason) => Err(PageError::NoSession { ended: Some(reason) }),
            SessionState::Unknown => Err(PageError::NoSession { ended: None }),
        }
    }
}

/// Activity that could not be written down ends the session early at worst: the request itself goes on.
async fn touch(member: &mut Member, at: Timestamp, request: &Request) {
    if at.since(member.session.last_active_at) < TOUCH_INTERVAL {
        return;
    }
    match timeout(TOUCH_WAIT, request.site.store.touch_session(member.session.id, at)).await {
        Ok(Ok(())) => member.session.last_active_at = at,
        Ok(Err(error)) => tracing::warn!(%error, "could not write down that a session is in use"),
        // It stays in the queue, and is written down once it is its turn.
        Err(_) => tracing::debug!("that a session is in use is written down late"),
    }
}

/// What somebody typed while the session ran out is hers: it becomes her draft, and waits for her sign-in.
async fn keep_draft(request: &Request, unsent: Option<Unsent<'_>>, reason: EndReason) -> bool {
    let (Some(Unsent { form, keep }), Some(token)) = (unsent, request.session_token()) else {
        return false;
    };
    if !reason.is_time_limit() {
        return false;
    }
    let (limits, ip) = (request.site.session_limits, request.visitor.ip);
    let store = &request.site.store;
    let kept = match keep {
        Keep::Message(find) => match find(form, request.at) {
            Some((draft, seen)) => store.save_draft_of_ended_session(&token, ip, limits, draft, seen).await,
            None => return false,
        },
        Keep::Rows(find) => match find(form, request.at) {
            Some((draft, seen)) => store.save_template_draft_of_ended_session(&token, ip, limits, draft, seen).await,
            None => return false,
        },
    };
    match kept {
        Ok(kept) => kept,
        Err(error) => {
            tracing::error!(%error, request_id = %request.visitor.request_id, "could not keep the draft of an ended session");
            false
        }
    }
}
