//! Brings the write-ahead log into the file beside the writer, so that no commit waits for it.
//!
//! Left to SQLite, every thousandth page or so makes its commit write those pages into the file and wait for the disk;
//! and the first commit after a backup, which has read one moment meanwhile, everything that was written since. Here a
//! thread of its own does that, and the writer goes on writing the log. What it wrote during that time it brings in
//! itself, which is little ([`Checkpointer::take_caught_up`]): only then can the log begin again at its start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// How many pages the log may have that are not in the file: SQLite's own number.
const PAGES: i64 = 1000;
/// Between two looks at how many there are.
const PAUSE: Duration = Duration::from_millis(20);
/// How long it stays away after an error, such as a full disk: there is a line in the log each time.
const FAILED_PAUSE: Duration = Duration::from_secs(5);

/// The thread, and what it is told and tells.
pub(crate) struct Checkpointer {
    commits: Option<SyncSender<()>>,
    caught_up: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread, on a connection of its own that may write.
    pub(crate) fn start(connection: Connection) -> std::io::Result<Checkpointer> {
        let (commits, committed) = sync_channel(1);
        let caught_up = Arc::<AtomicBool>::default();
        let told = Arc::clone(&caught_up);
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || work(&connection, &committed, &told))?;
        Ok(Checkpointer { commits: Some(commits), caught_up, thread: Some(thread) })
    }

    /// Something was committed. Never waits.
    pub(crate) fn committed(&self) {
        if let Some(commits) = &self.commits {
            // A full channel means that it will look anyway.
            let _ = commits.try_send(());
        }
    }

    /// Whether the thread has brought in all but a little: once for each time that it did.
    pub(crate) fn take_caught_up(&self) -> bool {
        self.caught_up.swap(false, Ordering::Relaxed)
    }

    /// Lets the thread finish what it is at, and closes its connection.
    pub(crate) fn stop(&mut self) {
        self.commits = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that empties the write-ahead log panicked");
        }
    }
}

fn work(connection: &Connection, committed: &Receiver<()>, caught_up: &AtomicBool) {
    let mut stay_away_until = Instant::now();
    while committed.recv().is_ok() {
        if Instant::now() < stay_away_until {
            continue;
        }
        match bring_in_when_due(connection) {
            Ok(true) => caught_up.store(true, Ordering::Relaxed),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log could not be brought into the database file; it is tried again");
                stay_away_until = Instant::now() + FAILED_PAUSE;
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether it was due, and what is left is little.
fn bring_in_when_due(connection: &Connection) -> rusqlite::Result<bool> {
    if Log::look(connection)?.is_nearly_in_the_file() {
        return Ok(false);
    }
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))?;
    Log::look(connection).map(Log::is_nearly_in_the_file)
}

/// The write-ahead log, as SQLite tells of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    /// Its pages since it last began at its start.
    pub(crate) pages: i64,
    /// Those of them that are in the file.
    pub(crate) done: i64,
}

impl Log {
    /// Changes nothing, and takes microseconds.
    pub(crate) fn look(connection: &Connection) -> rusqlite::Result<Log> {
        connection
            .prepare_cached("PRAGMA wal_checkpoint(NOOP)")?
            .query_row((), |row| Ok(Log { pages: row.get(1)?, done: row.get(2)? }))
    }

    /// Whether what is left is less than a commit would be slowed by.
    pub(crate) fn is_nearly_in_the_file(self) -> bool {
        self.pages - self.done < PAGES
    }
}

#[cfg(test)]
mod tests;
