//! The identity provider, over OpenID Connect: where to send a browser, and what its answer proves.
//!
//! What the provider says of itself (discovery, keys) is fetched when it is first needed and kept for an hour, so
//! that the site starts and stays up without it. A signature that no known key explains fetches the keys again:
//! providers rotate them at will.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreResponseType,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AuthenticationFlow, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields,
    IdTokenFields, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse,
    StandardTokenResponse, TokenResponse,
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use store::Timestamp;
use tokio::sync::Mutex;

use super::SignInConfig;
use super::account_text;
use super::error::{self, SignInError};
use super::transport::Transport;
use crate::http::public_url::PublicUrl;

/// The path the provider sends browsers back to.
pub const CALLBACK_PATH: &str = "/sign-in/callback";

/// Public-key signatures only: an HMAC under the client secret would prove less.
const SIGNATURES: [CoreJwsSigningAlgorithm; 3] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
];
/// How long what the provider says of itself is believed.
const METADATA_LIFETIME: Duration = Duration::from_secs(3600);
/// Unexplained signatures fetch the keys at most this often.
const REFETCH_INTERVAL: Duration = Duration::from_secs(1);

/// How far the provider's clock may be ahead of ours.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// Google's own claim beside the standard ones.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct HostedDomain {
    hd: Option<String>,
}

impl openidconnect::AdditionalClaims for HostedDomain {}

type TokenFields = IdTokenFields<
    HostedDomain,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type OidcTokens = StandardTokenResponse<TokenFields, CoreTokenType>;
type OidcClient<A, D, I, R, T, U> = Client<
    HostedDomain,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    OidcTokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    A,
    D,
    I,
    R,
    T,
    U,
>;

/// Builds the protocol client over what the provider said of itself. A macro, since its type names the state of
/// six endpoints that nobody needs to read.
macro_rules! client {
    ($provider:expr, $metadata:expr) => {
        OidcClient::<_, _, _, _, _, _>::from_provider_metadata(
            CoreProviderMetadata::clone(&$metadata),
            $provider.client_id.clone(),
            Some($provider.client_secret.clone()),
        )
        .set_redirect_uri($provider.redirect_url.clone())
    };
}

/// An account whose ID token has held: signature, issuer, audience, expiry and nonce.
#[derive(Debug)]
pub struct VerifiedAccount {
    /// The provider.
    pub issuer: String,
    /// The person, at that provider, forever.
    pub subject: String,
    /// The address the account has today.
    pub email: String,
    /// Whether the provider vouches for the address.
    pub email_verified: bool,
    /// The person's name, or the address where the provider gives none.
    pub name: String,
    /// Google's `hd`.
    pub hosted_domain: Option<String>,
}

/// A sign-in to send a browser away with.
pub struct AuthorizationRequest {
    /// Where to.
    pub url: String,
    /// Comes back in the callback.
    pub state: String,
    /// Comes back inside the ID token.
    pub nonce: String,
    /// Proves at the token endpoint that the callback is ours.
    pub verifier: String,
}

/// The clinic's identity provider.
pub struct Provider {
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: ClientSecret,
    redirect_url: RedirectUrl,
    transport: Transport,
    known: Mutex<Option<Known>>,
}

#[derive(Clone)]
struct Known {
    metadata: Arc<CoreProviderMetadata>,
    fetched: Instant,
    /// When an unexplained signature last fetched it again.
    fetched_again: Option<Instant>,
}

impl Provider {
    /// A provider by its settings; nothing is fetched yet.
    pub fn new(config: &SignInConfig, public_url: &PublicUrl) -> Result<Self, SignInError> {
        // Url adds a slash to a bare host, and providers compare issuers as text.
        let text = config.issuer.as_str();
        let issuer = if config.issuer.path() == "/" { text.trim_end_matches('/') } else { text };
        Ok(Self {
            issuer: IssuerUrl::new(issuer.to_owned()).map_err(error::internal)?,
            client_id: ClientId::new(config.client_id.clone()),
            client_secret: ClientSecret::new(config.client_secret.expose_secret().to_owned()),
            redirect_url: RedirectUrl::new(public_url.join(CALLBACK_PATH)).map_err(error::internal)?,
            transport: Transport::new()?,
            known: Mutex::new(None),
        })
    }

    /// The issuer, as ID tokens name it.
    pub fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// Where to send a browser that wants to sign in. The provider always asks which account: ward computers are
    /// shared.
    pub async fn authorization_request(&self) -> Result<AuthorizationRequest, SignInError> {
        let metadata = self.metadata().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = client!(self, metadata)
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scope(Scope::new("email".to_owned()))
            .add_scope(Scope::new("profile".to_owned()))
            .add_prompt(CoreAuthPrompt::SelectAccount)
            .set_pkce_challenge(challenge)
            .url();
        Ok(AuthorizationRequest {
            url: url.into(),
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
        })
    }

    /// Exchanges the code of a callback that came `at` a time, and verifies the ID token that it gives.
    pub async fn exchange_code(
        &self,
        code: String,
        nonce: &str,
        verifier: String,
        at: Timestamp,
    ) -> Result<VerifiedAccount, SignInError> {
        let metadata = self.metadata().await?;
        let http = self.transport.client();
        let tokens = client!(self, metadata)
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| SignInError::Nonsense("its discovery document names no token endpoint".to_owned()))?
            .set_pkce_verifier(PkceCodeVerifier::new(verifier))
            .request_async(&http)
            .await
            .map_err(error::from_token)?;
        let nonce = Nonce::new(nonce.to_owned());
        match self.verify(&metadata, &tokens, &nonce, at) {
            Err(SignInError::Unproven("signature")) => {
                let metadata = self.fetch_again(&metadata).await?;
                self.verify(&metadata, &tokens, &nonce, at)
            }
            verdict => verdict,
        }
    }

    fn verify(
        &self,
        metadata: &CoreProviderMetadata,
        tokens: &OidcTokens,
        nonce: &Nonce,
        at: Timestamp,
    ) -> Result<VerifiedAccount, SignInError> {
        let client = client!(self, metadata);
        let now = DateTime::from_timestamp_millis(at.as_millis()).unwrap_or_default();
        let verifier =
            client.id_token_verifier().set_allowed_algs(SIGNATURES).set_time_fn(|| now).set_issue_time_verifier_fn(
                |issued| {
                    let ahead = issued - now;
                    if ahead > CLOCK_SKEW { Err("issued in the future".to_owned()) } else { Ok(()) }
                },
            );
        let token = tokens.id_token().ok_or(SignInError::Unproven("no_id_token"))?;
        let claims = token.claims(&verifier, nonce).map_err(error::from_claims)?;
        let email = claims.email().ok_or(SignInError::Unproven("no_email"))?.to_string();
        if !account_text::is_address(&email) {
            return Err(SignInError::Unproven("bad_email"));
        }
        if !account_text::is_subject(claims.subject()) {
            return Err(SignInError::Unproven("subject"));
        }
        let name = claims
            .name()
            .and_then(|name| name.get(None).or_else(|| name.iter().next().map(|(_, name)| name)))
            .and_then(|name| account_text::display_name(name))
            .unwrap_or_else(|| email.clone());
        Ok(VerifiedAccount {
            issuer: claims.issuer().to_string(),
            subject: claims.subject().to_string(),
            email,
            email_verified: claims.email_verified() == Some(true),
            name,
            hosted_domain: claims.additional_claims().hd.clone(),
        })
    }

    async fn metadata(&self) -> Result<Arc<CoreProviderMetadata>, SignInError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref()
            && known.fetched.elapsed() < METADATA_LIFETIME
        {
            return Ok(Arc::clone(&known.metadata));
        }
        self.fetch(&mut known).await
    }

    /// The metadata again, unless somebody has fetched it since `stale`.
    async fn fetch_again(&self, stale: &Arc<CoreProviderMetadata>) -> Result<Arc<CoreProviderMetadata>, SignInError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref()
            && (!Arc::ptr_eq(&known.metadata, stale)
                || known.fetched_again.is_some_and(|at| at.elapsed() < REFETCH_INTERVAL))
        {
            return Ok(Arc::clone(&known.metadata));
        }
        let metadata = self.fetch(&mut known).await?;
        if let Some(known) = known.as_mut() {
            known.fetched_again = Some(known.fetched);
        }
        Ok(metadata)
    }

    /// One fetch at a time: the lock is held, so that a crowd waiting for a slow provider asks it once.
    async fn fetch(&self, known: &mut Option<Known>) -> Result<Arc<CoreProviderMetadata>, SignInError> {
        let http = self.transport.client();
        let metadata =
            CoreProviderMetadata::discover_async(self.issuer.clone(), &http).await.map_err(error::from_discovery)?;
        let metadata = Arc::new(metadata);
        *known = Some(Known { metadata: Arc::clone(&metadata), fetched: Instant::now(), fetched_again: None });
        Ok(metadata)
    }
}

#[cfg(test)]
mod tests;
