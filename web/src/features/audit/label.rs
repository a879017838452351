//! Audit rows in words.

use serde_json::{Map, Value};
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
        Action::SecurityAlert => "set off a security alert",
        Action::MessageList => "was shown subjects in the list",
        Action::MessageCreate => "sent a message",
        Action::MessageMarkedUnread => "marked a message as unread",
        Action::ConversationDone => "marked a conversation as done",
        Action::DutyDone => "did what a message asked for",
        Action::DutyTaken => "took on what a message asked of a team",
        Action::DutyMoved => "passed on what a message asked of somebody who was switched off",
        Action::UrgentOnMyWay => "is on the way because of an urgent message",
        Action::UrgentCannot => "cannot do what an urgent message asks for",
        Action::UrgentStep => "repeated or passed on an urgent message",
        Action::UrgentStepsSkipped => "passed over steps of an urgent message",
        Action::UrgentWithdrawn => "withdrew an urgent message",
        Action::TeamCreated => "made a team",
        Action::TeamRenamed => "renamed a team",
        Action::TeamJoined => "joined a team",
        Action::TeamLeft => "left a team",
        Action::TemplateCreated => "made a template",
        Action::TemplateChanged => "changed a template",
        Action::TemplateDeleted => "deleted a template",
        Action::ConversationReopened => "opened a conversation again",
        Action::MessageView => "opened a message",
        Action::MessageDelete => "deleted a message",
        Action::DraftSaved => "saved a draft",
        Action::DraftDiscarded => "discarded a draft",
        Action::AuditView => "looked at the audit log",
        Action::AuditExport => "exported the audit log",
        Action::DataExported => "downloaded their own data",
        Action::StaffDisabled => "was switched off",
        Action::StaffEnabled => "was switched on",
        Action::PersonRecorded => "wrote down who a member is",
        Action::EmergencyAccessGranted => "gave a member emergency access",
        Action::EmergencyAccessUsed => "came in by emergency access",
        Action::EmergencyAccessRefused => "was refused emergency access",
        Action::EmergencyAccessEnded => "ended an emergency access",
        Action::AuditRowQuarantined => "gave up copying an audit row off the machine",
        Action::BackupCreated => "made a backup",
        Action::BackupVerified => "proved that a backup restores",
        Action::BackupFailed => "failed to make or prove a backup",
        Action::BackupIdentityShown => "showed the key of the backups",
        Action::DatabaseRestored => "restored the database from a backup",
        Action::DatabaseRekeyed => "encrypted the database with another key",
    }
}

/// The rest of a row's details as `name: value` pairs; what the page shows elsewhere is left out.
pub fn detail(row: &AuditRow) -> String {
    let Some(details) = row.named_details() else {
        return row.details.clone();
    };
    detail_text(&details, row.person.as_ref().map_or("", |person| &person.email))
}

fn detail_text(details: &Map<String, Value>, shown_email: &str) -> String {
    let pairs: Vec<String> = details
        .iter()
        .filter(|(name, value)| !matches!(name.as_str(), "message_id" | "content" | "who") && !value.is_null())
        .map(|(name, value)| match name.as_str() {
            // The hash of what should stand in its place.
            "personal" => ("names".to_owned(), "erased".to_owned()),
            _ => (name.replace('_', " "), plain(value)),
        })
        .filter(|(_, value)| !value.is_empty() && value != shown_email)
        .map(|(name, value)| format!("{name}: {value}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_words_of_its_own() {
        let mut words: Vec<_> = Action::ALL.iter().map(|action| of(*action)).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Action::ALL.len());
    }

    #[test]
    fn details_read_as_pairs_without_what_is_empty_or_shown_elsewhere() {
        let details = r#"{"message_id":5,"content":"ab","email":"a@clinic.example","changed":[],"new_person":false,"filter":{"person":3,"action":null},"both":["email","name"]}"#;
        let details = serde_json::from_str(details).unwrap();
        let shown = detail_text(&details, "b@clinic.example");
        for pair in ["email: a@clinic.example", "new person: no", "filter: person 3", "both: email and name"] {
            assert!(shown.contains(pair), "{shown}");
        }
        for hidden in ["message", "content", "changed", "action"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
        assert!(!detail_text(&details, "a@clinic.example").contains("a@clinic.example"));
        let erased = serde_json::from_str(r#"{"new_person":true,"personal":"0123","who":{"account":"ab"}}"#).unwrap();
        assert_eq!(detail_text(&erased, ""), "new person: yes, names: erased");
    }
}
