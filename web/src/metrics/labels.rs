//! What a number is told apart by. Every value of a label is one of a fixed few that stand in this program's text: nothing
//! that came from outside can become one, neither somebody's name nor an attacker's ten thousand paths.

use http::Method;
use prometheus_client::encoding::EncodeLabelSet;

use crate::http::error::PageError;

/// The route of a request that no row of the table has taken.
pub const UNMATCHED: &str = "unmatched";

/// A request and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answer {
    /// See [`method_name`].
    pub method: &'static str,
    /// The row's pattern, or [`UNMATCHED`].
    pub route: &'static str,
    /// The status, always one of ours.
    pub status: u16,
}

/// A row of the route table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Row {
    /// See [`method_name`].
    pub method: &'static str,
    /// The row's pattern, or [`UNMATCHED`].
    pub route: &'static str,
}

/// How a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Refusal {
    /// One of [`PageError::REASONS`].
    pub reason: &'static str,
}

/// How a sign-in ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SignInLabels {
    /// `signed_in`, `denied` or `failed`.
    pub outcome: &'static str,
    /// More precisely.
    pub kind: &'static str,
}

/// The end of a sign-in. What a limit stopped is none: it can be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInEnd {
    /// In, through the provider.
    SignedIn,
    /// In, by emergency access.
    SignedInByEmergency,
    /// The account is nobody's of the staff.
    NotStaff,
    /// The person is switched off.
    Disabled,
    /// The code of an emergency access does not hold.
    EmergencyCode,
    /// The callback belongs to no sign-in of its browser.
    Stray,
    /// The provider does not answer.
    ProviderUnreachable,
    /// Its answer cannot be used.
    ProviderNonsense,
    /// It refused, or the person stopped there.
    ProviderRefused,
    /// Its answer does not hold.
    Unproven,
    /// Our own fault.
    Internal,
}

impl SignInEnd {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::SignedIn,
        Self::SignedInByEmergency,
        Self::NotStaff,
        Self::Disabled,
        Self::EmergencyCode,
        Self::Stray,
        Self::ProviderUnreachable,
        Self::ProviderNonsense,
        Self::ProviderRefused,
        Self::Unproven,
        Self::Internal,
    ];

    /// As it is told.
    pub fn labels(self) -> SignInLabels {
        let (outcome, kind) = match self {
            Self::SignedIn => ("signed_in", "provider"),
            Self::SignedInByEmergency => ("signed_in", "emergency"),
            Self::NotStaff => ("denied", "not_staff"),
            Self::Disabled => ("denied", "disabled"),
            Self::EmergencyCode => ("denied", "emergency_code"),
            Self::Stray => ("failed", "stray_callback"),
            Self::ProviderUnreachable => ("failed", "provider_unreachable"),
            Self::ProviderNonsense => ("failed", "provider_nonsense"),
            Self::ProviderRefused => ("failed", "provider_refused"),
            Self::Unproven => ("failed", "unproven"),
            Self::Internal => ("failed", "internal"),
        };
        SignInLabels { outcome, kind }
    }
}

/// The method's name where it is one that the site knows, and `other` for whatever else somebody makes up.
pub fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}

/// The word for a refusal; None for one too many, which the limits count themselves.
pub fn refusal(error: &PageError) -> Option<Refusal> {
    error.reason().map(|reason| Refusal { reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_somebody_makes_up_is_no_label() {
        assert_eq!(method_name(&Method::from_bytes(b"AMINA").unwrap()), "other");
        assert_eq!(method_name(&Method::DELETE), "other");
        assert_eq!(method_name(&Method::POST), "POST");
    }

    #[test]
    fn no_two_ends_of_a_sign_in_are_told_as_one() {
        let told: std::collections::HashSet<_> = SignInEnd::ALL.map(SignInEnd::labels).into_iter().collect();
        assert_eq!(told.len(), SignInEnd::ALL.len());
    }

    #[test]
    fn every_refusal_has_its_word_on_the_list_of_words() {
        use store::StoreError;
        let errors = [
            PageError::SignedOut { ended: None, kept_draft: false },
            PageError::NoSession { ended: None },
            PageError::NotFound,
            PageError::WrongMethod,
            PageError::BadRequest("Amina's"),
            PageError::ForeignForm,
            PageError::StaleForm,
            PageError::LargeForm,
            PageError::SlowForm,
            PageError::BrokenForm,
            PageError::UnsupportedForm,
            PageError::Crowded,
            PageError::NotYours,
            PageError::Store(StoreError::Busy),
            PageError::Store(StoreError::DiskFull),
            PageError::Store(StoreError::Closed),
            PageError::Template(askama::Error::Fmt),
            PageError::Panicked,
        ];
        let told: std::collections::HashSet<_> = errors.iter().filter_map(refusal).map(|told| told.reason).collect();
        assert_eq!(told, PageError::REASONS.into_iter().collect());
    }
}
