//! Reading a form: bounded in size, in how long it may take, in how slowly it may come, and in how much of memory all that
//! are arriving take together.
//!
//! Strangers and members have rooms of their own. A small form takes its room in the strangers' without a question; one
//! that is large, or that finds it full, has its session looked up first. So whoever is not signed in can neither make the
//! site keep much nor keep a member's message out.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use futures_util::{Stream, StreamExt};
use http::header;
use store::{SessionState, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::form::Form;
use crate::page_error::PageError;
use crate::request::Request;

/// The largest form: a message of 20,000 characters of four bytes each, percent-encoded, and its subject.
pub const MAX_FORM_BYTES: usize = 256 * 1024;
/// A larger form is read on to here and thrown away: a connection that closes on a client that still sends would
/// take the page that explains with it.
const MAX_DRAINED_BYTES: usize = 8 * 1024 * 1024;
/// How long a form may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// So much of it, or its end, must come within so long: a tenth of what the slowest telephone sends.
const LEAST_BYTES: usize = 4 * 1024;
const LEAST_TIME: Duration = Duration::from_secs(10);

/// What a stranger's form may take: more than the one that strangers have, the code of an emergency access.
const SMALL_BYTES: usize = 8 * 1024;
/// Room for strangers' and other small forms together, and for members' together, in KiB.
const SMALL_ROOM: usize = 4 * 1024;
const MEMBERS_ROOM: usize = 16 * 1024;

/// How much of memory arriving forms may take.
pub struct Rooms {
    small: Arc<Semaphore>,
    members: Arc<Semaphore>,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { small: Arc::new(Semaphore::new(SMALL_ROOM)), members: Arc::new(Semaphore::new(MEMBERS_ROOM)) }
    }
}

impl Rooms {
    /// What is free of them, in KiB: the strangers' and the members'.
    pub fn free(&self) -> (usize, usize) {
        (self.small.available_permits(), self.members.available_permits())
    }
}

/// A form that has arrived, and the room it takes until it is dropped.
pub struct Arrived {
    /// What was sent.
    pub form: Form,
    /// To be kept as long as the form is.
    pub room: Option<OwnedSemaphorePermit>,
}

/// Reads the form of a request.
pub async fn read_form<S, B>(request: &Request, body: S) -> Result<Arrived, PageError>
where
    S: Stream<Item = Result<B, warp::Error>> + Send,
    B: Buf,
{
    let content_type = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("").trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(PageError::UnsupportedForm);
    }
    // Whoever shares an address with somebody who sends a flood of forms gets through by her session.
    let _turn = match request.site.limits.begin_form(request.visitor.ip) {
        Ok(turn) => Some(turn),
        Err(_) if is_members(request).await? => None,
        Err(too_many) => return Err(too_many.into()),
    };
    let mut room = Room { request, whose: Whose::Unknown, kib: 0, held: None };
    let bytes = arrive(body, &mut room).await?;
    Ok(Arrived { form: Form::parse(&bytes), room: room.held })
}

async fn arrive<S, B>(body: S, room: &mut Room<'_>) -> Result<Vec<u8>, PageError>
where
    S: Stream<Item = Result<B, warp::Error>> + Send,
    B: Buf,
{
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    let mut arrived = 0;
    let mut pace = Pace::new(Instant::now());
    while let Some(chunk) = timeout_at(pace.deadline(), body.next()).await.map_err(|_| PageError::SlowForm)? {
        let mut chunk = chunk.map_err(|_| PageError::BrokenForm)?;
        pace.came(chunk.remaining(), Instant::now());
        arrived += chunk.remaining();
        if arrived > MAX_DRAINED_BYTES {
            return Err(PageError::LargeForm);
        }
        if arrived > MAX_FORM_BYTES || !room.grow(arrived).await? {
            bytes = Vec::new();
            room.held = None;
            continue;
        }
        while chunk.has_remaining() {
            let part = chunk.chunk();
            bytes.extend_from_slice(part);
            let read = part.len();
            chunk.advance(read);
        }
    }
    match room.whose {
        Whose::Strangers => Err(PageError::SignedOut { ended: None, kept_draft: false }),
        _ if arrived > MAX_FORM_BYTES => Err(PageError::LargeForm),
        _ => Ok(bytes),
    }
}

/// When a form that is arriving is too slow.
struct Pace {
    end: Instant,
    since: Instant,
    came: usize,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { end: now + BODY_TIMEOUT, since: now, came: 0 }
    }

    fn deadline(&self) -> Instant {
        self.end.min(self.since + LEAST_TIME)
    }

    fn came(&mut self, bytes: usize, now: Instant) {
        self.came += bytes;
        if self.came >= LEAST_BYTES {
            self.came = 0;
            self.since = now;
        }
    }
}

#[derive(Clone, Copy)]
enum Whose {
    /// Nobody has asked yet.
    Unknown,
    Members,
    Strangers,
}

/// What one form takes.
struct Room<'r> {
    request: &'r Request,
    whose: Whose,
    kib: usize,
    held: Option<OwnedSemaphorePermit>,
}

impl Room<'_> {
    /// Takes room for so many bytes in all. False when none of them is to be kept.
    async fn grow(&mut self, bytes: usize) -> Result<bool, PageError> {
        let kib = bytes.div_ceil(1024);
        if matches!(self.whose, Whose::Unknown) {
            let rooms = &self.request.site.rooms;
            if bytes <= SMALL_BYTES && self.take(&rooms.small, kib) {
                return Ok(true);
            }
            self.held = None;
            self.kib = 0;
            self.whose = if is_members(self.request).await? { Whose::Members } else { Whose::Strangers };
        }
        if matches!(self.whose, Whose::Strangers) {
            return Ok(false);
        }
        if self.take(&self.request.site.rooms.members, kib) { Ok(true) } else { Err(PageError::Crowded) }
    }

    fn take(&mut self, room: &Arc<Semaphore>, kib: usize) -> bool {
        let more = u32::try_from(kib.saturating_sub(self.kib)).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(room).try_acquire_many_owned(more) else { return false };
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        self.kib = kib;
        true
    }
}

/// Whether the request names a session that there is or was: what was typed when it ran out is its member's.
async fn is_members(request: &Request) -> Result<bool, StoreError> {
    Ok(!matches!(request.session().await?, SessionState::Unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_its_time_as_long_as_it_comes_and_never_more_than_all_of_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace::new(start);
        assert_eq!(pace.deadline(), at(10));
        pace.came(LEAST_BYTES - 1, at(9));
        assert_eq!(pace.deadline(), at(10), "a trickle");
        pace.came(1, at(9));
        assert_eq!(pace.deadline(), at(19));
        pace.came(LEAST_BYTES, at(18));
        assert_eq!(pace.deadline(), at(20), "the whole of it");
    }
}
