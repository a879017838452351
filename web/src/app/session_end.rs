//! Why a session ended, in words: for the sign-in page, and for the browser's other tabs.

use std::borrow::Cow;

use store::{EndReason, SessionLimits};

/// One sentence for the person at the screen.
pub fn sentence(ended: Option<EndReason>, limits: SessionLimits) -> Cow<'static, str> {
    let sentence = match ended {
        Some(EndReason::Idle) => {
            let minutes = match limits.idle.as_secs() / 60 {
                1 => "a minute".to_owned(),
                minutes => format!("{minutes} minutes"),
            };
            return format!("You were signed out because nothing had happened here for {minutes}.").into();
        }
        Some(EndReason::Absolute) => "You were signed out because your session had reached its longest time.",
        Some(EndReason::Disabled) => "You were signed out because an administrator has switched off your account.",
        Some(EndReason::Replaced) => "You were signed out because somebody signed in again in this browser.",
        Some(EndReason::Elsewhere) => "You were signed out because you ended this session from another device.",
        Some(EndReason::EmergencyOver) => "You were signed out because your emergency access had reached its end.",
        Some(EndReason::EmergencyRevoked) => "You were signed out because your emergency access was taken back.",
        Some(EndReason::Restored) => "You were signed out because Wardpost was restored from a backup.",
        Some(EndReason::SignedOut) => "You have signed out.",
        None => "You are signed out. Sign in to go on.",
    };
    sentence.into()
}

/// The same for a tab in which nobody did anything.
pub fn in_other_tabs(ended: Option<EndReason>, limits: SessionLimits) -> Cow<'static, str> {
    match ended {
        Some(EndReason::SignedOut) => "You signed out in another tab.".into(),
        None => "Your session has ended in this browser.".into(),
        ended => sentence(ended, limits),
    }
}
