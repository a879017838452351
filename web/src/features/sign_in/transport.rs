//! Carries requests to the identity provider: bounded in time and size, and never redirected, so that nothing it
//! answers can send us elsewhere.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use openidconnect::{HttpRequest, HttpResponse};

use super::error::{self, SignInError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Discovery documents and key sets are a few kilobytes.
const MAX_REPLY_BYTES: usize = 512 * 1024;

/// Why a request got no usable reply.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection, no TLS, no reply in time.
    #[error("{0}")]
    Request(String),
    /// More than any honest reply.
    #[error("its reply is larger than {MAX_REPLY_BYTES} bytes")]
    TooLarge,
}

/// A client for the provider's endpoints.
pub struct Transport(reqwest::Client);

type Reply = Pin<Box<dyn Future<Output = Result<HttpResponse, TransportError>> + Send>>;

impl Transport {
    /// A client with its limits set; TLS is rustls with ring.
    pub fn new() -> Result<Self, SignInError> {
        // The second one to install it, in a test with several sites, finds the first one's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // A kept connection may be closed by the provider in the moment it is used again, which would fail a sign-in.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(error::internal)?;
        Ok(Self(client))
    }

    /// As openidconnect wants it.
    pub fn client(&self) -> impl Fn(HttpRequest) -> Reply + Send + Sync + 'static {
        let client = self.0.clone();
        move |request| {
            let client = client.clone();
            Box::pin(async move { send(&client, request).await })
        }
    }
}

async fn send(client: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, TransportError> {
    let request = reqwest::Request::try_from(request).map_err(describe)?;
    let mut reply = client.execute(request).await.map_err(describe)?;
    let mut answer = http::Response::builder().status(reply.status());
    for (name, value) in reply.headers() {
        answer = answer.header(name, value);
    }
    let mut body = Vec::new();
    while let Some(chunk) = reply.chunk().await.map_err(describe)? {
        if body.len() + chunk.len() > MAX_REPLY_BYTES {
            return Err(TransportError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    answer.body(body).map_err(|error| TransportError::Request(error.to_string()))
}

/// The whole chain of causes, without the address: a token request's parameters are in its body, but an
/// authorisation code could stand in a redirect's.
fn describe(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    TransportError::Request(text)
}
