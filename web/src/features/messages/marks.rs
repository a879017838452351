//! What the list shows each reader beside what everybody sees: what is new, half-written replies, where the reader last looked.
//!
//! Everything that changes it has its audit row, so what was looked up stays right until there is a newer row; then only what
//! the rows since name is looked at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::{KnownMarks, MessageId, ReaderMarks, Session, SessionId, Store, StoreError, Timestamp};

/// Sessions remembered, of some 2 kB each; before more are, all are forgotten.
const SESSIONS: usize = 4_096;

/// A page of the list: each conversation's first message.
pub type ListedConversations = Arc<[MessageId]>;

/// What was looked up for each session.
#[derive(Default)]
pub struct Marks(Mutex<HashMap<SessionId, Kept>>);

#[derive(Clone)]
struct Kept {
    /// When the person was last shown a list before this session.
    looked_at: Option<Timestamp>,
    list: ListedConversations,
    known: Arc<KnownMarks>,
}

/// What a reader's list shows.
pub struct Marked {
    /// Of the page's conversations, in their order.
    pub marks: Arc<ReaderMarks>,
    /// When the person was last shown a list before this session.
    pub looked_at: Option<Timestamp>,
}

impl Marks {
    /// The marks of a page of the list for the reader of a session, as of the row that the session was looked up at, or later.
    pub async fn of(&self, store: &Store, session: &Session, list: &ListedConversations) -> Result<Marked, StoreError> {
        let kept = self.lock().get(&session.id).cloned();
        let (looked_at, known) = match kept {
            Some(kept) if kept.known.as_of >= session.as_of && Arc::ptr_eq(&kept.list, list) => {
                return Ok(Marked { marks: Arc::clone(&kept.known.marks), looked_at: kept.looked_at });
            }
            Some(kept) => (kept.looked_at, Some(kept.known)),
            None => (store.last_looked_before(session.person, session.started_at).await?, None),
        };
        let known = Arc::new(store.reader_marks(session.person, list, known.as_deref()).await?);
        let marks = Arc::clone(&known.marks);
        let kept = Kept { looked_at, list: Arc::clone(list), known };
        let mut sessions = self.lock();
        if sessions.len() >= SESSIONS {
            sessions.clear();
        }
        sessions.insert(session.id, kept);
        Ok(Marked { marks, looked_at })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
