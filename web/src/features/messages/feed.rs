//! What live updates are made of: each sent or deleted message, rendered once and given to every open list.
//!
//! The audit log is the source: its MESSAGE_CREATE and MESSAGE_DELETE rows, in order, so that an update has a
//! number to resume from and another process's messages arrive too. The same goes for sessions that end: an open list
//! hears of it at once, from whichever process.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use store::{
    AuditId, ConversationSummary, MessageChange, MessageEvent, MessageId, PersonId, SessionId, Store, StoreError,
};
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::pages::MarkedRow;
use super::row;

/// Updates that an open list may lag behind before it is told to reload.
const BUFFERED_UPDATES: usize = 256;
/// Events read in one go.
const BATCH: u32 = 200;
/// Commits closer together than this are looked at once.
const COALESCE: Duration = Duration::from_millis(20);
/// How often another process's commits are looked for.
const FOREIGN_POLL: Duration = Duration::from_secs(1);

/// One update for every open list.
pub struct Update {
    /// The audit row it comes from.
    pub id: AuditId,
    /// The server-sent event's name.
    pub event: &'static str,
    /// The event's data.
    pub data: serde_json::Value,
    /// The message, if its subject is in the data.
    pub shows_subject: Option<MessageId>,
    /// The conversation that it is about.
    pub root: MessageId,
    /// The message that was sent or deleted.
    pub message: MessageId,
    /// Who did that.
    pub by: PersonId,
}

impl Update {
    /// The update of an event in this conversation, of a message that is for these and perhaps urgent; None where the list
    /// shows nothing of it, and where its row does not render, which is logged.
    fn of(event: &MessageEvent, conversation: ConversationSummary, whom: Whom) -> Option<Self> {
        let is_reply = event.message.id != conversation.root;
        let name = match (event.change, is_reply) {
            (MessageChange::Sent, false) => "sent",
            (MessageChange::Sent, true) => "replied",
            (MessageChange::Deleted, false) => "deleted",
            (MessageChange::DoneOrOpen, _) => "changed",
            (MessageChange::Deleted, true) => return None,
        };
        let (root, began_by, by) = (conversation.root, conversation.author.id, event.message.author.id);
        let shows_subject = conversation.shows_subject();
        let urgent = whom.urgent;
        let rendered = row(conversation).and_then(|row| {
            MarkedRow { row: &row, own: false, unread: false, draft: false, for_reader: false, urgent }.render()
        });
        let html = rendered.inspect_err(|error| tracing::error!(%error, "a live update could not be made")).ok()?;
        let author = event.message.author.name.as_str();
        let data = serde_json::json!({
            "id": root, "began_by": began_by, "by": by, "author": author, "html": html, "for": whom.people,
        });
        Some(Self { id: event.id, event: name, data, shows_subject, root, message: event.message.id, by })
    }

    /// The updates of events, in their order.
    pub async fn of_all(store: &Store, events: Vec<MessageEvent>) -> Result<Vec<Self>, StoreError> {
        let mut updates = Vec::with_capacity(events.len());
        for event in events {
            if let Some(conversation) = store.conversation_summary(event.message.id).await? {
                let whom = Whom::of(store, &event).await?;
                updates.extend(Self::of(&event, conversation, whom));
            }
        }
        Ok(updates)
    }
}

/// Whom a message that was just sent is for.
#[derive(Default)]
struct Whom {
    people: Vec<PersonId>,
    urgent: bool,
}

impl Whom {
    async fn of(store: &Store, event: &MessageEvent) -> Result<Self, StoreError> {
        if event.change != MessageChange::Sent {
            return Ok(Self::default());
        }
        let id = event.message.id;
        let duties = store.duties(vec![id]).await?.into_iter().flatten();
        let people: Vec<PersonId> = duties.filter(|duty| duty.ended.is_none()).map(|duty| duty.person.id).collect();
        let urgent = !people.is_empty() && store.urgent_of(vec![id]).await?.iter().any(Option::is_some);
        Ok(Self { people, urgent })
    }
}

/// What an open list hears of.
#[derive(Clone)]
pub enum News {
    /// A message was sent or deleted.
    Update(Arc<Update>),
    /// These sessions have ended.
    Ended(Arc<[SessionId]>),
    /// Duties or what is urgent may have changed.
    Duties,
}

/// Hands updates to open lists.
#[derive(Clone)]
pub struct Feed(broadcast::Sender<News>);

impl Feed {
    /// A feed that nobody fills yet.
    pub fn new() -> Self {
        Self(broadcast::channel(BUFFERED_UPDATES).0)
    }

    /// All updates from now on. One that subscribes first and then reads what came before misses none.
    pub fn subscribe(&self) -> broadcast::Receiver<News> {
        self.0.subscribe()
    }

    /// How many lists are open.
    pub fn open(&self) -> usize {
        self.0.receiver_count()
    }

    /// Fills the feed for as long as the process lives.
    pub async fn run(self, store: Store) {
        let mut changes = store.changes();
        let mut poll = interval(FOREIGN_POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = None;
        let mut duties = store.duties_version();
        loop {
            match self.publish(&store, last).await {
                Ok(newest) => last = Some(newest),
                Err(error) => tracing::warn!(%error, "live updates are held up"),
            }
            let version = store.duties_version();
            if duties != version {
                duties = version;
                let _ = self.0.send(News::Duties);
            }
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    sleep(COALESCE).await;
                }
                _ = poll.tick() => {
                    if let Err(error) = store.poll_foreign_commits().await {
                        tracing::warn!(%error, "could not look for other programs' commits");
                    }
                }
            }
        }
    }

    /// Publishes what came after `last`, and gives the newest row that was looked at.
    async fn publish(&self, store: &Store, last: Option<AuditId>) -> Result<AuditId, StoreError> {
        // The head is read before the receivers are counted: one that subscribes after the count reads the rows up
        // to this head itself.
        let head = store.audit_head().await?.id;
        let Some(mut last) = last.filter(|_| self.0.receiver_count() > 0) else {
            return Ok(head);
        };
        let ended = store.sessions_ended_between(last, head).await?;
        if !ended.is_empty() {
            // An error means that the last list was closed meanwhile; here as below.
            let _ = self.0.send(News::Ended(ended.into()));
        }
        while last < head {
            let events = store.message_events_after(last, BATCH).await?;
            let Some(newest) = events.last().map(|event| event.id) else {
                break;
            };
            for update in Update::of_all(store, events).await? {
                let _ = self.0.send(News::Update(Arc::new(update)));
            }
            last = newest;
        }
        Ok(head.max(last))
    }
}

impl Default for Feed {
    fn default() -> Self {
        Self::new()
    }
}
