//! Who somebody is, as the audit log vouches for it.
//!
//! Rows that make or change a person carry two salted hashes of who that is: of the account, which never changes, and
//! of the name and e-mail address, which follow the provider. Every LOGIN carries them, and so do STAFF_DISABLED and
//! STAFF_ENABLED. People from before schema 6 get theirs when the database is brought up to date, in rows
//! PERSON_RECORDED; in a restored one, right after DATABASE_RESTORED. The salt stands with the person and is the
//! person's own; without it nobody can test a guess.
//!
//! [`People`] collects what the rows say, and is then held against the table `person`. The newest name and address
//! count. The account and, but for a LOGIN, which tells what the provider said, the name must be the same in every row:
//! so somebody whose account was exchanged in the file, and who then signed in, shows in the log for good. Whether
//! somebody is switched off follows from the rows STAFF_DISABLED and STAFF_ENABLED themselves, also from those before
//! schema 6.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ledger::audit::Entry;
use crate::ledger::chain_hash::{field, number};
use crate::sqlite::write::{Write, read_head};
use crate::types::{Action, AuditId, Environment, Hash, PersonError, PersonId, StoreError, Timestamp, random_bytes};

const ACCOUNT_LABEL: &[u8] = b"wardpost-account-v1";
const PROFILE_LABEL: &[u8] = b"wardpost-profile-v1";

/// The two hashes, as a row carries them under `who`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Who {
    /// SHA-256("wardpost-account-v1" || salt || field(person id) || field(issuer) || field(subject)), in hex.
    account: String,
    /// SHA-256("wardpost-profile-v1" || salt || field(person id) || field(email) || field(name)), in hex.
    profile: String,
}

impl Who {
    pub(crate) fn of(
        id: PersonId,
        salt: &[u8; 16],
        (issuer, subject): (&str, &str),
        (email, name): (&str, &str),
    ) -> Who {
        let hash = |label: &[u8], one: &str, other: &str| {
            let mut sha = Sha256::new().chain_update(label).chain_update(salt);
            number(Some(id.get()), &mut |bytes| sha.update(bytes));
            field(Some(one), &mut |bytes| sha.update(bytes));
            field(Some(other), &mut |bytes| sha.update(bytes));
            Hash::from_bytes(sha.finalize().into()).to_string()
        };
        Who { account: hash(ACCOUNT_LABEL, issuer, subject), profile: hash(PROFILE_LABEL, email, name) }
    }

    /// Out of the columns id, salt, issuer, subject, email, name, the first of them at 0.
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Who> {
        let text = |index| row.get_ref(index)?.as_str().map_err(rusqlite::Error::from);
        Ok(Who::of(row.get(0)?, &row.get(1)?, (text(2)?, text(3)?), (text(4)?, text(5)?)))
    }

    /// Of a person as the table has them now.
    pub(crate) fn now(connection: &Connection, person: PersonId) -> Result<Who, StoreError> {
        let mut select =
            connection.prepare_cached("SELECT id, salt, issuer, subject, email, name FROM person WHERE id = ?1")?;
        Ok(select.query_row([person], Who::from_row)?)
    }
}

/// Whether there are people from before schema 6 whom the log does not vouch for yet.
pub(crate) fn has_unrecorded(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.prepare("SELECT 1 FROM person WHERE salt IS NULL")?.exists(())?)
}

/// Gives them a salt, and a row PERSON_RECORDED each: as they are at this moment, the log vouches for them from here on.
pub(crate) fn record_unrecorded(connection: &Connection, environment: &Environment) -> Result<(), StoreError> {
    let people: Vec<PersonId> = {
        let mut select = connection.prepare("SELECT id FROM person WHERE salt IS NULL ORDER BY id")?;
        let ids = select.query_map((), |row| row.get(0))?;
        ids.collect::<Result<_, _>>()?
    };
    let (mut write, at) = (Write::new(connection, read_head(connection)?, environment), environment.clock.now());
    for person in people {
        connection
            .execute("UPDATE person SET salt = ?2 WHERE id = ?1", (person, random_bytes::<16>(write.random())))?;
        let details = serde_json::json!({ "person": person, "who": Who::now(connection, person)? });
        let action = Action::PersonRecorded;
        write.append(Entry { at, person: None, action, message: None, details, ip: None })?;
    }
    write.store_head()
}

/// What the rows up to some row say of people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People(BTreeMap<PersonId, Known>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    /// The newest row that says who, and what it says.
    who: Option<(AuditId, Who)>,
    /// The newest row that switched them off or on, and since when they are off.
    switched: Option<(AuditId, Option<Timestamp>)>,
}

/// An audit row, as far as people are concerned.
pub(crate) struct PersonRow<'r> {
    pub(crate) id: AuditId,
    pub(crate) at: Timestamp,
    pub(crate) action: Action,
    pub(crate) person: Option<PersonId>,
    pub(crate) details: &'r str,
}

#[derive(Default, Deserialize)]
struct PersonDetails {
    person: Option<i64>,
    who: Option<Who>,
}

impl People {
    /// Takes the next row; gives the person whom it contradicts an earlier one about.
    pub(crate) fn take(&mut self, row: &PersonRow<'_>) -> Option<(PersonId, PersonError)> {
        if !row.action.concerns_person() {
            return None;
        }
        let off = match row.action {
            Action::StaffDisabled => Some(Some(row.at)),
            Action::StaffEnabled => Some(None),
            _ => None,
        };
        let details: PersonDetails = serde_json::from_str(row.details).unwrap_or_default();
        let person = row.person.or(details.person.and_then(PersonId::new))?;
        let known = self.0.entry(person).or_default();
        if let Some(since) = off {
            known.switched = Some((row.id, since));
        }
        let who = details.who?;
        let error = known.who.as_ref().and_then(|(earlier, known)| {
            if known.account != who.account || (row.action == Action::PersonRecorded && *earlier < row.id) {
                Some(PersonError::Account)
            } else if known.profile != who.profile && row.action != Action::Login {
                Some(PersonError::Profile)
            } else {
                None
            }
        });
        known.who = Some((row.id, who));
        error.map(|error| (person, error))
    }

    /// Holds the table `person` against the rows up to `head`; gives the first person who differs, and the row that shows it.
    /// In a database from before schema 6 nothing says who anybody is.
    pub(crate) fn compare(
        &self,
        connection: &Connection,
        head: AuditId,
    ) -> Result<Option<(AuditId, PersonId, PersonError)>, StoreError> {
        let has_salt =
            connection.prepare_cached("SELECT 1 FROM pragma_table_info('person') WHERE name = 'salt'")?.exists(())?;
        let salt = if has_salt { "salt" } else { "NULL" };
        let mut select = connection.prepare_cached(&format!(
            "SELECT id, {salt}, issuer, subject, email, name, disabled_at FROM person ORDER BY id"
        ))?;
        let mut rows = select.query(())?;
        let mut missing: BTreeMap<_, _> = self.0.iter().collect();
        while let Some(row) = rows.next()? {
            let id: PersonId = row.get(0)?;
            let known = missing.remove(&id).cloned().unwrap_or_default();
            if let Some((row, error)) = differs(&known, row, has_salt, head) {
                return Ok(Some((row, id, error)));
            }
        }
        Ok(missing.into_iter().next().map(|(id, known)| (known.row(head), *id, PersonError::Missing)))
    }
}

impl Known {
    fn row(&self, head: AuditId) -> AuditId {
        let who = self.who.as_ref().map(|(row, _)| *row);
        who.or(self.switched.map(|(row, _)| row)).unwrap_or(head)
    }
}

fn differs(known: &Known, row: &Row<'_>, has_salt: bool, head: AuditId) -> Option<(AuditId, PersonError)> {
    let at = known.row(head);
    match (&known.who, Who::from_row(row)) {
        (None, _) if !has_salt => {}
        (None, _) => return Some((at, PersonError::Unrecorded)),
        // A value of a kind that is never written, or no salt.
        (Some(_), Err(_)) => return Some((at, PersonError::Account)),
        (Some((_, said)), Ok(found)) if said.account != found.account => return Some((at, PersonError::Account)),
        (Some((_, said)), Ok(found)) if said.profile != found.profile => return Some((at, PersonError::Profile)),
        _ => {}
    }
    let (row_of_switch, since) = known.switched.unwrap_or((at, None));
    (row.get::<_, Option<Timestamp>>(6).ok() != Some(since)).then_some((row_of_switch, PersonError::Disabled))
}

#[cfg(test)]
mod tests;
