//! What an audit row says, as a sentence that one can read aloud: "root switched off Noor Haddad".
//!
//! Pure: from a row and the names of people. A sentence has no message's text and no subject; the only text of somebody's own
//! in it is why an operator gave emergency access. How to make HTML of it is the template's affair, how to make a cell of a
//! table of it [`text`]'s.

mod pieces;

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};
use store::{Action, AuditRow, MessageId, Person, PersonId, TeamId};

use super::code_label;
use crate::app::pages::{ClockTime, Shown, Time};

/// How many of those whom a message is for a sentence names.
const NAMED: usize = 5;

/// A piece of a sentence.
pub enum Part {
    /// Words of the program's own.
    Words(String),
    /// Whom it is about: a name, or an address where there is no name.
    Name(Shown),
    /// Something that somebody wrote, or that a service answered.
    Said(Shown),
    /// A message, by its number.
    Message(MessageId),
    /// A moment.
    Moment(Time),
    /// A moment of the row's own day.
    Clock(ClockTime),
}

/// The names of today of people and teams, by their numbers.
#[derive(Default)]
pub struct Names {
    people: HashMap<i64, String>,
    teams: HashMap<i64, String>,
}

impl Names {
    /// Of everyone who has ever signed in, and of all teams.
    pub fn of(people: &[Person], teams: Vec<(TeamId, String)>) -> Self {
        Self {
            people: people.iter().map(|person| (person.id.get(), person.name.clone())).collect(),
            teams: teams.into_iter().map(|(id, name)| (id.get(), name)).collect(),
        }
    }

    /// Somebody's name; their number where nobody has it.
    pub fn get(&self, person: PersonId) -> String {
        self.by_number(person.get())
    }

    fn by_number(&self, person: i64) -> String {
        self.people.get(&person).cloned().unwrap_or_else(|| format!("person {person}"))
    }
}

/// A sentence as plain text.
pub fn text(sentence: &[Part]) -> String {
    sentence
        .iter()
        .map(|part| match part {
            Part::Words(words) => words.clone(),
            Part::Name(text) | Part::Said(text) => text.to_string(),
            Part::Message(id) => format!("message {id}"),
            Part::Moment(time) => time.text.clone(),
            Part::Clock(time) => time.text.clone(),
        })
        .collect()
}

/// What a row says. One whose action or details are none that a program writes is told as far as it goes.
pub fn of(row: &AuditRow, names: &Names) -> Vec<Part> {
    let details = row.named_details().unwrap_or_default();
    let mut sentence = Sentence { row, names, details: &details, parts: Vec::new() };
    match Action::parse(&row.action) {
        Some(action) => sentence.tell(action),
        None => sentence.actor().words(" did what no program records: ").said(&row.action),
    };
    sentence.parts
}

struct Sentence<'s> {
    row: &'s AuditRow,
    names: &'s Names,
    details: &'s Map<String, Value>,
    parts: Vec<Part>,
}

impl Sentence<'_> {
    /// One arm for each action: a new one does not compile without its words.
    fn tell(&mut self, action: Action) -> &mut Self {
        match action {
            Action::DatabaseCreated => self.words("The database was created"),
            Action::Login => {
                let first = if self.is_true("new_person") { " for the first time" } else { "" };
                self.actor().words(" signed in").words(first)
            }
            Action::LoginDenied => self.account().words(" was refused at sign-in").because(code_label::denial),
            Action::LoginFailed => self.failed_sign_ins(),
            Action::Logout => self.actor().words(" signed out"),
            Action::SessionExpired => self.actor().words(" was signed out").because(code_label::session_end),
            Action::SessionEnded => self.session_ended(),
            Action::SecurityAlert => self.alert(),
            Action::MessageList => {
                let messages = self.numbers("messages");
                let live = self
                    .number("live_seconds")
                    .map_or(String::new(), |seconds| format!(", and what arrived in the {seconds} s after that"));
                self.actor().words(" was shown the subjects of ").words(&messages).words(&live)
            }
            Action::MessageCreate => {
                self.actor().words(" sent ").message();
                match self.number("reply_to").and_then(MessageId::new) {
                    Some(root) => self.words(", a reply to ").push(Part::Message(root)),
                    None => self,
                };
                self.whom(", for ");
                match self.text("urgent") {
                    "" => self,
                    policy => {
                        let urgent = format!(", urgent ({policy})");
                        self.words(&urgent)
                    }
                }
            }
            Action::MessageView => match self.details.get("messages") {
                Some(_) => {
                    let messages = self.numbers("messages");
                    self.actor().words(" opened ").words(&messages).words(" in the conversation of ").message()
                }
                None => self.actor().words(" opened ").message(),
            },
            Action::MessageMarkedUnread => self.actor().words(" marked ").message().words(" as unread"),
            Action::ConversationDone => self.actor().words(" marked the conversation of ").message().words(" as done"),
            Action::ConversationReopened => {
                self.actor().words(" opened the conversation of ").message().words(" again")
            }
            Action::DutyDone => self.actor().words(" did what ").message().words(" asked").after_step(),
            Action::DutyTaken => self.actor().words(" took what ").message().words(" asked of a team").after_step(),
            Action::DutyMoved => {
                self.person().words(" was switched off, so ").message().words(" is not for them any more");
                self.whom(": it is for ")
            }
            Action::UrgentOnMyWay => self.actor().words(" is on the way for ").message().after_step(),
            Action::UrgentCannot => self.actor().words(" cannot do what ").message().words(" asks").after_step(),
            Action::UrgentStep => self.urgent_step(),
            Action::UrgentStepsSkipped => {
                let steps = self.text("steps");
                let words = match steps.contains([',', '-']) {
                    true => format!("Steps {steps} of "),
                    false => format!("Step {steps} of "),
                };
                self.words(&words).message().words(" went by: their time was over, or it was passed on")
            }
            Action::UrgentWithdrawn => self.actor().words(" withdrew the urgent ").message().after_step(),
            Action::TeamCreated => self.actor().words(" made the team ").called("team"),
            Action::TeamRenamed => self.actor().words(" named a team ").called("team"),
            Action::TeamJoined => self.actor().words(" joined the team ").called("team"),
            Action::TeamLeft => self.actor().words(" left the team ").called("team"),
            Action::TemplateCreated => self.actor().words(" made the template ").called("template"),
            Action::TemplateChanged => self.actor().words(" changed the template ").called("template"),
            Action::TemplateDeleted => self.actor().words(" deleted the template ").called("template"),
            Action::DataExported => self.actor().words(" downloaded a copy of their own data"),
            Action::MessageDelete => self.actor().words(" deleted ").message(),
            Action::DraftSaved => {
                let late = if self.is_true("after_session_end") { " after the session had ended" } else { "" };
                self.actor().words(" saved a draft").words(late)
            }
            Action::DraftDiscarded => self.actor().words(" discarded a draft"),
            Action::AuditView => self.actor().words(" looked at the audit log").filter(),
            Action::AuditExport => {
                let format = if self.text("format") == "csv" { " as CSV" } else { " as JSON lines" };
                self.actor().words(" exported the audit log").words(format).filter()
            }
            Action::StaffDisabled => self.operator().words(" switched off ").person(),
            Action::StaffEnabled => self.operator().words(" switched on ").person(),
            Action::PersonRecorded => self.words("The audit log recorded who ").person().words(" is"),
            Action::EmergencyAccessGranted => {
                let minutes = self.number("minutes").unwrap_or_default();
                self.operator().words(" gave ").person().words(&format!(" emergency access for {minutes} minutes"));
                self.after_colon("reason")
            }
            Action::EmergencyAccessUsed => self.actor().words(" came in by emergency access"),
            Action::EmergencyAccessRefused => {
                self.actor().words(" was refused emergency access").because(code_label::refused_code)
            }
            Action::EmergencyAccessEnded if self.text("operator").is_empty() => {
                self.words("The emergency access of ").person().words(" ended").because(code_label::grant_end)
            }
            Action::EmergencyAccessEnded => self.operator().words(" took back the emergency access of ").person(),
            Action::AuditRowQuarantined => {
                let row = self.number("row").unwrap_or_default();
                self.words(&format!("Row {row} could not be copied off the machine")).after_colon("reason")
            }
            Action::BackupCreated => {
                let size = code_label::size(self.number("bytes").unwrap_or_default());
                self.words("The ").backup("name").words(&format!(" was made, {size}"))
            }
            Action::BackupVerified => {
                let seconds = self.details.get("restore_seconds").and_then(Value::as_f64).unwrap_or_default();
                let took = if seconds < 1.0 { "under 1 s".to_owned() } else { format!("{seconds:.0} s") };
                let check = if self.is_true("by_hand") { "A check by hand" } else { "The nightly check" };
                self.words(check).words(" restored the ").backup("name").words(&format!(": sound, {took}"))
            }
            Action::BackupFailed => {
                match self.text("during") {
                    "drill" => self.words("The nightly check of the ").backup("name").words(" failed"),
                    "verify" => self.words("A check by hand of the ").backup("name").words(" failed"),
                    _ => self.words("The ").backup("name").words(" failed"),
                };
                self.after_colon("reason")
            }
            Action::BackupIdentityShown => self.operator().words(" was shown the key of the backups"),
            Action::DatabaseRestored => self.words("The database was restored from the ").backup("backup"),
            Action::DatabaseRekeyed => self.operator().words(" encrypted the database with another key"),
        }
    }

    fn urgent_step(&mut self) -> &mut Self {
        let step = format!(" (step {})", self.number("step").unwrap_or_default());
        match self.text("kind") {
            "reminder" => self.words("Those whom ").message().words(" is for were reminded"),
            "teammates" => self.words("Teammates were asked about ").message(),
            "everyone" => self.words("Everyone on staff was asked about ").message(),
            _ => self.words("The author of ").message().words(" was told that nobody answered"),
        };
        self.words(&step).whom(": ")
    }

    fn failed_sign_ins(&mut self) -> &mut Self {
        let Some(failures) = self.number("failures") else {
            return self.words("A sign-in failed").because(code_label::failure);
        };
        let addresses = match self.number("addresses").unwrap_or_default() {
            1 => "one address".to_owned(),
            addresses => format!("{addresses} addresses"),
        };
        let reasons = self.details.get("reasons").and_then(Value::as_object);
        // Several codes share a phrase.
        let phrases: BTreeSet<_> =
            reasons.into_iter().flatten().map(|(reason, _)| code_label::failure(reason)).collect();
        let phrases = Vec::from_iter(phrases).join("; ");
        self.words(&format!("{failures} sign-ins failed within a minute, from {addresses}: {phrases}"))
    }

    fn session_ended(&mut self) -> &mut Self {
        match self.text("reason") {
            "replaced" => self.actor().words(" signed in again in the same browser, which ended the session before"),
            "elsewhere" => self.actor().words(" signed out another device"),
            "emergency_revoked" => {
                self.operator().words(" took back the emergency access of ").person().words(" and ended its session")
            }
            "disabled" => self.operator().words(" switched off ").person().words(", which ended a session"),
            _ if self.row.person.is_some() => self.actor().words(" was signed out").because(code_label::session_end),
            _ => self.person().words(" was signed out").because(code_label::session_end),
        }
    }

    fn alert(&mut self) -> &mut Self {
        let sign_ins = {
            let (failures, minutes) = (self.number("failures"), self.number("minutes"));
            format!("{} sign-ins failed within {} minutes", failures.unwrap_or_default(), minutes.unwrap_or_default())
        };
        let account = self.details.get("account").and_then(|account| account["email"].as_str());
        self.words("Security alert: ");
        match (self.text("alarm"), account) {
            ("failed_sign_ins", Some(email)) => self.words(&sign_ins).words(" for ").name(email),
            ("failed_sign_ins", None) => {
                let address = self.text("address").to_owned();
                self.words(&sign_ins).words(" from ").said(&address)
            }
            ("emergency_access_granted", _) => self.person().words(" was given emergency access"),
            ("emergency_access_used", _) => self.person().words(" came in by emergency access"),
            ("new_audit_stream", _) => self.words("a new copy of the audit log begins"),
            (other, _) => {
                let other = other.to_owned();
                self.said(&other)
            }
        }
    }
}

#[cfg(test)]
mod tests;
