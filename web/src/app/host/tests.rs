use futures_util::FutureExt;
use http::HeaderValue;
use http_body_util::BodyExt;
use proptest::prelude::*;

use super::*;

const SITES: [(&str, &[&str]); 4] = [
    (
        "https://messages.clinic.example",
        &["messages.clinic.example", "Messages.CLINIC.example", "messages.clinic.example:443"],
    ),
    ("https://messages.clinic.example:8443", &["messages.clinic.example:8443"]),
    ("http://127.0.0.1:8080", &["127.0.0.1:8080"]),
    ("http://[::1]:8080", &["[::1]:8080"]),
];

fn own(site: &str) -> OwnHost {
    OwnHost::new(PublicUrl::parse(site).unwrap())
}

/// The status of a request with these Host headers and this target.
fn status(own: &OwnHost, target: &str, hosts: &[&[u8]]) -> u16 {
    let mut request = Request::builder().uri(target).body(()).unwrap();
    for host in hosts {
        request.headers_mut().append(header::HOST, HeaderValue::from_bytes(host).unwrap());
    }
    request.headers_mut().append("x-forwarded-host", HeaderValue::from_static("messages.clinic.example"));
    own.check(&request).map_or_else(|status| status.as_u16(), |()| 200)
}

#[test]
fn the_sites_own_name_is_answered_and_no_other() {
    for (site, names) in SITES {
        let own = own(site);
        for name in names {
            assert_eq!(status(&own, "/messages", &[name.as_bytes()]), 200, "{site} under {name}");
        }
        for other in SITES.iter().filter(|(other, _)| *other != site).flat_map(|(_, names)| *names) {
            assert_eq!(status(&own, "/messages", &[other.as_bytes()]), 421, "{site} under {other}");
        }
    }
}

#[test]
fn names_that_look_like_ours_are_not() {
    let own = own("https://messages.clinic.example");
    for name in [
        "",
        "messages.clinic.example.",
        "messages.clinic.example.evil.example",
        "evil.example",
        "evil-messages.clinic.example",
        "messages.clinic.example:80",
        "messages.clinic.example:",
        "messages.clinic.example:0443",
        "messages.clinic.example:+443",
        "messages.clinic.example:443:443",
        "messages.clinic.example@evil.example",
        "user@messages.clinic.example",
        "messages.clinic.example, evil.example",
        "messages.clinic.example/evil",
        " messages.clinic.example",
        "messages\u{e9}.clinic.example",
    ] {
        assert_eq!(status(&own, "/", &[name.as_bytes()]), 421, "{name}");
    }
}

#[test]
fn no_host_and_two_hosts_are_bad_requests() {
    let own = own("https://messages.clinic.example");
    assert_eq!(status(&own, "/", &[]), 400);
    assert_eq!(status(&own, "/", &[b"messages.clinic.example", b"messages.clinic.example"]), 400);
    assert_eq!(status(&own, "/", &[b"messages.clinic.example", b"evil.example"]), 400);
}

#[test]
fn a_target_with_a_host_must_name_ours_too() {
    let own = own("https://messages.clinic.example");
    let host: &[&[u8]] = &[b"messages.clinic.example"];
    assert_eq!(status(&own, "https://messages.clinic.example/messages", host), 200);
    assert_eq!(status(&own, "https://evil.example/messages", host), 421);
    assert_eq!(status(&own, "https://user@messages.clinic.example/", host), 421);
    assert_eq!(status(&own, "https://messages.clinic.example/", &[b"evil.example"]), 421);
    assert_eq!(status(&own, "evil.example:443", host), 421, "as CONNECT has it");
}

#[test]
fn health_checks_are_answered_by_number_and_nothing_else_is() {
    let own = own("https://messages.clinic.example");
    for path in ["/healthz", "/readyz"] {
        for hosts in [&[] as &[&[u8]], &[b"10.0.0.7:8080"]] {
            assert_eq!(status(&own, path, hosts), 200, "{path}");
        }
    }
    for path in ["/healthz/", "//healthz", "/healthz/../messages", "/HEALTHZ", "/static/site.css"] {
        assert_eq!(status(&own, path, &[b"10.0.0.7:8080"]), 421, "{path}");
    }
}

/// What may be taken for our name by a careless reader.
fn nearly() -> impl Strategy<Value = String> {
    prop_oneof![
        "(M|m)essages\\.clinic\\.example(:443|:8443|:|\\.|:0443)?",
        "[a-z0-9.:@\\[\\]-]{0,30}",
        "(messages|clinic|evil|\\.|:|@|443|8443|example|,| ){0,8}",
        "\\PC{0,40}",
    ]
}

proptest! {
    /// The model: lower case, one of two texts.
    #[test]
    fn only_the_two_texts_of_our_name_are_let_in(name in nearly()) {
        let ours = ["messages.clinic.example", "messages.clinic.example:443"].contains(&name.to_ascii_lowercase().as_str());
        let Ok(value) = HeaderValue::from_str(&name) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, value);
        prop_assert_eq!(own("https://messages.clinic.example").check_names(None, &headers).is_ok(), ours);
    }

    #[test]
    fn nothing_of_what_was_asked_is_in_the_reply(name in "[a-z]{12,20}", path in "[a-z]{12,20}") {
        let request = Request::builder().uri(format!("/{path}?{path}")).header("host", name.clone()).body(()).unwrap();
        let own = own("https://messages.clinic.example");
        let status = own.check(&request).unwrap_err();
        let (head, body) = own.refuse(status, &LogThrottle::default()).into_response().into_parts();
        let body = body.collect().now_or_never().expect("a whole body").unwrap().to_bytes();
        let reply = format!("{head:?} {}", String::from_utf8_lossy(&body));
        prop_assert!(!reply.contains(&name) && !reply.contains(&path), "{}", reply);
        prop_assert!(reply.contains(r#"href="https://messages.clinic.example/""#), "{}", reply);
    }
}
