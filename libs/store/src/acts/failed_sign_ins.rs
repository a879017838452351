//! Failed sign-ins: ten within five minutes, from one address or for one account, raise SECURITY_ALERT (control C5).
//!
//! A failure is an audit row, or one of several that share a row; how many there were lately is counted in memory, since
//! counting rows would make each failure dearer the more of them an attacker causes. The memory is made from the rows, at the
//! first failure after a start and after a write that failed, so that neither hides an attack. The alert's own row is written
//! in the transaction of the failure that raises it, and no second one about the same address or account within the window.
//!
//! IPv6 hands every customer a whole /64, so that counts as one address.

use std::net::IpAddr;

use rusqlite::Row;
use serde_json::{Value, json};

use crate::ledger::audit::Entry;
use crate::ledger::personal::with_personal;
use crate::sqlite::write::Write;
use crate::types::failure_counter::{
    CLIP, FAILURES, FailedSignIns, FailureCounter, FailureSource, MAX_SOURCES, WINDOW, client_network,
};
use crate::types::{Action, AuditId, Identity, PersonId, StoreError, Timestamp, clip};

/// Rows that the memory is made of at most: more than the limits on sign-ins let through in the window.
const MAX_ROWS: u32 = 20_000;
/// Where the row of several failures says how many came from its address.
pub(crate) const FROM_ADDRESS: &str = "from_this_address";
/// What the alert's row says it is about.
const ALARM: &str = "failed_sign_ins";

/// A sign-in that failed just now.
pub(crate) struct FailedSignIn<'f> {
    pub(crate) ip: IpAddr,
    /// Whose, where the provider vouched for the account.
    pub(crate) account: Option<&'f Identity>,
    /// Whose, where the account is a person's.
    pub(crate) person: Option<PersonId>,
    pub(crate) at: Timestamp,
}

/// An alert whose row waits for its commit.
pub(crate) struct Alert {
    row: AuditId,
    ip: IpAddr,
    of: &'static str,
}

impl FailedSignIns {
    /// Counts a failure whose own row was just appended, and appends the alerts that it raises.
    pub(crate) fn count(&self, write: &mut Write<'_>, failure: &FailedSignIn<'_>) -> Result<Vec<Alert>, StoreError> {
        self.count_times(write, failure, 1)
    }

    /// The same for so many failures of one kind that share a row.
    pub(crate) fn count_times(
        &self,
        write: &mut Write<'_>,
        failure: &FailedSignIn<'_>,
        times: u64,
    ) -> Result<Vec<Alert>, StoreError> {
        let mut counter = self.lock();
        let counter = match &mut *counter {
            Some(counter) => counter,
            none => none.insert(recall(write, failure.at)?),
        };
        let network = FailureSource::Network(client_network(failure.ip));
        let account = failure.account.map(|account| FailureSource::account(&account.issuer, &account.subject));
        let mut alerts = Vec::new();
        for source in [Some(network), account].into_iter().flatten() {
            if counter.failed_times(&source, failure.at, times) {
                alerts.push(raise(write, failure, &source)?);
            }
        }
        Ok(alerts)
    }

    /// Says in the log what was committed; forgets what was counted if it was not.
    pub(crate) fn settle<T>(&self, result: Result<(T, Vec<Alert>), StoreError>) -> Result<T, StoreError> {
        let (value, alerts) = result.inspect_err(|_| *self.lock() = None)?;
        for alert in alerts {
            tracing::error!(
                alarm = Action::SecurityAlert.as_str(), row = %alert.row, ip = %alert.ip,
                "{FAILURES} sign-ins failed within {} minutes {}", WINDOW.as_secs() / 60, alert.of
            );
        }
        Ok(value)
    }
}

/// What the rows before the newest one tell of the last minutes.
fn recall(write: &Write<'_>, at: Timestamp) -> Result<FailureCounter, StoreError> {
    let mut select = write.connection.prepare_cached(
        "SELECT a.action, a.at, a.ip, a.details, p.details FROM audit_log a \
         LEFT JOIN audit_personal p ON p.audit_id = a.id \
         WHERE a.action IN ('LOGIN_DENIED', 'LOGIN_FAILED', 'SECURITY_ALERT') \
         AND a.at > ?1 AND a.id < ?2 ORDER BY a.at DESC, a.id DESC LIMIT ?3",
    )?;
    let rows = select.query_map((at.minus(WINDOW), write.head.id, MAX_ROWS), stored)?;
    let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
    rows.reverse();
    let mut counter = FailureCounter::new(MAX_SOURCES);
    for Stored { is_alert, at, ip, details } in rows {
        let account = if is_alert { &details["account"] } else { &details };
        let account = match (account["issuer"].as_str(), account["subject"].as_str()) {
            (Some(issuer), Some(subject)) => Some(FailureSource::account(issuer, subject)),
            _ => None,
        };
        let network = ip.map(|ip| FailureSource::Network(client_network(ip)));
        if !is_alert {
            let times = details[FROM_ADDRESS].as_u64().unwrap_or(1);
            for source in [network, account].into_iter().flatten() {
                counter.failed_times(&source, at, times);
            }
        } else if details["alarm"] == ALARM
            && let Some(source) = account.or(network)
        {
            counter.alerted(source, at);
        }
    }
    Ok(counter)
}

struct Stored {
    is_alert: bool,
    at: Timestamp,
    ip: Option<IpAddr>,
    details: Value,
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let (action, ip): (String, Option<String>) = (row.get(0)?, row.get(2)?);
    let (details, personal): (String, Option<String>) = (row.get(3)?, row.get(4)?);
    Ok(Stored {
        is_alert: action == Action::SecurityAlert.as_str(),
        at: row.get(1)?,
        ip: ip.and_then(|ip| ip.parse().ok()),
        details: with_personal(&details, personal.as_deref()).unwrap_or_default().into(),
    })
}

fn raise(write: &mut Write<'_>, failure: &FailedSignIn<'_>, source: &FailureSource) -> Result<Alert, StoreError> {
    let mut details = json!({ "alarm": ALARM, "failures": FAILURES, "minutes": WINDOW.as_secs() / 60 });
    let (at, action, ip) = (failure.at, Action::SecurityAlert, Some(failure.ip));
    let (row, of) = match source {
        FailureSource::Network(network) => {
            let shown = if network.is_ipv6() { format!("{network}/64") } else { network.to_string() };
            details["address"] = shown.into();
            let row = write.append(Entry { at, person: None, action, message: None, details, ip })?;
            (row, "from one address")
        }
        FailureSource::Account { issuer, subject } => {
            let email = failure.account.map_or("", |account| clip(&account.email, CLIP));
            let account = json!({ "account": { "email": email, "issuer": issuer, "subject": subject } });
            let alert = Entry { at, person: failure.person, action, message: None, details, ip };
            (write.append_personal(alert, &account)?, "for one account")
        }
    };
    Ok(Alert { row, ip: failure.ip, of })
}

#[cfg(test)]
mod tests;
