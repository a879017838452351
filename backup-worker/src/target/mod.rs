//! Where backups are kept: S3, or a directory for machines without AWS. Both keep an archive under its name first, and its
//! manifest last and only if there is none.

mod directory;
mod s3;

use std::fmt;
use std::path::PathBuf;

pub use directory::DirectoryTarget;
pub use s3::S3Target;

use store::Timestamp;
use tokio::sync::mpsc::{Receiver, Sender};

use crate::name::BackupName;
use crate::pipe::Chunk;

/// The address of a target, as a setting names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetAddress {
    /// `s3://BUCKET/PREFIX`
    S3 {
        /// The bucket.
        bucket: String,
        /// What all keys begin with: empty, or ending with a slash.
        prefix: String,
    },
    /// `file:///DIRECTORY`
    Directory(PathBuf),
}

impl TargetAddress {
    /// Reads a setting. The error is a sentence for the operator.
    pub fn parse(text: &str) -> Result<TargetAddress, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            // Amazon's own rules for names of buckets, as far as they keep other addresses out.
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
            let prefix = prefix.trim_end_matches('/');
            let plain = |c: char| c.is_ascii_alphanumeric() || "!_.*'()-/".contains(c);
            if (3..=63).contains(&bucket.len()) && bucket.chars().all(legal) && prefix.chars().all(plain) {
                let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
                return Ok(TargetAddress::S3 { bucket: bucket.to_owned(), prefix });
            }
            return Err(format!("`{text}` does not name a bucket and a prefix of letters, digits and -_./"));
        }
        match text.strip_prefix("file://").map(PathBuf::from) {
            Some(path) if path.is_absolute() && path.file_name().is_some() => Ok(TargetAddress::Directory(path)),
            _ => Err(format!("`{text}` is neither s3://BUCKET/PREFIX nor file:///DIRECTORY")),
        }
    }

    /// Whether old backups are removed there without us: in S3 the bucket's lifecycle does it.
    pub fn prunes_itself(&self) -> bool {
        match self {
            TargetAddress::S3 { .. } => true,
            TargetAddress::Directory(_) => false,
        }
    }
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetAddress::S3 { bucket, prefix } => write!(out, "s3://{bucket}/{}", prefix.trim_end_matches('/')),
            TargetAddress::Directory(path) => write!(out, "file://{}", path.display()),
        }
    }
}

/// How S3 encrypts what it keeps; the archives are encrypted before that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEncryption {
    /// With a key of S3's own.
    Aes256,
    /// With a key of the clinic's in KMS.
    Kms {
        /// Its id, ARN or alias.
        key: String,
    },
}

/// Why a target did not do what was asked. The texts are for an operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It cannot be reached; later it may.
    #[error("{0}")]
    Unavailable(String),
    /// It refuses, and will go on refusing until somebody changes something.
    #[error("{0}")]
    Refused(String),
    /// What was asked for is not there.
    #[error("there is no backup {0}")]
    Missing(String),
    /// An archive is there that was never finished, or has lost its manifest.
    #[error("{0} has no manifest: it was never finished, and does not count as a backup")]
    NoManifest(BackupName),
    /// Nothing is ever replaced.
    #[error("{0} is there already; it was left as it is")]
    Exists(String),
    /// What it keeps is not what it was given.
    #[error("{0}")]
    Wrong(String),
    /// The other end of the pipe has gone, and knows why.
    #[error("the transfer broke off")]
    BrokenOff,
}

/// A backup that a target has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name.
    pub name: BackupName,
    /// The size of the archive.
    pub bytes: u64,
}

/// An open target.
pub enum Target {
    /// S3.
    S3(Box<S3Target>),
    /// A directory.
    Directory(DirectoryTarget),
}

// The futures of the SDK are deep; boxed, what awaits them does not grow with them.
impl Target {
    /// Opens what the address names. Whether S3 lets us in, the first call tells.
    pub async fn open(address: &TargetAddress, encryption: ServerEncryption) -> Result<Target, TargetError> {
        match address {
            TargetAddress::S3 { bucket, prefix } => {
                let target = Box::pin(S3Target::connect(bucket, prefix, encryption)).await?;
                Ok(Target::S3(Box::new(target)))
            }
            TargetAddress::Directory(path) => Ok(Target::Directory(DirectoryTarget::open(path)?)),
        }
    }

    /// Removes what a killed run has left half-made. In S3 the bucket's lifecycle does it: the role needs no right to.
    pub fn clear_unfinished(&self) -> Result<(), TargetError> {
        match self {
            Target::S3(_) => Ok(()),
            Target::Directory(target) => target.clear_unfinished(),
        }
    }

    /// Keeps an archive, and gives its size as the target tells it.
    pub async fn upload(&self, name: &BackupName, chunks: Receiver<Chunk>) -> Result<u64, TargetError> {
        match self {
            Target::S3(target) => Box::pin(target.upload(name, chunks)).await,
            Target::Directory(target) => target.upload(name, chunks).await,
        }
    }

    /// Keeps a manifest, if there is none of this name.
    pub async fn put_manifest(&self, name: &BackupName, json: String) -> Result<(), TargetError> {
        match self {
            Target::S3(target) => Box::pin(target.put_manifest(name, json)).await,
            Target::Directory(target) => target.put_manifest(name, &json),
        }
    }

    /// Removes, as far as it may, what this run has kept of a backup that was not finished. What stays does not count as one.
    pub async fn discard(&self) {
        match self {
            Target::S3(target) => Box::pin(target.abort_upload()).await,
            Target::Directory(target) => target.discard(),
        }
    }

    /// The bytes of a manifest.
    pub async fn manifest(&self, name: &BackupName) -> Result<Vec<u8>, TargetError> {
        match self {
            Target::S3(target) => Box::pin(target.manifest(name)).await,
            Target::Directory(target) => target.manifest(name),
        }
    }

    /// Sends an archive into a pipe.
    pub async fn download(&self, name: &BackupName, chunks: Sender<Chunk>) -> Result<(), TargetError> {
        match self {
            Target::S3(target) => Box::pin(target.download(name, chunks)).await,
            Target::Directory(target) => target.download(name, chunks).await,
        }
    }

    /// The backups that have archive and manifest, oldest first.
    pub async fn list(&self) -> Result<Vec<Listed>, TargetError> {
        match self {
            Target::S3(target) => Box::pin(target.list()).await,
            Target::Directory(target) => target.list(),
        }
    }

    /// Removes what is older than so many days, but never `keep`, and gives what it removed. S3 does it by its lifecycle.
    pub fn prune(&self, days: u32, keep: Option<&BackupName>, now: Timestamp) -> Result<Vec<BackupName>, TargetError> {
        match self {
            Target::S3(_) => Ok(Vec::new()),
            Target::Directory(target) => target.prune(days, keep, now),
        }
    }
}

/// Those of `manifests` whose archive is there, oldest first.
fn whole(mut archives: Vec<Listed>, manifests: &[BackupName]) -> Vec<Listed> {
    archives.retain(|archive| manifests.contains(&archive.name));
    archives.sort();
    archives
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_the_same_way() {
        for text in ["s3://clinic-backups/wardpost", "s3://clinic-backups/a/b", "file:///var/backups/wardpost"] {
            let address = TargetAddress::parse(text).unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.prunes_itself(), text.starts_with("s3:"), "{text}");
        }
        let address = TargetAddress::parse("s3://clinic-backups").unwrap();
        assert_eq!(address, TargetAddress::S3 { bucket: "clinic-backups".into(), prefix: String::new() });
        assert_eq!(TargetAddress::parse("s3://abc/x/").unwrap(), TargetAddress::parse("s3://abc/x").unwrap());
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for text in [
            "",
            "backups",
            "s3://",
            "s3://ab",
            "s3://UPPER/x",
            "s3://abc/a b",
            "s3:abc",
            "file://",
            "file://x",
            "file:///",
        ] {
            assert!(TargetAddress::parse(text).is_err(), "{text}");
        }
    }
}
