//! Which host a request is for. Only WARDPOST_PUBLIC_URL's is answered.
//!
//! Nothing that leads here under another name gets a page: no cache that knows pages by less than their host, no name that
//! was pointed at this machine for an attack. The reply to such a request repeats nothing of it; it says where the site is,
//! for who typed the machine's number.

use std::time::Instant;

use http::{HeaderMap, Request, StatusCode, header};

use crate::app::pages::MisdirectedPage;
use crate::http::error::PageError;
use crate::http::public_url::PublicUrl;
use crate::http::reply::Reply;
use crate::limits::TooMany;
use crate::log_throttle::LogThrottle;

/// Whether a path is one that load balancers ask.
fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

/// The host that is answered.
pub struct OwnHost {
    public_url: PublicUrl,
}

impl OwnHost {
    /// The host of the site's address.
    pub fn new(public_url: PublicUrl) -> Self {
        Self { public_url }
    }

    /// Ok for a request to this site; else the status of the answer. Health checks are let through under any name: a load
    /// balancer asks by number. X-Forwarded-Host is nobody's word here.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), StatusCode> {
        if is_probe(request.uri().path()) {
            return Ok(());
        }
        self.check_names(request.uri().authority().map(|target| target.as_str()), request.headers())
    }

    /// The answer to a request that is not for this site.
    pub fn refuse(&self, status: StatusCode, throttle: &LogThrottle) -> Reply {
        // An edge that does not pass the name on makes every request one of these.
        if throttle.allows("another_host", Instant::now()) {
            let expected = self.public_url.origin();
            tracing::warn!(%expected, status = status.as_u16(), "requests name another host than WARDPOST_PUBLIC_URL; does the edge pass Host on?");
        }
        let page = MisdirectedPage { address: self.public_url.join("/") };
        let reply = Reply::page(&page).unwrap_or_else(|error: PageError| {
            tracing::error!(?error, "a page could not be made");
            Reply::no_content()
        });
        reply.with_status(status)
    }

    /// The answer to one too many of an address under another name: no page, and nothing of the request.
    pub fn too_many(too_many: TooMany) -> Reply {
        let text = "Too many requests at once. Nothing was changed.\n".to_owned();
        Reply::text("text/plain; charset=utf-8", text)
            .with_status(StatusCode::TOO_MANY_REQUESTS)
            .with(header::RETRY_AFTER, &too_many.seconds().to_string())
    }

    /// The host is said in the Host header, once, and perhaps in the request's target as well: then in both.
    fn check_names(&self, target: Option<&str>, headers: &HeaderMap) -> Result<(), StatusCode> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(StatusCode::BAD_REQUEST);
        };
        let ours = |name: &str| self.public_url.is_named(name);
        let named = host.to_str().is_ok_and(ours) && target.is_none_or(ours);
        if named { Ok(()) } else { Err(StatusCode::MISDIRECTED_REQUEST) }
    }
}

#[cfg(test)]
mod tests;
