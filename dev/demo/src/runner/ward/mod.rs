//! The demo opens on a ward's days: what the staff did in the last days goes through the store like everything else, so that
//! the audit log tells of it and its chain holds.

mod clinic;
mod days_before;
mod script;
mod today;

use std::collections::HashMap;
use std::fmt::Display;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use demo::DemoPerson;
use store::{
    Actor, Addressed, Body, Client, Clock, DatabaseKey, DoneChange, DutyChange, Environment, FilledRow, IdempotencyKey,
    Identity, IfMissing, Location, MessageId, NewMessage, NewReply, PersonId, RowsSent, Sent, SignIn, Store,
    StoreError, Subject, TeamChange, TeamId, TeamName, TeamNamed, TemplateChange, TemplateId, TemplateName,
    TemplateRows, Timestamp, UrgentAnswer,
};

use self::script::{Act, Handover, Step, Talk, TalkAct, Template};
use super::error::DemoError;
use super::folder::Folder;

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
    let now = Timestamp::now();
    let environment = Environment { clock: Arc::new(MadeAt(before(now, script::MADE))), ..Environment::default() };
    let location = Location::file(&unfinished, &key);
    let store = Store::open_with(&location, IfMissing::Create, environment).await.map_err(refused)?;
    let written = Ward::new(&store, issuer, people, now).write().await;
    store.close().await;
    written?;
    fs::rename(&unfinished, folder.database()).map_err(DemoError::file("rename", unfinished))
}

/// The database was made before anybody signed in. All other times are handed over with the acts.
#[derive(Debug)]
struct MadeAt(Timestamp);

impl Clock for MadeAt {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn before(now: Timestamp, minutes: u32) -> Timestamp {
    now.minus(Duration::from_secs(60 * u64::from(minutes)))
}

fn refused(error: impl Display) -> DemoError {
    DemoError::Ward(error.to_string())
}

struct Ward<'w> {
    store: &'w Store,
    issuer: &'w str,
    people: &'w [DemoPerson],
    /// The moment when the demo starts.
    now: Timestamp,
    /// Who is signed in.
    actors: HashMap<&'static str, Actor>,
    /// Who has signed in at least once.
    known: HashMap<&'static str, PersonId>,
    teams: HashMap<&'static str, TeamId>,
    templates: HashMap<&'static str, TemplateId>,
    /// The first message of each conversation, by its subject.
    conversations: HashMap<&'static str, MessageId>,
    handover: Vec<MessageId>,
}

impl<'w> Ward<'w> {
    fn new(store: &'w Store, issuer: &'w str, people: &'w [DemoPerson], now: Timestamp) -> Self {
        Ward {
            store,
            issuer,
            people,
            now,
            actors: HashMap::new(),
            known: HashMap::new(),
            teams: HashMap::new(),
            templates: HashMap::new(),
            conversations: HashMap::new(),
            handover: Vec::new(),
        }
    }

    async fn write(mut self) -> Result<(), DemoError> {
        // The minute up to which was looked for steps of what is urgent; None before anything was.
        let mut looked = None;
        for Step { minutes_ago, by, act } in script::steps() {
            // What is due at a full minute is carried out before anybody acts in it, as on the site, which looks every second.
            for minute in (minutes_ago..looked.unwrap_or(minutes_ago)).rev() {
                self.store.carry_out_urgent_steps(self.ago(minute)).await.map_err(refused)?;
            }
            if looked.is_some() || matches!(act, Act::Begin(Talk { urgent: Some(_), .. })) {
                looked = Some(minutes_ago);
            }
            self.act(by, act, self.ago(minutes_ago)).await?;
        }
        Ok(())
    }

    fn ago(&self, minutes: u32) -> Timestamp {
        before(self.now, minutes)
    }

    async fn act(&mut self, by: &'static str, act: Act, at: Timestamp) -> Result<(), DemoError> {
        if matches!(act, Act::SignIn) {
            return self.sign_in(by, at).await;
        }
        let actor = *self.actors.get(by).ok_or_else(|| refused("somebody acts who is not signed in"))?;
        match act {
            Act::SignIn => Ok(()),
            Act::SignOut => {
                self.actors.remove(by);
                self.store.sign_out(actor, at).await.map_err(refused)
            }
            Act::MakeTeam(name) => {
                let named = self.store.create_team(actor, TeamName::parse(name).map_err(refused)?, at).await;
                let TeamNamed::Named(id) = named.map_err(refused)? else { return Err(refused("no such team")) };
                self.teams.insert(name, id);
                Ok(())
            }
            Act::JoinTeam(name) => changed(self.store.join_team(actor, self.team(name)?, at).await, is_team_changed),
            Act::LeaveTeam(name) => {
                changed(self.store.leave_team(actor, self.team(name)?, false, at).await, is_team_changed)
            }
            Act::MakeTemplate(template) => self.make_template(actor, template, at).await,
            Act::SendHandover(handover) => self.send_handover(actor, handover, at).await,
            Act::OpenHandover => {
                for message in &self.handover {
                    self.store.open_conversation(actor, *message, 0, PAGE, at).await.map_err(refused)?;
                }
                Ok(())
            }
            Act::Begin(talk) => self.begin(actor, talk, at).await,
            Act::In(subject, act) => self.go_on(actor, subject, act, at).await,
        }
    }

    async fn sign_in(&mut self, by: &'static str, at: Timestamp) -> Result<(), DemoError> {
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
        match self.store.sign_in(identity, None, client, at).await.map_err(refused)? {
            SignIn::SignedIn { session, .. } => {
                self.actors.insert(by, Actor { person: session.person, session: session.id, ip });
                self.known.insert(by, session.person);
                Ok(())
            }
            SignIn::Disabled => Err(refused("somebody is switched off")),
        }
    }

    async fn make_template(&mut self, actor: Actor, template: &Template, at: Timestamp) -> Result<(), DemoError> {
        let name = TemplateName::parse(template.name).map_err(refused)?;
        let rows = TemplateRows::parse(template.rows).map_err(refused)?;
        match self.store.create_template(actor, name, rows, at).await.map_err(refused)? {
            TemplateChange::Done(id) => {
                self.templates.insert(template.name, id);
                Ok(())
            }
            other => Err(refused(format!("a template is not made: {other:?}"))),
        }
    }

    async fn send_handover(&mut self, actor: Actor, handover: &Handover, at: Timestamp) -> Result<(), DemoError> {
        let template = self.templates.get(handover.template).ok_or_else(|| refused("no such template"))?;
        let filled = |(label, body): &(&str, &str)| {
            let subject = Subject::parse(&format!("{label}: {}", handover.subject)).map_err(refused)?;
            Ok(FilledRow { label: (*label).to_owned(), subject, body: Body::parse(body).map_err(refused)? })
        };
        let rows = handover.rows.iter().map(filled).collect::<Result<_, DemoError>>()?;
        let sent = self.store.send_rows(actor, *template, IdempotencyKey::fresh(), rows, at).await.map_err(refused)?;
        let RowsSent::Sent(sent) = sent else { return Err(refused("a handover is not sent")) };
        self.handover = sent.into_iter().map(created).collect::<Result<_, _>>()?;
        Ok(())
    }

    async fn begin(&mut self, actor: Actor, talk: &Talk, at: Timestamp) -> Result<(), DemoError> {
        let message = NewMessage {
            subject: Subject::parse(talk.subject).map_err(refused)?,
            body: Body::parse(talk.body).map_err(refused)?,
            addressed: self.addressed(talk)?,
            key: IdempotencyKey::fresh(),
        };
        let id = created(self.store.send_message(actor, message, at).await.map_err(refused)?)?;
        self.conversations.insert(talk.subject, id);
        Ok(())
    }

    fn addressed(&self, talk: &Talk) -> Result<Addressed, DemoError> {
        let mut addressed = Addressed { urgent: talk.urgent, ..Addressed::default() };
        for name in talk.to {
            match self.known.get(name) {
                Some(person) => addressed.people.insert(*person),
                None => addressed.teams.insert(self.team(name)?),
            };
        }
        Ok(addressed)
    }

    fn team(&self, name: &str) -> Result<TeamId, DemoError> {
        self.teams.get(name).copied().ok_or_else(|| refused(format!("there is no team {name} yet")))
    }

    async fn go_on(&self, actor: Actor, subject: &str, act: TalkAct, at: Timestamp) -> Result<(), DemoError> {
        let root = self.conversations.get(subject);
        let root = *root.ok_or_else(|| refused("a conversation goes on before it begins"))?;
        let store = self.store;
        let is_duty_changed = |change| change == DutyChange::Changed;
        match act {
            TalkAct::Open => store.open_conversation(actor, root, 0, PAGE, at).await.map(drop).map_err(refused),
            TalkAct::Reply(body) => {
                let body = Body::parse(body).map_err(refused)?;
                let reply = NewReply { to: root, body, addressed: Addressed::default(), key: IdempotencyKey::fresh() };
                store.send_reply(actor, reply, at).await.map(drop).map_err(refused)
            }
            TalkAct::Delete => store.delete_message(actor, root, at).await.map(drop).map_err(refused),
            TalkAct::Done => {
                changed(store.set_done(actor, root, true, at).await, |change| change == DoneChange::Changed)
            }
            TalkAct::DutyDone => changed(store.finish_duty(actor, root, at).await, is_duty_changed),
            TalkAct::Take => changed(store.take_duty(actor, root, at).await, is_duty_changed),
            TalkAct::OnMyWay => {
                changed(store.answer_urgent(actor, root, UrgentAnswer::OnMyWay, at).await, is_duty_changed)
            }
        }
    }
}

fn created(sent: Sent) -> Result<MessageId, DemoError> {
    match sent {
        Sent::Created(id) => Ok(id),
        other => Err(refused(format!("a message is not stored: {other:?}"))),
    }
}

fn is_team_changed(change: TeamChange) -> bool {
    matches!(change, TeamChange::Changed { .. })
}

/// An act that changes nothing is a mistake in the script.
fn changed<C>(change: Result<C, StoreError>, is_changed: impl Fn(C) -> bool) -> Result<(), DemoError> {
    if is_changed(change.map_err(refused)?) { Ok(()) } else { Err(refused("an act of somebody changes nothing")) }
}

#[cfg(test)]
mod tests;
