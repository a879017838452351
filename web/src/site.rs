//! Everything that answering a request can need, built once.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use process::Shutdown;
use store::{Store, Timestamp, UnprovenSignIns};

use crate::assets::Assets;
use crate::audit::chain_watch::ChainWatch;
use crate::body::Rooms;
use crate::config::{Config, SignInConfig};
use crate::cookies::Cookies;
use crate::emergency::alarm;
use crate::health::Readiness;
use crate::host::OwnHost;
use crate::limits::Limits;
use crate::messages::feed::Feed;
use crate::messages::list_cache::ListCache;
use crate::messages::shown::ShownLists;
use crate::metrics::Metrics;
use crate::repeated::{Repeated, TOLD_EVERY};
use crate::sign_in::attempt::Sealer;
use crate::sign_in::fault::SignInFault;
use crate::sign_in::provider::Provider;
use crate::sign_in::unproven::Unproven;
use crate::sign_in::used::UsedAttempts;
use crate::wall_clock::WallClockInterval;

/// How often ended sessions are written down as such.
const SESSION_SWEEP: Duration = Duration::from_secs(30);
/// How often the rows of sessions that ended long ago are removed.
const SESSION_REMOVAL: Duration = Duration::from_secs(60 * 60);
/// How often it is looked whether something that repeats is to be told.
const REPEATED_LOOK: Duration = Duration::from_secs(1);
/// How often it is looked whether the row of failed sign-ins is due.
const UNPROVEN_LOOK: Duration = Duration::from_secs(5);

/// The site.
pub struct Site {
    /// Its settings.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// Stylesheet, script, icon.
    pub assets: Assets,
    /// The identity provider.
    pub provider: Provider,
    /// How its cookies are named and flagged.
    pub cookies: Cookies,
    /// Seals the cookie of a sign-in on its way.
    pub sealer: Sealer,
    /// Sign-ins that have come back.
    pub used_attempts: UsedAttempts,
    /// Failed sign-ins that share a row.
    pub unproven: Unproven,
    /// How often somebody may ask.
    pub limits: Limits,
    /// Under which name the site is asked for.
    pub own_host: OwnHost,
    /// Room for forms on their way in.
    pub rooms: Rooms,
    /// Live updates.
    pub feed: Feed,
    /// Lists that were asked for before.
    pub lists: ListCache,
    /// Which of them were shown to whom lately.
    pub shown: ShownLists,
    /// How far the audit chain verifies.
    pub chain: ChainWatch,
    /// The last answer of `/readyz`.
    pub readiness: Readiness,
    /// What is counted.
    pub metrics: Metrics,
    /// What others can make the log say again and again.
    pub repeated: Repeated,
    /// When it was built.
    pub started: SystemTime,
    shutdown: Shutdown,
}

/// Why a site cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The static files could not be compressed.
    #[error("the static files could not be prepared: {0}")]
    Assets(#[from] std::io::Error),
    /// The identity provider's settings do not work together.
    #[error(transparent)]
    Provider(#[from] SignInFault),
}

impl Site {
    /// A site over an open database.
    pub fn build(config: Config, store: Store, shutdown: Shutdown) -> Result<Arc<Self>, BuildError> {
        let SignInConfig { app_secret, previous_app_secret, .. } = &config.sign_in;
        let sealer = Sealer::new(app_secret, previous_app_secret.as_ref(), Timestamp::now());
        Ok(Arc::new(Self {
            assets: Assets::load()?,
            provider: Provider::new(&config.sign_in, &config.public_url)?,
            cookies: Cookies::of(&config.public_url),
            sealer,
            used_attempts: UsedAttempts::default(),
            unproven: Unproven::default(),
            limits: Limits::new(&config.limits),
            own_host: OwnHost::new(config.public_url.clone()),
            rooms: Rooms::default(),
            feed: Feed::new(),
            lists: ListCache::default(),
            shown: ShownLists::default(),
            chain: ChainWatch::new(store.clone()),
            readiness: Readiness::default(),
            metrics: Metrics::new(),
            repeated: Repeated::default(),
            started: SystemTime::now(),
            config,
            store,
            shutdown,
        }))
    }

    /// Resolves when the process has been asked to stop.
    pub async fn stopping(&self) {
        self.shutdown.requested().await;
    }

    /// The work that goes on beside requests; ends when the process is asked to stop.
    pub async fn work(self: Arc<Self>) {
        let feed = self.feed.clone().run(self.store.clone());
        let chain = self.chain.run();
        let sweep = self.sweep_sessions();
        let alarms = alarm::watch(self.store.clone());
        let removal = self.remove_old_sessions();
        tokio::select! {
            () = self.stopping() => {}
            () = feed => {}
            () = chain => {}
            () = sweep => {}
            () = removal => {}
            () = alarms => {}
            () = self.tell_repeated() => {}
            () = self.write_unproven() => {}
        }
    }

    /// To be called when nothing more is answered: tells and writes down what was only counted so far.
    pub async fn finish(&self) {
        let latest = Instant::now() + TOLD_EVERY;
        self.repeated.tell(latest);
        self.limits.tell_repeated(latest);
        self.write_down(self.unproven.rest()).await;
    }

    async fn write_unproven(&self) {
        let mut tick = tokio::time::interval(UNPROVEN_LOOK);
        loop {
            tick.tick().await;
            self.write_down(self.unproven.due(Instant::now())).await;
        }
    }

    async fn write_down(&self, sum: Option<UnprovenSignIns>) {
        let Some(sum) = sum else { return };
        let failures = sum.failures;
        if let Err(error) = self.store.record_unproven_sign_ins(sum, Timestamp::now()).await {
            tracing::warn!(%error, failures, "failed sign-ins could not be written down");
        }
    }

    async fn tell_repeated(&self) {
        let mut tick = tokio::time::interval(REPEATED_LOOK);
        loop {
            tick.tick().await;
            self.repeated.tell(Instant::now());
            self.limits.tell_repeated(Instant::now());
        }
    }

    async fn sweep_sessions(&self) {
        let mut sweep = WallClockInterval::every(SESSION_SWEEP);
        loop {
            sweep.tick().await;
            let limits = self.config.session_limits;
            if let Err(error) = self.store.expire_sessions(limits, Timestamp::now()).await {
                tracing::warn!(%error, "ended sessions could not be written down");
            }
            if let Err(error) = self.store.expire_emergency_grants(Timestamp::now()).await {
                tracing::warn!(%error, "unused emergency access could not be written down as ended");
            }
        }
    }

    async fn remove_old_sessions(&self) {
        let mut removal = WallClockInterval::every(SESSION_REMOVAL);
        loop {
            removal.tick().await;
            if let Err(error) = self.store.remove_old_sessions(Timestamp::now()).await {
                tracing::warn!(%error, "the rows of old sessions could not be removed");
            }
        }
    }
}
