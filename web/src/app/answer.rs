//! The way of one request through the site: whose it is, whether it is for us, its row of the table, and what every answer
//! has.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_server::client_address::client_address;
use http_server::{Handler, RequestBody};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::app::errors::ErrorContext;
use crate::app::host::OwnHost;
use crate::app::request::Visitor;
use crate::app::site::Site;
use crate::http::error::PageError;
use crate::http::security_headers;
use crate::metrics::MatchedRoute;

/// What somebody is told for whom there is no connection.
const REFUSAL: &str = "Wardpost is very busy just now. Nothing was changed. Try again in a few seconds.\n";

type Routes = Box<dyn Fn(Request<RequestBody>) -> BoxFuture<'static, Response> + Send + Sync>;

/// Answers every request to the site.
pub struct Answers {
    site: Arc<Site>,
    routes: Routes,
}

impl Answers {
    /// By these routes.
    pub fn new(site: Arc<Site>, routes: BoxedFilter<(Response,)>) -> Self {
        let service = TowerToHyperService::new(warp::service(routes));
        let routes = Box::new(move |request| {
            service.call(request).map(|answer| answer.unwrap_or_else(|never: Infallible| match never {})).boxed()
        });
        Self { site, routes }
    }

    /// The answer to a connection for which there is no room.
    pub fn refusal() -> http::Response<Bytes> {
        let mut refusal = http::Response::new(Bytes::from_static(REFUSAL.as_bytes()));
        *refusal.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let headers = refusal.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        security_headers::add(headers, "-");
        refusal
    }

    async fn route(&self, request: Request<RequestBody>, visitor: &Visitor) -> Response {
        let site = &self.site;
        match site.own_host.check(&request) {
            Ok(()) => (self.routes)(request).await,
            // No row of the table counts it.
            Err(status) => match site.limits.request(visitor.ip) {
                Ok(()) => site.own_host.refuse(status, &site.log_throttle).into_response(),
                Err(too_many) => OwnHost::too_many(too_many).into_response(),
            },
        }
    }
}

impl Handler for Answers {
    #[expect(refining_impl_trait, reason = "warp does not export the name of its body")]
    async fn answer(&self, mut request: Request<RequestBody>, peer: IpAddr) -> Response {
        let start = Instant::now();
        let visitor = Visitor {
            ip: client_address(peer, request.headers(), &self.site.trusted_proxies),
            request_id: self.site.request_ids.next(),
            route: MatchedRoute::default(),
        };
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if method == Method::HEAD {
            // Handlers know GET alone; hyper sends no body in reply to a HEAD.
            *request.method_mut() = Method::GET;
        }
        request.extensions_mut().insert(visitor.clone());
        let mut response = match AssertUnwindSafe(self.route(request, &visitor)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => {
                let context = ErrorContext::new(&self.site, Arc::clone(&visitor.request_id));
                context.page(PageError::Panicked).into_response()
            }
        };
        security_headers::add(response.headers_mut(), &visitor.request_id);
        let took = start.elapsed();
        self.site.metrics.answered(&method, &visitor.route, response.status(), took);
        tracing::debug!(
            request_id = %visitor.request_id, ip = %visitor.ip, %method, path,
            status = response.status().as_u16(), milliseconds = took.as_millis(), "answered"
        );
        response
    }
}
