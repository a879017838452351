//! The one thread that writes: jobs queue up, and those that wait together are committed together.
//!
//! A commit has to reach the disk, and costs the same for one job as for two hundred; so the thread takes what is
//! waiting, runs each job inside a savepoint of one transaction, commits, and only then acknowledges. A job that fails
//! or panics is undone alone. The queue is bounded: where it is full the caller hears Busy at once.
//!
//! Other processes append to the same audit log, so the head of the chain is read anew in each transaction, under the
//! write lock.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::chain_hash::ChainPosition;
use crate::error::StoreError;
use crate::log_keeper::LogKeeper;
use crate::writer_meter::WriterMeter;

/// How many jobs may wait: at thousands a second, some hundred milliseconds of work.
pub(crate) const QUEUE: usize = 1024;
/// How many jobs share a commit, so that none waits long for the others.
const BATCH: usize = 256;

/// What of a job's doing must leave the write-ahead log, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Erased {
    /// Nothing.
    Nothing,
    /// Text that was given up or replaced: when the database is at rest.
    AtRest,
    /// Text that somebody deleted: as soon as nobody reads it.
    Now,
}

/// What a job writes with: the connection inside its transaction, and the end of the audit chain.
pub(crate) struct Write<'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) head: ChainPosition,
    /// What has been erased so far; see [`Write::erased`].
    pub(crate) erased: Erased,
    /// Whether the last write failed for want of room.
    pub(crate) was_full: bool,
}

impl<'c> Write<'c> {
    pub(crate) fn new(connection: &'c Connection, head: ChainPosition) -> Self {
        Write { connection, head, erased: Erased::Nothing, was_full: false }
    }

    /// To be called by a job that has erased text.
    pub(crate) fn erased(&mut self, erased: Erased) {
        self.erased = self.erased.max(erased);
    }

    /// Writes down where the chain ends.
    pub(crate) fn store_head(&self) -> Result<(), StoreError> {
        let mut update = self.connection.prepare_cached("UPDATE audit_head SET id = ?1, hash = ?2")?;
        update.execute((self.head.id, self.head.hash))?;
        Ok(())
    }
}

/// A job whose result type is forgotten.
trait Job: Send {
    /// Runs it; its result waits for [`Job::settle`].
    fn run(&mut self, write: &mut Write<'_>) -> Result<(), StoreError>;
    /// Tells the caller: its own result, or the failure of the transaction around it.
    fn settle(self: Box<Self>, failure: Option<&StoreError>);
}

type BoxedJob = Box<dyn Job>;

struct Task<F, T> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Task<F, T>
where
    F: FnOnce(&mut Write<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, write: &mut Write<'_>) -> Result<(), StoreError> {
        let Some(work) = self.work.take() else {
            return Err(StoreError::internal("a write job was run twice"));
        };
        let result = catch_unwind(AssertUnwindSafe(|| work(write)))
            .unwrap_or_else(|_| Err(StoreError::internal("a write job panicked")));
        let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.result = Some(result);
        outcome
    }

    fn settle(self: Box<Self>, failure: Option<&StoreError>) {
        let result = match (self.result, failure) {
            (Some(Err(own)), _) => Err(own),
            (_, Some(failure)) => Err(failure.clone()),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(StoreError::internal("a write job was not run")),
        };
        // A caller that has gone away wants no answer; what it asked for is done all the same.
        let _ = self.reply.send(result);
    }
}

enum Command {
    Run(BoxedJob),
    Stop,
}

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
    ) -> std::io::Result<Writer> {
        let (queue, commands) = sync_channel(QUEUE);
        let meter = Arc::<WriterMeter>::default();
        let worker = Worker {
            connection,
            log: LogKeeper::start(checkpoints, path)?,
            meter: Arc::clone(&meter),
            changes,
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
        let task = Task { work: Some(work), result: None, reply };
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
    log: LogKeeper,
    meter: Arc<WriterMeter>,
    changes: watch::Sender<u64>,
    was_full: bool,
}

impl Worker {
    fn run(mut self, commands: &Receiver<Command>) {
        loop {
            self.log.truncate_when_due(&mut self.connection);
            let first = match commands.recv_timeout(self.log.patience()) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    self.log.truncate_soon();
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
        self.log.stop(&mut self.connection);
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
        let mut write = Write { was_full: self.was_full, ..Write::new(&self.connection, head_before) };
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
                    Erased::Now => self.log.truncate_now(),
                    Erased::AtRest => self.log.truncate_at_rest(),
                    Erased::Nothing => {}
                }
                settle(ran, None);
                self.log.committed(&mut self.connection);
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

    /// Tells everybody who waits that the database is busy; true when a stop was among them. Whoever holds its lock has held it
    /// for as long as we wait for one: without this, the last in the queue would wait for that time once for each batch before.
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
            self.log.truncate_soon();
        }
    }
}

/// What waits behind the first command, up to a batch; and whether to stop after it.
fn gather(first: Command, commands: &Receiver<Command>) -> (VecDeque<BoxedJob>, bool) {
    let mut jobs = VecDeque::new();
    let mut next = first;
    loop {
        match next {
            Command::Stop => return (jobs, true),
            Command::Run(job) => jobs.push_back(job),
        }
        if jobs.len() >= BATCH {
            return (jobs, false);
        }
        next = match commands.try_recv() {
            Ok(command) => command,
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return (jobs, false),
        };
    }
}

/// Runs a job so that its failure undoes it alone. An error means that the whole transaction is lost.
fn run_in_savepoint(job: &mut dyn Job, write: &mut Write<'_>) -> Result<(), StoreError> {
    let connection = write.connection;
    let (head, erased) = (write.head, write.erased);
    connection.prepare_cached("SAVEPOINT job")?.execute(())?;
    let outcome = job.run(write);
    if connection.is_autocommit() {
        // SQLite ended the transaction itself, as it does on a full disk or a failing one.
        return Err(outcome.err().unwrap_or_else(|| StoreError::internal("a write job ended its transaction")));
    }
    if outcome.is_err() {
        write.head = head;
        write.erased = erased;
        connection.prepare_cached("ROLLBACK TO job")?.execute(())?;
    }
    connection.prepare_cached("RELEASE job")?.execute(())?;
    Ok(())
}

fn settle(jobs: impl IntoIterator<Item = BoxedJob>, failure: Option<&StoreError>) {
    for job in jobs {
        job.settle(failure);
    }
}

/// Where the audit log ends, as last written down.
pub(crate) fn read_head(connection: &Connection) -> Result<ChainPosition, StoreError> {
    let mut select = connection.prepare_cached("SELECT id, hash FROM audit_head")?;
    Ok(select.query_row((), |row| {
        let id = row.get::<_, i64>(0)?;
        let hash = row.get(1)?;
        Ok(ChainPosition { id: crate::AuditId::new(id).unwrap_or(crate::AuditId::ZERO), hash })
    })?)
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
