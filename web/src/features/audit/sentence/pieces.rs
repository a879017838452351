//! The pieces that sentences are made of: who, to whom, which message, and what stands in a row's details.

use serde_json::{Map, Value};

use super::{NAMED, Part, Sentence};
use crate::features::audit::code_label;

impl Sentence<'_> {
    pub(super) fn push(&mut self, part: Part) -> &mut Self {
        self.parts.push(part);
        self
    }

    pub(super) fn words(&mut self, words: &str) -> &mut Self {
        match (self.parts.last_mut(), words) {
            (_, "") => {}
            (Some(Part::Words(before)), words) => before.push_str(words),
            (_, words) => self.parts.push(Part::Words(words.to_owned())),
        }
        self
    }

    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        self.push(Part::Name(name.into()))
    }

    pub(super) fn said(&mut self, text: &str) -> &mut Self {
        self.push(Part::Said(text.into()))
    }

    /// Who did it.
    pub(super) fn actor(&mut self) -> &mut Self {
        match &self.row.person {
            Some(person) => self.name(&person.name),
            None => self.words("Nobody signed in"),
        }
    }

    /// The operator who did it.
    pub(super) fn operator(&mut self) -> &mut Self {
        match self.text("operator") {
            "" => self.words("An operator"),
            operator => {
                let operator = operator.to_owned();
                self.name(&operator)
            }
        }
    }

    /// To whom it was done.
    pub(super) fn person(&mut self) -> &mut Self {
        match self.number("person") {
            Some(person) => self.name(&self.names.by_number(person)),
            // Rows of older programs have the number of the grant alone.
            None => self.words("a member"),
        }
    }

    /// Who tried to sign in: a member, or an account that is none.
    pub(super) fn account(&mut self) -> &mut Self {
        match (&self.row.person, self.text("email")) {
            (None, "") => self.words("An account"),
            (None, email) => {
                let email = email.to_owned();
                self.name(&email)
            }
            _ => self.actor(),
        }
    }

    /// Those to whom a message was given, after some words; nothing where the row names none.
    pub(super) fn whom(&mut self, before: &str) -> &mut Self {
        let (mut named, mut left) = (Vec::new(), 0);
        for range in self.text("for").split(", ").filter_map(code_label::range) {
            let shown = (NAMED - named.len()).min(range.clone().count());
            left += range.clone().count() - shown;
            named.extend(range.take(shown));
        }
        let teams = self.details.get("for_teams").and_then(Value::as_object);
        let teams = teams.into_iter().flat_map(Map::keys).map(|team| {
            let name = team.parse().ok().and_then(|number: i64| self.names.teams.get(&number));
            name.map_or_else(|| Part::Words(format!("team {team}")), |name| Part::Said(name.as_str().into()))
        });
        let teams: Vec<Part> = teams.collect();
        let people = named.into_iter().map(|person| Part::Name(self.names.by_number(person).as_str().into()));
        let mut parts: Vec<Part> = people.collect();
        parts.extend((left > 0).then(|| Part::Words(format!("{left} more"))));
        parts.extend(teams);
        for (at, part) in parts.into_iter().enumerate() {
            self.words(if at == 0 { before } else { ", " });
            match part {
                Part::Words(words) => self.words(&words),
                part => self.push(part),
            };
        }
        self
    }

    /// After which step of an urgent message it was.
    pub(super) fn after_step(&mut self) -> &mut Self {
        match self.number("after_step") {
            None => self,
            Some(0) => self.words(", before any reminder"),
            Some(step) => self.words(&format!(", after step {step}")),
        }
    }

    /// A team or a template by its name of then; by its number, which a field holds, where that was erased.
    pub(super) fn called(&mut self, field: &str) -> &mut Self {
        match (self.text("name").to_owned(), self.number(field)) {
            (name, Some(number)) if name.is_empty() => self.words(&format!("with the number {number}")),
            (name, _) => self.words("“").said(&name).words("”"),
        }
    }

    pub(super) fn message(&mut self) -> &mut Self {
        match self.row.message {
            Some(message) => self.push(Part::Message(message)),
            None => self.words("a message"),
        }
    }

    /// "02:00 backup", or "backup of 22 Nov 2026, 02:00 UTC" where it is not of the row's day.
    pub(super) fn backup(&mut self, field: &str) -> &mut Self {
        let Some(at) = code_label::moment_of_backup(self.text(field)) else {
            return self.words("backup");
        };
        if code_label::same_day(at, self.row.at) {
            self.push(Part::Clock(at.into())).words(" backup")
        } else {
            self.words("backup of ").push(Part::Moment(at.into()))
        }
    }

    /// ": " and the reason's words, where there is a reason.
    pub(super) fn because(&mut self, words: fn(&str) -> String) -> &mut Self {
        match self.text("reason") {
            "" => self,
            reason => {
                let reason = words(reason);
                self.words(": ").words(&reason)
            }
        }
    }

    /// ": " and a field as it was written down.
    pub(super) fn after_colon(&mut self, field: &str) -> &mut Self {
        match self.text(field).to_owned() {
            text if text.is_empty() => self,
            text => self.words(": ").said(&text),
        }
    }

    pub(super) fn filter(&mut self) -> &mut Self {
        match code_label::filter(&Value::Object(self.details.clone()), self.names) {
            filter if filter.is_empty() => self,
            filter => self.words(": ").said(&filter),
        }
    }

    // ---- Details

    pub(super) fn text(&self, field: &str) -> &str {
        self.details.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn number(&self, field: &str) -> Option<i64> {
        self.details.get(field).and_then(Value::as_i64)
    }

    pub(super) fn is_true(&self, field: &str) -> bool {
        self.details.get(field).is_some_and(|value| *value == Value::Bool(true) || value.as_i64() == Some(1))
    }

    /// "message 7" or "messages 3, 5-9".
    pub(super) fn numbers(&self, field: &str) -> String {
        let numbers = self.text(field);
        let one = !numbers.contains([',', '-']);
        format!("message{} {numbers}", if one { "" } else { "s" })
    }
}
