//! What browsers are told to keep: by a site behind TLS, and by one at http on loopback, such as the demo.

use crate::support::{Clinic, EDGE, LIMITS};
use http::Method;
use store::{EmergencyRequest, Granted, Timestamp};
use testkit::{Http, Reply};
use wardpost_web::whole_site::WholeSite;

/// A site that is known under its own address, or as one behind an edge.
async fn open(behind_edge: bool) -> (Clinic, Http) {
    let mut settings = LIMITS.map(|name| (name, "1000000")).to_vec();
    settings.extend(behind_edge.then_some(("WARDPOST_PUBLIC_URL", EDGE)));
    let clinic = Clinic::open_limited(&settings, WholeSite::routes).await;
    let http = clinic.browser();
    let http = if behind_edge { http.under_name(EDGE.trim_start_matches("https://")) } else { http };
    (clinic, http)
}

fn cookies_of(reply: &Reply) -> Vec<String> {
    reply.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap().to_owned()).collect()
}

async fn post(http: &Http, path: &str, fields: &[(&str, &str)]) -> Reply {
    http.request(Method::POST, path).form(fields).send().await
}

/// Every cookie that a browser is given or loses by signing in, signing out, and coming in by emergency access.
async fn all_cookies(clinic: &Clinic, http: &Http) -> Vec<String> {
    let start = http.get("/sign-in/start").await;
    let hinted = format!("{}&login_hint=amina%40clinic.example", start.location().unwrap());
    let back = http.get(&hinted).await.location().unwrap();
    let back = back.trim_start_matches(EDGE).trim_start_matches(&clinic.url).to_owned();
    let signed_in = http.get(&back).await;
    assert!(signed_in.location().unwrap().ends_with("/messages"), "{}", signed_in.text());
    let page = http.get("/help").await.expect_status(200);
    let csrf = page.text().split("name=\"csrf\" value=\"").nth(1).unwrap()[..64].to_owned();
    let signed_out = post(http, "/sign-out", &[("csrf", &csrf)]).await.expect_status(303);

    let request = EmergencyRequest {
        email: "amina@clinic.example".into(),
        reason: "the provider is down".into(),
        minutes: 30,
        operator: "root".into(),
    };
    let granted = clinic.store.grant_emergency_access(request, Timestamp::now()).await.unwrap();
    let Granted::Code { code, .. } = granted else { panic!("no code") };
    let form = http.get("/emergency-access").await.expect_status(200);
    let token = form.text().split("name=\"csrf\" value=\"").nth(1).unwrap()[..64].to_owned();
    let entered = post(http, "/emergency-access", &[("csrf", &token), ("code", &code.reveal())]).await;
    http.get("/messages").await.expect_status(200);
    [start, signed_in, signed_out, form, entered].iter().flat_map(cookies_of).collect()
}

/// The name and the attributes of each.
async fn names_and_attributes(behind_edge: bool) -> Vec<String> {
    let (clinic, http) = open(behind_edge).await;
    let all = all_cookies(&clinic, &http).await;
    all.iter().map(|line| format!("{}{}", line.split('=').next().unwrap(), &line[line.find(';').unwrap()..])).collect()
}

const FLAGS: &str = "HttpOnly; SameSite=Lax";

#[tokio::test]
async fn behind_tls_every_cookie_is_secure_and_of_one_host() {
    assert_eq!(
        names_and_attributes(true).await,
        [
            format!("__Host-wardpost-signin; Path=/; Secure; {FLAGS}; Max-Age=600"),
            format!("__Host-wardpost; Path=/; Secure; {FLAGS}"),
            format!("__Host-wardpost-signin; Path=/; Secure; {FLAGS}; Max-Age=0"),
            format!("__Host-wardpost; Path=/; Secure; {FLAGS}; Max-Age=0"),
            format!("__Host-wardpost-pre-session; Path=/; Secure; {FLAGS}; Max-Age=3600"),
            format!("__Host-wardpost; Path=/; Secure; {FLAGS}"),
            format!("__Host-wardpost-pre-session; Path=/; Secure; {FLAGS}; Max-Age=0"),
        ]
    );
}

#[tokio::test]
async fn at_http_on_loopback_no_cookie_asks_for_tls() {
    assert_eq!(
        names_and_attributes(false).await,
        [
            format!("wardpost-signin; Path=/; {FLAGS}; Max-Age=600"),
            format!("wardpost; Path=/; {FLAGS}"),
            format!("wardpost-signin; Path=/; {FLAGS}; Max-Age=0"),
            format!("wardpost; Path=/; {FLAGS}; Max-Age=0"),
            format!("wardpost-pre-session; Path=/; {FLAGS}; Max-Age=3600"),
            format!("wardpost; Path=/; {FLAGS}"),
            format!("wardpost-pre-session; Path=/; {FLAGS}; Max-Age=0"),
        ]
    );
}

#[tokio::test]
async fn a_session_counts_under_the_site_s_own_name_alone() {
    for (behind_edge, own, other) in [(true, "__Host-wardpost", "wardpost"), (false, "wardpost", "__Host-wardpost")] {
        let (clinic, http) = open(behind_edge).await;
        let token = clinic.sign_in("amina").await.token;
        http.set_cookie(other, &token);
        http.get("/messages").await.expect_status(303);
        http.set_cookie(own, &token);
        http.get("/messages").await.expect_status(200);
    }
}
