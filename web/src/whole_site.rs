//! The site put together: what features stand on, the features, and the table of routes over both.

use std::sync::Arc;

use http_server::{Bounds, Peers};
use process::Shutdown;
use store::{Store, client_network};
use tokio::net::TcpListener;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::app::answer::Answers;
use crate::app::row::Route;
use crate::app::site::Site;
use crate::config::Config;
use crate::features::Features;
use crate::features::sign_in::error::SignInError;
use crate::table;

/// The site and its features.
pub struct WholeSite {
    /// What every feature stands on.
    pub site: Arc<Site>,
    /// What staff do here.
    pub features: Arc<Features>,
}

/// Why a site cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The static files could not be compressed.
    #[error("the static files could not be prepared: {0}")]
    Assets(#[from] std::io::Error),
    /// The identity provider's settings do not work together.
    #[error(transparent)]
    Provider(#[from] SignInError),
}

impl WholeSite {
    /// Over an open database.
    pub fn build(config: Config, store: Store, shutdown: Shutdown) -> Result<Self, BuildError> {
        let site = Site::build(config.site, store, shutdown)?;
        let features = Features::build(Arc::clone(&site), config.sign_in)?;
        Ok(Self { site, features: Arc::new(features) })
    }

    /// The rows of the table.
    pub fn rows(&self) -> Vec<Route> {
        table::rows(&self.site, &self.features)
    }

    /// The table as one filter.
    pub fn routes(&self) -> BoxedFilter<(Response,)> {
        table::filter(&self.site, self.rows())
    }

    /// Serves these routes until the process is asked to stop.
    pub async fn serve(&self, listener: TcpListener, routes: BoxedFilter<(Response,)>, bounds: Bounds) {
        let site = &self.site;
        let peers = Peers { trusted_proxies: site.trusted_proxies.clone(), network: client_network };
        let answers = Answers::new(Arc::clone(site), routes);
        http_server::serve(listener, answers, peers, Answers::refusal(), bounds, site.stopping()).await;
    }
}
