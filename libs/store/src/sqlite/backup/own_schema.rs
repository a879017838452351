//! Whether a database has the tables, indexes and triggers that this program's own migrations make, statement by
//! statement, and nothing else. A foreign trigger would change what the programs write; a foreign view, what they read.

use std::collections::BTreeMap;
use std::fmt;

use rusqlite::Connection;

use super::CopyError;
use crate::sqlite::schema::MIGRATIONS;
use crate::types::clip;

/// The longest name that a message repeats, in bytes: somebody else chose it.
const LONGEST_NAME: usize = 80;

/// One thing of a schema: its type (`table`, `index`, `trigger`, `view`) and its name.
type Name = (String, String);
/// The table it belongs to, and the statement that makes it; none for the index that a constraint needs.
type Definition = (String, Option<String>);

/// How a schema differs from the program's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaError {
    /// It has something that the program does not make.
    Foreign(Name),
    /// It makes it by another statement.
    Changed(Name),
    /// It lacks it.
    Missing(Name),
}

impl fmt::Display for SchemaError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((kind, name), label) = match self {
            SchemaError::Foreign(name) => (name, "is not the program's"),
            SchemaError::Changed(name) => (name, "is not as the program makes it"),
            SchemaError::Missing(name) => (name, "is missing"),
        };
        let [kind, name] = [kind, name].map(|text| clip(text, LONGEST_NAME).escape_default());
        write!(out, "the {kind} `{name}` {label}")
    }
}

/// Compares what the file has with what the migrations up to `schema` make, in memory.
pub(super) fn check_own_schema(connection: &Connection, schema: i64) -> Result<(), CopyError> {
    let (own, found) = (own(schema)?, definitions(connection)?);
    let strange = found.iter().find_map(|(name, definition)| match own.get(name) {
        None => Some(SchemaError::Foreign(name.clone())),
        Some(own) if own != definition => Some(SchemaError::Changed(name.clone())),
        Some(_) => None,
    });
    let missing = || own.keys().find(|name| !found.contains_key(*name)).cloned().map(SchemaError::Missing);
    match strange.or_else(missing) {
        None => Ok(()),
        Some(error) => Err(CopyError::ForeignSchema(error)),
    }
}

fn own(schema: i64) -> rusqlite::Result<BTreeMap<Name, Definition>> {
    let model = Connection::open_in_memory()?;
    // As it is where they are applied: what a renamed table leaves in other statements depends on it.
    model.execute_batch("PRAGMA foreign_keys = OFF")?;
    for migration in MIGRATIONS.iter().take(usize::try_from(schema).unwrap_or(0)) {
        model.execute_batch(migration)?;
    }
    definitions(&model)
}

fn definitions(connection: &Connection) -> rusqlite::Result<BTreeMap<Name, Definition>> {
    let mut select = connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_master")?;
    let rows = select.query_map((), |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?))))?;
    rows.collect()
}
