//! What a handler is given of a request, and the cookies it came with.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, Method, header};
use store::{Client, Session, SessionState, SessionToken, StoreError, Timestamp};

use crate::form::Form;
use crate::limits::TooMany;
use crate::metrics::MatchedRoute;
use crate::site::Site;

/// The session's cookie. The prefix makes browsers insist on Secure, no Domain and Path=/.
pub const SESSION_COOKIE: &str = "__Host-wardpost";

/// Who knocks: put into the request's extensions by the server before routing.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The browser's address, as far as trusted proxies tell.
    pub ip: IpAddr,
    /// Names this request in the log and on error pages.
    pub request_id: Arc<str>,
    /// The row of the table that has taken it.
    pub route: MatchedRoute,
}

/// One request, as handlers see it.
pub struct Request {
    /// The site that answers.
    pub site: Arc<Site>,
    /// Who knocks.
    pub visitor: Visitor,
    /// GET (HEAD arrives as GET) or POST.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The text that stands where the route's pattern has a `{}`; empty when there is none.
    pub path_argument: String,
    /// The decoded query string.
    pub query: Form,
    /// All headers.
    pub headers: HeaderMap,
    /// When it arrived.
    pub at: Timestamp,
    /// Until when the session may last, once it was looked up and found to be an emergency access: error pages say it too.
    pub emergency: Arc<OnceLock<Timestamp>>,
    /// It is one too many of its address. Set for the rows alone that keep what was typed; others are refused.
    pub over_limit: Option<TooMany>,
}

impl Request {
    /// The id in the path. None when it is not a positive integer.
    pub fn id<T: std::str::FromStr>(&self) -> Option<T> {
        self.path_argument.parse().ok()
    }

    /// A cookie's value.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        cookie_of(&self.headers, name)
    }

    /// The token in the session's cookie.
    pub fn session_token(&self) -> Option<SessionToken> {
        session_token_of(&self.headers)
    }

    /// The state of the session that the cookie names; Unknown without a cookie.
    pub async fn session(&self) -> Result<SessionState, StoreError> {
        match self.session_token() {
            Some(token) => {
                let limits = self.site.config.session_limits;
                let state = self.site.store.session(&token, limits, self.at).await?;
                if let SessionState::Live(Session { emergency_until: Some(until), .. }) = &state {
                    // Set once: a request asks for one session.
                    let _ = self.emergency.set(*until);
                }
                Ok(state)
            }
            None => Ok(SessionState::Unknown),
        }
    }

    /// The browser, as the database keeps it.
    pub fn client(&self) -> Client {
        let user_agent = self.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("");
        Client {
            ip: self.visitor.ip,
            // Enough for any browser; a longer one is somebody's joke.
            user_agent: user_agent.chars().take(300).collect(),
        }
    }

    /// The path and query, for coming back after sign-in.
    pub fn path_and_query(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query.encode()) }
    }
}

/// The token in the session's cookie, of a request that no route has matched.
pub fn session_token_of(headers: &HeaderMap) -> Option<SessionToken> {
    SessionToken::parse(cookie_of(headers, SESSION_COOKIE)?)
}

/// Pair by pair, in bytes: the other cookies are other people's (a parent domain's, say) and may hold anything.
fn cookie_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .find_map(|value| std::str::from_utf8(value).ok())
}

/// A Set-Cookie value for a cookie that ends with the browser, or after `max_age` seconds.
pub fn set_cookie(name: &str, value: &str, max_age: Option<u64>) -> String {
    let age = max_age.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}")
}

/// A Set-Cookie value that removes a cookie.
pub fn clear_cookie(name: &str) -> String {
    set_cookie(name, "", Some(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

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
    fn the_first_cookie_of_a_name_counts_whichever_header_it_is_in() {
        let found = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
            cookie_of(&headers(&lines), "a").map(str::to_owned)
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
            assert_eq!(cookie_of(&headers(&[line.to_vec()]), "a"), Some("2"), "{line:?}");
        }
        assert_eq!(cookie_of(&headers(&[b"a=\xff".to_vec()]), "a"), None);
    }

    proptest! {
        /// A token is 64 hex characters under the whole name, whatever stands around it; nothing else is one.
        #[test]
        fn a_session_is_found_only_where_its_token_stands(
            lines in proptest::collection::vec(
                proptest::collection::vec(
                    prop_oneof![
                        "(__Host-wardpost|__Host-wardpost-door|wardpost|;|=|,| |\"|[0-9a-f]{64}|[0-9a-f]{63})"
                            .prop_map(String::into_bytes),
                        Just(b"; __Host-wardpost=".to_vec()),
                        proptest::collection::vec(any::<u8>(), 0..6),
                    ],
                    0..12,
                ).prop_map(|parts| parts.concat()),
                0..4,
            )
        ) {
            let headers = headers(&lines);
            // One character for each byte: what the letters of ASCII are, they stay.
            let text = |line: &HeaderValue| line.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>();
            let model = headers.get_all(header::COOKIE).iter().map(text).flat_map(|line| {
                let ours = |pair: &str| pair.trim_matches([' ', '\t']).strip_prefix("__Host-wardpost=").map(str::to_owned);
                line.split(';').filter_map(ours).collect::<Vec<_>>()
            });
            let readable = |value: &String| {
                std::str::from_utf8(&value.chars().map(|letter| letter as u8).collect::<Vec<_>>()).is_ok()
            };
            let expected = model.into_iter().find(readable);
            let expected = expected.filter(|text| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let found = session_token_of(&headers).map(|token| token.reveal());
            prop_assert_eq!(found, expected.map(|text| text.to_lowercase()));
        }

        #[test]
        fn a_cookie_that_is_set_is_one_header(value in "[0-9a-zA-Z_-]{0,80}", age in proptest::option::of(any::<u64>())) {
            let text = set_cookie(SESSION_COOKIE, &value, age);
            prop_assert!(HeaderValue::from_str(&text).is_ok());
            prop_assert_eq!(text.split("; ").take(5).collect::<Vec<_>>(), [
                &format!("{SESSION_COOKIE}={value}"), "Path=/", "Secure", "HttpOnly", "SameSite=Lax",
            ]);
        }
    }
}
