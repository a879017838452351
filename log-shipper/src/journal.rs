//! To come.
use process::Shutdown; use store::Store; use crate::sink::SinkAddress;
/// To come.
pub async fn ship(_store: Store, _address: SinkAddress, shutdown: Shutdown) { shutdown.requested().await; }
