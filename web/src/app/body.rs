//! Reading a form: bounded in size, in how long it may take, in how slowly it may come, and in how much of memory all that
//! are arriving take together.
//!
//! Strangers and members have budgets of their own (`body_memory.rs`). A small form takes of the strangers' without a
//! question; one that is large, or that finds it used up, has its session looked up first. A member is who has a live
//! session: the cookie of one that has ended opens nothing, except that a large form may still take of the strangers' when
//! time ended its session, so that what was typed becomes a draft.

use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Buf;
use futures_util::{Stream, StreamExt};
use http::header;
use store::{PersonId, SessionState, StoreError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::app::request::Request;
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::limits::{Full, Turn};

/// The largest form: a message of 20,000 characters of four bytes each, percent-encoded, and its subject.
pub const MAX_FORM_BYTES: usize = 256 * 1024;
/// A larger form is read on to here and thrown away: a connection that closes on a client that still sends would
/// take the page that explains with it.
const MAX_DRAINED_BYTES: usize = 8 * 1024 * 1024;
/// How long a form may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long one that is refused unread may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);
/// So much of it, or its end, must come within so long: a tenth of what the slowest telephone sends.
const LEAST_BYTES: usize = 4 * 1024;
const LEAST_TIME: Duration = Duration::from_secs(10);

/// What a stranger's form may take: more than the one that strangers have, the code of an emergency access.
const SMALL_BYTES: usize = 8 * 1024;
/// The memory that a form takes of the budgets, until it is dropped.
pub struct FormMemory {
    _small: Option<OwnedSemaphorePermit>,
    _members: Option<Turn<PersonId>>,
}

/// A form that has arrived.
pub struct Arrived {
    /// What was sent.
    pub form: Form,
    /// To be kept as long as the form is.
    pub memory: FormMemory,
}

/// Reads the form of a request.
pub async fn read_form<S, B>(request: &Request, body: S) -> Result<Arrived, PageError>
where
    S: Stream<Item = Result<B, warp::Error>> + Send,
    B: Buf,
{
    let _turns = match may_arrive(request).await {
        Ok(turns) => turns,
        Err(refused) => {
            discard(body).await;
            return Err(refused);
        }
    };
    let mut growing = Growing { request, whose: Whose::Unknown, kib: 0, small: None, members: None };
    let bytes = receive(body, &mut growing).await?;
    Ok(Arrived { form: Form::parse(&bytes), memory: FormMemory { _small: growing.small, _members: growing.members } })
}

/// Whether a form is of a kind that is read, and one more may arrive now; with the turns that it takes.
async fn may_arrive(request: &Request) -> Result<(Option<Turn<IpAddr>>, Option<Turn<PersonId>>), PageError> {
    let content_type = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("").trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(PageError::UnsupportedForm);
    }
    // A member who shares an address with somebody who sends a flood of forms gets through by her session.
    let limits = &request.site.limits;
    match limits.begin_form(request.visitor.ip) {
        Ok(turn) => Ok((Some(turn), None)),
        Err(too_many) => match whose(request).await? {
            Whose::Members(person) => Ok((None, Some(limits.begin_members_form(person)?))),
            _ => Err(too_many.into()),
        },
    }
}

/// Lets a form that is refused unread come to its end, if it soon does: a connection that closes on a client that still sends
/// would take the page that explains with it.
pub async fn discard<S, B>(body: S)
where
    S: Stream<Item = Result<B, warp::Error>> + Send,
    B: Buf,
{
    let mut body = pin!(body);
    let (end, mut bytes) = (Instant::now() + DISCARD_TIMEOUT, 0);
    while bytes <= MAX_FORM_BYTES
        && let Ok(Some(Ok(chunk))) = timeout_at(end, body.next()).await
    {
        bytes += chunk.remaining();
    }
}

async fn receive<S, B>(body: S, room: &mut Growing<'_>) -> Result<Vec<u8>, PageError>
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
            room.give_back();
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
    /// A live session's.
    Members(PersonId),
    /// Somebody's whose session has reached its limit of time.
    Late,
    /// Nobody's who has a session.
    Strangers,
}

/// What one form takes, while it arrives.
struct Growing<'r> {
    request: &'r Request,
    whose: Whose,
    kib: usize,
    small: Option<OwnedSemaphorePermit>,
    members: Option<Turn<PersonId>>,
}

impl Growing<'_> {
    /// Takes room for so many bytes in all. False when none of them is to be kept.
    async fn grow(&mut self, bytes: usize) -> Result<bool, PageError> {
        let kib = bytes.div_ceil(1024);
        if matches!(self.whose, Whose::Unknown) {
            if bytes <= SMALL_BYTES && self.take_small(kib) {
                return Ok(true);
            }
            self.whose = whose(self.request).await?;
        }
        match self.whose {
            Whose::Members(person) => {
                self.small = None;
                self.take_members(person, kib)?;
                Ok(true)
            }
            Whose::Late => {
                let kept = self.take_small(kib);
                if !kept {
                    self.whose = Whose::Strangers;
                }
                Ok(kept)
            }
            Whose::Strangers | Whose::Unknown => Ok(false),
        }
    }

    fn take_small(&mut self, kib: usize) -> bool {
        let more = kib.saturating_sub(self.kib);
        let Some(permit) = self.request.site.body_memory.take_small(more) else { return false };
        match &mut self.small {
            Some(held) => held.merge(permit),
            None => self.small = Some(permit),
        }
        self.kib = kib;
        true
    }

    fn take_members(&mut self, person: PersonId, kib: usize) -> Result<(), PageError> {
        let site = &self.request.site;
        let taken = match &mut self.members {
            Some(turn) => turn.grow_to(kib),
            None => site.body_memory.take_members(person, kib).map(|turn| self.members = Some(turn)),
        };
        taken.map_err(|full| match full {
            Full::One => site.limits.members_forms_are_too_much(person).into(),
            Full::All => PageError::Crowded,
        })
    }

    fn give_back(&mut self) {
        self.small = None;
        self.members = None;
    }
}

/// Whose form it is, by the session that the request names.
async fn whose(request: &Request) -> Result<Whose, StoreError> {
    Ok(match request.session().await? {
        SessionState::Live(session) => Whose::Members(session.person),
        SessionState::Ended(reason) if reason.is_time_limit() => Whose::Late,
        SessionState::Ended(_) | SessionState::Unknown => Whose::Strangers,
    })
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
