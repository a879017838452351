//! The loop around a step: when to look for rows, when to try again, what to say meanwhile, how to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use process::{Exit, Shutdown, ready};
use store::{AuditCopy, Store, Timestamp};

use crate::config::{AUDIT_RETENTION_DAYS, Config};
use crate::journal;
use crate::log_throttle::{LOG_INTERVAL, LogThrottle};
use crate::outage::Outage;
use crate::shipper::{ShipError, Shipper, Step};
use crate::sink::{Retention, Sink};

/// How often another program's commits are looked for. A row has to be on its way within 2 seconds.
const LOOK: Duration = Duration::from_millis(500);
/// How long a step may still take once the program was asked to stop.
const LAST_STEP: Duration = Duration::from_secs(10);
/// A row that waits this long is an alarm: the service takes nothing older than 14 days under its own time.
const ALARM_AGE: Duration = Duration::from_secs(10 * 24 * 60 * 60);
/// How often the alarm is repeated.
const ALARM_PAUSE: Duration = Duration::from_secs(60 * 60);
/// A loop that has not come round for this long is stuck: no call takes as long.
const STUCK_SECONDS: u64 = 180;

/// Ships for as long as the program runs.
pub async fn run(config: Config) -> Exit {
    let shutdown = match Shutdown::listen() {
        Ok(shutdown) => shutdown,
        Err(error) => {
            tracing::error!(%error, "signals cannot be listened to");
            return Exit::Failed;
        }
    };
    let Some(opened) = config.database.open_when_created(&shutdown).await else { return Exit::Done };
    let store = match opened {
        Ok(store) => store,
        Err(error) => {
            tracing::error!(%error, "the database cannot be opened");
            return database::exit_of(&error);
        }
    };
    let journal = config
        .application_sink
        .clone()
        .map(|address| tokio::spawn(journal::ship(store.clone(), address, shutdown.clone())));
    let exit = match start(&config, &store).await {
        Ok(shipper) => {
            let heartbeat = Arc::new(Heartbeat::new());
            let watched = Arc::clone(&heartbeat);
            let watchdog = tokio::spawn(ready::keep_watchdog_fed(move || {
                let alive = watched.is_fresh();
                async move { alive }
            }));
            ready::notify_ready();
            tracing::info!(sink = shipper.copy().sink, stream = shipper.copy().stream, cursor = %shipper.cursor(), "shipping");
            Loop::new(store.clone(), shipper, heartbeat).until(&shutdown).await;
            ready::notify_stopping();
            watchdog.abort();
            tracing::info!("stopped");
            Exit::Done
        }
        Err(error) => {
            tracing::error!(%error, "the shipping state cannot be read");
            Exit::Failed
        }
    };
    if let Some(journal) = journal {
        // It ends at the same signal, and gives its own last lines a moment.
        if tokio::time::timeout(LAST_STEP, journal).await.is_err() {
            tracing::warn!("the last log lines are still on their way; they are sent again at the next start");
        }
    }
    store.close().await;
    exit
}

async fn start(config: &Config, store: &Store) -> Result<Shipper, store::StoreError> {
    let copy = AuditCopy { sink: config.audit_sink.to_string(), stream: store.audit_stream().await? };
    let sink = Sink::open(&config.audit_sink, &copy.stream, AUDIT_RETENTION_DAYS).await;
    Shipper::new(store.clone(), sink, copy).await
}

struct Loop {
    store: Store,
    shipper: Shipper,
    heartbeat: Arc<Heartbeat>,
    outage: Outage,
    looking_throttle: LogThrottle,
    alarm_throttle: LogThrottle,
    state_throttle: LogThrottle,
    told: Option<String>,
    retention_checked: bool,
}

impl Loop {
    fn new(store: Store, shipper: Shipper, heartbeat: Arc<Heartbeat>) -> Loop {
        Loop {
            store,
            shipper,
            heartbeat,
            outage: Outage::default(),
            looking_throttle: LogThrottle::default(),
            alarm_throttle: LogThrottle::default(),
            state_throttle: LogThrottle::default(),
            told: None,
            retention_checked: false,
        }
    }

    async fn until(mut self, shutdown: &Shutdown) {
        while !shutdown.is_requested() {
            self.heartbeat.beat();
            let outcome = tokio::select! {
                outcome = self.shipper.step() => outcome,
                () = async { shutdown.requested().await; tokio::time::sleep(LAST_STEP).await } => {
                    tracing::warn!("the last rows did not get through in time; they are sent at the next start");
                    return;
                }
            };
            let pause = match outcome {
                Ok(Step::Moved) => {
                    self.recovered();
                    self.check_retention().await;
                    continue;
                }
                Ok(Step::Idle) => {
                    self.recovered();
                    self.tell(format!("all {} rows are accounted for", self.shipper.cursor()));
                    self.until_more(shutdown).await;
                    continue;
                }
                Err(error) => self.failed(&error).await,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = shutdown.requested() => {}
            }
        }
    }

    /// Waits until there are rows beyond the cursor.
    async fn until_more(&mut self, shutdown: &Shutdown) {
        let changes = self.store.changes();
        let cursor = u64::try_from(self.shipper.cursor().get()).unwrap_or(0);
        while !shutdown.is_requested() {
            self.heartbeat.beat();
            if let Err(error) = self.store.poll_foreign_commits().await {
                if self.looking_throttle.allows(Instant::now(), LOG_INTERVAL) {
                    tracing::error!(%error, "the database cannot be looked at");
                }
            } else if *changes.borrow() > cursor {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = shutdown.requested() => {}
            }
        }
    }

    fn recovered(&mut self) {
        if let Some(failures) = self.outage.ended() {
            tracing::info!(failures, cursor = %self.shipper.cursor(), "rows get through again");
        }
    }

    /// Once: a group that somebody else made may keep rows for too short a time, or forever; so may one of ours, where the
    /// right to set its retention is missing.
    async fn check_retention(&mut self) {
        if std::mem::replace(&mut self.retention_checked, true) {
            return;
        }
        match self.shipper.retention().await {
            Retention::Days(days) if days < AUDIT_RETENTION_DAYS => tracing::warn!(
                days,
                wanted = AUDIT_RETENTION_DAYS,
                "the log group keeps audit rows for too short a time: raise its retention"
            ),
            Retention::Forever => tracing::info!(
                wanted = AUDIT_RETENTION_DAYS,
                "the log group keeps audit rows forever: set its retention, if that is not wanted"
            ),
            Retention::Days(_) | Retention::Untold => {}
        }
    }

    async fn failed(&mut self, error: &ShipError) -> Duration {
        let now = Instant::now();
        if self.outage.failed(now) {
            tracing::error!(%error, failures = self.outage.failures(), cursor = %self.shipper.cursor(), "audit rows do not get through; trying again");
        }
        self.tell(format!("not getting through: {error}"));
        if self.state_throttle.allows(now, LOG_INTERVAL)
            && let Err(error) = self.shipper.record_error(&error.to_string()).await
        {
            tracing::warn!(%error, "the outage could not be written down");
        }
        self.raise_alarm(now).await;
        self.outage.pause()
    }

    async fn raise_alarm(&mut self, now: Instant) {
        let Ok(waiting) = self.store.audit_events(self.shipper.cursor(), 1, 0).await else { return };
        let Some(oldest) = waiting.first() else { return };
        if is_alarming(oldest.at, self.store.now()) && self.alarm_throttle.allows(now, ALARM_PAUSE) {
            tracing::error!(
                alarm = "AUDIT_SHIPPING_BEHIND",
                row = %oldest.id,
                written = oldest.at.to_rfc3339(),
                "audit rows have waited for more than 10 days to be copied off this machine"
            );
        }
    }

    /// Tells the supervisor, where that is news.
    fn tell(&mut self, status: String) {
        if self.told.as_ref() != Some(&status) {
            ready::notify_status(&status);
            self.told = Some(status);
        }
    }
}

fn is_alarming(written: Timestamp, now: Timestamp) -> bool {
    now.since(written) > ALARM_AGE
}

/// When the loop last came round.
struct Heartbeat {
    start: Instant,
    seconds: AtomicU64,
}

impl Heartbeat {
    fn new() -> Heartbeat {
        Heartbeat { start: Instant::now(), seconds: AtomicU64::new(0) }
    }

    fn beat(&self) {
        self.seconds.store(self.start.elapsed().as_secs(), Ordering::Relaxed);
    }

    fn is_fresh(&self) -> bool {
        self.start.elapsed().as_secs().saturating_sub(self.seconds.load(Ordering::Relaxed)) < STUCK_SECONDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_days_of_waiting_are_an_alarm() {
        let now = Timestamp::from_millis(1_790_000_000_000);
        assert!(!is_alarming(now.minus(ALARM_AGE), now));
        assert!(is_alarming(now.minus(ALARM_AGE + Duration::from_millis(1)), now));
        assert!(!is_alarming(now.plus(ALARM_AGE), now));
    }
}
