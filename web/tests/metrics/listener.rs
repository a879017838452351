//! The listener that tells: to whom, what else, and how it bears those who ask slowly.

use std::time::{Duration, Instant};

use super::tell;
use crate::support::Clinic;
use http::Method;
use testkit::{Http, SOON, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn the_site_does_not_tell_and_the_listener_tells_nothing_else() {
    let clinic = Clinic::open().await;
    let metrics = tell(&clinic).await;
    let amina = clinic.sign_in("amina").await;
    clinic.browser().get("/metrics").await.expect_status(404);
    amina.http.get("/metrics").await.expect_status(404);
    let here = Http::new(&metrics);
    for row in clinic.whole.rows() {
        let reply = here.request(row.method.clone(), &row.path.replace("{}", "1")).send().await;
        assert_eq!(reply.status, 404, "{} {}", row.method, row.path);
    }
    for path in ["/metrics/", "/metrics/x", "//metrics", "/Metrics", "/debug/pprof"] {
        here.get(&format!("{metrics}{path}")).await.expect_status(404);
    }
    let posted = here.request(Method::POST, "/metrics").send().await.expect_status(405);
    assert_eq!(posted.header("allow"), Some("GET, HEAD"));
    let head = here.request(Method::HEAD, "/metrics").send().await.expect_status(200);
    assert!(head.bytes.is_empty());
    let elsewhere = here.request(Method::GET, "/metrics").header("host", "rebound.example").send().await;
    assert_eq!((elsewhere.status, elsewhere.text().contains("wardpost")), (421, false));
}

#[tokio::test]
async fn who_asks_or_reads_slowly_holds_up_nobody_for_long() {
    let clinic = Clinic::open().await;
    let metrics = tell(&clinic).await;
    let address = metrics.strip_prefix("http://").unwrap();
    let mut slow = Vec::new();
    for number in 0..40 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let sent: &[u8] = match number % 3 {
            0 => b"",
            1 => b"GET /metrics HT",
            _ => b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        };
        stream.write_all(sent).await.unwrap();
        slow.push(stream);
    }
    let start = Instant::now();
    let amina = clinic.sign_in("amina").await;
    amina.http.get("/messages").await.expect_status(200);
    assert!(start.elapsed() < Duration::from_secs(3), "the site waited {:?}", start.elapsed());
    // Connections come free by the listener's own doing: nobody here has closed anything.
    wait_until("a look through all of them", SOON * 2, async || {
        Http::new(&metrics).request(Method::GET, "/metrics").try_send().await.map(|reply| assert_eq!(reply.status, 200))
    })
    .await;
    let mut silent = slow.swap_remove(0);
    let mut rest = Vec::new();
    tokio::time::timeout(SOON, silent.read_to_end(&mut rest)).await.expect("cut off").unwrap();
}
