//! The task that carries out the steps of urgent messages. What is due, the store decides inside the transaction that does it, so
//! that a stop at any instant, a clock that jumps and a second process change nothing: the next look goes on.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::site::Site;

/// How often it is looked. While nothing is urgent a look costs microseconds.
const LOOK: Duration = Duration::from_secs(1);

/// Carries out what is due, every second; never ends, whatever fails.
pub async fn carry_out(site: &Site) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let steps = AssertUnwindSafe(site.store.carry_out_urgent_steps(site.store.now())).catch_unwind();
        let problem = match steps.await {
            Ok(Ok(done)) => {
                for (message, kind) in done {
                    tracing::info!(%message, step = kind.as_str(), "a step of an urgent message was carried out");
                }
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it panicked".to_owned(),
        };
        if site.log_throttle.allows("urgent_steps", Instant::now()) {
            tracing::error!(%problem, "steps of urgent messages cannot be carried out; tried again every second");
        }
    }
}
