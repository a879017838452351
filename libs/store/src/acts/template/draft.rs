//! What somebody has half written in the form of a template: one draft for each template and person, kept as other drafts are
//! ([`draft`](crate::acts::draft)).

use std::net::IpAddr;

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::acts::draft::version::{DraftVersion, Seen};
use crate::acts::draft::{AFTER_END, FILLER, ended_session};
use crate::acts::session::require_live;
use crate::acts::template::key_of_row;
use crate::ledger::audit::Entry;
use crate::sqlite::write::{Erased, Write};
use crate::store::Store;
use crate::types::{
    Action, Actor, Body, IdempotencyKey, PersonId, SessionLimits, SessionToken, StoreError, TemplateId, TemplateRows,
    Timestamp, clip,
};

/// So many half-written forms of one person are listed: those of all templates, and as many of templates that are gone.
const LISTED: u32 = 200;

/// A half-written form, as typed. Debug does not show the texts.
#[derive(Clone, PartialEq, Eq)]
pub struct TemplateDraft {
    /// Of which template.
    pub template: TemplateId,
    /// The key that the form will be sent under.
    pub key: IdempotencyKey,
    /// What was typed.
    pub texts: TemplateTexts,
    /// When it was last kept.
    pub saved_at: Timestamp,
}

/// What was typed into the form of a template.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateTexts {
    /// What every row's subject ends with.
    pub subject: String,
    /// Of each row its label and its text.
    pub rows: Vec<(String, String)>,
}

/// What became of a draft that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateDraftSaved {
    /// It is kept.
    Kept(DraftVersion),
    /// Another one is there that its page has not seen; that one stays.
    Other(TemplateDraft),
    /// There was never such a template; it is not kept.
    Missing,
    /// All of it was sent under its key before, so that it is no draft any more; it is not kept.
    Sent,
}

impl TemplateTexts {
    /// Whether nothing was written into any row.
    pub fn is_empty(&self) -> bool {
        self.rows.iter().all(|(_, text)| text.trim().is_empty())
    }

    /// Within what is kept: more than any form of the site shows.
    fn clipped(self) -> Self {
        let row = |(label, text): (String, String)| {
            (clip(&label, TemplateRows::MAX_LABEL_CHARS).to_owned(), clip(&text, 2 * Body::MAX_CHARS).to_owned())
        };
        Self {
            subject: clip(&self.subject, 1_000).to_owned(),
            rows: self.rows.into_iter().take(2 * TemplateRows::MAX).map(row).collect(),
        }
    }

    fn to_json(&self) -> String {
        json!(self).to_string()
    }
}

impl TemplateDraft {
    /// The version that this one is, as it is stored.
    pub fn version(&self) -> DraftVersion {
        let hash = Sha256::new().chain_update(self.key.0).chain_update(self.texts.to_json()).finalize();
        DraftVersion::of(&hash.into())
    }
}

impl std::fmt::Debug for TemplateDraft {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "TemplateDraft({}, {} rows)", self.template, self.texts.rows.len())
    }
}

impl Store {
    /// The actor's half-written form of a template.
    pub async fn template_draft(
        &self,
        person: PersonId,
        template: TemplateId,
    ) -> Result<Option<TemplateDraft>, StoreError> {
        self.look_up(move |connection| find(connection, person, template)).await
    }

    /// The templates of which a person has a half-written form, and when it was kept: at most 200.
    pub async fn drafted_templates(&self, person: PersonId) -> Result<Vec<(TemplateId, Timestamp)>, StoreError> {
        self.look_up(move |connection| {
            let mut select = connection.prepare_cached(DRAFTED)?;
            let found = select.query_map((person, LISTED), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The half-written forms of a person, those of templates after `after`: at most `limit`, each of up to 256 kB.
    pub async fn template_drafts(
        &self,
        person: PersonId,
        after: Option<TemplateId>,
        limit: u32,
    ) -> Result<Vec<TemplateDraft>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(OF_PERSON)?;
            let ids = select.query_map((person, after.map_or(0, TemplateId::get), limit), |row| row.get(0))?;
            let ids: Vec<TemplateId> = ids.collect::<Result<_, _>>()?;
            let drafts = ids.into_iter().map(|id| find(connection, person, id));
            drafts.filter_map(Result::transpose).collect()
        })
        .await
    }

    /// Keeps the actor's half-written form instead of the one that was `seen`: DRAFT_SAVED. One that has not changed is not
    /// recorded again.
    pub async fn save_template_draft(
        &self,
        actor: Actor,
        draft: TemplateDraft,
        seen: Seen,
    ) -> Result<TemplateDraftSaved, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            keep(write, actor.person, actor.ip, draft, seen, json!({}))
        })
        .await
    }

    /// The same for a session that ended by the idle or absolute limit at most 12 hours ago. False: the token is not of such a
    /// session, a draft was kept since that session ended, or its page has not seen the one that is there: that one stays.
    pub async fn save_template_draft_of_ended_session(
        &self,
        token: &SessionToken,
        ip: IpAddr,
        limits: SessionLimits,
        draft: TemplateDraft,
        seen: Seen,
    ) -> Result<bool, StoreError> {
        let (hash, reported) = (token.hash(), self.expired().clone());
        self.write(move |write| {
            let at = draft.saved_at;
            let Some((session, ended_at)) = ended_session(write, hash, limits, at, &reported)? else {
                return Ok(false);
            };
            let newer = find(write.connection, session.person, draft.template)?
                .is_some_and(|kept| kept.saved_at > ended_at && kept.key != draft.key);
            if at.since(ended_at) > AFTER_END || newer {
                return Ok(false);
            }
            let details = json!({ "session": session.id, "after_session_end": true });
            let saved = keep(write, session.person, ip, draft, seen, details)?;
            Ok(matches!(saved, TemplateDraftSaved::Kept(_)))
        })
        .await
    }

    /// Throws the actor's half-written form away: DRAFT_DISCARDED, if there was one.
    pub async fn discard_template_draft(
        &self,
        actor: Actor,
        template: TemplateId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let mut delete = write
                .connection
                .prepare_cached("DELETE FROM template_draft WHERE person_id = ?1 AND template_id = ?2")?;
            if delete.execute((actor.person, template))? == 1 {
                write.erased(Erased::AtRest);
                let (person, ip, action) = (Some(actor.person), Some(actor.ip), Action::DraftDiscarded);
                write.append(Entry {
                    at,
                    person,
                    action,
                    message: None,
                    details: json!({ "template": template }),
                    ip,
                })?;
            }
            Ok(())
        })
        .await
    }
}

const DRAFTED: &str =
    "SELECT template_id, saved_at FROM template_draft WHERE person_id = ?1 ORDER BY template_id LIMIT ?2";

const OF_PERSON: &str =
    "SELECT template_id FROM template_draft WHERE person_id = ?1 AND template_id > ?2 ORDER BY template_id LIMIT ?3";

/// The draft under the key that was sent goes.
pub(super) fn remove_sent(
    write: &mut Write<'_>,
    person: PersonId,
    template: TemplateId,
    key: IdempotencyKey,
) -> Result<(), StoreError> {
    let mut delete = write.connection.prepare_cached(
        "DELETE FROM template_draft WHERE person_id = ?1 AND template_id = ?2 AND idempotency_key = ?3",
    )?;
    if delete.execute((person, template, key.0))? == 1 {
        write.erased(Erased::AtRest);
    }
    Ok(())
}

fn find(connection: &Connection, person: PersonId, template: TemplateId) -> Result<Option<TemplateDraft>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT idempotency_key, saved_at, texts FROM template_draft WHERE person_id = ?1 AND template_id = ?2",
    )?;
    let found = select.query_row((person, template), |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)));
    let Some((key, saved_at, texts)) = found.optional()? else { return Ok(None) };
    let texts =
        serde_json::from_str(&texts).map_err(|_| StoreError::internal("a draft is stored as no program stores one"))?;
    Ok(Some(TemplateDraft { template, key: IdempotencyKey(key), texts, saved_at }))
}

/// Whether every row that has a text was sent under the key of the form.
fn was_sent(write: &Write<'_>, person: PersonId, draft: &TemplateDraft) -> Result<bool, StoreError> {
    let mut sent =
        write.connection.prepare_cached("SELECT 1 FROM message_key WHERE author_id = ?1 AND idempotency_key = ?2")?;
    for (label, _) in draft.texts.rows.iter().filter(|(_, text)| !text.trim().is_empty()) {
        if !sent.exists((person, key_of_row(draft.key, label).0))? {
            return Ok(false);
        }
    }
    Ok(!draft.texts.is_empty())
}

fn keep(
    write: &mut Write<'_>,
    person: PersonId,
    ip: IpAddr,
    draft: TemplateDraft,
    seen: Seen,
    mut details: Value,
) -> Result<TemplateDraftSaved, StoreError> {
    if !write.connection.prepare_cached("SELECT 1 FROM template WHERE id = ?1")?.exists([draft.template])? {
        return Ok(TemplateDraftSaved::Missing);
    }
    let draft = TemplateDraft { texts: draft.texts.clipped(), ..draft };
    if was_sent(write, person, &draft)? {
        return Ok(TemplateDraftSaved::Sent);
    }
    let version = draft.version();
    let before = find(write.connection, person, draft.template)?;
    match &before {
        Some(kept) if kept.version() == version => return Ok(TemplateDraftSaved::Kept(version)),
        Some(kept) if !seen.may_replace((kept.key, kept.version()), draft.key) => {
            return Ok(TemplateDraftSaved::Other(kept.clone()));
        }
        _ => {}
    }
    let mut upsert = write.connection.prepare_cached(
        "INSERT INTO template_draft (person_id, template_id, filler, saved_at, idempotency_key, texts) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (person_id, template_id) DO UPDATE SET \
         saved_at = excluded.saved_at, idempotency_key = excluded.idempotency_key, texts = excluded.texts",
    )?;
    upsert.execute((person, draft.template, FILLER, draft.saved_at, draft.key.0, draft.texts.to_json()))?;
    drop(upsert);
    if before.is_some() {
        write.erased(Erased::AtRest);
    }
    details["template"] = draft.template.get().into();
    let (at, ip) = (draft.saved_at, Some(ip));
    write.append(Entry { at, person: Some(person), action: Action::DraftSaved, message: None, details, ip })?;
    Ok(TemplateDraftSaved::Kept(version))
}

#[cfg(test)]
mod tests;
