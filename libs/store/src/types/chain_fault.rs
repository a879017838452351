//! What a check of the audit chain can find.

use std::fmt;

use super::{AuditId, ChainPosition, MessageId, PersonId};

/// The end of a chain that holds, or the row that shows its first fault.
pub(crate) type CheckedChain = Result<ChainPosition, (AuditId, ChainFault)>;

/// What can be wrong with the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainFault {
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
    /// The person is not who the log says.
    Person(PersonId, PersonFault),
    /// What stands beside the row of somebody by name is not what the row vouches for.
    PersonalChanged,
    /// It is gone, or was erased; no program of this version does that.
    PersonalGone,
}

impl fmt::Display for ChainFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChainFault::Altered => out.write_str("the row was altered after it was written"),
            ChainFault::Missing => out.write_str("the row is missing, though later rows are there"),
            ChainFault::CutOff => out.write_str("the end of the log was cut off, from this row on"),
            ChainFault::Unlinked => out.write_str("the row does not follow the row before it"),
            ChainFault::Message(id) => write!(out, "message {id} is not what the log says was sent or deleted"),
            ChainFault::Opening(id) => write!(out, "who opened message {id} is not what the log says"),
            ChainFault::Person(id, fault) => write!(out, "person {id} {fault}"),
            ChainFault::PersonalChanged => out.write_str("the names and addresses that belong to the row were changed"),
            ChainFault::PersonalGone => out.write_str(
                "the names and addresses that belong to the row were erased, which no program of this version does",
            ),
        }
    }
}

/// How a person differs from what the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonFault {
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

impl fmt::Display for PersonFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            PersonFault::Account => "has another account (issuer or subject) than the log says",
            PersonFault::Profile => "has another name or e-mail address than the log says",
            PersonFault::Disabled => "is not switched off or on as the log says",
            PersonFault::Unrecorded => "is there, and no row of the log says who that is",
            PersonFault::Missing => "is gone, whom the log knows",
        })
    }
}
