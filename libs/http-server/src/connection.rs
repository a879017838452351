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

use crate::bodies::{RequestBody, ResponseBody};
use crate::connection_table::Entry;
use crate::socket::Socket;
use crate::timeouts::Order;
use crate::{Handler, Server, refusal};

/// The largest head of a request. Browsers send a tenth of it; the edge lets no line of more than 8 KiB through.
const MAX_HEAD: usize = 16 * 1024;

/// Answers what comes through `stream`, until either side closes it.
pub(crate) async fn run<H: Handler>(server: Arc<Server<H>>, stream: TcpStream, peer: IpAddr, entry: Entry) {
    let mut socket = Socket::new(stream, Arc::clone(entry.slot()));
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
            () = socket.slot().called() => match socket.slot().take_order() {
                Some(Order::Close) => return false,
                Some(Order::Finish) if socket.slot().has_asked() => return false,
                Some(Order::Finish | Order::Park) | None => {}
            }
        }
    }
}

/// Serves requests. Gives the socket back when the client is idle, and None when it is closed.
async fn serve<H: Handler>(server: &Arc<Server<H>>, socket: Socket, peer: IpAddr) -> Option<Socket> {
    let slot = Arc::clone(socket.slot());
    let Some(_permit) = server.table.permit().await else {
        refusal::send(socket.into_stream(), &server.refusal);
        return None;
    };
    slot.set_served(true);
    let service = service_fn(|request: Request<Incoming>| {
        let (server, slot) = (Arc::clone(server), Arc::clone(&slot));
        async move {
            let request = request.map(|body| RequestBody::new(body, &slot));
            let response = server.handler.answer(request, peer).await;
            Ok::<_, Infallible>(response.map(|body| ResponseBody::new(body, slot)))
        }
    });
    // Its own time-out for heads is off: `timeouts.rs` knows them all.
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
            () = slot.called() => match slot.take_order() {
                Some(Order::Close) => break None,
                Some(Order::Finish) if slot.has_asked() => std::pin::Pin::new(&mut connection).graceful_shutdown(),
                Some(Order::Park) if slot.may_park() => {
                    // Polled just now, and all that it had to send is sent: nothing is lost with it.
                    let parts = connection.into_parts();
                    break Some(parts.io.into_inner().with_ahead(parts.read_buf));
                }
                Some(Order::Finish | Order::Park) | None => {}
            }
        }
    };
    slot.set_served(false);
    parked
}
