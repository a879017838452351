//! `/templates`: forms that everybody on staff shares, such as a handover with a row for each room. Anyone makes and changes
//! them here; [`write`] is where one is filled and sent.

pub mod pages;
pub mod write;

use http::StatusCode;
use store::{AuditId, MAX_TEMPLATES, Template, TemplateChange, TemplateId, TemplateName, TemplateRows, Timestamp};

use crate::app::access::Member;
use crate::app::pages::{Frame, Shown};
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::features::templates::pages::{DeleteTemplatePage, TemplateFormPage, TemplateView, TemplatesPage};
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;

/// `GET /templates`
pub async fn show(request: Request, member: Member) -> Result<Reply, PageError> {
    let store = &request.site.store;
    let templates = store.templates().await?;
    let drafts = store.drafted_templates(member.actor().person).await?;
    let left_over = drafts.iter().filter(|(id, _)| templates.iter().all(|template| template.id != *id));
    Reply::page(&TemplatesPage {
        frame: Frame::of(&member, &request).with_notice(notice(request.query.get("notice"))),
        left_over: left_over.map(|(id, _)| id.get()).collect(),
        templates: templates.into_iter().map(|template| view(&template, &drafts)).collect(),
    })
}

fn view(template: &Template, drafts: &[(TemplateId, Timestamp)]) -> TemplateView {
    TemplateView {
        id: template.id.get(),
        name: template.name.as_str().into(),
        labels: template.rows.rows().iter().map(|row| row.label.as_str().into()).collect(),
        changed_by: template.changed_by.name.as_str().into(),
        changed: template.changed_at.into(),
        draft: drafts.iter().find(|(id, _)| *id == template.id).map(|(_, saved)| (*saved).into()),
    }
}

/// `GET /templates/new`
pub async fn new(request: Request, member: Member) -> Result<Reply, PageError> {
    form(&request, &member, None, Typed::default(), None)
}

/// `POST /templates`
pub async fn create(request: Request, member: Member, sent: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let typed = Typed::of(&sent.into_inner());
    let (name, rows) = match typed.parse() {
        Ok(parsed) => parsed,
        Err(errors) => return refuse(&request, &member, None, typed, errors),
    };
    match request.site.store.create_template(member.actor(), name, rows, request.at).await? {
        TemplateChange::Done(id) => Ok(Reply::see_other(&format!("/templates?notice=created#template-{id}"))),
        TemplateChange::Taken => refuse(&request, &member, None, typed, taken()),
        TemplateChange::TooMany => {
            let whole = format!("There are {MAX_TEMPLATES} templates, and no more fit. Delete one that nobody uses.");
            refuse(&request, &member, None, typed, Errors { whole: Some(whole), ..Errors::default() })
        }
        TemplateChange::Other | TemplateChange::Missing => Err(PageError::NotFound),
    }
}

/// `GET /templates/{}/edit`
pub async fn edit(request: Request, member: Member) -> Result<Reply, PageError> {
    let template = find(&request).await?;
    let typed = Typed {
        name: template.name.as_str().to_owned(),
        rows: template.rows.text(),
        seen: Some(template.version.to_string()),
    };
    form(&request, &member, Some(template.id), typed, None)
}

/// `POST /templates/{}/edit`
pub async fn change(request: Request, member: Member, sent: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let id: TemplateId = request.id().ok_or(PageError::NotFound)?;
    let mut typed = Typed::of(&sent.into_inner());
    let (name, rows) = match typed.parse() {
        Ok(parsed) => parsed,
        Err(errors) => return refuse(&request, &member, Some(id), typed, errors),
    };
    let seen = typed.seen.as_ref().map(|seen| seen.parse().unwrap_or(AuditId::ZERO));
    let store = &request.site.store;
    match store.change_template(member.actor(), id, seen, (name, rows), request.at).await? {
        TemplateChange::Done(id) => Ok(Reply::see_other(&format!("/templates?notice=changed#template-{id}"))),
        TemplateChange::Taken => refuse(&request, &member, Some(id), typed, taken()),
        TemplateChange::Other => {
            let now = find(&request).await?;
            let whole = format!(
                "{} has changed this template meanwhile. Nothing was saved. Look at it in another tab; saving again here replaces it.",
                Shown::from(now.changed_by.name)
            );
            typed.seen = Some(now.version.to_string());
            refuse(&request, &member, Some(id), typed, Errors { whole: Some(whole), ..Errors::default() })
        }
        TemplateChange::TooMany | TemplateChange::Missing => Err(PageError::NotFound),
    }
}

/// `GET /templates/{}/delete`: asks first.
pub async fn confirm(request: Request, member: Member) -> Result<Reply, PageError> {
    let template = find(&request).await?;
    let frame = Frame::of(&member, &request);
    Reply::page(&DeleteTemplatePage { frame, id: template.id.get(), name: template.name.as_str().into() })
}

/// `POST /templates/{}/delete`
pub async fn delete(request: Request, member: Member, _: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let id: TemplateId = request.id().ok_or(PageError::NotFound)?;
    match request.site.store.delete_template(member.actor(), id, request.at).await? {
        TemplateChange::Done(_) => Ok(Reply::see_other("/templates?notice=deleted")),
        _ => Err(PageError::NotFound),
    }
}

async fn find(request: &Request) -> Result<Template, PageError> {
    let id = request.id().ok_or(PageError::NotFound)?;
    request.site.store.template(id).await?.ok_or(PageError::NotFound)
}

/// What was typed to make or change a template.
#[derive(Default)]
struct Typed {
    name: String,
    rows: String,
    /// The version that the page has seen. A form that does not say replaces whatever there is.
    seen: Option<String>,
}

#[derive(Default)]
struct Errors {
    name: Option<String>,
    rows: Option<String>,
    whole: Option<String>,
}

impl Typed {
    fn of(form: &Form) -> Self {
        let text = |name| form.text(name).to_owned();
        Self { name: text("name"), rows: text("rows"), seen: form.value("seen").map(str::to_owned) }
    }

    fn parse(&self) -> Result<(TemplateName, TemplateRows), Errors> {
        match (TemplateName::parse(&self.name), TemplateRows::parse(&self.rows)) {
            (Ok(name), Ok(rows)) => Ok((name, rows)),
            (name, rows) => Err(Errors {
                name: name.err().map(|error| error.to_string()),
                rows: rows.err().map(|error| error.to_string()),
                whole: None,
            }),
        }
    }
}

fn taken() -> Errors {
    let name = "Another template has this name. Choose one that nobody can mistake for it.".to_owned();
    Errors { name: Some(name), ..Errors::default() }
}

fn refuse(
    request: &Request,
    member: &Member,
    id: Option<TemplateId>,
    typed: Typed,
    errors: Errors,
) -> Result<Reply, PageError> {
    Ok(form(request, member, id, typed, Some(errors))?.with_status(StatusCode::UNPROCESSABLE_ENTITY))
}

fn form(
    request: &Request,
    member: &Member,
    id: Option<TemplateId>,
    typed: Typed,
    errors: Option<Errors>,
) -> Result<Reply, PageError> {
    let errors = errors.unwrap_or_default();
    Reply::page(&TemplateFormPage {
        frame: Frame::of(member, request),
        id: id.map(TemplateId::get),
        name: typed.name,
        rows: typed.rows,
        seen: typed.seen.unwrap_or_default(),
        name_error: errors.name,
        rows_error: errors.rows,
        problem: errors.whole,
    })
}

/// What has just been done.
fn notice(code: Option<&str>) -> Option<&'static str> {
    match code? {
        "created" => Some("The template is made. Everybody on staff can use it."),
        "changed" => Some("The template is changed for everybody."),
        "deleted" => Some("The template is deleted."),
        "discarded" => Some("What you had half written was discarded."),
        _ => None,
    }
}
