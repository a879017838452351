//! The site goes first: whatever makes or proves a backup takes what the site leaves of the processors.
//!
//! Work on pages and archives is done under SCHED_IDLE (sched(7)): it ends its turn the moment that a thread of the site
//! wakes, where niceness alone would let it have its slice of some milliseconds, which is longer than a list takes. All
//! else has niceness 19, with more of a turn on a machine without a moment to spare: it holds the database's write lock for
//! each line of the record. On a machine with time to spare both are as fast as others.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

static SITE_GOES_FIRST: AtomicBool = AtomicBool::new(false);

const NICENESS: i32 = 19;

/// Steps behind the site, for all of the process. Call it before there are other threads, which inherit it, and not for a
/// restore: everybody waits for that.
pub fn let_the_site_go_first() {
    SITE_GOES_FIRST.store(true, Ordering::Relaxed);
    warn_of(rustix::process::nice(NICENESS).map(drop).map_err(io::Error::from));
}

/// Steps further behind, on a thread with long work and without a lock that the site waits for.
pub(crate) fn this_thread_is_for_long_work() {
    if SITE_GOES_FIRST.load(Ordering::Relaxed) {
        warn_of(idle());
    }
}

/// Puts this thread under SCHED_IDLE. nix and rustix do not have this call, and thread-priority 3.1 sets the niceness back to 0
/// with it, which only root may.
#[allow(unsafe_code)]
fn idle() -> io::Result<()> {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads a struct that lives through the call, and nothing else of ours.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn warn_of(stepped: io::Result<()>) {
    if let Err(error) = stepped {
        tracing::warn!(%error, "the site does not go before this program");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::ArchiveError;
    use crate::backup::blocking;

    /// Niceness and policy of this thread: the 19th and the 41st field of its stat file (proc(5)).
    fn niceness_and_policy() -> (i32, i32) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields: Vec<i32> =
            stat.rsplit_once(')').unwrap().1.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        (fields[16], fields[38])
    }

    #[tokio::test]
    async fn only_long_work_is_left_what_the_processors_have_to_spare() {
        let long_work = || blocking(|| Ok::<_, ArchiveError>(niceness_and_policy()));
        let before = niceness_and_policy();
        assert_eq!(long_work().await.unwrap(), before, "a restore is waited for by everybody");

        let_the_site_go_first();
        let behind = (NICENESS, before.1);
        assert_eq!(niceness_and_policy(), behind);
        assert_eq!(long_work().await.unwrap(), (NICENESS, libc::SCHED_IDLE));
        assert_eq!(tokio::task::spawn_blocking(niceness_and_policy).await.unwrap(), behind);
        assert_eq!(
            std::thread::spawn(niceness_and_policy).join().unwrap(),
            behind,
            "what writes the record holds a lock"
        );
    }
}
