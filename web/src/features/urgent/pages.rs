//! The board of what is urgent.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::app::pages::{Asked, BarKind, Frame, Shown, UrgentBar};

/// `/urgent`
#[derive(Template)]
#[template(path = "urgent.html")]
pub struct BoardPage {
    /// What stands around the page.
    pub frame: Frame,
    /// The board.
    pub board: Board,
}

/// What is urgent, as an element with the id `board`, which travels alone where the page is open and something has changed.
#[derive(Template)]
#[template(path = "board.html")]
pub struct Board {
    /// What stands around the page.
    pub frame: Frame,
    /// The oldest first.
    pub rows: Vec<BoardRow>,
}

/// Its template escapes every field.
impl HtmlSafe for Board {}

/// An urgent message.
pub struct BoardRow {
    /// As the reader sees it.
    pub bar: UrgentBar,
    /// Of its conversation; None where it was deleted.
    pub subject: Option<Shown>,
    /// It is a reply in that conversation.
    pub is_reply: bool,
}
