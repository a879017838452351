//! Sending, opening, deleting and drafting, over HTTP, and what each leaves in the audit log.

use std::time::Duration;

use crate::support::{Clinic, IDLE, SignedIn};
use store::IdempotencyKey;
use testkit::{Reply, SOON};

async fn send(member: &SignedIn, key: &str, subject: &str, body: &str) -> Reply {
    let fields = [("csrf", member.csrf.as_str()), ("key", key), ("subject", subject), ("body", body)];
    member.http.post_form("/messages", &fields).await
}

fn key() -> String {
    IdempotencyKey::fresh().to_string()
}

/// The address of the newest message.
async fn newest(member: &SignedIn) -> String {
    let list = member.http.get("/messages").await;
    let id: String = list
        .text()
        .split_once("id=\"message-")
        .expect("a message in the list")
        .1
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    format!("/messages/{id}")
}

#[tokio::test]
async fn a_message_is_sent_read_and_deleted_and_each_act_has_its_row() {
    let clinic = Clinic::open().await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    assert_eq!(send(&amina, &key(), "Bed 4", "Quiet <night> & all well.\r\nSee you").await.status, 303);
    let address = newest(&tomas).await;
    let page = tomas.http.get(&address).await;
    assert!(
        page.text().contains("Quiet &lt;night&gt; &amp; all well.")
            || page.text().contains("Quiet &#60;night&#62; &#38; all well."),
        "{}",
        page.text()
    );
    assert_eq!(tomas.http.post_form(&format!("{address}/delete"), &[("csrf", &tomas.csrf)]).await.status, 403);
    assert_eq!(amina.http.post_form(&format!("{address}/delete"), &[("csrf", &amina.csrf)]).await.status, 303);
    let tombstone = tomas.http.get(&address).await;
    assert_eq!(tombstone.status, 200);
    assert!(!tombstone.text().contains("Quiet") && !tombstone.text().contains("Bed 4"));

    let log = clinic.audit().await;
    let acts: Vec<_> =
        log.iter().map(|(action, _)| action.as_str()).filter(|action| action.starts_with("MESSAGE")).collect();
    assert_eq!(acts, ["MESSAGE_CREATE", "MESSAGE_LIST", "MESSAGE_VIEW", "MESSAGE_DELETE"]);
    for (action, details) in &log {
        assert!(!details.contains("Bed 4") && !details.contains("Quiet"), "{action} shows what was written");
    }
}

#[tokio::test]
async fn sending_the_same_form_twice_makes_one_message_and_an_edited_one_asks() {
    let clinic = Clinic::open().await;
    let amina = clinic.sign_in("amina").await;
    let key = key();
    let double = tokio::join!(send(&amina, &key, "Once", "Text"), send(&amina, &key, "Once", "Text"));
    assert_eq!((double.0.status, double.1.status), (303, 303));
    assert_eq!(clinic.count("MESSAGE_CREATE").await, 1);
    let edited = send(&amina, &key, "Once", "Another text").await;
    assert_eq!(edited.status, 409);
    assert!(edited.text().contains("Another text"), "what was typed is lost");
    assert!(!edited.text().contains(&key), "the form has a new key");
    assert_eq!(clinic.count("MESSAGE_CREATE").await, 1);
}

#[tokio::test]
async fn a_bad_form_comes_back_with_what_was_typed_and_what_is_wrong() {
    let clinic = Clinic::open().await;
    let amina = clinic.sign_in("amina").await;
    let long = "ä".repeat(256);
    for (subject, body) in [
        ("", "My text"),
        ("   ", "My text"),
        (long.as_str(), "My text"),
        ("A subject", ""),
        ("A subject", " \n "),
        ("A\u{0}b", "My text"),
        ("A subject", &"x".repeat(20_001)),
    ] {
        let reply = send(&amina, &key(), subject, body).await;
        assert_eq!(reply.status, 422, "{subject:.20} / {body:.20}");
        assert!(reply.text().contains("aria-invalid=\"true\""), "{subject:.20} / {body:.20}");
        if body == "My text" {
            assert!(reply.text().contains("My text"));
        }
    }
    assert_eq!(send(&amina, "not a key", "A subject", "My text").await.status, 400);
    assert_eq!(clinic.count("MESSAGE_CREATE").await, 0);
    let fits = send(&amina, &key(), &"ä".repeat(255), &"🩺".repeat(20_000)).await;
    assert_eq!(fits.status, 303, "{}", fits.text());
}

#[tokio::test]
async fn what_was_typed_when_the_session_ran_out_waits_for_the_next_sign_in() {
    let clinic = Clinic::open().await;
    let late = clinic.sign_in_ago("amina", IDLE + Duration::from_secs(5)).await;
    let reply = send(&late, &key(), "Half a message", "that must not be lost").await;
    assert_eq!(reply.status, 401);
    assert!(!reply.text().contains("must not be lost"), "nothing stays on the screen of a shared computer");
    assert_eq!(clinic.count("MESSAGE_CREATE").await, 0);

    let other = clinic.sign_in("tomas").await;
    assert!(!other.http.get("/messages/new").await.text().contains("must not be lost"));
    let back = clinic.sign_in("amina").await;
    let form = back.http.get("/messages/new").await;
    assert!(form.text().contains("Half a message") && form.text().contains("that must not be lost"));
}

#[tokio::test]
async fn a_draft_is_kept_until_it_is_sent_or_discarded() {
    let clinic = Clinic::open().await;
    let amina = clinic.sign_in("amina").await;
    let key = key();
    let save = async |text: &str| {
        let fields = [("csrf", amina.csrf.as_str()), ("key", &key), ("subject", ""), ("body", text)];
        amina.http.post_form("/draft", &fields).await.status
    };
    assert_eq!(save("First thought").await, 204);
    assert_eq!(save("Second thought").await, 204);
    let form = amina.http.get("/messages/new").await;
    assert!(form.text().contains("Second thought") && form.text().contains(&key));
    assert_eq!(send(&amina, &key, "Done", "Second thought, finished").await.status, 303);
    assert!(!amina.http.get("/messages/new").await.text().contains("Second thought"));
    assert_eq!(save("Too late").await, 409, "the page must not say that it is kept");
    assert!(!amina.http.get("/messages/new").await.text().contains("Too late"), "an autosave overtaken by the send");
}

#[tokio::test]
async fn open_lists_learn_of_new_and_deleted_messages_and_close_with_the_session() {
    let clinic = Clinic::open().await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    assert_eq!(send(&amina, &key(), "Before", "Text").await.status, 303);
    let mut stream = tomas.http.open_stream("/messages/updates?after=0").await;
    assert!(stream.read_until("Before", SOON).await.contains("event:sent"));
    assert_eq!(send(&amina, &key(), "After", "Text").await.status, 303);
    let update = stream.read_until("After", SOON).await;
    assert!(update.contains("event:sent") && update.contains("id:"), "{update}");
    let address = newest(&amina).await;
    amina.http.post_form(&format!("{address}/delete"), &[("csrf", &amina.csrf)]).await.expect_status(303);
    stream.read_until("event:deleted", SOON).await;

    clinic.store.sign_out(tomas.actor, store::Timestamp::now()).await.unwrap();
    assert_eq!(send(&amina, &key(), "Secret from here on", "Text").await.status, 303);
    let rest = stream.read_to_end(SOON).await;
    assert!(rest.contains("event:ended"), "{rest}");
    assert!(!rest.contains("Secret from here on"));
}

#[tokio::test]
async fn an_open_list_hears_at_once_that_it_has_missed_nothing_and_then_every_ten_seconds_that_it_is_open() {
    let clinic = Clinic::open().await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    assert_eq!(send(&amina, &key(), "Missed", "Text").await.status, 303);
    let mut stream = tomas.http.open_stream("/messages/updates?after=0").await;
    let first = stream.read_until("event:heartbeat", SOON).await;
    assert!(first.contains("Missed"), "what was missed comes before: {first}");
    let heard = std::time::Instant::now();
    stream.read_until("event:heartbeat", Duration::from_secs(20)).await;
    assert!(heard.elapsed() > Duration::from_secs(9), "{:?}", heard.elapsed());
}

#[tokio::test]
async fn a_draft_that_its_page_has_not_seen_is_neither_overwritten_nor_discarded() {
    let clinic = Clinic::open().await;
    let amina = clinic.sign_in("amina").await;
    let (here, there) = (key(), key());
    let fields = |key: &str, seen: &str, text: &str| {
        [("csrf", amina.csrf.clone()), ("key", key.to_owned()), ("seen", seen.to_owned()), ("body", text.to_owned())]
    };
    let post = async |path: &str, fields: &[(&str, String)], accept: &str| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        amina.http.request(http::Method::POST, path).form(&fields).header("accept", accept).send().await
    };
    let json = "application/json";
    let first = post("/draft", &fields(&here, "", "Written here"), json).await;
    let seen = first.header("etag").expect("a version").trim_matches('"').to_owned();
    let form = amina.http.get("/messages/new").await;
    assert!(form.text().contains(&format!("name=\"seen\" value=\"{seen}\"")), "{}", form.text());

    let refused = post("/draft", &fields(&there, "", "Written there"), json).await;
    assert_eq!(refused.status, 409);
    let other: serde_json::Value = serde_json::from_str(refused.text()).unwrap();
    assert_eq!((&other["draft"]["body"], &other["draft"]["seen"]), (&"Written here".into(), &seen.as_str().into()));
    assert_eq!(post("/draft/discard", &fields(&there, "", ""), json).await.status, 409);
    let page = post("/draft/discard", &fields(&there, "", ""), "text/html").await;
    assert!(page.location().unwrap().ends_with("/messages/new?notice=other-draft"));

    assert_eq!(post("/draft", &fields(&there, &seen, "Written there"), json).await.status, 204, "it was shown");
    assert_eq!(clinic.count("DRAFT_SAVED").await, 2);
    assert_eq!(clinic.count("DRAFT_DISCARDED").await, 0);
}

#[tokio::test]
async fn a_script_is_told_in_words_of_the_sites_that_its_message_is_stored_and_is_led_nowhere() {
    let clinic = Clinic::open().await;
    let amina = clinic.sign_in("amina").await;
    let key = key();
    let fields = [("csrf", amina.csrf.as_str()), ("key", &key), ("subject", "Once"), ("body", "Text"), ("seen", "")];
    let post = async |path: &str| {
        let request = amina.http.request(http::Method::POST, path).form(&fields);
        request.header("accept", "application/json").send().await
    };
    for time in ["first", "repeated"] {
        let reply = post("/messages").await;
        assert_eq!((reply.status, reply.text()), (200, "{\"next\":\"/messages?notice=sent\",\"sent\":true}"), "{time}");
    }
    assert_eq!(clinic.count("MESSAGE_CREATE").await, 1);
    assert_eq!(post("/draft/discard").await.status, 204);
}

#[tokio::test]
async fn why_a_session_ended_is_told_to_who_holds_its_token_and_to_nobody_else() {
    let clinic = Clinic::open().await;
    let told = async |member: &SignedIn| -> serde_json::Value {
        let reply = member.http.get("/session").await;
        assert_eq!(reply.status, 401);
        serde_json::from_str(reply.text()).unwrap()
    };
    let idle = clinic.sign_in_ago("amina", IDLE + Duration::from_secs(1)).await;
    let why = told(&idle).await;
    assert_eq!(
        why["ended"],
        format!("You were signed out because nothing had happened here for {} minutes.", IDLE.as_secs() / 60)
    );
    let stranger = SignedIn { http: clinic.browser(), ..idle };
    assert_eq!(told(&stranger).await, serde_json::json!({ "signed_in": false }));

    // And whether what a page hands in after the end was kept.
    let late = clinic.sign_in_ago("tomas", IDLE + Duration::from_secs(1)).await;
    let fields = [("csrf", late.csrf.as_str()), ("key", &key()), ("subject", "Half"), ("body", "a thought")];
    let request = late.http.request(http::Method::POST, "/draft").form(&fields).header("accept", "application/json");
    let reply = request.send().await;
    assert_eq!(reply.status, 401);
    assert!(reply.text().contains("\"kept_draft\":true"), "{}", reply.text());
}

#[tokio::test]
async fn looking_at_the_time_left_or_at_live_updates_is_no_activity_and_staying_is() {
    let clinic = Clinic::open().await;
    let amina = clinic.sign_in_ago("amina", IDLE - Duration::from_secs(60)).await;
    let left = async || -> u64 {
        let reply = amina.http.get("/session").await;
        let value: serde_json::Value = serde_json::from_str(reply.text()).unwrap();
        value["ends_in_seconds"].as_u64().unwrap()
    };
    let _stream = amina.http.open_stream("/messages/updates?after=0").await;
    assert!(left().await <= 60);
    assert!(left().await <= 60);
    amina.http.post_form("/session/stay", &[("csrf", &amina.csrf)]).await.expect_status(200);
    assert!(left().await > 60);
}

#[tokio::test]
async fn the_audit_page_filters_exports_and_records_that_it_was_looked_at() {
    let clinic = Clinic::open().await;
    let amina = clinic.sign_in("=amina").await;
    assert_eq!(send(&amina, &key(), "Bed 4", "Text").await.status, 303);
    let page = amina.http.get("/audit?action=MESSAGE_CREATE").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("sent <a href=\"/messages/1\">message 1</a>"), "{}", page.text());
    assert!(!page.text().contains("Bed 4"), "a subject is told by the message alone, which leaves a row");
    assert_eq!(clinic.count("AUDIT_VIEW").await, 1);
    assert_eq!(amina.http.get("/audit?action=NONSENSE&from=x").await.status, 200);

    let csv = amina.http.get("/audit/export.csv?action=MESSAGE_CREATE").await;
    let lines: Vec<_> = csv.text().lines().collect();
    assert_eq!(lines.len(), 2, "{}", csv.text());
    assert!(lines[0].starts_with("id,timestamp,user_id"));
    assert!(lines[1].contains("'=amina"), "a name is no formula: {}", lines[1]);
    let json = amina.http.get("/audit/export.jsonl").await;
    let rows: Vec<serde_json::Value> = json.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
    for field in ["timestamp", "user_id", "action", "details", "ip_address", "hash", "previous_hash"] {
        assert!(rows[0].get(field).is_some(), "{field}");
    }
    assert_eq!(clinic.count("AUDIT_EXPORT").await, 2);
}

#[tokio::test]
async fn the_audit_log_names_the_address_behind_a_trusted_proxy() {
    let clinic = Clinic::open().await;
    let amina = clinic.sign_in("amina").await;
    let request = amina.http.request(http::Method::GET, "/audit").header("x-forwarded-for", "203.0.113.9");
    request.send().await.expect_status(200);
    let head = clinic.store.audit_head().await.unwrap().id;
    let rows = clinic.store.audit_rows(&store::AuditFilter::default(), store::AuditId::ZERO, head, 100).await.unwrap();
    assert_eq!(rows.last().unwrap().ip.as_deref(), Some("203.0.113.9"));
}
