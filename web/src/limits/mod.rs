//! How often somebody may ask (controls C5, D5): per client address, or per member where she is known.
//!
//! Each limit is a bucket that fills up again evenly: "5 a minute" lets five through at once and then one every twelve
//! seconds. A client's address is what trusted proxies tell (`client_address.rs`); of IPv6 its /64 counts, which is what
//! one customer gets. Memory is bounded whatever comes (`bounded.rs`).
//!
//! And how much they may have under way at once (`at_once.rs`): what takes long is counted by member, so that nobody who
//! shares an address is kept out by another.

mod at_once;
mod bounded;
pub mod refusal;
pub mod settings;

use std::fmt::Display;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};
use store::{PersonId, client_network};

pub use self::at_once::{AtOnce, Full, Turn};
use self::bounded::BoundedState;
pub use self::refusal::{Rule, TooMany};
pub use self::settings::LimitSettings;
use crate::log_throttle::LogThrottle;

/// Addresses in each of the two generations of a limit's memory: some two megabytes for each limit, when both are full.
const ADDRESSES: usize = 16_384;
/// Members, likewise; no clinic has more.
const MEMBERS: usize = 4_096;

/// Requests of one member that are answered at once. A browser has six under way, and several on a line to the edge.
const REQUESTS_AT_ONCE: usize = 32;
/// Open lists and conversations of one member, and of all: each has a connection and its buffers for as long as it is looked at.
const STREAMS_AT_ONCE: usize = 32;
const ALL_STREAMS: usize = 1024;
/// Browsers of one member of whose pages none is looked at, and of all. They are counted apart, so that they keep nobody from a
/// list; who is refused asks once a minute.
const HIDDEN_AT_ONCE: usize = 8;
const ALL_HIDDEN: usize = 512;
/// Downloads of the audit log of one member, and of all: each keeps what it reads ahead.
const EXPORTS_AT_ONCE: usize = 2;
const ALL_EXPORTS: usize = 16;
/// What a member's open pages may ask a second by themselves, and at once after a pause: a page asks every five seconds, and a
/// browser that wakes up lets all of them ask together.
const POLLS_A_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();
const POLLS_SAVED_UP: NonZeroU32 = NonZeroU32::new(200).unwrap();
/// Forms that are arriving from one address, and beyond these from one member.
const FORMS_AT_ONCE: usize = 64;
const MEMBERS_FORMS_AT_ONCE: usize = 32;

/// All limits of the site.
pub struct Limits {
    requests: Option<Limit<IpAddr>>,
    sign_in_start: Option<Limit<IpAddr>>,
    sign_in_callback: Option<Limit<IpAddr>>,
    send: Option<Limit<PersonId>>,
    draft: Option<Limit<PersonId>>,
    export: Option<Limit<PersonId>>,
    polls: Option<Limit<PersonId>>,
    requests_at_once: AtOnce<PersonId>,
    streams_at_once: AtOnce<PersonId>,
    hidden_at_once: AtOnce<PersonId>,
    exports_at_once: AtOnce<PersonId>,
    forms_at_once: AtOnce<IpAddr>,
    members_forms_at_once: AtOnce<PersonId>,
    refused: [AtomicU64; Rule::ALL.len()],
    log: LogThrottle,
}

impl Limits {
    /// Limits as set, of which nothing is used yet.
    pub fn new(settings: &LimitSettings) -> Self {
        let by_address =
            |quota: Option<Quota>| quota.map(|quota| Limit::new(quota, ADDRESSES, DefaultClock::default()));
        let by_member = |quota: Option<Quota>| quota.map(|quota| Limit::new(quota, MEMBERS, DefaultClock::default()));
        Self {
            requests: by_address(settings.requests),
            sign_in_start: by_address(settings.sign_in),
            sign_in_callback: by_address(settings.sign_in),
            send: by_member(settings.send),
            draft: by_member(settings.draft),
            export: by_member(settings.export),
            // Where nothing else is limited, a bench asks.
            polls: by_member(settings.requests.map(|_| Quota::per_second(POLLS_A_SECOND).allow_burst(POLLS_SAVED_UP))),
            requests_at_once: AtOnce::new(REQUESTS_AT_ONCE, usize::MAX),
            streams_at_once: AtOnce::new(STREAMS_AT_ONCE, ALL_STREAMS),
            hidden_at_once: AtOnce::new(HIDDEN_AT_ONCE, ALL_HIDDEN),
            exports_at_once: AtOnce::new(EXPORTS_AT_ONCE, ALL_EXPORTS),
            forms_at_once: AtOnce::new(FORMS_AT_ONCE, usize::MAX),
            members_forms_at_once: AtOnce::new(MEMBERS_FORMS_AT_ONCE, usize::MAX),
            refused: Default::default(),
            log: LogThrottle::default(),
        }
    }

    /// Counts a request of an address, whatever it asks for.
    pub fn request(&self, ip: IpAddr) -> Result<(), TooMany> {
        self.by_address(self.requests.as_ref(), Rule::Requests, ip)
    }

    /// Counts a sign-in that begins.
    pub fn sign_in_start(&self, ip: IpAddr) -> Result<(), TooMany> {
        self.by_address(self.sign_in_start.as_ref(), Rule::SignIn, ip)
    }

    /// Counts a sign-in that comes back from the provider.
    pub fn sign_in_callback(&self, ip: IpAddr) -> Result<(), TooMany> {
        self.by_address(self.sign_in_callback.as_ref(), Rule::SignIn, ip)
    }

    /// Counts a message that a member sends.
    pub fn send(&self, person: PersonId) -> Result<(), TooMany> {
        self.by_member(self.send.as_ref(), Rule::Send, person)
    }

    /// Counts a draft that a member saves.
    pub fn draft(&self, person: PersonId) -> Result<(), TooMany> {
        self.by_member(self.draft.as_ref(), Rule::Draft, person)
    }

    /// Counts an export of the audit log.
    pub fn export(&self, person: PersonId) -> Result<(), TooMany> {
        self.by_member(self.export.as_ref(), Rule::Export, person)
    }

    /// Counts what a member's open page asks by itself.
    pub fn poll(&self, person: PersonId) -> Result<(), TooMany> {
        self.by_member(self.polls.as_ref(), Rule::Requests, person)
    }

    /// How often each limit has refused somebody.
    pub fn refused(&self) -> [(Rule, u64); Rule::ALL.len()] {
        Rule::ALL.map(|rule| (rule, self.refused[rule as usize].load(Relaxed)))
    }

    /// Writes into the log how many more there were of what was refused before.
    pub fn report_repeated(&self, now: Instant) {
        self.log.report(now);
    }

    /// Begins to answer a member.
    pub fn begin_request(&self, person: PersonId) -> Result<Turn<PersonId>, TooMany> {
        let turn = self.requests_at_once.begin(person);
        turn.map_err(|_| self.refuse(Rule::AtOnce, Duration::from_secs(1), "member", &person))
    }

    /// Begins to keep a list of a member up to date.
    pub fn begin_stream(&self, person: PersonId) -> Result<Turn<PersonId>, TooMany> {
        let turn = self.streams_at_once.begin(person);
        turn.map_err(|_| self.refuse(Rule::Streams, Duration::from_secs(30), "member", &person))
    }

    /// Begins to tell a browser of a member of whose pages none is looked at when to ask.
    pub fn begin_hidden_stream(&self, person: PersonId) -> Result<Turn<PersonId>, TooMany> {
        let turn = self.hidden_at_once.begin(person);
        turn.map_err(|_| self.refuse(Rule::Streams, Duration::from_secs(30), "member", &person))
    }

    /// Begins a download of the audit log.
    pub fn begin_export(&self, person: PersonId) -> Result<Turn<PersonId>, TooMany> {
        let turn = self.exports_at_once.begin(person);
        turn.map_err(|_| self.refuse(Rule::Export, Duration::from_secs(10), "member", &person))
    }

    /// Begins to read a form of somebody who is not known yet.
    pub fn begin_form(&self, ip: IpAddr) -> Result<Turn<IpAddr>, TooMany> {
        let turn = self.forms_at_once.begin(client_network(ip));
        turn.map_err(|_| self.refuse(Rule::AtOnce, Duration::from_secs(1), "address", &ip))
    }

    /// Begins to read a form of a member at whose address too many are arriving.
    pub fn begin_members_form(&self, person: PersonId) -> Result<Turn<PersonId>, TooMany> {
        let turn = self.members_forms_at_once.begin(person);
        turn.map_err(|_| self.members_forms_are_too_much(person))
    }

    /// Counts a form for which its member has no room left.
    pub fn members_forms_are_too_much(&self, person: PersonId) -> TooMany {
        self.refuse(Rule::AtOnce, Duration::from_secs(1), "member", &person)
    }

    fn by_address(&self, limit: Option<&Limit<IpAddr>>, rule: Rule, ip: IpAddr) -> Result<(), TooMany> {
        let Some(limit) = limit else { return Ok(()) };
        limit.count(&client_network(ip)).map_err(|wait| self.refuse(rule, wait, "address", &ip))
    }

    fn by_member(&self, limit: Option<&Limit<PersonId>>, rule: Rule, person: PersonId) -> Result<(), TooMany> {
        let Some(limit) = limit else { return Ok(()) };
        limit.count(&person).map_err(|wait| self.refuse(rule, wait, "member", &person))
    }

    fn refuse(&self, rule: Rule, wait: Duration, kind: &str, who: &dyn Display) -> TooMany {
        self.refused[rule as usize].fetch_add(1, Relaxed);
        if self.log.allows(rule.name(), Instant::now()) {
            tracing::warn!(limit = rule.name(), by = kind, %who, "requests are refused, being too many");
        }
        TooMany { rule, wait }
    }
}

/// One limit: a bucket for each key.
struct Limit<K: Eq + Hash + Clone, C: Clock = DefaultClock>(
    RateLimiter<K, BoundedState<K>, C, NoOpMiddleware<C::Instant>>,
);

impl<K: Eq + Hash + Clone, C: Clock> Limit<K, C> {
    fn new(quota: Quota, keys: usize, clock: C) -> Self {
        Self(RateLimiter::new(quota, BoundedState::new(keys), clock))
    }

    /// Takes one from the key's bucket, or says how long until there is one.
    fn count(&self, key: &K) -> Result<(), Duration> {
        self.0.check_key(key).map_err(|refused| {
            let now = self.0.clock().now();
            Duration::from(refused.earliest_possible().duration_since(now))
        })
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn quota(per_minute: u32) -> Quota {
        Quota::per_minute(NonZeroU32::new(per_minute).unwrap())
    }

    fn limits(quota: Option<Quota>) -> Limits {
        Limits::new(&LimitSettings { sign_in: quota, requests: quota, send: quota, draft: quota, export: quota })
    }

    #[test]
    fn five_pass_at_once_and_then_one_every_twelve_seconds() {
        let clock = FakeRelativeClock::default();
        let limit = Limit::new(quota(5), 10, clock.clone());
        assert!((0..5).all(|_| limit.count(&1).is_ok()));
        assert_eq!(limit.count(&1), Err(Duration::from_secs(12)));
        assert_eq!(limit.count(&2), Ok(()), "somebody else");
        clock.advance(Duration::from_millis(11_999));
        assert_eq!(limit.count(&1), Err(Duration::from_millis(1)), "what is refused is not counted");
        clock.advance(Duration::from_millis(1));
        assert_eq!((limit.count(&1), limit.count(&1)), (Ok(()), Err(Duration::from_secs(12))));
    }

    #[test]
    fn neighbours_in_a_64_share_a_bucket_and_starts_and_callbacks_do_not() {
        let limits = limits(Some(quota(5)));
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for n in 0..5 {
            assert!(limits.sign_in_start(ip(&format!("2001:db8::{n}"))).is_ok());
        }
        assert_eq!(limits.sign_in_start(ip("2001:db8::ffff:1:1:1")).unwrap_err().rule, Rule::SignIn);
        assert!(limits.sign_in_start(ip("2001:db8:0:1::1")).is_ok(), "the next /64");
        assert!(limits.sign_in_callback(ip("2001:db8::1")).is_ok());
        for _ in 0..5 {
            assert!(limits.request(ip("192.0.2.1")).is_ok());
        }
        assert!(limits.request(ip("::ffff:192.0.2.1")).is_err(), "the same address in other words");
        assert!(limits.request(ip("192.0.2.2")).is_ok());
    }

    #[test]
    fn members_are_counted_apart_and_off_counts_nobody() {
        let (one, other) = (PersonId::new(1).unwrap(), PersonId::new(2).unwrap());
        let some = limits(Some(quota(2)));
        assert!(some.send(one).is_ok() && some.send(one).is_ok() && some.export(one).is_ok());
        assert_eq!(some.send(one).unwrap_err().rule, Rule::Send);
        assert!(some.send(other).is_ok());
        assert_eq!(
            some.refused().map(|(rule, count)| (rule.name(), count))[2..5],
            [("send", 1), ("draft", 0), ("export", 0)]
        );
        let none = limits(None);
        assert!((0..10_000).all(|_| none.send(one).is_ok() && none.request(IpAddr::from([192, 0, 2, 1])).is_ok()));
    }
}
