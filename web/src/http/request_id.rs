//! Names for requests: short enough to read out over the telephone, unique for this process and unlikely to repeat
//! in another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives each request of a process its name.
pub(crate) struct RequestIds {
    process: u32,
    count: AtomicU64,
}

impl RequestIds {
    /// The names of one process, which a random number tells from another's.
    pub(crate) fn of(process: u32) -> Self {
        Self { process, count: AtomicU64::new(1) }
    }

    /// The next one, such as `9f1c22ab-17`.
    pub(crate) fn next(&self) -> Arc<str> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}-{count}", self.process).into()
    }
}
