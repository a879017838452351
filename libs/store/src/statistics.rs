//! Numbers about the site: read when somebody asks, on a connection that only reads.

use std::collections::HashMap;

use rusqlite::Connection;

use crate::acts::urgent::UrgentState;
use crate::sqlite::write::read_head;
use crate::store::Store;
use crate::types::{Action, AuditId, EndReason, SessionId, SessionLimits, StepKind, StoreError, Timestamp};

/// How many audit rows one look counts at most: some 50 ms, which is how long the write-ahead log is kept from shrinking.
const ROWS: i64 = 20_000;

const STEPS: [StepKind; 4] = [StepKind::Reminder, StepKind::Teammates, StepKind::Everyone, StepKind::Unanswered];

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// The newest audit row.
    pub head: AuditId,
    /// Up to which row the look has counted; short of the head where there were too many to count in one go.
    pub counted: AuditId,
    /// How many of the counted rows record what. Actions that do not occur are left out.
    pub actions: Vec<(Action, u64)>,
    /// How many of them record a step of an urgent message.
    pub urgent_steps: Vec<(StepKind, u64)>,
    /// How many of them record an answer to one.
    pub urgent_answers: Vec<(UrgentState, u64)>,
    /// Sessions that could be used now.
    pub live_sessions: usize,
}

impl Store {
    /// Looks how the log has grown after the row `after`, whichever program wrote it, and how many sessions live at `at`.
    pub async fn statistics(
        &self,
        after: AuditId,
        limits: SessionLimits,
        at: Timestamp,
    ) -> Result<Statistics, StoreError> {
        self.statistics_within(ROWS, after, limits, at).await
    }

    async fn statistics_within(
        &self,
        rows: i64,
        after: AuditId,
        limits: SessionLimits,
        at: Timestamp,
    ) -> Result<Statistics, StoreError> {
        let reported = self.expired().clone();
        self.read(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let head = read_head(&snapshot)?.id;
            let counted = AuditId::new(after.get() + rows).map_or(head, |end| end.min(head));
            let Counts { actions, steps, answers } = count(&snapshot, after, counted)?;
            Ok(Statistics {
                head,
                counted,
                actions: actions.into_iter().collect(),
                urgent_steps: steps.into_iter().collect(),
                urgent_answers: answers.into_iter().collect(),
                live_sessions: count_live(&snapshot, &reported, limits, at)?,
            })
        })
        .await
    }
}

#[derive(Default)]
struct Counts {
    actions: HashMap<Action, u64>,
    steps: HashMap<StepKind, u64>,
    answers: HashMap<UrgentState, u64>,
}

fn count(connection: &Connection, after: AuditId, up_to: AuditId) -> Result<Counts, StoreError> {
    // In the order of the rows and not by an index on actions, which holds those of all times.
    let mut select = connection.prepare_cached(
        "SELECT action, CASE action WHEN 'URGENT_STEP' THEN json_extract(details, '$.kind') \
         WHEN 'DUTY_DONE' THEN json_extract(details, '$.after_step') IS NOT NULL END \
         FROM audit_log NOT INDEXED WHERE id > ?1 AND id <= ?2",
    )?;
    let mut rows = select.query((after, up_to))?;
    let mut counts = Counts::default();
    while let Some(row) = rows.next()? {
        // What a newer program has written is none of the actions that this one knows.
        let Some(action) = row.get_ref(0)?.as_str().ok().and_then(Action::parse) else { continue };
        *counts.actions.entry(action).or_default() += 1;
        let answer = match action {
            Action::UrgentStep => {
                let kind = row.get_ref(1)?.as_str().unwrap_or("");
                if let Some(step) = STEPS.into_iter().find(|step| step.as_str() == kind) {
                    *counts.steps.entry(step).or_default() += 1;
                }
                continue;
            }
            Action::UrgentOnMyWay => UrgentState::OnTheWay,
            Action::UrgentCannot => UrgentState::Cannot,
            // Of what was urgent: the row says after which step.
            Action::DutyDone if row.get(1)? => UrgentState::Done,
            _ => continue,
        };
        *counts.answers.entry(answer).or_default() += 1;
    }
    Ok(counts)
}

fn count_live(
    connection: &Connection,
    reported: &HashMap<SessionId, EndReason>,
    limits: SessionLimits,
    at: Timestamp,
) -> Result<usize, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT s.id, s.started_at, s.last_active_at, e.session_until FROM session s \
         LEFT JOIN emergency_grant e ON e.session_id = s.id WHERE s.ended_at IS NULL",
    )?;
    let live = select.query_map((), |row| {
        let passed = limits.passed(row.get(1)?, row.get(2)?, row.get(3)?, at);
        Ok(passed.is_none() && !reported.contains_key(&row.get(0)?))
    })?;
    live.filter(|live| !matches!(live, Ok(false)))
        .try_fold(0, |count, live| live.map(|_| count + 1))
        .map_err(Into::into)
}

#[cfg(test)]
mod tests;
