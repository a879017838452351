//! What can go wrong between us and the identity provider, told apart by what a person can do about it.
//!
//! Nothing here repeats what the provider sent: an error text could carry a token into the log.

use openidconnect::core::CoreErrorResponseType;
use openidconnect::{ClaimsVerificationError, DiscoveryError, RequestTokenError, StandardErrorResponse};

use super::transport::TransportError;
use crate::metrics::labels::SignInEnd;

/// Why a sign-in did not come through.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The provider cannot be reached, or not in time.
    #[error("the identity provider cannot be reached: {0}")]
    Unreachable(String),
    /// The provider's answer is not what the protocol allows.
    #[error("the identity provider's answer makes no sense: {0}")]
    Nonsense(String),
    /// The provider refused the code or the person.
    #[error("the identity provider refused the sign-in ({0})")]
    Refused(&'static str),
    /// The answer is well-formed and does not hold; the word says what does not.
    #[error("the identity provider's answer does not hold: {0}")]
    Unproven(&'static str),
    /// The callback carries neither a code nor an error.
    #[error("the callback carries no code")]
    NoCode,
    /// Our own error.
    #[error("signing in cannot be set up: {0}")]
    Internal(String),
}

impl SignInError {
    /// Whether the browser has been at the provider: it took the code, and gave an answer for it that does not hold.
    pub fn began_at_provider(&self) -> bool {
        matches!(self, Self::Unproven(_))
    }

    /// The word for the audit log.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "provider_unreachable",
            Self::Nonsense(_) => "provider_nonsense",
            Self::Refused(reason) | Self::Unproven(reason) => reason,
            Self::NoCode => "no_code",
            Self::Internal(_) => "internal",
        }
    }
}

/// A error that only a wrong setting or build can cause.
pub fn internal(error: impl std::fmt::Display) -> SignInError {
    SignInError::Internal(error.to_string())
}

/// Discovery, or fetching the keys, failed.
pub fn from_discovery(error: DiscoveryError<TransportError>) -> SignInError {
    match error {
        DiscoveryError::Request(error) => from_transport(error),
        DiscoveryError::Response(status, _, _) if status.is_server_error() => {
            SignInError::Unreachable(format!("discovery gave {status}"))
        }
        DiscoveryError::Response(status, _, _) => SignInError::Nonsense(format!("discovery gave {status}")),
        DiscoveryError::Parse(error) => {
            SignInError::Nonsense(format!("discovery or keys do not parse at `{}`", error.path()))
        }
        DiscoveryError::Validation(_) => {
            SignInError::Nonsense("its discovery document names another issuer than WARDPOST_OIDC_ISSUER".to_owned())
        }
        _ => SignInError::Nonsense("discovery failed".to_owned()),
    }
}

/// The exchange of the code failed.
pub fn from_token(
    error: RequestTokenError<TransportError, StandardErrorResponse<CoreErrorResponseType>>,
) -> SignInError {
    match error {
        RequestTokenError::Request(error) => from_transport(error),
        RequestTokenError::ServerResponse(reply) => match reply.error() {
            CoreErrorResponseType::InvalidGrant => SignInError::Refused("invalid_grant"),
            CoreErrorResponseType::InvalidClient => SignInError::Refused("invalid_client"),
            _ => SignInError::Refused("token_refused"),
        },
        RequestTokenError::Parse(error, _) => {
            SignInError::Nonsense(format!("the token reply does not parse at `{}`", error.path()))
        }
        RequestTokenError::Other(_) => {
            SignInError::Nonsense("the token reply is empty or has the wrong type".to_owned())
        }
    }
}

/// The ID token does not hold.
pub fn from_claims(error: ClaimsVerificationError) -> SignInError {
    SignInError::Unproven(match error {
        ClaimsVerificationError::Expired(_) => "expired",
        ClaimsVerificationError::InvalidAudience(_) => "audience",
        ClaimsVerificationError::InvalidIssuer(_) => "issuer",
        ClaimsVerificationError::InvalidNonce(_) => "nonce",
        ClaimsVerificationError::InvalidSubject(_) => "subject",
        ClaimsVerificationError::SignatureVerification(_) => "signature",
        _ => "id_token",
    })
}

fn from_transport(error: TransportError) -> SignInError {
    match error {
        TransportError::Request(detail) => SignInError::Unreachable(detail),
        TransportError::TooLarge => SignInError::Nonsense(error.to_string()),
    }
}

impl From<&SignInError> for SignInEnd {
    fn from(error: &SignInError) -> Self {
        match error {
            SignInError::Unreachable(_) => Self::ProviderUnreachable,
            SignInError::Nonsense(_) => Self::ProviderNonsense,
            SignInError::Refused(_) => Self::ProviderRefused,
            SignInError::Unproven(_) | SignInError::NoCode => Self::Unproven,
            SignInError::Internal(_) => Self::Internal,
        }
    }
}
