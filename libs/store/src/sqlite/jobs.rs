//! Jobs of the writer: how one is run and its caller told, and which of them share a transaction.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, TryRecvError};

use tokio::sync::oneshot;

use super::write::Write;
use crate::types::StoreError;

/// How many jobs share a commit, so that none waits long for the others.
const BATCH: usize = 256;

/// A job whose result type is forgotten.
pub(super) trait Job: Send {
    /// Runs it; its result waits for [`Job::settle`].
    fn run(&mut self, write: &mut Write<'_>) -> Result<(), StoreError>;
    /// Tells the caller: its own result, or the failure of the transaction around it.
    fn settle(self: Box<Self>, failure: Option<&StoreError>);
}

/// A job in the queue.
pub(super) type BoxedJob = Box<dyn Job>;

/// A job, and who waits for its result.
pub(super) struct Task<F, T> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Task<F, T> {
    /// A job that does `work` and gives what came of it to `reply`.
    pub(super) fn new(work: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Task { work: Some(work), result: None, reply }
    }
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

/// What the queue holds.
pub(super) enum Command {
    Run(BoxedJob),
    Stop,
}

/// What waits behind the first command, up to a batch; and whether to stop after it.
pub(super) fn gather(first: Command, commands: &Receiver<Command>) -> (VecDeque<BoxedJob>, bool) {
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
pub(super) fn run_in_savepoint(job: &mut dyn Job, write: &mut Write<'_>) -> Result<(), StoreError> {
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

/// Tells each its own result, or the failure of the transaction around it.
pub(super) fn settle(jobs: impl IntoIterator<Item = BoxedJob>, failure: Option<&StoreError>) {
    for job in jobs {
        job.settle(failure);
    }
}
