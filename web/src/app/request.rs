//! What a handler is given of a request, and the cookies it came with.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::{HeaderMap, Method, header};
use store::{Client, Session, SessionState, SessionToken, StoreError, Timestamp};

use crate::app::duty_overview::ForMember;
use crate::app::site::Site;
use crate::http::cookies::Cookie;
use crate::http::form::Form;
use crate::limits::TooMany;
use crate::metrics::MatchedRoute;

/// Who knocks: put into the request's extensions by the server before routing.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The browser's address, as far as trusted proxies tell.
    pub ip: IpAddr,
    /// Names this request in the log and on error pages.
    pub request_id: Arc<str>,
    /// The row of the table that has taken it.
    pub route: MatchedRoute,
}

/// A live session, and what there is for its member.
type Known = (Session, Arc<ForMember>);

/// The live session of a request and what there is for its member, as far as it is known.
#[derive(Clone, Default)]
pub struct KnownSession(Arc<Mutex<Option<Known>>>);

impl KnownSession {
    /// It is this one; the newest word counts.
    pub fn set(&self, session: &Session, duties: &Arc<ForMember>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((session.clone(), Arc::clone(duties)));
    }

    /// What is known.
    pub fn get(&self) -> Option<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One request, as handlers see it.
pub struct Request {
    /// The site that answers.
    pub site: Arc<Site>,
    /// Who knocks.
    pub visitor: Visitor,
    /// GET (HEAD arrives as GET) or POST.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The text that stands where the route's pattern has a `{}`; empty when there is none.
    pub path_argument: String,
    /// The decoded query string.
    pub query: Form,
    /// All headers.
    pub headers: HeaderMap,
    /// When it arrived.
    pub at: Timestamp,
    /// Until when the session may last, once it was looked up and found to be an emergency access: error pages say it too.
    pub emergency: Arc<OnceLock<Timestamp>>,
    /// The session, once it was looked up and found to live: error pages keep its navigation.
    pub session: KnownSession,
    /// It is one too many of its address. Set for the rows alone that keep what was typed; others are refused.
    pub over_limit: Option<TooMany>,
}

impl Request {
    /// The id in the path. None when it is not a positive integer.
    pub fn id<T: std::str::FromStr>(&self) -> Option<T> {
        self.path_argument.parse().ok()
    }

    /// A cookie's value.
    pub fn cookie(&self, cookie: Cookie) -> Option<&str> {
        self.site.cookies.find(&self.headers, cookie)
    }

    /// The token in the session's cookie.
    pub fn session_token(&self) -> Option<SessionToken> {
        self.site.cookies.session_token(&self.headers)
    }

    /// The state of the session that the cookie names; Unknown without a cookie.
    pub async fn session(&self) -> Result<SessionState, StoreError> {
        match self.session_token() {
            Some(token) => {
                let limits = self.site.session_limits;
                let state = self.site.store.session(&token, limits, self.at).await?;
                if let SessionState::Live(Session { emergency_until: Some(until), .. }) = &state {
                    // Set once: a request asks for one session.
                    let _ = self.emergency.set(*until);
                }
                Ok(state)
            }
            None => Ok(SessionState::Unknown),
        }
    }

    /// The browser, as the database keeps it.
    pub fn client(&self) -> Client {
        let user_agent = self.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("");
        Client {
            ip: self.visitor.ip,
            // Enough for any browser; a longer one is somebody's joke.
            user_agent: user_agent.chars().take(300).collect(),
        }
    }

    /// The path and query, for coming back after sign-in.
    pub fn path_and_query(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query.encode()) }
    }
}
