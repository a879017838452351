//! Rights for each program alone: this service holds the machine's own AWS credentials, assumes a role for each program with
//! them, and hands each program the credentials of its own role, by the SDK's container provider.
//!
//! A program asks for `http://LISTEN/PROGRAM` and sends its token along. The token is all that tells programs apart, since
//! everybody on the machine reaches loopback: systemd hands each unit its own (`LoadCredential=`), and nobody else may read it.
//!
//! [`config`] says who has which role, [`tokens`] makes and compares tokens, [`renewal`] gets credentials and renews them,
//! [`server`] answers.

mod assume;
mod config;
mod renewal;
mod server;
mod tokens;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http_server::{Bounds, Capacity, Peers, ReservedAddress, Timeouts};
use process::log_throttle::REPORT_INTERVAL;
use process::{Exit, Shutdown, Started, ready};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::config::{Config, Program};
use self::server::{Account, Broker};
use self::tokens::Tokens;

/// Far more than the units there are; memory is bounded, and so is what somebody can do who holds connections open.
const CAPACITY: Capacity = Capacity { connections: 64, of_one_peer: 64, served: 32, unread: 1 << 20 };

/// A program asks once in the life of its credentials: nobody needs an idle connection.
const IDLE: Duration = Duration::from_secs(5);

/// The command `serve-credentials`.
pub(crate) fn run(started: Started, check_config: bool, json: bool) -> Exit {
    if check_config {
        return started.check_config(config::read, json);
    }
    started.run(config::read, async |config| serve(config).await.unwrap_or_else(|exit| exit))
}

/// Serves until the process is asked to stop. Ready when the tokens are there: a unit that starts then has its own, and
/// waits for its credentials as it waits for AWS itself.
async fn serve(config: Config) -> Result<Exit, Exit> {
    let reserved = ReservedAddress::handed_over_or(config.listen).map_err(|error| {
        tracing::error!(listen = %config.listen, %error, "cannot listen for programs that ask for credentials");
        Exit::Failed
    })?;
    let tokens = Tokens::keep_or_make(&config.tokens).map_err(|error| {
        tracing::error!(folder = %config.tokens.display(), "{error}");
        Exit::Failed
    })?;
    let shutdown = Shutdown::listen().map_err(|error| {
        tracing::error!(%error, "the signals to stop cannot be listened to");
        Exit::Failed
    })?;
    let mut renewals = JoinSet::new();
    let accounts: BTreeMap<_, _> = Program::ALL
        .into_iter()
        .map(|program| {
            let role = config.roles.get(&program).map(|role| {
                let (sender, receiver) = watch::channel(None);
                renewals.spawn(renewal::keep(program, role.clone(), sender));
                receiver
            });
            (program, Account { credentials: role })
        })
        .collect();
    let listener = reserved.listen().map_err(|error| {
        tracing::error!(listen = %config.listen, %error, "cannot listen for programs that ask for credentials");
        Exit::Failed
    })?;
    let broker = Broker::new(tokens, accounts);
    let throttle = broker.throttle();
    let peers = Peers { trusted_proxies: Vec::new(), network: |peer| peer };
    let bounds = Bounds { capacity: CAPACITY, timeouts: Timeouts { idle: IDLE, ..Timeouts::default() }, sweep: None };
    let stop = shutdown.clone();
    tracing::info!(roles = config.roles.len(), "handing out credentials");
    ready::notify_ready();
    tokio::select! {
        () = http_server::serve(listener, broker, peers, server::no_room(), bounds, async move {
            stop.requested().await;
            ready::notify_stopping();
        }) => Ok(Exit::Done),
        // Without it a program would run out of credentials in an hour, and nobody would say why.
        _ = renewals.join_next(), if !renewals.is_empty() => {
            tracing::error!("renewing the credentials has ended by itself; the service is to start again");
            Err(Exit::Failed)
        }
        never = async {
            loop {
                tokio::time::sleep(REPORT_INTERVAL).await;
                throttle.report(Instant::now());
            }
        } => never,
        () = ready::keep_watchdog_fed(|| std::future::ready(true)) => Err(Exit::Failed),
    }
}
