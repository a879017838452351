//! Clients that stall or only wait, against few connections and short timeouts.

use super::clients::{ASK, LITTLE, address, bounds, clinic, connect, is_closed, is_open, reply};
use crate::support::send_many;
use http_server::{Capacity, Timeouts};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use testkit::{SOON, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;

#[tokio::test]
async fn half_a_head_is_waited_for_no_longer_on_a_kept_connection_than_on_a_new_one() {
    let clinic = clinic(bounds(Capacity::default(), Timeouts { head: LITTLE, ..Timeouts::default() }), &[]).await;
    let mut kept = connect(&clinic).await;
    for _ in 0..3 {
        kept.write_all(ASK).await.unwrap();
        assert!(reply(&mut kept).await.starts_with("HTTP/1.1 200"));
    }
    let mut new = connect(&clinic).await;
    for stream in [&mut kept, &mut new] {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: lo").await.unwrap();
        let start = Instant::now();
        is_closed(stream).await;
        assert!(start.elapsed() < Duration::from_secs(8), "not before the end of what an idle one may");
    }
}

#[tokio::test]
async fn a_head_that_comes_a_byte_at_a_time_has_one_time_for_all_of_it() {
    let clinic = clinic(bounds(Capacity::default(), Timeouts { head: LITTLE, ..Timeouts::default() }), &[]).await;
    let mut slow = connect(&clinic).await;
    let start = Instant::now();
    let trickle = async {
        for byte in ASK.iter().chain(std::iter::repeat(&b'x')) {
            if slow.write_all(&[*byte]).await.is_err() || start.elapsed() > SOON {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    trickle.await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[tokio::test]
async fn idle_connections_give_their_buffers_back_and_go_on_where_they_were() {
    let capacity = Capacity { served: 2, ..Capacity::default() };
    let clinic = clinic(bounds(capacity, Timeouts { park: Duration::ZERO, ..Timeouts::default() }), &[]).await;
    let mut streams = Vec::new();
    for _ in 0..30 {
        streams.push(connect(&clinic).await);
    }
    for _ in 0..4 {
        for stream in &mut streams {
            // Two at once: the second waits for the answer to the first.
            stream.write_all(&[ASK, ASK].concat()).await.unwrap();
            let mut both = [0; 2048];
            let mut seen = String::new();
            while seen.matches("alive\n").count() < 2 {
                let read = timeout(SOON, stream.read(&mut both)).await.expect("both answers").unwrap();
                assert!(read > 0, "closed after {seen}");
                seen += std::str::from_utf8(&both[..read]).unwrap();
            }
            assert_eq!(seen.matches("HTTP/1.1 200 OK").count(), 2);
        }
    }
    assert!(streams.iter().all(is_open), "thirty connections and two permits");
}

/// What is left of a form that nobody reads must never be taken for the next request.
#[tokio::test]
async fn the_rest_of_an_unread_form_is_no_request() {
    let timeouts = Timeouts { park: Duration::ZERO, ..Timeouts::default() };
    let clinic = clinic(bounds(Capacity::default(), timeouts), &[]).await;
    let hidden = String::from_utf8(ASK.to_vec()).unwrap();
    for coding in [format!("Content-Length: {}\r\n", hidden.len() + 1), "Transfer-Encoding: chunked\r\n".to_owned()] {
        let mut stream = connect(&clinic).await;
        // /healthz takes no form: the answer is there before the form is.
        stream
            .write_all(format!("POST /healthz HTTP/1.1\r\nHost: localhost\r\n{coding}\r\n").as_bytes())
            .await
            .unwrap();
        let first = reply(&mut stream).await;
        assert!(first.starts_with("HTTP/1.1 405"), "{first}");
        tokio::time::sleep(LITTLE).await;
        let _ = stream.write_all(hidden.as_bytes()).await;
        let mut rest = Vec::new();
        let _ = timeout(Duration::from_secs(2), stream.read_to_end(&mut rest)).await;
        let rest = String::from_utf8_lossy(&rest);
        assert!(!rest.contains("alive"), "the form was taken for a request: {rest}");
    }
}

#[tokio::test]
async fn those_who_only_wait_make_room_for_a_newcomer() {
    let capacity = Capacity { connections: 20, ..Capacity::default() };
    let clinic = clinic(bounds(capacity, Timeouts::default()), &[]).await;
    let amina = clinic.sign_in("amina").await;
    let mut list = amina.http.open_stream("/messages/updates?after=0").await;
    let mut held = Vec::new();
    for number in 0..200 {
        let mut stream = connect(&clinic).await;
        if number % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        }
        held.push(stream);
        if number % 10 == 0 {
            let start = Instant::now();
            clinic.browser().get("/healthz").await.expect_status(200);
            assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        }
    }
    wait_until("all but twenty are closed", SOON, async || match held.iter().filter(|one| is_open(one)).count() {
        ..=20 => Ok(()),
        open => Err(open),
    })
    .await;
    // A list that is looked at keeps nobody waiting, and stays.
    send_many(&clinic.store, amina.actor, 100).await;
    list.read_until("event:sent", SOON).await;
}

#[tokio::test]
async fn when_all_places_are_at_work_a_newcomer_is_told_at_once_and_in_full() {
    let capacity = Capacity { connections: 4, ..Capacity::default() };
    let clinic = clinic(bounds(capacity, Timeouts::default()), &[]).await;
    let amina = clinic.sign_in("amina").await;
    let mut lists = Vec::new();
    for _ in 0..4 {
        lists.push(amina.http.open_stream("/messages/updates?after=0").await);
    }
    let mut refused = connect(&clinic).await;
    let told = reply(&mut refused).await;
    assert!(told.starts_with("HTTP/1.1 503"), "{told}");
    for header in ["retry-after: 5", "x-content-type-options: nosniff", "cache-control: no-store", "connection: close"]
    {
        assert!(told.contains(header), "{header} is not in {told}");
    }
    lists.pop();
    wait_until("there is a place again", SOON, async || {
        match clinic.browser().request(http::Method::GET, "/healthz").try_send().await {
            Ok(reply) if reply.status == 200 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn one_address_that_is_no_proxy_has_so_many_connections_and_another_has_its_own() {
    let capacity = Capacity { of_one_peer: 5, ..Capacity::default() };
    let clinic = clinic(bounds(capacity, Timeouts::default()), &[("WARDPOST_TRUSTED_PROXIES", "192.0.2.1/32")]).await;
    let from = async |ip: [u8; 4]| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((IpAddr::from(ip), 0))).unwrap();
        socket.connect(address(&clinic)).await.unwrap()
    };
    let other = from([127, 0, 0, 3]).await;
    let mut hers = Vec::new();
    for _ in 0..40 {
        hers.push(from([127, 0, 0, 2]).await);
    }
    wait_until("all but five are closed", SOON, async || match hers.iter().filter(|one| is_open(one)).count() {
        5 => Ok(()),
        open => Err(open),
    })
    .await;
    assert!(is_open(&other));
    let mut newest = hers.pop().unwrap();
    newest.write_all(ASK).await.unwrap();
    assert!(reply(&mut newest).await.starts_with("HTTP/1.1 200"));
}
