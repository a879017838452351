//! The site's cookies: what they are called, with which attributes they are set, and how they are read.
//!
//! A browser keeps a `__Host-` cookie only if it is Secure, without a Domain and for every path, so that no other host and
//! no page without TLS can set it. WebKit keeps no Secure cookie of a site without TLS, not even on loopback, where other
//! browsers do. So a site at http on loopback, which nobody can reach from elsewhere, does without both; [`PublicUrl`]
//! refuses every other http address.

use http::{HeaderMap, header};
use store::SessionToken;

use crate::http::public_url::PublicUrl;

/// A cookie of this site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// A session's token. It ends with the browser.
    Session,
    /// A sign-in on its way to the provider and back.
    SignIn,
    /// The token of a form that is sent without a session.
    PreSession,
}

impl Cookie {
    /// How long a sign-in may take, in seconds.
    pub const SIGN_IN_SECONDS: u64 = 600;
    /// How long a form without a session may stay open, in seconds.
    pub const PRE_SESSION_SECONDS: u64 = 3600;

    fn max_age(self) -> Option<u64> {
        match self {
            Self::Session => None,
            Self::SignIn => Some(Self::SIGN_IN_SECONDS),
            Self::PreSession => Some(Self::PRE_SESSION_SECONDS),
        }
    }
}

/// How the cookies of a site are named and flagged.
#[derive(Clone, Copy, Debug)]
pub struct Cookies {
    secure: bool,
}

impl Cookies {
    /// Those of the site at this address: Secure, unless it is http on loopback.
    pub fn of(site: &PublicUrl) -> Self {
        Self { secure: site.is_https() }
    }

    /// What browsers call it.
    pub fn name(self, cookie: Cookie) -> &'static str {
        match (cookie, self.secure) {
            (Cookie::Session, true) => "__Host-wardpost",
            (Cookie::Session, false) => "wardpost",
            (Cookie::SignIn, true) => "__Host-wardpost-signin",
            (Cookie::SignIn, false) => "wardpost-signin",
            (Cookie::PreSession, true) => "__Host-wardpost-pre-session",
            (Cookie::PreSession, false) => "wardpost-pre-session",
        }
    }

    /// The value that came with a request.
    pub fn find(self, headers: &HeaderMap, cookie: Cookie) -> Option<&str> {
        find_named(headers, self.name(cookie))
    }

    /// The token in the session's cookie.
    pub fn session_token(self, headers: &HeaderMap) -> Option<SessionToken> {
        SessionToken::parse(self.find(headers, Cookie::Session)?)
    }

    /// A Set-Cookie value that gives it to a browser.
    pub fn set(self, cookie: Cookie, value: &str) -> String {
        self.line(cookie, value, cookie.max_age())
    }

    /// A Set-Cookie value that takes it away.
    pub fn clear(self, cookie: Cookie) -> String {
        self.line(cookie, "", Some(0))
    }

    fn line(self, cookie: Cookie, value: &str, max_age: Option<u64>) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        let age = max_age.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
        format!("{}={value}; Path=/{secure}; HttpOnly; SameSite=Lax{age}", self.name(cookie))
    }
}

/// Pair by pair, in bytes: the other cookies are other people's (a parent domain's, say) and may hold anything.
fn find_named<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .find_map(|value| std::str::from_utf8(value).ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const ALL: [Cookie; 3] = [Cookie::Session, Cookie::SignIn, Cookie::PreSession];

    fn cookies(address: &str) -> Cookies {
        Cookies::of(&PublicUrl::parse(address).unwrap())
    }

    fn headers(lines: &[Vec<u8>]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            if let Ok(value) = HeaderValue::from_bytes(line) {
                headers.append(header::COOKIE, value);
            }
        }
        headers
    }

    #[test]
    fn cookies_are_secure_and_of_one_host_unless_the_site_is_http_on_loopback() {
        for address in
            ["https://messages.clinic.example", "https://localhost:8443", "https://127.0.0.1", "https://[::1]"]
        {
            let cookies = cookies(address);
            assert_eq!(cookies.set(Cookie::Session, "x"), "__Host-wardpost=x; Path=/; Secure; HttpOnly; SameSite=Lax");
            for cookie in ALL {
                for line in [cookies.set(cookie, "x"), cookies.clear(cookie)] {
                    assert!(line.starts_with("__Host-") && line.contains("; Secure;"), "{address}: {line}");
                }
            }
        }
        for address in ["http://localhost:8080", "http://127.0.0.1:8080", "http://127.255.1.2", "http://[::1]:8080"] {
            let cookies = cookies(address);
            assert_eq!(cookies.set(Cookie::Session, "x"), "wardpost=x; Path=/; HttpOnly; SameSite=Lax");
            for cookie in ALL {
                for line in [cookies.set(cookie, "x"), cookies.clear(cookie)] {
                    assert!(!line.contains("__Host-") && !line.contains("Secure"), "{address}: {line}");
                    assert!(line.contains("; Path=/; HttpOnly; SameSite=Lax"), "{address}: {line}");
                }
            }
        }
    }

    #[test]
    fn each_cookie_has_a_name_of_its_own_and_is_read_under_no_other() {
        for (own, other) in [("https://a.example", "http://localhost"), ("http://localhost", "https://a.example")] {
            let (own, other) = (cookies(own), cookies(other));
            for cookie in ALL {
                let line = headers(&[format!("{}=1", own.name(cookie)).into_bytes()]);
                assert_eq!(own.find(&line, cookie), Some("1"));
                assert_eq!(other.find(&line, cookie), None);
                assert!(ALL.iter().filter(|&&found| own.find(&line, found).is_some()).count() == 1, "{cookie:?}");
            }
        }
    }

    #[test]
    fn the_first_cookie_of_a_name_counts_whichever_header_it_is_in() {
        let found = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
            find_named(&headers(&lines), "a").map(str::to_owned)
        };
        assert_eq!(found(&["b=1; a=2; a=3"]).as_deref(), Some("2"));
        assert_eq!(found(&["b=1", "a=2"]).as_deref(), Some("2"));
        assert_eq!(found(&["a=x=y;"]).as_deref(), Some("x=y"));
        for none in [&["aa=1; A=2; a"] as &[&str], &["b=a=1"], &[]] {
            assert_eq!(found(none), None, "{none:?}");
        }
    }

    #[test]
    fn another_cookie_may_hold_any_byte() {
        for line in [&b"b=\xff; a=2"[..], b"\xe9t\xe9=1;a=2", b"a=2; b=\x80\xff", b"\xff;a=2"] {
            assert_eq!(find_named(&headers(&[line.to_vec()]), "a"), Some("2"), "{line:?}");
        }
        assert_eq!(find_named(&headers(&[b"a=\xff".to_vec()]), "a"), None);
    }

    /// What a browser could send: our names and tokens, what separates them, and any byte that a header's value may have.
    fn cookie_line() -> impl Strategy<Value = Vec<u8>> {
        let allowed = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        let part = prop_oneof![
            2 => "(__Host-wardpost|__Host-wardpost-pre-session|wardpost|;|=|,| |\"|[0-9a-f]{63,64})".prop_map(String::into_bytes),
            2 => "; (__Host-)?wardpost=[0-9a-f]{64}(; )?".prop_map(String::into_bytes),
            1 => proptest::collection::vec(any::<u8>().prop_filter("no control character", allowed), 0..6),
        ];
        proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        /// A token is 64 hex characters under the whole name, whatever stands around it; nothing else is one.
        #[test]
        fn a_session_is_found_only_where_its_token_stands(
            https: bool,
            lines in proptest::collection::vec(cookie_line(), 0..4),
        ) {
            let cookies = cookies(if https { "https://a.example" } else { "http://localhost" });
            let prefix = if https { "__Host-wardpost=" } else { "wardpost=" };
            let headers = headers(&lines);
            // One character for each byte: what the letters of ASCII are, they stay.
            let text = |line: &HeaderValue| line.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>();
            let model = headers.get_all(header::COOKIE).iter().map(text).flat_map(|line| {
                let ours = |pair: &str| pair.trim_matches([' ', '\t']).strip_prefix(prefix).map(str::to_owned);
                line.split(';').filter_map(ours).collect::<Vec<_>>()
            });
            let readable = |value: &String| {
                std::str::from_utf8(&value.chars().map(|letter| letter as u8).collect::<Vec<_>>()).is_ok()
            };
            let expected = model.into_iter().find(readable);
            let expected = expected.filter(|text| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let found = cookies.session_token(&headers).map(|token| token.reveal());
            prop_assert_eq!(found, expected.map(|text| text.to_lowercase()));
        }

        #[test]
        fn a_cookie_that_is_set_is_one_header(value in "[0-9a-zA-Z_-]{0,80}", cookie in proptest::sample::select(ALL.to_vec()), https: bool) {
            let cookies = cookies(if https { "https://a.example" } else { "http://localhost" });
            let text = cookies.set(cookie, &value);
            prop_assert!(HeaderValue::from_str(&text).is_ok());
            let first = format!("{}={value}", cookies.name(cookie));
            prop_assert_eq!(text.split("; ").next(), Some(first.as_str()));
        }
    }
}
