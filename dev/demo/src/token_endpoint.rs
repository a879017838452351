//! The token endpoint: exchanges a code for an ID token. Errors are those of RFC 6749 section 5.2.

use std::sync::atomic::Ordering;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::grants::Grant;
use crate::id_token;
use crate::misbehaviour::Misbehaviour;
use crate::parameters::Parameters;
use crate::reply::{self, Reply};
use crate::state::{Client, State};

const FORM: &str = "application/x-www-form-urlencoded";

/// Why no token is given: the error code, and what is wrong in words.
struct Refusal(&'static str, &'static str);

/// Answers `POST /token`.
pub(crate) async fn answer(state: &State, headers: &HeaderMap, body: &[u8]) -> Reply {
    state.counters.token.fetch_add(1, Ordering::Relaxed);
    match state.misbehaviour() {
        Misbehaviour::Token500 => {
            return reply::text(StatusCode::INTERNAL_SERVER_ERROR, "The provider was told to fail.\n");
        }
        Misbehaviour::HugeReply => return reply::huge(),
        Misbehaviour::SlowToken => tokio::time::sleep(crate::provider::SLOW).await,
        _ => {}
    }
    match exchange(state, headers, body) {
        Ok(grant) => token(state, &grant).await,
        Err(Refusal(code, why)) => refuse(code, why),
    }
}

/// The grant behind the code, if the request proves that it may have it.
fn exchange(state: &State, headers: &HeaderMap, body: &[u8]) -> Result<Grant, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.split(';').next().map(str::trim) != Some(FORM) {
        return Err(Refusal("invalid_request", "the body must be application/x-www-form-urlencoded"));
    }
    let Ok(parameters) = Parameters::parse(body) else {
        return Err(Refusal("invalid_request", "a parameter is given more than once"));
    };
    authenticate(&state.client, headers, &parameters)?;
    match parameters.get("grant_type") {
        Some("authorization_code") => {}
        Some(_) => {
            return Err(Refusal("unsupported_grant_type", "grant_type must be authorization_code"));
        }
        None => return Err(Refusal("invalid_request", "grant_type is missing")),
    }
    let Some(code) = parameters.get("code") else {
        return Err(Refusal("invalid_request", "code is missing"));
    };
    // From here on the code is used up, so that a thief has one guess at the verifier.
    let grant = state.changeable().grants.take(code, Instant::now());
    let grant = grant.filter(|_| state.misbehaviour() != Misbehaviour::ReplayedCode);
    let Some(grant) = grant else {
        return Err(Refusal("invalid_grant", "the code is unknown, was used before, or ran out"));
    };
    if parameters.get("redirect_uri") != Some(grant.redirect_uri.as_str()) {
        return Err(Refusal("invalid_grant", "redirect_uri is not the one the code was given for"));
    }
    if !verifier_matches(parameters.get("code_verifier").unwrap_or_default(), &grant.challenge) {
        return Err(Refusal("invalid_grant", "code_verifier does not match the code_challenge"));
    }
    Ok(grant)
}

/// RFC 7636 section 4.6.
fn verifier_matches(verifier: &str, challenge: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(unreserved)
        && bool::from(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)).as_bytes().ct_eq(challenge.as_bytes()))
}

/// `client_secret_basic` or `client_secret_post`, and not both.
fn authenticate(client: &Client, headers: &HeaderMap, parameters: &Parameters) -> Result<(), Refusal> {
    const UNKNOWN: Refusal = Refusal("invalid_client", "the client is unknown or its secret is wrong");
    let (id, secret) = match (headers.get(AUTHORIZATION), parameters.get("client_secret")) {
        (Some(_), Some(_)) => {
            return Err(Refusal("invalid_request", "the client authenticates in two ways at once"));
        }
        (Some(header), None) => basic(header).ok_or(UNKNOWN)?,
        (None, Some(secret)) => (parameters.get("client_id").unwrap_or_default().to_owned(), secret.to_owned()),
        (None, None) => return Err(UNKNOWN),
    };
    let known = id.as_bytes().ct_eq(client.id.as_bytes()) & secret.as_bytes().ct_eq(client.secret.as_bytes());
    if bool::from(known) { Ok(()) } else { Err(UNKNOWN) }
}

/// Id and secret, each form-encoded before they were joined (RFC 6749 section 2.3.1).
fn basic(header: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let joined = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    let decode = |text: &str| {
        // A text without `&` and `=` is one name.
        let (name, _) = form_urlencoded::parse(text.as_bytes()).next()?;
        Some(name.into_owned())
    };
    Some((decode(id)?, decode(secret)?))
}

async fn token(state: &State, grant: &Grant) -> Reply {
    let mut access_token = [0_u8; 32];
    let filled = getrandom::fill(&mut access_token);
    let access_token = hex::encode(access_token);
    let minted = id_token::mint(state, grant, &access_token).await;
    let (Ok(()), Ok(id_token)) = (filled, minted) else {
        return reply::text(StatusCode::INTERNAL_SERVER_ERROR, "The provider could not sign a token.\n");
    };
    let answer = json!({
        "access_token": access_token, "token_type": "Bearer", "expires_in": 3600,
        "scope": "openid email profile", "id_token": id_token,
    });
    match state.misbehaviour() {
        Misbehaviour::MalformedToken => reply::broken_json(&answer),
        _ => reply::json(StatusCode::OK, &answer),
    }
}

fn refuse(code: &'static str, why: &'static str) -> Reply {
    let status = if code == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    let mut refusal = reply::json(status, &json!({"error": code, "error_description": why}));
    if status == StatusCode::UNAUTHORIZED {
        refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"demo\""));
    }
    refusal
}
