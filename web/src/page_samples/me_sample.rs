//! A member's own page with made-up sessions.

use super::sample::{HOSTILE, MARKUP, earlier, frame, now};
use crate::app::pages::Time;
use crate::features::me::pages::*;

fn session(id: i64, device: &str, ip: &str) -> SessionView {
    SessionView {
        id,
        this: id == 7,
        device: device.into(),
        ip: ip.into(),
        started: earlier(),
        last_active: now(),
        ends: now(),
    }
}

pub(super) fn me(count: usize) -> MePage {
    let sessions = [
        session(7, "Firefox on Windows", "192.0.2.17"),
        session(6, "Samsung Internet on Android", "2001:db8:85a3:1234:5678:8a2e:370:7334"),
        session(5, MARKUP, HOSTILE),
    ];
    let data = DataView { again_at: None, refused: false, download: None };
    MePage { frame: frame(), sessions: sessions.into_iter().take(count).collect(), data }
}

pub(super) fn data(again_at: Option<Time>, state: DownloadState) -> DataView {
    let percent = if state == DownloadState::Complete { 100 } else { 42 };
    DataView { refused: again_at.is_some(), again_at, download: Some(DownloadView { number: 3, percent, state }) }
}
