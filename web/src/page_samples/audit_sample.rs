//! The audit page with made-up rows.

use store::MessageId;

use super::sample::{HOSTILE, choices, clock_time, frame, now};
use crate::features::audit::pages::*;
use crate::features::audit::sentence::Part;

fn audit_row(id: i64, action: &str, sentence: Vec<Part>) -> AuditRowView {
    AuditRowView {
        id,
        at: now(),
        sentence,
        email: "bruno.keller@clinic.example".into(),
        action: action.into(),
        detail: "".into(),
        ip: "192.0.2.17".into(),
        hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
    }
}

fn did(words: &str) -> Vec<Part> {
    vec![Part::Name("Bruno Keller".into()), Part::Words(words.into())]
}

fn on_message(words: &str, id: i64) -> Vec<Part> {
    did(words).into_iter().chain([Part::Message(MessageId::new(id).unwrap())]).collect()
}

pub(super) fn audit(chain: ChainBanner) -> AuditPage {
    let mut rows = vec![
        audit_row(12_410, "AUDIT_VIEW", did(" looked at the audit log")),
        audit_row(12_409, "MESSAGE_VIEW", on_message(" opened ", 990)),
        audit_row(12_408, "MESSAGE_DELETE", on_message(" deleted ", 985)),
        AuditRowView {
            email: "".into(),
            ip: "".into(),
            ..audit_row(
                12_407,
                "BACKUP_VERIFIED",
                vec![
                    Part::Words("The nightly check restored the ".into()),
                    Part::Clock(clock_time()),
                    Part::Words(" backup: sound, 4 s".into()),
                ],
            )
        },
        AuditRowView {
            email: "".into(),
            detail: "reason: not_staff".into(),
            ip: "2001:db8:85a3:1234:5678:8a2e:370:7334".into(),
            ..audit_row(
                12_405,
                "LOGIN_DENIED",
                vec![Part::Name("eve@elsewhere.example".into()), Part::Words(" was refused at sign-in".into())],
            )
        },
        AuditRowView {
            detail: HOSTILE.into(),
            ..audit_row(
                12_404,
                "LOGIN",
                vec![Part::Name(HOSTILE.into()), Part::Words(" signed in: ".into()), Part::Said(HOSTILE.into())],
            )
        },
    ];
    rows.extend((0..20).map(|at| audit_row(12_400 - at, "MESSAGE_VIEW", on_message(" opened ", 900 - at))));
    let preset = |name, days| Preset {
        name,
        in_force: name == "Today",
        url: "/audit?from=2026-11-22T00%3A00&to=2026-11-22T23%3A59".into(),
        days,
    };
    AuditPage {
        frame: frame(),
        chain,
        rows,
        people: choices(Some(1)),
        actions: choices(None),
        from: "2026-11-01T00:00".into(),
        to: String::new(),
        message: "7".into(),
        of_message: MessageId::new(7),
        presets: [preset("Today", (0, 0)), preset("Yesterday", (1, 1)), preset("Last 7 days", (6, 0))],
        filter_words: "person Bruno Keller, message 7".into(),
        made: now(),
        filter_error: None,
        older_url: Some("/audit?before=12000&person=1".into()),
        newest_url: Some("/audit?person=1".into()),
        csv_url: "/audit/export.csv?person=1".into(),
        jsonl_url: "/audit/export.jsonl?person=1".into(),
        filtered: true,
        lists_shown: false,
    }
}
