//! Another key for the database: an encrypted copy under the new key is made beside it, inspected, and takes its name.
//!
//! SQLCipher can also change the key where the file lies. It rewrites every page then, what is half done is a matter of a
//! journal, and whether the result can be read shows when the old pages are gone. Here the database is not touched until the
//! copy was proved page by page, and the change is one rename: killed at any instant, the file opens with the one key or
//! with the other, whole. The price is room for a second copy, and each page is read twice: some seconds a gigabyte.
//!
//! Everything here blocks.

use std::path::Path;

use serde_json::json;

pub use crate::sqlite::rekey::{OpensWith, RekeyError, Rekeyed, Step, is_unfinished, opens_with, tidy_up};

use crate::backup::LEDGER;
use crate::ledger::audit::Entry;
use crate::types::{Action, DatabaseKey, Environment, Timestamp, clip};

/// Gives the database at `path` the key `new`. `operator` is who wants it, for the row DATABASE_REKEYED. There, keys are told
/// apart by fingerprints, which give nothing away.
pub fn rekey(
    path: &Path,
    old: &DatabaseKey,
    new: &DatabaseKey,
    operator: &str,
    at: Timestamp,
    watch: impl FnMut(Step),
) -> Result<Rekeyed, RekeyError> {
    let details = json!({ "old_key": old.fingerprint(), "new_key": new.fingerprint() });
    let entry = Entry { at, person: None, action: Action::DatabaseRekeyed, message: None, details, ip: None };
    let personal = json!({ "operator": clip(operator, 200) });
    let record =
        |write: &mut crate::sqlite::write::Write<'_>| write.append_personal_in_any(entry, personal).map(|_| ());
    crate::sqlite::rekey::rekey(path, old, new, LEDGER, &Environment::default(), record, watch)
}
