//! Names for requests: short enough to read out over the telephone, unique for this process and unlikely to repeat
//! in another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

#[expect(clippy::disallowed_methods, reason = "a name that no test needs to know beforehand")]
static PROCESS: LazyLock<u32> = LazyLock::new(|| {
    // Without randomness the process id still tells most processes apart.
    getrandom::u32().unwrap_or_else(|_| std::process::id())
});
static COUNT: AtomicU64 = AtomicU64::new(1);

/// The next one, such as `9f1c22ab-17`.
pub(crate) fn next() -> Arc<str> {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:08x}-{count}", *PROCESS).into()
}
