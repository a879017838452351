//! Requests that no browser of a member would send: `corpus/requests/OUTCOME/NAME`, byte for byte. Whatever it is, the reply
//! is whole, repeats nothing, has every header, and the site goes on.

use crate::support::Clinic;
use testkit::{Input, SOON, corpus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Stands in every input where somebody would like to see it in a reply.
const MARKER: &str = "reflected";

/// What comes back until the connection is closed; nothing where it is cut off.
async fn reply_to(clinic: &Clinic, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(clinic.host()).await.unwrap();
    let mut reply = Vec::new();
    // The site may have closed before it had all of it.
    let _ = stream.write_all(request).await;
    let read = async {
        let _ = stream.read_to_end(&mut reply).await;
    };
    tokio::time::timeout(SOON, read).await.expect("the connection is closed");
    reply
}

fn replace(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from.as_bytes()) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(to.as_bytes());
        rest = &rest[at + from.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

fn check(input: &Input, reply: &[u8]) {
    let shown = String::from_utf8_lossy(reply);
    let place = format!("{}/{}: {shown}", input.outcome, input.name);
    // The way back after signing in is this site's own page, encoded.
    let mut elsewhere = shown.lines().filter(|line| !line.starts_with("location: /?next=%2F"));
    assert!(!elsewhere.any(|line| line.contains(MARKER)), "repeats what was asked: {place}");
    assert!(!shown.contains("\u{1b}"), "commands a terminal: {place}");
    let statuses = shown.matches("HTTP/1.1 ").count() + shown.matches("HTTP/1.0 ").count();
    match input.outcome.as_str() {
        // Not a request at all: the connection ends, with a bare 400 at most.
        "not-http" => {
            let refused = ["400", "414", "431"].iter().any(|status| shown.starts_with(&format!("HTTP/1.1 {status} ")));
            assert!(statuses <= 1 && (reply.is_empty() || refused), "{place}");
        }
        "one-reply" => assert!(statuses <= 1, "a request was smuggled: {place}"),
        status => {
            let (head, _) = shown.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole head: {place}"));
            assert!(head.split(' ').nth(1) == Some(status) && statuses == 1, "{place}");
            for header in [
                "content-security-policy",
                "x-content-type-options",
                "x-frame-options",
                "cache-control",
                "x-request-id",
            ] {
                let times = head.lines().filter(|line| line.starts_with(&format!("{header}:"))).count();
                assert_eq!(times, 1, "{header} in {place}");
            }
        }
    }
}

#[tokio::test]
async fn what_no_browser_sends_gets_a_reply_that_gives_nothing_away() {
    let clinic = Clinic::open().await;
    for input in corpus(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/requests")) {
        let request = replace(&input.bytes, "{host}", clinic.host());
        let reply = reply_to(&clinic, &request).await;
        check(&input, &reply);
    }
    assert_eq!(clinic.browser().get("/").await.status, 200, "the site goes on");
    let actions: Vec<_> = clinic.audit().await.into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions, ["DATABASE_CREATED"], "strangers leave nothing behind");
}

#[tokio::test]
async fn who_comes_by_another_name_is_told_where_the_site_is() {
    let clinic = Clinic::open().await;
    let request = b"GET /messages/12?secret=x HTTP/1.1\r\nHost: 10.1.2.3\r\nConnection: close\r\n\r\n";
    let reply = String::from_utf8(reply_to(&clinic, request).await).unwrap();
    assert!(reply.starts_with("HTTP/1.1 421 "), "{reply}");
    assert!(reply.contains(&format!("<a href=\"{}/\">", clinic.url)), "{reply}");
    assert!(!reply.contains("10.1.2.3") && !reply.contains("secret"), "{reply}");
}

#[tokio::test]
async fn a_members_words_reach_no_header() {
    let clinic = Clinic::open().await;
    let amina = clinic.sign_in("amina").await;
    let subject = "Evil: 1; Location: //evil.example \u{202e}\u{2067}\"; filename=evil.exe";
    let key = "a".repeat(32);
    let fields = [("csrf", amina.csrf.as_str()), ("key", &key), ("subject", subject), ("body", subject)];
    let sent = amina.http.post_form("/messages", &fields).await.expect_status(303);
    for path in ["/messages", "/messages/1", "/messages/1/delete", "/audit", "/audit/export.csv", "/messages/9?evil=1"]
    {
        let reply = amina.http.get(path).await;
        assert!(!format!("{:?}", reply.headers).to_lowercase().contains("evil"), "{path}: {:?}", reply.headers);
    }
    assert_eq!(sent.header("location"), Some("/messages?notice=sent"));
}
