//! The time, also where there is no store to ask: backups are proved and restored on machines without a database.

use store::{Store, Timestamp};

/// The time by the store's clock; by this machine's where there is none.
#[expect(clippy::disallowed_methods, reason = "the one place of this program that asks the system")]
pub(crate) fn now(store: Option<&Store>) -> Timestamp {
    store.map_or_else(Timestamp::now, Store::now)
}
