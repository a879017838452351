//! A copy of everything that concerns a member: made while it is sent, so that nothing of it is kept, and how far it is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream;
use http::{StatusCode, header};
use serde_json::json;
use store::{DataExport, PersonId};

use super::archive::Walk;
use super::page;
use crate::app::access::Member;
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::features::me::pages::{DownloadState, DownloadView};
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;

/// How far the newest copy of each member is. A few numbers for each member who asked for one since the start.
#[derive(Default)]
pub struct Downloads {
    newest: Mutex<HashMap<PersonId, Arc<Progress>>>,
    begun: AtomicU64,
}

impl Downloads {
    /// The newest one of a member's.
    pub fn of(&self, person: PersonId) -> Option<DownloadView> {
        self.lock().get(&person).map(|progress| progress.view())
    }

    fn begin(&self, person: PersonId, of: u64) -> Arc<Progress> {
        let number = self.begun.fetch_add(1, Relaxed);
        let progress = Arc::new(Progress { number, of, sent: AtomicU64::new(0), state: AtomicU8::new(UNDER_WAY) });
        self.lock().insert(person, Arc::clone(&progress));
        progress
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PersonId, Arc<Progress>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const UNDER_WAY: u8 = 0;
const COMPLETE: u8 = 1;
const BROKEN_OFF: u8 = 2;

/// How far one copy is.
pub(super) struct Progress {
    /// Which one it is of all since the start.
    number: u64,
    /// So many entries were counted before it began.
    of: u64,
    sent: AtomicU64,
    state: AtomicU8,
}

impl Progress {
    /// So many entries more are on their way.
    pub(super) fn sent(&self, entries: usize) {
        self.sent.fetch_add(u64::try_from(entries).unwrap_or(0), Relaxed);
    }

    /// The browser has taken all of it.
    pub(super) fn complete(&self) {
        self.state.store(COMPLETE, Relaxed);
    }

    /// It is over, whether it was complete or not.
    pub(super) fn over(&self) {
        let _ = self.state.compare_exchange(UNDER_WAY, BROKEN_OFF, Relaxed, Relaxed);
    }

    fn view(&self) -> DownloadView {
        let state = match self.state.load(Relaxed) {
            COMPLETE => DownloadState::Complete,
            BROKEN_OFF => DownloadState::BrokenOff,
            _ => DownloadState::UnderWay,
        };
        let percent = match state {
            DownloadState::Complete => 100,
            _ => (self.sent.load(Relaxed) * 100 / self.of.max(1)).min(99),
        };
        DownloadView { number: self.number, percent, state }
    }
}

/// `POST /me/data`: the archive. DATA_EXPORTED is on disk before the first byte leaves, and when the session ends, so does the
/// download.
pub async fn download(
    state: Arc<Downloads>,
    request: Request,
    member: Member,
    _: CsrfChecked<Form>,
) -> Result<Reply, PageError> {
    let (store, actor) = (&request.site.store, member.actor());
    let turn = request.site.limits.begin_export(actor.person)?;
    let token = request.session_token().ok_or(PageError::NoSession { ended: None })?;
    let up_to = match store.begin_data_export(actor, request.at).await? {
        DataExport::Begun(up_to) => up_to,
        DataExport::TooOften { again_at } => {
            let wait = again_at.since(request.at).as_secs() + 1;
            let refused = page(&state, &request, &member, StatusCode::TOO_MANY_REQUESTS).await?;
            return Ok(refused.with(header::RETRY_AFTER, &wait.to_string()));
        }
    };
    let counts = store.own_data_counts(actor.person, up_to).await?;
    let progress = state.begin(actor.person, counts.acts + counts.messages + counts.openings + counts.opened_by_others);
    let walk = Walk::new(Arc::clone(&request.site), token, actor.person, up_to, request.at, progress, turn);
    let day = request.at.to_rfc3339();
    let name = format!("attachment; filename=\"wardpost-my-data-{}.zip\"", day.split('T').next().unwrap_or_default());
    Ok(Reply::stream("application/zip", stream::try_unfold(walk, Walk::next_chunk))
        .with(header::CONTENT_DISPOSITION, &name))
}

/// `GET /me/data/progress`: how far the newest copy is, for the page's script.
pub async fn progress(state: Arc<Downloads>, _: Request, member: Member) -> Result<Reply, PageError> {
    Ok(Reply::json(&match state.of(member.actor().person) {
        Some(view) => {
            json!({ "number": view.number, "state": view.state(), "percent": view.percent, "said": view.sentence() })
        }
        None => json!({}),
    }))
}
