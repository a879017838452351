//! Staff members, as their identity provider and the others know them.

use super::{PersonId, Timestamp};

/// A staff member, known from a first sign-in on.
#[derive(Clone, Debug)]
pub struct Person {
    /// The person's number.
    pub id: PersonId,
    /// Who vouches for the person.
    pub issuer: String,
    /// The person's name with the issuer; it never changes.
    pub subject: String,
    /// The e-mail address at the last sign-in.
    pub email: String,
    /// The name at the last sign-in.
    pub name: String,
    /// Since when the person may not sign in.
    pub disabled_at: Option<Timestamp>,
    /// The first sign-in.
    pub created_at: Timestamp,
    /// The last sign-in.
    pub last_sign_in_at: Option<Timestamp>,
}

/// What the identity provider vouched for. People are keyed by issuer and subject; e-mail and name follow the provider
/// at each sign-in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Who vouches.
    pub issuer: String,
    /// For whom: a name that never changes.
    pub subject: String,
    /// The verified e-mail address.
    pub email: String,
    /// The name to show.
    pub name: String,
}

/// A person as others see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The person's number.
    pub id: PersonId,
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}
