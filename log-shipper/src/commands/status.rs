//! `log-shipper status`: how far the copy has come.

use process::Exit;
use process::console::{complain, say};
use serde_json::json;
use store::{AuditCopy, Quarantined, ShippingState, Store, StoreError, Timestamp};

use super::open;
use crate::config::Config;

/// What there is to tell.
struct Status {
    copy: AuditCopy,
    newest: u64,
    waiting_seconds: u64,
    state: ShippingState,
    quarantined: Vec<Quarantined>,
}

/// Exit 0 whenever the books can be read.
pub(super) async fn run(config: &Config, as_json: bool) -> Exit {
    let (store, copy) = match open(config).await {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let status = read(&store, copy).await;
    store.close().await;
    match status {
        Ok(status) => {
            say(&if as_json { status.to_json() } else { status.to_text() });
            Exit::Done
        }
        Err(error) => {
            complain(&format!("log-shipper: {error}"));
            Exit::Failed
        }
    }
}

async fn read(store: &Store, copy: AuditCopy) -> Result<Status, StoreError> {
    // The books first: rows that come in between count as waiting, and never the other way round.
    let state = store.shipping_state(&copy).await?;
    let newest = store.audit_head().await?.id.get().unsigned_abs();
    let waiting = store.audit_events(state.cursor, 1, 0).await?;
    let waiting_seconds = waiting.first().map_or(0, |row| Timestamp::now().since(row.at).as_secs());
    let quarantined = store.quarantined(&copy).await?;
    Ok(Status { copy, newest, waiting_seconds, state, quarantined })
}

impl Status {
    fn waiting(&self) -> u64 {
        self.newest.saturating_sub(self.state.cursor.get().unsigned_abs())
    }

    fn to_json(&self) -> String {
        let error = self.state.last_error.as_ref();
        let quarantined: Vec<_> =
            self.quarantined.iter().map(|row| json!({ "id": row.id, "reason": row.reason })).collect();
        json!({
            "sink": self.copy.sink,
            "stream": self.copy.stream,
            "newest": self.newest,
            "cursor": self.state.cursor,
            "shipped": self.state.shipped,
            "quarantined": self.state.quarantined,
            "lag_rows": self.waiting(),
            "lag_seconds": self.waiting_seconds,
            "last_success": self.state.last_success.map(Timestamp::to_rfc3339),
            "last_error": error.map(|(at, error)| json!({ "at": at.to_rfc3339(), "error": error })),
            "quarantined_rows": quarantined,
        })
        .to_string()
    }

    fn to_text(&self) -> String {
        let Status { copy, newest, waiting_seconds, state, quarantined } = self;
        let mut text = format!(
            "Copy           {}, as {}\nAudit rows     {newest} = {} shipped + {} quarantined + {} waiting\n",
            copy.sink,
            copy.stream,
            state.shipped,
            state.quarantined,
            self.waiting()
        );
        if self.waiting() > 0 {
            text.push_str(&format!("Oldest waiting {waiting_seconds} s\n"));
        }
        let last = state.last_success.map_or("never".to_owned(), Timestamp::to_rfc3339);
        text.push_str(&format!("Last success   {last}\n"));
        match &state.last_error {
            Some((at, error)) => text.push_str(&format!("Last error     {}: {error}\n", at.to_rfc3339())),
            None => text.push_str("Last error     none\n"),
        }
        for row in quarantined {
            text.push_str(&format!("Quarantined    row {}: {}\n", row.id, row.reason));
        }
        text
    }
}
