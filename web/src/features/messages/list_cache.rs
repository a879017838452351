//! The lists that are asked for most, rendered once for all readers, and never shown once they are out of date.
//!
//! Every change of a message or a person has its audit row, so the audit log says whether a list that was read before is
//! still right. It is asked at every request, since another process may have written: the look-up of the session tells the
//! newest row's number, and only where that has moved are the rows since looked at, once, however many ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::{AuditId, ListQuery, ListState, MessageId, Store};

use super::list::read;
use super::marks::ListedConversations;
use crate::features::messages::pages::InboxList;
use crate::http::error::PageError;

/// Lists kept at once, each of some 40 kB. The first page is what nearly everybody asks for.
const KEPT: usize = 32;

/// The lists that are kept.
#[derive(Default)]
pub struct ListCache(Mutex<Kept>);

/// A list.
#[derive(Clone)]
pub struct Listed {
    /// As it is shown.
    pub list: Arc<InboxList>,
    /// Its conversations, in their order.
    pub conversations: ListedConversations,
    /// The messages whose subjects are in it, the greatest number first.
    pub shows: Arc<[MessageId]>,
    /// A row up to which it shows every change.
    pub newest: AuditId,
}

struct Kept {
    /// Every list here shows all changes up to this row, perhaps later ones as well.
    seen: AuditId,
    lists: HashMap<ListQuery, Listed>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { seen: AuditId::ZERO, lists: HashMap::new() }
    }
}

impl ListCache {
    /// The list as it was when `as_of` was the newest audit row, or later.
    pub async fn list(&self, store: &Store, as_of: AuditId, query: ListQuery) -> Result<Listed, PageError> {
        let seen = self.lock().seen;
        let state =
            if as_of <= seen { ListState { newest: seen, unchanged: true } } else { store.lists_since(seen).await? };
        if let Some(found) = self.lock().find(state, &query) {
            return Ok(found);
        }
        let listed = read(store, query).await?;
        self.lock().keep(query, listed.clone());
        Ok(listed)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// A list that is right at `state`, which was looked up since some `seen` of this; others may have come further
    /// meanwhile.
    fn find(&mut self, state: ListState, query: &ListQuery) -> Option<Listed> {
        if self.seen < state.newest {
            if !state.unchanged {
                self.lists.clear();
            }
            self.seen = state.newest;
        }
        self.lists.get(query).map(|listed| Listed { newest: self.seen.max(listed.newest), ..listed.clone() })
    }

    /// Keeps a list, unless it was read before a change that is known here.
    fn keep(&mut self, query: ListQuery, listed: Listed) {
        if listed.newest < self.seen {
            return;
        }
        if self.lists.len() >= KEPT {
            self.lists.clear();
        }
        self.lists.insert(query, listed);
    }
}
