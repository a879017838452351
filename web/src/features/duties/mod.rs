//! What one answers to a message that is for somebody, by one click from wherever it is shown: done, I take it, on my way,
//! cannot.

use store::{DutyChange, MessageId, UrgentAnswer};

use crate::app::access::Member;
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::features::messages::conversation::address_of;
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;

/// `POST /messages/{}/duty/done`
pub async fn done(request: Request, member: Member, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let id = message(&request)?;
    let change = request.site.store.finish_duty(member.actor(), id, request.at).await?;
    back(&request, &form.into_inner(), id, change, "duty-done").await
}

/// `POST /messages/{}/duty/take`
pub async fn take(request: Request, member: Member, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let id = message(&request)?;
    let change = request.site.store.take_duty(member.actor(), id, request.at).await?;
    back(&request, &form.into_inner(), id, change, "duty-taken").await
}

/// `POST /messages/{}/urgent/on-my-way`
pub async fn on_my_way(request: Request, member: Member, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
    answer(&request, &member, form.into_inner(), UrgentAnswer::OnMyWay, "on-my-way").await
}

/// `POST /messages/{}/urgent/cannot`
pub async fn cannot(request: Request, member: Member, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
    answer(&request, &member, form.into_inner(), UrgentAnswer::Cannot, "cannot").await
}

async fn answer(
    request: &Request,
    member: &Member,
    form: Form,
    answer: UrgentAnswer,
    notice: &str,
) -> Result<Reply, PageError> {
    let id = message(request)?;
    let change = request.site.store.answer_urgent(member.actor(), id, answer, request.at).await?;
    back(request, &form, id, change, notice).await
}

fn message(request: &Request) -> Result<MessageId, PageError> {
    request.id().ok_or(PageError::NotFound)
}

/// To the page of ours that the form's field `back` names, or to the message, which says what came of it.
async fn back(
    request: &Request,
    form: &Form,
    id: MessageId,
    change: DutyChange,
    notice: &str,
) -> Result<Reply, PageError> {
    let notice = match change {
        DutyChange::Changed => notice,
        DutyChange::Unchanged => "duty-over",
        DutyChange::Missing => return Err(PageError::NotFound),
    };
    if let Some(back) = form.get("back").filter(|back| is_ours(request, back)) {
        return Ok(Reply::see_other(back));
    }
    let address = address_of(&request.site.store, id, notice).await?.ok_or(PageError::NotFound)?;
    Ok(Reply::see_other(&address))
}

/// A page of the table to which one may be led, whatever its query.
fn is_ours(request: &Request, back: &str) -> bool {
    let path = back.split(['?', '#']).next().unwrap_or_default();
    back.bytes().all(|byte| byte.is_ascii_graphic()) && request.site.may_return_to(path)
}
