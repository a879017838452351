//! The demo opens on a ward's day: what the staff wrote in the last days goes through the store like everything else, so that
//! the audit log tells of it and its chain holds.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use demo::DemoPerson;
use store::{
    Actor, Body, Client, DatabaseKey, IdempotencyKey, Identity, IfMissing, Location, MessageId, NewMessage, NewReply,
    Sent, SignIn, Store, Subject, Timestamp,
};

use super::error::DemoError;
use super::folder::Folder;
use super::ward_day::TALKS;

/// A conversation: how many minutes ago it began, who began it, its subject and text, and what came of it.
pub(super) struct Talk(
    pub(super) u32,
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static [Then],
);

/// What came of it, so many minutes after the step before.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// Somebody answered.
    Reply(u32, &'static str, &'static str),
    /// These opened it.
    Opened(u32, &'static [&'static str]),
    /// Its author deleted the first message.
    Delete(u32, &'static str),
    /// Somebody said that it is done.
    Done(u32, &'static str),
}

/// One act of one person, in the order of time.
struct Step {
    minutes_ago: u32,
    by: &'static str,
    talk: usize,
    act: Act,
}

enum Act {
    Begin,
    Reply(&'static str),
    Open,
    Delete,
    Done,
}

/// Somebody who has not done anything for so long has signed out in between.
const AWAY: u32 = 25;
/// The part of a conversation that is opened at once, as on the site.
const PAGE: u64 = 50;

/// Writes the database. It gets its name when it is whole: a demo that is killed here begins again.
pub(super) async fn write(folder: &Folder, issuer: &str, people: &[DemoPerson]) -> Result<(), DemoError> {
    let unfinished = folder.path().join("ward.unfinished.db");
    for ending in ["", "-wal", "-shm"] {
        let mut name = unfinished.clone().into_os_string();
        name.push(ending);
        // Mostly there is none.
        let _ = fs::remove_file(name);
    }
    let key = DatabaseKey::from_hex(&folder.database_key()?).map_err(refused)?;
    let store = Store::open(&Location::file(&unfinished, &key), IfMissing::Create).await.map_err(refused)?;
    let written = Ward { store: &store, issuer, people, actors: HashMap::new(), roots: BTreeMap::new() }.write().await;
    store.close().await;
    written?;
    fs::rename(&unfinished, folder.database()).map_err(DemoError::file("rename", unfinished))
}

fn refused(error: impl Display) -> DemoError {
    DemoError::Ward(error.to_string())
}

struct Ward<'w> {
    store: &'w Store,
    issuer: &'w str,
    people: &'w [DemoPerson],
    /// Who is signed in, and how many minutes ago each did something last.
    actors: HashMap<&'static str, (Actor, u32)>,
    /// The first message of each conversation.
    roots: BTreeMap<usize, MessageId>,
}

impl Ward<'_> {
    async fn write(mut self) -> Result<(), DemoError> {
        let now = Timestamp::now();
        let ago = |minutes: u32| now.minus(Duration::from_secs(60 * u64::from(minutes)));
        for Step { minutes_ago, by, talk, act } in steps(TALKS) {
            let actor = self.actor(by, minutes_ago, &ago).await?;
            self.act(actor, talk, act, ago(minutes_ago)).await?;
        }
        for (actor, last) in self.actors.into_values() {
            self.store.sign_out(actor, ago(last)).await.map_err(refused)?;
        }
        Ok(())
    }

    /// Signed in, since a while or just now.
    async fn actor(
        &mut self,
        by: &'static str,
        minutes_ago: u32,
        ago: &impl Fn(u32) -> Timestamp,
    ) -> Result<Actor, DemoError> {
        if let Some((actor, last)) = self.actors.remove(by) {
            if last.saturating_sub(minutes_ago) < AWAY {
                self.actors.insert(by, (actor, minutes_ago));
                return Ok(actor);
            }
            self.store.sign_out(actor, ago(last)).await.map_err(refused)?;
        }
        let person =
            self.people.iter().find(|person| person.id == by).ok_or_else(|| refused("nobody has that name"))?;
        let identity = Identity {
            issuer: self.issuer.to_owned(),
            subject: person.subject.clone(),
            email: person.email.clone(),
            name: person.name.clone(),
        };
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let client = Client { ip, user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0".to_owned() };
        match self.store.sign_in(identity, None, client, ago(minutes_ago)).await.map_err(refused)? {
            SignIn::SignedIn { session, .. } => {
                let actor = Actor { person: session.person, session: session.id, ip };
                self.actors.insert(by, (actor, minutes_ago));
                Ok(actor)
            }
            SignIn::Disabled => Err(refused("somebody is switched off")),
        }
    }

    async fn act(&mut self, actor: Actor, talk: usize, act: Act, at: Timestamp) -> Result<(), DemoError> {
        let Talk(_, _, subject, body, _) = &TALKS[talk];
        let key = IdempotencyKey::fresh();
        let text = |body: &str| Body::parse(body).map_err(refused);
        if matches!(act, Act::Begin) {
            let message = NewMessage {
                subject: Subject::parse(subject).map_err(refused)?,
                body: text(body)?,
                addressed: store::Addressed::default(),
                key,
            };
            if let Sent::Created(id) = self.store.send_message(actor, message, at).await.map_err(refused)? {
                self.roots.insert(talk, id);
            }
            return Ok(());
        }
        let root = *self.roots.get(&talk).ok_or_else(|| refused("a conversation goes on before it begins"))?;
        let done = match act {
            Act::Begin => Ok(()),
            Act::Reply(body) => self
                .store
                .send_reply(
                    actor,
                    NewReply { to: root, body: text(body)?, addressed: store::Addressed::default(), key },
                    at,
                )
                .await
                .map(drop),
            Act::Open => self.store.open_conversation(actor, root, 0, PAGE, at).await.map(drop),
            Act::Delete => self.store.delete_message(actor, root, at).await.map(drop),
            Act::Done => self.store.set_done(actor, root, true, at).await.map(drop),
        };
        done.map_err(refused)
    }
}

/// All that anybody did, in the order of time; what would not have happened yet is left out.
fn steps(talks: &[Talk]) -> Vec<Step> {
    let mut steps = Vec::new();
    for (talk, Talk(begun, by, _, _, then)) in talks.iter().enumerate() {
        let mut ago = *begun;
        steps.push(Step { minutes_ago: ago, by, talk, act: Act::Begin });
        for step in *then {
            let (minutes, acts): (u32, Vec<(&'static str, Act)>) = match *step {
                Then::Reply(minutes, by, body) => (minutes, vec![(by, Act::Open), (by, Act::Reply(body))]),
                Then::Opened(minutes, by) => (minutes, by.iter().map(|by| (*by, Act::Open)).collect()),
                Then::Delete(minutes, by) => (minutes, vec![(by, Act::Delete)]),
                Then::Done(minutes, by) => (minutes, vec![(by, Act::Done)]),
            };
            let Some(later) = ago.checked_sub(minutes) else { break };
            ago = later;
            steps.extend(acts.into_iter().map(|(by, act)| Step { minutes_ago: ago, by, talk, act }));
        }
    }
    // Stable: what happened in the same minute stays in its order.
    steps.sort_by_key(|step| std::cmp::Reverse(step.minutes_ago));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ward_has_some_forty_conversations_by_people_of_the_demo_in_the_order_of_time() {
        assert!((38..=45).contains(&TALKS.len()), "{}", TALKS.len());
        let people = DemoPerson::everyone();
        let steps = steps(TALKS);
        let members = |by: &str| people.iter().any(|person| person.id == by && person.hosted_domain.is_some());
        assert!(steps.iter().all(|step| members(step.by)));
        assert!(steps.is_sorted_by_key(|step| std::cmp::Reverse(step.minutes_ago)));
        for (number, Talk(begun, by, subject, body, _)) in TALKS.iter().enumerate() {
            assert!(Subject::parse(subject).is_ok() && Body::parse(body).is_ok(), "{subject}");
            let first = steps.iter().find(|step| step.talk == number).unwrap();
            assert!(matches!(first.act, Act::Begin) && first.minutes_ago == *begun && first.by == *by, "{subject}");
        }
    }
}
