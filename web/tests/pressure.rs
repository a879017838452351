//! Clients that keep the site waiting, each kind by itself, against a site with few places and little timeouts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use http_server::{Bounds, Capacity, Timeouts};
use store::IdempotencyKey;
use support::{Clinic, LIMITS, SESSION_COOKIE, SignedIn, send_many};
use testkit::{SOON, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use wardpost_web::whole_site::WholeSite;

const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LITTLE: Duration = Duration::from_millis(300);

/// Every wait is as long as always, but for what a test changes.
fn bounds(capacity: Capacity, timeouts: Timeouts) -> Bounds {
    Bounds { capacity, timeouts, sweep: Some(Duration::from_millis(50)) }
}

async fn clinic(bounds: Bounds, settings: &[(&str, &str)]) -> Clinic {
    let settings: Vec<(&str, &str)> =
        LIMITS.iter().map(|name| (*name, "1000000")).chain(settings.iter().copied()).collect();
    Clinic::open_bounded(&settings, bounds, WholeSite::routes).await
}

fn address(clinic: &Clinic) -> SocketAddr {
    clinic.url.strip_prefix("http://").unwrap().parse().unwrap()
}

async fn connect(clinic: &Clinic) -> TcpStream {
    TcpStream::connect(address(clinic)).await.unwrap()
}

/// A client that takes a few kilobytes and no more until it reads.
async fn connect_narrow(clinic: &Clinic) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(address(clinic)).await.unwrap()
}

/// One reply with a length, whole.
async fn reply(stream: &mut TcpStream) -> String {
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

async fn is_closed(stream: &mut TcpStream) {
    // A reset is an end, too.
    let mut rest = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("closed by the site");
}

fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

fn get(path: &str, member: &SignedIn) -> String {
    let host = member.http.site().authority();
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {SESSION_COOKIE}={}\r\n\r\n", member.token)
}

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
    assert!(streams.iter().all(is_open), "thirty connections and two desks");
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

#[tokio::test]
async fn a_download_that_is_not_read_is_cut_off_holds_no_log_and_gives_its_turn_back() {
    let timeouts = Timeouts { reply: Duration::from_secs(3), ..Timeouts::default() };
    let clinic = clinic(bounds(Capacity::default(), timeouts), &[]).await;
    let amina = clinic.sign_in("amina").await;
    send_many(&clinic.store, amina.actor, 4_000).await;
    let mut sleepers = Vec::new();
    for _ in 0..2 {
        let mut stream = connect_narrow(&clinic).await;
        stream.write_all(get("/audit/export.jsonl", &amina).as_bytes()).await.unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
        sleepers.push(stream);
    }
    assert_eq!(amina.http.get("/audit/export.jsonl").await.status, 429, "two at a time");

    // A deletion empties the write-ahead log, which no reader may hold up for as long as its client likes.
    let log = clinic.folder.path().join("wardpost.db-wal");
    assert!(std::fs::metadata(&log).unwrap().len() > 0);
    let form = [("csrf", amina.csrf.as_str())];
    amina.http.post_form("/messages/1/delete", &form).await.expect_status(303);
    let emptied = async || match std::fs::metadata(&log).unwrap().len() {
        0 => Ok(()),
        bytes => Err(bytes),
    };
    wait_until("the log is empty while two downloads sleep", Duration::from_secs(2), emptied).await;

    let again = async || match amina.http.get("/audit/export.jsonl").await.status {
        200 => Ok(()),
        status => Err(status),
    };
    wait_until("a turn is free again", SOON, again).await;
    for mut stream in sleepers {
        let mut rest = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("an end");
        assert!(!rest.ends_with(b"0\r\n\r\n"), "what was cut off must not look whole");
    }
}

#[tokio::test]
async fn a_download_that_is_read_slowly_but_steadily_comes_whole() {
    let timeouts = Timeouts { reply: Duration::from_secs(2), ..Timeouts::default() };
    let clinic = clinic(bounds(Capacity::default(), timeouts), &[]).await;
    let amina = clinic.sign_in("amina").await;
    send_many(&clinic.store, amina.actor, 4_000).await;
    let mut stream = connect_narrow(&clinic).await;
    let start = Instant::now();
    stream.write_all(get("/audit/export.jsonl", &amina).as_bytes()).await.unwrap();
    let (mut seen, mut part) = (0, vec![0; 16 * 1024]);
    let mut end = Vec::new();
    while !end.ends_with(b"0\r\n\r\n") {
        let read = timeout(SOON, stream.read(&mut part)).await.expect("more").unwrap();
        assert!(read > 0, "cut off after {seen} bytes and {:?}", start.elapsed());
        seen += read;
        end.extend_from_slice(&part[..read]);
        end.drain(..end.len().saturating_sub(5));
        // Some 400 kB a second, so that all of it takes longer than the timeouts with one that does not read.
        tokio::time::sleep(Duration::from_millis(if start.elapsed() < Duration::from_secs(4) { 10 } else { 0 })).await;
    }
    assert!(start.elapsed() > Duration::from_secs(2), "too fast to prove anything: {:?}", start.elapsed());
}

#[tokio::test]
async fn a_member_has_so_many_open_lists_and_another_has_her_own() {
    let clinic = clinic(Bounds::default(), &[]).await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    let mut lists = Vec::new();
    for _ in 0..32 {
        lists.push(amina.http.open_stream("/messages/updates?after=0").await);
    }
    assert!(lists.iter().all(|list| list.status == 200));
    let one_more = amina
        .http
        .request(http::Method::GET, "/messages/updates?after=0")
        .header("accept", "text/event-stream")
        .send()
        .await
        .expect_status(429);
    let told: serde_json::Value = serde_json::from_str(one_more.text()).unwrap();
    assert_eq!(told["error"], "too_many_requests");
    amina.http.get("/messages").await.expect_status(200);
    assert_eq!(tomas.http.open_stream("/messages/updates?after=0").await.status, 200);
    lists.pop();
    wait_until("there is room for one", SOON, async || {
        match amina.http.open_stream("/messages/updates?after=0").await.status {
            200 => Ok(()),
            status => Err(status),
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_that_is_not_read_is_closed_and_the_others_hear_of_everything() {
    let timeouts = Timeouts { reply: Duration::from_secs(1), ..Timeouts::default() };
    let clinic = clinic(bounds(Capacity::default(), timeouts), &[]).await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    let mut deaf = connect_narrow(&clinic).await;
    deaf.write_all(get("/messages/updates?after=0", &amina).as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    deaf.read_exact(&mut begin).await.unwrap();
    let mut list = tomas.http.open_stream("/messages/updates?after=0").await;
    let start = Instant::now();
    let heard = async {
        loop {
            list.read_until("event:", SOON).await;
        }
    };
    let told = async {
        while start.elapsed() < SOON {
            send_many(&clinic.store, tomas.actor, 100).await;
            let peeked = timeout(Duration::from_millis(1), deaf.peek(&mut [0; 1])).await;
            if matches!(peeked, Ok(Err(_))) {
                return;
            }
            // A closed one that still has bytes to read shows by what it answers to being written to.
            if deaf.write_all(b"x").await.is_err() {
                return;
            }
        }
        panic!("a list that nobody reads is still open after {:?}", start.elapsed());
    };
    tokio::select! {
        () = told => {}
        () = heard => {}
    }
}

/// As many strangers' forms as their room takes, and more, half-sent from many addresses.
#[tokio::test]
async fn strangers_can_neither_make_the_site_keep_much_nor_keep_a_members_message_out() {
    let clinic = clinic(Bounds::default(), &[]).await;
    let amina = clinic.sign_in("amina").await;
    let mut held = Vec::new();
    for number in 0..1_000 {
        let mut stream = connect(&clinic).await;
        let head = format!(
            "POST /emergency-access HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: 203.0.113.{}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 200000\r\n\r\n",
            clinic.host(),
            number % 100
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&[b'x'; 8 * 1024 - 1]).await.unwrap();
        held.push(stream);
    }
    wait_until("the strangers' room is taken", SOON, async || match clinic.site.body_memory.free() {
        (small, _) if small < 16 => Ok(()),
        free => Err(free),
    })
    .await;
    let (_, members) = clinic.site.body_memory.free();
    let large = "x".repeat(15_000);
    let key = IdempotencyKey::fresh().to_string();
    let form = [("csrf", amina.csrf.as_str()), ("key", &key), ("subject", "Gets through"), ("body", &large)];
    amina.http.post_form("/messages", &form).await.expect_status(303);
    assert_eq!(clinic.count("MESSAGE_CREATE").await, 1);
    assert_eq!(clinic.site.body_memory.free().1, members, "what a form took is given back");
    drop(held);
    wait_until("all room is free again", SOON, async || match clinic.site.body_memory.free() {
        (4096, 16384) => Ok(()),
        free => Err(free),
    })
    .await;
}

#[tokio::test]
async fn a_strangers_large_form_is_read_and_not_kept() {
    let clinic = clinic(Bounds::default(), &[]).await;
    let form = [("subject", "s"), ("body", &"x".repeat(100_000))];
    clinic.browser().post_form("/messages", &form).await.expect_status(401);
    assert_eq!(clinic.site.body_memory.free(), (4096, 16384));
}

/// The beginning of a large form, and no more of it.
async fn half_a_form(clinic: &Clinic, cookie: &str, number: usize) -> TcpStream {
    let mut stream = connect(clinic).await;
    let head = format!(
        "POST /messages HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: 203.0.113.{}\r\nCookie: {SESSION_COOKIE}={cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 200001\r\n\r\n",
        clinic.host(),
        number % 100
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; 200_000]).await.unwrap();
    stream
}

async fn send_a_large_message(member: &SignedIn) -> testkit::Reply {
    // 90 KB on its way.
    let (large, key) = ("\u{e9}".repeat(15_000), IdempotencyKey::fresh().to_string());
    let form = [("csrf", member.csrf.as_str()), ("key", &key), ("subject", "Gets through"), ("body", &large)];
    member.http.post_form("/messages", &form).await
}

/// Somebody has the cookie of a session that was signed out, or that ran out: neither opens the members' room.
#[tokio::test]
async fn the_cookie_of_a_session_that_has_ended_keeps_no_member_out() {
    let clinic = clinic(Bounds::default(), &[]).await;
    let amina = clinic.sign_in("amina").await;
    let revoked = clinic.sign_in("tomas").await;
    revoked.http.post_form("/sign-out", &[("csrf", &revoked.csrf)]).await.expect_status(303);
    let late = clinic.sign_in_ago("tomas", support::IDLE + Duration::from_secs(5)).await;
    let mut held = Vec::new();
    for number in 0..160 {
        let cookie = if number % 2 == 0 { &revoked.token } else { &late.token };
        held.push(half_a_form(&clinic, cookie, number).await);
    }
    wait_until("late forms take the strangers' room", SOON, async || match clinic.site.body_memory.free() {
        (small, _) if small < 200 => Ok(()),
        free => Err(free),
    })
    .await;
    assert_eq!(clinic.site.body_memory.free().1, 16384, "nothing of the members' room is taken");
    send_a_large_message(&amina).await.expect_status(303);
}

/// A large form whose session ran out while it was written is a draft, not lost.
#[tokio::test]
async fn a_large_form_of_a_session_that_ran_out_becomes_a_draft() {
    let clinic = clinic(Bounds::default(), &[]).await;
    let late = clinic.sign_in_ago("amina", support::IDLE + Duration::from_secs(5)).await;
    let reply = send_a_large_message(&late).await.expect_status(401);
    assert!(reply.text().contains("kept"), "{}", reply.text());
    let draft = clinic.store.draft(late.actor.person).await.unwrap().expect("a draft");
    assert_eq!(draft.body.chars().count(), 15_000);
}

#[tokio::test]
async fn a_member_can_fill_a_part_of_the_members_room_and_another_has_hers() {
    let clinic = clinic(Bounds::default(), &[]).await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    let mut held = Vec::new();
    for number in 0..100 {
        held.push(half_a_form(&clinic, &tomas.token, number).await);
    }
    let refused = async || match send_a_large_message(&tomas).await.status {
        429 => Ok(()),
        status => Err(status),
    };
    wait_until("his forms are one too many", SOON, refused).await;
    assert!(clinic.site.body_memory.free().1 >= 16384 - 1024, "{:?}", clinic.site.body_memory.free());
    send_a_large_message(&amina).await.expect_status(303);
    drop(held);
    wait_until("all room is free again", SOON, async || match clinic.site.body_memory.free() {
        (4096, 16384) => Ok(()),
        free => Err(free),
    })
    .await;
}

#[tokio::test]
async fn forms_of_one_address_are_few_at_a_time_and_a_members_comes_through() {
    let clinic = clinic(Bounds::default(), &[]).await;
    let amina = clinic.sign_in("amina").await;
    let mut held = Vec::new();
    for _ in 0..64 {
        let mut stream = connect(&clinic).await;
        let head = format!(
            "POST /messages HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nx",
            clinic.host()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let stranger = clinic.browser();
    let refused = async || match stranger.post_form("/messages", &[("a", "b")]).await.status {
        429 => Ok(()),
        status => Err(status),
    };
    wait_until("a stranger's form is one too many", SOON, refused).await;
    let key = IdempotencyKey::fresh().to_string();
    let form = [("csrf", amina.csrf.as_str()), ("key", &key), ("subject", "Gets through"), ("body", "Text")];
    amina.http.post_form("/messages", &form).await.expect_status(303);
    assert!(held.iter().all(is_open));

    // She has so many beside that, and no more.
    for _ in 0..32 {
        let mut stream = connect(&clinic).await;
        let head = format!(
            "POST /messages HTTP/1.1\r\nHost: {}\r\nCookie: {SESSION_COOKIE}={}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nx",
            clinic.host(),
            amina.token
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let refused = async || match amina.http.post_form("/messages", &form).await.status {
        429 => Ok(()),
        status => Err(status),
    };
    wait_until("a member's form is one too many", SOON, refused).await;
}
