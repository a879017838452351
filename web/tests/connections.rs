//! Connections that stall, break or hang while the site stops.

use std::time::{Duration, Instant};

use crate::support::{Clinic, SESSION_COOKIE};
use testkit::SOON;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use warp::Filter;

async fn connect(clinic: &Clinic) -> TcpStream {
    TcpStream::connect(clinic.host()).await.unwrap()
}

async fn closed_within(stream: &mut TcpStream, limit: Duration) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(limit, stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn a_connection_that_brings_no_request_is_closed() {
    let clinic = Clinic::open().await;
    let mut silent = connect(&clinic).await;
    let mut half = connect(&clinic).await;
    half.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.unwrap();
    let start = Instant::now();
    assert!(closed_within(&mut silent, Duration::from_secs(20)).await);
    assert!(closed_within(&mut half, Duration::from_secs(20)).await);
    assert!(start.elapsed() > Duration::from_secs(5), "closed before anybody slow had a chance");
}

#[tokio::test]
async fn a_half_sent_form_is_refused_in_time() {
    let clinic = Clinic::open().await;
    let amina = clinic.sign_in("amina").await;
    let mut slow = connect(&clinic).await;
    let head = format!(
        "POST /messages HTTP/1.1\r\nHost: {}\r\nCookie: {SESSION_COOKIE}={}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ncsrf=",
        clinic.host(),
        amina.token
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    tokio::time::timeout(Duration::from_secs(30), slow.read_buf(&mut reply)).await.unwrap().unwrap();
    assert!(reply.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&reply));
}

#[tokio::test]
async fn a_form_that_is_too_large_is_refused_with_or_without_a_length() {
    let clinic = Clinic::open().await;
    let amina = clinic.sign_in("amina").await;
    let form = format!("csrf={}&key={}&subject=s&body={}", amina.csrf, "0".repeat(32), "x".repeat(300 * 1024));
    let whole = format!("Content-Length: {}\r\n\r\n{form}", form.len());
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{form}\r\n0\r\n\r\n", form.len());
    for rest in [whole, chunked] {
        let mut stream = connect(&clinic).await;
        let head = format!(
            "POST /messages HTTP/1.1\r\nHost: {}\r\nCookie: {SESSION_COOKIE}={}\r\nContent-Type: application/x-www-form-urlencoded\r\n",
            clinic.host(),
            amina.token
        );
        stream.write_all(format!("{head}{rest}").as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        tokio::time::timeout(SOON, stream.read_buf(&mut reply)).await.unwrap().unwrap();
        assert!(reply.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&reply));
    }
    assert_eq!(clinic.count("MESSAGE_CREATE").await, 0);
}

#[tokio::test]
async fn stopping_waits_for_no_half_sent_request_and_ends_live_streams() {
    let clinic = Clinic::open().await;
    let amina = clinic.sign_in("amina").await;
    let stream = amina.http.open_stream("/messages/updates?after=0").await;
    let mut half = connect(&clinic).await;
    half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let start = Instant::now();
    clinic.stop().await;
    assert!(start.elapsed() < Duration::from_secs(6), "took {:?}", start.elapsed());
    stream.read_to_end(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_connection_that_was_just_accepted_is_still_answered_when_the_site_stops() {
    let clinic = Clinic::open().await;
    let mut fresh = connect(&clinic).await;
    let mut idle = connect(&clinic).await;
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    idle.write_all(request).await.unwrap();
    let mut reply = [0; 12];
    idle.read_exact(&mut reply).await.unwrap();
    let stop = tokio::spawn(clinic.stop());
    // The connection that has had its answer is closed at once: the stop has begun.
    assert!(closed_within(&mut idle, Duration::from_millis(900)).await);
    fresh.write_all(request).await.unwrap();
    fresh.read_exact(&mut reply).await.unwrap();
    assert_eq!(&reply, b"HTTP/1.1 200");
    assert!(closed_within(&mut fresh, SOON).await);
    stop.await.unwrap();
}

#[tokio::test]
async fn a_panic_is_a_plain_500_with_every_header_and_the_site_goes_on() {
    let clinic = Clinic::open_with(|_| {
        warp::path!("panic")
            .map(|| -> warp::reply::Response { panic!("patient data in a panic's text") })
            .or(warp::any().map(|| warp::reply::Response::new("fine".into())))
            .unify()
            .boxed()
    })
    .await;
    let http = clinic.browser();
    let reply = http.get("/panic").await;
    assert_eq!(reply.status, 500);
    assert!(!reply.text().contains("patient data"));
    assert!(reply.header("content-security-policy").is_some());
    assert_eq!(http.get("/").await.text(), "fine");
}

#[tokio::test]
async fn health_is_told_without_a_session() {
    let clinic = Clinic::open().await;
    let http = clinic.browser();
    for path in ["/", "/healthz", "/readyz"] {
        assert_eq!(http.get(path).await.status, 200, "{path}");
    }
}
