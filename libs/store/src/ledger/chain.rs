//! Checking the audit log, and the messages against it.
//!
//! The check walks the log from its start (or from a position checked before) to its head, in read transactions of
//! [`ROWS`] rows each, in constant memory, while the programs write on. It recomputes every hash, misses what is not
//! there, and holds every message against its MESSAGE_CREATE row: author, time, text. Messages and their MESSAGE_CREATE
//! rows are numbered in the same order without a gap, so one that is too many is seen by counting. What stands beside a
//! row of somebody by name is held against it ([`personal`](crate::ledger::personal)), and at the end everybody against
//! what the rows say of them ([`who`](crate::ledger::who)), which is kept meanwhile: some hundred bytes a person. So are teams and templates.

mod duties;
mod messages;
mod stored_row;
mod teams;
mod templates;

use rusqlite::{Connection, OptionalExtension};

use self::stored_row::{ROWS_BEFORE_6, ROWS_SINCE_6, StoredRow};
use self::teams::Teams;
use self::templates::Templates;
use crate::ledger::chain_hash::{HashedFields, chain_hash, genesis_hash};
use crate::ledger::personal::{self, PersonalError};
use crate::ledger::who::{People, PersonRow};
use crate::sqlite::schema::has_table;
use crate::sqlite::write::read_head;
use crate::store::Store;
use crate::types::{Action, AuditId, ChainError, ChainPosition, CheckedChain, Hash, StoreError, Timestamp};

/// How many rows a read transaction takes: some 50 ms, which is how long the write-ahead log is kept from shrinking.
const ROWS: u32 = 10_000;

/// What a check of the chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainVerdict {
    /// Everything is as it was written.
    Sound {
        /// Up to here.
        head: ChainPosition,
        /// How many rows were checked.
        rows: u64,
        /// What the rows up to here say of people; a check that goes on from here needs it.
        people: People,
    },
    /// Something is not: the first error of the chain itself, or if it holds, the first message, person, team or
    /// template that disagrees with it.
    Broken {
        /// The row that shows it.
        row: AuditId,
        /// What is wrong there.
        error: ChainError,
    },
}

impl Store {
    /// Checks the chain after `from` (from the start if none) up to its head, and tells `progress` how far it has come
    /// after each read transaction. `from` is where an earlier check ended, with what it learnt of people.
    pub async fn verify_chain(
        &self,
        from: Option<(ChainPosition, People)>,
        mut progress: impl FnMut(AuditId) + Send + 'static,
    ) -> Result<ChainVerdict, StoreError> {
        let genesis = ChainPosition { id: AuditId::ZERO, hash: genesis_hash(self.database_id()) };
        let mut walk = self.read(move |connection| Walk::start(connection, from, genesis)).await?;
        loop {
            match walk {
                Step::Done(verdict) => return Ok(verdict),
                Step::More(state) => {
                    walk = self.read(move |connection| state.advance(connection)).await?;
                    if let Step::More(state) = &walk {
                        progress(state.position.id);
                    } else if let Step::Done(ChainVerdict::Sound { head, .. }) = &walk {
                        progress(head.id);
                    }
                }
            }
        }
    }
}

/// The same for a file that nobody else has open, on the thread that asks; gives the chain's end, or the first error.
pub(crate) fn verify_whole(connection: &Connection, database_id: &str) -> Result<CheckedChain, StoreError> {
    let genesis = ChainPosition { id: AuditId::ZERO, hash: genesis_hash(database_id) };
    let mut step = Walk::start(connection, None, genesis)?;
    loop {
        match step {
            Step::Done(ChainVerdict::Sound { head, .. }) => return Ok(Ok(head)),
            Step::Done(ChainVerdict::Broken { row, error }) => return Ok(Err((row, error))),
            Step::More(walk) => step = walk.advance(connection)?,
        }
    }
}

/// The newest message created up to a row, by one step in the index. It is named, since SQLite would rather sort every row
/// of a message there is.
const LAST_CREATED: &str = "SELECT message_id FROM audit_log INDEXED BY audit_log_message_event \
     WHERE +action = 'MESSAGE_CREATE' AND id <= ?1 \
     AND action IN ('MESSAGE_CREATE', 'MESSAGE_DELETE', 'CONVERSATION_DONE', 'CONVERSATION_REOPENED') \
     ORDER BY id DESC LIMIT 1";

const BESIDE_NO_ROW: &str = "SELECT 1 FROM audit_personal WHERE audit_id > ?1";

enum Step {
    More(Walk),
    Done(ChainVerdict),
}

fn broken(row: AuditId, error: ChainError) -> Step {
    Step::Done(ChainVerdict::Broken { row, error })
}

/// How far a check has come.
struct Walk {
    position: ChainPosition,
    rows: u64,
    /// It began at the first row: then the openings are counted at the end.
    whole: bool,
    /// The database has conversations, and who opened what.
    conversations: bool,
    /// The newest message whose MESSAGE_CREATE row was passed; zero before the first.
    last_message: i64,
    /// How many openings of a message the rows that were passed record.
    openings: u64,
    /// What the rows say of duties, where the whole log is walked and the database knows them.
    duties: Option<duties::Duties>,
    people: People,
    /// What the rows say of teams; none where the database knows none.
    teams: Option<Teams>,
    /// The same of templates.
    templates: Option<Templates>,
    /// The first message, person, team or template that disagrees with a row. Kept until the end of the log: a cut in the chain
    /// explains more.
    disagrees: Option<(AuditId, ChainError)>,
}

impl Walk {
    fn start(
        connection: &Connection,
        from: Option<(ChainPosition, People)>,
        genesis: ChainPosition,
    ) -> Result<Step, StoreError> {
        let conversations = has_table(connection, "conversation")?;
        let teams = has_table(connection, "team")?.then(Teams::default);
        let templates = has_table(connection, "template")?.then(Templates::default);
        let Some((from, people)) = from.filter(|(from, _)| from.id > AuditId::ZERO) else {
            let people = People::default();
            return Ok(Step::More(Walk {
                position: genesis,
                rows: 0,
                whole: true,
                conversations,
                last_message: 0,
                openings: 0,
                duties: has_table(connection, "duty")?.then(duties::Duties::default),
                people,
                teams,
                templates,
                disagrees: None,
            }));
        };
        let snapshot = connection.unchecked_transaction()?;
        let mut select = snapshot.prepare_cached("SELECT hash FROM audit_log WHERE id = ?1")?;
        match select.query_row([from.id], |row| row.get::<_, Hash>(0)).optional()? {
            Some(hash) if hash == from.hash => {}
            Some(_) => return Ok(broken(from.id, ChainError::Altered)),
            None => {
                let end: i64 =
                    snapshot.query_row("SELECT coalesce(max(id), 0) FROM audit_log", (), |row| row.get(0))?;
                let gone = end < from.id.get();
                let first_gone = AuditId::new(end).unwrap_or(AuditId::ZERO).next();
                return Ok(if gone {
                    broken(first_gone, ChainError::CutOff)
                } else {
                    broken(from.id, ChainError::Missing)
                });
            }
        }
        // The rows up to `from` were checked before.
        let mut select = snapshot.prepare_cached(LAST_CREATED)?;
        let last: Option<Option<i64>> = select.query_row([from.id], |row| row.get(0)).optional()?;
        let last_message = last.flatten().unwrap_or(0);
        Ok(Step::More(Walk {
            position: from,
            rows: 0,
            whole: false,
            conversations,
            last_message,
            openings: 0,
            duties: None,
            people,
            teams,
            templates,
            disagrees: None,
        }))
    }

    /// Checks the next rows, in one read transaction.
    fn advance(mut self, connection: &Connection) -> Result<Step, StoreError> {
        let snapshot = connection.unchecked_transaction()?;
        let mut select = snapshot.prepare_cached(if has_table(&snapshot, personal::TABLE)? {
            ROWS_SINCE_6
        } else {
            ROWS_BEFORE_6
        })?;
        let mut rows = select.query((self.position.id, ROWS))?;
        let mut passed = 0;
        while let Some(row) = rows.next()? {
            let expected = self.position.id.next();
            let Ok(mut row) = StoredRow::read(row) else {
                // A value of a kind that is never written: nothing else to compare it with.
                return Ok(broken(expected, ChainError::Altered));
            };
            if let Some(error) = self.check_link(&row, expected) {
                return Ok(broken(expected, error));
            }
            match messages::check_message(&mut self, &snapshot, &row)? {
                Some(ChainError::Altered) => return Ok(broken(expected, ChainError::Altered)),
                error => {
                    let team = self.teams.as_mut().map(|teams| teams.take(&snapshot, &row, expected)).transpose()?;
                    let template = self.templates.as_mut().and_then(|templates| templates.take(&row, expected));
                    let error = error.or_else(|| self.check_people(&mut row, expected));
                    let error = error.or(team.flatten()).or(template);
                    self.disagrees = self.disagrees.or(error.map(|error| (expected, error)));
                }
            }
            self.position = ChainPosition { id: expected, hash: row.hash };
            self.rows += 1;
            passed += 1;
        }
        if passed < ROWS { self.finish(&snapshot) } else { Ok(Step::More(self)) }
    }

    fn check_link(&self, row: &StoredRow, expected: AuditId) -> Option<ChainError> {
        if row.id != expected.get() {
            return Some(ChainError::Missing);
        }
        if row.previous_hash != self.position.hash {
            return Some(ChainError::Unlinked);
        }
        let at = Timestamp::from_millis(row.at);
        let fields = HashedFields {
            id: expected,
            at: &at.to_rfc3339(),
            person: row.person,
            action: &row.action,
            details: &row.details,
            ip: row.ip.as_deref(),
        };
        let holds = at.as_millis() == row.at && chain_hash(&row.previous_hash, &fields) == row.hash;
        (!holds).then_some(ChainError::Altered)
    }

    fn check_people(&mut self, row: &mut StoredRow, id: AuditId) -> Option<ChainError> {
        let beside = std::mem::replace(&mut row.personal, Ok(None));
        let personal = personal::check(&row.details, beside).map(|error| match error {
            PersonalError::Changed => ChainError::PersonalChanged,
            PersonalError::Gone => ChainError::PersonalGone,
        });
        let (at, person, details) = (Timestamp::from_millis(row.at), row.person, row.details.as_str());
        let action = Action::parse(&row.action);
        let contradicts = action.and_then(|action| self.people.take(&PersonRow { id, at, action, person, details }));
        personal.or(contradicts.map(|(person, error)| ChainError::Person(person, error)))
    }

    /// At the end of the log, as this snapshot sees it.
    fn finish(self, snapshot: &Connection) -> Result<Step, StoreError> {
        let head = read_head(snapshot)?;
        let last = self.position;
        if head.id > last.id {
            return Ok(broken(last.id.next(), ChainError::CutOff));
        }
        if head.id < last.id {
            return Ok(broken(head.id.next(), ChainError::Unlinked));
        }
        if head.hash != last.hash {
            return Ok(broken(last.id, ChainError::Altered));
        }
        if let Some((row, error)) = self.disagrees {
            return Ok(broken(row, error));
        }
        if let Some(id) = messages::unsent(&self, snapshot)? {
            return Ok(broken(last.id, ChainError::Message(id)));
        }
        if self.whole
            && self.conversations
            && let Some(id) = messages::unrecorded_opening(snapshot, self.openings)?
        {
            return Ok(broken(last.id, ChainError::Opening(id)));
        }
        if let Some(duties) = &self.duties
            && let Some(id) = duties.compare(snapshot)?
        {
            return Ok(broken(last.id, ChainError::Duty(id)));
        }
        if let Some(teams) = &self.teams
            && let Some((row, error)) = teams.compare(snapshot, last.id, self.whole)?
        {
            return Ok(broken(row, error));
        }
        if let Some(templates) = &self.templates
            && let Some((row, error)) = templates.compare(snapshot, last.id, self.whole)?
        {
            return Ok(broken(row, error));
        }
        if has_table(snapshot, personal::TABLE)? && snapshot.prepare_cached(BESIDE_NO_ROW)?.exists([last.id])? {
            return Ok(broken(last.id, ChainError::PersonalChanged));
        }
        Ok(match self.people.compare(snapshot, last.id)? {
            Some((row, person, error)) => broken(row, ChainError::Person(person, error)),
            None => Step::Done(ChainVerdict::Sound { head: last, rows: self.rows, people: self.people }),
        })
    }
}

#[cfg(test)]
mod tests;
