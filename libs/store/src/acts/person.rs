//! Staff members: who the identity provider says they are, and whether they may still come in.

use serde_json::json;

use crate::acts::duty::move_duties;
use crate::acts::emergency::end_open_grants;
use crate::acts::session::{end_session, live_sessions};
use crate::ledger::audit::Entry;
use crate::ledger::who::Who;
use crate::store::Store;
use crate::types::{Action, EndReason, MessageId, Person, PersonId, StoreError, Timestamp, clip};

/// What enabling or disabling did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaffChange {
    /// Nobody with this address has ever signed in.
    Unknown,
    /// It was so already.
    Unchanged,
    /// Done.
    Changed {
        /// How many people have this address; more than one where two issuers know it.
        people: usize,
        /// How many sessions ended.
        sessions_ended: usize,
        /// The messages that were for them and not done; they are not any more.
        moved: Vec<MessageId>,
    },
}

impl Store {
    /// Everyone who has ever signed in, by name.
    pub async fn people(&self) -> Result<Vec<Person>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, issuer, subject, email, name, disabled_at, created_at, last_sign_in_at FROM person \
                 ORDER BY name COLLATE NOCASE, id",
            )?;
            let people = select.query_map((), |row| {
                Ok(Person {
                    id: row.get(0)?,
                    issuer: row.get(1)?,
                    subject: row.get(2)?,
                    email: row.get(3)?,
                    name: row.get(4)?,
                    disabled_at: row.get(5)?,
                    created_at: row.get(6)?,
                    last_sign_in_at: row.get(7)?,
                })
            })?;
            Ok(people.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Lets everyone with this e-mail address (whatever its case) in again, or locks them out and ends their sessions,
    /// in one transaction. `operator` is who did it, for the audit rows STAFF_ENABLED, STAFF_DISABLED, SESSION_ENDED.
    pub async fn set_staff_enabled(
        &self,
        email: &str,
        enabled: bool,
        operator: &str,
        at: Timestamp,
    ) -> Result<StaffChange, StoreError> {
        let (email, operator) = (email.trim().to_owned(), clip(operator, 200).to_owned());
        self.write_duties(move |write| {
            let mut select = write.connection.prepare_cached(
                "SELECT id, disabled_at IS NULL FROM person WHERE email = ?1 COLLATE NOCASE ORDER BY id",
            )?;
            let found = select.query_map([&email], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let people: Vec<(PersonId, bool)> = found.collect::<Result<_, _>>()?;
            if people.is_empty() {
                return Ok(StaffChange::Unknown);
            }
            let (mut changed, mut sessions_ended, mut moved) = (0, 0, Vec::new());
            for (person, _) in people.into_iter().filter(|(_, is_enabled)| *is_enabled != enabled) {
                let disabled_at = (!enabled).then_some(at);
                write.connection.execute("UPDATE person SET disabled_at = ?2 WHERE id = ?1", (person, disabled_at))?;
                // Somebody whose salt was spoilt can be switched off as well; the check of the chain tells.
                let details = json!({ "person": person, "who": Who::now(write.connection, person).ok() });
                let by = json!({ "operator": operator });
                let action = if enabled { Action::StaffEnabled } else { Action::StaffDisabled };
                write.append_personal(Entry { at, person: None, action, message: None, details, ip: None }, &by)?;
                changed += 1;
                if enabled {
                    continue;
                }
                moved.extend(move_duties(write, person, at)?);
                end_open_grants(write, person, at)?;
                for session in live_sessions(write, person)? {
                    end_session(write, session, EndReason::Disabled, at)?;
                    let details =
                        json!({ "person": person, "session": session, "reason": EndReason::Disabled.as_str() });
                    let action = Action::SessionEnded;
                    write.append_personal(Entry { at, person: None, action, message: None, details, ip: None }, &by)?;
                    sessions_ended += 1;
                }
            }
            Ok(match changed {
                0 => StaffChange::Unchanged,
                people => StaffChange::Changed { people, sessions_ended, moved },
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests;
