//! What concerns one person, for that person: counted first, then read a page at a time, so that an archive of it is made in
//! bounded memory. Each walk goes along an index and is paged by the last key that it gave. What the person wrote, and who
//! opened it, is in [`messages`]. That a copy is taken is an act of its own (`data_export.rs`).

/// Where a walk goes on that was at the row ?3: its time, or before all.
macro_rules! beyond {
    () => {
        "(coalesce((SELECT b.at FROM audit_log b WHERE b.id = ?3), -9223372036854775807), ?3)"
    };
}

pub(crate) mod messages;

use rusqlite::Row;

use crate::acts::draft::Draft;
use crate::ledger::query::done_to;
use crate::store::Store;
use crate::types::{
    Action, Addressed, AuditId, Author, IdempotencyKey, MessageId, PersonId, SessionId, StoreError, TeamId, Timestamp,
};

/// How much there is of a person: what an archive's progress is measured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnDataCounts {
    /// Acts: audit rows by the person.
    pub acts: u64,
    /// Messages among them, replies included.
    pub messages: u64,
    /// Acts by which the person opened something.
    pub openings: u64,
    /// How often anybody has opened one of the person's messages.
    pub opened_by_others: u64,
}

/// The account, as the site knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAccount {
    /// Number, name and e-mail address.
    pub person: Author,
    /// The identity provider, and the name by which it knows the person.
    pub issuer: String,
    /// See `issuer`.
    pub subject: String,
    /// When the person signed in first.
    pub created_at: Timestamp,
    /// When the person signed in last.
    pub last_sign_in_at: Option<Timestamp>,
}

/// A session of one's own, whether it still lives or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastSession {
    /// Its number; none in a row that somebody has changed.
    pub id: Option<SessionId>,
    /// When it began.
    pub started_at: Timestamp,
    /// The address that it began from.
    pub ip: Option<String>,
    /// What the browser called itself.
    pub user_agent: Option<String>,
    /// When something was last done in it, as long as its row is kept.
    pub last_active_at: Option<Timestamp>,
    /// When it ended, as long as its row is kept.
    pub ended_at: Option<Timestamp>,
    /// The audit row of its beginning, after which the walk goes on.
    pub row: AuditId,
}

/// That a person is in a team, or was. Debug does not show the team's name.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnTeam {
    /// Its number.
    pub id: TeamId,
    /// What it is called today.
    pub name: String,
    /// When the person joined.
    pub from: Timestamp,
    /// When the person left; None for somebody who is in it.
    pub until: Option<Timestamp>,
    /// The audit row of the joining, after which the walk goes on.
    pub row: AuditId,
}

impl std::fmt::Debug for OwnTeam {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("OwnTeam").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Store {
    /// How much there is of a person, up to a row. Walks indexes, and may take a second for somebody who wrote very much.
    pub async fn own_data_counts(&self, person: PersonId, up_to: AuditId) -> Result<OwnDataCounts, StoreError> {
        self.read(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let count = |sql: &str| -> Result<u64, StoreError> {
                let found: i64 = snapshot.prepare_cached(sql)?.query_row((person, up_to), |row| row.get(0))?;
                Ok(u64::try_from(found).unwrap_or(0))
            };
            Ok(OwnDataCounts {
                acts: count(COUNT_ACTS)?,
                messages: count(COUNT_MESSAGES)?,
                openings: count(COUNT_VIEWS)?,
                opened_by_others: count(COUNT_OPENINGS)?,
            })
        })
        .await
    }

    /// The account of a person.
    pub async fn own_account(&self, person: PersonId) -> Result<OwnAccount, StoreError> {
        self.look_up(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, name, email, issuer, subject, created_at, last_sign_in_at FROM person WHERE id = ?1",
            )?;
            Ok(select.query_row([person], |row| {
                Ok(OwnAccount {
                    person: Author::from_row(row, 0)?,
                    issuer: row.get(3)?,
                    subject: row.get(4)?,
                    created_at: row.get(5)?,
                    last_sign_in_at: row.get(6)?,
                })
            })?)
        })
        .await
    }

    /// Sessions of a person by the rows of their beginning: those of [`Action::Login`], or of [`Action::EmergencyAccessUsed`].
    pub async fn past_sessions(
        &self,
        person: PersonId,
        begun_by: Action,
        after: AuditId,
        up_to: AuditId,
        limit: u32,
    ) -> Result<Vec<PastSession>, StoreError> {
        self.rows_of(PAST_SESSIONS, person, begun_by, (after, up_to), limit, past_session).await
    }

    /// The teams that a person is in or was, one for each stay, by the rows of joining.
    pub async fn own_teams(
        &self,
        person: PersonId,
        after: AuditId,
        up_to: AuditId,
        limit: u32,
    ) -> Result<Vec<OwnTeam>, StoreError> {
        self.rows_of(OWN_TEAMS, person, Action::TeamJoined, (after, up_to), limit, own_team).await
    }

    /// Drafts of a person: those of conversations after `after`, and first of all the one that begins a conversation. At most
    /// `limit`, each with a text of up to 160 kB.
    pub async fn own_drafts(
        &self,
        person: PersonId,
        after: Option<Option<MessageId>>,
        limit: u32,
    ) -> Result<Vec<Draft>, StoreError> {
        let after = after.map_or(-1, |root| root.map_or(0, MessageId::get));
        self.read(move |connection| {
            let mut select = connection.prepare_cached(OWN_DRAFTS)?;
            let drafts = select.query_map((person, after, limit), |row| {
                Ok(Draft {
                    conversation: MessageId::new(row.get(0)?),
                    key: IdempotencyKey(row.get(1)?),
                    subject: row.get(2)?,
                    body: row.get(3)?,
                    addressed: Addressed::parse(row.get_ref(5)?.as_str()?),
                    saved_at: row.get(4)?,
                })
            })?;
            Ok(drafts.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn rows_of<T: Send + 'static>(
        &self,
        sql: &'static str,
        person: PersonId,
        action: Action,
        (after, up_to): (AuditId, AuditId),
        limit: u32,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(sql)?;
            let rows = select.query_map((person, action.as_str(), after, up_to, limit), read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

const COUNT_ACTS: &str = concat!(
    "SELECT (SELECT count(*) FROM audit_log INDEXED BY audit_log_person_action WHERE person_id = ?1 AND +id <= ?2) \
     + (SELECT count(*) FROM audit_log INDEXED BY audit_log_done_to WHERE person_id IS NULL AND ",
    done_to!(""),
    " = ?1 AND +id <= ?2)"
);

const COUNT_MESSAGES: &str = "SELECT count(*) FROM audit_log INDEXED BY audit_log_person_action \
     WHERE person_id = ?1 AND action = 'MESSAGE_CREATE' AND +id <= ?2";

const COUNT_VIEWS: &str = "SELECT count(*) FROM audit_log INDEXED BY audit_log_person_action \
     WHERE person_id = ?1 AND action = 'MESSAGE_VIEW' AND +id <= ?2";

const COUNT_OPENINGS: &str = "SELECT count(*) FROM audit_log c INDEXED BY audit_log_person_action \
     CROSS JOIN message_opening o ON o.message_id = c.message_id \
     WHERE c.person_id = ?1 AND c.action = 'MESSAGE_CREATE' AND o.person_id <> ?1 AND +o.audit_id <= ?2";

const PAST_SESSIONS: &str = concat!(
    "SELECT json_extract(a.details, '$.session'), a.at, a.ip, json_extract(a.details, '$.user_agent'), \
     s.last_active_at, s.ended_at, a.id FROM audit_log a INDEXED BY audit_log_person_action \
     LEFT JOIN session s ON s.id = json_extract(a.details, '$.session') AND s.person_id = a.person_id \
     WHERE a.person_id = ?1 AND a.action = ?2 AND (a.at, a.id) > ",
    beyond!(),
    " AND +a.id <= ?4 ORDER BY a.at, a.id LIMIT ?5"
);

const OWN_TEAMS: &str = concat!(
    "SELECT t.id, t.name, a.at, l.at, a.id FROM audit_log a INDEXED BY audit_log_person_action \
     CROSS JOIN team t ON t.id = json_extract(a.details, '$.team') \
     CROSS JOIN team_stay s ON s.team_id = t.id AND s.person_id = a.person_id AND s.joined_by = a.id \
     LEFT JOIN audit_log l ON l.id = s.left_by AND l.id <= ?4 \
     WHERE a.person_id = ?1 AND a.action = ?2 AND (a.at, a.id) > ",
    beyond!(),
    " AND +a.id <= ?4 ORDER BY a.at, a.id LIMIT ?5"
);

const OWN_DRAFTS: &str = "SELECT root_id, idempotency_key, subject, body, saved_at, addressed FROM draft \
     WHERE person_id = ?1 AND root_id > ?2 ORDER BY root_id LIMIT ?3";

fn own_team(row: &Row<'_>) -> rusqlite::Result<OwnTeam> {
    Ok(OwnTeam { id: row.get(0)?, name: row.get(1)?, from: row.get(2)?, until: row.get(3)?, row: row.get(4)? })
}

fn past_session(row: &Row<'_>) -> rusqlite::Result<PastSession> {
    Ok(PastSession {
        id: row.get(0)?,
        started_at: row.get(1)?,
        ip: row.get(2)?,
        user_agent: row.get(3)?,
        last_active_at: row.get(4)?,
        ended_at: row.get(5)?,
        row: row.get(6)?,
    })
}

#[cfg(test)]
mod tests;
