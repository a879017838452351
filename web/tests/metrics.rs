//! The numbers about the site: what each event moves, what never shows in them, and who can read them.

mod listener;
mod urgent;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Clinic, IDLE, SignedIn};
use demo::Misbehaviour;
use http::Method;
use store::{EmergencyRequest, Granted, IdempotencyKey, Timestamp};
use testkit::{Http, SOON, wait_until};
use tokio::net::TcpListener;
use wardpost_web::exporter;
use wardpost_web::whole_site::WholeSite;

/// Starts the listener of a site, and gives its address.
async fn tell(clinic: &Clinic) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(exporter::run(socket, Arc::clone(&clinic.site), Arc::clone(&clinic.whole.features)));
    format!("http://{address}")
}

/// One look.
struct Numbers {
    text: String,
    values: BTreeMap<String, f64>,
}

impl Numbers {
    async fn read(metrics: &str) -> Self {
        let reply = Http::new(metrics).get("/metrics").await.expect_status(200);
        assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        let text = reply.text().to_owned();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').unwrap();
                (series.to_owned(), value.parse().unwrap())
            })
            .collect();
        Self { text, values }
    }

    /// The value of a series that must be there.
    #[track_caller]
    fn of(&self, series: &str) -> f64 {
        *self.values.get(series).unwrap_or_else(|| panic!("there is no {series} in:\n{}", self.text))
    }

    /// How many series there are.
    fn series(&self) -> usize {
        self.values.len()
    }

    /// All values that a label has.
    fn labels(&self, name: &str) -> BTreeSet<&str> {
        let start = format!("{name}=\"");
        let values = self.values.keys().filter_map(|series| series.split_once(&start));
        values.filter_map(|(_, rest)| Some(rest.split_once('"')?.0)).collect()
    }
}

fn requests(method: &str, route: &str, status: u16) -> String {
    format!("wardpost_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}")
}

fn sign_ins(outcome: &str, kind: &str) -> String {
    format!("wardpost_sign_ins_total{{outcome=\"{outcome}\",kind=\"{kind}\"}}")
}

fn audit_rows(action: &str) -> String {
    format!("wardpost_audit_rows_total{{action=\"{action}\"}}")
}

fn refusals(reason: &str) -> String {
    format!("wardpost_refusals_total{{reason=\"{reason}\"}}")
}

fn limit_refusals(limit: &str) -> String {
    format!("wardpost_limit_refusals_total{{limit=\"{limit}\"}}")
}

async fn send(member: &SignedIn, subject: &str) {
    let key = IdempotencyKey::fresh().to_string();
    let fields = [("csrf", member.csrf.as_str()), ("key", &key), ("subject", subject), ("body", "A text.")];
    member.http.post_form("/messages", &fields).await.expect_status(303);
}

#[tokio::test]
async fn requests_are_told_by_pattern_and_status_and_every_row_of_the_table_is_there_from_the_start() {
    let clinic = Clinic::open().await;
    let metrics = tell(&clinic).await;
    let first = Numbers::read(&metrics).await;
    let mut expected: BTreeSet<_> = clinic.whole.rows().iter().map(|row| row.path).collect();
    expected.insert("unmatched");
    assert_eq!(first.labels("route"), expected);
    assert_eq!(first.of(&requests("POST", "/messages", 500)), 0.0);

    let amina = clinic.sign_in("amina").await;
    send(&amina, "Handover").await;
    for _ in 0..3 {
        amina.http.get("/messages/1").await.expect_status(200);
    }
    amina.http.get("/messages/77").await.expect_status(404);
    amina.http.request(Method::HEAD, "/messages").send().await.expect_status(200);
    amina.http.get("/no/such/page").await.expect_status(404);
    amina.http.request(Method::POST, "/help").send().await.expect_status(405);
    amina.http.request(Method::from_bytes(b"BREW").unwrap(), "/help").send().await.expect_status(405);
    let numbers = Numbers::read(&metrics).await;
    for (method, route, status, count) in [
        ("POST", "/messages", 303, 1.0),
        ("GET", "/messages/{}", 200, 3.0),
        ("GET", "/messages/{}", 404, 1.0),
        ("HEAD", "/messages", 200, 1.0),
        ("GET", "unmatched", 404, 1.0),
        ("POST", "unmatched", 405, 1.0),
        ("other", "unmatched", 405, 1.0),
    ] {
        assert_eq!(numbers.of(&requests(method, route, status)), count, "{method} {route} {status}");
    }
    let seconds = |suffix: &str| format!("wardpost_http_request_duration_seconds_{suffix}");
    assert_eq!(numbers.of(&seconds("count{method=\"GET\",route=\"/messages/{}\"}")), 4.0);
    assert_eq!(numbers.of(&seconds("bucket{method=\"GET\",route=\"/messages/{}\",le=\"+Inf\"}")), 4.0);
    assert_eq!(numbers.of(&seconds("bucket{method=\"GET\",route=\"/messages/{}\",le=\"2\"}")), 4.0, "C10 asks for it");
    assert!(numbers.of(&seconds("sum{method=\"GET\",route=\"/messages/{}\"}")) > 0.0);
    assert_eq!(numbers.of(&refusals("not_found")), 2.0);
    assert_eq!(numbers.of(&refusals("wrong_method")), 2.0);
    assert_eq!(numbers.of("wardpost_scrape_complete"), 1.0);
}

#[tokio::test]
async fn every_end_of_a_sign_in_is_counted_as_what_it_was() {
    use Misbehaviour as M;
    let clinic = Clinic::open().await;
    let metrics = tell(&clinic).await;
    for (misbehaviour, email, outcome, kind) in [
        (M::None, "amina@clinic.example", "signed_in", "provider"),
        (M::None, "someone@elsewhere.example", "denied", "not_staff"),
        (M::WrongNonce, "amina@clinic.example", "failed", "unproven"),
        (M::AccessDenied, "amina@clinic.example", "failed", "provider_refused"),
        (M::Token500, "amina@clinic.example", "failed", "provider_nonsense"),
    ] {
        let before = Numbers::read(&metrics).await;
        clinic.provider.script(misbehaviour);
        clinic.sign_in_through_provider(&clinic.browser(), email).await;
        let after = Numbers::read(&metrics).await;
        let moved: Vec<_> = after
            .values
            .iter()
            .filter(|(series, value)| series.starts_with("wardpost_sign_ins") && before.of(series) != **value)
            .collect();
        assert_eq!(
            moved,
            [(&sign_ins(outcome, kind), &(before.of(&sign_ins(outcome, kind)) + 1.0))],
            "{misbehaviour:?}"
        );
    }
    clinic.provider.script(M::None);
    clinic.browser().get("/sign-in/callback?code=x&state=y").await.expect_status(400);
    clinic.store.set_staff_enabled("amina@clinic.example", false, "root", Timestamp::now()).await.unwrap();
    clinic.sign_in_through_provider(&clinic.browser(), "amina@clinic.example").await.expect_status(403);
    clinic.store.set_staff_enabled("amina@clinic.example", true, "root", Timestamp::now()).await.unwrap();

    let request = EmergencyRequest {
        email: "amina@clinic.example".into(),
        reason: "the provider is down".into(),
        minutes: 30,
        operator: "root".into(),
    };
    let Granted::Code { code, .. } = clinic.store.grant_emergency_access(request, Timestamp::now()).await.unwrap()
    else {
        panic!("a member")
    };
    let http = clinic.browser();
    http.get("/emergency-access").await;
    let token = http.cookie(crate::support::PRE_SESSION_COOKIE).unwrap();
    for (code, status) in [("nonsense", 403), (code.reveal().as_str(), 303)] {
        http.post_form("/emergency-access", &[("csrf", &token), ("code", code)]).await.expect_status(status);
    }
    let numbers = Numbers::read(&metrics).await;
    for (outcome, kind) in
        [("failed", "stray_callback"), ("denied", "disabled"), ("denied", "emergency_code"), ("signed_in", "emergency")]
    {
        assert_eq!(numbers.of(&sign_ins(outcome, kind)), 1.0, "{outcome} {kind}");
    }
    assert_eq!(numbers.of(&audit_rows("EMERGENCY_ACCESS_GRANTED")), 1.0);
    assert_eq!(numbers.of(&audit_rows("EMERGENCY_ACCESS_USED")), 1.0);
    assert_eq!(numbers.of(&audit_rows("SECURITY_ALERT")), 2.0);
}

#[tokio::test]
async fn limits_forged_forms_and_alerts_are_counted() {
    let clinic = Clinic::open_limited(
        &[("WARDPOST_LIMIT_SIGN_IN_PER_MINUTE", "20"), ("WARDPOST_LIMIT_SEND_PER_MINUTE", "1")],
        WholeSite::routes,
    )
    .await;
    let metrics = tell(&clinic).await;
    clinic.provider.script(Misbehaviour::WrongNonce);
    for _ in 0..10 {
        clinic.sign_in_through_provider(&clinic.browser(), "amina@clinic.example").await.expect_status(403);
    }
    let numbers = Numbers::read(&metrics).await;
    assert_eq!(numbers.of(&audit_rows("LOGIN_FAILED")), 10.0);
    assert_eq!(numbers.of(&audit_rows("SECURITY_ALERT")), 1.0);
    wait_until("a sign-in is one too many", SOON, async || match clinic.browser().get("/sign-in/start").await.status {
        429 => Ok(()),
        status => Err(status),
    })
    .await;
    assert_eq!(Numbers::read(&metrics).await.of(&limit_refusals("sign_in")), 1.0);

    let amina = clinic.sign_in("amina").await;
    send(&amina, "The first").await;
    let form = |csrf: &str| {
        let key = IdempotencyKey::fresh().to_string();
        [("csrf", csrf.to_owned()), ("key", key), ("subject", "S".to_owned()), ("body", "B".to_owned())]
    };
    let post = async |csrf: &str, origin: &str| {
        let fields = form(csrf);
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        amina.http.request(Method::POST, "/messages").header("origin", origin).form(&fields).send().await.status
    };
    assert_eq!(post(&amina.csrf, &clinic.url).await, 429);
    assert_eq!(post(&amina.csrf, "https://evil.example").await, 403);
    assert_eq!(post("0", &clinic.url).await, 403);
    let numbers = Numbers::read(&metrics).await;
    assert_eq!(numbers.of(&limit_refusals("send")), 1.0);
    assert_eq!(numbers.of(&limit_refusals("export")), 0.0);
    assert_eq!((numbers.of(&refusals("foreign_form")), numbers.of(&refusals("stale_form"))), (1.0, 1.0));
}

#[tokio::test]
async fn what_is_looked_at_is_as_the_site_has_it() {
    let clinic = Clinic::open().await;
    let metrics = tell(&clinic).await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    clinic.sign_in_ago("noor", IDLE + Duration::from_secs(5)).await;
    for number in 0..5 {
        send(&amina, &format!("Number {number}")).await;
    }
    // After the newest row: it shows no subject, which would be a row more.
    let newest = clinic.store.audit_head().await.unwrap().id;
    let stream = tomas.http.open_stream(&format!("/messages/updates?after={newest}")).await;
    let numbers = wait_until("the chain is verified and the list is open", SOON, async || {
        let numbers = Numbers::read(&metrics).await;
        let sound = numbers.of("wardpost_audit_chain{state=\"sound\"}") == 1.0;
        if sound && numbers.of("wardpost_live_streams") == 1.0 { Ok(numbers) } else { Err(numbers.text) }
    })
    .await;
    let head = clinic.store.audit_head().await.unwrap().id.get() as f64;
    assert_eq!(numbers.of("wardpost_audit_head_row"), head);
    assert_eq!(numbers.of("wardpost_sessions"), 2.0);
    assert_eq!(numbers.of(&audit_rows("MESSAGE_CREATE")), 5.0);
    let all: f64 =
        numbers.values.iter().filter(|(name, _)| name.starts_with("wardpost_audit_rows")).map(|(_, n)| n).sum();
    assert_eq!(all, head, "every row is counted once");
    assert_eq!(numbers.of("wardpost_audit_chain{state=\"broken\"}"), 0.0);
    assert!(numbers.of("wardpost_audit_chain_verified_row") <= head);
    let database = clinic.database();
    assert_eq!(numbers.of("wardpost_database_bytes"), std::fs::metadata(&database).unwrap().len() as f64);
    assert!(numbers.of("wardpost_wal_bytes") > 0.0);
    assert!(numbers.of("wardpost_disk_free_bytes") <= numbers.of("wardpost_disk_size_bytes"));
    assert_eq!(numbers.of("wardpost_writer_queue_jobs"), 0.0);
    assert_eq!(numbers.of("wardpost_writer_queue_capacity_jobs"), 1024.0);
    assert_eq!(numbers.of("wardpost_writer_refused_jobs_total"), 0.0);
    let commits = numbers.of("wardpost_writer_commit_duration_seconds_count");
    assert!(commits > 5.0 && numbers.of("wardpost_writer_transaction_jobs_sum") >= commits);
    assert_eq!(numbers.of(&format!("wardpost_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1.0);
    let since = numbers.of("process_start_time_seconds");
    let now = Timestamp::now().as_millis() as f64 / 1e3;
    assert!((now - 120.0..=now).contains(&since), "{since}");
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_cpu_seconds_total"] {
        assert!(numbers.of(name) > 0.0, "{name}");
    }
    drop(stream);
    wait_until("the list is closed", SOON, async || {
        let open = Numbers::read(&metrics).await.of("wardpost_live_streams");
        if open == 0.0 { Ok(()) } else { Err(open) }
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_paths_of_an_attacker_add_nothing() {
    let clinic = Clinic::open().await;
    let metrics = tell(&clinic).await;
    let http = clinic.browser();
    let ask = async |number: usize| {
        let path = match number % 5 {
            0 => format!("/messages/{number}"),
            1 => format!("/{number}/Amina"),
            2 => format!("/static/{number}.css"),
            3 => format!("/me/sessions/{number}/end"),
            _ => format!("/messages?{number}=%00%22}}%0a"),
        };
        let method = if number.is_multiple_of(7) { format!("M{number}") } else { "GET".to_owned() };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        http.request(method, &path).header("user-agent", &format!("agent {number}")).send().await;
    };
    for number in 0..100 {
        ask(number).await;
    }
    let some = Numbers::read(&metrics).await;
    let mut number = 100;
    while number < 10_000 {
        futures_util::future::join_all((number..number + 100).map(&ask)).await;
        number += 100;
    }
    let many = Numbers::read(&metrics).await;
    assert_eq!(many.series(), some.series());
    let answered: f64 =
        many.values.iter().filter(|(name, _)| name.starts_with("wardpost_http_requests")).map(|(_, n)| n).sum();
    assert_eq!(answered, 10_000.0);
}

#[tokio::test]
async fn nothing_of_anybody_shows() {
    let clinic = Clinic::open().await;
    let metrics = tell(&clinic).await;
    let http = clinic.browser();
    clinic.sign_in_through_provider(&http, "amina@clinic.example").await.expect_status(303);
    clinic.sign_in_through_provider(&clinic.browser(), "someone@elsewhere.example").await;
    let tomas = clinic.sign_in("tomas-personal-name").await;
    send(&tomas, "Kowalski-subject").await;
    for path in ["/messages/1", "/Kowalski-path", "/messages?author=Kowalski-query", "/audit?person=1"] {
        let request = tomas.http.request(Method::GET, path).header("x-forwarded-for", "203.0.113.77");
        request
            .header("user-agent", "Kowalski-agent")
            .header("referer", "https://kowalski-referer.example/")
            .send()
            .await;
    }
    tomas.http.request(Method::GET, "/messages").header("host", "kowalski-host.example").send().await;
    let numbers = Numbers::read(&metrics).await;
    let shown = numbers.text.to_lowercase();
    for personal in
        ["kowalski", "amina", "tomas", "clinic", "elsewhere", "@", "203.0.113", "127.0.0.1", &tomas.token, &tomas.csrf]
    {
        assert!(!shown.contains(personal), "{personal} is in:\n{}", numbers.text);
    }
    // Of all labels there are, each has its values from the program's text.
    let labels: BTreeSet<&str> = numbers
        .values
        .keys()
        .filter_map(|series| series.split_once('{'))
        .flat_map(|(_, labels)| labels.trim_end_matches('}').split("\","))
        .filter_map(|label| label.split_once('=').map(|(name, _)| name))
        .collect();
    assert_eq!(
        labels,
        BTreeSet::from([
            "action", "answer", "kind", "le", "limit", "method", "outcome", "reason", "route", "state", "status",
            "version"
        ])
    );
}
