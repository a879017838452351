//! The open database: one writer, a few readers, and a connection that looks out for other processes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::watch;

use crate::sqlite::connection::{Role, open, opening};
use crate::sqlite::files::{Room, Sizes};
use crate::sqlite::readers::{READERS, Readers};
use crate::sqlite::write::{Erased, Write, read_head};
use crate::sqlite::writer::{Writer, announce};
use crate::sqlite::writer_meter::WriterNumbers;
use crate::types::failure_counter::FailedSignIns;
use crate::types::{
    Clock, DatabaseKey, EndReason, Environment, IdempotencyKey, OpenError, Random, SessionId, StoreError, Timestamp,
};

/// The encrypted database. Cloning gives another handle to the same one.
///
/// Call [`Store::close`] before the program ends. Dropping the last handle does the same, but blocks its thread; and a
/// program that exits with a handle alive can crash in the cipher's clearing up. Nothing acknowledged is lost either way.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// The file.
    path: PathBuf,
    database_id: String,
    writer: Writer,
    readers: Readers,
    changes: watch::Sender<u64>,
    watch: Arc<Mutex<Option<Watch>>>,
    /// Sessions that were reported past a limit and are not yet written down as ended: a clock set back before that
    /// must not bring them to life again.
    expired: Mutex<HashMap<SessionId, EndReason>>,
    failed_sign_ins: Arc<FailedSignIns>,
    duties_version: AtomicU64,
    environment: Environment,
}

/// Sees by SQLite's own counter whether anyone has committed since it last looked.
struct Watch {
    connection: Connection,
    seen: i64,
}

impl Store {
    /// Starts the writer and the readers of a database that was just opened for writing and has the newest schema; `writer`
    /// is the connection. Blocks.
    pub(crate) fn start(
        writer: Connection,
        path: &Path,
        key: &DatabaseKey,
        environment: Environment,
    ) -> Result<Store, OpenError> {
        let database_id = writer
            .query_row("SELECT value FROM meta WHERE name = 'database_id'", (), |row| row.get(0))
            .map_err(|error| opening(path, error))?;
        let head = read_head(&writer)?;
        let (changes, _) = watch::channel(u64::try_from(head.id.get()).unwrap_or(0));
        let readers: Result<Vec<_>, _> = (0..READERS).map(|_| open(path, key, Role::Reader)).collect();
        let watch = Watch { connection: open(path, key, Role::Reader)?, seen: i64::MIN };
        let checkpoints = open(path, key, Role::Writer)?;
        // It would be done inside the commits; there is a thread for it.
        writer.execute_batch("PRAGMA wal_autocheckpoint = 0").map_err(|error| opening(path, error))?;
        let writer = Writer::start(writer, checkpoints, path, changes.clone(), environment.clone())
            .map_err(|error| OpenError::Sqlite(Arc::new(error)))?;
        Ok(Store {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                database_id,
                writer,
                readers: Readers::new(readers?),
                changes,
                watch: Arc::new(Mutex::new(Some(watch))),
                expired: Mutex::default(),
                failed_sign_ins: Arc::default(),
                duties_version: AtomicU64::new(0),
                environment,
            }),
        })
    }

    /// Empties the write-ahead log soon, and as soon as nobody reads what is in it. A program that erases text calls it
    /// once at its start: it may have died between that and this. No other needs to, and writes wait for it.
    pub async fn finish_deletions(&self) -> Result<(), StoreError> {
        self.write(|write| {
            write.erased(Erased::Now);
            Ok(())
        })
        .await
    }

    /// Finishes the queued writes and stops the writer. Other handles to this store get [`StoreError::Closed`] from then on.
    pub async fn close(self) {
        let inner = self.inner.clone();
        // The writer goes last: whichever connection closes last removes the write-ahead log.
        inner.readers.close().await;
        let stopped = tokio::task::spawn_blocking(move || {
            inner.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
            inner.writer.stop();
        });
        if stopped.await.is_err() {
            tracing::error!("closing the database panicked");
        }
    }

    /// The time by the clock that the store was opened with: this machine's, unless a test has set another.
    pub fn now(&self) -> Timestamp {
        self.inner.environment.clock.now()
    }

    /// The same clock, for what runs elsewhere and later.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.inner.environment.clock)
    }

    /// A key for a new form.
    pub fn fresh_key(&self) -> IdempotencyKey {
        IdempotencyKey::made(self.now(), self.random())
    }

    /// Where the store takes randomness from, for what a program makes beside it: tokens, nonces.
    pub fn random(&self) -> &dyn Random {
        &*self.inner.environment.random
    }

    /// The database's name: 32 random hex characters, made with it.
    pub fn database_id(&self) -> &str {
        &self.inner.database_id
    }

    /// Moves with every audit row that is committed: at once for this process's, and at the next
    /// [`Store::poll_foreign_commits`] for another's. The value is the newest audit row's number.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Looks whether another process has committed since the last look; if so, moves [`Store::changes`]. Microseconds.
    pub async fn poll_foreign_commits(&self) -> Result<(), StoreError> {
        let (watch, inner) = (self.inner.watch.clone(), self.inner.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
            let watch = watch.as_mut().ok_or(StoreError::Closed)?;
            let version = watch.connection.prepare_cached("PRAGMA data_version")?.query_row((), |row| row.get(0))?;
            if version != watch.seen {
                announce(&inner.changes, read_head(&watch.connection)?);
                inner.duties_version.fetch_add(1, Ordering::AcqRel);
                watch.seen = version;
            }
            Ok(())
        });
        looked.await.unwrap_or_else(|_| Err(StoreError::internal("looking for other commits panicked")))
    }

    /// How much the database takes on the disk. Blocks for microseconds.
    pub fn sizes(&self) -> std::io::Result<Sizes> {
        Sizes::of(&self.inner.path)
    }

    /// How much room there is for it. Blocks for microseconds.
    pub fn room(&self) -> std::io::Result<Room> {
        Room::of(&self.inner.path)
    }

    /// Whether a write can be made now: takes and releases the write lock, behind what is queued. After a write that
    /// failed for want of room it writes for real, until one succeeds. A disk that has filled up since is not noticed
    /// without writing: ask [`Store::room`] too.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        self.write(|write| {
            if write.was_full {
                write.connection.execute("UPDATE audit_head SET id = id", ())?;
            }
            Ok(())
        })
        .await
    }

    /// What the writer of this process has counted of itself. Takes no lock and waits for nothing.
    pub fn writer_numbers(&self) -> WriterNumbers {
        self.writer().meter().read()
    }

    /// Runs a job in the writer, in a transaction of its own as far as it can tell.
    pub(crate) async fn write<F, T>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.inner.writer.submit(work)?.await.unwrap_or(Err(StoreError::Closed))
    }

    /// The same for a job that may change duties or urgent messages: [`Store::duties_version`] moves after it, if it does.
    pub(crate) async fn write_duties<F, T>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let work = move |write: &mut Write<'_>| {
            write.duties_changed.set(false);
            let done = work(write)?;
            Ok((done, write.duties_changed.get()))
        };
        let (done, changed) = self.write(work).await?;
        if changed {
            self.inner.duties_version.fetch_add(1, Ordering::AcqRel);
        }
        Ok(done)
    }

    /// A number that moves whenever duties or urgent messages may have changed: at once where this process did it, and at the
    /// next [`Store::poll_foreign_commits`] where another did. What was read before is right while it stands still.
    pub fn duties_version(&self) -> u64 {
        self.inner.duties_version.load(Ordering::Acquire)
    }

    /// Runs `work`, a read of a few pages by key, on a read-only connection and on this thread.
    pub(crate) async fn look_up<F, T>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
        T: Send,
    {
        self.inner.readers.look_up(work).await
    }

    /// Runs `work` on a read-only connection, off the async threads.
    pub(crate) async fn read<F, T>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.inner.readers.read(work).await
    }

    /// The sessions that were reported past a limit and are not yet written down as ended.
    pub(crate) fn expired(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, EndReason>> {
        self.inner.expired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sign-ins that failed of late.
    pub(crate) fn failed_sign_ins(&self) -> Arc<FailedSignIns> {
        Arc::clone(&self.inner.failed_sign_ins)
    }

    /// The writer of this process.
    pub(crate) fn writer(&self) -> &Writer {
        &self.inner.writer
    }
}

#[cfg(test)]
mod tests;
