//! What a load balancer asks: is the process alive, and can it do its work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
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
#[derive(Default)]
pub struct Health(Mutex<Option<(Instant, Result<(), &'static str>)>>);

/// `GET /healthz`
pub async fn alive(_: Request, _: ()) -> Result<Reply, PageError> {
    Ok(plain("alive\n"))
}

/// `GET /readyz`
pub async fn ready(health: Arc<Health>, request: Request, _: ()) -> Result<Reply, PageError> {
    let mut last = health.0.lock().await;
    let answer = match *last {
        Some((at, answer)) if at.elapsed() < ANSWER_LIFETIME => answer,
        _ => {
            let answer = look(&request.site.store).await;
            *last = Some((Instant::now(), answer));
            answer
        }
    };
    Ok(match answer {
        Ok(()) => plain("ready\n"),
        Err(reason) => plain(reason).with_status(StatusCode::SERVICE_UNAVAILABLE),
    })
}

async fn look(store: &Store) -> Result<(), &'static str> {
    if let Err(error) = store.check_writable().await {
        tracing::warn!(%error, "not ready: the database cannot be written");
        return Err("not ready: the database cannot be written\n");
    }
    match store.room() {
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

fn plain(text: &str) -> Reply {
    Reply::text("text/plain; charset=utf-8", text.to_owned())
}
