//! What a list is to its reader, and the same again after something has happened: then only that is looked at.
//!
//! Whatever changes it has its audit row, whichever process wrote it. So what was looked up when a row was the newest is brought
//! up to date by the rows since: they name the conversations to look at.

use std::sync::Arc;

use rusqlite::Connection;

use super::walk;
use super::walk::newest_unread;
use crate::sqlite::write::read_head;
use crate::store::Store;
use crate::types::{Action, AuditId, MessageId, PersonId, StoreError};

/// Conversations with something new are counted up to here.
const COUNTED: usize = 100;
/// More than are counted stay known, so that one that is opened does not always make another be looked for.
const KEPT: usize = COUNTED + 20;
/// More audit rows than this: looking at everything is cheaper than looking through them.
const LOOKED_THROUGH: i64 = 1_000;

/// What a person's list shows beside what everybody's does.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ReaderMarks {
    /// Of the conversations that were asked about, in their order.
    pub conversations: Vec<ReaderMark>,
    /// How many conversations have something new.
    pub unread: UnreadCount,
}

/// What a conversation is to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReaderMark {
    /// Something in it is new.
    pub unread: bool,
    /// There is a half-written reply.
    pub draft: bool,
}

/// How many conversations have something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct UnreadCount {
    /// So many were counted, at most a hundred.
    pub counted: usize,
    /// There may be more.
    pub more: bool,
}

/// Marks of a person's list, and what is needed to bring them up to date: some 2 kB at most.
#[derive(Clone, Debug)]
pub struct KnownMarks {
    /// The marks.
    pub marks: Arc<ReaderMarks>,
    /// They are right as of this audit row.
    pub as_of: AuditId,
    person: PersonId,
    /// Whose marks they are, by first messages.
    conversations: Arc<[MessageId]>,
    new: New,
}

impl Store {
    /// What conversations, named by their first messages, are to a person, and how many have something new at all. What was
    /// `known` before is brought up to date, where that is cheaper.
    pub async fn reader_marks(
        &self,
        person: PersonId,
        conversations: &Arc<[MessageId]>,
        known: Option<&KnownMarks>,
    ) -> Result<KnownMarks, StoreError> {
        self.look_up(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let as_of = read_head(&snapshot)?.id;
            let known = match known.filter(|known| known.person == person) {
                Some(known) => Since::rows(&snapshot, person, known.as_of, as_of)?.map(|since| (known, since)),
                None => None,
            };
            let mut new = known.as_ref().map_or_else(New::default, |(known, _)| known.new.clone());
            if let Some((_, since)) = &known {
                for root in &since.conversations {
                    new.set(*root, newest_unread(&snapshot, person, *root)?);
                }
            }
            new.fill(&snapshot, person)?;
            let mut has_draft = snapshot.prepare_cached("SELECT 1 FROM draft WHERE person_id = ?1 AND root_id = ?2")?;
            let mut marks = Vec::with_capacity(conversations.len());
            for root in conversations.iter().copied() {
                let old = known.as_ref().and_then(|(known, since)| known.mark_unless_changed(root, since));
                let unread = match (new.has(root), old) {
                    (Some(unread), _) => unread,
                    (None, Some(old)) => old.unread,
                    (None, None) => newest_unread(&snapshot, person, root)?.is_some(),
                };
                let same_drafts = known.as_ref().is_some_and(|(_, since)| !since.drafts);
                let draft = match old.filter(|_| same_drafts) {
                    Some(old) => old.draft,
                    None => has_draft.exists((person, root))?,
                };
                marks.push(ReaderMark { unread, draft });
            }
            let marks = Arc::new(ReaderMarks { conversations: marks, unread: new.count() });
            Ok(KnownMarks { marks, as_of, person, conversations: Arc::clone(conversations), new })
        })
        .await
    }
}

impl KnownMarks {
    fn mark_unless_changed(&self, root: MessageId, since: &Since) -> Option<ReaderMark> {
        if since.conversations.contains(&root) {
            return None;
        }
        let place = self.conversations.iter().position(|known| *known == root)?;
        self.marks.conversations.get(place).copied()
    }
}

/// What has happened that may change what a list is to a person.
#[derive(Default)]
struct Since {
    /// Conversations in which something was sent, deleted, opened or made new again, in the order of their numbers.
    conversations: Vec<MessageId>,
    /// The person's drafts.
    drafts: bool,
}

/// What rows of an action change about the marks of lists.
enum Changes {
    Nothing,
    /// What the conversation is to everybody.
    ForEverybody,
    /// What it is to who did it.
    ForActor,
    /// Which drafts who did it has.
    Drafts,
    /// Perhaps everything.
    Everything,
}

/// What a new action has to answer before it compiles: no wildcard here.
const fn changes(action: Action) -> Changes {
    match action {
        Action::MessageCreate | Action::MessageDelete => Changes::ForEverybody,
        Action::MessageView | Action::MessageMarkedUnread => Changes::ForActor,
        Action::DraftSaved | Action::DraftDiscarded => Changes::Drafts,
        Action::DatabaseCreated | Action::DatabaseRestored => Changes::Everything,
        Action::Login
        | Action::LoginDenied
        | Action::LoginFailed
        | Action::Logout
        | Action::SessionExpired
        | Action::SessionEnded
        | Action::SecurityAlert
        | Action::MessageList
        | Action::ConversationDone
        | Action::ConversationReopened
        | Action::DutyDone
        | Action::DutyTaken
        | Action::DutyMoved
        | Action::UrgentOnMyWay
        | Action::UrgentCannot
        | Action::UrgentStep
        | Action::UrgentStepsSkipped
        | Action::UrgentWithdrawn
        | Action::TeamCreated
        | Action::TeamRenamed
        | Action::TeamJoined
        | Action::TeamLeft
        | Action::TemplateCreated
        | Action::TemplateChanged
        | Action::TemplateDeleted
        | Action::AuditView
        | Action::AuditExport
        | Action::DataExported
        | Action::StaffDisabled
        | Action::StaffEnabled
        | Action::PersonRecorded
        | Action::EmergencyAccessGranted
        | Action::EmergencyAccessUsed
        | Action::EmergencyAccessRefused
        | Action::EmergencyAccessEnded
        | Action::AuditRowQuarantined
        | Action::BackupCreated
        | Action::BackupVerified
        | Action::BackupFailed
        | Action::BackupIdentityShown
        | Action::DatabaseRekeyed => Changes::Nothing,
    }
}

impl Since {
    /// What the rows after `seen` up to `newest` say; None where everything has to be looked at.
    fn rows(
        connection: &Connection,
        person: PersonId,
        seen: AuditId,
        newest: AuditId,
    ) -> Result<Option<Self>, StoreError> {
        if !(0..=LOOKED_THROUGH).contains(&(newest.get() - seen.get())) {
            return Ok(None);
        }
        let mut select = connection.prepare_cached(
            "SELECT a.action, a.person_id, coalesce(r.root_id, a.message_id) FROM audit_log a NOT INDEXED \
             LEFT JOIN message_reply r ON r.message_id = a.message_id WHERE a.id > ?1 AND a.id <= ?2",
        )?;
        let mut rows = select.query((seen, newest))?;
        let mut since = Self::default();
        while let Some(row) = rows.next()? {
            // A newer program's action may change anything.
            let action = row.get_ref(0)?.as_str().ok().and_then(Action::parse);
            let changes = action.map_or(Changes::Everything, changes);
            let by_reader = || Ok::<_, StoreError>(row.get::<_, Option<PersonId>>(1)? == Some(person));
            match changes {
                Changes::Nothing => {}
                Changes::ForEverybody => {
                    since.conversations.extend(row.get::<_, Option<MessageId>>(2)?);
                    // The draft that was sent is gone, whichever conversation it was in.
                    since.drafts |= by_reader()?;
                }
                Changes::ForActor if by_reader()? => since.conversations.extend(row.get::<_, Option<MessageId>>(2)?),
                Changes::Drafts if by_reader()? => since.drafts = true,
                Changes::ForActor | Changes::Drafts => {}
                Changes::Everything => return Ok(None),
            }
        }
        since.conversations.sort_unstable();
        since.conversations.dedup();
        Ok(Some(since))
    }
}

/// The conversations with something new, from the newest such message down to some message.
#[derive(Clone, Debug)]
struct New {
    /// Each behind its newest message that is new, the greatest number first.
    found: Vec<(MessageId, MessageId)>,
    /// Those whose newest message that is new is this one, or a newer one, are all among them; None where there are no others.
    down_to: Option<MessageId>,
}

impl Default for New {
    /// Nothing is known yet.
    fn default() -> Self {
        Self { found: Vec::new(), down_to: Some(MessageId::MAX) }
    }
}

impl New {
    /// A conversation has this newest message that is new, or none.
    fn set(&mut self, root: MessageId, newest: Option<MessageId>) {
        self.found.retain(|(_, known)| *known != root);
        let Some(newest) = newest.filter(|newest| self.down_to.is_none_or(|down_to| *newest >= down_to)) else {
            return;
        };
        let place = self.found.partition_point(|(message, _)| *message > newest);
        self.found.insert(place, (newest, root));
        if self.found.len() > KEPT {
            self.found.truncate(COUNTED);
            self.down_to = self.found.last().map(|(message, _)| *message);
        }
    }

    /// Looks for as many as are counted, further down than before.
    fn fill(&mut self, connection: &Connection, person: PersonId) -> Result<(), StoreError> {
        let Some(down_to) = self.down_to.filter(|_| self.found.len() < COUNTED) else { return Ok(()) };
        let walked = walk(connection, person, down_to, COUNTED - self.found.len())?;
        self.found.extend(walked.found);
        self.down_to = walked.down_to;
        Ok(())
    }

    /// Whether a conversation has something new; None where that is not known here.
    fn has(&self, root: MessageId) -> Option<bool> {
        if self.found.iter().any(|(_, known)| *known == root) {
            return Some(true);
        }
        self.down_to.is_none().then_some(false)
    }

    fn count(&self) -> UnreadCount {
        let counted = self.found.len().min(COUNTED);
        UnreadCount { counted, more: counted == COUNTED || self.down_to.is_some() }
    }
}

#[cfg(test)]
mod tests;
