//! Putting the env file in place: whole or not at all, private from its first byte, and not at all when nothing changed.
//!
//! A run that is killed here, between any two calls, leaves the old file or the new one, and at worst a temporary file beside
//! it that is as private and that the next run removes. A lock on the folder keeps two runs from removing each other's.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use process::env_file::{self, EnvFileError};
use process::{EnvFile, Exit};
use zeroize::Zeroizing;

use crate::check::differences;
use crate::config::Owner;
use crate::dialects;
use crate::secret::Secret;
use crate::system::fill_random;

/// The owner alone may read and write it.
const MODE: u32 = 0o600;

/// How a temporary file is called: these around the env file's own name and 16 random digits.
const TEMPORARY: (&str, &str) = (".", ".unfinished");

/// Its first line.
const HEAD: &str = "# Written by secrets-init, which replaces it whenever the secret changes.\n";

/// What became of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is new, or was replaced.
    New,
    /// It held the same already, and was not touched.
    Unchanged,
}

/// Why the file is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("cannot {what} {}: {source}{}", path.display(), hint(source))]
    System { what: &'static str, path: PathBuf, source: io::Error },
    #[error("another secrets-init is at work in {}", .0.display())]
    Busy(PathBuf),
    #[error("{} cannot be given to the owner in WARDPOST_ENV_OWNER: {source}; only root gives files away", path.display())]
    Owner { path: PathBuf, source: io::Error },
    #[error("the secret cannot be put into an env file: {0}")]
    Unwritable(EnvFileError),
    #[error("the new env file {}: {error}; it was not put in place", path.display())]
    NotReadBack { path: PathBuf, error: EnvFileError },
    #[error("{reader} would read the new env file otherwise than it was meant; it was not put in place")]
    ReadOtherwise { reader: &'static str },
}

/// What to do about the errors that people meet.
fn hint(source: &io::Error) -> &'static str {
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC | Errno::EDQUOT) => "; the file that was there stays. Make room on this file system",
        Some(Errno::EROFS | Errno::EACCES | Errno::EPERM) => "; this program must be able to write in that folder",
        Some(Errno::ENOENT | Errno::ENOTDIR) => {
            "; the folder must exist: RuntimeDirectory= of a unit makes it, or tmpfiles"
        }
        _ => "",
    }
}

impl WriteError {
    fn system(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WriteError {
        let path = path.to_owned();
        move |source| WriteError::System { what, path, source }
    }

    /// What another try can mend is 1 or 69; what a person must mend is 78.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            WriteError::Busy(_) => Exit::Unavailable,
            WriteError::Owner { .. } | WriteError::Unwritable(_) => Exit::Configuration,
            WriteError::System { source, .. } => match source.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EROFS | Errno::EACCES | Errno::EPERM | Errno::ENOENT | Errno::ENOTDIR | Errno::EISDIR) => {
                    Exit::Configuration
                }
                _ => Exit::Failed,
            },
            WriteError::NotReadBack { .. } | WriteError::ReadOtherwise { .. } => Exit::Failed,
        }
    }
}

/// Writes the file, unless it holds the same already.
pub(crate) fn write(path: &Path, owner: Option<&Owner>, secret: &Secret) -> Result<Written, WriteError> {
    let text = render(secret)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let directory = File::open(folder).map_err(WriteError::system("open the folder", folder))?;
    let directory = Flock::lock(directory, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
        Errno::EWOULDBLOCK => WriteError::Busy(folder.to_owned()),
        error => WriteError::system("lock the folder", folder)(error.into()),
    })?;
    remove_unfinished(path, folder);
    if is_current(path, owner, secret) {
        return Ok(Written::Unchanged);
    }
    if fstatfs(&*directory).is_ok_and(|status| status.filesystem_type() != TMPFS_MAGIC) {
        tracing::warn!(folder = %folder.display(), "the folder is not in memory (tmpfs): the secrets will be on a disk, in plaintext");
    }
    replace(path, folder, &text, owner, secret)?;
    directory.sync_all().map_err(WriteError::system("sync the folder", folder))?;
    Ok(Written::New)
}

/// Puts this text in the place of the file, if every reader finds the secret in it.
fn replace(path: &Path, folder: &Path, text: &str, owner: Option<&Owner>, secret: &Secret) -> Result<(), WriteError> {
    let unfinished = Unfinished::new(path, folder)?;
    unfinished.fill(text, owner)?;
    unfinished.read_back(secret)?;
    unfinished.put_in_place(path)
}

fn render(secret: &Secret) -> Result<Zeroizing<String>, WriteError> {
    let settings = env_file::render(secret.variables()).map_err(WriteError::Unwritable)?;
    // Room for both at once: a string that grows leaves a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(HEAD.len() + settings.len()));
    text.push_str(HEAD);
    text.push_str(&settings);
    Ok(text)
}

/// Whether the file that is there says the same and belongs to the same. One that cannot be read is replaced: the reason
/// is logged, since somebody else has written it.
fn is_current(path: &Path, owner: Option<&Owner>, secret: &Secret) -> bool {
    let file = match EnvFile::read(path) {
        Ok(file) => file,
        Err(error) if error.is_missing() => return false,
        Err(error) => {
            tracing::warn!(%error, "the env file that is there is no good, and is replaced");
            return false;
        }
    };
    let owned = owner.is_none_or(|owner| {
        fs::metadata(path).is_ok_and(|found| (found.uid(), found.gid()) == (owner.user.as_raw(), owner.group.as_raw()))
    });
    owned && differences(&file, secret).is_empty()
}

/// Removes what runs that were killed have left. One that cannot be removed is no reason to have no secrets.
fn remove_unfinished(path: &Path, folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| is_unfinished(name, path)) {
            match fs::remove_file(entry.path()) {
                Ok(()) => tracing::info!(file = %entry.path().display(), "removed what an interrupted run has left"),
                Err(error) => {
                    tracing::warn!(file = %entry.path().display(), %error, "cannot remove what an interrupted run has left")
                }
            }
        }
    }
}

fn unfinished_name(path: &Path, random: u64) -> String {
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    format!("{}{own}.{random:016x}{}", TEMPORARY.0, TEMPORARY.1)
}

fn is_unfinished(name: &str, path: &Path) -> bool {
    let random = name.strip_suffix(TEMPORARY.1).and_then(|name| name.rsplit_once('.')).map(|(_, random)| random);
    random
        .filter(|random| random.len() == 16)
        .and_then(|random| u64::from_str_radix(random, 16).ok())
        .is_some_and(|random| unfinished_name(path, random) == name)
}

/// A file on its way to be the env file; removed when it does not get there.
struct Unfinished {
    path: PathBuf,
    file: File,
    in_place: bool,
}

impl Unfinished {
    fn new(path: &Path, folder: &Path) -> Result<Unfinished, WriteError> {
        let mut random = [0; 8];
        fill_random(&mut random)
            .map_err(|error| WriteError::system("name a file in", folder)(io::Error::other(error)))?;
        let path = folder.join(unfinished_name(path, u64::from_ne_bytes(random)));
        // O_EXCL: nobody can have put a file or a link of this name there before.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(&path)
            .map_err(WriteError::system("create", &path))?;
        Ok(Unfinished { path, file, in_place: false })
    }

    /// Its owner first, so that no byte of the secret is ever there for another.
    fn fill(&self, text: &str, owner: Option<&Owner>) -> Result<(), WriteError> {
        // The umask may have taken away more than it should.
        self.file
            .set_permissions(fs::Permissions::from_mode(MODE))
            .map_err(WriteError::system("set the mode of", &self.path))?;
        if let Some(owner) = owner {
            std::os::unix::fs::fchown(&self.file, Some(owner.user.as_raw()), Some(owner.group.as_raw()))
                .map_err(|source| WriteError::Owner { path: self.path.clone(), source })?;
        }
        (&self.file).write_all(text.as_bytes()).map_err(WriteError::system("write", &self.path))?;
        self.file.sync_all().map_err(WriteError::system("sync", &self.path))
    }

    /// Reads it from the disk as every reader would.
    fn read_back(&self, secret: &Secret) -> Result<(), WriteError> {
        let not_read_back = |error| WriteError::NotReadBack { path: self.path.clone(), error };
        let text = env_file::read_private_text(&self.path).map_err(not_read_back)?;
        let ours = EnvFile::parse(&text).map_err(not_read_back)?;
        let meant: BTreeMap<_, _> = secret.variables().collect();
        let same = |reading: dialects::Reading| {
            reading.is_some_and(|read| {
                read.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(meant.iter().map(|(n, v)| (*n, *v)))
            })
        };
        let readers = [
            ("this program", differences(&ours, secret).is_empty()),
            ("systemd", same(dialects::systemd(&text))),
            ("compose", same(dialects::compose(&text))),
        ];
        match readers.into_iter().find(|(_, same)| !same) {
            Some((reader, _)) => Err(WriteError::ReadOtherwise { reader }),
            None => Ok(()),
        }
    }

    fn put_in_place(mut self, path: &Path) -> Result<(), WriteError> {
        fs::rename(&self.path, path).map_err(WriteError::system("put in place", path))?;
        self.in_place = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.in_place {
            // If it stays, the next run removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests;
