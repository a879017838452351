//! The demo's one folder: database, secrets and logs, readable by nobody else and used by one demo at a time.
//!
//! A marker file says that the folder is a demo's. Without it nothing is written into a folder that holds something, and
//! `--reset` can never empty a folder that was named by mistake.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use process::env_file::{EnvFileError, read_private_text};

use super::error::DemoError;

const MARKER: &str = "made-by-wardpost-demo";
const MARKER_TEXT: &str =
    "The demo of Wardpost keeps its data in this folder. `make demo ARGS=--reset` removes everything in it.\n";

const CLIENT_ID: &str = "GOOGLE_CLIENT_ID";
const CLIENT_SECRET: &str = "GOOGLE_CLIENT_SECRET";
const DATABASE_KEY: &str = "DB_ENCRYPTION_KEY";
const NEEDED: [&str; 4] = [CLIENT_ID, CLIENT_SECRET, "APP_SECRET", DATABASE_KEY];

/// The folder, locked for as long as this lives.
pub(crate) struct Folder {
    path: PathBuf,
    _lock: Flock<File>,
}

/// What the provider must know of the secrets.
pub(crate) struct ClientSecrets {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Folder {
    /// Makes the folder if need be, and takes it for this demo alone.
    pub(crate) fn open(path: &Path) -> Result<Folder, DemoError> {
        make_private(path)?;
        let path = path.canonicalize().map_err(DemoError::file("find", path))?;
        let marker = path.join(MARKER);
        if !marker.exists() {
            let mut entries = fs::read_dir(&path).map_err(DemoError::file("read", &path))?;
            if entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != MARKER)) {
                return Err(DemoError::FolderNotOurs(path));
            }
            fs::write(&marker, MARKER_TEXT).map_err(DemoError::file("write", &marker))?;
        }
        // The marker and not the folder: secrets-init locks the folder of the env file that it writes.
        let file = File::open(&marker).map_err(DemoError::file("open", &marker))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => DemoError::FolderInUse(path.clone()),
            other => DemoError::File { what: "lock", path: path.clone(), source: other.into() },
        })?;
        let private = Permissions::from_mode(0o700);
        fs::set_permissions(&path, private).map_err(DemoError::file("close to others", &path))?;
        Ok(Folder { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("wardpost.db")
    }

    /// The key of the database: 64 hex characters.
    pub(crate) fn database_key(&self) -> Result<String, DemoError> {
        Ok(self.values()?.remove(DATABASE_KEY).unwrap_or_default())
    }

    pub(crate) fn env_file(&self) -> PathBuf {
        self.path.join("env")
    }

    /// What Secrets Manager is to a real machine: the secrets as JSON, from which secrets-init makes the env file.
    pub(crate) fn secret(&self) -> PathBuf {
        self.path.join("secret.json")
    }

    /// The settings of this run, for a shell beside the demo.
    pub(crate) fn shell_settings(&self) -> PathBuf {
        self.path.join("settings.sh")
    }

    /// Writes them.
    pub(crate) fn write_shell_settings(&self, text: &str) -> Result<(), DemoError> {
        let path = self.shell_settings();
        let written = private_file(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(DemoError::file("write", path))
    }

    /// Where every audit row is copied to.
    pub(crate) fn audit_copy(&self) -> PathBuf {
        self.path.join("audit.jsonl")
    }

    /// Where backups are kept. The folder must exist, like a bucket.
    pub(crate) fn backups(&self) -> PathBuf {
        self.path.join("backups")
    }

    /// Makes the folders that the programs expect.
    pub(crate) fn prepare(&self) -> Result<(), DemoError> {
        make_private(&self.backups())
    }

    /// A new, empty log for a program. The log of the run before stays beside it.
    pub(crate) fn new_log(&self, program: &str) -> Result<(PathBuf, File), DemoError> {
        let logs = self.path.join("logs");
        make_private(&logs)?;
        let log = logs.join(format!("{program}.log"));
        match fs::rename(&log, logs.join(format!("{program}.before.log"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(DemoError::file("put aside", log)(error));
            }
            _ => {}
        }
        let file = private_file(&log).map_err(DemoError::file("make", &log))?;
        Ok((log, file))
    }

    /// Whether an earlier run left anything to lose.
    pub(crate) fn has_data(&self) -> bool {
        self.secret().exists() || self.database().exists()
    }

    /// Removes everything but the marker.
    pub(crate) fn empty(&self) -> Result<(), DemoError> {
        let entries = fs::read_dir(&self.path).map_err(DemoError::file("read", &self.path))?;
        for entry in entries {
            let entry = entry.map_err(DemoError::file("read", &self.path))?;
            let path = entry.path();
            if entry.file_name() == MARKER {
                continue;
            }
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(DemoError::file("remove", path))?;
        }
        Ok(())
    }

    /// The secrets, which are random ones of the first run.
    pub(crate) fn secrets(&self) -> Result<ClientSecrets, DemoError> {
        let path = self.secret();
        if !path.exists() {
            if self.database().exists() {
                return Err(DemoError::KeyLost { database: self.database(), secret: path });
            }
            self.write_secrets(&path)?;
        }
        let mut values = self.values()?;
        let mut take = |name| values.remove(name).unwrap_or_default();
        Ok(ClientSecrets { id: take(CLIENT_ID), secret: take(CLIENT_SECRET) })
    }

    fn values(&self) -> Result<BTreeMap<String, String>, DemoError> {
        let path = self.secret();
        let broken = |source| DemoError::SecretFile { path: path.clone(), source };
        let text = read_private_text(&path).map_err(broken)?;
        let values: BTreeMap<String, String> =
            serde_json::from_str(&text).map_err(|_| broken(EnvFileError::Io(io::ErrorKind::InvalidData.into())))?;
        for name in NEEDED {
            if !values.contains_key(name) {
                return Err(DemoError::SecretMissing { path, name });
            }
        }
        Ok(values)
    }

    fn write_secrets(&self, path: &Path) -> Result<(), DemoError> {
        let random = || {
            let mut bytes = [0_u8; 32];
            getrandom::fill(&mut bytes).map_err(io::Error::other)?;
            Ok(hex::encode(bytes))
        };
        let not_written = || DemoError::file("write", path);
        let mut values = BTreeMap::new();
        for name in NEEDED {
            values.insert(name, random().map_err(not_written())?);
        }
        let text = serde_json::to_string_pretty(&values).map_err(|refused| not_written()(refused.into()))?;
        // Complete or not there at all: a demo killed here must not leave half a key.
        let unfinished = self.path.join("secret.unfinished");
        let mut file = private_file(&unfinished).map_err(not_written())?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(not_written())?;
        fs::rename(&unfinished, path).map_err(not_written())
    }
}

fn make_private(path: &Path) -> Result<(), DemoError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(DemoError::file("make", path))
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}
