//! Signing in through a provider that behaves, and through one that does not.

use crate::support::{Clinic, SESSION_COOKIE, SIGN_IN_COOKIE, token};
use demo::Misbehaviour;
use store::{EndReason, SessionState, Timestamp};

#[tokio::test]
async fn a_member_signs_in_and_lands_where_she_wanted_to_go() {
    let clinic = Clinic::open().await;
    let http = clinic.browser();
    let refused = http.get("/audit?action=LOGIN").await;
    let page = http.get(&refused.location().unwrap()).await;
    assert!(page.text().contains("/sign-in/start?next=%2Faudit%3Faction%3DLOGIN"));
    let landed = clinic.sign_in_towards(&http, "amina@clinic.example", "%2Faudit%3Faction%3DLOGIN").await;
    assert_eq!(landed.status, 303);
    assert!(landed.location().unwrap().ends_with("/audit?action=LOGIN"));
    let cookie = landed
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap())
        .find(|value| value.starts_with(SESSION_COOKIE))
        .unwrap();
    for attribute in ["Path=/", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert_eq!(http.get("/messages").await.status, 200);
    assert_eq!(clinic.count("LOGIN").await, 1);
}

/// What each fault of the provider must look like from outside: status, and the audit row with its reason.
fn expected(misbehaviour: Misbehaviour) -> (u16, Option<(&'static str, &'static str)>) {
    use Misbehaviour as M;
    match misbehaviour {
        // No fault at all; a provider that is not Google need not know `hd`.
        M::None | M::UnknownKeyThenRotated | M::MissingHostedDomain => (303, Some(("LOGIN", "amina"))),
        M::WrongNonce => (403, Some(("LOGIN_FAILED", "nonce"))),
        M::WrongAudience => (403, Some(("LOGIN_FAILED", "audience"))),
        M::WrongIssuer => (403, Some(("LOGIN_FAILED", "issuer"))),
        M::WrongKey | M::AlgNone | M::SymmetricAlg => (403, Some(("LOGIN_FAILED", "signature"))),
        M::ExpiredToken | M::FutureIssuedAt => (403, Some(("LOGIN_FAILED", "expired"))),
        M::NoEmail => (403, Some(("LOGIN_FAILED", "no_email"))),
        M::ReplayedCode => (403, Some(("LOGIN_FAILED", "invalid_grant"))),
        M::AccessDenied => (403, Some(("LOGIN_FAILED", "access_denied"))),
        M::UnverifiedEmail => (403, Some(("LOGIN_DENIED", "unverified_email"))),
        M::WrongDomain => (403, Some(("LOGIN_DENIED", "not_staff"))),
        M::SlowToken => (502, Some(("LOGIN_FAILED", "provider_unreachable"))),
        M::Token500 | M::MalformedToken => (502, Some(("LOGIN_FAILED", "provider_nonsense"))),
        // Before the browser was sent away, nobody has tried to sign in.
        M::SlowDiscovery | M::Discovery500 | M::Jwks500 | M::MalformedDiscovery | M::HugeReply => (502, None),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_provider_does_wrong_nobody_gets_in_and_the_site_stays_up() {
    let mut running = tokio::task::JoinSet::new();
    for misbehaviour in Misbehaviour::ALL {
        running.spawn(async move {
            let clinic = Clinic::open().await;
            clinic.provider.script(misbehaviour);
            let http = clinic.browser();
            let reply = clinic.sign_in_through_provider(&http, "amina@clinic.example").await;
            let (status, row) = expected(misbehaviour);
            assert_eq!(reply.status, status, "{misbehaviour:?}: {}", reply.text());
            let signed_in = http.get("/messages").await.status == 200;
            assert_eq!(signed_in, status == 303, "{misbehaviour:?}");
            let last = clinic.audit().await.pop().unwrap();
            match row {
                Some((action, reason)) => {
                    assert_eq!(last.0, action, "{misbehaviour:?}: {last:?}");
                    assert!(last.1.contains(reason), "{misbehaviour:?}: {last:?}");
                }
                None => assert_eq!(last.0, "DATABASE_CREATED", "{misbehaviour:?}"),
            }
            // The next sign-in of a provider that has come to itself works.
            clinic.provider.script(Misbehaviour::None);
            let reply = clinic.sign_in_through_provider(&http, "amina@clinic.example").await;
            assert_eq!(reply.status, 303, "after {misbehaviour:?}: {}", reply.text());
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn an_outsider_is_named_and_offered_another_account() {
    let clinic = Clinic::open().await;
    let http = clinic.browser();
    let reply = clinic.sign_in_through_provider(&http, "someone@elsewhere.example").await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("someone@elsewhere.example"));
    assert!(reply.text().contains("/sign-in/start"));
    assert_eq!(http.cookie(SESSION_COOKIE), None);
    let (action, details) = clinic.audit().await.pop().unwrap();
    assert_eq!(action, "LOGIN_DENIED");
    assert!(details.contains("not_staff") && details.contains("someone@elsewhere.example"), "{details}");
}

#[tokio::test]
async fn a_callback_belongs_to_the_browser_that_started() {
    let clinic = Clinic::open().await;
    let (victim, attacker) = (clinic.browser(), clinic.browser());
    let start = attacker.get("/sign-in/start").await.location().unwrap();
    let callback = attacker.get(&format!("{start}&login_hint=amina%40clinic.example")).await.location().unwrap();
    let reply = victim.get(&callback).await;
    assert_eq!(reply.status, 400);
    assert_eq!(victim.cookie(SESSION_COOKIE), None);
    // The same with a sign-in of the victim's own on its way.
    victim.get("/sign-in/start").await;
    assert_eq!(victim.get(&callback).await.status, 400);
    assert_eq!(clinic.count("LOGIN").await, 0);
}

/// The callback of a browser's own sign-in, with `query` in the place of the provider's answer.
async fn made_up(clinic: &Clinic, query: &str) -> (testkit::Http, String) {
    let http = clinic.browser();
    let away = url::Url::parse(&http.get("/sign-in/start").await.location().unwrap()).unwrap();
    let (_, state) = away.query_pairs().find(|(name, _)| name == "state").unwrap();
    (http, format!("/sign-in/callback?state={state}{query}"))
}

/// A browser can keep the cookie of an attempt and show it again and again.
#[tokio::test]
async fn an_attempt_is_good_once() {
    let clinic = Clinic::open().await;
    let (http, callback) = made_up(&clinic, "&code=made-up").await;
    let attempt = http.cookie(SIGN_IN_COOKIE).unwrap();
    http.get(&callback).await.expect_status(403);
    for _ in 0..5 {
        http.set_cookie(SIGN_IN_COOKIE, &attempt);
        http.get(&callback).await.expect_status(400);
    }
    assert_eq!(clinic.count("LOGIN_FAILED").await, 1);
    clinic.sign_in_through_provider(&http, "amina@clinic.example").await.expect_status(303);
}

/// None of them has been at the provider.
#[tokio::test]
async fn failures_that_anybody_can_make_up_are_one_row_a_minute() {
    let clinic = Clinic::open().await;
    for _ in 0..3 {
        for (query, status) in [("", 403), ("&code=made-up", 403), ("&error=access_denied", 403), ("&error=x", 403)] {
            let (http, callback) = made_up(&clinic, query).await;
            http.get(&callback).await.expect_status(status);
        }
    }
    assert_eq!(clinic.count("LOGIN_FAILED").await, 1, "the first");
    // What proves that it was at the provider has its own row at once.
    clinic.provider.script(Misbehaviour::WrongNonce);
    clinic.sign_in_through_provider(&clinic.browser(), "amina@clinic.example").await.expect_status(403);
    assert_eq!(clinic.count("LOGIN_FAILED").await, 2);

    let sum = clinic
        .whole
        .features
        .sign_in
        .unproven
        .due(std::time::Instant::now() + wardpost_web::features::sign_in::unproven::ROW_EVERY)
        .unwrap();
    clinic.store.record_unproven_sign_ins(sum, Timestamp::now()).await.unwrap();
    let rows = clinic.audit().await;
    let (_, details) = rows.iter().rfind(|(action, _)| action == "LOGIN_FAILED").unwrap();
    let details: serde_json::Value = serde_json::from_str(details).unwrap();
    assert_eq!(details["failures"], 11);
    assert_eq!(
        details["reasons"],
        serde_json::json!({ "no_code": 2, "invalid_grant": 3, "access_denied": 3, "authorization_refused": 3 })
    );
    assert_eq!(clinic.count("SECURITY_ALERT").await, 1);
}

#[tokio::test]
async fn a_person_is_known_by_subject_and_follows_the_providers_name_and_address() {
    let clinic = Clinic::open().await;
    let http = clinic.browser();
    clinic.sign_in_through_provider(&http, "amina@clinic.example").await;
    clinic.provider.rename("amina", "amina.new@clinic.example", "Amina New").unwrap();
    clinic.sign_in_through_provider(&http, "amina.new@clinic.example").await;
    let people = clinic.store.people().await.unwrap();
    assert_eq!(people.len(), 1);
    assert_eq!((people[0].email.as_str(), people[0].name.as_str()), ("amina.new@clinic.example", "Amina New"));
}

#[tokio::test]
async fn signing_in_again_replaces_the_browsers_session_and_its_csrf_token() {
    let clinic = Clinic::open().await;
    let http = clinic.browser();
    clinic.sign_in_through_provider(&http, "amina@clinic.example").await;
    let first = http.cookie(SESSION_COOKIE).unwrap();
    clinic.sign_in_through_provider(&http, "tomas@clinic.example").await;
    let second = http.cookie(SESSION_COOKIE).unwrap();
    assert_ne!(first, second);
    let limits = clinic.site.session_limits;
    let state = clinic.store.session(&token(&first), limits, Timestamp::now()).await.unwrap();
    assert!(matches!(state, SessionState::Ended(EndReason::Replaced)));
}

#[tokio::test]
async fn who_is_switched_off_is_out_at_once_and_cannot_come_back() {
    let clinic = Clinic::open().await;
    let http = clinic.browser();
    clinic.sign_in_through_provider(&http, "amina@clinic.example").await;
    clinic.store.set_staff_enabled("Amina@clinic.example", false, "root", Timestamp::now()).await.unwrap();
    assert_eq!(http.get("/messages").await.status, 303);
    let reply = clinic.sign_in_through_provider(&http, "amina@clinic.example").await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("switched off"));
    assert_eq!(clinic.audit().await.pop().unwrap().0, "LOGIN_DENIED");
}

#[tokio::test]
async fn signing_out_ends_the_session_on_the_server_and_says_so() {
    let clinic = Clinic::open().await;
    let member = clinic.sign_in("amina").await;
    let reply = member.http.post_form("/sign-out", &[("csrf", &member.csrf)]).await;
    assert_eq!(reply.status, 303);
    assert_eq!(reply.header("clear-site-data"), Some(r#""cache""#), "and no cookies of other sites");
    let page = member.http.follow(reply).await;
    assert!(page.text().contains("You have signed out."));
    member.http.set_cookie(SESSION_COOKIE, &member.token);
    assert_eq!(member.http.get("/messages").await.status, 303);
    assert_eq!(clinic.count("LOGOUT").await, 1);
}
