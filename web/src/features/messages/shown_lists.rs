//! Which subjects each session was shown lately. A list is written down before it is shown (MESSAGE_LIST), and not again
//! where all of its subjects were shown to the same session within the last minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::{Actor, MessageId, SessionId, Store, StoreError, Timestamp};

/// How long a row counts.
pub(super) const COVERED: Duration = Duration::from_secs(60);
/// Rows remembered of one session; of more, the oldest is forgotten, and a list has one row too many.
const ROWS: usize = 8;
/// Sessions remembered; before more are, those without a row of the last minute are forgotten, or else all.
const SESSIONS: usize = 4_096;

/// The rows of the last minute, by session.
#[derive(Default)]
pub struct ShownLists(Mutex<HashMap<SessionId, Vec<Shown>>>);

/// One row: numbers in order, the greatest first.
struct Shown {
    at: Timestamp,
    messages: Arc<[MessageId]>,
}

impl ShownLists {
    /// Makes sure that a row says that this session was shown these subjects, before they are. Numbers come the greatest
    /// first.
    pub async fn record(
        &self,
        store: &Store,
        actor: Actor,
        messages: &Arc<[MessageId]>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if self.covers(actor.session, messages, at) {
            return Ok(());
        }
        store.record_list_shown(actor, Arc::clone(messages), None, at).await?;
        self.keep(actor.session, Shown { at, messages: Arc::clone(messages) });
        Ok(())
    }

    fn covers(&self, session: SessionId, messages: &Arc<[MessageId]>, now: Timestamp) -> bool {
        let sessions = self.lock();
        let rows = sessions.get(&session).map_or(&[][..], Vec::as_slice);
        let recent = || rows.iter().filter(|row| is_recent(row.at, now));
        // The same list again, which is what nearly every request asks for, or one whose parts were all shown.
        recent().any(|row| Arc::ptr_eq(&row.messages, messages))
            || messages.iter().all(|message| recent().any(|row| row.holds(*message)))
    }

    fn keep(&self, session: SessionId, row: Shown) {
        let mut sessions = self.lock();
        let now = row.at;
        if sessions.len() >= SESSIONS {
            sessions.retain(|_, rows| rows.iter().any(|row| is_recent(row.at, now)));
            if sessions.len() >= SESSIONS {
                sessions.clear();
            }
        }
        let rows = sessions.entry(session).or_default();
        rows.retain(|row| is_recent(row.at, now));
        if rows.len() >= ROWS {
            rows.remove(0);
        }
        rows.push(row);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Vec<Shown>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    fn holds(&self, message: MessageId) -> bool {
        self.messages.binary_search_by(|shown| message.cmp(shown)).is_ok()
    }
}

/// Whether what was written down at one time still counts at another; not, where the clock was set back behind it.
pub(super) fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now < at.plus(COVERED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(numbers: &[i64]) -> Arc<[MessageId]> {
        numbers.iter().map(|number| MessageId::new(*number).unwrap()).collect()
    }

    fn session(number: i64) -> SessionId {
        SessionId::new(number).unwrap()
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    #[test]
    fn a_row_counts_for_its_session_its_messages_and_its_minute() {
        let lists = ShownLists::default();
        let first = messages(&[3, 2, 1]);
        assert!(!lists.covers(session(1), &first, second(100)));
        lists.keep(session(1), Shown { at: second(100), messages: Arc::clone(&first) });
        assert!(lists.covers(session(1), &first, second(100)));
        assert!(lists.covers(session(1), &messages(&[3, 1]), second(159)));
        assert!(lists.covers(session(1), &messages(&[]), second(100)), "nothing is shown");
        assert!(!lists.covers(session(2), &first, second(100)), "somebody else");
        assert!(!lists.covers(session(1), &messages(&[4, 3]), second(100)), "4 was not shown");
        assert!(!lists.covers(session(1), &first, second(160)), "a minute is over");
        assert!(!lists.covers(session(1), &first, second(99)), "the clock was set back");

        lists.keep(session(1), Shown { at: second(130), messages: messages(&[5, 4]) });
        assert!(lists.covers(session(1), &messages(&[5, 4, 3]), second(159)), "both rows together");
        assert!(!lists.covers(session(1), &messages(&[5, 4, 3]), second(160)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let lists = ShownLists::default();
        for number in 1..=3 * i64::try_from(SESSIONS).unwrap() {
            // Each thousand sessions a minute later than the thousand before.
            lists.keep(session(number), Shown { at: second(number / 1_000 * 60), messages: messages(&[1]) });
        }
        assert!(lists.lock().len() <= SESSIONS);
        for number in 1..100 {
            lists.keep(session(1), Shown { at: second(100_000), messages: messages(&[number]) });
        }
        assert_eq!(lists.lock()[&session(1)].len(), ROWS);
        assert!(lists.covers(session(1), &messages(&[99]), second(100_000)));
    }
}
