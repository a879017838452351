//! The pages of teams and of templates, with made-up names.

use super::sample::{HOSTILE, LONG_WORD, earlier, frame, now};
use crate::features::teams::pages::*;
use crate::features::templates::pages::*;

fn team(id: i64, name: &str, members: &[(&str, bool)]) -> TeamView {
    let member =
        |(name, enabled): &(&str, bool)| MemberView { name: (*name).into(), since: earlier(), enabled: *enabled };
    TeamView {
        id,
        name: name.into(),
        typed: name.into(),
        own: id == 1,
        members: members.iter().map(member).collect(),
        former: Vec::new(),
    }
}

pub(super) fn teams(form: NameForm) -> TeamsPage {
    let former = [HOSTILE, LONG_WORD].map(|name| FormerView { name: name.into(), from: earlier(), until: now() });
    let teams = vec![
        TeamView { former: former.into(), ..team(1, "On call", &[("Amina Haddad", true), (HOSTILE, false)]) },
        team(2, HOSTILE, &[(LONG_WORD, true), ("فاطمة الزهراء", true), ("李小龙", true)]),
        team(3, "Pharmacy", &[("Chiara Rossi", false)]),
        team(4, "Ward 3", &[]),
    ];
    TeamsPage { frame: frame(), teams, form }
}

fn template(id: i64, name: &str, labels: &[&str]) -> TemplateView {
    TemplateView {
        id,
        name: name.into(),
        labels: labels.iter().map(|label| (*label).into()).collect(),
        changed_by: "Chiara Rossi".into(),
        changed: earlier(),
        draft: (id == 1).then(now),
    }
}

pub(super) fn templates() -> TemplatesPage {
    let templates = vec![
        template(1, "Handover Ward 3", &["Room 1", "Room 2", "Room 3", "Bed 12", "Bed 14 (window)"]),
        TemplateView { changed_by: HOSTILE.into(), ..template(2, HOSTILE, &[HOSTILE, LONG_WORD, "الغرفة ٣"]) },
    ];
    TemplatesPage { frame: frame(), templates, left_over: vec![7] }
}

pub(super) fn template_form(id: Option<i64>, name: &str, rows: &str) -> TemplateFormPage {
    TemplateFormPage {
        frame: frame(),
        id,
        name: name.into(),
        rows: rows.into(),
        seen: id.map(|_| "12398".into()).unwrap_or_default(),
        name_error: None,
        rows_error: None,
        problem: None,
    }
}

fn field(number: usize, label: &str, prompt: &str, text: &str) -> FieldView {
    FieldView {
        number,
        label: label.into(),
        label_sent: label.into(),
        prompt: prompt.into(),
        text: text.into(),
        error: None,
    }
}

pub(super) fn write_template(rows: Vec<FieldView>) -> WriteTemplatePage {
    WriteTemplatePage {
        frame: frame(),
        id: 1,
        name: Some("Handover Ward 3".into()),
        key: "5f0c".repeat(8),
        draft_version: String::new(),
        draft_saved: None,
        subject: "Handover Ward 3, evening".into(),
        subject_error: None,
        rows,
        problem: None,
    }
}

pub(super) fn fields() -> Vec<FieldView> {
    vec![
        field(1, "Room 1", "pain, drains, family", ""),
        field(2, "Room 2", "", "\nDrain out at six."),
        field(3, HOSTILE, HOSTILE, HOSTILE),
    ]
}

pub(super) fn faulty_fields() -> Vec<FieldView> {
    let too_long = "The message may have 20,000 characters; this one has 20,412.";
    fields().into_iter().map(|field| FieldView { error: Some(too_long.into()), ..field }).collect()
}

pub(super) fn named(team: Option<i64>, error: &str) -> NameForm {
    NameForm { team, typed: HOSTILE.into(), error: Some(error.into()) }
}
