//! The authorization endpoint: checks the request, lets a person be chosen, and sends the browser back with a code.
//!
//! A request that names a client or an address we do not know is answered here and never redirected (RFC 6749 section
//! 4.1.2.1); every other error goes back to the site with the state it sent.

use std::sync::atomic::Ordering;
use std::time::Instant;

use http::{Method, StatusCode};
use url::Url;

use crate::grants::Grant;
use crate::misbehaviour::Misbehaviour;
use crate::page;
use crate::parameters::Parameters;
use crate::people::DemoPerson;
use crate::reply::{self, Reply};
use crate::state::State;

/// Base64url of a SHA-256 is this long (RFC 7636 section 4.2).
const CHALLENGE_LENGTH: usize = 43;

/// A sign-in that may go on.
#[derive(Debug)]
struct SignIn {
    back: Back,
    nonce: Option<String>,
    challenge: String,
}

/// Where the browser goes afterwards.
#[derive(Debug)]
struct Back {
    /// As it was registered. `Url` writes some addresses differently, and the token endpoint compares exactly.
    uri: String,
    url: Url,
    state: Option<String>,
}

/// Why a sign-in may not go on.
#[derive(Debug)]
enum AuthorizeError {
    /// Nobody to send the browser back to.
    Page(String),
    /// For the site: an error code of RFC 6749 or OpenID Connect Core, and what is wrong in words.
    Redirect(Box<Back>, &'static str, &'static str),
}

/// Answers `GET /authorize?...` and the form that comes out of it.
pub(crate) fn answer(state: &State, method: &Method, encoded: &[u8]) -> Reply {
    state.counters.authorize.fetch_add(1, Ordering::Relaxed);
    let parameters = match Parameters::parse(encoded) {
        Ok(parameters) => parameters,
        Err(twice) => {
            return reply::page(StatusCode::BAD_REQUEST, page::refused(&format!("It is unclear: {twice}.")));
        }
    };
    match check(state, &parameters) {
        Ok(sign_in) => proceed(state, method, &parameters, sign_in),
        Err(AuthorizeError::Page(why)) => reply::page(StatusCode::BAD_REQUEST, page::refused(&why)),
        Err(AuthorizeError::Redirect(back, code, why)) => back.with_error(code, why),
    }
}

fn proceed(state: &State, method: &Method, parameters: &Parameters, sign_in: SignIn) -> Reply {
    if state.misbehaviour() == Misbehaviour::AccessDenied || parameters.get(page::CANCEL).is_some() {
        return sign_in.back.with_error("access_denied", "the person did not agree");
    }
    let people = state.changeable().people.clone();
    let chosen = match parameters.get("login_hint") {
        _ if *method == Method::POST => {
            let id = parameters.get(page::PERSON).unwrap_or_default();
            people.iter().find(|person| person.id == id)
        }
        Some(hint) if state.auto_login => people.iter().find(|person| person.email == hint || person.id == hint),
        _ => None,
    };
    match chosen {
        Some(person) => match give_code(state, person, &sign_in) {
            Ok(code) => sign_in.back.with(&[("code", &code)]),
            Err(_) => sign_in.back.with_error("server_error", "the provider has no random numbers"),
        },
        None => {
            let site = sign_in.back.url.origin().ascii_serialization();
            reply::page(StatusCode::OK, page::choose(&people, &site, parameters))
        }
    }
}

fn give_code(state: &State, person: &DemoPerson, sign_in: &SignIn) -> Result<String, getrandom::Error> {
    let mut code = [0_u8; 32];
    getrandom::fill(&mut code)?;
    let code = hex::encode(code);
    let grant = Grant {
        person: person.clone(),
        redirect_uri: sign_in.back.uri.clone(),
        nonce: sign_in.nonce.clone(),
        challenge: sign_in.challenge.clone(),
    };
    state.changeable().grants.give(code.clone(), grant, Instant::now());
    Ok(code)
}

fn check(state: &State, parameters: &Parameters) -> Result<SignIn, AuthorizeError> {
    match parameters.get("client_id") {
        Some(id) if id == state.client.id => {}
        Some(id) => {
            return Err(AuthorizeError::Page(format!("The client_id {id} is not known here.")));
        }
        None => return Err(AuthorizeError::Page("The client_id is missing.".to_owned())),
    }
    let Some(uri) = parameters.get("redirect_uri") else {
        return Err(AuthorizeError::Page("The redirect_uri is missing.".to_owned()));
    };
    if !state.changeable().redirect_uris.contains(uri) {
        return Err(AuthorizeError::Page(format!("The redirect_uri {uri} is not registered for this client.")));
    }
    let Ok(url) = Url::parse(uri) else {
        return Err(AuthorizeError::Page(format!("The redirect_uri {uri} is not an absolute URL.")));
    };
    let back = Back { uri: uri.to_owned(), url, state: parameters.get("state").map(str::to_owned) };
    match fault_for_the_site(parameters) {
        Some((code, why)) => Err(AuthorizeError::Redirect(Box::new(back), code, why)),
        None => Ok(SignIn {
            back,
            nonce: parameters.get("nonce").map(str::to_owned),
            challenge: parameters.get("code_challenge").unwrap_or_default().to_owned(),
        }),
    }
}

/// The first thing wrong with a request from a client we know.
fn fault_for_the_site(parameters: &Parameters) -> Option<(&'static str, &'static str)> {
    let words = |name| parameters.get(name).unwrap_or_default().split(' ');
    let challenge = parameters.get("code_challenge").unwrap_or_default();
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if parameters.get("request").is_some() {
        return Some(("request_not_supported", "request objects are not supported"));
    }
    if parameters.get("request_uri").is_some() {
        return Some(("request_uri_not_supported", "request objects are not supported"));
    }
    if parameters.get("response_type") != Some("code") {
        return Some(("unsupported_response_type", "response_type must be code"));
    }
    if !matches!(parameters.get("response_mode"), None | Some("query")) {
        return Some(("invalid_request", "response_mode must be query"));
    }
    if !words("scope").any(|scope| scope == "openid") {
        return Some(("invalid_scope", "the scope must include openid"));
    }
    if parameters.get("code_challenge_method") != Some("S256") {
        return Some(("invalid_request", "PKCE is required: code_challenge_method must be S256"));
    }
    if challenge.len() != CHALLENGE_LENGTH || !challenge.bytes().all(base64url) {
        return Some(("invalid_request", "PKCE is required: code_challenge must be base64url of a SHA-256"));
    }
    if words("prompt").any(|prompt| prompt == "none") {
        return Some(("login_required", "nobody is signed in here: the demo asks every time"));
    }
    None
}

impl Back {
    fn with(mut self, answer: &[(&str, &str)]) -> Reply {
        self.url.query_pairs_mut().extend_pairs(answer);
        if let Some(state) = &self.state {
            self.url.query_pairs_mut().append_pair("state", state);
        }
        reply::redirect(self.url.as_str())
    }

    fn with_error(self, code: &str, why: &str) -> Reply {
        self.with(&[("error", code), ("error_description", why)])
    }
}
