//! What staff do here, a folder for each feature: its handlers, pages, templates, and the state that is its own.

pub mod audit;
pub mod duties;
pub mod emergency;
pub mod health;
pub mod help;
pub mod me;
pub mod messages;
pub mod sign_in;
pub mod static_files;
pub mod teams;
pub mod templates;
pub mod urgent;

use std::sync::Arc;

use self::audit::chain_watch::ChainWatch;
use self::emergency::alarm;
use self::health::Health;
use self::me::Downloads;
use self::messages::Messages;
use self::sign_in::error::SignInError;
use self::sign_in::{SignInConfig, SignInState};
use crate::app::site::Site;

/// The state of all features, built once. A row of the table hands a handler the part that is its own.
pub struct Features {
    /// Live updates, and lists that were asked for before.
    pub messages: Arc<Messages>,
    /// Copies of what is a member's own.
    pub downloads: Arc<Downloads>,
    /// How far the audit chain verifies.
    pub chain: Arc<ChainWatch>,
    /// The identity provider, and sign-ins on their way.
    pub sign_in: Arc<SignInState>,
    /// The last answer of `/readyz`.
    pub health: Arc<Health>,
    site: Arc<Site>,
}

impl Features {
    /// Over a site. An error where the identity provider's settings do not work together.
    pub fn build(site: Arc<Site>, sign_in: SignInConfig) -> Result<Self, SignInError> {
        Ok(Self {
            messages: Arc::default(),
            downloads: Arc::default(),
            chain: Arc::new(ChainWatch::new(site.store.clone())),
            sign_in: Arc::new(SignInState::build(sign_in, &site.public_url, site.store.now())?),
            health: Arc::default(),
            site,
        })
    }

    /// The work that goes on beside requests; ends when the process is asked to stop.
    pub async fn work(&self) {
        let site = &self.site;
        tokio::select! {
            () = site.stopping() => {}
            () = site.work() => {}
            () = self.messages.feed.clone().run(site.store.clone()) => {}
            () = self.chain.run() => {}
            () = alarm::watch(site.store.clone()) => {}
            () = urgent::steps::carry_out(site) => {}
            () = self.sign_in.write_unproven(&site.store) => {}
        }
    }

    /// To be called when nothing more is answered: reports and writes down what was only counted so far.
    pub async fn finish(&self) {
        self.site.finish();
        self.sign_in.finish(&self.site.store).await;
    }
}
