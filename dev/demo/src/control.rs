//! How a test in another process talks to the provider: what it shall do wrong, who people are, what it was asked.
//!
//! Both take JSON under its own content type, which no page of another origin can send without asking first.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::misbehaviour::Misbehaviour;
use crate::reply::{self, Reply};
use crate::state::State;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    misbehaviour: Misbehaviour,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    person: String,
    email: Option<String>,
    name: Option<String>,
}

/// `GET /script`: what is scripted, what there is to script, who there is, and what was asked so far.
pub(crate) fn tell(state: &State) -> Reply {
    let (misbehaviour, people) = {
        let changeable = state.changeable();
        (changeable.misbehaviour, changeable.people.clone())
    };
    let told = json!({
        "misbehaviour": misbehaviour,
        "misbehaviours": Misbehaviour::ALL,
        "people": people,
        "requests": state.counters.so_far(),
    });
    reply::json(StatusCode::OK, &told)
}

/// `POST /script` with `{"misbehaviour": "wrong_nonce"}`.
pub(crate) fn script(state: &State, headers: &HeaderMap, body: &[u8]) -> Reply {
    match read::<Script>(headers, body) {
        Ok(script) => {
            state.script(script.misbehaviour);
            reply::no_content()
        }
        Err(refusal) => *refusal,
    }
}

/// `POST /people` with `{"person": "amina", "email": "...", "name": "..."}`; either of the last two may be left out.
pub(crate) fn rename(state: &State, headers: &HeaderMap, body: &[u8]) -> Reply {
    let rename = match read::<Rename>(headers, body) {
        Ok(rename) => rename,
        Err(refusal) => return *refusal,
    };
    match state.rename(&rename.person, rename.email.as_deref(), rename.name.as_deref()) {
        Ok(()) => reply::no_content(),
        Err(unknown) => reply::json(StatusCode::NOT_FOUND, &json!({"error": unknown.to_string()})),
    }
}

fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Box<Reply>> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let refuse = |status, why: String| Err(Box::new(reply::json(status, &json!({"error": why}))));
    if content_type.split(';').next().map(str::trim) != Some("application/json") {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json".to_owned());
    }
    serde_json::from_slice(body).or_else(|error| refuse(StatusCode::BAD_REQUEST, error.to_string()))
}
