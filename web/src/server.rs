//! Connections: accepts them, bounds them, and lets answers in flight finish when the process is asked to stop.
//!
//! The loop is ours rather than warp's, because a half-sent header must neither hold a connection open nor delay
//! a stop.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::client_address::client_address;
use crate::metrics::MatchedRoute;
use crate::page_error::{ErrorContext, PageError};
use crate::request::Visitor;
use crate::site::Site;
use crate::{request_id, security_headers};

/// Connections at once; those beyond wait in the kernel's queue.
const MAX_CONNECTIONS: u32 = 4096;
/// A connection must bring its first whole request head within this time.
const FIRST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// An idle connection is kept this long: longer than a load balancer keeps its own (60 s by default), so that it
/// never sends a request into a connection that we are closing.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long answers in flight may take once the process was asked to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a connection that was just accepted may then take to bring its first request: it is on its way, and whoever
/// sent it cannot know that it should have gone to the process after this one.
const FRESH_GRACE: Duration = Duration::from_secs(1);
/// After a failed accept (no file descriptor left, say) this much time may pass for things to get better.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Answer = Box<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response> + Send + Sync>;

/// Serves `routes` until the process is asked to stop, then lets answers in flight finish.
pub async fn run(listener: TcpListener, site: Arc<Site>, routes: BoxedFilter<(Response,)>) {
    let service = TowerToHyperService::new(warp::service(routes));
    let server = Arc::new(Server {
        routes: Box::new(move |request| {
            service.call(request).map(|answer| answer.unwrap_or_else(|never: Infallible| match never {})).boxed()
        }),
        site: Arc::clone(&site),
    });
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    loop {
        let (stream, peer, place) = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = site.stopping() => break,
        };
        tokio::spawn(Arc::clone(&server).connection(stream, peer, place));
    }
    drop(listener);
    // Every connection holds a place for as long as it lives.
    if tokio::time::timeout(DRAIN, places.acquire_many(MAX_CONNECTIONS)).await.is_err() {
        tracing::warn!("some connections were still busy after {DRAIN:?} and are cut off");
    }
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let Ok(place) = Arc::clone(places).acquire_owned().await else {
            // The semaphore is never closed.
            std::future::pending::<()>().await;
            continue;
        };
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

struct Server {
    routes: Answer,
    site: Arc<Site>,
}

impl Server {
    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        // Small replies must not wait for an acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        let site = Arc::clone(&self.site);
        let (started, has_started) = watch::channel(false);
        let service = service_fn(move |request| {
            started.send_if_modified(|started| !std::mem::replace(started, true));
            let server = Arc::clone(&self);
            async move { Ok::<_, Infallible>(server.answer(request, peer.ip()).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(KEEP_ALIVE)
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let first_request_within = async |limit| {
            let mut has_started = has_started.clone();
            tokio::time::timeout(limit, has_started.wait_for(|started| *started)).await.is_ok()
        };
        let head_is_late = async {
            if first_request_within(FIRST_HEAD_TIMEOUT).await {
                std::future::pending::<()>().await;
            }
        };
        let stopping = async {
            site.stopping().await;
            first_request_within(FRESH_GRACE).await
        };
        let ended = tokio::select! {
            served = connection.as_mut() => served,
            () = head_is_late => return tracing::debug!("a connection brought no request in time"),
            may_finish = stopping => match may_finish {
                true => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
                false => return,
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke off");
        }
        drop(place);
    }

    async fn answer(&self, mut request: Request<Incoming>, peer: IpAddr) -> Response {
        let start = Instant::now();
        let visitor = Visitor {
            ip: client_address(peer, request.headers(), &self.site.config.trusted_proxies),
            request_id: request_id::next(),
            route: MatchedRoute::default(),
        };
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if method == Method::HEAD {
            // Handlers know GET alone; hyper sends no body in reply to a HEAD.
            *request.method_mut() = Method::GET;
        }
        request.extensions_mut().insert(visitor.clone());
        let answer = async {
            let misdirected = self.site.own_host.refuse(&request);
            match misdirected {
                Some(reply) => reply.into_response(),
                None => (self.routes)(request).await,
            }
        };
        let mut response = match AssertUnwindSafe(answer).catch_unwind().await {
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
