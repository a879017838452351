//! Audit rows in words.

use serde_json::Value;
use store::{Action, AuditRow};

/// What an action means, fit to follow a person's name.
pub fn of(action: Action) -> &'static str {
    match action {
        Action::DatabaseCreated => "created the database",
        Action::Login => "signed in",
        Action::LoginDenied => "was refused at sign-in",
        Action::LoginFailed => "did not get through sign-in",
        Action::Logout => "signed out",
        Action::SessionExpired => "was signed out by a time limit",
        Action::SessionEnded => "was signed out",
        Action::MessageCreate => "sent a message",
        Action::MessageView => "opened a message",
        Action::MessageDelete => "deleted a message",
        Action::DraftSaved => "saved a draft",
        Action::DraftDiscarded => "discarded a draft",
        Action::AuditView => "looked at the audit log",
        Action::AuditExport => "exported the audit log",
        Action::StaffDisabled => "was switched off",
        Action::StaffEnabled => "was switched on",
    }
}

/// The rest of a row's details as `name: value` pairs; what the page shows elsewhere is left out.
pub fn detail(row: &AuditRow) -> String {
    let Ok(Value::Object(details)) = serde_json::from_str(&row.details) else {
        return row.details.clone();
    };
    let pairs: Vec<String> = details
        .iter()
        .filter(|(name, value)| !matches!(name.as_str(), "message_id" | "content") && !value.is_null())
        .map(|(name, value)| format!("{}: {}", name.replace('_', " "), plain(value)))
        .collect();
    pairs.join(", ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(" and "),
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("{name} {}", plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}
