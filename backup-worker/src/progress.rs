//! Showing a person how far long work has come. Work on other threads tells it through a [`Watcher`].

use std::sync::{Arc, Mutex, PoisonError};

use process::console::Progress;

const MEBIBYTE: u64 = 1 << 20;

/// Shows what it is told, on a terminal; elsewhere nothing. Clones show in the same place.
#[derive(Clone)]
pub struct Watcher(Option<Arc<Mutex<Progress>>>);

impl Watcher {
    /// For a command that somebody waits for.
    pub fn of_command() -> Watcher {
        Watcher(Some(Arc::new(Mutex::new(Progress::start()))))
    }

    /// For the service, whose log says when something is done.
    pub fn silent() -> Watcher {
        Watcher(None)
    }

    /// Work of so many pages.
    pub fn pages(&self, what: &str, done: u64, all: u64) {
        self.show(|| format!("{what}: {done} of {all} pages"));
    }

    /// Work whose end is not known.
    pub fn bytes(&self, what: &str, done: u64) {
        self.show(|| format!("{what}: {} MiB", done / MEBIBYTE));
    }

    /// Work of so many bytes.
    pub fn of_bytes(&self, what: &str, done: u64, all: u64) {
        self.show(|| format!("{what}: {} of {} MiB", done / MEBIBYTE, all / MEBIBYTE));
    }

    /// Work that only has a name.
    pub fn stage(&self, what: &str) {
        self.show(|| what.to_owned());
    }

    fn show(&self, text: impl FnOnce() -> String) {
        if let Some(progress) = &self.0 {
            progress.lock().unwrap_or_else(PoisonError::into_inner).show(text);
        }
    }
}
