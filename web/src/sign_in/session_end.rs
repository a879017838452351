//! Why a session ended, in words for the sign-in page.

use store::EndReason;

/// One sentence for the person at the screen.
pub fn sentence(ended: Option<EndReason>) -> &'static str {
    match ended {
        Some(EndReason::Idle) => "You were signed out because nothing had happened here for a while.",
        Some(EndReason::Absolute) => "You were signed out because your session had reached its longest time.",
        Some(EndReason::Disabled) => "You were signed out because your account was switched off.",
        Some(EndReason::Replaced) => "You were signed out because somebody signed in again in this browser.",
        Some(EndReason::Elsewhere) => "You were signed out because you ended this session from another device.",
        Some(EndReason::EmergencyOver) => "You were signed out because your emergency access had reached its end.",
        Some(EndReason::EmergencyRevoked) => "You were signed out because your emergency access was taken back.",
        Some(EndReason::Restored) => "You were signed out because Wardpost was restored from a backup.",
        Some(EndReason::SignedOut) => "You have signed out.",
        None => "You are signed out. Sign in to go on.",
    }
}
