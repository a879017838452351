//! How far the audit chain verifies: the whole of it is walked at start and every few hours, and what is new since
//! then whenever somebody looks.

use std::time::Duration;

use store::{AuditId, ChainPosition, ChainVerdict, People, Store, StoreError, Timestamp};
use tokio::sync::{Mutex, watch};

use crate::features::audit::pages::ChainBanner;

/// How often every row is verified again.
const WHOLE_CHAIN_INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// Verifies the chain and remembers how far.
pub struct ChainWatch {
    store: Store,
    state: Mutex<State>,
    seen: watch::Sender<ChainSeen>,
    progress: watch::Sender<AuditId>,
}

/// What is known of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainSeen {
    /// The first check of the whole of it is under way.
    Unchecked {
        /// It has come to here.
        up_to: AuditId,
    },
    /// Everything was as it was written.
    Sound {
        /// Up to here.
        up_to: AuditId,
    },
    /// Something is not.
    Broken {
        /// The row that shows it.
        row: AuditId,
    },
}

enum State {
    Unchecked,
    /// Up to `head`; what is before the rows that came since is as it was at `walked`.
    Sound {
        head: ChainPosition,
        people: People,
        checked: Timestamp,
        walked: Timestamp,
    },
    Broken {
        row: AuditId,
        what: String,
    },
}

impl ChainWatch {
    /// A watch that has not looked yet.
    pub fn new(store: Store) -> Self {
        let up_to = AuditId::ZERO;
        Self {
            store,
            state: Mutex::new(State::Unchecked),
            seen: watch::channel(ChainSeen::Unchecked { up_to }).0,
            progress: watch::channel(up_to).0,
        }
    }

    /// What is known now; looks at nothing and waits for nobody.
    pub fn seen(&self) -> ChainSeen {
        match *self.seen.borrow() {
            ChainSeen::Unchecked { .. } => ChainSeen::Unchecked { up_to: *self.progress.borrow() },
            seen => seen,
        }
    }

    /// Verifies the whole chain now and every few hours, for as long as the process lives.
    pub async fn run(&self) {
        loop {
            if let Err(error) = self.verify_whole().await {
                tracing::error!(%error, "the audit chain could not be verified");
            }
            tokio::time::sleep(WHOLE_CHAIN_INTERVAL).await;
        }
    }

    /// The banner for a page whose newest row is `head`.
    pub async fn up_to_date(&self, head: AuditId) -> ChainBanner {
        let Ok(mut state) = self.state.try_lock() else {
            return self.checking(head);
        };
        let (from, people, walked) = match &*state {
            State::Unchecked => return self.checking(head),
            State::Broken { row, what } => {
                return ChainBanner::Broken { row: row.get(), what: what.clone() };
            }
            State::Sound { head, people, walked, .. } => (*head, people.clone(), *walked),
        };
        match self.store.verify_chain(Some((from, people)), |_| {}).await {
            Ok(verdict) => {
                *state = self.remember(verdict, walked);
                state.banner().unwrap_or_else(|| self.checking(head))
            }
            Err(error) => {
                tracing::error!(%error, "the audit chain could not be verified");
                self.checking(head)
            }
        }
    }

    async fn verify_whole(&self) -> Result<(), StoreError> {
        let progress = self.progress.clone();
        let begun = self.store.now();
        let verdict = self
            .store
            .verify_chain(None, move |row| {
                progress.send_replace(row);
            })
            .await?;
        *self.state.lock().await = self.remember(verdict, begun);
        Ok(())
    }

    fn remember(&self, verdict: ChainVerdict, walked: Timestamp) -> State {
        self.seen.send_replace(match &verdict {
            ChainVerdict::Sound { head, .. } => ChainSeen::Sound { up_to: head.id },
            ChainVerdict::Broken { row, .. } => ChainSeen::Broken { row: *row },
        });
        State::of(verdict, self.store.now(), walked)
    }

    fn checking(&self, head: AuditId) -> ChainBanner {
        ChainBanner::Checking { up_to: self.progress.borrow().get(), head: head.get() }
    }
}

impl State {
    fn of(verdict: ChainVerdict, checked: Timestamp, walked: Timestamp) -> Self {
        match verdict {
            ChainVerdict::Sound { head, people, .. } => Self::Sound { head, people, checked, walked },
            ChainVerdict::Broken { row, error } => {
                tracing::error!(alarm = "AUDIT_CHAIN_BROKEN", %row, %error, "the audit chain is broken");
                Self::Broken { row, what: error.to_string() }
            }
        }
    }

    fn banner(&self) -> Option<ChainBanner> {
        match self {
            Self::Unchecked => None,
            Self::Sound { head, checked, walked, .. } => {
                Some(ChainBanner::Sound { up_to: head.id.get(), checked: (*checked).into(), walked: (*walked).into() })
            }
            Self::Broken { row, what } => Some(ChainBanner::Broken { row: row.get(), what: what.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use testkit::{MovableClock, TemporaryStore, member};

    use super::*;

    /// Up to which row, and when the newest and the oldest of them were checked.
    async fn shown(watch: &ChainWatch, store: &Store) -> (i64, String, String) {
        let head = store.audit_head().await.map_or(AuditId::ZERO, |head| head.id);
        match watch.up_to_date(head).await {
            ChainBanner::Sound { up_to, checked, walked } => (up_to, checked.iso, walked.iso),
            ChainBanner::Checking { .. } | ChainBanner::Broken { .. } => panic!("not sound"),
        }
    }

    /// Looking at what is new says nothing of what is old.
    #[tokio::test]
    async fn a_look_at_the_page_checks_new_rows_and_says_when_all_were_walked() {
        let (temporary, clock) = (TemporaryStore::new(), MovableClock::default());
        let store = temporary.open_with(clock.environment()).await;
        let watch = ChainWatch::new(store.clone());
        assert!(watch.verify_whole().await.is_ok());
        let before = shown(&watch, &store).await;
        assert!(before.2 <= before.1, "{before:?}");
        clock.advance(Duration::from_secs(1));
        member(&store, "Amina Diallo", store.now()).await;
        let after = shown(&watch, &store).await;
        assert!(after.0 > before.0 && after.1 > before.1, "{after:?}");
        assert_eq!(after.2, before.2);
        clock.advance(Duration::from_secs(1));
        assert!(watch.verify_whole().await.is_ok());
        assert!(shown(&watch, &store).await.2 > after.1);
    }
}
