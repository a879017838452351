//! `GET /urgent`: everything that is urgent, with its subjects: what, for whom, since when, what comes next.

use store::{MessageId, Timestamp, UrgentState};

use crate::app::access::Member;
use crate::app::pages::Frame;
use crate::app::request::Request;
use crate::features::urgent::pages::{Board, BoardPage, BoardRow};
use crate::http::error::PageError;
use crate::http::reply::Reply;

/// The page.
pub async fn show(request: Request, member: Member) -> Result<Reply, PageError> {
    let board = board(&request, &member, request.at).await?;
    Reply::page(&BoardPage { frame: board.frame.clone(), board })
}

/// `GET /urgent/board`: the board alone, for a page that is open and has heard that something changed. No activity.
pub async fn refresh(request: Request, member: Member) -> Result<Reply, PageError> {
    let mut board = board(&request, &member, request.at).await?;
    if let Some(shown) = &mut board.frame.member {
        shown.back = "/urgent".to_owned();
    }
    Reply::page(&board)
}

async fn board(request: &Request, member: &Member, at: Timestamp) -> Result<Board, PageError> {
    let store = &request.site.store;
    let urgent = request.site.duties.urgent(store).await?;
    let roots: Vec<MessageId> = urgent.iter().map(|urgent| urgent.message.root).collect();
    let subjects = store.show_urgent_board(member.actor(), roots, at).await?;
    let rows = urgent.iter().zip(subjects).map(|(urgent, subject)| BoardRow {
        bar: urgent.bar(member.actor().person),
        // Of a message that was withdrawn nothing is shown, also where the conversation around it is there.
        subject: subject.filter(|_| urgent.message.state != UrgentState::Withdrawn).map(|subject| subject.0.into()),
        is_reply: urgent.message.root != urgent.message.message,
    });
    Ok(Board { frame: Frame::of(member, request), rows: rows.collect() })
}
