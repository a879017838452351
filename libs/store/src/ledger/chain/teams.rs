//! Teams against the rows of the log that concern them: what each is called, who is in it and who was.
//!
//! Every row TEAM_JOINED has its stay, and every row TEAM_LEFT has ended one; at the end there are as many of both as there
//! were rows, and each team is called what its newest row says. The names lie beside the rows, which vouch for them.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;

use super::StoredRow;
use crate::types::{Action, AuditId, ChainError, StoreError, TeamId};

/// What the rows up to some row say of teams: some bytes for each team.
#[derive(Default)]
pub(super) struct Teams {
    /// The row that named a team last; the name where it can be read.
    named: BTreeMap<TeamId, (AuditId, Option<String>)>,
    joined: i64,
    left: i64,
}

#[derive(Deserialize)]
struct TeamDetails {
    team: i64,
}

#[derive(Deserialize)]
struct TeamPersonal {
    name: String,
}

impl Teams {
    /// Takes the next row; gives what disagrees with it.
    pub(super) fn take(
        &mut self,
        snapshot: &Connection,
        row: &StoredRow,
        id: AuditId,
    ) -> Result<Option<ChainError>, StoreError> {
        let action = Action::parse(&row.action);
        let Some(action @ (Action::TeamCreated | Action::TeamRenamed | Action::TeamJoined | Action::TeamLeft)) = action
        else {
            return Ok(None);
        };
        let details: Option<TeamDetails> = serde_json::from_str(&row.details).ok();
        let Some(team) = details.and_then(|details| TeamId::new(details.team)) else {
            return Ok(Some(ChainError::Altered));
        };
        let agrees = match action {
            Action::TeamJoined => {
                self.joined += 1;
                snapshot.prepare_cached(JOINED)?.exists((team, row.person, row.id))?
            }
            Action::TeamLeft => {
                self.left += 1;
                snapshot.prepare_cached(LEFT)?.exists((team, row.person, row.id))?
            }
            // A number that was given twice belonged to a team that is gone.
            _ => self.named.insert(team, (id, name_beside(row))).is_none() || action == Action::TeamRenamed,
        };
        Ok((!agrees).then_some(ChainError::Team(team)))
    }

    /// Holds the tables against all rows; gives the first team that differs, and the row that shows it. After a check that
    /// began in the midst of the log (not `whole`), only the names that were given since.
    pub(super) fn compare(
        &self,
        snapshot: &Connection,
        head: AuditId,
        whole: bool,
    ) -> Result<Option<(AuditId, ChainError)>, StoreError> {
        let mut select = snapshot.prepare_cached("SELECT name FROM team WHERE id = ?1")?;
        for (team, (row, name)) in &self.named {
            // What is no text is no name.
            let found: Option<String> = select.query_row([team], |row| Ok(row.get(0).ok())).optional()?.flatten();
            if found.is_none() || found != *name {
                return Ok(Some((*row, ChainError::Team(*team))));
            }
        }
        if !whole {
            return Ok(None);
        }
        let mut select = snapshot.prepare_cached("SELECT id FROM team ORDER BY id")?;
        for id in select.query_map((), |row| row.get::<_, i64>(0))? {
            let team = TeamId::new(id?);
            if !team.is_some_and(|team| self.named.contains_key(&team)) {
                return Ok(or_first(team).map(|team| (head, ChainError::Team(team))));
            }
        }
        // Every stay and every end that a row records is there; so no more than these are.
        let mut count = snapshot.prepare_cached("SELECT count(*), count(left_by) FROM team_stay")?;
        let counted: (i64, i64) = count.query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        if counted == (self.joined, self.left) {
            return Ok(None);
        }
        let made_up: Option<i64> = snapshot.prepare_cached(MADE_UP)?.query_row((), |row| row.get(0)).optional()?;
        let team = made_up.and_then(TeamId::new).or_else(|| self.named.keys().next().copied());
        Ok(or_first(team).map(|team| (head, ChainError::Team(team))))
    }
}

const JOINED: &str = "SELECT 1 FROM team_stay WHERE team_id = ?1 AND person_id = ?2 AND joined_by = ?3 \
     AND (left_by IS NULL OR left_by > ?3)";

/// The end belongs to the stay that was the newest then.
const LEFT: &str = "SELECT 1 FROM team_stay WHERE team_id = ?1 AND person_id = ?2 AND left_by = ?3 AND joined_by = \
     (SELECT max(joined_by) FROM team_stay WHERE team_id = ?1 AND person_id = ?2 AND joined_by < ?3)";

/// A stay of which no row tells the beginning, or the end that it has.
const MADE_UP: &str = "SELECT s.team_id FROM team_stay s WHERE NOT EXISTS (SELECT 1 FROM audit_log a \
     WHERE a.id = s.joined_by AND a.action = 'TEAM_JOINED' AND a.person_id = s.person_id \
     AND json_extract(a.details, '$.team') = s.team_id) \
     OR (s.left_by IS NOT NULL AND NOT EXISTS (SELECT 1 FROM audit_log a \
     WHERE a.id = s.left_by AND a.action = 'TEAM_LEFT' AND a.person_id = s.person_id \
     AND json_extract(a.details, '$.team') = s.team_id)) LIMIT 1";

/// A number that no team can have stands for the first one.
fn or_first(team: Option<TeamId>) -> Option<TeamId> {
    team.or(TeamId::new(1))
}

/// The name that lies beside a row. What is wrong with that itself is found where it is held against the row.
fn name_beside(row: &StoredRow) -> Option<String> {
    let personal = row.personal.as_ref().ok()?.as_ref()?;
    serde_json::from_str(&personal.details).ok().map(|beside: TeamPersonal| beside.name)
}

#[cfg(test)]
mod tests;
