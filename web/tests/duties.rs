//! Messages that are for somebody, over HTTP: choosing whom, answering, and what comes back where it cannot be.

use crate::support::{Clinic, SignedIn};
use store::{IdempotencyKey, Timestamp};
use testkit::Reply;

/// Sends a message with more fields than subject and text.
async fn send(member: &SignedIn, fields: &[(&str, &str)]) -> Reply {
    let key = IdempotencyKey::fresh().to_string();
    let own = [("csrf", member.csrf.as_str()), ("key", &key), ("subject", "Bed 4"), ("body", "Please look.")];
    member.http.post_form("/messages", &own.iter().chain(fields).copied().collect::<Vec<_>>()).await
}

/// Presses a button; gives where that leads.
async fn act(clinic: &Clinic, member: &SignedIn, path: &str, back: &str) -> String {
    let reply = member.http.post_form(path, &[("csrf", &member.csrf), ("back", back)]).await;
    let location = reply.location().unwrap_or_else(|| panic!("{}: {}", reply.status, reply.text()));
    location.strip_prefix(&clinic.url).expect("a page of ours").to_owned()
}

fn number(member: &SignedIn) -> String {
    member.actor.person.to_string()
}

async fn open_duties(clinic: &Clinic, member: &SignedIn) -> usize {
    clinic.store.own_duties(member.actor.person).await.unwrap().messages
}

async fn text_of(member: &SignedIn, path: &str) -> String {
    member.http.get(path).await.text().to_string()
}

/// The box of a form with this name and value, as it was sent.
fn tick<'p>(page: &'p str, name: &str, value: &str) -> Option<&'p str> {
    let start = page.find(&format!("name=\"{name}\" value=\"{value}\""))?;
    page[start..].split('>').next()
}

#[tokio::test]
async fn a_message_for_people_and_teams_gives_them_duties_that_they_end_from_its_page() {
    let clinic = Clinic::open().await;
    let (amina, tomas, noor) =
        (clinic.sign_in("amina").await, clinic.sign_in("tomas").await, clinic.sign_in("noor").await);
    let ward = clinic.team("Ward 3", &[&tomas, &noor]).await;
    let form = amina.http.get("/messages/new").await;
    assert!(
        tick(form.text(), "team", &ward.to_string()).is_some()
            && tick(form.text(), "person", &number(&tomas)).is_some()
    );
    assert!(tick(form.text(), "person", &number(&amina)).is_none(), "nobody writes to herself");
    let sent = send(&amina, &[("person", &number(&tomas)), ("team", &ward.to_string())]).await;
    assert_eq!(sent.status, 303, "{}", sent.text());
    assert_eq!((open_duties(&clinic, &tomas).await, open_duties(&clinic, &noor).await), (1, 1));

    let list = text_of(&noor, "/messages?show=for-me").await;
    assert!(list.contains("id=\"message-1\"") && list.contains(">for you<"), "{list}");
    let all = text_of(&amina, "/messages").await;
    assert!(!all.contains(">for you<"), "it is not for its author: {all}");
    let page = text_of(&noor, "/messages/1").await;
    assert!(page.contains("For <bdi>Ward 3</bdi>, <bdi>tomas</bdi>") && page.contains("I take it"), "{page}");
    assert!(page.contains("not yet: <bdi>tomas</bdi>"), "{page}");

    let taken = act(&clinic, &noor, "/messages/1/duty/take", "").await;
    assert_eq!(taken, "/messages/1?notice=duty-taken#m1");
    let page = text_of(&noor, "/messages/1?notice=duty-taken").await;
    assert!(
        page.contains("You have taken it.") && page.contains("<bdi>noor</bdi> took it") && !page.contains("I take it")
    );
    assert_eq!(act(&clinic, &noor, "/messages/1/duty/done", "").await, "/messages/1?notice=duty-done#m1");
    let again = act(&clinic, &noor, "/messages/1/duty/done", "").await;
    assert_eq!(again, "/messages/1?notice=duty-over#m1");
    assert_eq!((open_duties(&clinic, &tomas).await, open_duties(&clinic, &noor).await), (1, 0));
    assert!(text_of(&noor, "/messages?show=for-me").await.contains("Nothing is for you"));
    assert_eq!((clinic.count("DUTY_TAKEN").await, clinic.count("DUTY_DONE").await), (1, 1));

    let reply = [("csrf", tomas.csrf.as_str()), ("key", &IdempotencyKey::fresh().to_string()), ("body", "Seen to.")];
    assert_eq!(tomas.http.post_form("/messages/1/replies", &reply).await.status, 303);
    assert_eq!(open_duties(&clinic, &tomas).await, 0);
    assert!(text_of(&amina, "/messages/1").await.contains("<bdi>tomas</bdi> replied"));
}

#[tokio::test]
async fn a_form_that_cannot_be_for_whom_it_says_comes_back_with_its_ticks_and_why() {
    let clinic = Clinic::open().await;
    let (amina, tomas, noor) =
        (clinic.sign_in("amina").await, clinic.sign_in("tomas").await, clinic.sign_in("noor").await);
    let ward = clinic.team("Ward 3", &[&amina]).await;
    clinic.store.set_staff_enabled("noor@clinic.example", false, "root", Timestamp::now()).await.unwrap();
    let many: Vec<String> = (100..160).map(|id| id.to_string()).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|id| ("person", id.as_str())).collect();
    let (tomas_id, noor_id, ward_id) = (number(&tomas), number(&noor), ward.to_string());
    let refused: [(&[(&str, &str)], &str); 5] = [
        (&[("person", &tomas_id), ("person", &noor_id)], "<bdi>noor</bdi> may not sign in any more"),
        (&[("person", &tomas_id), ("team", &ward_id)], "Nobody else is in “<bdi>Ward 3</bdi>” now"),
        (&[("urgent", "1"), ("policy", "steady")], "An urgent message has to be for somebody"),
        (&many, "at most 50 people and teams"),
        (&[("person", &tomas_id), ("person", "9999")], "Somebody you chose is not on staff"),
    ];
    for (fields, why) in refused {
        let reply = send(&amina, fields).await;
        let text = reply.text();
        assert_eq!(reply.status, 422, "{why}");
        assert!(text.contains(why) && text.contains("Please look."), "{why}: {text}");
        if fields.contains(&("person", &tomas_id)) {
            assert!(tick(text, "person", &tomas_id).unwrap().ends_with("checked"), "{text}");
        }
        if fields.contains(&("urgent", "1")) {
            assert!(tick(text, "policy", "steady").unwrap().ends_with("checked"), "{text}");
        }
    }
    assert!(tick(&text_of(&amina, "/messages/new").await, "person", &noor_id).is_none(), "she may not sign in");
    assert_eq!(send(&amina, &[]).await.status, 303);
    let key = IdempotencyKey::fresh().to_string();
    let reply =
        [("csrf", amina.csrf.as_str()), ("key", &key), ("body", "And?"), ("person", &tomas_id), ("person", &noor_id)];
    let reply = amina.http.post_form("/messages/1/replies", &reply).await;
    assert_eq!(reply.status, 422);
    assert!(
        reply.text().contains("This reply was not sent")
            && tick(reply.text(), "person", &tomas_id).unwrap().ends_with("checked")
    );
    assert_eq!(clinic.count("MESSAGE_CREATE").await, 1);
}

#[tokio::test]
async fn where_nobody_can_be_chosen_nothing_can_be_urgent_and_a_tick_that_is_there_can_be_taken_away() {
    let clinic = Clinic::open().await;
    let tomas = clinic.sign_in("tomas").await;
    clinic.team("Ward 3", &[&tomas]).await;
    let page = tomas.http.get("/messages/new").await;
    assert!(page.text().contains("There is nobody else on staff yet"), "{}", page.text());
    assert!(!page.text().contains("name=\"urgent\"") && !page.text().contains("name=\"policy\""));
    let refused = send(&tomas, &[("urgent", "1")]).await;
    assert_eq!(refused.status, 422);
    assert!(tick(refused.text(), "urgent", "1").unwrap().ends_with("checked"), "{}", refused.text());

    clinic.sign_in("noor").await;
    let page = tomas.http.get("/messages/new").await;
    assert!(page.text().contains("name=\"urgent\"") && !page.text().contains("There is nobody else"));
}

#[tokio::test]
async fn the_sender_of_something_urgent_is_told_first_who_cannot_be_reached() {
    let clinic = Clinic::open().await;
    let (amina, tomas, noor) =
        (clinic.sign_in("amina").await, clinic.sign_in("tomas").await, clinic.sign_in("noor").await);
    let ward = clinic.team("Ward 3", &[&amina, &noor]).await.to_string();
    clinic.store.sign_out(noor.actor, Timestamp::now()).await.unwrap();
    let (tomas_id, noor_id) = (number(&tomas), number(&noor));
    let urgent = [("person", tomas_id.as_str()), ("person", &noor_id), ("urgent", "1"), ("policy", "fast")];
    let asked = send(&amina, &urgent).await;
    assert_eq!(asked.status, 422);
    assert!(
        asked.text().contains("<bdi>noor</bdi> cannot be reached now: no open session. One other person can."),
        "{}",
        asked.text()
    );
    assert!(
        asked.text().contains("Send anyway") && asked.text().contains(&format!("name=\"aware\" value=\"{noor_id}\""))
    );
    // Somebody else has become unreachable since.
    clinic.store.sign_out(tomas.actor, Timestamp::now()).await.unwrap();
    let aware = |ids: &str| {
        urgent.iter().copied().chain([("aware", ids)]).map(|(name, value)| (name, value.to_owned())).collect::<Vec<_>>()
    };
    let with = async |ids: &str| {
        let fields = aware(ids);
        send(&amina, &fields.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>()).await
    };
    let again = with(&noor_id).await;
    assert_eq!(again.status, 422);
    let nobody = "<bdi>tomas</bdi> and <bdi>noor</bdi> cannot be reached now: no open session. Nobody whom it is for would see it now.";
    assert!(again.text().contains(nobody), "{}", again.text());
    assert_eq!(with(&format!("{tomas_id} {noor_id}")).await.status, 303);
    assert_eq!(clinic.count("MESSAGE_CREATE").await, 1);
    // The sender is in the team, and is not asked.
    let asked = send(&amina, &[("team", &ward), ("urgent", "1"), ("policy", "fast")]).await;
    assert!(
        asked.text().contains("<bdi>noor</bdi> cannot be reached now: no open session. Nobody whom"),
        "{}",
        asked.text()
    );
}

#[tokio::test]
async fn something_urgent_is_answered_from_its_page_and_marked_in_the_list() {
    let clinic = Clinic::open().await;
    let (amina, tomas, noor) =
        (clinic.sign_in("amina").await, clinic.sign_in("tomas").await, clinic.sign_in("noor").await);
    assert_eq!(send(&amina, &[("person", &number(&tomas)), ("urgent", "1"), ("policy", "steady")]).await.status, 303);
    assert!(text_of(&noor, "/messages").await.contains(">urgent<"), "everybody sees it");
    let page = text_of(&tomas, "/messages/1").await;
    assert!(page.contains("Nobody is on the way yet.") && page.contains("those whom it is for are reminded"), "{page}");
    assert!(page.contains("5, 15 and 30 minutes"), "{page}");

    let cannot = act(&clinic, &tomas, "/messages/1/urgent/cannot", "").await;
    assert_eq!(cannot, "/messages/1?notice=cannot#m1");
    // Back to a page of ours, and to no other.
    assert_eq!(act(&clinic, &noor, "/messages/1/urgent/on-my-way", "/messages?show=open").await, "/messages?show=open");
    let page = text_of(&amina, "/messages/1").await;
    assert!(page.contains("On the way: <bdi>noor</bdi>.") && page.contains("<bdi>tomas</bdi>: cannot"), "{page}");
    assert!(page.contains("<bdi>noor</bdi>: on my way"), "{page}");
    assert!(!text_of(&amina, "/messages").await.contains(">urgent<"), "somebody has answered");
    for foreign in [
        "https://evil.example/",
        "//evil.example",
        "/messages/updates",
        "messages",
        "/\\evil.example",
        "/messages\r\nx: y",
    ] {
        let back = act(&clinic, &noor, "/messages/1/duty/done", foreign).await;
        assert!(back.starts_with("/messages/1?notice="), "{foreign}: {back}");
    }
    let missing = noor.http.post_form("/messages/99/duty/done", &[("csrf", &noor.csrf), ("back", "/messages")]).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn a_draft_keeps_whom_it_is_for_and_is_none_without_a_text() {
    let clinic = Clinic::open().await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    let (key, tomas_id) = (IdempotencyKey::fresh().to_string(), number(&tomas));
    let save = async |subject: &str| {
        let fields = [
            ("csrf", amina.csrf.as_str()),
            ("key", &key),
            ("seen", ""),
            ("subject", subject),
            ("person", &tomas_id),
            ("urgent", "1"),
            ("policy", "once"),
        ];
        amina.http.post_form("/draft", &fields).await
    };
    assert_eq!(save(" ").await.status, 400);
    assert_eq!(save("Half").await.status, 204);
    let form = text_of(&amina, "/messages/new").await;
    assert!(tick(&form, "person", &tomas_id).unwrap().ends_with("checked"), "{form}");
    assert!(
        tick(&form, "urgent", "1").unwrap().ends_with("checked")
            && tick(&form, "policy", "once").unwrap().ends_with("checked")
    );
    // Another tab is told of it.
    let fields = [
        ("csrf", amina.csrf.as_str()),
        ("key", &IdempotencyKey::fresh().to_string()),
        ("seen", ""),
        ("subject", "Other"),
    ];
    let other = amina.http.post_form("/draft", &fields).await;
    assert_eq!(other.status, 409);
    let told: serde_json::Value = serde_json::from_str(other.text()).unwrap();
    assert_eq!(told["draft"]["person"], serde_json::json!([tomas_id]));
    assert_eq!((told["draft"]["urgent"].as_str(), told["draft"]["policy"].as_str()), (Some("1"), Some("once")));

    // Who is switched off meanwhile is not chosen any more, and the form says so.
    clinic.store.set_staff_enabled("tomas@clinic.example", false, "root", Timestamp::now()).await.unwrap();
    let form = text_of(&amina, "/messages/new").await;
    assert!(form.contains("Not chosen any more") && form.contains("<bdi>tomas</bdi>"), "{form}");
}
