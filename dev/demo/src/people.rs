//! Who can sign in to the demo: four members of the clinic and one person who is not.
//!
//! The names are chosen to find mistakes early: one runs right to left, others carry accents. The subjects never change,
//! since the site keys people by issuer and subject and the demo keeps its database from run to run.

use serde::Serialize;
use thiserror::Error;

/// One person the provider can sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DemoPerson {
    /// Short name in forms and scripts, such as `amina`.
    pub id: String,
    /// The claim `sub`: never changes, whatever happens to name and address.
    pub subject: String,
    /// The claim `email`.
    pub email: String,
    /// The claim `name`.
    pub name: String,
    /// What the person does, for the sign-in page only.
    pub role: String,
    /// The claim `hd`, or `None` for an account that belongs to no organisation.
    pub hosted_domain: Option<String>,
}

/// A script spoke of somebody the provider does not know.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("the demo knows no person `{0}`; GET /script lists those it knows")]
pub struct UnknownPerson(pub String);

impl DemoPerson {
    /// A member of the clinic, with an address at clinic.example.
    #[must_use]
    pub fn member(id: &str, subject: &str, name: &str, role: &str) -> DemoPerson {
        DemoPerson {
            id: id.to_owned(),
            subject: subject.to_owned(),
            email: format!("{id}@clinic.example"),
            name: name.to_owned(),
            role: role.to_owned(),
            hosted_domain: Some("clinic.example".to_owned()),
        }
    }

    /// Somebody with a private account elsewhere, whom the site must refuse.
    #[must_use]
    pub fn outsider() -> DemoPerson {
        DemoPerson {
            id: "outsider".to_owned(),
            subject: "108400000000000000099".to_owned(),
            email: "someone@elsewhere.example".to_owned(),
            name: "Sam Porter".to_owned(),
            role: "Not a member of the clinic".to_owned(),
            hosted_domain: None,
        }
    }

    /// Everybody the demo offers, members first.
    #[must_use]
    pub fn everyone() -> Vec<DemoPerson> {
        vec![
            DemoPerson::member("amina", "108400000000000000001", "Amina Diallo", "Charge nurse"),
            DemoPerson::member("tomas", "108400000000000000002", "Tomáš Dvořák", "Physician"),
            DemoPerson::member("noor", "108400000000000000003", "نور الحداد", "Pharmacist"),
            DemoPerson::member("huong", "108400000000000000004", "Nguyễn Thị Hương", "Reception"),
            DemoPerson::outsider(),
        ]
    }
}
