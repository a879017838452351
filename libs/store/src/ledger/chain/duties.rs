//! Duties, answers and steps against the rows of the log. The rules that the acts follow are followed again; what is open
//! meanwhile is kept, and nothing else.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;

use super::StoredRow;
use crate::ledger::given_duties::GivenDuties;
use crate::ledger::ranges;
use crate::types::{Action, Duty, DutyAct, MessageId, OpenDuties, PersonId, StoreError, TeamId, UrgentPolicy};

/// What the rows so far say.
#[derive(Default)]
pub(super) struct Duties {
    /// By conversation and message: what has open duties, or is urgent and not over.
    open: BTreeMap<(i64, i64), OpenMessage>,
    /// Duties that were given, messages that were urgent, steps that are over: as many as there are rows in the tables.
    given: u64,
    urgent: u64,
    steps: u64,
}

struct OpenMessage {
    policy: Option<String>,
    withdrawn: bool,
    was_done: bool,
    newest_step: i64,
    /// Each with the row that gave it.
    duties: BTreeMap<Duty, i64>,
}

#[derive(Deserialize)]
struct Details {
    reply_to: Option<i64>,
    urgent: Option<String>,
    person: Option<i64>,
    step: Option<i64>,
    kind: Option<String>,
    steps: Option<String>,
    after_step: Option<i64>,
    #[serde(flatten)]
    given: GivenDuties,
}

impl Duties {
    /// Takes the next row of the log; gives whether what it does stands in the tables.
    pub(super) fn take(&mut self, snapshot: &Connection, row: &StoredRow, id: MessageId) -> Result<bool, StoreError> {
        let Some(action) = Action::parse(&row.action) else { return Ok(true) };
        let message = id.get();
        let act = match action {
            Action::MessageDelete => Some(DutyAct::Deleted),
            Action::DutyDone => Some(DutyAct::Done),
            Action::DutyTaken => Some(DutyAct::Taken),
            Action::UrgentCannot => Some(DutyAct::Cannot),
            Action::DutyMoved => Some(DutyAct::SwitchedOff),
            Action::MessageCreate
            | Action::UrgentOnMyWay
            | Action::UrgentStep
            | Action::UrgentStepsSkipped
            | Action::UrgentWithdrawn => None,
            _ => return Ok(true),
        };
        let Ok(details) = serde_json::from_str::<Details>(&row.details) else { return Ok(false) };
        let (Some(given), actor) = (details.given.duties(), row.person) else { return Ok(false) };
        let person = if action == Action::DutyMoved { details.person.and_then(PersonId::new) } else { actor };
        let root = match details.reply_to.filter(|_| action == Action::MessageCreate) {
            Some(root) => root,
            None => root_of(snapshot, message)?,
        };
        // An answer to something urgent says after which step it came, and no other does.
        let mut agrees = match action {
            Action::DutyDone
            | Action::DutyTaken
            | Action::UrgentOnMyWay
            | Action::UrgentCannot
            | Action::UrgentWithdrawn => details.after_step == self.newest_step((root, message)),
            _ => details.after_step.is_none(),
        };
        match action {
            Action::MessageCreate => {
                if let (Some(person), true) = (person, root != message) {
                    let in_conversation: Vec<_> =
                        self.open.range((root, 0)..=(root, i64::MAX)).map(|(key, _)| *key).collect();
                    for key in in_conversation {
                        agrees &= self.end(snapshot, key, DutyAct::Replied, person, row.id)?;
                    }
                }
                self.urgent += u64::from(details.urgent.is_some());
                if !given.is_empty() || details.urgent.is_some() {
                    let begun = OpenMessage {
                        policy: details.urgent,
                        withdrawn: false,
                        was_done: false,
                        newest_step: 0,
                        duties: BTreeMap::new(),
                    };
                    self.open.insert((root, message), begun);
                }
            }
            Action::UrgentStep => {
                let told = (details.step, details.kind.as_deref());
                agrees &= self.is_step_of_policy((root, message), told);
                agrees &= self.step(snapshot, (root, message), details.step, row.id)?;
            }
            Action::UrgentStepsSkipped => {
                let Some(steps) = details.steps.as_deref().and_then(ranges::parse) else { return Ok(false) };
                for step in steps.into_iter().flatten() {
                    agrees &= self.step(snapshot, (root, message), Some(step), row.id)?;
                }
            }
            Action::UrgentWithdrawn => match self.open.get_mut(&(root, message)) {
                Some(open) => {
                    open.withdrawn = true;
                    agrees &= self.is_over(snapshot, (root, message), row.id)?;
                }
                None => agrees = false,
            },
            _ => {}
        }
        if !given.is_empty() {
            // A message whose duties were all done is open again where somebody gets one.
            let open = self.open.entry((root, message)).or_insert_with(|| OpenMessage {
                policy: None,
                withdrawn: false,
                was_done: false,
                newest_step: 0,
                duties: BTreeMap::new(),
            });
            for duty in given {
                self.given += 1;
                agrees &= open.duties.insert(duty, row.id).is_none();
            }
        }
        if let Some(act) = act {
            let Some(person) = person else { return Ok(false) };
            agrees &= self.end(snapshot, (root, message), act, person, row.id)?;
        }
        Ok(agrees)
    }

    /// What is not in the tables as the whole log says, if there is anything.
    pub(super) fn compare(&self, snapshot: &Connection) -> Result<Option<MessageId>, StoreError> {
        let mut is_open = snapshot.prepare_cached(
            "SELECT 1 FROM duty WHERE message_id = ?1 AND team_id = ?2 AND person_id = ?3 AND since_by = ?4 \
             AND ended_by IS NULL",
        )?;
        let mut is_urgent = snapshot
            .prepare_cached("SELECT 1 FROM urgent WHERE message_id = ?1 AND policy = ?2 AND ended_by IS NULL")?;
        for ((_, message), open) in &self.open {
            for (duty, since) in &open.duties {
                if !is_open.exists((message, duty.team.map_or(0, TeamId::get), duty.person, since))? {
                    return Ok(MessageId::new(*message));
                }
            }
            if let Some(policy) = &open.policy
                && !is_urgent.exists((message, policy))?
            {
                return Ok(MessageId::new(*message));
            }
        }
        // Each that the rows made is there; so one that is too many shows by counting.
        for (table, expected) in [("duty", self.given), ("urgent", self.urgent), ("urgent_step", self.steps)] {
            let count = format!("SELECT count(*), coalesce(max(message_id), 1) FROM {table}");
            let (count, last): (i64, i64) =
                snapshot.prepare_cached(&count)?.query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
            if u64::try_from(count) != Ok(expected) {
                // A number that no message can have stands for the first one.
                return Ok(MessageId::new(last.max(1)));
            }
        }
        Ok(None)
    }

    fn end(
        &mut self,
        snapshot: &Connection,
        key: (i64, i64),
        act: DutyAct,
        person: PersonId,
        row: i64,
    ) -> Result<bool, StoreError> {
        let Some(open) = self.open.get_mut(&key) else { return Ok(true) };
        let duties: Vec<Duty> = open.duties.keys().copied().collect();
        let before = OpenDuties { urgent: open.policy.is_some(), withdrawn: open.withdrawn, open: &duties };
        let mut ended = snapshot.prepare_cached(
            "SELECT 1 FROM duty WHERE message_id = ?1 AND team_id = ?2 AND person_id = ?3 AND since_by = ?4 \
             AND ended_by = ?5",
        )?;
        let mut agrees = true;
        for duty in before.ended_by(act, person) {
            let since = open.duties.remove(&duty);
            agrees &= ended.exists((key.1, duty.team.map_or(0, TeamId::get), duty.person, since, row))?;
        }
        open.was_done |= act == DutyAct::Done;
        Ok(agrees & self.is_over(snapshot, key, row)?)
    }

    /// Where nobody has to do anything any more after this row, the table says so, and the message is forgotten.
    fn is_over(&mut self, snapshot: &Connection, key: (i64, i64), row: i64) -> Result<bool, StoreError> {
        let Some(open) = self.open.get(&key).filter(|open| open.duties.is_empty()) else { return Ok(true) };
        let agrees = match &open.policy {
            None => true,
            Some(_) if !open.was_done && !open.withdrawn => return Ok(true),
            Some(policy) => snapshot
                .prepare_cached("SELECT 1 FROM urgent WHERE message_id = ?1 AND policy = ?2 AND ended_by = ?3")?
                .exists((key.1, policy, row))?,
        };
        self.open.remove(&key);
        Ok(agrees)
    }

    /// The newest step of an urgent message that is not over.
    fn newest_step(&self, key: (i64, i64)) -> Option<i64> {
        self.open.get(&key).filter(|open| open.policy.is_some()).map(|open| open.newest_step)
    }

    /// Whether a step does what its number says by the message's policy, as pages tell it.
    fn is_step_of_policy(&self, key: (i64, i64), (step, kind): (Option<i64>, Option<&str>)) -> bool {
        let policy = self.open.get(&key).and_then(|open| UrgentPolicy::parse(open.policy.as_deref()?));
        let before = step.and_then(|step| usize::try_from(step).ok()?.checked_sub(1));
        let (Some(policy), Some(before)) = (policy, before) else { return false };
        policy.steps().get(before).is_some_and(|step| Some(step.kind.as_str()) == kind)
    }

    fn step(
        &mut self,
        snapshot: &Connection,
        key: (i64, i64),
        step: Option<i64>,
        row: i64,
    ) -> Result<bool, StoreError> {
        let (Some(open), Some(step)) = (self.open.get_mut(&key), step) else { return Ok(false) };
        let follows = step == open.newest_step + 1;
        open.newest_step = step;
        self.steps += 1;
        let mut kept = snapshot
            .prepare_cached("SELECT 1 FROM urgent_step WHERE message_id = ?1 AND step = ?2 AND audit_id = ?3")?;
        Ok(follows && kept.exists((key.1, step, row))?)
    }
}

/// The first message of the conversation that a message is in.
fn root_of(snapshot: &Connection, message: i64) -> Result<i64, StoreError> {
    let mut select = snapshot.prepare_cached("SELECT root_id FROM message_reply WHERE message_id = ?1")?;
    Ok(select.query_row([message], |row| row.get(0)).optional()?.unwrap_or(message))
}

#[cfg(test)]
mod tests;
