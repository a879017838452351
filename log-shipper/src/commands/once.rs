//! `log-shipper once`: what there is, and then the end.

use process::Exit;
use process::console::{Progress, print_err, print_out};
use serde_json::json;

use super::open;
use crate::config::{AUDIT_RETENTION_DAYS, Config};
use crate::shipper::{ShipError, Shipper, Step};
use crate::sink::Sink;

/// Exit 0 once nothing is left, 69 at the first outage, with everything before it shipped.
pub(super) async fn run(config: &Config, as_json: bool) -> Exit {
    let (store, copy) = match open(config).await {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let sink = Sink::open(&config.audit_sink, &copy.stream, AUDIT_RETENTION_DAYS).await;
    let exit = match Shipper::new(store.clone(), sink, copy).await {
        Ok(mut shipper) => match ship(&mut shipper).await {
            Ok(()) => match report(&store, &shipper, as_json).await {
                Ok(()) => Exit::Done,
                Err(error) => failed(&error),
            },
            Err(error) => failed(&error),
        },
        Err(error) => failed(&error.into()),
    };
    store.close().await;
    exit
}

async fn ship(shipper: &mut Shipper) -> Result<(), ShipError> {
    let mut progress = Progress::start();
    loop {
        match shipper.step().await {
            Ok(Step::Moved) => progress.show(|| format!("shipped up to row {}", shipper.cursor())),
            Ok(Step::Idle) => return Ok(()),
            Err(error) => {
                if matches!(error, ShipError::Outage(_))
                    && let Err(unwritten) = shipper.record_error(&error.to_string()).await
                {
                    tracing::warn!(error = %unwritten, "the outage could not be written down");
                }
                return Err(error);
            }
        }
    }
}

async fn report(store: &store::Store, shipper: &Shipper, as_json: bool) -> Result<(), ShipError> {
    let state = store.shipping_state(shipper.copy()).await?;
    print_out(&if as_json {
        json!({ "shipped": state.shipped, "quarantined": state.quarantined, "cursor": state.cursor }).to_string()
    } else {
        format!(
            "Everything up to row {} is accounted for: {} shipped, {} quarantined.",
            state.cursor, state.shipped, state.quarantined
        )
    });
    Ok(())
}

fn failed(error: &ShipError) -> Exit {
    print_err(&format!("log-shipper: {error}"));
    match error {
        ShipError::Outage(_) => Exit::Unavailable,
        ShipError::Store(_) | ShipError::NotAlone => Exit::Failed,
    }
}
