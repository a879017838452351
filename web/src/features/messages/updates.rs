//! `GET /messages/updates`: new and deleted messages as server-sent events, for as long as the session lives. With
//! `conversation`, that there is a reply in it, and nothing of what it says: a page that nobody sits at opens nothing. With
//! `only=duties`, for a page that nobody sees, neither. Each says when something has changed of what is urgent or for the
//! reader; what that is, the page asks then (`GET /urgent/bar`).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header;
use store::{Actor, AuditId, MessageId, PersonId, SessionState, SessionToken, StoreError, Timestamp};
use tokio::sync::{broadcast, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;
use warp::sse::Event;

use super::Messages;
use super::feed::{Feed, News, Update};
use super::shown_lists::{COVERED, is_recent};
use crate::app::access::Member;
use crate::app::duty_overview::ForMember;
use crate::app::request::Request;
use crate::app::site::Site;
use crate::http::error::PageError;
use crate::http::reply::Reply;
use crate::limits::Turn;

/// More events than this since a list was read: reading it again is cheaper.
const CATCH_UP_LIMIT: u32 = 100;
/// Events waiting for a slow browser.
const WAITING_EVENTS: usize = 32;
/// How often an idle stream looks whether its session still lives: one that is ended is heard of at once, one that
/// passes a limit is not.
const SESSION_CHECK: Duration = Duration::from_secs(5);
/// How often the stream says that it is there: a page that hears nothing for four times as long tells its reader that it
/// has no connection (`web/static/js/live.js`). It keeps proxies from closing an idle stream, too.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Opens the stream after the row in Last-Event-ID, or `after` in the address.
pub async fn stream(state: Arc<Messages>, request: Request, member: Member) -> Result<Reply, PageError> {
    let resumed = request.headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let after = resumed.or(request.query.get("after")).and_then(|text| text.parse().ok()).unwrap_or(AuditId::ZERO);
    let token = request.session_token().ok_or(PageError::NoSession { ended: None })?;
    let wanted = Wanted::of(&request);
    let (limits, person) = (&request.site.limits, member.actor().person);
    let turn = match wanted {
        Wanted::Nothing => limits.begin_hidden_stream(person)?,
        Wanted::Rows | Wanted::RepliesIn(_) => limits.begin_stream(person)?,
    };
    let (sender, receiver) = mpsc::channel(WAITING_EVENTS);
    let stream = OpenStream {
        site: Arc::clone(&request.site),
        feed: state.feed.clone(),
        token,
        actor: member.actor(),
        last: after,
        wanted,
        recorded: None,
        told: None,
        browser: sender,
        _turn: turn,
    };
    tokio::spawn(stream.run());
    Ok(Reply::from_warp(warp::sse::reply(ReceiverStream::new(receiver)))
        .with(header::HeaderName::from_static("x-accel-buffering"), "no"))
}

/// Which messages a stream tells of.
enum Wanted {
    /// All, as rows of the list.
    Rows,
    /// Only replies in this conversation, without their texts.
    RepliesIn(MessageId),
    /// None.
    Nothing,
}

impl Wanted {
    fn of(request: &Request) -> Self {
        match request.query.get("conversation").and_then(|text| text.parse().ok()) {
            Some(root) => Self::RepliesIn(root),
            None if request.query.get("only") == Some("duties") => Self::Nothing,
            None => Self::Rows,
        }
    }
}

struct OpenStream {
    site: Arc<Site>,
    feed: Feed,
    token: SessionToken,
    actor: Actor,
    last: AuditId,
    wanted: Wanted,
    /// When it was last written down that subjects are shown here.
    recorded: Option<Timestamp>,
    /// What the page was last told to look at.
    told: Option<Arc<ForMember>>,
    browser: mpsc::Sender<Result<Event, Infallible>>,
    _turn: Turn<PersonId>,
}

/// Why a stream ends: the browser is gone, the session is over, or the site stops.
struct Closed;

impl OpenStream {
    async fn run(mut self) {
        let site = Arc::clone(&self.site);
        tokio::select! {
            _ = self.forward() => {}
            () = site.stopping() => {}
        }
    }

    async fn forward(&mut self) -> Result<Infallible, Closed> {
        let mut updates = self.feed.subscribe();
        self.catch_up().await?;
        self.tell_duties().await?;
        let mut check = tokio::time::interval(SESSION_CHECK);
        // The first one comes at once: all that was missed has been sent.
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                update = updates.recv() => match update {
                    Ok(News::Update(update)) => self.send(&update).await?,
                    Ok(News::Ended(sessions)) if sessions.contains(&self.actor.session) => self.check_session().await?,
                    Ok(News::Ended(_)) => {}
                    Ok(News::Duties) => self.tell_duties().await?,
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        self.ask_to_reload().await?;
                        self.tell_duties().await?;
                    }
                    Err(broadcast::error::RecvError::Closed) => return Err(Closed),
                },
                _ = check.tick() => self.check_session().await?,
                _ = heartbeat.tick() => self.beat().await?,
                () = self.browser.closed() => return Err(Closed),
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), Closed> {
        if matches!(self.wanted, Wanted::Nothing) {
            return Ok(());
        }
        let events = self.site.store.message_events_after(self.last, CATCH_UP_LIMIT).await;
        let events = events.map_err(|error| {
            tracing::warn!(%error, "a live stream could not catch up");
            Closed
        })?;
        if events.len() >= CATCH_UP_LIMIT as usize {
            return self.ask_to_reload().await;
        }
        let updates = Update::of_all(&self.site.store, events).await.map_err(|error| {
            tracing::warn!(%error, "a live stream could not catch up");
            Closed
        })?;
        if matches!(self.wanted, Wanted::Rows) {
            let missed = updates.iter().filter(|update| update.id > self.last);
            self.record(missed.filter_map(|update| update.shows_subject).collect()).await?;
        }
        for update in updates {
            self.send(&update).await?;
        }
        Ok(())
    }

    /// Sends an update once, and only to a session that still lives.
    async fn send(&mut self, update: &Update) -> Result<(), Closed> {
        if update.id <= self.last {
            return Ok(());
        }
        if let Wanted::Nothing = self.wanted {
            return Ok(());
        }
        if let Wanted::RepliesIn(root) = self.wanted {
            self.last = update.id;
            if update.event != "replied" || update.root != root {
                return Ok(());
            }
            self.check_session().await?;
            let data = serde_json::json!({ "id": update.message, "by": update.by });
            let event = Event::default().id(update.id.to_string()).event(update.event).data(data.to_string());
            return self.push(event).await;
        }
        self.check_session().await?;
        if let Some(message) = update.shows_subject
            && !self.recorded.is_some_and(|at| is_recent(at, self.site.store.now()))
        {
            self.record(vec![message]).await?;
        }
        self.last = update.id;
        let event = Event::default().id(update.id.to_string()).event(update.event).data(update.data.to_string());
        self.push(event).await
    }

    /// That something has changed of what is urgent or for the member, where it has. The first time the page may have missed it.
    async fn tell_duties(&mut self) -> Result<(), Closed> {
        let now = self.site.duties.of(&self.site.store, self.actor.person).await.map_err(|error| {
            tracing::warn!(%error, "a live stream could not look at duties");
            Closed
        })?;
        if self.told.as_ref().is_some_and(|told| told.shows_the_same(&now)) {
            return Ok(());
        }
        self.told = Some(now);
        self.push(Event::default().event("duties").data("{}")).await
    }

    /// Writes down that these subjects, and those that arrive in the next minute, are shown here: before any of them is. One
    /// row a minute, however many arrive.
    async fn record(&mut self, mut messages: Vec<MessageId>) -> Result<(), Closed> {
        if messages.is_empty() {
            return Ok(());
        }
        messages.dedup();
        let now = self.site.store.now();
        match self.site.store.record_list_shown(self.actor, messages.into(), Some(COVERED), now).await {
            Ok(()) => {
                self.recorded = Some(now);
                Ok(())
            }
            Err(StoreError::SessionEnded) => {
                self.check_session().await?;
                Err(Closed)
            }
            Err(error) => {
                tracing::warn!(%error, "a live stream could not write down what it shows");
                Err(Closed)
            }
        }
    }

    /// Only to a session that still lives: the page takes it as proof of that.
    async fn beat(&self) -> Result<(), Closed> {
        self.check_session().await?;
        self.push(Event::default().event("heartbeat").data("{}")).await
    }

    async fn ask_to_reload(&self) -> Result<(), Closed> {
        self.push(Event::default().event("reload").data("{}")).await
    }

    async fn check_session(&self) -> Result<(), Closed> {
        let limits = self.site.session_limits;
        let state = self.site.store.session(&self.token, limits, self.site.store.now()).await;
        match state {
            Ok(SessionState::Live(_)) => Ok(()),
            Ok(_) => {
                self.push(Event::default().event("ended").data("{}")).await?;
                Err(Closed)
            }
            Err(error) => {
                tracing::warn!(%error, "a live stream could not look at its session");
                Err(Closed)
            }
        }
    }

    async fn push(&self, event: Event) -> Result<(), Closed> {
        self.browser.send(Ok(event)).await.map_err(|_| Closed)
    }
}
