//! Templates against the rows of the log that concern them: each is as its newest row says, or is gone.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};
use serde::Deserialize;

use super::StoredRow;
use crate::ledger::chain_hash::template_hash;
use crate::types::{Action, AuditId, ChainError, StoreError, TemplateId};

/// What the rows up to some row say of templates: their newest row, and the hash that it carries; none once it was deleted.
#[derive(Default)]
pub(super) struct Templates(BTreeMap<TemplateId, (AuditId, Option<String>)>);

#[derive(Deserialize)]
struct TemplateDetails {
    template: i64,
    content: Option<String>,
}

impl Templates {
    /// Takes the next row; gives what is wrong with it.
    pub(super) fn take(&mut self, row: &StoredRow, id: AuditId) -> Option<ChainError> {
        let action = Action::parse(&row.action)?;
        if !matches!(action, Action::TemplateCreated | Action::TemplateChanged | Action::TemplateDeleted) {
            return None;
        }
        let details: Option<TemplateDetails> = serde_json::from_str(&row.details).ok();
        let Some((template, details)) = details.and_then(|found| Some((TemplateId::new(found.template)?, found)))
        else {
            return Some(ChainError::Altered);
        };
        // The row that deletes one carries no hash, and no other row does without.
        let is_whole = details.content.is_some() == (action != Action::TemplateDeleted);
        let before = self.0.insert(template, (id, details.content));
        let is_first = before.is_none() || action != Action::TemplateCreated;
        (!is_whole || !is_first).then_some(ChainError::Template(template))
    }

    /// Holds the table against the rows; gives the first template that differs, and the row that shows it. After a check that
    /// began in the midst of the log (not `whole`), only those that were changed since.
    pub(super) fn compare(
        &self,
        snapshot: &Connection,
        head: AuditId,
        whole: bool,
    ) -> Result<Option<(AuditId, ChainError)>, StoreError> {
        let mut select =
            snapshot.prepare_cached("SELECT changed_by, deleted, salt, name, rows FROM template WHERE id = ?1")?;
        for (template, (row, content)) in &self.0 {
            let mut found = select.query([template])?;
            let holds = found.next()?.is_some_and(|found| holds(found, *row, content.as_deref()).unwrap_or(false));
            if !holds {
                return Ok(Some((*row, ChainError::Template(*template))));
            }
        }
        if !whole {
            return Ok(None);
        }
        let mut select = snapshot.prepare_cached("SELECT id FROM template ORDER BY id")?;
        for id in select.query_map((), |row| row.get::<_, i64>(0))? {
            let id = id?;
            let template = TemplateId::new(id);
            if !template.is_some_and(|template| self.0.contains_key(&template)) {
                // A number that no template can have stands for the first one.
                let template = template.or(TemplateId::new(1));
                return Ok(template.map(|template| (head, ChainError::Template(template))));
            }
        }
        Ok(None)
    }
}

/// Whether a template is as its newest row says, which carries this hash; none where the row deleted it. An error where a value
/// is of a kind that is never written.
fn holds(found: &Row<'_>, newest: AuditId, content: Option<&str>) -> rusqlite::Result<bool> {
    let (version, deleted): (i64, i64) = (found.get(0)?, found.get(1)?);
    let (salt, name, rows): ([u8; 16], String, String) = (found.get(2)?, found.get(3)?, found.get(4)?);
    let agrees = match content {
        Some(content) => deleted == 0 && template_hash(&salt, &name, &rows).to_string() == content,
        None => deleted == 1 && salt == [0; 16] && name.is_empty() && rows.is_empty(),
    };
    Ok(agrees && version == newest.get())
}

#[cfg(test)]
mod tests;
