//! The log event of each alarm about emergency access. A grant is made by a command in another process, whose words nobody
//! collects; so the site, whose log is watched, reads the alarms from the audit log, its own and the command's alike.

use std::time::Duration;

use store::{Action, AuditId, Store, StoreError, Timestamp};

/// A start looks back as far as a code lives: a grant made while the site was down is told too. An alarm may so be told
/// twice, and is never left out.
const LOOK_BACK: Duration = Duration::from_secs(10 * 60);
/// Commits closer together than this are looked at once.
const COALESCE: Duration = Duration::from_millis(250);

/// Logs alarms for as long as the process lives.
pub async fn watch(store: Store) {
    let mut changes = store.changes();
    let since = store.now().minus(LOOK_BACK);
    let mut last = AuditId::ZERO;
    loop {
        match tell(&store, since, last).await {
            Ok(newest) => last = newest,
            Err(error) => tracing::warn!(%error, "alarms could not be read from the audit log"),
        }
        if changes.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(COALESCE).await;
    }
}

/// Logs what came after `last`, and gives the newest row that was looked at.
async fn tell(store: &Store, since: Timestamp, last: AuditId) -> Result<AuditId, StoreError> {
    let head = store.audit_head().await?.id;
    for alarm in store.emergency_alarms(since, last, head).await? {
        tracing::error!(
            alarm = Action::SecurityAlert.as_str(), kind = alarm.kind, row = %alarm.row, grant = %alarm.grant,
            person = %alarm.person, "emergency access: `web emergency-access list` tells who, why and until when"
        );
    }
    Ok(head)
}
