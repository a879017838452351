//! What somebody answers to a message that is for people: done, taken, on the way, cannot; and a reply, which ends what is not
//! urgent.

use serde_json::json;

use super::{State, end};
use crate::acts::message::record;
use crate::acts::session::require_live;
use crate::acts::urgent::{Known, carry_out};
use crate::sqlite::write::Write;
use crate::store::Store;
use crate::types::{Action, Actor, AuditId, DutyAct, MessageId, PersonId, StoreError, Timestamp};

/// What came of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DutyChange {
    /// It is so now.
    Changed,
    /// It was so already, or it is not for the actor to say; nothing was written.
    Unchanged,
    /// There is no such message.
    Missing,
}

/// An answer to an urgent message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UrgentAnswer {
    /// "On my way": stops the steps. Anybody on staff may say so.
    OnMyWay,
    /// "Cannot: next, please": the next step that asks others comes at once.
    Cannot,
}

impl Store {
    /// "Done": DUTY_DONE. Ends the actor's duty and those of the teams through which the actor has it; of an urgent message
    /// also for its author, and for somebody who was not asked and is on the way.
    pub async fn finish_duty(&self, actor: Actor, message: MessageId, at: Timestamp) -> Result<DutyChange, StoreError> {
        self.write_duties(move |write| {
            require_live(write, actor)?;
            let Some(known) = find(write, message)? else { return Ok(DutyChange::Missing) };
            let may = known.state.is_for(actor.person)
                || known.urgent.as_ref().is_some_and(|urgent| {
                    !urgent.withdrawn
                        && urgent.ended_by.is_none()
                        && (urgent.author == actor.person || urgent.is_on_the_way(actor.person))
                });
            if !may {
                return Ok(DutyChange::Unchanged);
            }
            write.duties_changed.set(true);
            let row = record(write, actor, Action::DutyDone, message, known.after_step(), at)?;
            end(write, message, DutyAct::Done, actor.person, row)?;
            Ok(DutyChange::Changed)
        })
        .await
    }

    /// "I take it": DUTY_TAKEN. A duty that the actor has as one of a team is the actor's alone from then on.
    pub async fn take_duty(&self, actor: Actor, message: MessageId, at: Timestamp) -> Result<DutyChange, StoreError> {
        self.write_duties(move |write| {
            require_live(write, actor)?;
            let Some(known) = find(write, message)? else { return Ok(DutyChange::Missing) };
            if known.state.duties().ended_by(DutyAct::Taken, actor.person).is_empty() {
                return Ok(DutyChange::Unchanged);
            }
            let row = record(write, actor, Action::DutyTaken, message, known.after_step(), at)?;
            end(write, message, DutyAct::Taken, actor.person, row)?;
            Ok(DutyChange::Changed)
        })
        .await
    }

    /// Answers an urgent message: URGENT_ON_MY_WAY, or URGENT_CANNOT and with it, in the same transaction, the step that asks
    /// others, unless somebody is on the way.
    pub async fn answer_urgent(
        &self,
        actor: Actor,
        message: MessageId,
        answer: UrgentAnswer,
        at: Timestamp,
    ) -> Result<DutyChange, StoreError> {
        self.write_duties(move |write| {
            require_live(write, actor)?;
            let Some(known) = find(write, message)? else { return Ok(DutyChange::Missing) };
            let Some(urgent) = known.urgent.as_ref().filter(|urgent| urgent.ended_by.is_none() && !urgent.withdrawn)
            else {
                return Ok(DutyChange::Unchanged);
            };
            write.duties_changed.set(true);
            let on_the_way = urgent.is_on_the_way(actor.person);
            match answer {
                UrgentAnswer::OnMyWay if on_the_way => return Ok(DutyChange::Unchanged),
                UrgentAnswer::OnMyWay => {
                    record(write, actor, Action::UrgentOnMyWay, message, known.after_step(), at)?;
                }
                UrgentAnswer::Cannot if !on_the_way && !known.state.is_for(actor.person) => {
                    return Ok(DutyChange::Unchanged);
                }
                UrgentAnswer::Cannot => {
                    let row = record(write, actor, Action::UrgentCannot, message, known.after_step(), at)?;
                    end(write, message, DutyAct::Cannot, actor.person, row)?;
                    carry_out(write, message, at)?;
                }
            }
            Ok(DutyChange::Changed)
        })
        .await
    }
}

/// A reply ends the duties of its author in the conversation that are not urgent.
pub(in crate::acts) fn end_by_reply(
    write: &Write<'_>,
    person: PersonId,
    root: MessageId,
    row: AuditId,
) -> Result<bool, StoreError> {
    let mut select = write.connection.prepare_cached(
        "SELECT DISTINCT d.message_id FROM duty d LEFT JOIN message_reply r ON r.message_id = d.message_id \
         WHERE d.person_id = ?1 AND d.ended_by IS NULL AND coalesce(r.root_id, d.message_id) = ?2",
    )?;
    let found = select.query_map((person, root), |row| row.get(0))?;
    let messages: Vec<MessageId> = found.collect::<Result<_, _>>()?;
    drop(select);
    for message in &messages {
        end(write, *message, DutyAct::Replied, person, row)?;
    }
    Ok(!messages.is_empty())
}

struct Found {
    state: State,
    urgent: Option<Known>,
}

impl Found {
    /// After which step of an urgent message the answer came.
    fn after_step(&self) -> serde_json::Value {
        match &self.urgent {
            Some(urgent) => json!({ "after_step": urgent.over }),
            None => json!({}),
        }
    }
}

fn find(write: &Write<'_>, message: MessageId) -> Result<Option<Found>, StoreError> {
    let mut select = write.connection.prepare_cached("SELECT 1 FROM message WHERE id = ?1")?;
    if !select.exists([message])? {
        return Ok(None);
    }
    let urgent = Known::of(write.connection, message)?;
    Ok(Some(Found { state: State::of(write.connection, message)?, urgent }))
}
