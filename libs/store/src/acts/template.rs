//! Templates: forms that everybody on staff shares, such as "Handover Ward 3" with a row for each room. Each row that somebody
//! fills becomes a message of its own; all of them are sent in one transaction, or none.

pub(crate) mod draft;

use rusqlite::{OptionalExtension, Row};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::acts::message::{self, NewMessage, Sent, begin, sent_before};
use crate::acts::session::require_live;
use crate::ledger::audit::Entry;
use crate::ledger::chain_hash::template_hash;
use crate::sqlite::write::{Erased, Write};
use crate::store::Store;
use crate::types::{
    Action, Actor, Addressed, AuditId, Author, Body, IdempotencyKey, StoreError, Subject, TemplateId, TemplateName,
    TemplateRows, Timestamp, random_bytes,
};

/// So many templates there may be: the page lists them all.
pub const MAX_TEMPLATES: usize = 100;

/// A template.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its number.
    pub id: TemplateId,
    /// What it is called.
    pub name: TemplateName,
    /// Its rows, in their order.
    pub rows: TemplateRows,
    /// The audit row of its last change, which names exactly this version.
    pub version: AuditId,
    /// Who made that change.
    pub changed_by: Author,
    /// When.
    pub changed_at: Timestamp,
}

/// What came of making, changing or deleting a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateChange {
    /// Done, or it was so already.
    Done(TemplateId),
    /// Another template has this name, whatever the case of its letters. Nothing was changed.
    Taken,
    /// Somebody has changed it since the version that was seen. Nothing was changed.
    Other,
    /// There are [`MAX_TEMPLATES`]. Nothing was changed.
    TooMany,
    /// There is no such template.
    Missing,
}

/// A row that somebody filled: the message it becomes.
#[derive(Clone, Debug)]
pub struct FilledRow {
    /// The row's label, which makes its key out of the form's.
    pub label: String,
    /// "Room 3: Handover Ward 3, evening".
    pub subject: Subject,
    /// The text.
    pub body: Body,
}

/// What came of sending a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowsSent {
    /// Every row is a message: those of now and, where the form was sent before, those of then.
    Sent(Vec<Sent>),
    /// The form was sent before, and some of its rows with another text. Nothing was stored; of each row what it would be.
    KeyReused(Vec<Option<Sent>>),
}

/// A template and who changed it last: id, version, name, rows, who, when.
macro_rules! template {
    () => {
        "SELECT t.id, t.changed_by, t.name, t.rows, p.id, p.name, p.email, a.at FROM template t \
         JOIN audit_log a ON a.id = t.changed_by JOIN person p ON p.id = a.person_id"
    };
}

impl Store {
    /// All templates by name: at most [`MAX_TEMPLATES`].
    pub async fn templates(&self) -> Result<Vec<Template>, StoreError> {
        self.read(|connection| {
            let mut select = connection
                .prepare_cached(concat!(template!(), " WHERE t.deleted = 0 ORDER BY t.name COLLATE NOCASE, t.id"))?;
            let templates = select.query_map((), stored)?;
            templates.map(|template| template?.ok_or_else(spoilt)).collect()
        })
        .await
    }

    /// One template; None where there is none, or it was deleted.
    pub async fn template(&self, id: TemplateId) -> Result<Option<Template>, StoreError> {
        self.look_up(move |connection| {
            let mut select = connection.prepare_cached(concat!(template!(), " WHERE t.id = ?1 AND t.deleted = 0"))?;
            let found = select.query_row([id], stored).optional()?;
            found.map(|template| template.ok_or_else(spoilt)).transpose()
        })
        .await
    }

    /// Whether there is or ever was a template of this number: none is given twice.
    pub async fn template_was_made(&self, id: TemplateId) -> Result<bool, StoreError> {
        self.look_up(move |connection| {
            Ok(connection.prepare_cached("SELECT 1 FROM template WHERE id = ?1")?.exists([id])?)
        })
        .await
    }

    /// Makes a template: TEMPLATE_CREATED.
    pub async fn create_template(
        &self,
        actor: Actor,
        name: TemplateName,
        rows: TemplateRows,
        at: Timestamp,
    ) -> Result<TemplateChange, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let named = names(write)?;
            if is_taken(&named, &name, None) {
                return Ok(TemplateChange::Taken);
            }
            if named.len() >= MAX_TEMPLATES {
                return Ok(TemplateChange::TooMany);
            }
            let mut next = write.connection.prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM template")?;
            let id: TemplateId = next.query_row((), |row| row.get(0))?;
            drop(next);
            let text = Vouched::new(write, &name, &rows);
            let version = record(write, actor, Action::TemplateCreated, id, Some(&text), name.as_str(), at)?;
            let mut insert = write.connection.prepare_cached(
                "INSERT INTO template (id, changed_by, deleted, salt, name, rows) VALUES (?1, ?2, 0, ?3, ?4, ?5)",
            )?;
            insert.execute((id, version, text.salt, text.name, &text.rows))?;
            Ok(TemplateChange::Done(id))
        })
        .await
    }

    /// Changes name or rows of the version that was `seen`, or of whatever there is: TEMPLATE_CHANGED, unless it is so already.
    pub async fn change_template(
        &self,
        actor: Actor,
        id: TemplateId,
        seen: Option<AuditId>,
        (name, rows): (TemplateName, TemplateRows),
        at: Timestamp,
    ) -> Result<TemplateChange, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let Some((version, kept_name, kept_rows)) = current(write, id)? else { return Ok(TemplateChange::Missing) };
            if (kept_name.as_str(), kept_rows) == (name.as_str(), rows.to_json()) {
                return Ok(TemplateChange::Done(id));
            }
            if seen.is_some_and(|seen| seen != version) {
                return Ok(TemplateChange::Other);
            }
            if is_taken(&names(write)?, &name, Some(id)) {
                return Ok(TemplateChange::Taken);
            }
            let text = Vouched::new(write, &name, &rows);
            let version = record(write, actor, Action::TemplateChanged, id, Some(&text), name.as_str(), at)?;
            let mut update = write
                .connection
                .prepare_cached("UPDATE template SET changed_by = ?2, salt = ?3, name = ?4, rows = ?5 WHERE id = ?1")?;
            update.execute((id, version, text.salt, text.name, &text.rows))?;
            Ok(TemplateChange::Done(id))
        })
        .await
    }

    /// Deletes a template: TEMPLATE_DELETED. What somebody has half written in its form stays.
    pub async fn delete_template(
        &self,
        actor: Actor,
        id: TemplateId,
        at: Timestamp,
    ) -> Result<TemplateChange, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let Some((_, name, _)) = current(write, id)? else { return Ok(TemplateChange::Missing) };
            let version = record(write, actor, Action::TemplateDeleted, id, None, &name, at)?;
            let mut update = write.connection.prepare_cached(
                "UPDATE template SET changed_by = ?2, deleted = 1, salt = zeroblob(16), name = '', rows = '' WHERE id = ?1",
            )?;
            update.execute((id, version))?;
            write.erased(Erased::AtRest);
            Ok(TemplateChange::Done(id))
        })
        .await
    }

    /// Sends the filled rows of a form, a message each: MESSAGE_CREATE for each, all of them or none. `key` is the form's: what
    /// was sent under it before is not sent again. The actor's draft under that key goes.
    pub async fn send_rows(
        &self,
        actor: Actor,
        template: TemplateId,
        key: IdempotencyKey,
        rows: Vec<FilledRow>,
        at: Timestamp,
    ) -> Result<RowsSent, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let messages: Vec<NewMessage> = rows
                .into_iter()
                .map(|row| NewMessage {
                    subject: row.subject,
                    body: row.body,
                    addressed: Addressed::default(),
                    key: key_of_row(key, &row.label),
                })
                .collect();
            let sent_as = |message: &NewMessage| {
                let (subject, body) = (message.subject.as_str(), message.body.as_str());
                sent_before(
                    write,
                    actor.person,
                    &message::Text { subject, body, root: None, addressed: &message.addressed },
                    message.key,
                )
            };
            let before: Vec<Option<Sent>> = messages.iter().map(sent_as).collect::<Result<_, _>>()?;
            if before.iter().any(|sent| matches!(sent, Some(Sent::KeyReused(_)))) {
                return Ok(RowsSent::KeyReused(before));
            }
            let sent = messages.iter().map(|message| begin(write, actor, message, at)).collect::<Result<_, _>>()?;
            draft::remove_sent(write, actor.person, template, key)?;
            Ok(RowsSent::Sent(sent))
        })
        .await
    }
}

/// None where somebody has changed what is stored.
fn stored(row: &Row<'_>) -> rusqlite::Result<Option<Template>> {
    let (name, rows): (String, String) = (row.get(2)?, row.get(3)?);
    let (Ok(name), Some(rows)) = (TemplateName::parse(&name), TemplateRows::from_json(&rows)) else { return Ok(None) };
    let (id, version, changed_by) = (row.get(0)?, row.get(1)?, Author::from_row(row, 4)?);
    Ok(Some(Template { id, name, rows, version, changed_by, changed_at: row.get(7)? }))
}

fn spoilt() -> StoreError {
    StoreError::internal("a template is stored as no program stores one")
}

/// What the log vouches for of a template.
struct Vouched<'t> {
    salt: [u8; 16],
    name: &'t str,
    rows: String,
}

impl<'t> Vouched<'t> {
    fn new(write: &Write<'_>, name: &'t TemplateName, rows: &TemplateRows) -> Self {
        Self { salt: random_bytes(write.random()), name: name.as_str(), rows: rows.to_json() }
    }
}

/// The key of a row's message: of the form's own and the label, so that a form in which rows have moved sends none twice. Its
/// first half is the form's, which begins with the time: keys of one time lie together.
fn key_of_row(key: IdempotencyKey, label: &str) -> IdempotencyKey {
    let hash = Sha256::new().chain_update(key.0).chain_update(label).finalize();
    let mut row = key.0;
    row[8..].copy_from_slice(&hash[..8]);
    IdempotencyKey(row)
}

fn names(write: &Write<'_>) -> Result<Vec<(TemplateId, String)>, StoreError> {
    let mut select = write.connection.prepare_cached("SELECT id, name FROM template WHERE deleted = 0")?;
    let names = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn is_taken(names: &[(TemplateId, String)], name: &TemplateName, but: Option<TemplateId>) -> bool {
    let wanted = name.as_str().to_lowercase();
    names.iter().any(|(id, name)| Some(*id) != but && name.to_lowercase() == wanted)
}

/// Version, name and rows of a template that is there.
fn current(write: &Write<'_>, id: TemplateId) -> Result<Option<(AuditId, String, String)>, StoreError> {
    let mut select =
        write.connection.prepare_cached("SELECT changed_by, name, rows FROM template WHERE id = ?1 AND deleted = 0")?;
    Ok(select.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?)
}

/// The name stands beside the log; of the rows there is the hash.
fn record(
    write: &mut Write<'_>,
    actor: Actor,
    action: Action,
    id: TemplateId,
    text: Option<&Vouched<'_>>,
    name: &str,
    at: Timestamp,
) -> Result<AuditId, StoreError> {
    let mut details: Value = json!({ "template": id });
    if let Some(Vouched { salt, name, rows }) = text {
        details["content"] = template_hash(salt, name, rows).to_string().into();
    }
    let entry = Entry { at, person: Some(actor.person), action, message: None, details, ip: Some(actor.ip) };
    write.append_personal(entry, &json!({ "name": name }))
}

#[cfg(test)]
mod tests;
