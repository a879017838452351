//! Forms on their way in: what strangers and members may make the site keep.

use super::clients::{clinic, connect, is_open};
use crate::support::{Clinic, SESSION_COOKIE, SignedIn};
use http_server::Bounds;
use std::time::Duration;
use store::IdempotencyKey;
use testkit::{SOON, wait_until};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

async fn all_room_is_free(clinic: &Clinic) {
    wait_until("all room is free again", SOON, async || match clinic.site.body_memory.free() {
        (4096, 16384) => Ok(()),
        free => Err(free),
    })
    .await;
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
    all_room_is_free(&clinic).await;
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
    let late = clinic.sign_in_ago("tomas", crate::support::IDLE + Duration::from_secs(5)).await;
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
    let late = clinic.sign_in_ago("amina", crate::support::IDLE + Duration::from_secs(5)).await;
    let reply = send_a_large_message(&late).await.expect_status(401);
    assert!(reply.text().contains("kept"), "{}", reply.text());
    let draft = clinic.store.draft(late.actor.person, None).await.unwrap().expect("a draft");
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
    all_room_is_free(&clinic).await;
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
