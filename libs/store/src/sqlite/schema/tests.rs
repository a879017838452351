use std::path::PathBuf;

use super::*;
use crate::backup::{CopyError, inspect};
use crate::sqlite::connection::{Role, open};
use crate::testing::*;
use crate::{IfMissing, Location, Store};

#[test]
fn the_folder_holds_the_migrations_of_the_program_and_no_others() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let texts: Vec<_> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert_eq!(texts, MIGRATIONS);
    for (number, file) in (1..).zip(&files) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(&format!("{number:04}_")) && name.ends_with(".sql"), "{name}");
        assert!(texts[number - 1].starts_with(&format!("-- Schema {number}")), "{name}");
    }
}

/// The first four bytes of each checksum, as a number.
const CHECKSUMS: [u32; 11] = [
    703_725_767,
    1_455_450_561,
    2_102_526_090,
    1_510_173_770,
    4_194_116_220,
    828_081_862,
    3_425_523_860,
    0x8e87af86,
    0x677bb9dc,
    0x29800b70,
    2_550_381_901,
];

/// A new migration adds a line here. None that was released may change: every database that it made would be refused.
#[test]
fn a_migration_that_was_released_is_as_it_was() {
    let found: Vec<_> = checksums().map(|(_, [a, b, c, d, ..])| u32::from_be_bytes([a, b, c, d])).collect();
    assert_eq!(found, CHECKSUMS);
}

async fn recorded(store: &Store) -> Vec<(i64, [u8; 32])> {
    let read = store.read(|connection| {
        let mut select = connection.prepare("SELECT number, sha256 FROM migration ORDER BY number")?;
        let rows = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    });
    read.await.unwrap()
}

#[tokio::test]
async fn a_database_knows_what_has_made_it_whichever_schema_it_began_with() {
    let test = TestStore::new().await;
    staff(&test.store, "amina").await;
    assert_eq!(recorded(&test.store).await, checksums().collect::<Vec<_>>());
    let (path, directory) = test.close().await;
    for older in 1..MIGRATIONS.len() {
        let file = directory.path().join(format!("{older}.db"));
        write_older(&path, &file, older);
        let store = Store::open(&Location::file(&file, &key()), IfMissing::Refuse).await.unwrap();
        assert_eq!(recorded(&store).await, checksums().collect::<Vec<_>>(), "from schema {older}");
        store.close().await;
    }
}

#[tokio::test]
async fn a_database_that_other_migrations_have_made_is_refused_as_it_is() {
    let (path, _directory) = TestStore::new().await.close().await;
    for (number, change) in [
        (3, "UPDATE migration SET sha256 = zeroblob(32) WHERE number = 3"),
        (3, "DELETE FROM migration WHERE number IN (3, 5)"),
        (7, "DELETE FROM migration WHERE number = 7"),
    ] {
        let test = TestStore::copy_of(&path).await;
        test.tamper(change);
        let (spoilt, _directory) = test.close().await;
        let before = std::fs::read(&spoilt).unwrap();
        let error = Store::open(&Location::file(&spoilt, &key()), IfMissing::Create).await.err().unwrap();
        assert!(matches!(error, OpenError::OtherMigration { number: found, .. } if found == number), "{error:?}");
        assert!(error.to_string().contains(&format!("migration {number} ")), "{error}");
        let error = inspect(&spoilt, &key(), |_| ()).unwrap_err();
        assert!(matches!(error, CopyError::OtherMigration { number: found } if found == number), "{error:?}");
        assert_eq!(std::fs::read(&spoilt).unwrap(), before);
    }
    let raw = open(&path, &key(), Role::Writer).unwrap();
    for change in ["UPDATE migration SET number = 8 WHERE number = 7", "DELETE FROM migration"] {
        assert!(raw.execute_batch(change).is_err(), "{change}");
    }
}
