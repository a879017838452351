//! The route table as a test: every address, for everybody who may not use it. A new route joins by itself, and fails
//! here until somebody says what it must do.

use std::time::Duration;

use crate::support::{Clinic, IDLE, SignedIn};
use http::Method;
use store::{
    Body, IdempotencyKey, NewMessage, Sent, Subject, TeamName, TeamNamed, TemplateChange, TemplateName, TemplateRows,
    Timestamp,
};
use testkit::{Reply, Request};

/// The routes that the world may use. Adding to this list is a decision.
const PUBLIC: [&str; 7] =
    ["/", "/sign-in/start", "/sign-in/callback", "/emergency-access", "/static/{}", "/healthz", "/readyz"];
/// The forms that are sent without a session. Adding to this list is a decision, too.
const PRE_SESSION_FORMS: [&str; 1] = ["/emergency-access"];

/// Where a signed-in GET does not simply give a page.
fn expected_status(path: &str) -> u16 {
    match path {
        "/" => 303,                 // on to the messages
        "/sign-in/start" => 303,    // off to the provider
        "/sign-in/callback" => 400, // nobody started
        "/messages/go" => 303,      // to the message, or to the list
        _ => 200,
    }
}

struct Row {
    method: Method,
    pattern: &'static str,
    path: String,
    access: &'static str,
}

async fn rows(clinic: &Clinic, author: &SignedIn) -> Vec<Row> {
    let asset = clinic.site.assets.urls().css.clone();
    let mut rows = Vec::new();
    for route in clinic.whole.rows() {
        let path = match route.path {
            "/static/{}" => asset.clone(),
            "/me/sessions/{}/end" => {
                let other = clinic.store.sign_in(
                    crate::support::identity("author"),
                    None,
                    crate::support::client(),
                    Timestamp::now(),
                );
                match other.await.unwrap() {
                    store::SignIn::SignedIn { session, .. } => format!("/me/sessions/{}/end", session.id),
                    store::SignIn::Disabled => panic!("nobody was disabled"),
                }
            }
            // What others wrote can be new again.
            pattern @ "/messages/{}/unread" => {
                let other = clinic.sign_in("another author").await;
                pattern.replace("{}", &send(clinic, &other).await)
            }
            pattern if pattern.starts_with("/teams/{}") => pattern.replace("{}", &make_team(clinic, author).await),
            pattern if pattern.starts_with("/templates/{}") => {
                pattern.replace("{}", &make_template(clinic, author).await)
            }
            pattern if pattern.starts_with("/messages/{}") => {
                let id = send(clinic, author).await;
                pattern.replace("{}", &id)
            }
            pattern => {
                assert!(!pattern.contains("{}"), "say here what stands in {pattern}");
                pattern.to_owned()
            }
        };
        rows.push(Row { method: route.method, pattern: route.path, path, access: route.access });
    }
    rows
}

async fn send(clinic: &Clinic, author: &SignedIn) -> String {
    let message = NewMessage {
        subject: Subject::parse("Handover").unwrap(),
        body: Body::parse("All quiet.").unwrap(),
        addressed: store::Addressed::default(),
        key: IdempotencyKey::fresh(),
    };
    match clinic.store.send_message(author.actor, message, Timestamp::now()).await.unwrap() {
        Sent::Created(id) => id.to_string(),
        _ => panic!("a new key makes a new message"),
    }
}

/// A team that its maker alone is in.
async fn make_team(clinic: &Clinic, author: &SignedIn) -> String {
    let name = TeamName::parse(&IdempotencyKey::fresh().to_string()).unwrap();
    match clinic.store.create_team(author.actor, name, Timestamp::now()).await.unwrap() {
        TeamNamed::Named(team) => team.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn make_template(clinic: &Clinic, author: &SignedIn) -> String {
    let name = TemplateName::parse(&IdempotencyKey::fresh().to_string()).unwrap();
    let rows = TemplateRows::parse("Room 3").unwrap();
    match clinic.store.create_template(author.actor, name, rows, Timestamp::now()).await.unwrap() {
        TemplateChange::Done(template) => template.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Fields that satisfy every form of the site.
fn form<'a>(csrf: &'a str, key: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("csrf", csrf),
        ("key", key),
        ("subject", "A subject"),
        ("body", "A body"),
        ("name", key),
        ("rows", "Room 3"),
        ("label-1", "Room 3"),
        ("text-1", "Quiet."),
    ]
}

fn request(member: &SignedIn, row: &Row) -> Request {
    let request = member.http.request(row.method.clone(), &row.path);
    if row.method == Method::POST {
        let key = IdempotencyKey::fresh().to_string();
        request.form(&form(&member.csrf, &key))
    } else {
        request
    }
}

fn assert_guarded(row: &Row, reply: &Reply) {
    let name = format!("{} {}", row.method, row.path);
    for header in [
        "content-security-policy",
        "x-content-type-options",
        "x-frame-options",
        "referrer-policy",
        "strict-transport-security",
        "permissions-policy",
        "cache-control",
    ] {
        assert!(reply.header(header).is_some(), "{name} lacks {header}");
    }
    if row.access != "anyone" {
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{name}");
    }
}

fn assert_signed_out(row: &Row, reply: &Reply) {
    let name = format!("{} {} ({})", row.method, row.path, row.access);
    match (row.access, &row.method) {
        ("anyone", _) => assert_ne!(reply.status, 401, "{name}"),
        ("signed in", &Method::GET) => {
            assert_eq!(reply.status, 303, "{name}");
            assert!(reply.location().unwrap().contains("/?next="), "{name}");
        }
        // No form of ours was opened here.
        ("pre-session", _) => assert_eq!(reply.status, 403, "{name}"),
        ("signed in" | "passive session", _) => assert_eq!(reply.status, 401, "{name}"),
        (other, _) => panic!("say here what {other} means for somebody signed out"),
    }
    assert!(!reply.text().contains("Handover"), "{name} shows a message");
}

/// The pages that a person reads, and no download or stream.
#[tokio::test]
async fn a_sign_in_leads_back_to_every_page_of_a_member_and_to_nothing_else() {
    let clinic = Clinic::open().await;
    let rows = clinic.whole.rows();
    let returns = |row: &&wardpost_web::app::row::Route| row.returns;
    let leading_back: Vec<_> = rows.iter().filter(returns).map(|row| (&row.method, row.path, row.access)).collect();
    let pages = [
        "/messages",
        "/me",
        "/messages/new",
        "/messages/{}",
        "/messages/{}/delete",
        "/urgent",
        "/teams",
        "/teams/{}/leave",
        "/templates",
        "/templates/new",
        "/templates/{}/edit",
        "/templates/{}/delete",
        "/templates/{}/write",
        "/audit",
        "/help",
    ];
    assert_eq!(leading_back, pages.map(|path| (&Method::GET, path, "signed in")));
    for (asked, led_to) in
        [("/messages/7", "/messages/7"), ("/audit/export.csv", "/messages"), ("/messages/updates", "/messages")]
    {
        let landed = clinic.sign_in_towards(&clinic.browser(), "amina@clinic.example", asked).await;
        let there = landed.location().unwrap();
        assert_eq!(there.strip_prefix(&clinic.url), Some(led_to), "{asked}");
    }
}

#[tokio::test]
async fn only_the_listed_routes_are_public_and_every_post_needs_a_session() {
    let clinic = Clinic::open().await;
    for route in clinic.whole.rows() {
        if route.method == Method::POST {
            let expected = if PRE_SESSION_FORMS.contains(&route.path) { "pre-session" } else { "signed in" };
            assert_eq!(route.access, expected, "{}", route.path);
        } else {
            let public = PUBLIC.contains(&route.path);
            assert_eq!(route.access == "anyone", public, "{} {}", route.method, route.path);
        }
    }
}

#[tokio::test]
async fn signed_out_there_is_the_sign_in_page_and_nothing_else() {
    let clinic = Clinic::open().await;
    let author = clinic.sign_in("author").await;
    let before = clinic.count("MESSAGE_CREATE").await;
    let rows = rows(&clinic, &author).await;
    let created = clinic.count("MESSAGE_CREATE").await;
    for row in &rows {
        let stranger = SignedIn { http: clinic.browser(), ..clinic.sign_in("stranger").await };
        let reply = request(&stranger, row).send().await;
        assert_guarded(row, &reply);
        assert_signed_out(row, &reply);
    }
    assert!(created > before);
    assert_eq!(clinic.count("MESSAGE_CREATE").await, created);
    assert_eq!(clinic.count("MESSAGE_DELETE").await, 0);
    assert_eq!(clinic.count("MESSAGE_VIEW").await, 0);
}

#[tokio::test]
async fn signed_in_every_route_answers() {
    let clinic = Clinic::open().await;
    let author = clinic.sign_in("author").await;
    for row in rows(&clinic, &author).await {
        let member = SignedIn { actor: author.actor, ..clinic.sign_in("author").await };
        if row.pattern == "/messages/updates" {
            // This one goes on forever.
            assert_eq!(member.http.open_stream(&row.path).await.status, 200);
            continue;
        }
        let reply = request(&member, &row).send().await;
        assert_guarded(&row, &reply);
        if row.access == "pre-session" {
            // It needs more than a session: see tests/emergency.rs.
            assert_eq!(reply.status, 403, "POST {}", row.path);
        } else if row.method == Method::POST {
            assert!(reply.status < 400, "POST {} gave {}: {}", row.path, reply.status, reply.text());
        } else {
            assert_eq!(reply.status, expected_status(row.pattern), "GET {}", row.path);
        }
    }
}

#[tokio::test]
async fn an_ended_session_is_no_session() {
    let clinic = Clinic::open().await;
    let author = clinic.sign_in("author").await;
    let rows = rows(&clinic, &author).await;
    for row in &rows {
        let idle = clinic.sign_in_ago("idle", IDLE + Duration::from_secs(1)).await;
        assert_signed_out(row, &request(&idle, row).send().await);
        let revoked = clinic.sign_in("revoked").await;
        clinic.store.sign_out(revoked.actor, Timestamp::now()).await.unwrap();
        assert_signed_out(row, &request(&revoked, row).send().await);
        let invented = clinic.sign_in("invented").await;
        invented.http.set_cookie(crate::support::SESSION_COOKIE, &"0".repeat(64));
        assert_signed_out(row, &request(&invented, row).send().await);
    }
}

#[tokio::test]
async fn every_post_refuses_foreign_forms_and_wrong_tokens_and_changes_nothing() {
    let clinic = Clinic::open().await;
    let author = clinic.sign_in("author").await;
    let rows = rows(&clinic, &author).await;
    let quiet = clinic.audit().await.len();
    // So that the token is right before a session as well.
    author.http.set_cookie(crate::support::PRE_SESSION_COOKIE, &author.csrf);
    for row in rows.iter().filter(|row| row.method == Method::POST) {
        let post = || author.http.request(Method::POST, &row.path);
        let key = IdempotencyKey::fresh().to_string();
        let right = form(&author.csrf, &key);
        let wrong = form("0000000000000000000000000000000000000000000000000000000000000000", &key);
        let refused = [
            ("a foreign Origin", post().form(&right).header("origin", "https://evil.example")),
            ("an opaque Origin", post().form(&right).header("origin", "null")),
            ("Sec-Fetch-Site: cross-site", post().form(&right).header("sec-fetch-site", "cross-site")),
            ("Sec-Fetch-Site: same-site", post().form(&right).header("sec-fetch-site", "same-site")),
            ("no token", post().form(&right[1..])),
            ("a wrong token", post().form(&wrong)),
        ];
        for (why, request) in refused {
            let reply = request.send().await;
            assert_eq!(reply.status, 403, "POST {} with {why}", row.path);
            assert_guarded(row, &reply);
        }
        let json = post().header("content-type", "application/json").body("{}").send().await;
        assert_eq!(json.status, 415, "POST {} with JSON", row.path);
    }
    assert_eq!(clinic.audit().await.len(), quiet, "a refused form changed something");
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405_and_head_is_get_without_a_body() {
    let clinic = Clinic::open().await;
    let member = clinic.sign_in("member").await;
    for path in [
        "/nothing",
        "/messages/0",
        "/messages/-1",
        "/messages/x",
        "/messages/1/2",
        "/messages/99999",
        "/messages/9999999999999999999",
        "/static/x",
        "/MESSAGES",
    ] {
        let reply = member.http.get(path).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.text().contains(reply.header("x-request-id").unwrap()), "{path} names its request");
    }
    assert_eq!(member.http.request(Method::POST, "/nothing").send().await.status, 404);
    let row_methods: Vec<_> = clinic.whole.rows().into_iter().map(|row| (row.method, row.path)).collect();
    for (method, path) in &row_methods {
        let reply = member.http.request(Method::DELETE, path).send().await;
        assert_eq!(reply.status, 405, "DELETE {path}");
        let allow = reply.header("allow").unwrap();
        assert!(allow.contains(method.as_str()), "{path} allows {allow}");
    }
    let get = member.http.get("/messages").await;
    let head = member.http.request(Method::HEAD, "/messages").send().await;
    assert_eq!((get.status, head.status), (200, 200));
    assert_eq!(head.text(), "");
    assert_eq!(head.header("content-type"), get.header("content-type"));
}
