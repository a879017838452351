//! What goes back: pages, redirects, files and streams.

use askama::Template;
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::http::error::PageError;

/// Most pages are shorter, and need not move while they grow.
const PAGE_BYTES: usize = 24 * 1024;

/// An answer.
pub struct Reply(warp::reply::Response);

impl Reply {
    /// A page of this site. It is personal: nothing keeps it.
    pub fn page(template: &impl Template) -> Result<Self, PageError> {
        let mut html = String::with_capacity(PAGE_BYTES);
        template.render_into(&mut html).map_err(PageError::Template)?;
        Ok(Self::text("text/html; charset=utf-8", html))
    }

    /// A text of another kind.
    pub fn text(content_type: &'static str, text: String) -> Self {
        Self(warp::reply::Response::new(text.into())).with(header::CONTENT_TYPE, content_type)
    }

    /// A JSON value.
    pub fn json(value: &serde_json::Value) -> Self {
        Self::text("application/json", value.to_string())
    }

    /// Bytes that are the same for everybody.
    pub fn bytes(content_type: &'static str, bytes: Bytes) -> Self {
        Self(warp::reply::Response::new(bytes.into())).with(header::CONTENT_TYPE, content_type)
    }

    /// A body that is made while it is sent.
    pub fn stream<S>(content_type: &'static str, stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, std::io::Error>> + Send + Sync + 'static,
    {
        let response = warp::Reply::into_response(warp::reply::stream(stream));
        Self(response).with(header::CONTENT_TYPE, content_type)
    }

    /// Any answer of warp's own making.
    pub fn from_warp(reply: impl warp::Reply) -> Self {
        let mut response = reply.into_response();
        // warp lets a stream of updates be stored, if it is asked for again each time; ours hold subjects.
        response.headers_mut().remove(header::CACHE_CONTROL);
        Self(response)
    }

    /// Nothing to show, all well.
    pub fn no_content() -> Self {
        Self(warp::reply::Response::default()).with_status(StatusCode::NO_CONTENT)
    }

    /// Go and GET another path of this site, or the identity provider.
    pub fn see_other(location: &str) -> Self {
        Self(warp::reply::Response::default()).with_status(StatusCode::SEE_OTHER).with(header::LOCATION, location)
    }

    /// The same with another status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        *self.0.status_mut() = status;
        self
    }

    /// The same with one more header; a value that cannot stand in a header is left out and logged.
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.0.headers_mut().append(name, value);
            }
            Err(_) => tracing::error!(header = %name, "a reply's header has characters that no header may have"),
        }
        self
    }

    /// For warp.
    pub fn into_response(self) -> warp::reply::Response {
        self.0
    }
}
