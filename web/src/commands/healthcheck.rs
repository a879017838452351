//! `web healthcheck`: asks the running site's `/readyz`, for a container engine that has no other way to look.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use process::Exit;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::print_err;

const TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Asks the site that listens there. Exit 0 when it is ready, 69 when it is not or does not answer.
pub async fn run(listen: SocketAddr) -> Exit {
    let address = reachable(listen);
    match tokio::time::timeout(TIMEOUT, ask(address)).await {
        Ok(Ok(true)) => Exit::Done,
        Ok(Ok(false)) => {
            print_err(&format!("web: the site at {address} is up but not ready; its log says why"));
            Exit::Unavailable
        }
        Ok(Err(error)) => {
            print_err(&format!("web: no answer from {address}: {error}"));
            Exit::Unavailable
        }
        Err(_) => {
            print_err(&format!("web: no answer from {address} within {TIMEOUT:?}"));
            Exit::Unavailable
        }
    }
}

/// A site that listens on every address is asked on the loopback one.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(REQUEST).await?;
    let mut reply = Vec::new();
    stream.take(4096).read_to_end(&mut reply).await?;
    Ok(reply.starts_with(b"HTTP/1.1 200 "))
}
