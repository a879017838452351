//! An HTTP/1.1 server that bounds its clients: how many connections there are, how long each may keep the server waiting,
//! how much memory those take who do not read; and that lets answers in flight finish when it is asked to stop.
//!
//! It knows a [`Handler`], which peers are trusted proxies, and a stop; nothing of the site that it serves.
//! [`connection_table`] knows who is connected and who makes room for whom, [`timeouts`] decides it, [`slot`] is what one
//! connection is known by, [`connection`] is the life of one. README.md says why it is not left to the edge.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod bodies;
pub mod client_address;
mod connection;
mod connection_table;
mod listen_address;
mod pressure_log;
mod refusal;
mod slot;
mod socket;
mod timeouts;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, timeout};

pub use self::bodies::RequestBody;
use self::client_address::is_trusted;
pub use self::connection_table::Capacity;
use self::connection_table::ConnectionTable;
pub use self::listen_address::ReservedAddress;
pub use self::timeouts::Timeouts;

/// How long answers in flight may take once the process was asked to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a connection that was just accepted may then take to bring its first request: it is on its way, and who
/// sent it cannot know that it should have gone to the process after this one.
const FRESH_GRACE: Duration = Duration::from_secs(1);
/// How often those are looked for whose time is up.
const SWEEP: Duration = Duration::from_secs(1);
/// After a failed accept (no file descriptor left, say) this much time may pass for things to get better.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Any error.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// The answer to a request that came over a connection from `peer`. Must not panic.
    fn answer(
        &self,
        request: Request<RequestBody>,
        peer: IpAddr,
    ) -> impl Future<Output = Response<impl Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + use<Self>>> + Send;
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peers {
    /// Proxies: each brings many people, so that the limit of connections for one peer does not hold for it.
    pub trusted_proxies: Vec<IpNet>,
    /// Which addresses count as one, for that limit.
    pub network: fn(IpAddr) -> IpAddr,
}

/// How many connections there may be, and how long each may keep the site waiting.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// How many.
    pub capacity: Capacity,
    /// How long.
    pub timeouts: Timeouts,
    /// How often those are looked for whose time is up; None for every second.
    pub sweep: Option<Duration>,
}

/// Serves until `stop` resolves, then lets answers in flight finish. `refusal` is what a connection is told for which there
/// is no room, with `Connection: close` added to it.
pub async fn serve(
    listener: TcpListener,
    handler: impl Handler,
    peers: Peers,
    refusal: Response<Bytes>,
    bounds: Bounds,
    stop: impl Future<Output = ()>,
) {
    if let Err(error) = socket::prepare(&listener) {
        tracing::warn!(%error, "the socket's options could not be set; slow clients take more memory");
    }
    let table = ConnectionTable::new(bounds.capacity, bounds.timeouts);
    let server = Arc::new(Server { handler, peers, table: Arc::clone(&table), refusal: refusal::to_bytes(refusal) });
    let mut sweep = interval(bounds.sweep.unwrap_or(SWEEP));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let serving = async {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                (stream, peer) = accept(&listener, &table) => server.welcome(stream, peer.ip()),
                _ = sweep.tick() => table.sweep(),
                () = &mut stop => break,
            }
        }
        drop(listener);
        drain(&table).await;
    };
    tokio::select! {
        () = serving => {}
        never = table.free_permits() => match never {},
    }
}

async fn accept(listener: &TcpListener, table: &ConnectionTable) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                table.out_of_files();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn drain(table: &ConnectionTable) {
    let drained = async {
        table.finish_all();
        if timeout(FRESH_GRACE, table.empty()).await.is_err() {
            table.close_those_who_have_not_asked();
            table.empty().await;
        }
    };
    if timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(connections = table.len(), "some connections were still busy after {DRAIN:?} and are cut off");
    }
}

struct Server<H> {
    handler: H,
    peers: Peers,
    table: Arc<ConnectionTable>,
    refusal: Vec<u8>,
}

impl<H: Handler> Server<H> {
    /// Gives a connection an entry in the table, or says that there is no room.
    fn welcome(self: &Arc<Self>, stream: TcpStream, peer: IpAddr) {
        let trusted = is_trusted(peer, &self.peers.trusted_proxies);
        match self.table.admit((self.peers.network)(peer), trusted) {
            Some(entry) => drop(tokio::spawn(connection::run(Arc::clone(self), stream, peer, entry))),
            None => refusal::send(stream, &self.refusal),
        }
    }
}
