//! Urgent messages as they stand above a member's pages and on the board: who sent it, for whom, since when, what comes next.
//!
//! Neither a subject nor any text: giving one out takes a row of the audit log, and these stand on every page of a computer that
//! people share. The board adds the subjects, and writes the row.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use askama::filters::HtmlSafe;
use store::MessageId;

use crate::app::pages::{Frame, MemberFrame, Shown, Time};

/// The bars of a member's page: an element with the id `urgent-bars`, which a page that is open asks for again.
#[derive(Template)]
#[template(path = "urgent_bars.html")]
pub struct UrgentBars<'f> {
    /// What stands around the page.
    pub frame: &'f Frame,
    /// Whose page it is.
    pub member: &'f MemberFrame,
}

/// What lists mark of duties and urgent messages for a reader.
#[derive(Default, PartialEq, Eq)]
pub struct DutyMarks {
    /// Conversations with a message that is for the reader, and neither done nor answered.
    pub for_reader: BTreeSet<MessageId>,
    /// How many such messages there are.
    pub open: usize,
    /// Conversations with an urgent message, for anybody, that nobody has answered.
    pub urgent: Arc<BTreeSet<MessageId>>,
}

impl DutyMarks {
    /// The numbers of what is for the reader: "7 12".
    pub fn mine(&self) -> String {
        numbers(&self.for_reader)
    }

    /// The numbers of what is urgent and unanswered.
    pub fn unanswered(&self) -> String {
        numbers(&self.urgent)
    }
}

fn numbers(conversations: &BTreeSet<MessageId>) -> String {
    conversations.iter().map(MessageId::to_string).collect::<Vec<_>>().join(" ")
}

/// Its template escapes every field.
impl HtmlSafe for UrgentBars<'_> {}

/// An urgent message, as one reader sees it.
#[derive(Clone)]
pub struct UrgentBar {
    /// Its number.
    pub message: i64,
    /// Who sent it; "you" for the reader.
    pub author: Shown,
    /// Where it stands for the reader.
    pub kind: BarKind,
    /// The teams and other people that it was for when it was sent.
    pub whom: Vec<Shown>,
    /// When it was sent.
    pub since: Time,
    /// How often those were reminded.
    pub reminders: usize,
    /// Who was asked besides them.
    pub asked: Asked,
    /// What comes next.
    pub next: Option<NextView>,
    /// The number of the newest step that was carried out; 0 for none.
    pub step: usize,
    /// How many have answered.
    pub answers: usize,
    /// The reader has an open duty, which "Done" ends.
    pub can_finish: bool,
}

/// Where an urgent message stands for its reader.
#[derive(Clone)]
pub enum BarKind {
    /// The reader is asked.
    Asked {
        /// Only as one of the whole staff: there is no duty to hand on.
        everyone: bool,
    },
    /// It is the reader's own, and nobody answered until the last step.
    Unanswered,
    /// The reader is on the way.
    OwnWay,
    /// Others are on the way.
    OnTheWay {
        /// Who.
        who: Vec<Shown>,
    },
    /// Somebody has done it, and the reader, who was named, has not said so.
    Done {
        /// Who.
        who: Vec<Shown>,
    },
    /// Its author deleted it.
    Withdrawn {
        /// When.
        at: Option<Time>,
    },
    /// It waits, and the reader is not asked.
    Waiting {
        /// The reader sent it.
        own: bool,
    },
}

/// Who was asked by the steps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nobody else.
    Nobody,
    /// Teammates.
    Teammates,
    /// Everyone on staff.
    Everyone,
}

/// The step that comes next.
#[derive(Clone)]
pub struct NextView {
    /// What it does, before its time: "teammates are asked at".
    pub what: &'static str,
    /// When.
    pub at: Time,
}

impl UrgentBar {
    /// It asks something of the reader now: it is red, and in the title and the icon.
    pub fn is_loud(&self) -> bool {
        matches!(self.kind, BarKind::Asked { .. } | BarKind::Unanswered)
    }

    /// Nobody has answered.
    pub fn is_waiting(&self) -> bool {
        self.is_loud() || matches!(self.kind, BarKind::Waiting { .. })
    }

    /// The class of its element.
    pub fn class(&self) -> &'static str {
        match self.kind {
            BarKind::Asked { .. } | BarKind::Unanswered => "loud",
            BarKind::Waiting { .. } => "waiting",
            _ => "calm",
        }
    }

    /// "reminded twice"; empty where nobody was.
    pub fn reminded(&self) -> String {
        match self.reminders {
            0 => String::new(),
            1 => "reminded once".to_owned(),
            2 => "reminded twice".to_owned(),
            times => format!("reminded {times} times"),
        }
    }

    /// "On my way" can be said.
    pub fn offers_way(&self) -> bool {
        match self.kind {
            BarKind::Asked { .. } | BarKind::Waiting { own: false } => true,
            BarKind::OnTheWay { .. } => !self.can_finish,
            _ => false,
        }
    }

    /// What the button says that ends it for the reader.
    pub fn done_label(&self) -> Option<&'static str> {
        match self.kind {
            BarKind::Unanswered | BarKind::OwnWay => Some("Done"),
            BarKind::Done { .. } | BarKind::OnTheWay { .. } if self.can_finish => Some("Done"),
            BarKind::Withdrawn { .. } if self.can_finish => Some("Understood"),
            _ => None,
        }
    }

    /// "Cannot: next, please" can be said.
    pub fn offers_cannot(&self) -> bool {
        matches!(self.kind, BarKind::Asked { everyone: false } | BarKind::OwnWay)
    }

    /// Its bar has buttons. That others are on the way is only told: one click too many would end it for them; the board has the
    /// button.
    fn has_buttons(&self) -> bool {
        let told = matches!(self.kind, BarKind::OnTheWay { .. } | BarKind::Waiting { own: true });
        !told && self.is_answerable()
    }

    /// The reader can answer.
    pub fn is_answerable(&self) -> bool {
        self.offers_way() || self.done_label().is_some()
    }

    /// What is different where something has changed that the page shows.
    pub fn state(&self) -> String {
        format!("{}.{}.{}.{}", self.message, self.kind.letter(), self.step, self.answers)
    }
}

impl BarKind {
    fn letter(&self) -> char {
        match self {
            Self::Asked { everyone: false } => 'a',
            Self::Asked { everyone: true } => 'e',
            Self::Unanswered => 'u',
            Self::OwnWay => 'o',
            Self::OnTheWay { .. } => 'w',
            Self::Done { .. } => 'd',
            Self::Withdrawn { .. } => 'x',
            Self::Waiting { .. } => 'q',
        }
    }
}
