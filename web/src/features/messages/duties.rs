//! Whom the messages of a conversation are for, and what the reader can answer. Pure but for reading it.

use std::collections::HashMap;

use store::{
    Author, ConversationMessage, DutyAct, DutyView, MessageContent, MessageId, PersonId, Reader, Store, StoreError,
    Timestamp, UrgentMessage, UrgentState,
};

use super::pages::{AnswerView, DutiesView, DutyButtons, DutyEndView, DutyEnding, StepsView, UrgentView, policy_words};
use crate::app::access::Member;
use crate::app::pages::Shown;

/// Of each message, with who opened it.
pub(super) async fn of(
    store: &Store,
    messages: &[ConversationMessage],
    readers: &[Vec<Reader>],
    member: &Member,
) -> Result<Vec<Option<DutiesView>>, StoreError> {
    let duties = store.duties(messages.iter().map(|message| message.id).collect()).await?;
    let pairs = || messages.iter().zip(&duties);
    let addressed: Vec<MessageId> =
        pairs().filter(|(_, duties)| !duties.is_empty()).map(|(message, _)| message.id).collect();
    let urgent = if addressed.is_empty() { Vec::new() } else { store.urgent_of(addressed).await? };
    let urgent: HashMap<_, _> = urgent.into_iter().flatten().map(|urgent| (urgent.message, urgent)).collect();
    let views = pairs().zip(readers).map(|((message, duties), readers)| {
        let about = About { message, duties, readers, urgent: urgent.get(&message.id), reader: member.actor().person };
        about.view()
    });
    Ok(views.collect())
}

/// What is known of a message.
struct About<'a> {
    message: &'a ConversationMessage,
    duties: &'a [DutyView],
    readers: &'a [Reader],
    urgent: Option<&'a UrgentMessage>,
    reader: PersonId,
}

impl About<'_> {
    /// None where it is for nobody in particular, or gone.
    fn view(&self) -> Option<DutiesView> {
        let is_gone = matches!(self.message.content, MessageContent::Deleted(_));
        if self.duties.is_empty() || (is_gone && self.urgent.is_none()) {
            return None;
        }
        Some(DutiesView {
            whom: self.whom(),
            for_reader: self.is_for_reader(),
            not_yet: if is_gone { Vec::new() } else { self.not_yet() },
            ends: self.ends(),
            urgent: self.urgent.map(urgent_view),
            buttons: self.buttons(),
        })
    }

    fn open(&self) -> impl Iterator<Item = &DutyView> {
        self.duties.iter().filter(|duty| duty.ended.is_none())
    }

    fn is_for_reader(&self) -> bool {
        self.open().any(|duty| duty.person.id == self.reader)
    }

    fn whom(&self) -> Vec<Shown> {
        let chosen = || self.duties.iter().filter(|duty| duty.at_sending);
        let teams = chosen().filter_map(|duty| duty.team.as_ref()).map(|(_, name)| name.as_str());
        let people = chosen().filter(|duty| duty.team.is_none()).map(|duty| duty.person.name.as_str());
        each_once(teams.chain(people))
    }

    fn not_yet(&self) -> Vec<Shown> {
        let opened = |person: PersonId| {
            let is_reader = |reader: &Reader| reader.person.id == person;
            person == self.reader || person == self.message.author.id || self.readers.iter().any(is_reader)
        };
        each_once(self.open().filter(|duty| !opened(duty.person.id)).map(|duty| duty.person.name.as_str()))
    }

    /// Those who got it after it was sent, and have it.
    fn heirs(&self) -> Vec<Shown> {
        let heirs = self.open().filter(|duty| !duty.at_sending);
        each_once(heirs.map(|duty| duty.team.as_ref().map_or(duty.person.name.as_str(), |(_, name)| name)))
    }

    fn ends(&self) -> Vec<DutyEndView> {
        let mut told = Vec::new();
        for duty in self.duties {
            let Some(end) = &duty.ended else { continue };
            // An operator's act ends one person's duties, any other those of several people.
            let by = end.by.as_ref().unwrap_or(&duty.person);
            let one = (end.at, end.act, by);
            let is_answer = self.urgent.is_some() && matches!(end.act, DutyAct::Done | DutyAct::Cannot);
            if !is_answer && end.act != DutyAct::Deleted && !told.contains(&one) {
                told.push(one);
            }
        }
        told.sort_by_key(|(at, ..)| *at);
        let view = |(at, act, by): (Timestamp, DutyAct, &Author)| {
            let name = Shown::from(by.name.as_str());
            let what = match act {
                DutyAct::Done | DutyAct::Cannot | DutyAct::Deleted => DutyEnding::Done(name),
                DutyAct::Replied => DutyEnding::Replied(name),
                DutyAct::Taken => DutyEnding::Taken(name),
                DutyAct::SwitchedOff => DutyEnding::SwitchedOff { whom: name, now_for: self.heirs() },
            };
            DutyEndView { what, at: at.into() }
        };
        told.into_iter().map(view).collect()
    }

    fn buttons(&self) -> DutyButtons {
        let is_for_reader = self.is_for_reader();
        let Some(urgent) = self.urgent else {
            return DutyButtons { done: is_for_reader, take: self.can_take(), ..DutyButtons::default() };
        };
        if urgent.state == UrgentState::Withdrawn {
            return DutyButtons { seen: is_for_reader, ..DutyButtons::default() };
        }
        let goes_on = urgent.state != UrgentState::Done;
        let on_the_way = urgent.is_on_the_way(self.reader);
        DutyButtons {
            done: is_for_reader || (goes_on && (on_the_way || urgent.author.id == self.reader)),
            on_my_way: goes_on && !on_the_way,
            cannot: goes_on && (on_the_way || is_for_reader),
            ..DutyButtons::default()
        }
    }

    /// The reader has it as one of a team of which others have it too.
    fn can_take(&self) -> bool {
        let own = self.open().filter(|duty| duty.person.id == self.reader);
        let mut own_teams = own.filter_map(|duty| duty.team.as_ref().map(|(team, _)| *team));
        own_teams.any(|own| {
            let of_team = |duty: &DutyView| duty.team.as_ref().is_some_and(|(team, _)| *team == own);
            self.open().any(|duty| duty.person.id != self.reader && of_team(duty))
        })
    }
}

fn urgent_view(urgent: &UrgentMessage) -> UrgentView {
    let mut steps: Vec<StepsView> = Vec::new();
    for step in &urgent.steps {
        match steps.last_mut() {
            Some(last) if last.kind == step.kind => last.at.push(step.at.into()),
            _ => steps.push(StepsView { kind: step.kind, at: vec![step.at.into()] }),
        }
    }
    let answers = urgent.answers.iter().map(|(who, said, at)| {
        // What an answer brings about has its time.
        let after = urgent.steps.iter().rfind(|step| step.at < *at).map(|step| (step.kind, step.at.into()));
        AnswerView { by: who.name.as_str().into(), said: *said, at: (*at).into(), after }
    });
    UrgentView {
        state: urgent.state,
        steps,
        next: urgent.next.map(|(kind, at)| (kind, at.into())),
        answers: answers.collect(),
        on_the_way: urgent.who_said(UrgentState::OnTheWay).map(|who| who.name.as_str().into()).collect(),
        policy: policy_words(urgent.policy),
    }
}

fn each_once<'n>(names: impl Iterator<Item = &'n str>) -> Vec<Shown> {
    let mut found: Vec<&str> = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found.into_iter().map(Shown::from).collect()
}

#[cfg(test)]
mod tests;
