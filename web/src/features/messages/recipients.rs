//! Whom a message is for: as a form chooses it, and who can be chosen.
//!
//! Every form for writing holds the list of everybody, so who is there is read once for all forms, and again when the audit log
//! has a row that may have changed it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::{AddressError, Addressed, AuditId, Person, PersonId, Reach, Store, StoreError, Team, TeamId, UrgentPolicy};

use super::pages::{PersonChoice, RecipientsError, RecipientsForm, TeamChoice};
use crate::app::access::Member;
use crate::app::request::Request;
use crate::http::form::Form;

/// Whom a form chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    /// Whom it is for.
    pub addressed: Addressed,
    /// Those of whom the form has said that they cannot be reached now.
    pub aware: BTreeSet<PersonId>,
}

impl Recipients {
    /// As a form has it. What is no number of ours is left out.
    pub fn of(form: &Form) -> Self {
        let policy = || form.get("policy").and_then(UrgentPolicy::parse).unwrap_or(UrgentPolicy::Fast);
        Self {
            addressed: Addressed {
                people: form.all("person").filter_map(|id| id.parse().ok()).collect(),
                teams: form.all("team").filter_map(|id| id.parse().ok()).collect(),
                urgent: form.get("urgent").map(|_| policy()),
            },
            aware: form.text("aware").split(' ').filter_map(|id| id.parse().ok()).collect(),
        }
    }

    /// Whom the sender of something urgent has to be told of first: everybody who cannot be reached now, where the form has not
    /// named each of them. They are written down as named.
    pub async fn not_told_of(
        &mut self,
        store: &Store,
        sender: PersonId,
    ) -> Result<Option<RecipientsError>, StoreError> {
        let Addressed { people, teams, urgent: Some(_) } = &self.addressed else { return Ok(None) };
        let (people, teams) = (people.iter().copied().collect(), teams.iter().copied().collect());
        let Reach { away, present } = store.reach(sender, people, teams).await?;
        if away.iter().all(|one| self.aware.contains(&one.id)) {
            return Ok(None);
        }
        self.aware = away.iter().map(|one| one.id).collect();
        let names = away.into_iter().map(|one| one.name.into()).collect();
        Ok(Some(RecipientsError::Away { names, present }))
    }
}

impl From<Addressed> for Recipients {
    fn from(addressed: Addressed) -> Self {
        Self { addressed, aware: BTreeSet::new() }
    }
}

/// Everybody whom a message can be for, and those whom it could be for once.
pub struct Everybody {
    /// By name, each with its members.
    pub teams: Vec<Team>,
    /// By name, those who were switched off as well.
    pub people: Vec<Person>,
}

impl Everybody {
    /// What is wrong, with the name of whom it concerns.
    pub fn explain(&self, error: AddressError) -> RecipientsError {
        match error {
            AddressError::Person(id) => RecipientsError::Person(self.person(id).map(|one| one.name.as_str().into())),
            AddressError::EmptyTeam(id) => RecipientsError::Team(self.team(id).map(|one| one.name.as_str().into())),
            AddressError::Nobody => RecipientsError::Nobody,
            AddressError::TooMany => RecipientsError::TooMany,
        }
    }

    /// Somebody, whether switched off or not.
    pub fn person(&self, id: PersonId) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    /// A team.
    pub fn team(&self, id: TeamId) -> Option<&Team> {
        self.teams.iter().find(|team| team.id == id)
    }
}

/// Who was there when somebody last asked.
#[derive(Default)]
pub struct EverybodyCache(Mutex<Option<Kept>>);

#[derive(Clone)]
struct Kept {
    /// It shows every change up to this row.
    seen: AuditId,
    everybody: Arc<Everybody>,
}

impl EverybodyCache {
    /// As it was when `as_of` was the newest audit row, or later.
    pub async fn as_of(&self, store: &Store, as_of: AuditId) -> Result<Arc<Everybody>, StoreError> {
        let kept = self.lock().clone();
        if let Some(Kept { seen, everybody }) = kept {
            if as_of <= seen {
                return Ok(everybody);
            }
            let state = store.lists_since(seen).await?;
            if state.unchanged {
                self.keep(state.newest, &everybody);
                return Ok(everybody);
            }
        }
        let everybody = Arc::new(Everybody { teams: store.teams().await?, people: store.people().await? });
        self.keep(as_of, &everybody);
        Ok(everybody)
    }

    /// The part of a form in which a member chooses.
    pub async fn form(
        &self,
        request: &Request,
        member: &Member,
        recipients: &Recipients,
        error: Option<RecipientsError>,
    ) -> Result<RecipientsForm, StoreError> {
        let everybody = self.as_of(&request.site.store, member.session().as_of).await?;
        Ok(form(&everybody, member.actor().person, recipients, error))
    }

    fn keep(&self, seen: AuditId, everybody: &Arc<Everybody>) {
        let mut kept = self.lock();
        if kept.as_ref().is_none_or(|kept| kept.seen < seen) {
            *kept = Some(Kept { seen, everybody: Arc::clone(everybody) });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For this writer, with what was chosen.
fn form(
    everybody: &Everybody,
    writer: PersonId,
    recipients: &Recipients,
    error: Option<RecipientsError>,
) -> RecipientsForm {
    let Recipients { addressed, aware } = recipients;
    let teams: Vec<_> = everybody.teams.iter().map(|team| team_choice(team, writer, addressed)).collect();
    let people = people(everybody, writer, addressed);
    let lost_people = addressed.people.iter().filter(|id| !people.iter().any(|choice| choice.id == **id));
    let lost_people = lost_people.filter_map(|id| Some(everybody.person(*id)?.name.as_str().into()));
    let lost_teams = teams.iter().filter(|team| !team.can_be_asked && addressed.teams.contains(&team.id));
    let left_out = lost_people.chain(lost_teams.map(|team| team.name.clone())).collect();
    let aware = aware.iter().map(PersonId::to_string).collect::<Vec<_>>().join(" ");
    RecipientsForm { teams, people, left_out, urgent: addressed.urgent, aware, error }
}

fn team_choice(team: &Team, writer: PersonId, addressed: &Addressed) -> TeamChoice {
    let enabled = || team.members.iter().filter(|member| member.enabled);
    let can_be_asked = enabled().any(|member| member.person.id != writer);
    TeamChoice {
        id: team.id,
        name: team.name.as_str().into(),
        members: enabled().map(|member| member.person.name.as_str().into()).collect(),
        can_be_asked,
        chosen: can_be_asked && addressed.teams.contains(&team.id),
    }
}

fn people(everybody: &Everybody, writer: PersonId, addressed: &Addressed) -> Vec<PersonChoice> {
    let others = || everybody.people.iter().filter(|one| one.disabled_at.is_none() && one.id != writer);
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    others().for_each(|one| *named.entry(&one.name).or_default() += 1);
    let choice = |one: &Person| PersonChoice {
        id: one.id,
        name: one.name.as_str().into(),
        email: named.get(one.name.as_str()).filter(|count| **count > 1).map(|_| one.email.as_str().into()),
        chosen: addressed.people.contains(&one.id),
    };
    others().map(choice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(form: &str) -> Recipients {
        Recipients::of(&Form::parse(form.as_bytes()))
    }

    #[test]
    fn a_form_names_people_and_teams_and_how_urgent_it_is() {
        let chosen = of("person=3&person=5&team=2&person=x&team=0&policy=steady&aware=5+3+y");
        let ids = |ids: &[i64]| ids.iter().filter_map(|id| PersonId::new(*id)).collect::<BTreeSet<_>>();
        assert_eq!(chosen.addressed.people, ids(&[3, 5]));
        assert_eq!(chosen.addressed.teams, TeamId::new(2).into_iter().collect());
        assert_eq!((chosen.addressed.urgent, chosen.aware), (None, ids(&[3, 5])));
        assert_eq!(of("urgent=1&policy=steady").addressed.urgent, Some(UrgentPolicy::Steady));
        assert_eq!(of("urgent=1&policy=none").addressed.urgent, Some(UrgentPolicy::Fast));
        assert_eq!(of("subject=a"), Recipients::default());
    }
}
