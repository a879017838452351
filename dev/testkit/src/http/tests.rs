use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use super::*;

/// A site that gives fixed replies, one a connection, and tells what it was asked.
fn site<const N: usize>(replies: [&'static str; N]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (asked, requests) = channel();
    let mut replies = VecDeque::from(replies);
    std::thread::spawn(move || {
        while let Some(reply) = replies.pop_front() {
            let (mut connection, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(connection.try_clone().unwrap());
            let mut request = String::new();
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                request.push_str(&line);
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            request.push_str(&String::from_utf8(body).unwrap());
            asked.send(request).unwrap();
            let (head, body) = reply.split_once("\n\n").unwrap();
            let head = head.replace('\n', "\r\n");
            write!(connection, "HTTP/1.1 {head}\r\nconnection: close\r\n\r\n{body}").unwrap();
        }
    });
    (address, requests)
}

#[tokio::test]
async fn cookies_are_kept_sent_and_removed_and_tabs_share_them() {
    let (address, requests) = site([
        "200 OK\nset-cookie: a=1; Path=/\nset-cookie: b=2; Path=/x\n\nhello",
        "200 OK\nset-cookie: a=; Path=/; Max-Age=0\n\n",
        "204 No Content\n\n",
        "204 No Content\n\n",
    ]);
    let browser = Http::new(&address);
    assert_eq!(browser.get("/").await.expect_status(200).text(), "hello");
    assert_eq!(browser.cookie("a").as_deref(), Some("1"));
    browser.clone().get("/x").await;
    assert_eq!(browser.cookie("a"), None);
    browser.get("/x").await;
    browser.request(Method::GET, "/x").without_cookies().send().await;
    let cookies: Vec<_> = requests
        .iter()
        .take(4)
        .map(|request| request.lines().find_map(|line| line.strip_prefix("cookie: ")).map(ToOwned::to_owned))
        .collect();
    assert_eq!(cookies, [None, Some("a=1; b=2".to_owned()), Some("b=2".to_owned()), None]);
}

#[tokio::test]
async fn a_form_is_sent_as_a_page_of_the_site_sends_it() {
    let (address, requests) = site(["303 See Other\nlocation: /there?x=1\n\n"]);
    let browser = Http::new(&address);
    let reply = browser.post_form("/here", &[("a", "1 & 2"), ("b", "ü")]).await.expect_status(303);
    assert_eq!(reply.location(), Some(format!("{address}/there?x=1")));
    let request = requests.recv().unwrap();
    assert!(request.starts_with("POST /here HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\norigin: {address}\r\n")), "{request}");
    assert!(request.contains("\r\nsec-fetch-site: same-origin\r\n"), "{request}");
    assert!(request.contains("\r\ncontent-type: application/x-www-form-urlencoded\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\na=1+%26+2&b=%C3%BC"), "{request}");
}

#[tokio::test]
async fn redirects_are_followed_on_request_only() {
    let (address, _requests) = site([
        "302 Found\nlocation: /two\n\n",
        "302 Found\nlocation: /three\n\n",
        "200 OK\nlocation: /not-a-redirect\n\nend",
    ]);
    let browser = Http::new(&address);
    let first = browser.get("/one").await.expect_status(302);
    let last = browser.follow(first).await;
    assert_eq!((last.url.path(), last.text()), ("/three", "end"));
}

#[tokio::test]
async fn a_stream_is_read_event_by_event() {
    let (address, _requests) = site(["200 OK\ncontent-type: text/event-stream\n\nid: 1\ndata: a\n\nid: 2\n\nrest"]);
    let mut stream = Http::new(&address).open_stream("/events").await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.read_until("\n\n", SOON).await, "id: 1\ndata: a\n\n");
    assert_eq!(stream.read_until("\n\n", SOON).await, "id: 2\n\n");
    assert_eq!(stream.read_to_end(SOON).await, "rest");
}

#[tokio::test]
#[should_panic(expected = "\"never\" from")]
async fn an_event_that_does_not_come_is_a_failure() {
    let (address, _requests) = site(["200 OK\n\nid: 1\n\n"]);
    Http::new(&address).open_stream("/events").await.read_until("never", SOON).await;
}

#[tokio::test]
async fn a_site_that_is_down_is_an_error_for_who_expects_it() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Http::new(&format!("http://{closed}")).request(Method::GET, "/").try_send().await.unwrap_err();
    assert!(error.contains("ConnectionRefused"), "{error}");
}
