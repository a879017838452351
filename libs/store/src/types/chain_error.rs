//! What a check of the audit chain can find.

use std::fmt;

use super::{AuditId, ChainPosition, MessageId, PersonId, TeamId, TemplateId};

/// The end of a chain that holds, or the row that shows its first error.
pub(crate) type CheckedChain = Result<ChainPosition, (AuditId, ChainError)>;

/// What can be wrong with the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainError {
    /// The row's content is not what its hash covers.
    Altered,
    /// The row is not there, though later ones are.
    Missing,
    /// This row and what followed it are gone from the end.
    CutOff,
    /// The row does not follow the one before it.
    Unlinked,
    /// The message is not what was sent or deleted by the log's account.
    Message(MessageId),
    /// Who opened the message, as the pages tell it, is not what the log says.
    Opening(MessageId),
    /// Whom the message is for, what was answered, or its steps, as the pages tell it, is not what the log says.
    Duty(MessageId),
    /// The person is not who the log says.
    Person(PersonId, PersonError),
    /// The team's name, or who is in it or was, is not what the log says.
    Team(TeamId),
    /// The template is not what the log says was made, changed or deleted.
    Template(TemplateId),
    /// What stands beside the row of somebody by name is not what the row vouches for.
    PersonalChanged,
    /// It is gone, or was erased; no program of this version does that.
    PersonalGone,
}

impl fmt::Display for ChainError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChainError::Altered => out.write_str("the row was altered after it was written"),
            ChainError::Missing => out.write_str("the row is missing, though later rows are there"),
            ChainError::CutOff => out.write_str("the end of the log was cut off, from this row on"),
            ChainError::Unlinked => out.write_str("the row does not follow the row before it"),
            ChainError::Message(id) => write!(out, "message {id} is not what the log says was sent or deleted"),
            ChainError::Opening(id) => write!(out, "who opened message {id} is not what the log says"),
            ChainError::Duty(id) => {
                write!(out, "whom message {id} is for, or what came of it, is not what the log says")
            }
            ChainError::Person(id, error) => write!(out, "person {id} {error}"),
            ChainError::Team(id) => write!(out, "team {id} has another name or other members than the log says"),
            ChainError::Template(id) => {
                write!(out, "template {id} is not what the log says was made, changed or deleted")
            }
            ChainError::PersonalChanged => out.write_str("the names and addresses that belong to the row were changed"),
            ChainError::PersonalGone => out.write_str(
                "the names and addresses that belong to the row were erased, which no program of this version does",
            ),
        }
    }
}

/// How a person differs from what the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonError {
    /// Issuer or subject.
    Account,
    /// Name or e-mail address.
    Profile,
    /// Whether and since when the person is switched off.
    Disabled,
    /// No row made the person.
    Unrecorded,
    /// The person is not there.
    Missing,
}

impl fmt::Display for PersonError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            PersonError::Account => "has another account (issuer or subject) than the log says",
            PersonError::Profile => "has another name or e-mail address than the log says",
            PersonError::Disabled => "is not switched off or on as the log says",
            PersonError::Unrecorded => "is there, and no row of the log says who that is",
            PersonError::Missing => "is gone, whom the log knows",
        })
    }
}
