//! A member's own sessions: what she sees of them, and that an end is an end at once.

use std::time::Duration;

use crate::support::{Clinic, IDLE, SESSION_COOKIE, SignedIn, send_many};
use futures_util::StreamExt;
use store::{Identity, RefusedSignIn, Timestamp};
use testkit::SOON;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn end(by: &SignedIn, which: &SignedIn) -> testkit::Reply {
    by.http.post_form(&format!("/me/sessions/{}/end", which.actor.session), &[("csrf", &by.csrf)]).await
}

#[tokio::test]
async fn the_page_shows_ones_own_sessions_and_nobody_elses() {
    let clinic = Clinic::open().await;
    let (ward, phone) = (clinic.sign_in("amina").await, clinic.sign_in("amina").await);
    let tomas = clinic.sign_in("tomas").await;
    let page = ward.http.get("/me").await.expect_status(200);
    let item = |member: &SignedIn| format!("id=\"session-{}\"", member.actor.session);
    assert!(page.text().contains(&item(&ward)) && page.text().contains(&item(&phone)));
    assert!(!page.text().contains(&item(&tomas)));
    assert_eq!(page.text().matches("this device").count(), 1);
    let first = page.text().split("class=\"device\"").nth(1).unwrap();
    assert!(first.contains("this device") && first.contains(&item(&ward)), "this device stands first: {first}");
    assert_eq!(page.text().matches("127.0.0.1").count(), 2);
    assert!(!page.text().contains(&format!("action=\"/me/sessions/{}/end\"", ward.actor.session)));
}

#[tokio::test]
async fn a_session_that_is_ended_is_over_at_once_and_its_open_list_closes() {
    let clinic = Clinic::open().await;
    let here = clinic.sign_in("amina").await;
    let mut own = here.http.open_stream("/messages/updates?after=0").await;
    let there = clinic.sign_in("amina").await;
    let mut stream = there.http.open_stream("/messages/updates?after=0").await;
    let reply = end(&here, &there).await;
    assert_eq!((reply.status, reply.location().unwrap().ends_with("/me?notice=ended")), (303, true));
    assert_eq!(there.http.get("/messages").await.status, 303);
    stream.read_until("event:ended", SOON).await;
    assert!(!stream.read_to_end(SOON).await.contains("event:"), "and then it closes");
    let page = there.http.get("/").await;
    assert!(page.text().contains("You were signed out because you ended this session from another device."));

    assert_eq!(here.http.get("/messages").await.status, 200);
    send(&here).await;
    own.read_until("event:sent", SOON).await;
    assert!(end(&here, &there).await.location().unwrap().ends_with("/me?notice=already"));
    assert_eq!(clinic.count("SESSION_ENDED").await, 1);
}

#[tokio::test]
async fn an_open_list_is_told_of_its_end_and_does_not_wait_until_it_looks() {
    let clinic = Clinic::open().await;
    let here = clinic.sign_in("amina").await;
    let mut fastest = SOON;
    // A stream looks by itself every five seconds. The best of three, since a busy machine may stand still for a while.
    for _ in 0..3 {
        let there = clinic.sign_in("amina").await;
        let head = clinic.store.audit_head().await.unwrap().id;
        let mut stream = there.http.open_stream(&format!("/messages/updates?after={head}")).await;
        // The first look is at its beginning, and has been when something comes.
        send(&here).await;
        stream.read_until("event:sent", SOON).await;
        let ended = std::time::Instant::now();
        end(&here, &there).await.expect_status(303);
        stream.read_until("event:ended", SOON).await;
        fastest = fastest.min(ended.elapsed());
    }
    assert!(fastest.as_secs() < 2, "{fastest:?}");
}

async fn send(member: &SignedIn) {
    let key = store::IdempotencyKey::fresh().to_string();
    let fields = [("csrf", member.csrf.as_str()), ("key", &key), ("subject", "Bed 4"), ("body", "Quiet.")];
    member.http.post_form("/messages", &fields).await.expect_status(303);
}

#[tokio::test]
async fn all_others_end_at_once_and_this_one_goes_on() {
    let clinic = Clinic::open().await;
    let here = clinic.sign_in("amina").await;
    let others = [clinic.sign_in("amina").await, clinic.sign_in("amina").await];
    let tomas = clinic.sign_in("tomas").await;
    here.http.post_form("/me/sessions/end-others", &[("csrf", &here.csrf)]).await.expect_status(303);
    for other in &others {
        assert_eq!(other.http.get("/messages").await.status, 303);
    }
    assert_eq!((here.http.get("/messages").await.status, tomas.http.get("/messages").await.status), (200, 200));
    assert_eq!(clinic.count("SESSION_ENDED").await, 2);
    assert!(here.http.get("/me").await.text().contains("here and nowhere else"));
}

#[tokio::test]
async fn somebody_elses_session_cannot_be_ended_and_ones_own_is_a_sign_out() {
    let clinic = Clinic::open().await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    assert_eq!(end(&amina, &tomas).await.status, 404);
    for nonsense in ["0", "-1", "x", "999999", "99999999999999999999"] {
        let path = format!("/me/sessions/{nonsense}/end");
        assert_eq!(amina.http.post_form(&path, &[("csrf", &amina.csrf)]).await.status, 404, "{nonsense}");
    }
    assert_eq!(tomas.http.get("/messages").await.status, 200);
    assert!(end(&amina, &amina).await.location().unwrap().ends_with("/?ended=signed-out"));
    assert_eq!((clinic.count("SESSION_ENDED").await, clinic.count("LOGOUT").await), (0, 1));
}

#[tokio::test]
async fn signing_in_again_in_the_same_browser_leaves_one_session() {
    let clinic = Clinic::open().await;
    let http = clinic.browser();
    for _ in 0..2 {
        clinic.sign_in_through_provider(&http, "amina@clinic.example").await.expect_status(303);
    }
    let page = http.get("/me").await.expect_status(200);
    assert_eq!(page.text().matches("class=\"device\"").count(), 1, "{}", page.text());
}

/// A refusal whose row is as long as rows get.
fn long_refusal() -> RefusedSignIn {
    let long = "🩺".repeat(400);
    let account = Identity { issuer: long.clone(), subject: long.clone(), email: long.clone(), name: long };
    RefusedSignIn { verified_account: Some(account), reason: "not_staff", ip: [203, 0, 113, 1].into() }
}

/// Nobody has to ask for it: what somebody else sends is not shown to a session that time has ended meanwhile.
#[tokio::test]
async fn an_open_list_closes_when_time_has_ended_its_session() {
    let clinic = Clinic::open().await;
    let tomas = clinic.sign_in("tomas").await;
    let mut stream = tomas.http.open_stream("/messages/updates?after=0").await;
    clinic.clock.advance(IDLE - Duration::from_secs(60));
    send_many(&clinic.store, clinic.sign_in("amina").await.actor, 100).await;
    stream.read_until("event:sent", SOON).await;
    clinic.clock.advance(Duration::from_secs(60));
    send_many(&clinic.store, clinic.sign_in("amina").await.actor, 100).await;
    stream.read_until("event:ended", SOON).await;
    assert_eq!(tomas.http.get("/messages").await.status, 303);
}

#[tokio::test]
async fn a_download_breaks_off_when_its_session_ends() {
    let clinic = Clinic::open().await;
    let (here, there) = (clinic.sign_in("amina").await, clinic.sign_in("amina").await);
    // More than the sockets on the way can hold: some 20 MB.
    let rows = (0..5_000).map(|_| clinic.store.record_refused_sign_in(long_refusal(), Timestamp::now()));
    futures_util::stream::iter(rows).buffer_unordered(200).for_each(async |row| row.unwrap()).await;

    let mut download = TcpStream::connect(clinic.host()).await.unwrap();
    let head = format!(
        "GET /audit/export.jsonl HTTP/1.1\r\nhost: {}\r\ncookie: {SESSION_COOKIE}={}\r\n\r\n",
        clinic.host(),
        there.token
    );
    download.write_all(head.as_bytes()).await.unwrap();
    let mut beginning = [0; 1024];
    download.read_exact(&mut beginning).await.unwrap();
    assert!(beginning.starts_with(b"HTTP/1.1 200"));
    end(&here, &there).await.expect_status(303);

    let mut rest = Vec::new();
    tokio::time::timeout(SOON, download.read_to_end(&mut rest)).await.expect("an end").expect("no fault but that");
    assert!(!rest.ends_with(b"\r\n0\r\n\r\n"), "a part was given out as the whole: {} bytes", rest.len());
    assert!(rest.len() > 100_000, "only {} bytes", rest.len());
}

#[tokio::test]
async fn the_tenth_failed_sign_in_of_an_address_raises_an_alert_once() {
    let clinic = Clinic::open().await;
    let http = clinic.browser();
    clinic.provider.script(demo::Misbehaviour::WrongNonce);
    for _ in 0..12 {
        clinic.sign_in_through_provider(&http, "amina@clinic.example").await.expect_status(403);
    }
    assert_eq!((clinic.count("LOGIN_FAILED").await, clinic.count("SECURITY_ALERT").await), (12, 1));
    let rows = clinic.audit().await;
    let alert = rows.iter().position(|(action, _)| action == "SECURITY_ALERT").unwrap();
    assert_eq!(rows[..alert].iter().filter(|(action, _)| action == "LOGIN_FAILED").count(), 10);
    assert!(rows[alert].1.contains("\"address\":\"127.0.0.1\""), "{}", rows[alert].1);
    // The row goes with its failure into one transaction, so an act that fails leaves neither.
    let refusal = RefusedSignIn { verified_account: None, reason: "nonce", ip: [203, 0, 113, 1].into() };
    clinic.store.clone().close().await;
    assert!(clinic.store.record_refused_sign_in(refusal, Timestamp::now()).await.is_err());
}
