//! Connections: accepts them, bounds them, and lets answers in flight finish when the process is asked to stop.
//!
//! The loop is ours rather than warp's: nobody who dawdles may hold a connection, memory or a stop. [`places`] knows who
//! is connected and who makes room for whom; [`patience`] decides it; [`connection`] is the life of one.

mod address;
mod bodies;
mod connection;
mod patience;
mod places;
mod refusal;
mod seat;
mod socket;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Method, Request};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, timeout};
use warp::filters::BoxedFilter;
use warp::reply::Response;

pub use self::address::Reserved;
use self::bodies::Arriving;
pub use self::patience::Patience;
pub use self::places::Capacity;
use self::places::Places;
use crate::client_address::{client_address, is_trusted};
use crate::host::OwnHost;
use crate::metrics::MatchedRoute;
use crate::page_error::{ErrorContext, PageError};
use crate::request::Visitor;
use crate::site::Site;
use crate::{request_id, security_headers};

/// How long answers in flight may take once the process was asked to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a connection that was just accepted may then take to bring its first request: it is on its way, and whoever
/// sent it cannot know that it should have gone to the process after this one.
const FRESH_GRACE: Duration = Duration::from_secs(1);
/// How often those are looked for whose time is up.
const SWEEP: Duration = Duration::from_secs(1);
/// After a failed accept (no file descriptor left, say) this much time may pass for things to get better.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Answer = Box<dyn Fn(Request<Arriving>) -> BoxFuture<'static, Response> + Send + Sync>;

/// How many connections there may be, and how long each may keep the site waiting.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// How many.
    pub capacity: Capacity,
    /// How long.
    pub patience: Patience,
    /// How often those are looked for whose time is up; None for every second.
    pub sweep: Option<Duration>,
}

/// Serves `routes` until the process is asked to stop, then lets answers in flight finish.
pub async fn run(listener: TcpListener, site: Arc<Site>, routes: BoxedFilter<(Response,)>, bounds: Bounds) {
    if let Err(error) = socket::prepare(&listener) {
        tracing::warn!(%error, "the socket's options could not be set; slow clients take more memory");
    }
    let places = Places::new(bounds.capacity, bounds.patience);
    let service = TowerToHyperService::new(warp::service(routes));
    let server = Arc::new(Server {
        routes: Box::new(move |request| {
            service.call(request).map(|answer| answer.unwrap_or_else(|never: Infallible| match never {})).boxed()
        }),
        site: Arc::clone(&site),
        places: Arc::clone(&places),
        refusal: refusal::reply(),
    });
    let mut sweep = interval(bounds.sweep.unwrap_or(SWEEP));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let serving = async {
        loop {
            tokio::select! {
                (stream, peer) = accept(&listener, &places) => server.welcome(stream, peer.ip()),
                _ = sweep.tick() => places.sweep(),
                () = site.stopping() => break,
            }
        }
        drop(listener);
        drain(&places).await;
    };
    tokio::select! {
        () = serving => {}
        never = places.make_desks() => match never {},
    }
}

async fn accept(listener: &TcpListener, places: &Places) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                places.out_of_files();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn drain(places: &Places) {
    let drained = async {
        places.finish_all();
        if timeout(FRESH_GRACE, places.empty()).await.is_err() {
            places.close_those_who_have_not_asked();
            places.empty().await;
        }
    };
    if timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(connections = places.len(), "some connections were still busy after {DRAIN:?} and are cut off");
    }
}

struct Server {
    routes: Answer,
    site: Arc<Site>,
    places: Arc<Places>,
    refusal: Vec<u8>,
}

impl Server {
    /// Gives a connection a place, or says that there is none.
    fn welcome(self: &Arc<Self>, stream: TcpStream, peer: IpAddr) {
        let trusted = is_trusted(peer, &self.site.config.trusted_proxies);
        match self.places.admit(peer, trusted) {
            Some(place) => drop(tokio::spawn(connection::run(Arc::clone(self), stream, peer, place))),
            None => refusal::send(stream, &self.refusal),
        }
    }

    async fn answer(&self, mut request: Request<Arriving>, peer: IpAddr) -> Response {
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
            let site = &self.site;
            match site.own_host.check(&request) {
                Ok(()) => (self.routes)(request).await,
                // No row of the table counts it.
                Err(status) => match site.limits.request(visitor.ip) {
                    Ok(()) => site.own_host.refuse(status, &site.repeated).into_response(),
                    Err(too_many) => OwnHost::too_many(too_many).into_response(),
                },
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
