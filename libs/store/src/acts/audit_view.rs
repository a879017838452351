//! Looking at the audit log is an act too: its row is durable before anything is shown.

use serde_json::json;

use crate::acts::session::require_live;
use crate::ledger::audit::Entry;
use crate::ledger::query::{AuditFilter, AuditRow, LOOKS, Order, select};
use crate::sqlite::write::{Write, read_head};
use crate::store::Store;
use crate::types::{Action, Actor, AuditId, StoreError, Timestamp};

/// A page of the log.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// Newest first.
    pub rows: Vec<AuditRow>,
    /// Whether there are older ones.
    pub older: bool,
    /// The newest row of the whole log.
    pub head: AuditId,
}

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Comma-separated values.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

impl ExportFormat {
    fn as_str(self) -> &'static str {
        match self {
            ExportFormat::Csv => "csv",
            ExportFormat::JsonLines => "jsonl",
        }
    }
}

impl Store {
    /// A page of the rows of `filter`, those older than `before` if given. AUDIT_VIEW, which tells the filter, is
    /// durable first.
    pub async fn view_audit(
        &self,
        actor: Actor,
        filter: AuditFilter,
        before: Option<AuditId>,
        limit: u32,
        at: Timestamp,
    ) -> Result<AuditPage, StoreError> {
        let mut details = filter.details();
        if let Some(before) = before {
            details["before"] = before.get().into();
        }
        self.write(move |write| record(write, actor, Action::AuditView, details, at)).await?;
        self.read(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut rows = select(&snapshot, &filter, Order::NewestFirst, before, None, limit.saturating_add(1))?;
            let older = rows.len() > limit as usize;
            rows.truncate(limit as usize);
            Ok(AuditPage { rows, older, head: read_head(&snapshot)?.id })
        })
        .await
    }

    /// Starts an export: AUDIT_EXPORT, which tells filter and format, is durable first. Gives the row before it, with
    /// which the export ends.
    pub async fn begin_audit_export(
        &self,
        actor: Actor,
        filter: AuditFilter,
        format: ExportFormat,
        at: Timestamp,
    ) -> Result<AuditId, StoreError> {
        let mut details = filter.details();
        details["format"] = format.as_str().into();
        self.write(move |write| {
            let last = write.head.id;
            record(write, actor, Action::AuditExport, details, at)?;
            Ok(last)
        })
        .await
    }
}

fn record(
    write: &mut Write<'_>,
    actor: Actor,
    action: Action,
    details: serde_json::Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    require_live(write, actor)?;
    let (person, ip) = (Some(actor.person), Some(actor.ip));
    write.append(Entry { at, person, action, message: None, details, ip })?;
    Ok(())
}

impl AuditFilter {
    /// As it stands in the log, by the names of what is set.
    pub fn details(&self) -> serde_json::Value {
        let mut details = json!({});
        if let Some(person) = self.person {
            details["person"] = person.get().into();
        }
        if let Some(action) = self.action {
            details["action"] = action.as_str().into();
        }
        if let Some(from) = self.from {
            details["from"] = from.to_rfc3339().into();
        }
        if let Some(to) = self.to {
            details["to"] = to.to_rfc3339().into();
        }
        if let Some(message) = self.message {
            details["message"] = message.get().into();
        }
        if self.without_looks && self.action.is_none() && self.message.is_none() {
            details["without"] = LOOKS.map(Action::as_str).as_slice().into();
        }
        details
    }
}
