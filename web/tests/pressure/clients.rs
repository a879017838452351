//! A clinic with the bounds of a test, and clients that speak to it byte by byte.

use crate::support::{Clinic, LIMITS, SESSION_COOKIE, SignedIn};
use http_server::{Bounds, Capacity, Timeouts};
use std::net::SocketAddr;
use std::time::Duration;
use testkit::SOON;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use wardpost_web::whole_site::WholeSite;

pub(crate) const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
pub(crate) const LITTLE: Duration = Duration::from_millis(300);

/// Every wait is as long as always, but for what a test changes.
pub(crate) fn bounds(capacity: Capacity, timeouts: Timeouts) -> Bounds {
    Bounds { capacity, timeouts, sweep: Some(Duration::from_millis(50)) }
}

pub(crate) async fn clinic(bounds: Bounds, settings: &[(&str, &str)]) -> Clinic {
    let settings: Vec<(&str, &str)> =
        LIMITS.iter().map(|name| (*name, "1000000")).chain(settings.iter().copied()).collect();
    Clinic::open_bounded(&settings, bounds, WholeSite::routes).await
}

pub(crate) fn address(clinic: &Clinic) -> SocketAddr {
    clinic.url.strip_prefix("http://").unwrap().parse().unwrap()
}

pub(crate) async fn connect(clinic: &Clinic) -> TcpStream {
    TcpStream::connect(address(clinic)).await.unwrap()
}

/// A client that takes a few kilobytes and no more until it reads.
pub(crate) async fn connect_narrow(clinic: &Clinic) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(address(clinic)).await.unwrap()
}

/// One reply with a length, whole.
pub(crate) async fn reply(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    let read = async {
        loop {
            let text = String::from_utf8_lossy(&seen).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if length.is_none_or(|length| body.len() >= length.parse::<usize>().unwrap()) {
                    return text;
                }
            }
            assert!(stream.read_buf(&mut seen).await.unwrap() > 0, "closed after {text:?}");
        }
    };
    timeout(SOON, read).await.expect("a reply")
}

pub(crate) async fn is_closed(stream: &mut TcpStream) {
    // A reset is an end, too.
    let mut rest = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("closed by the site");
}

pub(crate) fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

pub(crate) fn get(path: &str, member: &SignedIn) -> String {
    let host = member.http.site().authority();
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {SESSION_COOKIE}={}\r\n\r\n", member.token)
}
