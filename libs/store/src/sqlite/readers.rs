//! A few read-only connections, so that reading never waits for writing.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::types::StoreError;

/// Enough for two processors with one read each on disk; each costs up to 2 MB of page cache.
pub(crate) const READERS: u32 = 4;

/// The connections that are not in use, and a permit for each.
pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    /// One fewer: however many walk far, the next look-up by key finds a connection that none of them has.
    far: Arc<Semaphore>,
}

/// A connection on loan; it goes back even where the work panics.
struct Loan {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            lock(&self.idle).push(connection);
        }
    }
}

impl Readers {
    pub(crate) fn new(connections: Vec<Connection>) -> Self {
        let (permits, far) =
            (Semaphore::new(connections.len()), Semaphore::new(connections.len().saturating_sub(1).max(1)));
        Readers { idle: Arc::new(Mutex::new(connections)), permits: Arc::new(permits), far: Arc::new(far) }
    }

    /// Runs `work` on a connection, here and now. For reads that touch a few pages by key: they take microseconds, and
    /// handing one to another thread would cost more than the read.
    pub(crate) async fn look_up<F, T>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, StoreError>,
    {
        let _permit = self.permits.acquire().await.map_err(|_| StoreError::Closed)?;
        let loan = Loan { connection: lock(&self.idle).pop(), idle: self.idle.clone() };
        match &loan.connection {
            Some(connection) => work(connection),
            None => Err(StoreError::Closed),
        }
    }

    /// Runs `work` on a connection, off the async threads: for reads that may walk far. It may read in one transaction
    /// or several, but holds none open for long: the write-ahead log cannot shrink meanwhile.
    pub(crate) async fn read<F, T>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let far = self.far.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let idle = self.idle.clone();
        let done = tokio::task::spawn_blocking(move || {
            let connection = lock(&idle).pop();
            // Dropped in reverse order: the connection is back before the permit is.
            let _permits = (permit, far);
            let loan = Loan { connection, idle };
            match &loan.connection {
                Some(connection) => work(connection),
                None => Err(StoreError::Closed),
            }
        });
        done.await.unwrap_or_else(|_| Err(StoreError::internal("a read panicked")))
    }

    /// Waits for the reads under way and closes the connections.
    pub(crate) async fn close(&self) {
        if let Ok(all) = self.permits.acquire_many(READERS).await {
            lock(&self.idle).clear();
            self.permits.close();
            drop(all);
        }
    }
}

fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
