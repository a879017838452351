//! `GET /messages/{}`: one message. That it was opened is on disk before its text leaves the server.

use store::{MessageSummary, Opened, SummaryContent};

use crate::app::access::Member;
use crate::app::pages::Frame;
use crate::app::request::Request;
use crate::features::messages::pages::{MessagePage, TombstonePage};
use crate::http::error::PageError;
use crate::http::reply::Reply;

/// The message, or what is left of it.
pub async fn show(request: Request, member: Member) -> Result<Reply, PageError> {
    let id = request.id().ok_or(PageError::NotFound)?;
    match request.site.store.open_message(member.actor(), id, request.at).await? {
        Opened::Message(message) => Reply::page(&MessagePage {
            frame: Frame::of(&member, &request),
            id: message.id.get(),
            own: message.author.id == member.actor().person,
            author_name: message.author.name.into(),
            author_email: message.author.email.into(),
            sent: message.sent_at.into(),
            subject: message.subject.into(),
            body: message.body.into(),
        }),
        Opened::Deleted(summary) => tombstone(&request, &member, summary),
        Opened::Missing => Err(PageError::NotFound),
    }
}

fn tombstone(request: &Request, member: &Member, summary: MessageSummary) -> Result<Reply, PageError> {
    let SummaryContent::Deleted { at } = summary.content else {
        return Err(PageError::NotFound);
    };
    Reply::page(&TombstonePage {
        frame: Frame::of(member, request),
        author_name: summary.author.name.into(),
        sent: summary.sent_at.into(),
        deleted: at.into(),
    })
}
