//! Templates against the rows of the log that concern them: each is as its newest row says, or is gone.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};
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

/// Whether the database knows templates: from schema 10 on.
pub(super) fn has_templates(snapshot: &Connection) -> Result<bool, StoreError> {
    let mut select =
        snapshot.prepare_cached("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'template'")?;
    Ok(select.exists(())?)
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
        let before = self.0.insert(template, (id, details.content));
        (before.is_some() && action == Action::TemplateCreated).then_some(ChainError::Template(template))
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
            let found = select.query_row([template], |found| {
                let (version, deleted): (AuditId, bool) = (found.get(0)?, found.get(1)?);
                let (salt, name, rows): ([u8; 16], String, String) = (found.get(2)?, found.get(3)?, found.get(4)?);
                let holds = match content {
                    Some(content) => !deleted && template_hash(&salt, &name, &rows).to_string() == *content,
                    None => deleted && salt == [0; 16] && name.is_empty() && rows.is_empty(),
                };
                Ok(holds && version == *row)
            });
            if found.optional()? != Some(true) {
                return Ok(Some((*row, ChainError::Template(*template))));
            }
        }
        let mut select = snapshot.prepare_cached("SELECT id FROM template ORDER BY id")?;
        for template in select.query_map((), |row| row.get::<_, TemplateId>(0))? {
            let template = template?;
            if whole && !self.0.contains_key(&template) {
                return Ok(Some((head, ChainError::Template(template))));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
