//! Asking too often: who is stopped, what she is told, and what is not lost.

use crate::support::{Clinic, SignedIn};
use http::Method;
use store::IdempotencyKey;
use testkit::{Http, Reply, SOON};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wardpost_web::whole_site::WholeSite;

async fn limited(limits: &[(&str, &str)]) -> Clinic {
    Clinic::open_limited(limits, WholeSite::routes).await
}

/// Asks from an address that a trusted proxy names.
async fn from(http: &Http, ip: &str, path: &str) -> Reply {
    http.request(Method::GET, path).header("x-forwarded-for", ip).send().await
}

/// Asks until it is too often: on a slow machine a bucket gains a little while it is emptied.
async fn until_refused(ask: impl AsyncFn() -> Reply) -> Reply {
    for _ in 0..200 {
        let reply = ask().await;
        if reply.status == 429 {
            return reply;
        }
    }
    panic!("asked 200 times, and never too often");
}

fn retry_after(reply: &Reply) -> u64 {
    assert_eq!(reply.status, 429, "{}", reply.text());
    reply.header("retry-after").expect("a Retry-After").parse().expect("whole seconds")
}

#[tokio::test]
async fn the_sixth_sign_in_of_an_address_within_a_minute_waits_and_the_page_says_how_long() {
    let clinic = limited(&[]).await;
    let http = clinic.browser();
    for _ in 0..5 {
        from(&http, "203.0.113.1", "/sign-in/start").await.expect_status(303);
        from(&http, "203.0.113.1", "/sign-in/callback?code=x&state=y").await.expect_status(400);
    }
    for path in ["/sign-in/start", "/sign-in/callback?code=x&state=y"] {
        let reply = from(&http, "203.0.113.1", path).await;
        let seconds = retry_after(&reply);
        assert!((1..=12).contains(&seconds), "{seconds}");
        assert!(reply.text().contains("Too many sign-ins at once"), "{}", reply.text());
        assert!(reply.text().contains(reply.header("x-request-id").unwrap()));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert!(!reply.text().contains("code=x"), "nothing of the callback's address is on the page");
    }
    from(&http, "203.0.113.2", "/sign-in/start").await.expect_status(303);
    from(&http, "203.0.113.1", "/").await.expect_status(200);
}

#[tokio::test]
async fn an_address_that_asks_for_too_much_is_refused_everywhere_but_by_the_health_checks() {
    let clinic = limited(&[("WARDPOST_LIMIT_REQUESTS_PER_SECOND", "1")]).await;
    let member = clinic.sign_in("amina").await;
    let asks = async |path: &str| from(&member.http, "203.0.113.1", path).await;
    for _ in 0..10 {
        asks("/help").await.expect_status(200);
    }
    for path in ["/help", "/", "/static/x", "/no/such/page", "/messages/updates?after=0", "/audit/export.csv"] {
        assert_eq!(retry_after(&until_refused(async || asks(path).await).await), 1, "{path}");
    }
    let form = [("csrf", member.csrf.as_str())];
    let post =
        || member.http.request(Method::POST, "/session/stay").header("x-forwarded-for", "203.0.113.1").form(&form);
    assert_eq!(retry_after(&until_refused(async || post().send().await).await), 1);
    for _ in 0..50 {
        asks("/healthz").await.expect_status(200);
        asks("/readyz").await.expect_status(200);
    }
    from(&member.http, "203.0.113.2", "/help").await.expect_status(200);
    // The address is the nearest one that is no trusted proxy; what a browser writes itself changes nothing.
    until_refused(async || from(&member.http, "198.51.100.7, 203.0.113.1", "/help").await).await;
}

#[tokio::test]
async fn scripts_and_streams_are_told_in_a_way_they_understand() {
    let clinic = limited(&[("WARDPOST_LIMIT_REQUESTS_PER_SECOND", "1")]).await;
    let http = clinic.browser();
    let asks = async |accept| http.request(Method::GET, "/session").header("accept", accept).send().await;
    for accept in ["application/json", "text/event-stream"] {
        let reply = until_refused(async || asks(accept).await).await;
        let seconds = retry_after(&reply);
        let told: serde_json::Value = serde_json::from_str(reply.text()).unwrap();
        assert_eq!(told, serde_json::json!({ "error": "too_many_requests", "retry_after_seconds": seconds }));
    }
    let page = until_refused(async || asks("text/html,application/xhtml+xml,*/*;q=0.8").await).await;
    assert!(page.text().contains("<h1>Too many requests at once</h1>"), "{}", page.text());
}

async fn send(member: &SignedIn, subject: &str) -> Reply {
    let key = IdempotencyKey::fresh().to_string();
    let fields = [("csrf", member.csrf.as_str()), ("key", &key), ("subject", subject), ("body", "half a night's work")];
    let reply = member.http.post_form("/messages", &fields).await;
    if reply.status == 429 {
        assert!(reply.text().contains(&key), "sending again is the same message");
    }
    reply
}

#[tokio::test]
async fn a_message_too_many_comes_back_whole_and_is_sent_when_there_is_room() {
    let clinic = limited(&[("WARDPOST_LIMIT_SEND_PER_MINUTE", "60")]).await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    for _ in 0..60 {
        send(&amina, "Quick").await.expect_status(303);
    }
    let refused = until_refused(async || send(&amina, "Not to be lost").await).await;
    assert_eq!(retry_after(&refused), 1);
    for kept in ["Not to be lost", "half a night&#39;s work", "This message was not sent", "wait a second"] {
        assert!(refused.text().contains(kept), "{kept} is not in {}", refused.text());
    }
    send(&tomas, "Somebody else").await.expect_status(303);
    testkit::wait_until("there is room for one more", SOON, async || match send(&amina, "Later").await.status {
        303 => Ok(()),
        status => Err(status),
    })
    .await;
}

#[tokio::test]
async fn a_message_from_an_address_that_asks_too_often_comes_back_whole_too() {
    let clinic = limited(&[("WARDPOST_LIMIT_REQUESTS_PER_SECOND", "1")]).await;
    let amina = clinic.sign_in("amina").await;
    let sent = std::cell::Cell::new(0);
    let refused = until_refused(async || {
        let reply = send(&amina, "Not to be lost").await;
        sent.set(sent.get() + usize::from(reply.status == 303));
        reply
    })
    .await;
    assert_eq!(retry_after(&refused), 1);
    assert!(refused.text().contains("Not to be lost") && refused.text().contains("half a night&#39;s work"));
    assert_eq!(clinic.count("MESSAGE_CREATE").await, sent.get());
}

/// Whatever is wrong with a request, it counts, and once there are too many that is what is said.
#[tokio::test]
async fn what_would_be_refused_anyhow_is_counted_first() {
    let clinic = limited(&[("WARDPOST_LIMIT_REQUESTS_PER_SECOND", "1")]).await;
    let amina = clinic.sign_in("amina").await;
    let address = std::cell::Cell::new(0);
    let flood = async |what: &str, status: u16, ask: &dyn Fn() -> testkit::Request| {
        address.set(address.get() + 1);
        let ip = format!("203.0.113.{}", address.get());
        let asks = async || ask().header("x-forwarded-for", &ip).send().await;
        assert_eq!(asks().await.status, status, "{what}");
        assert_eq!(retry_after(&until_refused(asks).await), 1, "{what}");
    };
    let post = |path| amina.http.request(Method::POST, path);
    let key = IdempotencyKey::fresh().to_string();
    let good = [("csrf", amina.csrf.as_str()), ("key", &key), ("subject", "s"), ("body", "b")];
    let wrong = [("csrf", "0"), ("key", &key), ("subject", "s"), ("body", "b")];
    let no_key = [("csrf", amina.csrf.as_str())];
    let (stranger, elsewhere) = (clinic.browser(), clinic.browser().under_name("evil.example"));
    for path in ["/messages", "/draft", "/session/stay", "/messages/1/delete"] {
        flood(path, 403, &|| post(path).header("origin", "https://evil.example").form(&good)).await;
        flood(path, 403, &|| post(path).form(&wrong)).await;
        flood(path, 401, &|| stranger.request(Method::POST, path).form(&good)).await;
        flood(path, 415, &|| post(path)).await;
    }
    flood("no key", 400, &|| post("/messages").form(&no_key)).await;
    flood("no text", 400, &|| post("/draft").form(&no_key)).await;
    flood("another host", 421, &|| elsewhere.request(Method::GET, "/")).await;
    assert_eq!(clinic.count("MESSAGE_CREATE").await + clinic.count("DRAFT_SAVED").await, 0);
}

#[tokio::test]
async fn the_draft_of_a_session_that_ran_out_is_kept_however_often_its_address_asks() {
    let clinic = limited(&[("WARDPOST_LIMIT_REQUESTS_PER_SECOND", "1")]).await;
    let late = clinic.sign_in_ago("amina", crate::support::IDLE + std::time::Duration::from_secs(5)).await;
    let key = IdempotencyKey::fresh().to_string();
    let fields = [("csrf", late.csrf.as_str()), ("key", &key), ("subject", "Unfinished"), ("body", "half a sentence")];
    // Another computer of the ward; a look at the sign-in page would take the cookie away.
    let ward = clinic.browser();
    until_refused(async || ward.get("/").await).await;
    assert!(late.http.post_form("/draft", &fields).await.status >= 400);
    assert_eq!(clinic.count("DRAFT_SAVED").await, 1);

    let again = clinic.sign_in("amina").await;
    let fields = [("csrf", again.csrf.as_str()), ("key", &key), ("subject", "Unfinished"), ("body", "a whole one")];
    until_refused(async || again.http.post_form("/draft", &fields).await).await;
}

/// Each is a row in the audit log, and a page saves three times a minute.
#[tokio::test]
async fn drafts_are_limited_by_member() {
    let clinic = limited(&[]).await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    let key = IdempotencyKey::fresh().to_string();
    let saved = std::cell::Cell::new(0);
    let save = async |member: &SignedIn| {
        let body = format!("word after word {}", saved.get());
        let fields = [("csrf", member.csrf.as_str()), ("key", &key), ("subject", "Unfinished"), ("body", &body)];
        let reply = member.http.post_form("/draft", &fields).await;
        saved.set(saved.get() + usize::from(reply.status == 204));
        reply
    };
    let refused = until_refused(async || save(&amina).await).await;
    assert!(retry_after(&refused) <= 2 && saved.get() >= 30, "{}", saved.get());
    assert!(refused.text().contains("Too many drafts"), "{}", refused.text());
    assert!(clinic.count("DRAFT_SAVED").await < 60);
    save(&tomas).await.expect_status(204);
}

#[tokio::test]
async fn exports_are_limited_by_member_and_what_is_refused_is_not_in_the_log() {
    let clinic = limited(&[]).await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    for _ in 0..3 {
        amina.http.get("/audit/export.csv").await.expect_status(200);
        amina.http.get("/audit/export.jsonl").await.expect_status(200);
    }
    assert!((1..=10).contains(&retry_after(&amina.http.get("/audit/export.csv").await)));
    tomas.http.get("/audit/export.csv").await.expect_status(200);
    assert_eq!(clinic.count("AUDIT_EXPORT").await, 7);
}

#[tokio::test]
async fn off_switches_a_limit_off() {
    let clinic = limited(&crate::support::LIMITS.map(|name| (name, "off"))).await;
    let http = clinic.browser();
    for _ in 0..150 {
        http.get("/sign-in/start").await.expect_status(303);
    }
}

/// A form that is refused unread is on its way all the same; the page comes whole, and the connection goes on.
#[tokio::test]
async fn a_form_that_is_refused_unread_costs_nobody_the_page() {
    for (own, kind, refused_with) in
        [(false, "application/x-www-form-urlencoded", "403"), (true, "application/json", "415")]
    {
        let clinic = limited(&[("WARDPOST_LIMIT_REQUESTS_PER_SECOND", "1")]).await;
        let origin = if own { format!("http://{}", clinic.host()) } else { "https://evil.example".to_owned() };
        let mut stream = TcpStream::connect(clinic.host()).await.unwrap();
        let head = format!(
            "POST /sign-out HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\nContent-Type: {kind}\r\nContent-Length: 100000\r\n\r\n",
            clinic.host()
        );
        let mut statuses = Vec::new();
        for _ in 0..30 {
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&[b'x'; 100_000]).await.unwrap();
            let mut reply = Vec::new();
            while !reply.ends_with(b"</html>\n") && !reply.ends_with(b"</html>") {
                assert!(stream.read_buf(&mut reply).await.unwrap() > 0, "{kind}: closed after {statuses:?}");
            }
            statuses.push(String::from_utf8_lossy(&reply[9..12]).into_owned());
        }
        let (first, last) = (statuses.first().unwrap().as_str(), statuses.last().unwrap().as_str());
        assert_eq!((first, last), (refused_with, "429"));
    }
}
