//! Clients that do not take what they asked for.

use super::clients::{bounds, clinic, connect_narrow, get};
use crate::support::send_many;
use http_server::{Bounds, Capacity, Timeouts};
use std::time::{Duration, Instant};
use store::{Body, IdempotencyKey, NewMessage, Subject, Timestamp};
use testkit::{SOON, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

#[tokio::test]
async fn a_download_that_is_not_read_is_cut_off_holds_no_log_and_gives_its_turn_back() {
    let timeouts = Timeouts { reply: Duration::from_secs(3), ..Timeouts::default() };
    let clinic = clinic(bounds(Capacity::default(), timeouts), &[]).await;
    let amina = clinic.sign_in("amina").await;
    send_many(&clinic.store, amina.actor, 4_000).await;
    let begin_download = async || {
        let mut stream = connect_narrow(&clinic).await;
        stream.write_all(get("/audit/export.jsonl", &amina).as_bytes()).await.unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).await.unwrap();
        (stream, begin)
    };
    let given = *b"HTTP/1.1 200";
    let mut sleepers = Vec::new();
    for _ in 0..2 {
        let (stream, said) = begin_download().await;
        assert_eq!(said, given);
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

    // Both are cut off: one that is read before that comes whole.
    let again = async || {
        let ((_one, first), (_other, second)) = (begin_download().await, begin_download().await);
        if first == given && second == given { Ok(()) } else { Err((first, second)) }
    };
    wait_until("both turns are free again", SOON, again).await;
    for mut stream in sleepers {
        let mut rest = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("an end");
        assert!(!rest.ends_with(b"0\r\n\r\n"), "what was cut off must not look whole");
    }
}

/// Of a browser that is signed out elsewhere nobody knows who has it now.
#[tokio::test]
async fn a_copy_of_ones_data_breaks_off_when_its_session_ends() {
    let clinic = clinic(bounds(Capacity::default(), Timeouts::default()), &[]).await;
    let (here, there) = (clinic.sign_in("amina").await, clinic.sign_in("amina").await);
    // Some 5 MB that no compressor makes shorter: more than the sockets on the way hold.
    let sends = (0..500).map(|_| {
        let text: String = (0..600).map(|_| IdempotencyKey::fresh().to_string()).collect();
        let (subject, body) = (Subject::parse("Long").unwrap(), Body::parse(&text).unwrap());
        let message =
            NewMessage { subject, body, addressed: store::Addressed::default(), key: IdempotencyKey::fresh() };
        clinic.store.send_message(here.actor, message, Timestamp::now())
    });
    for sent in futures_util::future::join_all(sends).await {
        sent.unwrap();
    }
    let form = format!("csrf={}", there.csrf);
    let head = get("/me/data", &there).replacen("GET", "POST", 1);
    let head = head.trim_end();
    let length = form.len();
    let mut stream = connect_narrow(&clinic).await;
    let request =
        format!("{head}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");

    let path = format!("/me/sessions/{}/end", there.actor.session);
    here.http.post_form(&path, &[("csrf", &here.csrf)]).await.expect_status(303);
    let mut rest = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("an end");
    assert!(!rest.ends_with(b"\r\n0\r\n\r\n"), "a part was given out as the whole: {} bytes", rest.len());
    wait_until("the page says so", SOON, async || match here.http.get("/me/data/progress").await.text() {
        text if text.contains("\"broken_off\"") => Ok(()),
        text => Err(text.to_owned()),
    })
    .await;
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
