//! `GET /audit/export.csv` and `.jsonl`: all rows of the filter and the lists among them, oldest first, streamed in constant memory.
//! That it was exported is on disk before the first byte leaves, and when the session ends, so does the download.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header;
use process::sanitize;
use serde::Serialize;
use store::{AuditFilter, AuditId, AuditRow, ExportFormat, PersonId, SessionState, SessionToken};

use super::sentence::Names;
use super::{code_label, filter, sentence, spreadsheet};
use crate::app::access::Member;
use crate::app::pages::Shown;
use crate::app::request::Request;
use crate::app::site::Site;
use crate::http::error::PageError;
use crate::http::reply::Reply;
use crate::limits::Turn;

/// Rows read and sent at a time.
const CHUNK: u32 = 250;

const CSV_HEADER: [&str; 16] = [
    "id",
    "timestamp",
    "user_id",
    "user_name",
    "user_email",
    "action",
    "details",
    "ip_address",
    "previous_hash",
    "hash",
    "personal",
    "message",
    "sentence",
    "filter",
    "exported_by",
    "exported_at",
];

/// As CSV, for a person with a spreadsheet: no cell can start a formula, and each row says what happened in a sentence, and of
/// which export it is.
pub async fn csv(request: Request, member: Member) -> Result<Reply, PageError> {
    export(request, member, ExportFormat::Csv).await
}

/// As JSON lines, for a program: the fields of the shipped copy.
pub async fn json_lines(request: Request, member: Member) -> Result<Reply, PageError> {
    export(request, member, ExportFormat::JsonLines).await
}

async fn export(request: Request, member: Member, format: ExportFormat) -> Result<Reply, PageError> {
    let parsed = filter::parse(&request.query);
    let filter = AuditFilter { without_looks: false, ..parsed.filter };
    if parsed.error.is_some() {
        return Err(PageError::BadRequest(
            "The filter in the address is not one of ours. Set it on the audit page, and export from there.",
        ));
    }
    request.site.limits.export(member.actor().person)?;
    let turn = request.site.limits.begin_export(member.actor().person)?;
    let token = request.session_token().ok_or(PageError::NoSession { ended: None })?;
    let up_to = request.site.store.begin_audit_export(member.actor(), filter.clone(), format, request.at).await?;
    let (content_type, extension) = match format {
        ExportFormat::Csv => ("text/csv; charset=utf-8", "csv"),
        ExportFormat::JsonLines => ("application/jsonl; charset=utf-8", "jsonl"),
    };
    let site = Arc::clone(&request.site);
    let names = Names::of(&site.store.people().await?, site.store.team_names().await?);
    let stamp = Stamp {
        filter: code_label::filter(&filter.details(), &names),
        by: format!("{} ({})", member.session().person_name, member.session().person_email),
        at: request.at.to_rfc3339(),
        names,
    };
    let walk = Walk { site, token, filter, format, stamp, after: Some(AuditId::ZERO), up_to, _turn: turn };
    let chunks = stream::try_unfold(walk, Walk::next_chunk);
    let name = format!("attachment; filename=\"wardpost-audit-to-row-{up_to}.{extension}\"");
    Ok(Reply::stream(content_type, chunks).with(header::CONTENT_DISPOSITION, &name))
}

struct Walk {
    site: Arc<Site>,
    token: SessionToken,
    filter: AuditFilter,
    format: ExportFormat,
    stamp: Stamp,
    /// None when the last chunk is sent.
    after: Option<AuditId>,
    up_to: AuditId,
    _turn: Turn<PersonId>,
}

impl Walk {
    /// An error here breaks the download off, so that a part is never taken for the whole.
    async fn next_chunk(mut self) -> Result<Option<(Bytes, Self)>, std::io::Error> {
        let Some(after) = self.after else {
            return Ok(None);
        };
        self.check_session().await?;
        let rows = self
            .site
            .store
            .audit_rows(&self.filter, after, self.up_to, CHUNK)
            .await
            .inspect_err(|error| tracing::error!(%error, "an audit export broke off"))
            .map_err(std::io::Error::other)?;
        let last = rows.last().map(|row| row.id);
        self.after = last.filter(|_| rows.len() == CHUNK as usize);
        let bytes = match self.format {
            ExportFormat::Csv => csv_chunk(&rows, &self.stamp, after == AuditId::ZERO),
            ExportFormat::JsonLines => json_chunk(&rows),
        };
        Ok(Some((Bytes::from(bytes?), self)))
    }

    async fn check_session(&self) -> Result<(), std::io::Error> {
        let limits = self.site.session_limits;
        match self.site.store.session(&self.token, limits, self.site.store.now()).await {
            Ok(SessionState::Live(_)) => Ok(()),
            Ok(_) => Err(std::io::Error::other("the session has ended")),
            Err(error) => Err(std::io::Error::other(error)),
        }
    }
}

/// What each row of an export for people says of the export.
struct Stamp {
    /// The filter in words; empty for the whole log.
    filter: String,
    /// Who exported it.
    by: String,
    /// When.
    at: String,
    /// People's names, for the sentences.
    names: Names,
}

fn csv_chunk(rows: &[AuditRow], stamp: &Stamp, first: bool) -> Result<Vec<u8>, std::io::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if first {
        writer.write_record(CSV_HEADER)?;
    }
    for row in rows {
        let person = row.person.as_ref();
        writer.write_record([
            row.id.to_string(),
            row.at.to_rfc3339(),
            person.map(|person| person.id.to_string()).unwrap_or_default(),
            cell(person.map_or("", |person| &person.name)),
            cell(person.map_or("", |person| &person.email)),
            cell(&row.action),
            cell(&row.details),
            cell(row.ip.as_deref().unwrap_or("")),
            row.previous_hash.to_string(),
            row.hash.to_string(),
            cell(row.personal.as_deref().unwrap_or("")),
            row.message.map(|message| message.to_string()).unwrap_or_default(),
            cell(&sentence::text(&sentence::of(row, &stamp.names))),
            cell(&stamp.filter),
            cell(&stamp.by),
            stamp.at.clone(),
        ])?;
    }
    writer.into_inner().map_err(|error| error.into_error())
}

/// For an auditor's eyes, and for a program that may take it for more than text.
fn cell(text: &str) -> String {
    spreadsheet::inert(&Shown::from(text).to_string())
}

#[derive(Serialize)]
struct JsonRow<'a> {
    id: AuditId,
    timestamp: String,
    user_id: Option<i64>,
    action: &'a str,
    details: serde_json::Value,
    ip_address: Option<&'a str>,
    previous_hash: String,
    hash: String,
    /// The fields that name somebody, as long as they are there; `details` carry their hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    personal: Option<serde_json::Value>,
}

fn json_chunk(rows: &[AuditRow]) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    for row in rows {
        let line = JsonRow {
            id: row.id,
            timestamp: row.at.to_rfc3339(),
            user_id: row.person.as_ref().map(|person| person.id.get()),
            action: &row.action,
            details: shown(&row.details),
            ip_address: row.ip.as_deref(),
            previous_hash: row.previous_hash.to_string(),
            hash: row.hash.to_string(),
            personal: row.personal.as_deref().map(shown),
        };
        // The same JSON, of which nothing turns a line round where a person looks at it.
        bytes.extend_from_slice(sanitize::one_line(&serde_json::to_string(&line)?).as_bytes());
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Text that is no JSON was changed by somebody: the export shows it rather than break off.
fn shown(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

#[cfg(test)]
mod tests;
