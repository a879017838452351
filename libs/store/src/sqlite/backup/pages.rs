//! The pages of a database in plaintext, out of an encrypted one and back into one, a page at a time and in memory alone.
//!
//! Ciphertext does not compress; pages in plaintext do. Written one after the other they are a file that the ordinary sqlite3
//! opens, which is what an emergency needs.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::Connection;

use super::claim::LOCK_START;
use super::{BackupError, DamagedPage};
use crate::sqlite::connection::{Role, check_build, has_read_sound_pages, open};
use crate::sqlite::opening::folder_of;
use crate::sqlite::schema::share;
use crate::types::DatabaseKey;

/// The page size of every database of ours: SQLCipher's.
const PAGE_SIZE: usize = 4096;
/// The page that SQLite's locks lie on: it never uses it, and refuses to read or write it (SQLite's file format, 1.3). Every
/// database above 1 GiB has it.
const LOCK_PAGE: i64 = LOCK_START / PAGE_SIZE as i64 + 1;
/// Pages between looks at whether they were what was written.
const LOOK: u64 = 1000;
/// Where the header says how large a page is, and how many bytes at its end are the cipher's.
const HEADER_PAGE_SIZE: usize = 16;
const HEADER_RESERVED: usize = 20;

/// How much was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCount {
    /// Pages.
    pub pages: u64,
    /// Their bytes together.
    pub bytes: u64,
}

/// Gives every page of the database at `path` to `each`, in order and in plaintext. The bytes at the end of a page that
/// belong to the cipher (and mean nothing to anybody else) are zero. A page that is not what was written ends it with
/// [`BackupError::Damaged`], some pages later.
pub fn read_pages(
    path: &Path,
    key: &DatabaseKey,
    each: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<PageCount, BackupError> {
    check_build()?;
    each_page(&open(path, key, Role::Reader)?, each)
}

/// The same of a database that is open already.
pub(crate) fn each_page(
    connection: &Connection,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<PageCount, BackupError> {
    let mut select = connection.prepare("SELECT data FROM sqlite_dbpage ORDER BY pgno")?;
    let mut rows = select.query(())?;
    let mut count = PageCount { pages: 0, bytes: 0 };
    let mut reserved = 0;
    let mut page = Vec::with_capacity(PAGE_SIZE);
    while let Some(row) = rows.next()? {
        page.clear();
        page.extend_from_slice(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?);
        if count.pages == 0 {
            reserved = page.get(HEADER_RESERVED).map_or(0, |reserved| usize::from(*reserved));
        }
        let content = page.len().saturating_sub(reserved);
        page[content..].fill(0);
        each(&page)?;
        count.pages += 1;
        count.bytes += page.len() as u64;
        if count.pages.is_multiple_of(LOOK) {
            check_pages(connection, count.pages - LOOK + 1, count.pages)?;
        }
    }
    check_pages(connection, count.pages - count.pages % LOOK + 1, count.pages)?;
    Ok(count)
}

/// Whether all that was read so far is what was written, where that is known of the pages before `first`.
fn check_pages(connection: &Connection, first: u64, last: u64) -> Result<(), BackupError> {
    if has_read_sound_pages(connection)? { Ok(()) } else { Err(BackupError::Damaged(DamagedPage { first, last })) }
}

/// Builds an encrypted database out of the bytes that [`read_pages`] gave, however they are cut.
pub struct PageWriter {
    connection: Connection,
    buffer: Vec<u8>,
    pages: i64,
}

impl PageWriter {
    /// A new file at `path`, which must not exist, of mode 0600, or 0660 in a folder that is shared as a database's may be:
    /// a restored database has to be there for every program again.
    pub fn create(path: &Path, key: &DatabaseKey) -> Result<PageWriter, BackupError> {
        check_build()?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        share(&file, folder_of(path))?;
        drop(file);
        let connection = open(path, key, Role::Writer)?;
        // One transaction that nobody else sees, in a file that is thrown away if it is not finished.
        connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN EXCLUSIVE")?;
        Ok(PageWriter { connection, buffer: Vec::with_capacity(PAGE_SIZE), pages: 0 })
    }

    /// Ends the database. It is closed then, and not yet on the disk: most are looked at and thrown away.
    pub fn finish(self) -> Result<(), BackupError> {
        if self.pages == 0 {
            return Err(BackupError::NoDatabase("it is empty"));
        }
        if !self.buffer.is_empty() {
            return Err(BackupError::NoDatabase("its last page is cut off"));
        }
        self.connection.execute_batch("COMMIT")?;
        self.connection.close().map_err(|(_, error)| error)?;
        Ok(())
    }

    fn put(&mut self) -> Result<(), BackupError> {
        if self.pages == 0 {
            check_header(&self.buffer)?;
        }
        self.pages += 1;
        if self.pages == LOCK_PAGE {
            self.buffer.clear();
            return Ok(());
        }
        let mut insert = self.connection.prepare_cached("INSERT INTO sqlite_dbpage (pgno, data) VALUES (?1, ?2)")?;
        insert.execute((self.pages, &self.buffer))?;
        drop(insert);
        self.buffer.clear();
        Ok(())
    }
}

impl Write for PageWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PAGE_SIZE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PAGE_SIZE {
            self.put().map_err(|error| match error {
                BackupError::Io(error) => error,
                other => io::Error::other(other),
            })?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn check_header(page: &[u8]) -> Result<(), BackupError> {
    if !page.starts_with(b"SQLite format 3\0") {
        return Err(BackupError::NoDatabase("it does not begin like one"));
    }
    let size = u16::from_be_bytes([page[HEADER_PAGE_SIZE], page[HEADER_PAGE_SIZE + 1]]);
    if usize::from(size) != PAGE_SIZE {
        return Err(BackupError::NoDatabase("its pages are not 4096 bytes long, as ours are"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    /// A database of more than 1 GiB, with a hole in the place of almost all of its pages.
    #[test]
    fn the_page_that_locks_lie_on_is_left_out() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("small.db");
        std::fs::write(&path, "").unwrap();
        open(&path, &key(), Role::Writer).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let mut first = Vec::new();
        read_pages(&path, &key(), |page| {
            if first.is_empty() {
                first.extend_from_slice(page);
            }
            Ok(())
        })
        .unwrap();
        // The header's own count of pages (SQLite's file format, 1.3.7).
        first[28..32].copy_from_slice(&u32::try_from(LOCK_PAGE + 1).unwrap().to_be_bytes());

        let large = folder.path().join("large.db");
        let mut writer = PageWriter::create(&large, &key()).unwrap();
        writer.write_all(&first).unwrap();
        writer.pages = LOCK_PAGE - 2;
        for byte in [1, 2, 3] {
            writer.write_all(&[byte; PAGE_SIZE]).unwrap();
        }
        writer.finish().unwrap();

        let connection = open(&large, &key(), Role::Reader).unwrap();
        let mut select = connection.prepare("SELECT data FROM sqlite_dbpage WHERE pgno = ?1").unwrap();
        for (pgno, byte) in [(LOCK_PAGE - 1, 1), (LOCK_PAGE, 0), (LOCK_PAGE + 1, 3)] {
            let page: Vec<u8> = select.query_row([pgno], |row| row.get(0)).unwrap();
            assert_eq!(page[..4000], [byte; 4000], "page {pgno}");
        }
        assert!(has_read_sound_pages(&connection).unwrap());
    }
}
