//! Emergency access over HTTP: what the page takes, what it refuses, and what stands on every page meanwhile.

use crate::support::{Clinic, PRE_SESSION_COOKIE, SESSION_COOKIE};
use http::Method;
use store::{EmergencyCode, EmergencyRequest, Granted, Timestamp};
use testkit::{Http, Reply};
use wardpost_web::features::emergency::PATH;

const BANNER: &str = "You came in without the sign-in service";

async fn granted(clinic: &Clinic) -> EmergencyCode {
    let request = EmergencyRequest {
        email: "amina@clinic.example".into(),
        reason: "the provider is down".into(),
        minutes: 30,
        operator: "root".into(),
    };
    match clinic.store.grant_emergency_access(request, Timestamp::now()).await.unwrap() {
        Granted::Code { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

/// A browser with the page open, and the token of its form.
async fn pre_session(clinic: &Clinic) -> (Http, String) {
    let http = clinic.browser();
    let page = http.get(PATH).await.expect_status(200);
    let token = http.cookie(PRE_SESSION_COOKIE).expect("the page gives the browser a token");
    assert!(page.text().contains(&token), "the form carries the token");
    assert_eq!(http.get(PATH).await.header("set-cookie"), None, "a second tab does not spoil the first one's form");
    (http, token)
}

async fn enter(http: &Http, token: &str, code: &str) -> Reply {
    http.request(Method::POST, PATH).form(&[("csrf", token), ("code", code)]).send().await
}

#[tokio::test]
async fn looking_at_the_page_uses_nothing_up_and_the_form_lets_in_once() {
    let clinic = Clinic::open().await;
    clinic.sign_in("amina").await;
    let code = granted(&clinic).await.reveal();
    let (http, token) = pre_session(&clinic).await;
    for _ in 0..3 {
        http.get(PATH).await.expect_status(200);
        http.get(&format!("{PATH}?code={}", &*code)).await.expect_status(200);
        http.request(Method::HEAD, PATH).send().await.expect_status(200);
    }
    assert_eq!(clinic.count("EMERGENCY_ACCESS_USED").await, 0);
    let reply = enter(&http, &token, &code.to_lowercase().replace('-', " ")).await;
    assert_eq!((reply.status, reply.location().unwrap().ends_with("/messages")), (303, true));
    assert!(http.cookie(PRE_SESSION_COOKIE).is_none() && http.cookie(SESSION_COOKIE).is_some());
    for path in ["/messages", "/messages/new", "/audit", "/help", "/me", PATH, "/messages/99", "/no/such/page"] {
        assert!(http.get(path).await.text().contains(BANNER), "{path} has no banner");
    }

    let (other, token) = pre_session(&clinic).await;
    let again = enter(&other, &token, &code).await;
    assert_eq!(again.status, 403);
    assert!(again.text().contains("Nobody was let in") && other.cookie(SESSION_COOKIE).is_none());
    assert!(!again.text().contains(code.as_str()), "a refused code is not repeated");
    assert_eq!(clinic.count("EMERGENCY_ACCESS_USED").await, 1);
    assert_eq!(clinic.count("EMERGENCY_ACCESS_REFUSED").await, 1);
}

#[tokio::test]
async fn a_member_who_signed_in_as_usual_sees_no_banner() {
    let clinic = Clinic::open().await;
    let amina = clinic.sign_in("amina").await;
    for path in ["/messages", "/no/such/page", PATH] {
        assert!(!amina.http.get(path).await.text().contains(BANNER), "{path}");
    }
}

#[tokio::test]
async fn a_form_that_this_browser_did_not_open_here_is_refused_and_uses_nothing_up() {
    let clinic = Clinic::open().await;
    clinic.sign_in("amina").await;
    let code = granted(&clinic).await.reveal();
    let (http, token) = pre_session(&clinic).await;
    let form = [("csrf", token.as_str()), ("code", code.as_str())];
    let post = || http.request(Method::POST, PATH);
    let (_, others) = pre_session(&clinic).await;
    let refused = [
        ("no cookie", clinic.browser().request(Method::POST, PATH).form(&form)),
        ("another browser's token", post().form(&[("csrf", &others), ("code", &code)])),
        ("no token", post().form(&form[1..])),
        ("another site", post().form(&form).header("origin", "https://evil.example")),
        ("another site's frame", post().form(&form).header("sec-fetch-site", "cross-site")),
    ];
    for (what, request) in refused {
        assert_eq!(request.send().await.status, 403, "{what}");
    }
    // A cookie that is no token of ours stands for nothing.
    let planted = clinic.browser();
    planted.set_cookie(PRE_SESSION_COOKIE, "x");
    assert_eq!(enter(&planted, "x", &code).await.status, 403);
    assert_eq!(clinic.count("EMERGENCY_ACCESS_USED").await + clinic.count("EMERGENCY_ACCESS_REFUSED").await, 0);
    assert_eq!(enter(&http, &token, &code).await.status, 303, "it is still good");
}

#[tokio::test]
async fn a_code_that_belongs_to_nothing_leaves_no_row() {
    let clinic = Clinic::open().await;
    clinic.sign_in("amina").await;
    let before = clinic.audit().await.len();
    let (http, token) = pre_session(&clinic).await;
    for code in ["", "hello", &EmergencyCode::random(&store::SystemRandom).reveal(), &"0".repeat(300)] {
        assert_eq!(enter(&http, &token, code).await.status, 403);
    }
    assert_eq!(clinic.audit().await.len(), before);
}

#[tokio::test]
async fn coming_in_ends_the_session_that_the_browser_had() {
    let clinic = Clinic::open().await;
    clinic.sign_in("amina").await;
    let noor = clinic.sign_in("noor").await;
    let code = granted(&clinic).await.reveal();
    noor.http.get(PATH).await.expect_status(200);
    let token = noor.http.cookie(PRE_SESSION_COOKIE).unwrap();
    assert_eq!(enter(&noor.http, &token, &code).await.status, 303);
    assert_ne!(noor.http.cookie(SESSION_COOKIE), Some(noor.token));
    assert_eq!(clinic.count("SESSION_ENDED").await, 1);
    assert!(noor.http.get("/messages").await.text().contains("amina"));
}
