//! An archive: the pages of a database in plaintext, through gzip, into age. Plaintext is in memory alone; two SHA-256 sums are
//! taken on the way. Everything here blocks.

use std::cell::Cell;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use age::{DecryptError, Decryptor, Encryptor};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use store::DatabaseKey;
use store::backup::{BackupError, PageWriter, read_pages};

use crate::age_keys::{BackupIdentity, BackupRecipient};

/// As small as gzip's own level 6, in less than half the time (docs/PERFORMANCE.md).
const LEVEL: u32 = 2;
/// The longest header of an archive that is read, in bytes: age holds all of it in memory, and takes some 200 for each
/// recipient.
const LONGEST_HEADER: u64 = 64 * 1024;
/// How much is moved at once.
const BUFFER: usize = 64 * 1024;

/// Sizes in bytes and SHA-256 sums in hex, of the archive and of the pages in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    /// The archive's size.
    pub archive_bytes: u64,
    /// The archive's hash.
    pub archive_sha256: String,
    /// The size of the pages in plaintext.
    pub database_bytes: u64,
    /// Their hash.
    pub database_sha256: String,
}

/// How much is read at most, in bytes; what goes beyond is refused as soon as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of the archive.
    pub archive_bytes: u64,
    /// Of the pages in it.
    pub database_bytes: u64,
}

/// Why an archive could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The database on this side.
    #[error(transparent)]
    Database(#[from] BackupError),
    /// The other side: where the archive goes to or comes from.
    #[error("{0}")]
    Stream(io::Error),
    /// age refused the recipients.
    #[error("the archive cannot be encrypted: {0}")]
    Encrypt(String),
    /// It does not begin as age's files do.
    #[error("it is not an age archive, or its header is damaged")]
    NotAge,
    /// None of the identities fits.
    #[error(
        "it is encrypted to another key: give the one that fits with --identity FILE (the database key may have changed since)"
    )]
    NotForUs,
    /// It is not what was encrypted.
    #[error("it is damaged: its content is not what was encrypted")]
    Damaged,
    /// It ends too early.
    #[error("it is cut off")]
    CutOff,
    /// It has more than was said of it, or than can be.
    #[error("{what} is longer than {limit} bytes, which is all it should have: reading it was broken off")]
    TooLong {
        /// What.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Inside the encryption there is no gzip, or a damaged one.
    #[error("it decrypts, but what is inside cannot be unpacked: {0}")]
    NotGzip(String),
    /// Something follows the packed database.
    #[error("something follows the packed database: it was not made by this program")]
    Trailing,
}

/// Counts and hashes what passes.
struct Sum<S> {
    stream: S,
    hash: Sha256,
    bytes: u64,
}

impl<S> Sum<S> {
    fn new(stream: S) -> Sum<S> {
        Sum { stream, hash: Sha256::new(), bytes: 0 }
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn finish(self) -> (u64, String, S) {
        (self.bytes, hex::encode(self.hash.finalize()), self.stream)
    }
}

impl<W: Write> Write for Sum<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes)?;
        self.pass(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<R: Read> Read for Sum<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.pass(&buffer[..read]);
        Ok(read)
    }
}

/// Reads on as far as a limit that may change meanwhile.
struct Capped<'a, R> {
    stream: R,
    read: u64,
    limit: &'a Cell<u64>,
}

/// A stream went beyond its limit.
#[derive(Debug, thiserror::Error)]
#[error("too long")]
struct BeyondLimit;

impl<R: Read> Read for Capped<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.read += read as u64;
        if self.read > self.limit.get() { Err(io::Error::other(BeyondLimit)) } else { Ok(read) }
    }
}

/// Packs the database at `path` into `out`; gives the sums and `out`. `progress` is told the bytes that are packed.
pub fn write<W: Write>(
    path: &Path,
    key: &DatabaseKey,
    recipients: &[BackupRecipient],
    out: W,
    mut progress: impl FnMut(u64),
) -> Result<(Sums, W), ArchiveError> {
    let encryptor = Encryptor::with_recipients(recipients.iter().map(BackupRecipient::as_age))
        .map_err(|error| ArchiveError::Encrypt(error.to_string()))?;
    let sealed = encryptor.wrap_output(Sum::new(out)).map_err(ArchiveError::Stream)?;
    let mut clear = Sum::new(GzEncoder::new(sealed, Compression::new(LEVEL)));
    read_pages(path, key, |page| {
        clear.write_all(page)?;
        progress(clear.bytes);
        Ok(())
    })
    .map_err(|error| match error {
        // From the far end of the pipe.
        BackupError::Io(error) => ArchiveError::Stream(error),
        other => ArchiveError::Database(other),
    })?;
    let (database_bytes, database_sha256, packed) = clear.finish();
    let sealed = packed.finish().and_then(|sealed| sealed.finish()).map_err(ArchiveError::Stream)?;
    let (archive_bytes, archive_sha256, mut out) = sealed.finish();
    out.flush().map_err(ArchiveError::Stream)?;
    Ok((Sums { archive_bytes, archive_sha256, database_bytes, database_sha256 }, out))
}

/// Unpacks the archive `from` into a new database at `path`, encrypted with `key`. `progress` is told the bytes that are
/// unpacked. Whatever it says, a file may be left at `path`, for the caller to remove.
pub fn read<R: Read>(
    from: R,
    identities: &[BackupIdentity],
    path: &Path,
    key: &DatabaseKey,
    limits: Limits,
    progress: impl FnMut(u64),
) -> Result<Sums, ArchiveError> {
    let limit = Cell::new(LONGEST_HEADER);
    let read = read_within(from, identities, path, key, limits, &limit, progress);
    read.map_err(|error| match error {
        ArchiveError::Stream(error) if error.get_ref().is_some_and(|inner| inner.is::<BeyondLimit>()) => {
            let what = if limit.get() == limits.archive_bytes { "the archive" } else { "the header of the archive" };
            ArchiveError::TooLong { what, limit: limit.get() }
        }
        other => other,
    })
}

fn read_within<R: Read>(
    from: R,
    identities: &[BackupIdentity],
    path: &Path,
    key: &DatabaseKey,
    limits: Limits,
    limit: &Cell<u64>,
    mut progress: impl FnMut(u64),
) -> Result<Sums, ArchiveError> {
    let mut source = Sum::new(Capped { stream: from, read: 0, limit });
    let (database_bytes, database_sha256) = {
        let decryptor = Decryptor::new(&mut source).map_err(refusal)?;
        limit.set(limits.archive_bytes);
        let opened = decryptor.decrypt(identities.iter().map(BackupIdentity::as_age)).map_err(refusal)?;
        let mut unpacked = GzDecoder::new(BufReader::with_capacity(BUFFER, opened));
        let mut database = Sum::new(PageWriter::create(path, key)?);
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = match unpacked.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => return Err(unpacking(error)),
            };
            if database.bytes + read as u64 > limits.database_bytes {
                return Err(ArchiveError::TooLong { what: "the database in it", limit: limits.database_bytes });
            }
            database.write_all(&buffer[..read]).map_err(|error| match error.downcast::<BackupError>() {
                Ok(error) => ArchiveError::Database(error),
                Err(error) => ArchiveError::Database(BackupError::Io(error)),
            })?;
            progress(database.bytes);
        }
        // gzip ends by itself; age must end there too, or something was cut off or added.
        match unpacked.into_inner().read(&mut buffer) {
            Ok(0) => {}
            Ok(_) => return Err(ArchiveError::Trailing),
            Err(error) => return Err(unpacking(error)),
        }
        let (bytes, sha256, pages) = database.finish();
        pages.finish()?;
        (bytes, sha256)
    };
    let (archive_bytes, archive_sha256, _) = source.finish();
    Ok(Sums { archive_bytes, archive_sha256, database_bytes, database_sha256 })
}

fn refusal(error: DecryptError) -> ArchiveError {
    match error {
        DecryptError::NoMatchingKeys => ArchiveError::NotForUs,
        DecryptError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => ArchiveError::CutOff,
        DecryptError::Io(error) if error.get_ref().is_some() => ArchiveError::Stream(error),
        DecryptError::InvalidMac | DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            ArchiveError::Damaged
        }
        _ => ArchiveError::NotAge,
    }
}

/// An error that came through gzip: its own, age's, or that of the stream behind both.
fn unpacking(error: io::Error) -> ArchiveError {
    match error.kind() {
        // age's word for a failed authentication code.
        io::ErrorKind::InvalidData if error.to_string().contains("decryption") => ArchiveError::Damaged,
        io::ErrorKind::UnexpectedEof => ArchiveError::CutOff,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => ArchiveError::NotGzip(error.to_string()),
        _ => ArchiveError::Stream(error),
    }
}

#[cfg(test)]
mod tests;
