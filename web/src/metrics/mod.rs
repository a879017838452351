//! Numbers about the site, for those who watch it (controls B5, C10), in Prometheus' text format.
//!
//! What happens often is counted where it happens ([`Metrics`]); what costs a look is looked at when somebody asks
//! ([`crate::exporter`]). [`labels`] says what a number can be told
//! apart by.

pub mod labels;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::labels::{Answer, Refusal, Row, SignInEnd, SignInLabels, UNMATCHED, method_name};
use crate::http::error::PageError;

/// Upper bounds of how long an answer takes, in seconds. The 95th percentile is held against 2 (control C10), which is
/// therefore one of them.
const SECONDS: [f64; 13] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 10.0];

/// Which row of the table a request has reached: set by the row, read when the answer is there, also after a panic.
#[derive(Clone, Debug, Default)]
pub struct MatchedRoute(Arc<OnceLock<&'static str>>);

impl MatchedRoute {
    /// The row with this pattern has taken the request.
    pub fn set(&self, pattern: &'static str) {
        // One row takes a request.
        let _ = self.0.set(pattern);
    }

    /// The row's pattern, or [`UNMATCHED`].
    pub fn get(&self) -> &'static str {
        self.0.get().copied().unwrap_or(UNMATCHED)
    }
}

/// What is counted while it happens.
pub struct Metrics {
    /// What the exporter writes out.
    pub registry: Registry,
    answers: Family<Answer, Counter>,
    seconds: Family<Row, Histogram>,
    refusals: Family<Refusal, Counter>,
    sign_ins: Family<SignInLabels, Counter>,
}

impl Metrics {
    /// Nothing has happened yet. What may is there with a zero: a number that only appears with its first event would hide
    /// that event from anyone who looks at differences.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("wardpost");
        let answers = Family::<Answer, Counter>::default();
        registry.register("http_requests", "Requests answered, by route pattern and status", answers.clone());
        let seconds = Family::<Row, Histogram>::new_with_constructor(|| Histogram::new(SECONDS));
        registry.register(
            "http_request_duration_seconds",
            "From a request's head to its answer's head; the body of a stream or an export comes after",
            seconds.clone(),
        );
        let refusals = Family::<Refusal, Counter>::default();
        registry.register("refusals", "Requests refused or failed, by reason", refusals.clone());
        for reason in PageError::REASONS {
            drop(refusals.get_or_create(&Refusal { reason }));
        }
        let sign_ins = Family::<SignInLabels, Counter>::default();
        registry.register("sign_ins", "Sign-ins that came to an end, by outcome", sign_ins.clone());
        for end in SignInEnd::ALL {
            drop(sign_ins.get_or_create(&end.labels()));
        }
        registry.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let metrics = Self { registry, answers, seconds, refusals, sign_ins };
        metrics.add_row(&Method::GET, UNMATCHED);
        metrics
    }

    /// There is such a row in the table.
    pub fn add_row(&self, method: &Method, route: &'static str) {
        let method = method_name(method);
        drop(self.seconds.get_or_create(&Row { method, route }));
        // The statuses that alarms are about.
        for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE] {
            drop(self.answers.get_or_create(&Answer { method, route, status: status.as_u16() }));
        }
    }

    /// A request was answered.
    pub fn answered(&self, method: &Method, route: &MatchedRoute, status: StatusCode, took: Duration) {
        let (method, route) = (method_name(method), route.get());
        self.answers.get_or_create(&Answer { method, route, status: status.as_u16() }).inc();
        self.seconds.get_or_create(&Row { method, route }).observe(took.as_secs_f64());
    }

    /// A request was refused, or failed.
    pub fn refused(&self, error: &PageError) {
        if let Some(refusal) = labels::refusal(error) {
            self.refusals.get_or_create(&refusal).inc();
        }
    }

    /// A sign-in came to an end.
    pub fn sign_in(&self, end: impl Into<SignInEnd>) {
        self.sign_ins.get_or_create(&end.into().labels()).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
