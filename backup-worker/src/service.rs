//! The service: backups and drills when they are due, one at a time, those that were missed at once, and an alarm when nothing
//! was proved for too long.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use process::{Exit, Shutdown, ready};
use store::{BackupEvent, Store, Timestamp};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::Instant;

use crate::backup::{self, first_of};
use crate::catalogue::{self, Entry, Log, Wanted};
use crate::config::Config;
use crate::drill::{self, AskedBy};
use crate::error::WorkerError;
use crate::progress::Watcher;
use crate::schedule::{self, Schedule, Task};
use crate::target::{Target, TargetError};
use crate::vouch::Request;
use crate::work::{WorkError, WorkFolder};

/// How long a run may still take once the program was asked to stop; then, or when it is asked again, it is broken off.
const LAST_RUN: Duration = Duration::from_secs(20);
/// How long breaking off may take: an upload is aborted.
const BREAK_OFF: Duration = Duration::from_secs(10);
/// A run that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(60 * 60);
/// How often it is looked whether anything was proved of late.
const ALARM_LOOK: Duration = Duration::from_secs(60 * 60);

/// Runs for as long as the program does.
pub async fn run(config: Config) -> Exit {
    let shutdown = match Shutdown::listen() {
        Ok(shutdown) => shutdown,
        Err(error) => {
            tracing::error!(%error, "signals cannot be listened to");
            return Exit::Failed;
        }
    };
    let store = match config.database.open_when_created(&shutdown).await {
        Some(Ok(store)) => store,
        Some(Err(error)) => {
            tracing::error!(%error, "the database cannot be opened");
            return database::exit_of(&error);
        }
        None => return Exit::Done,
    };
    let exit = serve(&config, &store, &shutdown).await;
    store.close().await;
    tracing::info!("stopped");
    exit
}

async fn serve(config: &Config, store: &Store, shutdown: &Shutdown) -> Exit {
    clear_work_folder(config);
    // Room for one in each: what is due while a run goes on is taken up once, right after it.
    let (backup_due, backups) = channel(1);
    let (drill_due, drills) = channel(1);
    let drill_schedule = config.drill_schedule.clone().filter(|_| !config.offline_only);
    let mut schedules = vec![(config.schedule.clone(), backup_due)];
    schedules.extend(drill_schedule.clone().map(|schedule| (schedule, drill_due)));
    if drill_schedule.is_none() {
        tracing::warn!(
            "no drill is made here: prove the backups elsewhere, with `backup-worker verify --identity FILE`"
        );
    }
    let mut scheduler = match schedule::start(schedules).await {
        Ok(scheduler) => scheduler,
        Err(error) => {
            tracing::error!(%error, "the schedules cannot be started");
            return Exit::Failed;
        }
    };
    let watchdog = tokio::spawn(ready::keep_watchdog_fed({
        let store = store.clone();
        move || {
            let store = store.clone();
            // Any answer is a sign of life: a full disk is told by the runs themselves.
            async move { !matches!(store.check_writable().await, Err(store::StoreError::Closed)) }
        }
    }));
    ready::notify_ready();
    let next = config.schedule.next_after(store.now()).map(Timestamp::to_rfc3339);
    tracing::info!(backup_target = %config.target, next = next.unwrap_or_default(), "waiting for the next backup");

    Worker { config, store, shutdown, drill_schedule, retries: HashMap::new() }.work(backups, drills).await;

    ready::notify_stopping();
    watchdog.abort();
    if let Err(error) = scheduler.shutdown().await {
        tracing::warn!(%error, "the schedules could not be shut down");
    }
    Exit::Done
}

/// What a killed run has left goes now, and not only with the next run.
fn clear_work_folder(config: &Config) {
    match WorkFolder::take(config.database.path()) {
        // By hand or by a timer, a run is at it.
        Ok(_) | Err(WorkError::Busy) => {}
        Err(error) => tracing::warn!(%error, "what a run may have left could not be removed"),
    }
}

struct Worker<'a> {
    config: &'a Config,
    store: &'a Store,
    shutdown: &'a Shutdown,
    /// None where no drill is made here.
    drill_schedule: Option<Schedule>,
    /// What failed, and when it is tried again.
    retries: HashMap<Task, Instant>,
}

impl Worker<'_> {
    async fn work(mut self, mut backups: Receiver<()>, mut drills: Receiver<()>) {
        for task in self.missed().await {
            tracing::info!(?task, "a run was missed while nothing ran here; it is made up for now");
            self.run(task).await;
        }
        let mut alarm = tokio::time::interval(ALARM_LOOK);
        loop {
            let retry = self.retries.iter().min_by_key(|(_, at)| **at).map(|(task, at)| (*at, *task));
            let again = async {
                match retry {
                    Some((at, task)) => {
                        tokio::time::sleep_until(at).await;
                        task
                    }
                    None => std::future::pending().await,
                }
            };
            let task = tokio::select! {
                _ = self.shutdown.requested() => return,
                Some(()) = backups.recv() => Task::Backup,
                Some(()) = drills.recv() => Task::Drill,
                task = again => task,
                // The target is asked for it, which can take its time.
                _ = alarm.tick() => tokio::select! {
                    () = self.raise_alarm() => continue,
                    _ = self.shutdown.requested() => return,
                },
            };
            self.run(task).await;
        }
    }

    /// What was due since the last time, by the audit log.
    async fn missed(&self) -> Vec<Task> {
        let history = match catalogue::history(self.store).await {
            Ok(history) => history,
            Err(error) => {
                tracing::error!(%error, "the audit log does not tell when the last backup was made");
                return Vec::new();
            }
        };
        let now = self.store.now();
        let last = |wanted: fn(&BackupEvent) -> bool| {
            history.iter().rev().find(|record| wanted(&record.event)).map(|record| record.at)
        };
        let made = last(|event| matches!(event, BackupEvent::Created { .. }));
        let proved = last(|event| matches!(event, BackupEvent::Verified { .. }));
        let mut missed = Vec::new();
        if self.config.schedule.is_overdue(made, now) {
            missed.push(Task::Backup);
        }
        if self.drill_schedule.as_ref().is_some_and(|drills| drills.is_overdue(proved, now)) {
            missed.push(Task::Drill);
        }
        missed
    }

    async fn run(&mut self, task: Task) {
        if self.shutdown.is_requested() {
            return;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let done = {
            let work = self.attempt(task, &stop);
            tokio::pin!(work);
            tokio::select! {
                done = &mut work => Some(done),
                () = self.grace_period_is_over() => {
                    stop.store(true, Ordering::Relaxed);
                    tokio::time::timeout(BREAK_OFF, work).await.ok()
                }
            }
        };
        self.retries.remove(&task);
        match done {
            Some(Ok(())) => {}
            Some(Err(WorkerError::Stopped)) | None => {
                if done.is_none() {
                    self.record_broken_off(task).await;
                }
                tracing::warn!(
                    ?task,
                    "broken off, since the program is asked to stop; it is made up for at the next start"
                );
            }
            Some(Err(error)) => {
                let alarm = if task == Task::Backup { "BACKUP_FAILED" } else { "DRILL_FAILED" };
                tracing::error!(alarm, %error, "{task:?} failed; it is tried again in an hour");
                ready::notify_status(&format!("{task:?} failed: {error}"));
                self.retries.insert(task, Instant::now() + RETRY);
            }
        }
    }

    /// For a run that did not come to an end of its own even then.
    async fn record_broken_off(&self, task: Task) {
        let during = if task == Task::Backup { "backup" } else { "drill" };
        let reason = "broken off, since the program was asked to stop".to_owned();
        let event = BackupEvent::Failed { name: None, during: during.to_owned(), reason };
        if let Err(error) = self.store.record_backup(event, self.store.now()).await {
            tracing::error!(%error, "BACKUP_FAILED could not be written into the audit log");
        }
    }

    /// Waits until somebody asked for a stop, and either waited long for it or asked again.
    async fn grace_period_is_over(&self) {
        self.shutdown.requested().await;
        tokio::select! {
            () = tokio::time::sleep(LAST_RUN) => {}
            _ = self.shutdown.requested_again() => {}
        }
    }

    async fn attempt(&self, task: Task, stop: &Arc<AtomicBool>) -> Result<(), WorkerError> {
        match task {
            Task::Backup => {
                let made = backup::make(self.config, self.store, stop, &Watcher::silent()).await?;
                tracing::info!(name = %made.name, bytes = made.archive_bytes, seconds = made.seconds, "made a backup");
                ready::notify_status(&format!("made {}", made.name));
            }
            Task::Drill => {
                let identities = drill::identities(self.config, None)?;
                let (latest, watcher) = (Request::of(Wanted::Latest), Watcher::silent());
                let drill = drill::drill(
                    AskedBy::Schedule,
                    self.config,
                    Some(self.store),
                    &latest,
                    &identities,
                    stop,
                    &watcher,
                )
                .await;
                let proof = first_of(drill.proof, drill.recorded.map(|_| ()))?;
                let name = &proof.manifest.name;
                tracing::info!(%name, seconds = proof.seconds, "proved that the newest backup restores");
                ready::notify_status(&format!("proved {name}"));
            }
        }
        Ok(())
    }

    async fn raise_alarm(&self) {
        let log = match catalogue::log(self.store).await {
            Ok(log) => log,
            Err(error) => {
                tracing::error!(%error, "the audit log does not tell what was proved");
                return;
            }
        };
        let now = self.store.now();
        let newest = match self.entries(&log).await {
            Ok(entries) => {
                if let Some(entry) = entries.iter().find(|entry| catalogue::is_of_the_future(&entry.listed.name, now)) {
                    let name = &entry.listed.name;
                    tracing::warn!(%name, "a backup is named for a time to come: was a clock wrong? It counts for nothing");
                }
                catalogue::newest_verified(&entries, now).map(|entry| entry.listed.name.clone())
            }
            Err(error) => {
                // What it had is better than nothing.
                tracing::warn!(%error, "the target does not tell which backups it has; the audit log is asked alone");
                log.proofs.into_keys().filter(|name| !catalogue::is_of_the_future(name, now)).max()
            }
        };
        if catalogue::is_alarming(newest.as_ref(), now) {
            let newest = newest.map_or("none".to_owned(), |name| name.to_string());
            tracing::error!(
                alarm = "NO_VERIFIED_BACKUP",
                newest,
                "no backup of the last 48 hours was proved to restore: see `backup-worker list`"
            );
        }
    }

    async fn entries(&self, log: &Log) -> Result<Vec<Entry>, TargetError> {
        let target = Target::open(&self.config.target, self.config.encryption.clone()).await?;
        catalogue::entries(&target, log).await
    }
}
