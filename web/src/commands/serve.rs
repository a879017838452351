//! `web`: address, database, site, and then listening; requests until the process is asked to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use http_server::{Bounds, Capacity, ReservedAddress};
use process::{Exit, Shutdown, open_files, ready};
use store::{IfMissing, Store, StoreError};
use tokio::net::TcpListener;

use super::refuse_database;
use crate::config::Config;
use crate::exporter;
use crate::whole_site::WholeSite;

/// Nothing is served before all of it is ready.
pub async fn run(config: Config) -> Exit {
    let bounds = bounds();
    let shutdown = match Shutdown::listen() {
        Ok(shutdown) => shutdown,
        Err(error) => {
            tracing::error!(%error, "signals cannot be listened to");
            return Exit::Failed;
        }
    };
    let addresses = match Addresses::reserve(&config) {
        Ok(addresses) => addresses,
        Err(exit) => return exit,
    };
    let store = match config.database.open(IfMissing::Create).await {
        Ok(store) => store,
        Err(error) => return refuse_database(&error),
    };
    if let Err(error) = store.finish_deletions().await {
        tracing::warn!(%error, "text that was deleted may be in the database's log until the next deletion or start");
    }
    match WholeSite::build(config, store.clone(), shutdown.clone()) {
        Ok(site) => serve(site, store, addresses, &shutdown, bounds).await,
        Err(error) => {
            tracing::error!(%error, "the site cannot be built");
            store.close().await;
            Exit::Configuration
        }
    }
}

/// What is reserved, and not listened on before the site is ready.
struct Addresses {
    site: (SocketAddr, ReservedAddress),
    metrics: Option<(SocketAddr, ReservedAddress)>,
}

impl Addresses {
    fn reserve(config: &Config) -> Result<Addresses, Exit> {
        let (site, metrics) = (config.listen, config.metrics_listen);
        let reserved = ReservedAddress::handed_over_or(site).map_err(|error| refuse_site(site, &error))?;
        let metrics = metrics.map(|address| match ReservedAddress::at(address) {
            Ok(reserved) => Ok((address, reserved)),
            Err(error) => Err(refuse_metrics(address, &error)),
        });
        Ok(Addresses { site: (site, reserved), metrics: metrics.transpose()? })
    }

    fn listen(self) -> Result<(TcpListener, Option<TcpListener>), Exit> {
        let (address, site) = self.site;
        let site = site.listen().map_err(|error| refuse_site(address, &error))?;
        let metrics = self
            .metrics
            .map(|(address, metrics)| metrics.listen().map_err(|error| refuse_metrics(address, &error)))
            .transpose()?;
        Ok((site, metrics))
    }
}

fn refuse_site(address: SocketAddr, error: &std::io::Error) -> Exit {
    tracing::error!(%error, %address, "cannot listen; is another program using WARDPOST_LISTEN?");
    Exit::Failed
}

fn refuse_metrics(address: SocketAddr, error: &std::io::Error) -> Exit {
    tracing::error!(%error, %address, "cannot listen for metrics; is another program using WARDPOST_METRICS_LISTEN?");
    Exit::Failed
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

async fn serve(whole: WholeSite, store: Store, addresses: Addresses, shutdown: &Shutdown, bounds: Bounds) -> Exit {
    let WholeSite { site, features } = &whole;
    let (listener, metrics_listener) = match addresses.listen() {
        Ok(listeners) => listeners,
        Err(exit) => {
            store.close().await;
            return exit;
        }
    };
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, public_url = %site.public_url.origin(), "listening");
    }
    let working = Arc::clone(features);
    let work = tokio::spawn(async move { working.work().await });
    let watchdog_store = store.clone();
    let watchdog = tokio::spawn(ready::keep_watchdog_fed(move || {
        let store = watchdog_store.clone();
        // Any answer is a sign of life: on a full disk people can still read, and starting again makes no room.
        async move { !matches!(store.check_writable().await, Err(StoreError::Closed)) }
    }));
    if let Some(listener) = metrics_listener {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, path = exporter::PATH, "metrics can be read");
        }
        tokio::spawn(exporter::run(listener, Arc::clone(site), Arc::clone(features)));
    }
    ready::notify_ready();

    tokio::select! {
        () = whole.serve(listener, whole.routes(), bounds) => {}
        _ = shutdown.requested_again() => tracing::warn!("asked to stop twice: not waiting any longer"),
    }

    ready::notify_stopping();
    watchdog.abort();
    work.abort();
    features.finish().await;
    store.close().await;
    tracing::info!("stopped");
    Exit::Done
}
