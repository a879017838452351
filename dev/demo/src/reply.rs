//! What the provider sends: small whole replies, and one that does not end.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, PRAGMA};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::flood::Body;

/// A reply of the provider.
pub(crate) type Reply = Response<Body>;

/// A reply of this type. None may be cached: keys rotate, and the rest is personal.
pub(crate) fn of(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Body::whole(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    reply
}

pub(crate) fn json(status: StatusCode, value: &Value) -> Reply {
    of(status, "application/json", value.to_string())
}

/// JSON that stops in the middle.
pub(crate) fn broken_json(value: &Value) -> Reply {
    let text = value.to_string();
    let half: String = text.chars().take(text.chars().count() / 2).collect();
    of(StatusCode::OK, "application/json", half)
}

/// The beginning of a JSON object, and then 50 MB of it.
pub(crate) fn huge() -> Reply {
    let mut reply = of(StatusCode::OK, "application/json", Bytes::new());
    *reply.body_mut() = Body::flood();
    reply
}

pub(crate) fn text(status: StatusCode, message: impl Into<String>) -> Reply {
    of(status, "text/plain; charset=utf-8", message.into())
}

pub(crate) fn no_content() -> Reply {
    let mut reply = Response::new(Body::whole(Bytes::new()));
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}

/// A page. It may load the provider's own style sheet and nothing else; where its form may lead is left open, since
/// browsers hold `form-action` against the redirect after a form too, and that goes to the site.
pub(crate) fn page(status: StatusCode, html: String) -> Reply {
    let mut reply = of(status, "text/html; charset=utf-8", html);
    let policy = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'";
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    reply
}

/// Sends the browser to `location` with a GET.
pub(crate) fn redirect(location: &str) -> Reply {
    match HeaderValue::from_str(location) {
        Ok(location) => {
            let mut reply = of(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", Bytes::new());
            reply.headers_mut().insert(LOCATION, location);
            reply
        }
        Err(_) => text(StatusCode::BAD_REQUEST, "The address to return to cannot stand in a header.\n"),
    }
}
