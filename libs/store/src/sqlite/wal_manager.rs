//! Keeps the write-ahead log short without holding up the writer; the writer's thread calls it between transactions.
//!
//! The [`Checkpointer`] brings the log into the file, this its end, so that the log begins again at its start. The log's file
//! is emptied at once where a message was deleted; at rest where a draft was replaced or given up, and where it is large.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::sqlite::checkpointer::{Checkpointer, Log};
use crate::sqlite::connection::wait_for_locks;
use crate::sqlite::files::write_ahead_log_of;

/// How long a truncating checkpoint may hold up writing while readers finish; how long it then stays away, at first and at
/// most. A backup reads for seconds, and each further failed try would be felt by everybody who writes.
const CHECKPOINT_WAIT: Duration = Duration::from_millis(20);
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(100);
const CHECKPOINT_LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long it stays away after an error, such as a full disk: there is a line in the log each time.
const CHECKPOINT_FAILED_PAUSE: Duration = Duration::from_secs(5);
/// SQLite reuses the log from its start when no reader stands in the way; past so many pages we make room for that.
const LOG_LIMIT: i64 = 16 * 1024;
/// A file that is larger than that many pages with their headers (SQLite's file format, 4) is emptied, which the disk may
/// take a fifth of a second for: when nobody has written for so long.
const LOG_FILE_LIMIT: u64 = LOG_LIMIT.unsigned_abs() * (4096 + 24) + 32;
const REST: Duration = Duration::from_secs(1);
/// A site that is never at rest empties it of replaced and given-up text after so long all the same.
const LATEST: Duration = Duration::from_secs(60);
/// How many commits pass between looks at the log's size.
const LOG_LOOK: u32 = 64;

/// The log of one database, as its writer sees it.
pub(crate) struct WalManager {
    checkpointer: Checkpointer,
    file: PathBuf,
    commits: u32,
    /// When the log is next to be emptied, where it is.
    truncate_at: Option<Instant>,
    truncate_pause: Duration,
    /// Since when the log has held text that is to be gone at rest, where it does.
    erased_since: Option<Instant>,
    /// Whether the log's file was too large when it was last looked at.
    has_large_file: bool,
}

impl WalManager {
    /// Starts the checkpointer on the connection `checkpoints`; the log is that of the database at `path`.
    pub(crate) fn start(checkpoints: Connection, path: &Path) -> std::io::Result<WalManager> {
        Ok(WalManager {
            checkpointer: Checkpointer::start(checkpoints)?,
            file: write_ahead_log_of(path),
            commits: 0,
            truncate_at: None,
            truncate_pause: CHECKPOINT_PAUSE,
            erased_since: None,
            has_large_file: false,
        })
    }

    /// How long the writer may wait for a job; then it calls [`WalManager::truncate_soon`].
    pub(crate) fn timeout(&self) -> Duration {
        match self.truncate_at {
            Some(due) => due.saturating_duration_since(Instant::now()),
            None if self.has_large_file || self.erased_since.is_some() => REST,
            None => Duration::MAX,
        }
    }

    /// The log is emptied at the next [`WalManager::truncate_when_due`]: it holds text that was deleted.
    pub(crate) fn truncate_now(&mut self) {
        self.truncate_at = Some(Instant::now());
    }

    /// The log is emptied at rest: it holds text that was replaced or given up.
    pub(crate) fn truncate_at_rest(&mut self) {
        self.erased_since.get_or_insert_with(Instant::now);
    }

    /// The same as [`WalManager::truncate_now`], but not before a pause that was taken since a failed try.
    pub(crate) fn truncate_soon(&mut self) {
        self.truncate_at.get_or_insert_with(Instant::now);
    }

    /// Something was committed on the writer's `connection`.
    pub(crate) fn committed(&mut self, connection: &mut Connection) {
        self.checkpointer.committed();
        self.finish_checkpoint(connection);
        if self.erased_since.is_some_and(|since| since.elapsed() >= LATEST) {
            self.truncate_soon();
        }
        self.commits = self.commits.wrapping_add(1);
        if self.commits.is_multiple_of(LOG_LOOK) {
            self.has_large_file = std::fs::metadata(&self.file).is_ok_and(|file| file.len() > LOG_FILE_LIMIT);
            if let Err(error) = restart_long_log(connection) {
                tracing::warn!(%error, "the write-ahead log could not begin again at its start; it is tried again");
            }
        }
    }

    /// Empties the log where that is due.
    pub(crate) fn truncate_when_due(&mut self, connection: &mut Connection) {
        if self.truncate_at.is_some_and(|due| due <= Instant::now()) {
            self.truncate_at = match checkpoint(connection, "TRUNCATE") {
                Ok(true) => {
                    self.truncate_pause = CHECKPOINT_PAUSE;
                    self.has_large_file = false;
                    self.erased_since = None;
                    None
                }
                Ok(false) => {
                    let due = Instant::now() + self.truncate_pause;
                    self.truncate_pause = (self.truncate_pause * 4).min(CHECKPOINT_LONGEST_PAUSE);
                    Some(due)
                }
                Err(error) => {
                    tracing::warn!(%error, "the write-ahead log could not be emptied; it is tried again");
                    Some(Instant::now() + CHECKPOINT_FAILED_PAUSE)
                }
            };
        }
    }

    /// The last call: ends the checkpointer, and empties the log of what was erased. Where nothing was, whichever connection
    /// closes last does it.
    pub(crate) fn stop(&mut self, connection: &mut Connection) {
        self.checkpointer.stop();
        if (self.truncate_at.is_some() || self.erased_since.is_some())
            && let Err(error) = checkpoint(connection, "TRUNCATE")
        {
            tracing::warn!(%error, "the write-ahead log could not be emptied; the next start does it");
        }
    }

    /// Brings in what was written while the checkpointer was at it, so that the log can begin again at its start.
    fn finish_checkpoint(&self, connection: &Connection) {
        if self.checkpointer.take_caught_up()
            && let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))
        {
            tracing::warn!(%error, "the end of the write-ahead log could not be brought into the database file");
        }
    }
}

/// Waits for readers that keep the log from beginning again, but not for one who still needs what was there long before.
fn restart_long_log(connection: &mut Connection) -> rusqlite::Result<()> {
    let log = Log::look(connection)?;
    if log.pages > LOG_LIMIT && log.is_nearly_in_the_file() {
        checkpoint(connection, "RESTART")?;
    }
    Ok(())
}

/// A checkpoint that waits for readers, but not long; false where a reader still needs the log.
fn checkpoint(connection: &mut Connection, how: &str) -> rusqlite::Result<bool> {
    let busy = connection
        .busy_timeout(CHECKPOINT_WAIT)
        .and_then(|()| connection.query_row(&format!("PRAGMA wal_checkpoint({how})"), (), |row| row.get::<_, i64>(0)));
    if let Err(error) = wait_for_locks(connection) {
        tracing::error!(%error, "waiting for locks could not be set up again");
    }
    Ok(busy? == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestStore;

    #[tokio::test]
    async fn a_log_that_is_never_at_rest_is_emptied_after_a_minute() {
        let test = TestStore::new().await;
        let mut connection = test.raw();
        let mut manager = WalManager::start(test.raw(), &test.path).unwrap();
        assert_eq!(manager.timeout(), Duration::MAX);
        manager.truncate_at_rest();
        manager.committed(&mut connection);
        assert_eq!((manager.timeout(), manager.truncate_at), (REST, None));
        manager.erased_since = Instant::now().checked_sub(LATEST);
        manager.committed(&mut connection);
        assert_eq!(manager.timeout(), Duration::ZERO);
        manager.truncate_when_due(&mut connection);
        assert_eq!((manager.timeout(), manager.erased_since), (Duration::MAX, None));
        manager.stop(&mut connection);
    }
}
