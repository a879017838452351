//! The one thread that writes: jobs queue up, and those that wait together are committed together.
//!
//! A commit has to reach the disk, and costs the same for one job as for two hundred; so the thread takes what is
//! waiting, runs each job inside a savepoint of one transaction, commits, and only then acknowledges. A job that fails
//! or panics is undone alone. The queue is bounded: where it is full the caller hears Busy at once.
//!
//! Other processes append to the same audit log, so the head of the chain is read again in each transaction, under the
//! write lock.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::jobs::{BoxedJob, Command, Task, gather, run_in_savepoint, settle};
use super::write::{Erased, Write, read_head};
use crate::sqlite::wal_manager::WalManager;
use crate::sqlite::writer_meter::WriterMeter;
use crate::types::{ChainPosition, Environment, StoreError};

/// How many jobs may wait: at thousands a second, some hundred milliseconds of work.
pub(crate) const QUEUE: usize = 1024;

/// The queue and the thread behind it.
pub(crate) struct Writer {
    queue: SyncSender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
    meter: Arc<WriterMeter>,
}

impl Writer {
    /// Starts the thread, and one beside it that empties the log through the connection `checkpoints`. `changes` holds the
    /// number of the newest audit row.
    pub(crate) fn start(
        connection: Connection,
        checkpoints: Connection,
        path: &Path,
        changes: watch::Sender<u64>,
        environment: Environment,
    ) -> std::io::Result<Writer> {
        let (queue, commands) = sync_channel(QUEUE);
        let meter = Arc::<WriterMeter>::default();
        let worker = Worker {
            connection,
            wal: WalManager::start(checkpoints, path)?,
            meter: Arc::clone(&meter),
            changes,
            environment,
            was_full: false,
        };
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || worker.run(&commands))?;
        Ok(Writer { queue, thread: Mutex::new(Some(thread)), meter })
    }

    /// Puts a job in the queue, or says at once that there is no room.
    pub(crate) fn submit<F, T>(&self, work: F) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError>
    where
        F: FnOnce(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Task::new(work, reply);
        // Before the thread can take it, so that no more are taken than were queued.
        self.meter.queued();
        match self.queue.try_send(Command::Run(Box::new(task))) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => {
                self.meter.refused();
                Err(StoreError::Busy)
            }
            Err(TrySendError::Disconnected(_)) => {
                self.meter.taken(1);
                Err(StoreError::Closed)
            }
        }
    }

    /// What it has counted of itself.
    pub(crate) fn meter(&self) -> &WriterMeter {
        &self.meter
    }

    /// Finishes what is queued and stops the thread. Blocks; a second call returns at once.
    pub(crate) fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = self.queue.send(Command::Stop);
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    /// A store that was not closed waits here: a thread that still encrypts while the program ends would fall over the
    /// cipher's own clearing up.
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether another program let us write.
#[derive(PartialEq, Eq)]
enum Lock {
    Free,
    Held,
}

struct Worker {
    connection: Connection,
    wal: WalManager,
    meter: Arc<WriterMeter>,
    changes: watch::Sender<u64>,
    environment: Environment,
    was_full: bool,
}

impl Worker {
    fn run(mut self, commands: &Receiver<Command>) {
        loop {
            self.wal.truncate_when_due(&mut self.connection);
            let first = match commands.recv_timeout(self.wal.timeout()) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    self.wal.truncate_soon();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let (mut jobs, mut stop) = gather(first, commands);
            self.meter.taken(jobs.len());
            while !jobs.is_empty() {
                if self.transact(&mut jobs) == Lock::Held {
                    stop |= self.refuse_waiting(commands);
                }
            }
            if stop {
                break;
            }
        }
        self.wal.stop(&mut self.connection);
    }

    /// One transaction over as many of the jobs as it can take; what remains in `jobs` wants another.
    fn transact(&mut self, jobs: &mut VecDeque<BoxedJob>) -> Lock {
        let begun = Instant::now();
        let changes_before = self.connection.total_changes();
        let head_before = match self.begin() {
            Ok(head) => head,
            Err(error) => {
                self.roll_back();
                self.note(&error);
                self.meter.failed();
                settle(jobs.drain(..), Some(&error));
                return if matches!(error, StoreError::Busy) { Lock::Held } else { Lock::Free };
            }
        };
        let mut write = Write::new(&self.connection, head_before, &self.environment);
        write.was_full = self.was_full;
        let mut ran: Vec<BoxedJob> = Vec::with_capacity(jobs.len());
        let mut broken = None;
        while let Some(mut job) = jobs.pop_front() {
            let outcome = run_in_savepoint(job.as_mut(), &mut write);
            ran.push(job);
            if let Err(error) = outcome {
                broken = Some(error);
                break;
            }
        }
        let (head, erased) = (write.head, write.erased);
        let committing = Instant::now();
        let committed = match broken {
            Some(error) => Err(error),
            None => self.commit(&write, head_before),
        };
        match committed {
            Ok(()) => {
                if self.connection.total_changes() != changes_before {
                    self.was_full = false;
                    self.meter.committed(ran.len(), begun.elapsed(), committing.elapsed());
                }
                announce(&self.changes, head);
                match erased {
                    Erased::Now => self.wal.truncate_now(),
                    Erased::AtRest => self.wal.truncate_at_rest(),
                    Erased::Nothing => {}
                }
                settle(ran, None);
                self.wal.committed(&mut self.connection);
            }
            Err(error) => {
                self.roll_back();
                self.note(&error);
                self.meter.failed();
                settle(ran, Some(&error));
            }
        }
        Lock::Free
    }

    /// Tells everybody who waits that the database is busy; true when a stop was among them. The program that holds its
    /// lock has held it for as long as we wait for one: without this, the last in the queue would wait for that time
    /// once for each batch before.
    fn refuse_waiting(&self, commands: &Receiver<Command>) -> bool {
        let mut stop = false;
        while let Ok(command) = commands.try_recv() {
            match command {
                Command::Stop => stop = true,
                Command::Run(job) => {
                    self.meter.taken(1);
                    job.settle(Some(&StoreError::Busy));
                }
            }
        }
        stop
    }

    fn begin(&self) -> Result<ChainPosition, StoreError> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        read_head(&self.connection)
    }

    fn commit(&self, write: &Write<'_>, head_before: ChainPosition) -> Result<(), StoreError> {
        if write.head != head_before {
            write.store_head()?;
        }
        self.connection.prepare_cached("COMMIT")?.execute(())?;
        Ok(())
    }

    /// SQLite has often rolled back by itself when this is called, and says so.
    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
    }

    fn note(&mut self, error: &StoreError) {
        if matches!(error, StoreError::DiskFull) {
            self.was_full = true;
            // The write-ahead log may hold much room that the file itself no longer needs.
            self.wal.truncate_soon();
        }
    }
}

/// Moves the counter of changes to a new end of the log.
pub(crate) fn announce(changes: &watch::Sender<u64>, head: ChainPosition) {
    let newest = u64::try_from(head.id.get()).unwrap_or(0);
    changes.send_if_modified(|seen| {
        let moved = newest > *seen;
        *seen = newest.max(*seen);
        moved
    });
}

#[cfg(test)]
mod tests;
