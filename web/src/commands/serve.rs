//! `web`: settings, database, site, socket; then requests until somebody says stop.

use std::net::SocketAddr;
use std::sync::Arc;

use listenfd::ListenFd;
use process::settings::Settings;
use process::{Exit, Shutdown, hardening, logs, open_files, ready};
use store::{IfMissing, Store, StoreError};
use tokio::net::TcpListener;

use super::{complain, open, refuse_settings};
use crate::config;
use crate::server::{Bounds, Capacity};
use crate::site::Site;
use crate::{metrics, routes, server};

/// Nothing is served before all of it is ready.
pub async fn run() -> Exit {
    let (config, _) = match Settings::load().and_then(config::read) {
        Ok(config) => config,
        Err(faults) => return refuse_settings(&faults),
    };
    if let Err(error) = logs::start("web", &config.log) {
        complain(&format!("web: {error}"));
        return Exit::Configuration;
    }
    if let Err(error) = hardening::no_core_dumps() {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
    let bounds = bounds();
    let shutdown = match Shutdown::listen() {
        Ok(shutdown) => shutdown,
        Err(error) => {
            tracing::error!(%error, "signals cannot be listened to");
            return Exit::Failed;
        }
    };
    let listener = match listen(config.listen).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, address = %config.listen, "cannot listen; is another program using WARDPOST_LISTEN?");
            return Exit::Failed;
        }
    };
    let metrics_listener = match config.metrics_listen {
        Some(address) => match TcpListener::bind(address).await {
            Ok(listener) => Some(listener),
            Err(error) => {
                tracing::error!(%error, %address, "cannot listen for metrics; is another program using WARDPOST_METRICS_LISTEN?");
                return Exit::Failed;
            }
        },
        None => None,
    };
    let store = match open(&config.database, &config.database_key, IfMissing::Create).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    if let Err(error) = store.finish_deletions().await {
        tracing::warn!(%error, "text that was deleted may be in the database's log until the next deletion or start");
    }
    serve(config, store, listener, metrics_listener, shutdown, bounds).await
}

/// The socket that systemd hands over, which goes on taking connections while the site is started again; without one, a
/// socket of our own.
async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    match ListenFd::from_env().take_tcp_listener(0)? {
        Some(listener) => {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        }
        None => TcpListener::bind(address).await,
    }
}

/// As many connections as the system grants files for; too few of them is something to be told about.
fn bounds() -> Bounds {
    let wanted = Capacity::default();
    let capacity = match open_files::raise_limit() {
        Ok(open_files) => {
            let capacity = wanted.within(open_files);
            if capacity.connections < wanted.connections {
                tracing::warn!(
                    open_files,
                    connections = capacity.connections,
                    wanted = wanted.connections,
                    "fewer connections at once than there could be: raise the limit on open files (LimitNOFILE)"
                );
            }
            capacity
        }
        Err(error) => {
            tracing::warn!(%error, "the limit on open files cannot be raised");
            wanted.within(1024)
        }
    };
    Bounds { capacity, ..Bounds::default() }
}

async fn serve(
    config: config::Config,
    store: Store,
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    shutdown: Shutdown,
    bounds: Bounds,
) -> Exit {
    let site = match Site::build(config, store.clone(), shutdown.clone()) {
        Ok(site) => site,
        Err(error) => {
            tracing::error!(%error, "the site cannot be built");
            return Exit::Configuration;
        }
    };
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, public_url = %site.config.public_url.origin(), "listening");
    }
    let work = tokio::spawn(Arc::clone(&site).work());
    let watchdog_store = store.clone();
    let watchdog = tokio::spawn(ready::keep_watchdog_fed(move || {
        let store = watchdog_store.clone();
        // Any answer is a sign of life: on a full disk people can still read, and starting again makes no room.
        async move { !matches!(store.check_writable().await, Err(StoreError::Closed)) }
    }));
    let routes = routes::site(&site);
    if let Some(listener) = metrics_listener {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, path = metrics::listener::PATH, "metrics are told");
        }
        tokio::spawn(metrics::listener::run(listener, Arc::clone(&site)));
    }
    ready::notify_ready();

    let impatient = shutdown.clone();
    tokio::select! {
        () = server::run(listener, site, routes, bounds) => {}
        _ = impatient.requested_again() => tracing::warn!("asked to stop twice: not waiting any longer"),
    }

    ready::notify_stopping();
    watchdog.abort();
    work.abort();
    store.close().await;
    tracing::info!("stopped");
    Exit::Done
}
