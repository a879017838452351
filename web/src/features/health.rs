//! What a load balancer asks: is the process alive, and can it do its work.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use nix::sys::statvfs::statvfs;
use store::Store;
use tokio::sync::Mutex;

use crate::app::request::Request;
use crate::http::error::PageError;
use crate::http::reply::Reply;

/// Below this much room a send may fail at any moment.
const LEAST_FREE_BYTES: u64 = 16 * 1024 * 1024;
/// Anybody may ask, so the answer is kept this long.
const ANSWER_LIFETIME: Duration = Duration::from_secs(1);

/// The last answer of `/readyz`, and when it was found.
pub struct Health {
    database: PathBuf,
    last: Mutex<Option<(Instant, Result<(), &'static str>)>>,
}

impl Health {
    /// Nobody has asked yet. The disk that is looked at is the database's.
    pub fn of(database: PathBuf) -> Self {
        Self { database, last: Mutex::default() }
    }
}

/// `GET /healthz`
pub async fn alive(_: Request, _: ()) -> Result<Reply, PageError> {
    Ok(plain("alive\n"))
}

/// `GET /readyz`
pub async fn ready(health: Arc<Health>, request: Request, _: ()) -> Result<Reply, PageError> {
    let mut last = health.last.lock().await;
    let answer = match *last {
        Some((at, answer)) if at.elapsed() < ANSWER_LIFETIME => answer,
        _ => {
            let answer = look(&request.site.store, &health.database).await;
            *last = Some((Instant::now(), answer));
            answer
        }
    };
    Ok(match answer {
        Ok(()) => plain("ready\n"),
        Err(reason) => plain(reason).with_status(StatusCode::SERVICE_UNAVAILABLE),
    })
}

async fn look(store: &Store, database: &Path) -> Result<(), &'static str> {
    if let Err(error) = store.check_writable().await {
        tracing::warn!(%error, "not ready: the database cannot be written");
        return Err("not ready: the database cannot be written\n");
    }
    match disk_of(database) {
        Ok(disk) if disk.free_bytes < LEAST_FREE_BYTES => {
            tracing::warn!("not ready: the disk is nearly full");
            Err("not ready: the disk is nearly full\n")
        }
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::warn!(%error, "not ready: the disk cannot be looked at");
            Err("not ready: the disk cannot be looked at\n")
        }
    }
}

/// A file system.
#[derive(Clone, Copy, Debug)]
pub struct Disk {
    /// What is left for us.
    pub free_bytes: u64,
    /// All of it.
    pub size_bytes: u64,
}

/// The file system that the database lies on.
pub fn disk_of(database: &Path) -> nix::Result<Disk> {
    let folder = database.parent().unwrap_or(Path::new("."));
    let disk = statvfs(folder)?;
    let block = disk.fragment_size();
    Ok(Disk { free_bytes: disk.blocks_available() * block, size_bytes: disk.blocks() * block })
}

fn plain(text: &str) -> Reply {
    Reply::text("text/plain; charset=utf-8", text.to_owned())
}
