//! The urgent messages as pages show them, without any text of theirs but for the board, which is a look at subjects.

use rusqlite::Connection;
use serde_json::json;

use super::{Known, open_messages};
use crate::acts::conversation::{Subject, root_of};
use crate::acts::conversation_list::find;
use crate::acts::duty::{DutyView, duty_views};
use crate::acts::list_shown::in_ranges;
use crate::acts::session::require_live;
use crate::ledger::audit::Entry;
use crate::store::Store;
use crate::types::{
    Action, Actor, Author, MessageId, NextStep, PersonId, StepKind, StoreError, Timestamp, UrgentPolicy,
};

/// An urgent message about which not everything is over.
#[derive(Clone, Debug)]
pub struct UrgentMessage {
    /// Its number.
    pub message: MessageId,
    /// The conversation it is in.
    pub root: MessageId,
    /// Who sent it.
    pub author: Author,
    /// When.
    pub sent_at: Timestamp,
    /// How it is repeated and passed on.
    pub policy: UrgentPolicy,
    /// Whom it is or was for.
    pub duties: Vec<DutyView>,
    /// What was answered, in the order in which it came.
    pub answers: Vec<(Author, UrgentState, Timestamp)>,
    /// The steps that were carried out, in their order.
    pub steps: Vec<StepDone>,
    /// Where it stands.
    pub state: UrgentState,
    /// What comes next, as of now.
    pub next: Option<(StepKind, Timestamp)>,
}

/// Where an urgent message stands, or what somebody said to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UrgentState {
    /// Nobody is on the way.
    Waiting,
    /// Somebody is on the way.
    OnTheWay,
    /// Somebody cannot.
    Cannot,
    /// Somebody has done it.
    Done,
    /// Its author deleted it.
    Withdrawn,
}

/// A step that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepDone {
    /// Its number, from 1.
    pub number: usize,
    /// What it did.
    pub kind: StepKind,
    /// When.
    pub at: Timestamp,
}

impl UrgentMessage {
    /// Those who said so last, in the order in which they said it.
    pub fn who_said(&self, what: UrgentState) -> impl Iterator<Item = &Author> {
        self.answers.iter().enumerate().filter_map(move |(index, (who, said, _))| {
            let later = self.answers.get(index + 1..).unwrap_or_default();
            (*said == what && !later.iter().any(|(other, ..)| other.id == who.id)).then_some(who)
        })
    }

    /// This person said so, and nothing since.
    pub fn is_on_the_way(&self, person: PersonId) -> bool {
        self.who_said(UrgentState::OnTheWay).any(|who| who.id == person)
    }

    /// The bar stands on this person's pages: it asks, or somebody who was asked is on the way and has not done it yet. Its author
    /// who was told that nobody answered is told so, too.
    pub fn is_for(&self, person: PersonId) -> bool {
        let has_duty = self.duties.iter().any(|duty| duty.person.id == person && duty.ended.is_none());
        let is_waiting = self.state == UrgentState::Waiting;
        let goes_on = is_waiting || self.state == UrgentState::OnTheWay;
        let asked = |kind: StepKind| self.steps.iter().any(|step| step.kind == kind);
        has_duty
            || self.is_on_the_way(person)
            || (is_waiting && asked(StepKind::Everyone))
            || (goes_on && asked(StepKind::Unanswered) && self.author.id == person)
    }
}

impl Store {
    /// The urgent messages about which not everything is over, the oldest first.
    pub async fn urgent_messages(&self) -> Result<Vec<UrgentMessage>, StoreError> {
        self.look_up(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut found = Vec::new();
            for message in open_messages(&snapshot)? {
                found.extend(urgent_message(&snapshot, message)?);
            }
            Ok(found)
        })
        .await
    }

    /// What is known of those of these messages that are urgent, whether over or not.
    pub async fn urgent_of(&self, messages: Vec<MessageId>) -> Result<Vec<Option<UrgentMessage>>, StoreError> {
        self.look_up(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            messages.into_iter().map(|message| urgent_message(&snapshot, message)).collect()
        })
        .await
    }

    /// The subjects of the conversations of these messages, for the board: MESSAGE_LIST is durable before they are given out.
    /// None where the first message was deleted.
    pub async fn show_urgent_board(
        &self,
        actor: Actor,
        roots: Vec<MessageId>,
        at: Timestamp,
    ) -> Result<Vec<Option<Subject>>, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let mut subjects = Vec::with_capacity(roots.len());
            let mut shown = Vec::new();
            for root in roots {
                let summary = find(write.connection, root)?;
                shown.extend(summary.as_ref().and_then(|summary| summary.shows_subject()));
                subjects.push(summary.and_then(|summary| summary.subject.ok()));
            }
            if !shown.is_empty() {
                let details = json!({ "messages": in_ranges(&shown), "board": "urgent" });
                let (person, ip) = (Some(actor.person), Some(actor.ip));
                write.append(Entry { at, person, action: Action::MessageList, message: None, details, ip })?;
            }
            Ok(subjects)
        })
        .await
    }
}

fn urgent_message(connection: &Connection, message: MessageId) -> Result<Option<UrgentMessage>, StoreError> {
    let Some(known) = Known::of(connection, message)? else { return Ok(None) };
    let root = root_of(connection, message)?.unwrap_or(message);
    let mut person = connection.prepare_cached("SELECT id, name, email FROM person WHERE id = ?1")?;
    let mut person = |id: PersonId| person.query_row([id], |row| Author::from_row(row, 0));
    let mut answers = Vec::new();
    for answer in &known.answers {
        let said = match answer.action {
            Action::UrgentOnMyWay => UrgentState::OnTheWay,
            Action::UrgentCannot => UrgentState::Cannot,
            _ => UrgentState::Done,
        };
        answers.push((person(answer.person)?, said, answer.at));
    }
    let mut select = connection.prepare_cached(
        "SELECT s.step, a.at FROM urgent_step s JOIN audit_log a ON a.id = s.audit_id \
         WHERE s.message_id = ?1 AND a.action = 'URGENT_STEP' ORDER BY s.step",
    )?;
    let found = select.query_map([message], |row| Ok((row.get::<_, u32>(0)? as usize, row.get(1)?)))?;
    let mut steps = Vec::new();
    for found in found {
        let (number, at) = found?;
        let step = known.policy.steps().get(number - 1);
        steps.extend(step.map(|step| StepDone { number, kind: step.kind, at }));
    }
    let state = if known.withdrawn {
        UrgentState::Withdrawn
    } else if known.newest_answers().any(|answer| answer.action == Action::UrgentOnMyWay) {
        UrgentState::OnTheWay
    } else if known.is_answered() {
        UrgentState::Done
    } else {
        UrgentState::Waiting
    };
    // At the beginning of time nothing is due yet: this is the next one.
    let next = match known.next(Timestamp::from_millis(i64::MIN / 2), true) {
        NextStep::At(at) => known.policy.steps().get(known.over).map(|step| (step.kind, at)),
        _ => None,
    };
    Ok(Some(UrgentMessage {
        message,
        root,
        author: person(known.author)?,
        sent_at: known.sent_at,
        policy: known.policy,
        duties: duty_views(connection, message)?,
        answers,
        steps,
        state,
        next,
    }))
}
