//! Teams: "Ward 3", "Pharmacy", "On call". Anyone on staff makes, names, joins and leaves them. A team gives its members duties,
//! never access: everybody on staff reads everything.

use rusqlite::OptionalExtension;
use serde_json::json;

use crate::acts::session::require_live;
use crate::ledger::audit::Entry;
use crate::sqlite::write::Write;
use crate::store::Store;
use crate::types::{Action, Actor, AuditId, Author, PersonId, StoreError, TeamId, TeamName, Timestamp};

/// So many teams there may be: the page and every form that addresses one list them all. None is ever deleted, since what was
/// sent for it stays; one that nobody needs can have another name.
pub const MAX_TEAMS: usize = 200;

/// How many of those who have left a team are told of it.
const FORMER_MEMBERS: u32 = 10;

/// A team, and who is in it. Debug does not show its name.
#[derive(Clone, Debug)]
pub struct Team {
    /// Its number.
    pub id: TeamId,
    /// What it is called today.
    pub name: TeamName,
    /// Who is in it, in the order in which they joined.
    pub members: Vec<TeamMember>,
}

/// Somebody in a team.
#[derive(Clone, Debug)]
pub struct TeamMember {
    /// Who.
    pub person: Author,
    /// Since when.
    pub since: Timestamp,
    /// May sign in. Somebody who may not has no duties.
    pub enabled: bool,
}

/// Somebody who was in a team.
#[derive(Clone, Debug)]
pub struct FormerMember {
    /// In which.
    pub team: TeamId,
    /// Who.
    pub person: Author,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// What came of making or naming a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TeamNamed {
    /// It is called that now.
    Named(TeamId),
    /// This other team is called that already, whatever the case of its letters. Nothing was changed.
    Taken(TeamId),
    /// There are [`MAX_TEAMS`]. Nothing was changed.
    TooMany,
    /// There is no such team.
    Missing,
}

/// What came of joining or leaving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TeamChange {
    /// Done.
    Changed {
        /// How many are in it now who may sign in.
        members: usize,
    },
    /// Nobody who may sign in would be left. Nothing was changed.
    WouldBeEmpty,
    /// It was so already; nothing was written.
    Unchanged,
    /// There is no such team.
    Missing,
}

impl Store {
    /// All teams by name, each with its members: at most [`MAX_TEAMS`].
    pub async fn teams(&self) -> Result<Vec<Team>, StoreError> {
        self.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut teams = Vec::new();
            let mut select = snapshot.prepare_cached("SELECT id, name FROM team ORDER BY name COLLATE NOCASE, id")?;
            let mut members = snapshot.prepare_cached(MEMBERS)?;
            let mut rows = select.query(())?;
            while let Some(row) = rows.next()? {
                let (id, name): (TeamId, String) = (row.get(0)?, row.get(1)?);
                let found = members.query_map([id], |row| {
                    Ok(TeamMember { person: Author::from_row(row, 0)?, since: row.get(3)?, enabled: row.get(4)? })
                })?;
                let name =
                    TeamName::parse(&name).map_err(|_| StoreError::internal("a team has a name that is none"))?;
                teams.push(Team { id, name, members: found.collect::<Result<_, _>>()? });
            }
            Ok(teams)
        })
        .await
    }

    /// What every team is called today, by its number.
    pub async fn team_names(&self) -> Result<Vec<(TeamId, String)>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached("SELECT id, name FROM team ORDER BY id")?;
            let found = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Who left a team last, the latest first: at most ten of each team.
    pub async fn former_members(&self) -> Result<Vec<FormerMember>, StoreError> {
        self.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut teams = snapshot.prepare_cached("SELECT id FROM team ORDER BY id")?;
            let mut select = snapshot.prepare_cached(PAST)?;
            let mut found = Vec::new();
            for team in teams.query_map((), |row| row.get::<_, TeamId>(0))? {
                let team = team?;
                let left = select.query_map((team, FORMER_MEMBERS), |row| {
                    Ok(FormerMember { team, person: Author::from_row(row, 0)?, from: row.get(3)?, until: row.get(4)? })
                })?;
                for former in left {
                    found.push(former?);
                }
            }
            Ok(found)
        })
        .await
    }

    /// Makes a team, and the actor its first member: TEAM_CREATED and TEAM_JOINED.
    pub async fn create_team(&self, actor: Actor, name: TeamName, at: Timestamp) -> Result<TeamNamed, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let teams = names(write)?;
            if let Some(other) = called(&teams, &name, None) {
                return Ok(TeamNamed::Taken(other));
            }
            if teams.len() >= MAX_TEAMS {
                return Ok(TeamNamed::TooMany);
            }
            let mut insert = write.connection.prepare_cached("INSERT INTO team (name) VALUES (?1) RETURNING id")?;
            let id: TeamId = insert.query_row([name.as_str()], |row| row.get(0))?;
            drop(insert);
            record(write, actor, Action::TeamCreated, id, name.as_str(), at)?;
            begin_stay(write, actor, id, name.as_str(), at)?;
            Ok(TeamNamed::Named(id))
        })
        .await
    }

    /// Gives a team another name: TEAM_RENAMED, unless it is called that already, letter for letter.
    pub async fn rename_team(
        &self,
        actor: Actor,
        team: TeamId,
        name: TeamName,
        at: Timestamp,
    ) -> Result<TeamNamed, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let Some(before) = name_of(write, team)? else { return Ok(TeamNamed::Missing) };
            if before == name.as_str() {
                return Ok(TeamNamed::Named(team));
            }
            if let Some(other) = called(&names(write)?, &name, Some(team)) {
                return Ok(TeamNamed::Taken(other));
            }
            let mut update = write.connection.prepare_cached("UPDATE team SET name = ?2 WHERE id = ?1")?;
            update.execute((team, name.as_str()))?;
            drop(update);
            record(write, actor, Action::TeamRenamed, team, name.as_str(), at)?;
            Ok(TeamNamed::Named(team))
        })
        .await
    }

    /// The actor joins a team: TEAM_JOINED.
    pub async fn join_team(&self, actor: Actor, team: TeamId, at: Timestamp) -> Result<TeamChange, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let Some(name) = name_of(write, team)? else { return Ok(TeamChange::Missing) };
            if is_in(write, team, actor.person)? {
                return Ok(TeamChange::Unchanged);
            }
            begin_stay(write, actor, team, &name, at)?;
            Ok(TeamChange::Changed { members: count(write, team)? })
        })
        .await
    }

    /// The actor leaves a team: TEAM_LEFT. Where nobody would be left who may sign in, only if `even_if_last`.
    pub async fn leave_team(
        &self,
        actor: Actor,
        team: TeamId,
        even_if_last: bool,
        at: Timestamp,
    ) -> Result<TeamChange, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let Some(name) = name_of(write, team)? else { return Ok(TeamChange::Missing) };
            if !is_in(write, team, actor.person)? {
                return Ok(TeamChange::Unchanged);
            }
            // The one who acts may sign in, and is one of those who are counted.
            let left = count(write, team)?.saturating_sub(1);
            if left == 0 && !even_if_last {
                return Ok(TeamChange::WouldBeEmpty);
            }
            let row = record(write, actor, Action::TeamLeft, team, &name, at)?;
            let mut update = write.connection.prepare_cached(
                "UPDATE team_stay SET left_by = ?3 WHERE team_id = ?1 AND person_id = ?2 AND left_by IS NULL",
            )?;
            update.execute((team, actor.person, row))?;
            Ok(TeamChange::Changed { members: left })
        })
        .await
    }
}

/// Those who are in a team: number, name and address, since when, whether they may sign in.
const MEMBERS: &str = "SELECT p.id, p.name, p.email, a.at, p.disabled_at IS NULL FROM team_stay s \
     CROSS JOIN person p ON p.id = s.person_id CROSS JOIN audit_log a ON a.id = s.joined_by \
     WHERE s.team_id = ?1 AND s.left_by IS NULL ORDER BY s.joined_by";

/// Those who have left a team: number, name and address, from when until when.
const PAST: &str = "SELECT p.id, p.name, p.email, j.at, l.at FROM team_stay s INDEXED BY team_stay_past \
     CROSS JOIN person p ON p.id = s.person_id CROSS JOIN audit_log j ON j.id = s.joined_by \
     CROSS JOIN audit_log l ON l.id = s.left_by \
     WHERE s.team_id = ?1 AND s.left_by IS NOT NULL ORDER BY s.left_by DESC LIMIT ?2";

fn names(write: &Write<'_>) -> Result<Vec<(TeamId, String)>, StoreError> {
    let mut select = write.connection.prepare_cached("SELECT id, name FROM team ORDER BY id")?;
    let names = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// The team of this name, but for the one that is to get it. SQLite knows the case of ASCII letters alone.
fn called(teams: &[(TeamId, String)], name: &TeamName, but: Option<TeamId>) -> Option<TeamId> {
    let wanted = name.as_str().to_lowercase();
    let is_called = |(id, name): &&(TeamId, String)| Some(*id) != but && name.to_lowercase() == wanted;
    teams.iter().find(is_called).map(|(id, _)| *id)
}

fn name_of(write: &Write<'_>, team: TeamId) -> Result<Option<String>, StoreError> {
    let mut select = write.connection.prepare_cached("SELECT name FROM team WHERE id = ?1")?;
    Ok(select.query_row([team], |row| row.get(0)).optional()?)
}

fn is_in(write: &Write<'_>, team: TeamId, person: PersonId) -> Result<bool, StoreError> {
    let mut select = write
        .connection
        .prepare_cached("SELECT 1 FROM team_stay WHERE team_id = ?1 AND person_id = ?2 AND left_by IS NULL")?;
    Ok(select.exists((team, person))?)
}

/// Members who may sign in.
fn count(write: &Write<'_>, team: TeamId) -> Result<usize, StoreError> {
    let mut select = write.connection.prepare_cached(
        "SELECT count(*) FROM team_stay s CROSS JOIN person p ON p.id = s.person_id \
         WHERE s.team_id = ?1 AND s.left_by IS NULL AND p.disabled_at IS NULL",
    )?;
    let members: i64 = select.query_row([team], |row| row.get(0))?;
    Ok(usize::try_from(members).unwrap_or(0))
}

fn begin_stay(write: &mut Write<'_>, actor: Actor, team: TeamId, name: &str, at: Timestamp) -> Result<(), StoreError> {
    let row = record(write, actor, Action::TeamJoined, team, name, at)?;
    let mut insert =
        write.connection.prepare_cached("INSERT INTO team_stay (team_id, person_id, joined_by) VALUES (?1, ?2, ?3)")?;
    insert.execute((team, actor.person, row))?;
    Ok(())
}

/// A name is text of somebody's own: it stands beside the log and not in it.
fn record(
    write: &mut Write<'_>,
    actor: Actor,
    action: Action,
    team: TeamId,
    name: &str,
    at: Timestamp,
) -> Result<AuditId, StoreError> {
    let details = json!({ "team": team });
    let entry = Entry { at, person: Some(actor.person), action, message: None, details, ip: Some(actor.ip) };
    write.append_personal(entry, &json!({ "name": name }))
}

#[cfg(test)]
mod tests;
