//! Ending a long look at a file before its end: SQLite is told so from another thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rusqlite::Connection;

use super::{BackupError, CopyError};

/// Between looks at `stop`. What is told reaches only the statement that runs, so it is told until the work has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Does `work` on the connection. Where `stop` turns true, its statements are interrupted, and this ends with
/// [`BackupError::Stopped`], whatever the work made of that.
pub(super) fn unless_stopped<T>(
    connection: &Connection,
    stop: &AtomicBool,
    work: impl FnOnce() -> Result<T, CopyError>,
) -> Result<T, CopyError> {
    let handle = connection.get_interrupt_handle();
    let done = std::thread::scope(|scope| {
        let (at_work, ended) = channel::<()>();
        scope.spawn(move || {
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if stop.load(Ordering::Relaxed) {
                    handle.interrupt();
                }
            }
        });
        // Gone when the work is done, or panics.
        let _at_work = at_work;
        work()
    });
    match done {
        Err(_) if stop.load(Ordering::Relaxed) => Err(BackupError::Stopped.into()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREVER: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

    #[test]
    fn a_statement_that_would_never_end_is_interrupted() {
        let connection = Connection::open_in_memory().unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(LOOK);
                stop.store(true, Ordering::Relaxed);
            });
            let ended = unless_stopped(&connection, &stop, || Ok(connection.query_row(FOREVER, (), |_| Ok(()))?));
            assert!(matches!(ended, Err(CopyError::Unreadable(BackupError::Stopped))), "{ended:?}");
        });
        // Work that has come to its end anyway has ended well.
        assert!(unless_stopped(&connection, &stop, || Ok(7)).is_ok_and(|seven| seven == 7));
    }
}
