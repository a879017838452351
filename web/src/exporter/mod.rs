//! Where Prometheus reads the metrics: `GET /metrics` on a loopback address, and nothing else.
//!
//! It is bounded by itself, apart from the site's own connections: anyone who asks slowly, or reads slowly, holds up others who
//! ask here for some seconds at most, and the site not at all.

mod machine;
mod scrape;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use self::scrape::Scrape;
use crate::app::site::Site;
use crate::features::Features;

/// The one path.
pub const PATH: &str = "/metrics";
/// Connections at once; those beyond wait in the kernel's queue. One is enough for one who asks every few seconds.
const MAX_CONNECTIONS: usize = 8;
/// How long a request's head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection may last, which carries one answer: as long as Prometheus waits for it.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failed accept (no file descriptor left, say) this much time may pass for things to get better.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Reads the setting: only a loopback address will do, since nothing about the site may be read from elsewhere.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| format!("`{text}` is not an address and port such as 127.0.0.1:9464"))?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "`{text}` can be reached from elsewhere: it must be a loopback address such as 127.0.0.1:9464"
        ));
    }
    Ok(address)
}

/// Answers until the process is asked to stop.
pub async fn run(listener: TcpListener, site: Arc<Site>, features: Arc<Features>) {
    let scrape = Arc::new(Scrape::new(Arc::clone(&site), features));
    tokio::select! {
        () = accept(&listener, &scrape) => {}
        () = site.stopping() => {}
    }
}

async fn accept(listener: &TcpListener, scrape: &Arc<Scrape>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let scrape = Arc::clone(scrape);
                tokio::spawn(async move {
                    if tokio::time::timeout(CONNECTION_TIMEOUT, connection(stream, scrape)).await.is_err() {
                        tracing::debug!("a connection to the metrics took too long and is cut off");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection to the metrics");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, scrape: Arc<Scrape>) {
    let service = service_fn(move |request| {
        let scrape = Arc::clone(&scrape);
        async move { Ok::<_, Infallible>(answer(request, &scrape).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(16 * 1024)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection to the metrics broke off");
    }
}

async fn answer(request: Request<Incoming>, scrape: &Scrape) -> Response<Full<Bytes>> {
    if !names_this_machine(request.headers()) {
        return plain(StatusCode::MISDIRECTED_REQUEST, "ask for this by a loopback address\n".to_owned());
    }
    if request.uri().path() != PATH {
        return plain(StatusCode::NOT_FOUND, "there is nothing here but /metrics\n".to_owned());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut reply = plain(StatusCode::METHOD_NOT_ALLOWED, "this can only be read\n".to_owned());
        reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return reply;
    }
    match scrape.text().await {
        Ok(text) => {
            let mut reply = plain(StatusCode::OK, text);
            reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
            reply
        }
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n".to_owned())
        }
    }
}

/// A page in a browser on this machine can ask for a loopback address under a name of its own; what it then reads, it could
/// send on. The name tells.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let host = host.to_str().unwrap_or("");
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let is_loopback = |ip: IpAddr| ip.is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.trim_matches(['[', ']']).parse().is_ok_and(is_loopback)
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(text.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loopback_address_is_listened_on() {
        for good in ["127.0.0.1:9464", "127.9.9.9:0", "[::1]:9464"] {
            assert_eq!(parse_address(good).unwrap().to_string(), good);
        }
        for bad in ["0.0.0.0:9464", "[::]:9464", "192.0.2.1:9464", "[::ffff:10.0.0.1]:1", "127.0.0.1", "9464", ":9464"]
        {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn another_host_name_is_not_answered() {
        let named = |host: &'static str| {
            names_this_machine(&HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]))
        };
        for good in ["127.0.0.1", "127.0.0.1:9464", "localhost:9464", "LOCALHOST", "[::1]:9464", "[::1]"] {
            assert!(named(good), "{good}");
        }
        for bad in
            ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", "10.0.0.1", "", "localhost.evil.example:1"]
        {
            assert!(!named(bad), "{bad}");
        }
        assert!(names_this_machine(&HeaderMap::new()), "HTTP/1.0 has no such header");
    }
}
