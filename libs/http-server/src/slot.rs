//! How one connection stands, and what it is told. Its own task writes down how it stands, and what looks after all of
//! them reads that; nobody waits for anybody.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::timeouts::{Order, Stage, Status};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The clock of all connections: since one of them was first looked at.
pub(crate) fn now() -> Duration {
    START.elapsed()
}

fn now_millis() -> u64 {
    u64::try_from(now().as_millis()).unwrap_or(u64::MAX >> 3)
}

/// One connection.
pub(crate) struct Slot {
    /// The stage in the lowest three bits, and above them since when, in milliseconds.
    stage: AtomicU64,
    /// One more than the millisecond since which a reply finds no room; 0 while it does.
    blocked: AtomicU64,
    /// The bytes of that reply that were offered to the socket and not taken.
    owed: AtomicU64,
    served: AtomicBool,
    asked: AtomicBool,
    /// Whether the last request was read to its end: only then does a request begin with the next byte.
    whole: AtomicBool,
    order: AtomicU8,
    called: Notify,
}

impl Slot {
    pub(crate) fn new() -> Self {
        Self {
            stage: AtomicU64::new(encode(Stage::Silent)),
            blocked: AtomicU64::new(0),
            owed: AtomicU64::new(0),
            served: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            whole: AtomicBool::new(true),
            order: AtomicU8::new(0),
            called: Notify::new(),
        }
    }

    // ---- What its own task writes down -----------------------------------------------------------------------------

    /// Bytes came.
    pub(crate) fn bytes_came(&self) {
        if matches!(self.stage(), Stage::Silent | Stage::Idle) {
            self.enter(Stage::Head);
        }
    }

    /// A request's head is here; its body, if it has one, is not.
    pub(crate) fn asks(&self, has_body: bool) {
        self.asked.store(true, Relaxed);
        self.whole.store(!has_body, Relaxed);
        self.enter(Stage::Working);
    }

    /// More of the body is wanted than has come.
    pub(crate) fn waits_for_body(&self) {
        if self.stage() == Stage::Working {
            self.enter(Stage::Body);
        }
    }

    /// The body is here, or nobody wants more of it.
    pub(crate) fn body_done(&self, whole: bool) {
        self.whole.store(whole, Relaxed);
        if self.stage() == Stage::Body {
            self.enter(Stage::Working);
        }
    }

    /// The whole answer was handed over for sending.
    pub(crate) fn answered(&self) {
        self.enter(Stage::Idle);
    }

    /// The socket takes no more for now, and `owed` bytes wait.
    pub(crate) fn blocks(&self, owed: usize) {
        self.owed.store(owed as u64, Relaxed);
        if self.blocked.load(Relaxed) == 0 {
            self.moves_on();
        }
    }

    /// The client has taken enough to be given its time again.
    pub(crate) fn moves_on(&self) {
        self.blocked.store(now_millis() + 1, Relaxed);
    }

    /// Everything was taken.
    pub(crate) fn flows(&self) {
        if self.blocked.load(Relaxed) != 0 {
            self.blocked.store(0, Relaxed);
            self.owed.store(0, Relaxed);
        }
    }

    pub(crate) fn set_served(&self, served: bool) {
        self.served.store(served, Relaxed);
    }

    /// Waits for an order.
    pub(crate) async fn called(&self) {
        self.called.notified().await;
    }

    /// The order that stands. Parking is told once; the others hold. One that was told to close just as the next request
    /// came has that answered first: no browser sends a form again by itself that had no reply.
    pub(crate) fn take_order(&self) -> Option<Order> {
        match self.order.load(Relaxed) {
            1 => {
                let _ = self.order.compare_exchange(1, 0, Relaxed, Relaxed);
                Some(Order::Park)
            }
            2 => Some(Order::Finish),
            3 if self.is_at_work() => Some(Order::Finish),
            3 => Some(Order::Close),
            _ => None,
        }
    }

    /// Whether it could be taken apart now without losing anything.
    pub(crate) fn may_park(&self) -> bool {
        self.whole.load(Relaxed) && self.status().may_park()
    }

    fn is_at_work(&self) -> bool {
        let status = self.status();
        status.stage == Stage::Working && status.blocked.is_none()
    }

    // ---- What others read and say ----------------------------------------------------------------------------------

    /// Whether it has ever brought a request.
    pub(crate) fn has_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    /// The bytes that a slow client makes us keep.
    pub(crate) fn owed(&self) -> u64 {
        self.owed.load(Relaxed)
    }

    /// Whether it was told to close.
    pub(crate) fn is_leaving(&self) -> bool {
        self.order.load(Relaxed) == 3
    }

    /// Whether it was told to give its buffers back, or to close, and has yet to do so.
    pub(crate) fn is_clearing(&self) -> bool {
        matches!(self.order.load(Relaxed), 1 | 3)
    }

    pub(crate) fn status(&self) -> Status {
        let state = self.stage.load(Relaxed);
        let blocked = self.blocked.load(Relaxed);
        Status {
            stage: decode(state),
            since: Duration::from_millis(state >> 3),
            blocked: (blocked > 0).then(|| Duration::from_millis(blocked - 1)),
            served: self.served.load(Relaxed),
        }
    }

    /// Gives an order. One that asks for more than a later one stands.
    pub(crate) fn tell(&self, order: Order) {
        let code = match order {
            Order::Park => 1,
            Order::Finish => 2,
            Order::Close => 3,
        };
        self.order.fetch_max(code, Relaxed);
        self.called.notify_one();
    }

    fn stage(&self) -> Stage {
        decode(self.stage.load(Relaxed))
    }

    fn enter(&self, stage: Stage) {
        self.stage.store(encode(stage), Relaxed);
    }
}

fn encode(stage: Stage) -> u64 {
    let code = match stage {
        Stage::Silent => 0,
        Stage::Idle => 1,
        Stage::Head => 2,
        Stage::Body => 3,
        Stage::Working => 4,
    };
    now_millis() << 3 | code
}

fn decode(state: u64) -> Stage {
    match state & 7 {
        0 => Stage::Silent,
        1 => Stage::Idle,
        2 => Stage::Head,
        3 => Stage::Body,
        _ => Stage::Working,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_to_close_that_crosses_a_request_lets_its_answer_be_finished() {
        let slot = Slot::new();
        slot.tell(Order::Close);
        assert_eq!(slot.take_order(), Some(Order::Close), "nothing was asked");
        slot.bytes_came();
        assert_eq!(slot.take_order(), Some(Order::Close), "half a head");
        slot.asks(true);
        assert_eq!(slot.take_order(), Some(Order::Finish), "at work");
        slot.waits_for_body();
        assert_eq!(slot.take_order(), Some(Order::Close), "half a form");
        slot.body_done(true);
        assert_eq!(slot.take_order(), Some(Order::Finish), "at work");
        slot.blocks(1);
        assert_eq!(slot.take_order(), Some(Order::Close), "a reply that is not taken");
        slot.flows();
        slot.answered();
        assert_eq!(slot.take_order(), Some(Order::Close), "answered");
    }
}
