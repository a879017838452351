//! Pages that are not what was written, of each kind, in the database and in its copy.
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;

use super::*;
use crate::testing::*;

const PAGE: u64 = 4096;

/// A closed database in which every kind of page is found, and one page of each: `(kind, page)`. The draft's overflow page
/// and the free ones are those that no check of structure or chain would miss.
async fn one_page_of_each_kind() -> (PathBuf, TempDir, Vec<(String, u64)>) {
    let test = TestStore::new().await;
    let actor = staff(&test.store, "amina").await;
    for number in 0..300 {
        send(&test.store, actor, &format!("s{number}"), &"text ".repeat(50)).await;
    }
    send(&test.store, actor, "long", &"text ".repeat(2_000)).await;
    let (path, folder) = test.close().await;
    let raw = crate::sqlite::connection::open(&path, &key(), crate::sqlite::connection::Role::Writer).unwrap();
    raw.execute_batch(
        "CREATE TABLE gone AS SELECT * FROM message_body; DROP TABLE gone; \
         INSERT INTO draft SELECT id, 0, zeroblob(4096), 0, zeroblob(16), '', printf('%.*c', 9000, 'x'), '' FROM person; PRAGMA wal_checkpoint(TRUNCATE)",
    )
    .unwrap();
    let mut kinds = Vec::new();
    {
        let mut select = raw
            .prepare(
                // Without the schema nothing opens the file at all.
                "SELECT name || ' ' || pagetype, max(pageno) FROM dbstat WHERE name <> 'sqlite_schema' GROUP BY name, pagetype",
            )
            .unwrap();
        let mut rows = select.query(()).unwrap();
        while let Some(row) = rows.next().unwrap() {
            kinds.push((row.get(0).unwrap(), row.get::<_, i64>(1).unwrap().unsigned_abs()));
        }
        let mut free = raw
            .prepare(
                "WITH RECURSIVE page(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM page, pragma_page_count WHERE n < page_count) \
                 SELECT max(n) FROM page WHERE n NOT IN (SELECT pageno FROM dbstat)",
            )
            .unwrap();
        kinds.push(("free".into(), free.query_row((), |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()));
    }
    drop(raw);
    (path, folder, kinds)
}

fn flip(path: &Path, place: u64) {
    use std::io::{Read, Write};
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(place)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(place)).unwrap();
    file.write_all(&[byte[0] ^ 1]).unwrap();
}

fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    copy_database(from, to, &key(), &AtomicBool::new(false), |_, _| ())
}

#[tokio::test]
async fn a_damaged_page_of_the_database_never_becomes_an_empty_one_in_a_copy() {
    let (path, folder, kinds) = one_page_of_each_kind().await;
    for wanted in ["audit_log leaf", "audit_log internal", "message_body overflow", "draft overflow", "free"] {
        assert!(kinds.iter().any(|(kind, _)| kind == wanted), "no {wanted} among {kinds:?}");
    }
    let to = folder.path().join("copy.db");
    for (kind, page) in &kinds {
        let place = (page - 1) * PAGE + 100;
        flip(&path, place);
        match copy(&path, &to) {
            Err(BackupError::SourceDamaged(found)) => {
                assert!((found.first..=found.last).contains(page), "{kind}, page {page}: {found}");
            }
            other => panic!("{kind}, page {page}: {other:?}"),
        }
        std::fs::remove_file(&to).unwrap();
        flip(&path, place);
    }
    copy(&path, &to).unwrap();
    inspect(&to, &key(), |_| ()).unwrap();
}

/// What is read while it is packed needs no other check of its codes.
#[tokio::test]
async fn anyone_who_reads_a_copy_finds_a_damaged_page_of_any_kind() {
    let (path, _folder, kinds) = one_page_of_each_kind().await;
    let read = || read_pages(&path, &key(), |_| Ok(()));
    for (kind, page) in &kinds {
        for place in [0, 100, PAGE - 70, PAGE - 1] {
            flip(&path, (page - 1) * PAGE + place);
            match read() {
                Err(BackupError::Damaged(found)) => {
                    assert!((found.first..=found.last).contains(page), "{kind}, page {page}: {found}");
                }
                other => panic!("{kind}, page {page}, byte {place}: {other:?}"),
            }
            flip(&path, (page - 1) * PAGE + place);
        }
    }
    read().unwrap();
}

#[tokio::test]
async fn a_damaged_page_of_the_write_ahead_log_is_found_too() {
    let test = TestStore::new().await;
    let actor = staff(&test.store, "amina").await;
    send(&test.store, actor, "in the log", &"text ".repeat(3_000)).await;
    let mut log = test.path.clone().into_os_string();
    log.push("-wal");
    // The last frame: 24 bytes of its own, and a page.
    let end = std::fs::metadata(&log).unwrap().len();
    let to = test.path.with_file_name("copy.db");
    flip(Path::new(&log), end - PAGE + 100);
    assert!(matches!(copy(&test.path, &to), Err(BackupError::SourceDamaged(_))));
    std::fs::remove_file(&to).unwrap();
    flip(Path::new(&log), end - PAGE + 100);
    copy(&test.path, &to).unwrap();
}

/// Content that a check stumbles over because its page is damaged is told as what it is.
#[tokio::test]
async fn damage_is_told_before_what_follows_from_it() {
    let (path, _folder, kinds) = one_page_of_each_kind().await;
    let (_, page) = kinds.iter().find(|(kind, _)| kind == "audit_log leaf").unwrap();
    flip(&path, (page - 1) * PAGE + 100);
    let found = inspect_content(&path, &key(), &AtomicBool::new(false), |_| ()).unwrap_err();
    assert!(
        matches!(&found, CopyError::CipherDamage { pages: 1, first } if first.contains(&page.to_string())),
        "{found:?}"
    );
}
