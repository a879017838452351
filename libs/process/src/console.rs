//! What a command tells its caller: results on standard output, errors on standard error. The log is for services.
//!
//! Much of it was written by others: names, what a service answered, what a file says. None of it can command a terminal.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::{Duration, Instant};

use crate::sanitize;

/// How often a person sees how far long work has come.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Prints a result to standard output; a reader that went away is no failure of ours.
pub fn print_out(text: &str) {
    let _ = writeln!(stdout().lock(), "{}", sanitize::lines(text.trim_end()));
}

/// Prints what went wrong to standard error; a reader that went away is no failure of ours.
pub fn print_err(text: &str) {
    let _ = writeln!(stderr().lock(), "{}", sanitize::lines(text.trim_end()));
}

/// Shows on a terminal how far long work has come, a few times a second; elsewhere nothing.
pub struct Progress {
    last: Option<Instant>,
    shown: bool,
}

impl Progress {
    /// Progress of work that begins now.
    pub fn start() -> Progress {
        Progress { last: stderr().is_terminal().then(Instant::now), shown: false }
    }

    /// Shows what `text` says, if it is time to.
    pub fn show(&mut self, text: impl FnOnce() -> String) {
        if self.last.is_none_or(|last| last.elapsed() < PROGRESS_INTERVAL) {
            return;
        }
        self.last = Some(Instant::now());
        self.shown = true;
        // Over the line before; the rest of that is erased.
        let _ = write!(stderr().lock(), "\r{}\x1b[K", sanitize::one_line(&text()));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(stderr().lock(), "\r\x1b[K");
        }
    }
}
