//! How far the audit chain verifies: the whole of it is walked at start and every few hours, and what is new since
//! then whenever somebody looks.

use std::time::Duration;

use store::{AuditId, ChainPosition, ChainVerdict, Store, StoreError, Timestamp};
use tokio::sync::{Mutex, watch};

use crate::pages::ChainBanner;

/// How often every row is verified anew.
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
    Sound { head: ChainPosition, checked: Timestamp },
    Broken { row: AuditId, what: String },
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
        let from = match &*state {
            State::Unchecked => return self.checking(head),
            State::Broken { row, what } => {
                return ChainBanner::Broken { row: row.get(), what: what.clone() };
            }
            State::Sound { head, .. } => *head,
        };
        match self.store.verify_chain(Some(from), |_| {}).await {
            Ok(verdict) => {
                *state = self.remember(verdict);
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
        let verdict = self
            .store
            .verify_chain(None, move |row| {
                progress.send_replace(row);
            })
            .await?;
        *self.state.lock().await = self.remember(verdict);
        Ok(())
    }

    fn remember(&self, verdict: ChainVerdict) -> State {
        self.seen.send_replace(match &verdict {
            ChainVerdict::Sound { head, .. } => ChainSeen::Sound { up_to: head.id },
            ChainVerdict::Broken { row, .. } => ChainSeen::Broken { row: *row },
        });
        State::of(verdict)
    }

    fn checking(&self, head: AuditId) -> ChainBanner {
        ChainBanner::Checking { up_to: self.progress.borrow().get(), head: head.get() }
    }
}

impl State {
    fn of(verdict: ChainVerdict) -> Self {
        match verdict {
            ChainVerdict::Sound { head, .. } => Self::Sound { head, checked: Timestamp::now() },
            ChainVerdict::Broken { row, fault } => {
                tracing::error!(alarm = "AUDIT_CHAIN_BROKEN", %row, %fault, "the audit chain is broken");
                Self::Broken { row, what: fault.to_string() }
            }
        }
    }

    fn banner(&self) -> Option<ChainBanner> {
        match self {
            Self::Unchecked => None,
            Self::Sound { head, checked } => {
                Some(ChainBanner::Sound { up_to: head.id.get(), checked: (*checked).into() })
            }
            Self::Broken { row, what } => Some(ChainBanner::Broken { row: row.get(), what: what.clone() }),
        }
    }
}
