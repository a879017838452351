//! `log-shipper status`: how far the copy has come.

use process::Exit;
use process::console::{print_err, print_out};
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

/// Exit 0 whenever the shipping state can be read.
pub(super) async fn run(config: &Config, as_json: bool) -> Exit {
    let (store, copy) = match open(config).await {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let status = read(&store, copy).await;
    store.close().await;
    match status {
        Ok(status) => {
            print_out(&if as_json { status.to_json() } else { status.to_text() });
            Exit::Done
        }
        Err(error) => {
            print_err(&format!("log-shipper: {error}"));
            Exit::Failed
        }
    }
}

async fn read(store: &Store, copy: AuditCopy) -> Result<Status, StoreError> {
    // The shipping state first: rows that come in between count as waiting, and never the other way round.
    let state = store.shipping_state(&copy).await?;
    let newest = store.audit_head().await?.id.get().unsigned_abs();
    let waiting = store.audit_events(state.cursor, 1, 0).await?;
    let waiting_seconds = waiting.first().map_or(0, |row| store.now().since(row.at).as_secs());
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

#[cfg(test)]
mod tests {
    use store::AuditId;

    use super::*;

    fn status() -> Status {
        let id = |number| AuditId::new(number).unwrap();
        let at = |text| Timestamp::parse_rfc3339(text).unwrap();
        Status {
            copy: AuditCopy { sink: "cloudwatch://g".into(), stream: "s".into() },
            newest: 12,
            waiting_seconds: 75,
            state: ShippingState {
                cursor: id(9),
                shipped: 8,
                quarantined: 1,
                last_success: Some(at("2026-11-24T00:01:29.825Z")),
                last_error: Some((at("2026-11-24T00:02:00Z"), "nobody answers".into())),
            },
            quarantined: vec![Quarantined { id: id(4), reason: "too strange".into() }],
        }
    }

    #[test]
    fn its_text_has_the_sum_the_lag_the_last_success_and_the_last_error() {
        assert_eq!(
            status().to_text(),
            "Copy           cloudwatch://g, as s\n\
             Audit rows     12 = 8 shipped + 1 quarantined + 3 waiting\n\
             Oldest waiting 75 s\n\
             Last success   2026-11-24T00:01:29.825Z\n\
             Last error     2026-11-24T00:02:00.000Z: nobody answers\n\
             Quarantined    row 4: too strange\n"
        );
        let mut quiet = status();
        quiet.newest = 9;
        quiet.quarantined.clear();
        (quiet.state.last_success, quiet.state.last_error) = (None, None);
        let text = quiet.to_text();
        assert!(text.ends_with("0 waiting\nLast success   never\nLast error     none\n"), "{text}");
    }

    #[test]
    fn a_script_gets_the_same() {
        let shown: serde_json::Value = serde_json::from_str(&status().to_json()).unwrap();
        let expected = json!({
            "sink": "cloudwatch://g", "stream": "s", "newest": 12, "cursor": 9, "shipped": 8, "quarantined": 1,
            "lag_rows": 3, "lag_seconds": 75, "last_success": "2026-11-24T00:01:29.825Z",
            "last_error": { "at": "2026-11-24T00:02:00.000Z", "error": "nobody answers" },
            "quarantined_rows": [{ "id": 4, "reason": "too strange" }],
        });
        assert_eq!(shown, expected);
    }
}
