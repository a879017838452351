//! A keyed copy of the live database, as it was at one moment.
//!
//! SQLite starts a copy over at every commit of another connection, and a site in use commits all the time. So the source is
//! read inside one transaction, which keeps its moment; it is let go as soon as the pages are there, since the write-ahead
//! log cannot shrink meanwhile.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};

use super::BackupError;
use crate::connection::{Role, check_build, open};
use crate::error::StoreError;
use crate::key::DatabaseKey;

/// Pages between looks at `stop` and pauses: some ten milliseconds of work.
const STEP: i32 = 500;
/// A pause after each step, so that the site's own work comes through on a small machine.
const PAUSE: Duration = Duration::from_millis(2);

/// Copies the database at `from` into a new file at `to`, with the same key, in rollback mode, closed and on the disk.
/// `progress` is told the pages that are done and all of them. Where `stop` turns true, it ends with
/// [`BackupError::Stopped`].
pub fn copy_database(
    from: &Path,
    to: &Path,
    key: &DatabaseKey,
    stop: &AtomicBool,
    mut progress: impl FnMut(u64, u64),
) -> Result<(), BackupError> {
    check_build()?;
    let source = open(from, key, Role::Reader)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let mut copy = open(to, key, Role::Writer)?;
    // It is thrown away if it is not finished.
    copy.execute_batch("PRAGMA synchronous = OFF")?;
    let moment = source.unchecked_transaction()?;
    moment.query_row("SELECT count(*) FROM sqlite_master", (), |_| Ok(()))?;
    {
        let backup = Backup::new(&moment, &mut copy)?;
        loop {
            match backup.step(STEP)? {
                StepResult::Done => break,
                StepResult::More => {}
                // The copy is ours alone, and the moment needs no lock: what this means is not worth finding out in a loop.
                _ => return Err(StoreError::Busy.into()),
            }
            let state = backup.progress();
            let pages = |count: i32| u64::try_from(count).unwrap_or(0);
            progress(pages(state.pagecount - state.remaining), pages(state.pagecount));
            if stop.load(Ordering::Relaxed) {
                return Err(BackupError::Stopped);
            }
            std::thread::sleep(PAUSE);
        }
    }
    drop(moment);
    drop(source);
    // The pages say that the file is in WAL mode, as the source is.
    copy.query_row("PRAGMA journal_mode = DELETE", (), |_| Ok(()))?;
    copy.close().map_err(|(_, error)| error)?;
    File::open(to)?.sync_all()?;
    Ok(())
}
