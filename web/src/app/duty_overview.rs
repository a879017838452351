//! What is urgent, and what is for each member: what stands on every page and what lists mark, kept until the store says that it
//! may have changed, so that a page costs a look into memory.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::{
    Author, MessageId, OwnDuties, PersonId, StepKind, Store, StoreError, SummaryContent, Timestamp, UrgentMessage,
    UrgentState,
};

use crate::app::pages::{Asked, BarKind, DutyMarks, NextView, Shown, UrgentBar};

/// Members remembered; before more are, all are forgotten.
const MEMBERS: usize = 4_096;

/// What was read last.
#[derive(Default)]
pub struct DutyOverview(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// [`Store::duties_version`] before it was read; None for nothing yet.
    version: Option<u64>,
    urgent: Arc<[Urgent]>,
    /// The conversations of those that nobody has answered.
    unanswered: Arc<BTreeSet<MessageId>>,
    members: HashMap<PersonId, Arc<ForMember>>,
}

/// What there is for a member.
pub struct ForMember {
    /// What lists mark.
    pub marks: Arc<DutyMarks>,
    /// Where every urgent message stands, those of others too: differs where the board does.
    pub urgent_all: Arc<str>,
    /// What is urgent for the member, the oldest first.
    pub bars: Arc<[UrgentBar]>,
    /// The same, and then what waits for others, and what is the member's own.
    pub bars_of_all: Arc<[UrgentBar]>,
}

/// An urgent message about which not everything is over.
pub struct Urgent {
    /// What the store knows of it.
    pub message: UrgentMessage,
    /// When its author deleted it.
    withdrawn_at: Option<Timestamp>,
}

impl DutyOverview {
    /// What there is for a member now.
    pub async fn of(&self, store: &Store, person: PersonId) -> Result<Arc<ForMember>, StoreError> {
        // Before anything is read: what changes meanwhile is read again at the next look.
        let version = store.duties_version();
        if let Some(found) = self.lock().at(version).and_then(|kept| kept.members.get(&person)) {
            return Ok(Arc::clone(found));
        }
        let (urgent, unanswered) = self.read(store).await?;
        let OwnDuties { conversations, messages } = store.own_duties(person).await?;
        let marks = DutyMarks { for_reader: conversations, open: messages, urgent: unanswered };
        let found = Arc::new(ForMember::new(person, &urgent, marks));
        let mut kept = self.lock();
        if kept.at(version).is_some() {
            if kept.members.len() >= MEMBERS {
                kept.members.clear();
            }
            kept.members.insert(person, Arc::clone(&found));
        }
        Ok(found)
    }

    /// All urgent messages about which not everything is over, the oldest first.
    pub async fn urgent(&self, store: &Store) -> Result<Arc<[Urgent]>, StoreError> {
        Ok(self.read(store).await?.0)
    }

    async fn read(&self, store: &Store) -> Result<ForAll, StoreError> {
        let version = store.duties_version();
        if let Some(kept) = self.lock().at(version) {
            return Ok((Arc::clone(&kept.urgent), Arc::clone(&kept.unanswered)));
        }
        let mut read = Vec::new();
        for message in store.urgent_messages().await? {
            let withdrawn_at = match message.state {
                UrgentState::Withdrawn => deleted_at(store, &message).await?,
                _ => None,
            };
            read.push(Urgent { message, withdrawn_at });
        }
        let waiting = read.iter().filter(|urgent| urgent.message.state == UrgentState::Waiting);
        let unanswered: Arc<BTreeSet<_>> = Arc::new(waiting.map(|urgent| urgent.message.root).collect());
        let urgent: Arc<[Urgent]> = read.into();
        let mut kept = self.lock();
        // Somebody may have read later, and newer, things meanwhile.
        if kept.version.is_none_or(|known| known < version) {
            let (urgent, unanswered) = (Arc::clone(&urgent), Arc::clone(&unanswered));
            *kept = Kept { version: Some(version), urgent, unanswered, members: HashMap::new() };
        }
        Ok((urgent, unanswered))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is urgent, and the conversations of what nobody has answered.
type ForAll = (Arc<[Urgent]>, Arc<BTreeSet<MessageId>>);

impl Kept {
    /// What is kept, if it is of this version.
    fn at(&self, version: u64) -> Option<&Self> {
        (self.version == Some(version)).then_some(self)
    }
}

async fn deleted_at(store: &Store, message: &UrgentMessage) -> Result<Option<Timestamp>, StoreError> {
    let summary = store.message_summary(message.message).await?;
    Ok(summary.and_then(|summary| match summary.content {
        SummaryContent::Deleted { at } => Some(at),
        SummaryContent::Live { .. } => None,
    }))
}

impl Default for ForMember {
    /// Nothing.
    fn default() -> Self {
        Self { marks: Arc::default(), urgent_all: "".into(), bars: [].into(), bars_of_all: [].into() }
    }
}

impl ForMember {
    /// Pages and lists look the same with either.
    pub fn shows_the_same(&self, other: &Self) -> bool {
        self.urgent_all == other.urgent_all && self.marks == other.marks
    }

    fn new(person: PersonId, urgent: &[Urgent], marks: DutyMarks) -> Self {
        let (own, others): (Vec<_>, Vec<_>) = urgent.iter().partition(|urgent| urgent.message.is_for(person));
        let bars: Arc<[UrgentBar]> = own.iter().map(|urgent| urgent.bar(person)).collect();
        // Its author sees there, too, that somebody is on the way.
        let on_list = others.iter().filter(|urgent| match urgent.message.state {
            UrgentState::Waiting => true,
            UrgentState::OnTheWay => urgent.message.author.id == person,
            _ => false,
        });
        let bars_of_all = bars.iter().cloned().chain(on_list.map(|urgent| urgent.bar(person))).collect();
        let urgent_all = urgent.iter().map(Urgent::state).collect::<Vec<_>>().join(" ").into();
        Self { marks: Arc::new(marks), urgent_all, bars, bars_of_all }
    }
}

impl Urgent {
    /// As this person sees it.
    pub fn bar(&self, person: PersonId) -> UrgentBar {
        let message = &self.message;
        let has_duty = message.duties.iter().any(|duty| duty.person.id == person && duty.ended.is_none());
        let asked = |kind: StepKind| message.steps.iter().any(|step| step.kind == kind);
        UrgentBar {
            message: message.message.get(),
            author: if message.author.id == person { "you".into() } else { message.author.name.as_str().into() },
            kind: self.kind(person, has_duty),
            whom: self.whom(person).into_iter().map(Into::into).collect(),
            since: message.sent_at.into(),
            reminders: message.steps.iter().filter(|step| step.kind == StepKind::Reminder).count(),
            asked: if asked(StepKind::Everyone) {
                Asked::Everyone
            } else if asked(StepKind::Teammates) {
                Asked::Teammates
            } else {
                Asked::Nobody
            },
            next: message.next.map(|(kind, at)| NextView { what: comes_next(kind), at: at.into() }),
            step: message.steps.last().map_or(0, |step| step.number),
            answers: message.answers.len(),
            can_finish: has_duty || (message.state != UrgentState::Withdrawn && message.author.id == person),
        }
    }

    /// Differs where anybody's view does.
    fn state(&self) -> String {
        let UrgentMessage { message, state, steps, answers, duties, .. } = &self.message;
        let open = duties.iter().filter(|duty| duty.ended.is_none()).count();
        format!("{message}.{}.{}.{}.{open}", *state as u8, steps.len(), answers.len())
    }

    fn kind(&self, person: PersonId, has_duty: bool) -> BarKind {
        let message = &self.message;
        let own = message.author.id == person;
        let names = |what| -> Vec<Shown> { message.who_said(what).map(|who| who.name.as_str().into()).collect() };
        let asked = |kind: StepKind| message.steps.iter().any(|step| step.kind == kind);
        match message.state {
            UrgentState::Withdrawn => BarKind::Withdrawn { at: self.withdrawn_at.map(Into::into) },
            UrgentState::Done => BarKind::Done { who: names(UrgentState::Done) },
            UrgentState::OnTheWay if message.is_on_the_way(person) => BarKind::OwnWay,
            UrgentState::OnTheWay => BarKind::OnTheWay { who: names(UrgentState::OnTheWay) },
            UrgentState::Waiting | UrgentState::Cannot => match () {
                () if own && asked(StepKind::Unanswered) => BarKind::Unanswered,
                () if has_duty => BarKind::Asked { everyone: false },
                () if asked(StepKind::Everyone) && !own => BarKind::Asked { everyone: true },
                () => BarKind::Waiting { own },
            },
        }
    }

    /// The teams and the other people that it was for when it was sent.
    fn whom(&self, person: PersonId) -> Vec<&str> {
        let mut whom = Vec::new();
        for duty in self.message.duties.iter().filter(|duty| duty.at_sending) {
            let Author { id, name, .. } = &duty.person;
            let name = match &duty.team {
                Some((_, team)) => team.as_str(),
                None if *id == person => continue,
                None => name.as_str(),
            };
            if !whom.contains(&name) {
                whom.push(name);
            }
        }
        whom
    }
}

fn comes_next(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Reminder => "next reminder at",
        StepKind::Teammates => "teammates are asked at",
        StepKind::Everyone => "everyone on staff is asked at",
        StepKind::Unanswered => "if nobody answers, its sender is told at",
    }
}
