//! Bars of what is urgent, and the board.

use super::*;
use crate::features::urgent::pages::{Board, BoardPage, BoardRow};

fn bar(message: i64, kind: BarKind) -> UrgentBar {
    UrgentBar {
        message,
        author: "Bruno Keller".into(),
        kind,
        whom: vec!["Ward 3".into()],
        since: now(),
        reminders: 0,
        asked: Asked::Nobody,
        next: Some(NextView { what: "next reminder at", at: now() }),
        step: 0,
        answers: 0,
        can_finish: true,
    }
}

fn asked() -> UrgentBar {
    UrgentBar {
        reminders: 2,
        step: 2,
        next: Some(NextView { what: "teammates are asked at", at: now() }),
        ..bar(12, BarKind::Asked { everyone: false })
    }
}

/// One of each, as somebody would see them who is in all of it.
fn every_kind() -> Vec<UrgentBar> {
    vec![
        asked(),
        UrgentBar {
            author: HOSTILE.into(),
            whom: vec![HOSTILE.into(), LONG_WORD.into(), "فاطمة الزهراء".into()],
            reminders: 3,
            asked: Asked::Everyone,
            step: 5,
            next: Some(NextView { what: "if nobody answers, its sender is told at", at: now() }),
            can_finish: false,
            ..bar(13, BarKind::Asked { everyone: true })
        },
        UrgentBar { reminders: 3, asked: Asked::Everyone, step: 6, next: None, ..bar(14, BarKind::Unanswered) },
        UrgentBar { next: None, answers: 1, ..bar(15, BarKind::OwnWay) },
        UrgentBar {
            next: None,
            answers: 2,
            ..bar(16, BarKind::OnTheWay { who: vec!["Tomáš Dvořák".into(), HOSTILE.into()] })
        },
        UrgentBar { next: None, answers: 1, ..bar(17, BarKind::Done { who: vec!["李小龙".into()] }) },
        UrgentBar { next: None, ..bar(18, BarKind::Withdrawn { at: Some(now()) }) },
        UrgentBar {
            reminders: 1,
            asked: Asked::Teammates,
            step: 4,
            can_finish: false,
            ..bar(19, BarKind::Waiting { own: false })
        },
        UrgentBar { can_finish: false, ..bar(20, BarKind::Waiting { own: true }) },
    ]
}

fn frame_with(bars: Vec<UrgentBar>, all: bool) -> Frame {
    let mut frame = frame();
    if let Some(member) = &mut frame.member {
        member.for_me = 3;
        member.urgent_all = "12.0.2.0.1".into();
        member.bars = bars.into();
        member.marks = all.then(duties::marks);
        member.back = "/help".into();
    }
    frame
}

fn board(bars: Vec<UrgentBar>) -> BoardPage {
    let frame = frame_with(Vec::new(), false);
    let rows = bars.into_iter().enumerate().map(|(at, bar)| BoardRow {
        subject: match bar.kind {
            BarKind::Withdrawn { .. } => None,
            _ if at == 1 => Some(HOSTILE.into()),
            _ => Some(SUBJECT.into()),
        },
        is_reply: at == 2,
        bar,
    });
    BoardPage { frame: frame.clone(), board: Board { frame, rows: rows.collect() } }
}

pub(super) fn all() -> Vec<(&'static str, String)> {
    let html = |page: &dyn askama::DynTemplate| page.dyn_render().unwrap();
    let quiet = every_kind().into_iter().filter(|bar| bar.class() == "calm").collect();
    vec![
        ("urgent-bar", html(&HelpPage { frame: frame_with(vec![asked()], false) })),
        ("urgent-bar-quiet", html(&HelpPage { frame: frame_with(quiet, false) })),
        ("urgent-bars", html(&HelpPage { frame: frame_with(every_kind(), false) })),
        ("urgent-list", html(&InboxPage { frame: frame_with(every_kind().split_off(7), true), ..inbox(9) })),
        ("urgent-error", html(&error(frame_with(vec![asked()], false), 404, "There is no such page"))),
        ("board", html(&board(every_kind()))),
        ("board-empty", html(&board(Vec::new()))),
    ]
}
