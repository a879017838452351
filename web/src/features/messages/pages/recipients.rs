//! The part of a form in which one chooses whom a message is for.

use askama::Template;
use askama::filters::HtmlSafe;
use store::{Addressed, PersonId, TeamId, UrgentPolicy};

use crate::app::pages::Shown;

/// Teams and people to tick, and whether it is urgent.
#[derive(Default, Template)]
#[template(path = "recipients.html")]
pub struct RecipientsForm {
    /// By name.
    pub teams: Vec<TeamChoice>,
    /// By name; without the writer.
    pub people: Vec<PersonChoice>,
    /// Those who are chosen and cannot be any more: switched off, or a team that stands empty.
    pub left_out: Vec<Shown>,
    /// The policy that is chosen, where it is urgent.
    pub urgent: Option<UrgentPolicy>,
    /// The numbers of those of whom the form says that they cannot be reached now.
    pub aware: String,
    /// What is wrong with it.
    pub error: Option<RecipientsError>,
}

/// Its templates escape every field.
impl HtmlSafe for RecipientsForm {}

/// A team to tick.
pub struct TeamChoice {
    /// Its number.
    pub id: TeamId,
    /// Its name.
    pub name: Shown,
    /// Who is in it and may sign in.
    pub members: Vec<Shown>,
    /// Somebody is in it besides the writer.
    pub can_be_asked: bool,
    /// It is ticked.
    pub chosen: bool,
}

/// A person to tick.
pub struct PersonChoice {
    /// The person's number.
    pub id: PersonId,
    /// The name.
    pub name: Shown,
    /// The e-mail address, where somebody else has the same name.
    pub email: Option<Shown>,
    /// It is ticked.
    pub chosen: bool,
}

/// What is wrong with whom a message is for.
#[derive(Template)]
#[template(path = "recipients_error.html")]
pub enum RecipientsError {
    /// This person was switched off; without a name where there is no such person.
    Person(Option<Shown>),
    /// Nobody but the writer is in this team.
    Team(Option<Shown>),
    /// It is urgent, and for nobody.
    Nobody,
    /// More than [`Addressed::MAX`].
    TooMany,
    /// It is urgent, and some cannot be reached now: no error, but a question.
    Away {
        /// They.
        names: Vec<Shown>,
        /// How many others can.
        present: usize,
    },
}

/// Its template escapes every field.
impl HtmlSafe for RecipientsError {}

impl RecipientsForm {
    /// How many are ticked.
    fn chosen(&self) -> usize {
        let teams = self.teams.iter().filter(|team| team.chosen).count();
        teams + self.people.iter().filter(|person| person.chosen).count()
    }

    /// Somebody can be chosen.
    fn has_choice(&self) -> bool {
        !self.people.is_empty() || self.teams.iter().any(|team| team.can_be_asked)
    }

    /// Something urgent has to be for somebody. A tick that is there can be taken away all the same.
    fn offers_urgency(&self) -> bool {
        self.has_choice() || self.urgent.is_some()
    }

    /// The list stands open where something in it is chosen or wrong.
    fn is_open(&self) -> bool {
        self.chosen() > 0 || self.urgent.is_some() || self.error.is_some() || !self.left_out.is_empty()
    }

    fn policies(&self) -> impl Iterator<Item = (UrgentPolicy, &'static str, bool)> {
        let chosen = self.urgent.unwrap_or(UrgentPolicy::Fast);
        UrgentPolicy::ALL.into_iter().map(move |policy| (policy, policy_words(policy), policy == chosen))
    }

    /// It is urgent, and some cannot be reached.
    pub(super) fn asks(&self) -> bool {
        matches!(self.error, Some(RecipientsError::Away { .. }))
    }
}

/// What a policy does, in words.
pub fn policy_words(policy: UrgentPolicy) -> &'static str {
    match policy {
        UrgentPolicy::Fast => "Reminders after 2, 5 and 10 minutes; everyone on staff is asked after 20",
        UrgentPolicy::Steady => "Reminders after 5, 15 and 30 minutes; everyone on staff is asked after an hour",
        UrgentPolicy::Once => "One reminder after 5 minutes; everyone on staff is asked after 30",
    }
}
