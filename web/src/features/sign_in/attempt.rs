//! A sign-in on its way: what ties the callback to the browser that started it.
//!
//! It travels in a cookie sealed with a key derived from APP_SECRET, so that a flood of started sign-ins costs the
//! server nothing and a restart in between loses none.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use store::{Random, Timestamp};
use zeroize::Zeroize;

use crate::http::cookies::Cookie;

const KEY_LABEL: &[u8] = b"wardpost sign-in attempt v1";
const NONCE_BYTES: usize = 24;

/// What the callback must be held against.
#[derive(Serialize, Deserialize)]
pub struct Attempt {
    /// The `state` parameter.
    pub state: String,
    /// The ID token's nonce.
    pub nonce: String,
    /// The PKCE code verifier.
    pub verifier: String,
    /// Where to go when it has worked: a path of this site.
    pub next: String,
    /// When it started, in UTC milliseconds.
    pub started_at: i64,
}

/// Seals and opens attempts.
pub struct Sealer {
    current: XChaCha20Poly1305,
    previous: Option<XChaCha20Poly1305>,
    /// From when on nothing is sealed with the previous secret any more.
    since: Timestamp,
}

impl Sealer {
    /// A sealer under a key derived from APP_SECRET. What the `previous` secret sealed before `since`, when this process
    /// began, is opened too: so a sign-in that is on its way while the secret is rotated comes through, and the previous
    /// secret is worth nothing ten minutes later, even where nobody removes it.
    pub fn new(app_secret: &SecretString, previous: Option<&SecretString>, since: Timestamp) -> Self {
        Self { current: cipher(app_secret), previous: previous.map(cipher), since }
    }

    /// The cookie's value; None when the attempt is too long for a cipher, which none is.
    pub fn seal(&self, attempt: &Attempt, random: &dyn Random) -> Option<String> {
        let mut nonce = [0; NONCE_BYTES];
        random.fill(&mut nonce);
        let plain = serde_json::to_vec(attempt).ok()?;
        let sealed = self.current.encrypt(XNonce::from_slice(&nonce), plain.as_slice()).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// The attempt in a cookie that this site sealed at most ten minutes before `now`.
    pub fn open(&self, cookie: &str, now: Timestamp) -> Option<Attempt> {
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
        let open = |cipher: &XChaCha20Poly1305| -> Option<Attempt> {
            serde_json::from_slice(&cipher.decrypt(XNonce::from_slice(nonce), sealed).ok()?).ok()
        };
        let before = |attempt: &Attempt| attempt.started_at < self.since.as_millis();
        let attempt = open(&self.current).or_else(|| open(self.previous.as_ref()?).filter(before))?;
        let age = now.as_millis().checked_sub(attempt.started_at)?;
        let fresh = (0..=i64::try_from(Cookie::SIGN_IN_SECONDS * 1000).ok()?).contains(&age);
        fresh.then_some(attempt)
    }
}

fn cipher(app_secret: &SecretString) -> XChaCha20Poly1305 {
    let mut key = [0; 32];
    let derived = Hkdf::<Sha256>::new(None, app_secret.expose_secret().as_bytes()).expand(KEY_LABEL, &mut key);
    debug_assert!(derived.is_ok(), "32 bytes are within HKDF's limit of 255 blocks");
    let cipher = XChaCha20Poly1305::new(&key.into());
    key.zeroize();
    cipher
}

/// A path of this site to go to after sign-in, of a page that may be returned to. Anything else, an address of another site
/// above all, becomes the messages.
pub fn safe_next(next: Option<&str>, may_return_to: impl Fn(&str) -> bool) -> String {
    let allowed = |address: &str| {
        let path = address.split('?').next().unwrap_or("");
        // No dots, not even written as %2e: they would climb out again.
        path.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'/')
            && may_return_to(path)
            && address.len() <= 500
            && address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(|address| allowed(address)).unwrap_or("/messages").to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use store::SystemRandom;

    use super::*;

    fn is_page(path: &str) -> bool {
        let pages = ["/messages", "/messages/new", "/messages/{}", "/messages/{}/delete", "/audit", "/me", "/help"];
        pages.iter().any(|pattern| crate::app::row::matches(pattern, path))
    }

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(&SecretString::from(secret), None, Timestamp::now())
    }

    fn attempt(started: Timestamp) -> Attempt {
        Attempt {
            state: "state".into(),
            nonce: "nonce".into(),
            verifier: "verifier".into(),
            next: "/messages".into(),
            started_at: started.as_millis(),
        }
    }

    #[test]
    fn a_sealed_attempt_opens_with_the_same_secret_alone_and_shows_nothing() {
        let now = Timestamp::now();
        let cookie = sealer("one").seal(&attempt(now), &SystemRandom).unwrap();
        assert_eq!(sealer("one").open(&cookie, now).unwrap().verifier, "verifier");
        assert!(sealer("two").open(&cookie, now).is_none());
        let bytes = URL_SAFE_NO_PAD.decode(&cookie).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"verifier"));
    }

    #[test]
    fn an_attempt_ends_after_ten_minutes_and_cannot_come_from_the_future() {
        let now = Timestamp::now();
        let sealer = sealer("one");
        let cookie = sealer.seal(&attempt(now), &SystemRandom).unwrap();
        let limit = Duration::from_secs(Cookie::SIGN_IN_SECONDS);
        assert!(sealer.open(&cookie, now.plus(limit)).is_some());
        assert!(sealer.open(&cookie, now.plus(limit + Duration::from_millis(1))).is_none());
        assert!(sealer.open(&cookie, now.minus(Duration::from_millis(1))).is_none());
    }

    #[test]
    fn the_previous_secret_opens_what_was_begun_before_the_change_and_nothing_else() {
        let change = Timestamp::now();
        let before = change.minus(Duration::from_secs(60));
        let (one, two) = (SecretString::from("one"), SecretString::from("two"));
        let after = Sealer::new(&two, Some(&one), change);
        let begun = sealer("one").seal(&attempt(before), &SystemRandom).unwrap();
        assert_eq!(after.open(&begun, change).unwrap().verifier, "verifier");
        assert!(Sealer::new(&two, None, change).open(&begun, change).is_none());
        assert!(after.open(&begun, before.plus(Duration::from_millis(Cookie::SIGN_IN_SECONDS * 1000 + 1))).is_none());
        // Anyone who has the old secret cannot make a new one that passes.
        let forged = sealer("one").seal(&attempt(change), &SystemRandom).unwrap();
        assert!(after.open(&forged, change).is_none());
        let new = after.seal(&attempt(change), &SystemRandom).unwrap();
        assert!(sealer("one").open(&new, change).is_none(), "the new secret seals");
        assert!(after.open(&new, change).is_some());
    }

    #[test]
    fn a_changed_or_cut_cookie_does_not_open() {
        let now = Timestamp::now();
        let sealer = sealer("one");
        let mut bytes = URL_SAFE_NO_PAD.decode(sealer.seal(&attempt(now), &SystemRandom).unwrap()).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        assert!(sealer.open(&URL_SAFE_NO_PAD.encode(&bytes), now).is_none());
        assert!(sealer.open(&URL_SAFE_NO_PAD.encode(&bytes[..10]), now).is_none());
        assert!(sealer.open("", now).is_none());
        assert!(sealer.open("not base64!", now).is_none());
    }

    #[test]
    fn only_paths_of_this_site_are_gone_to_after_sign_in() {
        for path in ["/messages", "/messages/12", "/messages?before=5", "/audit?action=LOGIN", "/help", "/me"] {
            assert_eq!(safe_next(Some(path), is_page), path);
        }
        for path in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/messages/\\evil",
            "/sign-out",
            "/me/sessions/1/end",
            "/messages/\r\nX: y",
            "",
        ] {
            assert_eq!(safe_next(Some(path), is_page), "/messages", "{path}");
        }
        assert_eq!(safe_next(None, is_page), "/messages");
    }

    #[test]
    fn addresses_that_would_lead_away_lead_to_the_messages() {
        for input in testkit::corpus(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/next")) {
            let expected = if input.outcome == "own" { input.line() } else { "/messages" };
            assert_eq!(safe_next(Some(input.line()), is_page), expected, "{}", input.name);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Every other byte, one at a time, spoils the seal; so does a cookie that is made up.
        #[test]
        fn nothing_opens_but_what_was_sealed(at: prop::sample::Index, flip in 1..=255_u8, made_up in "[A-Za-z0-9_-]{0,300}|\\PC{0,40}") {
            let now = Timestamp::now();
            let sealer = sealer("one");
            let mut bytes = URL_SAFE_NO_PAD.decode(sealer.seal(&attempt(now), &SystemRandom).unwrap()).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(sealer.open(&URL_SAFE_NO_PAD.encode(&bytes), now).is_none());
            prop_assert!(sealer.open(&URL_SAFE_NO_PAD.encode(&bytes[..at]), now).is_none());
            prop_assert!(sealer.open(&made_up, now).is_none());
        }
    }

    proptest! {
        /// A browser that is sent there, and one that reads it against our address, ends up on our site, at a page to read.
        #[test]
        fn the_way_back_stays_on_the_site(path in "(/|\\\\|messages|audit|help|sessions|\\?|#|:|@|%2f|%5c|\\.\\.|evil\\.example|[\\t\\r\\n ]|\\PC){0,8}") {
            let next = safe_next(Some(&path), is_page);
            let base = url::Url::parse("https://messages.clinic.example/sign-in/callback").unwrap();
            let there = base.join(&next).unwrap();
            prop_assert_eq!(there.origin(), base.origin());
            prop_assert!(next == path || next == "/messages");
            prop_assert!(http::HeaderValue::from_str(&next).is_ok());
            let first = there.path_segments().unwrap().next().unwrap().to_owned();
            prop_assert!(["messages", "audit", "sessions", "help"].contains(&first.as_str()), "{}", there);
        }
    }
}
