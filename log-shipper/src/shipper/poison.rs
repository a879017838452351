//! Which row of a refused batch the sink will not take: found by halves, and proved before it is given up on.

use store::{AuditId, Quarantined, StoreError};

use super::{READ_BYTES, READ_ROWS, ShipError, Shipper};
use crate::batch::plan;
use crate::sink::SendError;

/// How many rows after a suspect are tried as a control, where none is known to be good.
const CONTROLS: usize = 3;

impl Shipper {
    /// Goes through the rows from the cursor up to `last`, of which at least one is refused, by halves, and moves the cursor
    /// past each half that is taken and each single row that proves to be poison.
    pub(super) async fn isolate(&mut self, last: AuditId) -> Result<(), ShipError> {
        let mut ranges = vec![(self.cursor.get() + 1, last.get())];
        while let Some((from, to)) = ranges.pop() {
            match self.deliver_range(from, to).await {
                Ok(()) => self.advance(row_id(to), Vec::new()).await?,
                Err(SendError::Outage(reason)) => return Err(ShipError::Outage(reason)),
                Err(SendError::Invalid(reason)) if from == to => {
                    self.prove_poison(row_id(from), &reason).await?;
                    tracing::error!(
                        alarm = "AUDIT_ROW_QUARANTINED",
                        row = from,
                        reason,
                        "a row cannot be shipped and is put aside; it is in the database and nowhere else"
                    );
                    self.advance(row_id(to), vec![Quarantined { id: row_id(from), reason }]).await?;
                }
                Err(SendError::Invalid(_)) => {
                    let middle = from + (to - from) / 2;
                    ranges.push((middle + 1, to));
                    ranges.push((from, middle));
                }
            }
        }
        Ok(())
    }

    async fn deliver_range(&mut self, from: i64, to: i64) -> Result<(), SendError> {
        let mut after = AuditId::new(from - 1).unwrap_or(AuditId::ZERO);
        while after.get() < to {
            let limit = u32::try_from(to - after.get()).unwrap_or(READ_ROWS).min(READ_ROWS);
            let rows = self.store.audit_events(after, limit, READ_BYTES).await;
            let rows = rows.map_err(|error| SendError::Outage(error.to_string()))?;
            let Some(last) = rows.last().map(|row| row.id) else { return Ok(()) };
            let mut queue = self.pending(&rows, self.store.now());
            while !queue.is_empty() {
                let count = plan(queue.iter_mut().map(|pending| &mut pending.event));
                let batch = queue.drain(..count).collect();
                self.deliver(batch).await?;
            }
            after = last;
        }
        Ok(())
    }

    /// A refused row is poison only if another one is taken at the same moment: a service that refuses everything says
    /// nothing about the row. Sending a row twice does no harm.
    async fn prove_poison(&mut self, suspect: AuditId, reason: &str) -> Result<(), ShipError> {
        let controls: Vec<AuditId> = match self.known_good.filter(|row| *row != suspect) {
            Some(row) => vec![row],
            None => self.unproven_controls(suspect).await?,
        };
        for control in controls {
            match self.deliver_range(control.get(), control.get()).await {
                Ok(()) => return Ok(()),
                Err(SendError::Outage(reason)) => return Err(ShipError::Outage(reason)),
                Err(SendError::Invalid(_)) => {}
            }
        }
        Err(ShipError::Outage(format!("the other side refuses every row, not this one alone: {reason}")))
    }

    async fn unproven_controls(&self, suspect: AuditId) -> Result<Vec<AuditId>, StoreError> {
        let mut controls = Vec::new();
        let given_up = self.store.quarantined(&self.copy).await?;
        if self.cursor > AuditId::ZERO && given_up.iter().all(|row| row.id != self.cursor) {
            controls.push(self.cursor);
        }
        let next = self.store.audit_events(suspect, u32::try_from(CONTROLS).unwrap_or(1), usize::MAX).await?;
        controls.extend(next.iter().map(|row| row.id));
        Ok(controls)
    }
}

fn row_id(number: i64) -> AuditId {
    // Zero comes of no row here; it would move no cursor.
    AuditId::new(number).unwrap_or(AuditId::ZERO)
}
