//! The archive itself: a ZIP file, made row by row while it is sent. What is in memory is one page of rows and what the
//! compressor holds back: some 2 MB. Nothing of it touches the disk.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use process::sanitize;
use serde_json::{Value, json};
use store::{
    Action, AuditFilter, AuditId, AuditRow, MessageId, OpeningKey, PersonId, SessionState, SessionToken, TemplateId,
    Timestamp,
};

use super::data::Progress;
use super::readme::readme;
use super::zip_stream::Zip;
use crate::app::site::Site;
use crate::limits::Turn;

/// Rows read at a time.
const ROWS: u32 = 250;
/// Texts read at a time: of each at most 160 kB.
const TEXTS: u32 = 12;

/// Half-written forms of templates read at a time: of each at most 256 kB.
const FORMS: u32 = 6;

/// What comes next, and where its walk goes on.
enum Part {
    Readme,
    Messages(AuditId),
    Drafts(Option<Option<MessageId>>),
    TemplateDrafts(Option<TemplateId>),
    Teams(AuditId),
    Sessions(Action, AuditId),
    Acts(AuditId),
    OpenedByMe(AuditId),
    OpenedOfMine(OpeningKey),
    End,
    Sent,
}

/// A download under way.
pub(super) struct Walk {
    site: Arc<Site>,
    token: SessionToken,
    person: PersonId,
    up_to: AuditId,
    made: Timestamp,
    progress: Arc<Progress>,
    part: Part,
    zip: Zip,
    _turn: Turn<PersonId>,
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.progress.over();
    }
}

impl Walk {
    pub(super) fn new(
        site: Arc<Site>,
        token: SessionToken,
        person: PersonId,
        up_to: AuditId,
        made: Timestamp,
        progress: Arc<Progress>,
        turn: Turn<PersonId>,
    ) -> Self {
        Self { site, token, person, up_to, made, progress, part: Part::Readme, zip: Zip::new(), _turn: turn }
    }

    /// An error here breaks the download off, so that a part is never taken for the whole.
    pub(super) async fn next_chunk(mut self) -> Result<Option<(Bytes, Self)>, io::Error> {
        if matches!(self.part, Part::Sent) {
            self.progress.complete();
            return Ok(None);
        }
        self.check_session().await?;
        loop {
            self.part = self
                .step()
                .await
                .inspect_err(|error| tracing::error!(%error, "a copy of a member's data broke off"))?;
            let bytes = self.zip.take();
            // The compressor holds some back.
            if !bytes.is_empty() {
                return Ok(Some((bytes, self)));
            }
        }
    }

    async fn check_session(&self) -> Result<(), io::Error> {
        let limits = self.site.session_limits;
        match self.site.store.session(&self.token, limits, self.site.store.now()).await {
            Ok(SessionState::Live(_)) => Ok(()),
            Ok(_) => Err(io::Error::other("the session has ended")),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Writes a page of the part, and says what comes after it.
    async fn step(&mut self) -> Result<Part, io::Error> {
        Ok(match self.part {
            Part::Readme => {
                self.about().await?;
                Part::Messages(AuditId::ZERO)
            }
            Part::Messages(after) => self.messages(after).await?,
            Part::Drafts(after) => self.drafts(after).await?,
            Part::TemplateDrafts(after) => self.template_drafts(after).await?,
            Part::Teams(after) => self.teams(after).await?,
            Part::Sessions(begun_by, after) => self.sessions(begun_by, after).await?,
            Part::Acts(after) => self.acts(after).await?,
            Part::OpenedByMe(after) => self.opened_by_me(after).await?,
            Part::OpenedOfMine(after) => self.opened_of_mine(after).await?,
            Part::End | Part::Sent => {
                self.zip.finish()?;
                Part::Sent
            }
        })
    }

    async fn about(&mut self) -> Result<(), io::Error> {
        let account = self.site.store.own_account(self.person).await.map_err(io::Error::other)?;
        let (name, email) = (sanitize::one_line(&account.person.name), sanitize::one_line(&account.person.email));
        let text = readme(&name, &email, &self.made.to_rfc3339(), self.up_to.get());
        self.zip.file("README.txt")?;
        self.zip.write(text.as_bytes())?;
        self.zip.file("account.json")?;
        self.zip.line(&json!({
            "number": self.person,
            "name": account.person.name,
            "email": account.person.email,
            "identity_provider": account.issuer,
            "subject": account.subject,
            "first_sign_in": account.created_at.to_rfc3339(),
            "last_sign_in": account.last_sign_in_at.map(Timestamp::to_rfc3339),
        }))
    }

    async fn messages(&mut self, after: AuditId) -> Result<Part, io::Error> {
        let read = self.site.store.own_messages(self.person, after, self.up_to, TEXTS);
        let messages = read.await.map_err(io::Error::other)?;
        self.zip.file("messages.jsonl")?;
        for message in &messages {
            self.zip.line(&json!({
                "number": message.id,
                "conversation": message.conversation,
                "sent": message.sent_at.to_rfc3339(),
                "deleted": message.deleted_at.map(Timestamp::to_rfc3339),
                "subject": message.subject,
                "text": message.body,
            }))?;
        }
        self.progress.sent(messages.len());
        Ok(more(&messages, TEXTS).map_or(Part::Drafts(None), |last| Part::Messages(last.row)))
    }

    async fn drafts(&mut self, after: Option<Option<MessageId>>) -> Result<Part, io::Error> {
        let drafts = self.site.store.own_drafts(self.person, after, TEXTS).await.map_err(io::Error::other)?;
        self.zip.file("drafts.jsonl")?;
        for draft in &drafts {
            self.zip.line(&json!({
                "conversation": draft.conversation,
                "saved": draft.saved_at.to_rfc3339(),
                "subject": draft.subject,
                "text": draft.body,
                "for": draft.addressed.to_string(),
            }))?;
        }
        let next = || Part::TemplateDrafts(None);
        Ok(more(&drafts, TEXTS).map_or_else(next, |last| Part::Drafts(Some(last.conversation))))
    }

    async fn template_drafts(&mut self, after: Option<TemplateId>) -> Result<Part, io::Error> {
        let read = self.site.store.template_drafts(self.person, after, FORMS);
        let drafts = read.await.map_err(io::Error::other)?;
        self.zip.file("template-drafts.jsonl")?;
        for draft in &drafts {
            let rows = draft.texts.rows.iter().map(|(label, text)| json!({ "row": label, "text": text }));
            self.zip.line(&json!({
                "template": draft.template,
                "saved": draft.saved_at.to_rfc3339(),
                "subject": draft.texts.subject,
                "rows": rows.collect::<Vec<_>>(),
            }))?;
        }
        let next = || Part::Teams(AuditId::ZERO);
        Ok(more(&drafts, FORMS).map_or_else(next, |last| Part::TemplateDrafts(Some(last.template))))
    }

    async fn teams(&mut self, after: AuditId) -> Result<Part, io::Error> {
        let read = self.site.store.own_teams(self.person, after, self.up_to, ROWS);
        let teams = read.await.map_err(io::Error::other)?;
        self.zip.file("teams.jsonl")?;
        for stay in &teams {
            self.zip.line(&json!({
                "team": stay.id,
                "name": stay.name,
                "joined": stay.from.to_rfc3339(),
                "left": stay.until.map(Timestamp::to_rfc3339),
                "row": stay.row,
            }))?;
        }
        let next = || Part::Sessions(Action::Login, AuditId::ZERO);
        Ok(more(&teams, ROWS).map_or_else(next, |last| Part::Teams(last.row)))
    }

    async fn sessions(&mut self, begun_by: Action, after: AuditId) -> Result<Part, io::Error> {
        let read = self.site.store.past_sessions(self.person, begun_by, after, self.up_to, ROWS);
        let sessions = read.await.map_err(io::Error::other)?;
        self.zip.file("sessions.jsonl")?;
        for session in &sessions {
            self.zip.line(&json!({
                "number": session.id,
                "begun": session.started_at.to_rfc3339(),
                "by_emergency_access": begun_by == Action::EmergencyAccessUsed,
                "ip_address": session.ip,
                "browser": session.user_agent,
                "last_active": session.last_active_at.map(Timestamp::to_rfc3339),
                "ended": session.ended_at.map(Timestamp::to_rfc3339),
                "row": session.row,
            }))?;
        }
        Ok(match (more(&sessions, ROWS), begun_by) {
            (Some(last), _) => Part::Sessions(begun_by, last.row),
            (None, Action::Login) => Part::Sessions(Action::EmergencyAccessUsed, AuditId::ZERO),
            (None, _) => Part::Acts(AuditId::ZERO),
        })
    }

    async fn acts(&mut self, after: AuditId) -> Result<Part, io::Error> {
        let rows = self.rows(None, after).await?;
        self.zip.file("acts.jsonl")?;
        for row in &rows {
            self.zip.line(&act(row))?;
        }
        self.progress.sent(rows.len());
        Ok(more(&rows, ROWS).map_or(Part::OpenedByMe(AuditId::ZERO), |last| Part::Acts(last.id)))
    }

    async fn opened_by_me(&mut self, after: AuditId) -> Result<Part, io::Error> {
        let rows = self.rows(Some(Action::MessageView), after).await?;
        self.zip.file("opened-by-you.jsonl")?;
        for row in &rows {
            let messages = shown(&row.details)["messages"].as_str().map(str::to_owned);
            self.zip.line(&json!({
                "at": row.at.to_rfc3339(),
                "conversation": row.message,
                "messages": messages.or_else(|| row.message.map(|message| message.to_string())),
                "row": row.id,
            }))?;
        }
        self.progress.sent(rows.len());
        let next = || Part::OpenedOfMine(OpeningKey::default());
        Ok(more(&rows, ROWS).map_or_else(next, |last| Part::OpenedByMe(last.id)))
    }

    async fn opened_of_mine(&mut self, after: OpeningKey) -> Result<Part, io::Error> {
        let read = self.site.store.openings_of_own(self.person, after, self.up_to, ROWS);
        let openings = read.await.map_err(io::Error::other)?;
        self.zip.file("opened-of-yours.jsonl")?;
        for opening in &openings {
            self.zip.line(&json!({
                "message": opening.message,
                "at": opening.at.to_rfc3339(),
                "by": { "number": opening.by.id, "name": opening.by.name, "email": opening.by.email },
                "row": opening.row,
            }))?;
        }
        self.progress.sent(openings.len());
        Ok(more(&openings, ROWS).map_or(Part::End, |last| Part::OpenedOfMine(last.key)))
    }

    async fn rows(&self, action: Option<Action>, after: AuditId) -> Result<Vec<AuditRow>, io::Error> {
        let filter = AuditFilter { person: Some(self.person), action, ..AuditFilter::default() };
        self.site.store.audit_rows(&filter, after, self.up_to, ROWS).await.map_err(io::Error::other)
    }
}

/// The last entry of a page that is full: there may be more after it.
fn more<T>(page: &[T], limit: u32) -> Option<&T> {
    page.last().filter(|_| page.len() >= limit as usize)
}

/// A row of the log, with the fields of the shipped copy.
fn act(row: &AuditRow) -> Value {
    json!({
        "id": row.id,
        "timestamp": row.at.to_rfc3339(),
        "user_id": row.person.as_ref().map(|person| person.id),
        "action": row.action,
        "details": shown(&row.details),
        "ip_address": row.ip,
        "previous_hash": row.previous_hash.to_string(),
        "hash": row.hash.to_string(),
        "personal": row.personal.as_deref().map(shown),
    })
}

/// Text that is no JSON was changed by somebody: it is shown as it is.
fn shown(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
