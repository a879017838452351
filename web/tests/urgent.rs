//! What is urgent, over HTTP: bars on every page, the question of an open page, the board, and the task that carries out steps.

use std::time::Duration;

use crate::support::{Clinic, SignedIn};
use http::Method;
use store::{
    Addressed, Body, IdempotencyKey, MessageId, NewMessage, Sent, Store, Subject, TeamId, Timestamp, UrgentAnswer,
    UrgentPolicy,
};
use testkit::{Reply, SOON};
use wardpost_web::whole_site::WholeSite;

const SUBJECT: &str = "Room 7 does not breathe well";

/// Sends something urgent, so long ago.
async fn send(store: &Store, author: &SignedIn, people: &[&SignedIn], teams: &[TeamId], ago: Duration) -> MessageId {
    send_by(Some(UrgentPolicy::Fast), store, author, people, teams, ago).await
}

async fn send_by(
    urgent: Option<UrgentPolicy>,
    store: &Store,
    author: &SignedIn,
    people: &[&SignedIn],
    teams: &[TeamId],
    ago: Duration,
) -> MessageId {
    let message = NewMessage {
        subject: Subject::parse(SUBJECT).unwrap(),
        body: Body::parse("Please come.").unwrap(),
        addressed: Addressed {
            people: people.iter().map(|member| member.actor.person).collect(),
            teams: teams.iter().copied().collect(),
            urgent,
        },
        key: IdempotencyKey::fresh(),
    };
    match store.send_message(author.actor, message, Timestamp::now().minus(ago)).await.unwrap() {
        Sent::Created(id) => id,
        other => panic!("{other:?}"),
    }
}

/// What the bars of a page say, tags left out.
async fn bars(member: &SignedIn, path: &str) -> String {
    let page = member.http.get(path).await;
    let html = page.text();
    let (_, section) = html.split_once("id=\"urgent-bars\"").expect("bars");
    let (section, _) = section.split_once("<p class=\"visually-hidden\" id=\"urgent-said\"").expect("their end");
    assert!(!section.contains(SUBJECT), "a bar gives no subject away");
    words(section)
}

fn words(html: &str) -> String {
    let text: String = html.split('<').skip(1).filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_bar_stands_on_every_page_of_those_it_is_for_until_somebody_is_on_the_way_and_has_done_it() {
    let clinic = Clinic::open().await;
    let (noor, tomas, huong, amina) = (
        clinic.sign_in("noor").await,
        clinic.sign_in("tomas").await,
        clinic.sign_in("huong").await,
        clinic.sign_in("amina").await,
    );
    let ward = clinic.team("Ward 3", &[&tomas, &huong]).await;
    assert_eq!(bars(&tomas, "/help").await, "");
    let id = send(&clinic.store, &noor, &[], &[ward], Duration::ZERO).await;
    for path in ["/messages", "/messages/new", "/messages/1", "/me", "/teams", "/audit", "/help", "/urgent", "/nothing"]
    {
        let said = bars(&tomas, path).await;
        assert!(said.starts_with("Urgent for you from noor, for Ward 3, since"), "{path}: {said}");
        assert!(said.ends_with("On my way Cannot: next, please"), "{path}: {said}");
        let title = tomas.http.get(path).await;
        assert!(title.text().contains("<title>‼ Urgent – "), "{path}");
    }
    // On the list it stands for all, and nowhere else.
    assert!(bars(&amina, "/messages").await.starts_with("Urgent from noor, for Ward 3"));
    assert_eq!((bars(&amina, "/help").await.as_str(), bars(&noor, "/help").await.as_str()), ("", ""));
    assert!(bars(&noor, "/messages").await.starts_with("Your urgent message, for Ward 3"));
    assert!(!amina.http.get("/messages").await.text().contains("‼"));

    let answer = async |member: &SignedIn, path: &str| {
        let fields = [("csrf", member.csrf.as_str()), ("back", "/help")];
        let reply = member.http.post_form(&format!("/messages/{id}/{path}"), &fields).await;
        assert_eq!((reply.status, reply.location().unwrap().ends_with("/help")), (303, true), "{path}");
    };
    answer(&tomas, "urgent/on-my-way").await;
    assert!(bars(&tomas, "/help").await.starts_with("You are on the way: urgent from noor"));
    assert!(bars(&huong, "/help").await.starts_with("tomas is on the way: urgent from noor"));
    assert!(!tomas.http.get("/help").await.text().contains("‼"));
    // Its author hears of it where hers stood; for those who are not asked it is gone.
    assert!(bars(&noor, "/messages").await.starts_with("tomas is on the way: urgent from you, for Ward 3"));
    assert_eq!((bars(&noor, "/help").await.as_str(), bars(&amina, "/messages").await.as_str()), ("", ""));
    answer(&tomas, "duty/done").await;
    for member in [&tomas, &huong, &amina, &noor] {
        assert_eq!(bars(member, "/messages").await, "");
    }
}

#[tokio::test]
async fn what_was_withdrawn_stands_there_until_each_has_understood_and_the_author_hears_that_nobody_answered() {
    let clinic = Clinic::open().await;
    let (noor, tomas) = (clinic.sign_in("noor").await, clinic.sign_in("tomas").await);
    let id = send(&clinic.store, &noor, &[&tomas], &[], Duration::ZERO).await;
    clinic.store.delete_message(noor.actor, id, Timestamp::now()).await.unwrap();
    let said = bars(&tomas, "/help").await;
    assert!(said.starts_with("Withdrawn by noor") && said.ends_with("Understood"), "{said}");
    tomas.http.post_form(&format!("/messages/{id}/duty/done"), &[("csrf", &tomas.csrf)]).await.expect_status(303);
    assert_eq!(bars(&tomas, "/help").await, "");

    // An hour ago: the task does the last step, and passes the others over.
    let id = send(&clinic.store, &noor, &[&tomas], &[], Duration::from_secs(3_600)).await;
    let told = format!("Nobody answered your urgent message {id}");
    testkit::wait_until("the author is told", SOON, async || {
        let said = bars(&noor, "/help").await;
        if said.starts_with(&told) { Ok(()) } else { Err(said) }
    })
    .await;
    assert!(bars(&tomas, "/help").await.starts_with("Urgent for you from noor"));
    // An answer leaves her bar, quiet, until it is done.
    clinic.store.answer_urgent(tomas.actor, id, UrgentAnswer::OnMyWay, Timestamp::now()).await.unwrap();
    assert!(bars(&noor, "/help").await.starts_with("tomas is on the way: urgent from you"));
    assert!(!noor.http.get("/help").await.text().contains("‼"));
    clinic.store.finish_duty(tomas.actor, id, Timestamp::now()).await.unwrap();
    assert_eq!(bars(&noor, "/help").await, "");
    assert_eq!(clinic.count("URGENT_STEP").await, 1);
    assert_eq!(clinic.count("URGENT_STEPS_SKIPPED").await, 1);
}

async fn ask(member: &SignedIn, etag: Option<&str>) -> Reply {
    let request = member.http.request(Method::GET, "/urgent/bar");
    match etag {
        Some(etag) => request.header("if-none-match", etag).send().await,
        None => request.send().await,
    }
}

#[tokio::test]
async fn an_open_page_is_told_what_changed_and_nothing_where_nothing_did_and_its_asking_is_no_activity() {
    let clinic = Clinic::open().await;
    let (noor, tomas) = (clinic.sign_in("noor").await, clinic.sign_in("tomas").await);
    let first = ask(&tomas, None).await;
    let etag = first.header("etag").unwrap().to_owned();
    let again = ask(&tomas, Some(&etag)).await;
    assert_eq!((first.status, again.status, again.text().len()), (200, 304, 0));
    assert!(first.text().contains("data-all=\"\"") && first.text().contains(" hidden>"), "{}", first.text());
    // Another process does it.
    let place = store::Location::file(clinic.database(), &crate::support::key());
    let other = Store::open(&place, store::IfMissing::Refuse).await.unwrap();
    let id = send(&other, &noor, &[&tomas], &[], Duration::ZERO).await;
    let told = testkit::wait_until("the page is told", SOON, async || {
        let reply = ask(&tomas, Some(&etag)).await;
        if reply.status == 200 { Ok(reply.text().to_string()) } else { Err(reply.status) }
    });
    let told = told.await;
    assert!(told.contains(&format!("data-say=\"{id}.0\"")) && told.contains("data-for-me=\"1\""), "{told}");
    assert!(!told.contains(SUBJECT));
    other.answer_urgent(tomas.actor, id, UrgentAnswer::OnMyWay, Timestamp::now()).await.unwrap();
    testkit::wait_until("the page is quiet", SOON, async || {
        let said = ask(&tomas, None).await.text().to_string();
        if said.contains("You are on the way") { Ok(()) } else { Err(said) }
    })
    .await;
    other.close().await;
    assert_eq!(clinic.count("MESSAGE_LIST").await, 0);
    let idle = clinic.sign_in_ago("idle", crate::support::IDLE - Duration::from_secs(2)).await;
    testkit::wait_until("asking alone lets the session end", SOON, async || {
        let status = ask(&idle, None).await.status;
        if status == 401 { Ok(()) } else { Err(status) }
    })
    .await;
}

#[tokio::test]
async fn a_stream_says_when_something_is_to_be_asked_for_again_and_a_hidden_page_hears_nothing_else() {
    let clinic = Clinic::open().await;
    let (noor, tomas, huong, amina) = (
        clinic.sign_in("noor").await,
        clinic.sign_in("tomas").await,
        clinic.sign_in("huong").await,
        clinic.sign_in("amina").await,
    );
    let mut list = tomas.http.open_stream("/messages/updates?after=0").await;
    let mut hidden = tomas.http.open_stream("/messages/updates?only=duties").await;
    let mut other = huong.http.open_stream("/messages/updates?only=duties").await;
    let mut anyone = amina.http.open_stream("/messages/updates?only=duties").await;
    for stream in [&mut list, &mut hidden, &mut other, &mut anyone] {
        // What has changed since its page was made.
        stream.read_until("event:duties", SOON).await;
    }
    let id = send_by(None, &clinic.store, &noor, &[&tomas], &[], Duration::ZERO).await;
    list.read_until("event:duties", SOON).await;
    hidden.read_until("event:duties", SOON).await;
    clinic.store.finish_duty(tomas.actor, id, Timestamp::now()).await.unwrap();
    list.read_until("event:duties", SOON).await;
    let heard = hidden.read_until("event:duties", SOON).await;
    assert!(!heard.contains("event:sent") && !heard.contains(SUBJECT), "{heard}");
    clinic.store.sign_out(huong.actor, Timestamp::now()).await.unwrap();
    let heard = other.read_to_end(SOON).await;
    assert!(!heard.contains("event:duties"), "what was for Tomas alone is none of hers: {heard}");
    // Another process sends something urgent: it stands on everybody's board.
    let place = store::Location::file(clinic.database(), &crate::support::key());
    let process = Store::open(&place, store::IfMissing::Refuse).await.unwrap();
    send(&process, &noor, &[&tomas], &[], Duration::ZERO).await;
    process.close().await;
    hidden.read_until("event:duties", SOON).await;
    anyone.read_until("event:duties", SOON).await;
    // Who sees nothing has no row: the one is the list's.
    assert_eq!(clinic.count("MESSAGE_LIST").await, 1);
    clinic.store.sign_out(tomas.actor, Timestamp::now()).await.unwrap();
    assert!(hidden.read_to_end(SOON).await.contains("event:ended"));
}

#[tokio::test]
async fn the_board_shows_subjects_to_anyone_on_staff_and_each_look_is_written_down() {
    let clinic = Clinic::open().await;
    let (noor, tomas, amina) =
        (clinic.sign_in("noor").await, clinic.sign_in("tomas").await, clinic.sign_in("amina").await);
    let empty = amina.http.get("/urgent").await;
    assert!(empty.text().contains("Nothing is urgent"), "{}", empty.text());
    assert!(amina.http.get("/help").await.text().contains("id=\"urgent-link\" hidden"));
    assert_eq!(clinic.count("MESSAGE_LIST").await, 0, "nothing was shown");
    let id = send(&clinic.store, &noor, &[&tomas], &[], Duration::ZERO).await;
    assert!(amina.http.get("/help").await.text().contains("id=\"urgent-link\">"));
    for path in ["/urgent", "/urgent/board"] {
        let board = amina.http.get(path).await;
        assert!(board.text().contains(SUBJECT), "{path}: {}", board.text());
        assert!(board.text().contains(&format!("formaction=\"/messages/{id}/urgent/on-my-way\"")));
        assert!(board.text().contains("name=\"back\" value=\"/urgent\""));
    }
    let shown: Vec<_> = clinic.audit().await.into_iter().filter(|(action, _)| action == "MESSAGE_LIST").collect();
    assert_eq!(shown.len(), 2);
    assert!(shown[0].1.contains("\"board\":\"urgent\"") && shown[0].1.contains(&format!("\"messages\":\"{id}\"")));
}

/// A clinic has one address, and many open pages.
#[tokio::test]
async fn open_pages_do_not_use_up_what_their_address_may_ask_and_strangers_do() {
    let clinic = Clinic::open_limited(&[("WARDPOST_LIMIT_REQUESTS_PER_SECOND", "1")], WholeSite::routes).await;
    let member = clinic.sign_in("amina").await;
    for _ in 0..100 {
        assert_eq!(ask(&member, None).await.status, 200);
    }
    member.http.get("/help").await.expect_status(200);
    // A member whose script runs wild is stopped.
    let refused = async |member: &SignedIn| {
        for _ in 0..10_000 {
            let reply = ask(member, None).await;
            if reply.status == 429 {
                return reply;
            }
        }
        panic!("asked ten thousand times, and never too often");
    };
    assert!(refused(&member).await.header("retry-after").is_some());
    let stranger = SignedIn { http: clinic.browser(), ..clinic.sign_in("stranger").await };
    refused(&stranger).await;
}
