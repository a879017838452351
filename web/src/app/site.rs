//! What every feature stands on, built once.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use process::Shutdown;
use store::{SessionLimits, Store, Timestamp};

use crate::app::assets::Assets;
use crate::app::body_memory::BodyMemory;
use crate::app::duty_overview::DutyOverview;
use crate::app::host::OwnHost;
use crate::app::return_paths::ReturnPaths;
use crate::http::cookies::Cookies;
use crate::http::public_url::PublicUrl;
use crate::http::request_id::RequestIds;
use crate::limits::{LimitSettings, Limits};
use crate::log_throttle::{LogThrottle, REPORT_INTERVAL};
use crate::metrics::Metrics;
use crate::wall_clock::WallClockInterval;

/// How often ended sessions are written down as such.
const SESSION_SWEEP: Duration = Duration::from_secs(30);
/// How often the rows of sessions that ended long ago are removed.
const SESSION_REMOVAL: Duration = Duration::from_secs(60 * 60);
/// How often it is looked whether something that repeats is to be reported.
const REPORT_CHECK: Duration = Duration::from_secs(1);

/// The settings that it needs.
pub struct SiteSettings {
    /// What people type into their browsers.
    pub public_url: PublicUrl,
    /// Idle and absolute limits of a session.
    pub session_limits: SessionLimits,
    /// Whose X-Forwarded-For counts.
    pub trusted_proxies: Vec<IpNet>,
    /// How often somebody may ask.
    pub limits: LimitSettings,
}

/// The site.
pub struct Site {
    /// The database.
    pub store: Store,
    /// What people type into their browsers.
    pub public_url: PublicUrl,
    /// Idle and absolute limits of a session.
    pub session_limits: SessionLimits,
    /// Whose X-Forwarded-For counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Stylesheet, script, icon.
    pub assets: Assets,
    /// How its cookies are named and flagged.
    pub cookies: Cookies,
    /// How often somebody may ask.
    pub limits: Limits,
    /// Under which name the site is asked for.
    pub own_host: OwnHost,
    /// Memory for forms on their way in.
    pub body_memory: BodyMemory,
    /// What is urgent and what is for whom.
    pub duties: DutyOverview,
    /// What is counted.
    pub metrics: Metrics,
    /// What others can make the log say again and again.
    pub log_throttle: LogThrottle,
    /// Where a sign-in may lead back to: set once, when the table of routes is made.
    pub return_paths: OnceLock<ReturnPaths>,
    /// When it was built.
    pub started: Timestamp,
    /// Names for its requests.
    pub(crate) request_ids: RequestIds,
    shutdown: Shutdown,
}

impl Site {
    /// A site over an open database. Errors come from compressing the static files alone.
    pub fn build(settings: SiteSettings, store: Store, shutdown: Shutdown) -> std::io::Result<Arc<Self>> {
        let SiteSettings { public_url, session_limits, trusted_proxies, limits } = settings;
        let mut process = [0; 4];
        store.random().fill(&mut process);
        Ok(Arc::new(Self {
            assets: Assets::load()?,
            cookies: Cookies::of(&public_url),
            limits: Limits::new(&limits),
            own_host: OwnHost::new(public_url.clone()),
            body_memory: BodyMemory::default(),
            duties: DutyOverview::default(),
            metrics: Metrics::new(),
            log_throttle: LogThrottle::default(),
            return_paths: OnceLock::new(),
            started: store.now(),
            request_ids: RequestIds::of(u32::from_ne_bytes(process)),
            public_url,
            session_limits,
            trusted_proxies,
            store,
            shutdown,
        }))
    }

    /// Whether a sign-in may lead back to this path.
    pub fn may_return_to(&self, path: &str) -> bool {
        self.return_paths.get().is_some_and(|paths| paths.allow(path))
    }

    /// Resolves when the process has been asked to stop.
    pub async fn stopping(&self) {
        self.shutdown.requested().await;
    }

    /// The work that goes on beside requests; never ends.
    pub async fn work(&self) {
        tokio::join!(self.sweep_sessions(), self.remove_old_sessions(), self.report_repeated());
    }

    /// To be called when nothing more is answered: reports what was only counted so far.
    pub fn finish(&self) {
        let latest = Instant::now() + REPORT_INTERVAL;
        self.log_throttle.report(latest);
        self.limits.report_repeated(latest);
    }

    async fn report_repeated(&self) {
        let mut tick = tokio::time::interval(REPORT_CHECK);
        loop {
            tick.tick().await;
            self.log_throttle.report(Instant::now());
            self.limits.report_repeated(Instant::now());
        }
    }

    async fn sweep_sessions(&self) {
        let mut sweep = WallClockInterval::every(SESSION_SWEEP);
        loop {
            sweep.tick(|| self.store.now()).await;
            if let Err(error) = self.store.expire_sessions(self.session_limits).await {
                tracing::warn!(%error, "ended sessions could not be written down");
            }
            if let Err(error) = self.store.expire_emergency_grants(self.store.now()).await {
                tracing::warn!(%error, "unused emergency access could not be written down as ended");
            }
        }
    }

    async fn remove_old_sessions(&self) {
        let mut removal = WallClockInterval::every(SESSION_REMOVAL);
        loop {
            removal.tick(|| self.store.now()).await;
            if let Err(error) = self.store.remove_old_sessions(self.store.now()).await {
                tracing::warn!(%error, "the rows of old sessions could not be removed");
            }
        }
    }
}
