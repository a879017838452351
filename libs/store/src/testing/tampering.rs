//! What the check of the chain finds in a database that somebody has changed.

use std::path::Path;

use super::{TestStore, log};
use crate::{ChainError, ChainPosition, ChainVerdict, People, Store};

/// The row and the error of a check that finds something.
fn found(verdict: ChainVerdict) -> (i64, ChainError) {
    match verdict {
        ChainVerdict::Broken { row, error } => (row.get(), error),
        sound => panic!("not found: {sound:?}"),
    }
}

/// What the check of the whole chain finds first.
pub(crate) async fn first_error(store: &Store) -> (i64, ChainError) {
    found(store.verify_chain(None, |_| ()).await.unwrap())
}

/// Each script changes a copy of a closed file, and the check of the whole chain finds this at this row.
pub(crate) async fn assert_each_is_found(source: &Path, cases: &[(&str, i64, ChainError)]) {
    for (sql, row, error) in cases {
        let copy = TestStore::copy_of(source).await;
        let raw = copy.unguarded();
        let before = raw.total_changes();
        raw.execute_batch(sql).unwrap();
        assert!(raw.total_changes() > before, "it changes nothing: {sql}");
        // Opened again, as it would be after somebody was at the file.
        assert_eq!(first_error(&copy.another().await).await, (*row, *error), "{sql}");
    }
}

/// Where a check may go on after each row, with what the whole log says of people.
async fn positions(store: &Store) -> Vec<(ChainPosition, People)> {
    let ChainVerdict::Sound { people, .. } = store.verify_chain(None, |_| ()).await.unwrap() else {
        panic!("not sound");
    };
    log(store).await.iter().map(|row| (ChainPosition { id: row.id, hash: row.hash }, people.clone())).collect()
}

/// Wherever a check of the new rows alone goes on, it finds nothing.
pub(crate) async fn assert_sound_from_every_row(store: &Store) {
    for position in positions(store).await {
        let verdict = store.verify_chain(Some(position), |_| ()).await.unwrap();
        assert!(matches!(verdict, ChainVerdict::Sound { .. }), "{verdict:?}");
    }
}

/// What a check of the rows after `row` alone finds once the statement has changed something.
pub(crate) async fn error_in_rows_after(test: &TestStore, row: usize, sql: &str) -> (i64, ChainError) {
    let before = positions(&test.store).await.swap_remove(row - 1);
    test.tamper(sql);
    found(test.store.verify_chain(Some(before), |_| ()).await.unwrap())
}
