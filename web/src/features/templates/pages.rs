//! The pages of templates: all of them, making and changing one, deleting it, and filling its form.

use askama::Template;

use crate::app::pages::{Frame, Shown, Time};

/// `/templates`: all templates by name.
#[derive(Template)]
#[template(path = "templates.html")]
pub struct TemplatesPage {
    /// What stands around the page.
    pub frame: Frame,
    /// By name.
    pub templates: Vec<TemplateView>,
    /// The reader's half-written forms of templates that were deleted, by their number.
    pub left_over: Vec<i64>,
}

/// A template.
pub struct TemplateView {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: Shown,
    /// Its rows.
    pub labels: Vec<Shown>,
    /// Who changed it last.
    pub changed_by: Shown,
    /// When.
    pub changed: Time,
    /// When the reader's half-written form of it was kept.
    pub draft: Option<Time>,
}

/// `/templates/new` and `/templates/ID/edit`.
#[derive(Template)]
#[template(path = "template_form.html")]
pub struct TemplateFormPage {
    /// What stands around the page.
    pub frame: Frame,
    /// Its number; none for a new one.
    pub id: Option<i64>,
    /// The name as typed.
    pub name: String,
    /// The rows as typed, one a line.
    pub rows: String,
    /// The version that the page has seen; empty for a new one.
    pub seen: String,
    /// What is wrong with the name.
    pub name_error: Option<String>,
    /// What is wrong with the rows.
    pub rows_error: Option<String>,
    /// What is wrong with the whole.
    pub problem: Option<String>,
}

impl TemplateFormPage {
    fn has_errors(&self) -> bool {
        self.name_error.is_some() || self.rows_error.is_some() || self.problem.is_some()
    }
}

/// `/templates/ID/delete`: asks before a template goes for everybody.
#[derive(Template)]
#[template(path = "delete_template.html")]
pub struct DeleteTemplatePage {
    /// What stands around the page.
    pub frame: Frame,
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: Shown,
}

/// `/templates/ID/write`: the form of a template, and the same again with what was typed and what is wrong with it.
#[derive(Template)]
#[template(path = "write_template.html")]
pub struct WriteTemplatePage {
    /// What stands around the page.
    pub frame: Frame,
    /// Its number.
    pub id: i64,
    /// Its name; none for one that was deleted.
    pub name: Option<Shown>,
    /// Makes sending idempotent: what was sent under it is not sent again.
    pub key: String,
    /// The version of the draft that the form was begun with; empty without one.
    pub draft_version: String,
    /// The form holds a draft that was saved at this moment.
    pub draft_saved: Option<Time>,
    /// What every row's subject ends with, as typed.
    pub subject: String,
    /// What is wrong with it.
    pub subject_error: Option<String>,
    /// The rows.
    pub rows: Vec<FieldView>,
    /// What is wrong with the whole.
    pub problem: Option<String>,
}

/// A row of a form.
pub struct FieldView {
    /// Its number on the page, from 1 on.
    pub number: usize,
    /// Its label.
    pub label: Shown,
    /// The same as it is sent.
    pub label_sent: String,
    /// What is to be thought of.
    pub prompt: Shown,
    /// The text as typed.
    pub text: String,
    /// What is wrong with it.
    pub error: Option<String>,
}

impl WriteTemplatePage {
    fn has_errors(&self) -> bool {
        self.subject_error.is_some() || self.problem.is_some() || self.rows.iter().any(|row| row.error.is_some())
    }
}
