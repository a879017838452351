//! The life of one connection. Until there is something to read it is a socket and little else; then it is served, with
//! buffers; and when it has been idle for a while it is taken apart again.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::bodies::{Arriving, Leaving};
use super::patience::Order;
use super::places::Place;
use super::socket::Socket;
use super::{Server, refusal};

/// The largest head of a request. Browsers send a tenth of it; the edge lets no line of more than 8 KiB through.
const MAX_HEAD: usize = 16 * 1024;

/// Answers what comes through `stream`, until either side closes it.
pub(super) async fn run(server: Arc<Server>, stream: TcpStream, peer: IpAddr, place: Place) {
    let mut socket = Socket::new(stream, Arc::clone(place.seat()));
    while wait(&socket).await {
        // In a box, so that a connection that waits does not keep the room that serving it took.
        match Box::pin(serve(&server, socket, peer)).await {
            Some(parked) => socket = parked,
            None => break,
        }
    }
}

/// Waits for something to read. False when the connection is to close instead.
async fn wait(socket: &Socket) -> bool {
    loop {
        tokio::select! {
            biased;
            has_something = socket.has_something() => return has_something,
            () = socket.seat().called() => match socket.seat().take_order() {
                Some(Order::Close) => return false,
                Some(Order::Finish) if socket.seat().has_asked() => return false,
                Some(Order::Finish | Order::Park) | None => {}
            }
        }
    }
}

/// Serves requests. Gives the socket back when the client is idle, and None when it is closed.
async fn serve(server: &Arc<Server>, socket: Socket, peer: IpAddr) -> Option<Socket> {
    let seat = Arc::clone(socket.seat());
    let Some(_desk) = server.places.desk().await else {
        refusal::send(socket.into_stream(), &server.refusal);
        return None;
    };
    seat.set_served(true);
    let service = service_fn(|request: Request<Incoming>| {
        let (server, seat) = (Arc::clone(server), Arc::clone(&seat));
        async move {
            let request = request.map(|body| Arriving::new(body, &seat));
            let response = server.answer(request, peer).await;
            Ok::<_, Infallible>(response.map(|body| Leaving::new(body, seat)))
        }
    });
    // Its own time-out for heads is off: `patience.rs` knows them all.
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(socket), service);
    let parked = loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke off");
                }
                break None;
            }
            () = seat.called() => match seat.take_order() {
                Some(Order::Close) => break None,
                Some(Order::Finish) if seat.has_asked() => std::pin::Pin::new(&mut connection).graceful_shutdown(),
                Some(Order::Park) if seat.may_park() => {
                    // Polled just now, and all that it had to send is sent: nothing is lost with it.
                    let parts = connection.into_parts();
                    break Some(parts.io.into_inner().with_ahead(parts.read_buf));
                }
                Some(Order::Finish | Order::Park) | None => {}
            }
        }
    };
    seat.set_served(false);
    parked
}
