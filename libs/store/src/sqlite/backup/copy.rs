//! A keyed copy of the live database, as it was at one moment.
//!
//! SQLite starts a copy over at every commit of another connection, and a site in use commits all the time. So the source is
//! read inside one transaction, which keeps its moment; it is let go as soon as the pages are there, since the write-ahead
//! log cannot shrink meanwhile.
//!
//! A page of the source that is not what was written would be an empty one in the copy, with a good code of its own: no check
//! of the copy could tell it. So it is asked for while the pages are read.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};

use super::{BackupError, DamagedPage};
use crate::sqlite::connection::{Role, check_build, has_read_sound_pages, open};
use crate::types::{DatabaseKey, StoreError};

/// Pages between looks at `stop` and pauses: some ten milliseconds of work.
const STEP: i32 = 500;
/// A pause after each step, so that the site's own work comes through on a small machine.
const PAUSE: Duration = Duration::from_millis(2);

/// Copies the database at `from` into a new file at `to`, with the same key, in rollback mode and closed. It is not brought
/// to the disk: it is thrown away soon, and on its way there it would hold up what the site writes. `progress` is told the
/// pages that are done and all of them. Where `stop` turns true, it ends with [`BackupError::Stopped`]; where the database
/// itself is damaged, with [`BackupError::SourceDamaged`].
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
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    let moment = source.unchecked_transaction()?;
    moment.query_row("SELECT count(*) FROM sqlite_master", (), |_| Ok(()))?;
    {
        let backup = Backup::new(&moment, &mut copy)?;
        let mut sound = 0;
        loop {
            let step = backup.step(STEP)?;
            let state = backup.progress();
            let pages = |count: i32| u64::try_from(count).unwrap_or(0);
            let done = pages(state.pagecount - state.remaining);
            if !has_read_sound_pages(&moment)? {
                return Err(BackupError::SourceDamaged(DamagedPage { first: sound + 1, last: done }));
            }
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                // The copy is ours alone, and the moment needs no lock: what this means is not worth finding out in a loop.
                _ => return Err(StoreError::Busy.into()),
            }
            sound = done;
            progress(done, pages(state.pagecount));
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
    Ok(())
}
