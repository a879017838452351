//! Why a backup, a drill or a restore did not come to its end, and what that means for its exit code.

use process::Exit;
use store::backup::{BackupError, CopyError};
use store::{OpenError, StoreError};

use crate::age_keys::IdentityError;
use crate::archive::ArchiveError;
use crate::target::TargetError;
use crate::work::WorkError;

/// The reason, in words for an operator; never a secret.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The copy, or what was unpacked, is not sound.
    #[error("the copy is not sound: {0}")]
    Copy(#[from] CopyError),
    /// The archive.
    #[error("the archive: {0}")]
    Archive(#[from] ArchiveError),
    /// The manifest, or what differs from it.
    #[error("{0}")]
    Manifest(String),
    /// Nobody vouches for the backup.
    #[error("{0}")]
    Untrusted(String),
    /// The database could not be copied.
    #[error(transparent)]
    Database(#[from] BackupError),
    /// It could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It could not be written to.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The work folder.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// What was asked for cannot be done.
    #[error("{0}")]
    NotPossible(String),
    /// It was asked to stop.
    #[error("stopped before it was done; nothing was kept")]
    Stopped,
    /// The system gives no more threads.
    #[error("a thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
    /// A part of the program failed.
    #[error("a part of the program failed: see its log")]
    Panicked,
}

impl WorkerError {
    /// The exit code: whether trying again can help.
    pub fn exit(&self) -> Exit {
        match self {
            WorkerError::Target(TargetError::Unavailable(_)) => Exit::Unavailable,
            WorkerError::Open(error) => database::exit_of(error),
            _ => Exit::Failed,
        }
    }
}
