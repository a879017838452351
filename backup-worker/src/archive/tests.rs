use std::path::PathBuf;

use store::backup::{copy_database, inspect};
use tempfile::TempDir;
use testkit::TemporaryStore;

use super::*;

fn key(byte: &str) -> DatabaseKey {
    DatabaseKey::from_hex(&byte.repeat(32)).unwrap()
}

struct Packed {
    folder: TempDir,
    identity: BackupIdentity,
    bytes: Vec<u8>,
    sums: Sums,
}

/// An archive of a small database, and who can open it.
async fn packed() -> Packed {
    let temporary = TemporaryStore::new();
    temporary.open().await.close().await;
    let folder = TempDir::new().unwrap();
    let copy = folder.path().join("copy.db");
    let stop = std::sync::atomic::AtomicBool::new(false);
    copy_database(&temporary.path(), &copy, &temporary.key(), &stop, |_, _| ()).unwrap();
    let identity = BackupIdentity::derive(&key("0c")).unwrap();
    let (sums, bytes) = write(&copy, &temporary.key(), &[identity.recipient()], Vec::new(), |_| ()).unwrap();
    Packed { folder, identity, bytes, sums }
}

impl Packed {
    fn to(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn unpack(&self, name: &str, bytes: &[u8], identities: &[BackupIdentity]) -> Result<Sums, ArchiveError> {
        let limits = Limits { archive_bytes: u64::MAX, database_bytes: u64::MAX };
        self.unpack_within(name, bytes, identities, limits)
    }

    fn unpack_within(
        &self,
        name: &str,
        bytes: &[u8],
        identities: &[BackupIdentity],
        limits: Limits,
    ) -> Result<Sums, ArchiveError> {
        read(bytes, identities, &self.to(name), &key("0d"), limits, |_| ())
    }

    /// The archive with its inside changed and sealed again by anyone who knows the public key.
    fn sealed(&self, inside: &[u8]) -> Vec<u8> {
        let recipient = self.identity.recipient();
        let encryptor = Encryptor::with_recipients(std::iter::once(recipient.as_age())).unwrap();
        let mut out = encryptor.wrap_output(Vec::new()).unwrap();
        out.write_all(inside).unwrap();
        out.finish().unwrap()
    }

    fn inside(&self) -> Vec<u8> {
        let decryptor = Decryptor::new(self.bytes.as_slice()).unwrap();
        let mut inside = Vec::new();
        decryptor.decrypt(std::iter::once(self.identity.as_age())).unwrap().read_to_end(&mut inside).unwrap();
        inside
    }
}

#[tokio::test]
async fn what_was_packed_is_unpacked_under_another_key_with_the_same_sums() {
    let packed = packed().await;
    assert_eq!(packed.sums.archive_bytes, packed.bytes.len() as u64);
    let sums = packed.unpack("back.db", &packed.bytes, std::slice::from_ref(&packed.identity)).unwrap();
    assert_eq!(sums, packed.sums);
    let found = inspect(&packed.to("back.db"), &key("0d"), |_| ()).unwrap();
    assert_eq!(found.pages * 4096, sums.database_bytes);
    assert!(found.rows["audit_log"] >= 1);
}

#[tokio::test]
async fn any_identity_that_fits_is_enough_and_one_that_does_not_is_told_apart() {
    let packed = packed().await;
    let other = BackupIdentity::derive(&key("0e")).unwrap();
    packed.unpack("one.db", &packed.bytes, &[other.clone(), packed.identity.clone()]).unwrap();
    assert!(matches!(packed.unpack("two.db", &packed.bytes, &[other]), Err(ArchiveError::NotForUs)));
}

#[tokio::test]
async fn damage_in_each_region_is_refused() {
    let packed = packed().await;
    let own = [packed.identity.clone()];
    let length = packed.bytes.len();
    // As long as chance will have it: age adds a recipient of no meaning.
    let header = packed.bytes.windows(5).position(|bytes| bytes == b"\n--- ").unwrap() + 49;
    for place in [0, 5, 30, 100, 200, 260, length / 2, length - 1] {
        let mut bytes = packed.bytes.clone();
        bytes[place] ^= 1;
        let error = packed.unpack(&format!("d{place}.db"), &bytes, &own).unwrap_err();
        match error {
            ArchiveError::NotAge | ArchiveError::NotForUs if place < header => {}
            ArchiveError::Damaged => {}
            other => panic!("byte {place} of {length}: {other:?}"),
        }
    }
    for kept in [0, 10, 150, 300, length / 2, length - 1] {
        let error = packed.unpack(&format!("k{kept}.db"), &packed.bytes[..kept], &own).unwrap_err();
        assert!(
            matches!(error, ArchiveError::CutOff | ArchiveError::Damaged | ArchiveError::NotAge),
            "{kept} of {length}: {error:?}"
        );
    }
}

#[tokio::test]
async fn what_is_sealed_but_no_packed_database_is_refused_with_its_own_reason() {
    let packed = packed().await;
    let own = [packed.identity.clone()];
    let inside = packed.inside();
    let gzip = |bytes: &[u8]| {
        let mut out = GzEncoder::new(Vec::new(), Compression::new(1));
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let unpack = |name: &str, inside: &[u8]| packed.unpack(name, &packed.sealed(inside), &own).unwrap_err();
    assert!(matches!(unpack("text.db", b"not gzip at all, but long enough"), ArchiveError::NotGzip(_)));
    assert!(matches!(unpack("cut.db", &inside[..inside.len() / 2]), ArchiveError::CutOff));
    assert!(matches!(unpack("more.db", &[&inside[..], b"more"].concat()), ArchiveError::Trailing));
    let mut flipped = inside.clone();
    let end = flipped.len() - 6;
    flipped[end] ^= 1;
    assert!(matches!(unpack("crc.db", &flipped), ArchiveError::NotGzip(_)));
    assert!(matches!(unpack("plain.db", &gzip(&[7; 9000])), ArchiveError::Database(BackupError::NoDatabase(_))));
    assert!(matches!(unpack("empty.db", &gzip(b"")), ArchiveError::Database(BackupError::NoDatabase(_))));
}

#[tokio::test]
async fn no_more_is_read_than_was_said() {
    let packed = packed().await;
    let own = [packed.identity.clone()];
    let Sums { archive_bytes, database_bytes, .. } = packed.sums;
    let within = |name: &str, bytes: &[u8], archive_bytes, database_bytes| {
        packed.unpack_within(name, bytes, &own, Limits { archive_bytes, database_bytes })
    };
    within("exact.db", &packed.bytes, archive_bytes, database_bytes).unwrap();
    let said = |read: Result<Sums, ArchiveError>| match read.unwrap_err() {
        ArchiveError::TooLong { what, limit } => (what, limit),
        other => panic!("{other:?}"),
    };
    let less = archive_bytes - 1;
    assert_eq!(said(within("archive.db", &packed.bytes, less, u64::MAX)), ("the archive", less));
    let less = database_bytes - 1;
    assert_eq!(said(within("database.db", &packed.bytes, archive_bytes, less)), ("the database in it", less));

    // A gigabyte of zeros in a megabyte: what was unpacked by then is no more than the limit.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::new(9));
    io::copy(&mut GzDecoder::new(&packed.inside()[..]), &mut bomb).unwrap();
    for _ in 0..1024 {
        bomb.write_all(&[0; 1 << 20]).unwrap();
    }
    let bomb = packed.sealed(&bomb.finish().unwrap());
    assert_eq!(said(within("bomb.db", &bomb, bomb.len() as u64, database_bytes)).0, "the database in it");
    assert!(std::fs::metadata(packed.to("bomb.db")).map_or(0, |file| file.len()) <= database_bytes);

    // age holds a header in memory until it ends.
    let endless = [&b"age-encryption.org/v1\n-> X25519 "[..], &vec![b'a'; 1 << 20]].concat();
    assert_eq!(said(within("header.db", &endless, u64::MAX, u64::MAX)), ("the header of the archive", LONGEST_HEADER));
}

#[tokio::test]
async fn a_pipe_that_breaks_ends_the_packing() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let temporary = TemporaryStore::new();
    temporary.open().await.close().await;
    let recipient = BackupIdentity::derive(&key("0c")).unwrap().recipient();
    let error = write(&temporary.path(), &temporary.key(), &[recipient], Full, |_| ()).err().unwrap();
    assert!(matches!(error, ArchiveError::Stream(_)), "{error:?}");
}
