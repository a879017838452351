#![allow(clippy::print_stdout)]
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;
use crate::sqlite::backup::{ClaimError, claim};
use crate::sqlite::schema::{MIGRATIONS, newest};
use crate::testing::*;
use crate::*;

fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    copy_database(from, to, &key(), &AtomicBool::new(false), |_, _| ())
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A closed copy of a database with some rows, and the folder it is in.
async fn sound_copy() -> (PathBuf, TempDir) {
    let test = TestStore::new().await;
    let actor = staff(&test.store, "amina").await;
    for number in 0..300 {
        send(&test.store, actor, &format!("s{number}"), &"text ".repeat(50)).await;
    }
    let folder = TempDir::new().unwrap();
    let to = folder.path().join("copy.db");
    copy(&test.path, &to).unwrap();
    (to, folder)
}

fn pages_of(path: &Path) -> Vec<u8> {
    let mut clear = Vec::new();
    read_pages(path, &key(), |page| {
        clear.extend_from_slice(page);
        Ok(())
    })
    .unwrap();
    clear
}

fn error(path: &Path) -> CopyError {
    inspect(path, &key(), |_| ()).expect_err("the copy is refused")
}

#[tokio::test]
async fn a_copy_is_sound_closed_private_and_alone() {
    let (path, folder) = sound_copy().await;
    let mut stages = Vec::new();
    let found = inspect(&path, &key(), |stage| stages.push(stage)).unwrap();
    assert_eq!(stages, [Stage::Key, Stage::Cipher, Stage::Structure, Stage::Chain, Stage::Counts]);
    assert_eq!((found.rows["message"], found.rows["person"], found.rows["audit_log"]), (300, 1, 302));
    assert_eq!((found.head.id.get(), found.schema), (302, crate::sqlite::schema::newest()));
    assert_eq!(found.newest_at, at(10));
    assert_eq!(names(folder.path()), ["copy.db"], "nothing else is left beside it");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains("text text"), "it is encrypted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_one_moment_of_a_database_in_use() {
    let test = TestStore::new().await;
    let actor = staff(&test.store, "amina").await;
    for number in 0..2_000 {
        send(&test.store, actor, &format!("s{number}"), &"text ".repeat(400)).await;
    }
    let another = test.another().await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let count = || acknowledged.lock().unwrap().len();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = [test.store.clone(), another.clone()]
        .into_iter()
        .enumerate()
        .map(|(writer, store)| {
            let (acknowledged, stop) = (acknowledged.clone(), stop.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let body = format!("text {number} of writer {writer}");
                    let id = send(&store, actor, "live", &body).await;
                    acknowledged.lock().unwrap().push((id.get(), body));
                }
            })
        })
        .collect();
    let folder = TempDir::new().unwrap();
    let mut proofs = 0;
    for round in 0.. {
        if proofs == 3 {
            break;
        }
        while count() < 1 + round * 20 {
            tokio::task::yield_now().await;
        }
        let before = acknowledged.lock().unwrap().clone();
        let to = folder.path().join(format!("copy{round}.db"));
        let (from, target) = (test.path.clone(), to.clone());
        tokio::task::spawn_blocking(move || copy(&from, &target)).await.unwrap().unwrap();
        // A copy during which nobody wrote proves nothing.
        proofs += usize::from(count() > before.len());
        let found = inspect(&to, &key(), |_| ()).unwrap();
        assert!(found.rows["message"] >= 2_000 + before.len() as u64, "{} messages", found.rows["message"]);
        let restored = crate::sqlite::connection::open(&to, &key(), crate::sqlite::connection::Role::Reader).unwrap();
        let mut body = restored.prepare("SELECT body FROM message_body WHERE message_id = ?1").unwrap();
        for (id, text) in before {
            let found: String = body.query_row([id], |row| row.get(0)).unwrap();
            assert_eq!(found, text, "message {id}, which was acknowledged before the copy began");
        }
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    another.close().await;
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn a_copy_can_be_stopped_and_never_overwrites() {
    let test = TestStore::new().await;
    let actor = staff(&test.store, "amina").await;
    for number in 0..1_500 {
        send(&test.store, actor, &format!("s{number}"), &"text ".repeat(600)).await;
    }
    let folder = TempDir::new().unwrap();
    let to = folder.path().join("copy.db");
    let stop = AtomicBool::new(false);
    let stopped = copy_database(&test.path, &to, &key(), &stop, |done, all| {
        assert!(done > 0 && done < all);
        stop.store(true, Ordering::Relaxed);
    });
    assert!(matches!(stopped, Err(BackupError::Stopped)), "{stopped:?}");
    assert!(matches!(copy(&test.path, &to), Err(BackupError::Io(_))), "a file that is there stays");
}

#[tokio::test]
async fn a_missing_database_is_no_empty_backup() {
    let folder = TempDir::new().unwrap();
    let error = copy(&folder.path().join("none.db"), &folder.path().join("copy.db")).unwrap_err();
    assert!(matches!(error, BackupError::Open(OpenError::Missing { .. })), "{error:?}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[tokio::test]
async fn pages_go_out_and_come_back_however_they_are_cut() {
    let (path, folder) = sound_copy().await;
    let clear = pages_of(&path);
    let before = inspect(&path, &key(), |_| ()).unwrap();
    assert_eq!(clear.len() as u64, before.pages * 4_096);
    let other_key = DatabaseKey::from_hex(&"0b".repeat(32)).unwrap();
    for (cut, key) in [(1_000, key()), (4_096, key()), (70_001, other_key)] {
        let back = folder.path().join(format!("back{cut}.db"));
        let mut writer = PageWriter::create(&back, &key).unwrap();
        for part in clear.chunks(cut) {
            writer.write_all(part).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(inspect(&back, &key, |_| ()).unwrap(), before);
    }
    assert_eq!(names(folder.path()), ["back1000.db", "back4096.db", "back70001.db", "copy.db"]);
}

#[test]
fn a_restored_database_belongs_to_the_group_of_a_shared_folder() {
    for (folder_mode, file_mode) in [(0o700, 0o600), (0o2700, 0o600), (0o2770, 0o660)] {
        let folder = TempDir::new().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(folder_mode)).unwrap();
        let path = folder.path().join("back.db");
        drop(PageWriter::create(&path, &key()).unwrap());
        let found = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, file_mode, "in a folder of mode {folder_mode:o}");
    }
}

#[tokio::test]
async fn the_pages_are_a_database_that_an_ordinary_sqlite_opens() {
    let (path, folder) = sound_copy().await;
    let plain = folder.path().join("plain.sqlite");
    std::fs::write(&plain, pages_of(&path)).unwrap();
    let connection = rusqlite::Connection::open(&plain).unwrap();
    let text = |sql: &str| connection.query_row(sql, (), |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    assert_eq!(text("SELECT count(*) || '' FROM message"), "300");
    drop(connection);
    assert!(matches!(error(&plain), CopyError::NotEncrypted));
}

#[tokio::test]
async fn what_is_no_database_is_not_made_into_one() {
    let (path, folder) = sound_copy().await;
    let clear = pages_of(&path);
    let build = |name: &str, bytes: &[u8]| {
        let mut writer = PageWriter::create(&folder.path().join(name), &key()).unwrap();
        writer.write_all(bytes)?;
        writer.finish()
    };
    for (name, bytes, text) in [
        ("empty", Vec::new(), "empty"),
        ("short", clear[..clear.len() - 1].to_vec(), "cut off"),
        ("text", vec![b'x'; 8_192], "does not begin"),
        (
            "pages",
            {
                let mut other = clear.clone();
                other[16] = 0x20;
                other
            },
            "4096",
        ),
    ] {
        let error = build(name, &bytes).unwrap_err().to_string();
        assert!(error.contains(text), "{name}: {error}");
    }
}

/// One byte changed in each region of the file; SQLCipher's code covers all of them.
#[tokio::test]
async fn a_flipped_byte_anywhere_is_found() {
    let (path, folder) = sound_copy().await;
    let sound = std::fs::read(&path).unwrap();
    let last_page = sound.len() - 4_096;
    for place in [0, 20, 100, 4_000, 4_096 + 7, 4_096 * 3 + 4_090, last_page, sound.len() - 1] {
        let spoilt = folder.path().join("spoilt.db");
        let mut bytes = sound.clone();
        bytes[place] ^= 1;
        std::fs::write(&spoilt, &bytes).unwrap();
        let found = error(&spoilt);
        let on_first_page = place < 4_096;
        match found {
            CopyError::WrongKey if on_first_page => {}
            CopyError::CipherDamage { .. } | CopyError::Structure(_) if !on_first_page => {}
            other => panic!("byte {place}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn each_fault_of_a_copy_has_its_own_name() {
    let (path, folder) = sound_copy().await;
    let spoilt = |name: &str, sql: &str| {
        let to = folder.path().join(name);
        std::fs::copy(&path, &to).unwrap();
        let connection = crate::sqlite::connection::open(&to, &key(), crate::sqlite::connection::Role::Writer).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        error(&to)
    };
    assert!(matches!(error(&folder.path().join("none.db")), CopyError::Missing));
    assert!(
        matches!(spoilt("newer", "PRAGMA user_version = 99"), CopyError::NewerSchema { found: 99, known } if known == newest())
    );
    assert!(matches!(spoilt("foreign", "PRAGMA application_id = 1"), CopyError::NotOurs));
    let orphan = spoilt("orphan", "UPDATE message SET author_id = 77 WHERE id = 5");
    assert!(matches!(&orphan, CopyError::ForeignKeys { table, rows: 1 } if table == "message"), "{orphan:?}");
    let guard: String = crate::sqlite::connection::open(&path, &key(), crate::sqlite::connection::Role::Reader)
        .unwrap()
        .query_row("SELECT sql FROM sqlite_master WHERE name = 'audit_log_fixed'", (), |row| row.get(0))
        .unwrap();
    let altered = spoilt(
        "altered",
        &format!("DROP TRIGGER audit_log_fixed; UPDATE audit_log SET ip = '192.0.2.9' WHERE id = 9; {guard}"),
    );
    assert!(matches!(&altered, CopyError::Chain { row, .. } if row.get() == 9), "{altered:?}");
    let changed = spoilt("changed", "UPDATE message_body SET body = 'other' WHERE message_id = 7");
    assert!(
        matches!(&changed, CopyError::Chain { error: ChainError::Message(id), .. } if id.get() == 7),
        "{changed:?}"
    );

    let wrong = DatabaseKey::from_hex(&"0b".repeat(32)).unwrap();
    assert!(matches!(inspect(&path, &wrong, |_| ()), Err(CopyError::WrongKey)));
    let garbage = folder.path().join("garbage");
    for bytes in [Vec::new(), vec![7; 10], vec![7; 50_000]] {
        std::fs::write(&garbage, bytes).unwrap();
        assert!(matches!(error(&garbage), CopyError::WrongKey));
    }
}

#[tokio::test]
async fn every_schema_is_sound_and_so_is_what_the_program_makes_of_it() {
    let (path, folder) = sound_copy().await;
    for schema in 1..=MIGRATIONS.len() {
        let older = folder.path().join(format!("{schema}.db"));
        write_older(&path, &older, schema);
        assert_eq!(inspect(&older, &key(), |_| ()).unwrap().schema, i64::try_from(schema).unwrap());
        Store::open(&Location::file(&older, &key()), IfMissing::Refuse).await.unwrap().close().await;
        let migrated = folder.path().join(format!("{schema}-migrated.db"));
        copy(&older, &migrated).unwrap();
        assert_eq!(inspect(&migrated, &key(), |_| ()).unwrap().schema, crate::sqlite::schema::newest());
    }
}

/// In a schema of any age: what somebody added, changed or took away is named, whatever it is called.
#[tokio::test]
async fn a_schema_that_is_not_the_programs_own_is_refused_and_named() {
    let (path, folder) = sound_copy().await;
    let trigger = "CREATE TRIGGER foreign_one AFTER INSERT ON session BEGIN UPDATE person SET email = 'x'; END";
    let cases = [
        (trigger, "the trigger `foreign_one` is not the program's"),
        ("CREATE VIEW everything AS SELECT body FROM message_body", "the view `everything` is not the program's"),
        ("CREATE TABLE extra (x)", "the table `extra` is not the program's"),
        ("CREATE INDEX slow ON draft (body)", "the index `slow` is not the program's"),
        ("CREATE TABLE \"a\nb\u{202e}\" (x)", "the table `a\\nb\\u{202e}` is not the program's"),
        ("DROP TRIGGER audit_log_stays", "the trigger `audit_log_stays` is missing"),
        (
            "DROP TRIGGER audit_log_stays; CREATE TRIGGER audit_log_stays BEFORE DELETE ON audit_log BEGIN SELECT 1; END",
            "the trigger `audit_log_stays` is not as the program makes it",
        ),
        ("ALTER TABLE draft ADD COLUMN more TEXT", "the table `draft` is not as the program makes it"),
        // Under the name of one of ours, in the place of a table.
        (
            "ALTER TABLE meta RENAME TO other; CREATE VIEW meta AS SELECT 'database_id' AS name, 'x' AS value",
            "is not the program's",
        ),
    ];
    for schema in 1..=MIGRATIONS.len() {
        for (number, (sql, text)) in cases.iter().enumerate() {
            let spoilt = folder.path().join(format!("{schema}-{number}.db"));
            write_older(&path, &spoilt, schema);
            let connection =
                crate::sqlite::connection::open(&spoilt, &key(), crate::sqlite::connection::Role::Writer).unwrap();
            connection.execute_batch(&format!("PRAGMA journal_mode = DELETE; {sql}")).unwrap();
            drop(connection);
            let found = error(&spoilt);
            assert!(matches!(found, CopyError::ForeignSchema(_)), "{sql}: {found:?}");
            assert!(found.to_string().contains(text), "{found}");
        }
    }
}

const HOLDER: &str = "WARDPOST_TEST_HOLDS";

/// Not a test of its own: the other process of the one below.
#[tokio::test]
async fn holds_a_database_open_when_told_to() {
    let Ok(path) = std::env::var(HOLDER) else { return };
    let store = Store::open(&Location::file(&path, &key()), IfMissing::Refuse).await.unwrap();
    println!("open");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_database_that_another_process_has_open_cannot_be_claimed() {
    use std::io::BufRead;
    let (path, folder) = sound_copy().await;
    let mut holder = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "backup::tests::holds_a_database_open_when_told_to", "--nocapture"])
        .env(HOLDER, &path)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line.contains("open")));
    assert!(matches!(claim(&path), Err(ClaimError::InUse)));
    holder.stdin.take().unwrap().write_all(b"\n").unwrap();
    let rest: Vec<String> = said.collect();
    assert!(holder.wait().unwrap().success(), "{rest:?}");

    let claimed = claim(&path).unwrap();
    assert!(matches!(claim(&path), Err(ClaimError::InUse)), "one claim at a time");
    drop(claimed);
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, "no database").unwrap();
    claim(&garbage).unwrap();
    claim(&folder.path().join("none")).unwrap();
}
