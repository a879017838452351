//! Two servers for `dev/bench/stalled.py`: `bounded` is this crate, `plain` is hyper alone, as a framework starts it. Prints its
//! address, and answers every request with one line.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for the bench")]

use std::convert::Infallible;
use std::net::IpAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use http_server::{Bounds, Capacity, Handler, Peers, RequestBody};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

struct OneLine;

impl Handler for OneLine {
    #[expect(refining_impl_trait, reason = "an example names its body")]
    async fn answer(&self, _: Request<RequestBody>, _: IpAddr) -> Response<Full<Bytes>> {
        Response::new(Full::new(Bytes::from_static(b"here\n")))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    if std::env::args().nth(1).as_deref() == Some("plain") {
        return plain(listener).await;
    }
    let (open_files, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    let capacity = Capacity { of_one_peer: usize::MAX, ..Capacity::default() }.within(open_files);
    let peers = Peers { trusted_proxies: Vec::new(), network: |ip| ip };
    let refusal = Response::new(Bytes::new());
    http_server::serve(
        listener,
        OneLine,
        peers,
        refusal,
        Bounds { capacity, ..Bounds::default() },
        std::future::pending(),
    )
    .await;
}

async fn plain(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        tokio::spawn(async move {
            let one_line =
                service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"here\n")))) });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), one_line).await;
        });
    }
}
