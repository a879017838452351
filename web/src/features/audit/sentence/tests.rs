use std::collections::HashSet;

use serde_json::json;
use store::{AuditId, Author, Timestamp, genesis_hash};

use super::*;

fn names() -> Names {
    Names {
        people: HashMap::from([(1, "Tomáš".to_owned()), (2, "Noor".to_owned())]),
        teams: HashMap::from([(3, "Ward 3".to_owned())]),
    }
}

fn row(action: Action, signed_in: bool, message: Option<i64>, details: Value) -> AuditRow {
    let tomas =
        || Author { id: PersonId::new(1).unwrap(), name: "Tomáš".into(), email: "tomas@clinic.example".into() };
    AuditRow {
        id: AuditId::new(9).unwrap(),
        // 22 November 2026, 21:10 UTC.
        at: Timestamp::from_millis(1_795_381_805_123),
        person: signed_in.then(tomas),
        action: action.as_str().into(),
        message: message.and_then(MessageId::new),
        details: details.to_string(),
        ip: None,
        personal: None,
        previous_hash: genesis_hash("x"),
        hash: genesis_hash("x"),
    }
}

/// What is told of each action, by what its details hold.
fn cases() -> Vec<(AuditRow, &'static str)> {
    use Action::*;
    let by = |action, details| row(action, true, None, details);
    let of = |action, details| row(action, true, Some(7), details);
    let nobody = |action, details| row(action, false, None, details);
    vec![
        (nobody(DatabaseCreated, json!({})), "The database was created"),
        (by(Login, json!({ "new_person": true })), "Tomáš signed in for the first time"),
        (by(Login, json!({ "new_person": false })), "Tomáš signed in"),
        (
            nobody(LoginDenied, json!({ "reason": "not_staff", "email": "eve@elsewhere.example" })),
            "eve@elsewhere.example was refused at sign-in: not on the list of staff",
        ),
        (
            nobody(LoginFailed, json!({ "reason": "provider_nonsense" })),
            "A sign-in failed: the sign-in service's answer was unusable",
        ),
        (
            nobody(
                LoginFailed,
                json!({ "reason": "several", "failures": 5, "addresses": 2, "reasons": { "audience": 1, "expired": 3, "nonce": 1 } }),
            ),
            "5 sign-ins failed within a minute, from 2 addresses: the sign-in service's answer did not hold; \
             the sign-in service's answer had expired",
        ),
        (by(Logout, json!({})), "Tomáš signed out"),
        (by(SessionExpired, json!({ "reason": "idle" })), "Tomáš was signed out: nothing had happened for too long"),
        (by(SessionEnded, json!({ "reason": "elsewhere" })), "Tomáš signed out another device"),
        (
            nobody(SessionEnded, json!({ "reason": "disabled", "person": 2, "operator": "root" })),
            "root switched off Noor, which ended a session",
        ),
        (
            nobody(
                SecurityAlert,
                json!({ "alarm": "failed_sign_ins", "failures": 10, "minutes": 5, "address": "192.0.2.7" }),
            ),
            "Security alert: 10 sign-ins failed within 5 minutes from 192.0.2.7",
        ),
        (by(MessageList, json!({ "messages": "3, 5-9" })), "Tomáš was shown the subjects of messages 3, 5-9"),
        (of(MessageCreate, json!({})), "Tomáš sent message 7"),
        (of(MessageCreate, json!({ "reply_to": 3 })), "Tomáš sent message 7, a reply to message 3"),
        (
            of(MessageCreate, json!({ "for": "2", "for_teams": { "3": "1-2" }, "urgent": "fast" })),
            "Tomáš sent message 7, for Noor, Ward 3, urgent (fast)",
        ),
        (
            of(MessageCreate, json!({ "reply_to": 3, "for": "1-2, 5-9" })),
            "Tomáš sent message 7, a reply to message 3, for Tomáš, Noor, person 5, person 6, person 7, 2 more",
        ),
        (of(MessageView, json!({})), "Tomáš opened message 7"),
        (of(MessageView, json!({ "messages": "7, 9" })), "Tomáš opened messages 7, 9 in the conversation of message 7"),
        (of(MessageDelete, json!({})), "Tomáš deleted message 7"),
        (of(MessageMarkedUnread, json!({})), "Tomáš marked message 7 as unread"),
        (of(ConversationDone, json!({})), "Tomáš marked the conversation of message 7 as done"),
        (of(ConversationReopened, json!({})), "Tomáš opened the conversation of message 7 again"),
        (of(DutyDone, json!({})), "Tomáš did what message 7 asked"),
        (of(DutyDone, json!({ "after_step": 2 })), "Tomáš did what message 7 asked, after step 2"),
        (of(DutyTaken, json!({})), "Tomáš took what message 7 asked of a team"),
        (
            row(DutyMoved, false, Some(7), json!({ "person": 2, "for_teams": { "3": "1" } })),
            "Noor was switched off, so message 7 is not for them any more: it is for Ward 3",
        ),
        (of(UrgentOnMyWay, json!({ "after_step": 0 })), "Tomáš is on the way for message 7, before any reminder"),
        (of(UrgentCannot, json!({ "after_step": 1 })), "Tomáš cannot do what message 7 asks, after step 1"),
        (
            row(UrgentStep, false, Some(7), json!({ "step": 2, "kind": "reminder" })),
            "Those whom message 7 is for were reminded (step 2)",
        ),
        (
            row(
                UrgentStep,
                false,
                Some(7),
                json!({ "step": 4, "kind": "teammates", "for_teams": { "3": "2", "9": "1" } }),
            ),
            "Teammates were asked about message 7 (step 4): Ward 3, team 9",
        ),
        (
            row(UrgentStepsSkipped, false, Some(7), json!({ "steps": "1-3" })),
            "Steps 1-3 of message 7 went by: their time was over, or it was passed on",
        ),
        (of(UrgentWithdrawn, json!({ "after_step": 1 })), "Tomáš withdrew the urgent message 7, after step 1"),
        (by(TeamCreated, json!({ "team": 3, "name": "Ward 3" })), "Tomáš made the team “Ward 3”"),
        (by(TeamRenamed, json!({ "team": 3, "name": "Ward 3 north" })), "Tomáš named a team “Ward 3 north”"),
        (by(TeamJoined, json!({ "team": 3, "name": "Ward 3" })), "Tomáš joined the team “Ward 3”"),
        (by(TeamLeft, json!({ "team": 3 })), "Tomáš left the team with the number 3"),
        (by(TemplateCreated, json!({ "template": 2, "name": "Evening" })), "Tomáš made the template “Evening”"),
        (by(TemplateChanged, json!({ "template": 2, "name": "Night" })), "Tomáš changed the template “Night”"),
        (by(TemplateDeleted, json!({ "template": 2 })), "Tomáš deleted the template with the number 2"),
        (by(DraftSaved, json!({ "after_session_end": true })), "Tomáš saved a draft after the session had ended"),
        (by(DraftDiscarded, json!({})), "Tomáš discarded a draft"),
        (by(AuditView, json!({ "person": 2, "message": 7 })), "Tomáš looked at the audit log: person Noor, message 7"),
        (by(AuditExport, json!({ "format": "csv" })), "Tomáš exported the audit log as CSV"),
        (by(DataExported, json!({})), "Tomáš downloaded a copy of their own data"),
        (nobody(StaffDisabled, json!({ "person": 2, "operator": "root" })), "root switched off Noor"),
        (nobody(StaffEnabled, json!({ "person": 2, "operator": "root" })), "root switched on Noor"),
        (nobody(PersonRecorded, json!({ "person": 2 })), "The audit log recorded who Noor is"),
        (
            nobody(
                EmergencyAccessGranted,
                json!({ "person": 2, "operator": "root", "minutes": 60, "reason": "outage" }),
            ),
            "root gave Noor emergency access for 60 minutes: outage",
        ),
        (by(EmergencyAccessUsed, json!({})), "Tomáš came in by emergency access"),
        (
            by(EmergencyAccessRefused, json!({ "reason": "used" })),
            "Tomáš was refused emergency access: the code was used before",
        ),
        (
            nobody(EmergencyAccessEnded, json!({ "person": 2, "reason": "unused" })),
            "The emergency access of Noor ended: nobody used the code in time",
        ),
        (
            nobody(AuditRowQuarantined, json!({ "row": 5, "reason": "too large" })),
            "Row 5 could not be copied off the machine: too large",
        ),
        (
            nobody(BackupCreated, json!({ "name": "wardpost-20261122T020000Z.sqlite.gz.age", "bytes": 1_500_000 })),
            "The 02:00 UTC backup was made, 1.5 MB",
        ),
        (
            nobody(
                BackupVerified,
                json!({ "name": "wardpost-20261122T020000Z.sqlite.gz.age", "restore_seconds": 4.2 }),
            ),
            "The nightly check restored the 02:00 UTC backup: sound, 4 s",
        ),
        (
            nobody(
                BackupVerified,
                json!({ "name": "wardpost-20261122T020000Z.sqlite.gz.age", "restore_seconds": 0.4, "by_hand": true }),
            ),
            "A check by hand restored the 02:00 UTC backup: sound, under 1 s",
        ),
        (
            nobody(
                BackupFailed,
                json!({ "name": "wardpost-20261121T020000Z.sqlite.gz.age", "during": "drill", "reason": "no room" }),
            ),
            "The nightly check of the backup of 21 Nov 2026, 02:00 UTC failed: no room",
        ),
        (nobody(BackupIdentityShown, json!({ "operator": "root" })), "root was shown the key of the backups"),
        (
            nobody(DatabaseRestored, json!({ "backup": "wardpost-20261122T020000Z.sqlite.gz.age" })),
            "The database was restored from the 02:00 UTC backup",
        ),
        (nobody(DatabaseRekeyed, json!({ "operator": "root" })), "root encrypted the database with another key"),
    ]
}

#[test]
fn every_action_is_a_sentence_that_one_reads_aloud() {
    for (row, sentence) in cases() {
        assert_eq!(text(&of(&row, &names())), sentence);
    }
    let told: HashSet<String> = cases().into_iter().map(|(row, _)| row.action).collect();
    let missing: Vec<_> = Action::ALL.iter().filter(|action| !told.contains(action.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_no_program_writes_is_told_as_far_as_it_goes() {
    let broken = AuditRow {
        action: "EXPLODED".into(),
        details: "{\"cut off".into(),
        ..row(Action::Login, true, None, json!({}))
    };
    assert_eq!(text(&of(&broken, &names())), "Tomáš did what no program records: EXPLODED");
    let empty = row(Action::StaffDisabled, false, None, json!({ "person": 99 }));
    assert_eq!(text(&of(&empty, &names())), "An operator switched off person 99");
}
