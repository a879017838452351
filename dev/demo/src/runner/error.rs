//! Why a demo cannot start or go on, what to do about it, and the exit code for it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use process::Exit;
use process::env_file::EnvFileError;
use thiserror::Error;

/// What ends a demo early.
#[derive(Debug, Error)]
pub(crate) enum DemoError {
    #[error("{address} is taken by another program: stop that one, or choose another port with {flag}")]
    PortTaken { address: SocketAddr, flag: &'static str },
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("another demo is using {}: stop it, or choose another folder with --data", .0.display())]
    FolderInUse(PathBuf),
    #[error(
        "{} holds files that no demo made: choose a folder that is empty or does not exist yet with --data",
        .0.display()
    )]
    FolderNotOurs(PathBuf),
    #[error("removing {} needs a yes: there is no terminal to ask on, so add --yes", .0.display())]
    NobodyToAsk(PathBuf),
    #[error("nothing was removed and nothing was started")]
    NotAgreed,
    #[error("{} {source}; `--reset` starts again without the old data", path.display())]
    SecretFile { path: PathBuf, source: EnvFileError },
    #[error("{} lacks {name}; `--reset` starts again without the old data", path.display())]
    SecretMissing { path: PathBuf, name: &'static str },
    #[error("{} is there, but the file with its key, {}, is not; `--reset` starts again", database.display(), secret.display())]
    KeyLost { database: PathBuf, secret: PathBuf },
    #[error("cannot {what} {}: {source}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{name} is not built: {} does not exist. Build it with `cargo build --bin {name}`, as `make demo` does", path.display())]
    NotBuilt { name: &'static str, path: PathBuf },
    #[error("{name} ended by itself ({status}). {tail}")]
    Ended { name: &'static str, status: String, tail: String },
    #[error("{name} failed ({status}). {tail}")]
    Failed { name: &'static str, status: String, tail: String },
    #[error("{name} was not ready after {seconds} seconds: {last_seen}. {tail}")]
    NotReady { name: &'static str, seconds: u64, last_seen: String, tail: String },
    #[error("the first messages of the demo could not be written ({0}); `--empty` starts without them")]
    Ward(String),
    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
}

impl DemoError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            DemoError::FolderNotOurs(_) | DemoError::NobodyToAsk(_) => Exit::Usage,
            DemoError::PortTaken { .. } | DemoError::FolderInUse(_) => Exit::Unavailable,
            _ => Exit::Failed,
        }
    }

    pub(crate) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> DemoError {
        let path = path.into();
        move |source| DemoError::File { what, path, source }
    }
}
