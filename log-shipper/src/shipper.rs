//! One step of shipping: some rows after the cursor, read, planned, sent, and the cursor moved past them.
//!
//! The cursor moves only past rows that the sink accepted, or that were given up on with the sink's own reason. A step that
//! fails, or that a kill cuts off, leaves the cursor where it was; its rows are sent again, and the copy may hold a row twice
//! but never lacks one.

mod poison;

use std::collections::VecDeque;

use store::{Action, AuditCopy, AuditEvent, AuditId, Quarantined, Store, StoreError, Timestamp};

use crate::alarms::Alarms;
use crate::batch::{Age, OutgoingEvent, plan};
use crate::event::{LONGEST_TEXT, LogIdentity, TimestampOverride, render, split};
use crate::sink::{Retention, SendError, Sink, Verdict};

/// Rows that are read at once, and bytes of their details: somewhat more than one call takes.
pub(crate) const READ_ROWS: u32 = 5_000;
pub(crate) const READ_BYTES: usize = 1 << 20;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The cursor has moved.
    Moved,
    /// There is nothing to ship.
    Idle,
}

/// Why a step did not get through. Nothing is lost; the same step can be taken again.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The other side, or the way there.
    #[error("{0}")]
    Outage(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cursor was moved by somebody else.
    #[error("another log-shipper ships the same copy: let only one run")]
    NotAlone,
}

/// An event on its way, and the row it is the last one of.
struct Pending {
    event: OutgoingEvent,
    row: AuditId,
    completes_row: bool,
}

/// Ships one log to one place.
pub struct Shipper {
    store: Store,
    sink: Sink,
    copy: AuditCopy,
    log: LogIdentity,
    cursor: AuditId,
    queue: VecDeque<Pending>,
    /// The newest row that is in the queue or was.
    read_to: AuditId,
    /// A row that the sink has taken, to its last part.
    known_good: Option<AuditId>,
    alarms: Alarms,
}

impl Shipper {
    /// A shipper that goes on where the shipping state says the copy ends.
    pub async fn new(store: Store, sink: Sink, copy: AuditCopy) -> Result<Shipper, StoreError> {
        let cursor = store.shipping_state(&copy).await?.cursor;
        let log = LogIdentity { database_id: store.database_id().to_owned(), stream: copy.stream.clone() };
        Ok(Shipper {
            store,
            sink,
            copy,
            log,
            cursor,
            queue: VecDeque::new(),
            read_to: cursor,
            known_good: None,
            alarms: Alarms::after(cursor),
        })
    }

    /// The newest row that is accounted for.
    pub fn cursor(&self) -> AuditId {
        self.cursor
    }

    /// The copy's name.
    pub fn copy(&self) -> &AuditCopy {
        &self.copy
    }

    /// Ships one batch. After an error the next step begins again at the cursor.
    pub async fn step(&mut self) -> Result<Step, ShipError> {
        let outcome = self.try_step().await;
        if outcome.is_err() {
            self.begin_again().await;
            // Alarms do not wait for the copy. If the rows cannot be read now, the next step says so.
            let _ = self.alarms.read_on(&self.store).await;
        }
        outcome
    }

    async fn try_step(&mut self) -> Result<Step, ShipError> {
        if self.queue.is_empty() {
            let rows = self.store.audit_events(self.read_to, READ_ROWS, READ_BYTES).await?;
            let Some(last) = rows.last() else { return Ok(Step::Idle) };
            self.read_to = last.id;
            self.alarms.read(&rows);
            self.queue = self.pending(&rows, self.store.now());
        }
        let count = plan(self.queue.iter_mut().map(|pending| &mut pending.event));
        let batch: Vec<Pending> = self.queue.drain(..count).collect();
        let (Some(newest), complete) = (
            batch.last().map(|last| last.row),
            batch.iter().rev().find(|event| event.completes_row).map(|event| event.row),
        ) else {
            return Ok(Step::Idle);
        };
        match self.deliver(batch).await {
            Ok(()) => {
                // A batch may hold nothing but the first parts of one oversize row.
                if let Some(row) = complete {
                    self.advance(row, Vec::new()).await?;
                }
            }
            Err(SendError::Outage(reason)) => return Err(ShipError::Outage(reason)),
            Err(SendError::Invalid(_)) => {
                self.isolate(newest).await?;
                // What is left in the queue may continue a row that was dealt with just now.
                self.begin_again().await;
            }
        }
        Ok(Step::Moved)
    }

    /// Reads on from the cursor of the stored shipping state.
    async fn begin_again(&mut self) {
        self.queue.clear();
        if let Ok(state) = self.store.shipping_state(&self.copy).await {
            self.cursor = state.cursor;
        }
        self.read_to = self.cursor;
    }

    fn pending(&self, rows: &[AuditEvent], now: Timestamp) -> VecDeque<Pending> {
        let mut queue = VecDeque::with_capacity(rows.len());
        for row in rows {
            let time_override = match Age::of(row.at, now) {
                Age::Fresh => None,
                Age::Late => Some(TimestampOverride::Late(now)),
                Age::Ahead => Some(TimestampOverride::Ahead(now)),
            };
            queue.extend(self.pending_row(row, time_override));
        }
        queue
    }

    fn pending_row(
        &self,
        row: &AuditEvent,
        time_override: Option<TimestampOverride>,
    ) -> impl Iterator<Item = Pending> + use<> {
        let stamp = match time_override {
            None => row.at,
            Some(TimestampOverride::Late(now) | TimestampOverride::Ahead(now)) => now,
        };
        let texts = split(render(row, &self.log, time_override), row, &self.log, time_override, LONGEST_TEXT);
        let (row, last) = (row.id, texts.len());
        (1..).zip(texts).map(move |(number, text)| Pending {
            event: OutgoingEvent { stamp, text },
            row,
            completes_row: number == last,
        })
    }

    /// Sends a batch, and what of it is refused by its time once more under the present time.
    async fn deliver(&mut self, batch: Vec<Pending>) -> Result<(), SendError> {
        let rows: Vec<AuditId> = batch.iter().map(|pending| pending.row).collect();
        let complete = batch.iter().rev().find(|pending| pending.completes_row).map(|pending| pending.row);
        let verdicts = self.sink.send(batch.into_iter().map(|pending| pending.event).collect()).await?;
        let mut refused: Vec<(AuditId, Verdict)> =
            rows.iter().copied().zip(verdicts).filter(|(_, verdict)| *verdict != Verdict::Accepted).collect();
        refused.dedup_by_key(|(row, _)| *row);
        let mut again = VecDeque::new();
        for (row, verdict) in refused {
            let now = self.store.now();
            let time_override =
                if verdict == Verdict::TooOld { TimestampOverride::Late(now) } else { TimestampOverride::Ahead(now) };
            if let Some(row) = self.row(row).await? {
                again.extend(self.pending_row(&row, Some(time_override)));
            }
        }
        while !again.is_empty() {
            let count = plan(again.iter_mut().map(|pending| &mut pending.event));
            let events = again.drain(..count).map(|pending| pending.event).collect();
            if self.sink.send(events).await?.iter().any(|verdict| *verdict != Verdict::Accepted) {
                return Err(SendError::Outage(
                    "the other side refuses even the present time: see that this machine's clock is right".to_owned(),
                ));
            }
        }
        self.known_good = complete.or(self.known_good);
        Ok(())
    }

    async fn row(&self, row: AuditId) -> Result<Option<AuditEvent>, SendError> {
        let before = AuditId::new(row.get() - 1).unwrap_or(AuditId::ZERO);
        let rows = self.store.audit_events(before, 1, 0).await;
        rows.map(|rows| rows.into_iter().next()).map_err(|error| SendError::Outage(error.to_string()))
    }

    async fn advance(&mut self, to: AuditId, quarantined: Vec<Quarantined>) -> Result<(), ShipError> {
        if self.cursor == AuditId::ZERO {
            // Before the cursor says that it has begun: killed here, the next start comes here again.
            self.announce_stream().await?;
        }
        let moved = self.store.advance_shipping(&self.copy, self.cursor, to, quarantined, self.store.now()).await?;
        if !moved {
            return Err(ShipError::NotAlone);
        }
        self.cursor = to;
        Ok(())
    }

    /// The alarm for a stream that begins after a restore, or where there was another one: once, since its row is in the log
    /// from then on. A new installation's first stream is none, unless the other side does not say whether it is the first.
    async fn announce_stream(&mut self) -> Result<(), StoreError> {
        let is_restored = self.copy.stream != self.log.database_id;
        if !is_restored && self.is_first_stream().await {
            return Ok(());
        }
        if let Some(row) = self.store.alert_new_stream(&self.copy, self.store.now()).await? {
            tracing::error!(
                alarm = Action::SecurityAlert.as_str(), kind = "new_audit_stream", %row,
                sink = self.copy.sink, stream = self.copy.stream,
                "a new stream of the audit log begins: was this database restored or set up just now?"
            );
        }
        Ok(())
    }

    async fn is_first_stream(&mut self) -> bool {
        match self.sink.has_others(&self.copy.stream).await {
            Ok(has_others) => !has_others,
            Err(error) => {
                tracing::warn!(%error, "whether there are other streams cannot be asked");
                false
            }
        }
    }

    /// How long the other side keeps events; untold where it cannot be asked.
    pub async fn retention(&mut self) -> Retention {
        self.sink.retention().await.unwrap_or(Retention::Untold)
    }

    /// Writes down why nothing gets through.
    pub async fn record_error(&self, error: &str) -> Result<(), StoreError> {
        self.store.record_shipping_error(&self.copy, error, self.store.now()).await
    }
}
