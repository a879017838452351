//! Renders every way to say no.
//!
//! A refusal or failure is a value until here. Its page says what happened and what to do next; what went wrong
//! inside goes to the log alone, under the request id that the page shows.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::{StatusCode, header};
use store::{EndReason, StoreError, Timestamp};

use crate::app::pages::{ErrorPage, Frame, SignInPage};
use crate::app::request::{KnownSession, Request};
use crate::app::session_end;
use crate::app::site::Site;
use crate::http::error::PageError;
use crate::http::form;
use crate::http::reply::Reply;
use crate::limits::{Rule, TooMany};

/// How long a browser should wait before it tries again what a full disk or a busy database refused.
pub const RETRY_AFTER_SECONDS: u64 = 5;

/// What an error page needs from the request that failed.
pub struct ErrorContext {
    /// The site.
    pub site: Arc<Site>,
    /// Shown on the page and in the log.
    pub request_id: Arc<str>,
    /// Where to go on after signing in; None for a form, which cannot be sent again by itself.
    pub next: Option<String>,
    /// It is not a person who reads the answer: a script of the page, or an open stream.
    pub for_script: bool,
    /// The session, where one was found to live: its member keeps the navigation.
    pub session: KnownSession,
    /// When the request arrived.
    pub at: Timestamp,
    /// Until when an emergency access lasts, where the request was found to be under one.
    pub emergency: Arc<OnceLock<Timestamp>>,
}

impl Request {
    /// Whether the browser names this media type among those that it takes.
    pub fn accepts(&self, kind: &str) -> bool {
        let accept = self.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
        accept.split(',').any(|accepted| accepted.split(';').next().unwrap_or("").trim() == kind)
    }

    /// Keeps what an error page would need.
    pub fn error_context(&self) -> ErrorContext {
        ErrorContext {
            site: Arc::clone(&self.site),
            request_id: Arc::clone(&self.visitor.request_id),
            next: (self.method == http::Method::GET).then(|| self.path_and_query()),
            for_script: self.accepts("application/json") || self.accepts("text/event-stream"),
            emergency: Arc::clone(&self.emergency),
            session: self.session.clone(),
            at: self.at,
        }
    }
}

impl ErrorContext {
    /// The context of a request of which nothing more is known.
    pub fn new(site: &Arc<Site>, request_id: Arc<str>) -> Self {
        Self {
            site: Arc::clone(site),
            request_id,
            next: None,
            for_script: false,
            session: KnownSession::default(),
            at: site.store.now(),
            emergency: Arc::default(),
        }
    }

    /// The answer to an error; what is our own fault is logged here, once.
    pub fn page(&self, error: PageError) -> Reply {
        self.site.metrics.refused(&error);
        match error {
            PageError::SignedOut { ended, kept_draft } => self.signed_out(ended, kept_draft),
            PageError::NoSession { ended } => self.signed_out_json(ended, false),
            PageError::TooMany(too_many) => self.too_many(too_many),
            error => {
                self.log(&error);
                let notice = notice(&error);
                let action = ("/messages".to_owned(), "Go to messages");
                let reply = self.explain(notice.status, notice.title, notice.explanation, action);
                if notice.status == StatusCode::SERVICE_UNAVAILABLE {
                    reply.with(header::RETRY_AFTER, &RETRY_AFTER_SECONDS.to_string())
                } else {
                    reply
                }
            }
        }
    }

    fn signed_out(&self, ended: Option<EndReason>, kept_draft: bool) -> Reply {
        if let Some(next) = &self.next {
            let query = form::encode([("next", next.as_str())]);
            return Reply::see_other(&format!("/?{query}"));
        }
        if self.for_script {
            return self.signed_out_json(ended, kept_draft);
        }
        let limits = self.site.session_limits;
        let next = if kept_draft { "/messages/new" } else { "/messages" };
        let page = SignInPage {
            frame: Frame::signed_out(&self.site.assets),
            start_url: format!("/sign-in/start?{}", form::encode([("next", next)])),
            ended: Some(session_end::sentence(ended, limits).into_owned()),
            other_tabs: session_end::in_other_tabs(ended, limits).into_owned(),
            kept_draft,
        };
        match Reply::page(&page) {
            Ok(reply) => reply.with_status(StatusCode::UNAUTHORIZED),
            Err(error) => self.page(error),
        }
    }

    /// For a script. Why a session ended is told to who holds its token, and to nobody else.
    fn signed_out_json(&self, ended: Option<EndReason>, kept_draft: bool) -> Reply {
        let mut told = serde_json::json!({ "signed_in": false });
        if ended.is_some() {
            told["ended"] = session_end::in_other_tabs(ended, self.site.session_limits).into();
        }
        if kept_draft {
            told["kept_draft"] = true.into();
        }
        Reply::json(&told).with_status(StatusCode::UNAUTHORIZED)
    }

    fn too_many(&self, too_many: TooMany) -> Reply {
        let seconds = too_many.seconds();
        let reply = if self.for_script {
            Reply::json(&serde_json::json!({ "error": "too_many_requests", "retry_after_seconds": seconds }))
                .with_status(StatusCode::TOO_MANY_REQUESTS)
        } else {
            let action = match (too_many.rule, &self.next) {
                (Rule::SignIn, _) => ("/".to_owned(), "Go to the sign-in page"),
                (_, Some(next)) => (next.clone(), "Try again"),
                (_, None) => ("/messages".to_owned(), "Go to messages"),
            };
            self.explain(StatusCode::TOO_MANY_REQUESTS, too_many.title(), &too_many.explanation(), action)
        };
        reply.with(header::RETRY_AFTER, &seconds.to_string())
    }

    fn explain(
        &self,
        status: StatusCode,
        title: &'static str,
        explanation: &str,
        (action_url, action_label): (String, &str),
    ) -> Reply {
        let page = ErrorPage {
            frame: self.frame(),
            status: status.as_u16(),
            title: title.to_owned(),
            explanation: explanation.to_owned(),
            action_url,
            action_label: action_label.to_owned(),
            request_id: self.request_id.to_string(),
        };
        let reply =
            Reply::page(&page).unwrap_or_else(|_| Reply::text("text/plain; charset=utf-8", explanation.to_owned()));
        reply.with_status(status)
    }

    fn frame(&self) -> Frame {
        match self.session.get() {
            Some((session, duties)) => Frame::of_session(&session, &duties, &self.site, self.at),
            None => Frame::signed_out(&self.site.assets).under_emergency(self.emergency.get().copied()),
        }
    }

    fn log(&self, error: &PageError) {
        // What others can cause as often as they like is not told each time; a fault of ours is.
        let repeats = matches!(
            error,
            PageError::Store(StoreError::Busy | StoreError::DiskFull)
                | PageError::ForeignForm
                | PageError::StaleForm
                | PageError::NotYours
        );
        if repeats && error.reason().is_some_and(|reason| !self.site.log_throttle.allows(reason, Instant::now())) {
            return;
        }
        let request_id = &self.request_id;
        match error {
            PageError::Store(error) => tracing::error!(%request_id, %error, "the database refused"),
            PageError::Template(error) => tracing::error!(%request_id, %error, "a page could not be made"),
            PageError::Panicked => tracing::error!(%request_id, "a handler panicked"),
            PageError::ForeignForm | PageError::StaleForm => {
                tracing::warn!(%request_id, ?error, "a form was refused");
            }
            PageError::NotYours => tracing::warn!(%request_id, "somebody else's message was to be deleted"),
            _ => {}
        }
    }
}

struct Notice {
    status: StatusCode,
    title: &'static str,
    explanation: &'static str,
}

fn notice(error: &PageError) -> Notice {
    let (status, title, explanation) = match error {
        PageError::SignedOut { .. } | PageError::NoSession { .. } => {
            (StatusCode::UNAUTHORIZED, "You are signed out", "Sign in to go on.")
        }
        PageError::TooMany(too_many) => {
            (StatusCode::TOO_MANY_REQUESTS, too_many.title(), "Wait a little, then try again.")
        }
        PageError::NotFound => (
            StatusCode::NOT_FOUND,
            "There is no such page",
            "The address may be mistyped, or the link is old. Everything that is here can be reached from the messages.",
        ),
        PageError::WrongMethod => (
            StatusCode::METHOD_NOT_ALLOWED,
            "This page cannot be used that way",
            "The address exists, but not for this kind of request. Go to it through the links and buttons of the site.",
        ),
        PageError::BadRequest(explanation) => {
            (StatusCode::BAD_REQUEST, "That request makes no sense here", *explanation)
        }
        PageError::ForeignForm => (
            StatusCode::FORBIDDEN,
            "That form did not come from here",
            "Another site tried to send something in your name. Nothing was changed. Use the pages of this site.",
        ),
        PageError::StaleForm => (
            StatusCode::FORBIDDEN,
            "That page was out of date",
            "It was opened before you last signed in, so nothing was changed. Go back, copy what you wrote, reload the page and send it again.",
        ),
        PageError::LargeForm => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "That is too long",
            "Nothing was sent. Go back, and make the message shorter or send it in parts.",
        ),
        PageError::SlowForm => (
            StatusCode::REQUEST_TIMEOUT,
            "The connection was too slow",
            "What you sent did not arrive in time and nothing was changed. Go back and try again.",
        ),
        PageError::BrokenForm => (
            StatusCode::BAD_REQUEST,
            "What you sent did not arrive whole",
            "Nothing was changed. Go back and try again.",
        ),
        PageError::UnsupportedForm => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "That is not one of our forms",
            "Only the forms of this site are understood here.",
        ),
        PageError::NotYours => (
            StatusCode::FORBIDDEN,
            "This message is somebody else's",
            "A message can be deleted by the person who wrote it, and by nobody else.",
        ),
        PageError::Store(StoreError::DiskFull) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "There is no room left to store anything",
            "Nothing was changed and nothing is lost. Tell the person who runs Wardpost that its disk is full, then try again.",
        ),
        PageError::Store(StoreError::Busy) | PageError::Crowded => {
            (StatusCode::SERVICE_UNAVAILABLE, "Very busy just now", "Nothing was changed. Try again in a few seconds.")
        }
        PageError::Store(_) | PageError::Template(_) | PageError::Panicked => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong on our side",
            "It has been written down for the person who runs Wardpost. Try again; if it happens again, tell them the reference below.",
        ),
    };
    Notice { status, title, explanation }
}
